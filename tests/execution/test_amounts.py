"""Order amounts: what is signed is what the venue accepts and what the budget allows."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from errors import Refused
from execution.amounts import SHARE_STEP, market_buy, on_grid, taker_fee

TICKS = [Decimal(t) for t in ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")]


@st.composite
def orders(draw):
    tick = draw(st.sampled_from(TICKS))
    steps = int(1 / tick)
    ask = draw(st.integers(1, steps - 1)) * tick
    cap = min(ask + draw(st.integers(0, 40)) * tick, 1 - tick)
    usd = Decimal(draw(st.integers(100, 50_000))) / 100
    return usd, ask, cap, tick


@given(orders())
def test_amounts_keep_every_rule_of_the_venue(order):
    """On any tick, price and budget: whole cents, four share decimals, budget kept, ask reached, cap held."""
    usd, ask, cap, tick = order
    amounts = market_buy(usd, ask, cap, tick)
    assert amounts.maker % 10_000 == 0
    assert amounts.taker % 100 == 0
    assert amounts.usd == usd
    price = amounts.usd / amounts.shares
    assert price >= ask
    # The highest grid price that the derived limit reaches is never above the cap.
    assert on_grid(price, tick) <= cap
    if cap > ask:
        assert price <= cap


@given(orders())
def test_a_venue_that_truncates_the_derived_price_still_matches(order):
    """Even if the venue cuts maker/taker down to its grid, the limit still reaches the ask."""
    usd, ask, cap, tick = order
    amounts = market_buy(usd, ask, cap, tick)
    assert on_grid(amounts.usd / amounts.shares, tick) >= ask


def test_no_cent_is_lost():
    """Every amount from $1.00 to $9.99 is signed as it is, where float arithmetic loses a cent on some."""
    for cents in range(100, 1000):
        amounts = market_buy(Decimal(cents) / 100, Decimal("0.57"), Decimal("0.59"), Decimal("0.01"))
        assert amounts.maker == cents * 10_000


@given(orders(), st.integers(1, 99))
def test_below_one_dollar_is_refused_before_signing(order, cents):
    """The venue's $1 minimum is enforced on this side."""
    _, ask, cap, tick = order
    with pytest.raises(Refused, match="below the venue's minimum"):
        market_buy(Decimal(cents) / 100, ask, cap, tick)


@pytest.mark.parametrize(
    ("ask", "cap", "word"), [("0.50", "0.49", "could not match"), ("0.50", "1.00", "outside")]
)
def test_a_useless_cap_is_refused(ask, cap, word):
    """A cap below the ask or outside the venue's range never becomes an order."""
    with pytest.raises(Refused, match=word):
        market_buy(Decimal(1), Decimal(ask), Decimal(cap), Decimal("0.01"))


@pytest.mark.parametrize(
    ("shares", "price", "fee"),
    [("108", "0.36", "1.74182"), ("94.38", "0.50", "1.65165"), ("1.612903", "0.62", "0.02660")],
)
def test_fee_matches_what_was_charged_on_chain(shares, price, fee):
    """The formula gives the fees that were observed on the chain, to the fifth decimal."""
    assert taker_fee(Decimal(shares), Decimal(price), Decimal("0.07")) == Decimal(fee)


@given(orders())
def test_share_step_is_the_strict_reading(order):
    """Shares never carry a fifth decimal, also at tick 0.001 where the venue's table would allow it."""
    usd, ask, cap, tick = order
    shares = market_buy(usd, ask, cap, tick).shares
    assume(shares > 0)
    assert shares % SHARE_STEP == 0
