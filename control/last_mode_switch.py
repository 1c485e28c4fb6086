"""Stores the last mode switch in a file that outlives the process and the data of the mode store."""

from pathlib import Path

import msgspec

from common.atomic_file import write_atomically
from execution.ledger import Mode
from models import Frozen

LAST_SWITCH_FILE = "mode.json"
"""Its name in the state folder."""


class LastModeSwitch(Frozen, frozen=True):
    """The last mode switch, and the name of the store that it was written to; empty if it reached none."""

    mode: Mode
    store: str = ""

    @property
    def is_simulation(self) -> bool:
        return self.mode is Mode.SIMULATION


class LastModeSwitchFile:
    """The file with the last mode switch.

    Parameters
    ----------
    path : Path
        `state/mode.json`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> LastModeSwitch | None:
        """The last switch; None if there was none. An unreadable file counts as a switch to simulation."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=LastModeSwitch)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError):
            return LastModeSwitch(Mode.SIMULATION)

    def save(self, switch: LastModeSwitch) -> None:
        """Store a switch; it is on the disk when this returns.

        Raises
        ------
        Temporary
            If the file cannot be written; the earlier switch is kept.
        """
        write_atomically(self.path, msgspec.json.encode(switch), shared=True, private=True)
