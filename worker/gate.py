"""The two things outside the engine that stop an order: the mode, and a halt that outlives the process."""

import msgspec
from loguru import logger

from control.gate import Keeper, Verdict
from control.halt import HaltFile
from errors import Temporary
from execution.ledger import Mode


class OrderGate:
    """Asks the mode store and the halt file at the instant of a decision. Blocking; used from threads.

    A worker on the live path that was switched to simulation stays there: a switch back to live is the next
    worker's, from the next market on.

    Parameters
    ----------
    keeper : Keeper
        Tells the mode this run may act in.
    halts : HaltFile
        The book's.
    live_path : bool
        Whether this worker's orders are live ones (or their rehearsal). Paper orders need nobody's leave.
    """

    def __init__(self, keeper: Keeper, halts: HaltFile, live_path: bool) -> None:
        self._keeper = keeper
        self._halts = halts
        self._live_path = live_path
        self._switched_off = False
        self._unwritten: str | None = None

    def verdict(self) -> Verdict:
        """What the mode store says now."""
        verdict = self._keeper.verdict()
        if not self._live_path:
            return verdict
        if verdict.mode is Mode.SIMULATION:
            self._switched_off = True
        elif self._switched_off:
            why = f"switched to simulation meanwhile, live again from the next market on: {verdict.why}"
            return msgspec.structs.replace(verdict, mode=Mode.SIMULATION, allows_orders=True, why=why)
        return verdict

    def refusal(self) -> str | None:
        """Why no order may be sent at this instant; None if it may."""
        if not self._live_path:
            return None
        verdict = self.verdict()
        if verdict.mode is Mode.LIVE and verdict.allows_orders:
            return None
        return verdict.why

    def halt(self, why: str) -> None:
        """Halt, beyond this process if the disk takes it."""
        try:
            self._halts.raise_(why)
        except Temporary as error:
            # The halt stands for this process; the next one will meet the same full or read-only disk.
            self._unwritten = why
            logger.error(f"{error}; the halt holds for this process only: {why}")

    def standing(self) -> str | None:
        """The halt that stands, and since when; None if there is none."""
        return self._halts.standing() or self._unwritten
