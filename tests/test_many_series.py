"""Several series in one process: all are traded in their windows, with one account and one ledger."""

import json
import re
from collections import Counter

import pytest
from bot_process import BUYS, BotProcess

from execution.ledger import LedgerReader, ledger_path
from models import series_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FOUR = {"MARKET_ASSET": "btc,eth", "MARKET_TIMEFRAME": "5m,15m"}
NAMES = {"btc-5m", "btc-15m", "eth-5m", "eth-15m"}
WIDE = {"MAX_POSITIONS": "20", "MAX_TOTAL_EXPOSURE": "20", "MAX_LOSS_PER_DAY": "20"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of four series: its folder and its lines."""
    folder = tmp_path_factory.mktemp("series")
    arguments = ("--test-mode", "--venue", "synthetic", "--markets", "8", "--json-lines", "--no-grafana")
    with BotProcess(folder, *arguments, settings=FOUR | BUYS | WIDE) as bot:
        assert bot.wait(200) == 0, bot.output
        output = bot.output
    return folder, [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_four_series_are_traded_at_once(run):
    """Each series opens markets and decides in their windows, and the bot buys in several of them."""
    _, lines = run
    opened = {line["series"] for line in lines if line["event"] == "market_opened"}
    assert opened == NAMES
    decided = Counter(line["series"] for line in lines if line["event"] == "decided")
    assert set(decided) == NAMES
    assert all(780 <= line["second"] < 840 for line in lines if line["event"] == "decided" and line["buys"])


def test_no_window_is_missed(run):
    """Every settled market was decided on inside its window."""
    _, lines = run
    settled = [line["slug"] for line in lines if line["event"] == "settled"]
    in_window = {line["slug"] for line in lines if line["event"] == "decided" and line["second"] < 840}
    assert len(settled) >= 8
    assert set(settled) <= in_window
    assert not [line for line in lines if line["event"] in ("halted", "market_refused")]


def test_the_ledger_has_all_of_them_and_agrees_with_the_venue(run):
    """One ledger: each series learns by itself, and the cash equals the venue's to the last digit."""
    folder, lines = run
    with LedgerReader(ledger_path(folder / "state", "synthetic")) as reader:
        trades = reader.trades()
    bought = {series_of(trade.slug).name for trade in trades}
    assert len(bought) > 1
    assert len({trade.slug for trade in trades}) == len(trades)
    # Between two checks a market may have been paid that is recorded after the second.
    assert 0 in [line["difference"] for line in lines if line["event"] == "cash_checked"]
    results = lines[-1]["results"]
    assert {group["name"] for group in results["performance"]["by_series"]} == bought


def test_a_limit_of_an_asset_holds_for_all_its_timeframes(tmp_path):
    """With one position allowed for btc, its second timeframe is refused by risk, with the setting's name."""
    settings = {"MARKET_TIMEFRAME": "5m,15m", "MAX_POSITIONS_PER_ASSET": "1"} | BUYS | WIDE
    arguments = ("--test-mode", "--venue", "synthetic", "--no-grafana")
    with BotProcess(tmp_path, *arguments, settings=settings) as bot:
        found = bot.wait_for(r"positions of btc are open, MAX_POSITIONS_PER_ASSET is 1", 90)
        assert found
        assert re.search(r"^BTC (5m|15m) \d\d \w{3} ", bot.output, re.MULTILINE)
