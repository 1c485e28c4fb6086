"""The machine's clock is set while the bot runs: over midnight UTC, over a change of daylight saving time."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from bot_process import BotProcess, SettableClock
from kills import BUYS_EARLY
from ledger_comparison import Paths, compare, rows
from prometheus_client.parser import text_string_to_metric_families

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(420),
    pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed"),
]

BEGIN = datetime(2026, 10, 24, 23, 20, tzinfo=UTC)
MIDNIGHT_NS = int(datetime(2026, 10, 25, tzinfo=UTC).timestamp()) * 10**9
ZONE = "XST0XDT,M10.5.0/0,M3.5.0/0"
"""A time zone whose local time goes forward by an hour at that midnight UTC."""
FLAGS = ("--test-mode", "--venue", "synthetic", "--first", "6", "--start-at", "400")
TRADES = (
    "SELECT s.slug, s.settled_ns, f.outcome, f.shares, f.price, f.fee, s.up_pays, s.down_pays"
    " FROM settlements s JOIN fills f USING (session, slug) WHERE f.ts_ns >= ?"
)


class Trade(NamedTuple):
    """A fill in a settled market."""

    slug: str
    settled_ns: int
    pnl: float


def settled(paths: Paths, since_ns: int = 0) -> list[Trade]:
    """The fills since a time whose market is settled."""
    found = []
    for slug, at_ns, outcome, shares, price, fee, up, down in rows(paths.ledger, TRADES, since_ns):
        pays = float(up if outcome == "Up" else down)
        found.append(Trade(slug, at_ns, float(shares) * (pays - float(price)) - float(fee)))
    return found


def status_ns(paths: Paths) -> int:
    """The time of the worker's newest status."""
    found = re.search(r'"ts_ns":(\d+)', (paths.ledger.parent / "pulse.json").read_text())
    assert found is not None
    return int(found[1])


def await_statuses(bot: BotProcess, paths: Paths, number: int) -> None:
    """Wait until the worker has written further statuses: its event loop runs, and its timers fire."""
    seen = {status_ns(paths)}

    def enough() -> bool:
        seen.add(status_ns(paths))
        return len(seen) > number

    bot.until(enough, f"{number} further statuses", 60)


def metrics(bot: BotProcess) -> dict[str, float]:
    """The values of the metrics without labels."""
    url = bot.wait_for(r"metrics at (http://127\.0\.0\.1:\d+/metrics)")[1]
    families = text_string_to_metric_families(httpx.get(url, trust_env=False, timeout=20).text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_the_clock_is_set_back_and_forth_by_an_hour_over_midnight(tmp_path: Path) -> None:
    """The same worker goes on, no market is bought twice, the ledger equals the venue, and the P&L of the day
    is that of the new UTC day only, whatever the local time is.
    """
    clock = SettableClock(tmp_path / "clock", BEGIN)
    settings = BUYS_EARLY | clock.environment | {"TZ": ZONE}
    paths = Paths.of(tmp_path, "synthetic")
    with BotProcess(tmp_path, *FLAGS, settings=settings) as bot:
        # A new ledger gets its columns version by version, and its first run after them.
        bot.until(lambda: rows(paths.ledger, "SELECT id FROM runs"), "a run in the ledger", 60)
        bot.until(lambda: settled(paths), "a settled trade", 150)
        worker = bot.children()["worker"]
        clock.set(-3600)
        await_statuses(bot, paths, 4)
        clock.set(7200)
        await_statuses(bot, paths, 4)
        bot.until(lambda: settled(paths, MIDNIGHT_NS), "a trade of the next day", 200)
        trades = settled(paths)
        shown = bot.until(
            lambda: (found := metrics(bot))["trading_settled_trades"] >= len(trades) and found, "metrics", 30
        )
        trades = settled(paths)
        assert bot.children()["worker"] == worker
        bot.interrupt()
        assert bot.process.returncode == 0
    assert "Traceback" not in bot.output
    report = compare(paths)
    assert report.wrong == ()
    today = [trade.pnl for trade in trades if trade.settled_ns >= MIDNIGHT_NS]
    assert 0 < len(today) < len(trades), "markets were settled on both days"
    assert shown["trading_total_pnl"] == pytest.approx(sum(trade.pnl for trade in trades), abs=0.001)
    assert shown["trading_day_pnl"] == pytest.approx(sum(today), abs=0.001)
