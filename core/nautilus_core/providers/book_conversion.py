"""Converts Nautilus' quotes and books to `models.Book`: prices and sizes as Decimal, best first."""

from decimal import Decimal

from nautilus_trader.model.book import BookLevel, OrderBook
from nautilus_trader.model.data import QuoteTick

from models import Book, Level

LEVELS = 20
"""Levels per side in a decision: twice as many as the order-book processor reads."""
SIZE_DECIMALS = 6
"""The venue's shares have six decimals."""


def top_of_book(tick: QuoteTick) -> Book:
    """Convert a quote: one level per side; the adapter represents an empty side by size zero."""
    bid, ask = tick.bid_size.as_decimal(), tick.ask_size.as_decimal()
    return Book(
        bids=(Level(price=tick.bid_price.as_decimal(), size=bid),) if bid > 0 else (),
        asks=(Level(price=tick.ask_price.as_decimal(), size=ask),) if ask > 0 else (),
        ts_ns=tick.ts_init,
    )


def full_book(book: OrderBook | None, updated_ns: int) -> Book:
    """Convert the best levels of a book last updated at `updated_ns`; empty if there is no book yet."""
    if book is None:
        return Book(bids=(), asks=(), ts_ns=0)
    return Book(bids=_levels(book.bids()), asks=_levels(book.asks()), ts_ns=updated_ns)


def _levels(levels: list[BookLevel]) -> tuple[Level, ...]:
    return tuple(
        Level(price=level.price.as_decimal(), size=Decimal(f"{level.size():.{SIZE_DECIMALS}f}"))
        for level in levels[:LEVELS]
    )
