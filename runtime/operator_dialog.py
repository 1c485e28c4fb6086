"""Texts shown to the operator before and after a run: the banner, the arming question and the results."""

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from config import ROOT
from errors import Fatal
from execution.ledger import Mode, ledger_path
from monitoring.json_lines import json_line, print_line
from runtime.output import show_message
from runtime.session import Session, TradingProfile
from view_paper_trades import json_document, load, show


def start_banner(session: Session, profile: TradingProfile, store: str) -> Panel:
    """The banner of a run; `store` describes where the mode is stored."""
    settings, flags = session.settings, session.flags
    speed = profile.clock.speed
    lengths = dict.fromkeys(settings.of_series(series).interval_seconds for series in settings.series)
    minutes = ", ".join(f"{length / speed / 60:g}" for length in sorted(lengths))
    takes = f"a market takes {minutes} min" if len(lengths) == 1 else f"markets take {minutes} min"
    window = f"in market seconds {settings.trade_window_start:g}–{settings.trade_window_end:g} of 900"
    rows = Table.grid(padding=(0, 2))
    for name, value in (
        ("mode", _mode(session, profile)),
        ("venue", _venue(profile)),
        ("clock", f"{speed:g}× real time: {takes}"),
        *(
            [("series", ", ".join(series.name for series in settings.series))]
            if len(settings.series) > 1
            else []
        ),
        ("order", f"${settings.position_size_usd} a market, never above ${settings.market_buy_usd}"),
        (
            "decides",
            "once a minute on the running market" if flags.test_mode and not flags.replay else window,
        ),
        ("switch", store.replace(f"{ROOT}{os.sep}", "")),
        ("stops", f"after {flags.markets} settled markets, or on Ctrl-C" if flags.markets else "on Ctrl-C"),
        *([] if profile.record is None else [("records", _short(profile.record))]),
        (
            "files",
            ", ".join(map(_short, (settings.state_dir, settings.paper_trades_file, settings.log_dir))),
        ),
    ):
        rows.add_row(f"[dim]{name}[/]", value)
    return Panel(rows, title="Polymarket BTC 15-minute bot", title_align="left", expand=False)


def _mode(session: Session, profile: TradingProfile) -> str:
    if profile.mode is Mode.LIVE:
        return "[bold red]LIVE[/] (real orders, real money)"
    if profile.live_path:
        return "[bold yellow]LIVE REHEARSAL[/] (the complete live path, armed, with practice money)"
    if session.live is not None:
        return f"[bold green]SIMULATION[/] (armed for live, but {escape(session.mode_decision().why)})"
    if (mode_decision := session.mode_decision()).refuses:
        return f"[bold green]SIMULATION[/] (no real money; {escape(mode_decision.why)})"
    return "[bold green]SIMULATION[/] (no real money; the same code as live, on a practice venue)"


def _venue(profile: TradingProfile) -> str:
    if profile.process is None:
        return f"Polymarket at {profile.urls.clob}"
    if profile.flags.replay:
        return f"practice venue at {profile.process.url}, {profile.note}"
    return f"books of {profile.market_urls.clob}, paper orders to {profile.process.url}"


def terminal_prompt(console: Console) -> Callable[[str], str] | None:
    """Prompt for input at the terminal; None without a terminal. Ctrl-C counts as the answer no."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None

    def ask(question: str) -> str:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return console.input(question, markup=False)
        finally:
            signal.signal(signal.SIGINT, before)

    return ask


def money_at_risk(session: Session, address: str, money: Decimal) -> Table:
    """The money at stake, shown before the operator arms."""
    settings = session.settings
    rows = Table.grid(padding=(0, 2))
    practice = " of practice money" if session.flags.rehearsal else ""
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


def show_results(session: Session, console: Console) -> int:
    """Print the results of the profiles that traded, and whether their cash equals the venue's."""
    shown = 0
    for profile in session.profiles:
        path = ledger_path(session.settings.state_dir, profile.name)
        if not profile.used or not path.exists():
            continue
        results = load(path, profile.name, None, traced=session.flags.json_lines)
        if session.flags.json_lines:
            document = msgspec.Raw(json_document(results))
            print_line(console, json_line("results", {"results": document}, datetime.now(UTC)))
        else:
            console.print()
            show(results, console)
        shown += 1
        check = results.check
        if check is not None and not results.cash_agrees:
            raise Fatal(
                f"the ledger's cash ${check.ledger_cash} is not the venue's ${check.venue_cash}",
                f"Keep {session.settings.state_dir} and report it",
            )
    if not shown:
        show_message(session.flags.output, console, "Stopped before the first market.")
    return 0


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
