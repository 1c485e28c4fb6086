"""`runner.py --show-config` and `--new-config`: the settings in force, and a `.env` from a few answers."""

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config import Settings, Source, env_example, load_with_sources, settings_from
from errors import ConfigError, Fatal
from models import Frozen
from runtime.doctor.file_checks import host_of

STYLES = {Source.DEFAULT: "dim", Source.ENV_FILE: "cyan", Source.ENVIRONMENT: "yellow"}


class Question(Frozen, frozen=True):
    """A question about one setting; `live`: asked only of a user who wants to trade live."""

    field: str
    text: str
    live: bool = False


QUESTIONS = (
    Question(field="position_size_usd", text="pUSD per position"),
    Question(field="max_total_exposure", text="maximum total of unsettled stakes, pUSD"),
    Question(field="max_loss_per_day", text="maximum loss per UTC day, pUSD"),
    Question(field="notify_url", text="Apprise URL for notifications, such as tgram://TOKEN/CHAT (none)"),
    Question(field="redis_url", text="Redis of the mode switch, redis://HOST:PORT/DB (a file is used)"),
    Question(
        field="polymarket_pk", text="private key of the signing wallet, 0x and 64 hex digits", live=True
    ),
    Question(field="polymarket_funder", text="address that holds the funds (the key's own)", live=True),
)


def show_settings(console: Console) -> int:
    """Print every setting with its value and where it is from; changed ones first, secrets hidden."""
    settings, sources = load_with_sources()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for name in sorted(sources, key=lambda name: sources[name] is Source.DEFAULT):
        value = Text(_value(getattr(settings, name)), STYLES[sources[name]])
        table.add_row(name.upper(), value, sources[name].value)
    console.print(table)
    changed = sum(source is not Source.DEFAULT for source in sources.values())
    console.print(f"{changed} of {len(sources)} settings are changed; .env.example describes each.")
    return 0


def _value(value: object) -> str:
    """A value as text; of a secret only whether it is set."""
    if isinstance(value, SecretStr):
        return "(set, hidden)" if value.get_secret_value() else "(not set)"
    if value is None or value == "":
        return "(not set)"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # The path of an address may contain a provider's key.
    return host_of(text) if "://" in text else text


def create_env_file(path: Path, console: Console) -> int:
    """Ask for the most important settings and write them to a new `.env` that only its owner can read.

    An empty answer keeps the default. An invalid one is asked again; without a terminal it is an error.

    Raises
    ------
    Fatal
        If the file exists or cannot be written; a ConfigError if an answer is invalid or missing.
    """
    if path.exists():
        raise Fatal(
            f"{path} exists", "Edit it, or move it away first; python runner.py --show-config shows it"
        )
    live = _ask("Do you want to trade live, with real money, later? (yes/no) [no]: ", secret=False)
    answers: dict[str, str] = {}
    for question in QUESTIONS:
        if not question.live or live.lower() in ("y", "yes"):
            _answer(question, answers, console)
    _write_new(path, env_file_text(answers))
    console.print(
        f"{path} is written, readable by its owner only: {len(answers)} settings differ from the defaults."
    )
    console.print("Next: python runner.py --test-mode --markets 3")
    return 0


def env_file_text(answers: Mapping[str, str]) -> str:
    """`.env.example` with these settings, by field name, uncommented."""
    lines = []
    for line in env_example().splitlines():
        key = line.partition("=")[0].removeprefix("#")
        answered = line.startswith("#") and key.lower() in answers
        lines.append(f"{key}={_quoted(answers[key.lower()])}" if answered else line)
    return "\n".join(lines) + "\n"


def _answer(question: Question, answers: dict[str, str], console: Console) -> None:
    """Ask until the answer is valid together with the ones before it."""
    default = _value(Settings.model_fields[question.field].default)
    shown = "" if default == "(not set)" else f" [{default}]"
    secret = Settings.model_fields[question.field].annotation is SecretStr
    while text := _ask(f"{question.text}{shown}: ", secret=secret):
        given = answers | {question.field: text}
        if question.field == "position_size_usd":
            # The limits of one order and of one position follow its size.
            given |= {"market_buy_usd": text, "max_position_size": text}
        try:
            settings_from(given)
        except ConfigError as error:
            if not sys.stdin.isatty():
                raise
            console.print(str(error), style="yellow", markup=False, highlight=False)
            continue
        answers.update(given)
        return


def _ask(prompt: str, *, secret: bool) -> str:
    read: Callable[[str], str] = getpass.getpass if secret and sys.stdin.isatty() else input
    try:
        return read(prompt).strip()
    except EOFError:
        raise ConfigError("the answers end before the last question", "Nothing was written") from None


def _quoted(value: str) -> str:
    """A value for `.env`, in quotes where it has a character with a meaning there."""
    if not set(value) & set(" #'\"\\$"):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Fatal(f"{path} cannot be written: {error.strerror}", "Check the folder's permissions") from None
