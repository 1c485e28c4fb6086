"""Totals updated by events equal those of a single reading of the ledger, in every history."""

from decimal import Decimal
from itertools import pairwise

import pytest
from example_counts import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledger_builders import NOON_NS, decision, market, refusal

from events import (
    CashChecked,
    Decided,
    Filled,
    FillMoved,
    OrderMoved,
    OrderSent,
    OrderSigned,
    Redeemed,
    Settled,
)
from execution.ledger import LedgerReader, Mode, Venue
from execution.ledger.writer import Ledger
from execution.order_lifecycle import OrderLifecycle, OrderRules
from execution.order_messages import (
    DecisionMade,
    LookedUp,
    MarketSettled,
    OrderDenied,
    OrderWithheld,
    PostAnswered,
    Publish,
    SignatureReady,
    StopRequested,
    TimeReached,
    TradeReported,
    Write,
)
from execution.order_records import OrderEntry
from execution.order_transitions import DEAD
from execution.outcomes import OutcomeKind, PostOutcome
from models import Fill, FillStatus, OrderIntent, OrderState, Outcome, Reason, Settlement, Split
from monitoring.funnel import funnel
from monitoring.metrics.ledger_values import ledger_values
from monitoring.performance_tracker import performance
from monitoring.report.reader import ReportReader
from monitoring.totals_reader import read_totals

SECOND = 10**9
LIMIT = Decimal(10)
COUNTERS = (
    *("trades", "trading_total_trades", "trading_winning_trades", "trading_losing_trades"),
    *("trading_decisions", "trading_orders_placed", "trading_orders_filled", "trading_orders_rejected"),
    "trading_order_outcomes",
)
MARKETS = st.integers(1, 2)
ORDERS = st.integers(0, 3)
PARTS = st.tuples(st.integers(1, 2), st.sampled_from(FillStatus))


def steps(*names):
    """Lists of steps by their names, each as likely as it is often named."""
    how = {
        "buy": st.sampled_from(Outcome),
        "refuse": st.sampled_from(Reason),
        "answer": st.sampled_from(OutcomeKind),
        "trade": PARTS,
        "fill": PARTS,
        "state": st.sampled_from(OrderState),
        "settle": st.sampled_from([*Outcome, None]),
        "restart": st.booleans(),
    }
    of_a_market = {"buy", "refuse", "settle", "redeem", "cash", "wait", "restart"}
    one = [
        st.tuples(st.just(name), MARKETS if name in of_a_market else ORDERS, how.get(name, st.none()))
        for name in names
    ]
    return st.lists(st.one_of(one), min_size=10, max_size=40)


class Account:
    """A ledger written by the real order lifecycle; `totals` receives only its events, like an exporter."""

    def __init__(self, path):
        self.path = path
        self.now_ns = NOON_NS
        self.ledger = Ledger(path, lambda: self.now_ns)
        # No test here is about a power cut, and a sync for each row would take most of the time.
        self.ledger._connection.execute("PRAGMA synchronous = OFF")
        self.intents = []
        self.sides = {}
        self.snapshots = []
        self.start("first")

    def start(self, session):
        """A process begins: one reading, then the events."""
        self.ledger.open_run(
            mode=Mode.SIMULATION,
            venue=Venue.RECORDED,
            clock_speed=15,
            starting_cash=Decimal(1000),
            session=session,
        )
        self.lifecycle = OrderLifecycle(OrderRules(max_attempts=3, retry_pause_ns=0))
        self.totals = read_totals(self.path)
        with LedgerReader(self.path) as reader:
            self.carry_out(self.lifecycle.restore(reader.stored_orders(), self.now_ns))

    def carry_out(self, commands):
        decision_id = None
        for command in commands:
            if isinstance(command, Write):
                decision_id = self.ledger.write(command.rows)
            elif isinstance(command, Publish):
                event = command.event
                if hasattr(event, "decision_id"):
                    event = type(event)(event.decision, event.final, decision_id)
                self.handle(event)

    def handle(self, event):
        self.totals.handle(event)
        durations = self.totals.durations
        self.snapshots.append((*self.counters(), *durations.at_most, durations.total_s))

    def counters(self):
        values = ledger_values(self.totals, LIMIT, self.now_ns)
        for name in COUNTERS:
            yield from values[name].values() if isinstance(values[name], dict) else [values[name]]

    def give(self, message):
        self.carry_out(self.lifecycle.handle(message, self.now_ns))

    def step(self, what, number, how):
        self.now_ns += SECOND
        getattr(self, what)(number, how)

    def buy(self, number, side):
        """As in the strategy, there is no decision in a settled market."""
        if market(number).slug in self.settled_slugs():
            return
        intent_id = f"i{self.now_ns - NOON_NS}"
        made = decision(number, outcome=side, now_ns=self.now_ns)
        before = set(self.lifecycle.states)
        self.give(DecisionMade(made, intent_id))
        if set(self.lifecycle.states) != before:
            self.intents.append((intent_id, number))
            self.sides[intent_id] = side

    def refuse(self, number, reason):
        self.give(DecisionMade(refusal(number, reason, now_ns=self.now_ns), "none"))

    def order(self, number):
        """(intent id, order id, market's number) of an order, the newest is 0; None if there is none."""
        known = [(intent_id, its) for intent_id, its in self.intents if intent_id in self.lifecycle.states]
        if not known:
            return None
        intent_id, its_market = known[-1 - number % len(known)]
        return intent_id, f"0x{intent_id}", its_market

    def sign(self, number, _):
        if order := self.order(number):
            self.give(SignatureReady(order[0], order[1]))

    def deny(self, number, _):
        if order := self.order(number):
            self.give(OrderDenied(order[0], "denied"))

    def withhold(self, number, _):
        if (order := self.order(number)) and order[1] in self.lifecycle.order_ids:
            self.give(OrderWithheld(order[0], "halted"))

    def answer(self, number, kind):
        if (order := self.order(number)) and order[1] in self.lifecycle.order_ids:
            self.give(PostAnswered(order[0], PostOutcome(kind, "an answer")))

    def dead(self, number, _):
        if (order := self.order(number)) and order[1] in self.lifecycle.order_ids:
            self.give(TimeReached())
            self.give(LookedUp(order[1], dead=True))

    def trade(self, number, how):
        part, status = how
        if order := self.order(number):
            self.give(TradeReported(order[1], f"t{order[0]}-{part}", status, (self.fill_of(order, part),)))

    def fill_of(self, order, part):
        """A part of an order's fill; its time precedes the fill of the part that was recorded first."""
        intent_id, order_id, its_market = order
        return Fill(
            trade_id=f"t{intent_id}-{part}#0",
            order_id=order_id,
            intent_id=intent_id,
            slug=market(its_market).slug,
            outcome=self.sides[intent_id],
            shares=Decimal("0.55") * part,
            price=Decimal("0.9"),
            fee=Decimal("0.00347") * part,
            ts_ns=NOON_NS + market(its_market).start % 7 * SECOND - 3 * SECOND * part,
        )

    def settle(self, number, winner):
        """Record the result once, as the settlement does, whatever the venue reports later."""
        slug = market(number).slug
        with LedgerReader(self.path) as reader:
            pnl = reader.market_pnl(slug)
        if slug in self.settled_slugs():
            return
        self.ledger.record_market(market(number))
        split = Split(up=Decimal("0.5"), down=Decimal("0.5")) if winner is None else None
        settlement = Settlement(
            slug=slug, outcome=winner, source="gamma", settled_ns=self.now_ns, split=split
        )
        self.ledger.record_settlement(settlement)
        self.give(MarketSettled(slug))
        self.handle(Settled(market=market(number), settlement=settlement, pnl=pnl, total_pnl=Decimal(0)))

    def settled_slugs(self):
        with LedgerReader(self.path) as reader:
            session = reader.last_run().session
            rows = reader._connection.execute("SELECT slug FROM settlements WHERE session = ?", (session,))
            return [slug for (slug,) in rows]

    def redeem(self, number, _):
        slug = market(number).slug
        with LedgerReader(self.path) as reader:
            owed = reader.claimable().get(slug)
        if owed is not None and self.ledger.record_redemption(slug, owed):
            self.handle(Redeemed(slug=slug, amount=owed))

    def cash(self, number, _):
        check = self.ledger.record_cash_check(Decimal(990 + number))
        self.handle(CashChecked(difference=check.difference))

    def restart(self, _, fresh):
        """The process ends normally; a fresh account is a new session."""
        self.give(StopRequested())
        self.agrees()
        self.ledger.close_run()
        if fresh:
            self.intents.clear()
            self.sides.clear()
        self.start(f"session {self.now_ns}" if fresh else self.session())

    def wait(self, hours, _):
        self.now_ns += hours * 3600 * SECOND

    def session(self):
        with LedgerReader(self.path) as reader:
            return reader.last_run().session

    # --- the same values, computed a second time ---------------------------------------------------

    def agrees(self):
        """The values from events equal those of one reading, and those of the report's queries."""
        by_events = ledger_values(self.totals, LIMIT, self.now_ns)
        again = read_totals(self.path)
        by_one_read = ledger_values(again, LIMIT, self.now_ns)
        assert by_events.keys() == by_one_read.keys()
        for name, value in by_one_read.items():
            assert by_events[name] == pytest.approx(value, abs=1e-9), name
        assert self.totals.durations.at_most == again.durations.at_most
        assert self.totals.durations.total_s == pytest.approx(again.durations.total_s)
        assert self.totals.tracker.performance() == again.tracker.performance()
        self.agrees_with_the_report(by_events)

    @staticmethod
    def states_reached(reader):
        query = "SELECT state, count(DISTINCT intent_id) FROM order_states GROUP BY state"
        return dict(reader._connection.execute(query))

    def agrees_with_the_report(self, values):
        with ReportReader(self.path) as reader:
            cash, trades = reader.cash_flow(), reader.trades()
            midnight_ns = self.now_ns // (86400 * SECOND) * 86400 * SECOND
            risk, reached = reader.risk_figures(midnight_ns), self.states_reached(reader)
            stages, owed = funnel(reader.market_progress()), reader.claimable()
        found = performance(trades, starting=cash.starting + cash.drift)
        assert values["trading_total_pnl"] == pytest.approx(float(found.realised))
        assert values["trading_max_drawdown"] == pytest.approx(100 * (found.drawdown.fraction or 0))
        assert values["trading_day_pnl"] == pytest.approx(float(risk.realised))
        assert values["trading_total_exposure"] == pytest.approx(float(risk.unsettled))
        assert values["trading_open_positions"] == risk.open_positions
        assert values["trading_unredeemed_pusd"] == pytest.approx(float(sum(owed.values())))
        assert values["trading_order_outcomes"] == {
            str(state): reached.get(state, 0)
            for state in OrderState
            if state not in (OrderState.INTENT, OrderState.SENT)
        }
        assert values["trading_funnel_markets"] == {str(s.stage): s.markets for s in stages.stages}
        assert values["trading_funnel_stops"] == {
            str(name): n for stage in stages.stages for name, n in stage.stopped.items()
        }
        assert values["trading_decisions"] == stages.decisions
        scores = [trade.score for trade in trades if trade.score is not None]
        assert values["trading_avg_signal_score"] == pytest.approx(sum(scores) / max(1, len(scores)))


BOUGHT = [("buy", 1, Outcome.UP), ("sign", 0, None)]
FILLED = ("trade", 0, (1, FillStatus.MATCHED))
FAILED = ("trade", 0, (1, FillStatus.FAILED))
SETTLED = ("settle", 1, Outcome.UP)


@example([*BOUGHT, ("answer", 0, OutcomeKind.MATCHED), SETTLED, FILLED])
@example([*BOUGHT, FILLED, SETTLED, FAILED])
@example([*BOUGHT, FILLED, FAILED, SETTLED])
@example([*BOUGHT, ("answer", 0, OutcomeKind.MATCHED), FILLED, ("settle", 1, None), FAILED])
@example([*BOUGHT, ("withhold", 0, None), BOUGHT[0], ("trade", 1, (1, FillStatus.MATCHED)), BOUGHT[1]])
@example([SETTLED, ("restart", 1, True), *BOUGHT, ("restart", 1, False), FILLED])
@example([*BOUGHT, FILLED, SETTLED, SETTLED, ("redeem", 1, None), ("restart", 1, True)])
@settings(max_examples=examples(100))
@given(
    steps(
        *("buy", "buy", "sign", "sign", "answer", "trade", "trade", "trade", "settle", "settle", "redeem"),
        *("refuse", "deny", "withhold", "dead", "cash", "wait", "restart"),
    )
)
def test_events_give_what_one_read_of_the_ledger_gives(tmp_path_factory, history):
    """For any history of decisions, orders, trades, settlements, payouts and restarts: the exporter's numbers
    from events equal those of one read and those of the report, and no counter ever falls."""
    account = Account(tmp_path_factory.mktemp("account") / "ledger.sqlite")
    try:
        for step in history:
            account.step(*step)
        account.agrees()
        for before, after in pairwise(account.snapshots):
            assert all(a <= b for a, b in zip(before, after, strict=True))
    finally:
        account.ledger.close()


class Verbs(Account):
    """Orders changed by the ledger's own methods in any order, also impossible for a lifecycle."""

    def state(self, number, state):
        if order := self.order(number):
            self.ledger.record_state(order[0], state)
            intent = OrderIntent(
                intent_id=order[0],
                decision_id=0,
                slug=market(order[2]).slug,
                condition_id="",
                token_id="",
                outcome=self.sides[order[0]],
                usd=Decimal(1),
                ask=Decimal("0.9"),
                price_cap=Decimal("0.9"),
                attempt=1,
                created_ns=0,
            )
            self.handle(OrderMoved(intent=intent, state=state, reason=""))

    def fill(self, number, how):
        part, status = how
        if order := self.order(number):
            made = self.fill_of(order, part)
            is_new = self.ledger.record_fill(made, status)
            if not is_new:
                self.ledger.record_fill_status(made.trade_id, status)
            kind = Filled if is_new and status is not FillStatus.FAILED else FillMoved
            self.handle(kind(fill=made, status=status))

    def order(self, number):
        """Like `Account.order`, of all orders of the session."""
        if not self.intents:
            return None
        intent_id, its_market = self.intents[-1 - number % len(self.intents)]
        return intent_id, f"0x{intent_id}", its_market

    def buy(self, number, side):
        """Bought and signed at once, where the ledger has no other active order."""
        with LedgerReader(self.path) as reader:
            taken = any(row.state not in DEAD for row in reader.attempts(market(number).slug))
        if not taken:
            intent = OrderIntent(
                intent_id=f"i{self.now_ns - NOON_NS}",
                decision_id=0,
                slug=market(number).slug,
                condition_id=market(number).condition_id,
                token_id=market(number).token(side),
                outcome=side,
                usd=Decimal(1),
                ask=Decimal("0.9"),
                price_cap=Decimal("0.92"),
                attempt=1,
                created_ns=self.now_ns,
            )
            made = decision(number, outcome=side, now_ns=self.now_ns)
            order_id = f"0x{intent.intent_id}"
            decision_id = self.ledger.write([OrderEntry(made, intent, order_id, OrderState.SENT)])
            self.intents.append((intent.intent_id, number))
            self.sides[intent.intent_id] = side
            self.handle(Decided(decision=made, final=False, decision_id=decision_id))
            self.handle(OrderSent(intent=intent))
            self.handle(OrderSigned(intent=intent, order_id=order_id))

    def restart(self, _, fresh):
        """The process dies without a shutdown."""
        self.agrees()
        if fresh:
            self.intents.clear()
            self.sides.clear()
        self.start(f"session {self.now_ns}" if fresh else self.session())


@settings(max_examples=examples(100))
@given(
    steps(
        *("buy", "buy", "buy", "state", "state", "state", "fill", "fill", "fill", "fill", "settle", "redeem"),
        *("refuse", "wait", "restart"),
    )
)
def test_whatever_the_ledger_accepts_the_events_count_alike(tmp_path_factory, history):
    """States and fills in any order, most of which the ledger ignores: the totals follow the same rules."""
    account = Verbs(tmp_path_factory.mktemp("verbs") / "ledger.sqlite")
    try:
        for step in history:
            account.step(*step)
        account.agrees()
        for before, after in pairwise(account.snapshots):
            assert all(a <= b for a, b in zip(before, after, strict=True))
    finally:
        account.ledger.close()
