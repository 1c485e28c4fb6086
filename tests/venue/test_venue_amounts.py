"""Amounts, fees and prices to the micro unit."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venue.amounts import buy_cost, decimal_text, micro, price_text, taker_fee

RATE = Decimal("0.07")


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_an_amount_survives_being_written_and_read(amount: int) -> None:
    """Every micro amount reads back as itself from its decimal text."""
    assert micro(decimal_text(amount)) == amount


@pytest.mark.parametrize("text", ["", "x", "1e", "0.0000001", "NaN", "Infinity", None])
def test_what_is_no_amount_is_refused(text: object) -> None:
    """A text that is no number, not finite, or finer than a micro unit raises ValueError."""
    with pytest.raises(ValueError, match="not an amount"):
        micro(text)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("mills", "text"), [(620, "0.62"), (500, "0.50"), (961, "0.961"), (1, "0.001"), (10, "0.01")]
)
def test_prices_have_two_decimals_or_three(mills: int, text: str) -> None:
    """A price on the cent grid has two decimals, any other three."""
    assert price_text(mills) == text


@pytest.mark.parametrize(
    ("shares", "price", "fee"),
    [("108", 360, "1.74182"), ("94.38", 500, "1.65165"), ("1.612903", 620, "0.0266"), ("1", 990, "0.00069")],
)
def test_fees_are_those_seen_on_chain(shares: str, price: int, fee: str) -> None:
    """The fee formula gives the fees of real fills (108 at 0.36 cost 1.74182) to the micro unit."""
    assert taker_fee(micro(shares), price, RATE) == micro(fee)


@given(st.integers(min_value=1, max_value=10**13), st.integers(min_value=1, max_value=999))
def test_the_fee_is_the_formula_rounded_to_five_decimals(shares: int, price: int) -> None:
    """For every fill the fee is shares x 0.07 x p x (1 - p), half up at the fifth decimal."""
    p = Decimal(price) / 1000
    exact = Decimal(shares) / 10**6 * RATE * p * (1 - p)
    rounded = exact.quantize(Decimal("0.00001"), ROUND_HALF_UP)
    assert Decimal(taker_fee(shares, price, RATE)) / 10**6 == rounded


def test_costs_round_down_as_on_chain() -> None:
    """5.28846 shares at 0.52 cost 2.749999, as a real order did."""
    assert buy_cost(micro("5.28846"), 520) == micro("2.749999")
