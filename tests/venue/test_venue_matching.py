"""The matching rules: budgets, better prices, partial and whole fills."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from test_venue_rules import terms
from venue_builders import BOOK

from venue.amounts import MILL, buy_cost
from venue.matching import Offer, match, meet, offers

LEVELS = st.dictionaries(st.integers(1, 999), st.integers(1, 10**10), max_size=10)


def asks() -> list[Offer]:
    return offers(BOOK.asks, [], "BUY")


def test_a_budget_is_spent_at_a_better_price_for_more_shares() -> None:
    """$5 with a limit of 0.70 in a book at 0.62 buys 8.064516 shares, not 7.1428."""
    result = match(terms("BUY", 5_000_000, 7_142_800), asks())
    assert result.complete
    assert (result.shares, result.usd) == (8_064_516, 4_999_999)


def test_a_buy_walks_the_book_within_its_limit() -> None:
    """$150 with a limit of 0.63 takes 100 at 0.62 and the rest at 0.63, in two fills."""
    result = match(terms("BUY", 150_000_000, 238_095_200), asks())
    assert [(fill.price, fill.shares) for fill in result.fills] == [(620, 100_000_000), (630, 139_682_539)]
    assert result.complete


def test_dust_of_a_budget_buys_nothing_at_the_next_level() -> None:
    """The micro pUSD left by rounding do not become a separate trade at a worse price."""
    result = match(terms("BUY", 1_000_000, 10_000_000), [Offer(30, 10**9), Offer(40, 10**9)])
    assert [(fill.price, fill.usd) for fill in result.fills] == [(30, 999_999)]
    assert (result.left, result.complete) == (1, True)


def test_what_is_beyond_the_limit_stays() -> None:
    """$150 with a limit of 0.62 gets 100 shares for $62 and is not complete."""
    result = match(terms("BUY", 150_000_000, 241_935_400), asks())
    assert (result.shares, result.usd, result.left, result.complete) == (
        100_000_000,
        62_000_000,
        88_000_000,
        False,
    )


def test_a_limit_a_hair_below_the_ask_does_not_match() -> None:
    """Shares rounded up instead of down put the price under the ask: nothing is filled."""
    assert match(terms("BUY", 1_000_000, 1_613_000), asks()).fills == ()


def test_a_sell_takes_the_bids_from_the_top() -> None:
    """150 shares with a limit of 0.50 sell 100 at 0.60 and 50 at 0.59."""
    result = match(terms("SELL", 150_000_000, 75_000_000), offers(BOOK.bids, [], "SELL"))
    assert [(fill.price, fill.shares) for fill in result.fills] == [(600, 100_000_000), (590, 50_000_000)]
    assert (result.usd, result.complete) == (89_500_000, True)


def test_the_source_comes_first_at_a_price() -> None:
    """At one price recorded liquidity comes before an account's order, a better price before both."""
    found = offers(BOOK.asks, [Offer(620, 5, "0xa"), Offer(610, 5, "0xb")], "BUY")
    assert [offer.order_id for offer in found[:3]] == ["0xb", None, "0xa"]


@given(LEVELS, st.integers(10**6, 10**9), st.integers(1, 999))
def test_a_buy_never_overspends_nor_overpays(levels: dict[int, int], budget: int, limit: int) -> None:
    """Whatever the book: cost within budget, every price within the limit, no level taken beyond its size."""
    order = terms("BUY", budget, max(1, budget * MILL // limit))
    order = msgspec.structs.replace(order, kind="GTC")
    result = match(order, offers(tuple(sorted(levels.items())), [], "BUY"))
    assert result.usd + result.left == budget
    assert result.left >= 0
    for fill in result.fills:
        assert order.reaches(fill.price)
        assert 0 < fill.shares <= levels[fill.price]
        assert fill.usd == buy_cost(fill.shares, fill.price)


@given(LEVELS, st.integers(10**4, 10**9), st.integers(1, 999))
def test_a_sell_gives_no_more_than_it_has(levels: dict[int, int], shares: int, limit: int) -> None:
    """Whatever the book: shares given and left add up, and no price is below the limit."""
    order = terms("SELL", shares, max(1, shares * limit // MILL))
    result = match(order, offers(tuple(sorted(levels.items(), reverse=True)), [], "SELL"))
    assert result.shares + result.left == shares
    assert all(order.reaches(fill.price) and fill.shares <= levels[fill.price] for fill in result.fills)


def test_a_resting_order_fills_at_its_own_price() -> None:
    """A BUY resting at 0.63 that the book reaches pays 0.63 even where the book asks 0.62."""
    fills = meet("BUY", 630, 150_000_000, BOOK.asks)
    assert [(fill.price, fill.shares, fill.usd) for fill in fills] == [
        (620, 100_000_000, 63_000_000),
        (630, 138_095_238, 86_999_999),
    ]


def test_a_book_that_does_not_come_leaves_it_resting() -> None:
    """A BUY at 0.61 below the asks, and a SELL at 0.61 above the bids, are not matched."""
    assert meet("BUY", 610, 10**8, BOOK.asks) == []
    assert meet("SELL", 610, 10**8, BOOK.bids) == []
