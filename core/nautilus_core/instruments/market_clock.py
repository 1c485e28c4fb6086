"""The market clock: the time of the markets, which a practice venue may accelerate."""

from models import Frozen

NANOS = 1_000_000_000


class MarketClock(Frozen, frozen=True):
    """Maps this machine's clock to the market clock: market = market_ns + (wall − wall_ns) · speed.

    By default both are the same, as on the real venue.
    """

    wall_ns: int = 0
    market_ns: int = 0
    speed: float = 1.0

    def market_time(self, wall_ns: int) -> float:
        """Market-clock seconds since the epoch at a wall-clock instant."""
        return (self.market_ns + (wall_ns - self.wall_ns) * self.speed) / NANOS

    def market_time_ns(self, wall_ns: int) -> int:
        """Market-clock nanoseconds since the epoch at a wall-clock instant."""
        passed_ns = wall_ns - self.wall_ns
        return self.market_ns + (passed_ns if self.speed == 1 else round(passed_ns * self.speed))

    def wall_time_ns(self, market_time: float) -> int:
        """The wall-clock instant, in ns, at which the market clock shows `market_time`."""
        return self.wall_ns + round((market_time * NANOS - self.market_ns) / self.speed)

    def market_seconds(self, wall_seconds: float) -> float:
        """Duration on the market clock of a duration on the wall clock."""
        return wall_seconds * self.speed

    def wall_seconds(self, market_seconds: float) -> float:
        """Duration on the wall clock of a duration on the market clock."""
        return market_seconds / self.speed
