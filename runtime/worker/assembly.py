"""Builds a worker: opens the account, the ledger and the feeds, and connects all parts. Starts nothing."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from decimal import Decimal
from functools import partial
from pathlib import Path

from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from rich.console import Console

from bot import IntegratedBTCStrategy, StrategyPorts
from common.plain_text import one_line
from config import Settings
from core.ingestion.adapters.feed_memory import FeedMemory
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.nautilus_core.data_engine.node import NodePlan, Wallet, build_node
from core.nautilus_core.instruments.identity import MarketIds
from core.nautilus_core.instruments.market_board import MarketBoard, TrackedMarket
from core.nautilus_core.instruments.market_boards import MarketBoards
from core.nautilus_core.instruments.refresh_times import RefreshTimes
from core.nautilus_core.providers.decision_loop import DecisionLoop
from core.nautilus_core.providers.feed_actor import FeedActor
from core.nautilus_core.providers.tasks import EventLoopTasks
from core.nautilus_core.providers.trading_state import HaltedTradingState
from errors import BotError, Refused, Temporary, UnknownVersion
from execution.execution_engine import ExecutionEngine, OrderRules, get_execution_engine
from execution.ledger import LedgerReader, Venue, ledger_path
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.polymarket_client import PolymarketClient
from execution.risk_engine import get_risk_engine
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.venue_facts.recorder import FactRecorder
from execution.venue_facts.store import venue_name
from models import MarketKind, OrderIntent, Rule, Series
from patches.client_factories import VenueObservers, client_factories
from research.recorder import Recorder
from runtime.worker.account import open_account
from runtime.worker.decision_service import DecisionService
from runtime.worker.event_sink import EventSink
from runtime.worker.fact_events import FactEvents
from runtime.worker.feed_setup import build_feeds, build_series_feeds, feed_memory, spot_path_file
from runtime.worker.heartbeat import Heartbeat
from runtime.worker.market_terms import MarketTermsReader
from runtime.worker.mirror_evidence import MirrorEvidence
from runtime.worker.mode_follower import ModeFollower
from runtime.worker.observer_setup import build_observers
from runtime.worker.observers import ObserverGroup
from runtime.worker.order_gate import OrderGate
from runtime.worker.plan import WorkerPlan
from runtime.worker.position_marks import PositionMarker
from runtime.worker.recording_setup import build_recorder
from runtime.worker.redemption_setup import make_redemption
from runtime.worker.reported_versions import ReportedVersions
from runtime.worker.run_control import RunControl
from runtime.worker.settlement_flow import SettlementFlow
from runtime.worker.start import StartLimit
from runtime.worker.traded_series import Once, TradedGroup, TradedSeries
from runtime.worker.weight_learning import SeriesLearning, WeightLearning
from runtime.worker.worker import Worker, WorkerParts
from runtime.worker.worker_status import StatusReporter
from settings_mapping import decision_settings, market_calendar, new_view, risk_limits

UNLIMITED_USD = Decimal(1_000_000)
"""Limit of an order that closes a settled position, which costs nothing."""
CONNECT_DELAY_S = 0.1
"""Seconds from the first subscription to the connection of the market stream, which opens with all
subscriptions until then. The strategy subscribes to its markets at once."""
FEWEST_ORDERS = 4
"""Orders a second that Nautilus' risk engine allows besides one of each series."""
GIVE_UP_AFTER = 600.0
"""Market seconds after which an order without trades, in a settled market, is taken as never matched."""


def build(
    settings: Settings,
    plan: WorkerPlan,
    gate: OrderGate,
    console: Console,
    start: StartLimit,
    heartbeat: Heartbeat,
) -> Worker:
    """Open everything that a worker needs and connect its parts.

    Raises
    ------
    Fatal
        If the account, the ledger or a setting cannot be used.
    Temporary
        If the venue does not answer.
    """
    folder, clock = plan.folder(settings.state_dir), plan.clock
    several = len(settings.series) > 1
    params, schedule = decision_settings(settings, every_minute=plan.every_minute)
    observers = ObserverGroup(settings, plan, console, build_observers(settings, plan))
    control = RunControl(observers, plan.done)
    thread = LedgerThread(control.ledger_failed)
    # The file is created or migrated while the venue answers.
    opening = thread.submit(Ledger, ledger_path(settings.state_dir, plan.profile))
    account, wallet = open_account(settings, plan)
    # A practice account can start over, and may then receive the same recorded market again.
    session = "" if plan.venue is Venue.POLYMARKET else account.address
    ledger, reader = _open_run(plan, account, session, thread, opening)
    events = EventSink(observers, thread, reader, None if plan.live_path else settings.paper_trades_file)
    # The strategies, the engine and the worker refer to each other; none calls another before the node runs.
    facts = _fact_recorder(settings, plan, wallet, lambda why: _halt(engine, node.kernel.loop, why))
    watched = _venue_observers(facts, plan, lambda: group.next_to_decide.strategy.now()[0])
    engine = get_execution_engine(
        ledger,
        reader,
        thread,
        get_risk_engine(risk_limits(settings)),
        gate,
        OrderRules(
            max_attempts=settings.order_max_attempts,
            give_up_after_ns=int(clock.wall_seconds(GIVE_UP_AFTER) * 1e9),
        ),
        lambda intent: _send(group, intent),
        events.publish,
        time.time_ns,
        watched.orders,
    )
    terms = MarketTermsReader(
        plan.market_urls.clob,
        lambda market: market.start <= clock.market_time(time.time_ns()),
        engine.register_market,
        ledger,
        thread,
        events.publish,
        watched.markets,
    )
    observers.add(FactEvents(watched.orders, engine.market))

    boards = _boards(
        settings,
        terms,
        lambda slug, why: worker.market_refused(slug, why),
        lambda slug, error: worker.version_unknown(slug, error),
    )
    _remember_markets(boards, plan, reader, thread)
    decision_loop = DecisionLoop()

    recorder = build_recorder(plan)
    memories = _memories(settings, plan, session, ledger, reader, thread, boards)
    feeds = (
        build_series_feeds(settings, plan, wallet, memories)
        if several
        else _only_feeds(settings, plan, wallet, memories, recorder)
    )

    def limit_notional(instrument_id: InstrumentId, usd: Decimal | None) -> None:
        node.kernel.risk_engine.set_max_notional_per_order(instrument_id, usd or UNLIMITED_USD)

    # Every strategy waits for the same preparation.
    prepare, close = Once(lambda: worker.prepare()), Once(lambda: worker.close())

    def strategy_of(series: Series, number: int) -> IntegratedBTCStrategy:
        name = series.name if several else ""
        decisions = DecisionService(
            params, feeds.get(series), decision_loop, settings.feed_deadline_seconds, name
        )
        ports = StrategyPorts(
            board=boards.by_series[series],
            clock=clock,
            params=params,
            schedule=schedule,
            execution=engine,
            decide=decisions.decide,
            new_view=partial(new_view, settings),
            publish=events.publish,
            limit_notional=limit_notional,
            trading_halted=lambda: trading_state.halted,
            market_closed=lambda market, observed: worker.market_closed(market, observed),
            prepare=prepare.run if several else lambda: worker.prepare(),
            close=close.run if several else lambda: worker.close(),
            tasks=EventLoopTasks(),
        )
        return IntegratedBTCStrategy(ports, name, number)

    group = TradedGroup(
        [
            TradedSeries(
                series=series,
                length_s=settings.of_series(series).interval_seconds,
                board=boards.by_series[series],
                strategy=strategy_of(series, number),
                feeds=feeds.get(series),
            )
            for number, series in enumerate(settings.series, 1)
        ],
        clock,
        (params.window_start, params.window_end),
    )
    first = group.traded[0]
    control.connect(first.strategy.shutdown_system, engine.halt)
    learning = _learning(settings, folder, plan.reset_learning, ledger, reader, thread)
    bookkeeper = SettlementBookkeeper(
        ledger,
        reader,
        thread,
        account.balance,
        pays_by_itself=not plan.live_path,
        observe_orders=engine.observe_orders,
        publish=events.publish,
    )
    redemption = None
    if plan.live_path:
        redemption = make_redemption(
            settings, plan, account, wallet, engine, bookkeeper, events.publish, watched.orders
        )

    mode = ModeFollower(plan, gate, engine, ledger, thread, events, group.running_slug)
    status = StatusReporter(
        plan,
        params,
        first.length_s,
        first.strategy,
        engine,
        mode,
        first.feeds,
        account,
        None if recorder is None else recorder.status,
        group,
    )
    refreshes = [
        RefreshTimes(board.calendar, clock, params.window_start, params.window_end)
        for board in boards.by_series.values()
    ]
    node = _build_node(
        settings,
        plan,
        wallet,
        refreshes,
        group,
        decision_loop,
        engine,
        boards,
        status,
        start,
        recorder,
        watched,
    )
    trading_state = HaltedTradingState(node.kernel.risk_engine, node.kernel.loop, group.close_after_halt)
    engine.watch_halts(trading_state.follow)
    worker = Worker(
        WorkerParts(
            settings=settings,
            plan=plan,
            account=account,
            thread=thread,
            ledger=ledger,
            reader=reader,
            observers=observers,
            control=control,
            events=events,
            versions=ReportedVersions(plan.folder(settings.state_dir), plan.restarted),
            decision_loop=decision_loop,
            engine=engine,
            learning=learning,
            bookkeeper=bookkeeper,
            redemption=redemption,
            marker=PositionMarker(ledger, thread, engine.has_open_order),
            settlement=SettlementFlow(
                bookkeeper,
                engine,
                ledger,
                thread,
                events,
                control,
                learning,
                redemption,
                group.close_settled,
                lambda: worker.await_results(),
                plan.markets,
            ),
            mode=mode,
            status=status,
            group=group,
            node=node,
            start=start,
            heartbeat=heartbeat,
            recorder=recorder,
            facts=facts,
            terms=terms,
            order_is_near=lambda: any(refresh.window_is_near(time.time_ns()) for refresh in refreshes),
            observe_account=watched.orders,
            mirror=_mirror_evidence(plan, watched),
        )
    )
    return worker


def _fact_recorder(
    settings: Settings, plan: WorkerPlan, wallet: Wallet, halt: Callable[[str], None]
) -> FactRecorder:
    """The recorder of what the venue shows; a contradiction halts on the live path only."""
    secrets = (wallet.private_key.removeprefix("0x"), wallet.api_key, wallet.api_secret, wallet.passphrase)
    return FactRecorder(settings.state_dir, plan.profile, secrets, halt if plan.live_path else None)


def _mirror_evidence(plan: WorkerPlan, watched: VenueObservers) -> MirrorEvidence | None:
    """The evidence of the practice venue that mirrors Polymarket; None where there is no mirror."""
    mirrored = plan.venue is Venue.POLYMARKET and plan.market_urls != plan.urls
    return MirrorEvidence(plan.urls.clob, watched.markets) if mirrored else None


def _halt(engine: ExecutionEngine, loop: asyncio.AbstractEventLoop, why: str) -> None:
    """Halt trading from any thread: at once on the node's loop, otherwise with its next step."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is loop:
        engine.halt(why)
    else:
        loop.call_soon_threadsafe(engine.halt, why)


def _venue_observers(
    facts: FactRecorder, plan: WorkerPlan, running: Callable[[], TrackedMarket | None]
) -> VenueObservers:
    """The observers of the venue of the market data, and of the venue that takes the orders."""

    def running_condition() -> str | None:
        tracked = running()
        return None if tracked is None else tracked.market.condition_id

    markets, orders = (
        facts.observer(venue_name(urls.clob, urls.gamma, urls.ws)) for urls in (plan.market_urls, plan.urls)
    )
    return VenueObservers(markets, orders, running_condition)


def _open_run(
    plan: WorkerPlan, account: PolymarketClient, session: str, thread: LedgerThread, opening: Future[Ledger]
) -> tuple[Ledger, LedgerReader]:
    """The profile's ledger with a run in progress, opened on the thread that uses it."""
    cash = account.balance()

    def opened() -> tuple[Ledger, LedgerReader]:
        ledger = opening.result()
        ledger.reserve_log()
        ledger.open_run(
            mode=plan.mode,
            venue=plan.venue,
            clock_speed=plan.clock.speed,
            starting_cash=cash,
            session=session,
            note=plan.note,
        )
        return ledger, LedgerReader(ledger.path)

    return asyncio.run(thread.call(opened))


def _boards(
    settings: Settings,
    terms: MarketTermsReader,
    on_refused: Callable[[str, str], None],
    on_unknown_version: Callable[[str, UnknownVersion], None],
) -> MarketBoards:
    """The board of each series; no two markets of them share an id."""
    ids = MarketIds()
    return MarketBoards(
        {
            series: MarketBoard(
                market_calendar(settings.of_series(series)),
                terms.market_listed,
                on_refused,
                on_unknown_version,
                ids,
            )
            for series in settings.series
        }
    )


def _remember_markets(
    boards: MarketBoards, plan: WorkerPlan, reader: LedgerReader, thread: LedgerThread
) -> None:
    """Give the boards the ids that the ledger has for markets that the catalogue still lists."""
    now = plan.clock.market_time(time.time_ns())
    first = min(board.calendar.running_start(now) for board in boards.by_series.values())
    for market in asyncio.run(thread.call(reader.markets_since, first)):
        if (board := boards.of(market.slug)) is not None:
            board.remember(market)


def _memories(
    settings: Settings,
    plan: WorkerPlan,
    session: str,
    ledger: Ledger,
    reader: LedgerReader,
    thread: LedgerThread,
    boards: MarketBoards,
) -> dict[Series, FeedMemory]:
    """What an earlier worker has kept of the feeds of each series."""

    def kind_of(slug: str) -> MarketKind | None:
        tracked = boards.by_slug(slug)
        return None if tracked is None else tracked.market.kind

    several = len(settings.series) > 1
    return {
        series: feed_memory(
            settings.of_series(series),
            plan,
            session,
            ledger,
            reader,
            thread,
            kind_of,
            spot_path_file(series.asset, several=several),
        )
        for series in settings.series
    }


def _learning(
    settings: Settings,
    folder: Path,
    reset: bool,
    ledger: Ledger,
    reader: LedgerReader,
    thread: LedgerThread,
) -> WeightLearning | SeriesLearning:
    """The learning of the only series, or of each of several."""
    several = len(settings.series) > 1
    learners = [
        WeightLearning(settings.of_series(series), folder, reset, ledger, reader, thread, several=several)
        for series in settings.series
    ]
    return SeriesLearning(learners) if several else learners[0]


def _send(group: TradedGroup, intent: OrderIntent) -> None:
    """Submit the order of an intent by the strategy of its series.

    Raises
    ------
    Refused
        If this worker does not trade its series.
    """
    found = group.of(intent.slug)
    if found is None:
        raise Refused(f"market {intent.slug} is of a series that is not traded")
    found.strategy.send(intent)


def _only_feeds(
    settings: Settings,
    plan: WorkerPlan,
    wallet: Wallet,
    memories: Mapping[Series, FeedMemory],
    recorder: Recorder | None,
) -> dict[Series, UnifiedDataAdapter]:
    """The feeds of the only series; empty where the venue's markets have none."""
    ((series, memory),) = memories.items()
    feeds = build_feeds(settings, plan, wallet, memory, None if recorder is None else recorder.feed)
    return {} if feeds is None else {series: feeds}


def _build_node(
    settings: Settings,
    plan: WorkerPlan,
    wallet: Wallet,
    refreshes: Sequence[RefreshTimes],
    group: TradedGroup,
    decision_loop: DecisionLoop,
    engine: ExecutionEngine,
    boards: MarketBoards,
    status: StatusReporter,
    start: StartLimit,
    recorder: Recorder | None,
    watched: VenueObservers,
) -> TradingNode:
    clock = plan.clock

    def running_rule(strategy: IntegratedBTCStrategy) -> Rule:
        tracked, _, _ = strategy.now()
        return Rule.TWAP60 if tracked is None else tracked.market.rule

    actors = [
        FeedActor(
            one.feeds,
            decision_loop,
            clock,
            partial(running_rule, one.strategy),
            time.time_ns,
            one.series.name if group.several else "",
        )
        for one in group.traded
        if one.feeds is not None
    ]
    node_plan = NodePlan(
        trader_id=settings.trader_id,
        market_urls=plan.market_urls,
        urls=plan.urls,
        wallet=wallet,
        max_order_usd=settings.market_buy_usd,
        order_client=settings.order_client,
        order_connections=len(group.traded),
        refresh_pause=lambda: min(refresh.pause_s(time.time_ns()) for refresh in refreshes),
        connect_delay_seconds=CONNECT_DELAY_S,
        data_qsize=settings.data_engine_qsize,
        exec_qsize=settings.exec_engine_qsize,
        log_level=settings.nautilus_log_level,
        log_dir=settings.nautilus_log_dir,
        order_rate=f"{FEWEST_ORDERS + len(group.traded)}/00:00:01",
    )
    factories = client_factories(
        node_plan,
        engine,
        lambda: boards.upcoming(clock.market_time(time.time_ns())),
        boards,
        status.reconnected,
        start.connect_failed,
        recorder,
        watched,
        status.dropped,
    )
    try:
        return build_node(node_plan, [one.strategy for one in group.traded], actors, *factories)
    except (BotError, OSError):
        raise
    except Exception as error:
        # NautilusTrader's core has errors of its own types, for example without a free file descriptor.
        why = f"{type(error).__name__}: {one_line(error)}"
        raise Temporary(f"NautilusTrader's node cannot be created: {why}") from error
