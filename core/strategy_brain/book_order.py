"""Sorts order books."""

from itertools import pairwise

from models import Book, Level


def best_first(book: Book) -> Book:
    """The same book with both sides sorted best first and without levels of size zero.

    The venue sends its books worst first, other sources best first; code that reads the best ten levels must
    not depend on that. Equal prices are ordered by size, so that the result depends on the levels only. A
    book that is already so, as each quote's, is returned as it is.
    """
    if _is_best_first(book):
        return book
    return Book(
        bids=tuple(sorted(_real(book.bids), key=lambda level: (-level.price, -level.size))),
        asks=tuple(sorted(_real(book.asks), key=lambda level: (level.price, -level.size))),
        ts_ns=book.ts_ns,
    )


def _is_best_first(book: Book) -> bool:
    """Whether every level has a size and each price is worse than the one before it."""
    bids, asks = book.bids, book.asks
    for level in bids + asks:
        if not level.size > 0:
            return False
    if len(bids) <= 1 and len(asks) <= 1:
        return True  # as each quote: nothing to compare
    return all(better.price > worse.price for better, worse in pairwise(bids)) and all(
        better.price < worse.price for better, worse in pairwise(asks)
    )


def _real(levels: tuple[Level, ...]) -> list[Level]:
    return [level for level in levels if level.size > 0]
