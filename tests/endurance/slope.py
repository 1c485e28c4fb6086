"""A slope that outliers do not move, with its interval. Pure."""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

Z_95 = 1.959964


class Slope(NamedTuple):
    """Change of y per unit of x: the estimate, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def theil_sen(points: Sequence[tuple[float, float]]) -> Slope | None:
    """The median of the slopes between all pairs of points; None for fewer than three.

    The interval is Sen's (Journal of the American Statistical Association 63, 1968): the slopes whose ranks
    are as far from the middle as Kendall's S can be without a trend. It assumes independent errors, so the
    points must not be samples of the same moment.
    """
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)
    number = len(points)
    if number < 3 or not slopes:
        return None
    spread = Z_95 * math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    last = len(slopes) - 1
    low = max(0, math.floor((len(slopes) - spread) / 2))
    high = min(last, math.ceil((len(slopes) + spread) / 2))
    return Slope(median(slopes), slopes[low], slopes[high])
