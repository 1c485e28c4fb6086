"""The best points of a sweep, over all markets and in walk-forward folds, and what each is worth. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from statistics import fmean

from errors import Fatal
from models import Frozen
from monitoring.statistics import required_markets
from research.sweep.overfitting import deflated_sharpe, overfitting_probability, sharpe
from research.sweep.results import MarketSummary, PointResult

ZERO = Decimal(0)
LEAST_PER_FOLD = 2


class Totals(Frozen, frozen=True):
    """A point's sums over some markets, pUSD; `sharpe` is per market, not annualised."""

    markets: int
    trades: int
    won: int
    staked: Decimal
    fees: Decimal
    pnl: Decimal
    sharpe: float
    needed: int | None
    """Traded markets from which an edge of two points could show; None without a trade."""


class Winner(Frozen, frozen=True):
    """The point with the highest Sharpe ratio over some markets.

    Attributes
    ----------
    name : str
        `all`, or the fold: `fold 1`.
    point : int
        Number of the point in the grid, from 0; the first one if several are equal.
    chosen, tested : Totals
        Over the markets on which it was chosen, and over those that follow; None for `all`.
    trials : int
        All combinations of settings that were tried on these recordings.
    deflated : float or None
        Probability that its Sharpe ratio is above what the best of so many trials reaches without an edge.
    overfitting : float or None
        Probability that the best point of one half of the markets is below the median on the other half.
    """

    name: str
    point: int
    chosen: Totals
    tested: Totals | None
    trials: int
    deflated: float | None
    overfitting: float | None


def totals(markets: Sequence[MarketSummary]) -> Totals:
    """The sums over these markets."""
    traded = [market for market in markets if market.side is not None]
    return Totals(
        markets=len(markets),
        trades=len(traded),
        won=sum(market.pnl > 0 for market in traded),
        staked=sum((market.cost for market in traded), ZERO),
        fees=sum((market.fee for market in traded), ZERO),
        pnl=sum((market.pnl for market in traded), ZERO),
        sharpe=sharpe([float(market.pnl) for market in markets]),
        needed=required_markets(fmean(map(_break_even, traded))) if traded else None,
    )


def _break_even(market: MarketSummary) -> float:
    return min(float((market.cost + market.fee) / market.shares), 1.0)


def check_folds(folds: int, markets: int) -> None:
    """Raise `Fatal` if there are too few markets for this number of folds."""
    if folds < 0 or (folds and markets < LEAST_PER_FOLD * (folds + 1)):
        most = max(markets // LEAST_PER_FOLD - 1, 0)
        raise Fatal(
            f"--folds is {folds}, allowed: 0 to {most}, because {markets} markets are recorded and each part"
            f" has at least {LEAST_PER_FOLD}",
            f"Use --folds {most} or fewer, or more recordings",
        )


def winners(points: Sequence[PointResult], trials: Sequence[PointResult], folds: int) -> list[Winner]:
    """The winner over all markets, then those of the folds.

    In fold k of K the point is chosen on the first k of K + 1 parts of the markets, and tested on the next
    part: no market is used before its time.

    Parameters
    ----------
    points
        The grid's results, in its order.
    trials
        Results of the other combinations that were tried on the same recordings.
    """
    count = len(points[0].markets)
    edges = [count * part // (folds + 1) for part in range(folds + 2)]
    found = [_winner("all", points, trials, count, count)]
    for fold in range(1, folds + 1):
        found.append(_winner(f"fold {fold}", points, trials, edges[fold], edges[fold + 1]))
    return found


def _winner(
    name: str, points: Sequence[PointResult], trials: Sequence[PointResult], chosen: int, end: int
) -> Winner:
    series = [point.series[:chosen] for point in points]
    ratios = [sharpe(values) for values in series]
    best = max(range(len(points)), key=lambda number: ratios[number])
    others = [sharpe(trial.series[:chosen]) for trial in trials]
    markets = points[best].markets
    return Winner(
        name=name,
        point=best,
        chosen=totals(markets[:chosen]),
        tested=totals(markets[chosen:end]) if end > chosen else None,
        trials=len(ratios) + len(others),
        deflated=deflated_sharpe(series[best], [*ratios, *others]),
        overfitting=overfitting_probability(series),
    )
