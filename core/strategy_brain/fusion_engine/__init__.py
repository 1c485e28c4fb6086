"""Fusion of the signals: the engine, its acceptance check, and the shared engines of the process."""

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

_engines: dict[str, FusionEngine] = {}
"""By the name of the series; the empty name is that of the only one."""


def get_fusion_engine(weights: Mapping[str, float] | None = None, series: str = "") -> FusionEngine:
    """The fusion engine of the process, with the current weights, including learned changes.

    Parameters
    ----------
    weights : Mapping[str, float] | None
        Weight by source for the first call, `REFERENCE_WEIGHTS` if None. Omitted in later calls.
    series : str
        Name of the series, where several are traded; each has its own engine.

    Raises
    ------
    ValueError
        If a weight is outside 0 to 1, or if weights are given although the engine exists: they would have no
        effect. `FusionEngine.set_weight` changes the weights of an existing engine.
    """
    if series not in _engines:
        _engines[series] = FusionEngine(REFERENCE_WEIGHTS if weights is None else weights)
    elif weights is not None:
        raise ValueError("the fusion engine exists already; change its weights with set_weight")
    return _engines[series]


def reset_fusion_engine() -> None:
    """Remove the shared engines. For tests."""
    _engines.clear()
