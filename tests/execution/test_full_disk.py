"""A full disk stops trading before an order, and never loses an order after it."""

import resource
import sys
from contextlib import contextmanager
from decimal import Decimal

import pytest
from ledger_builders import market as make_market
from ledger_builders import refusal as make_refusal
from test_execution_engine import NO_MATCH, Bench

from errors import Fatal
from execution.ledger import LedgerReader
from execution.outcomes import classify
from models import OrderState

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX'")
HASH = "0x" + "1" * 64


@contextmanager
def full_disk(bench):
    """No file of this process can grow: SQLite's next commit fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    grown = bench.path.with_name(f"{bench.path.name}-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (grown.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path / "ledger.sqlite")
    await bench.open()
    yield bench
    await bench.close()


async def test_no_space_for_a_refusal(bench):
    """A decision not to buy that cannot be stored is an error of the ledger, not silently lost."""
    bench.engine.register_market(make_market(0))
    with full_disk(bench), pytest.raises(Fatal, match="ledger cannot be written"):
        await bench.engine.handle_decision(make_refusal(0))
    assert bench.sent == []


async def test_no_space_for_the_order(bench):
    """The order is signed and its rows cannot be stored: the ledger raises, so that it is not posted."""
    await bench.decide()
    with full_disk(bench), pytest.raises(Fatal, match="ledger cannot be written"):
        await bench.engine.order_signed(bench.sent[0].intent_id, HASH)
    with LedgerReader(bench.path) as other:
        assert (other.open_intents(), other.decisions()) == ([], [])
    assert not bench.engine.in_flight


async def test_no_space_for_the_fill(tmp_path):
    """A fill that cannot be stored halts at once, and the next process records it once, from the venue."""
    bench = Bench(tmp_path / "ledger.sqlite")
    await bench.open()
    await bench.decide()
    intent = bench.sent[0]
    await bench.engine.order_signed(intent.intent_id, HASH)
    trade = {
        "id": "t1",
        "taker_order_id": HASH,
        "size": "1.1",
        "price": "0.9",
        "status": "CONFIRMED",
        "match_time": "1790596800",
        "maker_orders": [],
    }
    with full_disk(bench):
        bench.engine.order_answered(intent.intent_id, classify(None, "timeout"))
        bench.engine.trade(trade)
        await bench.engine.drain()
        await bench.engine.check_halt()
        assert "a fill could not be recorded" in bench.engine.halted
    assert bench.failures, "the ledger's thread has reported what it could not write"
    await bench.close()
    again = Bench(tmp_path / "ledger.sqlite")
    engine = await again.open()
    engine.register_market(make_market(0))
    assert [order_id for order_id, _ in engine.unknown()] == [HASH]
    for _ in range(2):
        engine.trade(trade)
        await engine.drain()
    assert await again.states() == [OrderState.MATCHED]
    (booked,) = await again.thread.call(again.reader.trades)
    assert (booked.shares, booked.price) == (Decimal("1.1"), Decimal("0.9"))
    await again.close()


async def test_with_space_the_same_goes_through(bench):
    """The same steps with free space lead to an order: the disk was the cause."""
    await bench.decide()
    await bench.engine.order_signed(bench.sent[0].intent_id, HASH)
    bench.engine.order_answered(bench.sent[0].intent_id, classify(400, NO_MATCH))
    assert await bench.states() == [OrderState.NO_FILL]
