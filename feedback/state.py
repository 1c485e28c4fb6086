"""`learning_state.json`: the weights, their evidence and every adjustment; written atomically."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import fsum, isclose
from pathlib import Path
from typing import Literal

import msgspec

from common.atomic_file import write_atomically
from errors import Fatal, Temporary
from feedback.weights import LearningParams, SourceEvidence, bounds
from models import Frozen

RESET_HINT = "Start once with --reset-learning: the file is kept as a backup and learning restarts"
SUM_TOLERANCE = 1e-9


class LearntMarket(Frozen, frozen=True):
    """The newest market used for learning."""

    event: str
    slug: str
    settled_ns: int


class Adjustment(Frozen, frozen=True):
    """One change of the weights.

    Attributes
    ----------
    time : str
        Settlement time of the market that completed the interval, ISO 8601, UTC.
    markets, trades : int
        Settled markets with votes, and the traded ones among them, used until then.
    old, new : dict[str, float]
        Weights by source.
    evidence : dict[str, SourceEvidence]
        By source, from all those markets.
    """

    time: str
    markets: int
    trades: int
    old: dict[str, float]
    new: dict[str, float]
    evidence: dict[str, SourceEvidence]


class LearningState(Frozen, frozen=True, forbid_unknown_fields=True):
    """The file's content.

    Attributes
    ----------
    saved_at : str
        ISO 8601, UTC.
    since_ns : int
        Only markets settled after this time count, nanoseconds since the epoch; 0 unless learning was reset.
    started_from, weights : dict[str, float]
        The configured weights at the start of learning, and the current weights.
    params : LearningParams
    markets, trades : int
        Settled markets with votes since then, and the traded ones among them.
    last_learnt : LearntMarket | None
    evidence : dict[str, SourceEvidence]
        The evidence about each source as of the last completed interval.
    adjustments_count : int
        Number of adjustments so far.
    history : tuple[Adjustment, ...]
        The newest adjustments, oldest first.
    """

    saved_at: str
    since_ns: int
    started_from: dict[str, float]
    weights: dict[str, float]
    params: LearningParams
    markets: int = 0
    trades: int = 0
    last_learnt: LearntMarket | None = None
    evidence: dict[str, SourceEvidence] = {}
    adjustments_count: int = 0
    history: tuple[Adjustment, ...] = ()
    kind: Literal["learning_state"] = "learning_state"
    version: Literal[1] = 1


def fresh(base: Mapping[str, float], params: LearningParams, since_ns: int, saved_at: str) -> LearningState:
    """The state without any learning."""
    return LearningState(
        saved_at=saved_at, since_ns=since_ns, started_from=dict(base), weights=dict(base), params=params
    )


def load(path: Path) -> LearningState | None:
    """The saved state, or None if there is no file.

    Raises
    ------
    Fatal
        If it cannot be read, is not a learning state, or is inconsistent.
    """
    try:
        state = msgspec.json.decode(path.read_bytes(), type=LearningState)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fatal(f"{path} cannot be read: {error.strerror}", "Check the file's permissions") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise Fatal(f"{path} is not a learning state of this program ({error})", RESET_HINT) from error
    fault = _contradiction(state)
    if fault:
        raise Fatal(f"{path} is inconsistent: {fault}", RESET_HINT)
    return state


def save(path: Path, state: LearningState) -> None:
    """Replace the file atomically; it is on the disk when this returns.

    Raises
    ------
    Temporary
        If it cannot be written; the old file is unchanged.
    """
    write_atomically(path, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")


def back_up(path: Path, now_ns: int) -> Path | None:
    """Copy the file, with any content, to a dated name in the same folder; None if it does not exist.

    Raises
    ------
    Temporary
        If it cannot be read or the copy cannot be written.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Temporary(f"{path} cannot be read: {error.strerror}") from error
    stamp = datetime.fromtimestamp(now_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = path.with_name(f"{path.stem}.{stamp}{path.suffix}")
    number = 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.stem}.{stamp}-{number}{path.suffix}")
    write_atomically(copy, content)
    return copy


def iso(ns: int) -> str:
    """Nanoseconds since the epoch as ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(ns // 10**9, UTC).isoformat()


def _contradiction(state: LearningState) -> str | None:
    if state.weights.keys() != state.started_from.keys():
        return "weights and started_from name different sources"
    for source, configured in state.started_from.items():
        low, high = bounds(configured)
        if not low - SUM_TOLERANCE <= state.weights[source] <= high + SUM_TOLERANCE:
            return f"the weight of {source} is {state.weights[source]}, allowed: {low:g} to {high:g}"
    now, then = fsum(state.weights.values()), fsum(state.started_from.values())
    if not isclose(now, then, abs_tol=SUM_TOLERANCE):
        return f"the weights sum to {now:.6f}, those they started from to {then:.6f}"
    return None
