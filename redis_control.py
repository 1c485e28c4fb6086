"""The operator's switch: simulation or live at run time, and halts.

`sim` holds from the instant it is given; `live` is obeyed only by a bot started with --live and armed.
"""

if __name__ == "__main__":
    from bootstrap import ensure_environment

    ensure_environment("redis_control.py")

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from config import Settings, load_settings
from control.embedded import EmbeddedRedis, running_endpoint
from control.halt import HALTED, HaltFile
from control.store import Endpoint, ModeStore, Says
from errors import BotError, ConfigError, Fatal, Temporary
from execution.ledger import Mode

MEANINGS = {
    Says.SIMULATION: "SIMULATION: no live order, whatever a bot was started with",
    Says.LIVE: "LIVE: a bot that was started with --live and armed trades real money; any other refuses",
    Says.UNSET: "Not set: each bot goes on as it was started, unless its last word was simulation",
    Says.GARBAGE: "SIMULATION, because the value is neither 1 nor 0",
    Says.LOST: "unreachable: a live bot opens no new position until it is back",
}
WORDS = {
    "sim": Mode.SIMULATION,
    "simulation": Mode.SIMULATION,
    "on": Mode.SIMULATION,
    "live": Mode.LIVE,
    "off": Mode.LIVE,
}
MENU = ("sim", "live", "status", "halt", "resume")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; bad usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python redis_control.py",
        description="Switches the bot between simulation and live, halts it and lets it go on.",
        epilog="Without a command there is a menu. In an emergency: python redis_control.py sim",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=[*WORDS, "status", "check", "halt", "resume"],
        help="sim (simulation, on); live (off); status (check); halt REASON; resume",
    )
    parser.add_argument("reason", nargs="*", help="with halt: why, for whoever looks next")
    parser.add_argument(
        "--book", help="with halt and resume: only this book, e.g. live or recorded (default: all)"
    )
    parser.add_argument("--yes", action="store_true", help="with live: do not ask")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked: 0 done, 1 it could not be done, 2 bad usage or settings."""
    given = parse(arguments)
    console = Console(soft_wrap=True, highlight=False)
    try:
        settings = load_settings()
        command = given.command or _menu(console)
        if command in WORDS:
            return _switch(settings, WORDS[command], given.yes, console)
        if command in ("halt", "resume"):
            return _halts(settings, command, " ".join(given.reason), given.book, console)
        return _status(settings, console) if command else 0
    except (EOFError, KeyboardInterrupt):
        return 0
    except BotError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False)
        return error.exit_code if isinstance(error, Fatal) else 1


def _menu(console: Console) -> str:
    for number, name in enumerate(MENU, 1):
        console.print(f"  {number}  {name}")
    chosen = input("1-5, anything else leaves: ").strip()
    return MENU[int(chosen) - 1] if chosen in {"1", "2", "3", "4", "5"} else ""


# --- the mode ------------------------------------------------------------------------------------


def _stores(settings: Settings) -> list[ModeStore]:
    """Every store that a bot may be asking: the one it says it asks, and the one the settings name."""
    configured = Endpoint(settings.redis_host, settings.redis_port, settings.redis_db)
    running = running_endpoint(settings.state_dir)
    return [ModeStore(endpoint) for endpoint in dict.fromkeys((running, configured)) if endpoint is not None]


def _switch(settings: Settings, mode: Mode, sure: bool, console: Console) -> int:
    if mode is Mode.LIVE and not sure:
        console.print(
            "A bot that was started with --live and armed will trade REAL MONEY from its next market on."
        )
        if input("Type 'yes' to confirm: ").strip().lower() != "yes":
            console.print("Nothing was changed.")
            return 1
    running = running_endpoint(settings.state_dir)
    written, failed = [], {}
    for store in _stores(settings):
        try:
            store.write(mode)
            written.append(store.endpoint)
        except Temporary as error:
            failed[store.endpoint] = str(error)
    if running in failed:
        raise Temporary(f"{failed[running]}. The running bot asks that one: stop the bot, or halt it instead")
    if not written:
        server = EmbeddedRedis(settings.state_dir, settings.redis_db)
        try:
            ModeStore(server.endpoint).write(mode)
        finally:
            server.stop()
        written.append(server.endpoint)
    where = ", ".join(map(str, written))
    console.print(f"The mode is {mode.upper()} now ({where}). {_what_follows(mode, running)}")
    return 0


def _what_follows(mode: Mode, running: Endpoint | None) -> str:
    if running is None:
        return "No bot runs on this state folder; the next one finds it."
    if mode is Mode.SIMULATION:
        return "The running bot opens no live position from now on."
    return (
        "The running bot obeys at its next market if it was started with --live and armed, else it refuses."
    )


def _status(settings: Settings, console: Console) -> int:
    running = running_endpoint(settings.state_dir)
    table = Table.grid(padding=(0, 2))
    for store in _stores(settings):
        reading = store.read()
        asked = " (the running bot asks this one)" if store.endpoint == running else ""
        table.add_row("mode store", f"{store.endpoint}{asked}")
        table.add_row("", f"{reading.detail}", style="dim")
        table.add_row("means", MEANINGS[reading.says])
    if running is None:
        table.add_row("bot", "none runs on this state folder")
    for file in _halt_files(settings, None):
        table.add_row("HALTED", f"{file.path.parent.name}: {file.standing()}", style="red")
    console.print(table)
    return 0


# --- halts ---------------------------------------------------------------------------------------


def _books(settings: Settings, book: str | None) -> list[Path]:
    """The folders of the books there are.

    Raises
    ------
    ConfigError
        If the one that was named is none.
    """
    books = sorted(path.parent for path in settings.state_dir.glob("*/ledger.sqlite"))
    if book is None:
        return books
    named = [path for path in books if path.name == book]
    if not named:
        there = ", ".join(path.name for path in books) or "none"
        raise ConfigError(f"there is no book {book!r} in {settings.state_dir}", f"There are: {there}")
    return named


def _halt_files(settings: Settings, book: str | None) -> list[HaltFile]:
    files = [HaltFile(folder / HALTED) for folder in _books(settings, book)]
    return [file for file in files if file.standing() is not None]


def _halts(settings: Settings, command: str, reason: str, book: str | None, console: Console) -> int:
    if command == "resume":
        standing = _halt_files(settings, book)
        for file in standing:
            console.print(f"{file.path.parent.name} may trade again; it was halted: {file.lift()}")
        if not standing:
            console.print("Nothing was halted.")
        return 0
    if not (folders := _books(settings, book)):
        raise Fatal(f"there is no book in {settings.state_dir} to halt", "Start the bot once")
    for folder in folders:
        HaltFile(folder / HALTED).raise_(reason or "by hand")
        console.print(f"{folder.name} is halted: no new position until `python redis_control.py resume`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
