"""Reads `LedgerTotals` from a ledger at a single instant."""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from execution.ledger import FillStatus, LedgerReader, queries
from models import OrderState, Outcome, Split
from monitoring.ledger_totals import LATENCY_ORDERS, LedgerTotals, MarketSteps, Order, Run, SeenFill
from monitoring.performance_tracker import PerformanceTracker

ZERO = Decimal(0)

type Key = tuple[str, str]
"""Session and slug."""


def read_totals(
    path: Path, make_tracker: Callable[[Decimal], PerformanceTracker] = PerformanceTracker
) -> LedgerTotals:
    """The totals of the ledger at `path`, to be updated by the events of its newest run.

    Parameters
    ----------
    path : Path
    make_tracker : Callable[[Decimal], PerformanceTracker]
        Creates the tracker of the ledger's trades from the starting balance.

    Raises
    ------
    Fatal
        If the ledger cannot be read.
    """
    with _TotalsReader(path) as reader, reader.snapshot():
        return reader.totals(make_tracker)


class _TotalsReader(LedgerReader):
    """A ledger reader with the queries of the totals."""

    def totals(self, make_tracker: Callable[[Decimal], PerformanceTracker]) -> LedgerTotals:
        run, cash, check = self.last_run(), self.cash_flow(), self.last_cash_check()
        session = "" if run is None else run.session
        tracker = make_tracker(ZERO if cash is None else cash.starting + cash.drift)
        for trade in self.trades():
            tracker.put(trade)
        known = Run() if run is None else Run(id=run.id, session=session, clock_speed=run.clock_speed)
        totals = LedgerTotals(tracker, known)
        totals.cash_difference = ZERO if check is None else check.difference
        totals.add_traces(queries.order_traces(self._connection, 0, LATENCY_ORDERS))
        markets = self._markets(totals)
        orders = self._orders(session)
        for key, made in orders.items():
            markets[key].orders = tuple(order.intent_id for order in made)
        for key, market in markets.items():
            totals.adopt(key[1], market, orders.get(key, []), is_current=key[0] == session)
        return totals

    def _markets(self, totals: LedgerTotals) -> defaultdict[Key, MarketSteps]:
        """Markets with a decision, an order or a settlement; also counts the decisions."""
        markets: defaultdict[Key, MarketSteps] = defaultdict(MarketSteps)
        for session, slug, reason, count, last in queries.rows(
            self._connection,
            "SELECT session, slug, coalesce(reason, 'buy'), count(*), max(id) FROM decisions"
            " GROUP BY 1, 2, 3",
        ):
            totals.decisions[reason] += count
            markets[session, slug].decide(reason, last)
        for session, slug, outcome, up, down, settled_ns in queries.rows(
            self._connection, "SELECT session, slug, outcome, up_pays, down_pays, settled_ns FROM settlements"
        ):
            market = markets[session, slug]
            market.settled_ns = settled_ns
            if outcome is None:
                market.split = Split(up=Decimal(up), down=Decimal(down))
            else:
                market.winner = Outcome(outcome)
        for session, slug in queries.rows(self._connection, "SELECT session, slug FROM redemptions"):
            market = markets[session, slug]
            market.redeemed = True
        return markets

    def _orders(self, session: str) -> dict[Key, list[Order]]:
        """The orders of each market, oldest first."""
        reached = self._states_reached()
        fills = self._fills()
        plans = {trade.intent_id: trade for trade in queries.unfilled(self._connection, session)}
        found: dict[Key, list[Order]] = {}
        for its_session, slug, intent_id, side, usd, rate, state in queries.rows(
            self._connection,
            "SELECT i.session, i.slug, i.intent_id, i.outcome, i.usd, m.fee_rate, i.state FROM intents i"
            " JOIN markets m USING (session, slug) ORDER BY i.created_ns, i.intent_id",
        ):
            order = Order(
                intent_id=intent_id,
                slug=slug,
                side=Outcome(side),
                worst=Decimal(usd) * (1 + Decimal(rate)),
                state=OrderState(state),
                reached=reached.get(intent_id, frozenset()),
                fills=tuple(fills.get(intent_id, ())),
                plan=plans.get(intent_id),
            )
            found.setdefault((its_session, slug), []).append(order)
        return found

    def _states_reached(self) -> dict[str, frozenset[OrderState]]:
        found: dict[str, frozenset[OrderState]] = {}
        # Most orders have the same history: one object for all of them.
        shared: dict[frozenset[OrderState], frozenset[OrderState]] = {}
        for intent_id, states in queries.rows(
            self._connection, "SELECT intent_id, group_concat(state) FROM order_states GROUP BY intent_id"
        ):
            history = frozenset(map(OrderState, states.split(",")))
            found[intent_id] = shared.setdefault(history, history)
        return found

    def _fills(self) -> dict[str, list[SeenFill]]:
        found: dict[str, list[SeenFill]] = {}
        for intent_id, trade_id, status, ts_ns in queries.rows(
            self._connection, "SELECT intent_id, trade_id, status, ts_ns FROM fills ORDER BY rowid"
        ):
            found.setdefault(intent_id, []).append(SeenFill(trade_id, FillStatus(status), ts_ns))
        return found
