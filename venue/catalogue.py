"""The markets of a venue by slug, condition and token, and which of them have no outcome yet."""

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
        self._by_start: dict[int, VenueMarket] = {}
        self._by_slug: dict[str, VenueMarket] = {}
        self._by_token: dict[str, VenueMarket] = {}
        self._by_condition: dict[str, VenueMarket] = {}
        self._open: dict[int, VenueMarket] = {}

    def add(self, market: VenueMarket) -> None:
        """List a market."""
        self._by_start[market.start] = market
        self._by_slug[market.slug] = market
        self._by_condition[unpadded(market.condition_id)] = market
        self._by_token.update(dict.fromkeys(market.tokens, market))
        self._open[market.start] = market

    def close(self, start: int) -> None:
        """Mark a market as resolved."""
        self._open.pop(start, None)

    def unresolved(self) -> list[VenueMarket]:
        """Markets without an outcome, oldest first."""
        return [self._open[start] for start in sorted(self._open)]

    def at(self, start: int) -> VenueMarket | None:
        return self._by_start.get(start)

    def by_slug(self, slug: str) -> VenueMarket | None:
        return self._by_slug.get(slug)

    def by_token(self, token: str) -> VenueMarket | None:
        return self._by_token.get(token)

    def by_condition(self, condition_id: str) -> VenueMarket | None:
        """The market of a condition id; that of a v2 market may be padded to 32 bytes."""
        return self._by_condition.get(unpadded(condition_id))

    def __iter__(self) -> Iterator[VenueMarket]:
        return iter(self._by_start.values())
