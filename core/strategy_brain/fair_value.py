"""Fair probability of Up from the spot price: a digital option on an average.

The market pays Up if the settlement price A at its end is at least the strike K. With a window of
w seconds, A is the time average of the spot price over the last w seconds (w = 0: the spot itself).
For a spot price that moves as a driftless Brownian motion with σ per √second and τ seconds left,

    P(Up) = Φ( ln(M / K) / (σ √τₑ) )

where M is the current mean of A and τₑ the seconds of spot variance left in A:

    τ ≥ w:  M = S,  τₑ = (τ − w) + w/3 = τ − 2w/3
            until the window opens variance accumulates fully, inside it an average has a third
    τ < w:  ln M = ((w − τ)·ln E + τ·ln S) / w,  τₑ = (τ/w)²·τ/3 = τ³ / 3w²
            E, the average of the elapsed part of the window, is known and fixed

For the sixty-second rule this is τ − 40 and τ³/10800. If the path does not cover the elapsed part, S is used
for E; seen backwards from S that part is a Brownian motion as well, so it adds (w − τ)³ / 3w².
Both follow from Var ∫₀ᵗ W ds = t³/3 (the variance of an integrated Brownian motion).

Averages are taken of the logarithm of the price, which moves as a Brownian motion. The model is therefore
symmetric: with every price S replaced by its mirror image K²/S, P(Up) becomes P(Down). The settlement
averages the price itself; over a minute the two differ by half the variance of its logarithm, a millionth.

Not modelled: the basis between the spot source and the settlement feed, and jumps.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import compress, pairwise
from operator import attrgetter, itemgetter, sub, truediv

from core.strategy_brain.refusals import Abstention
from models import SCALE_SECONDS, DecisionContext, Frozen, Market, Outcome, Rule, Spot, Strike, Tick

AVERAGING_SECONDS = {Rule.SPOT: 0.0, Rule.TWAP30: 30.0, Rule.TWAP60: 60.0}
"""The averaging window w of each settlement rule, in seconds of market time."""

VOLATILITY_LOOKBACK = 300.0
"""Market seconds of path used for σ: a third of the market, short enough for volatility clustering."""

MIN_RETURNS = 30
"""Minimum number of returns for σ: its standard error is σ/√(2n), 13 % at thirty."""

VOLATILITY_FLOOR = 1e-5
"""Minimum σ per √second, about 6 % a year: bitcoin is never that quiet, but a lagging feed can appear so."""

MAX_PATH_GAP = 5.0
"""Longest gap, in seconds, over which the elapsed average counts as known."""

ZERO = 0.0
_second, _price, _time = attrgetter("second"), attrgetter("price"), itemgetter(0)

type Path = Sequence[tuple[float, float]]
"""(seconds of market time since the start, price in USD), oldest first."""


class FairValue(Frozen, frozen=True):
    """The terms of P(Up): prices in USD, σ per √second, τₑ in seconds."""

    expected: float
    strike: float
    volatility: float
    effective_seconds: float

    @property
    def distance(self) -> float:
        """Distance of the expected settlement above the strike, in standard deviations."""
        return math.log(self.expected / self.strike) / (self.volatility * math.sqrt(self.effective_seconds))

    @property
    def probability(self) -> float:
        """P(Up), 0 to 1."""
        return self.of(Outcome.UP)

    def of(self, outcome: Outcome) -> float:
        """The probability of an outcome, 0 to 1; Down's is computed directly, not as a rounded difference
        to 1."""
        return 0.5 * math.erfc((-self.distance if outcome is Outcome.UP else self.distance) / math.sqrt(2))


def fair_probability(
    context: DecisionContext,
    outcome: Outcome = Outcome.UP,
    known: FairValue | Abstention | None = None,
) -> float | None:
    """Probability of an outcome, 0 to 1; None if spot, strike or volatility are not available.

    `known` is the fair value of this context if it has been computed already.
    """
    value = fair_value_of(context) if known is None else known
    return value.of(outcome) if isinstance(value, FairValue) else None


def fair_value_of(context: DecisionContext) -> FairValue | Abstention:
    """`fair_value` of a frozen context."""
    return fair_value(context.market, context.second, context.spot, context.strike, context.spot_path)


def fair_value(
    market: Market, second: float, spot: Spot | None, strike: Strike | None, spot_path: Sequence[Tick]
) -> FairValue | Abstention:
    """P(Up) at a market second, or the reason why it is unknown. Later path points are not read.

    The path is read oldest first, as `SpotPath` has it.
    """
    if spot is None or spot.price <= 0:
        return Abstention(reason="no spot price")
    if strike is None or strike.price <= 0:
        return Abstention(reason="no strike")
    if strike.rule is not market.rule:
        return Abstention(reason=f"the strike is a {strike.rule} price, the market settles on {market.rule}")
    remaining = seconds_left(market, second)
    if remaining <= 0:
        return Abstention(reason="the market is over")
    scale = market.interval / SCALE_SECONDS
    path = _scaled(_read_part(market, second, spot_path), scale)
    volatility = realised_volatility(path, since=(second - VOLATILITY_LOOKBACK) * scale)
    if volatility is None:
        return Abstention(reason=f"no volatility: fewer than {MIN_RETURNS} spot returns, or a constant price")
    now = market.interval - remaining
    expected, variance_seconds = settlement_moments(
        remaining, AVERAGING_SECONDS[market.rule], float(spot.price), now, path
    )
    return FairValue(
        expected=expected,
        strike=float(strike.price),
        volatility=volatility,
        effective_seconds=variance_seconds,
    )


def _read_part(market: Market, second: float, spot_path: Sequence[Tick]) -> Sequence[Tick]:
    """The points that volatility and elapsed average read: those since the earlier of their beginnings, and
    the last one before, from which the average starts.

    Most of a path is older, and each of its points would be converted in vain.
    """
    window = AVERAGING_SECONDS[market.rule] * SCALE_SECONDS / market.interval
    # A second more: times are rounded when they are scaled.
    begin = second - max(VOLATILITY_LOOKBACK, window) - 1
    first = bisect_left(spot_path, begin, key=_second)
    while first > 0:
        first -= 1
        if spot_path[first].price > 0:
            break
    return spot_path[first : bisect_right(spot_path, second, key=_second)]


def _scaled(ticks: Sequence[Tick], scale: float) -> Path:
    """Ticks as points of a path, without those that have no price. Seconds are multiplied by `scale`."""
    prices = list(map(float, map(_price, ticks)))
    points = list(zip(map(scale.__mul__, map(_second, ticks)), prices, strict=True))
    # Comparing here and in `realised_volatility` without a loop in Python: each point costs every decision.
    return points if all(map(ZERO.__lt__, prices)) else [point for point in points if point[1] > 0]


def seconds_left(market: Market, second: float) -> float:
    """τ: seconds of market time until the end, at a market second on the 900-second scale."""
    return (SCALE_SECONDS - second) * market.interval / SCALE_SECONDS


def effective_seconds(remaining: float, window: float) -> float:
    """τₑ: seconds of spot variance left in an average over the last `window` seconds, `remaining` > 0."""
    if remaining >= window:
        return remaining - 2 * window / 3
    return remaining**3 / (3 * window**2)


def settlement_moments(
    remaining: float, window: float, spot: float, now: float, path: Path
) -> tuple[float, float]:
    """M and τₑ of the settlement price: its mean in USD and its variance in seconds of spot variance."""
    if remaining >= window:
        return spot, effective_seconds(remaining, window)
    elapsed = window - remaining
    average = elapsed_average(path, now - elapsed, now, spot)
    if average is None:
        return spot, effective_seconds(remaining, window) + effective_seconds(elapsed, window)
    return spot * (average / spot) ** (elapsed / window), effective_seconds(remaining, window)


def elapsed_average(path: Path, start: float, now: float, spot: float) -> float | None:
    """Average in USD over [start, now]: trapezoids of the path's logarithm, up to the spot price at `now`.

    The last point before `start` is used at `start`; an empty interval has the spot price. None if two
    neighbours, the spot price included, are further apart than `MAX_PATH_GAP`.
    """
    if start >= now:
        return spot
    before = [point for point in path if point[0] <= start]
    inside = [point for point in path if start < point[0] < now]
    points = [*before[-1:], *inside, (now, spot)]
    if points[0][0] > start or any(b[0] - a[0] > MAX_PATH_GAP for a, b in pairwise(points)):
        return None
    points[0] = (start, points[0][1])
    area = math.fsum(
        (b[0] - a[0]) * (math.log(a[1] / spot) + math.log(b[1] / spot)) / 2 for a, b in pairwise(points)
    )
    return spot * math.exp(area / (now - start))


def realised_volatility(path: Path, since: float) -> float | None:
    """σ per √second: square root of Σ(log return)² over Σ(seconds), at least `VOLATILITY_FLOOR`.

    This is the zero-mean realised variance per unit of time: a gap in the path has the weight of its
    duration, so missing seconds do not bias it. None with fewer than `MIN_RETURNS` returns since `since`, or
    if the price never changed: a constant feed does not measure volatility.
    """
    recent = path[bisect_left(path, since, key=_time) :]
    times, prices = zip(*recent, strict=True) if recent else ((), ())
    durations = list(map(sub, times[1:], times))
    forward = list(map(ZERO.__lt__, durations))
    returns = list(compress(map(math.log, map(truediv, prices[1:], prices)), forward))
    if len(returns) < MIN_RETURNS:
        return None
    variation = math.sumprod(returns, returns)
    if variation == 0:
        return None
    return max(math.sqrt(variation / math.fsum(compress(durations, forward))), VOLATILITY_FLOOR)
