"""The ledger's methods: what each stores, what it refuses, and what it ignores as no change."""

import sqlite3
import sys
from contextlib import closing
from decimal import Decimal

import msgspec
import pytest
from ledger_builders import (
    NOON_NS,
    buy,
    clock,
    decision,
    fill,
    intent,
    market,
    open_ledger,
    send,
    settlement,
    v2_market,
)

from errors import Fatal, Refused
from events import TermsChanged
from execution.ledger import FillStatus, LedgerReader, Mode, Venue
from execution.ledger.writer import Ledger
from execution.order_records import OrderEntry, StateEntry
from models import OrderState, Outcome, ProtocolVersion, Reason, Split, TradeOutcome


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recorded" / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with open_ledger(path) as ledger:
        yield ledger


@pytest.fixture
def reader(ledger, path):
    with LedgerReader(path) as reader:
        yield reader


def state_of(reader, number=1):
    return [row.state for row in reader.attempts(market(number).slug)]


def history(path):
    """All state changes, as (state, detail)."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT state, detail FROM order_states ORDER BY id").fetchall()
    finally:
        connection.close()


def test_an_order_in_a_v2_market_has_its_version_and_position(ledger, reader, path):
    """Intent, market, stored order and trade have them after a restart; a v1 order has no position."""
    bought, made = v2_market(2), decision(2)
    made = msgspec.structs.replace(made, context=msgspec.structs.replace(made.context, market=bought))
    wanted = msgspec.structs.replace(intent(0, 2), token_id=bought.up_token, version=ProtocolVersion.V2)
    send(ledger, 1)
    ledger.write([OrderEntry(made, wanted, "0xo2-1", OrderState.SENT)])
    ledger.record_fill(fill(2))
    stored = {order.intent.slug: order for order in reader.stored_orders()}
    assert stored[bought.slug].market == bought
    assert stored[bought.slug].intent.position_id == bought.up_token == str((1 << 248) + (2 << 104))
    assert stored[market(1).slug].intent.position_id is None
    assert [trade.version for trade in reader.trades()] == ["v2"]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT version, position_id FROM intents ORDER BY intent_id").fetchall() == [
            ("v1", None),
            ("v2", bought.up_token),
        ]
        for change in ("version = 'v3'", "position_id = '1'", "position_id = NULL", "version = 'v1'"):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                db.execute(f"UPDATE intents SET {change} WHERE intent_id = 'i2-1'")


class TestOneMarketOnce:
    @pytest.mark.parametrize(
        "state", [OrderState.SENT, OrderState.UNKNOWN, OrderState.MATCHED, OrderState.REVERSED]
    )
    def test_living_intent_blocks_the_market(self, ledger, reader, state):
        """A second intent is refused while the first may have spent money, and also after a reversal."""
        intent_id = send(ledger)
        if state is OrderState.REVERSED:
            ledger.record_state(intent_id, OrderState.MATCHED)
        if state is not OrderState.SENT:
            assert ledger.record_state(intent_id, state)

        with pytest.raises(Refused, match=f"i1-1 in state {state}"):
            send(ledger, attempt=2)

        assert state_of(reader) == [state]

    @pytest.mark.parametrize("state", [OrderState.NO_FILL, OrderState.REFUSED])
    def test_a_closed_intent_allows_another_attempt(self, ledger, reader, state):
        """After a clean no-fill or a refusal the market may be tried again."""
        ledger.record_state(send(ledger), state)

        send(ledger, attempt=2)

        assert state_of(reader) == [state, OrderState.SENT]

    def test_the_file_itself_enforces_it(self, ledger, path):
        """The database itself rejects a second active intent, without the check in the code."""
        send(ledger)
        connection = sqlite3.connect(path)
        try:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(intents)")]
            copied = ", ".join({"intent_id": "'other'", "order_id": "'0xother'"}.get(c, c) for c in columns)
            with pytest.raises(sqlite3.IntegrityError, match=r"intents.session, intents.slug"):
                connection.execute(f"INSERT INTO intents SELECT {copied} FROM intents")
        finally:
            connection.close()

    def test_survives_a_restart(self, ledger, path):
        """The block also holds for the next process that opens the file."""
        send(ledger)
        ledger.close()

        with open_ledger(path) as again, pytest.raises(Refused):
            send(again, attempt=2)

    def test_a_fresh_practice_account_may_trade_the_recorded_market_again(self, ledger, path):
        """Another session is another account: the same slug is free there, and its money separate."""
        buy(ledger)
        ledger.close()

        with open_ledger(path, session="venue-2") as again, LedgerReader(path) as reader:
            assert reader.traded_slugs() == frozenset()
            send(again, attempt=2)
            assert reader.traded_slugs() == {market().slug}
            assert reader.cash_flow().cash == 1000
            assert reader.cash_flow(session="").cash < 1000

    @pytest.mark.parametrize(
        ("mode", "venue"), [(Mode.LIVE, Venue.POLYMARKET), (Mode.SIMULATION, Venue.POLYMARKET)]
    )
    def test_polymarket_has_one_session_for_ever(self, path, mode, venue):
        """No caller can free a real market for a second purchase by naming a new session."""
        with Ledger(path) as ledger, pytest.raises(Fatal, match="session"):
            ledger.open_run(
                mode=mode, venue=venue, clock_speed=1, starting_cash=Decimal(5), session="another"
            )


class TestOrders:
    def test_decision_intent_and_hash_are_one_transaction(self, ledger, reader, path):
        """An order's three rows are in the file together, or none is: a second order leaves none."""
        send(ledger)
        with pytest.raises(Refused):
            send(ledger, attempt=2)

        assert [row.id for row in reader.decisions()] == [1]
        assert [intent.decision_id for intent in (row.intent for row in reader.attempts(market().slug))] == [
            1
        ]
        (row,) = reader.open_intents()
        assert (row.state, row.order_id) == (OrderState.SENT, "0xo1-1")

    def test_late_unknown_does_not_undo_a_match(self, ledger, reader):
        """A timeout that arrives after the match changes nothing."""
        intent_id = buy(ledger)

        assert not ledger.record_state(intent_id, OrderState.UNKNOWN, "timeout")

        assert state_of(reader) == [OrderState.MATCHED]

    def test_unknown_is_resolved(self, ledger, reader):
        """An unknown order leaves the list of unknown ones when the venue has answered."""
        intent_id = send(ledger)
        ledger.record_state(intent_id, OrderState.UNKNOWN, "HTTP 503")
        assert [row.detail for row in reader.open_intents()] == ["HTTP 503"]

        assert ledger.record_state(intent_id, OrderState.NO_FILL, "not in /data/order")

        assert reader.open_intents() == []

    def test_history_is_complete_and_cannot_be_rewritten(self, ledger, path):
        """Each state change is a row of its own that SQLite refuses to change or delete."""
        buy(ledger)

        assert [state for state, _ in history(path)] == ["intent", "sent", "matched"]
        connection = sqlite3.connect(path)
        try:
            for statement in ("UPDATE order_states SET detail = ''", "DELETE FROM order_states"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    connection.execute(statement)
        finally:
            connection.close()

    def test_unknown_intent_id(self, ledger):
        """A state of an order without an intent stops the bot instead of being lost."""
        with pytest.raises(Fatal, match="i9-1 is not in the ledger"):
            ledger.record_state("i9-1", OrderState.MATCHED)

    def test_entries_of_one_write_are_all_or_nothing(self, ledger, reader):
        """When one entry of a transaction cannot be stored, the others are not stored either."""
        intent_id = send(ledger)

        with pytest.raises(Fatal, match="i9-1 is not in the ledger"):
            ledger.write(
                [StateEntry(intent_id, OrderState.MATCHED, ""), StateEntry("i9-1", OrderState.MATCHED, "")]
            )

        assert state_of(reader) == [OrderState.SENT]


class TestFills:
    def test_duplicate_trade_is_ignored(self, ledger, reader):
        """The same trade from stream and from REST counts once."""
        send(ledger)

        assert ledger.record_fill(fill())
        assert not ledger.record_fill(fill())

        assert reader.trades()[0].shares == Decimal("1.1")

    def test_parts_add_up(self, ledger, reader):
        """An order filled in two trades is one position at its average price."""
        send(ledger)
        ledger.record_fill(fill(part=1, shares="0.5", price="0.90", fee="0.00315"))
        ledger.record_fill(fill(part=2, shares="0.5", price="0.92", fee="0.00258"))

        (trade,) = reader.trades()

        assert (trade.shares, trade.cost, trade.price, trade.fee) == (
            Decimal("1.0"),
            Decimal("0.910"),
            Decimal("0.91"),
            Decimal("0.00573"),
        )

    def test_status_moves_only_forward(self, ledger):
        """Late and repeated status messages change nothing; a final status stays."""
        send(ledger)
        ledger.record_fill(fill())

        assert ledger.record_fill_status("t1-1", FillStatus.CONFIRMED)
        assert not ledger.record_fill_status("t1-1", FillStatus.MINED)
        assert not ledger.record_fill_status("t1-1", FillStatus.CONFIRMED)
        assert not ledger.record_fill_status("t1-1", FillStatus.FAILED)

    def test_failed_on_chain_reverses_everything(self, ledger, reader):
        """A failed fill leaves trades, cash and exposure, the order is REVERSED, the market stays closed."""
        before = reader.cash_flow().cash
        buy(ledger)
        assert reader.cash_flow().cash < before

        ledger.record_fill_status("t1-1", FillStatus.FAILED)

        assert reader.trades() == []
        assert reader.cash_flow().cash == before
        assert reader.risk_figures(0).unsettled == 0
        assert state_of(reader) == [OrderState.REVERSED]
        assert reader.traded_slugs() == {market().slug}

    def test_one_of_two_fills_failing_keeps_the_other(self, ledger, reader):
        """A partly failed order stays a smaller position."""
        intent_id = send(ledger)
        ledger.record_fill(fill(part=1, shares="0.5"))
        ledger.record_fill(fill(part=2, shares="0.6"))
        ledger.record_state(intent_id, OrderState.MATCHED)

        ledger.record_fill_status("t1-2", FillStatus.FAILED)

        assert reader.trades()[0].shares == Decimal("0.5")
        assert state_of(reader) == [OrderState.MATCHED]

    def test_late_fill_revives_a_dead_order(self, ledger, reader):
        """A fill reported after the order was recorded as ended is money: the market counts as traded."""
        ledger.record_state(send(ledger), OrderState.NO_FILL)

        assert ledger.record_fill(fill())

        assert state_of(reader) == [OrderState.MATCHED]
        assert reader.traded_slugs() == {market().slug}

    def test_late_fill_beside_a_living_order_is_counted_and_written_down(self, ledger, reader, path):
        """If the market was bought again meanwhile, both fills count and the history contains that."""
        ledger.record_state(send(ledger), OrderState.NO_FILL)
        buy_again = send(ledger, attempt=2)
        ledger.record_fill(fill(part=2, attempt=2))
        ledger.record_state(buy_again, OrderState.MATCHED)

        assert ledger.record_fill(fill(part=1, attempt=1))

        assert len(reader.trades()) == 2
        assert state_of(reader) == [OrderState.NO_FILL, OrderState.MATCHED]
        assert history(path)[-1] == ("no_fill", "matched after i1-2 took the market: bought twice")

    @pytest.mark.parametrize(
        "wrong", [fill(outcome=Outcome.DOWN), fill(price="1.5"), fill(shares="0"), fill(shares="-1")]
    )
    def test_impossible_fill_is_refused(self, ledger, reader, wrong):
        """A fill of the other side, of no shares or at no price is not written at all."""
        send(ledger)

        with pytest.raises(Fatal, match="contradicts"):
            ledger.record_fill(wrong)

        assert reader.trades() == []

    def test_fill_status_of_an_unknown_trade(self, ledger):
        """A status for a trade that the ledger does not have is an error, not ignored."""
        with pytest.raises(Fatal, match="t9-9 is not in the ledger"):
            ledger.record_fill_status("t9-9", FillStatus.MINED)


class TestSettlement:
    def test_win_and_loss(self, ledger, reader):
        """A share pays one when its side won and nothing otherwise; P&L includes the fee in both cases."""
        buy(ledger, 1)
        buy(ledger, 2, outcome=Outcome.DOWN)
        for number in (1, 2):
            assert ledger.record_settlement(settlement(number))
            assert not ledger.record_settlement(settlement(number))

        won, lost = reader.trades()

        assert (won.outcome, won.payout, won.pnl) == ("WIN", Decimal("1.1"), Decimal("0.10307"))
        assert (lost.outcome, lost.payout, lost.pnl) == ("LOSS", Decimal(0), Decimal("-0.99693"))

    def test_a_market_without_a_winner(self, ledger, path):
        """Each share pays its part, rounded down to a millionth; the result is read as it was recorded."""
        buy(ledger, shares="1.111111", price="0.9", fee="0.00700")
        halves = Split(up=Decimal("0.5"), down=Decimal("0.5"))
        booked = msgspec.structs.replace(settlement(), outcome=None, split=halves, reason="seen")
        assert ledger.record_settlement(booked)
        assert not ledger.record_settlement(booked)
        with LedgerReader(path) as reader:
            assert reader.settlement(market().slug) == booked
            (trade,) = reader.trades()
            # 1.111111 × 0.9 = 0.9999999, paid out 1.111111 × 0.5 = 0.5555555.
            assert (trade.payout, trade.pnl) == (Decimal("0.555555"), Decimal("-0.451444"))
            assert (trade.winner, trade.outcome) == (None, TradeOutcome.LOSS)
            assert reader.settled_pnl() == Decimal("-0.451444")
            assert reader.claimable() == {market().slug: Decimal("0.555555")}
            assert reader.cash_flow().payouts == Decimal("0.555555")
            assert reader.positions() == []
        with pytest.raises(Fatal, match=r"no outcome won: Up pays 0\.5, Down 0\.5, and is by gamma: Up won"):
            ledger.record_settlement(settlement())

    def test_contradiction_stops_the_bot(self, ledger):
        """A venue that changes its result stops the bot until a person has checked it."""
        buy(ledger)
        ledger.record_settlement(settlement())

        with pytest.raises(Fatal, match="was settled by gamma, Up won, and is by gamma: Down won"):
            ledger.record_settlement(settlement(outcome=Outcome.DOWN))

    def test_market_with_other_tokens_stops_the_bot(self, ledger):
        """The same slug with swapped tokens would buy the wrong side."""
        ledger.record_market(market())

        with pytest.raises(Fatal, match=r"was .* before"):
            ledger.record_market(market(up_token="12", down_token="11"))

    def test_tick_may_change(self, ledger):
        """A finer tick near the end of a market is allowed."""
        ledger.record_market(market())
        ledger.record_market(market(tick=Decimal("0.001")))

    def test_a_decision_stores_its_market_unless_it_is_stored_so(self, ledger, reader):
        """A market that was not recorded, a changed tick, one with other tokens: by the decision alone."""
        made = decision()
        since = made.context.market.start
        fine = msgspec.structs.replace(made.context.market, tick=Decimal("0.001"))
        other = msgspec.structs.replace(made.context.market, up_token="12", down_token="11")

        def decide(traded):
            context = msgspec.structs.replace(made.context, market=traded)
            ledger.record_decision(msgspec.structs.replace(made, context=context))

        decide(made.context.market)
        assert reader.markets_since(since) == [made.context.market]
        ledger.record_market(made.context.market)
        decide(made.context.market)
        decide(fine)
        assert reader.markets_since(since) == [fine]
        with pytest.raises(Fatal, match=r"was .* before"):
            decide(other)

    def test_the_markets_of_fifteen_series_are_known_to_be_stored(self, ledger):
        """A start records five of each; an order in any of them stores its decision without the market."""
        for number in range(75):
            ledger.record_market(market(number))
        statements = []
        ledger._connection.set_trace_callback(statements.append)
        ledger.record_decision(decision(0))
        assert [text for text in statements if "INTO decisions" in text]
        assert not [text for text in statements if "markets" in text]


class TestMarksAndDelays:
    @pytest.mark.parametrize("p", ["1.01", "-0.1", "NaN"])
    def test_no_chance(self, ledger, p):
        """A price that is not a probability is refused."""
        ledger.record_market(market())
        with pytest.raises(Fatal, match="cannot be written"):
            ledger.record_mark(market().slug, 800.0, Decimal(p))

    def test_a_delay_is_written_when_it_is_news(self, ledger, path):
        """The same reason again is not written; another one, and the first one after it, are."""
        ledger.record_market(market())
        written = [ledger.record_delay(market().slug, why) for why in ("open", "open", "disputed", "open")]

        assert written == [True, False, True, True]

    def test_nothing_is_rewritten(self, ledger, path):
        """Marks and delays are append-only."""
        buy(ledger)
        ledger.record_mark(market().slug, 800.0, Decimal("0.9"))
        ledger.record_delay(market().slug, "disputed")
        for statement in ("UPDATE marks SET p = '1'", "DELETE FROM marks", "DELETE FROM delays"):
            connection = sqlite3.connect(path)
            with closing(connection), pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


class TestHalts:
    def test_a_halt_is_one_until_it_is_lifted(self, ledger):
        """An active halt is not written again by the next process; what is not active cannot be removed."""
        written = [
            ledger.record_resume("nothing"),
            ledger.record_halt("three refusals"),
            ledger.record_halt("three refusals (since noon)"),
            ledger.record_resume("three refusals"),
            ledger.record_resume("three refusals"),
            ledger.record_halt("another"),
        ]

        assert written == [False, True, False, True, False, True]


class TestCash:
    def test_account_from_stake_to_redemption(self, ledger, reader):
        """Cash decreases by cost and fee, the payout is owed, and is received with the redemption, once."""
        buy(ledger)
        ledger.record_settlement(settlement())
        assert reader.cash_flow().cash == Decimal("999.00307")
        assert reader.claimable() == {market().slug: Decimal("1.1")}

        assert ledger.record_redemption(market().slug, Decimal("1.1"))
        assert not ledger.record_redemption(market().slug, Decimal("1.1"))

        assert reader.cash_flow().cash == Decimal("1000.10307")
        assert reader.claimable() == {}
        assert reader.cash_flow().claimable == 0

    def test_check_keeps_both_and_the_difference(self, ledger, reader):
        """The comparison with the venue's balance is stored to the last digit."""
        buy(ledger)

        check = ledger.record_cash_check(Decimal("999.00300"))

        assert check.difference == Decimal("-0.00007")
        assert reader.last_cash_check() == check

    def test_deposit_between_runs_is_drift(self, ledger, reader, path):
        """A balance that changed while the bot was stopped is recorded as drift, not as P&L."""
        ledger.close()

        with open_ledger(path, cash="1250"):
            assert reader.cash_flow().drift == 250
            assert reader.cash_flow().cash == 1250

    @pytest.mark.parametrize("state", [OrderState.UNKNOWN, OrderState.MATCHED])
    def test_no_drift_while_an_order_is_unknown(self, state, ledger, reader, path):
        """A lower balance because of an unknown order, or an unrecorded fill, is not a withdrawal."""
        ledger.record_state(send(ledger), state)
        ledger.close()

        with open_ledger(path, cash="999"):
            assert reader.cash_flow().drift == 0

    def test_a_refused_order_is_looked_up_before_a_difference_is_drift(self, ledger, reader, path):
        """The venue may have executed it: the difference is stored afterwards, as drift, or is its fill."""
        ledger.record_state(send(ledger), OrderState.REFUSED)
        ledger.close()

        with open_ledger(path, cash="999.00307") as second:
            assert second.drift_is_open
            assert reader.cash_flow().drift == 0
        with open_ledger(path, cash="999.00307") as third:
            third.book_drift()
            assert reader.cash_flow().drift == Decimal("-0.99693")
            assert not third.drift_is_open

    def test_a_fill_that_was_found_is_no_drift(self, ledger, reader, path):
        """The order that explains the difference was found before it is stored."""
        ledger.record_state(send(ledger), OrderState.REFUSED)
        ledger.close()

        with open_ledger(path, cash="999.00307") as second:
            second.record_fill(fill())
            second.book_drift()
            assert reader.cash_flow().cash == Decimal("999.00307")
            assert reader.last_run().cash_drift == 0

    def test_an_order_that_the_cash_confirmed_leaves_no_question(self, ledger, reader, path):
        """A check of the cash agreed after it ended: the difference is a deposit."""
        ledger.record_state(send(ledger, created_ns=NOON_NS - 3600 * 10**9), OrderState.REFUSED)
        ledger.record_cash_check(Decimal(1000))
        ledger.close()

        with open_ledger(path, cash="1250") as second:
            assert not second.drift_is_open
            assert reader.cash_flow().drift == 250

    def test_no_drift_while_a_position_is_open(self, ledger, reader, path):
        """A position paid out while the bot was stopped is not a deposit: its settlement records it."""
        buy(ledger)
        ledger.close()

        with open_ledger(path, cash="1000.5"):
            assert reader.cash_flow().drift == 0

    @pytest.mark.parametrize("amount", ["NaN", "Infinity"])
    def test_no_amount(self, ledger, amount):
        """Not-a-number is never written to the file."""
        with pytest.raises(Fatal, match="is not an amount"):
            ledger.record_cash_check(Decimal(amount))


class TestRuns:
    def test_nothing_without_a_run(self, path):
        """A write outside a run is an error with a text."""
        with Ledger(path, clock()) as ledger, pytest.raises(Fatal, match="no run is open"):
            ledger.record_decision(decision())

    def test_paper_and_live_never_share_a_file(self, ledger, path):
        """A file with paper runs refuses a live one."""
        with pytest.raises(Fatal, match="keeps simulation runs on recorded, not live on polymarket"):
            ledger.open_run(mode=Mode.LIVE, venue=Venue.POLYMARKET, clock_speed=1, starting_cash=Decimal(10))

    def test_end_of_a_run(self, ledger, reader):
        """A run that stopped normally has an end; one that crashed has none."""
        assert reader.last_run().ended_ns is None

        ledger.close_run()

        assert reader.last_run().ended_ns > reader.last_run().started_ns


# --- terms of the markets --------------------------------------------------------------------------


def test_terms_are_stored_when_they_change(tmp_path):
    """The first value of a term is a row and no change; the same value is no row; another one is a change."""
    first, second, third = (market(number).slug for number in (1, 2, 3))
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in (1, 2, 3):
            ledger.record_market(market(number))
        assert ledger.record_terms(first, {"fee_rate": "0.07", "tick": "0.01"}) == []
        assert ledger.record_terms(second, {"fee_rate": "0.07", "tick": "0.01", "taker_delay": "true"}) == []
        (change,) = ledger.record_terms(third, {"fee_rate": "0.072", "tick": "0.01", "taker_delay": "true"})
        assert change == TermsChanged(
            slug=third, term="fee_rate", value="0.072", before="0.07", before_slug=first
        )
        assert ledger.record_terms(third, {"fee_rate": "0.072"}) == []
        rows = ledger._connection.execute(
            "SELECT slug, term, value, before, before_slug FROM terms"
        ).fetchall()
    assert rows == [
        (first, "fee_rate", "0.07", None, None),
        (first, "tick", "0.01", None, None),
        (second, "taker_delay", "true", None, None),
        (third, "fee_rate", "0.072", "0.07", first),
    ]


def test_terms_of_another_session_are_not_compared(tmp_path):
    """A new practice account starts without terms."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path, session="a") as ledger:
        ledger.record_market(market(1))
        ledger.record_terms(market(1).slug, {"tick": "0.01"})
    with open_ledger(path, session="b") as ledger:
        ledger.record_market(market(1))
        assert ledger.record_terms(market(1).slug, {"tick": "0.001"}) == []


def test_no_evidence_is_kept_of_a_recorded_decision(ledger):
    """A prepared decision is released when it is recorded, also as a refusal with the same context."""
    bought, refused = decision(1), decision(2)
    references = sys.getrefcount(bought), sys.getrefcount(refused)
    ledger.prepare(bought)
    ledger.prepare(refused)
    ledger.record_decision(bought)
    ledger.record_decision(msgspec.structs.replace(refused, reason=Reason.RISK))
    assert (sys.getrefcount(bought), sys.getrefcount(refused)) == references
