"""Each rule of the order lifecycle by an example: one input, all of its commands, times as literals."""

from decimal import Decimal

import msgspec
import pytest
from ledger_builders import decision, intent, market, refusal

from events import Decided, Filled, FillMoved, OrderMoved, OrderSent, OrderSigned
from execution.order_lifecycle import OrderLifecycle, OrderRules
from execution.order_messages import (
    CashCompared,
    CloseUnfilled,
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
    Publish,
    SetTotal,
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
from execution.order_transitions import NEXT
from execution.outcomes import OutcomeKind, PostOutcome
from models import Fill, FillStatus, OrderState, Outcome, Reason

S = 1_000_000_000
NOW = 1_800_000_000 * S
ONE = market(1).slug
INTENT, SENT, UNKNOWN = OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN
MATCHED, NO_FILL, REFUSED = OrderState.MATCHED, OrderState.NO_FILL, OrderState.REFUSED
REVERSED = OrderState.REVERSED
WANTED = msgspec.structs.replace(intent(0, 1, usd="1.00", created_ns=NOW), intent_id="i1", outcome=Outcome.UP)
"""The intent of the builders' decision in market 1."""


class Machine:
    """A lifecycle with three attempts per market; `at` is in seconds after NOW."""

    def __init__(self, **rules) -> None:
        self.lifecycle = OrderLifecycle(OrderRules(**{"max_attempts": 3} | rules))

    def feed(self, message, at=0.0):
        return self.lifecycle.handle(message, NOW + int(at * S))

    def decide(self, number=1, intent_id="i1", at=0.0, **gates):
        return self.feed(DecisionMade(decision(number), intent_id, **gates), at)

    def send(self, number=1, intent_id="i1", at=0.0):
        """An order whose POST is in progress."""
        self.decide(number, intent_id, at)
        return self.feed(SignatureReady(intent_id, f"0x{intent_id}"), at)

    def answer(self, kind, *, taking=None, intent_id="i1", at=0.0):
        taken = None if taking is None else Decimal(taking)
        outcome = PostOutcome(kind=kind, reason="the venue's text", taking=taken)
        return self.feed(PostAnswered(intent_id, outcome), at)

    def unknown(self, **changes):
        """An order without an answer of the venue."""
        self.send(**changes)
        self.answer(OutcomeKind.UNKNOWN)

    def look_up(self, *trades, at=0.0, **found):
        """A due look-up and its result."""
        self.feed(TimeReached(), at)
        return self.feed(LookedUp("0xi1", tuple(trades), **found), at)

    @property
    def due(self):
        """Seconds after NOW of the next look-up."""
        at = self.lifecycle.next_look_up_ns
        return None if at is None else (at - NOW) / S

    @property
    def state(self):
        return self.lifecycle.states["i1"]


@pytest.fixture
def machine():
    return Machine()


def fill(shares="1.1", trade_id="t", leg=0, intent_id="i1"):
    return Fill(
        trade_id=f"{trade_id}#{leg}",
        order_id=f"0x{intent_id}",
        intent_id=intent_id,
        slug=ONE,
        outcome=Outcome.UP,
        shares=Decimal(shares),
        price=Decimal("0.9"),
        fee=Decimal("0.00693"),
        ts_ns=NOW,
    )


def trade(status=FillStatus.MATCHED, shares="1.1", trade_id="t", intent_id="i1"):
    return TradeReported(f"0x{intent_id}", trade_id, status, (fill(shares, trade_id, intent_id=intent_id),))


def moved(state, reason):
    return Publish(OrderMoved(intent=WANTED, state=state, reason=reason))


def entry(state, detail="", order_id="0xi1"):
    """The entry written and published once for each order."""
    return [
        Write((OrderEntry(decision(1), WANTED, order_id, state, detail),)),
        Publish(Decided(decision=decision(1), final=False)),
        Publish(OrderSent(intent=WANTED)),
    ]


def row(state, reason):
    return StateEntry("i1", state, reason)


# --- a decision ------------------------------------------------------------------------------------


def test_a_decision_to_buy_is_signed_and_not_written_yet(machine):
    """The intent has the decision's market, token, amounts and prices; nothing is on disk yet."""
    assert machine.decide() == [Sign(WANTED)]
    assert machine.lifecycle.states == {"i1": INTENT}
    assert machine.lifecycle.in_flight
    assert machine.lifecycle.has_open_order(ONE)
    assert not machine.lifecycle.has_open_order(market(2).slug)


@pytest.mark.parametrize(
    ("reason", "final"), [(Reason.NO_ASK, False), (Reason.NO_TREND, True), (Reason.NO_EDGE, True)]
)
def test_a_decision_not_to_buy_is_written_and_published(machine, reason, final):
    """It ends the market's decisions unless its reason may change with the next tick."""
    made = refusal(1, reason)
    assert machine.feed(DecisionMade(made, "i1")) == [
        Write((DecisionEntry(made),)),
        Publish(Decided(decision=made, final=final)),
    ]
    assert machine.lifecycle.states == {}


@pytest.mark.parametrize(
    ("gates", "reason", "detail", "final"),
    [
        ({"mode_refusal": "simulation", "halt": "halted"}, Reason.MODE, "simulation", False),
        ({"halt": "halted", "risk_refusal": "exposure"}, Reason.RISK, "halted", True),
        ({"risk_refusal": "exposure"}, Reason.RISK, "exposure", True),
    ],
)
def test_a_gate_turns_a_buy_into_a_named_refusal(machine, gates, reason, detail, final):
    """Mode before halt before risk; the inputs are those of the decision."""
    made = msgspec.structs.replace(decision(1), reason=reason, detail=detail)
    assert machine.decide(**gates) == [
        Write((DecisionEntry(made),)),
        Publish(Decided(decision=made, final=final)),
    ]


def test_halt_and_risk_say_nothing_of_a_decision_not_to_buy(machine):
    """It has its own reason; only the mode's comes before it."""
    made = refusal(1)
    (written, _) = machine.feed(DecisionMade(made, "i1", halt="halted", risk_refusal="exposure"))
    assert written == Write((DecisionEntry(made),))
    (written, _) = machine.feed(DecisionMade(made, "i1", mode_refusal="simulation"))
    assert written.rows[0].decision.reason is Reason.MODE


@pytest.mark.parametrize("missing", ["ask", "price_cap"])
def test_a_buy_without_a_price_is_a_defect(machine, missing):
    """It is neither an order nor a refusal: the exception names the market."""
    made = msgspec.structs.replace(decision(1), **{missing: None})
    with pytest.raises(ValueError, match="buys without") as error:
        machine.feed(DecisionMade(made, "i1"))
    assert str(error.value) == f"the decision in {ONE} buys without side, ask or price cap"


def test_attempts_are_a_second_apart(machine):
    """After an order without a match another one follows, a second after the first was made."""
    machine.send()
    machine.answer(OutcomeKind.NO_FILL)
    assert not machine.lifecycle.may_order(ONE, NOW + S - 1)
    (written, published) = machine.decide(intent_id="i2", at=0.999999999)
    assert written == Write((DecisionEntry(decision(1)),))
    assert published == Publish(Decided(decision=decision(1), final=False))
    assert machine.lifecycle.may_order(ONE, NOW + S)
    (signed,) = machine.decide(intent_id="i2", at=1)
    assert (signed.intent.attempt, signed.intent.created_ns) == (2, NOW + S)


def test_the_pause_counts_from_the_last_attempt(machine):
    """A third order waits until one second after the second one."""
    for number, at in ((1, 0), (2, 5)):
        machine.send(intent_id=f"i{number}", at=at)
        machine.answer(OutcomeKind.NO_FILL, intent_id=f"i{number}", at=at)
    assert not machine.lifecycle.may_order(ONE, NOW + 6 * S - 1)
    assert machine.lifecycle.may_order(ONE, NOW + 6 * S)


def test_a_market_is_tried_a_limited_number_of_times(machine):
    """After three orders without a match the fourth is refused, naming the setting."""
    for number in range(3):
        assert machine.lifecycle.may_order(ONE, NOW + 10 * number * S)
        machine.send(intent_id=f"i{number}", at=10 * number)
        machine.answer(OutcomeKind.NO_FILL, intent_id=f"i{number}", at=10 * number)
    assert not machine.lifecycle.may_order(ONE, NOW + 100 * S)
    (written, published) = machine.decide(intent_id="i3", at=100)
    assert written.rows[0].decision.detail == (
        "3 orders in this market found no match, ORDER_MAX_ATTEMPTS is 3"
    )
    assert published.event.final


def test_a_market_with_a_refused_order_is_not_tried_again(machine):
    """The row names the earlier refusal, also where orders without a match came before it."""
    machine.send()
    machine.answer(OutcomeKind.NO_FILL)
    machine.decide(intent_id="i2", at=1)
    machine.feed(OrderDenied("i2", "closed"), 1)
    (written, _) = machine.decide(intent_id="i3", at=100)
    assert written.rows[0].decision.detail == "an order in this market was refused: closed"


@pytest.mark.parametrize("kind", [OutcomeKind.UNKNOWN, OutcomeKind.MATCHED])
def test_a_market_with_an_order_that_may_exist_is_not_tried_again(machine, kind):
    """Unknown counts as bought; another market is free."""
    machine.send()
    machine.answer(kind)
    (written, published) = machine.decide(intent_id="i2", at=100)
    assert written.rows[0].decision.detail == "an order in this market exists or may exist"
    assert written.rows[0].decision.reason is Reason.RISK
    assert published.event.final
    assert not machine.lifecycle.may_order(ONE, NOW + 100 * S)
    assert machine.lifecycle.may_order(market(2).slug, NOW)


# --- from the signature to the answer ------------------------------------------------------------


def test_a_signed_order_is_written_before_it_is_posted(machine):
    """One transaction with decision, intent and hash, then the observers, then the first byte."""
    machine.decide()
    assert machine.feed(SignatureReady("i1", "0xi1")) == [
        *entry(SENT),
        Publish(OrderSigned(intent=WANTED, order_id="0xi1")),
        Post("i1"),
    ]
    assert machine.lifecycle.order_ids == ["0xi1"]
    assert machine.lifecycle.order_of("0xi1").intent == WANTED
    assert machine.lifecycle.order_of("0x") is None
    assert machine.lifecycle.in_flight
    assert machine.due is None


def test_a_second_signature_sends_nothing(machine):
    """Nor does one of an order without a decision."""
    machine.send()
    assert machine.feed(SignatureReady("i1", "0xother")) == []
    assert machine.feed(SignatureReady("i9", "0xi9")) == []
    assert machine.lifecycle.order_ids == ["0xi1"]


def test_an_order_denied_on_this_side_is_written_as_refused(machine):
    """Decision and order are written together, without a hash; a second denial changes nothing."""
    machine.decide()
    assert machine.feed(OrderDenied("i1", "closed")) == [
        *entry(REFUSED, "closed", order_id=None),
        moved(REFUSED, "closed"),
    ]
    assert machine.feed(OrderDenied("i1", "again")) == []
    assert machine.feed(OrderDenied("i9", "closed")) == []
    assert machine.state is REFUSED


def test_a_withheld_order_was_never_sent(machine):
    """Mode or halt refused in the last check: nothing was bought, and it does not count as a refusal."""
    machine.send()
    assert machine.feed(OrderWithheld("i1", "simulation")) == [
        Write((row(NO_FILL, "simulation"),)),
        moved(NO_FILL, "simulation"),
    ]
    assert machine.feed(OrderWithheld("i1", "simulation")) == []
    unknown = Machine()
    unknown.unknown()
    unknown.feed(OrderWithheld("i1", "simulation"))
    assert (unknown.state, unknown.due) == (NO_FILL, None)
    for number in (2, 3, 4):
        machine.send(number, f"i{number}")
        assert not any(isinstance(c, Halt) for c in machine.feed(OrderWithheld(f"i{number}", "simulation")))


@pytest.mark.parametrize(
    ("kind", "state", "due"),
    [
        (OutcomeKind.MATCHED, MATCHED, 2.0),
        (OutcomeKind.NO_FILL, NO_FILL, None),
        (OutcomeKind.REFUSED, REFUSED, None),
        (OutcomeKind.UNKNOWN, UNKNOWN, 0.0),
    ],
)
def test_what_an_answer_changes(machine, kind, state, due):
    """The state and its reason are written; a match is looked up after two seconds, an unknown order now."""
    machine.send()
    assert machine.answer(kind) == [
        Write((row(state, "the venue's text"),)),
        moved(state, "the venue's text"),
    ]
    assert (machine.state, machine.due) == (state, due)
    assert not machine.lifecycle.in_flight


def test_an_answer_that_says_nothing_new_changes_nothing(machine):
    """A second timeout of an order that is unknown already changes nothing; a late match does."""
    machine.unknown()
    assert machine.answer(OutcomeKind.UNKNOWN) == []
    assert machine.answer(OutcomeKind.MATCHED, at=7) == [
        Write((row(MATCHED, "the venue's text"),)),
        moved(MATCHED, "the venue's text"),
    ]
    assert machine.due == 0.0  # the look-up that was due already is not postponed


def test_a_trade_that_came_first_is_better_evidence_than_any_answer(machine):
    """The answer then only gives the total, with which the look-ups end."""
    machine.send()
    machine.feed(trade(FillStatus.CONFIRMED))
    assert machine.due == 2.0
    assert machine.answer(OutcomeKind.REFUSED) == []
    assert (machine.state, machine.due) == (MATCHED, 2.0)
    assert machine.answer(OutcomeKind.MATCHED, taking="1.1") == []
    assert (machine.state, machine.due) == (MATCHED, None)


@pytest.mark.parametrize(
    ("booked", "uncertain"), [("1.1", False), ("1.0999", False), ("1.0998", True), ("1.2", False)]
)
def test_an_order_is_filled_within_a_ten_thousandth_of_a_share(machine, booked, uncertain):
    """The venue truncates shares to four decimals: a smaller difference is no missing fill."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    assert len(machine.lifecycle.uncertain) == 1
    machine.feed(trade(FillStatus.CONFIRMED, booked))
    assert bool(machine.lifecycle.uncertain) is uncertain
    assert machine.lifecycle.unresolved == machine.lifecycle.uncertain


def test_a_match_without_a_total_is_never_complete_by_itself(machine):
    """Some answers have no amounts; then the look-ups determine the total."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED)
    machine.feed(trade(FillStatus.CONFIRMED))
    assert [order.intent for order in machine.lifecycle.uncertain] == [WANTED]
    assert machine.due == 2.0


# --- refusals in a row ------------------------------------------------------------------------------


HALT = Halt("3 orders in a row were refused, the last: closed")


def deny(machine, number):
    machine.decide(number, f"i{number}")
    return machine.feed(OrderDenied(f"i{number}", "closed"))


def test_the_third_refusal_in_a_row_halts(machine):
    """The halt comes before everything else; each further refusal halts again."""
    assert not any(isinstance(c, Halt) for number in (1, 2) for c in deny(machine, number))
    assert deny(machine, 3)[0] == HALT
    assert deny(machine, 4)[0] == HALT


def test_a_refusal_by_the_venue_counts_like_one_on_this_side(machine):
    """Two denied by the bot and one refused by the venue are three; the halt waits for no disk write."""
    deny(machine, 2)
    deny(machine, 3)
    machine.send()
    assert machine.answer(OutcomeKind.REFUSED) == [
        Halt("3 orders in a row were refused, the last: the venue's text"),
        Write((row(REFUSED, "the venue's text"),)),
        moved(REFUSED, "the venue's text"),
    ]


@pytest.mark.parametrize("between", ["another end", "a person"])
def test_what_ends_a_row_of_refusals(machine, between):
    """An order that is not refused, or a person who removes a halt."""
    deny(machine, 1)
    deny(machine, 2)
    if between == "a person":
        assert machine.feed(HaltLifted()) == []
    else:
        machine.send(5, "i5")
        machine.answer(OutcomeKind.NO_FILL, intent_id="i5")
    assert not any(isinstance(c, Halt) for number in (3, 4) for c in deny(machine, number))
    assert deny(machine, 6)[0] == HALT


# --- states ------------------------------------------------------------------------------------------


def test_which_state_may_follow_another():
    """The transitions that the ledger enforces, written a second time."""
    assert {state.value: {following.value for following in states} for state, states in NEXT.items()} == {
        "intent": {"no_fill", "refused"},
        "sent": {"matched", "no_fill", "refused", "unknown", "reversed"},
        "unknown": {"matched", "no_fill", "refused", "reversed"},
        "matched": {"reversed"},
        "no_fill": {"matched"},
        "refused": {"matched"},
        "reversed": set(),
    }


# --- trades -----------------------------------------------------------------------------------------


SEEN = "seen on the user stream or among the trades"


@pytest.mark.parametrize("before", [SENT, UNKNOWN])
def test_a_trade_of_an_order_without_an_answer_is_a_match(before):
    """State and fill are written in one transaction; the order is looked up for its other trades."""
    machine = Machine()
    machine.send()
    if before is UNKNOWN:
        machine.answer(OutcomeKind.UNKNOWN)
        machine.look_up()
    assert machine.feed(trade()) == [
        Write((row(MATCHED, SEEN), FillEntry(fill(), FillStatus.MATCHED))),
        moved(MATCHED, SEEN),
        Publish(Filled(fill=fill(), status=FillStatus.MATCHED)),
    ]
    assert machine.due == (0.5 if before is UNKNOWN else 2.0)


def test_each_leg_of_a_trade_is_a_fill(machine):
    """A trade with two makers is two rows and two events, and both count."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.6")
    legs = (fill("1.1", leg=0), fill("0.5", leg=1))
    assert machine.feed(TradeReported("0xi1", "t", FillStatus.CONFIRMED, legs)) == [
        Write(tuple(FillEntry(leg, FillStatus.CONFIRMED) for leg in legs)),
        *(Publish(Filled(fill=leg, status=FillStatus.CONFIRMED)) for leg in legs),
    ]
    assert machine.due is None


FORWARD = {
    ("MATCHED", "MINED"),
    ("MATCHED", "CONFIRMED"),
    ("MATCHED", "FAILED"),
    ("MINED", "CONFIRMED"),
    ("MINED", "FAILED"),
}


@pytest.mark.parametrize("before", list(FillStatus))
@pytest.mark.parametrize("after", list(FillStatus))
def test_a_status_only_moves_forward(machine, before, after):
    """A status is processed if it is later in the sequence; nothing follows the two final ones."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="2.2")
    machine.feed(trade(trade_id="other"))
    machine.feed(trade(before))
    assert machine.feed(trade(after)) == (
        [
            Write((FillEntry(fill(), after),)),
            Publish(FillMoved(fill=fill(), status=after)),
        ]
        if (before.value, after.value) in FORWARD
        else []
    )


def test_a_trade_that_fails_reverses_its_order(machine):
    """Its fill is reversed, the order closed; it is looked up further, as another trade may appear."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    machine.feed(trade())
    failed = "the trade failed on the chain"
    assert machine.feed(trade(FillStatus.FAILED)) == [
        Write((FillEntry(fill(), FillStatus.FAILED), row(REVERSED, failed))),
        moved(REVERSED, failed),
        CloseUnfilled("i1"),
        Publish(FillMoved(fill=fill(), status=FillStatus.FAILED)),
    ]
    assert (machine.state, machine.due) == (REVERSED, None)


def test_a_trade_first_seen_as_failed_bought_nothing(machine):
    """It is recorded as failed and published as no purchase; without a total the order is looked up
    further."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED)
    commands = machine.feed(trade(FillStatus.FAILED))
    assert commands[-1] == Publish(FillMoved(fill=fill(), status=FillStatus.FAILED))
    assert (machine.state, machine.due) == (REVERSED, 2.0)
    # A second failed trade does not reverse anything again.
    assert machine.feed(trade(FillStatus.FAILED, trade_id="u")) == [
        Write((FillEntry(fill(trade_id="u"), FillStatus.FAILED),)),
        Publish(FillMoved(fill=fill(trade_id="u"), status=FillStatus.FAILED)),
    ]


def test_one_trade_of_two_that_fails_leaves_the_other(machine):
    """The order stays matched while one of its trades is valid."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="2.2")
    machine.feed(trade())
    machine.feed(trade(trade_id="u"))
    machine.feed(trade(FillStatus.FAILED))
    assert machine.state is MATCHED
    assert machine.lifecycle.order_of("0xi1").standing == Decimal("1.1")
    machine.feed(trade(FillStatus.FAILED, trade_id="u"))
    assert machine.state is REVERSED


@pytest.mark.parametrize(
    ("kind", "state"), [(OutcomeKind.NO_FILL, "no_fill"), (OutcomeKind.REFUSED, "refused")]
)
def test_a_trade_of_an_order_called_dead_counts_and_halts(machine, kind, state):
    """The venue's trades count, and the halt makes a person check the contradiction."""
    machine.send()
    machine.answer(kind)
    assert machine.feed(trade()) == [
        Halt(f"the venue traded an order in {ONE} that had ended as {state}"),
        Write((row(MATCHED, SEEN), FillEntry(fill(), FillStatus.MATCHED))),
        moved(MATCHED, SEEN),
        Publish(Filled(fill=fill(), status=FillStatus.MATCHED)),
    ]
    assert machine.due == 2.0


def test_an_order_is_not_sent_beside_an_earlier_one_that_was_traded_after_all(machine):
    """Between the decision and the signature of the second order the first one, recorded as ended, is
    traded."""
    machine.send()
    machine.feed(OrderWithheld("i1", "halted"))
    machine.decide(intent_id="i2", at=2)
    machine.feed(TradeReported("0xi1", "t", FillStatus.MATCHED, (fill(),)), 2)
    (written, *_, last) = commands = machine.feed(SignatureReady("i2", "0xi2"), 2)
    assert machine.lifecycle.states == {"i1": MATCHED, "i2": NO_FILL}
    assert not [command for command in commands if isinstance(command, Post)]
    traded = "an earlier order of this market was traded meanwhile"
    assert (written.rows[0].state, written.rows[0].detail) == (NO_FILL, traded)
    assert (last.event.state, last.event.reason) == (NO_FILL, traded)


def test_a_failed_trade_of_a_dead_order_changes_nothing_about_it(machine):
    """It bought nothing and is ended already: only the fill is recorded as failed."""
    machine.send()
    machine.answer(OutcomeKind.NO_FILL)
    assert machine.feed(trade(FillStatus.FAILED)) == [
        Write((FillEntry(fill(), FillStatus.FAILED),)),
        Publish(FillMoved(fill=fill(), status=FillStatus.FAILED)),
    ]
    assert (machine.state, machine.due) == (NO_FILL, None)


def test_a_trade_of_a_reversed_order_stands_again(machine):
    """Another trade of the same order is a purchase again, without a contradiction of the venue."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED)
    machine.feed(trade(FillStatus.FAILED))
    assert machine.feed(trade(trade_id="u"))[0] == Write(
        (row(MATCHED, SEEN), FillEntry(fill(trade_id="u"), FillStatus.MATCHED))
    )
    assert machine.state is MATCHED


def test_trades_of_other_orders_are_nobody_s(machine):
    """A trade, a look-up or an unreadable message of a foreign order has no effect."""
    machine.send()
    assert machine.feed(trade(intent_id="i9")) == []
    assert machine.feed(TradeUnreadable("0xi9", "price 7")) == []
    assert machine.feed(LookedUp("0xi9", (trade(intent_id="i9"),))) == []
    assert machine.feed(LookUpFailed("0xi9")) == []
    assert (machine.state, machine.due) == (SENT, None)


def test_a_trade_that_cannot_be_read_is_looked_up_now(machine):
    """The venue's list is the second source; one look-up at a time."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    assert machine.feed(TradeUnreadable("0xi1", "price 7"), 1) == []
    assert machine.due == 1.0
    assert len(machine.feed(TimeReached(), 1)) == 1
    machine.feed(TradeUnreadable("0xi1", "price 7"), 0.5)
    assert machine.due == 1.0


# --- look-ups ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "due", "fate"), [("UNKNOWN", 0, True), ("MATCHED", 2, False)])
def test_a_look_up_is_asked_for_when_it_is_due_and_once(machine, kind, due, fate):
    """Only for an unknown order is its end requested; while an answer is missing there is no second
    request."""
    machine.send()
    machine.answer(OutcomeKind[kind])
    if due:
        assert machine.feed(TimeReached(), due - 1e-9) == []
    assert machine.feed(TimeReached(), due) == [LookUp("0xi1", "0xc1", fate)]
    assert machine.feed(TimeReached(), due + 1000) == []
    machine.feed(LookUpFailed("0xi1"), due)
    assert machine.feed(TimeReached(), due + 0.5) == [LookUp("0xi1", "0xc1", fate)]


@pytest.mark.parametrize("failed", [True, False], ids=["no answer", "no trade"])
def test_the_pauses_between_two_look_ups_grow(machine, failed):
    """0.5, 1, 2, 4, 8, 15, 30 and then every 60 seconds, whether the venue answers or not."""
    machine.unknown()
    pauses = []
    for _ in range(10):
        at = machine.due
        machine.feed(TimeReached(), at)
        machine.feed(LookUpFailed("0xi1") if failed else LookedUp("0xi1"), at)
        pauses.append(machine.due - at)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0]


def test_a_clock_that_is_set_back_does_not_delay_a_look_up(machine):
    """A minute ahead is the longest pause; an hour ahead is a time of the clock before it was set back."""
    machine.unknown()
    for at in range(8):
        machine.feed(TimeReached(), 1000 + 60 * at)
        machine.feed(LookUpFailed("0xi1"), 1000 + 60 * at)
    assert machine.due == 1480.0
    assert machine.feed(TimeReached(), 1420) == []
    assert len(machine.feed(TimeReached(), 1480 - 3600)) == 1
    machine.feed(LookUpFailed("0xi1"), 1480 - 3600)
    assert machine.due == 1540.0 - 3600


def test_orders_are_looked_up_each_at_its_time(machine):
    """Two orders have two due times; the next one is the earlier, and only that order is looked up."""
    machine.send(1, "i1")
    machine.send(2, "i2")
    assert machine.lifecycle.next_look_up_ns is None
    machine.answer(OutcomeKind.MATCHED, intent_id="i1")
    machine.answer(OutcomeKind.MATCHED, intent_id="i2", at=1)
    assert machine.due == 2.0
    assert [command.order_id for command in machine.feed(TimeReached(), 2)] == ["0xi1"]
    assert [command.order_id for command in machine.feed(TimeReached(), 3)] == ["0xi2"]
    assert [order.intent.intent_id for order in machine.lifecycle.unresolved] == ["i1", "i2"]


def test_what_only_the_chain_can_change_is_looked_up_seldom(machine):
    """Once every fill is recorded the next look-up is at least half a minute later."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    machine.feed(trade(), 1)
    assert machine.due == 31.0
    machine.look_up(trade(FillStatus.MINED), at=31)
    assert machine.due == 61.0
    assert machine.lifecycle.uncertain == []
    for at in (61, 91, 121, 151, 181, 211, 241):
        assert machine.due == at
        machine.look_up(at=at)
    assert machine.due == 301.0
    machine.feed(trade(FillStatus.CONFIRMED), 242)
    assert machine.due is None
    assert machine.lifecycle.unresolved == []


def test_an_order_that_the_venue_calls_dead_is_over(machine):
    """Nothing was bought; Nautilus' order is closed, and the market may be tried again."""
    machine.unknown()
    reason = "the venue reports that it ended without a match"
    assert machine.look_up(dead=True) == [
        Write((row(NO_FILL, reason),)),
        moved(NO_FILL, reason),
        CloseUnfilled("i1"),
    ]
    assert (machine.state, machine.due) == (NO_FILL, None)
    assert machine.lifecycle.may_order(ONE, NOW + S)


@pytest.mark.parametrize("settled", [True, False])
def test_an_order_without_a_trade_is_given_up_ten_minutes_after_it_was_made(machine, settled):
    """More than 600 seconds old and its market settled: it never matched. Either alone is not enough."""
    machine.unknown()
    machine.feed(MarketSettled(ONE if settled else market(2).slug))
    assert machine.look_up(at=600) == []
    assert machine.state is UNKNOWN
    reason = "the market is settled and the venue has no trade of it"
    assert machine.look_up(at=600.000001) == (
        [Write((row(NO_FILL, reason),)), moved(NO_FILL, reason), CloseUnfilled("i1")] if settled else []
    )


@pytest.mark.parametrize("dead", [True, False])
def test_a_trade_that_cannot_be_read_is_no_missing_trade(machine, dead):
    """While the list has an unreadable trade of the order, the order has not ended without a match."""
    machine.unknown()
    machine.feed(MarketSettled(ONE))
    assert machine.look_up(at=700, dead=dead, unreadable="price 7") == []
    assert machine.state is UNKNOWN


def test_three_look_ups_that_cannot_be_read_halt_once(machine):
    """A person has to check the venue's list; there is one halt only."""
    machine.unknown()
    halts = [machine.look_up(at=number, unreadable="price 7") for number in range(5)]
    assert halts == [[], [], [Halt(f"a trade in {ONE} cannot be read: price 7")], [], []]


def test_a_matched_order_is_not_ended_by_an_empty_list(machine):
    """The list may be delayed: a match that was answered stays a match, however late."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    machine.feed(MarketSettled(ONE))
    assert machine.look_up(at=2, dead=True) == []
    assert machine.look_up(at=700) == []
    assert machine.state is MATCHED


def test_an_unknown_order_with_a_booked_trade_is_not_ended_by_an_empty_list():
    """A process that takes over an unknown order has its trades from the ledger."""
    machine = Machine()
    machine.lifecycle.restore([stored(UNKNOWN, trades=(("t", FillStatus.FAILED, Decimal("1.1")),))], NOW)
    machine.feed(MarketSettled(ONE))
    assert machine.look_up(at=700, dead=True) == []
    assert machine.state is UNKNOWN


# --- the total of an order without one ---------------------------------------------------------------


def test_two_look_ups_that_agree_give_the_total(machine):
    """A single list may be delayed while an order matches several makers; two equal lists count."""
    machine.unknown()
    machine.look_up(trade())
    assert [order.intent for order in machine.lifecycle.uncertain] == [WANTED]
    assert machine.look_up(trade(), at=1) == [SetTotal("i1", Decimal("1.1"))]
    assert machine.lifecycle.uncertain == []
    assert machine.look_up(trade(), at=40) == []


@pytest.mark.parametrize("shares", ["0.5", "1"])
@pytest.mark.parametrize("before", [None, "unreadable"])
def test_one_look_up_never_agrees_with_none(machine, shares, before):
    """Whatever the sum of the first list: the second one with the same sum gives the total."""
    machine.unknown()
    if before is not None:
        machine.look_up(trade(shares=shares), unreadable="price 7")
    machine.look_up(trade(shares=shares), at=1)
    assert machine.lifecycle.order_of("0xi1").total is None
    assert machine.look_up(trade(shares=shares), at=2) == [SetTotal("i1", Decimal(shares))]


def test_an_answer_that_comes_after_the_total_leaves_it(machine):
    """A late answer other than a match gives no amounts, and removes none."""
    machine.unknown()
    machine.look_up(trade())
    machine.look_up(trade(), at=1)
    assert machine.answer(OutcomeKind.NO_FILL, at=2) == []
    assert machine.lifecycle.uncertain == []


def test_shares_are_decimal_even_of_no_trade(machine):
    """The sum of nothing is a Decimal too."""
    machine.send()
    assert type(machine.lifecycle.order_of("0xi1").standing) is Decimal
    assert type(TradeReported("0xi1", "t", FillStatus.MATCHED, ()).shares) is Decimal


def test_two_look_ups_that_differ_give_none(machine):
    """A list that grew is requested once more, and the agreed sum of both trades is the total."""
    machine.unknown()
    machine.look_up(trade())
    two = (trade(), trade(shares="0.5", trade_id="u"))
    assert not any(isinstance(command, SetTotal) for command in machine.look_up(*two, at=1))
    assert len(machine.lifecycle.uncertain) == 1
    assert machine.look_up(*two, at=2) == [SetTotal("i1", Decimal("1.6"))]


def test_a_list_with_a_trade_that_cannot_be_read_agrees_with_nothing(machine):
    """Neither with the list before it nor with the one after it."""
    machine.unknown()
    machine.look_up(trade())
    machine.look_up(trade(), at=1, unreadable="price 7")
    assert machine.look_up(trade(), at=2) == []
    assert len(machine.lifecycle.uncertain) == 1
    assert machine.look_up(trade(), at=4) == [SetTotal("i1", Decimal("1.1"))]


def test_a_total_of_which_nothing_stands_is_not_set(machine):
    """Where every trade failed, the order is closed as unfilled and has no total."""
    machine.unknown()
    failed = trade(FillStatus.FAILED)
    for at in (0, 1, 2):
        assert not any(isinstance(command, SetTotal) for command in machine.look_up(failed, at=at))


def test_a_total_of_look_ups_is_complete_only_when_the_list_cannot_be_behind(machine):
    """All trades confirmed and both lists agree: the look-ups continue until ten minutes after the order."""
    machine.unknown()
    done = trade(FillStatus.CONFIRMED)
    for at in (0, 1, 600):
        machine.look_up(done, at=at)
        assert machine.due is not None
    machine.look_up(done, at=700)
    assert machine.due is None


def test_a_late_list_with_a_trade_that_cannot_be_read_is_not_complete(machine):
    """The unreadable trade may be the missing one."""
    machine.unknown()
    done = trade(FillStatus.CONFIRMED)
    for at in (0, 1):
        machine.look_up(done, at=at)
    machine.look_up(done, at=700, unreadable="price 7")
    assert machine.due is not None


def test_two_lists_that_agree_on_more_raise_the_total(machine):
    """The answer contained 1.1 and the venue lists 1.6: the order bought 1.6."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    two = (trade(FillStatus.CONFIRMED), trade(shares="0.5", trade_id="u"))
    machine.look_up(*two, at=2)
    machine.look_up(*two, at=3)
    assert machine.lifecycle.order_of("0xi1").total == Decimal("1.6")


@pytest.mark.parametrize(("at", "uncertain"), [(20, True), (600, True), (601, False)])
def test_two_lists_that_agree_on_less_lower_the_total_only_late(machine, at, uncertain):
    """Soon after the order the list may be delayed; ten minutes later it is complete."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.6")
    done = trade(FillStatus.CONFIRMED)
    machine.look_up(done, at=2)
    assert machine.look_up(done, at=at) == []
    assert bool(machine.lifecycle.uncertain) is uncertain


# --- other inputs --------------------------------------------------------------------------------------


def test_an_order_that_is_not_on_the_disk_is_not_sent(machine):
    """Its market gets no other order, and the row of the next decision gives the reason."""
    (order_row, *_) = machine.send()
    assert machine.feed(WriteFailed(order_row.rows, "disk full")) == []
    assert machine.state is REFUSED
    (written, _) = machine.decide(intent_id="i2", at=5)
    assert written.rows[0].decision.detail == ("an order in this market was refused: not written: disk full")


def test_a_fill_that_is_not_on_the_disk_has_not_happened(machine):
    """Trading halts, and the trade is looked up and recorded again half a second later."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    named = trade(trade_id="t#1")  # a trade id of the venue may contain what separates the legs
    (written, _) = machine.feed(named, 1)
    assert machine.due == 31.0
    assert machine.feed(WriteFailed(written.rows, "disk full"), 1) == [
        Halt("a fill could not be recorded: disk full")
    ]
    assert machine.due == 1.5
    again = Publish(Filled(fill=fill(trade_id="t#1"), status=FillStatus.MATCHED))
    assert machine.feed(named, 2) == [written, again]


def test_rows_without_an_order_or_a_fill_are_only_lost(machine):
    """A decision or a state that could not be written does not halt; the rows after it are checked."""
    machine.send()
    machine.answer(OutcomeKind.MATCHED, taking="1.1")
    machine.feed(trade(), 1)
    rows = (DecisionEntry(decision(1)), row(MATCHED, SEEN))
    assert machine.feed(WriteFailed(rows, "disk full"), 1) == []
    assert machine.due == 31.0
    fails = (*rows, FillEntry(fill(), FillStatus.MATCHED))
    assert machine.feed(WriteFailed(fails, "disk full"), 1) == [
        Halt("a fill could not be recorded: disk full")
    ]
    assert machine.due == 1.5


def test_stopping_makes_an_order_without_an_answer_unknown(machine):
    """It is looked up by the next process; what is signed or decided from now on is not sent."""
    machine.send(1, "i1")
    machine.decide(2, "i2")
    machine.send(3, "i3")
    machine.answer(OutcomeKind.MATCHED, intent_id="i3")
    reason = "the bot stopped before the answer"
    assert machine.feed(StopRequested()) == [
        Write((row(UNKNOWN, reason),)),
        moved(UNKNOWN, reason),
    ]
    assert machine.lifecycle.states == {"i1": UNKNOWN, "i2": INTENT, "i3": MATCHED}
    (written, *_, last) = machine.feed(SignatureReady("i2", "0xi2"))
    stopping = "the bot is stopping: no new order"
    assert (written.rows[0].state, written.rows[0].detail) == (NO_FILL, stopping)
    assert written.rows[0].order_id == "0xi2"
    assert (last.event.state, last.event.reason) == (NO_FILL, stopping)
    assert not machine.lifecycle.may_order(market(4).slug, NOW)
    assert machine.decide(4, "i4")[0] == Write((DecisionEntry(decision(4)),))


def test_stopping_twice_writes_once(machine):
    """Two orders without an answer are one transaction; without any nothing is written."""
    machine.send(1, "i1")
    machine.send(2, "i2")
    (written, *events) = machine.feed(StopRequested())
    assert [entry.intent_id for entry in written.rows] == ["i1", "i2"]
    assert [command.event.intent.intent_id for command in events] == ["i1", "i2"]
    assert machine.feed(StopRequested()) == []


# --- a process that takes over -------------------------------------------------------------------------


def stored(state, intent_id="i1", order_id="0xi1", number=1, **changes):
    wanted = msgspec.structs.replace(
        intent(0, number, created_ns=NOW), intent_id=intent_id, slug=market(number).slug
    )
    return StoredOrder(intent=wanted, state=state, order_id=order_id, market=market(number), **changes)


@pytest.mark.parametrize(
    ("state", "becomes", "reason", "due"),
    [
        (INTENT, NO_FILL, "the bot stopped before the order was signed", None),
        (SENT, UNKNOWN, "the bot stopped before the answer", 7.0),
        (UNKNOWN, UNKNOWN, None, 7.0),
        (MATCHED, MATCHED, None, 7.0),
        (REVERSED, REVERSED, None, 7.0),
        (NO_FILL, NO_FILL, None, 7.0),
        (REFUSED, REFUSED, None, 7.0),
    ],
)
def test_what_a_new_process_makes_of_an_order(machine, state, becomes, reason, due):
    """An order that was signed is looked up at once; a change of state is written and published."""
    old = stored(state, order_id=None if state is INTENT else "0xi1")
    commands = machine.lifecycle.restore([old], NOW + 7 * S)
    assert (machine.state, machine.due) == (becomes, due)
    assert commands == (
        []
        if reason is None
        else [
            Write((row(becomes, reason),)),
            Publish(OrderMoved(intent=old.intent, state=becomes, reason=reason)),
        ]
    )
    assert machine.lifecycle.order_ids == ([] if state is INTENT else ["0xi1"])


def test_a_new_process_changes_several_orders_in_one_transaction(machine):
    """The rows of all of them are written before the first event."""
    states = (SENT, INTENT, SENT, INTENT)
    old = [
        stored(state, f"i{n}", None if state is INTENT else f"0xi{n}", n) for n, state in enumerate(states)
    ]
    commands = machine.lifecycle.restore(old, NOW)
    assert [entry.intent_id for entry in commands[0].rows] == ["i0", "i1", "i2", "i3"]
    assert [command.event.intent.intent_id for command in commands[1:]] == ["i0", "i1", "i2", "i3"]


def test_a_new_process_knows_the_trades_that_are_booked(machine):
    """A recorded status is no change, a later one is; two look-ups determine the total again."""
    booked = (("t", FillStatus.MINED, Decimal("1.1")), ("u", FillStatus.FAILED, Decimal("0.5")))
    machine.lifecycle.restore([stored(MATCHED, trades=booked)], NOW)
    assert machine.feed(trade(FillStatus.MINED)) == []
    assert machine.lifecycle.order_of("0xi1").standing == Decimal("1.1")
    listed = (trade(FillStatus.MINED), trade(FillStatus.FAILED, "0.5", "u"))
    machine.look_up(*listed)
    assert machine.look_up(*listed, at=1) == [SetTotal("i1", Decimal("1.1"))]
    assert machine.feed(trade(FillStatus.CONFIRMED))[0] == Write((FillEntry(fill(), FillStatus.CONFIRMED),))


def test_a_new_process_knows_which_markets_are_settled(machine):
    """An order without a trade ends by its market's result recorded by an earlier process."""
    machine.lifecycle.restore([stored(UNKNOWN, settled=True)], NOW)
    machine.look_up(at=601)
    assert machine.state is NO_FILL


def test_a_new_process_counts_earlier_attempts(machine):
    """Attempts, the reason of a refusal and the last attempt's time come from the ledger."""
    machine.lifecycle.restore([stored(NO_FILL), stored(REFUSED, "i2", "0xi2", detail="closed")], NOW)
    (written, _) = machine.decide(intent_id="i3", at=9)
    assert written.rows[0].decision.detail == "an order in this market was refused: closed"
    free = Machine()
    free.lifecycle.restore([stored(NO_FILL)], NOW)
    assert not free.lifecycle.may_order(ONE, NOW)
    (signed,) = free.decide(intent_id="i2", at=1)
    assert signed.intent.attempt == 2


def test_fewer_attempts_after_a_restart(machine):
    """With a lower ORDER_MAX_ATTEMPTS than the market has orders the message has both numbers."""
    strict = Machine(max_attempts=1)
    strict.lifecycle.restore([stored(NO_FILL), stored(NO_FILL, "i2", "0xi2")], NOW)
    (written, _) = strict.decide(intent_id="i3", at=9)
    assert written.rows[0].decision.detail == (
        "2 orders in this market found no match, ORDER_MAX_ATTEMPTS is 1"
    )


# --- an order that ended without a trade, and the cash ---------------------------------------------------


@pytest.mark.parametrize(
    ("agreed_s", "due"),
    [(None, 7.0), (-1, 7.0), (60, 7.0), (60.000001, None)],
    ids=["never", "before the order", "a minute after it", "later"],
)
@pytest.mark.parametrize("state", [NO_FILL, REFUSED])
def test_a_new_process_looks_up_what_no_check_of_the_cash_covers(machine, state, agreed_s, due):
    """A trade moves the cash within a minute: only a check that agreed later shows that there was none."""
    agreed_ns = 0 if agreed_s is None else NOW + int(agreed_s * S)
    assert machine.lifecycle.restore([stored(state)], NOW + 7 * S, agreed_ns) == []
    assert machine.due == due
    assert bool(machine.lifecycle.incomplete) is (due is not None)
    if due is not None:
        assert machine.feed(TimeReached(), 7) == [LookUp("0xi1", "0xc1", False)]


def test_an_order_that_was_never_signed_is_not_looked_up(machine):
    """It has no hash: the venue cannot have it."""
    machine.lifecycle.restore([stored(REFUSED, order_id=None)], NOW)
    machine.feed(CashCompared(agrees=False))
    assert machine.due is None


def test_a_refused_order_that_was_executed_is_found_by_the_next_process(machine):
    """Its trade is recorded and trading halts; from then on it is looked up as any matched order is."""
    machine.lifecycle.restore([stored(REFUSED, detail="closed")], NOW + 7 * S)
    halt, written, *_ = machine.look_up(trade(), at=7)
    assert halt == Halt(f"the venue traded an order in {ONE} that had ended as refused")
    seen = "seen on the user stream or among the trades"
    assert written == Write((row(MATCHED, seen), FillEntry(fill(), FillStatus.MATCHED)))
    assert (machine.state, machine.due) == (MATCHED, 7.5)


@pytest.mark.parametrize(("age_s", "due"), [(9.999999, 10.499999), (10, None)])
def test_an_empty_list_confirms_the_end_of_an_order_that_is_ten_seconds_old(machine, age_s, due):
    """A younger order may not be listed yet: it is looked up again."""
    machine.lifecycle.restore([stored(REFUSED)], NOW)
    assert machine.look_up(at=age_s) == []
    assert machine.due == due
    assert bool(machine.lifecycle.incomplete) is (due is not None)


@pytest.mark.parametrize("failed", [True, False], ids=["no answer", "unreadable"])
def test_a_look_up_without_a_usable_answer_confirms_nothing(machine, failed):
    """It is repeated after the usual pause."""
    machine.lifecycle.restore([stored(REFUSED)], NOW)
    machine.feed(TimeReached(), 20)
    machine.feed(LookUpFailed("0xi1") if failed else LookedUp("0xi1", unreadable="price 7"), 20)
    assert machine.due == 20.5
    assert machine.lifecycle.incomplete


def test_a_difference_of_the_cash_looks_up_what_ended_since_it_agreed(machine):
    """In the running process too: of two refused orders the one that no check covers."""
    machine.send(1, "i1")
    machine.answer(OutcomeKind.REFUSED)
    machine.feed(CashCompared(agrees=True), 61)
    machine.send(2, "i2", at=70)
    machine.answer(OutcomeKind.REFUSED, intent_id="i2", at=71)
    assert machine.due is None
    assert machine.feed(CashCompared(agrees=False), 100) == []
    assert machine.feed(TimeReached(), 100) == [LookUp("0xi2", "0xc2", False)]
    assert machine.feed(LookedUp("0xi2"), 101) == []
    assert machine.due is None


def test_a_late_answer_ends_no_look_up_of_a_refused_order(machine):
    """The cash differs, so the list decides."""
    machine.unknown()
    machine.feed(OrderWithheld("i1", "simulation"))
    machine.feed(CashCompared(agrees=False), 30)
    machine.answer(OutcomeKind.REFUSED, at=31)
    assert (machine.state, machine.due) == (NO_FILL, 30.0)


@pytest.mark.parametrize("failed", [True, False], ids=["no answer", "no trade"])
def test_an_answer_during_a_look_up_ends_it(machine, failed):
    """The order has ended by its answer: what the look-up then brings schedules no other one."""
    machine.unknown()
    machine.feed(TimeReached())
    machine.answer(OutcomeKind.NO_FILL, at=1)
    machine.feed(LookUpFailed("0xi1") if failed else LookedUp("0xi1"), 2)
    assert (machine.state, machine.due) == (NO_FILL, None)
    assert machine.lifecycle.incomplete == []
