"""No failure of an observer reaches the caller: caught, counted, logged at most once a minute."""

import io
import os
import subprocess
import sys
from decimal import Decimal

import msgspec
import pytest
from bot_process import ROOT
from ledger_builders import decision, market, open_ledger
from loguru import logger
from rich.console import Console
from test_redemption_setup import PLAN

from config import Settings
from control.halt_file import HALT_FILE, HaltFile
from errors import Fatal
from events import Decided, Halted, MarketOpened, WorkerStatus
from execution.ledger import ledger_path
from monitoring.terminal import replace_unencodable
from runtime.worker.observers import ObserverGroup, ObserverIsolation

EVENT = Halted(why="a reason")
ALIVE = WorkerStatus(
    ts_ns=1,
    profile="recorded",
    mode="simulation",
    armed=False,
    halted=None,
    allows_orders=True,
    mode_detail="",
)


class Recording:
    """An observer that stores what it receives."""

    def __init__(self):
        self.seen = []

    def start(self):
        self.seen.append("start")
        return "observing"

    def handle(self, event):
        self.seen.append(event)

    def heartbeat(self, worker_status):
        self.seen.append(worker_status)

    def close(self):
        self.seen.append("close")


class Broken:
    """An observer whose every call raises."""

    def __init__(self, error):
        self.error = error

    def start(self):
        raise self.error

    def handle(self, event):
        raise self.error

    def heartbeat(self, worker_status):
        raise self.error

    def close(self):
        raise self.error


class BrokenFile(io.StringIO):
    """A console whose every write fails."""

    def write(self, text):
        raise OSError(5, "Input/output error")


@pytest.fixture
def log():
    records = []
    sink = logger.add(records.append, level="ERROR", format="{message}")
    yield records
    logger.remove(sink)


def observers(*observers, file=None, isolation=None):
    plan = msgspec.structs.replace(PLAN, note="a test")
    return ObserverGroup(Settings(), plan, Console(file=file or io.StringIO()), observers, isolation)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        OSError(24, "Too many open files"),
        UnicodeEncodeError("charmap", "▲", 0, 1, "character maps to <undefined>"),
        RecursionError(),
        MemoryError(),
        KeyError("a"),
        Fatal("an error that would end the process"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failing_observer_costs_nothing_but_its_own_output(error, log):
    """Whatever an observer raises in whichever call, the caller continues and the next observer is called."""
    after = Recording()
    group = observers(Broken(error), after)
    group.start()
    group.handle(EVENT)
    group.heartbeat(ALIVE)
    group.close()
    assert after.seen == ["start", EVENT, ALIVE, "close"]
    assert group.isolation.failures == {"Broken": 4}
    assert len(log) == 1


def test_a_console_that_cannot_be_written_to_costs_nothing(log):
    """A closed terminal makes every print fail; observers are called, and the calls return."""
    after = Recording()
    group = observers(after, file=BrokenFile())
    group.start()
    group.handle(EVENT)
    group.progress(market(), 10.0, Decimal("0.5"), 0, "")
    group.close()
    assert after.seen == ["start", EVENT, "close"]
    assert group.isolation.failures["ConsoleReporter"] == 2


def test_failures_are_logged_once_a_minute_with_their_number(log):
    """A thousand failures in a minute are one record; the next minute's record has the total number."""
    now = [0.0]
    group = observers(Broken(ValueError("a bad value")), isolation=ObserverIsolation(lambda: now[0]))
    for _ in range(1000):
        group.handle(EVENT)
        now[0] += 0.0599
    now[0] = 60.0
    group.handle(EVENT)
    assert [str(record).splitlines()[0] for record in log] == [
        "observer Broken failed (1 times so far); trading goes on",
        "observer Broken failed (1001 times so far); trading goes on",
    ]
    assert "a bad value" in str(log[0])


def test_the_end_of_the_process_is_no_failure():
    """Ctrl-C inside an observer still ends the process."""
    with pytest.raises(KeyboardInterrupt):
        observers(Broken(KeyboardInterrupt())).handle(EVENT)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_console_shows_a_replacement_for_what_it_cannot_encode(encoding):
    """A decision's arrows become question marks where the encoding has none, and nothing fails."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    replace_unencodable(stream)
    group = observers(file=stream)
    group.handle(MarketOpened(market=market()))
    group.handle(Decided(decision=decision(), final=True))
    stream.flush()
    assert group.isolation.failures == {}
    arrow = "▲" if encoding == "utf-8" else "?"
    assert f"Tick {arrow}0.75" in raw.getvalue().decode(encoding)


@pytest.mark.slow
def test_the_commands_run_on_an_ascii_console(tmp_path):
    """A halt whose reason has a dash is shown by three commands without a traceback."""
    open_ledger(ledger_path(tmp_path, "recorded")).close()
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "ascii",
        "STATE_DIR": str(tmp_path),
        "COLUMNS": "200",
    }
    for script, *arguments in (
        ("redis_control.py", "halt", "funds — missing", "--book", "recorded"),
        ("redis_control.py", "status"),
        ("runner.py", "--test-mode", "--venue", "recorded", "--doctor"),
    ):
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert "funds ? missing" in done.stdout, (script, done)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("output", ["full", "closed"])
def test_halts_are_lifted_though_the_output_cannot_be_written(output, tmp_path):
    """On a full disk, or into a pipe that is not read any more, all profiles may trade again."""
    for profile in ("live", "recorded"):
        (tmp_path / profile).mkdir()
        HaltFile(tmp_path / profile / HALT_FILE).raise_("a reason")
    read, write = os.pipe()
    os.close(read)
    if output == "full":
        os.close(write)
        write = os.open("/dev/full", os.O_WRONLY)
    done = subprocess.run(
        [sys.executable, str(ROOT / "redis_control.py"), "resume"],
        env={**os.environ, "STATE_DIR": str(tmp_path)},
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    assert not list(tmp_path.glob(f"*/{HALT_FILE}"))
