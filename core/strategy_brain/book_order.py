"""Sorts order books."""

from models import Book, Level


def best_first(book: Book) -> Book:
    """The same book with both sides sorted best first and without levels of size zero.

    The venue sends its books worst first, other sources best first; code that reads the best ten levels must
    not depend on that. Equal prices are ordered by size, so that the result depends on the levels only.
    """
    return Book(
        bids=tuple(sorted(_real(book.bids), key=lambda level: (-level.price, -level.size))),
        asks=tuple(sorted(_real(book.asks), key=lambda level: (level.price, -level.size))),
        ts_ns=book.ts_ns,
    )


def _real(levels: tuple[Level, ...]) -> list[Level]:
    return [level for level in levels if level.size > 0]
