"""MarketView: the stored history of a market, valid quotes, and when it may be traded."""

from decimal import Decimal as D

import pytest
from brain_builders import NOW_NS, book, books, levels, market, mirrored, put_call, sentiment, spot, strike
from hypothesis import given
from hypothesis import strategies as st

from core.strategy_brain.strategies import MarketView
from core.strategy_brain.strategies.market_view import real_price
from models import Book, Tick

QUOTE = book(bids=(("0.60", 10),), asks=(("0.62", 10),))
SPREAD = D("0.001")


def at(price):
    return book(bids=((str(D(price) - D("0.01")), 10),), asks=((str(D(price) + D("0.01")), 10),))


def feed(view, second, up, down=None):
    return view.on_books(second, up, mirrored(up) if down is None else down)


def test_p_is_the_mid():
    """Of a two-sided book p is the mid, as a Decimal, in whatever order the levels are."""
    view = MarketView(market())
    worst_first = book(bids=(("0.10", 1), ("0.60", 1)), asks=(("0.99", 1), ("0.61", 1)))
    assert feed(view, 1, worst_first)
    assert view.p == D("0.605")
    assert view.context(1, NOW_NS).up_book.best_bid == D("0.60")


@pytest.mark.parametrize(
    ("one_sided", "p"),
    [(book(bids=(("0.97", 5), ("0.90", 5))), "0.97"), (book(asks=(("0.05", 5), ("0.03", 5))), "0.03")],
)
def test_p_of_a_one_sided_book_is_the_side_that_is_there(one_sided, p):
    """With no asks p is the best bid, with no bids the best ask, and such a quote counts as valid."""
    view = MarketView(market())
    assert feed(view, 1, one_sided)
    assert (view.p, view.valid_quotes) == (D(p), 1)


@pytest.mark.parametrize(
    "broken",
    [
        book(),
        book(bids=(("0.60", 0),)),
        book(bids=(("0.60", 1),), asks=(("0.59", 1),)),
        book(bids=(("0.60", 1),), asks=(("0.60", 1),)),
        book(bids=(("0.0009", 1),)),
        book(asks=(("0.9991", 1),)),
        book(bids=(("0.5", 1),), asks=(("1", 1),)),
        book(bids=(("0", 1),), asks=(("0.5", 1),)),
    ],
)
def test_quotes_that_are_not_real_are_left_out(broken):
    """Empty, without sizes, crossed, locked or with an impossible price: no price, no history, no count."""
    view = MarketView(market())
    assert not feed(view, 1, broken, book())
    assert (view.p, len(view.price_history), view.valid_quotes) == (None, 0, 0)


@pytest.mark.parametrize(("side", "price"), [("asks", "0.001"), ("bids", "0.999")])
def test_the_outermost_real_prices(side, price):
    """0.001 and 0.999 are valid prices, and `min_spread` changes that limit."""
    assert real_price(book(**{side: ((price, 1),)}), SPREAD) == D(price)
    assert real_price(book(**{side: ((price, 1),)}), D("0.01")) is None


@pytest.mark.parametrize(
    ("side", "price"), [("asks", "0.50"), ("asks", "0.70"), ("bids", "0.50"), ("bids", "0.30")]
)
def test_a_gap_in_the_book_is_no_price(side, price):
    """Asks alone above one half, or bids alone below it, do not make a favourite without bids."""
    assert real_price(book(**{side: ((price, 1),)}), SPREAD) is None


@pytest.mark.parametrize(("side", "price"), [("asks", "0"), ("bids", "1")])
def test_a_border_of_zero_still_excludes_certainty(side, price):
    """With `min_spread` 0 a price of 0 or 1 is invalid: relative changes from 0 do not exist."""
    assert real_price(book(**{side: ((price, 1),)}), D(0)) is None


def test_a_crossed_down_book_spoils_the_update():
    """An update is used whole or not at all: an invalid Down book excludes the Up price too."""
    view = MarketView(market())
    assert feed(view, 1, at("0.5"))
    assert not feed(view, 2, at("0.9"), book(bids=(("0.6", 1),), asks=(("0.5", 1),)))
    assert view.p == D("0.5")
    assert feed(view, 3, at("0.9"), book())


def test_three_valid_quotes_are_required_by_default():
    """After the second quote the market is not tradable, after the third it is."""
    view = MarketView(market())
    seen = []
    for second in range(3):
        feed(view, second, QUOTE)
        seen.append(view.tradable)
    assert seen == [False, False, True]


def test_tradable_after_the_required_quotes_in_a_row():
    """Two valid quotes, an invalid one, then three: only the last sequence of three makes it tradable."""
    view = MarketView(market(), quote_stability_required=3)
    seen = []
    for second, quote in enumerate([QUOTE, QUOTE, book(), QUOTE, QUOTE, QUOTE]):
        feed(view, second, quote, book())
        seen.append((view.valid_quotes, view.tradable))
    assert seen == [(1, False), (2, False), (0, False), (1, False), (2, False), (3, True)]


def test_once_tradable_a_broken_book_is_only_left_out():
    """A later invalid update neither changes p nor ends tradability; the last valid book stays and ages."""
    view = MarketView(market(), quote_stability_required=1)
    feed(view, 1, QUOTE)
    feed(view, 2, book(bids=(("0.7", 1),), asks=(("0.6", 1),)))
    assert view.tradable
    assert view.context(2, NOW_NS).up_book == QUOTE


def test_nothing_is_tradable_before_the_first_quote():
    """Even if no quotes are required, a market without a price is not tradable."""
    view = MarketView(market(), quote_stability_required=0)
    assert not view.tradable
    with pytest.raises(ValueError, match="btc-updown-15m-1790595900"):
        view.context(1, NOW_NS)


def test_history_keeps_the_last_mid_of_each_second():
    """Several quotes in one market second leave one point, the last; ticks have the exact times."""
    view = MarketView(market())
    for second, price in [(10.0, "0.50"), (10.4, "0.51"), (10.9, "0.52"), (11.2, "0.53"), (14.0, "0.54")]:
        feed(view, second, at(price))
    assert list(view.price_history) == [D("0.52"), D("0.53"), D("0.54")]
    assert [tick.second for tick in view.tick_buffer] == [10.9, 11.2, 14.0]


@given(st.lists(st.tuples(st.floats(-10, 910), books()), max_size=60), st.integers(1, 30), st.integers(1, 30))
def test_history_has_at_most_one_point_a_second_and_is_never_padded(updates, max_history, tick_buffer):
    """Whatever arrives in whatever order: at most one point per second, never more points than seconds
    with quotes, within the configured sizes, and the newest point is p."""
    view = MarketView(market(), max_history=max_history, tick_buffer=tick_buffer)
    admitted = [int(second) for second, up in updates if feed(view, second, up)]
    seconds = [int(tick.second) for tick in view.tick_buffer]
    assert len(set(seconds)) == len(seconds) <= min(len(set(admitted)), tick_buffer)
    assert len(view.price_history) <= min(len(set(admitted)), max_history)
    if admitted:
        assert view.price_history[-1] == view.tick_buffer[-1].price == view.p


def test_buffers_are_bounded():
    """After six hundred seconds a hundred prices and five hundred ticks are left, the newest."""
    view = MarketView(market())
    for second in range(600):
        feed(view, second, QUOTE)
    assert len(view.price_history) == 100
    assert [view.tick_buffer[0].second, view.tick_buffer[-1].second] == [100, 599]


@pytest.mark.parametrize("second", [-0.1, 900.0])
def test_quotes_outside_the_markets_life_are_left_out(second):
    """Before its start and from its end on, quotes are ignored."""
    assert not feed(MarketView(market()), second, QUOTE)


def test_a_switch_starts_empty():
    """The next market's view has nothing of the last one's price, history, ticks or stability."""
    last = MarketView(market(), quote_stability_required=1)
    for second in range(50):
        feed(last, second, at("0.98"))
    following = MarketView(market(slug="btc-updown-15m-1790596800", start=1_790_596_800))
    assert (following.p, following.tradable, following.valid_quotes) == (None, False, 0)
    feed(following, 0.5, at("0.50"))
    assert following.context(0.5, NOW_NS).history == (D("0.50"),)
    assert len(following.tick_buffer) == 1


def test_context_freezes_everything():
    """All inputs are in the context, and later quotes do not change it."""
    view = MarketView(market())
    feed(view, 5.5, QUOTE)
    given_values = {
        "spot": spot(84_000),
        "spot_path": [Tick(second=1.0, price=D(84_000))],
        "strike": strike(84_000),
        "put_call": put_call(1.0),
        "sentiment": sentiment(50),
        "absent": {"news": "no key"},
    }
    frozen = view.context(6.0, NOW_NS, **given_values)
    feed(view, 6.5, at("0.9"))
    assert (frozen.market, frozen.second, frozen.now_ns) == (market(), 6.0, NOW_NS)
    assert frozen.p == D("0.61")
    assert frozen.history == (D("0.61"),)
    assert frozen.ticks == (Tick(second=5.5, price=D("0.61")),)
    assert frozen.up_book == QUOTE
    assert frozen.down_book == mirrored(QUOTE)
    assert frozen.spot_path == tuple(given_values["spot_path"])
    for name in ("spot", "strike", "put_call", "sentiment", "absent"):
        assert getattr(frozen, name) == given_values[name]


def test_books_are_kept_sorted_and_without_emptied_levels():
    """The books of the context are sorted best first, whatever order the venue sent."""
    view = MarketView(market())
    jumbled = Book(
        bids=levels(("0.1", 1), ("0.3", 1), ("0.2", 0)), asks=levels(("0.9", 2), ("0.5", 2)), ts_ns=7
    )
    feed(view, 1, jumbled)
    up = view.context(1, NOW_NS).up_book
    assert [level.price for level in up.bids] == [D("0.3"), D("0.1")]
    assert [level.price for level in up.asks] == [D("0.5"), D("0.9")]
    assert up.ts_ns == 7


def test_levels_of_one_price_are_sorted_by_size():
    """The result depends on the levels only, not on their order: the larger one comes first."""
    view = MarketView(market())
    pairs = (("0.3", 1), ("0.3", 5)), (("0.5", 2), ("0.5", 4))
    feed(view, 1, book(bids=pairs[0], asks=pairs[1]))
    up = view.context(1, NOW_NS).up_book
    assert up.bids == levels(("0.3", 5), ("0.3", 1))
    assert up.asks == levels(("0.5", 4), ("0.5", 2))
