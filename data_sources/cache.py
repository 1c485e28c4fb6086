"""A cached value with a lifetime, fetched once for concurrent callers; failures are cached too."""

import asyncio
from collections.abc import Awaitable, Callable

from errors import BotError

_SECOND = 1_000_000_000


class TimedCache[T]:
    """Caches one fetched value, and for a limited time the failure to fetch it.

    Parameters
    ----------
    now_ns : callable
        The machine's clock in nanoseconds.
    failure_ttl_s : float
        Seconds during which a failed fetch raises the same error instead of sending a new request.
    """

    def __init__(self, now_ns: Callable[[], int], failure_ttl_s: float) -> None:
        self._now_ns = now_ns
        self._failure_ttl_ns = int(failure_ttl_s * _SECOND)
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._value_from_ns = 0
        self._value_until_ns = 0
        self._error: BotError | None = None
        self._error_from_ns = 0

    async def get(self, fetch: Callable[[], Awaitable[tuple[T, float]]], min_left_s: float = 0.0) -> T:
        """The cached value, or a new one.

        Parameters
        ----------
        fetch : callable
            Returns the value and its lifetime in seconds.
        min_left_s : float
            Fetch if less than this is left of the lifetime: a background task renews a value in this way
            while other callers get the old one without waiting.

        Raises
        ------
        BotError
            The error of `fetch`, of this call or of the last `failure_ttl_s`, if no value is valid.
        """
        kept = self._kept(min_left_s)
        if kept is not None:
            return kept
        async with self._lock:
            kept = self._kept(min_left_s)
            if kept is not None:
                return kept
            return await self._renew(fetch)

    def _kept(self, min_left_s: float) -> T | None:
        """The value that can be returned without a request; raises the cached failure."""
        now = self._now_ns()
        # After the clock was set back no deadline is valid: nothing is returned from the cache.
        fresh = self._value_from_ns <= now < self._value_until_ns
        if fresh and now < self._value_until_ns - int(min_left_s * _SECOND):
            return self._value
        failed_lately = self._error_from_ns <= now < self._error_from_ns + self._failure_ttl_ns
        if self._error is not None and failed_lately:
            if fresh:
                return self._value
            raise self._error.with_traceback(None)
        return None

    async def _renew(self, fetch: Callable[[], Awaitable[tuple[T, float]]]) -> T:
        try:
            value, lifetime_s = await fetch()
        except BotError as error:
            self._error, self._error_from_ns = error, self._now_ns()
            raise
        now = self._now_ns()
        self._value, self._error = value, None
        self._value_from_ns, self._value_until_ns = now, now + int(lifetime_s * _SECOND)
        return value
