"""From votes and outcomes to weights: pure, bounded, and silent until the sample speaks.

A vote is right if its direction was the outcome's. What it is measured against is the market's own price of
that direction when it was cast: whoever follows the favourite at 0.90 is right nine times in ten without
knowing anything, so only the *excess* over the price is information.
"""

from collections.abc import Iterable, Mapping
from math import copysign, fsum, log, sqrt

from feedback.evidence import MarketEvidence
from models import Frozen

LOWEST, HIGHEST = 0.05, 0.50
"""The range that learning keeps a weight in. One configured outside it is not moved further out."""

ERROR_RATE = 0.05
"""Chance, over all sources and all looks together, that a source without information is moved at all."""

MIXTURE_VARIANCE = 2.5
"""Tunes where the boundary is tightest: at about twelve times this variance of the summed votes, which is
120 votes at even odds or 330 at a price of 0.90, the size at which a strong source becomes visible."""

FULL_EFFECT = 0.10
"""Supported excess, in standard deviations of a single vote, that earns the whole way to a bound.

5 points at even odds, 3 points at a price of 0.90: more than any edge that has been measured on these
markets, so that a bound is reached by what is exceptional and not by what is usual."""


class LearningParams(Frozen, frozen=True):
    """The four learning settings.

    Attributes
    ----------
    enabled : bool
        `LEARNING_ENABLED`: off leaves the configured weights and the saved file alone.
    interval : int
        `LEARNING_TRIGGER_INTERVAL`: settled trades between two adjustments, 1 or more.
    min_trades : int
        `LEARNING_MIN_TRADES`: weight of the prior, in votes, 0 or more.
    rate : float
        `LEARNING_RATE`: part of the way to its target that a weight moves at once, above 0, at most 1.

    Raises
    ------
    ValueError
        If one is out of its range.
    """

    enabled: bool = True
    interval: int = 10
    min_trades: int = 10
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.interval < 1 or self.min_trades < 0 or not 0 < self.rate <= 1:
            raise ValueError(f"learning parameters out of range: {self}")


class Tally(Frozen, frozen=True):
    """A source's record: votes, how many were right, how many the prices expected, and their variance."""

    n: int = 0
    right: int = 0
    expected: float = 0.0
    variance: float = 0.0

    def plus(self, right: bool, chance: float) -> "Tally":
        """With one more vote, whose outcome the market gave the probability `chance`."""
        return Tally(
            n=self.n + 1,
            right=self.right + right,
            expected=self.expected + chance,
            variance=self.variance + chance * (1 - chance),
        )


class SourceEvidence(Frozen, frozen=True):
    """What is known about a source, and what follows.

    Attributes
    ----------
    n, right : int
        Votes cast in settled markets, and how many named the outcome.
    expected : float
        How many would have been right if the prices said all there was to know.
    posterior : float | None
        Posterior mean of the chance that a vote is right, the prior centred on the price; None without votes.
    supported : float
        The part of the posterior's excess over the price that chance does not explain, in probability.
    share : float
        That part as the way to go from the configured weight, before the sum is restored: 1 all the way to
        the upper bound, −1 to the lower.
    """

    n: int
    right: int
    expected: float
    posterior: float | None
    supported: float
    share: float


def tally(markets: Iterable[MarketEvidence], start: Mapping[str, Tally]) -> dict[str, Tally]:
    """The records of `start` with these markets added; votes of sources not in it are left out."""
    tallies = dict(start)
    for market in markets:
        for source, vote in market.votes.items():
            if source in tallies:
                tallies[source] = tallies[source].plus(vote is market.winner, market.chance(vote))
    return tallies


def boundary(variance: float, sources: int) -> float:
    """How far right − expected of a source without information may stray, in votes, at any time.

    √((V + ρ)(ln((V + ρ)/ρ) + 2 ln(1/α))), V the variance that the prices imply, ρ `MIXTURE_VARIANCE`, and
    α `ERROR_RATE` over the number of sources (Bonferroni). If prices are fair and votes know nothing more,
    right − expected is a martingale; this line, from mixing over normal alternatives, is crossed *ever*
    with a chance of at most α, so that looking after every tenth trade costs nothing. A fixed number of
    standard errors would be crossed sooner or later by every source.

    Source: H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
    Mathematical Statistics 41 (1970); Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric,
    nonasymptotic confidence sequences", Annals of Statistics 49 (2021), eq. 14. It is derived for normal
    increments; for votes at prices far from one half the tests measure that it still holds.
    """
    ratio = (variance + MIXTURE_VARIANCE) / MIXTURE_VARIANCE
    return sqrt((variance + MIXTURE_VARIANCE) * (log(ratio) + 2 * log(sources / ERROR_RATE)))


def appraise(record: Tally, sources: int, min_trades: int) -> SourceEvidence:
    """What a record supports.

    The posterior is that of a Beta prior worth `min_trades` votes around the mean price of this source's
    votes: (right + k × expected/n) / (n + k), its excess (right − expected) / (n + k). Source: the
    beta-binomial model, for example Gelman et al., "Bayesian Data Analysis", section 2.4. Of the excess
    only what lies beyond `boundary` is supported.
    """
    if record.n == 0:
        return SourceEvidence(n=0, right=0, expected=0.0, posterior=None, supported=0.0, share=0.0)
    weight = record.n + min_trades
    excess = record.right - record.expected
    beyond = max(0.0, abs(excess) - boundary(record.variance, sources))
    supported = copysign(beyond, excess) / weight if beyond else 0.0
    effect = supported / sqrt(record.variance / record.n)
    return SourceEvidence(
        n=record.n,
        right=record.right,
        expected=record.expected,
        posterior=(record.right + min_trades * record.expected / record.n) / weight,
        supported=supported,
        share=min(max(effect / FULL_EFFECT, -1.0), 1.0),
    )


def adjusted_weights(
    current: Mapping[str, float],
    base: Mapping[str, float],
    tallies: Mapping[str, Tally],
    params: LearningParams,
) -> tuple[dict[str, float], dict[str, SourceEvidence]]:
    """One step: the new weights, and the evidence for them.

    Each source has a target between its bounds, as far from its configured weight as its record supports;
    the targets are brought to the configured sum by `project`, and the weights move `params.rate` of the way.
    A source configured to 0 was switched off by the operator and stays at 0.

    Parameters
    ----------
    current : Mapping[str, float]
        The weights now: within `bounds` of `base`, and of the same sum.
    base : Mapping[str, float]
        The configured weights, by source.
    tallies : Mapping[str, Tally]
        The record of every source in `base`.
    params : LearningParams
    """
    active = [source for source, weight in base.items() if weight > 0]
    evidence = {source: appraise(tallies[source], max(len(active), 1), params.min_trades) for source in base}
    wished = {source: _wished(base[source], evidence[source].share) for source in active}
    target = project(wished, {source: base[source] for source in active})
    moved = {
        source: current[source] + params.rate * (target[source] - current[source])
        if source in target
        else 0.0
        for source in base
    }
    return moved, evidence


def bounds(configured: float) -> tuple[float, float]:
    """Lowest and highest weight that learning may give a source, from its configured one."""
    return (0.0, 0.0) if configured == 0 else (min(LOWEST, configured), max(HIGHEST, configured))


def project(wished: Mapping[str, float], base: Mapping[str, float]) -> dict[str, float]:
    """The wished weights, all above 0, brought to the sum of `base`, every one within its `bounds`.

    Each becomes clip(λ × wished), with the one λ at which the sum is right: what one source gains, the others
    give up in proportion, and those at a bound give nothing. The sum rises with λ in straight pieces between
    the points where a weight meets a bound; the piece is found among these points, and λ on it by a straight
    line. These are the weights of that sum and range that have the least relative entropy to the wished ones.
    """
    if not base:
        return {}
    total = fsum(base.values())
    limits = [(wished[source], *bounds(weight)) for source, weight in base.items()]

    def at(scale: float) -> list[float]:
        return [min(max(scale * wish, low), high) for wish, low, high in limits]

    kinks = sorted(bound / wish for wish, low, high in limits for bound in (low, high))
    sums = [fsum(at(kink)) for kink in kinks]
    upper = next((i for i, found in enumerate(sums) if found >= total), len(kinks) - 1)
    lower = max(upper - 1, 0)
    rise = sums[upper] - sums[lower]
    part = (total - sums[lower]) / rise if rise > 0 else 1.0
    return dict(zip(base, at(kinks[lower] + part * (kinks[upper] - kinks[lower])), strict=True))


def _wished(configured: float, share: float) -> float:
    low, high = bounds(configured)
    return configured + share * (high - configured if share > 0 else configured - low)
