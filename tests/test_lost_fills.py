"""Tests of the whole bot, on paper and live: lost fills, and orders sent after trading was stopped."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import kills
import pytest
from bot_process import BotProcess
from ledger_comparison import Paths, compare, rows

import redis_control

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROFILES = {"paper": "synthetic", "live": "rehearsal-synthetic"}
BOTH = pytest.mark.parametrize("path", PROFILES)
FIRST_START = kills.FIRST_START
"""From market second 60 on, with a window that is open already: the order comes with the first prices."""


def flags(path: str) -> tuple[str, ...]:
    return (*kills.FLAGS, "--live") if path == "live" else kills.FLAGS


def state_of_order(paths: Paths) -> str | None:
    """The state of the last order in the ledger."""
    found = rows(paths.ledger, "SELECT state FROM intents ORDER BY created_ns DESC LIMIT 1")
    return found[0][0] if found else None


def wait_for_state(bot: BotProcess, paths: Paths, state: str) -> None:
    """Return as soon as an order is in a state; no fill may be recorded yet."""
    bot.until(lambda: state_of_order(paths) == state, f"an order that is {state}", kills.START_S, pause=0.001)
    assert not rows(paths.ledger, "SELECT 1 FROM fills"), "too late: the fill is booked"


def wait_until_posted(bot: BotProcess, paths: Paths) -> None:
    """Return as soon as the venue has the order and the bot no answer; the answer and its trade are late."""
    url = kills.venue_url(bot)
    kills.arm(url, "hang", 1, {"seconds": 1.5})
    kills.arm(url, "user_feed_silent", None, {})

    def posted() -> bool:
        account = kills.account(url, paths)
        return account is not None and bool(account["orders"])

    bot.until(posted, "an order at the venue", kills.START_S, pause=0.001)
    assert state_of_order(paths) == "sent", "too late: the answer is there"
    assert not rows(paths.ledger, "SELECT 1 FROM fills"), "too late: the fill is booked"


def assert_all_recorded(paths: Paths, trades: int = 1) -> None:
    """The venue made at least this many trades, the ledger has each once; no halt, drift or open order."""
    report = compare(paths)
    assert report.wrong == ()
    assert report.venue_trades == report.ledger_fills >= trades
    assert report.unresolved == ()


def start_again(folder: Path, path: str, paths: Paths) -> None:
    """A normal start, until everything is recorded, and Ctrl-C."""
    kill = kills.Kill(0, "", 0.0, "prompt", live=path == "live")
    kills.restart(folder, kill, paths)
    kills.settle_last_order(folder, kill, paths)


# --- M1: between the answer to the POST and the trade message -----------------------------------------


@BOTH
def test_worker_killed_between_answer_and_trade_message(path: str, tmp_path: Path) -> None:
    """A matched order without a trade message is looked up by the next worker, and its fill recorded."""
    paths = Paths.of(tmp_path, PROFILES[path])
    with BotProcess(tmp_path, *flags(path), *FIRST_START, settings=kills.BUYS_EARLY) as bot:
        kills.arm(kills.venue_url(bot), "user_feed_silent", None, {})
        wait_for_state(bot, paths, "matched")
        os.kill(bot.children()["worker"], signal.SIGKILL)
        kills.wait_for_rest(bot, paths, runs=1)
        bot.interrupt()
    assert_all_recorded(paths)


@BOTH
def test_ctrl_c_between_answer_and_trade_message(path: str, tmp_path: Path) -> None:
    """A clean stop with a matched order and a silent user stream: the next start records the fill."""
    paths = Paths.of(tmp_path, PROFILES[path])
    with BotProcess(tmp_path, *flags(path), *FIRST_START, settings=kills.BUYS_EARLY) as bot:
        kills.arm(kills.venue_url(bot), "user_feed_silent", None, {})
        wait_for_state(bot, paths, "matched")
        bot.interrupt()
        assert bot.process.returncode == 0
    start_again(tmp_path, path, paths)
    assert_all_recorded(paths)


@BOTH
def test_ctrl_c_during_the_post(path: str, tmp_path: Path) -> None:
    """A clean stop while the venue's answer is late: the next start records the fill."""
    paths = Paths.of(tmp_path, PROFILES[path])
    with BotProcess(tmp_path, *flags(path), *FIRST_START, settings=kills.BUYS_EARLY) as bot:
        wait_until_posted(bot, paths)
        bot.interrupt()
        assert bot.process.returncode == 0
    start_again(tmp_path, path, paths)
    assert_all_recorded(paths)


@BOTH
def test_supervisor_killed_during_the_post(path: str, tmp_path: Path) -> None:
    """kill -9 of the supervisor alone while the order is at the venue: the next start records the fill."""
    paths = Paths.of(tmp_path, PROFILES[path])
    with BotProcess(tmp_path, *flags(path), *FIRST_START, settings=kills.BUYS_EARLY) as bot:
        children = bot.until(
            lambda: bot.children() if len(bot.children()) == 2 else None, "both", kills.START_S
        )
        wait_until_posted(bot, paths)
        bot.process.kill()
        bot.process.wait()
        kills.wait_for_end(children.values())
    start_again(tmp_path, path, paths)
    assert_all_recorded(paths)


# --- M2: a trade that cannot be read ------------------------------------------------------------------


@BOTH
def test_a_malformed_trade_message(path: str, tmp_path: Path) -> None:
    """A trade at the price of 7 on the user stream: the venue's list has the right one, which is recorded."""
    paths = Paths.of(tmp_path, PROFILES[path])
    with BotProcess(tmp_path, *flags(path), *FIRST_START, settings=kills.BUYS_EARLY) as bot:
        url = kills.venue_url(bot)
        kills.arm(url, "user_feed_value", 1, {"event": "trade", "field": "price", "value": "7"})
        bot.until(lambda: state_of_order(paths) is not None, "an order", kills.START_S)
        struck = bot.until(lambda: kills.ask(url, "/practice/faults") == [], "the malformed message", 20)
        assert struck
        kills.wait_for_rest(bot, paths, runs=0)
        bot.interrupt()
    assert "HALTED" not in bot.output
    assert_all_recorded(paths)


# --- M3: a switch or a halt while an order waits for the disk -----------------------------------------

WINDOW_START = 600
"""The decision comes with the window: there are enough prices by then, and the moment is known."""


@contextmanager
def slow_disk(ledger: Path) -> Iterator[None]:
    """No other process can write to the ledger meanwhile."""
    with closing(sqlite3.connect(ledger, timeout=5, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


def posts(url: str) -> int:
    return sum((row["method"], row["path"]) == ("POST", "/order") for row in kills.ask(url, "/practice/log"))


@pytest.mark.parametrize(("path", "command"), [("live", "sim"), ("live", "halt"), ("paper", "halt")])
def test_nothing_is_sent_after_the_switch_returned(
    path: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order waits for a slow disk while the operator stops trading: it is never sent."""
    paths = Paths.of(tmp_path, PROFILES[path])
    window = {**kills.BUYS_EARLY, "TRADE_WINDOW_START": str(WINDOW_START)}
    start = ("--first", "6", "--start-at", "200")
    with BotProcess(tmp_path, *flags(path), *start, settings=window) as bot:
        url = kills.venue_url(bot)
        bot.until(
            lambda: kills.market_second(url) % 900 > WINDOW_START - 6, "the window", kills.START_S, pause=0.01
        )
        # In this process: the bot stops waiting for its disk after five seconds.
        monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("REDIS_PORT", "9")
        with slow_disk(paths.ledger):
            bot.until(
                lambda: kills.market_second(url) % 900 > WINDOW_START + 15, "a decision", 10, pause=0.01
            )
            assert redis_control.main([command]) == 0
            switched_ns = time.time_ns()
            assert posts(url) == 0
        bot.until(
            lambda: state_of_order(paths) not in (None, "intent", "sent", "unknown"), "the order's end", 20
        )
        ((state, created_ns),) = rows(paths.ledger, "SELECT state, created_ns FROM intents")
        assert state == "no_fill"
        assert created_ns < switched_ns, "no order was waiting for the disk"
        second = kills.market_second(url)
        bot.until(lambda: kills.market_second(url) > second + 60, "time for another decision", 30)
        assert posts(url) == 0
        bot.interrupt()
    assert compare(paths).venue_trades == 0
    log = "".join(file.read_text() for file in (tmp_path / "logs" / "nautilus").iterdir())
    assert ("TradingState is HALTED" in log) is (command == "halt"), "Nautilus' own risk engine"


# --- M5: unknown when its market was settled ----------------------------------------------------------


@BOTH
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_an_order_unknown_since_an_earlier_process(path: str, tmp_path: Path) -> None:
    """An order that never arrived is still unknown when its market is settled, by the worker that started
    inside its window. The next process, ten minutes later, closes it and checks the cash again.
    """
    paths = Paths.of(tmp_path, PROFILES[path])
    settled = (
        "SELECT i.intent_id FROM intents i JOIN settlements s ON s.slug = i.slug WHERE i.state = 'unknown'"
    )
    start = ("--first", "6", "--start-at", "500")
    with BotProcess(tmp_path, *flags(path), *start, settings=kills.BUYS_EARLY) as bot:
        kills.arm(kills.venue_url(bot), "drop_before_read", 1, {})
        wait_for_state(bot, paths, "unknown")
        bot.until(lambda: rows(paths.ledger, settled), "the settlement of its market", 90)
        bot.interrupt()
    (unknown,) = rows(paths.ledger, settled)
    (earlier,) = rows(paths.ledger, "SELECT max(id) FROM runs")[0]
    forgotten = "SELECT 1 FROM intents WHERE intent_id = ? AND state = 'no_fill'"
    checked = "SELECT 1 FROM cash_checks WHERE run_id > ?"
    with BotProcess(
        tmp_path, *flags(path), *start[2:], settings=kills.BUYS_EARLY, clock=kills.FORGOTTEN
    ) as bot:
        bot.until(lambda: rows(paths.ledger, forgotten, *unknown), "the order is given up", kills.START_S)
        bot.until(lambda: rows(paths.ledger, checked, earlier), "a cash check", 120)
        bot.interrupt()
    assert compare(paths).wrong == ()


# --- any instant --------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize("victim", kills.VICTIMS)
def test_killed_at_a_drawn_instant(victim: str, run: int, tmp_path: Path) -> None:
    """kill -9 of each process within an order's second: every trade of the venue is recorded once."""
    outcome = kills.play(kills.draw(2026, run, live=run == 1, victim=victim), tmp_path)
    print(kills.line(outcome))
    assert outcome.wrong == ()
