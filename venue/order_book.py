"""One order book of the Up token, its mirror for the Down token, and the liquidity consumed by accounts.

A binary market has one pool of liquidity: a bid for Up at p is equivalent to an ask for Down at 1 − p.
"""

import hashlib
import json
from collections.abc import Iterable

import msgspec

from venue.amounts import CENT_MILLS, MILL, decimal_text, price_text
from venue.market import MINIMUM_SHARES

Side = tuple[tuple[int, int], ...]
"""Levels (price in mills, size in micro shares), best first."""


class VenueBook(msgspec.Struct, frozen=True):
    """Both sides of one token's book, best first."""

    bids: Side = ()
    asks: Side = ()

    def mirrored(self) -> "VenueBook":
        """The same liquidity in terms of the other token of the market."""
        return VenueBook(
            bids=tuple((MILL - price, size) for price, size in self.asks),
            asks=tuple((MILL - price, size) for price, size in self.bids),
        )

    @property
    def best_bid(self) -> int | None:
        return self.bids[0][0] if self.bids else None

    @property
    def best_ask(self) -> int | None:
        return self.asks[0][0] if self.asks else None

    @property
    def crossed(self) -> bool:
        """True if the best bid is not below the best ask, which no venue publishes."""
        return bool(self.bids and self.asks) and self.bids[0][0] >= self.asks[0][0]

    @property
    def sub_cent(self) -> bool:
        """True if any price is off the 0.01 grid."""
        return any(price % CENT_MILLS for price, _ in (*self.bids, *self.asks))

    @property
    def mid_text(self) -> str | None:
        """The mid price as a decimal, or the price of the only side; None for an empty book."""
        prices = [p for p in (self.best_bid, self.best_ask) if p is not None]
        if not prices:
            return None
        return decimal_text(sum(prices) * MILL // len(prices))


class BookChange(msgspec.Struct, frozen=True):
    """A level's new total size; size 0 removes the level. `side` is BUY for bids, SELL for asks."""

    side: str
    price: int
    size: int

    def mirrored(self) -> "BookChange":
        return BookChange("SELL" if self.side == "BUY" else "BUY", MILL - self.price, self.size)


def changes_between(old: VenueBook, new: VenueBook) -> list[BookChange]:
    """The level changes that turn one book into another, removals first."""
    removed: list[BookChange] = []
    updated: list[BookChange] = []
    for side, before, after in (("BUY", old.bids, new.bids), ("SELL", old.asks, new.asks)):
        was, now = dict(before), dict(after)
        removed.extend(BookChange(side, price, 0) for price in was if price not in now)
        updated.extend(BookChange(side, price, size) for price, size in now.items() if was.get(price) != size)
    return removed + updated


class ConsumedLiquidity:
    """Liquidity that accounts consumed from the source's book.

    A consumed level stays consumed until the source reports another size for it: only then were new orders
    placed there at the source.
    """

    def __init__(self) -> None:
        self._taken: dict[tuple[str, int], tuple[int, int]] = {}

    def record(self, side: str, price: int, source_size: int, shares: int) -> None:
        """Record that `shares` were taken from a level that has `source_size` at the source."""
        known, already = self._taken.get((side, price), (source_size, 0))
        self._taken[side, price] = (source_size, (already if known == source_size else 0) + shares)

    def left_of(self, book: VenueBook) -> VenueBook:
        """The book without the consumed liquidity; drops levels that the source has renewed."""
        if not self._taken:
            return book
        return VenueBook(bids=self._left("BUY", book.bids), asks=self._left("SELL", book.asks))

    def _left(self, side: str, levels: Side) -> Side:
        sizes = dict(levels)
        for key in [k for k in self._taken if k[0] == side and self._taken[k][0] != sizes.get(k[1])]:
            del self._taken[key]
        left = ((price, size - self._taken.get((side, price), (0, 0))[1]) for price, size in levels)
        return tuple((price, size) for price, size in left if size > 0)


def with_resting(
    book: VenueBook, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
) -> VenueBook:
    """The book with accounts' own resting orders added to its levels."""
    return VenueBook(
        bids=_added(book.bids, bids, reverse=True),
        asks=_added(book.asks, asks, reverse=False),
    )


def _added(levels: Side, more: Iterable[tuple[int, int]], *, reverse: bool) -> Side:
    sizes = dict(levels)
    extra = list(more)
    if not extra:
        return levels
    for price, size in extra:
        sizes[price] = sizes.get(price, 0) + size
    return tuple(sorted(sizes.items(), reverse=reverse))


def wire_levels(levels: Side) -> list[dict[str, str]]:
    """Levels as the venue sends them: worst first, the best price last."""
    return [{"price": price_text(p), "size": decimal_text(s)} for p, s in reversed(levels)]


def summary(
    book: VenueBook,
    *,
    market: str,
    token: str,
    timestamp_ms: int,
    tick: int,
    last_price: str,
    minimum_shares: int = MINIMUM_SHARES,
) -> dict:
    """The `/book` answer, with its hash.

    The hash is the SHA-1 of the compact JSON of the same object with an empty `hash`, as the venue's own
    client computes it.
    """
    answer = {
        "market": market,
        "asset_id": token,
        "timestamp": str(timestamp_ms),
        "hash": "",
        "bids": wire_levels(book.bids),
        "asks": wire_levels(book.asks),
        "min_order_size": decimal_text(minimum_shares),
        "tick_size": decimal_text(tick, MILL),
        "neg_risk": False,
        "last_trade_price": last_price,
    }
    compact = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
    answer["hash"] = hashlib.sha1(compact.encode(), usedforsecurity=False).hexdigest()
    return answer
