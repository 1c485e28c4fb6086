"""Draws the report's plots for the status page, in a thread of its own.

They are drawn at the start and after settlements, of the newest trades only, so that a long history does not
make them slower. The ledger is read for the votes only, by a read-only connection that no writer waits for.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from zlib import crc32

import msgspec
from loguru import logger

from common.newest_only import NewestOnly
from errors import BotError
from execution.ledger import TradeRow
from models import Frozen
from monitoring.equity_curve import Drawdown, EquityPoint
from monitoring.funnel import funnel
from monitoring.ledger_totals import LedgerTotals
from monitoring.performance_tracker import SourceVote, performance
from monitoring.report.figures import result_plots
from monitoring.report.reader import ReportReader

NEWEST = 500
"""Number of trades in the plots except equity, which has all."""
DECISIONS = 1000
"""Number of decisions whose votes are in the plots."""
ZERO = Decimal(0)


class Plots(Frozen, frozen=True):
    """HTML figures in which all text is escaped, the first one of equity.

    `version` is a checksum of them, 0 before the first drawing.
    """

    version: int = 0
    figures: tuple[str, ...] = ()


class PlotData(Frozen, frozen=True):
    """What is drawn: the complete equity curve, and the newest trades."""

    curve: tuple[EquityPoint, ...]
    fall: Drawdown
    trades: tuple[TradeRow, ...]


def plot_data(totals: LedgerTotals) -> PlotData:
    """The data of the totals at this instant."""
    tracker = totals.tracker
    return PlotData(curve=tracker.curve, fall=tracker.drawdown, trades=tuple(tracker.newest(NEWEST)))


class PlotThread:
    """Draws the newest data that it was given.

    Parameters
    ----------
    ledger : Path
        The ledger with the votes.
    """

    def __init__(self, ledger: Path) -> None:
        self.plots = Plots()
        """The last drawing, for any thread."""
        self._ledger = ledger
        self._thread = NewestOnly("status-plots", self._draw)

    def start(self) -> None:
        self._thread.start()

    def draw(self, data: PlotData) -> None:
        """Draw this next, in the place of data that was not drawn yet; returns at once."""
        self._thread.give(data)

    def close(self) -> None:
        """End after the drawings in progress and to do, which are not waited for longer than a second."""
        self._thread.close()

    def _draw(self, data: PlotData) -> None:
        try:
            self.plots = _with_version(_figures(data, self._ledger))
        except Exception as error:  # noqa: BLE001 - the page shows the earlier plots
            logger.warning(f"the plots of the status page could not be drawn: {error!r}")


def _with_version(figures: Sequence[str]) -> Plots:
    return Plots(version=crc32("".join(figures).encode()), figures=tuple(figures))


def _figures(data: PlotData, ledger: Path) -> list[str]:
    settled = [trade for trade in data.trades if trade.pnl is not None]
    found = performance(settled, _votes(ledger), starting=ZERO)
    found = msgspec.structs.replace(found, curve=data.curve, drawdown=data.fall)
    # The page has its own funnel, which an event changes; this one would be drawn after settlements only.
    return [str(figure) for figure in result_plots(found, settled, funnel(()))]


def _votes(ledger: Path) -> list[SourceVote]:
    try:
        with ReportReader(ledger) as reader:
            decisions = reader.recent_decisions(DECISIONS)
            return reader.votes(decisions[-1].now_ns) if decisions else []
    except BotError as error:
        logger.warning(f"the status page shows no votes: {error}")
        return []
