"""Decides the mode of a run from the flag, the arming, the mode store and the last mode switch.

Simulation is the default in every case of doubt: live needs every condition at the same time.
"""

import threading
from pathlib import Path

from control.last_mode_switch import LastModeSwitch, LastModeSwitchFile
from control.mode_store import ModeReading, ModeStore, ModeValue
from errors import Temporary
from execution.ledger import Mode
from models import Frozen

WITHOUT_LIVE = "started without --live"


class ModeDecision(Frozen, frozen=True):
    """The mode of a run; `allows_orders` is False while no new position may be opened.

    `refuses` is True if the mode store is set to live and this process may not trade live.
    """

    mode: Mode
    allows_orders: bool
    why: str
    refuses: bool = False


def decide_mode(
    *, live_flag: bool, armed: bool, reading: ModeReading, last: LastModeSwitch | None, store: str
) -> ModeDecision:
    """Decide the mode; pure.

    Parameters
    ----------
    live_flag : bool
        Whether the run was started with --live.
    armed : bool
        Whether the operator armed it: credentials, preflight checks, and LIVE typed or set.
    reading : ModeReading
        The current content of the mode store.
    last : LastModeSwitch or None
        The last switch known to this machine. It counts if the store is empty: a Redis that lost its data
        must not reverse a switch to simulation. It also counts if it was written to another store: a Redis
        that was not available during the switch must not reverse it with its older value.
    store : str
        Name of the store that was read.
    """
    if not live_flag or not armed:
        why = WITHOUT_LIVE if not live_flag else "not armed"
        if reading.value is ModeValue.LIVE:
            why = f"the mode store is set to live, refused: this bot was {why}"
        return ModeDecision(Mode.SIMULATION, True, why, refuses=reading.value is ModeValue.LIVE)
    held = last is not None and last.is_simulation
    match reading.value:
        case ModeValue.LIVE if held and last is not None and last.store != store:
            where = f"written to {last.store}" if last.store else "made while this store was unavailable"
            return _simulation(
                f"the mode store is set to live, but the last switch was to simulation, {where}: "
                "`python redis_control.py live` switches to live"
            )
        case ModeValue.LIVE:
            return ModeDecision(Mode.LIVE, True, reading.detail)
        case ModeValue.LOST if held:
            return _simulation(f"the last mode switch was to simulation; {reading.detail}")
        case ModeValue.LOST:
            return ModeDecision(
                Mode.LIVE, False, f"mode store lost, no new position until it is back: {reading.detail}"
            )
        case ModeValue.UNSET if held:
            return _simulation("the mode store is empty, and the last mode switch was to simulation")
        case ModeValue.UNSET:
            return ModeDecision(Mode.LIVE, True, "as started: --live and armed")
        case _:
            return _simulation(reading.detail)


def _simulation(why: str) -> ModeDecision:
    return ModeDecision(Mode.SIMULATION, True, why)


class ModeController:
    """Reads the mode store and stores the last mode switch. Thread-safe; the duration of a call is limited.

    Parameters
    ----------
    store : ModeStore or None
        None: there is no store, and live trading is not possible.
    live_flag, armed : bool
    memory : Path
        A small file that outlives the process and the data of the store.
    """

    def __init__(self, store: ModeStore | None, live_flag: bool, armed: bool, memory: Path) -> None:
        self._store = store
        self._live_flag = live_flag
        self._armed = armed
        self._memory = LastModeSwitchFile(memory)
        self._settling = threading.Lock()
        self._can_remember = False
        self._unwritten: LastModeSwitch | None = None

    def mode_decision(self) -> ModeDecision:
        """The current mode decision."""
        if self._store is None:
            here = "there is no mode store, which live trading requires"
            return _simulation(here if self._live_flag else WITHOUT_LIVE)
        reading = self._store.read()
        with self._settling:
            return self._settle(self._store, reading)

    def _settle(self, store: ModeStore, reading: ModeReading) -> ModeDecision:
        """The mode decision for a reading; the last switch that it implies is on the disk when this
        returns."""
        if self._unwritten is not None:
            self._keep(self._unwritten)
        last = self._unwritten or self._memory.load()
        mode_decision = decide_mode(
            live_flag=self._live_flag,
            armed=self._armed,
            reading=reading,
            last=last,
            store=store.name,
        )
        # An invalid value was written intentionally, and it is not live.
        switch = LastModeSwitch(Mode.SIMULATION, store.name)
        if reading.value in (ModeValue.SIMULATION, ModeValue.GARBAGE) and switch != last:
            self._keep(switch)
        elif mode_decision.mode is Mode.LIVE and mode_decision.allows_orders:
            return self._go_live(store, reading, last, mode_decision)
        return mode_decision

    def _keep(self, switch: LastModeSwitch) -> None:
        """Store a switch to simulation; if the disk cannot be written, at least in this process."""
        try:
            self._memory.save(switch)
            self._unwritten = None
        except Temporary:
            self._unwritten = switch

    def _go_live(
        self, store: ModeStore, reading: ModeReading, last: LastModeSwitch | None, mode_decision: ModeDecision
    ) -> ModeDecision:
        """Decide for live if the switch can be stored; otherwise a later switch to simulation could not be
        either."""
        held = last is not None and last.is_simulation
        if self._can_remember and not held:
            return mode_decision
        try:
            self._memory.save(LastModeSwitch(Mode.LIVE, store.name))
        except Temporary as error:
            return _simulation(f"a switch to live could not be recorded: {error}")
        self._can_remember, self._unwritten = True, None
        # A switch to simulation between the reading and the write must not be overwritten.
        again = store.read()
        if again.value is reading.value:
            return mode_decision
        if held and last is not None:
            self._keep(last)
        return self._settle(store, again)
