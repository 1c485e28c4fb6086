"""What several sources together say the price is."""

import statistics
from collections.abc import Mapping
from decimal import Decimal

from models import Frozen

TOLERANCE = Decimal("0.01")
"""Share of the median beyond which a source is an outlier. Sources in USD and USDT lie within 0.1 % of
each other; one percent is remarkable."""


class Consensus(Frozen, frozen=True):
    """The median of the sources that agree; `outliers` are the sources that were left out."""

    median: Decimal
    sources: dict[str, Decimal]
    outliers: dict[str, Decimal]

    @property
    def n(self) -> int:
        """Number of sources that agree."""
        return len(self.sources)


def consensus_of(prices: Mapping[str, Decimal]) -> Consensus | None:
    """The consensus of `prices`, USD by source; None without any.

    Of two sources that contradict each other neither is known to be the wrong one: both stay.
    """
    if not prices:
        return None
    middle = statistics.median(prices.values())
    outliers = {}
    if len(prices) > 2:
        outliers = {name: p for name, p in prices.items() if abs(p - middle) > middle * TOLERANCE}
    agreeing = {name: p for name, p in prices.items() if name not in outliers}
    if not agreeing:
        # The median of an even number lies between two sources, and may be far from both.
        agreeing, outliers = dict(prices), {}
    return Consensus(median=statistics.median(agreeing.values()), sources=agreeing, outliers=outliers)
