"""docs/ledger.md: every column is explained and exists, and every query runs and returns rows."""

import re
import sqlite3
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import buy, decision, intend, market, open_ledger, refusal, send, settlement

from execution.ledger import FillStatus, LedgerReader, Mode
from models import OrderStage, OrderState, Outcome, Rule, Split, Strike

PAGE = (Path(__file__).parent.parent / "docs" / "ledger.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A ledger in which every kind of row exists."""
    path = tmp_path_factory.mktemp("docs") / "ledger.sqlite"
    with open_ledger(path, note="recorded") as ledger:
        buy(ledger, 1)
        buy(ledger, 2, outcome=Outcome.DOWN, shares="1.25", price="0.8", fee="0.014")
        buy(ledger, 3)
        buy(ledger, 4)
        ledger.record_fill_status("t1-1", FillStatus.CONFIRMED)
        ledger.record_trace("i1-1", {OrderStage.QUOTE: 0, OrderStage.POSTED: 4_200_000})
        for number in (1, 2, 3):
            ledger.record_settlement(settlement(number))
        ledger.record_mark(market(4).slug, 820.5, Decimal("0.955"))
        ledger.record_delay(market(4).slug, "Gamma does not list it, the order API names no winner")
        buy(ledger, 10)
        halves = Split(up=Decimal("0.5"), down=Decimal("0.5"))
        ledger.record_settlement(msgspec.structs.replace(settlement(10), outcome=None, split=halves))
        ledger.record_redemption(market(1).slug, Decimal("1.1"))
        ledger.record_strike(market(1).slug, Strike(Decimal("65000.5"), Rule.TWAP60, "coinbase_mean60"), None)
        ledger.record_strike(
            market(1).slug, Strike(Decimal("65001"), Rule.TWAP60, "chainlink_twap60/rtds"), 1
        )
        ledger.record_decision(refusal(5))
        ledger.record_decision(decision(9, reason="disagreement"))
        ledger.record_settlement(settlement(9))
        ledger.record_state(send(ledger, 6), OrderState.NO_FILL, "no orders found to match")
        ledger.record_state(send(ledger, 7), OrderState.UNKNOWN, "timeout")
        intend(ledger, 8)
        ledger.record_terms(market(1).slug, {"fee_rate": "0.07", "tick": "0.01"})
        ledger.record_terms(market(2).slug, {"fee_rate": "0.072", "tick": "0.01"})
        ledger.record_cash_check(Decimal("990"))
        ledger.record_mode(Mode.SIMULATION, True, "started without --live")
        ledger.record_halt("three refusals")
        ledger.record_resume("three refusals")
        ledger.record_weights(20, {"SpikeDetection": 0.12}, {"SpikeDetection": 0.13})
    with open_ledger(path, cash="990"):
        pass
    return path


@pytest.fixture
def shell(book):
    with sqlite3.connect(f"file:{book}?mode=ro", uri=True) as connection:
        yield connection
    connection.close()


def test_there_are_a_dozen_queries():
    """The page has at least twelve, so that the next test has cases."""
    assert len(QUERIES) >= 12


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:40])
def test_query_runs_and_finds_something(shell, query):
    """A query of the page runs unchanged, and returns rows where there are any."""
    assert shell.execute(query).fetchall()


def test_trades_agree_with_the_reader(book, shell):
    """The page's first query returns the values of the exact reader for each trade."""
    with LedgerReader(book) as reader:
        trades = {trade.slug: trade for trade in reader.trades()}
    rows = shell.execute(QUERIES[0]).fetchall()

    assert {row[1] for row in rows} == set(trades)
    for _, slug, side, cost, fee, winner, pnl in rows:
        trade = trades[slug]
        assert (side, winner) == (trade.side, trade.winner)
        assert (cost, fee) == pytest.approx((float(trade.cost), float(trade.fee)), abs=2e-6)
        assert pnl == (None if trade.pnl is None else pytest.approx(float(trade.pnl), abs=2e-6))


def test_every_column_is_explained_and_exists(shell):
    """Tables and columns of the page are those of the schema, none more, none less."""
    explained = {}
    for name, body in re.findall(r"^### (\w+) — .*?\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE):
        cells = re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
        explained[name] = [column for cell in cells for column in re.findall(r"`(\w+)`", cell)]
    tables = shell.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    real = {
        name: [column for _, column, *_ in shell.execute(f"PRAGMA table_info({name})")] for (name,) in tables
    }

    assert {name: sorted(columns) for name, columns in explained.items()} == {
        name: sorted(columns) for name, columns in real.items()
    }
