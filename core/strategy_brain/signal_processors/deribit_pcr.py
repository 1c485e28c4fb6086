"""Contrarian vote from the put/call ratio: many puts are bullish, many calls bearish."""

import math
from decimal import Decimal
from typing import Any

from common.constants import DERIBIT_PCR
from core.strategy_brain.metadata import why_absent
from core.strategy_brain.refusals import Abstention
from models import Direction, PutCall, SignalType, Strength, TradingSignal

from .base_processor import BaseSignalProcessor, Judgement, grade

FEAR_STRENGTHS = ((1.60, Strength.VERY_STRONG), (1.40, Strength.STRONG))
GREED_STRENGTHS = ((-0.45, Strength.VERY_STRONG), (-0.55, Strength.STRONG))
"""By the negated ratio: the lower the ratio, the stronger."""


class DeribitPCRProcessor(BaseSignalProcessor):
    """Put/call open-interest ratio of the near expiries, or of all expiries if the near ones have none.

    Confidence is 0.57 + 0.15 × the relative distance beyond the threshold, at most 0.80.

    Parameters
    ----------
    bullish_pcr : float
        Ratio at or above which the signal is bullish.
    bearish_pcr : float
        Ratio at or below which the signal is bearish; above 0 and below `bullish_pcr`.

    Raises
    ------
    ValueError
        If the thresholds are not in that order.
    """

    name = DERIBIT_PCR

    def __init__(self, bullish_pcr: float = 1.20, bearish_pcr: float = 0.70) -> None:
        if not 0 < bearish_pcr < bullish_pcr < math.inf:
            raise ValueError(
                f"bearish_pcr {bearish_pcr} must lie above 0 and below bullish_pcr {bullish_pcr}"
            )
        self.bullish_pcr = bullish_pcr
        self.bearish_pcr = bearish_pcr

    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        ratios: PutCall | None = metadata.get("put_call")
        if ratios is None:
            return Abstention(reason=why_absent(metadata, "put_call", "put/call ratio"))
        ratio = ratios.short if ratios.short is not None else ratios.overall
        if ratio >= self.bullish_pcr:
            direction, strength = Direction.BULLISH, grade(ratio, FEAR_STRENGTHS, otherwise=Strength.MODERATE)
            excess = (ratio - self.bullish_pcr) / self.bullish_pcr
        elif ratio <= self.bearish_pcr:
            direction, strength = (
                Direction.BEARISH,
                grade(-ratio, GREED_STRENGTHS, otherwise=Strength.MODERATE),
            )
            excess = (self.bearish_pcr - ratio) / self.bearish_pcr
        else:
            return Abstention(
                reason=f"put/call {ratio:.3f} is between {self.bearish_pcr} and {self.bullish_pcr}"
            )
        return TradingSignal(
            source=self.name,
            signal_type=SignalType.SENTIMENT_SHIFT,
            direction=direction,
            strength=strength,
            confidence=min(0.80, 0.57 + 0.15 * excess),
            current_price=current_price,
            metadata={
                "pcr": ratio,
                "overall_pcr": ratios.overall,
                "short_pcr": ratios.short,
                "put_open_interest": ratios.put_open_interest,
                "call_open_interest": ratios.call_open_interest,
            },
        )
