"""What a person sees before and after a run: what is about to happen, and what became of it."""

import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from config import ROOT
from errors import Fatal
from execution.ledger import Mode, ledger_path
from launch import Lane, Run
from view_paper_trades import load, show

CASH_TOLERANCE = Decimal("0.00001")
"""pUSD; half of it is what one fee's rounding may differ by."""


def banner(run: Run, lane: Lane, store: str) -> Panel:
    """What this run is about to do; `store` says where the mode is kept."""
    settings, flags = run.settings, run.flags
    minutes = settings.interval_seconds / lane.clock.speed / 60
    window = f"in market seconds {settings.trade_window_start:g}–{settings.trade_window_end:g} of 900"
    rows = Table.grid(padding=(0, 2))
    for name, value in (
        ("mode", _mode(run, lane)),
        ("venue", _venue(lane)),
        ("clock", f"{lane.clock.speed:g}× real time: a market takes {minutes:g} min"),
        ("order", f"${settings.position_size_usd} a market, never above ${settings.market_buy_usd}"),
        (
            "decides",
            "once a minute on the running market" if flags.test_mode and not flags.replay else window,
        ),
        ("switch", store),
        ("stops", f"after {flags.markets} settled markets, or on Ctrl-C" if flags.markets else "on Ctrl-C"),
        (
            "files",
            ", ".join(map(_short, (settings.state_dir, settings.paper_trades_file, settings.log_dir))),
        ),
    ):
        rows.add_row(f"[dim]{name}[/]", value)
    return Panel(rows, title="Polymarket BTC 15-minute bot", title_align="left", expand=False)


def _mode(run: Run, lane: Lane) -> str:
    if lane.mode is Mode.LIVE:
        return "[bold red]LIVE[/] (real orders, real money)"
    if lane.live_path:
        return "[bold yellow]LIVE REHEARSAL[/] (the whole live path, armed, with practice money)"
    if run.live is not None:
        return f"[bold green]SIMULATION[/] (armed for live, but {escape(run.verdict().why)})"
    if (verdict := run.verdict()).refuses:
        return f"[bold green]SIMULATION[/] (no real money; {escape(verdict.why)})"
    return "[bold green]SIMULATION[/] (no real money; the same code as live, on a practice venue)"


def _venue(lane: Lane) -> str:
    if lane.process is None:
        return f"Polymarket at {lane.urls.clob}"
    if lane.flags.replay:
        return f"practice venue at {lane.process.url}, {lane.note}"
    return f"books of {lane.market_urls.clob}, paper orders to {lane.process.url}"


def asker(console: Console) -> Callable[[str], str] | None:
    """Asks the person at the terminal; None if nobody can type here. Ctrl-C is an answer: no."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None

    def ask(question: str) -> str:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return console.input(question, markup=False)
        finally:
            signal.signal(signal.SIGINT, before)

    return ask


def stakes(run: Run, address: str, money: Decimal) -> Table:
    """What is at stake, shown before the operator arms."""
    settings = run.settings
    rows = Table.grid(padding=(0, 2))
    practice = " of practice money" if run.flags.rehearsal else ""
    for name, value in (
        ("wallet", f"{address} with ${money}{practice}"),
        ("order", f"${settings.position_size_usd} a market, never above ${settings.market_buy_usd}"),
        (
            "at risk",
            f"at most ${settings.max_total_exposure} at a time, ${settings.max_loss_per_day} a UTC day",
        ),
        ("result", "on 17,126 recorded markets this rule won 89.5 % and lost 0.5 cents a share after fees"),
    ):
        rows.add_row(f"[dim]{name}[/]", value)
    return rows


def summary(run: Run, console: Console) -> int:
    """Show the books that were traded in, and say whether their cash is the venue's."""
    shown = 0
    for lane in run.lanes:
        path = ledger_path(run.settings.state_dir, lane.book)
        if not lane.used or not path.exists():
            continue
        results = load(path, lane.book, None)
        show(results, console)
        shown += 1
        check = results.check
        if check is not None and abs(check.difference) > CASH_TOLERANCE:
            raise Fatal(
                f"the ledger's cash ${check.ledger_cash} is not the venue's ${check.venue_cash}",
                f"Keep {run.settings.state_dir} and report it",
            )
    if not shown:
        console.print("Stopped before the first market was looked at.")
    return 0


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
