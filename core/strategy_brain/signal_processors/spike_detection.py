"""Vote against a price far from its average, or with a jump that has just begun."""

from decimal import Decimal
from typing import Any

from common.constants import SPIKE_DETECTION
from core.strategy_brain.refusals import Abstention
from models import SignalType, Strength, TradingSignal

from .base_processor import (
    BaseSignalProcessor,
    Judgement,
    direction_of,
    grade,
    relative_move,
    require_positive,
)

VELOCITY_THRESHOLD = 0.03
"""Minimum relative change over two history points of a jump, and the deviation below which it is new."""
MIN_CONFIDENCE = 0.55
SPIKE_STRENGTHS = ((0.12, Strength.VERY_STRONG), (0.08, Strength.STRONG), (0.05, Strength.MODERATE))
JUMPS = ((3.0, Strength.MODERATE, 0.65), (2.0, Strength.WEAK, 0.60), (1.0, Strength.WEAK, 0.57))
"""(minimum velocity in thresholds, strength, confidence)"""


class SpikeDetectionProcessor(BaseSignalProcessor):
    """Two modes over the one-per-second history of Up mid prices.

    Deviation and velocity are relative to the favourite's price, max(mean, 1 − mean), so that a Down
    favourite is handled as its mirror image.

    Fade: p deviates from the mean of the last `lookback` points by at least the threshold t; the vote is
    against the deviation, with confidence 0.50 + 3 (|deviation| − t), at most 0.90. Below a confidence of
    0.55 it abstains, so that a spike has to exceed t by another 1⅔ percentage points. Continuation: p is near
    its mean, but changed by 3 % or more since two points before the newest.

    Parameters
    ----------
    spike_threshold : float
        Minimum relative deviation from the mean, above 0.
    lookback : int
        Points of the mean, at least 3.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    name = SPIKE_DETECTION

    def __init__(self, spike_threshold: float = 0.05, lookback: int = 20) -> None:
        require_positive(spike_threshold=spike_threshold)
        if lookback < 3:
            raise ValueError(f"lookback is {lookback}, must be at least 3")
        self.spike_threshold = spike_threshold
        self.lookback = lookback

    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        if len(historical_prices) < self.lookback:
            return Abstention(reason=f"{len(historical_prices)} prices, {self.lookback} needed")
        total = sum(historical_prices[-self.lookback :], Decimal(0))
        deviation = relative_move(self.lookback * current_price, total, self.lookback)
        velocity = relative_move(current_price, historical_prices[-3])
        if abs(deviation) >= self.spike_threshold:
            return self._fade(current_price, deviation, velocity)
        if abs(velocity) >= VELOCITY_THRESHOLD and abs(deviation) < VELOCITY_THRESHOLD:
            return self._continuation(current_price, deviation, velocity)
        return Abstention(
            reason=f"deviation {deviation:+.4f} and velocity {velocity:+.4f} are in the normal range"
        )

    def _fade(self, price: Decimal, deviation: float, velocity: float) -> Judgement:
        confidence = min(0.90, 0.50 + 3 * (abs(deviation) - self.spike_threshold))
        if confidence < MIN_CONFIDENCE:
            return Abstention(
                reason=f"deviation {deviation:+.4f} gives confidence {confidence:.3f} < {MIN_CONFIDENCE}"
            )
        strength = grade(abs(deviation), SPIKE_STRENGTHS, otherwise=Strength.WEAK)
        return TradingSignal(
            source=self.name,
            signal_type=SignalType.MEAN_REVERSION,
            direction=direction_of(-deviation),
            strength=strength,
            confidence=confidence,
            current_price=price,
            metadata={"detection_mode": "fade", "deviation": deviation, "velocity": velocity},
        )

    def _continuation(self, price: Decimal, deviation: float, velocity: float) -> TradingSignal:
        multiple = abs(velocity) / VELOCITY_THRESHOLD
        strength, confidence = next((s, c) for least, s, c in JUMPS if multiple >= least)
        return TradingSignal(
            source=self.name,
            signal_type=SignalType.MOMENTUM,
            direction=direction_of(velocity),
            strength=strength,
            confidence=confidence,
            current_price=price,
            metadata={"detection_mode": "continuation", "deviation": deviation, "velocity": velocity},
        )
