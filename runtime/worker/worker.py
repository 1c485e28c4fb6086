"""Holds the parts of a run together and does what is left between them."""

import asyncio
import time
from decimal import Decimal

import httpx
import msgspec
from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from rich.console import Console

from bot import IntegratedBTCStrategy
from common.constants import ExitCode
from config import Settings
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.ingestion.factory import FeedSettings, get_data_adapter
from core.nautilus_core.data_engine.node import NodePlan, build_node
from core.nautilus_core.instruments.market_board import MarketBoard
from core.nautilus_core.providers.decision_loop import DecisionLoop
from core.nautilus_core.providers.feed_actor import FeedActor
from core.strategy_brain.fusion_engine import get_fusion_engine
from core.strategy_brain.strategies.decide import decide
from core.strategy_brain.strategies.market_view import MarketView
from data_sources.chainlink import PolyBoltCredentials
from errors import Fatal, Temporary
from events import (
    Event,
    Filled,
    MarketRefused,
    ModeChanged,
    OrderMoved,
    Settled,
    SettlementLate,
    Started,
    Stopped,
    WorkerStatus,
)
from execution.execution_engine import OrderRules, get_execution_engine
from execution.ledger import LedgerReader, Mode, Venue, ledger_path
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.risk_engine import get_risk_engine
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.settlement.outcome_poller import OutcomePoller, ResolutionSource
from execution.settlement.redemption import Redemption
from execution.venue_answers import ResolutionStatus
from models import Decision, DecisionContext, Market, OrderState, Rule, Settlement
from paper_trading import export_paper_trades, paper_trades
from runtime.worker.account import open_account
from runtime.worker.heartbeat import Heartbeat
from runtime.worker.observer_setup import build_observers
from runtime.worker.observers import ObserverGroup
from runtime.worker.order_gate import OrderGate
from runtime.worker.plan import WorkerPlan
from runtime.worker.position_marks import PositionMarker
from runtime.worker.redemption_setup import make_redemption
from runtime.worker.settings_mapping import decision_settings, market_calendar, risk_limits
from runtime.worker.start import StartLimit, run_node
from runtime.worker.weight_learning import WeightLearning
from runtime.worker.worker_status import feed_reconnects, feed_statuses, spot_text

REFRESH_SECONDS = 0.25
POLL_SECONDS = 1.0
"""Between two looks at the mode store and the halt file; orders ask by themselves."""
SKEW_SECONDS = 60.0
NO_FEEDS = dict.fromkeys(
    ("coinbase", "strike", "deribit", "fear_greed"), "recorded markets carry no external feeds"
)
UNLIMITED_USD = Decimal(1_000_000)
RESOLUTION_LATE_AFTER = 300.0
"""Market seconds after a market's end from which its missing outcome is told; the slowest seen took 162."""
CERTAIN_CASH_LIMIT_S = 3.0
"""Longest wait for look-ups before a cash check is left to the next market."""
GIVE_UP_AFTER = 600.0
"""Market seconds after which an order of a settled market that has no trade is taken as never matched."""
ALERT_AFTER_STARTS = 3
"""Failed starts in a row after which a notification is sent."""
RESTART_MARGIN = 60.0
"""Market seconds before the window after which a worker stays for it."""


class Worker:
    """One node, one strategy, one ledger, one account."""

    def __init__(
        self,
        settings: Settings,
        plan: WorkerPlan,
        gate: OrderGate,
        console: Console,
        start: StartLimit,
        heartbeat: Heartbeat,
    ) -> None:
        self.settings = settings
        self.plan = plan
        self.clock = plan.clock
        self.params, self.schedule = decision_settings(settings, plan)
        self.exit = ExitCode.DONE
        self.settled = plan.done
        self._gate = gate
        self._start, self._heartbeat = start, heartbeat
        self._mode_decision = gate.mode_decision()
        self._switching: str | None = None
        self._stop_announced = False
        self._started = time.monotonic()
        self._observed_slugs: set[str] = set()
        self._reconnects: dict[str, int] = {"market": 0, "user": 0}
        self._skew_s: float | None = None
        self.folder = plan.folder(settings.state_dir)
        self._account, self._wallet = open_account(settings, plan)
        self.board = MarketBoard(market_calendar(settings), self._market_known, self._market_refused)
        self.decision_loop = DecisionLoop()
        self._thread = LedgerThread(self._ledger_failed)
        self._ledger, self._reader = self._open_ledger()
        self._remember_markets()
        self.observers = ObserverGroup(settings, plan, console, build_observers(settings, plan))
        self.strategy = IntegratedBTCStrategy(self)
        self.engine = get_execution_engine(
            self._ledger,
            self._reader,
            self._thread,
            get_risk_engine(risk_limits(settings)),
            gate,
            OrderRules(
                max_attempts=settings.order_max_attempts,
                give_up_after_ns=int(self.clock.wall_seconds(GIVE_UP_AFTER) * 1e9),
            ),
            self.strategy.send,
            self.publish,
            time.time_ns,
        )
        self._weight_learning = WeightLearning(
            settings, self.folder, plan.reset_learning, self._ledger, self._reader, self._thread
        )
        self._bookkeeper = SettlementBookkeeper(
            self._ledger,
            self._reader,
            self._thread,
            self._account.balance,
            pays_by_itself=not plan.live_path,
            publish=self.publish,
        )
        self._redemption: Redemption | None = None
        if plan.live_path:
            self._redemption = make_redemption(
                settings, plan, self._account, self._wallet, self.engine, self._bookkeeper, self.publish
            )
        self._position_marker = PositionMarker(self._ledger, self._thread, self.engine.has_open_order)
        self._outcome_poller: OutcomePoller | None = None
        self._http: httpx.AsyncClient | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._feeds = self._build_feeds()
        self._node = self._build_node()

    # --- assembly --------------------------------------------------------------------------------

    def _open_ledger(self) -> tuple[Ledger, LedgerReader]:
        cash, plan = self._account.balance(), self.plan
        path = ledger_path(self.settings.state_dir, plan.profile)
        # A practice account can start over, and may then be shown the same recorded market again.
        session = "" if plan.venue is Venue.POLYMARKET else self._account.address

        def opened() -> tuple[Ledger, LedgerReader]:
            ledger = Ledger(path)
            ledger.open_run(
                mode=plan.mode,
                venue=plan.venue,
                clock_speed=plan.clock.speed,
                starting_cash=cash,
                session=session,
                note=plan.note,
            )
            return ledger, LedgerReader(path)

        return asyncio.run(self._thread.call(opened))

    def _remember_markets(self) -> None:
        """Tell the board the ids under which the ledger knows the markets that the catalogue still lists."""
        first = self.board.calendar.running_start(self.clock.market_time(time.time_ns()))
        for market in asyncio.run(self._thread.call(self._reader.markets_since, first)):
            self.board.remember(market)

    def _build_feeds(self) -> UnifiedDataAdapter | None:
        if self.plan.feeds is None:
            return None
        settings, wallet = self.settings, self._wallet
        # The real relay knows real wallets only; a practice one knows its own.
        known = self.plan.mode is Mode.LIVE or self.plan.venue is Venue.SYNTHETIC
        return get_data_adapter(
            FeedSettings(
                asset=settings.market_asset,
                interval=settings.interval_seconds,
                urls=self.plan.feeds,
                # Practice worlds have no news, and the key is not for anybody else.
                cryptopanic_key=settings.cryptopanic_api_key.get_secret_value()
                if self.plan.venue is Venue.POLYMARKET
                else "",
                polybolt=PolyBoltCredentials(wallet.api_key, wallet.api_secret, wallet.passphrase)
                if known
                else None,
                deribit_max_dte=settings.deribit_max_dte,
                deribit_cache_s=settings.deribit_cache_seconds,
            ),
            now_ns=time.time_ns,
            market_time=self.clock.market_time,
        )

    def _actors(self) -> list[Actor]:
        if self._feeds is None:
            return []
        return [FeedActor(self._feeds, self.decision_loop, self.clock, self._running_rule, time.time_ns)]

    def _running_rule(self) -> Rule:
        tracked, _, _ = self.strategy.now()
        return Rule.TWAP60 if tracked is None else tracked.market.rule

    def _build_node(self) -> TradingNode:
        settings, plan = self.settings, self.plan
        return build_node(
            NodePlan(
                trader_id=settings.trader_id,
                market_urls=plan.market_urls,
                urls=plan.urls,
                wallet=self._wallet,
                max_order_usd=settings.market_buy_usd,
                refresh_seconds=max(1.0, plan.clock.wall_seconds(settings.interval_seconds) / 2),
                connect_delay_seconds=min(5.0, 5.0 / plan.clock.speed),
                data_qsize=settings.data_engine_qsize,
                exec_qsize=settings.exec_engine_qsize,
                log_level=settings.nautilus_log_level,
                log_dir=settings.nautilus_log_dir,
            ),
            self.strategy,
            self._actors(),
            self.engine,
            lambda: self.board.calendar.upcoming(self.clock.market_time(time.time_ns())),
            self.board,
            self._reconnected,
            self._start.connect_failed,
        )

    # --- running ---------------------------------------------------------------------------------

    def run(self) -> ExitCode:
        """Trade until stopped; returns what the supervisor has to know."""
        self.observers.start()
        try:
            why_not = run_node(self._node, self._start, self._heartbeat)
            if why_not is not None:
                self._not_started(why_not)
        finally:
            if not self._stop_announced:
                self.observers.handle(Stopped(why="as it was told to"))
            self.observers.close()
            self._node.dispose()
            self.decision_loop.close()
            self._thread.post(self._ledger.close_run)
            self._thread.post(self._reader.close)
            self._thread.post(self._ledger.close)
            self._thread.close()
        return self.exit

    def _not_started(self, why: str) -> None:
        """The supervisor starts another worker; a notification is sent only about an outage that lasts."""
        self.exit, self._stop_announced = ExitCode.UNAVAILABLE, True
        self.observers.reporter.print_message(f"error: {why}")
        lasts = self.plan.failed_starts + 1 == ALERT_AFTER_STARTS
        self.observers.handle(Stopped(why=why, restarts=True, failed=lasts))

    async def started(self) -> None:
        """Take up what an earlier process left, before the first tick is looked at."""
        self._start.strategy_started()
        self._http = httpx.AsyncClient()
        poll = min(3.0, max(0.5, self.clock.wall_seconds(10)))
        self._outcome_poller = OutcomePoller(
            # The venue that holds the account: what it has not heard of it has not paid for either.
            ResolutionSource(self._http, self.plan.urls.gamma, self.plan.urls.clob),
            self._settle,
            self._settlement_late,
            self._settlement_failed,
            lambda market: (self.clock.wall_time_ns(market.end) - time.time_ns()) / 1e9,
            time.time_ns,
            poll,
            self.clock.wall_seconds(RESOLUTION_LATE_AFTER),
        )
        plan = self.plan
        self.publish(Started(mode=plan.mode, venue=plan.venue, note=plan.note, restarted=plan.restarted))
        self._thread.post(
            self._ledger.record_mode,
            self._mode_decision.mode,
            self._mode_decision.allows_orders,
            self._mode_decision.why,
        )
        if plan.live_path and not (
            self._mode_decision.mode is Mode.LIVE and self._mode_decision.allows_orders
        ):
            # Switched between the plan and the start: said now, not only by each decision.
            self.publish(
                ModeChanged(
                    mode=self._mode_decision.mode,
                    allows_orders=self._mode_decision.allows_orders,
                    why=self._mode_decision.why,
                )
            )
        # A process that died between the ledger and the export has left the export behind.
        if await self._thread.call(self._reader.traded_slugs):
            self._thread.post(self._export)
        await self._bookkeeper.book_old_payouts()
        await self._weight_learning.learn()
        for market in await self._thread.call(self._reader.pending_markets):
            self.engine.register_market(market)
            self._outcome_poller.add(market)
        await self.engine.resume()
        works = [
            self.engine.follow_orders(self._account),
            self._follow_mode(),
            self._measure_skew(),
            self._send_heartbeats(),
        ]
        if self._redemption is not None:
            works.append(self._redemption.run())
        for work in works:
            task = asyncio.get_running_loop().create_task(work)
            self._background.add(task)
            task.add_done_callback(self._background_ended)

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("a background task failed")
            self.engine.halt(f"internal error: {error!r}; details are in the log")

    async def stopping(self) -> None:
        """Close what `started` opened."""
        for task in list(self._background):
            task.cancel()
        if self._outcome_poller is not None:
            await self._outcome_poller.close()
        if self._http is not None:
            await self._http.aclose()

    def stop(self, code: ExitCode, why: str) -> None:
        """End the node from any thread; the first reason counts."""
        if self.exit is ExitCode.DONE:
            self.exit = code
        logger.info(f"stopping: {why}")
        self._stop_announced = True
        failed = code in (ExitCode.CRASHED, ExitCode.FATAL)
        self.observers.handle(Stopped(why=why, restarts=code is ExitCode.RESTART, failed=failed))
        self.strategy.shutdown_system(why)

    async def monitor_run(self) -> None:
        """Draw the waiting line, and notice when it is time for a fresh worker."""
        while True:
            tracked, second, p = self.strategy.now()
            market = tracked.market if tracked else None
            waiting = len(self._outcome_poller.waiting) if self._outcome_poller else 0
            self.observers.progress(market, second, p, waiting, spot_text(self.strategy.externals))
            self._position_marker.update(market, second, p)
            why = self._restart_reason(market, second)
            if why is not None:
                self.stop(ExitCode.RESTART, why)
                return
            await asyncio.sleep(REFRESH_SECONDS)

    def _restart_reason(self, market: Market | None, second: float) -> str | None:
        """Why a fresh worker has to take over now, between two markets; None if it has not."""
        if self.engine.in_flight or second >= self.settings.trade_window_start - RESTART_MARGIN:
            return None
        # A market that the venue does not settle in time is waited for by the next worker as well.
        expecting = self._outcome_poller is not None and self._outcome_poller.expecting
        switched = self._switching is not None and (market is None or market.slug != self._switching)
        # Orders are withheld from the instant of the switch: what the live lane bought it settles itself.
        if switched and not (self.plan.live_path and expecting):
            return f"the mode is now {self._mode_decision.mode}"
        minutes = self.settings.restart_after_minutes
        if time.monotonic() - self._started > minutes * 60 and not expecting:
            return f"fresh start after {minutes:g} minutes"
        return None

    # --- in the background -----------------------------------------------------------------------

    async def _follow_mode(self) -> None:
        """Take up a switch of the mode and of a halt; a switch takes effect for orders by itself."""
        while True:
            await self.engine.check_halt()
            mode_decision = await asyncio.to_thread(self._gate.mode_decision)
            if mode_decision != self._mode_decision:
                self._mode_decision = mode_decision
                self._thread.post(
                    self._ledger.record_mode,
                    mode_decision.mode,
                    mode_decision.allows_orders,
                    mode_decision.why,
                )
                self.publish(
                    ModeChanged(
                        mode=mode_decision.mode,
                        allows_orders=mode_decision.allows_orders,
                        why=mode_decision.why,
                    )
                )
            wanted = self.plan.armed and mode_decision.mode is Mode.LIVE
            if wanted == self.plan.live_path:
                self._switching = None
            elif self._switching is None:
                tracked, _, _ = self.strategy.now()
                self._switching = tracked.market.slug if tracked else ""
            await asyncio.sleep(POLL_SECONDS)

    async def _measure_skew(self) -> None:
        while True:
            try:
                self._skew_s = await asyncio.to_thread(self._account.clock_skew_s)
            except Temporary as error:
                logger.warning(f"{error}")
            await asyncio.sleep(SKEW_SECONDS)

    async def _send_heartbeats(self) -> None:
        while True:
            self.observers.heartbeat(self._worker_status())
            await asyncio.sleep(POLL_SECONDS)

    def _worker_status(self) -> WorkerStatus:
        tracked, second, p = self.strategy.now()
        now_ns, plan = time.time_ns(), self.plan
        health = self._feeds.health() if self._feeds is not None else {}
        return WorkerStatus(
            ts_ns=now_ns,
            profile=plan.profile,
            mode=plan.mode,
            armed=plan.armed,
            halted=self.engine.halted,
            allows_orders=not plan.live_path or self._mode_decision.allows_orders,
            mode_detail=self._mode_decision.why,
            slug=tracked.market.slug if tracked else None,
            title=tracked.market.title if tracked else "",
            second=second,
            second_length_s=self.clock.wall_seconds(self.settings.interval_seconds) / 900,
            window=(self.params.window_start, self.params.window_end),
            p=p,
            quote_age_s=self.strategy.quote_age_s(),
            tradable=self.strategy.tradable,
            pending_settlements=len(self._outcome_poller.waiting) if self._outcome_poller else 0,
            oldest_pending_s=self._outcome_poller.longest_s if self._outcome_poller else None,
            unknown_orders=len(self.engine.unknown()),
            reconnects=self._reconnects | feed_reconnects(health),
            feeds=feed_statuses(health),
            clock_skew_s=self._skew_s,
            outside=spot_text(self.strategy.externals),
        )

    def _reconnected(self, stream: str) -> None:
        self._reconnects[stream] += 1

    # --- what the strategy asks for --------------------------------------------------------------

    def new_view(self, market: Market) -> MarketView:
        settings = self.settings
        return MarketView(
            market,
            max_history=settings.max_price_history,
            tick_buffer=settings.tick_buffer_size,
            quote_stability_required=settings.quote_stability_required,
            min_spread=settings.quote_min_spread,
        )

    async def decide(self, context: DecisionContext) -> Decision:
        """Complete a frozen context with the external values of now, and let the brain decide.

        Runs on the decision loop.
        """
        params = msgspec.structs.replace(self.params, weights=get_fusion_engine().weights)
        if self._feeds is None:
            return decide(msgspec.structs.replace(context, absent=NO_FEEDS), params)
        market = context.market
        found = await self._feeds.refresh(
            self.settings.feed_deadline_seconds, start=market.start, rule=market.rule
        )
        complete = msgspec.structs.replace(
            context,
            spot=found.spot,
            spot_path=found.spot_path,
            strike=found.strike,
            put_call=found.put_call,
            sentiment=found.sentiment,
            absent=found.absent,
        )
        return decide(complete, params)

    def on_market_closed(self, market: Market, seen_window: bool) -> None:
        """Wait for the resolution of a closed market if this bot saw its window or has an order in it."""
        self._position_marker.close_market(market.slug)
        # A worker that starts inside a window may buy as well.
        if (seen_window or self.engine.has_open_order(market.slug)) and self._outcome_poller is not None:
            self._observed_slugs.add(market.slug)
            self._outcome_poller.add(market)

    def limit_notional(self, instrument_id: InstrumentId, usd: Decimal | None) -> None:
        self._node.kernel.risk_engine.set_max_notional_per_order(instrument_id, usd or UNLIMITED_USD)

    def publish(self, event: Event) -> None:
        self.observers.handle(event)
        if isinstance(event, Filled) or (
            isinstance(event, OrderMoved) and event.state is OrderState.REVERSED
        ):
            self._thread.post(self._export)

    def _market_known(self, market: Market) -> None:
        self.engine.register_market(market)

    def _market_refused(self, slug: str, why: str) -> None:
        self.publish(MarketRefused(slug=slug, why=why))

    def _ledger_failed(self, error: BaseException) -> None:
        logger.opt(exception=error).error("the ledger failed")
        self.engine.halt(str(error))
        self.stop(ExitCode.CRASHED, f"the ledger failed: {error}")

    # --- settlement ------------------------------------------------------------------------------

    async def _settle(self, market: Market, settlement: Settlement) -> None:
        booked = await self._bookkeeper.settle(market, settlement)
        self.engine.market_settled(market.slug)
        self.strategy.close_settled(market.slug, settlement.outcome)
        await self._thread.call(self._export)
        if self._redemption is not None:
            await self._redemption.check()
        await self.check_cash()
        self.publish(
            Settled(market=market, settlement=settlement, pnl=booked.pnl, total_pnl=booked.total_pnl)
        )
        await self._weight_learning.learn()
        if market.slug in self._observed_slugs:
            self.settled += 1
            if self.plan.markets and self.settled >= self.plan.markets:
                self.stop(ExitCode.DONE, f"{self.settled} markets are settled")

    async def _settlement_late(self, market: Market, resolution: ResolutionStatus) -> None:
        await self._thread.call(self._ledger.record_delay, market.slug, resolution.why)
        self.publish(SettlementLate(market=market, why=resolution.why))
        if resolution.grave and self.engine.has_open_order(market.slug):
            self.engine.halt(f"{market.slug} cannot be settled: {resolution.why}")

    def _settlement_failed(self, error: BaseException) -> None:
        if isinstance(error, Fatal):
            self._ledger_failed(error)
            return
        logger.opt(exception=error).error("a settlement failed")
        self.engine.halt(f"internal error: {error!r}; details are in the log")

    async def check_cash(self) -> None:
        """Hold the ledger's cash against the venue's; a difference halts trading, unless it is a payout."""
        await self.engine.drain()
        # An order that was just taken over is looked up twice before its fills are known to be whole.
        if not await self.engine.await_certain_cash(CERTAIN_CASH_LIMIT_S):
            return
        try:
            comparison = await self._bookkeeper.check_cash()
        except Temporary as error:
            logger.warning(f"the cash is checked after the next market: {error}")
            return
        if not comparison.matches:
            check = comparison.check
            self.engine.halt(f"the ledger says ${check.ledger_cash}, the venue ${check.venue_cash}")

    def _export(self) -> None:
        if self.plan.live_path:
            return
        trades, path = paper_trades(self._reader), self.settings.paper_trades_file
        # A trade that was not written is written by the next export: the ledger has it.
        self.observers.isolation.call("paper trades", export_paper_trades, trades, path)
