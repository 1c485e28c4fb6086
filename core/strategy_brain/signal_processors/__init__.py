"""The six signal processors, one per file."""

from models import BrainParams

from .base_processor import BaseSignalProcessor
from .deribit_pcr import DeribitPCRProcessor
from .order_book_imbalance import OrderBookImbalanceProcessor
from .price_divergence import PriceDivergenceProcessor
from .sentiment_analysis import SentimentAnalysisProcessor
from .spike_detection import SpikeDetectionProcessor
from .tick_velocity import TickVelocityProcessor

__all__ = [
    "BaseSignalProcessor",
    "DeribitPCRProcessor",
    "OrderBookImbalanceProcessor",
    "PriceDivergenceProcessor",
    "SentimentAnalysisProcessor",
    "SpikeDetectionProcessor",
    "TickVelocityProcessor",
    "build_processors",
]


def build_processors(params: BrainParams) -> tuple[BaseSignalProcessor, ...]:
    """All six processors with the thresholds of `params`, in the order of their votes.

    Raises
    ------
    ValueError
        If a threshold is outside the range that its processor documents.
    """
    return (
        OrderBookImbalanceProcessor(params.orderbook_imbalance_threshold, params.orderbook_min_volume),
        TickVelocityProcessor(params.tick_velocity_60s, params.tick_velocity_30s),
        PriceDivergenceProcessor(params.divergence_threshold),
        SpikeDetectionProcessor(params.spike_threshold, params.spike_lookback),
        DeribitPCRProcessor(params.deribit_bullish_pcr, params.deribit_bearish_pcr),
        SentimentAnalysisProcessor(params.sentiment_fear, params.sentiment_greed),
    )
