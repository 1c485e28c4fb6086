"""Books: mirrored, changed, consumed, and hashed like the official client does."""

from hypothesis import given
from hypothesis import strategies as st
from py_clob_client_v2.utilities import generate_orderbook_summary_hash, parse_raw_orderbook_summary
from venue_builders import BOOK, side

from venue.order_book import ConsumedLiquidity, VenueBook, changes_between, summary, with_resting

PRICES = st.dictionaries(st.integers(1, 999), st.integers(1, 10**9), max_size=12)


@st.composite
def books(draw: st.DrawFn) -> VenueBook:
    bids, asks = draw(PRICES), draw(PRICES)
    return VenueBook(bids=tuple(sorted(bids.items(), reverse=True)), asks=tuple(sorted(asks.items())))


@given(books())
def test_mirroring_twice_gives_the_book_back(book: VenueBook) -> None:
    """The Down token's mirror of the Down token's mirror is the Up book, and both stay best first."""
    mirrored = book.mirrored()
    assert mirrored.mirrored() == book
    assert list(mirrored.bids) == sorted(mirrored.bids, reverse=True)
    assert list(mirrored.asks) == sorted(mirrored.asks)


@given(books(), books())
def test_changes_turn_one_book_into_the_other(old: VenueBook, new: VenueBook) -> None:
    """Applying the published changes to the old book, on either token, gives the new book."""
    for mirrored in (False, True):
        changes = [c.mirrored() if mirrored else c for c in changes_between(old, new)]
        before, after = (old.mirrored(), new.mirrored()) if mirrored else (old, new)
        sides = {"BUY": dict(before.bids), "SELL": dict(before.asks)}
        for change in changes:
            sides[change.side].pop(change.price, None)
            if change.size:
                sides[change.side][change.price] = change.size
        assert sides == {"BUY": dict(after.bids), "SELL": dict(after.asks)}


def test_taken_liquidity_returns_only_when_the_source_renews_the_level() -> None:
    """A consumed level stays consumed at the same source size, and is whole again at another."""
    taken = ConsumedLiquidity()
    taken.record("SELL", 620, 100 * 10**6, 30 * 10**6)
    taken.record("SELL", 620, 100 * 10**6, 20 * 10**6)
    assert taken.left_of(BOOK).asks[0] == (620, 50 * 10**6)
    assert taken.left_of(BOOK).asks[0] == (620, 50 * 10**6)
    renewed = VenueBook(bids=BOOK.bids, asks=side((620, 101), (630, 200)))
    assert taken.left_of(renewed) == renewed
    assert taken.left_of(BOOK) == BOOK


def test_taking_from_a_renewed_level_starts_anew() -> None:
    """Shares consumed at the old size do not count against the new one."""
    taken = ConsumedLiquidity()
    taken.record("SELL", 620, 100 * 10**6, 30 * 10**6)
    taken.record("SELL", 620, 90 * 10**6, 20 * 10**6)
    assert taken.left_of(VenueBook(asks=side((620, 90)))).asks == side((620, 70))


def test_a_level_taken_whole_is_not_shown() -> None:
    """A level without shares is not published."""
    taken = ConsumedLiquidity()
    taken.record("BUY", 600, 100 * 10**6, 100 * 10**6)
    assert taken.left_of(BOOK).bids == BOOK.bids[1:]


def test_resting_orders_join_their_level() -> None:
    """An order at an existing price adds to it; at a new price it is sorted in."""
    book = with_resting(BOOK, bids=[(600, 5), (595, 7)], asks=[(610, 9)])
    assert book.bids[:2] == ((600, 100 * 10**6 + 5), (595, 7))
    assert book.asks[0] == (610, 9)


def test_the_hash_is_the_official_clients() -> None:
    """The hash of a book summary equals that of py-clob-client-v2."""
    answer = summary(BOOK, market="0x1", token="2", timestamp_ms=3, tick=10, last_price="0.61")
    parsed = parse_raw_orderbook_summary(answer)
    assert generate_orderbook_summary_hash(parsed) == answer["hash"]


def test_the_best_price_is_sent_last() -> None:
    """Bids ascend and asks descend in messages, as on the real venue."""
    answer = summary(BOOK, market="0x1", token="2", timestamp_ms=3, tick=10, last_price="")
    assert [row["price"] for row in answer["bids"]] == ["0.59", "0.60"]
    assert [row["price"] for row in answer["asks"]] == ["0.70", "0.63", "0.62"]
