"""The live path: the checks before the first order, and a whole market, on loopback."""

import json
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, BotProcess
from eth_account import Account
from pydantic import SecretStr

sys.path += [str(Path(__file__).parent / "control")]

from redis_servers import RedisServer

from config import Settings
from control.last_mode_switch import LAST_SWITCH_FILE
from control.mode_store import Endpoint
from control.mode_switch import switch_to_simulation
from core.nautilus_core.instruments.market_clock import MarketClock
from errors import ConfigError
from execution.ledger import LIVE_PROFILE, LedgerReader, Mode, Venue, ledger_path
from runtime.session import polymarket_urls
from runtime.worker.account import open_account
from runtime.worker.plan import LiveWallet, WorkerPlan

TESTS = Path(__file__).parent
TEST_KEY = "0x" + "11" * 32  # a test key, never holds money
REHEARSAL = ("--test-mode", "--live", "--venue", "synthetic")
BOOK = "rehearsal-synthetic"
TRADED = "6"
"""A generated market whose favourite is offered in the whole window, and wins."""
ARMED = {"LIVE_TRADING_CONFIRM": "yes"}
BEGIN = "@2026-12-01 12:06:00 x12"
"""Market second 360: doctor and start have 35 s of real time before the window."""
REAL_SECONDS = 150


def reader(folder: Path, profile: str) -> LedgerReader:
    return LedgerReader(ledger_path(folder / "state", profile))


class Typing:
    """A bot in a terminal, with typed input."""

    def __init__(self, folder: Path, *arguments: str, settings: dict[str, str] | None = None) -> None:
        self._master, slave = pty.openpty()
        self.bot = BotProcess(folder, *arguments, settings=settings, stdin=slave)
        os.close(slave)

    def type(self, text: str) -> None:
        self.bot.wait_for("Type LIVE to trade with real orders", 60)
        os.write(self._master, text.encode())

    def __enter__(self) -> "Typing":
        return self

    def __exit__(self, *error: object) -> None:
        self.bot.__exit__(*error)
        os.close(self._master)


# --- without a bot --------------------------------------------------------------------------------


def test_a_worker_trades_with_no_other_key_than_the_armed_one(tmp_path: Path) -> None:
    """The settings are read again by each worker: another key in them ends the run, before any request."""
    urls = polymarket_urls(Settings(clob_url="http://127.0.0.1:9"))
    plan = WorkerPlan(
        mode=Mode.LIVE,
        venue=Venue.POLYMARKET,
        profile=LIVE_PROFILE,
        market_urls=urls,
        urls=urls,
        clock=MarketClock(),
        note="",
        markets=0,
        wallet=LiveWallet(signer="0x" + "ab" * 20, funder="0x" + "ab" * 20, signature_type=0),
    )
    with pytest.raises(ConfigError, match=r"this run was armed for 0xabab.*Start the bot again"):
        open_account(Settings(polymarket_pk=SecretStr(TEST_KEY)), plan)
    with pytest.raises(ConfigError, match="POLYMARKET_PK is not set"):
        open_account(Settings(), plan)
    with pytest.raises(ConfigError, match="ORDER_CLIENT is polymarket-client, which is for practice money"):
        open_account(Settings(order_client="polymarket-client"), plan)


# --- the rehearsal --------------------------------------------------------------------------------


@pytest.mark.slow
def test_live_is_typed_and_a_market_is_rehearsed(tmp_path: Path) -> None:
    """LIVE at a terminal arms; one signed order is filled, settled, and kept apart from paper trades."""
    # From second 300: the bot has 32 s to start, on a machine with other work too.
    flags = ("--markets", "1", "--first", TRADED, "--start-at", "300")
    with Typing(tmp_path, *REHEARSAL, *flags, settings=BUYS) as terminal:
        terminal.type("LIVE\n")
        assert terminal.bot.wait(120) == 0, terminal.bot.output
    screen = terminal.bot.output
    assert "Traceback" not in screen
    # The order of the output: the doctor, the stakes, the arming, the run.
    marks = [
        screen.index(fragment)
        for fragment in (" 0 failures", "at risk", "armed by typing LIVE", "LIVE REHEARSAL")
    ]
    assert marks == sorted(marks)
    wallet = re.search(r"^wallet +(0x\S+) with \$1000 of practice money", screen, re.MULTILINE)
    assert wallet is not None
    with reader(tmp_path, BOOK) as ledger:
        (trade,) = ledger.trades()
        assert trade.pnl is not None
        run, check = ledger.last_run(), ledger.last_cash_check()
        assert run is not None
        assert run.mode is Mode.SIMULATION  # no real money was used
        assert check is not None
        assert abs(check.difference) <= Decimal("0.00001")
    with closing(sqlite3.connect(tmp_path / "state" / BOOK / "venue" / "venue.sqlite3")) as database:
        bought = database.execute("SELECT address FROM trade").fetchall()
    assert bought == [(wallet[1],)]
    assert not (tmp_path / "paper_trades.json").exists()
    assert [path.name for path in (tmp_path / "state").glob("*/ledger.sqlite")] == ["ledger.sqlite"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "read"),
    [("live\n", "live"), ("\n", ""), ("\x04", ""), (None, "")],
    ids=["another text", "nothing", "end of input", "Ctrl-C"],
)
def test_any_other_answer_ends_it(typed: str | None, read: str, tmp_path: Path) -> None:
    """Any other answer: not armed, exit 1, nothing was traded and no process is left running."""
    with Typing(tmp_path, *REHEARSAL, settings={"POLYMARKET_PK": TEST_KEY}) as terminal:
        terminal.type(typed or "")
        children = terminal.bot.children()
        assert set(children) == {"venue"}  # no worker before it is armed
        # The practice venue does not need a key of the environment.
        assert TEST_KEY.encode() not in Path(f"/proc/{children['venue']}/environ").read_bytes()
        if typed is None:
            terminal.bot.interrupt()
        assert terminal.bot.wait(20) == 1
    assert f"--live is not armed: {read!r} is not LIVE. Nothing was traded" in terminal.bot.output
    assert "Traceback" not in terminal.bot.output
    assert not ledger_path(tmp_path / "state", BOOK).exists()
    assert not Path(f"/proc/{children['venue']}").exists()
    assert not (tmp_path / "state" / LAST_SWITCH_FILE).exists()


@pytest.mark.slow
def test_without_a_terminal_live_cannot_be_confirmed(tmp_path: Path) -> None:
    """Without a terminal and without the setting it ends, naming both ways to arm, and never simulates."""
    with BotProcess(tmp_path, *REHEARSAL) as bot:
        assert bot.wait(30) == 1
    assert (
        "there is no terminal to type LIVE in. Start it in a terminal, or set LIVE_TRADING_CONFIRM=yes"
        in bot.output
    )
    assert "SIMULATION" not in bot.output


@pytest.mark.slow
def test_what_the_doctor_finds_ends_it(tmp_path: Path) -> None:
    """A failure is shown and there is no prompt and no trade: here an order larger than the balance."""
    size = {"POSITION_SIZE_USD": "2000", "MARKET_BUY_USD": "2000", "MAX_POSITION_SIZE": "2000"}
    with BotProcess(tmp_path, *REHEARSAL, settings={**ARMED, **size}) as bot:
        assert bot.wait(30) == 1
    assert re.search(
        r"^fail  balance +\$1000, but an order of \$2000 takes \$2140.00", bot.output, re.MULTILINE
    )
    assert "--live is not armed: 1 preflight check failed" in bot.output
    assert "armed by" not in bot.output


@pytest.mark.slow
def test_simulation_in_the_store_is_obeyed(tmp_path: Path) -> None:
    """Armed, but switched to simulation before the start: it trades on paper and gives the reason."""
    switch_to_simulation(Endpoint("127.0.0.1", 9, 2), tmp_path / "state")
    with BotProcess(tmp_path, *REHEARSAL, "--first", TRADED, settings={**BUYS, **ARMED}) as bot:
        bot.wait_for(r"^warn  mode +would be simulation.*redis_control.py live", 40)
        bot.wait_for(r"SIMULATION.*armed for live, but the mode store is set to simulation")
        bot.wait_for("filled", 60)
        assert bot.interrupt() < 5
    with reader(tmp_path, "synthetic") as ledger:
        assert len(ledger.trades()) == 1
    assert not ledger_path(tmp_path / "state", BOOK).exists()


# --- real orders ----------------------------------------------------------------------------------


def played(folder: Path, scene: dict[str, Any]) -> dict[str, Any]:
    """A run in accelerated time against a practice venue in Polymarket's place: see `hastened`."""
    done = subprocess.run(
        ["faketime", "-f", BEGIN, sys.executable, str(TESTS / "hastened.py"), str(folder), json.dumps(scene)],
        env={
            **os.environ,
            "FAKETIME_DONT_RESET": "1",
            "TZ": "UTC",
            "PYTHONPATH": f"{TESTS / 'venue'}:{TESTS.parent}",
        },
        capture_output=True,
        text=True,
        timeout=REAL_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "scene.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_a_market_is_traded_with_real_orders(tmp_path: Path) -> None:
    """`--live` with a venue in Polymarket's place: the operator's key signs one order, which fills and is
    paid."""
    account = Account.create()
    key = "0x" + bytes(account.key).hex()
    # The mode is stored in a Redis, whose process is outside of the accelerated time.
    store = RedisServer(tmp_path)
    settings = {**BUYS, **ARMED, "POLYMARKET_PK": key, "REDIS_PORT": str(store.endpoint.port)}
    try:
        scene = played(
            tmp_path,
            {
                "market": int(TRADED),
                "arguments": ["--live", "--markets", "1"],
                "settings": settings,
                "addresses": [account.address],
            },
        )
    finally:
        store.stop()
    assert scene["code"] == 0, scene["screen"]
    assert "Traceback" not in scene["screen"]
    assert "LIVE (real orders, real money)" in scene["screen"]
    orders = [(path, status) for method, path, status in scene["requests"] if method == "POST"]
    assert orders.count(("/order", 200)) == 1
    held = scene["accounts"][account.address]
    with reader(tmp_path, LIVE_PROFILE) as ledger:
        (trade,) = ledger.trades()
        run, check = ledger.last_run(), ledger.last_cash_check()
        assert run is not None
        assert (run.mode, run.venue) == (Mode.LIVE, Venue.POLYMARKET)
        assert check is not None
        assert abs(check.difference) <= Decimal("0.00001")
        assert check.venue_cash == Decimal(held["balance"]) > 1000
    assert trade.pnl is not None
    (order,) = [order for order in held["orders"] if Decimal(order["matched_usd"])]
    assert trade.cost == Decimal(order["matched_usd"])
    assert not (tmp_path / "paper_trades.json").exists()
    # The shadow venue of the paper profile was never needed.
    assert not (tmp_path / "state" / "polymarket").exists()
