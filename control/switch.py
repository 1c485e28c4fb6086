"""Gives an operator's word so that every bot that may be asking hears it, now or at its next start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from control.embedded import EmbeddedRedis, running_endpoint
from control.memory import MODE_MEMORY, LastWord, Memory
from control.store import Endpoint, ModeStore
from errors import Temporary
from execution.ledger import Mode
from models import Frozen


class Switched(Frozen, frozen=True):
    """Where a word was put: the stores that keep it, and in words what did not take it."""

    stores: tuple[Endpoint, ...]
    failed: tuple[str, ...]


@contextmanager
def stores(configured: Endpoint, state_dir: Path) -> Iterator[list[ModeStore]]:
    """Every store that a bot on this state folder may be asking, now or at its next start.

    The one that the running bot says it asks, and the one that the settings name. If no bot runs and that one
    does not answer, also the bot's own, for as long as the context lasts.

    Raises
    ------
    Temporary
        If the bot's own is needed and cannot be started.
    """
    running = running_endpoint(state_dir)
    found = [ModeStore(place) for place in dict.fromkeys((running, configured)) if place is not None]
    if running is not None or found[0].answers():
        yield found
        return
    server = EmbeddedRedis(state_dir, configured.db)
    try:
        yield [*found, ModeStore(server.endpoint)]
    finally:
        server.stop()


def to_simulation(configured: Endpoint, state_dir: Path) -> Switched:
    """Switch to simulation: in force when this returns, whatever state the mode store is in.

    Raises
    ------
    Temporary
        If neither the store of the running bot nor the state folder took it.
    """
    memory = Memory(state_dir / MODE_MEMORY)
    failed: list[str] = []
    try:
        # First where every bot looks at each question, also while its store is away.
        memory.note(LastWord(Mode.SIMULATION))
    except Temporary as error:
        failed.append(str(error))
    unnoted = bool(failed)
    written = _put(Mode.SIMULATION, configured, state_dir, failed)
    reached = _reached(written, state_dir)
    if unnoted and not reached:
        raise Temporary("; ".join(failed))
    if not unnoted:
        memory.note(LastWord(Mode.SIMULATION, reached))
    return Switched(tuple(written), tuple(failed))


def to_live(configured: Endpoint, state_dir: Path) -> Switched:
    """Leave to go live, for a bot that was started with --live and armed.

    Raises
    ------
    Temporary
        If the store of the running bot, or every store, did not take it; the mode is as it was.
    """
    failed: list[str] = []
    written = _put(Mode.LIVE, configured, state_dir, failed)
    reached = _reached(written, state_dir)
    if not reached:
        raise Temporary("; ".join(failed))
    Memory(state_dir / MODE_MEMORY).note(LastWord(Mode.LIVE, reached))
    return Switched(tuple(written), tuple(failed))


def _put(mode: Mode, configured: Endpoint, state_dir: Path, failed: list[str]) -> list[Endpoint]:
    written = []
    try:
        with stores(configured, state_dir) as found:
            for store in found:
                try:
                    store.write(mode)
                    written.append(store.endpoint)
                except Temporary as error:
                    failed.append(str(error))
    except Temporary as error:
        failed.append(str(error))
    return written


def _reached(written: list[Endpoint], state_dir: Path) -> str:
    """Name of the store that has the word and that counts: the running bot's, else whichever took it."""
    running = running_endpoint(state_dir)
    if running is not None:
        return running.name if running in written else ""
    return written[0].name if written else ""
