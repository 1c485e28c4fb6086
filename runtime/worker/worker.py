"""Runs what `assembly.build` has connected: one node, a strategy for each series, one ledger, one account."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx
from nautilus_trader.common.component import flush_logger
from nautilus_trader.live.node import TradingNode

from common.beats import next_beat
from common.bounded_http import trust_store
from common.constants import ExitCode
from config import Settings
from core.nautilus_core.providers.decision_loop import DecisionLoop
from errors import BotError, UnknownVersion
from events import MarketRefused, Started, Stopped
from execution.execution_engine import ExecutionEngine
from execution.ledger import LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.polymarket_client import PolymarketClient
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.settlement.outcome_poller import OutcomePoller, ResolutionSource
from execution.settlement.redemption import Redemption
from execution.venue_facts.recorder import FactRecorder, Observe
from models import Market
from research.recorder import Recorder
from runtime.worker.event_sink import EventSink
from runtime.worker.exit_codes import exit_of
from runtime.worker.heartbeat import Heartbeat
from runtime.worker.market_terms import MarketTermsReader
from runtime.worker.mirror_evidence import MirrorEvidence
from runtime.worker.mode_follower import ModeFollower
from runtime.worker.observers import ObserverGroup
from runtime.worker.one_core import OneCore, machine_is_busy
from runtime.worker.plan import WorkerPlan
from runtime.worker.planned_restart import RestartState, restart_reason
from runtime.worker.position_marks import PositionMarker
from runtime.worker.reported_versions import ReportedVersions
from runtime.worker.run_control import RunControl
from runtime.worker.settlement_flow import SettlementFlow
from runtime.worker.start import StartLimit, run_node
from runtime.worker.traded_series import TradedGroup
from runtime.worker.weight_learning import SeriesLearning, WeightLearning
from runtime.worker.worker_status import StatusReporter, spot_text

LOOK_MARKET_SECONDS = 1.0
"""Market seconds between two looks at the running market, in machine time at least `SHORTEST_LOOK_S`."""
SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.25, 1.0
STATUS_SECONDS = 1.0
RESOLUTION_LATE_AFTER = 300.0
"""Market seconds after the end from which a missing result is reported; the slowest measured took 162."""
DECIDED_SINCE = 3600.0
"""Market seconds since its start within which a market with a decision but no order is still settled:
learning needs its result."""
DRIFT_LIMIT_S = 15.0
"""Longest wait of a start for look-ups, if the cash differs; a list is complete for an order 10 s old."""
ALERT_AFTER_STARTS = 3
"""Consecutive failed starts after which a notification is sent."""


@dataclass(frozen=True, kw_only=True)
class WorkerParts:
    """The parts of a worker. `assembly.build` creates all of them and opens all I/O."""

    settings: Settings
    plan: WorkerPlan
    account: PolymarketClient
    thread: LedgerThread
    ledger: Ledger
    reader: LedgerReader
    observers: ObserverGroup
    control: RunControl
    events: EventSink
    versions: ReportedVersions
    decision_loop: DecisionLoop
    engine: ExecutionEngine
    learning: WeightLearning | SeriesLearning
    bookkeeper: SettlementBookkeeper
    redemption: Redemption | None
    marker: PositionMarker
    settlement: SettlementFlow
    mode: ModeFollower
    status: StatusReporter
    group: TradedGroup
    node: TradingNode
    start: StartLimit
    heartbeat: Heartbeat
    facts: FactRecorder
    terms: MarketTermsReader
    order_is_near: Callable[[], bool]
    """Whether an order may follow soon."""
    observe_account: Observe
    """Receives what the venue that holds the account shows about its rules."""
    mirror: MirrorEvidence | None
    recorder: Recorder | None = None


class Worker:
    """Trades until it is stopped; opens only the result poller itself, in `prepare`."""

    def __init__(self, parts: WorkerParts) -> None:
        self._parts = parts
        self._started_s = time.monotonic()
        self._outcomes: OutcomePoller | None = None
        self._http: httpx.AsyncClient | None = None
        self._background: set[asyncio.Task[None]] = set()

    def run(self) -> ExitCode:
        """Run the node; returns the exit code for the supervisor."""
        parts = self._parts
        parts.observers.start()
        if parts.recorder is not None:
            parts.recorder.start()
        try:
            why_not = run_node(parts.node, parts.start, parts.heartbeat)
            if why_not is not None:
                announce = parts.plan.failed_starts + 1 == ALERT_AFTER_STARTS
                parts.control.not_started(why_not, announce=announce)
        finally:
            self._close()
        return parts.control.exit_code

    def _close(self) -> None:
        parts = self._parts
        if not parts.control.stop_announced:
            parts.observers.handle(Stopped(why="stopped by the operator"))
        parts.observers.close()
        if parts.recorder is not None:
            parts.recorder.close()
        parts.facts.close()
        # Not `node.dispose()`: it also closes the event loop. Threads of NautilusTrader may still call on it,
        # and would print a traceback. The process ends right after this.
        parts.node.kernel.dispose()
        flush_logger()
        parts.decision_loop.close()
        parts.ledger.stop_waiting()
        parts.thread.post_all()
        parts.thread.post(parts.ledger.close_run)
        parts.thread.post(parts.reader.close)
        parts.thread.post(parts.ledger.close)
        parts.thread.close()

    # --- awaited by the strategy at its start and end ---------------------------------------------

    async def prepare(self) -> None:
        """Take over the state of an earlier process before the first tick is processed.

        If a passing failure such as a lack of descriptors prevents that, end the worker and do not return.
        """
        try:
            await self._take_over()
        except (BotError, OSError) as error:
            code = exit_of(error)
            if code is not ExitCode.UNAVAILABLE:
                raise
            self._parts.control.stop(code, f"the strategy cannot start: {error}")
            await asyncio.get_running_loop().create_future()

    async def _take_over(self) -> None:
        parts, plan = self._parts, self._parts.plan
        parts.start.strategy_started()
        self._outcomes = self._make_poller()
        parts.events.publish(
            Started(mode=plan.mode, venue=plan.venue, note=plan.note, restarted=plan.restarted)
        )
        parts.mode.begin()
        await parts.events.catch_up()
        await parts.bookkeeper.record_old_payouts()
        await parts.learning.learn()
        for market in await self._unsettled():
            parts.engine.register_market(market)
            self._outcomes.add(market)
            if plan.restarted:
                parts.settlement.count(market.slug)
        await parts.engine.resume()
        # After `resume`, which applies a halt of an earlier process.
        parts.facts.start()
        parts.thread.defer_while(self._order_may_wait)
        self._spawn(parts.engine.follow_orders(parts.account))
        self._spawn(parts.engine.keep_connection(parts.order_is_near))
        self._spawn(OneCore(machine_is_busy).follow(parts.order_is_near))
        self._spawn(parts.mode.run())
        self._spawn(parts.terms.run())
        self._spawn(parts.status.measure_skew())
        self._spawn(self._report_status())
        self._spawn(self._check_clock())
        if parts.mirror is not None:
            self._spawn(parts.mirror.run())
        if parts.redemption is not None:
            self._spawn(parts.redemption.run())
        await self._book_drift()

    def _order_may_wait(self) -> bool:
        """Whether an order would wait for what the ledger's thread does: one is being sent, or may follow."""
        parts = self._parts
        return parts.engine.in_flight or parts.group.order_may_follow(parts.engine.has_open_order)

    async def _book_drift(self) -> None:
        """Book a deposit or withdrawal of the time before this run, once no order can be its reason."""
        parts = self._parts
        if parts.ledger.drift_is_open and await parts.engine.await_certain_cash(DRIFT_LIMIT_S):
            await parts.engine.drain()
            await parts.thread.call(parts.ledger.book_drift)
            await self.await_results()

    async def await_results(self) -> None:
        """Wait for the result of every bought market, also of one whose trade was found after its end."""
        if self._outcomes is not None:
            for market in await self._parts.thread.call(self._parts.reader.pending_markets):
                self._outcomes.add(market)

    async def _unsettled(self) -> list[Market]:
        """Markets without a result: bought ones, and those of the last hour with a decision."""
        parts = self._parts
        since = int(parts.plan.clock.market_time(time.time_ns()) - DECIDED_SINCE)
        bought = await parts.thread.call(parts.reader.pending_markets)
        decided = await parts.thread.call(parts.reader.decided_markets, since)
        return list({market.slug: market for market in (*bought, *decided)}.values())

    async def close(self) -> None:
        """Close what `prepare` opened."""
        for task in list(self._background):
            task.cancel()
        if self._outcomes is not None:
            await self._outcomes.close()
        if self._http is not None:
            await self._http.aclose()

    def _make_poller(self) -> OutcomePoller:
        parts, clock = self._parts, self._parts.plan.clock
        secure = parts.plan.urls.gamma.startswith("https") or parts.plan.urls.clob.startswith("https")
        self._http = httpx.AsyncClient(verify=trust_store() if secure else False)
        return OutcomePoller(
            # Results come from the venue that holds the account: it does not pay for a result that it does
            # not have.
            ResolutionSource(
                self._http,
                parts.plan.urls.gamma,
                parts.plan.urls.clob,
                None if parts.recorder is None else parts.recorder.catalogue,
                parts.observe_account,
            ),
            parts.settlement.settle,
            parts.settlement.late,
            parts.settlement.failed,
            lambda market: (clock.wall_time_ns(market.end) - time.time_ns()) / 1e9,
            time.time_ns,
            min(3.0, max(0.5, clock.wall_seconds(10))),
            clock.wall_seconds(RESOLUTION_LATE_AFTER),
        )

    # --- reported by the strategy -----------------------------------------------------------------

    def market_closed(self, market: Market, observed: bool) -> None:
        """Wait for the result of a finished market if its window was observed or it has an order."""
        self._parts.marker.close_market(market.slug)
        # A worker that starts inside a window may buy as well.
        if (observed or self._parts.engine.has_open_order(market.slug)) and self._outcomes is not None:
            self._parts.settlement.count(market.slug)
            self._outcomes.add(market)

    def market_refused(self, slug: str, why: str) -> None:
        """Report a market of the catalogue that is not traded."""
        self._parts.events.publish(MarketRefused(slug=slug, why=why))

    def version_unknown(self, slug: str, error: UnknownVersion) -> None:
        """Report the first market of a protocol version that this bot does not support: once in a run."""
        if self._parts.versions.add(error.version):
            self._parts.events.publish(MarketRefused(slug=slug, why=str(error), unknown_version=True))
        else:  # an earlier worker of this run has notified the operator
            self._parts.observers.print_message(f"{slug} is not traded: {error}")

    # --- background tasks -------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._parts.control.internal_error("a background task", error)

    async def _report_status(self) -> None:
        while True:
            self._parts.observers.heartbeat(self._parts.status.status(self._outcomes))
            await next_beat(STATUS_SECONDS)

    async def _check_clock(self) -> None:
        """Draw the waiting line, mark positions, begin deferred calls, and end the worker when a restart is
        due."""
        parts = self._parts
        pause_s = min(
            LONGEST_LOOK_S, max(SHORTEST_LOOK_S, parts.plan.clock.wall_seconds(LOOK_MARKET_SECONDS))
        )
        while True:
            strategy = parts.group.next_to_decide.strategy
            tracked, second, p = strategy.now()
            market = tracked.market if tracked else None
            waiting = len(self._outcomes.waiting) if self._outcomes else 0
            parts.observers.progress(market, second, p, waiting, spot_text(strategy.externals, market))
            for _, running, its_second, price in parts.group.running():
                parts.marker.update(running.market if running else None, its_second, price)
            parts.thread.post_due()
            why = restart_reason(self._restart_state())
            if why is not None:
                parts.control.stop(ExitCode.RESTART, why)
                return
            await next_beat(pause_s)

    def _restart_state(self) -> RestartState:
        parts = self._parts
        shortest = parts.group.shortest
        tracked, second, _ = shortest.strategy.now()
        return RestartState(
            second=second,
            market_s=parts.plan.clock.wall_seconds(shortest.length_s),
            in_flight=parts.engine.in_flight,
            settling=any(map(parts.engine.has_open_order, self._outcomes.expected if self._outcomes else ())),
            switched_to=parts.mode.switched_to(tracked.market.slug if tracked else ""),
            live_path=parts.plan.live_path,
            age_s=time.monotonic() - self._started_s,
            restart_after_s=parts.settings.restart_after_minutes * 60,
            disturbs=parts.group.several and parts.group.restart_disturbs,
        )
