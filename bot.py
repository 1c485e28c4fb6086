"""IntegratedBTCStrategy, the Nautilus Strategy: market data in, orders out. It contains no formula.

Path of a tick: quote → market view → in the decision window: freeze a context → decision loop: the newest
external values, vote, fuse, gates → back on the node's loop: execution engine → order to the patched
adapter. There is one decision at a time. All state is accessed on the node's loop only.

`python bot.py` is the same command as `python runner.py`.
"""

if __name__ == "__main__":
    import runpy
    from pathlib import Path

    # Before the imports below: the supervisor does not need Nautilus.
    runpy.run_path(str(Path(__file__).with_name("runner.py")), run_name="__main__")

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.trading.strategy import Strategy

from core.ingestion.adapters.unified_adapter import Externals
from core.nautilus_core.instruments.market_board import MarketBoard, TrackedMarket
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.providers.book_conversion import full_book
from core.nautilus_core.providers.feed_actor import FEED, ExternalUpdate
from core.nautilus_core.providers.quote_buffer import QuoteBuffer
from core.nautilus_core.providers.tasks import Tasks
from core.strategy_brain.strategies.market_view import MarketView
from core.strategy_brain.strategies.window import in_window
from errors import Refused
from events import Event, MarketOpened, MarketRefused
from models import (
    SCALE_SECONDS,
    BrainParams,
    Decision,
    DecisionContext,
    Frozen,
    Market,
    OrderIntent,
    OrderStage,
    Outcome,
    Reason,
    Settlement,
)

LONGEST_SLEEP_S = 10.0
"""Longest sleep until the calendar is read again: the machine may be suspended, and its clock may be set."""
CLOCK_LIMIT_NS = 300 * 1_000_000_000
"""Largest difference between this machine's clock and the time of a quote. A snapshot of a quiet book may be
minutes old; with a larger difference the clock is wrong, and so is the market second."""


class DecisionSchedule(Frozen, frozen=True):
    """How often a market is evaluated."""

    interval_ns: int = 1_000_000_000
    """Minimum time between two decisions in one market, and so between two orders; with `repeat`, the length
    of the intervals of the clock in each of which there is one decision."""
    repeat: bool = False
    """Continue to decide in a market that was bought or refused, for a view of the running market in test
    mode. A market is still bought at most once."""

    def is_due(self, last_ns: int, now_ns: int) -> bool:
        """Whether the next decision may be made now, after one at `last_ns`; 0 before the first."""
        if self.repeat:
            # Counted from the clock, not from the last decision: the delay until a quote would add up, and
            # in time a minute would pass without a decision.
            return now_ns // self.interval_ns != last_ns // self.interval_ns
        return now_ns - last_ns >= self.interval_ns


class Execution(Protocol):
    """The strategy's interface to the execution engine. Called on the node's loop."""

    def may_order(self, slug: str) -> bool:
        """Whether the earlier orders in this market allow another one now."""
        ...

    def has_open_order(self, slug: str) -> bool:
        """Whether an order in this market exists or may exist."""
        ...

    def begin_checks(self) -> Any:
        """Begin to read what a decision that is being made will be checked against; returns at once."""
        ...

    async def handle_decision(
        self, decision: Decision, stages: dict[OrderStage, int] | None = None, checks: Any = None
    ) -> bool:
        """Record a decision and act on it; returns whether the market is finished.

        `stages` are the steps that it has reached, nanoseconds of the monotonic clock; `checks` is what
        `begin_checks` returned.
        """
        ...

    def order_denied(self, client_order_id: str, reason: str) -> None:
        """Nautilus' risk engine or the adapter refused an order before anything was sent."""
        ...

    def halt(self, why: str) -> None:
        """Open no new position until the halt is lifted manually."""
        ...

    def stop(self) -> None:
        """Send no new order from now on."""
        ...


@dataclass(frozen=True, kw_only=True)
class StrategyPorts:
    """Everything outside of itself that the strategy uses.

    Attributes
    ----------
    board, clock
        The markets of the calendar, and market time.
    params, schedule
        The decision parameters, and when to decide.
    execution : Execution
    decide : Callable[[DecisionContext], Awaitable[Decision]]
        Completes a frozen context with external values and calls the strategy brain.
    new_view : Callable[[Market], MarketView]
        Creates the empty price history of a market that opens.
    publish : Callable[[Event], None]
        Passes events to the observers; returns at once and never raises.
    limit_notional : Callable[[InstrumentId, Decimal | None], None]
        Sets the maximum notional per order of Nautilus' risk engine, pUSD; None for a settlement close.
    trading_halted : Callable[[], bool]
        Whether Nautilus' risk engine denies every new order.
    market_closed : Callable[[Market, bool], None]
        Called for each market that ended, and whether its whole window was observed.
    prepare : Callable[[], Awaitable[None]]
        Restores the state of an earlier process; awaited before the first market opens.
    close : Callable[[], Awaitable[None]]
        Releases what `prepare` opened.
    tasks : Tasks
        Runs the strategy's coroutines.
    """

    board: MarketBoard
    clock: MarketClock
    params: BrainParams
    schedule: DecisionSchedule
    execution: Execution
    decide: Callable[[DecisionContext], Awaitable[Decision]]
    new_view: Callable[[Market], MarketView]
    publish: Callable[[Event], None]
    limit_notional: Callable[[InstrumentId, Decimal | None], None]
    trading_halted: Callable[[], bool]
    market_closed: Callable[[Market, bool], None]
    prepare: Callable[[], Awaitable[None]]
    close: Callable[[], Coroutine[Any, Any, None]]
    tasks: Tasks


class IntegratedBTCStrategy(Strategy):
    """Trades the running market of one calendar; buys each market at most once.

    Parameters
    ----------
    ports : StrategyPorts
    series : str
        Name of the series, where several are traded: only its external values are used.
    number : int
        Number of the strategy among those of the node, from 1.
    """

    def __init__(self, ports: StrategyPorts, series: str = "", number: int = 1) -> None:
        strategy_id = series.replace("-", "").upper() or "BTC15M"
        super().__init__(StrategyConfig(strategy_id=strategy_id, order_id_tag=f"{number:03}"))
        self._series = series
        self._ports = ports
        self._running: TrackedMarket | None = None
        self._quotes: QuoteBuffer | None = None
        self._subscribed: set[InstrumentId] = set()
        self._unclosed: dict[str, Settlement] = {}
        self._clock_difference_ns = 0
        """This machine's clock minus the time of the newest quote."""
        self.externals: Externals | None = None
        """The newest external values; None without feeds."""

    # --- lifecycle -------------------------------------------------------------------------------

    def on_start(self) -> None:
        for instrument in self.cache.instruments():
            self._ports.board.add(instrument)
        self.msgbus.subscribe("data.instrument.POLYMARKET.*", self.on_instrument)
        self.msgbus.subscribe(f"data.{FEED.topic}*", self.on_external)
        self._spawn(self._run_live())

    def on_stop(self) -> None:
        self._ports.execution.stop()
        self._ports.tasks.cancel()
        self._ports.tasks.spawn(self._ports.close(), self._close_failed)

    async def _run_live(self) -> None:
        await self._ports.prepare()
        await self._keep_calendar()

    def now(self) -> tuple[TrackedMarket | None, float, Decimal | None]:
        """The running market, its market second, and the Up token's price."""
        if self._running is None or self._quotes is None:
            return None, 0.0, None
        second = self._running.market.second(self._ports.clock.market_time(self.clock.timestamp_ns()))
        return self._running, second, self._quotes.view.p

    def quote_age_s(self) -> float | None:
        """Age of the running market's last message, or time since its opening; None between markets.

        Seconds.
        """
        tracked = self._running
        if tracked is None:
            return None
        return (self.clock.timestamp_ns() - max(tracked.opened_ns, *tracked.updated_ns.values())) / 1e9

    @property
    def tradable(self) -> bool:
        """Whether the running market has had enough consecutive valid quotes."""
        return self._quotes is not None and self._quotes.view.tradable

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._ports.tasks.spawn(work, self._task_failed)

    def _close_failed(self, error: Exception) -> None:
        self.log.exception("closing failed", error)

    def _task_failed(self, error: Exception) -> None:
        self.log.exception("a task of the strategy failed", error)
        self._ports.execution.halt(f"internal error: {error!r}; details are in the log")

    def on_external(self, update: ExternalUpdate) -> None:
        if update.series == self._series:
            self.externals = update.externals

    # --- markets ---------------------------------------------------------------------------------

    def on_instrument(self, instrument: Instrument) -> None:
        self._ports.board.add(instrument)
        self._update_tick_size(instrument)
        self._subscribe_ahead()

    def _update_tick_size(self, instrument: Instrument) -> None:
        """Adopt a changed tick size: the venue uses a finer one near 0 and 1, and price caps must be on
        the grid."""
        found = self._ports.board.find(instrument.id)
        tick = instrument.price_increment.as_decimal()
        if found is None or found[0].market.tick == tick:
            return
        found[0].market = msgspec.structs.replace(found[0].market, tick=tick)

    async def _keep_calendar(self) -> None:
        """Open the running market now, and each following one at its start."""
        board, clock = self._ports.board, self._ports.clock
        while True:
            now = clock.market_time(self.clock.timestamp_ns())
            self._subscribe_ahead()
            self._open(board.running(now), now)
            start = board.calendar.running_start(now)
            interval = board.calendar.length(start)
            window_end = start + self._ports.params.window_end * interval / SCALE_SECONDS
            if now >= window_end:
                self._close_window()
            wake = window_end if now < window_end else start + interval
            if self._running is None:
                # The running market is not in the catalogue yet: check again soon.
                wake = min(wake, now + interval / 60)
            pause_s = (clock.wall_time_ns(wake) - self.clock.timestamp_ns()) / 1e9
            await self._ports.tasks.sleep(min(LONGEST_SLEEP_S, max(0.001, pause_s)))

    def _open(self, tracked: TrackedMarket | None, now: float) -> None:
        if tracked is self._running:
            return
        left, self._running = self._running, tracked
        if tracked is not None:
            tracked.opened_second = tracked.market.second(now)
            tracked.opened_ns = self.clock.timestamp_ns()
            self._quotes = QuoteBuffer(self._ports.new_view(tracked.market))
            for instrument_id in tracked.ids.values():
                self._ports.limit_notional(instrument_id, self._ports.params.position_size_usd)
            self._ports.publish(MarketOpened(market=tracked.market))
        if left is not None:
            # After subscribing to the next market: the adapter disconnects with the last subscription.
            self._unsubscribe(left)
            seen = left.opened_second is not None and left.opened_second < self._observed_before()
            self._ports.market_closed(left.market, seen)

    def _observed_before(self) -> float:
        """Market second before which a market must be opened so that all of its decisions are observed."""
        params = self._ports.params
        return params.window_end if self._ports.schedule.repeat else params.window_start

    def _subscribe_ahead(self) -> None:
        """Subscribe to the running market and to the next one."""
        now = self._ports.clock.market_time(self.clock.timestamp_ns())
        for tracked in (self._ports.board.running(now), self._ports.board.following(now)):
            for instrument_id in tracked.ids.values() if tracked else ():
                if instrument_id not in self._subscribed:
                    self._subscribed.add(instrument_id)
                    self.subscribe_order_book_deltas(instrument_id)
                    self.subscribe_quote_ticks(instrument_id)

    def _unsubscribe(self, tracked: TrackedMarket) -> None:
        for instrument_id in tracked.ids.values():
            self._subscribed.discard(instrument_id)
            self.unsubscribe_quote_ticks(instrument_id)
            self.unsubscribe_order_book_deltas(instrument_id)

    # --- ticks -----------------------------------------------------------------------------------

    def on_order_book_deltas(self, deltas: OrderBookDeltas) -> None:
        found = self._ports.board.find(deltas.instrument_id)
        if found is not None:
            tracked, outcome = found
            tracked.updated_ns[outcome] = deltas.ts_init

    def on_quote_tick(self, tick: QuoteTick) -> None:
        received_ns = time.monotonic_ns()
        found = self._ports.board.find(tick.instrument_id)
        quotes = self._quotes
        if found is None or found[0] is not self._running or quotes is None:
            return
        tracked, outcome = found
        tracked.updated_ns[outcome] = tick.ts_init
        tracked.quotes[outcome] = tick
        self._clock_difference_ns = tick.ts_init - tick.ts_event
        now_ns = self.clock.timestamp_ns()
        second = tracked.market.second(self._ports.clock.market_time(now_ns))
        if outcome is Outcome.UP:
            quotes.add(second, tick, tracked.quotes[Outcome.DOWN])
        if self._may_decide(tracked, second, now_ns):
            self._begin_decision(tracked, quotes.view, second, now_ns, received_ns)

    # --- decisions -------------------------------------------------------------------------------

    def _may_decide(self, tracked: TrackedMarket, second: float, now_ns: int) -> bool:
        params, schedule = self._ports.params, self._ports.schedule
        return (
            not tracked.deciding
            and not tracked.finished
            and not self._clock_is_wrong
            and in_window(second, params.window_start, params.window_end)
            and schedule.is_due(tracked.last_decision_ns, now_ns)
            and self.tradable
            and self._ports.board.suspension(tracked.market.slug) is None
            and (schedule.repeat or self._ports.execution.may_order(tracked.market.slug))
        )

    @property
    def _clock_is_wrong(self) -> bool:
        return abs(self._clock_difference_ns) > CLOCK_LIMIT_NS

    def _begin_decision(
        self, tracked: TrackedMarket, view: MarketView, second: float, now_ns: int, received_ns: int
    ) -> None:
        up, down = (
            full_book(self.cache.order_book(tracked.ids[outcome]), tracked.updated_ns[outcome])
            for outcome in Outcome
        )
        view.market = tracked.market
        view.on_books(second, up, down)
        tracked.deciding, tracked.last_decision_ns = True, now_ns
        # Frozen on the loop that updates the view: the decision loop never sees it change.
        context = view.context(second, now_ns)
        stages = {OrderStage.QUOTE: received_ns, OrderStage.CONTEXT: time.monotonic_ns()}
        # Both begin before the task that awaits them; the checks are made beside the decision.
        deciding = self._ports.decide(context)
        checks = self._ports.execution.begin_checks()
        self._spawn(self._decide(tracked, deciding, checks, stages))

    async def _decide(
        self,
        tracked: TrackedMarket,
        deciding: Awaitable[Decision],
        checks: Any,
        stages: dict[OrderStage, int],
    ) -> None:
        try:
            decision = await deciding
            stages[OrderStage.DECIDED] = time.monotonic_ns()
            final = await self._ports.execution.handle_decision(decision, stages, checks)
            tracked.finished = final and not self._ports.schedule.repeat
        finally:
            tracked.deciding = False

    def _close_window(self) -> None:
        """Record a refusal, with its reason, for a window that passed without a decision."""
        tracked, view = self._running, None if self._quotes is None else self._quotes.view
        if tracked is None or view is None or tracked.last_decision_ns or tracked.opened_second is None:
            return
        if tracked.opened_second >= self._ports.params.window_end or self._ports.execution.has_open_order(
            tracked.market.slug
        ):
            return
        tracked.last_decision_ns = self.clock.timestamp_ns()
        suspension = self._ports.board.suspension(tracked.market.slug)
        if view.p is None:
            why = suspension or "no valid quote until the end of its window"
            self._ports.publish(MarketRefused(slug=tracked.market.slug, why=why))
            return
        if suspension is not None:
            reason, detail = Reason.NOT_TRADABLE, suspension
        elif self._clock_is_wrong:
            reason = Reason.STALE_DATA
            detail = f"this machine's clock is {self._clock_difference_ns / 1e9:.0f} s ahead of the quotes"
        elif view.tradable:
            reason, detail = Reason.STALE_DATA, "no quote arrived in the window"
        else:
            reason, detail = Reason.NOT_TRADABLE, f"{view.valid_quotes} valid quotes in a row"
        decision = Decision(
            context=view.context(self._ports.params.window_end, tracked.last_decision_ns),
            params=self._ports.params,
            reason=reason,
            detail=detail,
        )
        self._spawn(self._record(decision))

    async def _record(self, decision: Decision) -> None:
        await self._ports.execution.handle_decision(decision)

    # --- orders ----------------------------------------------------------------------------------

    def send(self, intent: OrderIntent) -> None:
        """Submit the order of an intent, with the intent's id as client order id."""
        tracked = self._ports.board.by_slug(intent.slug)
        if tracked is None:
            raise Refused(f"market {intent.slug} is not on the board")
        instrument_id = tracked.ids[intent.outcome]
        instrument = self.cache.instrument(instrument_id)
        order = self.order_factory.market(
            instrument_id,
            OrderSide.BUY,
            instrument.make_qty(intent.usd),
            time_in_force=TimeInForce.IOC,
            quote_quantity=True,
            client_order_id=ClientOrderId(intent.intent_id),
        )
        self.submit_order(
            order,
            params={
                "ask": str(intent.ask),
                "price_cap": str(intent.price_cap),
                "fee_rate": str(tracked.market.fee_rate),
                "version": intent.version.value,
            },
        )

    def on_order_denied(self, event: OrderDenied) -> None:
        self._ports.execution.order_denied(event.client_order_id.value, event.reason)

    def close_settled(self, slug: str, settlement: Settlement) -> None:
        """Close Nautilus' positions in a resolved market at the payout per share; during a halt: after it."""
        if self._ports.trading_halted():
            self._unclosed[slug] = settlement
            return
        tracked = self._ports.board.by_slug(slug)
        for outcome, instrument_id in tracked.ids.items() if tracked else ():
            for position in self.cache.positions_open(instrument_id=instrument_id, strategy_id=self.id):
                self._ports.limit_notional(instrument_id, None)
                order = self.order_factory.market(
                    instrument_id,
                    OrderSide.SELL,
                    position.quantity,
                    time_in_force=TimeInForce.IOC,
                    tags=["SETTLEMENT"],
                )
                price = str(settlement.pays(outcome))
                self.submit_order(order, position_id=position.id, params={"settlement": price})

    def close_after_halt(self) -> None:
        """Close the positions of markets that were settled while a halt stood."""
        unclosed, self._unclosed = self._unclosed, {}
        for slug, settlement in unclosed.items():
            self.close_settled(slug, settlement)
