"""What a run may do with orders at this instant, decided from the flag, the arming and the mode store.

Simulation is the resting state of every doubt: live needs every condition at once, simulation needs none.
"""

from pathlib import Path

import msgspec

from control.store import ModeStore, Reading, Says
from errors import Temporary
from execution.ledger import Mode
from files import write_atomically
from models import Frozen

WORDS = {Says.SIMULATION: Mode.SIMULATION, Says.GARBAGE: Mode.SIMULATION, Says.LIVE: Mode.LIVE}
"""What is remembered of an answer: somebody meant something by garbage, and it was not live."""
NO_STORE = Reading(Says.LOST, "there is no mode store")


class Verdict(Frozen, frozen=True):
    """The mode to act in; `allows_orders` is False while no new position may be opened in it."""

    mode: Mode
    allows_orders: bool
    why: str


def decide_mode(*, live_flag: bool, armed: bool, reading: Reading, remembered: Mode | None) -> Verdict:
    """The verdict; pure.

    Parameters
    ----------
    live_flag : bool
        Whether the run was started with --live.
    armed : bool
        Whether the operator armed it: credentials, doctor, and LIVE typed or set.
    reading : Reading
        The mode store's answer of this instant.
    remembered : Mode or None
        The last explicit word that was ever seen in the store. It counts when the store has none: a Redis
        that lost its data must not undo an emergency switch to simulation.
    """
    if not live_flag or not armed:
        why = "started without --live" if not live_flag else "not armed"
        if reading.says is Says.LIVE:
            why = f"the mode store says live, refused: this bot was {why}"
        return Verdict(Mode.SIMULATION, True, why)
    match reading.says:
        case Says.LIVE:
            return Verdict(Mode.LIVE, True, reading.detail)
        case Says.LOST:
            return Verdict(
                Mode.LIVE, False, f"mode store lost, no new position until it is back: {reading.detail}"
            )
        case Says.UNSET if remembered is Mode.SIMULATION:
            return Verdict(Mode.SIMULATION, True, "the mode store is empty, and its last word was simulation")
        case Says.UNSET:
            return Verdict(Mode.LIVE, True, "as started: --live and armed")
        case _:
            return Verdict(Mode.SIMULATION, True, reading.detail)


class Keeper:
    """Asks the mode store and remembers its last word. Thread-safe; a question is bounded in time.

    Parameters
    ----------
    store : ModeStore or None
        None: there is none, and nothing is ever live.
    live_flag, armed : bool
    memory : Path
        A small file that outlives the process and the store's data.
    """

    def __init__(self, store: ModeStore | None, live_flag: bool, armed: bool, memory: Path) -> None:
        self._store = store
        self._live_flag = live_flag
        self._armed = armed and store is not None
        self._memory = memory

    def verdict(self) -> Verdict:
        """What this run may do now."""
        reading = NO_STORE if self._store is None else self._store.read()
        remembered = _recall(self._memory)
        word = WORDS.get(reading.says)
        # Only a bot that may obey takes note of a switch to live.
        if word is not None and word is not remembered and (self._armed or word is Mode.SIMULATION):
            try:
                write_atomically(self._memory, msgspec.json.encode(word), shared=True)
            except Temporary as error:
                if word is Mode.LIVE:
                    # Going live is acted upon only when it is remembered; going back is at once.
                    return Verdict(Mode.SIMULATION, True, f"a switch to live could not be recorded: {error}")
        return decide_mode(
            live_flag=self._live_flag, armed=self._armed, reading=reading, remembered=remembered
        )


def _recall(memory: Path) -> Mode | None:
    """The remembered word; a file that cannot be read means the safe one."""
    try:
        return msgspec.json.decode(memory.read_bytes(), type=Mode)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        return Mode.SIMULATION
