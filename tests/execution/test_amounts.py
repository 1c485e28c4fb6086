"""Order amounts: the signed amounts are accepted by the venue and within the budget."""

from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import Refused
from execution.amounts import amount_of, market_buy, on_grid, taker_fee

TICKS = [Decimal(t) for t in ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")]
RATE = Decimal("0.07")
FINEST = 10_000
"""Prices in these tests are counted in ten-thousandths, the finest tick; every other tick is a multiple."""
CENTS = range(100, 50_001)


def held(cents: int, ask: int, cap: int, tick: Decimal) -> None:
    """Check every rule of the venue and of the bot, in integers, without rounding."""
    exact = Decimal(FINEST)
    amounts = market_buy(Decimal(cents) / 100, ask / exact, cap / exact, tick, RATE)
    maker, taker = amounts.maker, amounts.taker
    assert maker == cents * 10_000  # to the cent, and the whole budget
    assert taker % 100 == 0  # four decimals
    # The derived price is maker/taker: it reaches the ask, and no price of the grid above the limit.
    assert maker * FINEST >= ask * taker
    step = int(tick * FINEST)
    assert maker * FINEST < (cap + step) * taker
    if cap > ask:
        # Never above the limit, and still the ask if the venue truncates the price to its grid.
        assert maker * FINEST <= cap * taker
        assert maker * FINEST // taker // step * step >= ask


def test_every_price_of_every_grid_and_every_amount():
    """On every price of every tick, with each amount from $1.00 to $500.00 at least once, every rule
    holds."""
    numbers, seen = count(), set()
    for tick in TICKS:
        step = int(tick * FINEST)
        for ask in range(step, FINEST, step):
            for cap in (ask, ask + step, ask + 3 * step):
                for _ in range(2):
                    cents = CENTS[next(numbers) * 7919 % len(CENTS)]  # a prime stride reaches every amount
                    seen.add(cents)
                    held(cents, ask, min(cap, FINEST - step), tick)
    assert len(seen) == len(CENTS)


@pytest.mark.slow
def test_every_amount_at_every_price_of_the_ordinary_tick():
    """At tick 0.01 and the bot's slippage, all 49,901 amounts at all 99 prices satisfy every rule."""
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
    """On any tick, price, limit and budget: whole cents, four share decimals, ask reached, limit
    respected."""
    held(*order)


@given(orders(), st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_an_order_never_costs_more_than_was_set_aside_for_it(order, climbs):
    """At any fill price from ask to limit, cost and fee stay within the budget and the reserved fee."""
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


@pytest.mark.parametrize(
    ("usd", "ask", "cap", "tick", "maker", "taker", "fee"),
    [
        # A price below the limit reaches the ask: 1 / 0.65 = 1.53846…, rounded up; 1.00 × 0.07 × 0.37.
        ("1.00", "0.63", "0.65", "0.01", 1_000_000, 1_538_500, "0.02590"),
        # Only the limit reaches the ask: 1 / 0.63 = 1.58730…, rounded down.
        ("1.00", "0.63", "0.63", "0.01", 1_000_000, 1_587_300, "0.02590"),
        # The budget is truncated to cents and the limit to the grid; 1.99 × 0.07 × 0.3695 = 0.05147135.
        ("1.999", "0.6305", "0.63059", "0.0001", 1_990_000, 3_156_200, "0.05148"),
    ],
)
def test_an_order_in_figures(usd, ask, cap, tick, maker, taker, fee):
    """The two signed integers, the reserved fee, and the pUSD needed for both."""
    amounts = market_buy(Decimal(usd), Decimal(ask), Decimal(cap), Decimal(tick), RATE)
    assert (amounts.maker, amounts.taker, amounts.fee) == (maker, taker, Decimal(fee))
    assert (amounts.usd * 1_000_000, amounts.shares * 1_000_000) == (maker, taker)
    assert amounts.most == amounts.usd + Decimal(fee)


@pytest.mark.parametrize(
    ("price", "tick", "expected"),
    [("0.639", "0.01", "0.63"), ("0.63", "0.01", "0.63"), ("0.6390", "0.0025", "0.6375")],
)
def test_a_price_is_cut_down_to_the_grid(price, tick, expected):
    """The next grid price below, or a grid price itself."""
    assert on_grid(Decimal(price), Decimal(tick)) == Decimal(expected)


@pytest.mark.parametrize(
    ("value", "amount"),
    [("1.5", "1.5"), (2, "2"), (0.1, "0.1"), ("0.000001", "0.000001"), ("999999999999.9", "999999999999.9")],
)
def test_what_is_an_amount(value, amount):
    """Text, integers and floats as written, above 0 and below a million million."""
    assert amount_of(value) == Decimal(amount)


@pytest.mark.parametrize(
    "value", ["", "abc", None, "NaN", "sNaN", "Infinity", "-1", "0", "-0.000001", "1000000000000", "1e400"]
)
def test_what_is_no_amount(value):
    """Not a number, not finite, not above 0, or so large that digits would be lost; the error names it."""
    with pytest.raises(ValueError, match="is not an amount") as refused:
        amount_of(value)
    assert str(refused.value) == f"{value!r} is not an amount"


@given(orders(), st.integers(1, 99))
def test_below_one_dollar_is_refused_before_signing(order, cents):
    """The venue's $1 minimum is checked by the bot."""
    _, ask, cap, tick = order
    with pytest.raises(Refused, match="below the venue's minimum"):
        market_buy(Decimal(cents) / 100, Decimal(ask) / FINEST, Decimal(cap) / FINEST, tick, RATE)


@pytest.mark.parametrize(
    ("ask", "cap", "message"),
    [
        ("0.50", "0.49", "price cap 0.49 is below the ask 0.50: the order could not match"),
        ("0.50", "1.00", "price cap 1.00 is outside the venue's range 0.01 to 0.99 at tick 0.01"),
        ("0.001", "0.009", "price cap 0.009 is outside the venue's range 0.01 to 0.99 at tick 0.01"),
    ],
)
def test_a_useless_cap_is_refused(ask, cap, message):
    """A limit below the ask or outside the venue's range is refused."""
    with pytest.raises(Refused) as refused:
        market_buy(Decimal(1), Decimal(ask), Decimal(cap), Decimal("0.01"), RATE)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("shares", "price", "fee"),
    [("108", "0.36", "1.74182"), ("94.38", "0.50", "1.65165"), ("1.612903", "0.62", "0.02660")],
)
def test_fee_matches_what_was_charged_on_chain(shares, price, fee):
    """The formula gives the fees that were observed on the chain, to the fifth decimal."""
    assert taker_fee(Decimal(shares), Decimal(price), RATE) == Decimal(fee)


def test_half_of_the_last_digit_is_rounded_up():
    """0.001 shares at 0.5 and a rate of 10 % cost 0.000025: 0.00003, not the even 0.00002."""
    assert taker_fee(Decimal("0.001"), Decimal("0.5"), Decimal("0.1")) == Decimal("0.00003")
