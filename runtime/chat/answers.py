"""Texts of the chat's answers from the worker status and the ledger. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from events import WorkerStatus
from execution.ledger import TradeRow
from models import TradeOutcome
from monitoring.funnel import Funnel
from monitoring.performance_tracker import Performance
from monitoring.report.text_lines import (
    decisions_line,
    duration,
    funnel_rows,
    performance_lines,
    series_lines,
    statistics_lines,
)
from monitoring.status_lines import SILENT_AFTER_S, series_statuses
from view_paper_trades import ESSENTIAL, Results

TRADES = 10
"""Trades in the answer to /trades."""
DAYS = 7
"""Days in the answer to /daily."""
SERIES = 12
"""Series with a line of their own in the answer to /profit, so that it fits into one message."""
PROFIT = (*ESSENTIAL, "Equity", "Drawdown")
"""The statistics in the answer to /profit."""


def worker_lines(status: WorkerStatus | None, now_ns: int) -> list[str]:
    """The running market and the state of the worker."""
    age_s = None if status is None else max(0.0, (now_ns - status.ts_ns) / 1e9)
    if status is None or age_s is None:
        return ["Worker: it has not reported yet."]
    if age_s > SILENT_AFTER_S:
        return [f"Worker: no heartbeat for {duration(age_s)}; it starts, restarts, or is being replaced."]
    lines = [_market(one) for one in series_statuses(status)]
    if status.halted is None and not status.allows_orders:
        lines.append(f"No new position: {status.mode_detail}")
    if status.unknown_orders:
        lines.append(f"Orders of unknown outcome: {status.unknown_orders}")
    if status.pending_settlements:
        lines.append(f"Markets without their official outcome: {status.pending_settlements}")
    if status.feeds:
        down = [feed.source for feed in status.feeds if not feed.up]
        lines.append(f"Feeds: {len(status.feeds) - len(down)} of {len(status.feeds)} up" + _listed(down))
    return lines


def _market(status: WorkerStatus) -> str:
    if status.slug is None:
        return "Market: none runs, the catalogue does not list it yet."
    price = "no price" if status.p is None else f"Up at {status.p:.3f}"
    begin, end = status.window
    if status.second < begin:
        stage = f"decides in {duration((begin - status.second) * status.second_length_s)}"
    else:
        stage = "decides now" if status.second < end else "decision window over"
    return f"Market: {status.slug}, second {status.second:.0f} of 900, {price}, {stage}"


def _listed(names: Sequence[str]) -> str:
    return f", down: {', '.join(names)}" if names else ""


def trades_text(trades: Sequence[TradeRow]) -> str:
    """The newest trades, the newest last."""
    if not trades:
        return "No trades yet."
    shown = trades[-TRADES:]
    first = len(trades) - len(shown) + 1
    lines = [_trade(number, trade) for number, trade in enumerate(shown, start=first)]
    return "\n".join([f"The last {len(shown)} of {len(trades)} trades, times UTC:", *lines])


def _trade(number: int, trade: TradeRow) -> str:
    at = datetime.fromtimestamp(trade.created_ns // 10**9, UTC)
    result = "PENDING" if trade.pnl is None else f"{trade.outcome} {trade.pnl:+.4f}"
    return f"#{number} {at:%m-%d %H:%M} {trade.slug} {trade.side} ${trade.usd} at {trade.price:.3f}: {result}"


def profit_text(results: Results) -> str:
    """The essential statistics of all trades, and of each of several series.

    A win rate has its interval and break-even.
    """
    found = results.performance
    lines = dict(statistics_lines(found.total)) | dict(performance_lines(found))
    shown = [f"{name}: {text}" for name, text in lines.items() if name in PROFIT]
    shown += _lines_of_series(found)
    if results.cash is not None:
        shown.append(f"Cash: {results.cash.cash:.4f} pUSD by the ledger")
    return "\n".join(shown)


def _lines_of_series(found: Performance) -> list[str]:
    """A line for each series, or for those with the most trades and one for the sum of the others."""
    every = found.by_series
    most = sorted(every, key=lambda group: group.statistics.n + group.statistics.pending, reverse=True)
    shown = {group.name for group in most[:SERIES]}
    lines = [f"{name}: {text}" for name, text in series_lines(found) if name in shown]
    if others := [group.statistics for group in every if group.name not in shown]:
        settled, pending = sum(one.n for one in others), sum(one.pending for one in others)
        pnl = sum((one.pnl for one in others), Decimal(0))
        lines.append(f"{len(others)} other series: {settled} settled, {pending} pending, P&L {pnl:+.3f} pUSD")
    return lines


def daily_text(trades: Sequence[TradeRow], today: date) -> str:
    """The results of the last days, the newest first; a trade belongs to the UTC day on which it was made."""
    lines = [f"The last {DAYS} days (UTC), by the day of the trade:"]
    for back in range(DAYS):
        day = today - timedelta(days=back)
        made = [trade for trade in trades if _day(trade.created_ns) == day]
        lines.append(f"{day}: {_of_day(made)}")
    return "\n".join(lines)


def _of_day(made: Sequence[TradeRow]) -> str:
    if not made:
        return "no trade"
    pnl = sum((trade.pnl for trade in made if trade.pnl is not None), Decimal(0))
    counts = [
        f"{number} {name}"
        for name, outcome in (
            ("won", TradeOutcome.WIN),
            ("lost", TradeOutcome.LOSS),
            ("pending", TradeOutcome.PENDING),
        )
        if (number := sum(trade.outcome is outcome for trade in made))
    ]
    return f"{', '.join(counts)}, P&L {pnl:+.4f} pUSD"


def _day(ns: int) -> date:
    return datetime.fromtimestamp(ns // 10**9, UTC).date()


def funnel_text(found: Funnel) -> str:
    """Markets by stage reached, and what stopped the others."""
    lines = [
        f"{stage}: {markets}" + (f" (stopped: {stops})" if stops else "")
        for stage, markets, stops in funnel_rows(found)
    ]
    return "\n".join(["Markets by stage reached:", *lines, decisions_line(found).capitalize()])
