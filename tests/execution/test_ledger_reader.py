"""Queries of the ledger: trades, open positions, values for the limits, and money to the last digit."""

import tempfile
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import (
    NOON_NS,
    buy,
    decision,
    fill,
    intend,
    market,
    open_ledger,
    refusal,
    send,
    settlement,
)

from errors import Fatal
from execution.ledger import FillStatus, LedgerReader, Venue, ledger_path, profile_name
from models import OrderStage, OrderState, Outcome, Reason, Rule, Strike

CHAINLINK = Strike(price=Decimal("65000.123456789"), rule=Rule.TWAP60, source="chainlink_twap60/rtds")
OWN = Strike(price=Decimal("64999.5"), rule=Rule.TWAP60, source="coinbase_mean60")
MIDNIGHT_NS = NOON_NS - 12 * 3600 * 10**9


@pytest.fixture
def path(tmp_path):
    return ledger_path(tmp_path, profile_name(live_path=False, venue=Venue.RECORDED))


@pytest.fixture
def ledger(path):
    with open_ledger(path, note="recorded markets of 2026-09-28") as ledger:
        yield ledger


@pytest.fixture
def reader(ledger, path):
    with LedgerReader(path) as reader:
        yield reader


def test_books_are_apart():
    """Live money has a folder of its own, whatever the venue."""
    assert ledger_path(Path("state"), profile_name(live_path=True, venue=Venue.POLYMARKET)) == Path(
        "state/live/ledger.sqlite"
    )
    assert profile_name(live_path=False, venue=Venue.POLYMARKET) == "polymarket"
    assert profile_name(live_path=True, venue=Venue.SYNTHETIC) == "rehearsal-synthetic"


def test_a_replayed_event_is_the_same_evidence(ledger, reader):
    """Two markets that replay one recording name the same event; without an origin each is its own."""
    for number in (1, 2, 3):
        buy(ledger, number)
        ledger.record_market(market(number, origin="recording-7" if number < 3 else ""))

    assert [trade.event for trade in reader.trades()] == ["recording-7", "recording-7", "0xc3"]


def test_which_orders_are_the_bots_own(ledger, reader):
    """Of some order ids at the venue the ledger returns those that it has, however many are given."""
    for number in (1, 2):
        buy(ledger, number)
    many = [f"0xforeign{number}" for number in range(40_000)]
    assert reader.own_orders(["0xo1-1", *many, "0xo2-1"]) == {"0xo1-1", "0xo2-1"}
    assert reader.own_orders([]) == set()


def test_trade_carries_the_whole_story(ledger, reader):
    """A trade row joins decision, order, fill, market and result."""
    buy(ledger, outcome=Outcome.DOWN)
    ledger.record_settlement(settlement(outcome=Outcome.DOWN))

    (trade,) = reader.trades()

    assert (trade.side, trade.winner, trade.outcome) == (Outcome.DOWN, Outcome.DOWN, "WIN")
    assert (trade.slug, trade.condition_id, trade.rule) == (market().slug, "0xc1", Rule.TWAP60)
    assert (trade.market_start, trade.market_end) == (market().start, market().end)
    assert (trade.score, trade.confidence, trade.p) == (61.5, 0.72, Decimal("0.895"))
    assert (trade.fair, trade.edge, trade.ask, trade.price_cap) == (
        0.91,
        0.004,
        Decimal("0.90"),
        Decimal("0.92"),
    )
    assert (trade.created_ns, trade.filled_ns, trade.settled_ns) == (
        NOON_NS + 10**9,
        NOON_NS + 10**9 + 1,
        NOON_NS + 900 * 10**9,
    )


def test_trades_since(ledger, reader):
    """The period begins with the time of the intent, inclusive."""
    buy(ledger, 1)
    buy(ledger, 2)

    assert [trade.intent_id for trade in reader.trades(NOON_NS + 2 * 10**9)] == ["i2-1"]


def test_decision_comes_back_whole(ledger, reader):
    """A stored decision equals the original, so that it can be replayed."""
    made = decision(history=100)

    assert reader.decision(ledger.record_decision(made)) == made


def test_a_decision_of_an_earlier_version_is_read(tmp_path):
    """Evidence with a removed field, such as the time of a strike, still gives the decision."""
    made = decision(1)
    strike = Strike(price=Decimal(65000), rule=Rule.TWAP60, source="chainlink_twap60/rtds")
    made = msgspec.structs.replace(made, context=msgspec.structs.replace(made.context, strike=strike))
    old = msgspec.json.decode(msgspec.json.encode(made))
    old["context"]["strike"]["recorded_ns"] = 1_795_348_801_000_000_000
    evidence = zlib.compress(msgspec.json.encode(old))
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        number = ledger.record_decision(made)
        ledger._connection.execute("DROP TRIGGER decisions_no_UPDATE")
        ledger._connection.execute("UPDATE decisions SET evidence = ?", (evidence,))
    with LedgerReader(path) as reader:
        assert reader.decision(number) == made


def test_missing_decision(reader):
    """A request for missing evidence is an error with a text."""
    with pytest.raises(Fatal, match="decision 7 is not in the ledger"):
        reader.decision(7)


def test_decisions_are_rows_without_their_evidence(ledger, reader):
    """Decisions come oldest first, optionally from an instant on; a refusal has no ask."""
    for number, reason in enumerate((Reason.NO_ASK, Reason.NO_TREND, Reason.NO_ASK), start=1):
        ledger.record_decision(refusal(number, reason))
    ledger.record_decision(decision(4))

    assert [row.reason for row in reader.decisions()] == [
        *(Reason.NO_ASK, Reason.NO_TREND, Reason.NO_ASK, None)
    ]
    assert [row.reason for row in reader.decisions(NOON_NS + 4)] == [None]
    assert reader.decisions()[0].ask is None


def test_every_reason_and_rule_fits_the_schema(ledger, reader):
    """A reason or rule added to the models without a migration is detected here."""
    for number, reason in enumerate(Reason, start=1):
        ledger.record_decision(refusal(number, reason))
    for number, rule in enumerate(Rule, start=100):
        ledger.record_market(market(number, rule=rule))

    assert {row.reason for row in reader.decisions()} == set(Reason)


def test_every_order_state_fits_the_schema(ledger, reader):
    """Each state of an order can be stored."""
    buy(ledger, 1)
    buy(ledger, 2)
    ledger.record_fill_status("t2-1", FillStatus.FAILED)
    send(ledger, 3)
    for number, state in enumerate((OrderState.NO_FILL, OrderState.REFUSED, OrderState.UNKNOWN), start=4):
        ledger.record_state(send(ledger, number), state)
    intend(ledger, 7)

    states = [row.state for number in range(1, 8) for row in reader.attempts(market(number).slug)]
    assert sorted(states) == sorted(OrderState)


def test_pending_settlements(ledger, reader):
    """Bought and possibly bought markets wait for a result; markets without orders, or with ended ones, do
    not."""
    buy(ledger, 3)
    send(ledger, 2)
    ledger.record_state(send(ledger, 4), OrderState.NO_FILL)
    ledger.record_market(market(5))
    buy(ledger, 6)
    ledger.record_settlement(settlement(6))

    assert reader.pending_settlements() == [market(2).slug, market(3).slug]


def test_open_intents_include_what_a_crash_left(ledger, reader):
    """An intent without an order id is in the list of open intents."""
    intend(ledger)

    (row,) = reader.open_intents()

    assert (row.state, row.order_id, row.intent.intent_id) == (OrderState.INTENT, None, "i1-1")


def test_stored_orders_are_what_a_restart_needs(ledger, reader):
    """Of an unsettled market all orders; of a settled one those that may move money or are not final."""
    buy(ledger, 1)  # not settled
    for number in (2, 3, 4, 5, 6):
        buy(ledger, number) if number < 4 else send(ledger, number)
        ledger.record_settlement(settlement(number))
    ledger.record_fill_status("t2-1", FillStatus.CONFIRMED)  # final: nothing is left to look up
    ledger.record_state("i4-1", OrderState.UNKNOWN)  # settled while its end was unknown
    ledger.record_state("i5-1", OrderState.MATCHED)  # its fill was never recorded
    ledger.record_state("i6-1", OrderState.NO_FILL)  # ended, and no check of the cash covers it
    ledger.record_state(send(ledger, 7), OrderState.NO_FILL)  # counts as an attempt while its market runs

    stored = {order.intent.intent_id: order for order in reader.stored_orders()}

    assert list(stored) == ["i1-1", "i3-1", "i4-1", "i5-1", "i6-1", "i7-1"]
    assert [order.settled for order in stored.values()] == [False, True, True, True, True, False]
    assert stored["i3-1"].trades == (("t3-1", FillStatus.MATCHED, Decimal("1.1")),)
    assert stored["i4-1"].market == market(4)


def test_what_ended_without_a_trade_is_restored_until_the_cash_agrees(ledger, reader):
    """If it was signed, also in a settled market: the venue may have executed an order that it refused."""
    for number, age_s in ((1, 300), (2, 0)):
        intent_id = send(ledger, number, created_ns=NOON_NS - age_s * 10**9)
        ledger.record_state(intent_id, OrderState.REFUSED)
        ledger.record_settlement(settlement(number))
    ledger.record_state(intend(ledger, 3), OrderState.REFUSED)  # never signed
    ledger.record_settlement(settlement(3))

    assert reader.cash_agreed_ns() == 0
    assert [order.intent.intent_id for order in reader.stored_orders()] == ["i1-1", "i2-1"]

    agreed = ledger.record_cash_check(Decimal("1000.00001"))
    ledger.record_cash_check(Decimal("1000.00002"))

    assert reader.cash_agreed_ns() == agreed.ts_ns
    assert [order.intent.intent_id for order in reader.stored_orders()] == ["i2-1"]


def test_markets_come_back_as_they_were(ledger, reader):
    """A market that waits for its result equals the recorded one, with its newest tick."""
    buy(ledger)
    finer = market(tick=Decimal("0.001"))
    ledger.record_market(finer)

    assert reader.pending_markets() == [finer]
    assert reader.settled_markets() == 0

    ledger.record_settlement(settlement())

    assert reader.pending_markets() == []
    assert reader.settled_markets() == 1


def test_balance_and_its_peak(ledger, reader, path):
    """The balance follows the results in their order; the peak stays after a loss, also in the next run."""
    assert reader.balances() == (1000, 1000)
    buy(ledger, 1)
    buy(ledger, 2)
    ledger.record_settlement(settlement(1, Outcome.DOWN, NOON_NS + 2))
    ledger.record_settlement(settlement(2, Outcome.UP, NOON_NS + 1))

    assert reader.market_pnl(market(2).slug) == Decimal("0.10307")
    assert reader.market_pnl(market(3).slug) is None
    assert reader.settled_pnl() == Decimal("-0.89386")
    ledger.close()
    with open_ledger(path):
        assert reader.balances() == (Decimal("999.10614"), Decimal("1000.10307"))


class TestOrderTraces:
    """The times of the steps of an order."""

    def test_of_every_order_oldest_first(self, ledger, reader):
        """Stages come in the order of the path whatever the order of their rows; missing ones are missing."""
        for number in (2, 1, 3):
            buy(ledger, number)
        ledger.record_trace("i2-1", {OrderStage.POSTED: 4_000_000, OrderStage.QUOTE: 0, OrderStage.SIGNED: 7})
        ledger.record_trace("i1-1", {OrderStage.QUOTE: 0, OrderStage.RECORDED: 5})

        first, second = reader.order_traces()

        assert (first.intent_id, first.slug) == ("i1-1", market(1).slug)
        assert list(first.stages.items()) == [("quote", 0), ("recorded", 5)]
        assert (second.intent_id, second.created_ns) == ("i2-1", NOON_NS + 2 * 10**9)
        assert list(second.stages.items()) == [("quote", 0), ("signed", 7), ("posted", 4_000_000)]
        assert reader.order_traces(NOON_NS + 2 * 10**9) == [second]

    def test_the_first_record_stays(self, ledger, reader):
        """A second trace of an order writes nothing."""
        buy(ledger)
        assert ledger.record_trace("i1-1", {OrderStage.QUOTE: 0})
        assert not ledger.record_trace("i1-1", {OrderStage.QUOTE: 1, OrderStage.POSTED: 2})
        assert reader.order_traces()[0].stages == {OrderStage.QUOTE: 0}


class TestPositions:
    """Positions without a result, at their market price."""

    def test_marked_at_the_chance_of_its_side(self, ledger, reader):
        """Up is worth shares × p, Down shares × (1 − p); the newest mark counts."""
        buy(ledger, 1, shares="1.1", price="0.9", fee="0.00693")
        buy(ledger, 2, outcome=Outcome.DOWN, shares="1.25", price="0.8", fee="0.014")
        for number, p in ((1, "0.5"), (2, "0.3"), (1, "0.97")):
            ledger.record_mark(market(number).slug, 850.0, Decimal(p))

        up, down = reader.positions()

        assert (up.chance, up.value, up.unrealised) == (
            Decimal("0.97"),
            Decimal("1.067"),
            Decimal("1.067") - Decimal("0.99") - Decimal("0.00693"),
        )
        assert (down.chance, down.value) == (Decimal("0.7"), Decimal("0.875"))
        assert up.mark.second == 850.0

    def test_a_mark_is_in_no_result(self, ledger, reader):
        """P&L, cash, balance and limits are independent of marks."""

        def results():
            return reader.settled_pnl(), reader.cash_flow(), reader.balances(), reader.risk_figures(0)

        buy(ledger)
        before = results()
        ledger.record_mark(market().slug, 850.0, Decimal("0.01"))

        assert results() == before

    def test_no_price_no_value(self, ledger, reader):
        """A position that was never marked has no value."""
        buy(ledger)

        (position,) = reader.positions()

        assert (position.mark, position.value, position.unrealised) == (None, None, None)

    def test_a_settlement_closes_the_position(self, ledger, reader):
        """A settled trade is a result, a failed one nothing: neither is a position."""
        for number in (1, 2, 3):
            buy(ledger, number)
        ledger.record_settlement(settlement(1))
        ledger.record_fill_status("t2-1", FillStatus.FAILED)

        assert [position.trade.slug for position in reader.positions()] == [market(3).slug]

    def test_survives_a_restart(self, ledger, path):
        """Marks and the reason of a delay are available to the next process."""
        buy(ledger)
        ledger.record_mark(market().slug, 899.0, Decimal("0.995"))
        ledger.record_delay(market().slug, "the resolution is disputed")
        ledger.close()

        with open_ledger(path), LedgerReader(path) as reader:
            (position,) = reader.positions()
        assert (position.chance, position.delay) == (Decimal("0.995"), "the resolution is disputed")

    def test_end_of_the_market_on_the_machine_s_clock(self, ledger, reader):
        """Decided at second 790.5 on a clock 15 times as fast: it ends 7.3 seconds later."""
        buy(ledger)

        (trade,) = reader.trades()

        assert trade.end_ns - (NOON_NS + 1) == pytest.approx(109.5 / 15 * 1e9, abs=1e3)


class TestRiskFigures:
    def test_unknown_order_counts_at_its_worst(self, ledger, reader):
        """An unknown $1 order costs a dollar and the highest possible fee on a dollar: 7 %."""
        ledger.record_state(send(ledger), OrderState.UNKNOWN)

        figures = reader.risk_figures(MIDNIGHT_NS)

        assert (figures.unsettled, figures.open_positions) == (Decimal("1.07"), 1)

    def test_unsettled_trade_counts_as_lost(self, ledger, reader):
        """A position without a result counts as minus cost and fee."""
        buy(ledger)

        figures = reader.risk_figures(MIDNIGHT_NS)

        assert (figures.realised, figures.unsettled) == (0, Decimal("0.99693"))
        assert figures.day_pnl == Decimal("-0.99693")

    def test_partly_filled_order_in_flight_is_not_counted_twice(self, ledger, reader):
        """While the venue's answer is missing, the order's worst case covers the fills seen so far."""
        send(ledger)
        ledger.record_fill(fill(shares="0.5"))

        assert reader.risk_figures(MIDNIGHT_NS).unsettled == Decimal("1.07")

    def test_only_today_is_realised(self, ledger, reader):
        """A loss settled before midnight does not count against today's limit."""
        buy(ledger, 1)
        ledger.record_settlement(settlement(1, Outcome.DOWN, MIDNIGHT_NS - 1))
        buy(ledger, 2)
        ledger.record_settlement(settlement(2, Outcome.UP, MIDNIGHT_NS))

        assert reader.risk_figures(MIDNIGHT_NS).realised == Decimal("0.10307")

    def test_same_instant(self, ledger, reader):
        """A match written between two queries of a snapshot is in neither result."""
        send(ledger)
        with reader.snapshot():
            before = reader.risk_figures(MIDNIGHT_NS)
            ledger.record_fill(fill())
            ledger.record_state("i1-1", OrderState.MATCHED)
            assert reader.risk_figures(MIDNIGHT_NS) == before
            assert reader.trades() == []

        assert len(reader.trades()) == 1


def test_empty_ledger_answers(tmp_path):
    """A ledger without a run has no trades, no cash and no last rows."""
    from execution.ledger.writer import Ledger

    path = tmp_path / "ledger.sqlite"
    with Ledger(path), LedgerReader(path) as reader:
        assert reader.trades() == []
        assert reader.last_run() is None
        assert reader.decisions() == []
        assert reader.cash_flow() is None
        assert reader.last_cash_check() is None
        assert reader.risk_figures(0).open_positions == 0


cents = st.decimals("0.01", "0.99", places=2)
trade = st.tuples(
    st.decimals("0.0001", "250", places=4),
    cents,
    st.decimals("0", "5", places=5),
    st.sampled_from(Outcome),
    st.sampled_from(Outcome),
    st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(trade, min_size=1, max_size=5))
def test_sum_of_pnl_is_change_of_cash(trades):
    """Whatever is bought, lost, won or reversed: P&L and cash agree to the last digit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with open_ledger(path) as ledger, LedgerReader(path) as reader:
            for number, (shares, price, fee, side, winner, fails) in enumerate(trades, start=1):
                buy(ledger, number, outcome=side, shares=str(shares), price=str(price), fee=str(fee))
                if fails:
                    ledger.record_fill_status(f"t{number}-1", FillStatus.FAILED)
                ledger.record_settlement(settlement(number, winner, NOON_NS + number))
            for slug, amount in reader.claimable().items():
                ledger.record_redemption(slug, amount)

            flow, results = reader.cash_flow(), [trade.pnl for trade in reader.trades()]

            assert flow.cash - flow.starting == sum(results) == reader.settled_pnl()
            assert reader.balances() == (flow.cash, max(accumulate(results, initial=flow.starting)))
            assert flow.claimable == 0
            assert ledger.record_cash_check(flow.cash).difference == 0


def test_time_of_the_fixture():
    """The fixtures' noon is at 12:00 UTC."""
    assert datetime.fromtimestamp(NOON_NS // 10**9, UTC).isoformat() == "2026-09-28T12:00:00+00:00"


def test_strikes_come_back_as_they_were(ledger, reader):
    """Chainlink's with its time and our own without one, in their order, and of that market only."""
    ledger.record_strike(market(1).slug, OWN, None)
    ledger.record_strike(market(1).slug, CHAINLINK, 1_790_597_700_000_000_000)
    ledger.record_strike(market(2).slug, OWN, None)

    assert [(row.strike, row.source_ns) for row in reader.strikes(market(1).slug)] == [
        (OWN, None),
        (CHAINLINK, 1_790_597_700_000_000_000),
    ]
    assert reader.strikes(market(3).slug) == []


def test_a_strike_belongs_to_its_account(ledger, reader, path):
    """A practice account that starts over has the slugs of the one before, and not its strikes."""
    ledger.record_strike(market(1).slug, OWN, None)
    ledger.close()
    with open_ledger(path, session="0xnew") as later:
        assert reader.strikes(market(1).slug) == []
        later.record_strike(market(1).slug, CHAINLINK, 7)
        assert [row.strike for row in reader.strikes(market(1).slug)] == [CHAINLINK]


def test_decided_markets_wait_for_their_result(ledger, reader):
    """A market with a vote and without a result, from the wanted start on; bought or not."""
    ledger.record_decision(decision(1, reason=Reason.DISAGREEMENT))
    ledger.record_decision(decision(2, reason=Reason.DISAGREEMENT))
    buy(ledger, 3)
    ledger.record_decision(decision(4, reason=Reason.DISAGREEMENT))
    ledger.record_settlement(settlement(4))
    unvoted = msgspec.structs.replace(decision(5, reason=Reason.STALE_DATA), fused=None, votes=())
    ledger.record_decision(unvoted)
    ledger.record_market(market(6))

    assert reader.decided_markets(market(2).start) == [market(2), market(3)]
    assert reader.decided_markets(market(4).start) == []
