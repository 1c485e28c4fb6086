"""A venue, a ledger and a driver as plain values, to drive the order lifecycle through any interleaving.

The venue's answers are true: an order that it reports as ended never trades, and its list is delayed by less
than the time after which the bot closes an order. All else may happen: answers get lost, messages come twice,
late, malformed or never, disk writes fail, and the process is killed between any two commands.

In a world with `lies` the venue also executes orders that it refuses, and money is paid in while no process
runs. The cash is compared then, and each start books what no order explains as a deposit or a withdrawal.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from ledger_builders import decision, market

from errors import Refused
from execution.order_lifecycle import OrderLifecycle, OrderRules
from execution.order_messages import (
    CashCompared,
    DecisionMade,
    Halt,
    HaltLifted,
    LookedUp,
    LookUp,
    LookUpFailed,
    MarketSettled,
    OrderDenied,
    OrderWithheld,
    Post,
    PostAnswered,
    Sign,
    SignatureReady,
    StopRequested,
    TimeReached,
    TradeReported,
    TradeUnreadable,
    Write,
    WriteFailed,
)
from execution.order_records import DecisionEntry, FillEntry, OrderEntry, StateEntry, StoredOrder
from execution.outcomes import OutcomeKind, PostOutcome
from models import Fill, FillStatus, OrderIntent, OrderState

SECOND = 10**9
MARKETS = 4
DECISIONS = [decision(number) for number in range(MARKETS)]
REFUSALS = [decision(number, reason="no_ask", ask=None) for number in range(MARKETS)]
NUMBERS = {market(number).slug: number for number in range(MARKETS)}
DEAD = {OrderState.NO_FILL, OrderState.REFUSED}
LISTED_S = 50
"""Age of an order, seconds, from which the venue's list is complete."""
DEPOSIT = Decimal("0.0001")
"""Smaller than any cost: a deposit never equals the cost of an order."""
FOLLOWS = {
    OrderState.INTENT: {OrderState.NO_FILL, OrderState.REFUSED},
    OrderState.SENT: {OrderState.MATCHED, *DEAD, OrderState.UNKNOWN, OrderState.REVERSED},
    OrderState.UNKNOWN: {OrderState.MATCHED, *DEAD, OrderState.REVERSED},
    OrderState.MATCHED: {OrderState.REVERSED},
    OrderState.NO_FILL: {OrderState.MATCHED},
    OrderState.REFUSED: {OrderState.MATCHED},
    OrderState.REVERSED: set(),
}
ORDER = [FillStatus.MATCHED, FillStatus.MINED, FillStatus.CONFIRMED]


def cost(fill) -> Decimal:
    return fill.shares * fill.price + fill.fee


class Killed(Exception):
    """The process ended between two commands."""


@dataclass
class Trade:
    """One trade at the venue: its final status, and its present one."""

    fill: Fill
    end: FillStatus
    now: FillStatus = FillStatus.MATCHED


@dataclass
class VenueOrder:
    """The venue's handling of an order that was sent. `arrived` is False if the request was lost."""

    intent: OrderIntent
    order_id: str
    arrived: bool
    trades: list[Trade] = field(default_factory=list)


class Book:
    """The ledger's rows, with the rules that its file enforces."""

    def __init__(self) -> None:
        self.orders: dict[str, list] = {}
        self.fills: dict[str, list] = {}
        self.decisions = 0

    def write(self, entries) -> None:
        for entry in entries:
            match entry:
                case DecisionEntry():
                    self.decisions += 1
                case OrderEntry(intent=intent):
                    self.decisions += 1
                    own = [row for row in self.orders.values() if row[0].slug == intent.slug]
                    if any(row[1] not in DEAD for row in own):
                        raise Refused("a live order")
                    assert intent.intent_id not in self.orders
                    self.orders[intent.intent_id] = [intent, entry.state, entry.order_id, entry.detail]
                case StateEntry(intent_id=intent_id, state=state, detail=detail):
                    self._move(intent_id, state, detail)
                case FillEntry(fill=fill, status=status):
                    self._fill(fill, status)

    def _move(self, intent_id, state, detail) -> None:
        row = self.orders[intent_id]
        if state in FOLLOWS[row[1]]:
            row[1], row[3] = state, detail

    def _fill(self, fill, status) -> None:
        known = self.fills.get(fill.trade_id)
        row = self.orders[fill.intent_id]
        if known is None:
            self.fills[fill.trade_id] = [fill, status]
            if status is not FillStatus.FAILED and (row[1] in DEAD or row[1] is OrderState.REVERSED):
                row[1] = OrderState.MATCHED
        elif known[1] not in (FillStatus.CONFIRMED, FillStatus.FAILED):
            known[1] = status
        own = [s for f, s in self.fills.values() if f.intent_id == fill.intent_id]
        if own and all(s is FillStatus.FAILED for s in own):
            self._move(fill.intent_id, OrderState.REVERSED, "failed")

    @property
    def spent(self) -> Decimal:
        """Cost of the fills that did not fail."""
        return sum((cost(f) for f, s in self.fills.values() if s is not FillStatus.FAILED), Decimal(0))

    def under_way(self, settled) -> bool:
        """Whether an order may have moved money, or a position is open: a difference is no deposit."""
        for intent, state, *_ in self.orders.values():
            own = [s for f, s in self.fills.values() if f.intent_id == intent.intent_id]
            if state in (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN):
                return True
            if state is OrderState.MATCHED and not own:
                return True
            if intent.slug not in settled and any(s is not FillStatus.FAILED for s in own):
                return True
        return False

    def stored(self, settled) -> list[StoredOrder]:
        return [
            StoredOrder(
                intent=intent,
                state=state,
                order_id=order_id,
                market=DECISIONS[NUMBERS[intent.slug]].context.market,
                detail=detail,
                settled=intent.slug in settled,
                trades=tuple(
                    (f.trade_id.rpartition("#")[0], s, f.shares)
                    for f, s in self.fills.values()
                    if f.intent_id == intent.intent_id
                ),
            )
            for intent, state, order_id, detail in self.orders.values()
        ]


class World:
    """One process after the other with one ledger and one venue, in an order chosen by the random source."""

    def __init__(self, random: Random, *, lies: bool = False) -> None:
        self.random = random
        self.lies = lies
        self.deposits = Decimal(0)
        self.drift = Decimal(0)
        """Sum of what was booked as deposits and withdrawals."""
        self.agreed_ns = 0
        self.now = 1_000 * SECOND
        self.book = Book()
        self.venue: dict[str, VenueOrder] = {}
        self.settled: set[str] = set()
        self.halted: list[str] = []
        self.inputs = 0
        self.intents = 0
        self.processes = 0
        self.start()

    def start(self) -> None:
        """Start a new process with the same ledger and venue."""
        self.processes += 1
        self.lifecycle = OrderLifecycle(
            OrderRules(
                max_attempts=3,
                retry_pause_ns=SECOND,
                give_up_after_ns=60 * SECOND,
                listed_after_ns=LISTED_S * SECOND,
            )
        )
        self.signing: list[OrderIntent] = []
        self.answers: list[PostAnswered] = []
        self.look_ups: list[LookUp] = []
        restored = self.lifecycle.restore(self.book.stored(self.settled), self.now, self.agreed_ns)
        self.carry_out(restored, may_die=False)
        if self.lies:
            self.book_drift()

    def book_drift(self) -> None:
        """Book what no order explains, as a start does: once the orders are looked up, or not in this run."""
        cash = self.venue_cash
        if cash == self.ledger_cash or self.book.under_way(self.settled):
            return
        for _ in range(40):
            if self.cash_is_certain:
                break
            self.now = max(self.now, self.lifecycle.next_look_up_ns or 0)
            self.feed(TimeReached(), may_die=False)
            asked, self.look_ups = self.look_ups, []
            for one in asked:
                failed = self.random.random() < 0.2
                self.feed(LookUpFailed(one.order_id) if failed else self.listing(one), may_die=False)
        else:
            return
        if not self.book.under_way(self.settled):
            self.drift += cash - self.ledger_cash

    @property
    def cash_is_certain(self) -> bool:
        return not (self.lifecycle.in_flight or self.lifecycle.uncertain or self.lifecycle.incomplete)

    @property
    def venue_cash(self) -> Decimal:
        trades = [trade for order in self.venue.values() for trade in order.trades]
        spent = (cost(trade.fill) for trade in trades if trade.now is not FillStatus.FAILED)
        return self.deposits - sum(spent, Decimal(0))

    @property
    def ledger_cash(self) -> Decimal:
        return self.drift - self.book.spent

    # --- the driver ------------------------------------------------------------------------------

    def feed(self, message, *, may_die=True) -> None:
        self.inputs += 1
        self.carry_out(self.lifecycle.handle(message, self.now), may_die=may_die)

    def carry_out(self, commands, *, may_die) -> None:
        for command in commands:
            if may_die and self.random.random() < 0.004:
                raise Killed
            match command:
                case Write(rows=rows):
                    if may_die and self.random.random() < 0.004:
                        self.feed(WriteFailed(rows, "disk full"), may_die=False)
                        if isinstance(rows[0], OrderEntry | DecisionEntry):
                            return
                        raise Killed  # a worker whose ledger fails ends, and the next one reads its rows
                    try:
                        self.book.write(rows)
                    except Refused as error:
                        self.feed(WriteFailed(rows, str(error)))
                        return
                case Sign(intent=intent):
                    self.signing.append(intent)
                case Post(intent_id=intent_id):
                    self.post(intent_id)
                case LookUp():
                    self.look_ups.append(command)
                case Halt(why=why):
                    self.halted.append(why)
                case _:
                    pass

    def post(self, intent_id) -> None:
        """Check the gate, then send the request: it arrives or not, is answered or not."""
        row = self.book.orders[intent_id]
        intent, state, order_id, _ = row
        assert state is OrderState.SENT, "posted without its row on the disk"
        assert order_id not in self.venue, "posted twice"
        assert intent.usd == Decimal("1.00")
        chance = self.random.random()
        if chance < 0.05:
            self.feed(OrderWithheld(intent_id, "simulation"))
            return
        order = self.venue[order_id] = VenueOrder(intent, order_id, arrived=chance < 0.95)
        kind = self.random.choice(
            (OutcomeKind.MATCHED, OutcomeKind.MATCHED, OutcomeKind.NO_FILL, OutcomeKind.REFUSED)
        )
        lied = self.lies and kind is OutcomeKind.REFUSED and self.random.random() < 0.5
        if order.arrived and (kind is OutcomeKind.MATCHED or lied):
            self.match(order)
        taking = sum((trade.fill.shares for trade in order.trades), Decimal(0))
        matched = kind is OutcomeKind.MATCHED
        answered = PostOutcome(kind=kind, reason=kind.value, taking=taking if matched else None)
        if not order.arrived or self.random.random() < 0.2:
            answered = PostOutcome(kind=OutcomeKind.UNKNOWN, reason="timeout")
        self.answers.append(PostAnswered(intent_id, answered))

    def match(self, order) -> None:
        for part in range(self.random.choice((1, 1, 2))):
            shares = Decimal("0.5") + part
            fill = Fill(
                trade_id=f"{order.order_id}-{part}#0",
                order_id=order.order_id,
                intent_id=order.intent.intent_id,
                slug=order.intent.slug,
                outcome=order.intent.outcome,
                shares=shares,
                price=Decimal("0.9"),
                fee=Decimal("0.001"),
                ts_ns=self.now,
            )
            end = FillStatus.FAILED if self.random.random() < 0.1 else FillStatus.CONFIRMED
            order.trades.append(Trade(fill, end))

    # --- possible events -------------------------------------------------------------------------

    def step(self) -> None:
        """Apply one random event."""
        try:
            self.random.choice(STEPS)(self)
        except Killed:
            if self.lies and self.deposits < 9 * DEPOSIT and self.random.random() < 0.3:
                self.deposits += DEPOSIT
            self.start()

    def pass_time(self) -> None:
        self.now += self.random.choice((SECOND // 10, SECOND, 5 * SECOND, 40 * SECOND))
        self.feed(TimeReached())

    def decide(self) -> None:
        number = self.random.randrange(MARKETS)
        self.intents += 1
        made = self.random.choice((DECISIONS, DECISIONS, DECISIONS, REFUSALS))[number]
        chance = self.random.random()
        self.feed(
            DecisionMade(
                made,
                f"i{self.intents}",
                mode_refusal="simulation" if chance < 0.03 else None,
                risk_refusal="exposure" if chance > 0.97 else None,
            )
        )

    def sign(self) -> None:
        if self.signing:
            intent = self.signing.pop(self.random.randrange(len(self.signing)))
            if self.random.random() < 0.1:
                self.feed(OrderDenied(intent.intent_id, "notional"))
            else:
                self.feed(SignatureReady(intent.intent_id, f"0x{intent.intent_id}"))

    def answer(self) -> None:
        if self.answers:
            self.feed(self.answers.pop(self.random.randrange(len(self.answers))))

    def stream(self) -> None:
        """A trade message for any existing trade, with any of the statuses that it has had."""
        if not self.venue:
            return
        order = self.random.choice(list(self.venue.values()))
        for trade in order.trades:
            chance = self.random.random()
            if chance < 0.1:
                self.feed(TradeUnreadable(order.order_id, "price 7"))
            elif chance < 0.7:
                seen = ORDER[: ORDER.index(trade.now) + 1] if trade.now in ORDER else [*ORDER[:2], trade.now]
                self.feed(
                    TradeReported(
                        order.order_id, trade.fill.trade_id[:-2], self.random.choice(seen), (trade.fill,)
                    )
                )

    def chain(self) -> None:
        for order in self.venue.values():
            for trade in order.trades:
                if trade.now is not trade.end and self.random.random() < 0.3:
                    trade.now = FillStatus.MINED if trade.now is FillStatus.MATCHED else trade.end

    def look_up(self) -> None:
        if self.look_ups:
            asked = self.look_ups.pop()
            if self.random.random() < 0.2:
                self.feed(LookUpFailed(asked.order_id))
            else:
                self.feed(self.listing(asked))

    def listing(self, asked, *, behind=True) -> LookedUp:
        order = self.venue.get(asked.order_id)
        trades = [] if order is None else list(order.trades)
        if (
            trades
            and behind
            and self.now - order.intent.created_ns < LISTED_S * SECOND
            and self.random.random() < 0.2
        ):
            trades.pop()
        known = order is not None and order.arrived
        return LookedUp(
            asked.order_id,
            tuple(TradeReported(asked.order_id, t.fill.trade_id[:-2], t.now, (t.fill,)) for t in trades),
            dead=asked.fate and known and not order.trades,
            unreadable="price 7" if behind and trades and self.random.random() < 0.05 else None,
        )

    def compare_cash(self) -> None:
        """Compare the cash as after a result: while no order can move it."""
        if self.lies and self.cash_is_certain:
            agrees = self.venue_cash == self.ledger_cash
            self.agreed_ns = self.now if agrees else self.agreed_ns
            self.feed(CashCompared(agrees))

    def settle(self) -> None:
        slug = self.random.choice(list(NUMBERS))
        orders = [row[0] for row in self.book.orders.values() if row[0].slug == slug]
        if self.lies and any(self.now - order.created_ns < LISTED_S * SECOND for order in orders):
            return  # with cash, a result comes after the lists are complete
        self.settled.add(slug)
        self.feed(MarketSettled(slug))

    def lift_halt(self) -> None:
        self.feed(HaltLifted())

    def kill(self) -> None:
        if self.random.random() < 0.1:
            if self.random.random() < 0.5:
                self.feed(StopRequested())
                while self.answers and self.random.random() < 0.5:
                    self.answer()
            raise Killed

    # --- the end ---------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """No further failures: signatures end, answers come, the chain confirms, look-ups are answered."""
        for intent in self.signing:
            self.feed(OrderDenied(intent.intent_id, "the test ends"), may_die=False)
        for answered in self.answers:
            self.feed(answered, may_die=False)
        self.signing, self.answers = [], []
        for order in self.venue.values():
            for trade in order.trades:
                trade.now = trade.end
        self.settled.update(NUMBERS)
        for slug in NUMBERS:
            self.feed(MarketSettled(slug), may_die=False)
        for _ in range(200):
            for asked in self.look_ups:
                self.feed(self.listing(asked, behind=False), may_die=False)
            self.look_ups = []
            due = self.lifecycle.next_look_up_ns
            if due is None:
                break
            self.now = max(self.now, due)
            self.feed(TimeReached(), may_die=False)

    def check_end(self) -> None:
        """The ledger equals the venue: each order ended, each trade recorded once with its final status."""
        assert self.lifecycle.next_look_up_ns is None, "an order is looked up for ever"
        assert not self.lifecycle.in_flight
        assert not self.lifecycle.uncertain
        trades = [trade for order in self.venue.values() for trade in order.trades]
        expected = {
            trade.fill.trade_id: (trade.fill, trade.end) for trade in trades if not self.is_never_seen(trade)
        }
        assert {trade_id: tuple(row) for trade_id, row in self.book.fills.items()} == expected
        for intent, state, order_id, _ in self.book.orders.values():
            order = self.venue.get(order_id)
            bought = [] if order is None else [t for t in order.trades if t.end is not FillStatus.FAILED]
            if bought:
                assert state is OrderState.MATCHED
            elif order is not None and order.trades:
                assert state is OrderState.REVERSED or (self.lies and state is OrderState.REFUSED)
            else:
                assert state in DEAD, (intent.intent_id, state)
        ended = {why.rpartition(" ")[2] for why in self.halted if "had ended as" in why}
        assert ended <= ({"refused"} if self.lies else set())

    def is_never_seen(self, trade) -> bool:
        """Whether a trade of a refused order failed before it was listed: it moved no money in the end."""
        refused = self.book.orders[trade.fill.intent_id][1] is OrderState.REFUSED
        unrecorded = trade.fill.trade_id not in self.book.fills
        return self.lies and refused and unrecorded and trade.end is FillStatus.FAILED


STEPS = (
    *(World.pass_time,) * 3,
    *(World.decide,) * 3,
    *(World.sign,) * 3,
    *(World.answer,) * 3,
    *(World.stream,) * 2,
    *(World.chain,) * 1,
    *(World.look_up,) * 3,
    World.settle,
    World.compare_cash,
    World.lift_halt,
    World.kill,
)
