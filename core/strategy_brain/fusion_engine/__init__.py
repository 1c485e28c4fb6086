"""Weighing the signals: the engine, its acceptance check, and the one engine that a process shares."""

from collections.abc import Mapping

from .engine import REFERENCE_WEIGHTS, FusionEngine, UnknownSource, check

__all__ = [
    "REFERENCE_WEIGHTS",
    "FusionEngine",
    "UnknownSource",
    "check",
    "get_fusion_engine",
    "reset_fusion_engine",
]

_engine: FusionEngine | None = None


def get_fusion_engine(weights: Mapping[str, float] | None = None) -> FusionEngine:
    """The process's one fusion engine: its weights are those in force, learned changes included.

    Parameters
    ----------
    weights : Mapping[str, float] | None
        Weight by source for the first call, `REFERENCE_WEIGHTS` if None. Later calls leave it out.

    Raises
    ------
    ValueError
        If a weight is outside 0 to 1, or if weights are given once the engine exists: they would
        silently not count. `FusionEngine.set_weight` changes the weights of a living engine.
    """
    global _engine
    if _engine is None:
        _engine = FusionEngine(REFERENCE_WEIGHTS if weights is None else weights)
    elif weights is not None:
        raise ValueError("the fusion engine exists already; change its weights with set_weight")
    return _engine


def reset_fusion_engine() -> None:
    """Forget the shared engine, so that a test starts with its own."""
    global _engine
    _engine = None
