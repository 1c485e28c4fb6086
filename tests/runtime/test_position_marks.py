"""Marks of open positions: made when there is a position, at intervals, and at the end."""

import time
from contextlib import closing
from decimal import Decimal

import pytest
from ledger_builders import buy, market, open_ledger

import runtime.worker.position_marks
from execution.ledger import LedgerReader
from execution.ledger_thread import LedgerThread
from runtime.worker.position_marks import PositionMarker

P = Decimal("0.9")


class MarkerBench:
    """A marker with a ledger file of its own; `held` are the markets with a position."""

    def __init__(self, path):
        self.path = path
        self.held = set()
        self.failures = []
        self.ledger = open_ledger(path)
        self.thread = LedgerThread(self.failures.append)
        self.marks = PositionMarker(self.ledger, self.thread, self.held.__contains__)
        for number in (1, 2):
            buy(self.ledger, number)

    def written(self):
        """(slug, market second) of each mark on disk, once all pending rows are written."""
        self.thread.close()
        with LedgerReader(self.path) as reader:
            return reader._connection.execute("SELECT slug, second FROM marks ORDER BY id").fetchall()

    def close(self):
        self.thread.close()
        self.ledger.close()
        assert self.failures == []


@pytest.fixture
def desk(tmp_path):
    with closing(MarkerBench(tmp_path / "ledger.sqlite")) as desk:
        yield desk


def test_only_what_is_held_is_marked(desk):
    """Without a position, or without a price, there is nothing to mark."""
    desk.marks.update(market(1), 100.0, P)
    desk.held.add(market(1).slug)
    desk.marks.update(market(1), 101.0, None)
    desk.marks.update(None, 0.0, None)
    desk.marks.close_market(market(1).slug)

    assert desk.written() == []


def test_at_the_purchase_and_at_the_end(desk):
    """However often it is updated, a short position is marked twice: at its first price and at its last."""
    desk.held.add(market(1).slug)
    for second in range(790, 900):
        desk.marks.update(market(1), float(second), P)
    desk.marks.close_market(market(1).slug)
    desk.marks.close_market(market(1).slug)

    assert desk.written() == [(market(1).slug, 790.0), (market(1).slug, 899.0)]


def test_now_and_then(desk, monkeypatch):
    """When the interval is over the next update is a mark."""
    monkeypatch.setattr(runtime.worker.position_marks, "EVERY_S", 0.0)
    desk.held.add(market(1).slug)
    for second in (790.0, 805.0):
        desk.marks.update(market(1), second, P)

    assert [second for _, second in desk.written()] == [790.0, 805.0]


def test_the_next_market_begins_anew(desk):
    """A position in the next market is marked at once, and never with the last market's price."""
    desk.held |= {market(1).slug, market(2).slug}
    desk.marks.update(market(1), 890.0, P)
    desk.marks.update(market(1), 899.0, P)
    desk.marks.close_market(market(1).slug)
    desk.marks.update(market(2), 800.0, P)
    desk.marks.close_market(market(1).slug)

    assert desk.written() == [
        (market(1).slug, 890.0),
        (market(1).slug, 899.0),
        (market(2).slug, 800.0),
    ]


def test_no_mark_is_written_while_an_order_may_follow(desk):
    """The newest price is written later, once, with the time at which it was the price."""
    near = [True]
    desk.thread.defer_while(lambda: near[0])
    desk.held.add(market(1).slug)
    desk.marks.update(market(1), 790.0, P)
    desk.marks.update(market(1), 899.0, P)
    before_ns = time.time_ns()
    desk.marks.close_market(market(1).slug)
    after_ns = time.time_ns()
    with LedgerReader(desk.path) as reader:
        assert desk.thread.submit(lambda: True).result(20)
        assert reader._connection.execute("SELECT * FROM marks").fetchall() == []
        near[0] = False
        desk.thread.post_due()
        assert desk.thread.submit(lambda: True).result(20)
        ((second, ts_ns),) = reader._connection.execute("SELECT second, ts_ns FROM marks").fetchall()
    assert second == 899.0
    assert before_ns <= ts_ns <= after_ns
