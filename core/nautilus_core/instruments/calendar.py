"""The slug calendar: which market runs when. Only the start in the slug is used."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from models import Frozen

LISTED_AHEAD = 4
"""Markets after the running one that are loaded: refreshes may then fail for most of an hour."""
NEW_YORK = "America/New_York"
"""The venue's time zone: markets longer than an hour start on its wall-clock hours."""
COMPARED_STEP = 300
"""Seconds between the starts that are tried when the catalogue lacks a market of the calendar."""


class SlugCalendar(Frozen, frozen=True):
    """Markets of one asset and interval: `{asset}-{kind}-{timeframe}-{start}`.

    Attributes
    ----------
    interval : int
        Length of a market in seconds of the wall clock. On the days on which the clocks change, a market of
        several hours may be an hour shorter or longer.
    zone : str
        Time zone on whose wall clock the markets start at multiples of the interval; empty for UTC.
    """

    asset: str
    kind: str
    timeframe: str
    interval: int
    zone: str = ""

    def slug(self, start: int) -> str:
        return f"{self.asset}-{self.kind}-{self.timeframe}-{start}"

    def start_of(self, slug: str) -> int:
        """Start in market-clock seconds.

        Raises
        ------
        ValueError
            If the slug is not one of this calendar's.
        """
        prefix, _, text = slug.rpartition("-")
        usual = f"{prefix}-" == self.slug(0)[:-1] and text.isascii() and text.isdigit() and len(text) <= 11
        start = int(text) if usual else -1
        if not usual or self.slug(start) != slug or self.running_start(start) != start:
            raise ValueError(f"{slug} is not a {self.slug(0)[:-1]}START market")
        return start

    def is_of_another_series(self, slug: str) -> bool:
        """Whether a slug has the form of a market of another asset or length."""
        parts = slug.split("-")
        return len(parts) == 4 and (parts[0], parts[2]) != (self.asset, self.timeframe)

    def running_start(self, market_time: float) -> int:
        """Start of the market that runs at a market-clock time."""
        if not self.zone:
            return int(market_time // self.interval) * self.interval
        local = datetime.fromtimestamp(market_time, ZoneInfo(self.zone))
        second = local.hour * 3600 + local.minute * 60 + local.second
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
        return self._instant(midnight + timedelta(seconds=second // self.interval * self.interval))

    def next_start(self, start: int) -> int:
        """Start of the market after the one that starts at `start`."""
        if not self.zone:
            return start + self.interval
        local = datetime.fromtimestamp(start, ZoneInfo(self.zone)).replace(tzinfo=None)
        return self._instant(local + timedelta(seconds=self.interval))

    def length(self, start: int) -> int:
        """Length in seconds of the market that starts at `start`."""
        return self.next_start(start) - start

    def running(self, market_time: float) -> tuple[int, int]:
        """Start and length of the market that runs at a market-clock time."""
        start = self.running_start(market_time)
        return start, self.length(start)

    def upcoming(self, market_time: float) -> list[str]:
        """Slugs of the running market and those listed after it."""
        starts = [self.running_start(market_time)]
        while len(starts) <= LISTED_AHEAD:
            starts.append(self.next_start(starts[-1]))
        return [self.slug(start) for start in starts]

    def neighbours(self, slug: str) -> list[str]:
        """Slugs of markets with other starts that overlap one of this calendar's."""
        start = self.start_of(slug)
        shifts = range(COMPARED_STEP, self.interval, COMPARED_STEP)
        return [self.slug(start + sign * shift) for shift in shifts for sign in (-1, 1)]

    def _instant(self, local: datetime) -> int:
        return int(local.replace(tzinfo=ZoneInfo(self.zone)).timestamp())
