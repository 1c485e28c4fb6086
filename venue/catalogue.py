"""The markets of a venue by slug, condition and token, and which of them have no outcome yet."""

import math
from collections.abc import Iterator

from venue.market import VenueMarket
from venue.position_ids import unpadded


class Catalogue:
    """All markets from the first one that the venue ever started to the last one listed.

    Parameters
    ----------
    first_start : int
        Start of the first market, in market seconds since the epoch.
    """

    def __init__(self, first_start: int) -> None:
        self.first_start = first_start
        self._by_key: dict[int, VenueMarket] = {}
        self._by_slug: dict[str, VenueMarket] = {}
        self._by_token: dict[str, VenueMarket] = {}
        self._by_condition: dict[str, VenueMarket] = {}
        self._open: dict[int, VenueMarket] = {}

    def add(self, market: VenueMarket) -> None:
        """List a market."""
        self._by_key[market.key] = market
        self._by_slug[market.slug] = market
        self._by_condition[unpadded(market.condition_id)] = market
        self._by_token.update(dict.fromkeys(market.tokens, market))
        self._open[market.key] = market

    def close(self, key: int) -> None:
        """Mark a market as resolved."""
        self._open.pop(key, None)

    def unresolved(self) -> list[VenueMarket]:
        """Markets without an outcome, those that end first at the front."""
        return sorted(self._open.values(), key=lambda market: (market.end, market.key))

    def next_listing(self, market_s: float) -> float:
        """The next market time at which markets are listed; infinite if it is unknown."""
        del market_s
        return math.inf

    def at(self, key: int) -> VenueMarket | None:
        """The market with a key: the start of a market of btc-15m."""
        return self._by_key.get(key)

    def by_slug(self, slug: str) -> VenueMarket | None:
        return self._by_slug.get(slug)

    def by_token(self, token: str) -> VenueMarket | None:
        return self._by_token.get(token)

    def by_condition(self, condition_id: str) -> VenueMarket | None:
        """The market of a condition id; that of a v2 market may be padded to 32 bytes."""
        return self._by_condition.get(unpadded(condition_id))

    def __iter__(self) -> Iterator[VenueMarket]:
        return iter(self._by_key.values())
