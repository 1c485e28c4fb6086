"""The asset's spot price per second of market time, and its mean over an interval."""

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal

from models import SCALE_SECONDS, Tick

MAX_GAP_SHARE = 1 / 6
"""Maximum gap as a fraction of a mean's window: during ten of sixty seconds bitcoin's price moves by three
seconds' worth of volatility on average."""

SET_BACK_S = 60.0
"""Seconds of market time by which a price is older than the last one only if the clock was set back."""
REMEMBERED_MARKETS = 4
"""Markets of different starts or lengths for which the path is kept in market seconds."""


def until_next_second(now_ns: int, market_time: Callable[[int], float]) -> float:
    """Machine seconds until the next whole second of market time; one second while market time is held."""
    now_s = market_time(now_ns)
    speed = market_time(now_ns + 1_000_000_000) - now_s
    return (math.floor(now_s) + 1 - now_s) / speed if speed > 0 else 1.0


def path_seconds(interval: int) -> float:
    """Seconds of market time for which the spot path is stored, for markets of a length in seconds.

    A market of up to 15 minutes and the minute before it, over which a strike is averaged. Of a longer market
    a third, from which the volatility is estimated, and a minute; it may last an hour longer when the clocks
    change.
    """
    return interval + 60.0 if interval <= 900 else max(900.0, (interval + 3600) / 3) + 60.0


class SpotPath:
    """Prices in the order of market time, at most one per second.

    Parameters
    ----------
    keep_s : float
        Seconds of market time stored.
    """

    def __init__(self, keep_s: float) -> None:
        self.keep_s = keep_s
        self._points: deque[tuple[float, Decimal]] = deque()
        self._changes = 0
        self.rewritten = 0
        """How often earlier points were added or removed, instead of one appended."""
        self._ticks: dict[tuple[int, int], tuple[int, tuple[Tick, ...]]] = {}
        """The path in market seconds by the market's start and length, with the changes until then."""

    def add(self, market_s: float, price: Decimal) -> None:
        """Append a price; ignored if that second has a price already or is in the past.

        If it is far in the past, the clock was set back: the later points are removed.
        """
        if self._points and market_s < self._points[-1][0] - SET_BACK_S:
            while self._points and self._points[-1][0] > market_s:
                self._points.pop()
            self._changes += 1
            self.rewritten += 1
        if self._points and int(market_s) <= int(self._points[-1][0]):
            return
        self._points.append((market_s, price))
        self._changes += 1
        while self._points[0][0] < market_s - self.keep_s:
            self._points.popleft()

    def restore(self, points: Iterable[tuple[float, Decimal]]) -> None:
        """Add an earlier process' points, oldest first; those after the first own one are ignored."""
        first_s = self._points[0][0] if self._points else math.inf
        earlier = [point for point in points if point[0] < first_s]
        own, self._points = self._points, deque()
        for at_s, price in earlier:
            self.add(at_s, price)
        self._points.extend(own)
        self._changes += 1
        self.rewritten += 1

    @property
    def points(self) -> tuple[tuple[float, Decimal], ...]:
        """(second of market time, price in USD), oldest first."""
        return tuple(self._points)

    def is_after(self, market_s: float) -> bool:
        """Whether the newest point is after a market time: later ones then are, too."""
        return bool(self._points) and self._points[-1][0] > market_s

    def mean(self, end_s: float, window_s: float) -> Decimal | None:
        """Time-weighted mean of the `window_s` seconds before `end_s`, linear between points.

        The last price before the window is used at its start, the last price within it at its end. None if
        the path has a gap of more than `MAX_GAP_SHARE` of the window anywhere in it.
        """
        begin_s = end_s - window_s
        before = [point for point in self._points if point[0] <= begin_s]
        inside = [point for point in self._points if begin_s < point[0] <= end_s]
        if not before or not inside:
            return None
        points = [before[-1], *inside, (end_s, inside[-1][1])]
        if any(b[0] - a[0] > window_s * MAX_GAP_SHARE for a, b in itertools.pairwise(points)):
            return None
        points[0] = (begin_s, points[0][1])
        area = sum(
            ((a[1] + b[1]) / 2 * Decimal(b[0] - a[0]) for a, b in itertools.pairwise(points)), Decimal(0)
        )
        # Quotes have no more digits; the rest is rounding noise of the seconds, which are binary fractions.
        return round(area / Decimal(window_s), 8)

    def first(self, begin_s: float, within_s: float) -> Decimal | None:
        """The first price at or after `begin_s`; None if there is none within `within_s` seconds."""
        inside = (price for at, price in self._points if begin_s <= at <= begin_s + within_s)
        return next(inside, None)

    def ticks(self, start: int, interval: int, keep_s: float = math.inf) -> tuple[Tick, ...]:
        """The path in market seconds of the market that starts at `start`; earlier points are negative.

        Only its last `keep_s` seconds, where markets of several lengths use the path. Computed once after
        each change: a decision needs hundreds of points at once.
        """
        changes, ticks = self._ticks.get((start, interval), (-1, ()))
        if changes != self._changes:
            scale = SCALE_SECONDS / interval
            since_s = self._points[-1][0] - keep_s if self._points else 0.0
            ticks = tuple(
                Tick(second=(at - start) * scale, price=price) for at, price in self._points if at >= since_s
            )
            self._ticks[start, interval] = (self._changes, ticks)
            while len(self._ticks) > REMEMBERED_MARKETS:
                del self._ticks[next(iter(self._ticks))]
        return ticks
