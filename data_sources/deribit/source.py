"""Deribit's option chain over REST, cached for five minutes, or half a minute after a failure."""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

from common.singleton import Singleton
from data_sources.cache import TimedCache
from data_sources.deribit.parsers import SOURCE, parse_book_summary
from data_sources.transport import HttpFetcher, Received
from data_sources.types import symbol_for
from models import PutCall

UNDERLYINGS = {"btc": "BTC", "eth": "ETH", "sol": "SOL_USDC", "xrp": "XRP_USDC"}
"""Instrument prefixes; those with a settlement currency are listed under that currency, USDC."""


class DeribitSource:
    """Put/call ratios of one asset's options.

    Parameters
    ----------
    asset : str
        btc, eth, sol or xrp.
    base_url : str
        Scheme and host.
    max_dte : int
        Maximum whole days to expiry of a near option.
    min_open_interest : Decimal
        Minimum contracts in total for a ratio.
    cache_s, failure_cache_s : float
        Cache lifetime of a success and of a failure, seconds.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for one request.
    throttle : callable, optional
        Awaited before every request.
    received : Received, optional
        Called with every answer.

    Raises
    ------
    Refused
        For an asset without options at Deribit.
    """

    name = SOURCE

    def __init__(
        self,
        asset: str = "btc",
        *,
        base_url: str = "https://www.deribit.com",
        max_dte: int = 2,
        min_open_interest: Decimal = Decimal(100),
        cache_s: float = 300.0,
        failure_cache_s: float = 30.0,
        now_ns: Callable[[], int] = time.time_ns,
        timeout_s: float = 8.0,
        throttle: Callable[[], Awaitable[object]] | None = None,
        received: Received | None = None,
    ) -> None:
        self.underlying = symbol_for(SOURCE, asset, UNDERLYINGS)
        self._max_dte = max_dte
        self._min_open_interest = min_open_interest
        self._cache_s = cache_s
        self._cache: TimedCache[PutCall] = TimedCache(now_ns, failure_cache_s)
        self._http = HttpFetcher(
            SOURCE, base_url, now_ns=now_ns, timeout_s=timeout_s, throttle=throttle, received=received
        )

    async def put_call(self, min_left_s: float = 0.0) -> PutCall:
        """The ratios, at most `cache_s` old.

        Parameters
        ----------
        min_left_s : float
            Renew the cached answer if less than this is left of its lifetime.

        Raises
        ------
        Temporary
            Deribit does not answer, or did not within the last `failure_cache_s`, or the chain has too few
            contracts.
        Refused
            Deribit refuses the request.
        """
        return await self._cache.get(self._fetch, min_left_s)

    async def _fetch(self) -> tuple[PutCall, float]:
        currency = self.underlying.rpartition("_")[2]
        reply = await self._http.get(
            "/api/v2/public/get_book_summary_by_currency", {"currency": currency, "kind": "option"}
        )
        ratios = parse_book_summary(
            reply.body,
            underlying=self.underlying,
            now_ns=reply.received_ns,
            max_dte=self._max_dte,
            min_open_interest=self._min_open_interest,
        )
        return ratios, self._cache_s

    async def aclose(self) -> None:
        await self._http.aclose()


_singleton = Singleton(DeribitSource)
get_deribit_source = _singleton.get
reset_deribit_source = _singleton.reset
