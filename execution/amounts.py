"""Order amounts: converts a USD budget and a price cap to the two integers of a signed order.

A market BUY is (makerAmount pUSD, takerAmount shares), both in millionths. The venue accepts whole cents of
pUSD and, for every tick, at most four decimals of shares; it derives the order's limit price as maker/taker
and matches only asks at or below it.
"""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal, InvalidOperation
from typing import Any

from errors import Refused
from models import Frozen

CENT = Decimal("0.01")
SHARE_STEP = Decimal("0.0001")
"""Finest share amount accepted in a market BUY. The venue's table has 5 decimals at tick 0.001, but orders
with 5 have been rejected; 4 is valid in both cases and costs less than 0.0001 share."""
MIN_NOTIONAL = Decimal(1)
"""pUSD; the venue refuses smaller marketable BUYs ("min size: $1")."""
FEE_STEP = Decimal("0.00001")
UNIT = 1_000_000
LARGEST = Decimal(10**12)
"""pUSD or shares; no trade is larger, and arithmetic with larger values would lose digits."""
SMALLEST = Decimal("0.000001")
"""pUSD or shares: the unit of the tokens on chain."""


class MarketBuy(Frozen, frozen=True):
    """Amounts to sign: `maker` and `taker` are millionths of pUSD and of a share.

    `fee` is the maximum fee in pUSD that the venue may charge in addition, if nothing is offered below the
    ask.
    """

    maker: int
    taker: int
    fee: Decimal

    @property
    def usd(self) -> Decimal:
        return Decimal(self.maker) / UNIT

    @property
    def shares(self) -> Decimal:
        return Decimal(self.taker) / UNIT

    @property
    def most(self) -> Decimal:
        """pUSD required for the order: the amount spent and the fee."""
        return self.usd + self.fee


def amount_of(value: Any) -> Decimal:
    """Parse an amount or a price of the venue: finite, at least one unit, and so small that no digit is lost.

    Raises
    ------
    ValueError
        For every other value.
    """
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount") from None
    if not amount.is_finite() or not SMALLEST <= amount < LARGEST:
        raise ValueError(f"{value!r} is not an amount")
    return amount


def on_grid(price: Decimal, tick: Decimal) -> Decimal:
    """The highest price on the tick grid that does not exceed `price`."""
    return (price / tick).to_integral_value(ROUND_DOWN) * tick


def market_buy(usd: Decimal, ask: Decimal, cap: Decimal, tick: Decimal, rate: Decimal) -> MarketBuy:
    """Amounts of a market BUY that spends at most `usd` at `cap` or better, and can match `ask`.

    Rounding: the shares are rounded up, so that the derived limit is slightly below `cap`, provided that the
    next grid price below `cap` still reaches `ask`: the order then matches even if the venue truncates the
    derived limit to its grid. If `cap` equals `ask` they are rounded down, so that the derived limit is
    slightly above `ask` and never below it; there is no grid price in between.

    Parameters
    ----------
    usd : Decimal
        Budget in pUSD without the fee, which the venue charges in addition.
    ask, cap : Decimal
        The best price of the decision and the highest price allowed, pUSD per share.
    tick : Decimal
        The market's price grid.
    rate : Decimal
        The market's fee rate.

    Raises
    ------
    Refused
        If the venue's published rules would reject the order: below $1, or a cap outside (0, 1).
    """
    budget = usd.quantize(CENT, ROUND_DOWN)
    limit = on_grid(cap, tick)
    if budget < MIN_NOTIONAL:
        raise Refused(
            f"order of ${usd} is below the venue's minimum of ${MIN_NOTIONAL}: raise POSITION_SIZE_USD"
        )
    if not tick <= limit <= 1 - tick:
        raise Refused(f"price cap {cap} is outside the venue's range {tick} to {1 - tick} at tick {tick}")
    if limit < ask:
        raise Refused(f"price cap {limit} is below the ask {ask}: the order could not match")
    rounding = ROUND_CEILING if limit - tick >= ask else ROUND_DOWN
    shares = (budget / limit).quantize(SHARE_STEP, rounding)
    # The fee per dollar is rate × (1 − price): it is highest at the lowest price.
    fee = (budget * rate * (1 - ask)).quantize(FEE_STEP, ROUND_UP)
    return MarketBuy(maker=int(budget * UNIT), taker=int(shares * UNIT), fee=fee)


def taker_fee(shares: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Fee in pUSD for taking `shares` at `price`, charged in addition: shares × rate × p × (1 − p), 5
    decimals.

    The venue publishes the formula and the five decimals but not the rounding mode; half-up is an assumption.
    """
    return (shares * rate * price * (1 - price)).quantize(FEE_STEP, ROUND_HALF_UP)
