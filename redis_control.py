"""Switches between simulation and live at run time, and halts and resumes trading.

`sim` is effective when the command returns; `live` only for a bot that was started with --live and armed.
"""

if __name__ == "__main__":
    import sys
    from os.path import dirname

    sys.path.insert(0, dirname(__file__))  # PYTHONSAFEPATH leaves it out
    from bootstrap import ensure_environment

    ensure_environment("redis_control.py")

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.atomic_file import create_private_files
from config import Settings, load_settings
from control.halt_file import HALT_FILE, HaltFile
from control.last_mode_switch import LAST_SWITCH_FILE, LastModeSwitch, LastModeSwitchFile
from control.locks import holder, state_lock
from control.mode_file import FileModeStore
from control.mode_gate import decide_mode
from control.mode_store import UNSET, ConfiguredRedis, ModeReading, ModeStore, RedisModeStore
from control.mode_switch import SwitchResult, candidate_stores, switch_to_live, switch_to_simulation
from control.running import choose_store, running_store
from errors import BotError, ConfigError, Fatal, Temporary
from execution.ledger import LIVE_PROFILE, Mode
from monitoring.status_file import STATUS_FILE, read_worker_status
from monitoring.terminal import TolerantConsole, print_error, replace_unencodable

COMMAND_MODES = {
    "sim": Mode.SIMULATION,
    "simulation": Mode.SIMULATION,
    "on": Mode.SIMULATION,
    "live": Mode.LIVE,
    "off": Mode.LIVE,
}
MENU = {
    "sim": "simulation: no live order from now on",
    "live": "live: a bot started with --live and armed trades real money",
    "status": "show the mode and the halts",
    "halt": "no new position, paper trades included, until resume",
    "resume": "lift the halts",
}

SILENT_AFTER_NS = 5_000_000_000
"""Time without a heartbeat after which a bot's last status is not its present one."""
ON_ITS_WAY_S = 0.25
"""Time from the last check of an order, if it was before a switch or a halt, to its first byte."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; bad usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python redis_control.py",
        description="Switches the bot between simulation and live, halts it and resumes it.",
        epilog="Without a command there is a menu.\nIn an emergency: python redis_control.py sim",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=[*COMMAND_MODES, "status", "check", "halt", "resume"],
        help="sim (simulation, on); live (off); status (check); halt REASON; resume",
    )
    parser.add_argument("reason", nargs="*", help="with halt: the reason, shown by status")
    parser.add_argument(
        "--book",
        "--profile",
        dest="profile",
        help="with halt and resume: only this profile, e.g. live or recorded (default: all)",
    )
    parser.add_argument("--yes", action="store_true", help="with live: do not ask for confirmation")
    given = parser.parse_args(arguments)
    for there, what, commands in (
        (given.reason, " ".join(given.reason), ("halt",)),
        (given.profile, "--book", ("halt", "resume")),
        (given.yes, "--yes", ("live", "off")),
    ):
        if there and given.command not in commands:
            parser.error(f"{what} goes with {' and '.join(commands)} only")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command: 0 done, 1 it failed, 2 bad usage or settings."""
    create_private_files()
    replace_unencodable(sys.stdout)
    given = parse(arguments)
    console = TolerantConsole(soft_wrap=True, highlight=False)
    try:
        settings = load_settings()
        command = given.command or _menu(console)
        if command in COMMAND_MODES:
            return _switch(settings, COMMAND_MODES[command], given.yes, console)
        if command == "halt":
            halt(settings, " ".join(given.reason), given.profile, console)
            return 0
        if command == "resume":
            resume(settings, given.profile, console)
            return 0
        return _status(settings, console) if command else 0
    except KeyboardInterrupt:
        return 1
    except BotError as error:
        print_error(error)
        return error.exit_code if isinstance(error, Fatal) else 1


def _menu(console: Console) -> str:
    for number, (name, meaning) in enumerate(MENU.items(), 1):
        console.print(f"  {number}  {name:8}{meaning}")
    chosen = _prompt(f"1-{len(MENU)}, anything else quits: ")
    return dict(zip("12345", MENU, strict=True)).get(chosen, "")


def _prompt(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        return ""


# --- the mode ------------------------------------------------------------------------------------


def _configured(settings: Settings) -> ConfiguredRedis:
    return ConfiguredRedis(**settings.redis)


def _switch(settings: Settings, mode: Mode, sure: bool, console: Console) -> int:
    if mode is Mode.SIMULATION:
        simulate(settings, console)
        return 0
    configured, state_dir = _configured(settings), settings.state_dir
    if not sure:
        console.print(
            "A bot that was started with --live and armed will trade REAL MONEY from its next market on."
        )
        if _prompt("Type 'yes' to confirm: ").lower() != "yes":
            console.print("Nothing was changed.")
            return 1
    _report(mode, switch_to_live(configured, state_dir), console)
    if holder(state_lock(state_dir)) is None:
        console.print("No bot runs on this state folder; the next one may go live with --live, once armed.")
    else:
        console.print("The running bot switches at its next market if it was started with --live and armed,")
        console.print("otherwise it stays in simulation.")
    return 0


def simulate(settings: Settings, console: Console) -> None:
    """Switch to simulation and print the result; also used by the chat.

    Raises
    ------
    Temporary
        If the running bot could not be reached.
    """
    state_dir = settings.state_dir
    _report(Mode.SIMULATION, switch_to_simulation(_configured(settings), state_dir), console)
    if holder(state_lock(state_dir)) is None:
        console.print("No bot runs on this state folder; the next one stays in simulation.")
    else:
        time.sleep(ON_ITS_WAY_S)
        console.print("The running bot opens no live position from now on.")


def _report(mode: Mode, switched: SwitchResult, console: Console) -> None:
    kept = " and ".join(str(store) for store in switched.stores)
    console.print(f"The mode is now {mode.upper()}, stored in {kept or 'the state folder'}.", markup=False)
    for failure in switched.failed:
        console.print(f"note: {failure}", style="yellow", markup=False)


def _status(settings: Settings, console: Console) -> int:
    state_dir = settings.state_dir
    last = LastModeSwitchFile(state_dir / LAST_SWITCH_FILE).load()
    table = Table.grid(padding=(0, 2))

    def row(name: str, text: str, style: str = "") -> None:
        table.add_row(name, Text(text, style))  # Text: the content of a store is not interpreted as markup

    who = holder(state_lock(state_dir))
    row("bot", f"{who} runs on {state_dir}" if who else f"none runs on {state_dir}")
    if who:
        row("its orders", *orders_of_running_bot(state_dir, time.time_ns()))
    running = running_store(state_dir, _configured(settings))
    asked = running or _next_store(_configured(settings), state_dir)
    by = " (for the next bot)" if running is None else " (used by the running bot)"
    for store in candidate_stores(_configured(settings), state_dir):
        reading = _reading(store, running)
        row("mode store", f"{store}{by if store.name == asked.name else ''}: {reading.detail}")
        if store.name == asked.name:
            mode_decision = decide_mode(
                live_flag=True, armed=True, reading=reading, last=last, store=store.name
            )
            orders = "" if mode_decision.allows_orders else ", but no new position"
            style = "red" if mode_decision.mode is Mode.LIVE else "green"
            row(
                "effective",
                f"{mode_decision.mode.upper()}{orders}: a bot with --live, armed ({mode_decision.why})",
                style,
            )
    row("last switch", last_switch_text(last))
    row("other bots", "SIMULATION: a bot without --live, regardless of the above")
    for file in halt_files(settings, None):
        row("HALTED", f"{file.path.parent.name}: {file.standing()}", "red")
    console.print(table)
    return 0


def orders_of_running_bot(state_dir: Path, now_ns: int) -> tuple[str, str]:
    """What the running bot's orders use, by its newest heartbeat; text and style."""
    statuses = [status for path in state_dir.glob(f"*/{STATUS_FILE}") if (status := read_worker_status(path))]
    newest = max(statuses, key=lambda status: status.ts_ns, default=None)
    if newest is None or now_ns - newest.ts_ns > SILENT_AFTER_NS:
        return "unknown: no heartbeat from it, it starts or restarts", "yellow"
    if newest.mode == Mode.LIVE:
        return f"REAL MONEY, profile {newest.profile}", "red"
    return f"no real money: {newest.mode.upper()}, profile {newest.profile}", "green"


def _next_store(configured: ConfiguredRedis, state_dir: Path) -> ModeStore:
    """The store of the next bot; a Redis that refuses prevents its start."""
    try:
        return choose_store(configured, state_dir).store
    except ConfigError:
        return RedisModeStore(configured)


def _reading(store: ModeStore, running: ModeStore | None) -> ModeReading:
    """Read a store. A mode file whose folder does not exist yet is unset, not lost."""
    if isinstance(store, FileModeStore) and (running is None or running.name != store.name):
        try:
            store.folder.lstat()
        except FileNotFoundError:
            return UNSET
        except OSError:
            pass  # the reading contains the error
    return store.read()


def last_switch_text(last: LastModeSwitch | None) -> str:
    """The last mode switch and where it is stored, as text."""
    if last is None:
        return "none yet: each bot keeps the mode it was started with"
    return f"{last.mode}, {'stored in ' + last.store if last.store else 'stored in the state folder only'}"


# --- halts ---------------------------------------------------------------------------------------


def _profiles(settings: Settings, profile: str | None) -> list[Path]:
    """The folders of the existing trading profiles; the live profile's in any case.

    Raises
    ------
    ConfigError
        If there is no profile of the given name.
    """
    state_dir = settings.state_dir
    found = {path.parent for name in ("ledger.sqlite", HALT_FILE) for path in state_dir.glob(f"*/{name}")}
    profiles = sorted(found | {state_dir / LIVE_PROFILE})
    if profile is None:
        return profiles
    named = [path for path in profiles if path.name == profile]
    if not named:
        there = ", ".join(path.name for path in profiles)
        raise ConfigError(f"there is no profile {profile!r} in {state_dir}", f"There are: {there}")
    return named


def halt_files(settings: Settings, profile: str | None) -> list[HaltFile]:
    """The active halts of a profile, or of all."""
    files = [HaltFile(folder / HALT_FILE) for folder in _profiles(settings, profile)]
    return [file for file in files if file.standing() is not None]


def resume(settings: Settings, profile: str | None, console: Console) -> None:
    """Lift the halts of a profile, or of all, and print them; also used by the chat.

    Raises
    ------
    ConfigError
        If there is no such profile.
    Temporary
        If a halt could not be lifted.
    """
    standing = halt_files(settings, profile)
    for file in standing:
        stood = file.lift()
        console.print(f"{file.path.parent.name} may trade again; the halt was: {stood}", markup=False)
    if not standing:
        console.print("Nothing was halted.")


def halt(
    settings: Settings, reason: str, profile: str | None, console: Console, also: Sequence[str] = ()
) -> None:
    """Halt a profile, or all that exist and the live one, and print it; also used by the chat.

    `also` are further profiles, which may not exist yet: the chat names those of its run.

    Raises
    ------
    ConfigError
        If there is no such profile.
    Temporary
        If a profile could not be halted, after all others were.
    """
    failed = []
    for folder in sorted({*_profiles(settings, profile), *(settings.state_dir / name for name in also)}):
        file = HaltFile(folder / HALT_FILE)
        try:
            file.raise_(reason or "manual halt")
        except Temporary as error:
            failed.append(str(error))
        else:
            console.print(f"{folder.name} is halted: {file.standing()}", markup=False)
    if failed:
        raise Temporary(f"{'; '.join(failed)}. Stop the bot instead")
    if holder(state_lock(settings.state_dir)) is not None:
        time.sleep(ON_ITS_WAY_S)
    console.print("No new position until: python redis_control.py resume")


if __name__ == "__main__":
    sys.exit(main())
