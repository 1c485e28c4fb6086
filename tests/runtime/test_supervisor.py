"""The supervisor's loop with small processes in place of a worker and of a practice venue."""

import itertools
import os
import resource
import select
import signal
import statistics
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from errors import Fatal, Temporary
from runtime import restart_policy, supervisor
from runtime.practice_venue_process import PracticeVenueProcess, VenueState
from runtime.supervisor import Supervisor, WorkerProcess
from runtime.worker_launch import LaunchedWorker, WorkerLauncher


class FakeSession:
    """Given plans, and no practice venue."""

    def __init__(self, plan: str | Exception = "") -> None:
        self.given = plan
        self.failed_starts: list[int] = []
        self.stopped = False
        self.venue = VenueState.READY

    def plan(self, failed_starts: int) -> str:
        self.failed_starts.append(failed_starts)
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def supervise_venues(self, now: float, show: Callable[[str], None]) -> VenueState:
        state = self.venue
        if state is VenueState.MOVED:
            self.venue = VenueState.READY
        return state

    def begin_stop(self) -> None:
        self.stopped = True

    def stop(self, seconds: float) -> None:
        self.stopped = True


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Restore the signal handlers of the test process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts without the pauses between them."""
    monkeypatch.setattr(restart_policy, "FIRST_DELAY_S", 0.0)


def worker(folder: Path, body: str) -> WorkerLauncher:
    """Starts workers that run `body`; each start adds its process id to the file `starts`."""
    script = folder / "worker.py"
    script.write_text(
        "import os, pathlib, signal, sys, time\n"
        f"starts = pathlib.Path({str(folder / 'starts')!r})\n"
        "with starts.open('a') as file: file.write(f'{os.getpid()}\\n')\n"
        "count = len(starts.read_text().split())\n"
        "plan = sys.stdin.readline()\n"
        "beat = lambda: os.write(int(sys.argv[1]), b'.')\n" + textwrap.dedent(body)
    )
    return WorkerLauncher([sys.executable, str(script)])


def starts(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "starts").read_text().split()]


@pytest.mark.usefixtures("_hasty")
def test_crashes_have_a_cap(tmp_path: Path) -> None:
    """The fifth crash in a row ends the run with the exit code; there is no sixth worker."""
    session, shown = FakeSession(), []
    with pytest.raises(Fatal, match=r"the worker crashed 5 times .* with exit code 7"):
        Supervisor(session, shown.append, worker(tmp_path, "sys.exit(7)")).run()
    assert len(starts(tmp_path)) == 5
    assert session.stopped


@pytest.mark.usefixtures("_hasty")
def test_failed_starts_have_no_cap(tmp_path: Path) -> None:
    """Twelve failed starts in a row do not end the run, and each worker gets the number of earlier ones."""
    session, shown = FakeSession(), []
    launcher = worker(tmp_path, "sys.exit(69 if count <= 12 else 0)")
    assert Supervisor(session, shown.append, launcher).run() == 0
    assert session.failed_starts == list(range(13))
    assert "The worker could not start (12 times in a row" in shown[-1]


@pytest.mark.usefixtures("_hasty")
def test_a_worker_without_a_heartbeat_is_replaced(tmp_path: Path) -> None:
    """A worker without heartbeats is killed although it ignores SIGTERM, and another one takes over."""
    launcher = worker(
        tmp_path,
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        beat()
        if count == 1:
            time.sleep(600)
        for _ in range(20):
            beat()
            time.sleep(0.1)
        """,
    )
    shown: list[str] = []
    assert Supervisor(FakeSession(), shown.append, launcher, heartbeat_s=1.0).run() == 0
    assert len(starts(tmp_path)) == 2
    assert shown == [
        "The worker sent no heartbeat for 1 s and is replaced.",
        "The worker ended without a heartbeat; starting it again in 0 s.",
    ]


def test_a_running_worker_is_waited_for_in_one_sleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two checks the supervisor sleeps once; eight sleeps took half a percent of a core."""
    session = FakeSession()
    sleeps: list[int] = []

    def supervise_venues(now: float, show: Callable[[str], None]) -> VenueState:
        sleeps.append(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw)
        return VenueState.READY

    monkeypatch.setattr(session, "supervise_venues", supervise_venues)
    monkeypatch.setattr(supervisor, "WATCH_S", 0.1)
    assert Supervisor(session, print, worker(tmp_path, "time.sleep(0.4)")).run() == 0
    between = [after - before for before, after in itertools.pairwise(sleeps[1:])]
    assert len(between) > 1
    assert statistics.median(between) <= 2


def test_the_end_of_a_worker_is_noticed_at_once() -> None:
    """Also after the worker has closed the pipe of its heartbeats, which alone is not its end."""
    script = "import os, sys, time; os.close(int(sys.argv[1])); time.sleep(600)"
    launched = LaunchedWorker([sys.executable, "-c", script])
    process = WorkerProcess(launched, lambda: "")
    closed = select.poll()
    closed.register(launched.heartbeats, select.POLLIN)
    assert closed.poll(30_000) == [(launched.heartbeats, select.POLLHUP)]
    assert process.wait_or_heartbeat(0.01) is None
    process.kill()
    assert process.wait_or_heartbeat(30) == -9
    process.close()
    ending = WorkerProcess(LaunchedWorker([sys.executable, "-c", "input()"]), lambda: "")
    assert ending.wait_or_heartbeat(30) == 0
    ending.close()


@pytest.mark.usefixtures("_hasty")
def test_what_a_worker_writes_to_its_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is on the screen before the supervisor's own line about the end, without control characters."""
    launcher = worker(tmp_path, r"print('text\x1b[2J', file=sys.stderr); sys.exit(69 if count == 1 else 0)")
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(capfd.readouterr().err)

    assert Supervisor(FakeSession(), show, launcher).run() == 0
    assert shown == ["text\ufffd[2J\n"]


def test_a_venue_that_moved_ends_its_worker_in_good_order(tmp_path: Path) -> None:
    """When the practice venue runs elsewhere, the worker gets SIGTERM and the next one another plan."""
    session = FakeSession()
    launcher = worker(
        tmp_path,
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        starts.with_name("ready").touch()
        while count == 1:
            beat()
            time.sleep(0.05)
        """,
    )
    shown: list[str] = []

    def move() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        session.venue = VenueState.MOVED

    thread = threading.Thread(target=move)
    thread.start()
    assert Supervisor(session, shown.append, launcher).run() == 0
    thread.join()
    assert (len(starts(tmp_path)), len(session.failed_starts), shown) == (2, 2, [])


def test_a_plan_that_cannot_be_made_leaves_no_worker(tmp_path: Path) -> None:
    """A practice venue that does not start at first ends the run, and the worker that waits for its plan."""
    session = FakeSession(Fatal("the practice venue did not start", "See the log"))
    with pytest.raises(Fatal, match="did not start"):
        Supervisor(session, print, worker(tmp_path, "time.sleep(600)")).run()
    assert session.stopped
    for pid in starts(tmp_path) if (tmp_path / "starts").exists() else []:
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.usefixtures("_hasty")
def test_a_plan_that_cannot_be_made_now_is_made_later(tmp_path: Path) -> None:
    """A practice venue that cannot start in the middle of a run is a failed start, with its reason shown."""
    session, shown = FakeSession(Temporary("the venue to mirror is not there")), []

    def show(text: str) -> None:
        shown.append(text)
        if len(session.failed_starts) == 8:
            session.given = ""

    assert Supervisor(session, show, worker(tmp_path, "pass")).run() == 0
    assert shown.count("error: the venue to mirror is not there") == 8
    assert session.failed_starts[-1] == 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_worker_and_venue_side_by_side(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that does not stop is killed at the limit; the practice venue was asked to stop before."""
    monkeypatch.setattr(supervisor, "STOP_LIMIT_S", 1.0)
    monkeypatch.setattr(supervisor, "ALONE_S", 0.2)
    session = FakeSession()
    worker_ran: list[bool] = []

    def begin_stop() -> None:
        worker_ran.append(Path(f"/proc/{starts(tmp_path)[0]}").exists())

    monkeypatch.setattr(session, "begin_stop", begin_stop)
    launcher = worker(
        tmp_path,
        f"""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill({os.getpid()}, {int(number)})
        while True:
            beat()
            time.sleep(0.05)
        """,
    )
    shown: list[str] = []
    assert Supervisor(session, shown.append, launcher).run() == 0
    assert shown == ["The worker did not stop in time and is killed now; its ledger is safe."]
    assert worker_ran[0]
    assert not Path(f"/proc/{starts(tmp_path)[0]}").exists()


def test_a_practice_venue_that_cannot_start_reports_its_error(tmp_path: Path) -> None:
    """The last line of its log is in the message."""
    with pytest.raises(Fatal, match=r"the practice venue did not start: .*--speed: 'x' is not a speed"):
        PracticeVenueProcess(["--speed", "x"], tmp_path / "venue.log")
