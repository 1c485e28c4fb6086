"""Price grids of the venue: which one a market is on, told by its prices when no message told it. Pure."""

from collections.abc import Iterable
from decimal import Decimal

TICKS = tuple(map(Decimal, ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")))
"""The venue's price grids, coarsest first (Source: its table of rounding rules)."""


def off_grid(prices: Iterable[Decimal], tick: Decimal) -> Decimal | None:
    """The first price that is not a multiple of the tick; None if all are."""
    return next((price for price in prices if price % tick), None)


def finer_tick(tick: Decimal, prices: Iterable[Decimal]) -> Decimal | None:
    """The coarsest grid of the venue that refines a known one and holds all the prices; None if none does.

    Whatever grid the market is really on refines the result or is it, so that a price on the result's grid is
    one that the venue takes.
    """
    seen = list(prices)
    finer = (each for each in TICKS if each < tick and not tick % each)
    return next((each for each in finer if off_grid(seen, each) is None), None)
