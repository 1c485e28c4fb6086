"""The market clock: the time that markets live in, which a practice venue may run faster."""

from models import Frozen

NANOS = 1_000_000_000


class MarketClock(Frozen, frozen=True):
    """Maps this machine's clock to the market clock: market = market_ns + (wall − wall_ns) · speed.

    The default is the real venue's: the same clock.
    """

    wall_ns: int = 0
    market_ns: int = 0
    speed: float = 1.0

    def market_time(self, wall_ns: int) -> float:
        """Market-clock seconds since the epoch at a wall-clock instant."""
        return (self.market_ns + (wall_ns - self.wall_ns) * self.speed) / NANOS

    def wall_time_ns(self, market_time: float) -> int:
        """The wall-clock instant, in ns, at which the market clock shows `market_time`."""
        return self.wall_ns + round((market_time * NANOS - self.market_ns) / self.speed)

    def market_seconds(self, wall_seconds: float) -> float:
        """How long a span of the wall clock takes on the market clock."""
        return wall_seconds * self.speed

    def wall_seconds(self, market_seconds: float) -> float:
        """How long a span of the market clock takes on the wall clock."""
        return market_seconds / self.speed
