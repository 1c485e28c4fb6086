"""The mode store without Redis: a private file in the state folder.

The file does not exist or contains exactly `1` (simulation) or `0` (live), like the key in Redis. It has mode
0600 in a folder of mode 0700, so that no other user of the machine can switch the bot to live. If others
could have written or removed it, only `1` is accepted. Windows has no such modes: there the access rights of
the state folder apply.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal

from common.atomic_file import give_to_owner_of_folder, write_atomically
from common.bounded import bounded
from control.mode_store import (
    BOUND_S,
    MODE_FILE,
    SHOWN,
    UNSET,
    VALUES,
    ModeReading,
    ModeStore,
    ModeValue,
    interpret,
)
from errors import Fatal, Temporary
from execution.ledger import Mode

FOLDER = "mode_store"
FILE = "simulation_mode"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
# Do not wait for the writer of a pipe, and do not follow a symbolic link; 0 if the platform has no such flag.
OPEN = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"))


class FileModeStore(ModeStore):
    """The mode file of a state folder, used by the bot and by redis_control.py.

    Parameters
    ----------
    state_dir : Path
    """

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / FOLDER
        self.path = self.folder / FILE

    def __str__(self) -> str:
        return f"the file {self.path}"

    @property
    def location(self) -> Literal["file"]:
        return MODE_FILE

    @property
    def name(self) -> str:
        return "the mode file"

    def prepare(self) -> None:
        """Create the folder. An existing one is not changed: others may have modified its content.

        Raises
        ------
        Fatal
            If it cannot be created.
        """
        try:
            if not self.folder.exists():
                self._make_private()
        except OSError as error:
            raise Fatal(
                f"the folder {self.folder} of the mode file cannot be made: {error.strerror}",
                "Fix the permissions of the state folder, or set STATE_DIR to another folder",
            ) from None

    def read(self) -> ModeReading:
        try:
            return bounded(self._look, BOUND_S, "mode-file")
        except TimeoutError:
            why = f"not within {BOUND_S:g} s"
        except OSError as error:
            why = error.strerror or str(error)
        return ModeReading(ModeValue.LOST, f"the mode file {self.path} cannot be read: {why}")

    def write(self, mode: Mode) -> None:
        try:
            self._make_private()
            write_atomically(self.path, VALUES[mode], shared=True, private=True)
            kept = self._look()
        except (OSError, Temporary) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise Temporary(f"{mode} cannot be written to the mode file {self.path}: {why}") from None
        if kept.value.value != mode.value:
            raise Temporary(f"the mode file {self.path} does not hold {mode} after writing it: {kept.detail}")

    def _look(self) -> ModeReading:
        exposed = _exposed(self.folder.parent, sticky=True) or _exposed(self.folder, owned=True)
        try:
            descriptor = os.open(self.path, OPEN)
        except FileNotFoundError:
            reading = UNSET
        else:
            try:
                found = os.fstat(descriptor)
                exposed = exposed or _exposed(self.path, found, owned=True)
                if not stat.S_ISREG(found.st_mode):
                    return ModeReading(ModeValue.GARBAGE, f"the mode file {self.path} is not a regular file")
                reading = interpret(os.read(descriptor, SHOWN + 1))
            finally:
                os.close(descriptor)
        if exposed is None or reading.value is ModeValue.SIMULATION:
            return reading
        return ModeReading(ModeValue.GARBAGE, f"the mode file is not trusted: {exposed}")

    def _make_private(self) -> None:
        """Set the folder's mode to 0700, if others cannot rename entries of the state folder."""
        state_dir = self.folder.parent
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)
            give_to_owner_of_folder(self.folder)
        if os.name != "posix":
            return
        self.folder.chmod(0o700)
        if _exposed(state_dir, sticky=True) is not None:
            state_dir.chmod(stat.S_IMODE(state_dir.stat().st_mode) & ~OTHERS_WRITE)


def _exposed(
    path: Path, found: os.stat_result | None = None, *, owned: bool = False, sticky: bool = False
) -> str | None:
    """Why other users could have changed a file or folder; None if they could not, and on Windows.

    Parameters
    ----------
    path : Path
    found : os.stat_result, optional
        Of the open file; otherwise `path` itself is examined.
    owned : bool
        Whether it must belong to this user or to root.
    sticky : bool
        Whether a sticky folder is accepted, in which others can change only their own files, like /tmp.
    """
    if os.name != "posix":
        return None
    if found is None:
        found = path.stat() if sticky else path.lstat()  # a state folder may be a link to another disk
    if owned and found.st_uid not in _trusted(path):
        return f"{path} belongs to another user (uid {found.st_uid})"
    if found.st_mode & OTHERS_WRITE and not (sticky and found.st_mode & stat.S_ISVTX):
        return f"{path} can be written by other users (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _trusted(path: Path) -> set[int]:
    """The users whose files are accepted: this one and root; for root also the owner of the parent folder."""
    users = {os.geteuid(), 0}
    if os.geteuid() == 0:
        users.add(path.parent.stat().st_uid)
    return users
