"""`./bot bench`: runs the benchmarks, each in its own process, and compares the figures with their targets.

The exit code is 1 if a target was missed or a benchmark failed, 2 for an unknown option or name.
"""

import argparse
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.bench_table import table
from benchmarks.registry import BENCHMARKS, Benchmark
from benchmarks.results import BenchmarkResult, Machine, Measurement, Run

LONGEST_S = 300.0
"""A benchmark that takes longer has failed; all of them together take less than ten minutes."""
STEP_S = 0.2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./bot bench", description="Runs the benchmarks and compares their figures with the targets."
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", default=[], help="this benchmark; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="print the benchmarks with their targets")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, for programs")
    return parser


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    console = Console()
    if given.list:
        console.print(listing())
        return 0
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"--json {given.json}: the folder does not exist")
    names = {benchmark.name for benchmark in BENCHMARKS}
    if unknown := [name for name in given.only if name not in names]:
        parser.error(f"unknown benchmark {unknown[0]}; there are: {', '.join(sorted(names))}")
    chosen = [benchmark for benchmark in BENCHMARKS if not given.only or benchmark.name in given.only]
    command = shlex.join(["./bot", "bench", *(sys.argv[1:] if arguments is None else arguments)])
    run = run_all(chosen, command)
    console.print(table(run.results))
    console.print(summary(run))
    if given.json is not None:
        given.json.write_bytes(run.document())
    return int(not run.passed)


def listing() -> Table:
    """All benchmarks with their expected duration and their targets."""
    shown = Table("benchmark", "s", "what is measured", "target", expand=True)
    for known in BENCHMARKS:
        shown.add_row(known.name, str(known.seconds), escape(known.measures), escape(known.targets))
    return shown


def summary(run: Run) -> str:
    measured = [figure for result in run.results for figure in result.measurements]
    met, missed = ([figure.met for figure in measured].count(value) for value in (True, False))
    failed = sum(bool(result.error) for result in run.results)
    shown = f"{met} targets met, {missed} missed" + (f", {failed} benchmarks failed" if failed else "")
    machine = run.machine
    return escape(
        f"{shown}; {run.seconds:.0f} s on {machine.cores} cores of {machine.cpu}, Python {machine.python}, "
        f"load at the start {machine.load:.1f}"
    )


def machine() -> Machine:
    """This machine."""
    return Machine(
        cpu=cpu_model(),
        cores=os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        nautilus_trader=version("nautilus_trader"),
        load=round(os.getloadavg()[0], 2),
    )


def cpu_model() -> str:
    """Name of the processor; of the architecture if the system does not give it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def run_all(chosen: Sequence[Benchmark], command: str) -> Run:
    """Run benchmarks one after another, with a progress bar on stderr."""
    found, where = machine(), datetime.now(UTC)
    began, results = time.monotonic(), []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=sum(benchmark.seconds for benchmark in chosen))
        done = 0
        for number, benchmark in enumerate(chosen, 1):
            progress.update(bar, description=f"{number} of {len(chosen)}: {benchmark.name}", completed=done)
            results.append(run_one(benchmark, lambda s, d=done: progress.update(bar, completed=d + s)))
            done += benchmark.seconds
    return Run(
        date=where.isoformat(timespec="seconds"),
        command=command,
        machine=found,
        seconds=round(time.monotonic() - began, 1),
        results=tuple(results),
    )


def run_one(benchmark: Benchmark, advance: Callable[[float], object]) -> BenchmarkResult:
    """Run one benchmark in a new process.

    Parameters
    ----------
    advance : Callable[[float], None]
        Called with the seconds since its start, at most its expected duration.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file, log = Path(folder) / "figures.json", Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.one", benchmark.name, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            error = ""
            try:
                while process.poll() is None:
                    passed_s = time.monotonic() - began
                    if passed_s > LONGEST_S:
                        error = f"it was stopped after {LONGEST_S:.0f} s"
                        break
                    advance(min(passed_s, benchmark.seconds))
                    time.sleep(STEP_S)
            finally:
                _end(process)
        figures: tuple[Measurement, ...] = ()
        if not error and process.returncode == 0 and file.exists():
            figures = msgspec.json.decode(file.read_bytes(), type=tuple[Measurement, ...])
        elif not error:
            error = _last_line(log) or f"exit code {process.returncode}"
    return BenchmarkResult(
        name=benchmark.name, seconds=round(time.monotonic() - began, 1), measurements=figures, error=error
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a benchmark that was interrupted, with the processes that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    sys.exit(code)
