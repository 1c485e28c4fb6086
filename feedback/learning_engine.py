"""The learning engine: computes the sources' weights from the ledger's settled markets and stores every step.

The weights are recomputed from the evidence each time, not updated incrementally. A market is therefore never
used twice, and a process that crashes at any time computes the same weights again.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from errors import Fatal, Temporary
from feedback import state as states
from feedback.evidence import MarketEvidence, in_order
from feedback.state import Adjustment, LearningState, LearntMarket
from feedback.weights import LearningParams, Tally, adjusted_weights, tally

RESOLUTION = 1e-6
"""A step that changes no weight by this amount is not an adjustment."""
HISTORY_KEPT = 200
"""Adjustments kept in the file: about three weeks of trading every market, and less than a megabyte."""


class LearningEngine:
    """Updates the weights of the sources from settled markets.

    Parameters
    ----------
    path : Path
        `learning_state.json` of the trading profile. Paper and live must not share one.
    base_weights : Mapping[str, float]
        The configured weight of every source, 0 or more.
    params : LearningParams
    now_ns : Callable[[], int]
        The machine's clock, which also dates settlements, nanoseconds since the epoch.

    Raises
    ------
    Fatal
        If the file cannot be read, is damaged, or is not a learning state.
    """

    def __init__(
        self,
        path: Path,
        base_weights: Mapping[str, float],
        params: LearningParams,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = path
        self._base = dict(base_weights)
        self._params = params
        self._now_ns = now_ns
        self._notice: str | None = None
        self._state = self._fresh(since_ns=0)
        if params.enabled:
            saved = states.load(path)
            if saved is not None:
                self._take_up(saved)

    @property
    def weights(self) -> dict[str, float]:
        """The current weights by source; a copy."""
        return dict(self._state.weights)

    @property
    def state(self) -> LearningState:
        """The complete state, as stored in the file after the first adjustment."""
        return self._state

    @property
    def notice(self) -> str | None:
        """Message for the operator about the last action, or None."""
        return self._notice

    def learn(self, evidence: Sequence[MarketEvidence]) -> Adjustment | None:
        """Update the weights from the complete evidence of the ledger; may be repeated.

        Parameters
        ----------
        evidence : Sequence[MarketEvidence]
            Everything that `evidence_of` reads, not only new markets.

        Returns
        -------
        Adjustment | None
            The newest step, if the weights have changed.

        Raises
        ------
        Temporary
            If the file cannot be written. Weights and file are unchanged; the next call tries again.
        """
        self._notice = None
        if not self._params.enabled:
            return None
        known = in_order([market for market in evidence if market.settled_ns > self._state.since_ns])
        previous = self._state
        learnt = replay(previous, self._base, self._params, known)
        if learnt == previous:
            return None
        last = previous.last_learnt
        if last is not None and all(market.event != last.event for market in known):
            self._notice = (
                f"the ledger does not contain {last.slug}, which the weights were learned from: weights"
                " recomputed from its"
                f" {len(known)} markets{self._kept()}"
            )
        self._adopt(learnt)
        changed = learnt.weights != previous.weights
        return learnt.history[-1] if changed and learnt.history else None

    def reset(self) -> Path | None:
        """Reset to the configured weights; only markets settled from now on count.

        Returns
        -------
        Path | None
            The dated copy of the old file, or None if there was none.

        Raises
        ------
        Temporary
            If a file cannot be written; the old one is unchanged.
        """
        backup, self._state = _start_over(self.path, self._base, self._params, self._now_ns())
        return backup

    def _take_up(self, saved: LearningState) -> None:
        changes = [
            f"{source} {_shown(saved.started_from, source)} → {_shown(self._base, source)}"
            for source in sorted({*saved.started_from, *self._base})
            if saved.started_from.get(source) != self._base.get(source)
        ]
        if changes:
            try:
                backup = self.reset()
            except Temporary as error:
                raise Fatal(str(error), "Check the disk and the rights of the state folder") from error
            self._notice = (
                f"configured weights changed ({', '.join(changes)}): learning restarts;"
                f" the previous state is kept in {backup}"
            )
            return
        self._state = saved
        if saved.params != self._params:
            self._notice = (
                f"learning settings changed (interval {saved.params.interval} → {self._params.interval},"
                f" min trades {saved.params.min_trades} → {self._params.min_trades},"
                f" rate {saved.params.rate:g} → {self._params.rate:g}):"
                " weights will be recomputed from the ledger with the new ones"
            )

    def _adopt(self, state: LearningState) -> None:
        state = msgspec.structs.replace(state, saved_at=states.iso(self._now_ns()))
        states.save(self.path, state)
        self._state = state

    def _kept(self) -> str:
        backup = states.back_up(self.path, self._now_ns())
        return "" if backup is None else f"; the previous state is kept in {backup}"

    def _fresh(self, since_ns: int) -> LearningState:
        return states.fresh(self._base, self._params, since_ns, states.iso(self._now_ns()))


def reset_learning(
    path: Path,
    base_weights: Mapping[str, float],
    params: LearningParams,
    now_ns: Callable[[], int] = time.time_ns,
) -> Path | None:
    """Implements `--reset-learning`, also for an invalid file. See `LearningEngine.reset`."""
    return _start_over(path, base_weights, params, now_ns())[0]


def replay(
    saved: LearningState,
    base: Mapping[str, float],
    params: LearningParams,
    markets: Iterable[MarketEvidence],
) -> LearningState:
    """Compute the state from these markets, starting with the configured weights.

    Each `params.interval`-th traded market completes an interval and moves the weights one step, with the
    evidence of all markets settled until then, traded or not. Markets after the last interval are not used
    yet.

    Parameters
    ----------
    saved : LearningState
        Source of `since_ns` and `saved_at`.
    base : Mapping[str, float]
    params : LearningParams
    markets : Iterable[MarketEvidence]
        In the order of `in_order`.
    """
    weights = dict(base)
    tallies = {source: Tally() for source in base}
    result = states.fresh(base, params, saved.since_ns, saved.saved_at)
    history: list[Adjustment] = []
    count = trades = steps = 0
    for market in markets:
        count += 1
        trades += market.traded
        tallies = tally([market], tallies)
        if not market.traded or trades % params.interval:
            continue
        moved, evidence = adjusted_weights(weights, base, tallies, params)
        if any(abs(moved[source] - weights[source]) >= RESOLUTION for source in base):
            history.append(
                Adjustment(
                    time=states.iso(market.settled_ns),
                    markets=count,
                    trades=trades,
                    old=weights,
                    new=moved,
                    evidence=evidence,
                )
            )
            weights, steps = moved, steps + 1
        result = msgspec.structs.replace(
            result,
            weights=weights,
            markets=count,
            trades=trades,
            last_learnt=LearntMarket(event=market.event, slug=market.slug, settled_ns=market.settled_ns),
            evidence=evidence,
        )
    return msgspec.structs.replace(result, adjustments_count=steps, history=tuple(history[-HISTORY_KEPT:]))


def _start_over(
    path: Path, base: Mapping[str, float], params: LearningParams, now_ns: int
) -> tuple[Path | None, LearningState]:
    """Copy the file first, then replace it: a crash in between loses nothing."""
    backup = states.back_up(path, now_ns)
    state = states.fresh(base, params, now_ns, states.iso(now_ns))
    states.save(path, state)
    return backup, state


def _shown(weights: Mapping[str, float], source: str) -> str:
    return f"{weights[source]:g}" if source in weights else "none"
