"""Matching in a backtest: the shares and money of the practice venue, which computes in integers."""

from decimal import Decimal
from typing import Any

from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.amounts import MarketBuy
from models import Level
from research.backtest.matching import LevelFill, match
from venue.matching import match as match_at_venue
from venue.matching import offers
from venue.rules import OrderTerms

MICRO = 1_000_000
TERMS: dict[str, Any] = {
    "id": "",
    "owner": "",
    "wire": None,
    "kind": "FAK",
    "post_only": False,
    "side": "BUY",
    "expiration": 0,
}


def level(mills: int, micro_shares: int) -> Level:
    return Level(price=Decimal(mills) / 1000, size=Decimal(micro_shares) / MICRO)


@settings(max_examples=examples(2000))
@given(
    st.dictionaries(st.integers(1, 999), st.integers(1, 50 * MICRO), max_size=8),
    st.integers(100, 2000),
    st.integers(1, 999),
)
def test_fills_are_those_of_the_practice_venue(levels, cents, limit):
    """Any book, any budget, any price: shares by level are equal to the millionth."""
    asks = sorted(levels.items())
    order = MarketBuy(maker=cents * 10_000, taker=cents * 10_000_000 // limit, fee=Decimal(0))
    terms = OrderTerms(**TERMS, maker_amount=order.maker, taker_amount=order.taker)
    found = match_at_venue(terms, offers(tuple(asks), (), "BUY"))
    assert match(order, [level(*ask) for ask in asks]) == tuple(
        LevelFill(price=Decimal(fill.price) / 1000, shares=Decimal(fill.shares) / MICRO)
        for fill in found.fills
    )


def test_a_budget_is_spent_over_two_levels():
    """$1 takes 1 share at 0.50, and for the other half dollar 0.961538 shares at 0.52."""
    order = MarketBuy(maker=1_000_000, taker=1_886_700, fee=Decimal(0))
    assert match(order, [level(500, 1_000_000), level(520, 5_000_000)]) == (
        LevelFill(price=Decimal("0.5"), shares=Decimal(1)),
        LevelFill(price=Decimal("0.52"), shares=Decimal("0.961538")),
    )


def test_an_ask_above_the_price_is_not_taken():
    """The order's price is 0.53: an ask at 0.54 leaves the rest of the budget unspent."""
    order = MarketBuy(maker=1_000_000, taker=1_886_700, fee=Decimal(0))
    assert match(order, [level(540, 5_000_000)]) == ()
