"""The bot's output cannot be written: its reader has closed, or its encoding lacks a character."""

import os
import signal
import time
from pathlib import Path

import kills
import pytest
from bot_process import BUYS, BotProcess
from ledger_comparison import Paths, compare, rows
from test_whole_bot import TRADED


def wait_for_rows(bot: BotProcess, paths: Paths, query: str, seconds: float) -> None:
    """Wait until a query of the ledger has an answer; the screen is not read."""
    deadline = time.monotonic() + seconds
    while not rows(paths.ledger, query):
        assert bot.process.poll() is None, f"the bot ended before: {query}"
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {query}"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_trading_goes_on_without_a_reader(tmp_path: Path) -> None:
    """With its output closed on the other side the bot settles its market, checks the cash and does not halt;
    a killed worker is replaced, though the supervisor cannot print that.
    """
    paths = Paths.of(tmp_path, "synthetic")
    start = ("--first", "6", "--start-at", "500")
    with BotProcess(tmp_path, *kills.FLAGS, *start, settings=kills.BUYS_EARLY) as bot:
        bot.wait_for("filled", kills.START_S)
        worker = bot.children()["worker"]
        assert bot.process.stdout is not None
        bot.process.stdout.close()
        wait_for_rows(bot, paths, "SELECT 1 FROM cash_checks", 90)
        wait_for_rows(bot, paths, "SELECT 1 FROM settlements", 1)
        assert rows(paths.ledger, "SELECT why FROM halts") == []
        assert bot.children()["worker"] == worker, "the first worker still trades"
        os.kill(worker, signal.SIGKILL)
        wait_for_rows(bot, paths, "SELECT 1 FROM runs WHERE id = 2", 60)
        bot.process.send_signal(signal.SIGINT)
        assert bot.process.wait(30) == 0
    assert compare(paths).wrong == ()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii:strict"])
def test_trading_goes_on_where_the_console_lacks_characters(encoding: str, tmp_path: Path) -> None:
    """A decision's arrows cannot be printed on a Windows console: it is traded and settled without a halt."""
    settings = BUYS | {"PYTHONIOENCODING": encoding}
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=settings) as bot:
        assert bot.wait(150) == 0, bot.output
    assert "Tick ?" in bot.output
    assert "Traceback" not in bot.output
    ledger = Paths.of(tmp_path, "recorded").ledger
    assert rows(ledger, "SELECT count(*) FROM fills") == [(1,)]
    assert rows(ledger, "SELECT count(*) FROM settlements") == [(1,)]
    assert rows(ledger, "SELECT why FROM halts") == []
