"""Which windows the benchmark of several series counts, wherever in a 15-minute market its run begins."""

from typing import Any

import pytest

from benchmarks.many_series import posted, windows
from models import OrderStage, OrderTrace

START = 1_800_000_000
"""The start of a market of 5m and of 15m."""


def opened(arrived_s: float, timeframe: str, start: int) -> tuple[float, dict[str, Any]]:
    return arrived_s, {"event": "market_opened", "slug": f"btc-updown-{timeframe}-{start}"}


def run_from(second: int, ready_s: float) -> list[tuple[float, dict[str, Any]]]:
    """The openings of a run that begins at a second of a 15m market, at 15 times the real speed."""
    now = START + second + 15 * ready_s
    lines = [opened(0.0, name, int(now - now % length)) for name, length in (("5m", 300), ("15m", 900))]
    for start in range(START + 300, START + 2000, 300):
        if start > now:
            lines.append(opened((start - now) / 15, "5m", start))
            if start % 900 == 0:
                lines.append(opened((start - now) / 15, "15m", start))
    return lines


@pytest.mark.parametrize(
    ("second", "ready_s", "expected"),
    [
        (125, 2.0, ["5m-0", "5m-300", "15m-0"]),
        (425, 2.0, ["5m-300", "5m-600", "15m-0"]),
        (725, 2.0, ["5m-600", "5m-900", "15m-0"]),
        # The 15m market is opened at its second 845, the 5m one at 245.
        (725, 8.0, ["5m-600", "5m-900", "15m-900"]),
        # Both are opened after the beginning of their window.
        (725, 9.5, ["5m-900", "5m-1200", "15m-900"]),
    ],
)
def test_each_phase_has_the_full_number_of_windows(second: int, ready_s: float, expected: list[str]) -> None:
    """Two of 5m and one of 15m, of which none was opened after its window had begun."""
    found = [slug.removeprefix("btc-updown-") for slug in windows(run_from(second, ready_s))]
    starts = {name: f"{name.partition('-')[0]}-{START + int(name.partition('-')[2])}" for name in expected}
    assert found == [starts[name] for name in expected]


def test_a_market_without_a_following_one_has_not_ended() -> None:
    """Forty seconds after second 125 the 15m market has not been followed yet."""
    lines = [line for line in run_from(125, 2.0) if line[0] < 40]
    assert [slug.removeprefix("btc-updown-") for slug in windows(lines)] == [
        f"5m-{START}",
        f"5m-{START + 300}",
    ]


def test_the_orders_have_the_median_and_the_slowest_time_of_their_post() -> None:
    """In milliseconds since the quote; an order that was not posted is left out."""
    traces = [
        OrderTrace(
            intent_id="",
            slug="",
            created_ns=0,
            stages={OrderStage.QUOTE: 0, OrderStage.POSTED: ms * 1_000_000},
        )
        for ms in (5, 9, 4)
    ]
    traces.append(
        OrderTrace(intent_id="", slug="", created_ns=0, stages={OrderStage.QUOTE: 0, OrderStage.SIGNED: 1})
    )
    assert [(row.what.rpartition(", ")[2], row.value) for row in posted(traces)] == [
        ("median of 3", 5.0),
        ("slowest of 3", 9.0),
    ]
