"""Start, memory and processor time of the bot, beside a bare NautilusTrader node with the same subscriptions.

    python benchmarks/footprint.py [--repetitions 2]

The bot is `python runner.py` with its own practice venue, metrics and status page. The node is
`bare_node.py`, beside a practice venue that already runs: the stock data client and the stock execution
client, which a user would trade with otherwise, with the same subscriptions, those of the market channel and
that of the user channel. Both receive the quotes of the same seed, outside a decision window, by turns.
Start: from the command to the first subscription that the venue answers with the books. Processor time and
memory are those of the process that trades, and again those of it and of its supervisor together.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / folder) for folder in ("tests", "tests/venue"))]

import httpx
from bot_process import BotProcess
from process import VenueProcess

from benchmarks.bench_table import print_measurements
from benchmarks.practice_accounts import new_account
from benchmarks.results import Measurement, Target, at_most, ratio_at_most

NAME = "footprint"
NODE = ROOT / "benchmarks" / "bare_node.py"
REFERENCE = "a bare NautilusTrader node"
MARKETS = ("--speed", "1", "--start-at", "100", "--protocol", "v1")
"""A market that runs for eleven minutes until its decision window."""
RATES = (0, 10, 100, 1000)
"""Additional quotes per second; 0: the market's own, about one."""
IDLE_S, LOADED_S, SETTLE_S = 5.0, 2.5, 0.5
STARTED_S = 5.0
"""Seconds after the first quote in which a start still has work, which is not measured."""
LEAST_REACHED = 0.5
"""Smallest share of a rate that is accepted; the processor time is scaled to the rate. A machine that is busy
with other programs sends less."""
BENCH_REPETITIONS = 2
STARTS = 3
START_LIMIT_S = 60.0
FIRST_DECISION_S = 12.0
START_RATIO, MEMORY_RATIO, PROCESSOR_RATIO = 1.2, 1.15, 1.2
BOTH = "worker and supervisor"
SECOND = "the target is for the process that trades; the supervisor is a second Python process"
HTTP = httpx.Client(trust_env=False)


@dataclass
class Figures:
    """What was measured of one program, by repetition."""

    start_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    processor: dict[int, list[float]] = field(default_factory=lambda: {rate: [] for rate in RATES})
    """Percent of one core, by rate."""
    supervisor_mb: list[float] = field(default_factory=list)
    supervisor: dict[int, list[float]] = field(default_factory=lambda: {rate: [] for rate in RATES})
    """Percent of one core, by rate: the supervisor receives no quotes."""


@dataclass(frozen=True)
class Running:
    """A program that has received its first quotes."""

    pid: int
    """The process that trades."""
    url: str
    """Its practice venue."""
    start_s: float
    supervisor: int | None = None


def processor_s(pid: int) -> float:
    """Processor time of all threads of a process since its start, in seconds."""
    # The clock of another process (clock_getcpuclockid(3)), which is exact to the nanosecond.
    return time.clock_gettime((~pid << 3) | 2)


def memory_mb(pid: int) -> float:
    """Resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None, f"no memory of process {pid}"
    return int(found[1]) / 1024


def subscribed_after(url: str, began: float) -> float:
    """Seconds from `began` until the venue has a subscriber."""
    while not HTTP.get(f"{url}/practice/load").json()["subscribers"]:
        if time.perf_counter() - began > START_LIMIT_S:
            raise RuntimeError(f"no subscription within {START_LIMIT_S:g} s")
        time.sleep(0.005)
    return time.perf_counter() - began


@contextmanager
def bot() -> Iterator[Running]:
    """The bot, started as a user does."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        arguments = ("--venue", "synthetic", *MARKETS)
        with BotProcess(Path(folder), *arguments, settings={"GRAFANA_PORT": "0"}) as process:
            found = process.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", START_LIMIT_S)
            start_s = subscribed_after(found[1], began)
            yield Running(process.children()["worker"], found[1], start_s, process.process.pid)


@contextmanager
def bare_node() -> Iterator[Running]:
    """The reference, on the same markets."""
    with VenueProcess.start("--source", "synthetic", *MARKETS) as venue:
        start = venue.clock.current_start()
        slugs = [f"btc-updown-15m-{start + later}" for later in (0, 900)]
        plan = {"url": venue.url, "ws_url": venue.ws_url, "slugs": slugs, "account": new_account(venue.url)}
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(NODE)], stdout=subprocess.DEVNULL, stdin=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.close()
        try:
            yield Running(process.pid, venue.url, subscribed_after(venue.url, began))
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def observe(running: Running, figures: Figures) -> None:
    """Measure a running program at each rate, and its memory at the end."""
    time.sleep(STARTED_S)
    for rate in RATES:
        seconds = LOADED_S if rate else IDLE_S
        HTTP.post(f"{running.url}/practice/load", json={"quotes_per_second": rate}).raise_for_status()
        time.sleep(SETTLE_S)
        sent, used, began = _sent(running), processor_s(running.pid), time.perf_counter()
        supervised = None if running.supervisor is None else processor_s(running.supervisor)
        time.sleep(seconds)
        used, passed = processor_s(running.pid) - used, time.perf_counter() - began
        reached = (_sent(running) - sent) / (rate * passed) if rate else 1.0
        if reached < LEAST_REACHED:
            raise RuntimeError(
                f"the venue sent {reached:.0%} of {rate} quotes per second: the machine is busy"
            )
        figures.processor[rate].append(100 * used / passed / reached)
        if running.supervisor is not None and supervised is not None:
            figures.supervisor[rate].append(100 * (processor_s(running.supervisor) - supervised) / passed)
    figures.memory_mb.append(memory_mb(running.pid))
    if running.supervisor is not None:
        figures.supervisor_mb.append(memory_mb(running.supervisor))


def _sent(running: Running) -> int:
    return HTTP.get(f"{running.url}/practice/load").json()["sent"]


def first_decision_s() -> float:
    """Seconds from the command of a test run to its first decision."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        arguments = ("--test-mode", "--json-lines")
        with BotProcess(Path(folder), *arguments, settings={"GRAFANA_PORT": "0"}) as process:
            process.wait_for(r'"event": ?"decided"', START_LIMIT_S)
            return time.perf_counter() - began


def compared(repetitions: int) -> tuple[Figures, Figures]:
    """The figures of the bot and of the node, measured by turns."""
    programs = [(bot, Figures()), (bare_node, Figures())]
    for repetition in range(max(repetitions, STARTS)):
        for start, figures in programs if repetition % 2 else reversed(programs):
            with start() as running:
                figures.start_s.append(running.start_s)
                if repetition < repetitions:
                    observe(running, figures)
    return programs[0][1], programs[1][1]


def measure() -> Sequence[Measurement]:
    """The short form, for `./bot bench`."""
    return measured(BENCH_REPETITIONS)


def measured(repetitions: int) -> Sequence[Measurement]:
    """All figures: medians of the repetitions."""
    found, reference = compared(repetitions)
    rows = [
        _beside("start to first quote", found.start_s, reference.start_s, "s", ratio_at_most(START_RATIO)),
        _beside("resident memory", found.memory_mb, reference.memory_mb, "MB", ratio_at_most(MEMORY_RATIO)),
    ]
    both_mb = _sums(found.memory_mb, found.supervisor_mb)
    rows.append(_beside(f"resident memory, {BOTH}", both_mb, reference.memory_mb, "MB", no_target=SECOND))
    for rate in RATES:
        what = f"processor at {rate} quotes/s" if rate else "processor, idle"
        alone, both = found.processor[rate], _sums(found.processor[rate], found.supervisor[rate])
        for name, values in ((what, alone), (f"{what}, {BOTH}", both)):
            target = ratio_at_most(PROCESSOR_RATIO)
            rows.append(_beside(name, values, reference.processor[rate], "% of a core", target))
    return [
        *rows,
        _figure("test mode: command to first decision", first_decision_s(), "s", at_most(FIRST_DECISION_S)),
    ]


def _sums(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """What two processes used together, by repetition."""
    return [a + b for a, b in zip(first, second, strict=True)]


def _beside(
    what: str,
    values: list[float],
    references: list[float],
    unit: str,
    target: Target | None = None,
    no_target: str = "",
) -> Measurement:
    return Measurement(
        name=NAME,
        what=what,
        value=statistics.median(values),
        unit=unit,
        reference=statistics.median(references),
        reference_name=REFERENCE,
        target=target,
        no_target=no_target,
    )


def _figure(what: str, value: float, unit: str, target: Target) -> Measurement:
    return Measurement(name=NAME, what=what, value=value, unit=unit, target=target)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=BENCH_REPETITIONS)
    return print_measurements(measured(parser.parse_args().repetitions))


if __name__ == "__main__":
    sys.exit(main())
