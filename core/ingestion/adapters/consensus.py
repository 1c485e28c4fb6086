"""Consensus price of several sources."""

import statistics
from collections.abc import Mapping
from decimal import Decimal

from models import Consensus

TOLERANCE = Decimal("0.01")
"""Fraction of the median beyond which a source is an outlier. Sources in USD and USDT are within 0.1 % of
each other; one percent is unusual."""


def consensus_of(prices: Mapping[str, Decimal]) -> Consensus | None:
    """The consensus of `prices`, USD by source; None without any.

    Of two contradicting sources neither is known to be wrong: both are kept.
    """
    if not prices:
        return None
    middle = statistics.median(prices.values())
    outliers = {}
    if len(prices) > 2:
        outliers = {name: p for name, p in prices.items() if abs(p - middle) > middle * TOLERANCE}
    agreeing = {name: p for name, p in prices.items() if name not in outliers}
    if not agreeing:
        # The median of an even number is between two sources, and may be far from both.
        agreeing, outliers = dict(prices), {}
    return Consensus(median=statistics.median(agreeing.values()), sources=agreeing, outliers=outliers)
