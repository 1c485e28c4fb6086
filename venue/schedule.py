"""The schedule of scripted markets: one every 900 seconds of market time."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Literal

from venue.catalogue import Catalogue
from venue.market import DOWN, INTERVAL, UP, VenueMarket, Version
from venue.position_ids import condition_of_event, position_ids

AHEAD = 8
"""Markets that are listed and tradable before they start."""


Protocol = Literal["v1", "v2", "alternate"]
"""Protocol of scripted markets; alternate: v1 and v2 by turns, beginning with v1."""


class Schedule(Catalogue):
    """A catalogue that lists markets by time; its first start is on the 900-second grid of market time."""

    def __init__(self, first_start: int, protocol: Protocol = "v1") -> None:
        super().__init__(first_start)
        self._protocol: Protocol = protocol

    def list_until(self, market_s: float) -> list[VenueMarket]:
        """List the markets due at a market time; returns the newly listed ones, oldest first."""
        last = int(market_s) // INTERVAL * INTERVAL + AHEAD * INTERVAL
        start = max(self._by_start, default=self.first_start - INTERVAL) + INTERVAL
        indices = [(at - self.first_start) // INTERVAL for at in range(start, last + 1, INTERVAL)]
        new = [
            make_market(self.first_start + index * INTERVAL, index, self._version(index)) for index in indices
        ]
        for market in new:
            self.add(market)
        return new

    def _version(self, index: int) -> Version:
        if self._protocol == "alternate":
            return "v1" if index % 2 == 0 else "v2"
        return self._protocol


def make_market(start: int, index: int, version: Version = "v1") -> VenueMarket:
    """The market with this start; its ids are derived from its slug and its version alone."""
    slug = f"btc-updown-15m-{start}"
    condition_id = "0x" + _digest("condition", slug).hex()
    up_token, down_token = (str(int.from_bytes(_digest(name, slug))) for name in (UP, DOWN))
    ctf_tokens: tuple[str, ...] = ()
    if version == "v2":
        ctf_tokens = (up_token, down_token)
        condition_id = condition_of_event(_digest("condition", slug))
        up_token, down_token = position_ids(condition_id)
    return VenueMarket(
        start=start,
        index=index,
        slug=slug,
        version=version,
        condition_id=condition_id,
        question_id="0x" + _digest("question", slug).hex(),
        up_token=up_token,
        down_token=down_token,
        ctf_tokens=ctf_tokens,
        question=_title(start),
        resolution_delay=30 + int.from_bytes(_digest("delay", slug)) % 61,
    )


def _digest(purpose: str, slug: str) -> bytes:
    return hashlib.sha256(f"practice:{purpose}:{slug}".encode()).digest()


def _title(start: int) -> str:
    begin = datetime.fromtimestamp(start, UTC)
    end = begin + timedelta(seconds=INTERVAL)
    return f"Bitcoin Up or Down - {begin:%B} {begin.day}, {begin:%H:%M}-{end:%H:%M} UTC"
