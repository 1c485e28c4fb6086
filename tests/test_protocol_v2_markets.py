"""The bot on markets of both protocol versions: one after the other, without an approval, and killed."""

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, ROOT, BotProcess
from canned_server import CannedServer

sys.path += [str(Path(__file__).parent / "venue")]
from eth_account import Account
from kills import account, arm, venue_url
from ledger_comparison import Paths, compare, rows, venue_copy
from process import HTTP, VenueProcess

from execution.ledger import LedgerReader
from execution.polymarket_client import throwaway_key
from models import OrderState
from view_paper_trades import as_json, load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

GENERATED = ("--test-mode", "--venue", "synthetic", "--no-grafana")
FAST = ("--speed", "30")
"""Half a minute a market, for tests with `EARLY`, whose window is almost the whole market."""
EXCHANGE_V3 = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
MILLIONTH = Decimal("0.000001")
EARLY = BUYS | {
    "TREND_UP_THRESHOLD": "0.501",
    "TREND_DOWN_THRESHOLD": "0.5",
    "TRADE_WINDOW_START": "60",
    "TRADE_WINDOW_END": "880",
}
"""Settings under which each market is bought: its favourite, as soon as it has one."""


def assert_equal_everywhere(folder: Path, trades: int) -> None:
    """Ledger, venue and JSON have the same trades and cash; each amount agrees to a millionth."""
    paths = Paths.of(folder, "synthetic")
    report = compare(paths)
    assert report.wrong == ()
    assert (report.lost, report.doubled, report.unresolved) == (0, 0, ())
    with LedgerReader(paths.ledger) as ledger:
        recorded, flow = ledger.trades(), ledger.cash_flow()
    assert len(recorded) == trades
    exported = json.loads((folder / "paper_trades.json").read_text())
    copy = venue_copy(paths.venue, folder)
    wanted = 'SELECT start, matched_usd, matched_shares FROM "order" WHERE matched_shares > 0 ORDER BY start'
    orders = rows(copy, wanted)
    fees = rows(copy, "SELECT start, sum(fee) FROM trade GROUP BY start ORDER BY start")
    ((balance,),) = rows(copy, "SELECT balance FROM account")
    assert abs(flow.cash - Decimal(balance) / 1_000_000) <= MILLIONTH
    for trade, shown, (start, usd, shares), (_, fee) in zip(recorded, exported, orders, fees, strict=True):
        assert trade.market_start == start
        assert abs(trade.cost - Decimal(usd) / 1_000_000) <= MILLIONTH
        assert abs(trade.fee - Decimal(fee) / 1_000_000) <= MILLIONTH
        assert abs(Decimal(str(shown["price"])) - Decimal(usd) / shares) <= MILLIONTH
        assert (shown["size_usd"], shown["outcome"]) == (float(trade.usd), trade.outcome)
    totals = json.loads(as_json(load(paths.ledger, "synthetic", None)))
    spent = sum(Decimal(usd) for _, usd, _ in orders) / 1_000_000
    assert abs(Decimal(str(totals["staked"] + totals["staked_pending"])) - spent) <= MILLIONTH
    assert abs(Decimal(str(totals["cash"]["ledger_cash"])) - Decimal(balance) / 1_000_000) <= MILLIONTH


def intents(folder: Path) -> list[tuple[Any, ...]]:
    """Version, position id, token and state of each intent, oldest first."""
    question = "SELECT version, position_id, token_id, state FROM intents ORDER BY created_ns"
    return rows(Paths.of(folder, "synthetic").ledger, question)


def prepared(folder: Path, *arguments: str, **fields: Any) -> None:
    """Create the state of the bot's practice venue, with its options and the bot's account."""
    venue = folder / "state" / "synthetic" / "venue"
    address = Account.from_key(throwaway_key(venue / "wallet.json")).address
    with VenueProcess.start("--source", "synthetic", *arguments, "--state", str(venue)) as running:
        running.set_account(address, **fields)


def test_both_versions_are_traded_one_after_the_other(tmp_path):
    """Four generated markets, v1 and v2 by turns: each is bought by its own ids, settled, paid and booked."""
    with BotProcess(
        tmp_path, *GENERATED, *FAST, "--markets", "4", "--first", "2", "--start-at", "60", settings=EARLY
    ) as bot:
        assert bot.wait(420) == 0, bot.output
    assert "Traceback" not in bot.output
    made = intents(tmp_path)
    versions = [version for version, *_ in made]
    # On a busy machine the first market is over before the bot has its prices; a fifth one is bought before
    # the result of the fourth.
    assert len(versions) >= 3
    assert all(one != other for one, other in pairwise(versions))
    for version, position, token, state in made:
        assert position == (token if version == "v2" else None)
        assert (int(token) >> 248 == 1 and int(token) >> 40 & (2**64 - 1) == 0) is (version == "v2")
        assert state == OrderState.MATCHED
    assert_equal_everywhere(tmp_path, len(made))


def test_the_rule_buys_in_both_versions_without_any_setting(tmp_path):
    """With defaults only, the third generated market, v1, and the fourth, v2, are ordered and booked."""
    with BotProcess(tmp_path, *GENERATED, "--markets", "3", "--first", "1") as bot:
        assert bot.wait(360) == 0, bot.output
    assert "Traceback" not in bot.output
    made = intents(tmp_path)
    assert {version for version, *_ in made} == {"v1", "v2"}
    # A price may have left the cap during the venue's delay: then there is an order, and no fill.
    matched = [state for *_, state in made if state == OrderState.MATCHED]
    assert matched
    assert_equal_everywhere(tmp_path, len(matched))


def test_a_market_is_traded_with_the_venues_current_library(tmp_path):
    """polymarket-client signs and sends the order of a position and of a CTF token: equal books."""
    chosen = EARLY | {"ORDER_CLIENT": "polymarket-client"}
    with BotProcess(
        tmp_path, *GENERATED, *FAST, "--markets", "2", "--start-at", "60", settings=chosen
    ) as bot:
        assert bot.wait(360) == 0, bot.output
    assert "Traceback" not in bot.output
    made = intents(tmp_path)
    assert {state for *_, state in made} == {OrderState.MATCHED}
    assert "v2" in {version for version, *_ in made}
    assert_equal_everywhere(tmp_path, len(made))


def test_a_market_of_an_unknown_version_is_refused_and_the_bot_goes_on(tmp_path):
    """Named once on the screen and once to the operator; it has no order, and the next market is traded."""
    with CannedServer() as operator:
        operator.default = (200, {})
        notified = EARLY | {"NOTIFY_URL": operator.url.replace("http", "json")}
        with BotProcess(tmp_path, *GENERATED, *FAST, "--markets", "2", settings=notified) as bot:
            url = venue_url(bot)
            running = HTTP.get(f"{url}/practice/info").json()["current"]
            unknown = f"btc-updown-15m-{int(running.rpartition('-')[2]) + 900}"
            arm(url, "gamma_value", None, {"field": "version", "value": "v3", "slug": unknown})
            assert bot.wait(360) == 0, bot.output
        sent = [json.loads(body) for _, _, body in operator.asked]
    assert "Traceback" not in bot.output
    text = f"market {unknown} is of protocol version v3, only v1 and v2 are supported"
    assert bot.output.count(f"{unknown} is not traded: {text}") == 1
    (alert,) = [note for note in sent if note["title"].endswith("Protocol version not supported")]
    assert alert["message"].startswith(text)
    assert [note for note in sent if note["title"].endswith("Market not traded")] == []
    question = "SELECT slug FROM intents WHERE state = 'matched' ORDER BY created_ns"
    bought = [slug for (slug,) in rows(Paths.of(tmp_path, "synthetic").ledger, question)]
    assert unknown not in bought
    assert max(bought) > unknown
    assert_equal_everywhere(tmp_path, len(bought))


def test_a_missing_allowance_of_exchange_v3_is_named_and_costs_nothing(tmp_path):
    """The doctor names it before the start, the v2 market is refused by name, the v1 market is traded."""
    prepared(tmp_path, allowances={EXCHANGE_V3: "0"})
    doctor = subprocess.run(
        [sys.executable, str(ROOT / "runner.py"), *GENERATED, "--doctor"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "STATE_DIR": str(tmp_path / "state"), "COLUMNS": "400"},
    )
    assert f"the allowance of Exchange V3 ({EXCHANGE_V3}) is $0" in doctor.stdout
    with BotProcess(tmp_path, *GENERATED, *FAST, "--markets", "2", "--start-at", "60", settings=EARLY) as bot:
        assert bot.wait(360) == 0, bot.output
    assert "Traceback" not in bot.output
    made = intents(tmp_path)
    assert {(version, state) for version, _, _, state in made} == {("v2", "refused"), ("v1", "matched")}
    details = rows(Paths.of(tmp_path, "synthetic").ledger, "SELECT detail FROM intents WHERE version = 'v2'")
    for (detail,) in details:
        assert f"the allowance of Exchange V3 ({EXCHANGE_V3}) is $0, below the order's $1.0" in detail
    assert_equal_everywhere(tmp_path, sum(state == "matched" for *_, state in made))


def test_killed_between_post_and_answer_in_a_v2_market(tmp_path):
    """The order of a position is filled, its answer is lost with the worker: one fill, recorded once."""
    prepared(tmp_path, "--protocol", "v2")
    paths = Paths.of(tmp_path, "synthetic")
    with BotProcess(tmp_path, *GENERATED, "--markets", "1", "--start-at", "60", settings=EARLY) as bot:
        url = venue_url(bot)
        arm(url, "hang", 1, {"seconds": 10.0})
        arm(url, "user_feed_silent", None, {})
        bot.until(lambda: (account(url, paths) or {}).get("orders"), "an order at the venue", 150, pause=0.01)
        os.kill(bot.children()["worker"], signal.SIGKILL)
        bot.wait_for("starting it again", 60)
        bot.wait_for(r"(Up|Down) won [+-]", 180)
        bot.interrupt()
    (made, *_) = intents(tmp_path)
    assert (made[0], made[3]) == ("v2", "matched")
    (states,) = rows(paths.ledger, "SELECT group_concat(state) FROM (SELECT state FROM order_states LIMIT 4)")
    assert states == ("intent,sent,unknown,matched",)
    assert_equal_everywhere(tmp_path, len(intents(tmp_path)))
