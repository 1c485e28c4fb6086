"""Two times: the machine's time, used for all timestamps, and market time, which drives the schedule."""

import math
import time
from collections.abc import Callable
from typing import Any

import msgspec

from venue.series import BTC_15M, Series

SECOND = 1_000_000_000
MOST_SEGMENTS = 10_000
"""Speed changes that a clock stores, for the timestamps of events before the last one."""


class ClockState(msgspec.Struct, frozen=True):
    """State for continuing a clock in another process: two readings, its speed, whether it is held."""

    wall_ns: int
    market_ns: int
    speed: float
    held: bool = False


class _Segment(msgspec.Struct, frozen=True):
    """From `wall_ns` on, market time is `market_ns` plus `rate` times the elapsed wall time."""

    wall_ns: int
    market_ns: int
    rate: float

    def market_at(self, wall_ns: int) -> int:
        return self.market_ns + int((wall_ns - self.wall_ns) * self.rate)


class VenueClock:
    """Market time, which runs at a given speed, can be held and stepped forward, and never goes back.

    Parameters
    ----------
    wall_ns, market_ns : int
        The anchor: two readings of one moment, in nanoseconds since the epoch.
    speed : float
        Market seconds per wall second while the clock is not held.
    now_ns : callable
        The machine's clock.
    held : bool
        Whether market time stands still until `run` is called.
    """

    def __init__(
        self,
        wall_ns: int,
        market_ns: int,
        speed: float,
        now_ns: Callable[[], int] = time.time_ns,
        *,
        held: bool = False,
    ) -> None:
        self.speed = speed
        self.held = held
        self._now_ns = now_ns
        self._segments = [_Segment(wall_ns, market_ns, 0.0 if held else speed)]
        self._first_speed = speed
        self._latest = market_ns

    # --- reading -----------------------------------------------------------------------------

    def wall_ns(self) -> int:
        """Machine time in nanoseconds since the epoch."""
        return self._now_ns()

    def wall_ms(self) -> int:
        return self._now_ns() // 1_000_000

    def wall_s(self) -> float:
        return self._now_ns() / SECOND

    def market_ns(self) -> int:
        """Market time in nanoseconds since the epoch."""
        return self._market_at(self._now_ns())

    def market_s(self) -> float:
        return self.market_ns() / SECOND

    def wall_at(self, market_ns: int) -> int | None:
        """Machine time in nanoseconds at which market time first reaches a value; None if it never will.

        Values skipped by a step have the time of the step. Future values assume the present speed.
        """
        following: int | None = None
        for segment in reversed(self._segments):
            if market_ns > segment.market_ns:
                if not segment.rate:
                    return following
                at = segment.wall_ns + math.ceil((market_ns - segment.market_ns) / segment.rate)
                return at if following is None else min(at, following)
            following = segment.wall_ns
        first = self._segments[0]
        return first.wall_ns - math.floor((first.market_ns - market_ns) / self._first_speed)

    def wall_until(self, market_s: float) -> float:
        """Wall seconds until a market time; negative if it has passed, infinite if the clock is held."""
        at = self.wall_at(round(market_s * SECOND))
        return math.inf if at is None else (at - self._now_ns()) / SECOND

    def state(self) -> ClockState:
        """A reading of both clocks at one moment."""
        wall = self._now_ns()
        return ClockState(wall, self._market_at(wall), self.speed, self.held)

    def wire(self) -> dict[str, Any]:
        """The same as JSON."""
        return msgspec.structs.asdict(self.state())

    # --- setting -----------------------------------------------------------------------------

    def hold(self) -> None:
        """Stop market time."""
        self._change(held=True)

    def run(self) -> None:
        """Let market time continue from its present value."""
        self._change(held=False)

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on; a held clock stays held."""
        self._change(speed=speed)

    def step_to(self, market_ns: int) -> None:
        """Move market time forward to a value; a value in the past changes nothing."""
        self._change(market_ns=max(market_ns, self.market_ns()))

    def _market_at(self, wall_ns: int) -> int:
        # A machine clock that is set back must not reopen a settled market.
        self._latest = max(self._latest, self._segments[-1].market_at(wall_ns))
        return self._latest

    def _change(
        self, *, market_ns: int | None = None, speed: float | None = None, held: bool | None = None
    ) -> None:
        wall = self._now_ns()
        present = self._market_at(wall)
        self.speed = self.speed if speed is None else speed
        self.held = self.held if held is None else held
        self._latest = present if market_ns is None else market_ns
        self._segments.append(_Segment(wall, self._latest, 0.0 if self.held else self.speed))
        if len(self._segments) > MOST_SEGMENTS:
            del self._segments[0]
            self._first_speed = self._segments[0].rate or self.speed


def real_time(now_ns: Callable[[], int] = time.time_ns) -> VenueClock:
    """A clock whose market time is the machine's time."""
    wall = now_ns()
    return VenueClock(wall, wall, 1.0, now_ns)


def anchored(
    speed: float,
    stopped_at_ns: int | None,
    start_at: int | None,
    now_ns: Callable[[], int] = time.time_ns,
    *,
    held: bool = False,
    series: Series = BTC_15M,
) -> VenueClock:
    """A clock for a new venue, or one that continues from the market time of a stopped venue.

    New: market time starts at the next start of a market of the series at or after the machine's time.
    Stopped before: where it stopped, but not before the machine's time. `start_at` moves it to that second of
    the next market of the series.
    """
    wall = now_ns()
    if stopped_at_ns is None:
        market = _next_start(wall, series) + (start_at or 0) * SECOND
        return VenueClock(wall, market, speed, now_ns, held=held)
    market = max(wall, stopped_at_ns)
    if start_at is not None:
        market = _next_start(market, series) + start_at * SECOND
    return VenueClock(wall, market, speed, now_ns, held=held)


def resumed(state: ClockState, now_ns: Callable[[], int] = time.time_ns) -> VenueClock:
    """The clock of an ended venue as if it had never ended: the time since then counts."""
    return VenueClock(state.wall_ns, state.market_ns, state.speed, now_ns, held=state.held)


def _next_start(ns: int, series: Series) -> int:
    second = -(-ns // SECOND)
    start = series.running_start(second)
    return (start if start == second else series.next_start(start)) * SECOND
