"""Files that are whole at every instant: the old content or the new one, whatever crashes in between."""

import os
from contextlib import suppress
from pathlib import Path

from errors import Temporary


def write_atomically(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Replace a file's content, on the disk when this returns; missing folders are made.

    Parameters
    ----------
    shared : bool
        Whether several processes may write the file at a time: each then has a draft of its own. A file
        with one writer has one draft, so that a crash leaves at most one behind.

    Raises
    ------
    Temporary
        If it cannot be written; the old content stands.
    """
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp" if shared else f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise Temporary(f"{path} cannot be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut; Windows has no such call and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
