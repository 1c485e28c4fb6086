"""The schedule of scripted markets: one every 900 seconds of market time."""

import hashlib
from datetime import UTC, datetime, timedelta

from venue.catalogue import Catalogue
from venue.market import DOWN, INTERVAL, UP, VenueMarket

AHEAD = 8
"""Markets that are listed and tradable before they start."""


class Schedule(Catalogue):
    """A catalogue that lists markets by time; its first start is on the 900-second grid of market time."""

    def list_until(self, market_s: float) -> list[VenueMarket]:
        """List the markets due at a market time; returns the newly listed ones, oldest first."""
        last = int(market_s) // INTERVAL * INTERVAL + AHEAD * INTERVAL
        start = max(self._by_start, default=self.first_start - INTERVAL) + INTERVAL
        new = [make_market(s, (s - self.first_start) // INTERVAL) for s in range(start, last + 1, INTERVAL)]
        for market in new:
            self.add(market)
        return new


def make_market(start: int, index: int) -> VenueMarket:
    """The market with this start; its ids are derived from its slug alone."""
    slug = f"btc-updown-15m-{start}"
    return VenueMarket(
        start=start,
        index=index,
        slug=slug,
        condition_id="0x" + _digest("condition", slug).hex(),
        question_id="0x" + _digest("question", slug).hex(),
        up_token=str(int.from_bytes(_digest(UP, slug))),
        down_token=str(int.from_bytes(_digest(DOWN, slug))),
        question=_title(start),
        resolution_delay=30 + int.from_bytes(_digest("delay", slug)) % 61,
    )


def _digest(purpose: str, slug: str) -> bytes:
    return hashlib.sha256(f"practice:{purpose}:{slug}".encode()).digest()


def _title(start: int) -> str:
    begin = datetime.fromtimestamp(start, UTC)
    end = begin + timedelta(seconds=INTERVAL)
    return f"Bitcoin Up or Down - {begin:%B} {begin.day}, {begin:%H:%M}-{end:%H:%M} UTC"
