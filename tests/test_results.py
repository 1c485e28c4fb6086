"""All sources of a run's results, including the venue's own database, agree."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from bot_process import BUYS, ROOT, BotProcess
from test_whole_bot import TRADED, TRADED_FAST

from execution.ledger import LedgerReader, ledger_path
from models import Frozen, TradeOutcome
from venue.ledger import VenueLedger

HTTP = httpx.Client(trust_env=False, verify=False)
MARKETS = 2
STARTED_WITH = 1_000_000_000
"""Starting balance of a practice account in micro pUSD."""
MICRO = Decimal("0.000001")


class Totals(Frozen, frozen=True):
    """The totals of a run: trades, fees and result, pUSD."""

    n: int
    fees: Decimal
    pnl: Decimal


class PageText(HTMLParser):
    """The text of a page, its white space folded."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def by_the_venue(state: Path, address: str) -> Totals:
    """From the practice account alone: amounts spent, charged and paid out."""
    ledger = VenueLedger(state / "venue")
    try:
        trades = [trade for trade in ledger.trades_of(address) if trade.status != "FAILED"]
        paid = sum(payout.amount for payout in ledger.payouts_of(address))
        account = ledger.account(address)
    finally:
        ledger.close()
    fees, spent = sum(trade.fee for trade in trades), sum(trade.usd for trade in trades)
    assert account is not None
    assert account.balance == STARTED_WITH + paid - spent - fees
    return Totals(len({trade.order_id for trade in trades}), fees * MICRO, (paid - spent - fees) * MICRO)


def view(state: Path, *flags: str) -> str:
    """The output of `view_paper_trades.py` on a wide screen."""
    return subprocess.run(
        [sys.executable, str(ROOT / "view_paper_trades.py"), "--state", str(state), *flags],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200"},
    ).stdout


@pytest.mark.slow
@pytest.mark.timeout(60 * (MARKETS + 4))
def test_all_records_agree(tmp_path):
    """Ledger, view, JSON, HTML, export, closing screen and practice account agree on n, fees and P&L."""
    with BotProcess(tmp_path, *TRADED_FAST, "--markets", str(MARKETS), settings=BUYS) as bot:
        assert bot.wait(60 * (MARKETS + 3)) == 0, bot.output
    state = tmp_path / "state"
    with LedgerReader(ledger_path(state, "recorded")) as ledger:
        trades, run, left = ledger.trades(), ledger.last_run(), ledger.positions()
        fees, pnl = sum((trade.fee for trade in trades), Decimal(0)), ledger.settled_pnl()
    assert trades
    assert (left, run.cash_drift) == ([], 0)
    totals = Totals(len(trades), fees, pnl)

    assert by_the_venue(state / "recorded", run.session) == totals

    shown = json.loads(view(state, "--json"), parse_float=Decimal)
    assert Totals(shown["n"], Decimal(shown["fees"]), Decimal(shown["pnl"])) == totals
    assert shown["performance"]["equity"] == 1000 + pnl == shown["cash"]["venue_cash"]

    wins = sum(trade.outcome is TradeOutcome.WIN for trade in trades)
    count = f"{totals.n} settled ({wins} won, {totals.n - wins} lost), 0 pending"
    money = f"fees {fees:.4f}, paid out {sum(trade.payout for trade in trades):.2f}, P&L {pnl:+.3f} pUSD"
    view(state, "--html", str(tmp_path / "report.html"))
    page = PageText((tmp_path / "report.html").read_text()).text
    for text in (view(state), page, bot.output):
        assert count in text
        assert money in text

    exported = json.loads((tmp_path / "paper_trades.json").read_text())
    assert [row["outcome"] for row in exported] == [trade.outcome for trade in trades]
    assert [row["size_usd"] for row in exported] == [1.0] * len(trades)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_bot_waits_while_a_resolution_contradicts_itself(tmp_path):
    """Two contradicting results settle nothing: the bot reports why, halts, and settles once they agree."""
    with BotProcess(tmp_path, *TRADED, settings=BUYS) as bot:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)")[1]
        HTTP.post(
            f"{url}/practice/faults", json={"name": "clob_contradicts", "count": None}
        ).raise_for_status()
        bot.wait_for(r"filled", 90)
        bot.wait_for(r"HALTED: btc-updown-15m-\d+ cannot be settled: the catalogue.s outcome is", 60)
        state = tmp_path / "state"
        (position,) = json.loads(view(state, "--json"), parse_float=Decimal)["positions"]
        text = view(state)
        export = tmp_path / "paper_trades.json"
        export.unlink()
        os.kill(bot.children()["worker"], signal.SIGKILL)
        bot.wait_for("starting it again")
        deadline = time.monotonic() + 30
        while not export.exists():
            assert time.monotonic() < deadline, bot.output
        (exported,) = json.loads(export.read_text())
        assert json.loads(view(state, "--json"), parse_float=Decimal)["positions"] == [position]
        HTTP.delete(f"{url}/practice/faults").raise_for_status()
        bot.wait_for(r"(Up|Down) won [+-]", 60)
        bot.interrupt()
    assert "has no official outcome yet: the catalogue's outcome is" in bot.output
    assert exported["outcome"] == "PENDING"
    assert position["mark"]["second"] > 840
    assert position["value"] == pytest.approx(position["shares"] * _chance(position))
    assert f"worth {position['value']:.4f}" in text
    assert "waiting for the official outcome for" in text
    assert "the order API's is" in text
    assert "HALTED: btc-updown" in text
    with LedgerReader(ledger_path(state, "recorded")) as ledger:
        assert ledger.positions() == []
        assert abs(ledger.last_cash_check().difference) <= 1e-5


def _chance(position: dict) -> Decimal:
    p = Decimal(position["mark"]["p"])
    return p if position["side"] == "Up" else 1 - p
