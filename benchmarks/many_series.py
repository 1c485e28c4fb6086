"""Measures what each further series costs a worker, and whether a window is missed: eight series beside one.

    python -m benchmarks.many_series

Both run in test mode on generated markets, at 15 times the real speed: the shortest window takes 1.3 s.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench_table import print_measurements
from benchmarks.footprint import memory_mb, processor_s
from benchmarks.results import Measurement, at_most, ratio_at_most
from models import Frozen, series_of

ROOT = Path(__file__).resolve().parent.parent
NAME = "series"
ONE = {"MARKET_ASSET": "btc", "MARKET_TIMEFRAME": "15m"}
EIGHT = {"MARKET_ASSET": "btc,eth,sol,xrp", "MARKET_TIMEFRAME": "5m,15m"}
ONE_S, EIGHT_S = 30.0, 45.0
"""Duration of each measurement: two windows of each 5-minute series, most of a 15-minute market."""
START_LIMIT_S = 60.0


class Figures(Frozen, frozen=True):
    """What a worker used: percent of one core, MB, and the windows that ended with and without a decision."""

    cpu: float
    memory: float
    windows: int
    missed: tuple[str, ...]


def measure() -> Sequence[Measurement]:
    """Run one series, then eight."""
    one, eight = run(ONE, ONE_S), run(EIGHT, EIGHT_S)
    return (
        Measurement(
            name=NAME,
            what="processor time of each of seven further series",
            value=(eight.cpu - one.cpu) / 7,
            unit="% of a core",
            reference=one.cpu,
            reference_name="a worker with one series",
            target=ratio_at_most(1.0),
        ),
        Measurement(
            name=NAME,
            what="memory of each of seven further series",
            value=(eight.memory - one.memory) / 7,
            unit="MB",
            reference=one.memory,
            reference_name="a worker with one series",
            target=ratio_at_most(0.1),
        ),
        Measurement(
            name=NAME,
            what=f"windows without a decision, of {eight.windows} in eight series",
            value=len(eight.missed),
            unit="",
            target=at_most(0),
        ),
    )


def run(settings: dict[str, str], seconds: float) -> Figures:
    """Run a bot with these settings for a time, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        process = _start(Path(folder), settings)
        try:
            return _measured(process, seconds)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(folder: Path, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    files = {
        "STATE_DIR": str(folder / "state"),
        "PAPER_TRADES_FILE": str(folder / "paper_trades.json"),
        "LOG_DIR": str(folder / "logs"),
        "NAUTILUS_LOG_DIR": str(folder / "logs" / "nautilus"),
    }
    arguments = ("--test-mode", "--venue", "synthetic", "--json-lines", "--no-grafana")
    return subprocess.Popen(
        [sys.executable, str(ROOT / "runner.py"), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | files | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )


def _measured(process: subprocess.Popen[bytes], seconds: float) -> Figures:
    """Wait for the first market, then measure the worker."""
    seen: list[dict[str, Any]] = []
    worker, began_s, used_s = 0, 0.0, 0.0
    limit_s = time.monotonic() + START_LIMIT_S
    for line in _lines(process):
        now_s = time.monotonic()
        if line is not None:
            seen.append(line)
            if not worker and line["event"] == "market_opened":
                worker, began_s = _worker(process.pid), now_s
                used_s = processor_s(worker)
        if worker and now_s - began_s >= seconds:
            break
        if not worker and now_s > limit_s:
            raise RuntimeError(f"the bot opened no market within {START_LIMIT_S:g} s")
    cpu = 100 * (processor_s(worker) - used_s) / (time.monotonic() - began_s)
    ended, missed = windows(seen)
    return Figures(cpu=cpu, memory=memory_mb(worker), windows=ended, missed=missed)


def windows(lines: Sequence[dict[str, Any]]) -> tuple[int, tuple[str, ...]]:
    """Number of markets that the next one of their series followed, and those of them without a decision."""
    ended: list[str] = []
    running: dict[str, str] = {}
    for line in lines:
        if line["event"] == "market_opened":
            name = series_of(line["slug"]).name
            if name in running:
                ended.append(running[name])
            running[name] = line["slug"]
    decided = {line["slug"] for line in lines if line["event"] == "decided" and line["second"] < 840}
    return len(ended), tuple(slug for slug in ended if slug not in decided)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """The objects that the bot prints, and None whenever it prints nothing for a while."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(0.2):
                yield None
                continue
            if not (chunk := os.read(process.stdout.fileno(), 65536)):
                raise RuntimeError("the bot ended")
            *whole, rest = (rest + chunk).split(b"\n")
            yield from map(json.loads, whole)


def _worker(parent: int) -> int:
    """Process id of the worker of a runner."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            its_parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if its_parent == parent and "runtime.worker" in command:
            return int(folder.name)
    raise RuntimeError("the worker is not running")


if __name__ == "__main__":
    sys.exit(print_measurements(measure()))
