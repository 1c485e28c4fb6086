"""The latency of the orders' steps: percentiles by hand, few orders, and steps side by side."""

import pytest

from models import OrderStage, OrderTrace
from monitoring.order_latency import stage_latencies
from monitoring.report.latency_rows import HEADINGS, latency_rows

MS = 1_000_000


def trace(number: int, **milliseconds: float) -> OrderTrace:
    """An order that reached these steps so many milliseconds after the quote."""
    stages = {OrderStage(name): int(ms * MS) for name, ms in {"quote": 0, **milliseconds}.items()}
    return OrderTrace(intent_id=f"i{number}", slug="btc-1", created_ns=number, stages=stages)


def test_percentiles_of_two_hundred_orders():
    """Of 1, 2 … 200 ms half of the orders are within 100 ms, 95 % within 190, 99 % within 198."""
    shuffled = [trace(n, posted=1 + n * 7 % 200) for n in range(200)]
    (posted,) = stage_latencies(shuffled)
    assert (posted.stage, posted.orders) == (OrderStage.POSTED, 200)
    assert (posted.p50_ns, posted.p95_ns, posted.p99_ns) == (100 * MS, 190 * MS, 198 * MS)
    assert posted.max_ns == 200 * MS


@pytest.mark.parametrize(
    ("orders", "p95", "p99"),
    [(1, None, None), (19, None, None), (20, 19, None), (99, 95, None), (100, 95, 99)],
)
def test_a_percentile_needs_enough_orders(orders, p95, p99):
    """A 99th percentile of three orders would be their maximum: it is left out, and the count is stated."""
    (posted,) = stage_latencies([trace(n, posted=n) for n in range(1, orders + 1)])
    assert posted.orders == orders
    assert (posted.p95_ns, posted.p99_ns) == tuple(None if ms is None else ms * MS for ms in (p95, p99))
    assert posted.max_ns == orders * MS


def test_each_step_is_counted_by_itself():
    """An order that was withheld before the POST counts for the steps that it reached."""
    found = stage_latencies(
        [trace(1, context=0.5, signed=2, posted=4, answered=160), trace(2, context=0.7, signed=3)]
    )
    assert [(latency.stage.value, latency.orders) for latency in found] == [
        ("context", 2),
        ("signed", 2),
        ("posted", 1),
        ("answered", 1),
    ]


def test_a_step_beside_a_longer_one_adds_nothing():
    """The signature is ready while the checks still run: only what comes after the later one is added."""
    found = stage_latencies([trace(1, decided=1, checked=3, signed=2, recorded=4.5)])
    assert [latency.added_ns for latency in found] == [1 * MS, 2 * MS, 0, 1.5 * MS]


def test_the_rows_of_few_orders():
    """A row has the step, the number of orders, milliseconds, and dashes for what is not known."""
    (row,) = latency_rows(stage_latencies([trace(n, posted=ms) for n, ms in enumerate((4.2, 3.9, 17))]))
    assert len(row) == len(HEADINGS)
    assert row == ("first byte of the POST", "3", "4.20", "–", "–", "17.00", "4.20")


def test_without_a_trace_there_is_no_row():
    """A ledger of an earlier version has no traces."""
    assert stage_latencies([]) == []
