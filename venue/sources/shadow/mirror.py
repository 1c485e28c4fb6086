"""One market's book from the upstream's messages, and whether it is certain. Pure: no I/O, no clock."""

import logging
from typing import Any, Literal

import msgspec

from venue.amounts import MILL, micro
from venue.clock import SECOND
from venue.market import VenueMarket
from venue.order_book import Side, VenueBook
from venue.sources.shadow.listing import UnsupportedMarket, tick_of

log = logging.getLogger("venue.shadow")

STALE_NS = 3 * SECOND
"""A running market's book changes several times per second; after this silence it is requested instead."""


class _Level(msgspec.Struct):
    price: str
    size: str


class _Book(msgspec.Struct):
    bids: list[_Level]
    asks: list[_Level]
    timestamp: str
    tick_size: str | float | None = None


class _Change(msgspec.Struct):
    asset_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    best_bid: str | None = None
    best_ask: str | None = None


class _Changes(msgspec.Struct):
    price_changes: list[_Change]
    timestamp: str


class _Tick(msgspec.Struct):
    new_tick_size: str


class BookMirror:
    """The book of a market's Up token; the Down token's is its mirror image.

    It is uncertain until the present connection has sent a whole book, after a change that does not fit, and
    after `STALE_NS` without a message about the market.
    """

    def __init__(self, market: VenueMarket, tick: int) -> None:
        self.market = market
        self.tick = tick
        self.book: VenueBook | None = None
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self.streamed = False
        """Whether the present connection has sent a whole book."""
        self._broken = ""
        self.updated_ns = 0
        self._stamp_ms = 0

    # --- certainty ---------------------------------------------------------------------------

    def certain(self, now_ns: int) -> bool:
        """Whether the book is the upstream's current book."""
        return self.doubt(now_ns) == ""

    def doubt(self, now_ns: int) -> str:
        """Why the book may differ from the upstream's; empty if it is certain."""
        if not self.streamed:
            return "not received from the stream yet"
        return self._broken or ("the stream is silent" if self.silent(now_ns) else "")

    def silent(self, now_ns: int) -> bool:
        """Whether the stream has sent no message about the market for a while, or the clock was set back."""
        return not 0 <= now_ns - self.updated_ns <= STALE_NS

    @property
    def broken(self) -> bool:
        """Whether a change did not fit the book, so that the stream alone cannot repair it."""
        return bool(self._broken)

    def disconnected(self) -> None:
        """Record that the connection of the book is gone."""
        self.streamed = False

    # --- messages of the upstream ------------------------------------------------------------

    def read(self, row: dict[str, Any]) -> bool:
        """Use a requested book; returns whether it differs from the present one.

        Raises
        ------
        UnsupportedMarket
        """
        before = self.book
        self._replace(row)
        return self.book != before

    def handle_event(self, event: dict[str, Any], now_ns: int) -> None:
        """Process an event of the stream about the market."""
        self.updated_ns = now_ns
        try:
            self._apply(event)
        except UnsupportedMarket as error:
            self._break(str(error))
        except ValueError as error:
            self._break(f"a {event.get('event_type')} event cannot be read: {error}")

    def _apply(self, event: dict[str, Any]) -> None:
        kind = event.get("event_type")
        if kind == "price_change":
            self._change(msgspec.convert(event, _Changes))
        elif kind == "tick_size_change":
            self.tick = tick_of(msgspec.convert(event, _Tick).new_tick_size)
            # Levels off the new grid will be removed; the whole book follows.
            self._broken = "its tick size changed"
        elif kind == "book" and event.get("asset_id") == self.market.up_token:
            self._replace(event)
            self.streamed = True

    def _replace(self, row: dict[str, Any]) -> None:
        try:
            quoted = msgspec.convert(row, _Book)
            bids, asks = _levels(quoted.bids), _levels(quoted.asks)
            stamp = int(quoted.timestamp)
        except ValueError as error:
            raise UnsupportedMarket(f"its book cannot be read: {error}") from error
        if quoted.tick_size is not None:
            self.tick = tick_of(quoted.tick_size)
        self._bids, self._asks, self._stamp_ms = bids, asks, stamp
        self._broken = ""
        self._show()

    def _change(self, quoted: _Changes) -> None:
        # Changes sent before the whole book are already contained in it.
        if self.book is None or int(quoted.timestamp) < self._stamp_ms:
            return
        own = [change for change in quoted.price_changes if change.asset_id == self.market.up_token]
        for change in own:
            levels = self._bids if change.side == "BUY" else self._asks
            price, size = _mills(change.price), micro(change.size)
            if size > 0:
                levels[price] = size
            else:
                levels.pop(price, None)
        self._show()
        if own and not self._fits(own[-1]):
            self._break("its best prices differ from the stream's: a change is missing")

    def _fits(self, last: _Change) -> bool:
        """Whether the best prices after a change are those that were sent with it."""
        assert self.book is not None
        pairs = ((last.best_bid, self.book.best_bid), (last.best_ask, self.book.best_ask))
        return all(quoted is None or _best(quoted) == known for quoted, known in pairs)

    def _show(self) -> None:
        self.book = VenueBook(bids=_sorted(self._bids, reverse=True), asks=_sorted(self._asks))
        if any(price % self.tick for price in (*self._bids, *self._asks)):
            log.warning(
                "%s: prices finer than its tick of %s mills: it is 1 now", self.market.slug, self.tick
            )
            self.tick = 1
        if self.book.crossed:
            self._break("its book is crossed")

    def _break(self, reason: str) -> None:
        if not self._broken:
            log.warning("%s: %s", self.market.slug, reason)
        self._broken = reason


def _sorted(levels: dict[int, int], *, reverse: bool = False) -> Side:
    return tuple(sorted(levels.items(), reverse=reverse))


def _levels(rows: list[_Level]) -> dict[int, int]:
    return {_mills(row.price): size for row in rows if (size := micro(row.size)) > 0}


def _mills(text: str) -> int:
    """A price in mills.

    Raises
    ------
    ValueError
        If it is not a price between 0 and 1 on the finest grid.
    """
    price, rest = divmod(micro(text), MILL)
    if rest or not 0 < price < MILL:
        raise ValueError(f"not a price: {text!r}")
    return price


def _best(text: str) -> int | None:
    """The best price sent with a change; empty, 0 or 1 where that side of the book is empty."""
    price = micro(text or "0") // MILL
    return price if 0 < price < MILL else None
