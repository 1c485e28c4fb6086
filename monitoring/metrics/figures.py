"""The numbers that come from the ledger: read at once, so that they agree with each other."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from statistics import fmean

from execution.ledger import TradeRow
from models import Frozen, OrderState
from monitoring.funnel import Funnel, funnel
from monitoring.metrics.catalogue import OUTCOMES, VERDICTS, Value
from monitoring.performance_tracker import Performance, performance
from monitoring.report.reader import ReportReader
from monitoring.statistics import Statistics

ZERO = Decimal(0)
DURATION_BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800)
"""Upper bounds in seconds, those of the first version; most trades are open for one to three minutes."""


class Durations(Frozen, frozen=True):
    """A histogram: how many are at most as long as each of `DURATION_BUCKETS`, then all of them; seconds."""

    at_most: tuple[int, ...]
    total_s: float


class Figures(Frozen, frozen=True):
    """One reading of the ledger: metric values by name, and for how long the settled trades were open."""

    read_ns: int
    values: dict[str, Value]
    durations: Durations


def read_figures(path: Path, now_ns: int, max_exposure: Decimal) -> Figures:
    """Everything that the ledger says.

    Raises
    ------
    Fatal
        If it cannot be read.
    """
    midnight = datetime.fromtimestamp(now_ns // 10**9, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with ReportReader(path) as reader, reader.snapshot():
        cash, check = reader.cash_flow(), reader.last_cash_check()
        risk = reader.risk_figures(int(midnight.timestamp()) * 10**9)
        trades = reader.trades()
        found = performance(trades, starting=ZERO if cash is None else cash.starting + cash.drift)
        stages, reached = funnel(reader.trails()), reader.states_reached()
        claimable = reader.claimable()
    values: dict[str, Value] = {
        **_money(found),
        **_evidence(found.total, trades),
        **_made(found.total, reached),
        **_doings(stages, reached),
        "trading_day_pnl": float(risk.realised),
        "trading_open_positions": float(risk.open_positions),
        "trading_total_exposure": float(risk.unsettled),
        "trading_risk_utilization": float(100 * risk.unsettled / max_exposure),
        "trading_unredeemed_pusd": float(sum(claimable.values(), ZERO)),
        "trading_cash_difference_pusd": 0.0 if check is None else float(check.difference),
        "trading_ledger_bytes": float(ledger_bytes(path)),
    }
    open_s = ((t.settled_ns - t.filled_ns) / 1e9 for t in trades if t.settled_ns is not None)
    return Figures(read_ns=now_ns, values=values, durations=durations(open_s))


def ledger_bytes(path: Path) -> int:
    """The file with what SQLite has beside it."""
    total = 0
    for file in (path, path.with_name(f"{path.name}-wal")):
        # The last one to close the ledger removes the second file, at any time.
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _money(found: Performance) -> dict[str, Value]:
    drawdown = found.drawdown.fraction or 0.0
    return {
        "trading_total_pnl": float(found.realised),
        "trading_current_capital": float(found.equity),
        "trading_roi": float(100 * found.realised / found.starting) if found.starting else 0.0,
        "trading_max_drawdown": 100 * drawdown,
        "trading_sharpe_ratio": 0.0 if found.sharpe is None else found.sharpe.ratio,
        "trading_fees_pusd": float(found.total.fees),
        "trading_staked_pusd": float(found.total.staked),
    }


def _evidence(total: Statistics, trades: Sequence[TradeRow]) -> dict[str, Value]:
    scores = [trade.score for trade in trades if trade.score is not None]
    confidences = [trade.confidence for trade in trades if trade.confidence is not None]
    return {
        "trading_settled_trades": float(total.n),
        "trading_win_rate": 100 * (total.win_rate or 0.0),
        "trading_win_rate_low": 100 * (total.wilson_low or 0.0),
        "trading_win_rate_high": 100 * (total.wilson_high or 0.0),
        "trading_break_even_win_rate": 100 * (total.break_even or 0.0),
        "trading_mean_price": total.mean_price or 0.0,
        "trading_verdict": {name: float(name == verdict_word(total)) for name in VERDICTS},
        "trading_avg_signal_score": fmean(scores) if scores else 0.0,
        "trading_avg_signal_confidence": fmean(confidences) if confidences else 0.0,
    }


def _made(total: Statistics, reached: Mapping[str, int]) -> dict[str, Value]:
    # A fill that is reversed on the chain leaves the statistics, but a counter that falls would look to
    # Prometheus like one that began anew: it counts every order that was ever matched.
    every = float(reached.get(OrderState.MATCHED, 0))
    return {
        "trades": every,
        "trading_total_trades": every,
        "trading_winning_trades": float(total.wins),
        "trading_losing_trades": float(total.losses),
    }


def verdict_word(total: Statistics) -> str:
    """`Statistics.verdict` in one of the words of `VERDICTS`."""
    if not total.verdict.startswith(("A profit", "A loss")):
        return "chance"
    return "profit" if total.pnl > 0 else "loss"


def _doings(found: Funnel, reached: Mapping[str, int]) -> dict[str, Value]:
    return {
        "trading_decisions": {name: float(n) for name, n in found.decisions.items()},
        "trading_orders_placed": float(reached.get(OrderState.SENT, 0)),
        "trading_orders_filled": float(reached.get(OrderState.MATCHED, 0)),
        "trading_orders_rejected": float(reached.get(OrderState.REFUSED, 0)),
        "trading_order_outcomes": {name: float(reached.get(name, 0)) for name in OUTCOMES},
        "trading_funnel_markets": {str(stage.stage): float(stage.markets) for stage in found.stages},
        "trading_funnel_stops": {
            str(name): float(n) for stage in found.stages for name, n in stage.stopped.items()
        },
    }


def durations(seconds: Iterable[float]) -> Durations:
    """Sort into `DURATION_BUCKETS`."""
    counts = [0] * (len(DURATION_BUCKETS) + 1)
    total = 0.0
    for value in seconds:
        counts[bisect_left(DURATION_BUCKETS, value)] += 1
        total += value
    return Durations(at_most=tuple(accumulate(counts)), total_s=total)
