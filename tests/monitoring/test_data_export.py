"""Trades, decisions and latencies as CSV and Parquet: documented columns, exact values, whole files."""

import csv
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from ledger_builders import buy, open_ledger, refusal, settlement

import view_paper_trades
from execution.ledger import ledger_path
from models import OrderStage, Outcome
from monitoring.data_export import COLUMNS, Table

PAGE = (Path(__file__).parents[2] / "docs" / "data-export.md").read_text()


@pytest.fixture
def state(tmp_path):
    """A win, whose order has the times of its steps, a loss, an open trade and a refusal."""
    with open_ledger(ledger_path(tmp_path, "recorded")) as ledger:
        buy(ledger, 1)
        buy(ledger, 2, outcome=Outcome.DOWN, shares="1.25", price="0.8", fee="0.014")
        buy(ledger, 3, shares="1.0526", price="0.95", fee="0.0035")
        ledger.record_settlement(settlement(1))
        ledger.record_settlement(settlement(2))
        ledger.record_decision(refusal(4))
        stages = {OrderStage.QUOTE: 0, OrderStage.DECIDED: 1_234_567, OrderStage.POSTED: 4_000_001}
        ledger.record_trace("i1-1", stages)
    return tmp_path


def export(state, *flags):
    return view_paper_trades.main(["--state", str(state), "--venue", "recorded", *map(str, flags)])


@pytest.mark.parametrize("table", Table)
def test_the_columns_are_those_of_the_documentation(table):
    """In their order, each with a meaning."""
    section = PAGE[PAGE.index(f"## {table.capitalize()}") :].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", section, re.MULTILINE) == [
        column.name for column in COLUMNS[table]
    ]


def test_the_trades_as_csv(state, tmp_path, capsys):
    """One row a trade with exact amounts; what is not known is empty."""
    target = tmp_path / "trades.csv"
    assert export(state, "--csv", target) == 0
    assert capsys.readouterr().out == f"{target}: 3 rows of trades\n"
    with target.open(newline="") as file:
        won, lost, open_ = list(csv.DictReader(file))
    assert (won["side"], won["outcome"], won["winner"]) == ("Up", "WIN", "Up")
    assert (lost["cost"], lost["fee"], lost["payout"], lost["pnl"]) == ("1", "0.014", "0", "-1.014")
    assert (open_["shares"], open_["price"], open_["pnl"], open_["settled_at"]) == ("1.0526", "0.95", "", "")
    assert won["decided_at"] == "2026-09-28T12:00:01.000000000Z"


def test_both_files_have_the_same_values(state, tmp_path):
    """Parquet has decimals and UTC times of the same rows."""
    for table, number in ((Table.TRADES, 3), (Table.DECISIONS, 4)):
        text, binary = tmp_path / f"{table}.csv", tmp_path / f"{table}.parquet"
        export(state, "--table", table, "--csv", text, "--parquet", binary)
        with text.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = parquet.read_table(binary)
        assert columns.num_rows == len(rows) == number
        assert [Decimal(row["p"]) for row in rows] == columns.column("p").to_pylist()
        assert [row["slug"] for row in rows] == columns.column("slug").to_pylist()
        instants = columns.column("decided_at").cast("int64").to_pylist()
        assert [f"{instant % 10**9:09d}Z" for instant in instants] == [
            row["decided_at"].rpartition(".")[2] for row in rows
        ]
        assert [instant // 10**9 for instant in instants] == [
            int(datetime.fromisoformat(row["decided_at"][:19] + "Z").timestamp()) for row in rows
        ]


def test_a_refusal_is_a_row_of_the_decisions(state, tmp_path):
    """With its reason and text."""
    target = tmp_path / "decisions.csv"
    export(state, "--csv", target, "--table", "decisions")
    with target.open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert (last["buys"], last["reason"], last["detail"]) == ("false", "no_ask", "said so")


def test_the_steps_of_an_order_are_columns(state, tmp_path):
    """One row for each order with times, in nanoseconds; a step that it did not reach is empty, and null."""
    text, binary = tmp_path / "latency.csv", tmp_path / "latency.parquet"
    export(state, "--table", "latency", "--csv", text, "--parquet", binary)
    with text.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["intent_id"], row["decided_at"]) == ("i1-1", "2026-09-28T12:00:01.000000000Z")
    assert (row["decided_ns"], row["posted_ns"], row["answered_ns"]) == ("1234567", "4000001", "")
    (same,) = parquet.read_table(binary).to_pylist()
    assert (same["decided_ns"], same["posted_ns"], same["answered_ns"]) == (1234567, 4000001, None)


def test_a_file_that_cannot_be_written_is_named(state, tmp_path, capsys):
    """Exit code 1 and the file; nothing is left half written."""
    target = tmp_path / "folder"
    target.mkdir()
    assert export(state, "--csv", target) == 1
    assert f"{target} cannot be written: Is a directory" in capsys.readouterr().err
    assert not list(tmp_path.glob(".folder*"))
