"""The worker process: one node, one strategy, one ledger, until it is told to stop.

The supervisor writes a `WorkerPlan` as one line of JSON to the worker's standard input and keeps the
pipe open; when it closes, the supervisor is gone and the worker stops as on SIGTERM.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from decimal import Decimal
from enum import IntEnum
from pathlib import Path

import httpx
import msgspec
from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from rich.console import Console

import patches
from bot import IntegratedBTCStrategy
from config import Settings, load_settings
from core.ingestion.adapters.unified_adapter import Externals, UnifiedDataAdapter
from core.ingestion.factory import FeedSettings, FeedUrls, get_data_adapter
from core.nautilus_core.data_engine.node import NodePlan, VenueUrls, Wallet, build_node
from core.nautilus_core.events import Event, Filled, Halted, MarketRefused, Settled
from core.nautilus_core.instruments.board import MarketBoard
from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.clock import MarketClock
from core.nautilus_core.providers.decision_loop import DecisionLoop
from core.nautilus_core.providers.feed_actor import FeedActor
from core.strategy_brain.fusion_engine import get_fusion_engine
from core.strategy_brain.strategies.decide import decide
from core.strategy_brain.strategies.market_view import MarketView
from data_sources.chainlink import PolyBoltCredentials
from errors import BotError, ConfigError, Fatal, Temporary
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import LedgerReader, Mode, Venue, book_name, ledger_path
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.polymarket_client import PolymarketClient, throwaway_key
from execution.reconcile import Reconciler
from execution.risk_engine import RiskEngine, RiskLimits
from execution.settlement import OutcomeSource, SettlementWatcher
from feedback import LearningEngine, LearningParams, evidence_of, get_learning_engine, reset_learning
from models import Decision, DecisionContext, Frozen, Market, Settlement
from monitoring.console import ConsoleReporter, log_to_file
from paper_trading import export_paper_trades, paper_trades

REFRESH_SECONDS = 0.25
CASH_TOLERANCE = Decimal("0.00001")
LEARNING_STATE = "learning_state.json"
NO_FEEDS = dict.fromkeys(
    ("coinbase", "strike", "deribit", "fear_greed"), "recorded markets carry no external feeds"
)
UNLIMITED_USD = Decimal(1_000_000)


class Exit(IntEnum):
    """What a worker's exit code tells the supervisor."""

    DONE = 0
    CRASHED = 1
    MISCONFIGURED = 2
    FATAL = 3
    RESTART = 75


class WorkerPlan(Frozen, frozen=True):
    """Everything the supervisor decides for a worker. `markets` 0 means: until told to stop."""

    venue: Venue
    urls: VenueUrls
    clock: MarketClock
    note: str
    markets: int
    feeds: FeedUrls | None = None
    """Where the external feeds are; None when the venue's markets have none."""
    reset_learning: bool = False
    done: int = 0
    """Markets that earlier workers of the same run have settled."""


class Worker:
    """Holds the parts together and does what is left between them."""

    def __init__(self, settings: Settings, plan: WorkerPlan, console: Console) -> None:
        self.settings = settings
        self.plan = plan
        self.clock = plan.clock
        self.params = settings.brain_params()
        self.exit = Exit.DONE
        self.settled = plan.done
        self._total = Decimal(0)
        self._started = time.monotonic()
        self._seen: set[str] = set()
        book = settings.state_dir / book_name(Mode.SIMULATION, plan.venue)
        self._account = PolymarketClient(plan.urls.clob, throwaway_key(book / "venue" / "wallet.json"))
        self._wallet = self._make_wallet(book)
        self.reporter = ConsoleReporter(
            console, (self.params.window_start, self.params.window_end), plan.clock.speed
        )
        calendar = SlugCalendar(
            asset=settings.market_asset,
            kind=settings.market_type,
            timeframe=settings.market_timeframe,
            interval=settings.interval_seconds,
        )
        self.board = MarketBoard(calendar, self._market_known, self._market_refused)
        self.decision_loop = DecisionLoop()
        self._thread = LedgerThread(self._ledger_failed)
        self._path = ledger_path(settings.state_dir, book_name(Mode.SIMULATION, plan.venue))
        self._ledger, self._reader = self._open_ledger()
        self.strategy = IntegratedBTCStrategy(self)
        self.engine = ExecutionEngine(
            self._ledger,
            self._reader,
            self._thread,
            RiskEngine(_limits(settings)),
            OrderRules(max_attempts=settings.order_max_attempts),
            self.strategy.send,
            self.publish,
            time.time_ns,
        )
        self._http: httpx.AsyncClient | None = None
        self._watcher: SettlementWatcher | None = None
        self._reconciling: asyncio.Task[None] | None = None
        self._settled_slugs: set[str] = set()
        self._learning_lock = asyncio.Lock()
        self._feeds = self._build_feeds()
        self._learning = self._open_learning()
        self._node = self._build_node()

    # --- assembly --------------------------------------------------------------------------------

    def _make_wallet(self, book: Path) -> Wallet:
        creds = self._account.credentials()
        return Wallet(
            private_key=throwaway_key(book / "venue" / "wallet.json"),
            api_key=creds.api_key,
            api_secret=creds.api_secret,
            passphrase=creds.api_passphrase,
            funder=self._account.address,
        )

    def _open_ledger(self) -> tuple[Ledger, LedgerReader]:
        cash = self._account.balance()

        def opened() -> tuple[Ledger, LedgerReader]:
            ledger = Ledger(self._path)
            ledger.open_run(
                mode=Mode.SIMULATION,
                venue=self.plan.venue,
                clock_speed=self.plan.clock.speed,
                starting_cash=cash,
                session=self._account.address,
                note=self.plan.note,
            )
            return ledger, LedgerReader(self._path)

        return asyncio.run(self._thread.call(opened))

    def _build_feeds(self) -> UnifiedDataAdapter | None:
        if self.plan.feeds is None:
            return None
        settings, wallet = self.settings, self._wallet
        return get_data_adapter(
            FeedSettings(
                asset=settings.market_asset,
                interval=settings.interval_seconds,
                urls=self.plan.feeds,
                cryptopanic_key=settings.cryptopanic_api_key.get_secret_value(),
                # The real relay knows real wallets only; the practice one knows this one.
                polybolt=PolyBoltCredentials(wallet.api_key, wallet.api_secret, wallet.passphrase)
                if self.plan.venue is Venue.SYNTHETIC
                else None,
                deribit_max_dte=settings.deribit_max_dte,
                deribit_cache_s=settings.deribit_cache_seconds,
            ),
            now_ns=time.time_ns,
            market_time=self.clock.market_time,
        )

    def _open_learning(self) -> LearningEngine:
        settings = self.settings
        path = self._path.parent / LEARNING_STATE
        params = LearningParams(
            enabled=settings.learning_enabled,
            interval=settings.learning_trigger_interval,
            min_trades=settings.learning_min_trades,
            rate=settings.learning_rate,
        )
        if self.plan.reset_learning:
            backup = reset_learning(path, settings.weights, params)
            logger.info(
                f"learning starts over; the old state is kept in {backup}" if backup else "learning starts"
            )
        engine = get_learning_engine(path, settings.weights, params)
        get_fusion_engine(engine.weights)
        self._say_learning(engine)
        return engine

    def _actors(self) -> list[Actor]:
        if self._feeds is None:
            return []
        return [FeedActor(self._feeds, self.decision_loop, self.clock, time.time_ns)]

    def _build_node(self) -> TradingNode:
        settings, plan = self.settings, self.plan
        return build_node(
            NodePlan(
                trader_id=settings.trader_id,
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
        )

    # --- running ---------------------------------------------------------------------------------

    def run(self) -> Exit:
        """Trade until stopped; returns what the supervisor has to know."""
        self.reporter.start()
        try:
            self._node.run()
        finally:
            self.reporter.close()
            self._node.dispose()
            self.decision_loop.close()
            self._thread.post(self._ledger.close_run)
            self._thread.post(self._reader.close)
            self._thread.post(self._ledger.close)
            self._thread.close()
        return self.exit

    async def started(self) -> None:
        """Take up what an earlier process left, before the first tick is looked at."""
        self._http = httpx.AsyncClient()
        poll = min(5.0, max(0.5, self.clock.wall_seconds(10)))
        self._watcher = SettlementWatcher(
            OutcomeSource(self._http, self.plan.urls.gamma, self.plan.urls.clob),
            self._settle,
            lambda market: (self.clock.wall_time_ns(market.end) - time.time_ns()) / 1e9,
            time.time_ns,
            poll,
        )
        await self._learn()
        for market in await self._thread.call(self._reader.pending_markets):
            self.engine.know(market)
            self._watcher.watch(market)
        await self.engine.resume()
        self._total = await self._thread.call(self._reader.settled_pnl)
        reconciler = Reconciler(self.engine, self._account, self._settled_slugs.__contains__, time.time_ns)
        self._reconciling = asyncio.get_running_loop().create_task(reconciler.run())

    async def stopping(self) -> None:
        """Close what `started` opened."""
        if self._reconciling is not None:
            self._reconciling.cancel()
        if self._watcher is not None:
            await self._watcher.close()
        if self._http is not None:
            await self._http.aclose()

    def stop(self, code: Exit, why: str) -> None:
        """End the node from any thread; the first reason counts."""
        if self.exit is Exit.DONE:
            self.exit = code
        logger.info(f"stopping: {why}")
        self.strategy.shutdown_system(why)

    async def watch_time(self) -> None:
        """Draw the waiting line, and notice when this worker has run long enough."""
        while True:
            watch, second, p = self.strategy.now()
            waiting = len(self._watcher.waiting) if self._watcher else 0
            outside = _outside(self.strategy.externals)
            self.reporter.progress(watch.market if watch else None, second, p, waiting, outside)
            old = time.monotonic() - self._started > self.settings.restart_after_minutes * 60
            if old and second < self.params.window_start - 60 and not self._busy():
                self.stop(Exit.RESTART, f"fresh start after {self.settings.restart_after_minutes:g} minutes")
                return
            await asyncio.sleep(REFRESH_SECONDS)

    def _busy(self) -> bool:
        return self.engine.in_flight or bool(self._watcher and self._watcher.waiting)

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
        found = await self._feeds.refresh(self.settings.feed_deadline_seconds, start=context.market.start)
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

    def market_left(self, market: Market, seen_window: bool) -> None:
        """The market is over: wait for its outcome if this bot watched its window."""
        if seen_window and self._watcher is not None:
            self._seen.add(market.slug)
            self._watcher.watch(market)

    def limit_notional(self, instrument_id: InstrumentId, usd: Decimal | None) -> None:
        self._node.kernel.risk_engine.set_max_notional_per_order(instrument_id, usd or UNLIMITED_USD)

    def publish(self, event: Event) -> None:
        self.reporter.handle(event)
        if isinstance(event, Filled):
            self._thread.post(self._export)
        if isinstance(event, Halted):
            logger.error(f"halted: {event.why}")

    def _market_known(self, market: Market) -> None:
        self.engine.know(market)

    def _market_refused(self, slug: str, why: str) -> None:
        self.publish(MarketRefused(slug=slug, why=why))

    def _ledger_failed(self, error: BaseException) -> None:
        logger.opt(exception=error).error("the ledger failed")
        self.engine.halt(str(error))
        self.stop(Exit.CRASHED, f"the ledger failed: {error}")

    # --- settlement ------------------------------------------------------------------------------

    async def _settle(self, market: Market, settlement: Settlement) -> None:
        await self._thread.call(self._ledger.record_settlement, settlement)
        self._settled_slugs.add(market.slug)
        pnl = await self._thread.call(self._reader.market_pnl, market.slug)
        await self._redeemed_by_venue(market)
        self._total = await self._thread.call(self._reader.settled_pnl)
        self.strategy.close_settled(market.slug, settlement.outcome)
        await self._thread.call(self._export)
        await self.check_cash()
        self.publish(Settled(market=market, settlement=settlement, pnl=pnl, total_pnl=self._total))
        await self._learn()
        if market.slug in self._seen:
            self.settled += 1
            if self.plan.markets and self.settled >= self.plan.markets:
                self.stop(Exit.DONE, f"{self.settled} markets are settled")

    async def _learn(self) -> None:
        """Let the settled markets of the ledger speak to the weights; the next decision uses them."""
        async with self._learning_lock:
            try:
                adjustment = await asyncio.to_thread(lambda: self._learning.learn(evidence_of(self._reader)))
            except Temporary as error:
                logger.warning(f"learning waits: {error}")
                return
            self._say_learning(self._learning)
            if adjustment is not None:
                changes = (
                    f"{name} {adjustment.old[name]:.3f} → {new:.3f}" for name, new in adjustment.new.items()
                )
                logger.info(f"weights after {adjustment.markets} markets: {', '.join(changes)}")
            for name, weight in self._learning.weights.items():
                get_fusion_engine().set_weight(name, weight)

    @staticmethod
    def _say_learning(engine: LearningEngine) -> None:
        if engine.notice is not None:
            logger.warning(engine.notice)

    async def _redeemed_by_venue(self, market: Market) -> None:
        """A practice venue pays winners out by itself when it resolves a market."""
        owed = (await self._thread.call(self._reader.claimable)).get(market.slug)
        if owed is not None:
            await self._thread.call(self._ledger.record_redemption, market.slug, owed)

    async def check_cash(self) -> None:
        """Hold the ledger's cash against the venue's; a difference halts trading."""
        await self.engine.drain()
        if self.engine.in_flight:
            return
        venue_cash = await asyncio.to_thread(self._account.balance)
        check = await self._thread.call(self._ledger.record_cash_check, venue_cash)
        if abs(check.difference) > CASH_TOLERANCE:
            self.engine.halt(f"the ledger says ${check.ledger_cash}, the venue ${check.venue_cash}")

    def _export(self) -> None:
        try:
            export_paper_trades(paper_trades(self._reader), self.settings.paper_trades_file)
        except Temporary as error:
            logger.warning(f"{error}; the ledger has the trades, the next change writes them again")


def _outside(externals: Externals | None) -> str:
    """Spot against strike, in a few words; empty without feeds."""
    if externals is None or externals.spot is None:
        return ""
    strike = (
        "no strike" if externals.strike is None else f"{externals.spot.price - externals.strike.price:+,.2f}"
    )
    return f"{externals.spot.price:,.2f} ({strike})"


def _limits(settings: Settings) -> RiskLimits:
    return RiskLimits(
        max_position_size=settings.max_position_size,
        max_total_exposure=settings.max_total_exposure,
        max_positions=settings.max_positions,
        max_loss_per_day=settings.max_loss_per_day,
        max_drawdown_pct=settings.max_drawdown_pct,
    )


def _stop_with_parent(worker: Worker) -> None:
    """Stop when standard input ends: the supervisor is gone."""

    def wait() -> None:
        while sys.stdin.readline():
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def main() -> int:
    """Entry point of `python -m worker`; reads its plan from standard input."""
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    try:
        settings = load_settings()
        plan = msgspec.json.decode(sys.stdin.readline(), type=WorkerPlan)
        log_to_file(settings.log_dir)
        patches.verify()
        worker = Worker(settings, plan, Console())
    except Fatal as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.MISCONFIGURED if isinstance(error, ConfigError) else Exit.FATAL
    except BotError as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.CRASHED
    _stop_with_parent(worker)
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
