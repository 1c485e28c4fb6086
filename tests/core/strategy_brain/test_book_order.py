"""A book sorted best first: the same levels, whatever their order was, and no copy of a sorted book."""

from decimal import Decimal

from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from core.strategy_brain.book_order import best_first
from models import Book, Level

LEVELS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 3)).map(
        lambda numbers: Level(price=Decimal(numbers[0]) / 10, size=Decimal(numbers[1]))
    ),
    max_size=6,
).map(tuple)


def inserted(levels: tuple[Level, ...], sign: int) -> list[tuple[Decimal, Decimal]]:
    """Best first by insertion: (price, size), the best price first and the larger size of equal prices."""
    found: list[tuple[Decimal, Decimal]] = []
    for level in levels:
        if level.size == 0:
            continue
        place = 0
        while place < len(found) and (sign * found[place][0], -found[place][1]) <= (
            sign * level.price,
            -level.size,
        ):
            place += 1
        found.insert(place, (level.price, level.size))
    return found


@settings(max_examples=examples(500))
@given(bids=LEVELS, asks=LEVELS)
def test_it_is_what_an_insertion_gives(bids, asks):
    """Highest bid and lowest ask first, the larger size first at one price, no level of size zero."""
    book = best_first(Book(bids=bids, asks=asks, ts_ns=7))
    assert [(level.price, level.size) for level in book.bids] == inserted(bids, -1)
    assert [(level.price, level.size) for level in book.asks] == inserted(asks, 1)
    assert book.ts_ns == 7


@settings(max_examples=examples(500))
@given(bids=LEVELS, asks=LEVELS)
def test_a_sorted_book_is_not_copied(bids, asks):
    """A second sort has nothing to do, except where two levels have one price."""
    book = best_first(Book(bids=bids, asks=asks, ts_ns=7))
    again = best_first(book)
    assert again == book
    distinct = all(len({level.price for level in side}) == len(side) for side in (book.bids, book.asks))
    assert (again is book) == distinct
