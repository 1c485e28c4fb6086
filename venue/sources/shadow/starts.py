"""The starts of an upstream's markets: multiples of their length on the clock of New York."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
HOUR = 3600


def running_start(market_s: float, interval: int) -> int:
    """Start of the market that runs at a time; both in seconds since the epoch."""
    if interval <= HOUR:
        return int(market_s) // interval * interval
    local = datetime.fromtimestamp(market_s, ZONE)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    passed = local.hour * HOUR + local.minute * 60 + local.second
    return _instant(midnight + timedelta(seconds=passed // interval * interval))


def next_start(start: int, interval: int) -> int:
    """Start of the following market; an hour earlier or later when the clocks change."""
    if interval <= HOUR:
        return start + interval
    local = datetime.fromtimestamp(start, ZONE).replace(tzinfo=None)
    return _instant(local + timedelta(seconds=interval))


def _instant(local: datetime) -> int:
    return int(local.replace(tzinfo=ZONE).timestamp())
