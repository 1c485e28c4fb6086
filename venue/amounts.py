"""Money, shares and prices as integers, so that no amount is rounded by a float.

Units used throughout the venue:

- *micro*: one millionth of a pUSD or of a share, the six decimals of the tokens on chain;
- *mill*: one thousandth of a pUSD, the finest price step of the venue (tick 0.001);
- prices are mills per share, 1 to 999.
"""

from decimal import Decimal
from functools import lru_cache

MICRO = 1_000_000
MILL = 1_000
LARGEST_EXPONENT = 17
"""Of an amount in micro units, in scientific notation: the database's integers are below 9.2 × 10¹⁸."""
CENT_MILLS = 10
"""A tick of 0.01 in mills."""


def micro(text: str | int | float | Decimal) -> int:
    """A decimal amount of pUSD or shares in micro units.

    Raises
    ------
    ValueError
        If the text is not a finite number, is finer than a micro unit, or too large for the database.
    """
    try:
        scaled = Decimal(str(text)) * MICRO
    except ArithmeticError as error:
        raise ValueError(f"not an amount: {text!r}") from error
    if not scaled.is_finite() or scaled.adjusted() > LARGEST_EXPONENT:
        raise ValueError(f"not an amount: {text!r}")
    if scaled != scaled.to_integral_value():
        raise ValueError(f"not an amount of at most six decimals: {text!r}")
    return int(scaled)


@lru_cache(maxsize=16_384)  # each message of a market repeats most sizes and prices of the last one
def decimal_text(amount: int, unit: int = MICRO) -> str:
    """An integer amount as the shortest plain decimal: 1612903 → "1.612903", 5000000 → "5"."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), unit)
    if not part:
        return f"{sign}{whole}"
    width = len(str(unit)) - 1
    return f"{sign}{whole}.{part:0{width}d}".rstrip("0")


@lru_cache(maxsize=MILL + 1)
def price_text(mills: int) -> str:
    """A price as the venue prints it: at least two decimals, three only where needed."""
    if mills % CENT_MILLS:
        return f"{mills // MILL}.{mills % MILL:03d}"
    return f"{mills // MILL}.{mills % MILL // CENT_MILLS:02d}"


def buy_cost(shares: int, price: int) -> int:
    """The cost of `shares` (micro) at `price` (mills) in micro pUSD, rounded down as on chain.

    Source: observed fills, e.g. 5.28846 shares at 0.52 for 2.749999 pUSD.
    """
    return shares * price // MILL


def taker_fee(shares: int, price: int, rate: Decimal) -> int:
    """The taker fee of one fill in micro pUSD: shares × rate × p × (1 − p), rounded to five decimals.

    Source: the venue's fee page (crypto rate 0.07, exponent 1, takers only). The rounding mode is
    unpublished; half up is used here.
    """
    rate_numerator, rate_denominator = rate.as_integer_ratio()
    step = 10
    exact = shares * rate_numerator * price * (MILL - price)
    divisor = rate_denominator * MILL * MILL * step
    return (2 * exact + divisor) // (2 * divisor) * step
