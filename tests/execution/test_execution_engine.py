"""The engine's guarantees about orders and money, with a real ledger file and a venue with prepared
answers."""

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing
from decimal import Decimal

import msgspec
import pytest
from ledger_builders import decision as make_decision
from ledger_builders import intend, open_with_reader
from ledger_builders import market as make_market
from ledger_builders import settlement as make_settlement

from control.halt_file import HALT_FILE, HaltFile
from control.mode_gate import ModeController
from errors import Fatal, Refused
from events import Decided, Halted, OrderTraced, Resumed
from execution import execution_engine
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import LedgerReader, writer
from execution.ledger_thread import LedgerThread
from execution.outcomes import classify
from execution.risk_engine import RiskEngine, RiskLimits
from models import OrderIntent, OrderStage, OrderState, Reason
from runtime.worker.order_gate import OrderGate

NO_MATCH = {"error": "no orders found to match with FAK order."}
MATCHED = classify(
    200, {"success": True, "status": "matched", "makingAmount": "0.62", "takingAmount": "1", "errorMsg": ""}
)
LIMITS = RiskLimits(
    max_position_size=Decimal(1),
    max_total_exposure=Decimal(10),
    max_positions=5,
    max_loss_per_day=Decimal(5),
    max_drawdown_pct=Decimal("0.15"),
)


class Bench:
    """An engine with a ledger of its own; `sent` are its submitted orders, `events` its published events."""

    def __init__(self, path, limits=LIMITS, pause_ns=0):
        self.path = path
        self.sent: list[OrderIntent] = []
        self.events = []
        self.failures = []
        self.thread = LedgerThread(self.failures.append)
        self.limits = limits
        self.gate = OrderGate(
            ModeController(None, False, False, path.parent / "mode.json"),
            HaltFile(path.parent / HALT_FILE),
            False,
        )
        self.pause_ns = pause_ns

    async def open(self):
        self.ledger, self.reader = await self.thread.call(
            lambda: open_with_reader(self.path, session="bench", clock_ns=time.time_ns)
        )
        self.engine = ExecutionEngine(
            self.ledger,
            self.reader,
            self.thread,
            RiskEngine(self.limits),
            self.gate,
            OrderRules(max_attempts=3, retry_pause_ns=self.pause_ns),
            self.sent.append,
            self.events.append,
            time.time_ns,
        )
        await self.engine.resume()
        return self.engine

    async def decide(self, number=0):
        market = make_market(number)
        self.engine.register_market(market)
        return await self.engine.handle_decision(make_decision(number))

    async def states(self, number=0):
        rows = await self.thread.call(self.reader.attempts, make_market(number).slug)
        return [row.state for row in rows]

    async def close(self):
        await self.thread.call(self.reader.close)
        await self.thread.call(self.ledger.close)
        self.thread.close()


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path / "ledger.sqlite")
    await bench.open()
    yield bench
    await bench.close()
    assert bench.failures == []


async def test_nothing_is_written_before_the_signature_and_all_of_it_before_the_post(bench):
    """When `order_signed` returns, the file has decision, intent and hash, written in one transaction."""
    await bench.decide()
    with LedgerReader(bench.path) as other:
        assert (other.open_intents(), other.decisions()) == ([], [])
    await bench.engine.order_signed(bench.sent[0].intent_id, "0x" + "1" * 64)
    with LedgerReader(bench.path) as other:
        (row,) = other.open_intents()
        (decision,) = other.decisions()
    assert (row.state, row.order_id) == (OrderState.SENT, "0x" + "1" * 64)
    assert row.intent.decision_id == decision.id
    assert bench.engine.refusal_before_sending(bench.sent[0].intent_id) is None


async def test_the_last_check_waits_until_the_rows_are_on_the_disk(bench):
    """The sending thread does not go on while the write waits; then the file has the order."""
    await bench.decide()
    intent_id = bench.sent[0].intent_id
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        signed = asyncio.ensure_future(bench.engine.order_signed(intent_id, "0xabc"))
        await asyncio.sleep(0)
        checked = asyncio.ensure_future(asyncio.to_thread(bench.engine.refusal_before_sending, intent_id))
        done, _ = await asyncio.wait([signed, checked], timeout=0.2)
        assert not done
    assert await checked is None
    with LedgerReader(bench.path) as reader:
        assert [row.order_id for row in reader.open_intents()] == ["0xabc"]
    await signed


async def test_only_an_order_whose_write_was_begun_may_be_sent_and_only_once(bench):
    """An order that was not signed, or was checked before, is refused; so is one in a bot that stops."""
    await bench.decide()
    intent_id = bench.sent[0].intent_id
    assert bench.engine.refusal_before_sending(intent_id) == "no write of it has been begun"
    await bench.engine.order_signed(intent_id, "0xabc")
    assert bench.engine.refusal_before_sending(intent_id) is None
    assert bench.engine.refusal_before_sending(intent_id) == "no write of it has been begun"
    await bench.decide(1)
    bench.engine.stop()
    with pytest.raises(Refused, match="stopping"):
        await bench.engine.order_signed(bench.sent[1].intent_id, "0xdef")
    assert bench.engine.refusal_before_sending(bench.sent[1].intent_id) is not None


async def test_an_order_whose_rows_cannot_be_written_is_refused_by_the_last_check(bench, monkeypatch):
    """The error of the write is the reason, in the sending thread as in the engine."""
    await bench.decide()

    def fail(rows):
        raise Fatal("the disk is full", "free it")

    monkeypatch.setattr(bench.ledger, "write", fail)
    with pytest.raises(Fatal, match="the disk is full"):
        await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    refusal = bench.engine.refusal_before_sending(bench.sent[0].intent_id)
    assert refusal == "it is not recorded: the disk is full. free it"


async def test_checks_that_began_with_the_decision_are_the_ones_that_count(bench):
    """Mode and halt are read once; a halt that began here meanwhile applies and is not lifted by them."""
    reads = []
    refusal = bench.gate.refusal
    bench.gate.refusal = lambda: reads.append(1) or refusal()
    market = make_market(0)
    bench.engine.register_market(market)
    checks = bench.engine.begin_checks()
    checks.read.result(5)
    bench.engine.halt("by the engine")
    await bench.engine.handle_decision(make_decision(0), None, checks)
    assert (len(reads), bench.sent, bench.engine.halted) == (1, [], "by the engine")
    (HaltFile(bench.path.parent / HALT_FILE)).lift()


async def test_an_order_whose_decision_waited_for_the_ledger_is_not_sent(bench, monkeypatch):
    """While another program locks the file nothing is sent, nor afterwards if the book is too old by then."""
    now_ns = time.time_ns()
    monkeypatch.setattr(bench.engine, "_now_ns", lambda: now_ns)
    await bench.decide()
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        signed = asyncio.ensure_future(bench.engine.order_signed(bench.sent[0].intent_id, "0xabc"))
        done, _ = await asyncio.wait([signed], timeout=0.2)
        assert not done
        now_ns += 10 * 10**9 + 1  # MAX_QUOTE_AGE_SECONDS is 10
    await signed
    refusal = bench.engine.refusal_before_sending(bench.sent[0].intent_id)
    assert "its books are too old" in refusal
    bench.engine.order_withheld(bench.sent[0].intent_id, refusal)
    await bench.engine.drain()
    assert await bench.states() == [OrderState.NO_FILL]
    assert bench.engine.halted is None
    assert bench.engine.may_order(make_market(0).slug)


async def test_a_halt_after_the_signature_withholds_the_order(bench):
    """Mode and halt are checked last: a halt that comes while the row is being written applies."""
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    HaltFile(bench.path.parent / HALT_FILE).raise_("by hand")
    assert "by hand" in bench.engine.refusal_before_sending(bench.sent[0].intent_id)
    bench.engine.order_withheld(bench.sent[0].intent_id, "halted")
    await bench.engine.drain()
    assert await bench.states() == [OrderState.NO_FILL]
    assert not bench.engine.in_flight


async def test_a_market_is_bought_once(bench):
    """While an order of a market may exist, no other is allowed; a decision then buys nothing."""
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xa")
    bench.engine.order_answered(bench.sent[0].intent_id, classify(None, "timeout"))
    assert not bench.engine.may_order(make_market(0).slug)
    await bench.decide()
    assert len(bench.sent) == 1
    assert await bench.states() == [OrderState.UNKNOWN]


async def test_a_clean_no_fill_is_tried_again_a_limited_number_of_times(bench):
    """Without a match another order follows, until the attempts are used up."""
    for number in range(5):
        if bench.engine.may_order(make_market(0).slug):
            await bench.decide()
            await bench.engine.order_signed(bench.sent[-1].intent_id, f"0x{number}")
            bench.engine.order_answered(bench.sent[-1].intent_id, classify(400, NO_MATCH))
    assert [intent.attempt for intent in bench.sent] == [1, 2, 3]
    assert await bench.states() == [OrderState.NO_FILL] * 3


async def test_attempts_keep_their_pace(tmp_path):
    """Two orders in one market are at least the pause apart."""
    bench = Bench(tmp_path / "ledger.sqlite", pause_ns=3_600 * 10**9)
    engine = await bench.open()
    await bench.decide()
    engine.order_denied(bench.sent[0].intent_id, "denied")
    assert not engine.may_order(make_market(0).slug)
    await bench.close()


async def test_a_refused_order_is_not_tried_again(tmp_path):
    """After a refusal the market gets no other order, neither from this process nor from the next."""
    first = Bench(tmp_path / "ledger.sqlite")
    await first.open()
    await first.decide()
    first.engine.order_denied(first.sent[0].intent_id, "the market is closed")
    assert await first.decide()
    assert len(first.sent) == 1
    await first.close()
    second = Bench(tmp_path / "ledger.sqlite")
    await second.open()
    assert await second.decide()
    assert second.sent == []
    *_, row = await second.thread.call(second.reader.decisions)
    assert (row.reason, row.detail) == ("risk", "an order in this market was refused: the market is closed")
    await second.close()


async def test_a_halt_outlives_the_process_until_a_person_lifts_it(tmp_path):
    """A halt also stops the next process; removing it lets a running bot continue, and is published."""
    first = Bench(tmp_path / "ledger.sqlite")
    engine = await first.open()
    engine.halt("the ledger and the venue disagree")
    await engine.check_halt()
    await first.close()
    second = Bench(tmp_path / "ledger.sqlite")
    engine = await second.open()
    assert "the ledger and the venue disagree" in engine.halted
    await second.decide()
    assert second.sent == []
    HaltFile(tmp_path / HALT_FILE).lift()
    await engine.check_halt()
    assert engine.halted is None
    assert any(isinstance(event, Resumed) for event in second.events)
    await second.decide(1)
    assert len(second.sent) == 1
    await second.close()


async def test_the_record_of_a_halt_has_its_times_and_not_those_of_the_writes(bench):
    """An order that is decided after the end of a halt, and before its row is written, was not halted."""
    written = threading.Event()
    bench.thread.post(written.wait)
    before_ns = time.time_ns()
    bench.engine.halt("the ledger and the venue disagree")
    await bench.engine.check_halt()
    (bench.path.parent / HALT_FILE).unlink()
    await bench.engine.check_halt()
    after_ns = time.time_ns()
    written.set()
    await bench.thread.call(lambda: None)
    with closing(sqlite3.connect(bench.path)) as ledger:
        rows = ledger.execute("SELECT event, ts_ns FROM halts ORDER BY id").fetchall()
    (halt, begun_ns), (resume, lifted_ns) = rows
    assert (halt, resume) == ("halt", "resume")
    assert before_ns <= begun_ns < lifted_ns <= after_ns


async def test_who_watches_the_halts_hears_of_each_once(tmp_path):
    """Of a halt when it begins, of its end when it is lifted, and of one that stood before the start."""
    changes = []
    bench = Bench(tmp_path / "ledger.sqlite")
    engine = await bench.open()
    engine.watch_halts(changes.append)
    engine.halt("first")
    await engine.check_halt()
    assert changes == [True]
    (tmp_path / HALT_FILE).unlink()
    await engine.check_halt()
    await engine.check_halt()
    assert changes == [True, False]

    HaltFile(tmp_path / HALT_FILE).raise_("by a person")
    await engine.check_halt()
    assert changes == [True, False, True]
    await bench.close()


async def test_a_reason_that_comes_during_a_halt_halts_when_that_is_lifted(tmp_path):
    """Whoever lifts a halt knows its first reason only: with another one, such as a difference of the cash
    that was found meanwhile, nothing is bought until that is lifted, too. A reason that repeats is one."""
    bench = Bench(tmp_path / "ledger.sqlite")
    engine = await bench.open()
    HaltFile(tmp_path / HALT_FILE).raise_("halted by the operator")
    await engine.check_halt()
    for why in ("the cash differs",) * 2 + ("the result was corrected", "halted by the operator"):
        engine.halt(why)
    published = [event.why for event in bench.events if isinstance(event, Halted)]
    assert published[1:] == ["the cash differs", "the result was corrected"]

    HaltFile(tmp_path / HALT_FILE).lift()
    await bench.decide()
    await engine.check_halt()
    assert bench.sent == []
    standing = HaltFile(tmp_path / HALT_FILE).standing()
    assert standing is not None
    assert standing.startswith("the cash differs; the result was corrected (since ")

    HaltFile(tmp_path / HALT_FILE).lift()
    await engine.check_halt()
    assert engine.halted is None
    await bench.decide(1)
    assert len(bench.sent) == 1
    await bench.thread.call(lambda: None)
    with closing(sqlite3.connect(bench.path)) as ledger:
        rows = ledger.execute("SELECT event, why FROM halts ORDER BY id").fetchall()
    assert [event for event, _ in rows] == ["halt", "resume", "halt", "resume"]
    assert rows[2][1] == "the cash differs; the result was corrected"
    await bench.close()


async def test_three_refusals_halt(bench):
    """Three refused orders in a row stop trading until a person acts, with the reason."""
    for number in range(3):
        await bench.decide(number)
        bench.engine.order_denied(bench.sent[-1].intent_id, "not enough balance / allowance")
    assert bench.engine.halted is not None
    assert "not enough balance" in bench.engine.halted
    assert any(isinstance(event, Halted) for event in bench.events)
    await bench.decide(3)
    assert len(bench.sent) == 3
    *_, row = await bench.thread.call(bench.reader.decisions)
    assert (row.reason, row.detail) == ("risk", bench.engine.halted)


@pytest.mark.parametrize(("limit", "sent"), [("1.007", 1), ("1.00699", 0)])
async def test_an_order_counts_with_its_fee_in_the_limits(tmp_path, limit, sent):
    """A dollar at 0.90 costs $1.007: at that exposure it is sent; beyond it the row names the limit."""
    bench = Bench(
        tmp_path / "ledger.sqlite", msgspec.structs.replace(LIMITS, max_total_exposure=Decimal(limit))
    )
    await bench.open()
    assert await bench.decide() is not bool(sent)
    assert len(bench.sent) == sent
    if not sent:
        *_, row = await bench.thread.call(bench.reader.decisions)
        assert row.reason == "risk"
        assert row.detail == "exposure $0 with $1.00700 more would exceed MAX_TOTAL_EXPOSURE ($1.00699)"
    await bench.close()


async def test_a_new_process_takes_up_what_the_old_one_left(tmp_path):
    """An order sent but not answered is unknown after a restart, and its market stays closed for orders."""
    first = Bench(tmp_path / "ledger.sqlite")
    await first.open()
    await first.decide(0)
    await first.engine.order_signed(first.sent[0].intent_id, "0xabc")
    await first.decide(1)
    await first.close()
    second = Bench(tmp_path / "ledger.sqlite")
    engine = await second.open()
    assert [order_id for order_id, _ in engine.unknown()] == ["0xabc"]
    assert not engine.may_order(make_market(0).slug)
    # The second one was never signed: it cannot exist at the venue, and it is not in the file.
    assert await second.states(1) == []
    assert engine.may_order(make_market(1).slug)
    await second.close()


async def test_an_intent_of_an_older_ledger_was_never_sent(tmp_path):
    """A ledger of an earlier version may contain an intent without a hash: it ended without an order."""
    first = Bench(tmp_path / "ledger.sqlite")
    await first.open()
    await first.thread.call(intend, first.ledger, 1)
    await first.close()
    second = Bench(tmp_path / "ledger.sqlite")
    engine = await second.open()
    assert await second.states(1) == [OrderState.NO_FILL]
    assert engine.may_order(make_market(1).slug)
    await second.close()


async def test_a_trade_seen_twice_is_one_fill(bench):
    """The same trade from the stream and from a look-up is recorded once, with each maker leg at its
    price."""
    await bench.decide()
    (intent,) = bench.sent
    await bench.engine.order_signed(intent.intent_id, "0xabc")
    trade = {
        "id": "t1",
        "taker_order_id": "0xabc",
        "status": "MATCHED",
        "match_time": "1790000000",
        "size": "1.5",
        "price": "0.62",
        "maker_orders": [
            {"asset_id": intent.token_id, "matched_amount": "1.0", "price": "0.62"},
            {"asset_id": make_market(0).down_token, "matched_amount": "0.5", "price": "0.37"},
        ],
    }
    bench.engine.trade(trade)
    bench.engine.trade({**trade, "status": "CONFIRMED"})
    await bench.engine.drain()
    (recorded,) = await bench.thread.call(bench.reader.trades)
    assert recorded.shares == Decimal("1.5")
    assert recorded.cost == Decimal("0.62") + Decimal("0.5") * Decimal("0.63")
    assert recorded.state is OrderState.MATCHED


async def test_a_trade_beyond_what_the_venue_answered_is_no_fill(bench):
    """The answer stated one share, which is recorded: a second trade is looked up, and not booked."""
    await bench.decide()
    (intent,) = bench.sent
    await bench.engine.order_signed(intent.intent_id, "0xabc")
    bench.engine.order_answered(intent.intent_id, MATCHED)
    assert bench.engine.trade(trade_message("t1", "MATCHED"))
    assert not bench.engine.trade(trade_message("t2", "MATCHED"))
    assert bench.engine.trade(trade_message("t1", "CONFIRMED"))
    await bench.engine.drain()
    (recorded,) = await bench.thread.call(bench.reader.trades)
    assert recorded.shares == Decimal(1)


async def test_a_trade_that_is_sent_again_much_later_is_the_same_fill(tmp_path):
    """After it was confirmed, and to the next process: one fill, still confirmed, and nothing to look up."""
    first = Bench(tmp_path / "ledger.sqlite")
    await first.open()
    await first.decide()
    await first.engine.order_signed(first.sent[0].intent_id, "0xabc")
    for status in ("MATCHED", "CONFIRMED", "MATCHED", "MINED"):
        first.engine.trade(trade_message("t1", status))
    await first.engine.drain()
    before = await first.thread.call(first.reader.trades)
    await first.close()
    second = Bench(tmp_path / "ledger.sqlite")
    engine = await second.open()
    engine.register_market(make_market(0))
    for status in ("MATCHED", "CONFIRMED"):
        engine.trade(trade_message("t1", status))
    await engine.drain()
    assert await second.thread.call(second.reader.trades) == before
    with closing(sqlite3.connect(second.path)) as ledger:
        assert ledger.execute("SELECT status FROM fills").fetchall() == [("CONFIRMED",)]
    assert [trade.shares for trade in before] == [Decimal(1)]
    assert engine.unknown() == []
    await second.close()


def trade_message(trade_id, status, size="1.0", order_id="0xabc"):
    """A trade of one of the bot's orders, in the venue's format."""
    return {
        "id": trade_id,
        "taker_order_id": order_id,
        "status": status,
        "match_time": "1790000000",
        "size": size,
        "price": "0.62",
        "maker_orders": [],
    }


async def test_a_trade_that_fails_takes_only_itself_back(bench):
    """Of two trades of an order one fails and the other is held; when both failed, the order is reversed."""
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    for trade in (
        trade_message("t1", "MATCHED"),
        trade_message("t2", "MATCHED", "0.5"),
        trade_message("t1", "FAILED"),
    ):
        bench.engine.trade(trade)
    bench.engine.trade(trade_message("t1", "MATCHED"))  # late, and no change
    await bench.engine.drain()
    (held,) = await bench.thread.call(bench.reader.trades)
    assert held.shares == Decimal("0.5")
    assert await bench.states() == [OrderState.MATCHED]
    bench.engine.trade(trade_message("t2", "FAILED", "0.5"))
    await bench.engine.drain()
    assert await bench.thread.call(bench.reader.trades) == []
    assert await bench.states() == [OrderState.REVERSED]
    assert [order_id for order_id, _ in bench.engine.unresolved()] == ["0xabc"]  # a third trade may appear


async def test_a_trade_of_a_dead_order_is_booked_and_halts(bench):
    """A trade of an order that the venue reported as not filled is a fill, and trading stops."""
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    bench.engine.order_answered(bench.sent[0].intent_id, classify(400, NO_MATCH))
    assert bench.engine.states[bench.sent[0].intent_id] is OrderState.NO_FILL
    bench.engine.trade(trade_message("t1", "MATCHED"))
    await bench.engine.drain()
    assert "that had ended as no_fill" in bench.engine.halted
    assert await bench.states() == [OrderState.MATCHED]
    assert len(await bench.thread.call(bench.reader.trades)) == 1


@pytest.mark.parametrize("recorded", [False, True], ids=["fill not booked", "fill booked"])
async def test_a_match_is_looked_up_until_the_chain_status_is_final(recorded, tmp_path):
    """A match before a crash is looked up by the next process: its fill, and whether it failed since."""
    first = Bench(tmp_path / "ledger.sqlite")
    engine = await first.open()
    await first.decide()
    await engine.order_signed(first.sent[0].intent_id, "0xabc")
    engine.order_answered(first.sent[0].intent_id, MATCHED)
    if recorded:
        engine.trade(trade_message("t1", "MATCHED"))
        await engine.drain()
    await first.close()
    second = Bench(tmp_path / "ledger.sqlite")
    engine = await second.open()
    engine.register_market(make_market(0))
    assert [order_id for order_id, _ in engine.unresolved()] == ["0xabc"]
    assert bool(engine.unknown()) is not recorded
    assert not engine.cash_is_certain  # no cash is compared while a fill may be missing
    assert engine.has_open_order(make_market(0).slug)
    engine.trade(trade_message("t1", "MINED"))
    await engine.drain()
    assert len(await second.thread.call(second.reader.trades)) == 1
    assert engine.unresolved()
    engine.trade(trade_message("t1", "FAILED"))
    await engine.drain()
    assert await second.states() == [OrderState.REVERSED]
    assert [order_id for order_id, _ in engine.unresolved()] == ["0xabc"]  # another trade may appear
    await second.close()


async def test_a_late_answer_after_stopping_is_kept(bench):
    """Stopping makes an unanswered order unknown in memory and on disk; a later answer changes both."""
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    bench.engine.stop()
    assert await bench.states() == [OrderState.UNKNOWN]
    bench.engine.order_answered(bench.sent[0].intent_id, MATCHED)
    assert await bench.states() == [OrderState.MATCHED]
    assert [order_id for order_id, _ in bench.engine.unresolved()] == ["0xabc"]


async def test_a_trade_that_cannot_be_read_is_looked_up(bench):
    """A malformed trade neither halts nor records anything: the order is looked up at once."""
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    bench.engine.order_answered(bench.sent[0].intent_id, MATCHED)
    assert not bench.engine.trade(trade_message("t1", "MATCHED") | {"price": "7"})
    await bench.engine.drain()
    assert bench.engine.halted is None
    assert bench.engine._lifecycle.next_look_up_ns <= time.time_ns()
    assert bench.engine.trade(trade_message("t1", "MATCHED"))
    await bench.engine.drain()
    assert len(await bench.thread.call(bench.reader.trades)) == 1


async def test_nothing_is_sent_while_stopping(bench):
    """An order that is signed while the bot stops is not sent."""
    await bench.decide()
    bench.engine.stop()
    with pytest.raises(Refused, match="stopping"):
        await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")


# --- what an order waits for, and its trace --------------------------------------------------------


STAGES = {OrderStage.QUOTE: 1_000, OrderStage.CONTEXT: 1_500, OrderStage.DECIDED: 2_000}


async def send_one(bench, number=0, posted_ns=None, **answer):
    """Decide, sign and answer one order; returns its intent."""
    market = make_market(number)
    bench.engine.register_market(market)
    await bench.engine.handle_decision(make_decision(number), STAGES)
    intent = bench.sent[-1]
    await bench.engine.order_signed(intent.intent_id, f"0x{number}")
    bench.engine.order_answered(intent.intent_id, answer.get("outcome", MATCHED), posted_ns)
    return intent


async def test_between_decision_and_post_the_ledger_is_used_for_one_transaction(bench, monkeypatch):
    """The limits are in memory: nothing is read, one transaction is written, no other file is synced."""
    bench.engine.register_market(make_market(0))
    await bench.thread.call(lambda: None)  # the market's row, and the first reading of the limits
    read, written, synced = [], [], []
    bench.reader._connection.set_trace_callback(read.append)
    bench.ledger._connection.set_trace_callback(written.append)
    monkeypatch.setattr(os, "fsync", synced.append)
    await bench.engine.handle_decision(make_decision(0))
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    assert bench.engine.refusal_before_sending(bench.sent[0].intent_id) is None
    bench.reader._connection.set_trace_callback(None)
    bench.ledger._connection.set_trace_callback(None)
    assert (read, synced) == ([], [])
    assert [sql for sql in written if sql.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_the_limits_in_memory_follow_every_change_of_the_ledger(tmp_path):
    """A fill, and a result that another part of the bot recorded, count at the next decision."""
    bench = Bench(tmp_path / "ledger.sqlite", msgspec.structs.replace(LIMITS, max_positions=1))
    engine = await bench.open()
    await send_one(bench)
    trade = {"id": "t1", "taker_order_id": "0x0", "status": "MATCHED", "match_time": "1790000000"}
    maker = {"asset_id": bench.sent[0].token_id, "matched_amount": "1.0", "price": "0.62"}
    engine.trade({**trade, "size": "1.0", "price": "0.62", "maker_orders": [maker]})
    assert await bench.decide(1)
    await engine.drain()
    assert await bench.decide(1)
    *_, row = await bench.thread.call(bench.reader.decisions)
    assert (row.reason, row.detail) == ("risk", "1 positions are open, MAX_POSITIONS is 1")
    await bench.thread.call(bench.ledger.record_settlement, make_settlement(0))
    assert not await bench.decide(2)
    assert len(bench.sent) == 2
    await bench.close()


async def test_an_order_that_is_being_signed_counts_in_the_limits(tmp_path):
    """Of two markets that decide at once, the second one sees the first one's order before it is on disk."""
    bench = Bench(tmp_path / "ledger.sqlite", msgspec.structs.replace(LIMITS, max_positions=1))
    await bench.open()
    await bench.decide(0)
    assert await bench.decide(1)
    *_, row = await bench.thread.call(bench.reader.decisions)
    assert (row.reason, row.detail) == ("risk", "1 positions are open, MAX_POSITIONS is 1")
    await bench.close()


async def test_the_day_of_the_limits_changes_at_midnight(bench, monkeypatch):
    """Inputs of yesterday are not used: the first decision of a day reads them again."""
    await bench.decide(0)
    now_ns = time.time_ns() + 24 * 3600 * 10**9
    monkeypatch.setattr(bench.engine, "_now_ns", lambda: now_ns)
    read = []
    bench.reader._connection.set_trace_callback(read.append)
    await bench.decide(1)
    bench.reader._connection.set_trace_callback(None)
    assert read


async def test_a_halt_that_begins_while_the_files_are_read_is_not_lifted(bench):
    """The reading found no halt; the one that began meanwhile stands, and refuses the decision."""
    begun, go_on = threading.Event(), threading.Event()

    def standing():
        begun.set()
        assert go_on.wait(5)

    bench.gate.standing = standing
    deciding = asyncio.create_task(bench.decide())
    await asyncio.to_thread(begun.wait, 5)
    bench.engine.halt("three refusals")
    go_on.set()
    await deciding
    assert bench.engine.halted == "three refusals"
    assert bench.sent == []


async def test_every_step_of_an_order_is_in_the_ledger(bench):
    """Nanoseconds from the quote, in the order of the path; the observers get the same."""
    before_ns = time.monotonic_ns()
    intent = await send_one(bench, posted_ns=before_ns + 7)
    await bench.engine.drain()
    (trace,) = await bench.thread.call(bench.reader.order_traces)
    assert list(trace.stages) == list(OrderStage)
    assert [trace.stages[stage] for stage in STAGES] == [0, 500, 1_000]
    assert trace.stages[OrderStage.POSTED] == before_ns + 7 - 1_000
    reached = [trace.stages[s] for s in OrderStage if s is not OrderStage.POSTED]
    assert reached == sorted(reached)
    assert reached[-1] <= time.monotonic_ns() - 1_000
    assert (trace.intent_id, trace.slug) == (intent.intent_id, intent.slug)
    assert bench.events[-1] == OrderTraced(trace=trace)


async def test_an_order_that_was_withheld_has_no_first_byte(bench):
    """The trace ends with the row on the disk."""
    bench.engine.register_market(make_market(0))
    await bench.engine.handle_decision(make_decision(0), STAGES)
    await bench.engine.order_signed(bench.sent[0].intent_id, "0x0")
    bench.engine.order_withheld(bench.sent[0].intent_id, "halted")
    await bench.engine.drain()
    (trace,) = await bench.thread.call(bench.reader.order_traces)
    assert list(trace.stages)[-1] == OrderStage.RECORDED


async def test_a_trace_that_cannot_be_written_costs_no_order(bench, monkeypatch):
    """The outcome is in the ledger, the next order follows, and nothing halts."""

    def fails(*_):
        raise Fatal("the ledger cannot be written", "Free some space")

    monkeypatch.setattr(bench.ledger, "record_trace", fails)
    await send_one(bench)
    await bench.engine.drain()
    assert await bench.states() == [OrderState.MATCHED]
    assert (bench.engine.halted, bench.failures) == (None, [])
    await send_one(bench, 1)
    await bench.engine.drain()
    assert await bench.states(1) == [OrderState.MATCHED]


async def test_the_observers_get_an_order_after_it_was_sent_and_in_its_order(bench):
    """Nothing is published between the row on the disk and the POST; what follows keeps the order."""
    bench.engine.register_market(make_market(0))
    await bench.engine.handle_decision(make_decision(0), STAGES)
    intent_id = bench.sent[0].intent_id
    await bench.engine.order_signed(intent_id, "0xabc")
    assert bench.events == []
    bench.engine.order_answered(intent_id, MATCHED)
    await bench.engine.drain()
    names = [type(event).__name__ for event in bench.events]
    assert names == ["Decided", "OrderSent", "OrderSigned", "OrderMoved", "OrderTraced"]
    assert bench.events[0].decision_id == 1


async def test_a_decision_has_the_time_at_which_it_was_recorded(bench, monkeypatch):
    """Not the later one at which its event is published, with an order or without one."""
    bench.engine.register_market(make_market(0))
    monkeypatch.setattr(bench.engine, "_now_ns", lambda: 1_000)
    await bench.engine.handle_decision(make_decision(0), STAGES)
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    monkeypatch.setattr(bench.engine, "_now_ns", lambda: 2_000)
    bench.engine.order_answered(bench.sent[0].intent_id, MATCHED)
    await bench.engine.drain()
    bench.engine.halted = "a test"
    await bench.engine.handle_decision(make_decision(0))
    decided = [event for event in bench.events if isinstance(event, Decided)]
    assert [event.recorded_ns for event in decided] == [1_000, 2_000]


async def test_an_order_without_an_answer_is_published_soon(bench):
    """The events do not wait for the venue."""
    bench.engine.register_market(make_market(0))
    await bench.engine.handle_decision(make_decision(0), STAGES)
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    assert bench.events == []
    published = asyncio.Event()
    bench.engine._publish = lambda event: published.set()
    await asyncio.wait_for(published.wait(), 5)


async def test_the_connection_is_kept_open_while_an_order_is_near(bench, monkeypatch):
    """Requests keep it open near a window, and none is sent otherwise."""
    monkeypatch.setattr(execution_engine, "CONNECTION_PAUSE_S", 0.001)
    near, kept = [False, True, True, False], []

    class Client:
        async def keep_connection(self):
            kept.append(len(near))

    bench.engine.attach(Client())
    keeping = asyncio.create_task(bench.engine.keep_connection(lambda: near.pop(0)))
    with pytest.raises(IndexError):
        await keeping
    assert kept == [2, 1]


async def test_the_evidence_of_a_refusal_is_encoded_beside_the_ledger(bench, monkeypatch):
    """The thread in which another series' order may wait only stores the bytes, and they are the decision."""
    threads, encode = [], writer.encode_evidence

    def noted(decision):
        threads.append(threading.current_thread().name.partition("_")[0])
        return encode(decision)

    for module in (writer, execution_engine):
        monkeypatch.setattr(module, "encode_evidence", noted)
    refused = msgspec.structs.replace(make_decision(0), outcome=None, reason=Reason.NO_SIGNALS)
    bench.engine.register_market(make_market(0))
    await bench.engine.handle_decision(refused)
    with LedgerReader(bench.path) as reader:
        ((stored,),) = reader._connection.execute("SELECT evidence FROM decisions").fetchall()
    assert stored == encode(refused)
    assert threads == ["checks"]


async def test_the_log_is_not_copied_while_an_order_may_follow(bench, monkeypatch):
    """A settlement during the window of another series leaves the copy for later."""
    copied, near = [], [True]
    monkeypatch.setattr(bench.ledger, "checkpoint", lambda: copied.append(True))
    bench.thread.defer_while(lambda: near[0])
    bench.engine.market_settled(make_market(0).slug)
    await bench.engine.drain()
    assert await bench.thread.call(lambda: list(copied)) == []
    near[0] = False
    bench.thread.post_due()
    assert await bench.thread.call(lambda: list(copied)) == [True]


async def test_the_id_of_an_order_begins_with_its_series(bench):
    """The log of NautilusTrader names an order by this id only."""
    of_ether = make_market(0, slug="eth-updown-5m-1790596800")
    decided = make_decision(0)
    context = msgspec.structs.replace(decided.context, market=of_ether)
    for decision in (decided, msgspec.structs.replace(decided, context=context)):
        bench.engine.register_market(decision.context.market)
        await bench.engine.handle_decision(decision)
    assert [order.intent_id.partition("-")[0] for order in bench.sent] == ["BTC15M", "ETH5M"]


async def test_two_series_that_decide_at_once_do_not_exceed_a_limit_together(tmp_path):
    """The second decision sees the first one's order before that is signed, written or sent."""
    bench = Bench(tmp_path / "ledger.sqlite", msgspec.structs.replace(LIMITS, max_positions=1))
    await bench.open()
    await asyncio.gather(bench.decide(0), bench.decide(1))
    assert len(bench.sent) == 1
    bench.engine.order_denied(bench.sent[0].intent_id, "no balance")
    await bench.engine.drain()
    await bench.decide(2)
    assert len(bench.sent) == 2
    await bench.close()
    assert bench.failures == []


async def test_an_order_disturbs_the_comparison_of_the_cash(bench):
    """A balance that was read while an order was signed is not conclusive, whatever became of the order."""
    undisturbed = bench.engine.observe_orders()
    assert undisturbed()
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, "0xabc")
    assert not undisturbed()
    bench.engine.order_answered(bench.sent[0].intent_id, classify(200, NO_MATCH))
    await bench.engine.drain()
    assert not undisturbed()
    assert bench.engine.observe_orders()()
