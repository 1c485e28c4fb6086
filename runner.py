"""Command line of the bot: flags, settings, locks, mode store, preflight checks, arming, supervisor."""

if __name__ == "__main__":
    import sys
    from os.path import dirname

    sys.path.insert(0, dirname(__file__))  # PYTHONSAFEPATH leaves it out
    from bootstrap import ensure_environment

    ensure_environment("runner.py")

    from common.atomic_file import create_private_files
    from common.lean_imports import leave_out_httpx_command
    from runtime.worker_launch import WorkerLauncher, needs_worker

    create_private_files()
    leave_out_httpx_command()
    launcher = WorkerLauncher()
    if needs_worker(sys.argv[1:]):
        # Before the imports below: the worker imports its own modules in the meantime.
        launcher.launch_ahead()
else:
    launcher = None

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from common.atomic_file import create_private_files
from common.environment import prepare_environment
from common.process_exit import exit_process
from common.process_memory import protect_memory
from config import ENV_FILE, Settings, load_settings, open_to_others
from control.arming import arm, require_doctor
from control.locks import hold_state, hold_wallet
from control.mode_store import ConfiguredRedis
from control.running import FoundStore, choose_store, find_store, running_store
from errors import Fatal
from execution.ledger import Venue
from monitoring.terminal import TolerantConsole, print_error, replace_unencodable
from research.recording_file import FrameWriter
from runtime.operator_dialog import money_at_risk, show_results, start_banner, terminal_prompt
from runtime.output import show_message, show_to_people
from runtime.session import TEST_LEAD_S, TEST_SPEED, Flags, Session, close_files
from runtime.supervisor import Supervisor
from runtime.worker_launch import WorkerLauncher

REACH_TIMEOUT_S = 5.0
REACH_ATTEMPTS = 3
"""Attempts to reach Polymarket if no answer comes in time."""
SLOWEST, FASTEST = 0.1, 60.0
"""Limits of --speed. Faster, the window of a 15-minute market, 60 market seconds, is shorter than a second,
and the time that a decision takes is a considerable part of it. A 5-minute market has a third of that."""


def parse(arguments: Sequence[str] | None = None) -> Flags:
    """Parse the command line; bad usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python runner.py",
        description="Trades Polymarket's 15-minute Bitcoin markets. Simulation is the default.",
        epilog="Try it with: python runner.py --test-mode --markets 3",
    )
    parser.add_argument(
        "--test-mode",
        action="store_true",
        help="simulation on a fast clock, a market every minute; "
        "with --venue polymarket: a decision every minute on the running market",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help=(
            "real orders, real money, once armed; with --venue mixed, synthetic or recorded: a rehearsal"
            " with practice money"
        ),
    )
    parser.add_argument(
        "--venue",
        choices=[venue.value for venue in Venue],
        help="mixed: recorded and synthetic markets in turn (default with --test-mode); "
        "recorded: bundled real markets; synthetic: generated markets with all external feeds; "
        "polymarket: the real venue (default)",
    )
    parser.add_argument("--markets", type=_count, default=0, metavar="N", help="stop after N settled markets")
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="print no market: only halts, mode changes, payouts, late results, and the results at the end",
    )
    parser.add_argument(
        "--json-lines",
        action="store_true",
        help="print one JSON object a line for programs: every event, and the results at the end",
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="PATH",
        help="trade the markets of a recording: its folder, or one of its files",
    )
    parser.add_argument(
        "--record",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FOLDER",
        help="record the market stream, the catalogue and the feeds (default folder: the profile's below "
        "RECORDINGS_DIR)",
    )
    parser.add_argument(
        "--no-grafana", action="store_true", help="no metrics endpoint, and no status page on its port"
    )
    parser.add_argument("--no-page", action="store_true", help="no status page; the metrics endpoint stays")
    parser.add_argument(
        "--doctor", action="store_true", help="run the preflight checks of this start and exit"
    )
    parser.add_argument(
        "--show-config",
        action="store_true",
        help="print every setting with its value and where it is from, secrets hidden, and exit",
    )
    parser.add_argument(
        "--new-config", action="store_true", help="ask for the most important settings, write .env and exit"
    )
    parser.add_argument(
        "--notify-test",
        action="store_true",
        help="send one message through each channel of NOTIFY_URL and to the Telegram chat, print the results"
        " and exit",
    )
    parser.add_argument(
        "--start-at",
        type=_second,
        metavar="SECOND",
        help=f"market second to begin a replay at, 0 to 899 (test mode: {TEST_LEAD_S:g} s before the window)",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        metavar="N",
        help=f"market seconds per second of a practice venue, {SLOWEST:g} to {FASTEST:g} "
        f"(test mode: {TEST_SPEED:g}, otherwise 1)",
    )
    parser.add_argument(
        "--reset-learning",
        action="store_true",
        help="reset the fusion weights to the configured ones before the start",
    )
    parser.add_argument("--seed", type=_index, metavar="N", help="seed of the generated markets")
    parser.add_argument(
        "--first",
        type=_index,
        metavar="MARKET",
        help="index, from 0, of the first market of a new state folder (default: 0)",
    )
    parser.add_argument(
        "--protocol",
        choices=("v1", "v2", "alternate"),
        help="protocol version of the practice markets of a new state folder "
        "(synthetic: alternate, beginning with v1; others: v1)",
    )
    given = vars(parser.parse_args(arguments))
    if given["recordings"] and given["venue"]:
        parser.error("--recordings: the markets are those of the recording; leave out --venue")
    default = Venue.MIXED if given["test_mode"] else Venue.POLYMARKET
    chosen = Venue(given["venue"]) if given["venue"] else default
    return Flags(**{**given, "venue": Venue.RECORDED if given["recordings"] else chosen})


def main(arguments: Sequence[str] | None = None, launcher: WorkerLauncher | None = None) -> int:
    """Run the bot; returns the exit code: 0 done, 1 failure, 2 bad usage or configuration.

    `launcher` may have started the first worker already.
    """
    launcher = launcher or WorkerLauncher()
    try:
        return _main(arguments, launcher)
    finally:
        launcher.close()


def _main(arguments: Sequence[str] | None, launcher: WorkerLauncher) -> int:
    create_private_files()
    replace_unencodable(sys.stdout)
    flags = parse(arguments)
    console = TolerantConsole()
    try:
        if flags.show_config or flags.new_config:
            from runtime.settings_commands import create_env_file, show_settings

            return show_settings(console) if flags.show_config else create_env_file(ENV_FILE, console)
        settings = load_settings()
        flags.check(settings)
        prepare_environment()
        if flags.notify_test:
            from runtime.notification_check import check_notifications

            return check_notifications(settings, console)
        with ExitStack() as stack:
            if flags.doctor:
                return _doctor(flags, settings, console, stack)
            return _run(flags, settings, console, stack, launcher)
    except Fatal as error:
        print_error(error)
        return error.exit_code


def _run(
    flags: Flags, settings: Settings, console: Console, stack: ExitStack, launcher: WorkerLauncher
) -> int:
    if open_to_others(ENV_FILE) and not flags.live:
        show_message(flags.output, console, "warning: .env is readable by other users: chmod 600 .env")
    stack.enter_context(hold_state(settings.state_dir))
    close_files(settings)
    store = stack.enter_context(find_store(_configured(settings), settings.state_dir))
    session = Session(flags, settings, store.store)
    stack.callback(session.stop)
    if flags.live:
        # The dialog is for people: with --json-lines it must not appear between the lines.
        _arm(session, store, TolerantConsole(stderr=True) if flags.json_lines else console, stack)
    elif not flags.replay:
        _require_polymarket(settings)
    session.begin()
    _check_recording(session)
    show_to_people(flags.output, console, start_banner(session, session.profile(), store.description))
    show = partial(show_message, flags.output, console)
    profiles = [profile.name for profile in session.profiles]
    if settings.telegram_chat_id is not None:
        from runtime.chat import start_chat  # imported here, because a run without a chat does not need it

        if (chat := start_chat(settings, lambda: session.current_profile, profiles, show)) is not None:
            stack.callback(chat.close)
    supervisor = Supervisor(
        session,
        show,
        launcher,
        heartbeat_s=settings.worker_heartbeat_seconds,
    )
    try:
        code = supervisor.run()
        # The practice venue stops in the meantime.
        return show_results(session, console) if code == 0 else code
    finally:
        supervisor.stop_venues()


def _check_recording(session: Session) -> None:
    """Check that the folder of --record can be written and is not in use; later failures are only counted.

    Raises
    ------
    Fatal
    """
    for profile in session.profiles:
        if profile.record is not None:
            FrameWriter(profile.record).close()


def _arm(session: Session, store: FoundStore, console: Console, stack: ExitStack) -> None:
    """Run the preflight checks, lock the wallet and have the operator arm the session.

    Raises
    ------
    Fatal
        If it is not armed, with the reason; nothing was traded.
    """
    from runtime.doctor import (  # imported here, because a simulation does not need it
        run_preflight,
        show_findings,
    )

    ask = terminal_prompt(console)
    report = run_preflight(session, store, interactive=ask is not None)
    show_findings(report.findings, console)
    require_doctor(report.failures)
    if report.wallet is None:
        raise Fatal(
            "--live is not armed: no wallet was found", "Run --doctor for details; nothing was traded"
        )
    stack.enter_context(hold_wallet(report.wallet.funder))
    console.print(money_at_risk(session, report.wallet.funder, report.balance))
    console.print(f"{arm(session.settings.live_trading_confirm, ask)}.")
    session.arm(report.wallet)


def _doctor(flags: Flags, settings: Settings, console: Console, stack: ExitStack) -> int:
    from runtime.doctor import run_preflight, show_findings

    refused: Fatal | None = None
    try:
        stack.enter_context(hold_state(settings.state_dir))
        store = stack.enter_context(find_store(_configured(settings), settings.state_dir))
    except Fatal as error:
        refused, store = error, _known_store(_configured(settings), settings.state_dir)
    session = Session(flags, settings, store.store)
    stack.callback(session.stop)
    report = run_preflight(session, store, interactive=terminal_prompt(console) is not None, refused=refused)
    show_findings(report.findings, console)
    return 1 if report.failures else 0


def _known_store(configured: ConfiguredRedis, state_dir: Path) -> FoundStore:
    """The mode store of the bot that runs on a state folder, otherwise the one that a start would use."""
    running = running_store(state_dir, configured)
    return choose_store(configured, state_dir) if running is None else FoundStore(running, str(running))


def _configured(settings: Settings) -> ConfiguredRedis:
    return ConfiguredRedis(**settings.redis)


def _require_polymarket(settings: Settings) -> None:
    import httpx  # imported here, because practice markets do not need it

    from common.bounded_http import BoundedHttp

    http = BoundedHttp(total_s=REACH_TIMEOUT_S)
    for attempts_left in reversed(range(REACH_ATTEMPTS)):
        try:
            http.get(f"{settings.clob_url}/time").raise_for_status()
            return
        except httpx.HTTPError as error:
            # One answer may be late; what fails at once would fail again.
            if attempts_left and isinstance(error, httpx.TimeoutException):
                continue
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


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not SLOWEST <= speed <= FASTEST:  # also False for NaN
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed from {SLOWEST:g} to {FASTEST:g}")
    return speed


def _second(text: str) -> int:
    if not text.isdecimal() or int(text) > 899:
        raise argparse.ArgumentTypeError(f"{text!r} is not a market second from 0 to 899")
    return int(text)


if __name__ == "__main__":
    protect_memory()
    exit_process(main(launcher=launcher))
