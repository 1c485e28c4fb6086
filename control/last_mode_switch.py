"""The last word on the mode, in a file that outlives the process and the mode store's data."""

from pathlib import Path

import msgspec

from common.atomic_file import write_atomically
from execution.ledger import Mode
from models import Frozen

LAST_SWITCH_FILE = "mode.json"
"""Under the state folder."""


class LastModeSwitch(Frozen, frozen=True):
    """The last switch that was given, and the name of the store that has it; empty if it reached none."""

    mode: Mode
    store: str = ""

    @property
    def is_simulation(self) -> bool:
        return self.mode is Mode.SIMULATION


class LastModeSwitchFile:
    """The file with the last word.

    Parameters
    ----------
    path : Path
        `state/mode.json`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> LastModeSwitch | None:
        """The last word; None if there never was one. A file that cannot be read means the safe one."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=LastModeSwitch)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError):
            return LastModeSwitch(Mode.SIMULATION)

    def save(self, switch: LastModeSwitch) -> None:
        """Keep a word, on the disk when this returns.

        Raises
        ------
        Temporary
            If the file cannot be written; the earlier word stands.
        """
        write_atomically(self.path, msgspec.json.encode(switch), shared=True, private=True)
