"""The order's path when the venue misbehaves: one fill, at its real price, and the books in order."""

import json
import urllib.request
from typing import Any

import pytest
from bot_process import BotProcess
from test_whole_bot import BUYS, TRADED, view

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
    """Let something go wrong at the venue."""
    body = json.dumps({"name": fault, "count": count, "parameters": parameters}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/practice/faults", body, headers), timeout=5):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_one_order_one_fill(fault, tmp_path):
    """Whatever is lost, late, doubled or out of order, the market is bought once and the cash agrees."""
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=BUYS) as bot:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", 20)[1]
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
    """Its flag is against trading: nothing is sent, nothing is halted, and the ledger says why."""
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=BUYS) as bot:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", 20)[1]
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
