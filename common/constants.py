"""Constants used by several packages."""

from enum import IntEnum

POLYGON_CHAIN_ID = 137
"""Chain id of Polygon, which Polymarket settles on."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The names of this machine in an address."""

ORDER_BOOK_IMBALANCE = "OrderBookImbalance"
TICK_VELOCITY = "TickVelocity"
PRICE_DIVERGENCE = "PriceDivergence"
SPIKE_DETECTION = "SpikeDetection"
DERIBIT_PCR = "DeribitPCR"
SENTIMENT_ANALYSIS = "SentimentAnalysis"

PROCESSOR_NAMES = (
    ORDER_BOOK_IMBALANCE,
    TICK_VELOCITY,
    PRICE_DIVERGENCE,
    SPIKE_DETECTION,
    DERIBIT_PCR,
    SENTIMENT_ANALYSIS,
)
"""The signal processors, in the order of their default weights."""


class ExitCode(IntEnum):
    """Exit codes of a worker, which determine the action of the supervisor."""

    DONE = 0
    CRASHED = 1
    MISCONFIGURED = 2
    FATAL = 3
    UNAVAILABLE = 69
    """The strategy could not start because a service did not answer."""
    RESTART = 75
