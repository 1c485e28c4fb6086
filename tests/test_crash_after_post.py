"""The worker is killed around the POST of its order: the order is filled at most once, and recorded."""

import os
import signal
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import kills
import pytest
from bot_process import BUYS, BotProcess
from ledger_comparison import Paths
from test_whole_bot import TRADED

from execution.ledger import LedgerReader, ledger_path
from models import OrderState


class Venue:
    """The practice venue of a running bot, read through its public interface."""

    def __init__(self, bot: BotProcess) -> None:
        self._url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)")[1]
        self._paths = Paths.of(bot.folder, "recorded")

    def arm(self, name: str, count: int | None, **parameters: float) -> None:
        kills.arm(self._url, name, count, parameters)

    def account(self) -> dict[str, Any]:
        """The bot's account; empty before it has one."""
        return kills.account(self._url, self._paths) or {"orders": []}

    def posts(self) -> int:
        """Number of orders posted by all workers."""
        log = httpx.get(f"{self._url}/practice/log", trust_env=False, timeout=5).json()
        return sum((row["method"], row["path"]) == ("POST", "/order") for row in log)


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Poll a condition without a pause, so that little time passes after it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds:g} s"


def book(folder: Path) -> LedgerReader:
    return LedgerReader(ledger_path(folder / "state", "recorded"))


def assert_recorded_as_at_the_venue(folder: Path, account: dict[str, Any]) -> None:
    """One trade in the ledger, at the price of the venue's own, and the same cash on both sides."""
    with book(folder) as ledger:
        (trade,) = ledger.trades()
        states = [row.state for row in ledger.attempts(trade.slug)]
        check, held = ledger.last_cash_check(), ledger.balances()[0]
    assert states.count(OrderState.MATCHED) == 1
    (order,) = [order for order in account["orders"] if Decimal(order["matched_shares"]) > 0]
    assert trade.cost == Decimal(order["matched_usd"])
    assert trade.fee == sum(Decimal(row["fee"]) for row in account["trades"])
    assert {row["order_id"] for row in account["trades"]} == {order["id"]}
    assert check is not None
    assert abs(check.difference) <= Decimal("0.00001")
    assert abs(held - Decimal(account["balance"])) <= Decimal("0.00001")


def assert_nothing_external(folder: Path) -> None:
    """Nautilus took over no position that it did not open itself, which would have no price."""
    for path in (folder / "logs" / "nautilus").iterdir():
        lines = [line for line in path.read_text().splitlines() if "Position" in line]
        assert [line for line in lines if "EXTERNAL" in line or "avg_px_open=0.0," in line] == []


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("lost", "parameters"),
    [("drop_after_accept", {}), ("hang", {"seconds": 5.0})],  # the venue logs a request at its end
)
def test_killed_after_the_order_was_accepted(lost, parameters, tmp_path):
    """The answer and the user stream are lost and the worker is killed: the next one records the one fill."""
    with BotProcess(tmp_path, *TRADED, settings=BUYS) as bot:
        venue = Venue(bot)
        venue.arm(lost, 1, **parameters)
        venue.arm("user_feed_silent", None)
        until(lambda: bool(venue.account()["orders"]), 90)
        os.kill(bot.children()["worker"], signal.SIGKILL)
        bot.wait_for("starting it again")
        bot.wait_for(r"(Up|Down) won [+-]", 100)
        account, posts = venue.account(), venue.posts()
        bot.interrupt()
    assert posts == len(account["orders"]) == 1
    assert "HALTED" not in bot.output
    assert_recorded_as_at_the_venue(tmp_path, account)
    assert_nothing_external(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_killed_when_the_order_is_on_disk(tmp_path):
    """The worker is killed when the ledger has the order, before its first byte or during the POST: a fill at
    the venue is recorded once, and an order that never arrived is closed.
    """
    outcome = kills.play(kills.Kill(0, "worker", 0.0, "prompt", live=False), tmp_path)
    assert outcome.phase in ("before POST", "during POST")
    assert outcome.wrong == ()
    assert_nothing_external(tmp_path)
