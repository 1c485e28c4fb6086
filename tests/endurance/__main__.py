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
from tests.endurance.result import Row
from tests.endurance.run import Plan, Result, Run
from venue.quote_load import MOST_QUOTES

DAY, WORKER, LOAD = "day", "worker", "load"
RATES = (10, 100, 1000, MOST_QUOTES)
"""Additional quotes a second, for one market each; at the last one, the venue's highest, quotes give way."""
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
    parser.add_argument("--markets", type=int, metavar="N", help="markets of each run (96, 24 and 4)")
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
        shown.add_row(row.name, row.value, row.limit, state(row))
    return shown


def state(row: Row) -> str:
    if row.unmeasured:
        return "NOT MEASURED"
    return {True: "ok", False: "FAILED", None: ""}[row.right]


def exit_code(results: Sequence[Result]) -> int:
    """0 if every limit was kept, 1 if one was not, 2 if one was not measured and the others were kept."""
    if any(result.failed for result in results):
        return 1
    return 2 if any(result.unmeasured for result in results) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; the lines that are not right are printed by name."""
    given, console = parse(arguments), Console()
    results: list[Result] = []
    for plan in plans(given):
        folder = Path(tempfile.mkdtemp(prefix=f"endurance-{plan.name}-"))
        result = play(plan, folder, console)
        results.append(result)
        console.print(table(result))
        for start, recorded in result.missed.items():
            console.print(f"the window of the market that starts at {start} has: {recorded}", markup=False)
        for names, what in ((result.failed, "failed"), (result.unmeasured, "not measured")):
            if names:
                console.print(f"{what}: {', '.join(names)}", markup=False, highlight=False)
        if result.right and not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"its files: {folder}", markup=False, highlight=False)
        if given.report is not None:
            report = Report("python -m tests.endurance " + " ".join(sys.argv[1:]), results)
            given.report.write_bytes(msgspec.json.encode(report))
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
