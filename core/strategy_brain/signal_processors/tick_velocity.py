"""Vote with the change of Up's price over the last half minute."""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

from common.constants import TICK_VELOCITY
from core.strategy_brain.refusals import Abstention
from models import SignalType, Strength, Tick, TradingSignal

from .base_processor import (
    BaseSignalProcessor,
    Judgement,
    direction_of,
    grade,
    relative_move,
    require_positive,
)

_second = attrgetter("second")

TOLERANCE = 15.0
"""Maximum distance in market seconds of a tick from the time that it is used for."""
MIN_TICKS = 5
MIN_CONFIDENCE = 0.55
ACCELERATION = 0.005
STRENGTHS = ((0.040, Strength.VERY_STRONG), (0.025, Strength.STRONG), (0.015, Strength.MODERATE))


class TickVelocityProcessor(BaseSignalProcessor):
    """Change of p over the last 30 market seconds, or over 60 if there is no tick 30 s ago.

    The change is relative to the favourite's earlier price, so that a Down favourite is handled as its mirror
    image; if Up is the favourite, it is the relative change of p.

    All times are market time: the ticks' seconds against the second of the decision. If both changes are
    known, an accelerating move increases the confidence and a reversed one reduces it by a fifth.

    Parameters
    ----------
    velocity_60s, velocity_30s : float
        Minimum absolute relative change over that time, above 0.

    Raises
    ------
    ValueError
        If a threshold is not above 0.
    """

    name = TICK_VELOCITY

    def __init__(self, velocity_60s: float = 0.015, velocity_30s: float = 0.010) -> None:
        require_positive(velocity_60s=velocity_60s, velocity_30s=velocity_30s)
        self.velocity_60s = velocity_60s
        self.velocity_30s = velocity_30s

    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        ticks, second = metadata.get("tick_buffer", ()), metadata.get("second")
        if second is None or len(ticks) < MIN_TICKS:
            return Abstention(reason=f"{len(ticks)} ticks, {MIN_TICKS} and their time needed")
        change_60 = _change_since(ticks, second - 60, current_price)
        change_30 = _change_since(ticks, second - 30, current_price)
        velocity, threshold = (
            (change_30, self.velocity_30s) if change_30 is not None else (change_60, self.velocity_60s)
        )
        if velocity is None:
            return Abstention(reason=f"no tick within {TOLERANCE:.0f} s of 30 or 60 s ago")
        if abs(velocity) < threshold:
            return Abstention(reason=f"velocity {velocity:+.4f} is within ±{threshold}")
        acceleration = None
        if change_30 is not None and change_60 is not None:
            acceleration = change_30 - (change_60 - change_30)
        confidence = _confidence(velocity, threshold, acceleration, change_60)
        if confidence < MIN_CONFIDENCE:
            return Abstention(
                reason=f"the move has reversed: confidence {confidence:.3f} is below {MIN_CONFIDENCE}"
            )
        return TradingSignal(
            source=self.name,
            signal_type=SignalType.MOMENTUM,
            direction=direction_of(velocity),
            strength=grade(abs(velocity), STRENGTHS, otherwise=Strength.WEAK),
            confidence=confidence,
            current_price=current_price,
            metadata={
                "velocity_60s": change_60,
                "velocity_30s": change_30,
                "acceleration": acceleration,
                "ticks_in_buffer": len(ticks),
            },
        )


def _change_since(ticks: Sequence[Tick], second: float, price: Decimal) -> float | None:
    after = bisect_left(ticks, second, key=_second)
    # The earlier one of two at the same distance.
    nearest = min(ticks[max(0, after - 1) : after + 1], key=lambda tick: abs(tick.second - second))
    if abs(nearest.second - second) > TOLERANCE:
        return None
    return relative_move(price, nearest.price)


def _confidence(
    velocity: float, threshold: float, acceleration: float | None, change_60: float | None
) -> float:
    confidence = min(0.82, 0.55 + (abs(velocity) / threshold - 1) * 0.12)
    if acceleration is not None and abs(acceleration) > ACCELERATION and acceleration * velocity > 0:
        confidence += 0.06
    if change_60 is not None and change_60 * velocity < 0:
        confidence *= 0.80
    return confidence
