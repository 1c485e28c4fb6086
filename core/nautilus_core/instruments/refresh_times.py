"""When the catalogue is read again: at long intervals for new markets, often around a decision window."""

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.market_clock import MarketClock
from models import SCALE_SECONDS, Frozen

LEAD_S = 20.0
"""Wall seconds before a window from which the venue's flags are polled; at most a tenth of a market."""
WINDOW_PAUSE_S = 10.0
"""Wall seconds between two reads until the end of the window; at most a sixth of the window."""
SHORTEST_PAUSE_S = 1.0


class RefreshTimes(Frozen, frozen=True):
    """Schedule of the catalogue reads.

    Attributes
    ----------
    calendar, clock
        The markets, and market time.
    window_start, window_end : float
        Decision window in market seconds.
    """

    calendar: SlugCalendar
    clock: MarketClock
    window_start: float
    window_end: float

    def pause_s(self, wall_ns: int) -> float:
        """Wall seconds from a time until the next read of the catalogue."""
        now = self.clock.market_time(wall_ns)
        opens, closes, interval = self._near(now)
        if opens <= now < closes:
            window = (self.window_end - self.window_start) * interval / SCALE_SECONDS
            wait = min(self.clock.market_seconds(WINDOW_PAUSE_S), window / 6)
        else:
            wait = min(interval / 2, (opens if now < opens else opens + interval) - now)
        return max(SHORTEST_PAUSE_S, self.clock.wall_seconds(wait))

    def window_is_near(self, wall_ns: int) -> bool:
        """Whether the decision window is open, or opens soon."""
        now = self.clock.market_time(wall_ns)
        opens, closes, _ = self._near(now)
        return opens <= now < closes

    def _near(self, now: float) -> tuple[float, float, int]:
        """When the running market's window is open or opens soon, in market time; and the market's length."""
        start = self.calendar.running_start(now)
        interval = self.calendar.length(start)
        lead = min(self.clock.market_seconds(LEAD_S), interval / 10)
        opens = start + self.window_start * interval / SCALE_SECONDS - lead
        return opens, start + self.window_end * interval / SCALE_SECONDS, interval
