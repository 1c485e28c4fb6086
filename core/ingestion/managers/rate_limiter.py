"""A sliding-window rate limit without locks: a caller that waits only sleeps."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from models import Frozen


class RateLimit(Frozen, frozen=True):
    """At most `calls` in any `window_s` seconds."""

    calls: int
    window_s: float = 60.0


DEFAULT_LIMITS: Mapping[str, RateLimit] = {
    "coinbase": RateLimit(calls=480),
    "binance": RateLimit(calls=1000),
    "fear_greed": RateLimit(calls=60),
    "solana": RateLimit(calls=100),
    "deribit": RateLimit(calls=60),
}
"""Calls per minute, below the public limits of each source (Coinbase 10/s, Solana's node 100 in 10 s)."""


SHORTEST_SLEEP_S = 0.001
"""Prevents a busy loop through rounding of the clock."""
LONGEST_SLEEP_S = 1.0
"""Longest sleep of a waiting caller: a caller ahead of it may be cancelled without a notification."""


class _Window:
    """Times of the granted calls of one source, and the waiting callers, both oldest first."""

    def __init__(self, limit: RateLimit) -> None:
        if limit.calls < 1 or limit.window_s <= 0:
            raise ValueError(f"a rate limit needs at least one call in a window above 0 s, got {limit}")
        self.limit = limit
        self.granted: deque[float] = deque()
        self.waiting: list[object] = []

    def free(self, now: float) -> int:
        """Calls that may be made now."""
        while self.granted and self.granted[0] <= now - self.limit.window_s:
            self.granted.popleft()
        return self.limit.calls - len(self.granted)

    def pause(self, now: float, ticket: object) -> float:
        """Seconds until the holder of `ticket` should check again; 0 if it may proceed, as the first in
        the queue."""
        place = self.waiting.index(ticket)
        missing = place - self.free(now) + 1
        if place == 0 and missing <= 0:
            return 0.0
        if missing <= 0 or not self.granted:
            # A call is available, and the callers ahead are about to wake.
            return SHORTEST_SLEEP_S
        # A call becomes available when the oldest calls leave the window; with more callers ahead than calls
        # in a window, not before the newest has left it.
        leaving = self.granted[min(missing, len(self.granted)) - 1]
        return min(max(leaving + self.limit.window_s - now, SHORTEST_SLEEP_S), LONGEST_SLEEP_S)


class RateLimiter:
    """Limits calls by source; a source without a limit is not delayed.

    Parameters
    ----------
    limits : mapping
        Source name to RateLimit.
    monotonic : callable
        A monotonic clock in seconds.
    sleep : callable
        Coroutine function taking seconds.

    Notes
    -----
    Everything between two awaits is atomic on an event loop, so no lock is needed; a waiting caller holds
    only its place in the queue, which is released when it is cancelled. Use it on one loop.
    """

    def __init__(
        self,
        limits: Mapping[str, RateLimit] = DEFAULT_LIMITS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._windows = {source: _Window(limit) for source, limit in limits.items()}
        self._monotonic = monotonic
        self._sleep = sleep

    async def acquire(self, source: str) -> None:
        """Return when the next call to `source` is allowed; callers are served in their order."""
        window = self._windows.get(source)
        if window is None:
            return
        ticket = object()
        window.waiting.append(ticket)
        try:
            while pause_s := window.pause(self._monotonic(), ticket):
                await self._sleep(pause_s)
            # The actual time counts, not the planned one: a late timer must not shorten the next window.
            window.granted.append(self._monotonic())
        finally:
            window.waiting.remove(ticket)

    def throttle(self, source: str) -> Callable[[], Awaitable[object]]:
        """`acquire` of one source, as a callable."""
        return lambda: self.acquire(source)
