"""Renders the terminal view of a snapshot. Pure; fits itself to the available lines."""

from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from events import WorkerStatus
from execution.ledger import DecisionRow
from models import SCALE_SECONDS, OrderState, TradeOutcome, Vote, series_of
from monitoring.market_block import vote_text
from monitoring.report.text_lines import funnel_rows, readable_name
from monitoring.statistics import Statistics
from monitoring.status_lines import (
    SILENT_AFTER_S,
    countdown_text,
    feed_age_text,
    kind_text,
    market_text,
    mode_text,
    pending_text,
    quote_text,
    series_statuses,
)
from monitoring.watch.snapshot import LedgerSnapshot, WatchSnapshot

LEAST_DECISIONS = 3
STYLES = {TradeOutcome.WIN: "green", TradeOutcome.LOSS: "red", TradeOutcome.PENDING: "yellow"}
HEALTHY, WARNING, DEAD = "bold green", "bold yellow", "bold red"


def screen(snapshot: WatchSnapshot, width: int, height: int) -> RenderableType:
    """The view in `width` × `height`; the list of decisions gets the remaining lines."""
    above: list[RenderableType] = [_header(snapshot)]
    if snapshot.worker_status is not None:
        above += [_market(one, width) for one in series_statuses(snapshot.worker_status)]
        above += _world(snapshot.worker_status)
    if snapshot.trouble is not None:
        above.append(Text(snapshot.trouble, style=DEAD))
    if snapshot.record is None:
        return Group(*above)
    below = _results(snapshot.record, roomy=height >= 30)
    above += [Text(), _votes(snapshot.record)]
    used = sum(_lines(part, width) for part in (*above, *below)) + 3
    fitting = max(LEAST_DECISIONS, height - used)
    return Group(*above, Text(), _decisions(snapshot.record, min(fitting, 20), width), Text(), *below)


def _header(snapshot: WatchSnapshot) -> RenderableType:
    if snapshot.profile is None:
        return Text(
            f"No bot has run on {snapshot.state_dir} yet. Start one with: python runner.py --test-mode",
            style=WARNING,
        )
    worker_status, silence = snapshot.worker_status, snapshot.silence_s
    if worker_status is None or silence is None:
        return Text(
            f"{snapshot.profile}: no bot is running on it and there is no status file. Waiting.",
            style=WARNING,
        )
    line = Text(f"{mode_text(worker_status)} on {worker_status.profile}  ", style="bold")
    if silence > SILENT_AFTER_S:
        last = datetime.fromtimestamp(worker_status.ts_ns // 10**9, UTC)
        return line.append(
            f"no bot is running: last seen {last:%d %b %H:%M:%S} UTC. Waiting for one.", style=DEAD
        )
    if worker_status.halted is not None:
        return line.append(f"HALTED: {worker_status.halted}", style=DEAD)
    if not worker_status.allows_orders:
        return line.append(f"no new position: {worker_status.mode_detail}", style=WARNING)
    return line.append("● running", style=HEALTHY).append(f"  {pending_text(worker_status)}", style="yellow")


def _market(worker_status: WorkerStatus, width: int) -> RenderableType:
    several = bool(worker_status.series)
    if worker_status.slug is None:
        return Text("between markets: the catalogue does not list the running one yet", style="dim")
    kind = kind_text(worker_status.kind, worker_status.version)
    price = f"Up {worker_status.p:.3f}" if worker_status.p is not None else "no price"
    left, right = (
        f"{market_text(worker_status.slug, several=several)}{f' {kind}' if kind else ''} ",
        f" {worker_status.second:3.0f} s  {price}  {countdown_text(worker_status)}"
        f"{f'  {quote_text(worker_status)}' if several else ''}",
    )
    bar_width = max(6, min(40, width - len(left) - len(right)))
    done = round(bar_width * min(1.0, worker_status.second / SCALE_SECONDS))
    line = (
        Text(left, style="bold")
        .append("━" * done, style="cyan")
        .append("─" * (bar_width - done), style="dim")
    )
    return line.append(right)


def _world(worker_status: WorkerStatus) -> list[RenderableType]:
    """Age of the quote, spot against strike, and ages of the feeds; with several series only the feeds."""
    line = Text(style="dim")
    several = bool(worker_status.series)
    if not several and (quote := quote_text(worker_status)):
        line.append(f"{quote}  ")
    if not several and worker_status.outside:
        line.append(f"spot {worker_status.outside}  ", style="cyan")
    for feed in worker_status.feeds:
        line.append(f"{feed.source} {feed_age_text(feed)}  ", style="" if feed.up else "red")
    if (recording := worker_status.recording) is not None:
        failing = bool(recording.error or recording.lost)
        text = f"recorded {recording.frames} frames, lost {recording.lost} {recording.error}".rstrip()
        line.append(f"{text}  ", style="red" if failing else "")
    return [line] if line.cell_len else []


def _several(record: LedgerSnapshot) -> bool:
    """Whether the newest decisions and the open positions are of more than one series."""
    slugs = [*(row.slug for row in record.recent), *(position.trade.slug for position in record.positions)]
    return len({series_of(slug) for slug in slugs}) > 1


def _votes(record: LedgerSnapshot) -> RenderableType:
    if not record.votes:
        return Text("no votes yet", style="dim")
    line = Text("votes  ", style="bold")
    for vote in record.votes:
        line.append_text(vote_text(vote)).append(_weight(vote), style="dim")
    return line


def _weight(vote: Vote) -> str:
    return f" ×{vote.weight:.2f}  "


def _decisions(record: LedgerSnapshot, count: int, width: int) -> RenderableType:
    """The newest decisions; only the last column is shortened to the width."""
    rows = record.recent[:count]
    decision_columns = max((len(_decision(row)) for row in rows), default=0)
    several = _several(record)
    market_columns = max([12, *(len(market_text(row.slug, several=several)) for row in rows)])
    columns = {
        "time": 8,
        "market": market_columns if several else 12,
        "sec": 3,
        "Up": 5,
        "decision": max(8, decision_columns),
    }
    rest = width - sum(columns.values()) - len(columns)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for heading, fitting in columns.items():
        table.add_column(heading, no_wrap=True, min_width=fitting)
    table.add_column("result", no_wrap=True, overflow="ellipsis", max_width=max(6, rest))
    for row in rows:
        table.add_row(
            f"{datetime.fromtimestamp(row.now_ns // 10**9, UTC):%H:%M:%S}",
            market_text(row.slug, several=several),
            f"{row.second:.0f}",
            f"{row.p:.3f}",
            _decision(row),
            _came(record, row.id) if row.reason is None else Text(row.detail),
        )
    return table if rows else Text("no decision yet", style="dim")


def _decision(row: DecisionRow) -> str:
    return f"BUY {row.outcome} at {row.ask}" if row.reason is None else readable_name(row.reason)


def _came(record: LedgerSnapshot, decision_id: int) -> Text:
    trade, order = record.trades.get(decision_id), record.orders.get(decision_id)
    if trade is not None:
        text = f"{trade.shares.normalize():f} at {trade.price:.3f} {trade.outcome}"
        pnl = "" if trade.pnl is None else f" {trade.pnl:+.4f}"
        return Text(text + pnl, style=STYLES[trade.outcome])
    if order is not None:
        bad = order.state in (OrderState.REFUSED, OrderState.UNKNOWN, OrderState.REVERSED)
        return Text(f"{readable_name(order.state)} {order.detail}".strip(), style="red" if bad else "yellow")
    return Text("no order", style="dim")


def _results(record: LedgerSnapshot, *, roomy: bool) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if record.positions:
        parts.append(_open(record))
    parts += [_statistics("today", record.today), _statistics("in all", record.total)]
    parts += [_statistics(group.name, group.statistics) for group in record.series]
    parts.append(Text(record.total.conclusion, style="italic"))
    parts.append(_funnel_table(record) if roomy else _funnel_line(record))
    return parts


def _open(record: LedgerSnapshot) -> Text:
    line = Text("open  ", style="bold")
    for position in record.positions:
        trade = position.trade
        market = market_text(trade.slug, several=_several(record))
        line.append(f"{market} {trade.side} {trade.shares.normalize():f}")
        line.append(f" for {trade.cost + trade.fee:.4f}")
        if position.value is not None:
            line.append(f", worth {position.value:.4f} at {position.chance:.0%}", style="cyan")
        line.append(f" {position.delay}  " if position.delay else "  ", style="yellow")
    return line


def _statistics(name: str, numbers: Statistics) -> Text:
    line = Text(f"{name:<7} ", style="bold") if len(name) >= 7 else Text(f"{name:<7}", style="bold")
    if numbers.win_rate is None:
        return line.append(f"{numbers.n} settled, {numbers.pending} pending")
    line.append(f"{numbers.pnl:+.4f} pUSD", style="green" if numbers.pnl > 0 else "red")
    return line.append(
        f"  won {numbers.wins} of {numbers.n}: {numbers.win_rate:.0%} (95 % {numbers.wilson_low:.0%} to"
        f" {numbers.wilson_high:.0%}), break-even {numbers.break_even:.1%}, fees {numbers.fees:.4f}"
    )


def _funnel_line(record: LedgerSnapshot) -> Text:
    stages = (f"{readable_name(stage.stage)} {stage.markets}" for stage in record.funnel.stages)
    return Text("funnel ", style="bold").append(" → ".join(stages))


def _funnel_table(record: LedgerSnapshot) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for stage, markets, stops in funnel_rows(record.funnel):
        table.add_row(
            Text(stage, style="bold"), Text(str(markets), justify="right"), Text(stops, style="dim")
        )
    return table


def _lines(part: RenderableType, width: int) -> int:
    """Number of lines of a part."""
    return len(Console(width=width).render_lines(part, pad=False))
