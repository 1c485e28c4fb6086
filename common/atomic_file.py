"""Writes files atomically, and protects the bot's files from other users of the machine."""

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from errors import Temporary

WINDOWS_PATIENCE_S = 1.0
OTHER_USERS = 0o077
"""Permission bits of the group and of all others."""


def write_atomically(path: Path, content: bytes, *, shared: bool = False, private: bool = False) -> None:
    """Replace a file's content; it is on the disk when this returns. Missing folders are created.

    Parameters
    ----------
    shared : bool
        Whether several processes may write the file at the same time: each then has its own temporary file.
        A file with one writer has one temporary file, so that a crash leaves at most one behind.
    private : bool
        Whether the file gets mode 0600 and, if root writes it, the owner of its folder. No effect on Windows.

    Raises
    ------
    Temporary
        If it cannot be written; the old content is unchanged.
    """
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp" if shared else f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "wb", opener=open_private if private else None) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _replace(draft, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise Temporary(f"{path} cannot be written: {error.strerror}") from error


def open_private(path: str, flags: int) -> int:
    """Open a file that only its owner can read and write; the `opener` of `open`.

    An existing file loses the access of other users. Written by root, it gets the owner of its folder.
    """
    descriptor = os.open(path, flags, 0o600)
    if os.name == "posix":
        os.fchmod(descriptor, 0o600)
        give_to_owner_of_folder(Path(path))
    return descriptor


def give_to_owner_of_folder(path: Path) -> None:
    """Give a file that root wrote to the owner of its folder, which is the bot's user, who has to read it."""
    if os.name == "posix" and os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)


def _replace(draft: Path, path: Path) -> None:
    """Rename over the old file.

    On Windows this fails while another process reads the file, so it is retried.
    """
    deadline = time.monotonic() + WINDOWS_PATIENCE_S
    while True:
        try:
            draft.replace(path)
        except PermissionError:
            if os.name == "posix" or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _sync_folder(folder: Path) -> None:
    """Make the renaming durable; Windows has no such call and does not need it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_private_files() -> None:
    """Give new files of this process and its children mode 0600, and new folders 0700."""
    os.umask(OTHER_USERS)


def close_to_other_users(folder: Path, own_names: Sequence[str], excluded: str = "") -> None:
    """Remove the access of other users from existing files, which earlier versions left readable.

    Files whose mode cannot be changed, for example because another user owns them, are left unchanged.

    Parameters
    ----------
    folder : Path
        Its own mode is changed only if it contains nothing but the bot's files: LOG_DIR may be a folder such
        as /var/log, which other programs need.
    own_names : sequence of str
        Prefixes of the names of the bot's files and folders in it. Folders are handled with their contents.
    excluded : str
        Name of one of them that keeps its mode, because the mode shows whether its content can be trusted.
    """
    if os.name != "posix" or not folder.is_dir():
        return
    names = os.listdir(folder)
    own = [name for name in names if name.startswith(tuple(own_names))]
    for name in own:
        if name == excluded:
            continue
        _close(folder / name)
        for parent, folders, files in os.walk(folder / name):
            for inner in (*folders, *files):
                _close(Path(parent, inner))
    if len(own) == len(names):
        _close(folder)


def _close(path: Path) -> None:
    with suppress(OSError):
        mode = path.lstat().st_mode
        if mode & OTHER_USERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~OTHER_USERS)
