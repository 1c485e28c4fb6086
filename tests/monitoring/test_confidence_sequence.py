"""The confidence sequence: its formula, its coverage at all times, and what it counts."""

import random
from math import log, sqrt

import pytest

from monitoring.confidence_sequence import confidence_sequence


def literal(observations, error):
    """The interval of theorem 2, with each of its sums written out."""
    x = [paid for paid, _ in observations]
    b = [even for _, even in observations]
    predictions, steps = [], []
    for i in range(len(x)):
        before = sum(x[j] - b[j] for j in range(i)) / (i + 1)
        predictions.append(max(0.0, min(1.0, b[i] + before)))
        variance = (0.25 + sum((x[j] - predictions[j]) ** 2 for j in range(i))) / (i + 1)
        steps.append(min(0.5, sqrt(2 * log(2 / error) / (variance * (i + 1) * log(i + 2)))))
    psi = [(-log(1 - step) - step) / 4 for step in steps]
    v = [4 * (x[i] - predictions[i]) ** 2 for i in range(len(x))]
    centre = sum(step * (x[i] - b[i]) for i, step in enumerate(steps)) / sum(steps)
    half = (log(2 / error) + sum(v[i] * psi[i] for i in range(len(x)))) / sum(steps)
    return centre, centre - half, centre + half


def history(seed, length, edge):
    """Wins of markets whose true chance is `edge` above their break-even, which is between 0.6 and 0.95."""
    generator = random.Random(seed)
    for _ in range(length):
        even = generator.uniform(0.6, 0.95)
        yield float(generator.random() < min(even + edge, 1.0)), even


def test_the_formula():
    """Equals the theorem's sums, written out separately."""
    observations = list(history(3, 300, 0.02))
    found = confidence_sequence(observations)
    centre, low, high = literal(observations, 0.05)
    assert found.n == 300
    assert (found.mean, found.low, found.high) == pytest.approx((centre, low, high), abs=1e-12)


def test_it_rarely_ever_excludes_the_edge():
    """In at most 5 % of seeded histories does the interval exclude the true edge after any market."""
    excluded = 0
    for seed in range(80):
        observations = list(history(seed, 120, 0.03))
        prefixes = (confidence_sequence(observations[:n]) for n in range(1, 121, 17))
        excluded += any(not found.low <= 0.03 <= found.high for found in prefixes)
    assert excluded <= 4


def test_it_finds_an_edge_at_last():
    """A large edge is found, and the interval narrows with the markets."""
    few = confidence_sequence(history(1, 50, 0.05))
    many = confidence_sequence(history(1, 5000, 0.05))
    assert few.low < 0 < many.low < 0.05 < many.high
    assert many.high - many.low < (few.high - few.low) / 4


def test_no_observation():
    """Without a settled trade there is no interval."""
    assert confidence_sequence([]) is None
