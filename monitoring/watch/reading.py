"""What the terminal view knows at one instant: the pulse of the worker, and what the ledger says."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from core.nautilus_core.events import Pulse
from errors import Fatal
from execution.ledger import DecisionRow, IntentRow, Position, TradeRow, ledger_path
from models import Frozen, Vote
from monitoring.funnel import Funnel, funnel
from monitoring.pulse_file import PULSE_FILE, read_pulse
from monitoring.report.reader import ReportReader
from monitoring.statistics import Statistics, statistics

RECENT = 40
"""Decisions that are kept for the screen; how many fit it decides itself."""
LEDGER_EVERY_NS = 2_000_000_000
"""The ledger is asked less often than the pulse: its sums are made anew each time."""


class Record(Frozen, frozen=True):
    """What the ledger says. `recent` is newest first, `votes` are the last decision's, `today` a UTC day."""

    recent: tuple[DecisionRow, ...]
    orders: Mapping[int, IntentRow]
    """By decision, the order that it led to."""
    trades: Mapping[int, TradeRow]
    """By decision, the trade that came of it."""
    votes: tuple[Vote, ...]
    positions: tuple[Position, ...]
    today: Statistics
    total: Statistics
    funnel: Funnel


class Seen(Frozen, frozen=True):
    """One look. `pulse` and `record` are None while there are none; `trouble`: why the ledger is not read."""

    now_ns: int
    book: str | None
    state_dir: Path
    pulse: Pulse | None = None
    record: Record | None = None
    trouble: str | None = None

    @property
    def silence_s(self) -> float | None:
        """Seconds since the last beat."""
        return None if self.pulse is None else max(0.0, (self.now_ns - self.pulse.ts_ns) / 1e9)


class Watching:
    """Looks at a book again and again.

    Parameters
    ----------
    state_dir : Path
    book : str or None
        None: the one that beat last, whichever that is at the time.
    """

    def __init__(self, state_dir: Path, book: str | None) -> None:
        self._state_dir = state_dir
        self._wanted = book
        self._read_ns = 0
        self._read_book = ""
        self._record: Record | None = None
        self._trouble: str | None = None

    def look(self, now_ns: int) -> Seen:
        """Everything, as of now."""
        book = self._wanted or _liveliest(self._state_dir)
        if book is None:
            return Seen(now_ns=now_ns, book=None, state_dir=self._state_dir)
        self._read(book, now_ns)
        return Seen(
            now_ns=now_ns,
            book=book,
            state_dir=self._state_dir,
            pulse=read_pulse(self._state_dir / book / PULSE_FILE),
            record=self._record,
            trouble=self._trouble,
        )

    def _read(self, book: str, now_ns: int) -> None:
        """Ask the ledger, if it is time."""
        if book == self._read_book and now_ns - self._read_ns < LEDGER_EVERY_NS:
            return
        self._read_book, self._read_ns = book, now_ns
        path = ledger_path(self._state_dir, book)
        self._record = self._trouble = None
        try:
            self._record = _record(path, now_ns) if path.is_file() else None
        except Fatal as error:
            self._trouble = str(error)


def _liveliest(state_dir: Path) -> str | None:
    beats = {path: path.stat().st_mtime_ns for path in state_dir.glob(f"*/{PULSE_FILE}")}
    return max(beats, key=lambda path: beats[path]).parent.name if beats else None


def _record(path: Path, now_ns: int) -> Record:
    midnight = datetime.fromtimestamp(now_ns // 10**9, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    midnight_ns = int(midnight.timestamp()) * 10**9
    with ReportReader(path) as reader, reader.snapshot():
        recent = reader.recent_decisions(RECENT)
        trades = reader.trades()
        orders = [row for slug in {row.slug for row in recent} for row in reader.attempts(slug)]
        return Record(
            recent=tuple(recent),
            orders={row.intent.decision_id: row for row in orders},
            trades={trade.decision_id: trade for trade in trades},
            votes=reader.decision(recent[0].id).votes if recent else (),
            positions=tuple(reader.positions()),
            today=statistics([trade for trade in trades if (trade.settled_ns or now_ns) >= midnight_ns]),
            total=statistics(trades),
            funnel=funnel(reader.trails()),
        )
