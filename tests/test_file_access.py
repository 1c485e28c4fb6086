"""Access of other users to the bot's files."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import kills
import pytest
from bot_process import ROOT, BotProcess
from ledger_comparison import rows
from process_access import Listener, listeners

from common.atomic_file import close_to_other_users


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.fixture
def state(tmp_path):
    """A state folder of a version that left its files open to all users."""
    folder = tmp_path / "state"
    (folder / "live" / "venue").mkdir(parents=True)
    for name in ("running.lock", "live/ledger.sqlite", "live/venue/wallet.json"):
        (folder / name).write_text("")
        (folder / name).chmod(0o644)
    for path in (folder, folder / "live", folder / "live" / "venue"):
        path.chmod(0o755)
    return folder


def test_what_an_earlier_version_left_open_is_closed(state):
    """Files get 0600 and folders 0700, at every depth, the folder itself included."""
    close_to_other_users(state, ["running.", "live"])
    assert {mode(path) for path in state.rglob("*") if path.is_file()} == {"0o600"}
    assert {mode(path) for path in (state, *state.rglob("*")) if path.is_dir()} == {"0o700"}


def test_what_is_not_the_bots_own_is_left(state, tmp_path):
    """A folder with other programs' files keeps its mode, and so do those files and the targets of links."""
    other, secret = state / "syslog", tmp_path / "elsewhere"
    for path in (other, secret):
        path.write_text("")
        path.chmod(0o644)
    (state / "live" / "link").symlink_to(secret)
    close_to_other_users(state, ["running.", "live"])
    assert (mode(state), mode(other), mode(secret)) == ("0o755", "0o644", "0o644")
    assert mode(state / "live" / "ledger.sqlite") == "0o600"


def test_no_folder_yet(tmp_path):
    """Before the first start there is nothing to close, and nothing is created."""
    close_to_other_users(tmp_path / "state", ["live"])
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("live", [False, True], ids=["paper", "rehearsal"])
def test_every_file_is_private_from_its_first_byte(live, tmp_path):
    """No process of the bot and no command writes a file or creates a folder before its umask is 077.

    The parent's umask would let every user read. A venue.log that an earlier version left open is closed when
    it is opened, also by `--doctor`.
    """
    report, logs = tmp_path / "umasks", tmp_path / "logs"
    report.touch()
    logs.mkdir()
    (logs / "venue.log").write_text("of an earlier version\n")
    (logs / "venue.log").chmod(0o644)
    profile = "rehearsal-synthetic" if live else "synthetic"
    ledger = tmp_path / "state" / profile / "ledger.sqlite"
    settings = {
        **kills.BUYS_EARLY,
        "PYTHONPATH": str(Path(__file__).parent / "umask_recorder"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "UMASK_REPORT": str(report),
        "PAPER_TRADES_FILE": str(tmp_path / "paper_trades.json"),
        "STATE_DIR": str(tmp_path / "state"),
    }
    flags = (*kills.FLAGS, "--live") if live else kills.FLAGS
    before = os.umask(0)
    try:
        with BotProcess(tmp_path, *flags, "--doctor", settings=settings) as doctor:
            doctor.wait(60)
        assert mode(logs / "venue.log") == "0o600"
        with BotProcess(tmp_path, *flags, *kills.FIRST_START, settings=settings) as bot:
            bot.until(lambda: rows(ledger, "SELECT 1 FROM fills"), "a fill", kills.START_S)
            bot.interrupt()
        page = tmp_path / "page" / "report.html"
        for command in (
            ["redis_control.py", "halt", "by a test"],
            ["redis_control.py", "resume"],
            ["redis_control.py", "sim"],
            ["view_paper_trades.py", "--venue", profile, "--html", str(page)],
        ):
            page.parent.mkdir(exist_ok=True)
            subprocess.run(
                [sys.executable, str(ROOT / command[0]), *command[1:]],
                env={**os.environ, **settings},
                stdout=subprocess.DEVNULL,
                check=True,
            )
    finally:
        os.umask(before)
    # Libraries write to the system's temporary folder while they are imported, with files of mode 0600.
    written = [line.split(" ", 1) for line in report.read_text().splitlines() if str(tmp_path) in line]
    assert [path for umask, path in written if umask != "0077"] == []
    names = {Path(path).name for _, path in written}
    assert {"venue.log", "bot.log", ".wallet.json.tmp", "nautilus", "pulse.tmp", "state"} <= names
    for place in ("state", "logs"):
        found = [*(tmp_path / place).rglob("*")]
        assert {mode(path) for path in found if path.is_file()} == {"0o600"}
        assert {mode(path) for path in found if path.is_dir()} == {"0o700"}
    assert {mode(path) for path in (page, *tmp_path.glob("paper_trades.json"))} == {"0o600"}


INTRUDER = """
import os, sys
from pathlib import Path

state, profile, pid = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
# Not by the parent: this interpreter may be one that only root can start.
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for name, attempt in {
    "list": lambda: os.listdir(state),
    "read": lambda: (state / profile / "ledger.sqlite").read_bytes(),
    "key": lambda: (state / profile / "venue" / "wallet.json").read_bytes(),
    "mode": lambda: (state / "mode_store" / "simulation_mode").write_text("0"),
    "halt": lambda: (state / profile / "HALTED").write_text(""),
    "create": lambda: (state / "x").touch(),
    "environment": lambda: Path(f"/proc/{pid}/environ").read_bytes(),
    "memory": lambda: open(f"/proc/{pid}/mem", "rb").close(),
}.items():
    try:
        attempt()
        print(name)
    except PermissionError:
        pass
"""
"""The attempts of another user of the machine; prints what succeeds."""


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize("live", [False, True], ids=["paper", "rehearsal"])
def test_another_user_cannot_switch_or_read_a_running_bot(live):
    """No file can be read or written; the bot listens on loopback only, for metrics and for the practice
    venue, which refuses web pages."""
    profile = "rehearsal-synthetic" if live else "synthetic"
    flags = [flag for flag in kills.FLAGS if flag != "--no-grafana"] + ["--live"] * live
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        state = folder / "state"
        with BotProcess(folder, *flags, settings=kills.BUYS_EARLY) as bot:
            url = kills.venue_url(bot)
            bot.until(lambda: (state / profile / "pulse.json").exists(), "a heartbeat", kills.START_S)
            done = subprocess.run(
                [sys.executable, "-I", "-c", INTRUDER, str(state), profile, str(bot.children()["worker"])],
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == ""
            children = bot.children()
            metrics = bot.wait_for(r"metrics at http://127\.0\.0\.1:(\d+)/", kills.START_S)[1]
            assert set(listeners([bot.process.pid, *children.values()])) == {
                Listener(children["worker"], "127.0.0.1", int(metrics)),
                Listener(children["venue"], "127.0.0.1", int(url.rpartition(":")[2])),
            }
            account = {"address": "0x" + "ab" * 20, "balance": "1000000"}
            for header in ({"Origin": "http://a.example"}, {"Host": "a.example"}):
                answer = httpx.post(f"{url}/practice/accounts", json=account, headers=header, trust_env=False)
                assert answer.status_code == 403
            bot.interrupt()
        assert bot.process.returncode == 0
