"""The present data of the external services: the source's prices, dated in both times.

A price belongs to a second of market time. Its timestamp is the machine's time of that second, so that a
client that derives market time from the venue's clock assigns every price to its second.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec

from venue.clock import SECOND, VenueClock
from venue.external.services import named
from venue.faults import Faults
from venue.market import INTERVAL
from venue.schedule import Schedule
from venue.sources.base import PriceSource

DAY = 86_400

LAGS = {"rtds": 1.8, "polybolt": 1.8}
"""Delay of the real relays of the settlement price in seconds; 1.5 to 2.1 were measured."""

MESSAGES_A_SECOND = 20
"""Maximum number of observations that a stream sends per second of machine time."""

BACKLOG = 120
"""Market seconds that a stream catches up after a pause of the machine or a step; it skips older ones."""
LONGEST_WAIT = 0.25
"""Wall seconds after which a waiting stream checks the clock and its faults again."""

USDT_BASIS = 33
"""Discount of Binance's USDT price to the dollar price in units of 1e-5 (0.033 %)."""
_BASIS_SCALE = 100_000
_MS = 1_000_000


class FeedTime(msgspec.Struct, frozen=True):
    """A second of market time, and the machine's time of its beginning (nanoseconds since the epoch)."""

    second: int
    wall_ns: int

    @property
    def wall_ms(self) -> int:
        """Milliseconds, rounded up: a timestamp must not precede the second that it dates."""
        return -(-self.wall_ns // _MS)

    @property
    def wall_s(self) -> int:
        return self.wall_ns // SECOND


class Closable(Protocol):
    """An open connection to a stream."""

    async def close(self) -> None: ...


class Feeds:
    """The prices on the venue's clock, as published by the services.

    Parameters
    ----------
    clock, schedule, source
        The venue's.
    faults : Faults
        `external_…` faults change the data and delay of a service.
    lagging : bool
        Whether services have the delay of the real ones (`LAGS`).
    """

    def __init__(
        self,
        clock: VenueClock,
        schedule: Schedule,
        source: PriceSource,
        faults: Faults,
        *,
        lagging: bool = False,
    ) -> None:
        self.seed = source.seed
        self.faults = faults
        self._clock = clock
        self._prices = source.prices
        self._origin = schedule.origin
        self._interval = math.gcd(INTERVAL, *(series.length for series in schedule.series))
        self._first_start = schedule.first_start
        self._lags = LAGS if lagging else {}
        self.sessions: set[Closable] = set()
        """The open connections."""

    # --- time --------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Market seconds between two observations of a stream."""
        return _step(self._clock.speed, self._interval)

    def moment(self, second: int) -> FeedTime:
        """A second of market time with its timestamp."""
        came = self._clock.wall_at(second * SECOND)
        return FeedTime(second, self.wall_ns() if came is None else came)

    def now(self, service: str) -> FeedTime:
        """The newest second for which a service has data."""
        behind = self._lags.get(service, 0.0) + self.staleness(service) * self._clock.speed
        return self.moment(math.floor(self._clock.market_s() - behind))

    def wall_ns(self) -> int:
        """The machine's time."""
        return self._clock.wall_ns()

    def answered_ns(self, service: str) -> int:
        """The timestamp of an answer: the machine's time, shifted by the service's faults."""
        return self.wall_ns() - int(self.staleness(service) * SECOND)

    def stamp_ms(self, service: str) -> int:
        """The same in milliseconds, rounded up like the timestamps of observations."""
        return -(-self.answered_ns(service) // _MS)

    def day(self, second: int) -> int:
        """The UTC day of market time, counted from the day of the venue's first market."""
        return second // DAY - self._first_start // DAY

    def day_start(self, second: int) -> FeedTime:
        """The midnight before a second."""
        return self.moment(second // DAY * DAY)

    # --- prices, in units of 1e-8 USD --------------------------------------------------------

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets with prices: bitcoin, and those of the venue's series."""
        return tuple(self._prices)

    def spot(self, second: int, asset: str = "btc") -> int:
        """The price in USD."""
        return self._prices[asset].spot(0, second - self._origin)

    def mean(self, second: int, window: int, asset: str = "btc") -> int:
        """The mean of the last `window` prices: with 60 it is the settlement price."""
        return self._prices[asset].mean(0, second - self._origin, window)

    def tether(self, second: int, asset: str = "btc") -> int:
        """The price in USDT."""
        return self.spot(second, asset) * (_BASIS_SCALE - USDT_BASIS) // _BASIS_SCALE

    # --- faults ------------------------------------------------------------------------------

    def fault(self, name: str, service: str) -> dict[str, Any] | None:
        """The parameters of a fault if it is armed for a service, without using it up."""
        parameters = self.faults.armed(name)
        return parameters if parameters is not None and service in named(parameters["service"]) else None

    def staleness(self, service: str) -> float:
        """Machine seconds by which a fault makes all data of a service old."""
        stale = self.fault("external_stale", service)
        return 0.0 if stale is None else stale["seconds"]

    # --- streams -----------------------------------------------------------------------------

    async def seconds(self, service: str) -> AsyncIterator[int]:
        """The seconds that a stream publishes, each at its time; ends when the service goes down.

        They are multiples of `step`, including market boundaries. None are published while the service is
        stale.
        """
        last = self.latest(service)
        while True:
            # The speed may change while a stream waits, so it checks again, including its faults.
            due = (last // self.step + 1) * self.step
            await asyncio.sleep(min(LONGEST_WAIT, max(0.0, self._wait(due, service))))
            if self.fault("external_down", service) is not None:
                return
            if self._wait(due, service) > 0:
                continue
            newest = self.latest(service)
            last = due if newest - due <= BACKLOG else newest
            if self.fault("external_stale", service) is None:
                yield last

    async def close_all(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(session.close() for session in list(self.sessions)))

    def latest(self, service: str) -> int:
        """The last second that a stream has published."""
        return self.now(service).second // self.step * self.step

    def _wait(self, second: int, service: str) -> float:
        slow = self.fault("external_slow", service)
        patience = 0.0 if slow is None else slow["seconds"]
        # One millisecond later, because timestamps are rounded up: nothing arrives before its own timestamp.
        return self._clock.wall_until(second + self._lags.get(service, 0.0)) + patience + 0.001


def _step(speed: float, interval: int) -> int:
    """The smallest divisor of an interval with at most `MESSAGES_A_SECOND` messages per second."""
    return next(
        (s for s in range(1, interval) if interval % s == 0 and speed / s <= MESSAGES_A_SECOND), interval
    )
