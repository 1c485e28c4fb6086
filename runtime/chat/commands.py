"""The chat's commands: the text of a message in, the text of the answer out."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from rich.console import Console

from common.plain_text import one_line
from config import Settings
from control.last_mode_switch import LAST_SWITCH_FILE, LastModeSwitchFile
from errors import BotError
from execution.ledger import LIVE_PROFILE, ledger_path
from models import Frozen
from monitoring.status_file import STATUS_FILE, read_worker_status
from monitoring.terminal import PlainConsole
from redis_control import halt, halt_files, last_switch_text, orders_of_running_bot, resume, simulate
from runtime.chat.answers import daily_text, funnel_text, profit_text, trades_text, worker_lines
from view_paper_trades import Results, load

REASON = 200
"""Maximum length of a halt's reason."""
NEVER_LIVE = (
    "The chat cannot switch to live or arm the bot. At the bot's machine: python redis_control.py live"
)


class Command(StrEnum):
    """The commands, in the order of /help."""

    STATUS = "status"
    TRADES = "trades"
    PROFIT = "profit"
    DAILY = "daily"
    FUNNEL = "funnel"
    HALT = "halt"
    RESUME = "resume"
    SIM = "sim"
    HELP = "help"


MEANINGS = {
    Command.STATUS: "mode, market, halts, feeds",
    Command.TRADES: "the last trades",
    Command.PROFIT: "statistics of all trades",
    Command.DAILY: "results of the last days",
    Command.FUNNEL: "how far the markets came, and what stopped them",
    Command.HALT: "no new position, with a reason: /halt REASON",
    Command.RESUME: "lift the halts",
    Command.SIM: "simulation: no live order from now on",
    Command.HELP: "this list",
}
CHANGING = {Command.HALT, Command.RESUME, Command.SIM}
"""The commands that change something; a late one is not executed."""


@dataclass
class ChatCounts:
    """Counters of the chat since its start, for /status."""

    ignored: int = 0
    """Messages of other senders, and updates that are no new message: edits, buttons, posts of channels."""
    late: int = 0
    """Messages that were too old when they were received."""
    unsent: int = 0
    """Answers that were not sent."""


class Answer(Frozen, frozen=True):
    """The answer to a message. `changed` describes for the terminal what was requested; empty if nothing."""

    text: str
    changed: str = ""


class Commands:
    """Executes commands.

    Parameters
    ----------
    settings : Settings
    profile : Callable[[], str]
        Name of the profile that the current worker trades in.
    profiles : sequence of str
        Names of the profiles of this run; before its first worker a profile may not exist yet.
    counts : ChatCounts
    """

    def __init__(
        self, settings: Settings, profile: Callable[[], str], profiles: Sequence[str], counts: ChatCounts
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._profiles = profiles
        self._counts = counts

    def answer(self, text: str, *, late: bool = False) -> Answer | None:
        """Execute a message; None if it has no answer.

        Parameters
        ----------
        text : str
        late : bool
            Whether it was sent so long before that it may no longer be intended: it changes nothing.
        """
        command, argument = parse(text)
        if late:
            self._counts.late += 1
            if command not in CHANGING:
                return None
            return Answer(f"/{command} was not executed: it is too old. Send it again if it still applies.")
        if command is None:
            return Answer(_unknown(text))
        changed = f"/{command}{f' {argument}' if argument else ''}" if command in CHANGING else ""
        try:
            return Answer(self._execute(command, argument), changed)
        except BotError as error:
            return Answer(f"/{command} failed: {one_line(error, 1000)}", changed)

    def _execute(self, command: Command, argument: str) -> str:
        match command:
            case Command.STATUS:
                return self._status()
            case Command.HALT:
                reason = f"{argument or 'manual halt'} (chat)"
                halted = _printed(lambda console: halt(self._settings, reason, None, console, self._profiles))
                return f"{halted}\nHere: /resume"
            case Command.RESUME:
                return _printed(lambda console: resume(self._settings, None, console))
            case Command.SIM:
                return _printed(lambda console: simulate(self._settings, console))
            case Command.HELP:
                return help_text()
            case _:
                return self._of_ledger(command)

    def _of_ledger(self, command: Command) -> str:
        """An answer from the ledger of the current profile.

        Raises
        ------
        Fatal
            If the ledger cannot be read.
        """
        profile = self._profile()
        path = ledger_path(self._settings.state_dir, profile)
        money = "real money" if profile == LIVE_PROFILE else "no real money"
        heading = f"Profile {profile}, {money}"
        if not path.is_file():
            return f"{heading}\nNothing yet: the first worker has not started."
        results = load(path, profile, None)
        return f"{heading}\n{_text_of(command, results)}"

    def _status(self) -> str:
        state_dir, now_ns = self._settings.state_dir, time.time_ns()
        orders, _ = orders_of_running_bot(state_dir, now_ns)
        status = read_worker_status(state_dir / self._profile() / STATUS_FILE)
        lines = [f"Orders: {orders}"]
        for file in halt_files(self._settings, None):
            lines.append(f"HALTED {file.path.parent.name}: {one_line(file.standing())}")
        lines += worker_lines(status, now_ns)
        last = LastModeSwitchFile(state_dir / LAST_SWITCH_FILE).load()
        lines.append(f"Last mode switch: {last_switch_text(last)}")
        counts = self._counts
        lines.append(
            f"Chat: ignored {counts.ignored} messages of other senders, {counts.late} that were too late;"
            f" {counts.unsent} answers not sent"
        )
        return "\n".join(lines)


def parse(text: str) -> tuple[Command | None, str]:
    """The command of a message and its argument on one line; None if it has no command of `Command`."""
    first, *rest = text.split(maxsplit=1) or [""]
    name = first.partition("@")[0].lower()
    try:
        command = Command(name.removeprefix("/")) if name.startswith("/") else None
    except ValueError:
        command = None
    return command, one_line("".join(rest), REASON)


def help_text() -> str:
    """The list of the commands."""
    return "\n".join([*(f"/{command}: {MEANINGS[command]}" for command in Command), NEVER_LIVE])


def _unknown(text: str) -> str:
    if text.strip().lower().startswith("/start"):  # Telegram sends it when the chat is opened
        return help_text()
    if text.strip().lower().startswith(("/live", "/off", "/arm")):
        return NEVER_LIVE
    return "This is not a command. /help lists the commands."


def _text_of(command: Command, results: Results) -> str:
    match command:
        case Command.TRADES:
            return trades_text(results.trades)
        case Command.PROFIT:
            return profit_text(results)
        case Command.DAILY:
            return daily_text(results.trades, datetime.now(UTC).date())
        case _:
            return funnel_text(results.funnel)


def _printed(action: Callable[[Console], None]) -> str:
    """What an operator's command prints, its error included."""
    sink = io.StringIO()
    console = PlainConsole(
        file=sink, soft_wrap=True, highlight=False, width=1000, color_system=None, force_terminal=False
    )
    try:
        action(console)
    except BotError as error:
        console.print(f"It failed: {one_line(error, 1000)}", markup=False)
    return sink.getvalue().strip()
