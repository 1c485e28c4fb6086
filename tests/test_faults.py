"""Orders with faults of the venue: one fill, at its real price, and a correct ledger."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, ROOT, BotProcess
from test_whole_bot import TRADED, view

from execution.ledger import LedgerReader, ledger_path
from models import OrderState

FAULTS = {
    "drop_after_accept": {},
    "error_500": {"executed": True},
    "too_early_425": {"executed": True},
    "hang": {},
    "delayed": {},
    "user_feed_silent": {},
    "trade_before_response": {},
    "duplicate_trade": {},
    "out_of_order_trade": {},
}


def arm(url: str, fault: str, count: int | None, **parameters: Any) -> None:
    """Arm a fault of the venue."""
    body = json.dumps({"name": fault, "count": count, "parameters": parameters}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/practice/faults", body, headers), timeout=5):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_one_order_one_fill(fault, tmp_path):
    """Whatever is lost, late, doubled or out of order, the market is bought once and the cash agrees."""
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=BUYS) as bot:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)")[1]
        arm(url, fault, 1, **FAULTS[fault])
        assert bot.wait(100) == 0, bot.output
    assert "HALTED" not in bot.output
    with LedgerReader(ledger_path(tmp_path / "state", "recorded")) as ledger:
        (trade,) = ledger.trades()
        states = [row.state for row in ledger.attempts(trade.slug)]
    assert states.count(OrderState.MATCHED) == 1
    assert set(states) <= {OrderState.MATCHED, OrderState.NO_FILL}
    assert abs(float(view(tmp_path)["cash"]["difference"])) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("field", ["acceptingOrders", "closed"])
def test_a_market_in_which_the_venue_takes_no_orders_is_left_alone(field, tmp_path):
    """Its flag is against trading: nothing is sent, nothing is halted, and the ledger has the reason."""
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=BUYS) as bot:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)")[1]
        against = "true" if field == "closed" else "false"
        arm(url, "gamma_value", None, field=field, value=against, raw=True)
        bot.wait_for(f"the catalogue has {field}", 60)
        assert bot.wait(100) == 0, bot.output
    assert "HALTED" not in bot.output
    with LedgerReader(ledger_path(tmp_path / "state", "recorded")) as ledger:
        assert ledger.trades() == []
        (decision,) = ledger.decisions()
        assert (decision.reason, f"the catalogue has {field}" in decision.detail) == ("not_tradable", True)
        assert ledger.attempts(decision.slug) == []


def traded_without_a_winner(folder: Path, up: float, *, ends: str) -> None:
    """Buy in a market in which an Up share is paid `up`; returns the output until the text `ends`."""
    with BotProcess(folder, *TRADED, "--markets", "1", settings=BUYS) as bot:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)")[1]
        arm(url, "resolution_split", 1, up=up)
        bot.wait_for(ends, 120)
        if up == 0.5:
            assert bot.wait(60) == 0, bot.output
            assert "HALTED" not in bot.output


def balanced(folder: Path) -> None:
    """The ledger's cash is the venue's."""
    shown = view(folder)
    assert abs(float(shown["cash"]["difference"])) <= 1e-5
    assert shown["pending"] == 0


@pytest.mark.slow
def test_a_market_without_a_winner_pays_one_half(tmp_path):
    """The venue pays half a share: the bot records it by itself, to the cent, and continues."""
    traded_without_a_winner(tmp_path, 0.5, ends="no outcome won: Up pays 0.5, Down 0.5")
    with LedgerReader(ledger_path(tmp_path / "state", "recorded")) as ledger:
        (trade,) = ledger.trades()
        assert ledger.settlement(trade.slug).source == "gamma"
    assert trade.payout == (trade.shares / 2).quantize(Decimal("0.000001"), ROUND_DOWN)
    balanced(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_the_bot_cannot_read_is_booked_by_the_operator(tmp_path):
    """Other payouts than one half halt trading; the operator records them, and the next start continues."""
    traded_without_a_winner(tmp_path, 0.7, ends=r"HALTED: .*closed without a winner: Up 0\.7, Down 0\.3")
    with LedgerReader(ledger_path(tmp_path / "state", "recorded")) as ledger:
        (slug,) = ledger.pending_settlements()
    words = [slug, "--up", "0.7", "--down", "0.3", "--book", "recorded", "--reason", "paid so", "--yes"]
    environment = {**os.environ, "STATE_DIR": str(tmp_path / "state")}
    for command in (["book_result.py", *words], ["redis_control.py", "resume"]):
        subprocess.run([sys.executable, str(ROOT / command[0]), *command[1:]], env=environment, check=True)
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=BUYS) as bot:
        assert bot.wait(120) == 0, bot.output
    assert "HALTED" not in bot.output
    balanced(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_ledger_that_another_program_locks_is_waited_for(tmp_path):
    """Locked for 40 s, including the window: nothing is sent, lost or halted, and the bot continues."""
    path = ledger_path(tmp_path / "state", "recorded")
    log = tmp_path / "logs" / "bot.log"
    with BotProcess(tmp_path, *TRADED, "--markets", "2", settings=BUYS) as bot:
        bot.until(lambda: path.is_file() and "p 0." in bot.output, "the first price", 60)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            released = time.monotonic() + 40
            bot.until(lambda: time.monotonic() > released, "forty seconds", 60)
            assert "is locked by another program" in log.read_text()
        assert bot.wait(200) == 0, bot.output
    assert "HALTED" not in bot.output
    assert "Traceback" not in bot.output
    balanced(tmp_path)
