"""Fuses several signals into one: the weighted evidence of each side, and how one-sided it is."""

import math
from collections.abc import Iterable, Mapping

from common.constants import (
    DERIBIT_PCR,
    ORDER_BOOK_IMBALANCE,
    PRICE_DIVERGENCE,
    SENTIMENT_ANALYSIS,
    SPIKE_DETECTION,
    TICK_VELOCITY,
)
from core.strategy_brain.refusals import Refusal
from models import Direction, FusedSignal, Reason, Strength, TradingSignal

REFERENCE_WEIGHTS: dict[str, float] = {
    ORDER_BOOK_IMBALANCE: 0.30,
    TICK_VELOCITY: 0.25,
    PRICE_DIVERGENCE: 0.18,
    SPIKE_DETECTION: 0.12,
    DERIBIT_PCR: 0.10,
    SENTIMENT_ANALYSIS: 0.05,
}
"""The default weights by source; their sum is 1."""


ROUNDING = 1e-9
"""Tolerance of a sum of weights against its decimal value."""


class UnknownSource(LookupError):
    """There is no weight for this name: the processors and the configuration differ."""


class FusionEngine:
    """The weight of every source, and the fusion of signals with them.

    Parameters
    ----------
    weights : Mapping[str, float]
        Weight by source, each 0 to 1. The set of sources is fixed afterwards, the weights are not.

    Raises
    ------
    ValueError
        If a weight is not a number from 0 to 1.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = {source: _checked(source, weight) for source, weight in weights.items()}

    @property
    def weights(self) -> dict[str, float]:
        """A copy of the current weights."""
        return dict(self._weights)

    def weight_of(self, source: str) -> float:
        """The weight of a source, 0 to 1. Raises `UnknownSource` for any other name."""
        if source not in self._weights:
            raise UnknownSource(f"no weight for {source!r}; known: {', '.join(sorted(self._weights))}")
        return self._weights[source]

    def set_weight(self, source: str, weight: float) -> None:
        """Change one weight. Raises ValueError outside 0 to 1, `UnknownSource` for a new name."""
        self.weight_of(source)
        self._weights[source] = _checked(source, weight)

    def fuse(self, signals: Iterable[TradingSignal]) -> FusedSignal:
        """Fuse the directional signals.

        A contribution is weight × confidence × strength / 4. The score, 100 × |bull − bear| / (bull + bear),
        is 100 if all signals agree and 0 if both sides are equal; the confidence is the weighted mean of the
        winning side's confidences. NEUTRAL signals and sources of weight 0 are ignored.

        A tie, or no signal, is NEUTRAL with score and confidence 0, so that a minimum score above 0 rejects
        it.
        """
        sides: dict[Direction, list[TradingSignal]] = {Direction.BULLISH: [], Direction.BEARISH: []}
        for signal in signals:
            if self.weight_of(signal.source) > 0 and signal.direction in sides:
                sides[signal.direction].append(signal)
        bull, bear = (math.fsum(map(self._contribution, side)) for side in sides.values())
        count = sum(map(len, sides.values()))
        if bull == bear:
            return FusedSignal(
                direction=Direction.NEUTRAL,
                score=0.0,
                confidence=0.0,
                bullish=bull,
                bearish=bear,
                signals=count,
            )
        direction = Direction.BULLISH if bull > bear else Direction.BEARISH
        return FusedSignal(
            direction=direction,
            score=100 * (abs(bull - bear) / (bull + bear)),
            confidence=self._mean_confidence(sides[direction]),
            bullish=bull,
            bearish=bear,
            signals=count,
            weight=self._weight_behind(sides[direction]),
        )

    def _weight_behind(self, side: list[TradingSignal]) -> float:
        return math.fsum(self.weight_of(signal.source) for signal in side)

    def _contribution(self, signal: TradingSignal) -> float:
        return self.weight_of(signal.source) * signal.confidence * signal.strength / Strength.VERY_STRONG

    def _mean_confidence(self, side: list[TradingSignal]) -> float:
        weighted = math.fsum(self.weight_of(signal.source) * signal.confidence for signal in side)
        return weighted / self._weight_behind(side)


def check(fused: FusedSignal, min_signals: int, min_score: float, min_weight: float = 0.0) -> Refusal | None:
    """Why the fused signal is not sufficient to trade, or None if it is.

    Parameters
    ----------
    min_signals : int
        Minimum number of directional signals with a weight above 0.
    min_score : float
        Minimum score, 0 to 100, inclusive. It measures how one-sided the vote is, not the amount of evidence.
    min_weight : float
        Minimum sum of the weights behind the winning side, 0 to 1, inclusive.
    """
    if fused.signals < min_signals:
        return Refusal(
            reason=Reason.NO_SIGNALS, detail=f"{fused.signals} directional signals, {min_signals} needed"
        )
    if fused.score < min_score:
        return Refusal(
            reason=Reason.LOW_SCORE,
            detail=f"score {fused.score:.1f} is below {min_score:g}: "
            f"bullish {fused.bullish:.4f}, bearish {fused.bearish:.4f}",
        )
    if fused.weight < min_weight - ROUNDING:
        return Refusal(
            reason=Reason.LOW_WEIGHT,
            detail=f"the {fused.direction} sources weigh {fused.weight:.3f}, {min_weight:g} needed",
        )
    return None


def _checked(source: str, weight: float) -> float:
    if not 0 <= weight <= 1:
        raise ValueError(f"weight of {source} is {weight}, must be 0 to 1")
    return weight
