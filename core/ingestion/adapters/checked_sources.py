"""Reads the sources, validates their values, rejects stale ones, and counts successes and failures."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from core.ingestion.adapters.consensus import consensus_of
from core.ingestion.adapters.health import SourceHealth, SourceHealthTracker
from core.ingestion.adapters.spot_path import SpotPath, path_seconds
from core.ingestion.validators.data_validator import MAX_INDEX_AGE_S, DataValidator
from data_sources.binance import BinanceSource
from data_sources.chainlink import ChainlinkSource
from data_sources.coinbase import CoinbaseSource
from data_sources.deribit import DeribitSource
from data_sources.news_social import NewsSocialSource
from data_sources.solana import SolanaSource
from errors import Refused, Temporary
from models import Consensus, PutCall, Sentiment, Spot

SPOT, OPTIONS, MOOD = "coinbase", "deribit", "fear_greed"
BINANCE, CHAINLINK, PYTH = "binance", "chainlink", "pyth"
"""Names used in health reports and for missing values."""

CONSENSUS_AGE_S = 15.0
MAX_AGE_S: Mapping[str, float] = {SPOT: 30.0, OPTIONS: 600.0, MOOD: MAX_INDEX_AGE_S}
"""Age in seconds, by the source's own time, above which its value is stale; `CONSENSUS_AGE_S` for sources not
listed. An exchange's last trade may be some seconds old in a quiet market, a cached option chain five
minutes; for the sentiment see the validator."""


def same_clock(now_ns: int) -> float:
    """Market time in seconds if the market runs on the machine's clock."""
    return now_ns / 1e9


class CheckedSources:
    """All sources of one asset. Owns and closes them.

    Parameters
    ----------
    coinbase, deribit, news_social, chainlink, binance, solana
        The sources; None for those that the asset does not have.
    validator : DataValidator
        Validates every value.
    unavailable : mapping
        Reason why a source is None, by name.
    now_ns : callable
        The machine's clock in nanoseconds.
    market_time : callable
        Seconds of market time at a machine time in nanoseconds.
    interval : int
        Length of a market in seconds of market time.

    Attributes
    ----------
    path : SpotPath
        Every valid spot price, by market time.
    """

    def __init__(
        self,
        *,
        coinbase: CoinbaseSource,
        validator: DataValidator,
        deribit: DeribitSource | None = None,
        news_social: NewsSocialSource | None = None,
        chainlink: ChainlinkSource | None = None,
        binance: BinanceSource | None = None,
        solana: SolanaSource | None = None,
        unavailable: Mapping[str, str] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        market_time: Callable[[int], float] = same_clock,
        interval: int = 900,
    ) -> None:
        self.coinbase = coinbase
        self.deribit = deribit
        self.news_social = news_social
        self.chainlink = chainlink
        self.binance = binance
        self.solana = solana
        self.validator = validator
        self.path = SpotPath(path_seconds(interval))
        self.counts = SourceHealthTracker(now_ns)
        self._unavailable = dict(unavailable or {})
        self._now_ns = now_ns
        self._market_time = market_time
        self._spots: dict[str, Spot] = {}
        self._newest: dict[str, Spot | PutCall | Sentiment | str] = {}
        """The result of the last read of each source that decisions use: a value, or why there is none."""
        self._used = {SPOT, *([OPTIONS] if deribit else ()), *([MOOD] if news_social else ())}
        self.read = asyncio.Event()
        """Set when each source that decisions use has been read once, whatever the result."""
        if chainlink is not None:
            chainlink.set_filter(lambda price: validator.admit(price).ok)

    def newest(self, name: str) -> Spot | PutCall | Sentiment | str:
        """The newest value of `SPOT`, `OPTIONS` or `MOOD`, or why there is none; without a request.

        The last read counts: a source that failed since, or whose value has become too old, has none.
        """
        value = self._newest.get(name)
        if value is None:
            missing = "not read yet" if name in self._used else "not in use"
            return self._unavailable.get(name, f"{name}: {missing}")
        if not isinstance(value, str) and (stale := self._stale(name, value)) is not None:
            return stale
        return value

    async def spot(self) -> Spot:
        """The spot price, appended to the path.

        Raises Temporary also if it is an outlier among the sources.
        """
        return await self._noted(SPOT, self._spot())

    async def _spot(self) -> Spot:
        spot = await self._checked(SPOT, self.coinbase.spot)
        self._spots[SPOT] = spot
        together = self.consensus()
        if together is not None and SPOT in together.outliers:
            reason = (
                f"{SPOT}: {spot.price} is an outlier, the median of {together.n} other sources is"
                f" {together.median}"
            )
            self.counts.failed(SPOT, reason)
            raise Temporary(reason)
        self.path.add(self._market_time(spot.received_ns), spot.price)
        return spot

    async def put_call(self, min_left_s: float = 0.0) -> PutCall:
        """Put/call ratios, renewed if less than `min_left_s` of their cache lifetime is left."""
        source = self._existing(OPTIONS, self.deribit)
        reading = self._checked(OPTIONS, lambda: source.put_call(min_left_s))
        return await self._noted(OPTIONS, reading, renews=min_left_s > 0)

    async def sentiment(self, min_left_s: float = 0.0) -> Sentiment:
        """The sentiment, renewed in the same way."""
        source = self._existing(MOOD, self.news_social)
        reading = self._checked(MOOD, lambda: source.sentiment(min_left_s))
        return await self._noted(MOOD, reading, renews=min_left_s > 0)

    async def cross_check_spot(self, name: str, ask: Callable[[], Awaitable[Spot]]) -> None:
        """Read another source's price, for the consensus only."""
        self._spots[name] = await self._checked(name, ask)

    def consensus(self) -> Consensus | None:
        """Consensus of the prices of the last `CONSENSUS_AGE_S` seconds."""
        oldest_ns = self._now_ns() - int(CONSENSUS_AGE_S * 1e9)
        # A copy: the worker's status is collected by another thread than the one that adds prices.
        spots = self._spots.copy()
        return consensus_of(
            {name: spot.price for name, spot in spots.items() if spot.received_ns >= oldest_ns}
        )

    def health(self) -> dict[str, SourceHealth]:
        """Health of every source in use, by name."""
        used = {
            SPOT: self.coinbase,
            OPTIONS: self.deribit,
            MOOD: self.news_social,
            BINANCE: self.binance,
            CHAINLINK: self.chainlink,
            PYTH: self.solana,
        }
        return {name: self._health_of(name) for name, source in used.items() if source is not None}

    async def aclose(self) -> None:
        """Close the sources; Chainlink's has no connection of its own."""
        for source in (self.coinbase, self.deribit, self.news_social, self.binance, self.solana):
            if source is not None:
                await source.aclose()

    def _health_of(self, name: str) -> SourceHealth:
        # A blend is counted under the name of its first source.
        counts = self.validator.quarantined
        quarantined = sum(n for source, n in counts.items() if source.split("+")[0] == name)
        return self.counts.of(name, quarantined)

    def _existing[T](self, name: str, source: T | None) -> T:
        if source is None:
            raise Refused(self._unavailable.get(name, f"{name}: not in use"))
        return source

    async def _noted[T: (Spot, PutCall, Sentiment)](
        self, name: str, reading: Awaitable[T], *, renews: bool = False
    ) -> T:
        """Read a value and keep the result.

        A failed read that `renews` a cached value before its time leaves that value as it is.
        """
        try:
            value = await reading
        except (Refused, Temporary) as error:
            if not renews:
                self._note(name, str(error))
            raise
        self._note(name, value)
        return value

    def _note(self, name: str, result: Spot | PutCall | Sentiment | str) -> None:
        self._newest[name] = result
        if self._used <= self._newest.keys():
            self.read.set()

    def _stale(self, name: str, value: Spot | PutCall | Sentiment) -> str | None:
        """Why a value is too old, by the source's own time; None if it is not."""
        age_s = (self._now_ns() - value.source_ns) / 1e9
        limit_s = MAX_AGE_S.get(name, CONSENSUS_AGE_S)
        return f"{name}: stale, {age_s:.0f} s old, at most {limit_s:.0f} allowed" if age_s > limit_s else None

    async def _checked[T: (Spot, PutCall, Sentiment)](self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Read a value that is valid and not stale; otherwise raise Temporary or Refused.

        Both are counted.
        """
        try:
            value = await ask()
            result = self.validator.admit(value)
            if not result.ok:
                raise Temporary(f"{name}: quarantined: {'; '.join(result.errors)}")
            if (stale := self._stale(name, value)) is not None:
                raise Temporary(stale)
        except (Refused, Temporary) as error:
            self.counts.failed(name, str(error))
            raise
        self.counts.succeeded(name)
        return value
