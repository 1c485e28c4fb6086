"""The findings as a person reads them."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from doctor.finding import Finding, Status

STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}
PIPED_COLUMNS = 1000
"""One line a check, however long, where no terminal folds it."""


def show(findings: Sequence[Finding], console: Console) -> None:
    """One line a check, then what they come to."""
    if not console.is_terminal:
        console = Console(file=console.file, width=PIPED_COLUMNS)
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        what = Text(finding.what)
        if finding.todo:
            what.append(f"  → {finding.todo}", "bold")
        table.add_row(Text(finding.status, STYLES[finding.status]), finding.area, what)
    console.print(table)
    count = Counter(finding.status for finding in findings)
    worst = next((status for status in reversed(Status) if count[status]), Status.OK)
    console.print(f"{count[Status.OK]} ok, {_several(count[Status.WARN], 'warning')}, ", end="")
    console.print(_several(count[Status.FAIL], "failure"), style=STYLES[worst])


def _several(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
