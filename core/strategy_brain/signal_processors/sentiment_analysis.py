"""Contrarian vote from the fear-and-greed index."""

from decimal import Decimal
from typing import Any

from common.constants import SENTIMENT_ANALYSIS
from core.strategy_brain.metadata import why_absent
from core.strategy_brain.refusals import Abstention
from models import Direction, Sentiment, SignalType, Strength, TradingSignal

from .base_processor import BaseSignalProcessor, Judgement

CALM_LOW, CALM_HIGH = 45, 55
EXTREMES = ((0.8, Strength.VERY_STRONG, 0.85), (0.5, Strength.STRONG, 0.75), (0.0, Strength.MODERATE, 0.65))
"""(minimum fraction of the distance from the threshold to the end of the scale, strength, confidence)"""
MILD = (Strength.WEAK, 0.55)


class SentimentAnalysisProcessor(BaseSignalProcessor):
    """Bullish on fear, bearish on greed; weak outside 45–55, stronger beyond the thresholds.

    The index changes once a day, so it cannot distinguish the markets of a day; its weight is therefore
    small.

    Parameters
    ----------
    fear_threshold, greed_threshold : float
        Index values with 0 < fear < greed < 100. They take precedence over the calm range if they overlap it.

    Raises
    ------
    ValueError
        If the thresholds are not in that order.
    """

    name = SENTIMENT_ANALYSIS

    def __init__(self, fear_threshold: float = 25.0, greed_threshold: float = 75.0) -> None:
        if not 0 < fear_threshold < greed_threshold < 100:
            raise ValueError(
                f"fear_threshold {fear_threshold} must be above 0 and below greed_threshold "
                f"{greed_threshold}, and that below 100"
            )
        self.fear_threshold = fear_threshold
        self.greed_threshold = greed_threshold

    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        index: Sentiment | None = metadata.get("sentiment")
        if index is None:
            return Abstention(reason=why_absent(metadata, "sentiment", "sentiment index"))
        if not 0 <= index.score <= 100:
            return Abstention(reason=f"sentiment {index.score} is not on the scale of 0 to 100")
        if index.score <= self.fear_threshold:
            direction = Direction.BULLISH
            strength, confidence = _extreme((self.fear_threshold - index.score) / self.fear_threshold)
        elif index.score >= self.greed_threshold:
            direction = Direction.BEARISH
            strength, confidence = _extreme(
                (index.score - self.greed_threshold) / (100 - self.greed_threshold)
            )
        elif CALM_LOW <= index.score <= CALM_HIGH:
            return Abstention(reason=f"sentiment {index.score:g} is between {CALM_LOW} and {CALM_HIGH}")
        else:
            direction = Direction.BULLISH if index.score < CALM_LOW else Direction.BEARISH
            strength, confidence = MILD
        return TradingSignal(
            source=self.name,
            signal_type=SignalType.SENTIMENT_SHIFT,
            direction=direction,
            strength=strength,
            confidence=confidence,
            current_price=current_price,
            metadata={"sentiment_score": index.score, "sentiment_classification": index.classification},
        )


def _extreme(extremity: float) -> tuple[Strength, float]:
    return next((strength, confidence) for least, strength, confidence in EXTREMES if extremity >= least)
