"""A backtest of all bundled markets, and a second computation of its fills, fees and P&L."""

import json
import sqlite3
import subprocess
import sys
from bisect import bisect_right
from contextlib import closing
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from bot_process import ROOT

DATA = ROOT / "venue" / "data"
DELAY_MS = 150
FEE_RATE = Decimal("0.07")


def backtest(folder: Path, *arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "research.backtest", "--out", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout


def dump(folder: Path) -> list[str]:
    """All rows of a run's ledger."""
    with closing(sqlite3.connect(folder / "backtest" / "ledger.db")) as database:
        return list(database.iterdump())


def recomputed(slug: str, outcome: str, created_ns: int, usd: Decimal, cap: Decimal) -> tuple[Decimal, ...]:
    """Shares, cost, fee and P&L of an order that spends `usd` at `cap` or better, from the files alone."""
    catalogue = json.loads((DATA / "catalog.json").read_text())["recordings"]
    index = [entry["slug"] for entry in catalogue].index(slug)
    entry = catalogue[index]
    rows = parquet.ParquetFile(DATA / "books.parquet").read_row_group(index).to_pydict()
    arrived_ms = created_ns // 1_000_000 - entry["start"] * 1000 + DELAY_MS
    row = bisect_right(rows["offset_ms"], arrived_ms) - 1
    if outcome == "Up":
        asks = zip(rows["ask_mills"][row], rows["ask_centi_shares"][row], strict=True)
    else:
        asks = (
            (1000 - p, size)
            for p, size in zip(rows["bid_mills"][row], rows["bid_centi_shares"][row], strict=True)
        )
    left, shares, cost, fee = usd, Decimal(0), Decimal(0), Decimal(0)
    for mills, centi_shares in asks:
        price, size = Decimal(mills) / 1000, Decimal(centi_shares) / 100
        if price > cap:
            break
        wanted = (left / price).quantize(Decimal("0.000001"), ROUND_DOWN)
        part = min(wanted, size)
        paid = (part * price).quantize(Decimal("0.000001"), ROUND_DOWN)
        left, shares, cost = left - paid, shares + part, cost + paid
        fee += (part * FEE_RATE * price * (1 - price)).quantize(Decimal("0.00001"), ROUND_HALF_UP)
        if wanted <= size:
            break
    payout = shares if (outcome == "Up") is entry["up_won"] else Decimal(0)
    return shares, cost, fee, payout - cost - fee


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_bundled_markets_twice(tmp_path):
    """18 markets: every fill, fee and P&L equals the second computation; a second run, on two processes, is
    identical."""
    shown = json.loads(backtest(tmp_path / "first", "--json"), parse_float=Decimal)
    backtest(tmp_path / "second", "--workers", "2", "--html", str(tmp_path / "report.html"))
    assert dump(tmp_path / "first") == dump(tmp_path / "second")
    assert "<svg" in (tmp_path / "report.html").read_text()
    with closing(sqlite3.connect(tmp_path / "first" / "backtest" / "ledger.db")) as database:
        orders = database.execute(
            "SELECT intent_id, slug, outcome, created_ns, usd, price_cap FROM intents ORDER BY created_ns"
        ).fetchall()
        fills = database.execute("SELECT intent_id, shares, price, fee FROM fills").fetchall()
    total = Decimal(0)
    for intent_id, slug, outcome, created_ns, usd, cap in orders:
        own = [(Decimal(s), Decimal(p), Decimal(f)) for owner, s, p, f in fills if owner == intent_id]
        expected = recomputed(slug, outcome, created_ns, Decimal(usd), Decimal(cap))
        assert sum(shares for shares, _, _ in own) == expected[0], slug
        assert sum(fee for _, _, fee in own) == expected[2], slug
        total += expected[3]
    assert len(orders) == shown["n"] == 6
    assert shown["pnl"] == total
    assert shown["cash"]["difference"] == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_bad_recording_leaves_nothing(tmp_path):
    """The command ends with exit code 1 and the file and row of the error; there is no ledger."""
    slug, out = "btc-updown-15m-1790586000", tmp_path / "out"
    table = tmp_path / "quotes.csv"
    table.write_text(f"slug,time,best_bid,best_ask,outcome\n{slug},1790586001,0.4,0.5,Up\n{slug},17905")
    command = [sys.executable, "-m", "research.backtest", "--recordings", str(table), "--out", str(out)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 1
    assert f"{table}, row 2: it has 2 columns, not 5: the file is truncated" in " ".join(ended.stderr.split())
    assert [path for path in out.rglob("*") if path.is_file()] == []
