"""Switches the mode in every store that a bot on a state folder reads, now or at its next start."""

from pathlib import Path

from control.last_mode_switch import LAST_SWITCH_FILE, LastModeSwitch, LastModeSwitchFile
from control.mode_file import FileModeStore
from control.mode_store import Endpoint, ModeStore, RedisModeStore
from control.running import running_store
from errors import Temporary
from execution.ledger import Mode
from models import Frozen


class SwitchResult(Frozen, frozen=True):
    """The stores that contain a switch, and the error of each place that could not be written."""

    stores: tuple[ModeStore, ...]
    failed: tuple[str, ...]


def candidate_stores(configured: Endpoint, state_dir: Path) -> list[ModeStore]:
    """Every store that a bot on this state folder may read, now or at its next start.

    These are the running bot's store, the Redis of the settings, and the mode file, which the next bot uses
    if that Redis does not answer.
    """
    known = [running_store(state_dir, configured), RedisModeStore(configured), FileModeStore(state_dir)]
    return list({store.name: store for store in known if store is not None}.values())


def switch_to_simulation(configured: Endpoint, state_dir: Path) -> SwitchResult:
    """Switch to simulation: effective when this returns, in any state of the mode store.

    Raises
    ------
    Temporary
        If neither `mode.json` nor the store of the running bot could be written; without a bot, nor all
        stores.
    """
    memory = LastModeSwitchFile(state_dir / LAST_SWITCH_FILE)
    failed: list[str] = []
    try:
        # First the place that every bot reads each time, also while its store is not available.
        memory.save(LastModeSwitch(Mode.SIMULATION))
    except Temporary as error:
        failed.append(str(error))
    unnoted = bool(failed)
    written = _put(Mode.SIMULATION, configured, state_dir, failed)
    reached = _reached(written, configured, state_dir)
    # Without a bot it is not known which store the next one reads: each of them must be written.
    if unnoted and (not reached or (len(failed) > 1 and running_store(state_dir, configured) is None)):
        raise Temporary("; ".join(failed))
    if not unnoted:
        memory.save(LastModeSwitch(Mode.SIMULATION, reached))
    return SwitchResult(tuple(written), tuple(failed))


def switch_to_live(configured: Endpoint, state_dir: Path) -> SwitchResult:
    """Switch to live, for a bot that was started with --live and armed.

    Raises
    ------
    Temporary
        If the store of the running bot, or every store, could not be written; the mode is unchanged.
    """
    failed: list[str] = []
    written = _put(Mode.LIVE, configured, state_dir, failed)
    reached = _reached(written, configured, state_dir)
    if not reached:
        raise Temporary("; ".join(failed))
    LastModeSwitchFile(state_dir / LAST_SWITCH_FILE).save(LastModeSwitch(Mode.LIVE, reached))
    return SwitchResult(tuple(written), tuple(failed))


def _put(mode: Mode, configured: Endpoint, state_dir: Path, failed: list[str]) -> list[ModeStore]:
    written = []
    for store in candidate_stores(configured, state_dir):
        try:
            store.write(mode)
            written.append(store)
        except Temporary as error:
            failed.append(str(error))
    return written


def _reached(written: list[ModeStore], configured: Endpoint, state_dir: Path) -> str:
    """Name of the store that determines the mode: the running bot's, otherwise the first that was written."""
    names = [store.name for store in written]
    running = running_store(state_dir, configured)
    if running is not None:
        return running.name if running.name in names else ""
    return names[0] if names else ""
