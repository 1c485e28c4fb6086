"""Handles a market's official result: recorded, late, or impossible to record."""

from collections.abc import Awaitable, Callable

from loguru import logger

from common.constants import ExitCode
from errors import Fatal, Temporary
from events import Settled, SettlementLate
from execution.execution_engine import ExecutionEngine
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.settlement.redemption import Redemption
from execution.venue_answers import ResolutionStatus
from models import Market, Settlement
from runtime.worker.event_sink import EventSink
from runtime.worker.run_control import RunControl
from runtime.worker.weight_learning import SeriesLearning, WeightLearning

CERTAIN_CASH_LIMIT_S = 3.0
"""Longest wait for look-ups before a cash check is postponed to the next market."""


class SettlementFlow:
    """Records results and updates everything that depends on them.

    Parameters
    ----------
    bookkeeper, engine, ledger, thread, events, control, learning
        The parts that a result affects.
    redemption : Redemption or None
        None for paper trading, where the practice venue pays winners out.
    close_position : Callable[[str, Settlement], None]
        Closes Nautilus' position in a market at its result.
    await_results : Callable[[], Awaitable[None]]
        Waits for the result of every bought market, also of one whose trade was found after its end.
    stop_after : int
        Settled markets after which the run ends; 0 for no limit.
    """

    def __init__(
        self,
        bookkeeper: SettlementBookkeeper,
        engine: ExecutionEngine,
        ledger: Ledger,
        thread: LedgerThread,
        events: EventSink,
        control: RunControl,
        learning: WeightLearning | SeriesLearning,
        redemption: Redemption | None,
        close_position: Callable[[str, Settlement], None],
        await_results: Callable[[], Awaitable[None]],
        stop_after: int,
    ) -> None:
        self._bookkeeper = bookkeeper
        self._engine = engine
        self._ledger = ledger
        self._thread = thread
        self._events = events
        self._control = control
        self._learning = learning
        self._redemption = redemption
        self._close_position = close_position
        self._await_results = await_results
        self._stop_after = stop_after
        self._observed: set[str] = set()

    def count(self, slug: str) -> None:
        """Count a market towards the end of the run once it is settled: its whole window was observed."""
        self._observed.add(slug)

    async def settle(self, market: Market, settlement: Settlement) -> None:
        """Record the official result of a market."""
        result = await self._bookkeeper.settle(market, settlement)
        self._engine.market_settled(market.slug)
        self._close_position(market.slug, settlement)
        self._events.export_soon()
        await self.check_cash()
        await self._await_results()
        self._events.publish(
            Settled(market=market, settlement=settlement, pnl=result.pnl, total_pnl=result.total_pnl)
        )
        await self._learning.learn(market.series)
        if market.slug in self._observed:
            self._control.settled += 1
            if self._stop_after and self._control.settled >= self._stop_after:
                self._control.stop(ExitCode.DONE, "the number of markets of --markets is settled")

    async def late(self, market: Market, resolution: ResolutionStatus) -> None:
        """Record why a finished market has no result; halt if waiting cannot produce one."""
        await self._thread.call(self._ledger.record_delay, market.slug, resolution.why)
        self._events.publish(SettlementLate(market=market, why=resolution.why))
        if resolution.grave and self._engine.has_open_order(market.slug):
            how = f"if it stays so, book what it paid: python book_result.py {market.slug}"
            self._engine.halt(f"{market.slug} cannot be settled: {resolution.why}; {how}")

    def failed(self, error: BaseException) -> None:
        """Halt after an error while recording a result."""
        if isinstance(error, Fatal):
            self._control.ledger_failed(error)
        else:
            self._control.internal_error("a settlement", error)

    async def check_cash(self) -> None:
        """Compare the ledger's cash with the venue's; a difference halts trading, unless it is a payout."""
        await self._engine.drain()
        # An order that was just taken over is looked up twice before its fills are complete.
        if not await self._engine.await_certain_cash(CERTAIN_CASH_LIMIT_S):
            return
        # A fill that was found after its market's result is paid out only now.
        await self._bookkeeper.record_old_payouts()
        if self._redemption is not None:
            # Not before: while an order is uncertain it records no payout.
            await self._redemption.check()
        try:
            comparison = await self._bookkeeper.check_cash(self._look_up_ended_orders)
        except Temporary as error:
            logger.warning(f"the cash is checked after the next market: {error}")
            return
        if comparison.matches:
            self._engine.cash_compared(agrees=True)
        else:
            check = comparison.check
            self._engine.halt(f"the ledger's cash is ${check.ledger_cash}, the venue's ${check.venue_cash}")

    async def _look_up_ended_orders(self) -> None:
        """Look up the orders that ended without a trade: the venue may have executed one that it refused.

        Raises
        ------
        Temporary
            If one has traded: the venue may have paid its market, whose result is not recorded yet.
        """
        before = self._engine.states
        self._engine.cash_compared(agrees=False)
        await self._engine.await_certain_cash(CERTAIN_CASH_LIMIT_S)
        await self._engine.drain()
        if self._engine.states != before:
            raise Temporary("an order that had ended has traded, and the result of its market comes first")
