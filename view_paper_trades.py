#!/usr/bin/env python3
"""Shows the trades of one trading profile and their statistics, from the ledger, read-only."""

if __name__ == "__main__":
    import sys
    from os.path import dirname

    sys.path.insert(0, dirname(__file__))  # PYTHONSAFEPATH leaves it out
    # Before all imports of third-party packages: in a fresh clone they are installed first.
    from bootstrap import ensure_environment

    ensure_environment("view_paper_trades.py")

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.atomic_file import create_private_files
from control.halt_file import HALT_FILE, HaltFile
from errors import Fatal
from execution.ledger import (
    CASH_TOLERANCE,
    LIVE_PROFILE,
    PAPER_PROFILES,
    REHEARSAL_PROFILES,
    CashCheck,
    CashFlow,
    LedgerReader,
    Mode,
    ModeRow,
    Position,
    RunRow,
    TradeRow,
    WeightRow,
    ledger_path,
)
from execution.settlement.payouts import paid
from execution.venue_facts.store import FactStatus
from execution.venue_facts.store import load as load_facts
from execution.venue_facts.store import rows as fact_rows
from models import Frozen, TradeOutcome, series_of
from monitoring.funnel import Funnel, Stage, funnel
from monitoring.order_latency import StageLatency, stage_latencies
from monitoring.performance_tracker import Performance, performance
from monitoring.report.decision_text import EXPLAINED, DecisionEvidence, UntradedMarket
from monitoring.report.fact_lines import raw_text, sighting_text, summary, venue_of
from monitoring.report.latency_rows import HEADINGS, NOTE, TITLE, latency_rows
from monitoring.report.reader import ReportReader
from monitoring.report.text_lines import (
    decisions_line,
    duration,
    funnel_rows,
    performance_lines,
    readable_name,
    source_line,
    statistics_lines,
)
from monitoring.statistics import Statistics
from monitoring.terminal import PlainConsole, print_error, replace_unencodable

if TYPE_CHECKING:
    from core.strategy_brain.strategies.replay import Replay

LAST_TRADES = 5
"""Trades of the table on one screen."""
ESSENTIAL = ("Trades", "Recorded", "Generated", "Win rate", "Money", "Per trade", "Conclusion")
"""Statistics that are shown without --details."""
STAGES = (Stage.SEEN, Stage.IN_WINDOW, Stage.AGREED, Stage.ORDERED, Stage.MATCHED)
"""Stages of the funnel that are shown without --details."""
WIDE = 112
"""Terminal width from which the slug of a market fits into the table."""
FACT_STYLES = {
    FactStatus.CONTRADICTED: "bold red",
    FactStatus.CONFIRMED: "green",
    FactStatus.NOT_SEEN: "yellow",
}
STYLES = {TradeOutcome.WIN: "green", TradeOutcome.LOSS: "red", TradeOutcome.PENDING: "yellow"}
BACKTEST_PROFILE = "backtest"
"""Name of the ledgers of `research.backtest`."""


class Results(Frozen, frozen=True):
    """All values shown, read at one instant."""

    profile: str
    since: datetime | None
    run: RunRow | None
    trades: list[TradeRow]
    performance: Performance
    funnel: Funnel
    cash: CashFlow | None
    check: CashCheck | None
    claimable: dict[str, Decimal]
    paid_since_check: dict[str, Decimal]
    """Payouts that were recorded after the last comparison of the cash, by slug."""
    in_flight: int
    positions: list[Position] = []
    """Of the newest session: trades without a settlement, marked at the market's implied probability."""
    mode_now: ModeRow | None = None
    halted: str | None = None
    weights: list[WeightRow] = []
    evidence: dict[int, DecisionEvidence] = {}
    """Of the decisions of the last trades, by id; only for the HTML report."""
    untraded: list[UntradedMarket] = []
    """The last markets without a trade, newest first; only for the HTML report."""
    latencies: list[StageLatency] = []
    """Time from the quote to each step of the orders; not for the table of one screen."""

    @property
    def cash_agrees(self) -> bool:
        """Whether the venue's cash was the ledger's at the last comparison.

        A redemption that was paid shortly before it, and recorded after it or not yet, is no difference.
        """
        payouts = self.claimable | self.paid_since_check
        return self.check is None or paid(self.check.difference, payouts, CASH_TOLERANCE) is not None

    @property
    def statistics(self) -> Statistics:
        return self.performance.total

    @property
    def mode(self) -> Mode:
        return Mode.LIVE if self.profile == LIVE_PROFILE else Mode.SIMULATION

    @property
    def stranded(self) -> int:
        """Pending trades of practice sessions that are over: their venue no longer exists, they stay
        pending."""
        session = self.run.session if self.run else ""
        return sum(trade.pnl is None and trade.session != session for trade in self.trades)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the results; exit code 1 if there is no readable ledger."""
    create_private_files()
    replace_unencodable(sys.stdout)
    options = _parser().parse_args(arguments)
    if options.state is None:
        # Imported here, because it is slow and not needed if the folder is given.
        from config import load_settings

        try:
            options.state = load_settings().state_dir
        except Fatal as error:
            print_error(error)
            return error.exit_code
    if options.live and options.venue not in (None, "polymarket"):
        profile = f"rehearsal-{options.venue.removeprefix('rehearsal-')}"
        _parser().error(f"--live is real money on polymarket; the rehearsal is --venue {profile}")
    if options.watch:
        # Imported here, because the table does not need it.
        from monitoring.watch import watch

        watch(options.state, LIVE_PROFILE if options.live else options.venue, PlainConsole(highlight=False))
        return 0
    try:
        return _show_profile(options)
    except Fatal as error:
        print_error(error)
        return error.exit_code


def _show_profile(options: argparse.Namespace) -> int:
    """Print or write what the options ask for about one profile; exit code 1 if there is no ledger."""
    profile = LIVE_PROFILE if options.live else options.venue or newest_profile(options.state)
    path = None if profile is None else ledger_path(options.state, profile)
    console = PlainConsole(highlight=False, markup=False)
    if options.venue_facts:
        show_facts(options.state, venue_of(profile), console, as_json=options.json)
        return 0
    if profile is None or path is None or not path.is_file():
        print(_nothing_yet(profile, options.state), file=sys.stderr)
        return 1
    if options.replay is not None:
        return show_replay(path, options.replay, console, as_json=options.json)
    if options.csv is not None or options.parquet is not None:
        return _export(path, options)
    results = load(
        path,
        profile,
        options.since,
        explained=EXPLAINED if options.html is not None else 0,
        traced=options.details or options.json or options.html is not None,
    )
    if options.html is not None:
        write_html(results, options.html, options.state)
    if options.json:
        console.print(as_json(results), soft_wrap=True)
    elif options.html is not None:
        print(f"The report is in {options.html}. Open it in a browser.")
    else:
        show(results, console, details=options.details)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Shows the paper trades, or with --live the real ones, and their statistics.",
        epilog=(
            "A report from a day on: python view_paper_trades.py --since 2026-11-01 --html report.html\n"
            "For a program:        python view_paper_trades.py --live --json\n"
            "A decision again:     python view_paper_trades.py --replay 120\n"
            "The venue's rules:    python view_paper_trades.py --venue-facts\n"
            "Exit code: 0 shown, 1 no ledger or not readable, or not identical with --replay, 2 bad usage."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--details",
        action="store_true",
        help="every trade, every statistic, the signals, the funnel and the latency of the orders",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with plots to FILE instead of the table"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a table to FILE, for spreadsheets")
    parser.add_argument("--parquet", type=Path, metavar="FILE", help="write a table to FILE, for data frames")
    parser.add_argument(
        "--table",
        choices=("trades", "decisions", "latency"),
        default="trades",
        help="with --csv and --parquet: which table; default: trades",
    )
    parser.add_argument(
        "--replay",
        type=int,
        nargs="?",
        const=0,
        metavar="DECISION_ID",
        help="take a recorded decision again and show whether it is identical; without a number: the newest",
    )
    parser.add_argument(
        "--venue-facts",
        action="store_true",
        help="show what the bot assumes about the venue, and the observations that confirm or contradict it",
    )
    parser.add_argument("--watch", action="store_true", help="follow a running bot until q is pressed")
    parser.add_argument("--live", action="store_true", help="the profile with real money")
    parser.add_argument(
        "--venue",
        choices=(*PAPER_PROFILES, *REHEARSAL_PROFILES),
        help="which profile; default: the last one used",
    )
    parser.add_argument("--state", type=Path, help="state folder (default: the setting STATE_DIR)")
    parser.add_argument("--since", type=_utc, metavar="ISO-DATE", help="only trades from this time on, UTC")
    return parser


def _utc(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-09-28") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _nothing_yet(profile: str | None, state: Path) -> str:
    if profile == LIVE_PROFILE:
        return f"No live trades in {state} yet. Live trading starts with: python runner.py --live"
    where = f" on {profile}" if profile else ""
    flags = f" --venue {profile}" if profile else ""
    if profile in REHEARSAL_PROFILES:
        flags = f" --live --venue {profile.removeprefix('rehearsal-')}"
    return f"No paper trades{where} in {state} yet. Make some with: python runner.py --test-mode{flags}"


def newest_profile(state: Path) -> str | None:
    """The profile without real money whose last run started last; one without a run counts as oldest.

    For an unreadable ledger the file's modification time is used, so that its error is shown.
    """
    started: dict[str, int] = {}
    for profile in (*PAPER_PROFILES, *REHEARSAL_PROFILES):
        path = ledger_path(state, profile)
        if path.is_file():
            try:
                with LedgerReader(path) as reader:
                    run = reader.last_run()
                started[profile] = run.started_ns if run else 0
            except Fatal:
                started[profile] = path.stat().st_mtime_ns
    return max(started, key=lambda profile: started[profile], default=None)


def load(
    path: Path, profile: str, since: datetime | None, *, explained: int = 0, traced: bool = False
) -> Results:
    """Read the ledger of one profile at a single instant.

    `explained` is the number of trades, and of markets without one, whose decisions are read as well,
    `traced` whether the times of the orders' steps are.
    """
    since_ns = 0 if since is None else int(since.timestamp()) * 10**9
    with ReportReader(path) as reader, reader.snapshot():
        every = reader.trades()
        trades = [trade for trade in every if trade.created_ns >= since_ns]
        cash, check = reader.cash_flow(), reader.last_cash_check()
        return Results(
            profile=profile,
            since=since,
            run=reader.last_run(),
            trades=trades,
            performance=performance(trades, reader.votes(since_ns), starting=_start(cash, every, since_ns)),
            funnel=funnel(reader.market_progress(since_ns)),
            cash=cash,
            check=check,
            claimable=reader.claimable(),
            paid_since_check={} if check is None else reader.payouts_since(check.ts_ns),
            in_flight=len(reader.open_intents()),
            positions=reader.positions(),
            mode_now=reader.last_mode(),
            halted=HaltFile(path.parent / HALT_FILE).standing(),
            weights=reader.weights(),
            evidence=reader.evidence(trade.decision_id for trade in trades[-explained:] if explained),
            untraded=reader.untraded(explained, since_ns) if explained else [],
            latencies=stage_latencies(reader.order_traces(since_ns)) if traced else [],
        )


def _start(cash: CashFlow | None, trades: Sequence[TradeRow], since_ns: int) -> Decimal:
    """The balance at the start of a period: the paid-in balance and the P&L of the trades before it.

    All practice sessions are shown as one account that started with the newest session's cash.
    """
    paid_in = Decimal(0) if cash is None else cash.starting + cash.drift
    return paid_in + sum(
        (trade.pnl or Decimal(0) for trade in trades if trade.created_ns < since_ns), Decimal(0)
    )


def _export(path: Path, options: argparse.Namespace) -> int:
    """Write the chosen table to the chosen files."""
    # Imported here, because the table for people does not need it.
    from monitoring.data_export import Table, write_csv, write_parquet

    table = Table(options.table)
    since_ns = 0 if options.since is None else int(options.since.timestamp()) * 10**9
    with LedgerReader(path) as reader:
        reads = {
            Table.TRADES: reader.trades,
            Table.DECISIONS: reader.decisions,
            Table.LATENCY: reader.order_traces,
        }
        rows = reads[table](since_ns)
    for target, write in ((options.csv, write_csv), (options.parquet, write_parquet)):
        if target is not None:
            print(f"{target}: {_number(write(table, rows, target), 'row')} of {table}")
    return 0


def write_html(results: Results, path: Path, state: Path | None = None) -> None:
    """Write the report; raises `Fatal` if the file cannot be written.

    `state` is the state folder, which has the evidence about the venue; without it the report has none.
    """
    # Imported here, because the table does not need it.
    from monitoring.report import Report, write

    venue = venue_of(results.profile)
    report = Report(
        title=_title(results),
        period=_period(results),
        generated=datetime.now(UTC),
        trades=results.trades,
        performance=results.performance,
        funnel=results.funnel,
        account=[*_state_lines(results), *_business_lines(results)],
        positions=results.positions,
        weights=results.weights,
        evidence=results.evidence,
        untraded=results.untraded,
        latencies=results.latencies,
        facts=() if state is None else fact_rows(load_facts(state), venue),
        facts_venue=venue,
    )
    write(report, path)


# --- the venue -----------------------------------------------------------------------------------


def show_facts(state: Path, venue: str, console: Console, *, as_json: bool) -> None:
    """Print each assumption about a venue with its evidence."""
    facts = fact_rows(load_facts(state), venue)
    if as_json:
        document = {
            "venue": venue,
            "facts": [
                {
                    "id": row.fact.id,
                    "claim": row.fact.claim,
                    "evidence": row.fact.evidence,
                    "money": row.fact.money,
                    "status": row.record.status,
                    **msgspec.to_builtins(row.record),
                }
                for row in facts
            ],
        }
        console.print(msgspec.json.format(msgspec.json.encode(document)).decode(), soft_wrap=True)
        return
    console.print(Text(f"VENUE FACTS: {summary(facts, venue)}", style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in sorted(facts, key=lambda row: list(FACT_STYLES).index(row.record.status)):
        status = row.record.status
        grid.add_row(Text(status, style=FACT_STYLES[status]), row.fact.id, row.fact.claim)
        grid.add_row("", "", Text(sighting_text(row), style="dim"))
        if raw := raw_text(row.record.sighting):
            grid.add_row("", "", Text(raw, style="dim"))
    console.print(grid)


# --- one decision --------------------------------------------------------------------------------


def show_replay(path: Path, decision_id: int, console: Console, *, as_json: bool) -> int:
    """Take a recorded decision again and print it; exit code 1 if the result differs from the record.

    Parameters
    ----------
    decision_id : int
        0 for the newest.

    Raises
    ------
    Fatal
        If there is no such decision.
    """
    # Imported here, because the table does not need it.
    from core.strategy_brain.strategies.replay import replay
    from monitoring.replay_text import replay_sections

    with LedgerReader(path) as reader:
        newest = next((row.id for row in reader.recent_decisions(1)), 0)
        if not 0 <= decision_id <= newest or newest == 0:
            raise Fatal(
                f"decision {decision_id} is not in the ledger {path}, the newest is {newest}",
                "docs/ledger.md shows how to list the decisions",
            )
        recorded = reader.decision(decision_id or newest)
    found = replay(recorded)
    if as_json:
        document = msgspec.structs.asdict(found) | {"identical": found.identical}
        console.print(msgspec.json.format(msgspec.json.encode(document)).decode(), soft_wrap=True)
        return 0 if found.identical else 1
    gates = [
        (
            result.gate,
            "not reached"
            if not result.reached
            else "passes"
            if result.refusal is None
            else f"refuses, {result.refusal.reason}: {result.refusal.detail}",
        )
        for result in found.gates
    ]
    sections = replay_sections(decision_id or newest, recorded, found.again, gates, _conclusion(found))
    for heading, lines in sections:
        console.print(Text(heading, style="bold"))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in lines:
            grid.add_row(f"  {name}", text)
        console.print(grid)
    return 0 if found.identical else 1


def _conclusion(found: "Replay") -> str:
    if not found.identical:
        return f"DIFFERENT in {', '.join(found.differences)}: the row was made by another version, or changed"
    if found.outside is None:
        return "identical"
    return f"identical; the recorded reason, {found.outside}, is given by a step outside the strategy brain"


# --- for programs --------------------------------------------------------------------------------


def as_json(results: Results) -> str:
    """The results as indented JSON; see `json_document`."""
    return msgspec.json.format(json_document(results), indent=2).decode()


def json_document(results: Results) -> bytes:
    """One JSON object: the statistics, flat, with profile, period and cash. Money as exact numbers."""
    names = zip(Statistics.__struct_fields__, Statistics.__struct_encode_fields__, strict=True)
    numbers = {key: getattr(results.statistics, name) for name, key in names}
    run, cash, check = results.run, results.cash, results.check
    document = {
        "book": results.profile,
        "mode": results.mode,
        "venue": run.venue if run else None,
        "note": run.note if run else None,
        "since": results.since,
        **numbers,
        "performance": _performance(results.performance),
        "funnel": results.funnel,
        "stranded": results.stranded,
        "positions": [_position(position) for position in results.positions],
        "halted": results.halted,
        "mode_now": results.mode_now,
        "weights": results.weights,
        "orders_in_flight": results.in_flight,
        "order_latency": results.latencies,
        "cash": {
            "ledger_cash": cash.cash if cash else None,
            "claimable": cash.claimable if cash else None,
            "venue_cash": check.venue_cash if check else None,
            "difference": check.difference if check else None,
            "checked_at": _moment(check.ts_ns) if check else None,
        },
    }
    return msgspec.json.Encoder(decimal_format="number").encode(document)


def _position(position: Position) -> dict[str, object]:
    """A pending trade with its mark; `unrealised` is not a result and not part of any sum."""
    trade = position.trade
    return {
        "slug": trade.slug,
        "side": trade.side,
        "shares": trade.shares,
        "cost": trade.cost,
        "fee": trade.fee,
        "mark": position.mark,
        "value": position.value,
        "unrealised": position.unrealised,
        "delay": position.delay,
    }


def _performance(found: Performance) -> dict[str, object]:
    """The performance without the curve, which grows with every trade, and without `total`."""
    return {
        name: getattr(found, name) for name in Performance.__struct_fields__ if name not in ("curve", "total")
    }


# --- for people ----------------------------------------------------------------------------------


def show(results: Results, console: Console, *, details: bool = False) -> None:
    """Print the results, fitted to the console's width: on one screen, or with all details."""
    console.print(Text(_title(results), style="bold"))
    console.print(Text(_period(results)))
    for name, text in _state_lines(results):
        console.print(Text(f"{name}: {text}", style="bold red"))
    shown = results.trades if details else results.trades[-LAST_TRADES:]
    if shown:
        console.print(_table(results, shown, wide=console.width >= WIDE))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    grid.add_row("", "")
    for name, text in _detailed_lines(results) if details else _short_lines(results):
        grid.add_row(name, text)
    console.print(grid)
    if details:
        _show_sources(results.performance, console)
        _show_funnel(results.funnel, console)
        _show_latency(results.latencies, console)
    else:
        console.print(Text(_more(results, len(results.trades) - len(shown)), style="dim"))


def _more(results: Results, earlier: int) -> str:
    """How to see what is not shown; `earlier` trades are not in the table."""
    before = f"{_number(earlier, 'earlier trade')}, " if earlier else ""
    if results.profile == BACKTEST_PROFILE:
        return f"{before}every statistic: the same command with --html FILE"
    flags = " --live" if results.profile == LIVE_PROFILE else f" --venue {results.profile}"
    return f"{before}every statistic: python view_paper_trades.py{flags} --details"


def _short_lines(results: Results) -> list[tuple[str, str]]:
    """What fits on one screen: the essential statistics, pending trades, cash, and the funnel in a line."""
    found = results.performance
    series = [group.name for group in found.by_series]
    every = dict(statistics_lines(found.total)) | dict(performance_lines(found))
    funnel = ", ".join(
        f"{count.markets} {readable_name(count.stage)}"
        for count in results.funnel.stages
        if count.stage in STAGES
    )
    return [
        *((name, text) for name, text in every.items() if name in (*ESSENTIAL, *series)),
        *(("Pending", _pending(position)) for position in results.positions),
        *_business_lines(results),
        ("Markets", f"{funnel}; {decisions_line(results.funnel)}"),
    ]


def _detailed_lines(results: Results) -> list[tuple[str, str]]:
    found = results.performance
    return [
        *statistics_lines(found.total),
        *performance_lines(found),
        *(("Pending", _pending(position)) for position in results.positions),
        *_business_lines(results),
    ]


def _show_sources(found: Performance, console: Console) -> None:
    if not found.by_source:
        return
    console.print(Text("\nSignals, in settled markets", style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for source in found.by_source:
        grid.add_row(source.source, source_line(source))
    console.print(grid)


def _show_funnel(found: Funnel, console: Console) -> None:
    console.print(Text("\nFunnel: markets by stage reached, and what stopped the others", style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for stage, markets, stops in funnel_rows(found):
        grid.add_row(stage, str(markets), stops)
    console.print(grid)
    console.print(decisions_line(found).capitalize())


def _show_latency(found: Sequence[StageLatency], console: Console) -> None:
    if not found:
        return
    console.print(Text(f"\n{TITLE}", style="bold"))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in latency_rows(found):
        table.add_row(*row)
    console.print(table)
    console.print(Text(NOTE, style="dim"))


def _title(results: Results) -> str:
    if results.mode is Mode.LIVE:
        return "LIVE TRADES: real money on Polymarket"
    if results.profile == BACKTEST_PROFILE:
        return "BACKTEST (simulation): recorded markets, no venue"
    what = {
        "recorded": "practice venue, recorded real markets",
        "synthetic": "practice venue, generated markets",
        "mixed": "practice venue, recorded and generated markets",
        "recording": "practice venue, a replayed recording",
        "polymarket": "live Polymarket market data, paper orders",
    }[results.profile.removeprefix("rehearsal-")]
    if results.profile in REHEARSAL_PROFILES:
        return f"LIVE REHEARSAL (practice money): {what}"
    return f"PAPER TRADES (simulation): {what}"


def _period(results: Results) -> str:
    parts = []
    if results.run and results.run.note:
        parts.append(results.run.note)
    if results.trades:
        first, last = results.trades[0].created_ns, results.trades[-1].created_ns
        parts.append(f"traded {_moment(first):%Y-%m-%d %H:%M} to {_moment(last):%Y-%m-%d %H:%M} UTC")
    else:
        parts.append("no trades")
    if results.since:
        parts.append(f"only those since {results.since:%Y-%m-%d %H:%M} UTC")
    return "; ".join(parts)


def _table(results: Results, trades: Sequence[TradeRow], *, wide: bool) -> Table:
    """The newest `trades`; `stake` is the amount ordered, `spent` the amount paid, both without the fee."""
    marks = {p.trade.intent_id: p.unrealised for p in results.positions}
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    spent = ("spent",) if wide else ()
    money = ("stake", *spent, "price", "fee")
    for heading in ("#", "time", "market", "dir", *money, "score", "conf", "outcome", "P&L"):
        text = heading in ("time", "market", "dir", "outcome")
        table.add_column(heading, justify="left" if text else "right", no_wrap=True)
    for number, trade in enumerate(trades, start=len(results.trades) - len(trades) + 1):
        start = datetime.fromtimestamp(trade.market_start, UTC)
        name = f"{series_of(trade.slug).title} " if results.performance.by_series else ""
        table.add_row(
            str(number),
            f"{_moment(trade.created_ns):%m-%d %H:%M}",
            f"{trade.slug} {trade.kind or ''}" if wide else f"{name}{_short_name(trade, start)}",
            trade.side.upper(),
            f"{trade.usd:.2f}",
            *([f"{trade.cost:.6f}"] if wide else []),
            f"{trade.price:.3f}",
            f"{trade.fee:.4f}",
            "-" if trade.score is None else f"{trade.score:.1f}",
            "-" if trade.confidence is None else f"{trade.confidence:.0%}",
            Text(trade.outcome, style=STYLES[trade.outcome]),
            _pnl(trade, marks.get(trade.intent_id)),
        )
    return table


def _short_name(trade: TradeRow, start: datetime) -> str:
    return f"{start:%m-%d %H:%M}" if trade.kind is None else f"{start:%H:%M} {trade.kind}"


def _pnl(trade: TradeRow, unrealised: Decimal | None) -> Text:
    """The P&L; of a pending trade the unrealised P&L, marked by a tilde and a dim style."""
    if trade.pnl is not None:
        return Text(f"{trade.pnl:+.3f}")
    return Text("" if unrealised is None else f"~{unrealised:+.3f}", style="dim")


def _business_lines(results: Results) -> list[tuple[str, str]]:
    """Pending items, changes of the weights, and the cash."""
    lines = []
    if results.stranded:
        lines.append(
            (
                "Stranded",
                f"{results.stranded} pending from practice sessions that are over; they are never settled",
            )
        )
    if results.in_flight:
        lines.append(
            (
                "In flight",
                f"{_number(results.in_flight, 'order')} without a known outcome, counted as spent",
            )
        )
    if results.claimable:
        owed = sum(results.claimable.values(), Decimal(0))
        lines.append(("To redeem", f"{owed:.2f} pUSD won in {_number(len(results.claimable), 'market')}"))
    for series in dict.fromkeys(row.series for row in results.weights):
        rows = [row for row in results.weights if row.series == series]
        changes = len({row.markets for row in rows})
        text = f"changed {_number(changes, 'time')}: {_weights(rows)}"
        lines.append((f"Weights {series}".rstrip(), text))
    if results.cash:
        lines.append(("Cash", _cash(results.cash, results.check)))
    return lines


def _state_lines(results: Results) -> list[tuple[str, str]]:
    """What prevents the next order: a halt, or the mode."""
    lines = []
    if results.halted:
        lines.append(("HALTED", f"{results.halted}. To continue: python redis_control.py resume"))
    mode = results.mode_now
    if mode is not None and not mode.allows_orders:
        lines.append(
            ("Mode", f"{mode.mode}, no new position since {_moment(mode.since_ns):%m-%d %H:%M}: {mode.why}")
        )
    return lines


def _pending(position: Position) -> str:
    trade = position.trade
    text = f"{trade.slug} {trade.side}, {trade.shares.normalize():f} shares for {trade.cost + trade.fee:.4f}"
    if position.chance is not None:
        text += f"; implied chance {position.chance:.1%}: worth {position.value:.4f}"
        text += f" ({position.unrealised:+.4f}), PENDING"
    waited = datetime.now(UTC) - _moment(trade.end_ns)
    if trade.end_ns and waited.total_seconds() > 0:
        text += f"; waiting for the official outcome for {duration(waited.total_seconds())}"
    return f"{text}: {position.delay}" if position.delay else text


def _weights(rows: Sequence[WeightRow]) -> str:
    """The first and the last weight of each source."""
    first, last = {row.source: row.before for row in reversed(rows)}, {row.source: row.after for row in rows}
    return ", ".join(f"{source} {first[source]:.3f} → {weight:.3f}" for source, weight in last.items())


def _cash(cash: CashFlow, check: CashCheck | None) -> str:
    text = f"{cash.cash:.4f} pUSD by the ledger"
    if cash.drift:
        text += f", {cash.drift:+.4f} of it an unexplained change at a start (deposit or withdrawal)"
    if check is None:
        return f"{text}; not yet compared with the venue"
    comparison = "equal" if not check.difference else f"difference {check.difference:+.4f}"
    return (
        f"{text}; the venue's {check.venue_cash:.4f} at {_moment(check.ts_ns):%m-%d %H:%M} UTC, {comparison}"
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, UTC)


if __name__ == "__main__":
    sys.exit(main())
