"""An interval for the edge of a running test that stays valid however often it is looked at."""

from collections.abc import Iterable
from math import log, sqrt

from execution.ledger import TradeRow
from models import Frozen
from monitoring.statistics import break_even

ERROR = 0.05
"""Probability that the interval excludes the edge at any time of the test."""
LARGEST_STEP = 0.5


class ConfidenceSequence(Frozen, frozen=True):
    """The interval after `n` observations, each a fraction of 1: win rate above break-even.

    Attributes
    ----------
    n : int
        Observations: distinct markets.
    mean : float
        The weighted mean of (win − break-even probability); the centre of the interval before it is limited.
    low, high : float
        Limits of the interval, within −1 to 1.
    """

    n: int
    mean: float
    low: float
    high: float


def confidence_sequence(
    observations: Iterable[tuple[float, float]], error: float = ERROR
) -> ConfidenceSequence | None:
    """The predictable plug-in empirical-Bernstein confidence sequence of the edge; None without observations.

    An ordinary 95 % interval is valid at one sample size that was chosen before. This one holds at all sample
    sizes at once: the probability that it *ever* excludes the edge is at most `error`, so that a test may be
    looked at after every market and stopped at any time.

    Source: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B
    86 (2024, first published 2023), theorem 2: Σλx/Σλ ± (log(2/α) + Σ v ψ(λ))/Σλ, with
    v = 4 (x − prediction)², ψ(λ) = (−log(1 − λ) − λ)/4 and λ chosen from the observations before. Here x is
    the payout of a share, 0 to 1, its conditional mean is break-even + edge, and the prediction is
    break-even + mean edge so far. The edge may differ between markets: the interval is for its mean with the
    weights λ, and is therefore not intersected with the earlier ones.

    Parameters
    ----------
    observations : Iterable of (float, float)
        (payout per share, break-even probability), each 0 to 1, in the order of the settlements.
    """
    n, excess, squares = 0, 0.0, 0.25
    weights = weighted = variance = 0.0
    for paid, even in observations:
        n += 1
        predicted = min(max(even + excess / n, 0.0), 1.0)
        step = min(sqrt(2 * log(2 / error) / (squares * log(1 + n))), LARGEST_STEP)
        surprise = (paid - predicted) ** 2
        weights += step
        weighted += step * (paid - even)
        variance += surprise * (-log(1 - step) - step)
        excess += paid - even
        squares += surprise
    if not n:
        return None
    mean, margin = weighted / weights, (log(2 / error) + variance) / weights
    return ConfidenceSequence(n=n, mean=mean, low=max(-1.0, mean - margin), high=min(1.0, mean + margin))


def edge_sequence(trades: Iterable[TradeRow]) -> ConfidenceSequence | None:
    """The confidence sequence of settled trades; of the trades on one event only the first one counts."""
    settled = [trade for trade in trades if trade.settled_ns is not None and trade.payout is not None]
    settled.sort(key=lambda trade: (trade.settled_ns, trade.created_ns, trade.intent_id))
    first: dict[str, TradeRow] = {}
    for trade in settled:
        first.setdefault(trade.event, trade)
    return confidence_sequence(
        (float((trade.payout or 0) / trade.shares), break_even(trade)) for trade in first.values()
    )
