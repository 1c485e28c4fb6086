"""Files and folders that only their owner can read: keys and accounts are in them."""

import os
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
UMASK = 0o077
"""For a process all of whose new files are private."""


def private_folder(folder: Path, marker: str) -> None:
    """Make a folder that only its owner can enter.

    An existing one is closed to others if it is the program's own: it is empty, or has the file `marker`. A
    folder with other things in it keeps its mode; the program's files in it are private by themselves.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True)
    except FileExistsError:
        own = (folder / marker).exists() or not any(folder.iterdir())
        if own and os.stat(folder).st_uid == os.geteuid():
            folder.chmod(FOLDER_MODE)


def private_file(path: Path) -> None:
    """Make a file, or an existing one, readable and writable for its owner only.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, FILE_MODE))
    path.chmod(FILE_MODE)
