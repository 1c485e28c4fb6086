"""Ids of markets: a market keeps its ids and shares none with another market."""

from collections import defaultdict
from collections.abc import Iterable

from models import Market


class MarketIds:
    """Stores the ids of markets and finds contradictions."""

    def __init__(self) -> None:
        self._by_slug: dict[str, tuple[str, str, str]] = {}
        self._owner: dict[str, str] = {}

    def remember(self, market: Market) -> None:
        """Store the ids of a market. The caller has checked `contradiction` before."""
        self._by_slug[market.slug] = _ids(market)
        for identifier in _ids(market):
            self._owner[identifier] = market.slug

    def contradiction(self, market: Market) -> str | None:
        """How a market contradicts the stored ids, or itself; None if it does not."""
        ids = _ids(market)
        if len(set(ids)) < len(ids):
            return "two of its condition and token ids are the same"
        for name, now, before in zip(
            ("condition id", "Up token", "Down token"), ids, self._by_slug.get(market.slug, ids), strict=True
        ):
            if now != before:
                return f"its {name} is {_short(now)} now and was {_short(before)} before"
        for identifier in ids:
            owner = self._owner.get(identifier, market.slug)
            if owner != market.slug:
                return f"its id {_short(identifier)} is that of {owner}"
        return None


def shared_ids(markets: Iterable[Market]) -> dict[str, str]:
    """Find markets with common ids.

    Returns
    -------
    dict[str, str]
        For each such market, by slug, the id it shares and the other market.
    """
    owners: dict[str, list[str]] = defaultdict(list)
    for market in markets:
        for identifier in _ids(market):
            owners[identifier].append(market.slug)
    found: dict[str, str] = {}
    for identifier, slugs in owners.items():
        for slug in slugs if len(slugs) > 1 else ():
            other = next((each for each in slugs if each != slug), slug)
            found.setdefault(slug, f"its id {_short(identifier)} is that of {other}, too")
    return found


def _ids(market: Market) -> tuple[str, str, str]:
    return market.condition_id.lower(), market.up_token, market.down_token


def _short(identifier: str) -> str:
    return identifier if len(identifier) <= 20 else f"{identifier[:10]}…{identifier[-6:]}"
