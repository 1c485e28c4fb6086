"""A sliding-window rate limit that cannot deadlock: who waits sleeps, and locks nothing."""

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
"""Calls a minute, below what each source allows the public (Coinbase 10/s, Solana's node 100 in 10 s)."""


SHORTEST_SLEEP_S = 0.001
"""So that rounding in the clock costs a millisecond instead of a busy loop."""
LONGEST_SLEEP_S = 1.0
"""Somebody ahead may give up, and nobody tells those behind: they look."""


class _Window:
    """When the calls of one source were granted, and who waits, both oldest first."""

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
        """Seconds until the holder of `ticket` should look again; 0 if it may go, first in the queue."""
        place = self.waiting.index(ticket)
        missing = place - self.free(now) + 1
        if place == 0 and missing <= 0:
            return 0.0
        if missing <= 0 or not self.granted:
            # There is room, and those ahead are just about to wake.
            return SHORTEST_SLEEP_S
        # The room comes free when the oldest calls leave the window; with more people ahead than fit
        # into one, not before the newest has left.
        leaving = self.granted[min(missing, len(self.granted)) - 1]
        return min(max(leaving + self.limit.window_s - now, SHORTEST_SLEEP_S), LONGEST_SLEEP_S)


class RateLimiter:
    """Limits calls by source; a source without a limit is never held up.

    Parameters
    ----------
    limits : mapping
        Source name to RateLimit.
    monotonic : callable
        Seconds that never go back.
    sleep : callable
        Coroutine function taking seconds.

    Notes
    -----
    Everything between two awaits is atomic on an event loop, so nothing needs a lock; a caller that
    waits holds nothing but its place in the queue, and leaves that behind when it is cancelled. Use it
    on one loop.
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
        """Return when the next call to `source` may be made; first come, first served."""
        window = self._windows.get(source)
        if window is None:
            return
        ticket = object()
        window.waiting.append(ticket)
        try:
            while pause_s := window.pause(self._monotonic(), ticket):
                await self._sleep(pause_s)
            # The real moment counts, not the planned one: a late timer must not squeeze the next window.
            window.granted.append(self._monotonic())
        finally:
            window.waiting.remove(ticket)

    def throttle(self, source: str) -> Callable[[], Awaitable[object]]:
        """`acquire` of one source, to hand to it."""
        return lambda: self.acquire(source)
