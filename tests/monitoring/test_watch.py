"""The terminal view: shows the true state of a running bot, fits any terminal, and ends with q."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, open_ledger, refusal, settlement
from rich.console import Console

from events import FeedStatus, WorkerStatus
from execution.ledger import ledger_path
from models import Reason
from monitoring.report.text_lines import duration
from monitoring.status_file import STATUS_FILE
from monitoring.watch.screen import screen
from monitoring.watch.snapshot import SnapshotReader

ROOT = Path(__file__).resolve().parents[2]
ALIVE = WorkerStatus(
    ts_ns=NOON_NS,
    profile="recorded",
    mode="simulation",
    armed=False,
    halted=None,
    allows_orders=True,
    mode_detail="started without --live",
    slug="btc-updown-15m-1790596800",
    second=712.0,
    second_length_s=1.0,
    window=(780.0, 840.0),
    quote_age_s=0.4,
    tradable=True,
    feeds=(
        FeedStatus(source="coinbase", age_s=0.4, failures=0, up=True),
        FeedStatus(source="deribit", age_s=None, failures=3, up=False),
    ),
    outside="91,234.10 (+12.30)",
)


def write_ledger(state: Path, markets: int = 30, worker_status: WorkerStatus | None = ALIVE) -> None:
    """A profile with trades won, lost and open, refusals, and a status."""
    with open_ledger(ledger_path(state, "recorded")) as ledger:
        for number in range(1, markets):
            ledger.record_decision(refusal(number))
            buy(ledger, number)
            if number < markets - 1:
                ledger.record_settlement(settlement(number))
    if worker_status is not None:
        (state / "recorded" / STATUS_FILE).write_bytes(msgspec.json.encode(worker_status))


def drawn(state: Path, width: int = 80, height: int = 24, now_ns: int = NOON_NS) -> list[str]:
    console = Console(width=width, height=height, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(screen(SnapshotReader(state, None).read(now_ns), width, height))
    console.file.close()
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (60, 18)])
def test_it_fits_the_terminal(tmp_path, width, height):
    """Market, votes, decisions, results and funnel are on the screen, within its width and height."""
    write_ledger(tmp_path)
    lines = drawn(tmp_path, width, height)
    assert max(map(len, lines)) <= width
    if height >= 24:
        assert len(lines) <= height
    text = "\n".join(lines)
    for part in ("SIMULATION on recorded", "● running", "decides in 1 min 08 s", "votes", "BUY Up"):
        assert part in text
    for part in ("no ask", "open", "break-even", "95 %", "funnel" if height < 30 else "redeemed"):
        assert part in text


@pytest.mark.parametrize("width", [80, 110])
def test_time_market_and_decision_are_never_shortened(tmp_path, width):
    """A long reason ends in an ellipsis; the columns before it keep every character."""
    write_ledger(tmp_path, markets=2)
    with open_ledger(ledger_path(tmp_path, "recorded")) as ledger:
        refused = msgspec.structs.replace(
            refusal(5), reason=Reason.LOW_WEIGHT, detail="the signals contradict " * 9
        )
        ledger.record_decision(refused)
    (row,) = [line for line in drawn(tmp_path, width) if "contradict" in line]
    assert row.startswith("12:00:00 28 Sep 13:15 ")
    assert " low weight     the signals contradict" in row
    assert row.endswith("…")
    assert len(row) == width


def test_the_kind_of_a_practice_market_is_named(tmp_path):
    """Beside the start of the running market."""
    kind = msgspec.structs.replace(ALIVE, kind="generated")
    write_ledger(tmp_path, worker_status=kind)
    assert drawn(tmp_path)[1].startswith("28 Sep 12:00 generated ━")


def test_a_market_of_protocol_v2_is_marked(tmp_path):
    """Beside its start and kind; a v1 market is not marked."""
    write_ledger(tmp_path, worker_status=msgspec.structs.replace(ALIVE, kind="generated", version="v2"))
    assert drawn(tmp_path)[1].startswith("28 Sep 12:00 generated, Protocol V2 ━")
    usual = msgspec.structs.replace(ALIVE, version="v1")
    (tmp_path / "recorded" / STATUS_FILE).write_bytes(msgspec.json.encode(usual))
    assert "Protocol" not in drawn(tmp_path)[1]


def test_a_silent_bot_is_called_silent(tmp_path):
    """When the heartbeat stops its last time is shown, instead of an old state as the present one."""
    write_ledger(tmp_path)
    assert "no bot is running: last seen" in drawn(tmp_path, now_ns=NOON_NS + 6 * 10**9)[0]


def test_a_halt_is_the_first_thing_seen(tmp_path):
    """A halt is shown in place of the normal state."""
    write_ledger(
        tmp_path, worker_status=msgspec.structs.replace(ALIVE, halted="3 orders in a row were refused")
    )
    first = drawn(tmp_path)[0]
    assert "HALTED: 3 orders in a row were refused" in first
    assert "running" not in first


def test_orders_withheld_by_the_mode_are_shown(tmp_path):
    """While the mode store is lost the screen shows that no new position is opened, and why."""
    lost = msgspec.structs.replace(ALIVE, mode="live", allows_orders=False, mode_detail="mode store lost")
    write_ledger(tmp_path, worker_status=lost)
    assert "LIVE on recorded  no new position: mode store lost" in drawn(tmp_path)[0]


def test_an_empty_folder_names_the_way_on(tmp_path):
    """Before the first run it shows how to start one."""
    assert "python runner.py --test-mode" in " ".join(drawn(tmp_path))


def test_a_damaged_ledger_is_reported_and_the_status_still_shown(tmp_path):
    """The unreadable ledger is named; the rest is shown."""
    write_ledger(tmp_path)
    path = ledger_path(tmp_path, "recorded")
    for file in path.parent.glob("ledger.sqlite*"):
        file.write_bytes(b"not a database" * 1000)
    text = " ".join(drawn(tmp_path))
    assert "● running" in text
    assert "not a database" in text


def test_in_a_pipe_it_prints_one_look(tmp_path):
    """Without a terminal the command shows the present state once and exits with 0."""
    write_ledger(tmp_path)
    shown = subprocess.run(
        [sys.executable, str(ROOT / "view_paper_trades.py"), "--watch", "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert "last seen" in shown.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_a_key_leaves_it(tmp_path, key):
    """In a terminal q and Ctrl-C end it with exit code 0 and without a traceback."""
    write_ledger(tmp_path)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "view_paper_trades.py"), "--watch", "--state", str(tmp_path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: _control(theirs),
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 20
    while b"last seen" not in seen and time.monotonic() < deadline:
        seen += os.read(ours, 65536)
    os.write(ours, key)
    try:
        while process.poll() is None and time.monotonic() < deadline:
            seen += os.read(ours, 65536)
    except OSError:
        pass  # the terminal's other end is closed: it has ended
    assert process.wait(5) == 0, seen[-1500:].decode()
    assert b"Traceback" not in seen
    os.close(ours)


def _control(terminal: int) -> None:
    """Make the pseudo-terminal the process' own, so that Ctrl-C becomes its signal."""
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (68, "1 min 08 s"), (7800, "2 h 10 min")])
def test_a_span_as_text(seconds, text):
    """Durations are shown in their two largest units."""
    assert duration(seconds) == text
