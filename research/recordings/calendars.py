"""Identifies up/down markets by their slugs, and the rules that were in force at their time."""

import re
from decimal import Decimal

from core.nautilus_core.instruments.calendar import NEW_YORK, SlugCalendar
from models import Rule

SLUG = re.compile(r"([a-z]+)-(updown)-(5m|15m|4h)-(\d{9,11})")
INTERVALS = {"5m": 300, "15m": 900, "4h": 14_400}
FEE_RATE = Decimal("0.07")

TWAP60_SINCE = {"5m": 1_786_665_600, "15m": 1_786_060_800, "4h": 1_786_060_800}
"""2026-08-07; for 5m markets, which settled on a TWAP of 30 s in between, 2026-08-14."""
TWAP_SINCE = 1_786_060_800
"""2026-08-07: before, markets settled on the spot price."""
DELAYS_MS = ((1_788_530_400, 150), (1_786_964_400, 50), (0, 250))
"""Taker delay in milliseconds since 2026-09-04 14:00, 2026-08-17 11:00, and before."""


def calendar_of(slug: str) -> SlugCalendar:
    """The calendar of a market.

    Raises
    ------
    ValueError
        If the slug is not one of a 5m, 15m or 4h up/down market at a start of its calendar.
    """
    found = SLUG.fullmatch(slug)
    if found is None:
        raise ValueError(f"{slug!r} is not the slug of a 5m, 15m or 4h up/down market")
    asset, kind, timeframe, _ = found.groups()
    zone = NEW_YORK if timeframe == "4h" else ""
    calendar = SlugCalendar(
        asset=asset, kind=kind, timeframe=timeframe, interval=INTERVALS[timeframe], zone=zone
    )
    calendar.start_of(slug)
    return calendar


def rule_at(timeframe: str, start: int) -> Rule:
    """The price that settled markets which started at a time, where a recording does not state it."""
    if start >= TWAP60_SINCE[timeframe]:
        return Rule.TWAP60
    return Rule.TWAP30 if start >= TWAP_SINCE else Rule.SPOT


def delay_ns_at(start: int) -> int:
    """The venue's taker delay in markets which started at a time."""
    return next(delay for since, delay in DELAYS_MS if start >= since) * 1_000_000
