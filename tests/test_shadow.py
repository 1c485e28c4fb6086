"""Paper trading on the real venue, tested on loopback: a second practice venue takes Polymarket's place.

Everything runs under one `faketime`, so that a quarter of an hour takes about a minute.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS
from eth_account import Account

from execution.ledger import LedgerReader, ledger_path
from models import Outcome
from venue.sources.synthetic import SyntheticSource

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed"),
]

TESTS = Path(__file__).parent
MARKET = 6
"""A generated market whose favourite is offered in the whole window, and wins."""
BEGIN = "@2026-12-01 12:09:00 x12"
"""Market second 540; the bot runs half a minute of real time before the window."""
START = 1_796_126_400
"""12:00, the start of the market that runs then."""
REAL_SECONDS = 150
CANARY = "0x" + "11" * 32
"""A test key that a paper run must never use."""


def played(folder: Path, *arguments: str) -> dict[str, Any]:
    """The result of a run in accelerated time."""
    scene = {"market": MARKET, "arguments": arguments, "settings": {**BUYS, "POLYMARKET_PK": CANARY}}
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


def reader(folder: Path) -> LedgerReader:
    return LedgerReader(ledger_path(folder / "state", "polymarket"))


def matches(folder: Path) -> list[dict[str, Any]]:
    """The fills in the mirror's own database."""
    with closing(sqlite3.connect(folder / "state" / "polymarket" / "venue" / "venue.sqlite3")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM trade ORDER BY match_ns")]


def offered(second: float, outcome: str) -> set[int]:
    """Ask prices, in mills, of the upstream's books around a market second."""
    books = [SyntheticSource().book(MARKET, second - late) for late in (0, 1)]
    own = [book if outcome == "Up" else book.mirrored() for book in books]
    return {price for book in own for price, _ in book.asks}


def test_a_market_is_traded_on_paper_against_the_live_books(tmp_path: Path) -> None:
    """`python runner.py` decides in the window, fills at a price of the upstream, is paid by its outcome."""
    scene = played(tmp_path, "--markets", "1")
    assert scene["code"] == 0, scene["screen"]
    assert "Traceback" not in scene["screen"]
    (match,) = matches(tmp_path)
    second = match["match_ns"] / 1e9 - START
    assert 780 <= second < 841
    assert match["price"] in offered(second, match["outcome"])
    with reader(tmp_path) as ledger:
        (trade,) = ledger.trades()
        assert trade.cost == Decimal(match["usd"]) / 10**6
        assert trade.fee == Decimal(match["fee"]) / 10**6
        assert (trade.slug, trade.side) == (f"btc-updown-15m-{START}", Outcome.UP)
        assert SyntheticSource().up_wins(MARKET)
        cash = ledger.last_cash_check()
        assert cash is not None
        assert abs(cash.difference) <= Decimal("0.00001")
        assert cash.venue_cash > 1000
    assert match["address"] != Account.from_key(CANARY).address
    # Only reading requests: no order, no key, no account at the upstream.
    assert {method for method, _, _ in scene["requests"]} == {"GET"}
    assert not any("auth" in path or "balance" in path for _, path, _ in scene["requests"])
    asked = [path for _, path, _ in scene["requests"] if path.startswith("/book")]
    assert len(asked) <= 20, asked


def test_test_mode_decides_every_minute_of_the_running_market(tmp_path: Path) -> None:
    """`--test-mode --venue polymarket` decides once a minute in the running market, buys once, and
    settles."""
    scene = played(tmp_path, "--test-mode", "--venue", "polymarket", "--markets", "1")
    assert scene["code"] == 0, scene["screen"]
    with reader(tmp_path) as ledger:
        rows = [row for row in ledger.decisions() if row.slug == f"btc-updown-15m-{START}"]
        minutes = [int(ledger.decision(row.id).context.second // 60) for row in rows]
        assert len(minutes) >= 4
        assert len(set(minutes)) == len(minutes), minutes
        assert minutes == list(range(minutes[0], minutes[0] + len(minutes)))
        (trade,) = ledger.trades()
        cash = ledger.last_cash_check()
        assert cash is not None
        assert abs(cash.difference) <= Decimal("0.00001")
    (match,) = matches(tmp_path)
    assert match["price"] in offered(match["match_ns"] / 1e9 - START, match["outcome"])
    assert trade.fee == Decimal(match["fee"]) / 10**6
