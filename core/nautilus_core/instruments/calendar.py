"""The slug calendar: which market runs when. Only the start in the slug is used."""

from models import Frozen

LISTED_AHEAD = 4
"""Markets after the running one that are loaded: refreshes may then fail for most of an hour."""


class SlugCalendar(Frozen, frozen=True):
    """Markets of one asset and interval: `{asset}-{kind}-{timeframe}-{start}`, starts on the interval
    grid."""

    asset: str
    kind: str
    timeframe: str
    interval: int

    def slug(self, start: int) -> str:
        return f"{self.asset}-{self.kind}-{self.timeframe}-{start}"

    def start_of(self, slug: str) -> int:
        """Start in market-clock seconds.

        Raises
        ------
        ValueError
            If the slug is not one of this calendar's.
        """
        prefix, _, start = slug.rpartition("-")
        usual = f"{prefix}-" == self.slug(0)[:-1] and start.isascii() and start.isdigit() and len(start) <= 12
        if not usual or int(start) % self.interval or self.slug(int(start)) != slug:
            raise ValueError(f"{slug} is not a {self.slug(0)[:-1]}START market")
        return int(start)

    def running_start(self, market_time: float) -> int:
        """Start of the market that runs at a market-clock time."""
        return int(market_time // self.interval) * self.interval

    def upcoming(self, market_time: float) -> list[str]:
        """Slugs of the running market and those listed after it."""
        first = self.running_start(market_time)
        return [self.slug(first + k * self.interval) for k in range(LISTED_AHEAD + 1)]
