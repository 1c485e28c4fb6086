"""Which output a run has: blocks of text, only what concerns the bot itself, or JSON lines for programs."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from rich.console import Console, RenderableType

from events import Event
from models import Market
from monitoring.console import ConsoleReporter
from monitoring.json_lines import JsonLinesReporter, json_line, print_line


class Output(StrEnum):
    """The output of a run."""

    BLOCKS = "blocks"
    QUIET = "quiet"
    JSON_LINES = "json_lines"


class Reporter(Protocol):
    """Shows a worker's events on the standard output."""

    def start(self) -> None: ...

    def close(self) -> None: ...

    def print_message(self, text: str) -> None:
        """Show a message about the bot itself."""
        ...

    def handle(self, event: Event) -> None:
        """Show one event."""
        ...

    def progress(
        self, market: Market | None, second: float, p: Decimal | None, settling: int, outside: str
    ) -> None:
        """Show the state between events; `outside` are the external prices."""
        ...


def reporter(
    output: Output, console: Console, window: tuple[float, float], speed: float, *, several: bool = False
) -> Reporter:
    """The reporter of a worker; arguments as in `ConsoleReporter`."""
    if output is Output.JSON_LINES:
        return JsonLinesReporter(console, several=several)
    return ConsoleReporter(console, window, speed, quiet=output is Output.QUIET, several=several)


def show_message(output: Output, console: Console, text: str) -> None:
    """Show a message of the supervisor."""
    if output is Output.JSON_LINES:
        print_line(console, json_line("message", {"text": text}, datetime.now(UTC)))
    else:
        console.print(text, style="yellow", markup=False, highlight=False)


def show_to_people(output: Output, console: Console, renderable: RenderableType) -> None:
    """Show a banner or a hint that only people read, unless the output is quiet or for programs."""
    if output is Output.BLOCKS:
        console.print(renderable)
