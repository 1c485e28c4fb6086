"""Remembers, from one worker of a run to the next, which unknown protocol versions were reported."""

from pathlib import Path

import msgspec
from loguru import logger

from common.atomic_file import write_atomically
from errors import Temporary

FILE = "unknown_versions.json"
"""In the profile's folder: a list of versions."""


class ReportedVersions:
    """The unknown versions that this run has reported; a new run reports them again.

    Parameters
    ----------
    folder : Path
        The profile's.
    restarted : bool
        Whether this run had an earlier worker, whose reports count.
    """

    def __init__(self, folder: Path, restarted: bool) -> None:
        self._path = folder / FILE
        self._restarted = restarted
        self._versions: set[str] | None = None

    def add(self, version: str) -> bool:
        """Whether the version was not reported before; it counts as reported from now on."""
        if self._versions is None:
            self._versions = self._load() if self._restarted else set()
        if version in self._versions:
            return False
        self._versions.add(version)
        try:
            write_atomically(self._path, msgspec.json.encode(sorted(self._versions)))
        except Temporary as error:
            logger.warning(f"{error}: a restarted worker reports version {version} again")
        return True

    def _load(self) -> set[str]:
        """A file that is missing or unreadable counts as empty: a report too many is better than none."""
        try:
            return set(msgspec.json.decode(self._path.read_bytes(), type=list[str]))
        except (OSError, msgspec.DecodeError):
            return set()
