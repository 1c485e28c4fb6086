"""Runs the whole bot on a clock that only moves when it is stepped, so that a run is deterministic.

Runner, worker and practice venue read one time from a file (libfaketime). A step writes the file, and ends
when no thread of the processes has anything left to do.
"""

import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
from bot_process import BotProcess

LIBRARY = "libfaketimeMT.so.1"
PACE_S = 0.004
"""Length of a step of a clock that runs: it is stepped by what has passed."""
IDLE_CHECK_S = 0.001
PAST_NS = 2_000
"""Added to a step, so that what is due at its time is due."""
NUDGES_NS = (10_000, 50_000, 250_000, *[1_000_000] * 100)
"""Added to a step until the bot is idle: a timer that is due within a millisecond keeps its loop polling."""
BUSY_S = 0.5
POLLS = 20
"""A thread that sleeps this often while every other one sleeps on only polls: one that works either runs, or
waits for another one that does."""
LONGEST_NS = 240 * 10**9
LIMITS = {"WORKER_START_SECONDS": "600", "WORKER_HEARTBEAT_SECONDS": "3600"}


class SteppedClock:
    """The time of all processes that are started with `environment`."""

    def __init__(self, file: Path, start_ns: int) -> None:
        self._file = file
        self.now_ns = start_ns
        self.step_to(start_ns)

    @property
    def environment(self) -> dict[str, str]:
        listed = subprocess.check_output(["faketime", "-f", "+0", "env"], text=True)
        (preload,) = [line for line in listed.splitlines() if line.startswith("LD_PRELOAD=")]
        library = Path(preload.partition("=")[2]).with_name(LIBRARY)
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "TZ": "UTC",
        }

    def step_to(self, now_ns: int) -> None:
        self.now_ns = now_ns
        seconds, nanos = divmod(now_ns, 1_000_000_000)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{nanos:09}\n")
        os.replace(fresh, self._file)


class ThreadReading(NamedTuple):
    """What the kernel reports of a thread."""

    state: str
    slept: int
    preempted: int


ENDED = ThreadReading("ended", 0, 0)


def threads_of(pid: int) -> dict[str, ThreadReading]:
    """State and numbers of context switches of each thread of a process."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/status", "rb") as status:
                lines = status.read().split(b"\n")
        except (FileNotFoundError, ProcessLookupError):
            found[task] = ENDED
            continue
        state = lines[2].split()[1].decode()
        # A timer that is due within a millisecond keeps this thread polling while the clock stands still.
        polls = lines[0].endswith(b"tokio-rt-worker")
        slept, preempted = (0, 0) if polls else (int(line.split()[1]) for line in lines[-3:-1])
        found[task] = ThreadReading(state, slept, preempted)
    return found


def busy_threads(pids: list[int], seconds: float) -> list[str]:
    """Wait for an instant at which all threads slept: each slept twice and did not run in between.

    Returns the threads that were busy to the end, or the one that only polls; none if there was such an
    instant.
    """
    before: dict[str, ThreadReading] = {}
    lone: dict[str, ThreadReading] = {}
    deadline = time.monotonic() + seconds
    while True:
        now: dict[str, ThreadReading] = {}
        for pid in pids:
            now |= threads_of(pid)
        busy = [
            f"thread {task}: {reading}, was {before.get(task)}"
            for task, reading in now.items()
            if before.get(task) != reading or reading.state != "S"
        ]
        if not busy and len(before) == len(now):
            return []
        ran = [task for task in now if now[task] != lone.get(task)]
        if len(ran) > 1 or len(lone) != len(now):
            lone = now
        elif ran and now[ran[0]].slept - lone[ran[0]].slept >= POLLS:
            return busy
        if time.monotonic() > deadline:
            return busy
        before = now
        time.sleep(IDLE_CHECK_S)


def rows(ledger: Path, statement: str) -> list[tuple[Any, ...]]:
    """Rows of a ledger; none while it has no tables."""
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=5)) as database:
            return database.execute(statement).fetchall()
    except sqlite3.OperationalError:
        return []


class SteppedBot:
    """A bot at a practice venue. The clock runs until the first market is open, and is stepped from then on.

    Parameters
    ----------
    folder, ledger : Path
        Files of the bot, and its ledger.
    clock : SteppedClock
        The time of its processes.
    arguments, settings
        Of the bot.
    """

    def __init__(
        self,
        folder: Path,
        ledger: Path,
        clock: SteppedClock,
        arguments: tuple[str, ...],
        settings: dict[str, str],
    ) -> None:
        self.clock = clock
        self.bot = BotProcess(folder, *arguments, settings=settings | LIMITS | clock.environment)
        self._ledger = ledger
        self._http = httpx.Client(trust_env=False, timeout=60)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise

    def _start(self) -> None:
        self._url = self._run_until(r"practice venue at (http://127\.0\.0\.1:\d+)")
        self._run(lambda: bool(rows(self._ledger, "SELECT slug FROM markets")))
        self.first_start_ns = self._get("/practice/info")["first_start"] * 10**9
        reading = self._get("/practice/clock")
        self._offset_ns = reading["market_ns"] - reading["wall_ns"]
        children = self.bot.children()
        self._pids = [children["venue"], children["worker"]]
        # The supervisor polls with time.sleep, which returns at once on a clock that stands still.
        self.bot.process.send_signal(signal.SIGSTOP)

    def step_to(self, market_ns: int) -> None:
        """Move market time; returns when everything due has been done."""
        self.clock.step_to(market_ns - self._offset_ns + PAST_NS)
        self._get("/practice/clock")  # wakes the venue
        busy: list[str] = []
        for nudge_ns in NUDGES_NS:
            busy = busy_threads(self._pids, BUSY_S)
            if not busy:
                return
            self.clock.step_to(self.clock.now_ns + nudge_ns)
        raise AssertionError(f"the bot is never idle: {busy}")

    @property
    def market_ns(self) -> int:
        return self.clock.now_ns + self._offset_ns

    def run_to_end(self) -> None:
        """Let the clock run, fast, until the bot has ended."""
        self.bot.process.send_signal(signal.SIGCONT)
        self._run(lambda: self.bot.process.poll() is not None, speed=10)

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get(self._url + path).json()
        return answer

    def _run_until(self, pattern: str) -> str:
        self._run(lambda: re.search(pattern, self.bot.output) is not None)
        found = re.search(pattern, self.bot.output)
        assert found is not None
        return found[1]

    def _run(self, done: Callable[[], bool], speed: int = 1) -> None:
        began, first = time.monotonic_ns(), self.clock.now_ns
        while not done():
            self.clock.step_to(first + speed * (time.monotonic_ns() - began))
            self.bot.read_for(PACE_S)
            assert time.monotonic_ns() - began < LONGEST_NS, self.bot.output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bot.process.send_signal(signal.SIGCONT)
        self._http.close()
        self.bot.__exit__(*error)
