"""The command: see the package."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import tests.endurance
from tests.endurance.run import Plan, Result, Run

DAY, WORKER, LOAD = "day", "worker", "load"
RATES = (10, 100, 1000)
"""Additional quotes a second, for one market each."""
MARKETS = {DAY: 96, WORKER: 24, LOAD: len(RATES)}
SPEEDS = {DAY: 60.0, WORKER: 60.0, LOAD: 15.0}
"""Market seconds per second."""


class Report(msgspec.Struct, frozen=True):
    """The results of the command, as written by `--report`."""

    command: str
    results: list[Result]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.endurance", description=(tests.endurance.__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--only", choices=(DAY, WORKER, LOAD), help="one of the three runs")
    parser.add_argument("--markets", type=int, metavar="N", help="markets of each run (96, 24 and 3)")
    parser.add_argument("--speed", type=float, metavar="N", help="market seconds per second (60, 60 and 15)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write results and samples as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the folders of right runs too")
    return parser.parse_args(arguments)


def plans(given: argparse.Namespace) -> list[Plan]:
    """The runs of a command line."""
    return [
        Plan(
            name,
            given.markets or MARKETS[name],
            given.speed or SPEEDS[name],
            restarts=name == DAY,
            rates=RATES if name == LOAD else (),
        )
        for name in ([given.only] if given.only else MARKETS)
    ]


def play(plan: Plan, folder: Path, console: Console) -> Result:
    """Play one run with a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{plan.name}, markets", total=plan.markets)
        return Run(plan, folder, lambda ended: progress.update(task, completed=ended)).play()


def table(result: Result) -> Table:
    """The result as a table."""
    plan = result.plan
    restarts = "with restarts" if plan.restarts else "without a restart"
    shown = Table(
        title=f"{plan.name}: {plan.markets} markets {restarts}, {plan.speed:g} times as fast,"
        f" {result.seconds:.0f} s",
        title_justify="left",
    )
    for heading in ("", "measured", "limit", ""):
        shown.add_column(heading)
    for row in result.rows:
        shown.add_row(row.name, row.value, row.limit, {True: "ok", False: "FAILED", None: ""}[row.right])
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every limit was kept, else 1."""
    given, console = parse(arguments), Console()
    results: list[Result] = []
    for plan in plans(given):
        folder = Path(tempfile.mkdtemp(prefix=f"endurance-{plan.name}-"))
        result = play(plan, folder, console)
        results.append(result)
        console.print(table(result))
        for start, recorded in result.missed.items():
            console.print(f"the window of the market that starts at {start} has: {recorded}", markup=False)
        if result.right and not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"its files: {folder}", markup=False, highlight=False)
        if given.report is not None:
            report = Report("python -m tests.endurance " + " ".join(sys.argv[1:]), results)
            given.report.write_bytes(msgspec.json.encode(report))
    return int(not all(result.right for result in results))


if __name__ == "__main__":
    sys.exit(main())
