"""Checks the two conditions outside the engine that block orders: the mode, and a halt stored on disk."""

import msgspec
from loguru import logger

from common.bounded import bounded
from control.halt_file import HaltFile
from control.mode_gate import ModeController, ModeDecision
from errors import Temporary
from execution.ledger import Mode

BEFORE_SENDING_S = 1.5
"""Time limit of the last check before an order: one slow reading of the mode store, and the files."""


class OrderGate:
    """Reads the mode store and the halt file at the time of a decision. Blocking; used from threads.

    A worker on the live path that was switched to simulation stays in simulation: a switch back to live
    applies to the next worker, from the next market on.

    Parameters
    ----------
    controller : ModeController
        Determines the mode of this run.
    halts : HaltFile
        The halt file of the profile.
    live_path : bool
        Whether this worker's orders are live ones (or a rehearsal of them). Paper orders need no permission.
    """

    def __init__(self, controller: ModeController, halts: HaltFile, live_path: bool) -> None:
        self._mode_controller = controller
        self._halts = halts
        self._live_path = live_path
        self._switched_off = False
        self._unwritten: str | None = None

    def mode_decision(self) -> ModeDecision:
        """The mode decision for the present content of the mode store."""
        mode_decision = self._mode_controller.mode_decision()
        if not self._live_path:
            return mode_decision
        if mode_decision.mode is Mode.SIMULATION:
            self._switched_off = True
        elif self._switched_off:
            why = (
                "switched to simulation in the meantime, live again from the next market:"
                f" {mode_decision.why}"
            )
            return msgspec.structs.replace(mode_decision, mode=Mode.SIMULATION, allows_orders=True, why=why)
        return mode_decision

    def refusal(self) -> str | None:
        """Why no order may be sent at this instant; None if it may."""
        if not self._live_path:
            return None
        mode_decision = self.mode_decision()
        if mode_decision.mode is Mode.LIVE and mode_decision.allows_orders:
            return None
        return mode_decision.why

    def refusal_before_sending(self) -> str | None:
        """Why the order may not be sent, by mode or by halt; None if its first byte may be sent now.

        The last check of an order, after its row is on disk and immediately before the first byte. It sees
        each switch to simulation and each halt that was completed before the call. It blocks for
        `BEFORE_SENDING_S` at most, may be called from any thread, and never raises: what cannot be read in
        time is a refusal.
        """
        try:
            return bounded(self._refusal_or_halt, BEFORE_SENDING_S, "before-sending")
        except TimeoutError:
            return f"mode and halt could not be read within {BEFORE_SENDING_S:g} s"
        except Exception as error:  # noqa: BLE001  any unexpected error refuses the order
            return f"mode and halt could not be read: {type(error).__name__}: {error}"

    def _refusal_or_halt(self) -> str | None:
        # The halt last: reading the mode may wait for a server.
        return self.refusal() or self.standing()

    def halt(self, why: str) -> None:
        """Halt, and store the halt on disk if possible."""
        try:
            self._halts.raise_(why)
        except Temporary as error:
            # The halt applies to this process; the next one will find the same full or read-only disk.
            self._unwritten = why
            logger.error(f"{error}; the halt holds for this process only: {why}")

    def standing(self) -> str | None:
        """The active halt with its time; None if there is none."""
        return self._halts.standing() or self._unwritten
