"""What the external services know at this moment: the source's prices, dated in both times.

A price belongs to a second of market time. Its stamp is the machine's time at which that second came, so
that a client which carries market time on from the venue's clock finds every price where it belongs.
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
"""Seconds by which the real relays of the settlement price are behind: 1.5 to 2.1 were measured."""

MESSAGES_A_SECOND = 20
"""Most observations a stream sends in a second of machine time."""

BACKLOG = 120
"""Market seconds a stream catches up after a standstill of the machine or a step; it skips what is older."""
LONGEST_WAIT = 0.25
"""Wall seconds after which a waiting stream looks at the clock and its faults again."""

USDT_BASIS = 33
"""Binance's price in USDT lies 3.3 hundredths of a percent below the dollar price, in units of 1e-5."""
_BASIS_SCALE = 100_000
_MS = 1_000_000


class FeedTime(msgspec.Struct, frozen=True):
    """A second of market time, and when it came by the machine's clock (nanoseconds since the epoch)."""

    second: int
    wall_ns: int

    @property
    def wall_ms(self) -> int:
        """Rounded up: a stamp must not lie before the second that it dates."""
        return -(-self.wall_ns // _MS)

    @property
    def wall_s(self) -> int:
        return self.wall_ns // SECOND


class Closable(Protocol):
    """An open connection to a stream."""

    async def close(self) -> None: ...


class Feeds:
    """The price path on the venue's clock, as the services see it.

    Parameters
    ----------
    clock, schedule, source
        The venue's own.
    faults : Faults
        `external_…` faults change what a service knows and when.
    lagging : bool
        Whether services are as late as the real ones (`LAGS`).
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
        self._source = source
        self._first_start = schedule.first_start
        self._lags = LAGS if lagging else {}
        self.sessions: set[Closable] = set()
        """The open connections."""

    # --- time --------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Market seconds from one observation of a stream to the next."""
        return _step(self._clock.speed)

    def moment(self, second: int) -> FeedTime:
        """A second of market time with its stamp."""
        came = self._clock.wall_at(second * SECOND)
        return FeedTime(second, self.wall_ns() if came is None else came)

    def now(self, service: str) -> FeedTime:
        """The newest second that a service knows of."""
        behind = self._lags.get(service, 0.0) + self.staleness(service) * self._clock.speed
        return self.moment(math.floor(self._clock.market_s() - behind))

    def wall_ns(self) -> int:
        """The machine's time."""
        return self._clock.wall_ns()

    def answered_ns(self, service: str) -> int:
        """The machine's time as a service believes it: an answer's own stamp."""
        return self.wall_ns() - int(self.staleness(service) * SECOND)

    def stamp_ms(self, service: str) -> int:
        """The same in milliseconds, rounded up as the stamps of observations are."""
        return -(-self.answered_ns(service) // _MS)

    def day(self, second: int) -> int:
        """The UTC day of market time, counted from the day of the venue's first market."""
        return second // DAY - self._first_start // DAY

    def day_start(self, second: int) -> FeedTime:
        """The midnight before a second."""
        return self.moment(second // DAY * DAY)

    # --- prices, in units of 1e-8 USD --------------------------------------------------------

    def spot(self, second: int) -> int:
        """The dollar price."""
        return self._source.spot(*self._place(second))

    def mean(self, second: int, window: int) -> int:
        """The mean of the last `window` prices: with 60 it is the settlement price."""
        return self._source.mean_price(*self._place(second), window)

    def tether(self, second: int) -> int:
        """The price in USDT."""
        return self.spot(second) * (_BASIS_SCALE - USDT_BASIS) // _BASIS_SCALE

    def _place(self, second: int) -> tuple[int, int]:
        return divmod(second - self._first_start, INTERVAL)

    # --- faults ------------------------------------------------------------------------------

    def fault(self, name: str, service: str) -> dict[str, Any] | None:
        """The parameters of a fault if it is armed for a service, without using it up."""
        parameters = self.faults.armed(name)
        return parameters if parameters is not None and service in named(parameters["service"]) else None

    def staleness(self, service: str) -> float:
        """Machine seconds by which a fault makes everything that a service says old."""
        stale = self.fault("external_stale", service)
        return 0.0 if stale is None else stale["seconds"]

    # --- streams -----------------------------------------------------------------------------

    async def seconds(self, service: str) -> AsyncIterator[int]:
        """The seconds a stream tells of, each when its time has come; ends when the service goes down.

        They are multiples of `step`, market boundaries among them. Nothing comes while the service is stale.
        """
        last = self.latest(service)
        while True:
            # The pace may change while a stream waits, so it looks again, and at its faults too.
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
        """The last second that a stream has told of."""
        return self.now(service).second // self.step * self.step

    def _wait(self, second: int, service: str) -> float:
        slow = self.fault("external_slow", service)
        patience = 0.0 if slow is None else slow["seconds"]
        # A millisecond later, because stamps are rounded up: nothing arrives before its own stamp.
        return self._clock.wall_until(second + self._lags.get(service, 0.0)) + patience + 0.001


def _step(speed: float) -> int:
    """The least divisor of a market's length that keeps a stream at `MESSAGES_A_SECOND` or below."""
    return next(
        (s for s in range(1, INTERVAL) if INTERVAL % s == 0 and speed / s <= MESSAGES_A_SECOND), INTERVAL
    )
