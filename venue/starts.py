"""The starts of markets: whole multiples of their length, above one hour on the clock of New York."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
HOUR = 3600
GRID = 300
"""Every start is a multiple of this many seconds since the epoch."""


def running_start(market_s: float, interval: int) -> int:
    """Start of the market that runs at a time; both in seconds since the epoch."""
    if interval <= HOUR:
        return int(market_s) // interval * interval
    local = datetime.fromtimestamp(market_s, ZONE)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    passed = local.hour * HOUR + local.minute * 60 + local.second
    return _instant(midnight + timedelta(seconds=passed // interval * interval))


def next_start(start: int, interval: int, markets: int = 1) -> int:
    """Start of the following market, or of the one that is some markets later, or earlier if negative.

    A market during which the clocks change is an hour longer or shorter.
    """
    if interval <= HOUR:
        return start + markets * interval
    local = datetime.fromtimestamp(start, ZONE).replace(tzinfo=None)
    return _instant(local + timedelta(seconds=markets * interval))


def _instant(local: datetime) -> int:
    return int(local.replace(tzinfo=ZONE).timestamp())
