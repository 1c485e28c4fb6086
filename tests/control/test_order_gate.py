"""The gate in the engine: a switch between decision and signature withholds the order."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_builders import decision as make_decision
from ledger_builders import market as make_market
from ledger_builders import open_with_reader
from redis_servers import Pretender, Relay, free_port

from control.halt_file import HALT_FILE, HaltFile
from control.last_mode_switch import LAST_SWITCH_FILE
from control.mode_file import FileModeStore
from control.mode_gate import ModeController
from control.mode_store import Endpoint, RedisModeStore
from control.mode_switch import switch_to_live, switch_to_simulation
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import LIVE_PROFILE, Mode
from execution.ledger_thread import LedgerThread
from execution.risk_engine import RiskEngine, RiskLimits
from models import OrderState
from runtime.worker.order_gate import OrderGate

ROOT = Path(__file__).resolve().parents[2]
LIMITS = RiskLimits(
    max_position_size=Decimal(1),
    max_total_exposure=Decimal(10),
    max_positions=5,
    max_loss_per_day=Decimal(5),
    max_drawdown_pct=Decimal("0.15"),
)


def make_gate(endpoint, folder, live_path=True):
    controller = ModeController(RedisModeStore(endpoint), True, True, folder / LAST_SWITCH_FILE)
    return OrderGate(controller, HaltFile(folder / HALT_FILE), live_path)


class Bench:
    """An engine behind a gate, with a ledger of its own."""

    def __init__(self, folder, gate):
        self.path, self.gate, self.sent = folder / "ledger.sqlite", gate, []
        self.thread = LedgerThread(lambda error: None)

    async def __aenter__(self):
        self.ledger, self.reader = await self.thread.call(lambda: open_with_reader(self.path))
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
        self.engine.register_market(make_market(number))
        await self.engine.handle_decision(make_decision(number))
        rows = await self.thread.call(self.reader.decisions)
        return rows[-1] if rows else None

    async def __aexit__(self, *_):
        await self.thread.call(self.reader.close)
        await self.thread.call(self.ledger.close)
        self.thread.close()


async def test_a_switch_between_decision_and_signature_withholds_the_order(redis_server, tmp_path):
    """The order in progress is not sent, nothing counts as refused, and no other follows."""
    redis_server.set("0")
    async with Bench(tmp_path, make_gate(redis_server.endpoint, tmp_path)) as bench:
        await bench.decide()
        (intent,) = bench.sent
        redis_server.set("1")
        await bench.engine.order_signed(intent.intent_id, "0xa")
        refusal = bench.engine.refusal_before_sending(bench.sent[0].intent_id)
        assert "simulation" in refusal
        bench.engine.order_withheld(intent.intent_id, refusal)
        row = await bench.decide(1)
        assert (row.reason, len(bench.sent)) == ("mode", 1)
        (attempt,) = await bench.thread.call(bench.reader.attempts, make_market(0).slug)
        assert (attempt.state, attempt.order_id) == (OrderState.NO_FILL, "0xa")
        assert bench.engine.halted is None


async def test_back_to_live_is_the_next_workers(redis_server, tmp_path):
    """A worker that was switched off sends no more orders, also when live is back: the next worker does."""
    gate = make_gate(redis_server.endpoint, tmp_path)
    async with Bench(tmp_path, gate) as bench:
        redis_server.set("1")
        assert (await bench.decide()).reason == "mode"
        redis_server.set("0")
        row = await bench.decide()
        assert (row.reason, bench.sent) == ("mode", [])
        assert "from the next market" in row.detail
        assert gate.mode_decision().mode is Mode.SIMULATION, "so that the worker leaves at the boundary"
    async with Bench(tmp_path, make_gate(redis_server.endpoint, tmp_path)) as bench:
        await bench.decide()
        assert len(bench.sent) == 1


async def test_a_lost_store_opens_nothing_until_it_is_back(redis_server, tmp_path):
    """While the store is away nothing is decided or sent; when it is back the same worker continues."""
    redis_server.set("0")
    with Relay(redis_server.endpoint) as relay:
        async with Bench(tmp_path, make_gate(relay.endpoint, tmp_path)) as bench:
            await bench.decide()
            relay.cut = True
            await bench.engine.order_signed(bench.sent[0].intent_id, "0xa")
            refusal = bench.engine.refusal_before_sending(bench.sent[0].intent_id)
            assert "mode store lost" in refusal
            bench.engine.order_withheld(bench.sent[0].intent_id, refusal)
            row = await bench.decide()
            assert (row.reason, len(bench.sent)) == ("mode", 1)
            relay.cut = False
            await bench.decide()
            assert len(bench.sent) == 2


async def test_paper_orders_need_no_permission(redis_server, tmp_path):
    """In the paper profile orders are sent whatever the store contains, and the gate still returns its
    mode."""
    redis_server.set("0")
    gate = make_gate(redis_server.endpoint, tmp_path, live_path=False)
    async with Bench(tmp_path, gate) as bench:
        await bench.decide()
        redis_server.set("1")
        await bench.decide(1)
        assert len(bench.sent) == 2
    assert gate.mode_decision().mode is Mode.SIMULATION
    redis_server.set("0")
    assert gate.mode_decision().mode is Mode.LIVE, "a paper worker is not switched off: it has to see live"


def test_a_halt_that_cannot_be_written_holds_in_the_process(redis_server, tmp_path):
    """On a full disk a halt still stops this process."""
    folder = tmp_path / "file"
    folder.write_text("")
    gate = OrderGate(ModeController(None, False, False, tmp_path / "m"), HaltFile(folder / HALT_FILE), False)
    gate.halt("the disk is full")
    assert gate.standing() is not None


# --- the last check before the first byte ---------------------------------------------------------


@pytest.fixture(params=["redis", "file"])
def place(request, redis_server, tmp_path):
    """A live gate on a store of either kind, with the Redis of the settings."""
    if request.param == "redis":
        store, configured = RedisModeStore(redis_server.endpoint), redis_server.endpoint
    else:
        store, configured = FileModeStore(tmp_path), Endpoint("127.0.0.1", free_port())
        store.prepare()
    controller = ModeController(store, True, True, tmp_path / LAST_SWITCH_FILE)
    halts = HaltFile(tmp_path / LIVE_PROFILE / HALT_FILE)
    return OrderGate(controller, halts, True), configured, tmp_path


def test_the_last_check_sees_what_was_switched_before_it(place):
    """After `sim` has returned the next check refuses; an active halt is the other refusal."""
    gate, configured, state_dir = place
    assert gate.refusal_before_sending() is None
    gate.halt("by hand")
    assert gate.refusal_before_sending().startswith("by hand (since")
    HaltFile(state_dir / LIVE_PROFILE / HALT_FILE).lift()
    assert gate.refusal_before_sending() is None
    switch_to_simulation(configured, state_dir)
    assert gate.refusal_before_sending() == "the mode store is set to simulation"
    switch_to_live(configured, state_dir)
    assert "from the next market" in gate.refusal_before_sending()


@pytest.mark.parametrize("command", ["sim", "halt"])
def test_a_command_beside_checks_is_seen_by_all_that_begin_after_it(command, place):
    """Of continuously repeated checks, none that begins after the command has ended allows an order."""
    gate, configured, state_dir = place
    allowed, checked, stop = [], [], threading.Event()

    def check():
        while not stop.is_set():
            began = time.monotonic_ns()
            if gate.refusal_before_sending() is None:
                allowed.append(began)
            checked.append(began)

    thread = threading.Thread(target=check)
    thread.start()
    try:
        while len(allowed) < 3:
            assert thread.is_alive()
        folder = {"STATE_DIR": str(state_dir), "REDIS_HOST": configured.host, "REDIS_DB": "0"}
        subprocess.run(
            [sys.executable, str(ROOT / "redis_control.py"), command],
            env={**os.environ, **folder, "REDIS_PORT": str(configured.port)},
            check=True,
            capture_output=True,
        )
        ended = time.monotonic_ns()
        while thread.is_alive() and checked[-1] < ended:
            time.sleep(0.001)
    finally:
        stop.set()
        thread.join()
    assert max(allowed) < ended <= checked[-1]


def test_on_paper_the_last_check_is_the_halt_alone(redis_server, tmp_path):
    """A paper order is not withheld by the mode, but by a halt."""
    redis_server.set("1")
    gate = make_gate(redis_server.endpoint, tmp_path, live_path=False)
    assert gate.refusal_before_sending() is None
    (tmp_path / HALT_FILE).write_text("stop")
    assert gate.refusal_before_sending() == "stop"


def test_a_server_that_does_not_answer_is_a_refusal_in_time(tmp_path):
    """While the mode store hangs the order is refused within the guaranteed 1.5 s."""
    with Pretender(lambda connection: connection.recv(65536) and connection.recv(65536)) as silent:
        gate = make_gate(silent.endpoint, tmp_path)
        began = time.monotonic()
        assert "mode store lost" in gate.refusal_before_sending()
        assert time.monotonic() - began < 1.5 + 1.5  # the guaranteed time, and a busy machine


@pytest.mark.parametrize("name", [LAST_SWITCH_FILE, f"{LIVE_PROFILE}/{HALT_FILE}"])
async def test_a_file_that_cannot_be_read_in_time_is_a_refusal(name, place):
    """A state folder that blocks forever, here by a pipe without a writer, does not block the order path."""
    gate, _, state_dir = place
    assert gate.refusal_before_sending() is None
    (state_dir / name).parent.mkdir(exist_ok=True)
    (state_dir / name).unlink(missing_ok=True)
    os.mkfifo(state_dir / name)
    began = time.monotonic()
    try:
        refusal = await asyncio.to_thread(gate.refusal_before_sending)
        assert refusal == "mode and halt could not be read within 1.5 s"
        assert time.monotonic() - began < 1.5 + 1.5
    finally:
        # Opened for both directions, so that opening does not wait for the reader, and each reader gets its
        # end.
        os.close(os.open(state_dir / name, os.O_RDWR | os.O_NONBLOCK))


def test_an_error_of_any_kind_is_a_refusal(place):
    """An unexpected error refuses the order and is named; it is not raised into the order path."""
    gate, _, state_dir = place
    gate._halts = HaltFile(state_dir / "\0")
    assert gate.refusal_before_sending().startswith("mode and halt could not be read: ValueError")
