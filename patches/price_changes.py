"""Applies the changes of a message to books that are known, in one pass.

Most messages of the stream change the sizes of a few known prices of a known market. For them nothing is
looked up or converted again: ids and price texts that were valid once are remembered with Nautilus' objects
for them. A message with anything else is not applied here: `changes_of` returns None, and it is validated
completely.
"""

from collections.abc import Callable
from typing import NamedTuple

from nautilus_trader.adapters.polymarket.common.constants import POLYMARKET_MAX_PRICE, POLYMARKET_MIN_PRICE
from nautilus_trader.adapters.polymarket.common.enums import PolymarketOrderSide
from nautilus_trader.adapters.polymarket.schemas.book import PolymarketQuote, PolymarketQuotes
from nautilus_trader.core.datetime import millis_to_nanos
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta, QuoteTick
from nautilus_trader.model.enums import BookAction, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import Price, Quantity

from patches.message_values import (
    CONDITION_ID,
    DISTINCT_PRICES,
    MILLISECONDS,
    SIZE,
    TOKEN_ID,
    price_fault,
)
from patches.price_grid import on_grid

MOST_BOOKS = 256
"""Books that are remembered; a market has two, and few markets are subscribed at a time."""
LAST = RecordFlag.F_LAST.value


class KnownBook:
    """An instrument, and Nautilus' objects for the price texts of its messages."""

    def __init__(self, instrument: BinaryOption) -> None:
        self.instrument = instrument
        self.instrument_id: InstrumentId = instrument.id
        self._tick = str(instrument.price_increment)
        self._prices: dict[str, Price] = {}

    def price(self, text: str) -> Price | None:
        """The price of a text; None if it is not a valid price on the known grid."""
        found = self._prices.get(text)
        if found is None:
            if price_fault(text) is not None or not on_grid(text, self._tick):
                return None
            found = self.instrument.make_price(float(text))
            if len(self._prices) < DISTINCT_PRICES:
                self._prices[text] = found
        return found

    def is_price(self, text: str | None, price: Price | None) -> bool:
        """Whether a text is this price, in whatever notation."""
        found = None if text is None else self.price(text)
        return found is not None and price is not None and found == price

    def quote(
        self, best: "BestPrices", last: QuoteTick | None, event_ns: int, now_ns: int
    ) -> QuoteTick | None:
        """The best prices of a book as a quote; None if they and their sizes are those of the last one.

        A side without orders has the venue's lowest or highest price, and size 0.
        """
        bid, ask, bid_size, ask_size = best
        if bid is None or bid_size is None:
            bid, bid_size = self.instrument.make_price(POLYMARKET_MIN_PRICE), self.instrument.make_qty(0.0)
        if ask is None or ask_size is None:
            ask, ask_size = self.instrument.make_price(POLYMARKET_MAX_PRICE), self.instrument.make_qty(0.0)
        if (
            last is not None
            and bid_size == last.bid_size
            and ask_size == last.ask_size
            and bid == last.bid_price
            and ask == last.ask_price
        ):
            return None
        return QuoteTick(self.instrument_id, bid, ask, bid_size, ask_size, event_ns, now_ns)


class BestPrices(NamedTuple):
    """Best prices of a book and their sizes; None for a side without orders."""

    bid: Price | None
    ask: Price | None
    bid_size: Quantity | None
    ask_size: Quantity | None


def best_of(book: OrderBook) -> BestPrices:
    return BestPrices(
        book.best_bid_price(), book.best_ask_price(), book.best_bid_size(), book.best_ask_size()
    )


class BookChange(NamedTuple):
    """A valid change: the new size of a price level, 0 to remove it."""

    known: KnownBook
    change: PolymarketQuote
    price: Price
    size: Quantity

    def delta(self, event_ns: int, now_ns: int) -> OrderBookDelta:
        """Nautilus' event of the change, the last of its book until others follow."""
        side = OrderSide.BUY if self.change.side is PolymarketOrderSide.BUY else OrderSide.SELL
        return OrderBookDelta(
            self.known.instrument_id,
            BookAction.UPDATE if self.size.raw > 0 else BookAction.DELETE,
            BookOrder(side, self.price, self.size, 0),
            LAST,
            0,
            event_ns,
            now_ns,
        )


class KnownBooks:
    """The books whose messages can be applied in one pass.

    Parameters
    ----------
    find : Callable[[str, str], BinaryOption | None]
        Returns the loaded instrument of a valid condition id and a valid token id.
    current : Callable[[InstrumentId], BinaryOption | None]
        Returns the loaded instrument: another object after each change of it.
    """

    def __init__(
        self,
        find: Callable[[str, str], BinaryOption | None],
        current: Callable[[InstrumentId], BinaryOption | None],
    ) -> None:
        self._find = find
        self._current = current
        self._books: dict[tuple[str, str], KnownBook] = {}

    def changes_of(self, message: PolymarketQuotes) -> list[BookChange] | None:
        """The changes of a message; None if it has none, or if not all of them are valid and expected."""
        if not MILLISECONDS.fullmatch(message.timestamp):
            return None
        changes: list[BookChange] = []
        for change in message.price_changes:
            known = self._book(message.market, change.asset_id)
            price = None if known is None else known.price(change.price)
            if known is None or price is None or not SIZE.fullmatch(change.size):
                return None
            try:
                size = known.instrument.make_qty(float(change.size))
            except ValueError:  # less than the smallest quantity
                return None
            changes.append(BookChange(known, change, price, size))
        return changes or None

    def _book(self, condition_id: str, token: str) -> KnownBook | None:
        key = (condition_id, token)
        known = self._books.get(key)
        if known is not None and self._current(known.instrument_id) is known.instrument:
            return known
        if not CONDITION_ID.fullmatch(condition_id) or not TOKEN_ID.fullmatch(token):
            return None
        instrument = self._find(condition_id, token)
        if instrument is None:
            return None
        if len(self._books) >= MOST_BOOKS:
            self._books.clear()
        self._books[key] = KnownBook(instrument)
        return self._books[key]


def event_time_ns(message: PolymarketQuotes) -> int:
    """The venue's time of a message, as the library computes it."""
    return millis_to_nanos(float(message.timestamp))
