"""Converts Nautilus' quotes and books to `models.Book`: prices and sizes as Decimal, best first."""

from decimal import Decimal
from functools import lru_cache

from nautilus_trader.model.book import BookLevel, OrderBook
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.objects import Price

from models import Book, Level

LEVELS = 20
"""Levels per side in a decision: twice as many as the order-book processor reads."""
SIZE_DECIMALS = 6
"""The venue's shares have six decimals."""


def top_of_book(tick: QuoteTick) -> Book:
    """Convert a quote: one level per side; the adapter represents an empty side by size zero."""
    bid, ask = tick.bid_size.as_decimal(), tick.ask_size.as_decimal()
    return Book(
        bids=(Level(price=decimal_price(tick.bid_price), size=bid),) if bid else (),
        asks=(Level(price=decimal_price(tick.ask_price), size=ask),) if ask else (),
        ts_ns=tick.ts_init,
    )


def full_book(book: OrderBook | None, updated_ns: int) -> Book:
    """Convert the best levels of a book last updated at `updated_ns`; empty if there is no book yet."""
    if book is None:
        return Book(bids=(), asks=(), ts_ns=0)
    return Book(bids=_levels(book.bids()), asks=_levels(book.asks()), ts_ns=updated_ns)


def _levels(levels: list[BookLevel]) -> tuple[Level, ...]:
    found = []
    for level in levels[:LEVELS]:
        price = level.price
        found.append(_level_of(price.raw, price.precision, level.size()))
    return tuple(found)


@lru_cache(maxsize=4096)
def _level_of(raw: int, precision: int, size: float) -> Level:
    """A level of Nautilus' numbers; from one decision to the next few levels of a book change."""
    return Level(price=_price_of(raw, precision), size=Decimal(f"{size:.{SIZE_DECIMALS}f}"))


def decimal_price(price: Price) -> Decimal:
    """Convert a price; a quote or a level repeats one that was converted before."""
    return _price_of(price.raw, price.precision)


@lru_cache(maxsize=4096)
def _price_of(raw: int, precision: int) -> Decimal:
    """The price of Nautilus' integer; a binary market has at most a thousand prices of a precision."""
    return Price.from_raw(raw, precision).as_decimal()
