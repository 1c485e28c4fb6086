"""Updates the weights for the next decision from the settled markets in the ledger."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from config import Settings
from core.strategy_brain.fusion_engine import get_fusion_engine
from errors import Temporary
from execution.ledger import LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from feedback import LearningEngine, LearningParams, evidence_of, get_learning_engine, reset_learning
from models import Series

LEARNING_STATE = "learning_state.json"
UNCHANGED = 1e-9
"""Weights whose difference is smaller are equal."""


class WeightLearning:
    """The learning engine of one profile, connected to its fusion engine.

    Parameters
    ----------
    settings : Settings
    folder : Path
        The profile's folder, with `learning_state.json`.
    reset : bool
        Return to the configured weights first; the old state is stored beside the new one.
    ledger, reader, thread
        The ledger, its reader and the thread that uses both.
    several : bool
        Whether the settings are those of one of several series, which has its own state and fusion engine.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        reset: bool,
        ledger: Ledger,
        reader: LedgerReader,
        thread: LedgerThread,
        *,
        several: bool = False,
    ) -> None:
        self._series = settings.only_series
        self._name = self._series.name if several else ""
        self._reader = reader
        self._ledger = ledger
        self._thread = thread
        self._lock = asyncio.Lock()
        self._engine = _open(settings, folder / learning_state_file(self._name), reset, several)
        get_fusion_engine(self._engine.weights, self._name)
        self._log_notice()

    async def learn(self, series: Series | None = None) -> None:
        """Process newly settled markets, unless they are of another `series`; change the weights when due."""
        if series not in (None, self._series):
            return
        async with self._lock:
            try:
                adjustment = await asyncio.to_thread(
                    lambda: self._engine.learn(evidence_of(self._reader, self._series))
                )
            except Temporary as error:
                logger.warning(f"learning is delayed: {error}")
                return
            self._log_notice()
            if adjustment is not None:
                old, new = adjustment.old, adjustment.new
                changes = (f"{name} {old[name]:.3f} → {new[name]:.3f}" for name in new)
                count = f"{adjustment.markets} markets{self._of_series}"
                logger.info(f"weights after {count}: {', '.join(changes)}")
            await self._thread.call(self._record)
            for name, weight in self._engine.weights.items():
                get_fusion_engine(series=self._name).set_weight(name, weight)

    def _record(self) -> None:
        """Write the learning state's steps to the ledger: a process may have ended between the two writes."""
        rows = [row for row in self._reader.weights() if row.series == self._name]
        known = {(row.markets, row.source, row.after) for row in rows}
        for adjustment in self._engine.state.history:
            if not {(adjustment.markets, name, new) for name, new in adjustment.new.items()} <= known:
                self._ledger.record_weights(adjustment.markets, adjustment.old, adjustment.new, self._name)
        # A change without an adjustment is a step too: a reset, other configured weights, learning switched
        # off.
        rows = [row for row in self._reader.weights() if row.series == self._name]
        last = {row.source: row.after for row in rows}
        now = self._engine.weights
        if last and any(abs(last.get(name, weight) - weight) > UNCHANGED for name, weight in now.items()):
            self._ledger.record_weights(self._engine.state.markets, now | last, now, self._name)

    @property
    def _of_series(self) -> str:
        return f" ({self._name})" if self._name else ""

    def _log_notice(self) -> None:
        if self._engine.notice is not None:
            logger.warning(f"{self._engine.notice}{self._of_series}")


class SeriesLearning:
    """The learning of each of several series."""

    def __init__(self, learning: Sequence[WeightLearning]) -> None:
        self._learning = tuple(learning)

    async def learn(self, series: Series | None = None) -> None:
        """Process newly settled markets of a series, of all for None."""
        for one in self._learning:
            await one.learn(series)


def learning_state_file(series: str) -> str:
    """Name of the file with the learning state of a series; of the only one for an empty name."""
    return f"learning_state.{series}.json" if series else LEARNING_STATE


def _open(settings: Settings, path: Path, reset: bool, several: bool) -> LearningEngine:
    params = LearningParams(
        enabled=settings.learning_enabled,
        interval=settings.learning_trigger_interval,
        min_trades=settings.learning_min_trades,
        rate=settings.learning_rate,
    )
    if reset:
        backup = reset_learning(path, settings.weights, params)
        logger.info(
            f"learning restarts; the previous state is kept in {backup}" if backup else "learning starts"
        )
    return (LearningEngine if several else get_learning_engine)(path, settings.weights, params)
