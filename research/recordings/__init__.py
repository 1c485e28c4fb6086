"""Recorded markets, from every supported format."""

from research.recordings.bundled import BUNDLED, load
from research.recordings.market import (
    BadRecording,
    RecordedExternals,
    RecordedMarket,
    RuleEra,
    Snapshot,
)

__all__ = [
    "BUNDLED",
    "BadRecording",
    "RecordedExternals",
    "RecordedMarket",
    "RuleEra",
    "Snapshot",
    "load",
]
