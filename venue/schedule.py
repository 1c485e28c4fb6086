"""The schedule of scripted markets: one after the other in each series, at the real venue's starts."""

import hashlib
import itertools
import math
from typing import Literal

from venue.catalogue import Catalogue
from venue.market import DOWN, INTERVAL, RESOLUTION_SOURCE, UP, VenueMarket, Version
from venue.position_ids import condition_of_event, position_ids
from venue.series import BTC_15M, DEFAULT_SERIES, Series

AHEAD = 8
"""Markets of each series that are listed and tradable before they start."""


Protocol = Literal["v1", "v2", "alternate"]
"""Protocol of scripted markets; alternate: v1 and v2 by turns in each series, beginning with v1."""


class Schedule(Catalogue):
    """A catalogue that lists markets by time.

    Parameters
    ----------
    first_start : int
        Start of market 0 of the first series. Market 0 of every other series is the one that runs then.
    protocol : str
        v1, v2 or alternate.
    series : tuple of Series
        The series that are listed.
    """

    def __init__(
        self, first_start: int, protocol: Protocol = "v1", series: tuple[Series, ...] = DEFAULT_SERIES
    ) -> None:
        super().__init__(first_start)
        self.series = series
        self.origin = first_start // INTERVAL * INTERVAL
        """Market time of second 0 of generated prices."""
        self._protocol: Protocol = protocol
        self._listed = dict.fromkeys(series, 0)
        self._complete_until = -math.inf

    def first_of(self, series: Series) -> int:
        """Start of market 0 of a series."""
        return series.running_start(self.first_start)

    def list_until(self, market_s: float) -> list[VenueMarket]:
        """List the markets due at a market time; returns the newly listed ones, oldest first."""
        if market_s < self._complete_until:
            return []
        self._complete_until = self.next_listing(market_s)
        new = [market for series in self.series for market in self._due(series, market_s)]
        new.sort(key=lambda market: market.start)
        for market in new:
            self.add(market)
        return new

    def next_listing(self, market_s: float) -> float:
        return min(each.next_start(each.running_start(market_s)) for each in self.series)

    def _due(self, series: Series, market_s: float) -> list[VenueMarket]:
        first, last = self.first_of(series), series.next_start(series.running_start(market_s), AHEAD)
        new: list[VenueMarket] = []
        for index in itertools.count(self._listed[series]):
            start = series.next_start(first, index)
            if start > last:
                break
            new.append(make_market(start, index, self._version(index), series))
        self._listed[series] += len(new)
        return new

    def _version(self, index: int) -> Version:
        if self._protocol == "alternate":
            return "v1" if index % 2 == 0 else "v2"
        return self._protocol


def make_market(start: int, index: int, version: Version = "v1", series: Series = BTC_15M) -> VenueMarket:
    """The market with this start; its ids are derived from its slug and its version alone."""
    slug = series.slug(start)
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
        question=series.title(start),
        resolution_delay=30 + int.from_bytes(_digest("delay", slug)) % 61,
        interval=series.next_start(start) - start,
        asset=series.asset,
        timeframe=series.timeframe,
        resolution_source=RESOLUTION_SOURCE.format(asset=series.asset),
        series_number=series.number,
    )


def _digest(purpose: str, slug: str) -> bytes:
    return hashlib.sha256(f"practice:{purpose}:{slug}".encode()).digest()
