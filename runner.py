"""Front door: flags → Settings → practice venue → supervisor → one worker process."""

if __name__ == "__main__":
    from bootstrap import ensure_environment

    ensure_environment("runner.py")

import argparse
import itertools
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from config import ROOT, Settings, load_settings, open_to_others, reserved_keys
from core.nautilus_core.instruments.clock import MarketClock
from errors import ConfigError, Fatal
from execution.ledger import LedgerReader, Mode, Venue, book_name, ledger_path
from supervisor import Supervisor
from venue_process import PracticeVenueProcess
from view_paper_trades import load, show

TEST_SPEED = 15.0
"""Market seconds a second in test mode: a whole 15-minute market every minute."""
TEST_START_AT = 600
"""Market second at which a test run begins: 12 s before its first decision window."""
REACH_TIMEOUT_S = 5.0
CASH_TOLERANCE = Decimal("0.00001")
"""pUSD; half of it is what one fee's rounding may differ by."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; bad usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python runner.py",
        description="Trades Polymarket's 15-minute Bitcoin markets. Simulation unless told otherwise.",
        epilog="Try it with: python runner.py --test-mode --markets 3",
    )
    parser.add_argument("--test-mode", action="store_true", help="simulation, a market every minute")
    parser.add_argument("--live", action="store_true", help="real orders, real money (not in this version)")
    parser.add_argument(
        "--venue",
        choices=[venue.value for venue in Venue],
        help="recorded: bundled real markets (default with --test-mode); "
        "synthetic: generated markets with all external feeds; polymarket: the real venue",
    )
    parser.add_argument("--markets", type=_count, default=0, metavar="N", help="stop after N settled markets")
    parser.add_argument(
        "--start-at",
        type=_second,
        metavar="SECOND",
        help=f"market second to begin a replay at, 0 to 899 (test mode: {TEST_START_AT})",
    )
    parser.add_argument(
        "--reset-learning", action="store_true", help="go back to the configured weights before the start"
    )
    parser.add_argument(
        "--seed", type=_index, metavar="N", help="with --venue synthetic: which generated world to trade in"
    )
    parser.add_argument(
        "--first",
        type=_index,
        metavar="MARKET",
        help="the market, counted from 0, that a new state folder begins with (default: 0)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit code: 0 done, 1 failure, 2 bad usage or configuration."""
    flags = parse(arguments)
    console = Console()
    try:
        return _run(flags, console)
    except Fatal as error:
        Console(stderr=True, soft_wrap=True).print(
            f"error: {error}", style="red", markup=False, highlight=False
        )
        return error.exit_code


def _run(flags: argparse.Namespace, console: Console) -> int:
    settings = load_settings()
    if open_to_others(ROOT / ".env"):
        console.print("warning: .env can be read by others than its owner: chmod 600 .env", style="yellow")
    for key in reserved_keys():
        console.print(f"note: {key} is set, but nothing in this version uses it", style="yellow")
    venue = Venue(flags.venue or ("recorded" if flags.test_mode else "polymarket"))
    if flags.live:
        raise ConfigError("--live is not in this version", "Use --test-mode to trade recorded markets")
    if venue is Venue.POLYMARKET:
        _require_polymarket(settings)
        raise ConfigError(
            "paper trading on Polymarket's live books is not in this version",
            "Use --test-mode to trade recorded markets, or --test-mode --venue synthetic",
        )
    if settings.market_asset != "btc" or settings.market_timeframe != "15m":
        raise ConfigError(
            f"practice markets are btc 15m, not {settings.market_asset} {settings.market_timeframe}",
            "Unset MARKET_ASSET and MARKET_TIMEFRAME",
        )
    return _simulate(flags, settings, venue, console)


def _simulate(flags: argparse.Namespace, settings: Settings, venue: Venue, console: Console) -> int:
    practice = _start_venue(flags, settings, venue)
    try:
        console.print(_banner(flags, settings, practice))
        settled_before = _settled(settings, venue)
        starts = itertools.count()

        def plan() -> str:
            return msgspec.json.encode(
                {
                    "venue": venue,
                    "urls": {
                        "clob": practice.url,
                        "gamma": f"{practice.url}/gamma",
                        "data_api": f"{practice.url}/data-api",
                        "ws": practice.url.replace("http", "ws", 1) + "/ws/",
                    },
                    "clock": _clock(practice),
                    "note": _note(practice.ready["source"]),
                    "markets": flags.markets,
                    # The first worker only: a restart must not forget again.
                    "reset_learning": flags.reset_learning and next(starts) == 0,
                    "feeds": practice.ready["source"].get("external"),
                    "done": _settled(settings, venue) - settled_before,
                }
            ).decode()

        code = Supervisor(plan, practice, lambda text: console.print(text, style="yellow")).run()
    finally:
        practice.stop()
    if code == 0:
        return _summary(settings, venue, console)
    return code


def _start_venue(flags: argparse.Namespace, settings: Settings, venue: Venue) -> PracticeVenueProcess:
    speed = TEST_SPEED if flags.test_mode else 1.0
    start_at = flags.start_at if flags.start_at is not None else (TEST_START_AT if flags.test_mode else None)
    state = settings.state_dir / book_name(Mode.SIMULATION, venue) / "venue"
    arguments = ["--source", venue.value, "--speed", str(speed), "--state", str(state)]
    if start_at is not None:
        arguments += ["--start-at", str(start_at)]
    if flags.seed is not None:
        arguments += ["--seed", str(flags.seed)]
    if flags.first is not None:
        arguments += ["--first", str(flags.first)]
    return PracticeVenueProcess(arguments, settings.log_dir / "venue.log")


def _clock(practice: PracticeVenueProcess) -> MarketClock:
    return msgspec.convert(practice.ready["clock"], MarketClock)


def _note(source: Mapping[str, Any]) -> str:
    """What was recorded when, or how it was generated, in a few words."""
    if "note" in source:
        return str(source["note"])
    begin, end = (datetime.fromisoformat(source[key]) for key in ("recorded_from", "recorded_to"))
    return f"{source['markets']} real Polymarket markets recorded on {begin:%Y-%m-%d %H:%M}–{end:%H:%M} UTC"


def _banner(flags: argparse.Namespace, settings: Settings, practice: PracticeVenueProcess) -> Panel:
    clock, source = _clock(practice), practice.ready["source"]
    rows = Table.grid(padding=(0, 2))
    minutes = settings.interval_seconds / clock.speed / 60
    for name, value in (
        ("mode", "[bold green]SIMULATION[/] (no real money; the same code as live, on a practice venue)"),
        ("venue", f"practice venue at {practice.url}, {_note(source)}"),
        ("clock", f"{clock.speed:g}× real time: a market takes {minutes:g} min"),
        ("order", f"${settings.position_size_usd} a market, never above ${settings.market_buy_usd}"),
        (
            "decides",
            f"in market seconds {settings.trade_window_start:g}–{settings.trade_window_end:g} of 900",
        ),
        ("stops", f"after {flags.markets} settled markets, or on Ctrl-C" if flags.markets else "on Ctrl-C"),
        (
            "files",
            ", ".join(map(_short, (settings.state_dir, settings.paper_trades_file, settings.log_dir))),
        ),
    ):
        rows.add_row(f"[dim]{name}[/]", value)
    return Panel(rows, title="Polymarket BTC 15-minute bot", title_align="left", expand=False)


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _summary(settings: Settings, venue: Venue, console: Console) -> int:
    """Show the book, and say whether its cash is the venue's."""
    book = book_name(Mode.SIMULATION, venue)
    path = ledger_path(settings.state_dir, book)
    if not path.exists():
        console.print("Stopped before the first market was looked at.")
        return 0
    results = load(path, book, None)
    show(results, console)
    if results.check is not None and abs(results.check.difference) > CASH_TOLERANCE:
        raise Fatal(
            f"the ledger's cash ${results.check.ledger_cash} is not the venue's ${results.check.venue_cash}",
            f"Keep {settings.state_dir} and report it",
        )
    return 0


def _settled(settings: Settings, venue: Venue) -> int:
    path = ledger_path(settings.state_dir, book_name(Mode.SIMULATION, venue))
    if not path.exists():
        return 0
    with LedgerReader(path) as reader:
        return reader.settled_markets()


def _require_polymarket(settings: Settings) -> None:
    try:
        httpx.get(f"{settings.clob_url}/time", timeout=REACH_TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        raise Fatal(
            f"Polymarket cannot be reached at {settings.clob_url} ({type(error).__name__})",
            "Check the network, or trade recorded markets without it: python runner.py --test-mode",
        ) from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _index(text: str) -> int:
    if not text.isdecimal() or int(text) > 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 10000")
    return int(text)


def _second(text: str) -> int:
    if not text.isdecimal() or int(text) > 899:
        raise argparse.ArgumentTypeError(f"{text!r} is not a market second from 0 to 899")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
