"""Measures what each further series costs a worker, and whether a window is missed: eight series beside one.

    python -m benchmarks.many_series

Both run in test mode on generated markets, at 15 times the real speed: the shortest window takes 1.3 s.
Where in a 15-minute market the run begins depends on the time of day, so that the run with eight series lasts
until twelve windows have passed: two of each 5-minute series and one of each 15-minute series. A market that
was opened after the beginning of its window does not count.
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
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.bench_table import print_measurements
from benchmarks.footprint import memory_mb, processor_s
from benchmarks.results import Measurement, at_most, ratio_at_most
from execution.ledger import LedgerReader, ledger_path
from models import Frozen, OrderStage, OrderTrace, series_of
from monitoring.order_latency import stage_latencies

ROOT = Path(__file__).resolve().parent.parent
NAME = "series"
ONE = {"MARKET_ASSET": "btc", "MARKET_TIMEFRAME": "15m"}
EIGHT = {"MARKET_ASSET": "btc,eth,sol,xrp", "MARKET_TIMEFRAME": "5m,15m"}
ORDERS = {
    "REQUIRE_SIGNAL_AGREEMENT": "false",
    "FUSION_MIN_SCORE": "0",
    "FUSION_MIN_WEIGHT": "0",
    "MAX_SLIPPAGE": "0.20",
    "ORDERBOOK_IMBALANCE_THRESHOLD": "0.000001",
    "MAX_POSITIONS": "50",
    "MAX_TOTAL_EXPOSURE": "50",
    "MAX_LOSS_PER_DAY": "50",
}
"""Nearly every window gives an order: those of one length are sent at the same instant."""
SPEED = 15
"""Market seconds per second in test mode."""
ONE_S, LONGEST_S = 30.0, 100.0
WINDOWS = {"5m": 2, "15m": 1}
"""Windows of each series of a length that are counted."""
ALL_WINDOWS = 12
WINDOW_START, WINDOW_END = 780, 840
"""The decision window, in the scale of which every market has 900 seconds."""
START_LIMIT_S = 60.0


class Figures(Frozen, frozen=True):
    """What a worker used, percent of one core and MB; windows without a decision; the times of its orders."""

    cpu: float
    memory: float
    missed: tuple[str, ...] = ()
    traces: tuple[OrderTrace, ...] = ()


def measure() -> Sequence[Measurement]:
    """Run one series, then eight."""
    one, eight = run(ONE), run(EIGHT)
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
            what=f"windows without a decision, of {ALL_WINDOWS} in eight series",
            value=len(eight.missed),
            unit="",
            target=at_most(0),
        ),
        *posted(eight.traces),
    )


def posted(traces: Sequence[OrderTrace]) -> list[Measurement]:
    """The time from the quote to the first byte of the POST, from the ledger, with eight series."""
    (found,) = (latency for latency in stage_latencies(traces) if latency.stage is OrderStage.POSTED)
    what = "quote to first byte of the POST, eight series"
    together = "orders of equally long markets are sent at the same instant, and wait for each other"
    return [
        Measurement(name=NAME, what=f"{what}, {which}", value=ns / 1e6, unit="ms", no_target=together)
        for which, ns in (
            (f"median of {found.orders}", found.p50_ns),
            (f"slowest of {found.orders}", found.max_ns),
        )
    ]


def run(settings: dict[str, str]) -> Figures:
    """Run a bot with these settings, one series for a time and several until their windows, and end it.

    Raises
    ------
    RuntimeError
        If the windows do not pass in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        process = _start(Path(folder), settings | ORDERS)
        try:
            measured = _measured(process, ONE_S if settings is ONE else None)
            with LedgerReader(ledger_path(Path(folder) / "state", "synthetic")) as reader:
                return msgspec.structs.replace(measured, traces=tuple(reader.order_traces()))
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


def _measured(process: subprocess.Popen[bytes], seconds: float | None) -> Figures:
    """Wait for the first market, then measure the worker for a time, or until the windows have passed."""
    seen: list[tuple[float, dict[str, Any]]] = []
    worker, began_s, used_s = 0, 0.0, 0.0
    counted: list[str] = []
    limit_s = time.monotonic() + START_LIMIT_S
    for line in _lines(process):
        now_s = time.monotonic()
        if line is not None:
            seen.append((now_s, line))
            if not worker and line["event"] == "market_opened":
                worker, began_s = _worker(process.pid), now_s
                used_s = processor_s(worker)
        if not worker:
            if now_s > limit_s:
                raise RuntimeError(f"the bot opened no market within {START_LIMIT_S:g} s")
        elif seconds is not None:
            if now_s - began_s >= seconds:
                break
        elif line is not None and line["event"] == "market_opened":
            counted = windows(seen)
            if len(counted) == ALL_WINDOWS:
                break
        elif now_s - began_s > LONGEST_S:
            what = f"{len(counted)} of {ALL_WINDOWS} windows passed within {LONGEST_S:g} s"
            raise RuntimeError(what)
    cpu = 100 * (processor_s(worker) - used_s) / (time.monotonic() - began_s)
    decided = {line["slug"] for _, line in seen if line["event"] == "decided" and line["second"] < WINDOW_END}
    missed = tuple(slug for slug in counted if slug not in decided)
    return Figures(cpu=cpu, memory=memory_mb(worker), missed=missed)


def windows(lines: Sequence[tuple[float, dict[str, Any]]]) -> list[str]:
    """The first markets of each series that were opened before their window and that the next one followed.

    `lines` are those of the bot with the monotonic seconds of their arrival; as many markets of each series
    as `WINDOWS` has for its length.
    """
    opened: dict[str, list[tuple[float, str]]] = {}
    for arrived_s, line in lines:
        if line["event"] == "market_opened":
            opened.setdefault(series_of(line["slug"]).name, []).append((arrived_s, line["slug"]))
    counted = []
    for name, markets in opened.items():
        timeframe = name.rpartition("-")[2]
        ended = [
            slug
            for (opened_s, slug), (next_s, following) in pairwise(markets)
            # The next one was opened at its start, the first one when the bot was ready.
            if _scaled_second(slug, following, (next_s - opened_s) * SPEED) < WINDOW_START
        ]
        counted += ended[: WINDOWS[timeframe]]
    return counted


def _scaled_second(slug: str, following: str, before_s: float) -> float:
    """The second of a market, scaled to 900, this many market seconds before the next one's start."""
    start, end = (int(each.rpartition("-")[2]) for each in (slug, following))
    return 900 * (1 - before_s / (end - start))


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
