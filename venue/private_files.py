"""Creates files and folders that only their owner can read: they contain keys and accounts."""

import os
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
UMASK = 0o077
"""Umask of a process whose new files are all private."""


def private_folder(folder: Path, marker: str) -> None:
    """Create a folder that only its owner can enter.

    An existing folder is closed to other users if it belongs to the program: it is empty, or contains the
    file `marker`. A folder with other content keeps its mode; the program's files in it are private
    themselves.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True)
    except FileExistsError:
        own = (folder / marker).exists() or not any(folder.iterdir())
        if own and os.stat(folder).st_uid == os.geteuid():
            folder.chmod(FOLDER_MODE)


def private_file(path: Path) -> None:
    """Make a new or existing file readable and writable for its owner only.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, FILE_MODE))
    path.chmod(FILE_MODE)
