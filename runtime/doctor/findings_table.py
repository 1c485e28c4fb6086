"""Prints the findings for a person."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.terminal import PlainConsole
from runtime.doctor.finding import Finding, Status

STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}
PIPED_COLUMNS = 10_000
"""One line per check, of any length, where the output is not a terminal."""


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print one line per check, then a summary."""
    if console.is_terminal:
        console.print(_table(findings))
    else:
        _print_lines(findings, PlainConsole(file=console.file, width=PIPED_COLUMNS))
    count = Counter(finding.status for finding in findings)
    worst = next((status for status in reversed(Status) if count[status]), Status.OK)
    console.print(
        f"{count[Status.OK]} ok, {_several(count[Status.WARN], 'warning')},"
        f" {_several(count[Status.FAIL], 'failure')}",
        style=STYLES[worst],
        highlight=False,
    )


def _table(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        what = Text(finding.what)
        if finding.todo:
            what.append(f"  → {finding.todo}", "bold")
        table.add_row(Text(finding.status, STYLES[finding.status]), finding.area, what)
    return table


def _print_lines(findings: Sequence[Finding], console: Console) -> None:
    wide = max((len(finding.area) for finding in findings), default=0)
    for finding in findings:
        todo = f"  → {finding.todo}" if finding.todo else ""
        console.print(Text(f"{finding.status:4}  {finding.area:{wide}}  {finding.what}{todo}"))


def _several(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
