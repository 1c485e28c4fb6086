"""Statistics of a backtest: edge before and after fees, intervals, and the sample that shows it. Pure.

Conventions
-----------
- The *edge* is the share of trades won minus the mean price, each trade counted once, in probability points:
  0.02 is two points. Before fees the price is what was paid; after fees it is the break-even price of
  `monitoring.statistics`, which includes the fee.
- Trades in the same market are one observation: intervals count and resample distinct markets.
- The interval of the edge is that of the share won, minus the mean price: Wilson's, and the exact one of
  Clopper and Pearson where fewer than `LEAST_OF_EACH` wins or losses are expected at the price. If the prices
  differ, it is wider than necessary, never narrower: a mean of unequal chances varies less than one of equal
  chances.
- The interval of an amount of money is a percentile bootstrap over markets: B. Efron and R. Tibshirani, "An
  Introduction to the Bootstrap" (1993), chapter 13; with clusters: A. C. Cameron, J. Gelbach and D. Miller,
  "Bootstrap-based improvements for inference with clustered errors", Review of Economics and Statistics 90
  (2008). A bootstrap knows only the outcomes of its sample: with fewer than `LEAST_OF_EACH` markets won or
  lost it is too narrow, and the normal interval of `monitoring.statistics` is used, whose error is at least
  the one that the prices imply.
- The random numbers have a fixed seed: the same trades give the same intervals.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import accumulate
from math import ceil, floor
from random import Random
from statistics import fmean

from execution.ledger import TradeRow
from models import Frozen, TradeOutcome
from monitoring.equity_curve import closed_ns
from monitoring.statistics import (
    LEAST_OF_EACH,
    Statistics,
    clopper_pearson,
    required_markets,
    statistics,
    wilson,
)

SEED = 20261126
RESAMPLES = 2000
FEWEST = 400
"""Resamples of a large sample."""
DRAWS = 10_000_000
"""Most markets drawn for one bootstrap, unless `FEWEST` resamples need more."""
POINTS = 60
"""Most places of the equity curve at which the band is computed."""
DAY_S = 86400


class Estimate(Frozen, frozen=True):
    """An estimate with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 if the interval excludes zero, else 0."""
        return (self.low > 0) - (self.high < 0)


class Edge(Frozen, frozen=True):
    """The edge of settled trades.

    Attributes
    ----------
    numbers : Statistics
        Counts, sums and means of the same trades.
    ask : float
        Mean best ask at the decision, pUSD per share.
    seen, before, after : Estimate
        Edge at the ask that was seen, at the price paid, and after fees.
    mean_pnl : Estimate
        P&L per trade after fees, pUSD.
    resampled : bool
        Whether `mean_pnl` is a bootstrap interval.
    """

    numbers: Statistics
    ask: float
    seen: Estimate
    before: Estimate
    after: Estimate
    mean_pnl: Estimate
    resampled: bool

    @property
    def even(self) -> float:
        """Mean price with the fee: the share won at which the edge after fees is zero."""
        return self.numbers.break_even or 0.0

    @property
    def conclusion(self) -> str:
        """``profit``, ``loss`` or ``chance``: the first two only if edge and money agree and the sample is
        large enough to show `EDGE_WORTH_FINDING`."""
        sign = self.after.sign
        if self.numbers.markets < (self.numbers.needed or 0) or sign != self.mean_pnl.sign:
            return "chance"
        return {1: "profit", -1: "loss"}.get(sign, "chance")


class Gap(Frozen, frozen=True):
    """Price paid minus the ask that was seen, pUSD per share: positive if more was paid.

    `worse`, `equal` and `better` count trades; `worst` is the largest gap; `mean` is over trades.
    """

    mean: Estimate
    worst: float
    worse: int
    equal: int
    better: int


class EquityLimits(Frozen, frozen=True):
    """Change of equity after a number of markets: 95 % of the resampled curves are within, pUSD."""

    markets: int
    low: float
    high: float


class FillRate(Frozen, frozen=True):
    """How often a bot trades: `traded` of `markets` observed markets, which last `seconds` together."""

    name: str
    traded: int
    markets: int
    seconds: int

    @property
    def per_day(self) -> float:
        """Markets traded in a day of running."""
        return self.traded * DAY_S / self.seconds if self.seconds else 0.0

    def days(self, needed: int) -> int | None:
        """Further days until `needed` markets are traded; None if none ever is."""
        if needed <= self.traded:
            return 0
        return ceil((needed - self.traded) / self.per_day) if self.traded else None


def edge(trades: Iterable[TradeRow]) -> Edge | None:
    """The edge of the settled ones among the trades; None without any."""
    settled = [trade for trade in trades if trade.pnl is not None]
    numbers = statistics(settled)
    won, price, even = numbers.win_rate, numbers.mean_price, numbers.break_even
    if won is None or price is None or even is None:
        return None
    ask = fmean(float(trade.ask) for trade in settled)
    by_market = pnl_by_market(settled)
    resampled = min(_markets_with(settled, result) for result in _DECIDED) >= LEAST_OF_EACH
    return Edge(
        numbers=numbers,
        ask=ask,
        seen=edge_interval(won, ask, numbers.markets),
        before=edge_interval(won, price, numbers.markets),
        after=edge_interval(won, even, numbers.markets),
        mean_pnl=mean_of_trades(by_market)
        if resampled
        else Estimate(
            mean=numbers.mean_pnl or 0.0, low=numbers.mean_pnl_low or 0.0, high=numbers.mean_pnl_high or 0.0
        ),
        resampled=resampled,
    )


_DECIDED = (TradeOutcome.WIN, TradeOutcome.LOSS)


def _markets_with(trades: Iterable[TradeRow], result: TradeOutcome) -> int:
    return len({trade.event for trade in trades if trade.outcome is result})


def edge_interval(won: float, price: float, markets: int) -> Estimate:
    """Share won minus mean price, with the interval of the share won over distinct markets."""
    if markets * min(price, 1 - price) < LEAST_OF_EACH:
        low, high = clopper_pearson(round(won * markets), markets)
    else:
        low, high = wilson(won, markets)
    return Estimate(mean=won - price, low=low - price, high=high - price)


def grouped[Key](
    trades: Iterable[TradeRow], key: Callable[[TradeRow], Key]
) -> list[tuple[Key, list[TradeRow]]]:
    """The settled trades by a key, in the order of the keys' first trades."""
    found: dict[Key, list[TradeRow]] = {}
    for trade in trades:
        if trade.pnl is not None:
            found.setdefault(key(trade), []).append(trade)
    return list(found.items())


def gap(trades: Iterable[TradeRow]) -> Gap | None:
    """The gap between the ask that was seen and the price that was paid; None without trades."""
    gaps: dict[str, list[float]] = {}
    for trade in trades:
        # To a hundredth of a cent: a cost that was rounded down must not count as a better price.
        gaps.setdefault(trade.event, []).append(float(round(trade.price - trade.ask, 4)))
    every = [value for values in gaps.values() for value in values]
    if not every:
        return None
    return Gap(
        mean=mean_of_trades([(sum(values), len(values)) for values in gaps.values()]),
        worst=max(every),
        worse=sum(value > 0 for value in every),
        equal=sum(value == 0 for value in every),
        better=sum(value < 0 for value in every),
    )


# --- bootstrap -----------------------------------------------------------------------------------

type Cluster = tuple[float, int]
"""Sum of a value over the trades of one market, and their number."""


def pnl_by_market(trades: Iterable[TradeRow]) -> list[Cluster]:
    """P&L and number of the settled trades of each market, in the order of their settlement."""
    settled = sorted(
        (trade for trade in trades if trade.pnl is not None),
        key=lambda trade: (closed_ns(trade), trade.intent_id),
    )
    sums: dict[str, tuple[Decimal, int]] = {}
    for trade in settled:
        pnl, count = sums.get(trade.event, (Decimal(0), 0))
        sums[trade.event] = (pnl + (trade.pnl or Decimal(0)), count + 1)
    return [(float(pnl), count) for pnl, count in sums.values()]


def mean_of_trades(clusters: Sequence[Cluster]) -> Estimate:
    """Mean per trade with its bootstrap interval; markets are drawn with all of their trades."""
    rng = Random(SEED)
    means = []
    for _ in range(resamples(len(clusters))):
        drawn = rng.choices(clusters, k=len(clusters))
        means.append(sum(total for total, _ in drawn) / sum(count for _, count in drawn))
    low, high = percentiles(means)
    mean = sum(total for total, _ in clusters) / sum(count for _, count in clusters)
    return Estimate(mean=mean, low=low, high=high)


def sum_of_markets(changes: Sequence[float]) -> Estimate:
    """Sum over markets with its bootstrap interval."""
    rng = Random(SEED)
    count = len(changes)
    low, high = percentiles([sum(rng.choices(changes, k=count)) for _ in range(resamples(count))])
    return Estimate(mean=sum(changes), low=low, high=high)


def equity_limits(pnls: Sequence[float]) -> list[EquityLimits]:
    """The band of the equity curve: limits of the sums over markets that are drawn from all markets.

    It shows how much equity may differ after the same number of markets of the same kind. It assumes that the
    order of the markets is without meaning.
    """
    count = len(pnls)
    steps = min(count, POINTS)
    places = sorted({ceil(count * step / steps) for step in range(1, steps + 1)})
    sums: list[list[float]] = [[] for _ in places]
    rng = Random(SEED)
    for _ in range(resamples(count)):
        walk = list(accumulate(rng.choices(pnls, k=count)))
        for found, place in zip(sums, places, strict=True):
            found.append(walk[place - 1])
    limits = [percentiles(found) for found in sums]
    return [
        EquityLimits(markets=place, low=low, high=high)
        for place, (low, high) in zip(places, limits, strict=True)
    ]


def resamples(markets: int) -> int:
    """Number of resamples of a sample of `markets` markets."""
    return max(FEWEST, min(RESAMPLES, DRAWS // max(markets, 1)))


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """The 2.5 % and 97.5 % percentile, symmetric: as many values are below the one as above the other."""
    ordered = sorted(values)
    cut = floor(len(ordered) * 0.025)
    return ordered[cut], ordered[-1 - cut]


# --- the sample that would be needed ---------------------------------------------------------------


def detectable(even: float, markets: int) -> float | None:
    """The smallest edge that `markets` markets show with 80 % power, to a hundredth of a point; None if even
    the largest possible edge is not shown."""
    low, high = 0, round(min(even, 1 - even) * 10_000) if 0 < even < 1 else 0
    high = max(high, 10_000 - high)
    if required_markets(even, high / 10_000) > markets:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if required_markets(even, middle / 10_000) > markets:
            low = middle
        else:
            high = middle
    return high / 10_000
