"""The bot as a user runs it: real processes, the practice venue, real recorded markets."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bot_process import BUYS, ROOT, BotProcess

from execution.ledger import LedgerReader, ledger_path
from models import OrderState

TRADED = ("--test-mode", "--venue", "recorded", "--first", "3", "--start-at", "600")
"""A recorded market whose favourite is offered in the whole window, started twelve seconds before it."""
TRADED_FAST = ("--test-mode", "--venue", "recorded", "--first", "3", "--start-at", "300", "--speed", "30")
"""The same at half a minute a market, started 16 seconds before the window, for runs of several markets."""


def view(folder: Path) -> dict:
    """The output of `view_paper_trades.py --json`."""
    shown = subprocess.run(
        [sys.executable, str(ROOT / "view_paper_trades.py"), "--json", "--state", str(folder / "state")],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(shown.stdout)


def reader(folder: Path) -> LedgerReader:
    return LedgerReader(ledger_path(folder / "state", "recorded"))


def test_one_market_is_traded_settled_and_balanced(tmp_path):
    """One command trades a recorded market through the real adapter and accounts for every cent of it."""
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=BUYS) as bot:
        bot.wait_for(r"BUY (Up|Down) at", 90)
        assert bot.wait(60) == 0, bot.output
    assert "Traceback" not in bot.output
    shown = view(tmp_path)
    assert shown["n"] == 1
    assert {"wins", "losses", "pending", "staked", "fees", "pnl", "win_rate", "wilson_low"} <= shown.keys()
    assert {"wilson_high", "break_even", "verdict"} <= shown.keys()
    assert abs(float(shown["cash"]["difference"])) <= 1e-5
    with reader(tmp_path) as ledger:
        (trade,) = ledger.trades()
        assert trade.cost + trade.fee > 0
        assert len(ledger.attempts(trade.slug)) == 1
    (exported,) = json.loads((tmp_path / "paper_trades.json").read_text())
    assert exported["outcome"] in ("WIN", "LOSS")
    assert len(exported) == 7


@pytest.mark.slow
def test_ctrl_c_and_go_on(tmp_path):
    """Ctrl-C while a position is open ends in time; the next start settles it from the same ledger."""
    with BotProcess(tmp_path, *TRADED, settings=BUYS) as bot:
        bot.wait_for(r"filled", 90)
        assert bot.interrupt() < 5
        assert bot.process.returncode == 0
    assert "Traceback" not in bot.output
    assert view(tmp_path)["pending"] == 1
    (exported,) = json.loads((tmp_path / "paper_trades.json").read_text())
    assert exported["outcome"] == "PENDING"
    with BotProcess(tmp_path, "--test-mode", "--venue", "recorded", "--start-at", "700") as bot:
        bot.wait_for(r"(Up|Down) won [+-]", 90)
        bot.interrupt()
    shown = view(tmp_path)
    assert shown["pending"] == 0
    assert shown["n"] >= 1
    assert abs(float(shown["cash"]["difference"])) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0, 3.5, 5.0, 8.0])
def test_ctrl_c_at_any_moment(seconds, tmp_path):
    """Whenever Ctrl-C comes, also during the start, the bot ends in time, and the next start works."""
    with BotProcess(tmp_path, "--test-mode") as bot:
        with pytest.raises(AssertionError, match="did not appear"):
            bot.wait_for("never on the screen", seconds)
        children = set(bot.children().values())
        assert bot.interrupt() < 5
        assert bot.process.returncode in (0, -signal.SIGINT)
    assert "Traceback" not in bot.output
    deadline = time.monotonic() + 30
    while (alive := {pid for pid in children if not _zombie(pid)}) and time.monotonic() < deadline:
        pass
    assert not alive
    with BotProcess(tmp_path, "--test-mode", "--start-at", "700") as bot:
        bot.wait_for(r"(BUY|skip)", 90)  # in the next market, if the start took longer than five seconds
        assert bot.interrupt() < 5


@pytest.mark.slow
def test_a_killed_worker_comes_back_to_the_same_account(tmp_path):
    """After kill -9 with an open position a new worker settles it and does not buy the market again."""
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=BUYS) as bot:
        bot.wait_for(r"filled", 90)
        os.kill(bot.children()["worker"], signal.SIGKILL)
        bot.wait_for(r"starting it again")
        bot.wait_for(r"(Up|Down) won [+-]", 90)
        bot.interrupt()
    with reader(tmp_path) as ledger:
        (trade,) = ledger.trades()
        assert _matched(ledger, trade.slug) == 1
        assert trade.pnl is not None


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_a_worker_that_starts_afresh_loses_and_repeats_nothing(tmp_path):
    """Restarts right after a boundary: no market is bought twice, all are settled, the cash is in order."""
    settings = {**BUYS, "RESTART_AFTER_MINUTES": "0.1"}

    def restarted_and_settled() -> bool:
        with reader(tmp_path) as ledger:
            run, trades = ledger.last_run(), ledger.trades()
            return (
                run.id > 1 and ledger.settled_markets() > 1 and all(trade.pnl is not None for trade in trades)
            )

    with BotProcess(tmp_path, *TRADED_FAST, settings=settings) as bot:
        bot.wait_for(r"(Up|Down) won", 90)
        # The restart waits for a result within the first minute of a market, at most for four markets.
        bot.until(restarted_and_settled, "a restart", 360, pause=1.0)
        bot.interrupt()
    assert "starting it again" not in bot.output
    with reader(tmp_path) as ledger:
        trades = ledger.trades()
        assert trades
        assert len({trade.slug for trade in trades}) == len(trades)
        assert all(trade.pnl is not None for trade in trades)
        assert abs(ledger.last_cash_check().difference) <= 1e-5


@pytest.mark.slow
def test_children_do_not_outlive_a_killed_runner(tmp_path):
    """When the runner is killed, worker and practice venue stop by themselves."""
    with BotProcess(tmp_path, "--test-mode") as bot:
        bot.wait_for(r"stops .*Ctrl-C")
        children = bot.children()
        while len(children) < 2:
            children = bot.children()
        bot.process.kill()
        deadline = time.monotonic() + 20
        alive = set(children.values())
        while alive and time.monotonic() < deadline:
            alive = {pid for pid in alive if Path(f"/proc/{pid}").exists() and not _zombie(pid)}
        assert not alive


def test_without_network_it_names_the_way_out(tmp_path):
    """Without a reachable Polymarket the bot reports it and names --test-mode; exit 1, no traceback."""
    closed = {"CLOB_URL": "http://127.0.0.1:9"}
    with BotProcess(tmp_path, settings=closed) as bot:
        assert bot.wait(30) == 1
    assert "Polymarket cannot be reached" in bot.output
    assert "--test-mode" in bot.output
    assert "Traceback" not in bot.output


@pytest.mark.parametrize(
    ("arguments", "settings", "fragment"),
    [
        (("--test-mode", "--markets", "0"), {}, "at least 1"),
        (("--test-mode", "--start-at", "900"), {}, "0 to 899"),
        (("--test-mode",), {"TREND_UP_THRESHOLD": "7"}, "TREND_UP_THRESHOLD is '7'"),
        (("--test-mode",), {"MARKET_ASSET": "eth"}, "not eth 15m"),
        (("--live", "--test-mode", "--venue", "polymarket"), {}, "cannot be combined"),
        (("--first", "3"), {}, "--first applies to practice markets only"),
    ],
)
def test_bad_usage_is_one_clear_line(arguments, settings, fragment, tmp_path):
    """A wrong flag or setting ends with exit code 2, its name and value, before anything starts."""
    with BotProcess(tmp_path, *arguments, settings=settings) as bot:
        assert bot.wait(30) == 2
    assert fragment in re.sub(r"\s+", " ", bot.output)
    assert "Traceback" not in bot.output
    assert not (tmp_path / "state").exists()


def test_a_damaged_ledger_ends_the_run_once(tmp_path):
    """A ledger that cannot be read ends the run with what to do, instead of useless restarts."""
    ledger = ledger_path(tmp_path / "state", "recorded")
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"not a database" * 1000)
    with BotProcess(tmp_path, "--test-mode", "--venue", "recorded") as bot:
        assert bot.wait(30) == 1
    assert bot.output.count("not a database") == 1
    assert "starting it again" not in bot.output
    assert "Traceback" not in bot.output


def test_a_second_bot_on_the_same_state_is_refused(tmp_path):
    """One bot per state folder: the second one names the process of the first and ends."""
    with BotProcess(tmp_path, "--test-mode") as bot:
        bot.wait_for(r"stops .*Ctrl-C")
        with BotProcess(tmp_path, "--test-mode") as second:
            assert second.wait(30) == 1
        assert re.search(
            rf"another bot \(process {bot.process.pid}\) runs on the state folder", second.output
        )
        assert bot.process.poll() is None


def _matched(ledger: LedgerReader, slug: str) -> int:
    return sum(row.state is OrderState.MATCHED for row in ledger.attempts(slug))


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
