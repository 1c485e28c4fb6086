"""The data of the terminal view at one instant: the worker status and the ledger's records."""

from collections.abc import Mapping
from pathlib import Path

from common.utc_time import utc_midnight_ns
from errors import Fatal
from events import WorkerStatus
from execution.ledger import DecisionRow, IntentRow, Position, TradeRow, ledger_path
from models import Frozen, Vote
from monitoring.funnel import Funnel, funnel
from monitoring.performance_tracker import Group, by_series
from monitoring.report.reader import ReportReader
from monitoring.statistics import Statistics, statistics
from monitoring.status_file import STATUS_FILE, read_worker_status

RECENT = 40
"""Number of decisions stored for the view, which shows as many as fit."""
LEDGER_EVERY_NS = 2_000_000_000
"""The ledger is read less often than the status: its sums are recomputed each time."""


class LedgerSnapshot(Frozen, frozen=True):
    """Values from the ledger.

    `recent` is newest first, `votes` are the last decision's, `today` is a UTC day.
    """

    recent: tuple[DecisionRow, ...]
    orders: Mapping[int, IntentRow]
    """The order of each decision, by decision id."""
    trades: Mapping[int, TradeRow]
    """The trade of each decision, by decision id."""
    votes: tuple[Vote, ...]
    positions: tuple[Position, ...]
    today: Statistics
    total: Statistics
    funnel: Funnel
    series: tuple[Group, ...] = ()
    """The results of each of several series."""


class WatchSnapshot(Frozen, frozen=True):
    """One snapshot.

    `worker_status` and `record` are None without data; `trouble`: why they cannot be read.
    """

    now_ns: int
    profile: str | None
    state_dir: Path
    worker_status: WorkerStatus | None = None
    record: LedgerSnapshot | None = None
    trouble: str | None = None

    @property
    def silence_s(self) -> float | None:
        """Seconds since the last heartbeat."""
        return (
            None if self.worker_status is None else max(0.0, (self.now_ns - self.worker_status.ts_ns) / 1e9)
        )


class SnapshotReader:
    """Reads snapshots of a profile.

    Parameters
    ----------
    state_dir : Path
    profile : str or None
        None: the one with the newest heartbeat at the time.
    """

    def __init__(self, state_dir: Path, profile: str | None) -> None:
        self._state_dir = state_dir
        self._wanted = profile
        self._read_ns = 0
        self._read_profile = ""
        self._record: LedgerSnapshot | None = None
        self._trouble: str | None = None

    def read(self, now_ns: int) -> WatchSnapshot:
        """The snapshot of now."""
        profile = self._wanted or _latest_profile(self._state_dir)
        if profile is None:
            return WatchSnapshot(now_ns=now_ns, profile=None, state_dir=self._state_dir)
        self._read(profile, now_ns)
        return WatchSnapshot(
            now_ns=now_ns,
            profile=profile,
            state_dir=self._state_dir,
            worker_status=read_worker_status(self._state_dir / profile / STATUS_FILE),
            record=self._record,
            trouble=self._trouble,
        )

    def _read(self, profile: str, now_ns: int) -> None:
        """Read the ledger, if it is due."""
        if profile == self._read_profile and now_ns - self._read_ns < LEDGER_EVERY_NS:
            return
        self._read_profile, self._read_ns = profile, now_ns
        path = ledger_path(self._state_dir, profile)
        self._record = self._trouble = None
        try:
            self._record = _read_ledger(path, now_ns) if path.is_file() else None
        except Fatal as error:
            self._trouble = str(error)


def _latest_profile(state_dir: Path) -> str | None:
    beats = {path: path.stat().st_mtime_ns for path in state_dir.glob(f"*/{STATUS_FILE}")}
    return max(beats, key=lambda path: beats[path]).parent.name if beats else None


def _read_ledger(path: Path, now_ns: int) -> LedgerSnapshot:
    midnight_ns = utc_midnight_ns(now_ns)
    with ReportReader(path) as reader, reader.snapshot():
        recent = reader.recent_decisions(RECENT)
        trades = reader.trades()
        orders = [row for slug in {row.slug for row in recent} for row in reader.attempts(slug)]
        return LedgerSnapshot(
            recent=tuple(recent),
            orders={row.intent.decision_id: row for row in orders},
            trades={trade.decision_id: trade for trade in trades},
            votes=reader.decision(recent[0].id).votes if recent else (),
            positions=tuple(reader.positions()),
            today=statistics([trade for trade in trades if (trade.settled_ns or now_ns) >= midnight_ns]),
            total=statistics(trades),
            funnel=funnel(reader.market_progress()),
            series=by_series(trades),
        )
