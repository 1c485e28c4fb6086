"""Creates the feed of a process from its settings: all sources with limits, validation and supervision."""

import time
from collections.abc import Callable

from common.singleton import Singleton
from core.ingestion.adapters.checked_sources import CheckedSources, same_clock
from core.ingestion.adapters.feed_memory import FeedMemory
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.ingestion.feed_urls import FeedUrls
from core.ingestion.managers.rate_limiter import RateLimiter
from core.ingestion.managers.websocket_manager import Backoff
from core.ingestion.validators.data_validator import DataValidator
from data_sources.binance import BinanceSource, get_binance_source, reset_binance_source
from data_sources.chainlink import (
    ChainlinkSource,
    PolyBoltCredentials,
    get_chainlink_source,
    reset_chainlink_source,
)
from data_sources.coinbase import CoinbaseSource, get_coinbase_source, reset_coinbase_source
from data_sources.deribit import DeribitSource, get_deribit_source, reset_deribit_source
from data_sources.news_social import NewsSocialSource, get_news_social_source, reset_news_social_source
from data_sources.solana import SolanaSource, get_solana_source, reset_solana_source
from data_sources.transport import Received
from errors import Refused
from models import Frozen


class FeedSettings(Frozen, frozen=True):
    """Settings of the feed.

    `interval` is a market's length in seconds of market time, `longest` that of the longest markets whose
    feed reads the same sources. Without `polybolt` credentials only the public relay of Chainlink's prices is
    used, without `cryptopanic_key` no news are read.
    """

    asset: str = "btc"
    interval: int = 900
    longest: int = 0
    urls: FeedUrls = FeedUrls()
    cryptopanic_key: str = ""
    polybolt: PolyBoltCredentials | None = None
    deribit_max_dte: int = 2
    deribit_cache_s: float = 300.0
    backoff: Backoff = Backoff()

    def __repr__(self) -> str:
        return f"FeedSettings({self.asset}, {self.interval} s)"


class _Sources:
    """Creates the sources, each with the shared clock and its rate limit.

    They are those of the process, or, for one of several assets, its own (`own`).
    """

    def __init__(
        self,
        settings: FeedSettings,
        limiter: RateLimiter,
        now_ns: Callable[[], int],
        received: Received | None,
        own: bool = False,
    ) -> None:
        self._own = own
        self._settings = settings
        self._received = received
        self._limiter = limiter
        self._now_ns = now_ns

    def coinbase(self) -> CoinbaseSource:
        urls = self._settings.urls
        return (CoinbaseSource if self._own else get_coinbase_source)(
            self._settings.asset,
            base_url=urls.coinbase,
            exchange_url=urls.coinbase_exchange,
            now_ns=self._now_ns,
            throttle=self._limiter.throttle("coinbase"),
            received=self._received,
        )

    def deribit(self) -> DeribitSource:
        return (DeribitSource if self._own else get_deribit_source)(
            self._settings.asset,
            base_url=self._settings.urls.deribit,
            max_dte=self._settings.deribit_max_dte,
            cache_s=self._settings.deribit_cache_s,
            now_ns=self._now_ns,
            throttle=self._limiter.throttle("deribit"),
            received=self._received,
        )

    def news_social(self) -> NewsSocialSource:
        return (NewsSocialSource if self._own else get_news_social_source)(
            self._settings.asset,
            base_url=self._settings.urls.fear_greed,
            news_url=self._settings.urls.cryptopanic,
            cryptopanic_key=self._settings.cryptopanic_key,
            now_ns=self._now_ns,
            throttle=self._limiter.throttle("fear_greed"),
            received=self._received,
        )

    def chainlink(self) -> ChainlinkSource:
        return (ChainlinkSource if self._own else get_chainlink_source)(
            self._settings.asset,
            rtds_url=self._settings.urls.rtds,
            polybolt_url=self._settings.urls.polybolt,
            credentials=self._settings.polybolt,
            now_ns=self._now_ns,
        )

    def binance(self) -> BinanceSource:
        return (BinanceSource if self._own else get_binance_source)(
            self._settings.asset,
            base_url=self._settings.urls.binance,
            stream_url=self._settings.urls.binance_stream,
            now_ns=self._now_ns,
            throttle=self._limiter.throttle("binance"),
            received=self._received,
        )

    def solana(self) -> SolanaSource:
        return (SolanaSource if self._own else get_solana_source)(
            self._settings.asset,
            base_url=self._settings.urls.solana,
            now_ns=self._now_ns,
            throttle=self._limiter.throttle("solana"),
            received=self._received,
        )


def build_data_adapter(
    settings: FeedSettings | None = None,
    *,
    now_ns: Callable[[], int] = time.time_ns,
    market_time: Callable[[int], float] = same_clock,
    running: Callable[[float], tuple[int, int]] | None = None,
    memory: FeedMemory | None = None,
    received: Received | None = None,
    limiter: RateLimiter | None = None,
    of_asset: UnifiedDataAdapter | None = None,
) -> UnifiedDataAdapter:
    """Create the adapter and its sources; `running` and `received` as in `UnifiedDataAdapter`.

    Sources that do not have the asset are left out, except Coinbase, because a spot price is required. With
    several series, `limiter` is shared by all of them: the sources are then not those of the process. With
    `of_asset`, the adapter of another series of the same asset, it reads that one's sources.

    Raises
    ------
    Refused
        If Coinbase does not have the asset.
    """
    settings = settings or FeedSettings()
    if of_asset is not None:
        return UnifiedDataAdapter(
            interval=settings.interval,
            sources=of_asset.sources,
            owns_sources=False,
            now_ns=now_ns,
            market_time=market_time,
            running=running,
            memory=memory,
        )
    sources = _Sources(settings, limiter or RateLimiter(), now_ns, received, own=limiter is not None)
    unavailable: dict[str, str] = {}

    def optional[T](name: str, build: Callable[[], T]) -> T | None:
        try:
            return build()
        except Refused as error:
            unavailable[name] = str(error)
            return None

    checked = CheckedSources(
        coinbase=sources.coinbase(),
        validator=DataValidator(settings.asset, now_ns),
        deribit=optional("deribit", sources.deribit),
        news_social=sources.news_social(),
        chainlink=optional("chainlink", sources.chainlink),
        binance=optional("binance", sources.binance),
        solana=optional("solana", sources.solana),
        unavailable=unavailable,
        now_ns=now_ns,
        market_time=market_time,
        interval=max(settings.interval, settings.longest),
    )
    return UnifiedDataAdapter(
        interval=settings.interval,
        sources=checked,
        backoff=settings.backoff,
        now_ns=now_ns,
        market_time=market_time,
        running=running,
        memory=memory,
        received=received,
    )


_singleton = Singleton(build_data_adapter)
get_data_adapter = _singleton.get


def reset_data_adapter() -> UnifiedDataAdapter | None:
    """Remove the adapter and its sources, and return it, so that its owner can close it. For tests."""
    for reset in (
        reset_binance_source,
        reset_chainlink_source,
        reset_coinbase_source,
        reset_deribit_source,
        reset_news_social_source,
        reset_solana_source,
    ):
        reset()
    return _singleton.reset()
