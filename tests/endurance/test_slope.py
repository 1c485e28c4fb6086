"""The slope of a trend: known lines, outliers, and the width of its interval."""

import math
from random import Random

import pytest

from tests.endurance.slope import theil_sen


def test_a_line_has_its_own_slope_and_no_interval() -> None:
    """Without noise all pairs agree."""
    slope = theil_sen([(x / 4, 100 + 0.5 * x) for x in range(20)])
    assert slope is not None
    assert slope == pytest.approx((2.0, 2.0, 2.0))


def test_a_step_and_an_outlier_do_not_move_it() -> None:
    """Least squares would make 3.3 of this flat line with one reading of 1000."""
    points = [(float(x), 100.0) for x in range(20)]
    points[17] = (17.0, 1000.0)
    slope = theil_sen(points)
    assert slope is not None
    assert slope.value == 0.0


def test_fewer_than_three_points_have_no_slope() -> None:
    """Neither have points of one moment."""
    assert theil_sen([(0.0, 1.0), (1.0, 2.0)]) is None
    assert theil_sen([(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]) is None


def test_the_interval_covers_the_true_slope_in_95_of_100_cases() -> None:
    """400 noisy lines with slope 3: a binomial count of 380 with standard deviation 4.4."""
    random, covered = Random(7), 0
    for _ in range(400):
        slope = theil_sen([(x, 3 * x + random.gauss(0, 5)) for x in range(12)])
        assert slope is not None
        assert slope.low <= slope.value <= slope.high
        covered += slope.low <= 3 <= slope.high
    assert abs(covered - 380) < 4 * math.sqrt(400 * 0.95 * 0.05)
