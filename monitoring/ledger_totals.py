"""Totals of a ledger, read once and then updated by events.

Orders and fills change by the rules of the ledger (`execution.order_transitions`), so that after any events
the totals equal those of another read of the ledger.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable
from decimal import Decimal
from itertools import accumulate

import msgspec

from common.utc_time import utc_midnight_ns
from events import (
    CashChecked,
    Decided,
    Event,
    Filled,
    FillMoved,
    OrderMoved,
    OrderSent,
    OrderSigned,
    OrderTraced,
    Redeemed,
    Settled,
)
from execution.ledger import TradeRow
from execution.ledger.queries import IN_FLIGHT
from execution.order_transitions import DEAD, FORWARD, NEXT
from models import (
    SCALE_SECONDS,
    Decision,
    Fill,
    FillStatus,
    Frozen,
    OrderIntent,
    OrderState,
    OrderTrace,
    Outcome,
    Settlement,
    Split,
    fill_cost,
    series_of,
    share_payout,
)
from monitoring.funnel import BUY, MarketProgress, end_of, rank
from monitoring.order_latency import StageLatency, stage_latencies
from monitoring.performance_tracker import PerformanceTracker

ZERO = Decimal(0)
LATENCY_ORDERS = 500
"""Number of orders, the newest, whose latency is summarised; each order computes the summary anew."""
DURATION_BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800)
"""Upper bounds in seconds, as in the first version; most trades are open for one to three minutes."""


class Durations:
    """A histogram of seconds over `DURATION_BUCKETS`; its counts never decrease."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._counts = [0] * (len(DURATION_BUCKETS) + 1)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(DURATION_BUCKETS, seconds)] += 1
        self.total_s += seconds

    @property
    def at_most(self) -> tuple[int, ...]:
        """Number of durations up to each bound, then of all."""
        return tuple(accumulate(self._counts))


class Run(Frozen, frozen=True):
    """The run of the events; `clock_speed` is market seconds per machine second."""

    id: int = 0
    session: str = ""
    clock_speed: float = 1.0


class SeenFill(Frozen, frozen=True, gc=False):
    """The parts of a fill that the totals need."""

    trade_id: str
    status: FillStatus
    ts_ns: int


class Order(msgspec.Struct, gc=False):
    """An intent and its fills.

    Attributes
    ----------
    worst : Decimal
        Its maximum cost, fee included, pUSD.
    reached : frozenset[OrderState]
        Every state it has had.
    fills : tuple[SeenFill, ...]
        In the order in which they were recorded.
    plan : TradeRow | None
        The trade before its first fill; None with a fill that did not fail, and for an earlier session's.
    counted, timed : bool
        Whether it is among the won or lost orders, and its duration in the histogram.
    """

    intent_id: str
    slug: str
    side: Outcome
    worst: Decimal
    state: OrderState
    reached: frozenset[OrderState]
    fills: tuple[SeenFill, ...] = ()
    plan: TradeRow | None = None
    counted: bool = False
    timed: bool = False

    @property
    def stands(self) -> bool:
        """Whether it has a fill that did not fail."""
        return any(fill.status is not FillStatus.FAILED for fill in self.fills)


class MarketSteps(msgspec.Struct, gc=False):
    """The progress of a market.

    Attributes
    ----------
    decision, decision_id : str, int
        The furthest decision, by `funnel.rank`; empty and 0 without one.
    orders : tuple[str, ...]
        Intents, oldest first.
    winner, split, settled_ns
        Its settlement, None and 0 before.
    redeemed : bool
        Whether the payout is recorded.
    end : str | None
        Its stop reason, as counted in the funnel.
    """

    decision: str = ""
    decision_id: int = 0
    orders: tuple[str, ...] = ()
    winner: Outcome | None = None
    split: Split | None = None
    settled_ns: int = 0
    redeemed: bool = False
    end: str | None = None

    @property
    def is_settled(self) -> bool:
        return self.winner is not None or self.split is not None

    def pays(self, outcome: Outcome) -> Decimal:
        """Payout per share of an outcome in the settled market, pUSD."""
        return share_payout(outcome, self.winner, self.split)

    def decide(self, decision: str, decision_id: int) -> None:
        """Store a decision if it is further than the others."""
        if not self.decision or rank(decision, decision_id) >= rank(self.decision, self.decision_id):
            self.decision, self.decision_id = decision, decision_id


class LedgerTotals:
    """Counts, money and the funnel of a ledger. For one thread.

    Parameters
    ----------
    tracker : PerformanceTracker
        The ledger's trades; updated here.
    run : Run
        The run of the following events.

    Attributes
    ----------
    decisions : Counter[str]
        Decisions by `Reason`, or ``buy``.
    reached : Counter[OrderState]
        Orders that have had a state; these counts never decrease.
    won, lost : int
        Orders that were matched, in settled markets, by whether their side paid more than the other; at one
        half a share an order is lost, since it buys the dearer side. They never decrease: a fill
        that is reversed later is removed from the tracker, but not from these.
    ends : Counter[str | None]
        Markets by stop reason, see `funnel.end_of`.
    durations : Durations
        From the first fill of those orders to the settlement.
    cash_difference : Decimal
        Venue − ledger in the last comparison, pUSD.
    unredeemed : Decimal
        Won in the session and not yet paid into the account, pUSD.
    latencies : list[StageLatency]
        Time from the quote to each step, of the newest `LATENCY_ORDERS` orders of all sessions.
    """

    def __init__(self, tracker: PerformanceTracker, run: Run) -> None:
        self.tracker = tracker
        self.decisions: Counter[str] = Counter()
        self.reached: Counter[OrderState] = Counter()
        self.won = self.lost = 0
        self.ends: Counter[str | None] = Counter()
        self.durations = Durations()
        self.cash_difference = self.unredeemed = ZERO
        self.latencies: list[StageLatency] = []
        self._run = run
        self._traces: deque[OrderTrace] = deque(maxlen=LATENCY_ORDERS)
        self._orders: dict[str, Order] = {}
        self._markets: dict[str, MarketSteps] = {}
        self._decided: dict[str, tuple[int, Decision]] = {}
        self._in_flight: dict[str, Order] = {}
        self._owed: dict[str, Decimal] = {}
        self._recent: dict[str, TradeRow] = {}
        """Trades of this session that may have been settled today."""

    # --- derived values --------------------------------------------------------------------------

    @property
    def exposure(self) -> Decimal:
        """Loss if every order in flight and every open position of the session is lost, pUSD."""
        worst = sum((order.worst for order in self._in_flight.values()), ZERO)
        return worst + sum((trade.cost + trade.fee for trade in self.open_trades()), ZERO)

    @property
    def open_positions(self) -> int:
        """Markets of the session with an unsettled fill or an order in flight."""
        slugs = {order.slug for order in self._in_flight.values()}
        return len(slugs | {trade.slug for trade in self.open_trades()})

    def exposures(self) -> dict[str, tuple[int, Decimal]]:
        """Open positions and exposure in pUSD of each series that has some, by its name."""
        slugs: dict[str, set[str]] = {}
        worst: dict[str, Decimal] = {}
        costs = [(order.slug, order.worst) for order in self._in_flight.values()]
        costs += [(trade.slug, trade.cost + trade.fee) for trade in self.open_trades()]
        for slug, cost in costs:
            name = series_of(slug).name
            slugs.setdefault(name, set()).add(slug)
            worst[name] = worst.get(name, ZERO) + cost
        return {name: (len(found), worst[name]) for name, found in slugs.items()}

    def realised_on_day_of(self, now_ns: int) -> Decimal:
        """P&L of the session's trades settled since the last UTC midnight, pUSD."""
        midnight_ns = utc_midnight_ns(now_ns)
        for intent_id, trade in list(self._recent.items()):
            if (trade.settled_ns or 0) < midnight_ns:
                del self._recent[intent_id]
        return sum((trade.pnl or ZERO for trade in self._recent.values() if self._state(trade).final), ZERO)

    def open_trades(self) -> list[TradeRow]:
        """The unsettled trades of the session whose orders are final, oldest first."""
        return [
            trade
            for trade in self.tracker.pending.values()
            if trade.session == self._run.session and self._state(trade).final
        ]

    def _state(self, trade: TradeRow) -> OrderState:
        order = self._orders.get(trade.intent_id)
        return trade.state if order is None else order.state

    # --- reading ---------------------------------------------------------------------------------

    def adopt(self, slug: str, market: MarketSteps, orders: list[Order], *, is_current: bool) -> None:
        """Add a market of the ledger with all its orders; `is_current` if it is of the run's session.

        Only markets of the run's session can change by events; of the others only the counts are stored.
        """
        market.end = _end(market, orders)
        self.ends[market.end] += 1
        for order in orders:
            self.reached.update(order.reached)
            self._count_result(order, market)
        if is_current:
            self._orders |= {order.intent_id: order for order in orders}
            self._markets[slug] = market
            self._renew(slug)

    def add_traces(self, traces: Iterable[OrderTrace]) -> None:
        """Add orders whose steps were timed, oldest first."""
        self._traces.extend(traces)
        self.latencies = stage_latencies(self._traces)

    # --- events ----------------------------------------------------------------------------------

    def handle(self, event: Event) -> bool:
        """Process an event; False if it changes no total.

        Raises
        ------
        KeyError
            If it is about an order that was neither in the ledger when it was read nor announced by an event.
        """
        match event:
            case Decided(decision=decision, decision_id=decision_id):
                self._decide(decision, decision_id)
            case OrderSent(intent=intent):
                self._plan(intent)
            case OrderSigned(intent=intent):
                self._move(self._orders[intent.intent_id], OrderState.SENT, signed=True)
            case OrderMoved(intent=intent, state=state):
                order = self._orders[intent.intent_id]
                if state in NEXT[order.state]:
                    self._move(order, state)
            case Filled(fill=fill, status=status) | FillMoved(fill=fill, status=status):
                self._fill(self._orders[fill.intent_id], fill, status)
            case OrderTraced(trace=trace):
                self.add_traces([trace])
            case Settled(settlement=settlement):
                self._settle(settlement)
            case Redeemed(slug=slug):
                self._market(slug).redeemed = True
                self._renew(slug)
            case CashChecked(difference=difference):
                self.cash_difference = difference
            case _:
                return False
        return True

    def _market(self, slug: str) -> MarketSteps:
        found = self._markets.get(slug)
        if found is None:
            found = self._markets[slug] = MarketSteps()
            found.end = _end(found, [])
            self.ends[found.end] += 1
        return found

    def _decide(self, decision: Decision, decision_id: int) -> None:
        slug = decision.context.market.slug
        name = BUY if decision.reason is None else str(decision.reason)
        self.decisions[name] += 1
        self._market(slug).decide(name, decision_id)
        if decision.buys:
            self._decided[slug] = decision_id, decision
        self._renew(slug)

    def _plan(self, intent: OrderIntent) -> None:
        decision_id, decision = self._decided[intent.slug]
        state = OrderState.INTENT
        self.reached[state] += 1
        self._orders[intent.intent_id] = Order(
            intent_id=intent.intent_id,
            slug=intent.slug,
            side=intent.outcome,
            worst=intent.usd * (1 + decision.context.market.fee_rate),
            state=state,
            reached=frozenset({state}),
            plan=_plan_of(intent, decision_id, decision, self._run),
        )
        market = self._market(intent.slug)
        market.orders = (*market.orders, intent.intent_id)
        self._renew(intent.slug)

    def _move(self, order: Order, state: OrderState, *, signed: bool = False) -> None:
        market = self._markets[order.slug]
        if signed and order.state is not OrderState.INTENT:
            return
        if order.state in DEAD and state not in DEAD and self._has_living_order(market):
            return  # the ledger keeps it dead as well: another order has been placed in the market since
        order.state = state
        if state not in order.reached:
            order.reached |= {state}
            self.reached[state] += 1
        self._count_result(order, market)
        self._renew(order.slug)

    def _has_living_order(self, market: MarketSteps) -> bool:
        return any(self._orders[intent_id].state not in DEAD for intent_id in market.orders)

    def _fill(self, order: Order, fill: Fill, status: FillStatus) -> None:
        known = next((one for one in order.fills if one.trade_id == fill.trade_id), None)
        if known is None:
            order.fills = (*order.fills, SeenFill(fill.trade_id, status, fill.ts_ns))
        elif known.status in FORWARD[status]:
            order.fills = tuple(
                SeenFill(one.trade_id, status, one.ts_ns) if one is known else one for one in order.fills
            )
        else:
            return
        stood = known is not None
        if status is not FillStatus.FAILED and not stood:
            self._book(order, fill, 1)
            if order.state in (*DEAD, OrderState.REVERSED):
                self._move(order, OrderState.MATCHED)
        elif status is FillStatus.FAILED and stood:
            self._book(order, fill, -1)
            if not order.stands and OrderState.REVERSED in NEXT[order.state]:
                self._move(order, OrderState.REVERSED)
        self._count_result(order, self._markets[order.slug])
        self._renew(order.slug)

    def _book(self, order: Order, fill: Fill, sign: int) -> None:
        """Add a fill to its trade, or remove it."""
        trade = self.tracker.get(order.intent_id) or order.plan
        if trade is None:
            raise KeyError(f"the decision behind intent {order.intent_id}")
        standing = [one.ts_ns for one in order.fills if one.status is not FillStatus.FAILED]
        trade = msgspec.structs.replace(
            trade,
            state=order.state,
            shares=trade.shares + sign * fill.shares,
            cost=trade.cost + sign * fill.cost,
            fee=trade.fee + sign * fill.fee,
            filled_ns=min(standing, default=0),
        )
        if standing:
            self.tracker.put(_settled(trade, self._markets[order.slug]))
        else:
            order.plan = trade
            self.tracker.drop(order.intent_id)
            self._recent.pop(order.intent_id, None)

    def _settle(self, settlement: Settlement) -> None:
        market = self._market(settlement.slug)
        if market.is_settled:
            return
        market.winner, market.split = settlement.outcome, settlement.split
        market.settled_ns = settlement.settled_ns
        for intent_id in market.orders:
            trade = self.tracker.get(intent_id)
            if trade is not None:
                self.tracker.put(_settled(trade, market))
            self._count_result(self._orders[intent_id], market)
        self._decided.pop(settlement.slug, None)
        self._renew(settlement.slug)

    # --- consequences of a change ----------------------------------------------------------------

    def _count_result(self, order: Order, market: MarketSteps) -> None:
        if OrderState.MATCHED not in order.reached or not market.is_settled:
            return
        if not order.counted:
            order.counted = True
            # By the settlement alone: a fill that fails later must not change the count.
            if market.pays(order.side) > market.pays(order.side.other):
                self.won += 1
            else:
                self.lost += 1
        if not order.timed and order.fills:
            order.timed = True
            self.durations.add(max(0.0, (market.settled_ns - order.fills[0].ts_ns) / 1e9))

    def _renew(self, slug: str) -> None:
        """Update the values derived from a market's orders."""
        market = self._markets[slug]
        orders = [self._orders[intent_id] for intent_id in market.orders]
        end = _end(market, orders)
        if end != market.end:
            self.ends[market.end] -= 1
            self.ends[end] += 1
            market.end = end
        owed = ZERO
        for order in orders:
            intent_id, trade = order.intent_id, self.tracker.get(order.intent_id)
            unbooked = order.state is OrderState.MATCHED and not order.fills
            if order.state in IN_FLIGHT or unbooked:
                self._in_flight[intent_id] = order
            else:
                self._in_flight.pop(intent_id, None)
            if trade is not None:
                owed += trade.payout or ZERO
                if trade.pnl is not None:
                    self._recent[intent_id] = trade
        owed = ZERO if market.redeemed else owed
        self.unredeemed += owed - self._owed.pop(slug, ZERO)
        if owed:
            self._owed[slug] = owed


def _end(market: MarketSteps, orders: list[Order]) -> str | None:
    """The stop reason of a market with these orders, oldest first."""
    won = next((market.pays(order.side) > 0 for order in reversed(orders) if order.stands), None)
    return end_of(
        MarketProgress(
            decisions={market.decision: 1} if market.decision else {},
            latest={market.decision: market.decision_id},
            orders=tuple(order.state for order in orders),
            fills=frozenset(fill.status for order in orders for fill in order.fills),
            won=won if market.is_settled else None,
            redeemed=market.redeemed,
        )
    )


def _settled(trade: TradeRow, market: MarketSteps) -> TradeRow:
    """The trade with its market's settlement, if there is one."""
    if not market.is_settled:
        return trade
    payout = fill_cost(trade.shares, market.pays(trade.side))
    return msgspec.structs.replace(
        trade,
        winner=market.winner,
        settled_ns=market.settled_ns,
        payout=payout,
        pnl=payout - trade.cost - trade.fee,
    )


def _plan_of(intent: OrderIntent, decision_id: int, decision: Decision, run: Run) -> TradeRow:
    """The trade of an intent before its first fill, as the ledger would return it."""
    context, market, fused = decision.context, decision.context.market, decision.fused
    left = (SCALE_SECONDS - context.second) * market.interval / SCALE_SECONDS
    return TradeRow(
        intent_id=intent.intent_id,
        decision_id=decision_id,
        run_id=run.id,
        session=run.session,
        slug=intent.slug,
        condition_id=intent.condition_id,
        market_start=market.start,
        market_end=market.end,
        side=intent.outcome,
        state=OrderState.INTENT,
        created_ns=intent.created_ns,
        filled_ns=0,
        usd=intent.usd,
        ask=intent.ask,
        price_cap=intent.price_cap,
        shares=ZERO,
        cost=ZERO,
        fee=ZERO,
        p=context.p,
        fair=decision.fair,
        edge=decision.edge,
        score=None if fused is None else fused.score,
        confidence=None if fused is None else fused.confidence,
        rule=market.rule,
        origin=market.origin,
        end_ns=context.now_ns + int(left / run.clock_speed * 1e9),
        version=intent.version,
    )
