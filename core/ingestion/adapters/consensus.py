"""What several sources together say the price is."""

import statistics
from collections.abc import Mapping
from decimal import Decimal

from models import Frozen

TOLERANCE = Decimal("0.01")
"""Share of the median beyond which a source is an outlier. Sources in USD and USDT lie within 0.1 % of
each other; a spread of one percent is remarkable."""


class Consensus(Frozen, frozen=True):
    """The median of the sources that agree.

    `spread` is their highest minus their lowest in USD, `spread_percent` the same in percent of the
    median; `outliers` are the sources that were left out.
    """

    median: Decimal
    spread: Decimal
    spread_percent: float
    sources: dict[str, Decimal]
    outliers: dict[str, Decimal]

    @property
    def n(self) -> int:
        """Number of sources that agree."""
        return len(self.sources)


def consensus_of(prices: Mapping[str, Decimal]) -> Consensus | None:
    """The consensus of `prices`, USD by source; None without any.

    Of two sources that contradict each other neither can be told to be the wrong one: both stay, and
    the spread shows it.
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
    median = statistics.median(agreeing.values())
    spread = max(agreeing.values()) - min(agreeing.values())
    return Consensus(
        median=median,
        spread=spread,
        spread_percent=float(spread / median * 100),
        sources=agreeing,
        outliers=outliers,
    )
