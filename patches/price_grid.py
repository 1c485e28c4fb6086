"""Determines the price grid of a market from its prices if no message announced it. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

from patches.message_values import DISTINCT_PRICES, price_of

TICKS = tuple(map(Decimal, ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")))
"""The venue's price grids, coarsest first (source: its table of rounding rules)."""


@lru_cache(maxsize=DISTINCT_PRICES)
def on_grid(price: str, tick: str) -> bool:
    """Whether a valid price is a multiple of the tick; both as text, as in messages and instruments."""
    return not price_of(price) % Decimal(tick)


def off_grid(prices: Iterable[Decimal], tick: Decimal) -> Decimal | None:
    """The first price that is not a multiple of the tick; None if all are."""
    return next((price for price in prices if price % tick), None)


def finer_tick(tick: Decimal, prices: Iterable[Decimal]) -> Decimal | None:
    """The coarsest grid of the venue that refines a known one and contains all prices; None if none does.

    The market's actual grid is the result or refines it, so a price on the result's grid is accepted by the
    venue.
    """
    seen = list(prices)
    finer = (each for each in TICKS if each < tick and not tick % each)
    return next((each for each in finer if off_grid(seen, each) is None), None)
