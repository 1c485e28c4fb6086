"""The command: see the package."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from queue import Queue
from types import FrameType

import msgspec
from bot_process import ROOT
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import tests.chaos
from tests.chaos.crashes import matrix
from tests.chaos.preloaded import PlayingProcess, preload
from tests.chaos.run import FAST, SLOW, Outcome, play, set_speed
from tests.chaos.schedule import Schedule, decode, draw, encode, shrink

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""A bot on loopback needs none, and checks them at each start if they are set."""
REPORTED = 10
"""Runs after which the report is written again; it is written at the end, too."""
SIGNAL_DELAY_S = 1.0
"""Longest time until a signal is handled."""
MOST_SHRINKS = 3
"""Failing schedules that are shrunk in one command; each needs several runs."""


Player = Callable[[Schedule, Path], Outcome]


class Report(msgspec.Struct, frozen=True):
    """The result of the command, as written by `--report`."""

    command: str
    runs: int
    failed: int
    seconds: float
    """Wall time of this command; without the runs that `--results` had before."""
    revisions: tuple[str, ...]
    """The commits that the runs were made with."""
    faults: dict[str, int]
    """How many schedules had each fault, and it began."""
    applied: dict[str, int]
    """In how many of these it was applied at least once, as far as that is counted."""
    violations: dict[str, int]
    """How many runs violated each invariant."""
    purchases: int
    decisions: int
    covered: int
    """Markets whose window had to have a decision."""
    recoveries: int
    """Ends of faults that the bot had to recover from."""
    slowest_recovery_s: float
    limited: int
    """Runs in which a limit refused an order that an earlier one had reached."""
    outcomes: tuple[Outcome, ...]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=(tests.chaos.__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--schedules", type=int, default=10, metavar="N", help="how many (10)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="draws the schedules (1)")
    parser.add_argument("--begin", type=int, default=0, metavar="N", help="go on at this schedule (0)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play this schedule only")
    parser.add_argument("--crashes", action="store_true", help="play the crash matrix")
    parser.add_argument("--only", default="", metavar="TEXT", help="schedules whose description contains it")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="bots side by side (1)")
    parser.add_argument(
        "--speed",
        type=float,
        metavar="N",
        help="market seconds per second (30; 15 for the crash matrix)",
    )
    parser.add_argument(
        "--preloaded",
        action="store_true",
        help="fork the bots from a process that has imported their modules: half of the CPU time",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="append each result as a line of JSON; schedules that the file has are not played again",
    )
    parser.add_argument("--list", action="store_true", help="show the schedules without playing them")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all runs")
    return parser.parse_args(arguments)


def schedules(given: argparse.Namespace) -> list[Schedule]:
    """The schedules of a command line."""
    if given.replay is not None:
        return [decode(given.replay.read_bytes())]
    found: Iterable[Schedule]
    if given.crashes:
        found = matrix()
    else:
        found = (draw(given.seed, number) for number in range(given.begin, given.schedules))
    return [schedule for schedule in found if given.only in schedule.text]


class Runs:
    """Plays schedules side by side, until all are played or the command is stopped.

    Parameters
    ----------
    base : Path
        Parent of the runs' folders.
    console : Console
    keep : bool
        Whether the folders of right runs are kept, too.
    finished : Callable[[list[Outcome]], None]
        Called after each run with the outcomes so far.
    play : callable
        Plays a schedule in a new folder.
    """

    def __init__(
        self,
        base: Path,
        console: Console,
        *,
        keep: bool,
        finished: Callable[[list[Outcome]], None],
        play: Player,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.stopped = False
        self._base = base
        self._console = console
        self._keep = keep
        self._finished = finished
        self._play_one = play

    def play(self, wanted: Sequence[Schedule], workers: int) -> None:
        """Play all, and show the failing ones; SIGINT and SIGTERM stop after the running ones."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._play(wanted, workers)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _play(self, wanted: Sequence[Schedule], workers: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as progress, ThreadPoolExecutor(workers) as pool:
            task = progress.add_task("0 failed", total=len(wanted))
            jobs = [
                pool.submit(self._play_unless_stopped, schedule, self._base / f"{place:04}")
                for place, schedule in enumerate(wanted)
            ]
            for job in _completed(jobs):
                outcome = job.result()
                # After Ctrl-C a bot may have been stopped in the middle of its run.
                if outcome is None or (self.stopped and not outcome.right):
                    continue
                self._record(outcome)
                failed = sum(not one.right for one in self.outcomes)
                progress.update(task, advance=1, description=f"{failed} failed")

    def _play_unless_stopped(self, schedule: Schedule, folder: Path) -> Outcome | None:
        return None if self.stopped else self._play_one(schedule, folder)

    def _record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._finished(self.outcomes)
        if not outcome.right:
            self._console.print(described(outcome), highlight=False, markup=False)
        elif not self._keep:
            shutil.rmtree(outcome.folder, ignore_errors=True)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Begin no other run; those that run are completed."""
        del number, frame
        self.stopped = True


def _completed[T](jobs: Iterable[Future[T]]) -> Iterator[Future[T]]:
    """The jobs as they are completed.

    The main thread does not wait for long at a time: a signal that arrives while it begins to wait is handled
    only when the wait is over.
    """
    pending = set(jobs)
    while pending:
        done, pending = wait(pending, timeout=SIGNAL_DELAY_S, return_when=FIRST_COMPLETED)
        yield from done


def forked_players(count: int) -> Player:
    """Players in processes of their own, which have the modules of the bot; see `tests.chaos.preloaded`."""
    preload()
    processes: list[PlayingProcess] = []
    free: Queue[PlayingProcess] = Queue()
    for _ in range(count):
        processes.append(PlayingProcess(play_in, processes))
        free.put(processes[-1])

    def play_in_free_one(schedule: Schedule, folder: Path) -> Outcome:
        process = free.get()
        try:
            return process.play(schedule, folder)
        finally:
            free.put(process)

    return play_in_free_one


def play_in(schedule: Schedule, folder: Path) -> Outcome:
    """Play a schedule in a new folder; an error of the test itself is a failed run."""
    folder.mkdir()
    try:
        return play(schedule, folder)
    except Exception as error:  # noqa: BLE001  the other runs go on
        began = (None,) * len(schedule.injections)
        wrong = {"not_played": [repr(error)]}
        return Outcome(schedule, wrong, began, (), 0, 0, (), 0.0, str(folder))


class Recorded(msgspec.Struct, frozen=True):
    """A line of the file of `--results`."""

    revision: str
    outcome: Outcome


def recorded(path: Path | None) -> list[Recorded]:
    """The results of earlier commands; a line that a killed command left incomplete is ignored."""
    if path is None or not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        with suppress(msgspec.DecodeError):
            found.append(msgspec.json.decode(line, type=Recorded))
    return found


def record(path: Path, one: Recorded) -> None:
    """Append a result; after an incomplete line on a line of its own."""
    with open(path, "ab") as file:
        file.write((b"\n" if file.tell() else b"") + msgspec.json.encode(one))


def revision() -> str:
    """The commit of this checkout, with a plus if it has uncommitted changes; empty outside of one."""
    ran = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout.strip()


def described(outcome: Outcome) -> str:
    """A failing run in a few lines."""
    schedule = outcome.schedule
    lines = [f"FAILED seed {schedule.seed}, schedule {schedule.number}: {schedule.text}"]
    lines += [f"  {name}: {text}" for name, texts in outcome.violations.items() for text in texts]
    return "\n".join([*lines, f"  its files: {outcome.folder}"])


def shrunk(outcome: Outcome, base: Path) -> Schedule:
    """The schedule with the faults that its first violation needs."""
    wanted = next(iter(outcome.violations))
    tried = 0

    def fails(schedule: Schedule) -> bool:
        nonlocal tried
        tried += 1
        folder = base / f"shrink-{outcome.schedule.number}-{tried}"
        failed = wanted in play_in(schedule, folder).violations
        shutil.rmtree(folder, ignore_errors=True)
        return failed

    return shrink(outcome.schedule, fails)


def report_of(outcomes: Sequence[Outcome], seconds: float, revisions: Iterable[str] = ()) -> Report:
    faults = Counter(
        injection.fault
        for outcome in outcomes
        for injection, began in zip(outcome.schedule.injections, outcome.began, strict=True)
        if began is not None
    )
    applied = Counter(
        injection.fault
        for outcome in outcomes
        for injection, times in zip(outcome.schedule.injections, outcome.applied, strict=False)
        if times
    )
    return Report(
        command="python -m tests.chaos " + " ".join(sys.argv[1:]),
        runs=len(outcomes),
        failed=sum(not outcome.right for outcome in outcomes),
        seconds=round(seconds, 1),
        revisions=tuple(sorted(set(revisions))),
        faults=dict(sorted(faults.items())),
        applied=dict(sorted(applied.items())),
        violations=dict(Counter(name for outcome in outcomes for name in outcome.violations)),
        purchases=sum(outcome.purchases for outcome in outcomes),
        decisions=sum(outcome.decisions for outcome in outcomes),
        covered=sum(outcome.covered for outcome in outcomes),
        recoveries=sum(len(outcome.recoveries) for outcome in outcomes),
        slowest_recovery_s=max((outcome.recovery_s for outcome in outcomes), default=0.0),
        limited=sum(outcome.limited > 0 for outcome in outcomes),
        outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.schedule.number)),
    )


def show_failing(
    outcomes: Sequence[Outcome], given: argparse.Namespace, base: Path, console: Console
) -> None:
    """Shrink the first failing schedules, and show the commands that repeat them."""
    failing = [one for one in outcomes if not one.right]
    for outcome in failing[:MOST_SHRINKS]:
        schedule = outcome.schedule
        if given.replay is None and len(schedule.injections) > 1:
            schedule = shrunk(outcome, base)
        file = base / f"schedule-{schedule.seed}-{schedule.number}.json"
        file.write_bytes(encode(schedule))
        speed = f" --speed {given.speed:g}" if given.speed else ""
        console.print(
            f"again: ./bot exec -m tests.chaos --replay {file}{speed}", highlight=False, markup=False
        )
        console.print(f"  {schedule.text}", highlight=False, markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if no invariant was violated, else 1."""
    given, console, began = parse(arguments), Console(), time.monotonic()
    set_speed(given.speed or (SLOW if given.crashes else FAST))
    earlier, present = recorded(given.results), revision()
    played = {encode(one.outcome.schedule) for one in earlier}
    wanted = [schedule for schedule in schedules(given) if encode(schedule) not in played]
    if given.list:
        for schedule in wanted:
            console.print(
                f"{schedule.number:4}  {schedule.text}", highlight=False, markup=False, soft_wrap=True
            )
        return 0
    base = Path(tempfile.mkdtemp(prefix="chaos-"))

    def report(outcomes: list[Outcome]) -> Report:
        every = [one.outcome for one in earlier] + outcomes
        revisions = [one.revision for one in earlier] + [present] * bool(outcomes)
        return report_of(every, time.monotonic() - began, revisions)

    def write_report(outcomes: list[Outcome]) -> Report:
        found = report(outcomes)
        if given.report is not None:
            given.report.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        return found

    def write(outcomes: list[Outcome]) -> None:
        if given.results is not None:
            record(given.results, Recorded(present, outcomes[-1]))
        if given.report is not None and len(outcomes) % REPORTED == 0:
            write_report(outcomes)

    player = forked_players(given.workers) if given.preloaded else play_in
    runs = Runs(base, console, keep=given.keep, finished=write, play=player)
    runs.play(wanted, given.workers)
    if not runs.stopped:
        with suppress(KeyboardInterrupt):
            show_failing(runs.outcomes, given, base, console)
    found = write_report(runs.outcomes)
    console.print(
        f"{found.runs} runs, {found.failed} failed; {found.purchases} purchases,"
        f" {found.decisions} decisions, slowest of {found.recoveries} recoveries"
        f" {found.slowest_recovery_s:.1f} s,"
        f" {found.seconds:.0f} s",
        highlight=False,
        markup=False,
    )
    if not any(base.iterdir()):
        base.rmdir()
    return int(found.failed > 0)


if __name__ == "__main__":
    for variable in CERTIFICATES:
        os.environ.pop(variable, None)
    sys.exit(main())
