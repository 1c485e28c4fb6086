"""What the best of many trials is worth: the deflated Sharpe ratio and the probability of overfitting. Pure.

A series is the P&L of one trial per market, in time order; a market that was not traded counts as 0.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import e, sqrt
from statistics import NormalDist, variance

_NORMAL = NormalDist()
EULER = 0.5772156649015329
MOST_BLOCKS = 12
"""924 splits; the paper's example has 16 blocks, whose 12,870 splits take fourteen times as long."""
LEAST_PER_BLOCK = 2


def sharpe(series: Sequence[float]) -> float:
    """Mean over sample standard deviation per market, not annualised; 0 if all values are equal."""
    n = len(series)
    return _sharpe_of_sums(n, sum(series), sum(value * value for value in series))


def _sharpe_of_sums(n: int, total: float, squares: float) -> float:
    if n < 2:
        return 0.0
    mean = total / n
    spread = (squares - total * mean) / (n - 1)
    # Equal values differ by rounding only; their ratio would be meaningless.
    return 0.0 if spread <= 1e-18 + 1e-12 * mean * mean else mean / sqrt(spread)


def expected_best(trials: int, spread: float) -> float:
    """The Sharpe ratio that the best of independent trials without any edge is expected to reach.

    Source: D. Bailey and M. López de Prado, "The deflated Sharpe ratio: correcting for selection bias,
    backtest overfitting and non-normality", Journal of Portfolio Management 40 (2014):
    √V ((1 − γ) Z⁻¹(1 − 1/N) + γ Z⁻¹(1 − 1/(N e))), γ the Euler-Mascheroni constant.

    Parameters
    ----------
    trials : int
        N, all trials that were made.
    spread : float
        V, the variance of their Sharpe ratios.
    """
    if trials < 2:
        return 0.0
    quantiles = (1 - EULER) * _NORMAL.inv_cdf(1 - 1 / trials) + EULER * _NORMAL.inv_cdf(1 - 1 / (trials * e))
    return sqrt(spread) * quantiles


def probabilistic_sharpe(ratio: float, benchmark: float, n: int, skewness: float, kurtosis: float) -> float:
    """The probability that the true Sharpe ratio is above a benchmark, for returns that are not normal.

    Source: as `expected_best`: Φ((SR − SR₀) √(T − 1) / √(1 − γ₃ SR + (γ₄ − 1)/4 SR²)).

    Parameters
    ----------
    ratio, benchmark : float
        SR and SR₀, per observation.
    n : int
        T, the observations.
    skewness, kurtosis : float
        γ₃ and γ₄ of the observations; 0 and 3 for a normal distribution.
    """
    error = sqrt(max(1 - skewness * ratio + (kurtosis - 1) / 4 * ratio * ratio, 1e-12))
    return _NORMAL.cdf((ratio - benchmark) * sqrt(n - 1) / error)


def deflated_sharpe(series: Sequence[float], ratios: Sequence[float]) -> float | None:
    """The probability that the best trial's true Sharpe ratio is above what selection alone would give.

    None if the series has no spread. Close to 1: unlikely to be the luck of the best of so many trials.

    Parameters
    ----------
    series : Sequence[float]
        P&L per market of the best trial.
    ratios : Sequence[float]
        The Sharpe ratios of all trials, the best one included. Correlated trials count as independent ones,
        which makes the result smaller.
    """
    ratio = sharpe(series)
    if ratio == 0.0:
        return None
    n, mean = len(series), sum(series) / len(series)
    second, third, fourth = (sum((value - mean) ** power for value in series) / n for power in (2, 3, 4))
    spread = variance(ratios) if len(ratios) > 1 else 0.0
    benchmark = expected_best(len(ratios), spread)
    return probabilistic_sharpe(ratio, benchmark, n, third / second**1.5, fourth / second**2)


def overfitting_probability(columns: Sequence[Sequence[float]]) -> float | None:
    """The probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV).

    The markets are cut into an even number of blocks. In each split one half of the blocks is in the sample:
    the trial with the best Sharpe ratio there is ranked among all trials by its Sharpe ratio on the other
    half. The result is the share of the splits in which it is below the median; a rank on the median counts
    one half, and of several best trials each counts its part.

    Source: D. Bailey, J. Borwein, M. López de Prado and Q. J. Zhu, "The probability of backtest overfitting",
    Journal of Computational Finance 20 (2017, first published 2015).

    Parameters
    ----------
    columns : Sequence[Sequence[float]]
        One series per trial, all of the same length.

    Returns
    -------
    float or None
        None with fewer than two trials, or too few markets for four blocks.
    """
    blocks = block_bounds(len(columns[0])) if columns else []
    if len(columns) < 2 or not blocks:
        return None
    sums = [
        [
            (sum(part), sum(value * value for value in part))
            for low, high in blocks
            for part in [column[low:high]]
        ]
        for column in columns
    ]
    sizes = [high - low for low, high in blocks]
    splits = list(combinations(range(len(blocks)), len(blocks) // 2))
    return sum(_overfitted(sums, sizes, split) for split in splits) / len(splits)


def block_bounds(markets: int) -> list[tuple[int, int]]:
    """Consecutive blocks of nearly equal size, (first, end) each; empty if there are too few markets."""
    count = min(MOST_BLOCKS, markets // LEAST_PER_BLOCK // 2 * 2)
    if count < 4:
        return []
    edges = [markets * number // count for number in range(count + 1)]
    return list(pairwise(edges))


def _overfitted(
    sums: Sequence[Sequence[tuple[float, float]]], sizes: Sequence[int], split: tuple[int, ...]
) -> float:
    """How far the best trials of one half are below the median of the other: 1, 0, or a part for ties."""
    inside = [_ratio(column, sizes, split) for column in sums]
    rest = tuple(number for number in range(len(sizes)) if number not in split)
    outside = [_ratio(column, sizes, rest) for column in sums]
    best = max(inside)
    chosen = [value for value, found in zip(outside, inside, strict=True) if found == best]
    return sum(_below_median(value, outside) for value in chosen) / len(chosen)


def _ratio(column: Sequence[tuple[float, float]], sizes: Sequence[int], part: tuple[int, ...]) -> float:
    total = sum(column[number][0] for number in part)
    squares = sum(column[number][1] for number in part)
    return _sharpe_of_sums(sum(sizes[number] for number in part), total, squares)


def _below_median(value: float, values: Sequence[float]) -> float:
    lower = sum(other < value for other in values)
    higher = sum(other > value for other in values)
    return 0.5 if lower == higher else float(lower < higher)
