"""Recoveries are measured from the end of each fault, and judged while no other one lasts."""

import pytest

from tests.chaos import recovery
from tests.chaos.evidence import Recovery
from tests.chaos.recovery import Recoveries, impairs, longest_free
from tests.chaos.schedule import Injection

STALL = Injection("market_feed_stall", lasts=60.0)
KILL = Injection("kill_worker")
RESET = Injection("wire_reset", count=3)
ORDER = Injection("error_500")


class Bench:
    """Recoveries with a held clock, and a bot that is healthy from a time on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *injections: Injection) -> None:
        self.now = 100.0
        self.healthy_from = 0.0
        monkeypatch.setattr(recovery.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(recovery.time, "time_ns", lambda: int(self.now * 1e9))
        self.recoveries = Recoveries(injections, self._is_healthy, lambda: self.now * 10)

    def _is_healthy(self, since_ns: int) -> bool:
        return self.now >= self.healthy_from and self.now * 1e9 > since_ns


def test_a_recovery_begins_at_the_end_of_the_fault(monkeypatch) -> None:
    """Not at its begin, and not at the end of the run; the market times in between are impaired."""
    bench = Bench(monkeypatch, STALL, ORDER)
    bench.recoveries.begin(0)
    bench.now = 106.0
    assert bench.recoveries.check()
    bench.recoveries.end(0, {})
    bench.healthy_from = 113.0
    bench.now = 112.0
    assert not bench.recoveries.check()
    bench.now = 113.5
    assert bench.recoveries.check()
    bench.recoveries.begin(1)
    bench.recoveries.end(1, {})
    assert bench.recoveries.found == [Recovery("market_feed_stall", 7.5)]
    assert bench.recoveries.impaired(9000.0) == [(1000.0, 1135.0)]


def test_a_killed_process_is_missed_from_the_kill_on(monkeypatch) -> None:
    """What the test itself needs until it goes on belongs to the recovery."""
    bench = Bench(monkeypatch, KILL)
    bench.recoveries.begin(0)
    bench.now = 103.0
    bench.recoveries.end(0, {}, at=(100.0, 100 * 10**9))
    bench.now = 104.0
    assert bench.recoveries.check()
    assert bench.recoveries.found == [Recovery("kill_worker", 4.0)]


def test_nothing_is_judged_while_another_fault_lasts(monkeypatch) -> None:
    """The end of the last one counts."""
    bench = Bench(monkeypatch, STALL, KILL)
    bench.recoveries.begin(0)
    bench.recoveries.begin(1)
    bench.recoveries.end(1, {})
    bench.now = 150.0
    assert bench.recoveries.check()
    bench.recoveries.end(0, {})
    bench.now = 151.0
    assert bench.recoveries.check()
    assert bench.recoveries.found == [Recovery("market_feed_stall", 1.0)]


@pytest.mark.parametrize(
    ("seconds", "found"), [(29.0, []), (31.0, [Recovery("kill_worker", 31.0, healthy=False)])]
)
def test_a_bot_that_is_not_healthy_when_the_next_fault_begins(monkeypatch, seconds, found) -> None:
    """It is too late after 30 s; before, it could not recover."""
    bench = Bench(monkeypatch, KILL, STALL)
    bench.healthy_from = 1000.0
    bench.recoveries.begin(0)
    bench.recoveries.end(0, {})
    bench.now += seconds
    assert not bench.recoveries.check()
    bench.recoveries.begin(1)
    assert bench.recoveries.found == found


def test_the_end_of_the_run_keeps_an_earlier_end(monkeypatch) -> None:
    """A bot that has not recovered yet does not get more time; without a fault it has to be healthy, too."""
    bench = Bench(monkeypatch, KILL)
    bench.healthy_from = 1000.0
    bench.recoveries.begin(0)
    bench.recoveries.end(0, {})
    bench.now = 120.0
    bench.recoveries.end_all({})
    assert bench.recoveries.waiting_s == 20.0
    bench.recoveries.give_up()
    bench.recoveries.end_all({})
    bench.now = 1001.0
    assert bench.recoveries.check()
    assert bench.recoveries.found == [
        Recovery("kill_worker", 20.0, healthy=False),
        Recovery("the last fault", 881.0),
    ]


def test_a_fault_that_may_be_applied_later_impairs_until_the_end(monkeypatch) -> None:
    """The moments at which a relay resets three connections are not known."""
    bench = Bench(monkeypatch, RESET)
    bench.recoveries.begin(0)
    bench.recoveries.end(0, {})
    bench.now = 101.0
    assert bench.recoveries.check()
    assert bench.recoveries.impaired(5000.0) == [(1000.0, 5000.0)]


def test_what_impairs_a_worker() -> None:
    """Not the answer to an order, a result, an external service, a halt, nor a payment."""
    kept = ("error_500", "resolution_never", "external_down", "operator_halts", "balance_moved", "clock_skew")
    assert not any(impairs(Injection(fault)) for fault in kept)
    assert all(impairs(Injection(fault)) for fault in ("kill_venue", "disk_full", "wire_hang", "gamma_500"))
    assert impairs(Injection("drip_answer", parameters={"path": "/gamma/*"}))
    assert not impairs(Injection("drip_answer", parameters={"path": "/order"}))


@pytest.mark.parametrize(
    ("intervals", "longest"),
    [
        ([], 10.0),
        ([(2.0, 3.0)], 7.0),
        ([(8.0, 12.0), (-5.0, 1.0)], 7.0),
        ([(0.0, 5.0), (4.0, 10.0)], 0.0),
        ([(20.0, 30.0)], 10.0),
        ([(-5.0, -1.0)], 10.0),
    ],
)
def test_the_longest_part_without_a_fault(intervals: list[tuple[float, float]], longest: float) -> None:
    """Between 0 and 10, in any order, overlapping or outside."""
    assert longest_free(0.0, 10.0, intervals) == longest
