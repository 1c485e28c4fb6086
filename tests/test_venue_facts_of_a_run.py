"""The bot confirms its assumptions about the venue by itself, and halts where the venue contradicts one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, ROOT, BotProcess
from kills import arm, venue_url

from control.halt_file import HALT_FILE, HaltFile
from execution.venue_facts.store import FACTS_FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

REHEARSAL = ("--test-mode", "--live", "--venue", "synthetic", "--no-grafana")
EARLY = BUYS | {
    "TREND_UP_THRESHOLD": "0.501",
    "TREND_DOWN_THRESHOLD": "0.5",
    "TRADE_WINDOW_START": "60",
    "TRADE_WINDOW_END": "880",
    "LIVE_TRADING_CONFIRM": "yes",
}
"""Settings under which each market is bought: its favourite, as soon as it has one."""
PROFILE = "rehearsal-synthetic"


def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of the practice venue by assumption."""
    path = folder / "state" / FACTS_FILE
    return json.loads(path.read_text())["venues"].get("practice", {}) if path.exists() else {}


def command(folder: Path, *arguments: str) -> str:
    given = [sys.executable, str(ROOT / "view_paper_trades.py"), "--state", str(folder / "state"), *arguments]
    return subprocess.run(given, capture_output=True, text=True, check=True, cwd=folder).stdout


def test_a_rehearsal_confirms_and_one_basis_point_more_halts(tmp_path: Path):
    """A market with the stated fee confirms it; one basis point more in the
    next market is a contradiction, with what was expected and what came, and halts trading."""
    with BotProcess(tmp_path, *REHEARSAL, "--first", "2", "--start-at", "60", settings=EARLY) as bot:
        confirmed = bot.until(lambda: "fee-rounding" in recorded(tmp_path), "the first cash check", 150)
        assert confirmed
        arm(venue_url(bot), "fee_offset", None, {})
        halt = bot.wait_for(
            r"HALTED: the venue contradicts fee-rate.*expected (.*), came (.*) was charged", 150
        )
        bot.interrupt()
    records = recorded(tmp_path)
    orders = {"minimum-order", "order-tick", "order-status", "user-stream", "stated-fee", "outcome-order"}
    for name in (*orders, "fee-rounding", "catalogue-version", "ended-market", "permission", "location"):
        assert records[name]["confirmations"] > 0, name
        assert records[name]["contradictions"] == 0, name
    # The first market is one of version v1, the second of v2.
    for name in ("order-id", "order-id-v2"):
        answer = json.loads(records[name]["confirmed"]["raw"])
        assert answer["orderID"] == records[name]["confirmed"]["seen"]
    fee = records["fee-rate"]
    assert (fee["confirmations"], fee["contradictions"]) == (1, 1)
    assert fee["contradicted"]["expected"].startswith("a fee of $0.0")
    assert halt[2] in fee["contradicted"]["seen"]
    assert "polymarket" not in json.loads((tmp_path / "state" / FACTS_FILE).read_text())["venues"]
    assert "fee-rate" in str(HaltFile(tmp_path / "state" / PROFILE / HALT_FILE).standing())

    shown = command(tmp_path, "--venue-facts", "--venue", PROFILE)
    assert "contradicted  fee-rate" in shown
    assert "confirmed     order-id" in shown
    assert "not seen yet  second-redemption" in shown
    assert command(tmp_path, "--venue-facts", "--live").startswith(
        "VENUE FACTS: Polymarket: 0 confirmed, 0 contradicted, "
    )
    command(tmp_path, "--venue", PROFILE, "--html", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "Assumptions about the practice venue" in page
    assert "was charged" in page
