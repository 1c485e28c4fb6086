"""Two times: the machine's own, which stamps everything, and market time, which drives the schedule."""

import time
from collections.abc import Callable
from typing import Any

SECOND = 1_000_000_000
INTERVAL_NS = 900 * SECOND


class MarketClock:
    """Market time = anchor + (wall − wall anchor) × speed, never going back.

    Parameters
    ----------
    wall_ns, market_ns : int
        The anchor: two readings of one moment, in nanoseconds since the epoch.
    speed : float
        Market seconds a wall second.
    now_ns : callable
        The machine's clock.
    """

    def __init__(
        self, wall_ns: int, market_ns: int, speed: float, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._wall_anchor = wall_ns
        self._market_anchor = market_ns
        self.speed = speed
        self._now_ns = now_ns
        self._latest = market_ns

    def wall_ns(self) -> int:
        """Machine time in nanoseconds since the epoch."""
        return self._now_ns()

    def wall_ms(self) -> int:
        return self._now_ns() // 1_000_000

    def wall_s(self) -> float:
        return self._now_ns() / SECOND

    def market_ns(self) -> int:
        """Market time in nanoseconds since the epoch."""
        elapsed = self._now_ns() - self._wall_anchor
        # A machine clock that is set back must not reopen a settled market.
        self._latest = max(self._latest, self._market_anchor + int(elapsed * self.speed))
        return self._latest

    def market_s(self) -> float:
        return self.market_ns() / SECOND

    def wall_until(self, market_s: float) -> float:
        """Wall seconds until a market time; negative if it has passed."""
        return (market_s - self.market_s()) / self.speed

    def wire(self) -> dict[str, Any]:
        """A reading of both clocks at one moment."""
        return {"wall_ns": self.wall_ns(), "market_ns": self.market_ns(), "speed": self.speed}


def unhurried(now_ns: Callable[[], int] = time.time_ns) -> MarketClock:
    """A clock whose market time is the machine's own."""
    wall = now_ns()
    return MarketClock(wall, wall, 1.0, now_ns)


def anchored(
    speed: float, stopped_at_ns: int | None, start_at: int | None, now_ns: Callable[[], int] = time.time_ns
) -> MarketClock:
    """A clock for a fresh venue, or one that goes on from where a stopped venue's market time was.

    Fresh: market time starts at the next market start at or after the machine's time. Resumed: where it
    stopped, but not before the machine's time. `start_at` moves it to that second (0 to 899) of the next
    market.
    """
    wall = now_ns()
    if stopped_at_ns is None:
        return MarketClock(wall, _next_start(wall) + (start_at or 0) * SECOND, speed, now_ns)
    market = max(wall, stopped_at_ns)
    if start_at is not None:
        market = _next_start(market) + start_at * SECOND
    return MarketClock(wall, market, speed, now_ns)


def _next_start(ns: int) -> int:
    return -(-ns // INTERVAL_NS) * INTERVAL_NS
