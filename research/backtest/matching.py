"""Matches a market BUY with a book as the venue does: a budget, spent at its price or better. Pure."""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

from execution.amounts import MarketBuy
from models import MICRO, Frozen, Level, fill_cost


class LevelFill(Frozen, frozen=True):
    """Shares bought at one price, pUSD per share."""

    price: Decimal
    shares: Decimal


def match(order: MarketBuy, asks: Sequence[Level]) -> tuple[LevelFill, ...]:
    """The fills of a FAK BUY against the asks, best first; empty if none is within its price.

    The order's price is maker over taker amount. Shares and costs are rounded down to a millionth; a level
    whose part costs less than a millionth of a pUSD is left out.
    """
    left, fills = order.usd, []
    for level in asks:
        if level.price * order.shares > order.usd:
            break
        wanted = (left / level.price).quantize(MICRO, ROUND_DOWN)
        shares = min(wanted, level.size)
        cost = fill_cost(shares, level.price)
        if cost > 0:
            fills.append(LevelFill(price=level.price, shares=shares))
            left -= cost
        if wanted <= level.size:
            break
    return tuple(fills)
