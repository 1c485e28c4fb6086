"""The parts of a worker, joined to a real engine, ledger and observers, without a node around them."""

import asyncio
import errno
import io
import json
import ssl
import threading
import time
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest
from ledger_builders import buy, decision, fill, intent, market, open_ledger, send, settlement
from rich.console import Console
from test_redemption_setup import PLAN

from common.constants import ExitCode
from config import Settings
from control.halt_file import HALT_FILE, HaltFile
from control.last_mode_switch import LAST_SWITCH_FILE
from control.mode_file import FileModeStore
from control.mode_gate import ModeController
from errors import Fatal, Temporary
from events import (
    Filled,
    MarketRefused,
    ModeChanged,
    OrderMoved,
    Settled,
    SettlementLate,
    Stopped,
)
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import LedgerLocked, LedgerReader, Mode, ledger_path
from execution.ledger_thread import LedgerThread
from execution.outcomes import classify
from execution.risk_engine import RiskEngine, RiskLimits
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.venue_answers import ResolutionStatus
from execution.venue_facts.recorder import ignore
from models import OrderState, Outcome
from runtime.worker import mode_follower
from runtime.worker import worker as worker_module
from runtime.worker.event_sink import EventSink
from runtime.worker.mode_follower import ModeFollower
from runtime.worker.observers import ObserverGroup
from runtime.worker.order_gate import OrderGate
from runtime.worker.plan import WorkerPlan
from runtime.worker.position_marks import PositionMarker
from runtime.worker.run_control import RunControl
from runtime.worker.settlement_flow import SettlementFlow
from runtime.worker.weight_learning import WeightLearning
from runtime.worker.worker import Worker

PAPER = msgspec.structs.replace(PLAN, mode=Mode.SIMULATION, live_path=False, profile="recorded")
LIMITS = RiskLimits(
    max_position_size=Decimal(1),
    max_total_exposure=Decimal(100),
    max_positions=50,
    max_loss_per_day=Decimal(100),
    max_drawdown_pct=Decimal(1),
)


class Seen(list):
    """An observer that keeps the events it receives."""

    def start(self):
        return None

    def handle(self, event):
        self.append(event)

    def heartbeat(self, worker_status):
        self.append(worker_status)

    def close(self):
        return None

    def of(self, kind):
        return [event for event in self if isinstance(event, kind)]


class Parts:
    """A worker's parts with a ledger in `folder`; `cash` is the balance at the venue."""

    def __init__(self, folder, plan: WorkerPlan = PAPER, stop_after: int = 0, cash: str = "1000") -> None:
        self.folder, self.plan, self.cash = folder, plan, Decimal(cash)
        settings = Settings.model_validate({"state_dir": folder})
        self.seen, self.screen = Seen(), io.StringIO()
        console = Console(file=self.screen, width=160)
        self.observers = ObserverGroup(settings, plan, console, (self.seen,))
        self.control = RunControl(self.observers, done=0)
        self.halts: list[str] = []
        self.shut_down: list[str] = []
        self.errors: list[BaseException] = []
        self.thread = LedgerThread(self.errors.append)
        path = ledger_path(folder, plan.profile)
        self.ledger = self.run(self.thread.call(lambda: open_ledger(path, cash=cash)))
        self.reader = self.run(self.thread.call(LedgerReader, path))
        self.events = EventSink(self.observers, self.thread, self.reader, folder / "paper_trades.json")
        store = FileModeStore(folder)
        controller = ModeController(store, plan.live_path, plan.armed, folder / LAST_SWITCH_FILE)
        self.gate = OrderGate(controller, HaltFile(folder / HALT_FILE), plan.live_path)
        self.store = store
        self.engine = ExecutionEngine(
            self.ledger,
            self.reader,
            self.thread,
            RiskEngine(LIMITS),
            self.gate,
            OrderRules(max_attempts=1, retry_pause_ns=0),
            lambda intent: self.sent.append(intent),
            self.events.publish,
            time.time_ns,
        )
        self.sent: list = []
        self.control.connect(self.shut_down.append, self.engine.halt)
        self.closed: list[tuple[str, str]] = []
        bookkeeper = SettlementBookkeeper(
            self.ledger,
            self.reader,
            self.thread,
            lambda: self.balance(),
            pays_by_itself=True,
            observe_orders=self.engine.observe_orders,
        )
        self.flow = SettlementFlow(
            bookkeeper,
            self.engine,
            self.ledger,
            self.thread,
            self.events,
            self.control,
            WeightLearning(settings, folder, False, self.ledger, self.reader, self.thread),
            None,
            lambda slug, official: self.closed.append((slug, str(official.outcome))),
            self.await_results,
            stop_after,
        )

    async def await_results(self) -> None:
        """Keep the markets whose results a worker would wait for."""
        self.awaited = await self.thread.call(self.reader.pending_settlements)

    def balance(self) -> Decimal:
        if self.cash is None:
            raise Temporary("no answer")
        return self.cash

    @staticmethod
    def run(work):
        return asyncio.run(work)

    def behind_the_rows(self) -> None:
        """Wait until everything that was posted is written."""
        self.run(self.thread.call(int))

    def close(self) -> None:
        for closing in (self.reader.close, self.ledger.close):
            self.run(self.thread.call(closing))
        self.thread.close()


@pytest.fixture(autouse=True)
def no_singletons():
    from core.strategy_brain.fusion_engine import reset_fusion_engine
    from feedback import reset_learning_engine

    reset_fusion_engine()
    reset_learning_engine()
    yield
    reset_fusion_engine()
    reset_learning_engine()


@pytest.fixture
def parts(tmp_path):
    made = Parts(tmp_path)
    yield made
    made.close()


# --- the end of a run --------------------------------------------------------------------------------


def test_the_first_reason_of_a_stop_is_the_exit_code(parts):
    """A planned restart that is followed by Ctrl-C is still a restart; both shut the node down."""
    parts.control.stop(ExitCode.RESTART, "planned restart after 90 minutes")
    parts.control.stop(ExitCode.DONE, "again")
    assert parts.control.exit_code is ExitCode.RESTART
    assert parts.shut_down == ["planned restart after 90 minutes", "again"]
    first, _ = parts.seen.of(Stopped)
    assert (first.restarts, first.failed) == (True, False)


@pytest.mark.parametrize(
    ("error", "halted"), [(Fatal("the disk is full"), True), (LedgerLocked("another program"), False)]
)
def test_without_a_ledger_the_worker_ends(parts, error, halted):
    """Halted, except if another program only holds the lock: the next worker tries again."""
    parts.control.ledger_failed(error)
    assert parts.control.exit_code is ExitCode.CRASHED
    (stopped,) = parts.seen.of(Stopped)
    assert (stopped.failed, stopped.restarts) == (True, False)
    assert (parts.engine.halted is not None) is halted


def test_an_internal_error_halts_and_keeps_the_worker(parts):
    """Open positions are still settled: nothing shuts down, and the reason names the error."""
    parts.control.internal_error("a background task", ValueError("no such key"))
    assert "internal error: ValueError('no such key')" in parts.engine.halted
    assert (parts.shut_down, parts.control.exit_code) == ([], ExitCode.DONE)


@pytest.mark.parametrize("announce", [True, False])
def test_a_strategy_that_does_not_start_is_tried_again(parts, announce):
    """The reason is on the screen; only the third failure in a row is a notification."""
    parts.control.not_started("the catalogue does not answer", announce=announce)
    assert parts.control.exit_code is ExitCode.UNAVAILABLE
    assert parts.control.stop_announced
    assert "error: the catalogue does not answer" in parts.screen.getvalue()
    assert [stopped.failed for stopped in parts.seen.of(Stopped)] == [announce]


# --- events and the export ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "exported"),
    [
        (Filled(fill=fill(1)), True),
        (OrderMoved(intent=intent(1), state=OrderState.REVERSED, reason="failed"), True),
        (OrderMoved(intent=intent(1), state=OrderState.NO_FILL, reason=""), False),
        (MarketRefused(slug="btc-1", why="negRisk"), False),
    ],
    ids=["filled", "reversed", "no fill", "refused"],
)
def test_a_changed_trade_rewrites_the_export(parts, event, exported):
    """Every observer is told at once; the file is written by the ledger's thread, and only for trades."""
    parts.run(parts.thread.call(buy, parts.ledger, 1))
    parts.events.publish(event)
    parts.behind_the_rows()
    assert event in parts.seen
    assert (parts.folder / "paper_trades.json").exists() is exported


def test_the_export_is_not_rewritten_while_an_order_may_follow(parts):
    """Neither for a fill nor for a result: the file of a long ledger takes longer than an order's rows."""
    near = [True]
    parts.thread.defer_while(lambda: near[0])
    parts.run(parts.thread.call(buy, parts.ledger, 1))
    parts.cash = Decimal("1000.10307")
    parts.events.publish(Filled(fill=fill(1)))
    parts.run(parts.flow.settle(market(1), settlement(1)))
    parts.behind_the_rows()
    assert not (parts.folder / "paper_trades.json").exists()
    near[0] = False
    parts.thread.post_due()
    parts.behind_the_rows()
    (row,) = json.loads((parts.folder / "paper_trades.json").read_text())
    assert row["outcome"] == "WIN"


def test_what_an_earlier_process_did_not_export_is_exported(parts):
    """A trade that is in the ledger only appears at the next start; without one no file is made."""
    parts.run(parts.events.catch_up())
    parts.behind_the_rows()
    assert not (parts.folder / "paper_trades.json").exists()
    parts.run(parts.thread.call(buy, parts.ledger, 1))
    parts.run(parts.events.catch_up())
    parts.behind_the_rows()
    (row,) = json.loads((parts.folder / "paper_trades.json").read_text())
    assert (row["outcome"], row["size_usd"]) == ("PENDING", 1.0)


def test_an_export_that_cannot_be_written_stops_nothing(parts):
    """A full disk costs the file only: it is counted, and the ledger has the trade."""
    (parts.folder / "paper_trades.json").mkdir()
    parts.run(parts.thread.call(buy, parts.ledger, 1))
    parts.run(parts.thread.call(parts.events.export))
    assert parts.observers.isolation.failures["paper trades"] == 1
    assert parts.errors == []


# --- results -----------------------------------------------------------------------------------------


def test_a_result_reaches_everything_that_depends_on_it(parts):
    """Ledger, position, export, cash and event: in this order, with the P&L of market and ledger."""
    parts.run(parts.thread.call(buy, parts.ledger, 1))
    parts.cash = Decimal("1000.10307")
    parts.run(parts.flow.settle(market(1), settlement(1)))
    (settled,) = parts.seen.of(Settled)
    assert (settled.pnl, settled.total_pnl) == (Decimal("0.10307"), Decimal("0.10307"))
    assert parts.closed == [(market(1).slug, "Up")]
    (row,) = json.loads((parts.folder / "paper_trades.json").read_text())
    assert row["outcome"] == "WIN"
    check = parts.run(parts.thread.call(parts.reader.last_cash_check))
    assert check.difference == 0
    assert parts.engine.halted is None


def test_a_difference_of_the_cash_halts(parts):
    """Money that no payout explains: no new order until a person has looked at it."""
    parts.run(parts.thread.call(buy, parts.ledger, 1))
    parts.cash = Decimal("999.5")
    parts.run(parts.flow.settle(market(1), settlement(1)))
    assert "the ledger's cash is $1000.103070, the venue's $999.5" in parts.engine.halted


def test_a_venue_that_does_not_tell_the_balance_postpones_the_check(parts):
    """Without an answer nothing is compared, and nothing halts."""
    parts.run(parts.thread.call(buy, parts.ledger, 1))
    parts.cash = None
    parts.run(parts.flow.settle(market(1), settlement(1)))
    assert len(parts.seen.of(Settled)) == 1
    assert parts.engine.halted is None


class Listing:
    """A venue whose list of the account's trades is `rows`."""

    def __init__(self, *rows):
        self.rows = list(rows)

    def trades(self, condition_id, position_id=None):
        return list(self.rows)


TRADE = {
    "id": "t1",
    "taker_order_id": "0xo1-1",
    "maker_orders": [],
    "status": "CONFIRMED",
    "match_time": "1790000000",
    "size": "1.1",
    "price": "0.9",
}
"""The trade of the order that `refuse` makes, for $0.99 and a fee of $0.00693."""
MATCHED = classify(
    200, {"success": True, "status": "matched", "makingAmount": "0.99", "takingAmount": "1.1", "errorMsg": ""}
)


def test_an_order_of_the_next_market_is_no_difference(parts):
    """The next market is bought while a late result is recorded: a balance from before the order is not
    compared with a ledger that has its fill, and nothing halts."""
    read, filled = threading.Event(), threading.Event()

    def balance() -> Decimal:
        read.set()
        assert filled.wait(10)
        return Decimal("1000.10307")

    async def settled() -> None:
        await parts.engine.resume()
        await parts.thread.call(buy, parts.ledger, 1)
        parts.engine.register_market(market(2))
        parts.balance = balance
        settling = asyncio.create_task(parts.flow.settle(market(1), settlement(1)))
        assert await asyncio.to_thread(read.wait, 10)
        await parts.engine.handle_decision(decision(2))
        (order,) = parts.sent
        await parts.engine.order_signed(order.intent_id, "0xnext")
        parts.engine.order_answered(order.intent_id, MATCHED)
        parts.engine.trade(TRADE | {"id": "t2", "taker_order_id": "0xnext"})
        await parts.engine.drain()
        filled.set()
        await settling

    parts.run(settled())
    assert parts.engine.halted is None
    assert parts.run(parts.thread.call(parts.reader.last_cash_check)) is None
    assert len(parts.run(parts.thread.call(parts.reader.trades))) == 2


def refuse(ledger):
    """An order that was refused 20 s ago: old enough for the venue's list to be complete."""
    ledger.record_state(send(ledger, 1, created_ns=time.time_ns() - 20 * 10**9), OrderState.REFUSED)


def test_a_difference_of_the_cash_is_the_fill_of_a_refused_order(parts):
    """Ended orders are looked up before a difference is stored: the fill is recorded, and its market's result
    comes before the next comparison, which agrees."""
    parts.run(parts.thread.call(refuse, parts.ledger))
    parts.run(parts.thread.call(parts.ledger.record_market, market(2)))
    venue = Listing()

    async def settled() -> None:
        await parts.engine.resume()
        following = asyncio.create_task(parts.engine.follow_orders(venue))
        assert await parts.engine.await_certain_cash(10)
        assert parts.engine.halted is None
        venue.rows.append(TRADE)
        parts.cash = Decimal("999.00307")
        await parts.flow.settle(market(2), settlement(2))
        assert parts.awaited == [market(1).slug], "its market ended without an order"
        assert await parts.thread.call(parts.reader.last_cash_check) is None
        parts.cash = Decimal("1000.10307")
        await parts.flow.settle(market(1), settlement(1))
        following.cancel()

    parts.run(settled())
    assert parts.run(parts.thread.call(parts.reader.last_cash_check)).difference == 0
    (trade,) = parts.run(parts.thread.call(parts.reader.trades))
    assert (trade.shares, trade.cost, trade.fee) == (Decimal("1.1"), Decimal("0.99"), Decimal("0.00693"))
    assert "that had ended as refused" in parts.engine.halted


def test_payouts_are_recorded_when_no_order_is_uncertain(parts, monkeypatch):
    """A result right after a start: look-ups end, then payouts are recorded, then the cash is compared."""
    parts.run(parts.thread.call(refuse, parts.ledger))
    parts.run(parts.thread.call(parts.ledger.record_market, market(2)))
    certain, awaited = [], threading.Event()
    await_certain_cash = parts.engine.await_certain_cash

    class LateListing(Listing):
        def trades(self, condition_id, position_id=None):
            assert awaited.wait(10)
            return super().trades(condition_id, position_id)

    async def await_look_ups(limit_s):
        awaited.set()
        return await await_certain_cash(limit_s)

    class Payouts:
        async def check(self):
            last = await parts.thread.call(parts.reader.last_cash_check)
            certain.append((parts.engine.cash_is_certain, last))

    monkeypatch.setattr(parts.flow, "_redemption", Payouts())
    monkeypatch.setattr(parts.engine, "await_certain_cash", await_look_ups)

    async def settled() -> None:
        await parts.engine.resume()
        assert not parts.engine.cash_is_certain
        following = asyncio.create_task(parts.engine.follow_orders(LateListing()))
        await parts.flow.settle(market(2), settlement(2))
        following.cancel()

    parts.run(settled())
    assert certain == [(True, None)]
    assert parts.run(parts.thread.call(parts.reader.last_cash_check)).difference == 0


@pytest.mark.parametrize(("observed", "stops"), [((), False), ((1,), False), ((1, 2), True)])
def test_a_run_of_two_markets_ends_with_the_second_observed_one(tmp_path, observed, stops):
    """Only markets whose whole window was observed count towards --markets."""
    parts = Parts(tmp_path, stop_after=2)
    for number in observed:
        parts.flow.count(market(number).slug)
    for number in (1, 2):
        parts.run(parts.thread.call(parts.ledger.record_decision, decision(number, reason="no_ask")))
        parts.run(parts.flow.settle(market(number), settlement(number)))
    assert bool(parts.shut_down) is stops
    assert parts.control.settled == len(observed)
    parts.close()


@pytest.mark.parametrize(("grave", "bought"), [(True, True), (True, False), (False, True)])
def test_a_late_result_halts_only_if_waiting_does_not_help(parts, grave, bought):
    """Recorded and announced always; a halt needs a position and a status that a person has to look at."""
    if bought:
        parts.run(parts.thread.call(send, parts.ledger, 1))
        parts.run(parts.engine.resume())
    else:
        parts.run(parts.thread.call(parts.ledger.record_decision, decision(1, reason="no_ask")))
    parts.run(parts.flow.late(market(1), ResolutionStatus(None, "they contradict", grave=grave)))
    assert [late.why for late in parts.seen.of(SettlementLate)] == ["they contradict"]
    expected = "python book_result.py btc-updown-15m-" if grave and bought else None
    assert (parts.engine.halted is not None) is (expected is not None)
    if expected is not None:
        assert expected in parts.engine.halted


@pytest.mark.parametrize("error", [Fatal("no space"), KeyError("winner")])
def test_a_result_that_cannot_be_recorded_halts(parts, error):
    """An unwritable ledger ends the worker; another error only halts it."""
    parts.flow.failed(error)
    assert parts.engine.halted is not None
    assert bool(parts.shut_down) is isinstance(error, Fatal)


# --- the mode ----------------------------------------------------------------------------------------


@pytest.fixture
def follower(tmp_path, monkeypatch):
    """A follower of an armed rehearsal, and the market that runs."""
    monkeypatch.setattr(mode_follower, "POLL_SECONDS", 0.001)
    plan = msgspec.structs.replace(PLAN, mode=Mode.SIMULATION, profile="rehearsal-synthetic", armed=True)
    parts, running = Parts(tmp_path, plan), [market(1).slug]

    def made() -> ModeFollower:
        return ModeFollower(
            plan,
            parts.gate,
            parts.engine,
            parts.ledger,
            parts.thread,
            parts.events,
            lambda: running[0],
        )

    yield parts, running, made
    parts.close()


async def _until(holds) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never held")


def test_a_switch_is_announced_and_takes_effect_in_the_next_market(follower):
    """To simulation: a row, an event, no order from now on; the worker ends after the running market."""
    parts, running, made = follower
    parts.store.write(Mode.LIVE)
    one = made()
    one.begin()
    assert parts.seen.of(ModeChanged) == []
    assert one.allows_orders

    async def switched() -> None:
        task = asyncio.create_task(one.run())
        await asyncio.to_thread(parts.store.write, Mode.SIMULATION)
        await _until(lambda: one.switched_to(market(2).slug) is not None)
        task.cancel()

    parts.run(switched())
    assert [(event.mode, event.allows_orders) for event in parts.seen.of(ModeChanged)] == [
        ("simulation", True)
    ]
    assert one.switched_to(market(1).slug) is None, "it stays in the market of the switch"
    assert one.switched_to(market(2).slug) == "simulation"
    rows = parts.run(parts.thread.call(parts.reader.last_mode))
    assert rows.mode is Mode.SIMULATION
    assert running == [market(1).slug]


def test_a_start_in_a_mode_that_allows_no_order_says_so(follower):
    """A switch between the plan and the start is announced at once."""
    parts, _, made = follower
    parts.store.write(Mode.SIMULATION)
    made().begin()
    (event,) = parts.seen.of(ModeChanged)
    assert event.mode == "simulation"


def test_paper_orders_need_no_permission(parts):
    """Without --live the mode store can only refuse real money."""
    one = ModeFollower(
        parts.plan,
        parts.gate,
        parts.engine,
        parts.ledger,
        parts.thread,
        parts.events,
        lambda: "",
    )
    one.begin()
    assert one.allows_orders
    assert one.switched_to("") is None
    assert parts.seen.of(ModeChanged) == []


# --- the worker --------------------------------------------------------------------------------------


def worker_of(parts: Parts) -> Worker:
    """A worker of these parts; what it does not use here, the node among it, is left out."""
    return Worker(
        SimpleNamespace(
            plan=parts.plan,
            control=parts.control,
            ledger=parts.ledger,
            engine=parts.engine,
            settlement=parts.flow,
            events=parts.events,
            thread=parts.thread,
            reader=parts.reader,
            marker=PositionMarker(parts.ledger, parts.thread, parts.engine.has_open_order),
            recorder=None,
            observe_account=ignore,
        )
    )


@pytest.mark.parametrize(
    ("observed", "bought", "waits"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_a_finished_market_is_settled_if_it_was_observed_or_bought(parts, observed, bought, waits):
    """A worker that starts inside a window may buy as well; a market it only saw the end of is no result."""

    async def closed() -> set[str]:
        if bought:
            await parts.thread.call(send, parts.ledger, 1)
            await parts.engine.resume()
        worker = worker_of(parts)
        worker._outcomes = worker._make_poller()
        worker.market_closed(market(1), observed)
        polled = set(worker._outcomes._tasks)
        await worker.close()
        return polled

    assert (market(1).slug in parts.run(closed())) is waits


@pytest.mark.parametrize(
    ("gamma", "clob", "loads"),
    [
        ("http://127.0.0.1:1/gamma", "http://127.0.0.1:1", 0),
        ("https://gamma.example", "http://127.0.0.1:1", 1),
        ("http://127.0.0.1:1/gamma", "https://clob.example", 1),
    ],
)
def test_results_over_tls_are_verified(parts, monkeypatch, gamma, clob, loads):
    """The certificates are loaded, which takes a fiftieth of a start, if a result may come over TLS."""
    loaded = []
    monkeypatch.setattr(
        worker_module, "trust_store", lambda: loaded.append(True) or ssl.create_default_context()
    )

    async def made() -> None:
        worker = worker_of(parts)
        worker._parts.plan = msgspec.structs.replace(
            parts.plan, urls=msgspec.structs.replace(parts.plan.urls, gamma=gamma, clob=clob)
        )
        worker._make_poller()
        mode = worker._http._transport._pool._ssl_context.verify_mode
        assert (mode is ssl.CERT_REQUIRED) is (loads == 1)
        await worker.close()

    parts.run(made())
    assert len(loaded) == loads


def test_the_next_worker_takes_up_what_has_no_result(parts, monkeypatch):
    """Bought markets of any age, and decided ones of the last hour; each once, none that is settled."""
    for number in (1, 2, 40):
        parts.run(parts.thread.call(buy, parts.ledger, number))
    for number in (40, 41, 42):
        parts.run(parts.thread.call(parts.ledger.record_decision, decision(number, reason="no_ask")))
    parts.run(parts.thread.call(parts.ledger.record_settlement, settlement(2, Outcome.UP)))
    now_ns = (market(43).start + 10) * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    found = parts.run(worker_of(parts)._unsettled())
    assert sorted(one.slug for one in found) == [market(n).slug for n in (1, 40, 41, 42)]


def test_a_market_whose_trade_is_found_after_its_end_is_settled(parts):
    """It was not waited for, because its only order had been refused."""

    async def found() -> list[str]:
        worker = worker_of(parts)
        await worker.await_results()  # not prepared yet
        worker._outcomes = worker._make_poller()
        await parts.thread.call(buy, parts.ledger, 1)
        await worker.await_results()
        await worker.await_results()
        polled = list(worker._outcomes._tasks)
        await worker.close()
        return polled

    assert parts.run(found()) == [market(1).slug]


def test_a_passing_failure_at_the_start_ends_the_worker_without_a_halt(parts, monkeypatch):
    """The supervisor starts another one; an unexpected error is raised, and the strategy halts."""
    worker = worker_of(parts)

    def failing(error: Exception):
        async def take_over() -> None:
            raise error

        return take_over

    async def started() -> bool:
        waiting = asyncio.create_task(worker.prepare())
        await asyncio.wait({waiting}, timeout=0.05)
        return not waiting.done() and waiting.cancel()

    monkeypatch.setattr(worker, "_take_over", failing(OSError(errno.ENOSPC, "No space left on device")))
    assert parts.run(started())
    assert parts.control.exit_code is ExitCode.UNAVAILABLE
    assert parts.engine.halted is None
    monkeypatch.setattr(worker, "_take_over", failing(Fatal("a defect")))
    with pytest.raises(Fatal, match="a defect"):
        parts.run(worker.prepare())


def test_a_refused_market_is_announced(parts):
    """The reason of the catalogue reaches the screen and the other observers."""
    worker_of(parts).market_refused("btc-1", "negRisk")
    assert parts.seen.of(MarketRefused) == [MarketRefused(slug="btc-1", why="negRisk")]


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "a withdrawal"])
def test_a_start_looks_a_refused_order_up_before_it_books_a_withdrawal(tmp_path, executed):
    """Less cash than in the ledger is the cost of an order that the venue executed all the same; without a
    trade in its list it is a withdrawal."""
    with open_ledger(ledger_path(tmp_path, PAPER.profile)) as earlier:
        refuse(earlier)
    parts = Parts(tmp_path, cash="999.00307")
    assert parts.ledger.drift_is_open

    async def started() -> None:
        await parts.engine.resume()
        following = asyncio.create_task(parts.engine.follow_orders(Listing(TRADE) if executed else Listing()))
        await worker_of(parts)._book_drift()
        following.cancel()

    parts.run(started())
    assert not parts.ledger.drift_is_open
    run = parts.run(parts.thread.call(parts.reader.last_run))
    assert run.cash_drift == (Decimal(0) if executed else Decimal("-0.99693"))
    assert len(parts.run(parts.thread.call(parts.reader.trades))) == int(executed)
    assert (parts.engine.halted is not None) is executed
    parts.close()
