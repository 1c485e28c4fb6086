"""The gate in the engine: a switch between the decision and the signature withholds the order."""

import time
from decimal import Decimal

import pytest
from ledger_builders import decision as make_decision
from ledger_builders import market as make_market
from ledger_builders import open_ledger
from redis_servers import Relay

from control.gate import Keeper
from control.halt import HALTED, HaltFile
from control.memory import MODE_MEMORY
from control.store import ModeStore
from errors import Refused
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import LedgerReader, Mode
from execution.ledger_thread import LedgerThread
from execution.risk_engine import RiskEngine, RiskLimits
from models import OrderState
from worker.gate import OrderGate

LIMITS = RiskLimits(
    max_position_size=Decimal(1),
    max_total_exposure=Decimal(10),
    max_positions=5,
    max_loss_per_day=Decimal(5),
    max_drawdown_pct=Decimal("0.15"),
)


def make_gate(endpoint, folder, live_path=True):
    keeper = Keeper(ModeStore(endpoint), True, True, folder / MODE_MEMORY)
    return OrderGate(keeper, HaltFile(folder / HALTED), live_path)


class Bench:
    """An engine behind a gate, on a ledger of its own."""

    def __init__(self, folder, gate):
        self.path, self.gate, self.sent = folder / "ledger.sqlite", gate, []
        self.thread = LedgerThread(lambda error: None)

    async def __aenter__(self):
        self.ledger, self.reader = await self.thread.call(
            lambda: (open_ledger(self.path), LedgerReader(self.path))
        )
        self.engine = ExecutionEngine(
            self.ledger,
            self.reader,
            self.thread,
            RiskEngine(LIMITS),
            self.gate,
            OrderRules(max_attempts=3, retry_pause_ns=0),
            self.sent.append,
            lambda event: None,
            time.time_ns,
        )
        await self.engine.resume()
        return self

    async def decide(self, number=0):
        self.engine.know(make_market(number))
        await self.engine.take(make_decision(number))
        return await self.thread.call(self.reader.last_decision)

    async def __aexit__(self, *_):
        await self.thread.call(self.reader.close)
        await self.thread.call(self.ledger.close)
        self.thread.close()


async def test_a_switch_between_decision_and_signature_withholds_the_order(redis_server, tmp_path):
    """The order that was on its way is not sent, nothing counts as refused, and no other follows."""
    redis_server.set("0")
    async with Bench(tmp_path, make_gate(redis_server.endpoint, tmp_path)) as bench:
        await bench.decide()
        (intent,) = bench.sent
        redis_server.set("1")
        with pytest.raises(Refused, match="simulation"):
            await bench.engine.order_signed(intent.intent_id, "0xa")
        bench.engine.order_denied(intent.intent_id, "withheld")
        row = await bench.decide(1)
        assert (row.reason, len(bench.sent)) == ("mode", 1)
        (attempt,) = await bench.thread.call(bench.reader.attempts, make_market(0).slug)
        assert (attempt.state, attempt.order_id) == (OrderState.NO_FILL, None)
        assert bench.engine.halted is None


async def test_back_to_live_is_the_next_workers(redis_server, tmp_path):
    """A worker that was switched off orders nothing more, also when live is back: the next worker does."""
    gate = make_gate(redis_server.endpoint, tmp_path)
    async with Bench(tmp_path, gate) as bench:
        redis_server.set("1")
        assert (await bench.decide()).reason == "mode"
        redis_server.set("0")
        row = await bench.decide()
        assert (row.reason, bench.sent) == ("mode", [])
        assert "from the next market on" in row.detail
        assert gate.verdict().mode is Mode.SIMULATION, "so that the worker leaves at the boundary"
    async with Bench(tmp_path, make_gate(redis_server.endpoint, tmp_path)) as bench:
        await bench.decide()
        assert len(bench.sent) == 1


async def test_a_lost_store_opens_nothing_until_it_is_back(redis_server, tmp_path):
    """While the store is away nothing is decided upon or sent; when it is back the same worker goes on."""
    redis_server.set("0")
    with Relay(redis_server.endpoint) as relay:
        async with Bench(tmp_path, make_gate(relay.endpoint, tmp_path)) as bench:
            await bench.decide()
            relay.cut = True
            with pytest.raises(Refused, match="mode store lost"):
                await bench.engine.order_signed(bench.sent[0].intent_id, "0xa")
            bench.engine.order_denied(bench.sent[0].intent_id, "withheld")
            row = await bench.decide()
            assert (row.reason, len(bench.sent)) == ("mode", 1)
            relay.cut = False
            await bench.decide()
            assert len(bench.sent) == 2


async def test_paper_needs_nobodys_leave(redis_server, tmp_path):
    """On the paper lane orders go whatever the store says, and the gate still tells what it says."""
    redis_server.set("0")
    gate = make_gate(redis_server.endpoint, tmp_path, live_path=False)
    async with Bench(tmp_path, gate) as bench:
        await bench.decide()
        redis_server.set("1")
        await bench.decide(1)
        assert len(bench.sent) == 2
    assert gate.verdict().mode is Mode.SIMULATION
    redis_server.set("0")
    assert gate.verdict().mode is Mode.LIVE, "a paper worker is not switched off: it has to see live"


def test_a_halt_that_cannot_be_written_holds_in_the_process(redis_server, tmp_path):
    """On a disk that takes nothing a halt still stops this process."""
    folder = tmp_path / "file"
    folder.write_text("")
    gate = OrderGate(Keeper(None, False, False, tmp_path / "m"), HaltFile(folder / HALTED), False)
    gate.halt("the disk is full")
    assert gate.standing() is not None
