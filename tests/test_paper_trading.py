"""The export: the seven keys, complete from the ledger, and written as a whole."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_builders import NOON_NS, buy, open_ledger, settlement

import paper_trading
from common import atomic_file
from errors import Temporary
from execution.ledger import FillStatus, LedgerReader
from models import Outcome, PaperTrade, TradeOutcome
from paper_trading import export_paper_trades, paper_trades

KEYS = ["timestamp", "direction", "size_usd", "price", "signal_score", "signal_confidence", "outcome"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "paper_trades.json"


def some_trade(outcome=TradeOutcome.PENDING):
    return PaperTrade(
        timestamp="2026-09-28T12:00:00+00:00",
        direction="LONG",
        size_usd=1.0,
        price=0.9,
        signal_score=61.5,
        signal_confidence=0.72,
        outcome=outcome,
    )


def test_ledger_to_file(tmp_path, path):
    """Wins, losses and pending trades of several runs are exported in order, with exactly the seven keys."""
    ledger_path = tmp_path / "ledger.sqlite"
    with open_ledger(ledger_path) as ledger:
        buy(ledger, 1)
        buy(ledger, 2, outcome=Outcome.DOWN, shares="1.25", price="0.8")
        ledger.record_settlement(settlement(1))
        ledger.record_settlement(settlement(2))
    with open_ledger(ledger_path) as ledger, LedgerReader(ledger_path) as reader:
        buy(ledger, 3)
        buy(ledger, 4)
        ledger.record_fill_status("t4-1", FillStatus.FAILED)

        export_paper_trades(paper_trades(reader), path)

    exported = json.loads(path.read_text())
    assert [list(row) for row in exported] == [KEYS] * 3
    assert exported[1] == {
        "timestamp": "2026-09-28T12:00:02+00:00",
        "direction": "SHORT",
        "size_usd": 1.0,
        "price": 0.8,
        "signal_score": 61.5,
        "signal_confidence": 0.72,
        "outcome": "LOSS",
    }
    assert [row["outcome"] for row in exported] == ["WIN", "LOSS", "PENDING"]


def test_the_size_is_what_was_ordered(tmp_path):
    """An order of $1 of which $0.60 was filled has size 1; the price is the cost per share."""
    ledger_path = tmp_path / "ledger.sqlite"
    with open_ledger(ledger_path) as ledger, LedgerReader(ledger_path) as reader:
        buy(ledger, shares="0.8", price="0.75", fee="0.0105", created_ns=NOON_NS)

        (trade,) = paper_trades(reader)

    assert (trade.size_usd, trade.price) == (1.0, 0.75)
    assert trade.timestamp == "2026-09-28T12:00:00+00:00"


def test_no_trades_is_an_empty_array(path):
    """A reader of the file never has to handle an empty file."""
    export_paper_trades([], path)

    assert json.loads(path.read_text()) == []


def test_indented_for_people(path):
    """The file is indented by two and ends with a newline."""
    export_paper_trades([some_trade()], path)

    assert path.read_text().startswith('[\n  {\n    "timestamp": "2026-09-28T12:00:00+00:00",\n')
    assert path.read_text().endswith("\n]\n")


@given(st.lists(st.builds(some_trade, st.sampled_from(TradeOutcome)), max_size=5))
def test_round_trip(tmp_path_factory, trades):
    """An export is read back unchanged, and replaces the previous one."""
    path = tmp_path_factory.getbasetemp() / "round.json"

    export_paper_trades(trades, path)

    assert [PaperTrade(**row) for row in json.loads(path.read_text())] == trades


def test_interrupted_export_keeps_the_old_file(path, monkeypatch):
    """A full disk during an export keeps the previous one, leaves no temporary file, and raises Temporary."""
    export_paper_trades([some_trade()], path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_file.os, "fsync", full)
    with pytest.raises(Temporary, match=r"paper_trades.json cannot be written: No space left"):
        export_paper_trades([some_trade(), some_trade()], path)

    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_two_bots_may_export_at_the_same_time(path, monkeypatch):
    """A concurrent export of another process damages neither; the last one to finish remains."""
    sync = os.fsync
    ours, theirs = [some_trade()], [some_trade(), some_trade()]

    def interrupted(descriptor):
        monkeypatch.setattr(atomic_file.os, "fsync", sync)
        with monkeypatch.context() as other:
            other.setattr(atomic_file.os, "getpid", lambda: 1)
            export_paper_trades(theirs, path)
        assert len(json.loads(path.read_text())) == 2
        sync(descriptor)

    monkeypatch.setattr(atomic_file.os, "fsync", interrupted)
    export_paper_trades(ours, path)

    assert len(json.loads(path.read_text())) == 1
    assert list(path.parent.glob("*.tmp")) + list(path.parent.glob(".*.tmp")) == []


def test_file_is_on_the_disk_before_it_has_its_name(path, monkeypatch):
    """The order is: sync the temporary file, rename it, sync the folder."""
    steps = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    def noted_replace(source, target):
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(atomic_file.os, "fsync", noted_fsync)
    monkeypatch.setattr(atomic_file.os, "replace", noted_replace)

    export_paper_trades([some_trade()], path)

    assert steps == ["file", "rename", "folder"]


def test_folder_that_is_a_file(tmp_path):
    """An impossible path is an error with a text."""
    (tmp_path / "here").write_text("")

    with pytest.raises(Temporary, match="cannot be written"):
        export_paper_trades([], tmp_path / "here" / "paper_trades.json")


def test_link_stays_a_link(tmp_path, path):
    """An export to a symbolic link replaces the content of its target."""
    target = tmp_path / "elsewhere.json"
    target.write_text("[]")
    path.symlink_to(target)

    export_paper_trades([some_trade()], path)

    assert path.is_symlink()
    assert len(json.loads(target.read_text())) == 1


def test_trade_without_a_vote(tmp_path):
    """A missing score is shown as 0."""
    ledger_path = tmp_path / "ledger.sqlite"
    with open_ledger(ledger_path) as ledger, LedgerReader(ledger_path) as reader:
        buy(ledger)
        (row,) = reader.trades()

    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    shown = paper_trading.paper_trade(type(row)(**fields | {"score": None, "confidence": None}))

    assert (shown.signal_score, shown.signal_confidence) == (0.0, 0.0)
    assert shown.size_usd == 1.0
