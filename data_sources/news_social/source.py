"""Fear & Greed over REST, cached for the index's lifetime, with CryptoPanic's news if a key is given."""

import logging
import time
from collections.abc import Awaitable, Callable

import httpx

from common.singleton import Singleton
from data_sources.cache import TimedCache
from data_sources.news_social.parsers import (
    NEWS_SOURCE,
    SOURCE,
    blend,
    parse_fear_greed,
    parse_posts,
)
from data_sources.transport import HttpFetcher, Received
from data_sources.types import NewsSentiment
from errors import Refused, Temporary
from models import Sentiment

_log = logging.getLogger(__name__)


class NewsSocialSource:
    """The market's sentiment, 0 (fear) to 100 (greed).

    Parameters
    ----------
    asset : str
        Asset of the news; the index itself is bitcoin's.
    base_url, news_url : str
        Hosts of the index and of CryptoPanic.
    cryptopanic_key : str
        Without a key no news are read.
    news_weight : float
        Weight of the news in the sentiment, 0 to 1.
    news_cache_s, failure_cache_s : float
        Cache lifetime of the news, and of a failure of either, seconds.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for one request.
    throttle : callable, optional
        Awaited before every request.
    received : Received, optional
        Called with every answer.
    """

    name = SOURCE

    def __init__(
        self,
        asset: str = "btc",
        *,
        base_url: str = "https://api.alternative.me",
        news_url: str = "https://cryptopanic.com",
        cryptopanic_key: str = "",
        news_weight: float = 0.3,
        news_cache_s: float = 900.0,
        failure_cache_s: float = 30.0,
        now_ns: Callable[[], int] = time.time_ns,
        timeout_s: float = 5.0,
        throttle: Callable[[], Awaitable[object]] | None = None,
        received: Received | None = None,
    ) -> None:
        self._currency = asset.upper()
        self._key = cryptopanic_key
        self._news_weight = news_weight
        self._news_cache_s = news_cache_s
        self._index_cache: TimedCache[Sentiment] = TimedCache(now_ns, failure_cache_s)
        self._news_cache: TimedCache[NewsSentiment] = TimedCache(now_ns, failure_cache_s)
        self._index_http = HttpFetcher(
            SOURCE, base_url, now_ns=now_ns, timeout_s=timeout_s, throttle=throttle, received=received
        )
        self._news_http: HttpFetcher | None = None
        if cryptopanic_key:
            self._news_http = HttpFetcher(
                NEWS_SOURCE,
                news_url,
                now_ns=now_ns,
                timeout_s=timeout_s,
                throttle=throttle,
                received=received,
            )
            _redact_http_log()

    async def fear_greed(self, min_left_s: float = 0.0) -> Sentiment:
        """The index, requested once in its lifetime; `min_left_s` as in DeribitSource.put_call."""
        return await self._index_cache.get(self._fetch_index, min_left_s)

    async def news(self, min_left_s: float = 0.0) -> NewsSentiment:
        """The votes on recent news about the asset.

        Raises
        ------
        Refused
            Without a key.
        """
        if not self._key:
            raise Refused(f"{NEWS_SOURCE}: no key is set (CRYPTOPANIC_API_KEY)")
        return await self._news_cache.get(self._fetch_news, min_left_s)

    async def sentiment(self, min_left_s: float = 0.0) -> Sentiment:
        """The index, blended with the news if there is a key; `source` names the parts."""
        index = await self.fear_greed(min_left_s)
        if not self._key:
            return index
        try:
            news = await self.news(min_left_s)
        except (Refused, Temporary) as error:
            _log.info("sentiment without news: %s", error)
            return index
        return blend(index, news, self._news_weight)

    async def _fetch_index(self) -> tuple[Sentiment, float]:
        reply = await self._index_http.get("/fng/", {"limit": "1"})
        index = parse_fear_greed(reply.body, reply.received_ns)
        return index.sentiment, index.lifetime_s

    async def _fetch_news(self) -> tuple[NewsSentiment, float]:
        assert self._news_http is not None  # `news` refuses without a key
        reply = await self._news_http.get(
            "/api/v1/posts/", {"auth_token": self._key, "currencies": self._currency, "public": "true"}
        )
        return parse_posts(reply.body, reply.received_ns), self._news_cache_s

    async def aclose(self) -> None:
        await self._index_http.aclose()
        if self._news_http is not None:
            await self._news_http.aclose()


def _redact_http_log() -> None:
    """Keep the key out of httpx's request log: CryptoPanic accepts it in the address only."""
    logger = logging.getLogger("httpx")
    if _hide_token not in logger.filters:
        logger.addFilter(_hide_token)


def _hide_token(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            argument.copy_set_param("auth_token", "***")
            if isinstance(argument, httpx.URL) and "auth_token" in argument.params
            else argument
            for argument in record.args
        )
    return True


_singleton = Singleton(NewsSocialSource)
get_news_social_source = _singleton.get
reset_news_social_source = _singleton.reset
