"""A halt that outlives the process: a file that is created by the bot or manually, and removed manually."""

import json
from datetime import UTC, datetime
from pathlib import Path

from common.atomic_file import write_atomically
from errors import Temporary

HALT_FILE = "HALTED"
"""The file's name, in the folder of the trading profile."""


class HaltFile:
    """Trading of a profile is halted while this file exists, whatever its content.

    Parameters
    ----------
    path : Path
        `state/<profile>/HALTED`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def raise_(self, why: str) -> None:
        """Halt. An existing halt keeps its first reason.

        Raises
        ------
        Temporary
            If the file cannot be written.
        """
        if self.standing() is None:
            since = datetime.now(UTC).isoformat(timespec="seconds")
            write_atomically(
                self.path, json.dumps({"why": why, "since": since}).encode(), shared=True, private=True
            )

    def standing(self) -> str | None:
        """Why trading is halted and since when; None if it is not halted."""
        try:
            text = self.path.read_text(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{self.path.name} cannot be read: {error.strerror}"
        try:
            written = json.loads(text)
            return f"{written['why']} (since {written['since']})"
        except (ValueError, TypeError, KeyError):
            return text.strip()[:200] or f"halted manually: {self.path} exists"

    def lift(self) -> str | None:
        """Remove the halt; returns its text.

        Raises
        ------
        Temporary
            If the file cannot be removed.
        """
        stood = self.standing()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise Temporary(f"{self.path} cannot be removed: {error.strerror}") from error
        return stood
