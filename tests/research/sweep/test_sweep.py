"""The sweep as a user runs it: 64 points on two processes and on a Dask cluster, killed and interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from bot_process import ROOT

from config import Settings
from errors import Fatal
from research.recordings.selection import Defects
from research.sweep.grid import grid
from research.sweep.results import Engine, PointResult, code_version, point_key
from research.sweep.sources import Recordings, Source
from research.sweep.sweep import SweepOptions, sweep
from research.sweep.table import as_csv

DATA = ROOT / "venue" / "data"
SETS = (
    "TREND_UP_THRESHOLD=0.6,0.7,0.8,0.95",
    "FUSION_MIN_SCORE=0,20,40,60",
    "TRADE_WINDOW_START=770,790",
    "REQUIRE_SIGNAL_AGREEMENT=true,false",
)
ENOUGH = 6
"""Results after which a worker is killed, or the command interrupted."""
NO_PAGE = ("--no-dashboard",)
WAIT_S = 240


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Two of the bundled markets; until second 740 with one book in 20 seconds, until second 850."""
    folder = tmp_path_factory.mktemp("recordings")
    catalogue = json.loads((DATA / "catalog.json").read_text())
    books = parquet.ParquetFile(DATA / "books.parquet")
    chosen = (1, 4)
    with parquet.ParquetWriter(folder / "books.parquet", books.schema_arrow) as writer:
        for index in chosen:
            rows = books.read_row_group(index)
            times = rows["offset_ms"].to_pylist()
            slots = {
                ms if ms >= 740_000 else ms // 20_000: row for row, ms in enumerate(times) if ms < 850_000
            }
            writer.write_table(rows.take(pa.array(sorted(slots.values()))))
    catalogue["recordings"] = [catalogue["recordings"][index] for index in chosen]
    (folder / "catalog.json").write_text(json.dumps(catalogue))
    return folder


class Command:
    """`python -m research.sweep` over the 64 points."""

    def __init__(self, recordings: Path, out: Path, *arguments: str) -> None:
        sets = [argument for text in SETS for argument in ("--set", text)]
        self.out = out
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "research.sweep", "--recordings", str(recordings)),
                *(*sets, "--csv", "--out", str(out), *arguments),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background of a shell ignores Ctrl-C, and its children would too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def results(self) -> set[str]:
        return {path.name for path in self.out.glob("*.json")}

    def wait_for_results(self, count: int) -> None:
        until(lambda: len(self.results()) >= count or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()

    def end(self) -> tuple[int, str, str]:
        table, errors = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, table, errors


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(pid: int) -> list[int]:
    """The pool's processes of a command."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def interrupted_and_resumed(
    recordings: Path, out: Path, arguments: tuple[str, ...], kill_worker: Callable[[int], None]
) -> str:
    """The table of a sweep that is interrupted midway, started again, and then loses a worker."""
    first = Command(recordings, out, *arguments)
    first.wait_for_results(ENOUGH)
    first.process.send_signal(signal.SIGINT)
    code, table, errors = first.end()
    assert (code, table) == (130, "")
    assert errors.startswith("error: interrupted. The results are kept")
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.json")}
    assert ENOUGH <= len(kept) < 64
    second = Command(recordings, out, *arguments)
    second.wait_for_results(len(kept) + ENOUGH)
    kill_worker(second.process.pid)
    code, table, errors = second.end()
    assert (code, errors) == (0, "")
    assert len(second.results()) == 64
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    return table


@pytest.fixture(scope="module")
def on_processes(recordings, tmp_path_factory) -> tuple[str, Path]:
    """Table and folder of a sweep on two processes, of which one is killed."""
    out = tmp_path_factory.mktemp("processes")
    arguments = ("--workers", "2")

    def kill_worker(pid: int) -> None:
        os.kill(workers_of(pid)[0], signal.SIGKILL)

    return interrupted_and_resumed(recordings, out, arguments, kill_worker), out


@pytest.fixture
def cluster(tmp_path):
    """Address and worker processes of a Dask cluster on this machine."""
    found = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    options = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen(
        [
            *dask,
            "scheduler",
            *("--host", "127.0.0.1", "--port", "0"),
            *NO_PAGE,
            "--scheduler-file",
            str(found),
        ],
        **options,
    )
    workers: list[subprocess.Popen[bytes]] = []
    try:
        until(found.is_file)
        until(lambda: found.read_text().endswith("}"))
        address = json.loads(found.read_text())["address"]
        for _ in range(2):
            command = [*dask, "worker", address, "--no-nanny", "--nthreads", "1", *NO_PAGE]
            local = ("--local-directory", str(tmp_path))
            workers.append(subprocess.Popen([*command, *local], **options))
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_same_table_on_processes_and_on_dask(recordings, on_processes, cluster, tmp_path):
    """64 points, interrupted, resumed and with a killed worker: the same bytes on both."""
    table, _ = on_processes
    address, workers = cluster

    def kill_worker(_: int) -> None:
        workers[0].kill()

    arguments = ("--scheduler", address)
    assert interrupted_and_resumed(recordings, tmp_path / "dask", arguments, kill_worker) == table
    assert table.count("\n") == 65
    assert workers[1].poll() is None


def screened_options(recordings: Path, folder: Path) -> SweepOptions:
    """The 64 points on the screen, all of which are compared with the results of a folder."""
    return SweepOptions(
        path=str(recordings),
        defects=Defects.REFUSE,
        era=None,
        sets=SETS,
        folds=0,
        workers=1,
        scheduler=None,
        sample=64,
        folder=folder,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_screen_equals_the_engine(recordings, on_processes):
    """Every decision and amount of the 64 points, and the same table; the points are not all the same."""
    table, folder = on_processes
    options = screened_options(recordings, folder)
    screened = sweep(options, Settings())
    assert screened.notes[1].endswith("64 of 64 points, among them every winner.")
    assert as_csv(screened) == table
    assert len({row.partition(",")[2].split(",", 4)[4] for row in table.splitlines()[1:]}) > 2
    assert any(found.trades for found in screened.totals)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_screen_that_differs_is_named(recordings, on_processes):
    """A result of the engine with another P&L ends the screened sweep with point, market and values."""
    _, folder = on_processes
    markets = Recordings(Source(path=str(recordings), timeframe="15m"))
    points = grid(Settings(), SETS)
    changed = points.points[5]
    key = point_key(changed.settings, markets.content, code_version(), Engine.BACKTEST)
    path = folder / f"{key}.json"
    kept = path.read_bytes()
    result = msgspec.json.decode(kept, type=PointResult)
    other = msgspec.structs.replace(result.markets[1], pnl=Decimal("0.5"))
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(result, markets=(result.markets[0], other))))
    options = screened_options(recordings, folder)
    try:
        with pytest.raises(Fatal) as error:
            sweep(options, Settings())
    finally:
        path.write_bytes(kept)
    message = str(error.value)
    assert message.startswith(f"the screen differs from the engine at the point {points.label(changed)}: ")
    assert f"{markets.slugs[1][0]}: pnl is " in message
    assert message.endswith("and 0.5 in the engine. Run the sweep without --screen, and report this")
