"""The generated books: well-formed at every moment, and over hundreds of markets similar to real ones."""

import itertools
import math
import random
import statistics

import pytest

from venue.order_book import VenueBook
from venue.sources.market_makers import (
    FINE_ABOVE,
    FINE_BELOW,
    LEVELS,
    ONE_SIDED,
    one_sided_share,
    variance_seconds,
)
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSource

MARKETS = 400
SECONDS = (0, 300, 600, 780, 840, 870)


@pytest.fixture(scope="module")
def source() -> SyntheticSource:
    return SyntheticSource()


@pytest.fixture(scope="module")
def sample(source: SyntheticSource) -> dict[int, list[tuple[VenueBook, bool]]]:
    """The books of many markets at some seconds, each with its market's outcome."""
    sample: dict[int, list[tuple[VenueBook, bool]]] = {second: [] for second in SECONDS}
    for index in range(MARKETS):
        for second in SECONDS:
            sample[second].append((source.book(index, second), source.up_wins(index)))
    return sample


def mid(book: VenueBook) -> float:
    assert book.best_bid is not None
    assert book.best_ask is not None
    return (book.best_bid + book.best_ask) / 2000


def one_sided(book: VenueBook) -> bool:
    return not (book.bids and book.asks)


def chosen_moments() -> list[tuple[int, int]]:
    rng = random.Random(3)
    return sorted((rng.randrange(60), rng.randrange(901)) for _ in range(600))


# --- every book ------------------------------------------------------------------------------


def test_every_book_is_well_formed(source: SyntheticSource) -> None:
    """600 moments: uncrossed, best first, 20 levels at most, prices between 0 and 1, sizes in hundredths."""
    for index, second in chosen_moments():
        book = source.book(index, second)
        assert book.bids or book.asks
        assert not book.crossed
        for levels, sign in ((book.bids, -1), (book.asks, 1)):
            prices = [price for price, _ in levels]
            assert all((b - a) * sign > 0 for a, b in itertools.pairwise(prices))
            assert all(0 < price < 1000 for price in prices)
            assert len(levels) <= LEVELS
            assert all(size >= 10**6 and size % 10_000 == 0 for _, size in levels)


def test_prices_leave_the_cent_grid_only_after_the_tick_change(source: SyntheticSource) -> None:
    """Before the tick change no price has mills; after it some do, and only where one side is beyond 0.96."""
    fine = 0
    for index, second in chosen_moments():
        book, change = source.book(index, second), source.tick_change(index)
        if change is None or second < change:
            assert not book.sub_cent
        elif book.sub_cent:
            fine += 1
            prices = [price for price in (book.best_bid, book.best_ask) if price is not None]
            assert max(prices) >= FINE_ABOVE * 1000 - 8 or min(prices) <= FINE_BELOW * 1000 + 8
    assert fine > 50


def test_the_tick_changes_when_the_price_passes_the_limits(source: SyntheticSource) -> None:
    """It comes with the first book whose price is beyond 0.96 or 0.04, in most markets, and mostly late."""
    passed: list[float] = []
    for index in range(80):
        change = source.tick_change(index)
        if change is None:
            continue
        passed.append(change)
        prices = [p for p in (source.book(index, change).best_bid, source.book(index, change).best_ask) if p]
        assert max(prices) > 955 or min(prices) < 45
        before = source.book(index, change - 1)
        assert before.best_bid is None or before.best_bid <= 960
        assert before.best_ask is None or before.best_ask >= 40
    assert len(passed) > 60
    assert statistics.median(passed) > 400


def test_a_seed_is_one_world_whatever_is_asked_first(source: SyntheticSource) -> None:
    """Another source of the seed, read backwards, has the same books; another seed has others."""
    other, stranger = SyntheticSource(DEFAULT_SEED), SyntheticSource(DEFAULT_SEED + 1)
    moments = [(index, second) for index in (3, 0) for second in (899, 450, 1)]
    assert [other.book(*m) for m in reversed(moments)] == [source.book(*m) for m in reversed(moments)]
    assert [stranger.book(*m) for m in moments] != [source.book(*m) for m in moments]


def test_the_down_token_sees_the_mirror(source: SyntheticSource) -> None:
    """Mids of both tokens sum to 1, and mirroring twice is the book itself."""
    for index, second in chosen_moments()[:200]:
        book = source.book(index, second)
        assert book.mirrored().mirrored() == book
        if not one_sided(book):
            assert mid(book) + mid(book.mirrored()) == pytest.approx(1)


def test_books_change_on_whole_seconds(source: SyntheticSource) -> None:
    """The next change is the first moment with another book, until the last second of the market."""
    offset: float | None = 0.0
    changes = 0
    while offset is not None:
        following = source.next_change(5, offset)
        if following is not None:
            assert source.book(5, math.nextafter(following, 0)) == source.book(5, offset)
            assert source.book(5, following) != source.book(5, offset)
            changes += 1
        offset = following
    assert changes > 850
    assert source.next_change(5, 900) is None


def test_outside_its_time_a_market_stands_still(source: SyntheticSource) -> None:
    """Before the start the opening book is shown, after the end the last one."""
    assert source.book(4, -5000) == source.book(4, 0) == source.book(4, 0.9)
    assert source.book(4, 990) == source.book(4, 900)


# --- many books ------------------------------------------------------------------------------


def test_the_opening_book_is_symmetric(sample: dict[int, list[tuple[VenueBook, bool]]]) -> None:
    """Of markets that open above 0.50 half end Up: the opening price carries no information."""
    above = [up_won for book, up_won in sample[0] if mid(book) > 0.5]
    assert statistics.mean(above) == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(len(above)))


@pytest.mark.parametrize(("second", "parts"), [(300, 10), (600, 10), (780, 5), (840, 5)])
def test_the_mid_is_calibrated(
    sample: dict[int, list[tuple[VenueBook, bool]]], second: int, parts: int
) -> None:
    """In every part of the price range Up wins as often as the mid implies, within three standard errors."""
    bands: dict[int, list[tuple[float, bool]]] = {}
    for book, up_won in sample[second]:
        if not one_sided(book):
            bands.setdefault(int(mid(book) * parts), []).append((mid(book), up_won))
    found = 0
    for band in bands.values():
        expected = sum(p for p, _ in band)
        error = math.sqrt(sum(p * (1 - p) for p, _ in band))
        # With fewer than two expected surprises the normal bound is not valid.
        if error**2 < 2:
            continue
        found += 1
        assert sum(won for _, won in band) == pytest.approx(expected, abs=3 * error)
    assert found >= parts - 2


def test_the_price_is_informative(sample: dict[int, list[tuple[VenueBook, bool]]]) -> None:
    """The favourite at 780 s wins about nine times in ten, as on 17,126 recorded markets (0.89)."""
    won = [
        (mid(book) > 0.5) is up_won
        for book, up_won in sample[780]
        if not one_sided(book) and not 0.4 <= mid(book) <= 0.6
    ]
    assert statistics.mean(won) == pytest.approx(0.89, abs=0.05)


@pytest.mark.parametrize(("second", "share"), [(300, 0), (600, 0.07), (780, 0.212), (840, 0.382), (870, 0.9)])
def test_one_sided_books_are_as_frequent_as_recorded(
    sample: dict[int, list[tuple[VenueBook, bool]]], second: int, share: float
) -> None:
    """The share of markets without one side is the recorded one, within three standard errors."""
    found = statistics.mean(one_sided(book) for book, _ in sample[second])
    assert found == pytest.approx(share, abs=3 * math.sqrt(max(share, 0.001) * (1 - share) / MARKETS))


def test_it_is_the_favourite_that_is_no_longer_offered(
    sample: dict[int, list[tuple[VenueBook, bool]]],
) -> None:
    """Bids of at least 0.96 are alone, or asks of at most 0.04; both happen, and nearly all of them win."""
    alone = [(book, up_won) for book, up_won in sample[840] if one_sided(book)]
    assert all((book.best_bid or 1000) >= 960 and (book.best_ask or 0) <= 40 for book, _ in alone)
    assert statistics.mean(bool(book.bids) for book, _ in alone) == pytest.approx(0.5, abs=0.15)
    assert statistics.mean(bool(book.bids) is up_won for book, up_won in alone) > 0.97


def test_spread_and_depth_are_as_recorded(sample: dict[int, list[tuple[VenueBook, bool]]]) -> None:
    """One cent nine times in ten; 60 to 110 shares at the favourite's ask in the median; more behind it."""
    books = [book for second in (300, 600, 780) for book, _ in sample[second] if not one_sided(book)]
    inner = [book for book in books if 0.05 < mid(book) < 0.95]
    narrow = statistics.mean(book.asks[0][0] - book.bids[0][0] == 10 for book in inner)
    assert narrow == pytest.approx(0.919, abs=0.03)
    touch = [book.asks[0][1] / 10**6 for book in inner if mid(book) > 0.6]
    assert 60 <= statistics.median(touch) <= 110
    assert statistics.median(book.asks[4][1] / 10**6 for book in inner if len(book.asks) > 4) > 500
    assert statistics.median(len(book.bids) for book in inner if mid(book) > 0.3) == LEVELS


def test_depth_leans_both_ways(sample: dict[int, list[tuple[VenueBook, bool]]]) -> None:
    """Over the best ten levels about a third of the books is unbalanced by 0.3 or more, to either side."""
    leans = []
    for book, _ in sample[600]:
        bids = sum(size for _, size in book.bids[:10])
        asks = sum(size for _, size in book.asks[:10])
        if not one_sided(book) and 0.2 < mid(book) < 0.8:
            leans.append((bids - asks) / (bids + asks))
    assert 0.1 < statistics.mean(abs(lean) >= 0.3 for lean in leans) < 0.5
    assert statistics.mean(lean > 0 for lean in leans) == pytest.approx(0.5, abs=0.12)


# --- formulas --------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "seconds"), [(900, 860), (60, 20), (30, 2.5), (6, 0.02)])
def test_variance_left_is_that_of_an_average(left: int, seconds: float) -> None:
    """Seconds left minus forty, and inside the averaging minute the cube of them over 10800."""
    assert variance_seconds(left) == pytest.approx(seconds)


def test_the_share_of_one_sided_books_is_interpolated() -> None:
    """Zero before the table, its own values at its seconds, linear in between."""
    assert one_sided_share(0) == 0
    assert [one_sided_share(second) for second, _ in ONE_SIDED] == [share for _, share in ONE_SIDED]
    assert one_sided_share(810) == pytest.approx((0.212 + 0.382) / 2)
