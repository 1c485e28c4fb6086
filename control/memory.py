"""The last word on the mode, in a file that outlives the process and the mode store's data."""

from pathlib import Path

import msgspec

from execution.ledger import Mode
from files import write_atomically
from models import Frozen

MODE_MEMORY = "mode.json"
"""Under the state folder."""


class LastWord(Frozen, frozen=True):
    """The last switch that was given, and the name of the store that has it; empty if it reached none."""

    mode: Mode
    store: str = ""

    @property
    def is_simulation(self) -> bool:
        return self.mode is Mode.SIMULATION


class Memory:
    """The file with the last word.

    Parameters
    ----------
    path : Path
        `state/mode.json`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def recall(self) -> LastWord | None:
        """The last word; None if there never was one. A file that cannot be read means the safe one."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=LastWord)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError):
            return LastWord(Mode.SIMULATION)

    def note(self, word: LastWord) -> None:
        """Keep a word, on the disk when this returns.

        Raises
        ------
        Temporary
            If the file cannot be written; the earlier word stands.
        """
        write_atomically(self.path, msgspec.json.encode(word), shared=True, private=True)
