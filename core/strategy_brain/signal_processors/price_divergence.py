"""Vote towards the fair probability of Up if it differs from the price of Up."""

from decimal import Decimal
from typing import Any

from common.constants import PRICE_DIVERGENCE
from core.strategy_brain.fair_value import FairValue, fair_value
from core.strategy_brain.metadata import why_absent
from core.strategy_brain.refusals import Abstention
from models import Outcome, SignalType, Strength, TradingSignal

from .base_processor import BaseSignalProcessor, Judgement, direction_of, grade, require_positive

STRENGTHS = ((3.0, Strength.STRONG), (2.0, Strength.MODERATE))
"""By the gap in multiples of the threshold."""


class PriceDivergenceProcessor(BaseSignalProcessor):
    """|P − p| of at least the threshold, with P from `fair_value`; the direction is that of P − p.

    With k the gap in units of the threshold, confidence is 0.55 + 0.08 (k − 1), at most 0.71 from k = 3 on.

    Parameters
    ----------
    divergence_threshold : float
        Minimum absolute difference of the probabilities of a signal, above 0.

    Raises
    ------
    ValueError
        If the threshold is not above 0.
    """

    name = PRICE_DIVERGENCE

    def __init__(self, divergence_threshold: float = 0.05) -> None:
        require_positive(divergence_threshold=divergence_threshold)
        self.divergence_threshold = divergence_threshold

    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        market, second = metadata.get("market"), metadata.get("second")
        if market is None or second is None:
            return Abstention(reason="no market and market time given")
        for key, what in (("spot", "spot price"), ("strike", "strike")):
            if metadata.get(key) is None:
                return Abstention(reason=why_absent(metadata, key, what))
        fair: FairValue | Abstention | None = metadata.get("fair_value")
        if fair is None:
            path = metadata.get("spot_path", ())
            fair = fair_value(market, second, metadata["spot"], metadata["strike"], path)
        if isinstance(fair, Abstention):
            return fair
        gap = _gap(fair, current_price)
        if abs(gap) < self.divergence_threshold:
            return Abstention(
                reason=f"fair {fair.probability:.3f} is within {self.divergence_threshold} of {current_price}"
            )
        multiple = abs(gap) / self.divergence_threshold
        return TradingSignal(
            source=self.name,
            signal_type=SignalType.PRICE_DIVERGENCE,
            direction=direction_of(gap),
            strength=grade(multiple, STRENGTHS, otherwise=Strength.WEAK),
            confidence=0.55 + 0.08 * min(multiple - 1, 2.0),
            current_price=current_price,
            metadata={
                "fair_probability": fair.probability,
                "gap": gap,
                "expected_settlement": fair.expected,
                "strike": fair.strike,
                "volatility": fair.volatility,
                "effective_seconds": fair.effective_seconds,
            },
        )


def _gap(fair: FairValue, price: Decimal) -> float:
    """P − p, computed for the favourite's side, because 1 − float is rounded differently."""
    if price < 1 - price:
        return float(1 - price) - fair.of(Outcome.DOWN)
    return fair.of(Outcome.UP) - float(price)
