"""Deflated Sharpe ratio and probability of overfitting: the papers' numbers, and second computations."""

import random
from itertools import combinations
from math import sqrt
from statistics import fmean, stdev

import pytest

from research.sweep.overfitting import (
    block_bounds,
    deflated_sharpe,
    expected_best,
    overfitting_probability,
    probabilistic_sharpe,
    sharpe,
)

DAYS = 250


def noise(seed, trials, markets, edge=0.0):
    """Series without an edge; the first one gets `edge` in each market."""
    generator = random.Random(seed)
    return [
        [generator.gauss(edge if trial == 0 else 0.0, 1.0) for _ in range(markets)] for trial in range(trials)
    ]


def test_sharpe():
    """Mean over standard deviation; 0 for equal values."""
    assert sharpe([0.3, -1.0, 0.3, 0.0]) == pytest.approx(
        fmean([0.3, -1.0, 0.3, 0.0]) / stdev([0.3, -1.0, 0.3, 0.0])
    )
    assert sharpe([0.1] * 7) == sharpe([5.0]) == 0.0


def test_the_numbers_of_bailey_and_lopez_de_prado():
    """The paper's example: five years of days, an annual ratio of 2.5, skewness −3, kurtosis 10."""
    benchmark = expected_best(100, 0.5 / DAYS)
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(2.5 / sqrt(DAYS), benchmark, 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)
    benchmark = expected_best(46, 0.5 / DAYS)
    assert probabilistic_sharpe(2.5 / sqrt(DAYS), benchmark, 1250, -3, 10) == pytest.approx(0.9505, abs=5e-5)


def test_more_trials_deflate():
    """The same series is worth less as the best of many than alone, and less than an edge is."""
    best = noise(5, 1, 200, edge=0.25)[0]
    others = [sharpe(series) for series in noise(6, 100, 200)]
    alone = deflated_sharpe(best, [sharpe(best)])
    among = deflated_sharpe(best, [sharpe(best), *others])
    assert alone > 0.99
    assert among < alone - 0.05
    assert deflated_sharpe([0.0] * 10, [0.0]) is None


def test_overfitting_equals_a_second_computation():
    """CSCV from the series themselves, each half joined and ranked anew."""
    columns = noise(9, 7, 23)
    bounds = block_bounds(23)
    below = 0
    splits = list(combinations(bounds, len(bounds) // 2))
    for inside in splits:
        outside = [part for part in bounds if part not in inside]
        ratios = [
            [sharpe([v for low, high in half for v in column[low:high]]) for column in columns]
            for half in (inside, outside)
        ]
        best = ratios[0].index(max(ratios[0]))
        rank = sum(other < ratios[1][best] for other in ratios[1]) + 1
        below += rank < 4 or 0.5 * (rank == 4)
    assert len(splits) == 252
    assert overfitting_probability(columns) == pytest.approx(below / 252)


def test_overfitting_of_noise_and_of_an_edge():
    """About one half without an edge; near 0 if one trial has one; one half if all trials are the same."""
    found = [overfitting_probability(noise(seed, 6, 20)) for seed in range(6)]
    assert 0.3 < fmean(found) < 0.7
    assert overfitting_probability(noise(1, 6, 20, edge=1.5)) < 0.02
    assert overfitting_probability([[0.5, -1.0] * 10] * 3) == 0.5


def test_too_little_for_cross_validation():
    """One trial cannot be ranked, and seven markets do not fill four blocks."""
    assert overfitting_probability(noise(1, 1, 40)) is None
    assert overfitting_probability(noise(1, 5, 7)) is None
    assert block_bounds(9) == [(0, 2), (2, 4), (4, 6), (6, 9)]
    assert len(block_bounds(18)) == 8
