"""How the load of a market is measured and judged."""

import itertools
import time

import msgspec
import pytest

from tests.endurance import load as module
from tests.endurance.load import Load, LoadMeter, judge_load
from tests.endurance.readings import Status
from tests.endurance.result import Row

WINDOW = (780.0, 840.0)
GOOD = Load(100, began_s=10.0, ended_s=70.0, sent=6000, sent_s=60.0, cpu_s=4.8, longest_silence_s=1.0)
"""A minute with all of its quotes."""


def judged(rate: int = 100, decided_at: float | None = 780.1, **changed: float) -> dict[str, Row]:
    load = msgspec.structs.replace(GOOD, rate=rate, **changed)
    return {row.name: row for row in judge_load(rate, load, decided_at, WINDOW)}


def test_the_lines_of_a_load() -> None:
    """Rate, decision and event loop have a limit; what gave way is shown."""
    assert list(judged(quotes=7).values()) == [
        Row("100 quotes a second: rate", "100.0/s, worker 8% of a core", "at least 90/s", True),
        Row("100 quotes a second: decision", "at second 780.1", "from second 780, before 840", True),
        Row("100 quotes a second: event loop", "silent for 1.0 s at most", "at most 2.5 s", True),
        Row("100 quotes a second: gave way", "7 quotes and 0 messages not used", "", None),
    ]


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({"sent": 5400}, []),
        ({"sent": 5399}, ["rate"]),
        ({"decided_at": None}, ["decision"]),
        ({"longest_silence_s": 2.5}, []),
        ({"longest_silence_s": 2.51}, ["event loop"]),
        ({"quotes": 5000, "frames": 300}, []),
    ],
    ids=str,
)
def test_a_limit_that_is_not_kept_is_named(changed: dict, failed: list[str]) -> None:
    """90 % of the quotes, a decision in the window, and a status in 2.5 s."""
    found = judged(**changed)
    assert [name for name, row in found.items() if row.right is False] == [
        f"100 quotes a second: {name}" for name in failed
    ]


@pytest.mark.parametrize(("quotes", "right"), [(1, True), (0, None)])
def test_at_the_highest_rate_quotes_have_to_give_way(quotes: int, right: bool | None) -> None:
    """What the venue can send is shown; without a dropped quote it was not too much, and nothing is shown by
    it. Decision and event loop keep their limits.
    """
    found = judged(10_000, sent=300_000, quotes=quotes)
    assert found["10,000 quotes a second: rate"] == Row(
        "10,000 quotes a second: rate", "5000.0/s, worker 8% of a core", "", None
    )
    gave_way = found["10,000 quotes a second: gave way"]
    assert (gave_way.limit, gave_way.right, gave_way.unmeasured) == ("some quotes", right, right is None)
    late = judged(10_000, None, quotes=quotes, longest_silence_s=3.0)
    assert [name for name, row in late.items() if row.right is False] == [
        "10,000 quotes a second: decision",
        "10,000 quotes a second: event loop",
    ]


@pytest.mark.parametrize(
    "load", [None, Load(100, began_s=10.0, ended_s=10.0), Load(100, began_s=10.0, ended_s=70.0)]
)
def test_a_market_without_a_status_fails(load: Load | None) -> None:
    """There is no status, only one, or none after the market."""
    assert judge_load(100, load, 780.1, WINDOW) == [
        Row("100 quotes a second", "no status of the worker", "a status each second", False)
    ]


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> LoadMeter:
    """A meter of two markets without a venue and without a worker; its clock is at 1, 2, 3 s, and
    it has sent 7, 14, 21 quotes.
    """
    meter, clock, sent = (
        LoadMeter("http://127.0.0.1:9", (100, 1000)),
        itertools.count(1),
        itertools.count(7, 7),
    )
    rates: list[int] = []
    monkeypatch.setattr(meter, "rates", rates, raising=False)
    monkeypatch.setattr(meter, "_set_rate", rates.append)
    monkeypatch.setattr(meter, "_sent", lambda: next(sent))
    monkeypatch.setattr(module, "cpu_seconds", lambda pid: 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    return meter


@pytest.mark.parametrize(
    ("looks", "silence_s"),
    [
        ([(100.5, 100), (101.4, 101), (102.3, 102)], 1.0),
        ([(100.5, 100), (101.4, 100), (102.3, 102)], 2.0),  # the second status was not made
        ([(100.5, 100), (103.9, 103)], 0.9),  # nothing was read meanwhile
        ([(100.5, 100), (103.9, 100)], 3.9),
        ([(100.5, 100), (103.9, 100), (104.0, 104)], 4.0),
    ],
    ids=str,
)
def test_a_silence_is_what_the_statuses_show(
    meter: LoadMeter, looks: list[tuple[float, int]], silence_s: float
) -> None:
    """The age of a status, or the time between two that were read less than a second apart: after a longer
    pause one in between may have been replaced. The status at the start of the load does not count.
    """
    meter.follow(0, 4711, Status(ts_ns=90 * 10**9), 99 * 10**9)
    for looked_s, status_s in looks:
        meter.follow(0, 4711, Status(ts_ns=status_s * 10**9), round(looked_s * 1e9))
    assert meter.loads[0].longest_silence_s == pytest.approx(silence_s)


def test_the_rate_changes_with_the_market(meter: LoadMeter) -> None:
    """What was sent and dropped counts for its own market, and the load ends after the last."""
    for number, quotes in ((0, 5), (0, 8), (1, 9), (1, 9), (1, 19), (2, 20)):
        meter.follow(number, 4711, Status(ts_ns=10**9, dropped={"quotes": quotes, "frames": 1}), 10**9)
    first, second = meter.loads[0], meter.loads[1]
    assert vars(meter)["rates"] == [100, 0, 1000, 0]
    assert (first.rate, first.quotes, first.frames) == (100, 3, 0)
    assert (second.rate, second.quotes, second.frames) == (1000, 10, 0)
    assert (first.sent, first.sent_s, second.sent, second.sent_s) == (7, 2.0, 7, 3.0)
    assert list(meter.loads) == [0, 1]
