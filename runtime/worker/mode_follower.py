"""Polls the mode store and the halts while a worker runs; orders check both themselves."""

import asyncio
from collections.abc import Callable

from common.beats import next_beat
from control.mode_gate import ModeDecision
from events import ModeChanged
from execution.execution_engine import ExecutionEngine
from execution.ledger import Mode
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from runtime.worker.event_sink import EventSink
from runtime.worker.order_gate import OrderGate
from runtime.worker.plan import WorkerPlan

POLL_SECONDS = 1.0


class ModeFollower:
    """Records and announces each change of the permissions of this run.

    Parameters
    ----------
    plan, gate, engine, ledger, thread, events
    running_slug : Callable[[], str]
        Slug of the running market, empty between markets.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        gate: OrderGate,
        engine: ExecutionEngine,
        ledger: Ledger,
        thread: LedgerThread,
        events: EventSink,
        running_slug: Callable[[], str],
    ) -> None:
        self.decision: ModeDecision = gate.mode_decision()
        self._plan = plan
        self._gate = gate
        self._engine = engine
        self._ledger = ledger
        self._thread = thread
        self._events = events
        self._running_slug = running_slug
        self._switched_in: str | None = None

    @property
    def allows_orders(self) -> bool:
        """Whether new positions may be opened in this worker's profile."""
        return not self._plan.live_path or self.decision.allows_orders

    def switched_to(self, slug: str) -> str | None:
        """The mode that an operator selected in a market before `slug`; None if it is this worker's."""
        if self._switched_in is None or (slug and slug == self._switched_in):
            return None
        return str(self.decision.mode)

    def begin(self) -> None:
        """Record the mode at the start; a switch between the plan and the start is announced now."""
        self._record()
        if self._plan.live_path and not (self.decision.mode is Mode.LIVE and self.decision.allows_orders):
            self._announce()

    async def run(self) -> None:
        """Poll mode and halts for as long as the worker runs."""
        while True:
            await self._engine.check_halt()
            self._engine.renew_risk()
            decision = await asyncio.to_thread(self._gate.mode_decision)
            if decision != self.decision:
                self.decision = decision
                self._record()
                self._announce()
            wanted = self._plan.armed and decision.mode is Mode.LIVE
            if wanted == self._plan.live_path:
                self._switched_in = None
            elif self._switched_in is None:
                self._switched_in = self._running_slug()
            await next_beat(POLL_SECONDS)

    def _record(self) -> None:
        decision = self.decision
        self._thread.post(self._ledger.record_mode, decision.mode, decision.allows_orders, decision.why)

    def _announce(self) -> None:
        decision = self.decision
        self._events.publish(
            ModeChanged(mode=decision.mode, allows_orders=decision.allows_orders, why=decision.why)
        )
