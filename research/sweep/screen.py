"""Evaluates many points at once on the pure strategy brain, over market states that are computed once.

Decisions, risk limits, order lifecycle, amounts, matching and settlement are the functions of the backtest
engine, called without NautilusTrader and without a ledger. `difference` compares a result with the engine's.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from bot import DecisionSchedule
from common.utc_time import utc_midnight_ns
from config import Settings
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.instruments.pairing import market_of
from core.strategy_brain.strategies.decide import decide
from errors import Refused
from events import Decided
from execution.amounts import MarketBuy, market_buy, taker_fee
from execution.order_lifecycle import OrderLifecycle, OrderRules
from execution.order_messages import (
    Command,
    DecisionMade,
    Halt,
    MarketSettled,
    OrderDenied,
    PostAnswered,
    Publish,
    Sign,
    SignatureReady,
    Write,
)
from execution.order_records import DecisionEntry, OrderEntry
from execution.outcomes import OutcomeKind, PostOutcome
from execution.risk_engine import RiskState, refusal
from models import SCALE_SECONDS, Decision, Frozen, Market, OrderIntent, Outcome, Reason, fill_cost
from research.backtest.engine import RESOLUTION_S, STARTING_CASH
from research.backtest.market_data import NANOS
from research.backtest.matching import match
from research.recordings import RecordedMarket
from research.sweep.market_states import MarketStates, StateNode, ViewSettings
from research.sweep.points import BUY, TraceLine, market_summary
from research.sweep.results import MarketSummary
from settings_mapping import market_calendar, risk_limits

ZERO = Decimal(0)
MILLI_NS = 1_000_000
NO_MATCH = "no orders found to match with FAK order"


def screen(
    markets: Iterable[RecordedMarket], every: Sequence[Settings], advance: Callable[[], None] = lambda: None
) -> list[tuple[MarketSummary, ...]]:
    """The results of all settings; the states of one market are in memory at a time.

    Parameters
    ----------
    markets
        In time order.
    every : Sequence[Settings]
        Of markets of the same calendar.
    advance
        Called after each market.
    """
    points = [ScreenedPoint(settings) for settings in every]
    calendar = market_calendar(every[0])
    earliest = min(settings.trade_window_start for settings in every)
    for recorded in markets:
        states = MarketStates(recorded, market_of(recorded.gamma, calendar), earliest)
        for point in points:
            point.play(states)
        advance()
    return [point.results() for point in points]


def difference(screened: Iterable[MarketSummary], engine: Iterable[MarketSummary]) -> str | None:
    """The first market and value in which two results differ; None if they are equal."""
    for one, other in zip(screened, engine, strict=True):
        for name in MarketSummary.__struct_fields__:
            ours, theirs = getattr(one, name), getattr(other, name)
            if ours != theirs:
                return f"{other.slug}: {name} is {ours} on the screen and {theirs} in the engine"
    return None


class _Trade(Frozen, frozen=True):
    """A filled order, and its P&L at the settlement."""

    side: Outcome
    shares: Decimal
    cost: Decimal
    fee: Decimal
    pnl: Decimal
    payout: Decimal
    settled_ns: int


class _Pending(Frozen, frozen=True):
    """An order that is matched at an instant."""

    intent: OrderIntent
    amounts: MarketBuy
    at_ns: int


class ScreenedPoint:
    """The account, the orders and the results of one point.

    Parameters
    ----------
    settings : Settings
        The point's.
    """

    def __init__(self, settings: Settings) -> None:
        self._params = settings.brain_params()
        self._view_settings = ViewSettings(
            max_history=settings.max_price_history,
            tick_buffer=settings.tick_buffer_size,
            quote_stability_required=settings.quote_stability_required,
            min_spread=settings.quote_min_spread,
        )
        self._limits = risk_limits(settings)
        self._lifecycle = OrderLifecycle(OrderRules(max_attempts=settings.order_max_attempts))
        self._interval_ns = DecisionSchedule().interval_ns
        self._cash = self._balance = self._peak = STARTING_CASH
        self._unsettled: dict[str, _Trade] = {}
        self._settled: list[_Trade] = []
        self._halted: str | None = None
        self._orders = 0
        self._pending: _Pending | None = None
        self._states: MarketStates
        self._trace: list[TraceLine] = []
        self._results: list[MarketSummary] = []

    def results(self) -> tuple[MarketSummary, ...]:
        return tuple(self._results)

    # --- one market ------------------------------------------------------------------------------

    def play(self, states: MarketStates) -> None:
        """Trade one market, later than the ones before."""
        self._states, self._trace, self._pending = states, [], None
        root = states.root(self._view_settings)
        self._decide_in_window(root)
        self._match_before(None)
        if not self._trace:
            self._close_window(root)
        traded: dict[str, Any] = {}
        market = states.market
        trade = self._unsettled.get(market.slug)
        if trade is not None:
            traded = {name: getattr(trade, name) for name in ("side", "shares", "cost", "fee", "pnl")}
        self._results.append(market_summary(market.slug, market.start, self._trace, traded))

    def _decide_in_window(self, node: StateNode) -> None:
        states, last_ns = self._states, 0
        slug = states.market.slug
        first = max(states.first_at(self._params.window_start), node.tradable_from)
        for index in range(first, states.first_at(self._params.window_end)):
            now_ns = states.quotes[index].now_ns
            if now_ns - last_ns < self._interval_ns:
                continue
            self._match_before(now_ns)
            if not self._lifecycle.may_order(slug, now_ns):
                continue
            self._settle_before(now_ns)
            node, last_ns = node.decide_at(index), now_ns
            context = node.context
            assert context is not None  # a decision was made
            decision = decide(states.recorded.externals.added_to(context), self._params)
            if self._handle_decision(decision, now_ns):
                return

    def _close_window(self, root: StateNode) -> None:
        """Record the refusal of a window without a decision, as the strategy does."""
        end_ns = _wake_ns(self._states.market, self._params.window_end)
        view = root.view_before(end_ns)
        if view.p is None:
            return
        reason, detail = Reason.NOT_TRADABLE, f"{view.valid_quotes} valid quotes in a row"
        if view.tradable:
            reason, detail = Reason.STALE_DATA, "no quote arrived in the window"
        context = view.context(self._params.window_end, end_ns)
        self._settle_before(end_ns)
        self._handle_decision(
            Decision(context=context, params=self._params, reason=reason, detail=detail), end_ns
        )

    # --- decisions -------------------------------------------------------------------------------

    def _handle_decision(self, decision: Decision, now_ns: int) -> bool:
        """Record a decision and act on it; returns whether the market is finished."""
        refused = None
        if decision.buys and self._halted is None:
            refused = self._risk_refusal(decision, now_ns)
        made = DecisionMade(
            decision=decision,
            intent_id=f"SCREEN-{self._orders:010}",
            halt=self._halted if decision.buys else None,
            risk_refusal=refused,
        )
        self._orders += 1
        commands = self._carry_out(self._lifecycle.handle(made, now_ns), now_ns)
        events = [command.event for command in commands if isinstance(command, Publish)]
        return any(isinstance(event, Decided) and event.final for event in events)

    def _carry_out(self, commands: list[Command], now_ns: int) -> list[Command]:
        for command in commands:
            match command:
                case Write(rows=rows):
                    for row in rows:
                        if isinstance(row, DecisionEntry | OrderEntry):
                            self._trace.append(_trace_line(row.decision))
                case Halt(why=why):
                    self._halted = self._halted or why
                case Sign(intent=intent):
                    self._submit(intent, now_ns)
                case _:
                    pass
        return commands

    def _risk_refusal(self, decision: Decision, now_ns: int) -> str | None:
        market, price = decision.context.market, decision.ask or Decimal(1)
        stake = decision.params.position_size_usd
        stake += taker_fee(stake / price, price, market.fee_rate)
        midnight_ns = utc_midnight_ns(now_ns)
        state = RiskState(
            balance=self._balance,
            peak_balance=self._peak,
            exposure=sum((trade.cost + trade.fee for trade in self._unsettled.values()), ZERO),
            positions=len(self._unsettled),
            day_pnl=sum((trade.pnl for trade in self._settled if trade.settled_ns >= midnight_ns), ZERO),
        )
        return refusal(self._limits, state, stake)

    # --- orders ----------------------------------------------------------------------------------

    def _submit(self, intent: OrderIntent, now_ns: int) -> None:
        market = self._states.market_at(now_ns)
        try:
            amounts = market_buy(intent.usd, intent.ask, intent.price_cap, market.tick, market.fee_rate)
            if self._cash < amounts.most:
                raise Refused(f"balance ${self._cash} is below the order's ${amounts.most} with its fee")
        except Refused as error:
            denied = OrderDenied(intent.intent_id, str(error))
            self._carry_out(self._lifecycle.handle(denied, now_ns), now_ns)
            return
        signed = SignatureReady(intent.intent_id, f"0x{self._orders:064x}")
        self._carry_out(self._lifecycle.handle(signed, now_ns), now_ns)
        self._pending = _Pending(
            intent=intent, amounts=amounts, at_ns=now_ns + self._states.recorded.delay_ns
        )

    def _match_before(self, now_ns: int | None) -> None:
        """Match the order whose instant is earlier than `now_ns`; None: however late it is."""
        order, states = self._pending, self._states
        if order is None or (now_ns is not None and order.at_ns >= now_ns):
            return
        self._pending = None
        intent, rate = order.intent, states.market.fee_rate
        fills = match(order.amounts, states.book_at(intent.outcome, order.at_ns).asks)
        kind = OutcomeKind.MATCHED if fills else OutcomeKind.NO_FILL
        answered = PostAnswered(intent.intent_id, PostOutcome(kind, "" if fills else NO_MATCH))
        self._carry_out(self._lifecycle.handle(answered, order.at_ns), order.at_ns)
        if not fills:
            return
        shares = sum((fill.shares for fill in fills), ZERO)
        cost = sum((fill_cost(fill.shares, fill.price) for fill in fills), ZERO)
        fee = sum((taker_fee(fill.shares, fill.price, rate) for fill in fills), ZERO)
        payout = fill_cost(shares, Decimal(intent.outcome is states.recorded.won))
        self._cash -= cost + fee
        self._unsettled[intent.slug] = _Trade(
            side=intent.outcome,
            shares=shares,
            cost=cost,
            fee=fee,
            pnl=payout - cost - fee,
            payout=payout,
            settled_ns=(states.market.end + RESOLUTION_S) * NANOS,
        )

    def _settle_before(self, now_ns: int) -> None:
        """Settle the trades whose result is earlier than `now_ns`."""
        for slug, trade in list(self._unsettled.items()):
            if trade.settled_ns < now_ns:
                self._settled.append(self._unsettled.pop(slug))
                self._lifecycle.handle(MarketSettled(slug), now_ns)
                self._cash += trade.payout
                self._balance += trade.pnl
                self._peak = max(self._peak, self._balance)


def _trace_line(decision: Decision) -> TraceLine:
    context = decision.context
    return (
        *(context.now_ns, context.second, decision.outcome, str(decision.reason or BUY), decision.detail),
        *(decision.ask, decision.price_cap),
    )


def _wake_ns(market: Market, second: float) -> int:
    """When the strategy wakes for a market second: a millisecond later where it was rounded down."""
    clock = MarketClock()
    wake = market.start + second * market.interval / SCALE_SECONDS
    at_ns = clock.wall_time_ns(wake)
    while clock.market_time(at_ns) < wake:
        at_ns += MILLI_NS
    return at_ns
