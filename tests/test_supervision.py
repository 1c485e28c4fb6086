"""The whole bot when one of its processes fails: real processes, paper and the rehearsal of live trading."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from bot_process import BUYS, BotProcess
from eth_account import Account
from resting_orders import leave_resting_order

from control.locks import wallet_lock
from execution.ledger import LedgerReader, ledger_path
from execution.polymarket_client import throwaway_key

MARKET = (
    *("--test-mode", "--venue", "synthetic", "--first", "6", "--start-at", "0", "--no-grafana"),
    *("--speed", "30"),
)
"""A generated market whose favourite is offered in the whole window, which begins after 26 s; the next one's
begins 30 s later."""
SETTINGS = BUYS | {
    "LIVE_TRADING_CONFIRM": "yes",
    "REDIS_PORT": "9",
}
"""Armed, without a Redis, and buying whatever the signals are."""
DECISION = r"decision +(BUY|skip)"
MINUTE_S = 100.0
"""Three markets: a decision that was missed in one is made in the next."""
SECRET = "5ec2e7" * 4

both = pytest.mark.parametrize("live", [False, True], ids=["paper", "rehearsal"])
"""Paper trading and the rehearsal of live trading."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def arguments(live: bool) -> tuple[str, ...]:
    return (*MARKET, "--live") if live else MARKET


def book(folder: Path, live: bool) -> Path:
    """The folder of the ledger of the active profile."""
    return folder / "state" / ("rehearsal-synthetic" if live else "synthetic")


def venue_url(bot: BotProcess) -> str:
    """The practice venue's address, which the banner shows before the first worker starts."""
    return bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", 60)[1]


def practice(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    method = "GET" if body is None else "POST"
    answer = httpx.request(method, f"{url}/practice/{path}", json=body, trust_env=False, timeout=10)
    return answer.raise_for_status().json()


def arm(url: str, fault: str, count: int | None) -> None:
    practice(url, "faults", {"name": fault, "count": count, "parameters": {}})


def disarm(url: str) -> None:
    httpx.delete(f"{url}/practice/faults", trust_env=False, timeout=10).raise_for_status()


def until(bot: BotProcess, holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for a condition; the screen is read meanwhile, so that the bot is never blocked by it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, bot.output
        with suppress(AssertionError):
            bot.wait_for("never on the screen", 0.05)
    return found


def worker_of(bot: BotProcess, other_than: int | None = None) -> int:
    return until(bot, lambda: (pid := bot.children().get("worker")) != other_than and pid)


def wait_for_decision(bot: BotProcess, seconds: float = MINUTE_S) -> None:
    """Wait for a new decision."""
    begin = len(bot.output)
    until(bot, lambda: re.search(DECISION, bot.output[begin:]), seconds)


# --- M4: a strategy that does not start -----------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "count", "names"),
    [("gamma_500", 2, "market data"), ("user_feed_refused", 1, "orders")],
    ids=["catalogue", "user stream"],
)
@both
def test_a_refused_connection_ends_the_worker_and_the_next_one_decides(live, fault, count, names, tmp_path):
    """One line names the failed connection; the next worker starts a second later and decides."""
    with BotProcess(tmp_path, *arguments(live), settings=SETTINGS) as bot:
        arm(venue_url(bot), fault, count)
        bot.wait_for(rf"^error: the strategy cannot start, no connection for .*{names}", 60)
        bot.wait_for(r"^The worker could not start; starting it again in 1 s\.")
        wait_for_decision(bot)
        assert bot.interrupt() < 5
    assert bot.output.count("starting it again") == 1
    assert "Traceback" not in bot.output


@both
def test_too_few_file_descriptors(live, tmp_path):
    """A worker that can open no file ends with a plain line instead of hanging; the next one decides."""
    with BotProcess(tmp_path, *arguments(live), settings=SETTINGS) as bot:
        worker = worker_of(bot)
        hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)[1]
        until(bot, lambda: ledger_path(tmp_path / "state", book(tmp_path, live).name).exists())
        taken = len(os.listdir(f"/proc/{worker}/fd"))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (taken, hard))
        bot.wait_for(r"^error: .+", 60)
        bot.wait_for(r"^The worker could not start; starting it again in 1 s\.")
        assert worker_of(bot, other_than=worker)
        wait_for_decision(bot)
        assert bot.interrupt() < 5


@both
def test_an_outage_at_the_planned_restart(live, tmp_path):
    """The catalogue is away when a fresh worker takes over: it is tried again until the outage ends."""
    # Nothing is bought: with a position the restart would wait for its result.
    restarting = {**SETTINGS, "RESTART_AFTER_MINUTES": "0.01", "FUSION_MIN_WEIGHT": "1"}
    with BotProcess(tmp_path, *arguments(live), settings=restarting) as bot:
        url = venue_url(bot)
        first = worker_of(bot)
        until(bot, lambda: practice(url, "info") and (book(tmp_path, live) / "pulse.json").exists())
        arm(url, "gamma_500", None)
        worker_of(bot, other_than=first)
        bot.wait_for(r"The worker could not start \(2 times in a row.*again in 2 s", 60)
        disarm(url)
        ended = time.monotonic()
        until(bot, lambda: (book(tmp_path, live) / "pulse.json").stat().st_mtime > time.time() - 1.5, 30)
        assert time.monotonic() - ended < 30
        wait_for_decision(bot)
        assert bot.interrupt() < 5


# --- M6: supervised processes ---------------------------------------------------------------------


@both
def test_a_killed_practice_venue_is_started_again(live, tmp_path):
    """After kill -9 the venue has its address, account and clock again, and the same worker continues."""
    with BotProcess(tmp_path, *arguments(live), settings=SETTINGS) as bot:
        url = venue_url(bot)
        bot.wait_for("filled", MINUTE_S)
        worker, venue = worker_of(bot), bot.children()["venue"]
        os.kill(venue, signal.SIGKILL)
        bot.wait_for(r"^The practice venue ended by signal SIGKILL; starting it again in 1 s\.")
        bot.wait_for(r"^The practice venue runs again\.$")
        assert bot.children()["venue"] != venue
        assert practice(url, "info")
        bot.wait_for(r"(Up|Down) won [+-]", MINUTE_S)
        wait_for_decision(bot)
        assert bot.children()["worker"] == worker
        assert bot.interrupt() < 5
    assert "HALTED" not in bot.output
    with LedgerReader(ledger_path(tmp_path / "state", book(tmp_path, live).name)) as ledger:
        (trade,) = ledger.trades()[:1]
        assert trade.pnl is not None


@both
def test_a_hung_worker_is_replaced(live, tmp_path):
    """A stopped worker sends no heartbeat: after 30 s another one replaces it, and decides."""
    with BotProcess(tmp_path, *arguments(live), settings=SETTINGS) as bot:
        until(bot, lambda: (book(tmp_path, live) / "pulse.json").exists(), 60)
        worker = worker_of(bot)
        os.kill(worker, signal.SIGSTOP)
        stopped = time.monotonic()
        bot.wait_for(r"^The worker sent no heartbeat for 30 s and is replaced\.", 45)
        assert time.monotonic() - stopped > 29
        bot.wait_for(r"^The worker ended without a heartbeat; starting it again in 1 s\.")
        assert worker_of(bot, other_than=worker)
        wait_for_decision(bot)
        assert bot.interrupt() < 5


def test_a_stopped_supervisor_does_not_replace_a_healthy_worker(tmp_path):
    """All processes are stopped for longer than the limit, as by a sleeping machine: nothing is replaced."""
    with BotProcess(tmp_path, *MARKET, settings=SETTINGS) as bot:
        until(bot, lambda: (book(tmp_path, live=False) / "pulse.json").exists(), 60)
        processes = [bot.process.pid, *bot.children().values()]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(33)  # the duration of the stop is what is tested
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        wait_for_decision(bot)
        assert sorted(bot.children().values()) == sorted(processes[1:])
        assert bot.interrupt() < 5
    assert "heartbeat" not in bot.output


# --- M11: file access and other traders -----------------------------------------------------------


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Process id and command line of every descendant."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            yield int(folder.name), command
            yield from descendants(int(folder.name))


def environment(pid: int) -> bytes:
    """The environment of a process; a protected one shows it to root only."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return b""


@both
def test_secrets_and_files_are_the_owners_only(live, tmp_path):
    """No process but the worker has a secret in its environment, and no other user can read a file."""
    key = "0x" + bytes(Account.create().key).hex()
    secrets = {
        "POLYMARKET_PK": key,
        **{
            name: SECRET + name.lower()
            for name in (
                "POLYMARKET_API_KEY", "POLYMARKET_API_SECRET", "POLYMARKET_PASSPHRASE", "RELAYER_API_KEY",
                "CRYPTOPANIC_API_KEY",
            )
        },
        "NOTIFY_URL": f"json://127.0.0.1:9/{SECRET}",
    }  # fmt: skip
    address = {"RELAYER_API_KEY_ADDRESS": "0x" + "ab" * 20}
    (tmp_path / "state").mkdir(mode=0o755)
    (tmp_path / "logs").mkdir(mode=0o755)
    old = tmp_path / "logs" / "bot.log"
    old.write_text("from an earlier version\n")
    old.chmod(0o644)
    before = os.umask(0o022)
    try:
        with BotProcess(tmp_path, *arguments(live), settings={**SETTINGS, **secrets, **address}) as bot:
            until(bot, lambda: (book(tmp_path, live) / "pulse.json").exists(), 60)
            seen = dict(descendants(bot.process.pid))
            holders = {
                command
                for pid, command in seen.items()
                if any(value.encode() in environment(pid) for value in secrets.values())
            }
            assert len(seen) >= 2
            assert all(" -m runtime.worker" in command for command in holders), holders
            assert bot.interrupt() < 5
    finally:
        os.umask(before)
    for place in ("state", "logs"):
        for path in (tmp_path / place, *(tmp_path / place).rglob("*")):
            wanted = 0o700 if path.is_dir() else 0o600
            assert path.stat().st_mode & 0o777 == wanted, path


@both
def test_stopping_under_load_takes_less_than_five_seconds(live, tmp_path):
    """With every core busy twice over, Ctrl-C with a running market ends all processes within 5 s."""
    with BotProcess(tmp_path, *arguments(live), settings=SETTINGS) as bot:
        until(bot, lambda: (book(tmp_path, live) / "pulse.json").exists(), 90)
        children = list(bot.children().values())
        with busy_cores():
            took = bot.interrupt()
        assert bot.process.returncode == 0
        assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert took < 5


@contextmanager
def busy_cores() -> Iterator[None]:
    """Two processes per core that only compute."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextmanager
def rehearsal_wallet(folder: Path) -> Iterator[str]:
    """The key of the practice wallet that a rehearsal in this folder will use."""
    key = throwaway_key(folder / "state" / "rehearsal-synthetic" / "venue" / "wallet.json")
    try:
        yield key
    finally:
        wallet_lock(Account.from_key(key).address).unlink(missing_ok=True)


def test_one_bot_a_wallet_whatever_the_environment(tmp_path):
    """Two bots with copies of one wallet: the second is refused with other HOME and XDG_STATE_HOME, too."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    with rehearsal_wallet(first):
        shutil.copytree(first, second)
        elsewhere = {"HOME": str(second), "XDG_STATE_HOME": str(second)}
        with BotProcess(first, *arguments(live=True), settings=SETTINGS) as bot:
            venue_url(bot)
            with BotProcess(second, *arguments(live=True), settings={**SETTINGS, **elsewhere}) as other:
                assert other.wait(60) == 1
            assert re.search(rf"^fail +wallet +another bot \(process {bot.process.pid}\)", other.output, re.M)
            assert "--live is not armed" in other.output
            bot.interrupt()


def test_open_orders_of_another_program_refuse_the_start(tmp_path):
    """A resting order of the wallet that is not in the ledger: --live ends before anything is sent."""
    with rehearsal_wallet(tmp_path) as key:
        state = tmp_path / "state" / "rehearsal-synthetic" / "venue"
        with other_venue(state) as url:
            order_id = leave_resting_order(url, key, ahead=3)
        with BotProcess(tmp_path, *MARKET[:5], "--live", "--no-grafana", settings=SETTINGS) as bot:
            assert bot.wait(60) == 1
        assert re.search(
            r"^fail +open orders +0x\w+ has 1 open order that this bot did not send", bot.output, re.M
        )
        assert order_id in bot.output
        assert "--live is not armed" in bot.output
        assert not ledger_path(tmp_path / "state", "rehearsal-synthetic").exists()


@contextmanager
def other_venue(state: Path) -> Iterator[str]:
    """The venue of a state folder, run without a bot."""
    command = [sys.executable, "-m", "venue", "--source", "synthetic", "--speed", "1", "--redeem", "manual"]
    with subprocess.Popen(
        [*command, "--state", str(state), "--exit-with-stdin"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as venue:
        assert venue.stdout is not None
        assert venue.stdin is not None
        found = re.search(rb"http://127\.0\.0\.1:\d+", venue.stdout.readline())
        assert found is not None
        yield found[0].decode()
        venue.stdin.close()
