"""Learning: adjusts the fusion weights from settled markets; exports the shared engine of the process."""

from common.singleton import Singleton
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

_singleton = Singleton(LearningEngine)
get_learning_engine = _singleton.get
reset_learning_engine = _singleton.reset
