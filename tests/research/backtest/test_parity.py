"""The whole bot on the practice venue and the backtest: the same decisions, orders, fills and P&L."""

import os
import shutil
import subprocess
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, ROOT
from stepped_bot import SteppedBot, SteppedClock, rows

from execution.ledger import ledger_path
from research.recordings import BUNDLED, RecordedMarket, load

MARKETS = 18
START_NS = 1_795_687_200 * 10**9
WINDOW_START_S, WINDOW_END_S, MARKET_S = 780, 840, 900
HISTORY = 100
"""Seconds with prices that the brain can see: from that many before the window on, every recorded book has a
step of its own. Before, the bot sees one book in COARSE_S seconds."""
COARSE_S = 20
"""Less than the minute without a message after which Nautilus opens a new connection of the market stream,
whose handshake has limits that are short for a clock that moves by minutes."""
TAKER_DELAY_NS = 150_000_000
SETTINGS = {**BUYS, "LEARNING_ENABLED": "false", "RESTART_AFTER_MINUTES": "1000"}

DECISIONS = """SELECT {market}, round(d.second, 3), d.outcome, d.reason, d.detail, d.p, d.ask, d.price_cap,
 d.fair, d.edge, d.score, d.confidence, d.weight, d.rule
 FROM decisions d JOIN markets m USING (session, slug) ORDER BY m.start, d.second"""
ORDERS = """SELECT {market}, i.outcome, i.usd, i.ask, i.price_cap, i.state, i.attempt
 FROM intents i JOIN markets m USING (session, slug) ORDER BY m.start, i.created_ns"""
FILLS = """SELECT {market}, f.outcome, f.shares, f.price, f.fee
 FROM fills f JOIN markets m USING (session, slug) ORDER BY m.start, f.price"""
SETTLEMENTS = """SELECT {market}, s.outcome
 FROM settlements s JOIN markets m USING (session, slug) ORDER BY m.start"""
CASH = "SELECT venue_cash, difference FROM cash_checks ORDER BY id DESC LIMIT 1"


def exact_from_s(recorded: RecordedMarket) -> int:
    """Market second from which HISTORY seconds with books of both sides remain until the window."""
    seconds = {int(kept.offset_ns // 10**9) for kept in recorded.snapshots if kept.bids and kept.asks}
    before = sorted(second for second in seconds if 0 <= second < WINDOW_START_S)
    return before[-HISTORY] if len(before) >= HISTORY else 0


def play(bot: SteppedBot, ledger: Path) -> None:
    """Step through all bundled markets."""
    first_ns, orders = bot.first_start_ns, 0
    for number, recorded in enumerate(load(BUNDLED)):
        start_ns = first_ns + number * MARKET_S * 10**9
        exact_from = exact_from_s(recorded)
        coarse = [*range(0, exact_from, COARSE_S), WINDOW_END_S, WINDOW_END_S + 30, MARKET_S, MARKET_S + 1]
        offsets = [second * 10**9 for second in coarse] + [
            kept.offset_ns for kept in recorded.snapshots if exact_from <= kept.offset_ns / 1e9 < WINDOW_END_S
        ]
        times = sorted({start_ns + offset for offset in offsets})
        while times:
            at_ns = times.pop(0)
            if at_ns <= bot.market_ns:
                continue
            bot.step_to(at_ns)
            before, orders = orders, len(rows(ledger, "SELECT intent_id FROM intents"))
            if orders > before:
                times = sorted({*times, at_ns + TAKER_DELAY_NS})


def number(value: Any) -> Any:
    """An amount as a number: the ledger has 1.17647 and 1.176470, which are equal."""
    try:
        return Decimal(value) if isinstance(value, str) else value
    except InvalidOperation:
        return value


def found_in(ledger: Path, market: str) -> dict[str, list[Any]]:
    return {
        name: [tuple(map(number, row)) for row in rows(ledger, statement.format(market=market))]
        for name, statement in (
            ("decisions", DECISIONS),
            ("orders", ORDERS),
            ("fills", FILLS),
            ("settlements", SETTLEMENTS),
            ("cash", CASH),
        )
    }


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
@pytest.mark.timeout(900)
def test_the_whole_bot_and_the_backtest_are_equal(tmp_path):
    """All 18 bundled markets, by runner, worker, adapter and practice venue on a stepped clock, and by the
    backtest: equal to the last digit."""
    ledger = ledger_path(tmp_path / "state", "recorded")
    arguments = ("--venue", "recorded", "--markets", str(MARKETS), "--first", "0", "--start-at", "0")
    clock = SteppedClock(tmp_path / "clock", START_NS)
    with SteppedBot(tmp_path, ledger, clock, (*arguments, "--no-grafana"), SETTINGS) as bot:
        play(bot, ledger)
        bot.run_to_end()
    assert "Traceback" not in bot.bot.output
    command = [sys.executable, "-m", "research.backtest", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **SETTINGS}, capture_output=True, check=True)
    live = found_in(ledger, "m.origin")
    backtest = found_in(tmp_path / "backtest" / "ledger.db", "m.slug")
    for name, found in live.items():
        assert found == backtest[name], name
    assert len(live["settlements"]) == MARKETS
    assert len(live["fills"]) >= 9
