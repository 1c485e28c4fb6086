"""What results teach: the learning engine, and the one engine that a process shares."""

from collections.abc import Mapping
from pathlib import Path

from errors import Fatal
from feedback.evidence import MarketEvidence, evidence_of
from feedback.learning_engine import LearningEngine, reset_learning
from feedback.state import Adjustment, LearningState
from feedback.weights import LearningParams, SourceEvidence, adjusted_weights

__all__ = [
    "Adjustment",
    "LearningEngine",
    "LearningParams",
    "LearningState",
    "MarketEvidence",
    "SourceEvidence",
    "adjusted_weights",
    "evidence_of",
    "get_learning_engine",
    "reset_learning",
    "reset_learning_engine",
]

_engine: LearningEngine | None = None


def get_learning_engine(
    path: Path | None = None,
    base_weights: Mapping[str, float] | None = None,
    params: LearningParams | None = None,
) -> LearningEngine:
    """The process's one learning engine. Its settings are for the first call; later calls leave them out.

    Raises
    ------
    Fatal
        If the first call lacks one, if a later call gives any, which would silently not count, or if the
        saved state is unusable.
    """
    global _engine
    given = path, base_weights, params
    if _engine is not None:
        if any(setting is not None for setting in given):
            raise Fatal("the learning engine exists already", "Pass its settings on the first call only")
        return _engine
    if path is None or base_weights is None or params is None:
        raise Fatal("the learning engine does not exist yet", "Pass path, weights and parameters first")
    _engine = LearningEngine(path, base_weights, params)
    return _engine


def reset_learning_engine() -> None:
    """Forget the shared engine, so that a test starts with its own; its file stays as it is."""
    global _engine
    _engine = None
