"""The figures of benchmarks as a table for a terminal."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from benchmarks.results import BenchmarkResult, Measurement, Target

COLUMNS = ("benchmark, what is measured", "number", "unit", "reference", "ratio", "target", "")
WHAT, UNIT, RESULT = 0, 2, 6
RELATIONS = {"at most": "≤", "at least": "≥"}


def number_text(value: float | None) -> str:
    """A number with three significant digits or all of its whole ones; empty for None."""
    if value is None:
        return ""
    size = abs(value)
    decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{decimals}f}"


def target_text(target: Target | None) -> str:
    """A target as text; × marks a target of the ratio."""
    if target is None:
        return ""
    mark = "×" if target.quantity == "ratio" else ""
    return f"{RELATIONS[target.relation]} {target.limit:,g}{mark}"


def met_text(measured: Measurement) -> str:
    return {None: "", True: "met", False: "missed"}[measured.met]


def table(results: Iterable[BenchmarkResult]) -> Table:
    """A row with the name of each benchmark, then one per figure; of a benchmark that failed, its error."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, show_edge=False, expand=True)
    for number, heading in enumerate(COLUMNS):
        shown.add_column(
            heading,
            justify="left" if number in (WHAT, UNIT, RESULT) else "right",
            overflow="fold",
            no_wrap=number not in (WHAT, UNIT),
            ratio=1 if number == WHAT else None,
        )
    for result in results:
        shown.add_row(Text(result.name, style="bold"))
        _add_figures(shown, result)
    return shown


def _add_figures(shown: Table, result: BenchmarkResult) -> None:
    for measured in result.measurements:
        what = Text(measured.what)
        if measured.reference_name:
            what.append(f" (reference: {measured.reference_name})", style="dim")
        shown.add_row(
            Padding(what, (0, 0, 0, 2)),
            number_text(measured.value),
            measured.unit,
            number_text(measured.reference),
            number_text(measured.ratio),
            target_text(measured.target),
            Text(met_text(measured), style="red" if measured.met is False else "green"),
        )
    if result.error:
        cells = [""] * (RESULT - 1)
        shown.add_row(Padding(Text(result.error), (0, 0, 0, 2)), *cells, Text("failed", style="red"))


def print_measurements(measured: Sequence[Measurement]) -> int:
    """Print the figures of one benchmark; the exit code is 1 if a target was missed."""
    result = BenchmarkResult(name=measured[0].name, seconds=0.0, measurements=tuple(measured))
    Console().print(table([result]))
    return int(not result.passed)
