"""Metric values computed from the totals of a ledger, by metric name."""

from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from models import OrderState
from monitoring.funnel import BUY, stage_counts
from monitoring.ledger_totals import LedgerTotals
from monitoring.metrics.catalogue import CONCLUSIONS, DECISIONS, OUTCOMES, Value
from monitoring.order_latency import StageLatency
from monitoring.performance_tracker import PerformanceTracker

ZERO = Decimal(0)


def ledger_values(totals: LedgerTotals, max_exposure: Decimal, now_ns: int) -> dict[str, Value]:
    """All values of a ledger; the duration does not depend on the number of decisions and trades."""
    return {
        **_money(totals.tracker),
        **_evidence(totals.tracker),
        **_counters(totals),
        **_funnel(totals),
        **_series(totals),
        **_latencies(totals.latencies),
        "trading_day_pnl": float(totals.realised_on_day_of(now_ns)),
        "trading_open_positions": float(totals.open_positions),
        "trading_total_exposure": float(totals.exposure),
        "trading_risk_utilization": float(100 * totals.exposure / max_exposure),
        "trading_unredeemed_pusd": float(totals.unredeemed),
        "trading_cash_difference_pusd": float(totals.cash_difference),
    }


def ledger_bytes(path: Path) -> int:
    """Size of the file and SQLite's additional files; 0 if it does not exist."""
    total = 0
    for file in (path, path.with_name(f"{path.name}-wal")):
        # The last program that closes the ledger removes the second file, at any time.
        with suppress(OSError):
            total += file.stat().st_size
    return total


def _money(found: PerformanceTracker) -> dict[str, Value]:
    drawdown, sharpe = found.drawdown.fraction, found.sharpe
    return {
        "trading_total_pnl": float(found.realised),
        "trading_current_capital": float(found.equity),
        "trading_roi": float(100 * found.realised / found.starting) if found.starting else 0.0,
        "trading_max_drawdown": 100 * (drawdown or 0.0),
        "trading_sharpe_ratio": 0.0 if sharpe is None else sharpe.ratio,
        "trading_fees_pusd": float(found.tally.fees),
        "trading_staked_pusd": float(found.tally.staked),
    }


def _evidence(found: PerformanceTracker) -> dict[str, Value]:
    tally = found.tally
    low, high = tally.interval or (0.0, 0.0)
    return {
        "trading_settled_trades": float(tally.n),
        "trading_win_rate": 100 * (tally.win_rate or 0.0),
        "trading_win_rate_low": 100 * low,
        "trading_win_rate_high": 100 * high,
        "trading_break_even_win_rate": 100 * (tally.break_even or 0.0),
        "trading_mean_price": tally.mean_price or 0.0,
        "trading_verdict": {name: float(name == tally.conclusion) for name in CONCLUSIONS},
        "trading_avg_signal_score": found.mean_score or 0.0,
        "trading_avg_signal_confidence": found.mean_confidence or 0.0,
    }


def _counters(totals: LedgerTotals) -> dict[str, Value]:
    # A fill that is reversed on the chain is removed from the statistics, but a counter that decreases would
    # look like a reset to Prometheus: these count every order that has ever had the state.
    reached = totals.reached
    matched = float(reached[OrderState.MATCHED])
    return {
        "trades": matched,
        "trading_total_trades": matched,
        "trading_winning_trades": float(totals.won),
        "trading_losing_trades": float(totals.lost),
        "trading_decisions": {name: float(totals.decisions[name]) for name in (BUY, *DECISIONS)},
        "trading_orders_placed": float(reached[OrderState.SENT]),
        "trading_orders_filled": matched,
        "trading_orders_rejected": float(reached[OrderState.REFUSED]),
        "trading_order_outcomes": {name: float(reached[OrderState(name)]) for name in OUTCOMES},
    }


def _series(totals: LedgerTotals) -> dict[str, Value]:
    results, exposures = totals.tracker.series, totals.exposures()
    names = sorted(results.keys() | exposures.keys())
    return {
        "trading_series_pnl": {name: float(found.pnl) for name, found in results.items()},
        "trading_series_settled_trades": {name: float(found.n) for name, found in results.items()},
        "trading_series_winning_trades": {name: float(found.wins) for name, found in results.items()},
        "trading_series_open_positions": {name: float(exposures.get(name, (0, ZERO))[0]) for name in names},
        "trading_series_exposure": {name: float(exposures.get(name, (0, ZERO))[1]) for name in names},
    }


def _latencies(found: list[StageLatency]) -> dict[str, Value]:
    # With few orders a percentile is the largest value.
    ns = {
        "median": {str(step.stage): step.p50_ns for step in found},
        "p95": {str(step.stage): step.p95_ns or step.max_ns for step in found},
        "p99": {str(step.stage): step.p99_ns or step.max_ns for step in found},
        "max": {str(step.stage): step.max_ns for step in found},
    }
    return {
        f"trading_order_stage_{name}_seconds": {stage: value / 1e9 for stage, value in values.items()}
        for name, values in ns.items()
    }


def _funnel(totals: LedgerTotals) -> dict[str, Value]:
    stages = stage_counts(totals.ends)
    return {
        "trading_funnel_markets": {str(stage.stage): float(stage.markets) for stage in stages},
        "trading_funnel_stops": {
            str(name): float(n) for stage in stages for name, n in stage.stopped.items()
        },
    }
