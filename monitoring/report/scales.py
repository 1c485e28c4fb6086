"""Linear scales of a plot, and round tick values."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil, floor, log10

from models import Frozen

MINUTE, HOUR, DAY = 60, 3600, 86400
TIME_STEPS = (
    *(1, 2, 5, 10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY),
)
"""Possible distances of the ticks of a time axis, seconds."""


class Scale(Frozen, frozen=True):
    """Maps `low` to `start` and `high` to `stop`, in the plot's units, linearly."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start), 2)


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, roughly `about` of them.

    Raises
    ------
    ValueError
        If `high` is not above `low`.
    """
    if high <= low:
        raise ValueError(f"no range from {low} to {high}")
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    digits = max(0, -floor(log10(step)))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(number * step, digits) for number in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.08, least: float = 0.01) -> tuple[float, float]:
    """The range of the values with a margin, never empty."""
    low, high = min(values), max(values)
    margin = max((high - low) * share, least)
    return low - margin, high + margin


def time_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """(seconds since the epoch, label) of at most `most` round UTC times between two times.

    A label within a day has the date only if the one before it has another.
    """
    step = next((step for step in TIME_STEPS if (high - low) / step < most), TIME_STEPS[-1])
    form = "%H:%M:%S" if step < MINUTE else "%H:%M" if step < DAY else "%d %b %Y"
    marks: list[tuple[float, str]] = []
    shown = None
    for moment in range(ceil(low / step) * step, floor(high) + 1, step):
        when = datetime.fromtimestamp(moment, UTC)
        dated = MINUTE <= step < DAY and when.date() != shown
        marks.append((moment, f"{when:%d %b %H:%M}" if dated else f"{when:{form}}"))
        shown = when.date()
    return marks
