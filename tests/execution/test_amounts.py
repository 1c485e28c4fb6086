"""Order amounts: what is signed is what the venue accepts and what the budget allows."""

from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import Refused
from execution.amounts import market_buy, taker_fee

TICKS = [Decimal(t) for t in ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")]
RATE = Decimal("0.07")
FINEST = 10_000
"""Prices in these tests are counted in ten-thousandths, the finest tick; every other tick is a multiple."""
CENTS = range(100, 50_001)


def held(cents: int, ask: int, cap: int, tick: Decimal) -> None:
    """Every rule of the venue and of the bot, in integers: no rounding of the check's own."""
    exact = Decimal(FINEST)
    amounts = market_buy(Decimal(cents) / 100, ask / exact, cap / exact, tick, RATE)
    maker, taker = amounts.maker, amounts.taker
    assert maker == cents * 10_000  # to the cent, and the whole budget
    assert taker % 100 == 0  # four decimals
    # The derived price is maker/taker: it reaches the ask, and no price of the grid above the cap.
    assert maker * FINEST >= ask * taker
    step = int(tick * FINEST)
    assert maker * FINEST < (cap + step) * taker
    if cap > ask:
        # Never a hair above the cap, and still the ask if the venue cuts the price down to its grid.
        assert maker * FINEST <= cap * taker
        assert maker * FINEST // taker // step * step >= ask


def test_every_price_of_every_grid_and_every_amount():
    """On every price of every tick, with each amount from $1.00 to $500.00 somewhere, every rule holds."""
    numbers, seen = count(), set()
    for tick in TICKS:
        step = int(tick * FINEST)
        for ask in range(step, FINEST, step):
            for cap in (ask, ask + step, ask + 3 * step):
                for _ in range(2):
                    cents = CENTS[next(numbers) * 7919 % len(CENTS)]  # a prime stride meets every amount
                    seen.add(cents)
                    held(cents, ask, min(cap, FINEST - step), tick)
    assert len(seen) == len(CENTS)


@pytest.mark.slow
def test_every_amount_at_every_price_of_the_ordinary_tick():
    """At tick 0.01 and the bot's slippage, all 49,901 amounts at all 99 prices hold every rule."""
    for ask in range(100, FINEST, 100):
        for cents in CENTS:
            held(cents, ask, min(ask + 200, FINEST - 100), Decimal("0.01"))


@st.composite
def orders(draw):
    tick = draw(st.sampled_from(TICKS))
    step = int(tick * FINEST)
    ask = draw(st.integers(1, FINEST // step - 1)) * step
    cap = min(ask + draw(st.integers(0, 40)) * step, FINEST - step)
    return draw(st.sampled_from(CENTS)), ask, cap, tick


@given(orders())
def test_amounts_keep_every_rule_of_the_venue(order):
    """On any tick, price, cap and budget: whole cents, four share decimals, ask reached, cap held."""
    held(*order)


@given(orders(), st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_an_order_never_costs_more_than_was_set_aside_for_it(order, climbs):
    """However it fills between ask and cap, cost and fee stay within the budget and the fee set aside."""
    cents, ask, cap, tick = order
    amounts = market_buy(Decimal(cents) / 100, Decimal(ask) / FINEST, Decimal(cap) / FINEST, tick, RATE)
    left, fees = amounts.usd, Decimal(0)
    for climb in climbs:
        price = Decimal(min(ask + climb * int(tick * FINEST), cap)) / FINEST
        shares = left / 2 / price
        left -= shares * price
        fees += taker_fee(shares, price, RATE)
    rounding = Decimal("0.000005") * len(climbs)  # each trade's fee is rounded by itself
    assert fees <= amounts.fee + rounding
    assert amounts.most == amounts.usd + amounts.fee


@given(orders(), st.integers(1, 99))
def test_below_one_dollar_is_refused_before_signing(order, cents):
    """The venue's $1 minimum is enforced on this side."""
    _, ask, cap, tick = order
    with pytest.raises(Refused, match="below the venue's minimum"):
        market_buy(Decimal(cents) / 100, Decimal(ask) / FINEST, Decimal(cap) / FINEST, tick, RATE)


@pytest.mark.parametrize(
    ("ask", "cap", "fragment"), [("0.50", "0.49", "could not match"), ("0.50", "1.00", "outside")]
)
def test_a_useless_cap_is_refused(ask, cap, fragment):
    """A cap below the ask or outside the venue's range never becomes an order."""
    with pytest.raises(Refused, match=fragment):
        market_buy(Decimal(1), Decimal(ask), Decimal(cap), Decimal("0.01"), RATE)


@pytest.mark.parametrize(
    ("shares", "price", "fee"),
    [("108", "0.36", "1.74182"), ("94.38", "0.50", "1.65165"), ("1.612903", "0.62", "0.02660")],
)
def test_fee_matches_what_was_charged_on_chain(shares, price, fee):
    """The formula gives the fees that were observed on the chain, to the fifth decimal."""
    assert taker_fee(Decimal(shares), Decimal(price), RATE) == Decimal(fee)
