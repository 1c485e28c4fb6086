"""Builds the external feeds of a worker, with an earlier worker's data of the running market."""

import asyncio
import time
from collections.abc import Callable, Mapping

from config import Settings
from core.ingestion.adapters.feed_memory import FeedMemory, SpotPathFile
from core.ingestion.adapters.strikes import KnownStrike
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.ingestion.factory import FeedSettings, build_data_adapter, get_data_adapter
from core.ingestion.managers.rate_limiter import RateLimiter
from core.nautilus_core.data_engine.node import Wallet
from data_sources.chainlink import PolyBoltCredentials
from data_sources.transport import Received
from execution.ledger import LedgerReader, Mode, Venue
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from models import MarketKind, Series
from runtime.worker.plan import WorkerPlan
from settings_mapping import market_calendar

SPOT_PATH_FILE = "spot_path.json"
"""In the state folder, or in the profile's for a practice account."""


def spot_path_file(asset: str, *, several: bool) -> str:
    """Name of the file with the spot path of an asset; with several series each asset has its own."""
    return f"spot_path.{asset}.json" if several else SPOT_PATH_FILE


def feed_memory(
    settings: Settings,
    plan: WorkerPlan,
    session: str,
    ledger: Ledger,
    reader: LedgerReader,
    thread: LedgerThread,
    kind_of: Callable[[str], MarketKind | None],
    path_file: str = SPOT_PATH_FILE,
) -> FeedMemory:
    """The spot path and the running market's strike of an earlier worker.

    `kind_of` returns the kind of a market by its slug: a recorded market has no strike in the prices beside
    it.
    """
    calendar = market_calendar(settings)
    start = calendar.running_start(plan.clock.market_time(time.time_ns()))
    rows = asyncio.run(thread.call(reader.strikes, calendar.slug(start)))

    def on_strike(known: KnownStrike) -> None:
        slug = calendar.slug(known.start)
        if kind_of(slug) is not MarketKind.RECORDED:
            thread.post(ledger.record_strike, slug, known.strike, known.source_ns)

    # Real prices are the same for paper and live; those of a practice account are its own.
    folder = plan.folder(settings.state_dir) if session else settings.state_dir
    return FeedMemory(
        path_file=SpotPathFile(folder / path_file, world=f"{settings.market_asset} {session}".strip()),
        strikes=[KnownStrike(start=start, strike=row.strike, source_ns=row.source_ns) for row in rows],
        on_strike=on_strike,
    )


def build_feeds(
    settings: Settings,
    plan: WorkerPlan,
    wallet: Wallet,
    memory: FeedMemory,
    received: Received | None = None,
) -> UnifiedDataAdapter | None:
    """The external feeds of the only series; None where the venue's markets have none."""
    if plan.feeds is None:
        return None
    return get_data_adapter(
        _feed_settings(settings, plan, wallet),
        now_ns=time.time_ns,
        market_time=plan.clock.market_time,
        running=market_calendar(settings).running,
        memory=memory,
        received=received,
    )


def build_series_feeds(
    settings: Settings, plan: WorkerPlan, wallet: Wallet, memories: Mapping[Series, FeedMemory]
) -> dict[Series, UnifiedDataAdapter]:
    """The external feeds of several series; none where the venue's markets have none.

    The series of one asset read the same sources: those of the one with the shortest markets, which refreshes
    them. All assets share the limits of the requests to a real service.
    """
    if plan.feeds is None:
        return {}
    shared = RateLimiter()
    of_asset: dict[str, UnifiedDataAdapter] = {}
    feeds: dict[Series, UnifiedDataAdapter] = {}
    lengths = {series: settings.of_series(series).interval_seconds for series in memories}
    for series in sorted(memories, key=lambda each: lengths[each]):
        own = settings.of_series(series)
        longest = max(length for each, length in lengths.items() if each.asset == series.asset)
        feeds[series] = build_data_adapter(
            _feed_settings(own, plan, wallet, longest),
            now_ns=time.time_ns,
            market_time=plan.clock.market_time,
            running=market_calendar(own).running,
            memory=memories[series],
            # A practice venue has no limits, and its clock may be fast.
            limiter=shared if plan.venue is Venue.POLYMARKET else RateLimiter(),
            of_asset=of_asset.get(series.asset),
        )
        of_asset.setdefault(series.asset, feeds[series])
    return feeds


def _feed_settings(settings: Settings, plan: WorkerPlan, wallet: Wallet, longest: int = 0) -> FeedSettings:
    assert plan.feeds is not None
    # The real relay accepts real wallets only; a practice relay accepts its own.
    known = plan.mode is Mode.LIVE or plan.venue in (Venue.SYNTHETIC, Venue.MIXED)
    # Practice markets have no news, and the key is sent to the news site only.
    news_key = settings.cryptopanic_api_key.get_secret_value() if plan.venue is Venue.POLYMARKET else ""
    return FeedSettings(
        asset=settings.market_asset,
        interval=settings.interval_seconds,
        longest=longest,
        urls=plan.feeds,
        cryptopanic_key=news_key,
        polybolt=PolyBoltCredentials(wallet.api_key, wallet.api_secret, wallet.passphrase) if known else None,
        deribit_max_dte=settings.deribit_max_dte,
        deribit_cache_s=settings.deribit_cache_seconds,
    )
