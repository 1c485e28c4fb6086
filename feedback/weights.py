"""Computes weights from votes and outcomes: pure, limited, and without effect until the evidence is
significant.

A vote is right if its direction is the outcome. It is compared with the market's own price of that direction
at the time of the vote: a source that follows the favourite at 0.90 is right nine times in ten without any
information, so only the *excess* over the price is evidence.
"""

from collections.abc import Iterable, Mapping
from math import copysign, fsum, log, sqrt

from feedback.evidence import MarketEvidence
from models import Frozen

LOWEST, HIGHEST = 0.05, 0.50
"""The range of a learned weight. A weight configured outside of it is not moved further out."""

ERROR_RATE = 0.05
"""Probability, over all sources and all evaluations, that a source without information is moved at all."""

MIXTURE_VARIANCE = 2.5
"""Determines where the boundary is tightest: at about twelve times this variance of the summed votes, which
is 120 votes at even odds or 330 at a price of 0.90, the sample size at which a strong source is
distinguishable."""

FULL_EFFECT = 0.10
"""Supported excess, in standard deviations of a single vote, with which the target is the bound itself.

5 points at even odds, 3 points at a price of 0.90: more than any edge measured on these markets, so that a
bound is reached by exceptional sources only."""


class LearningParams(Frozen, frozen=True):
    """The four learning settings.

    Attributes
    ----------
    enabled : bool
        `LEARNING_ENABLED`: if False, the configured weights are used and the saved file is not changed.
    interval : int
        `LEARNING_TRIGGER_INTERVAL`: settled trades between two adjustments, 1 or more.
    min_trades : int
        `LEARNING_MIN_TRADES`: weight of the prior, in votes, 0 or more.
    rate : float
        `LEARNING_RATE`: fraction of the distance to its target that a weight moves per step, above 0, at most
        1.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    enabled: bool = True
    interval: int = 10
    min_trades: int = 10
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.interval < 1 or self.min_trades < 0 or not 0 < self.rate <= 1:
            raise ValueError(f"learning parameters out of range: {self}")


class Tally(Frozen, frozen=True):
    """A source's record: votes, how many were right, the expected number by the prices, and their
    variance."""

    n: int = 0
    right: int = 0
    expected: float = 0.0
    variance: float = 0.0

    def plus(self, right: bool, chance: float) -> "Tally":
        """The tally with one more vote, whose outcome the market gave the probability `chance`."""
        return Tally(
            n=self.n + 1,
            right=self.right + right,
            expected=self.expected + chance,
            variance=self.variance + chance * (1 - chance),
        )


class SourceEvidence(Frozen, frozen=True):
    """The evidence about a source, and its effect.

    Attributes
    ----------
    n, right : int
        Votes in settled markets, and how many were right.
    expected : float
        How many would have been right if the prices were the true probabilities.
    posterior : float | None
        Posterior mean of the probability that a vote is right, prior centred on the price; None without
        votes.
    supported : float
        The part of the posterior's excess over the price that exceeds the boundary, as a probability.
    share : float
        That part as a fraction of the distance from the configured weight, before the sum is restored: 1 is
        the upper bound, −1 the lower.
    """

    n: int
    right: int
    expected: float
    posterior: float | None
    supported: float
    share: float


def tally(markets: Iterable[MarketEvidence], start: Mapping[str, Tally]) -> dict[str, Tally]:
    """The records of `start` with these markets added; votes of other sources are ignored."""
    tallies = dict(start)
    for market in markets:
        for source, vote in market.votes.items():
            if source in tallies:
                tallies[source] = tallies[source].plus(vote is market.winner, market.chance(vote))
    return tallies


def boundary(variance: float, sources: int) -> float:
    """Maximum deviation of right − expected of a source without information, in votes, at any time.

    √((V + ρ)(ln((V + ρ)/ρ) + 2 ln(1/α))), V the variance that the prices imply, ρ `MIXTURE_VARIANCE`, and α
    `ERROR_RATE` over the number of sources (Bonferroni). If prices are fair and votes have no other
    information, right − expected is a martingale; the probability that it *ever* crosses this boundary, which
    follows from mixing over normal alternatives, is at most α, so that an evaluation after every tenth trade
    is valid. Every source would eventually cross a fixed number of standard errors.

    Source: H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
    Mathematical Statistics 41 (1970); Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric,
    nonasymptotic confidence sequences", Annals of Statistics 49 (2021), eq. 14. It is derived for normal
    increments; for votes at prices far from one half the tests verify it empirically.
    """
    ratio = (variance + MIXTURE_VARIANCE) / MIXTURE_VARIANCE
    return sqrt((variance + MIXTURE_VARIANCE) * (log(ratio) + 2 * log(sources / ERROR_RATE)))


def appraise(record: Tally, sources: int, min_trades: int) -> SourceEvidence:
    """Evaluate a record.

    The posterior is that of a Beta prior worth `min_trades` votes around the mean price of this source's
    votes: (right + k × expected/n) / (n + k), its excess (right − expected) / (n + k). Source: the
    beta-binomial model, for example Gelman et al., "Bayesian Data Analysis", section 2.4. Only the part of
    the excess beyond `boundary` is supported.
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
    `project` scales the targets to the configured sum, and the weights move by `params.rate` of the distance.
    A source configured with weight 0 is switched off and stays at 0.

    Parameters
    ----------
    current : Mapping[str, float]
        The current weights: within `bounds` of `base`, and with the same sum.
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
    """Lowest and highest weight of a source, from its configured weight."""
    return (0.0, 0.0) if configured == 0 else (min(LOWEST, configured), max(HIGHEST, configured))


def project(wished: Mapping[str, float], base: Mapping[str, float]) -> dict[str, float]:
    """Scale the desired weights, all above 0, to the sum of `base`, each within its `bounds`.

    Each becomes clip(λ × wished), with the λ for which the sum is right: the gain of one source is taken from
    the others in proportion, except from those at a bound. The sum is piecewise linear in λ, with kinks where
    a weight reaches a bound; the right piece is found among the kinks, and λ by linear interpolation. Of all
    weights with that sum and range the result has the least relative entropy to the desired ones.
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
