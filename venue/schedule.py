"""Which markets exist when: one every 900 seconds of market time, each replaying one market of the source."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from venue.sources.base import INTERVAL

AHEAD = 8
"""Markets that are listed and tradable before they start."""

UP, DOWN = "Up", "Down"


class Market(msgspec.Struct, frozen=True):
    """A virtual market. `start` in market seconds since the epoch; `index` is its place in the schedule."""

    start: int
    index: int
    slug: str
    condition_id: str
    question_id: str
    up_token: str
    down_token: str
    question: str
    resolution_delay: int
    """Market seconds from the end to the resolution."""

    @property
    def end(self) -> int:
        return self.start + INTERVAL

    @property
    def tokens(self) -> tuple[str, str]:
        return self.up_token, self.down_token

    def sibling(self, token: str) -> str:
        """The market's other token."""
        return self.down_token if token == self.up_token else self.up_token

    def outcome_of(self, token: str) -> str:
        return UP if token == self.up_token else DOWN


class Schedule:
    """All markets from the first one that the venue ever started to the last one listed.

    Parameters
    ----------
    first_start : int
        Start of market 0, on the 900-second grid of market time.
    """

    def __init__(self, first_start: int) -> None:
        self.first_start = first_start
        self._by_start: dict[int, Market] = {}
        self._by_token: dict[str, Market] = {}
        self._by_condition: dict[str, Market] = {}

    def list_until(self, market_s: float) -> list[Market]:
        """List what is due at a market time; returns what was not listed before, oldest first."""
        last = int(market_s) // INTERVAL * INTERVAL + AHEAD * INTERVAL
        start = max(self._by_start, default=self.first_start - INTERVAL) + INTERVAL
        new = [make_market(s, (s - self.first_start) // INTERVAL) for s in range(start, last + 1, INTERVAL)]
        for market in new:
            self._by_start[market.start] = market
            self._by_condition[market.condition_id] = market
            self._by_token.update(dict.fromkeys(market.tokens, market))
        return new

    def at(self, start: int) -> Market | None:
        return self._by_start.get(start)

    def by_slug(self, slug: str) -> Market | None:
        start = slug.rpartition("-")[2]
        market = self._by_start.get(int(start)) if start.isdecimal() else None
        return market if market is not None and market.slug == slug else None

    def by_token(self, token: str) -> Market | None:
        return self._by_token.get(token)

    def by_condition(self, condition_id: str) -> Market | None:
        return self._by_condition.get(condition_id)

    def __iter__(self) -> Iterator[Market]:
        return iter(self._by_start.values())


def make_market(start: int, index: int) -> Market:
    """The market that starts then; its ids follow from its slug alone."""
    slug = f"btc-updown-15m-{start}"
    return Market(
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
