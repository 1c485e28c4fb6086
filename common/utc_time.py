"""UTC days."""

from datetime import UTC, datetime

_NANOSECONDS = 1_000_000_000


def utc_midnight_ns(now_ns: int) -> int:
    """Midnight UTC of the day of an instant; both in nanoseconds since the epoch."""
    now = datetime.fromtimestamp(now_ns // _NANOSECONDS, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return int(midnight.timestamp()) * _NANOSECONDS
