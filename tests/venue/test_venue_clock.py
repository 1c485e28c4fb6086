"""Market time and the schedule based on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_builders import ManualClock

from venue.clock import SECOND, VenueClock, anchored
from venue.schedule import AHEAD, Schedule, make_market

WALL = 1_800_000_450


def test_a_fresh_clock_begins_with_the_next_market() -> None:
    """Market time starts at the next multiple of 900 s, moved by --start-at, and runs at its speed."""
    now = ManualClock(WALL)
    clock = anchored(15.0, None, 780, now)
    assert clock.market_s() == 1_800_000_900 + 780
    now.forward(2)
    assert clock.market_s() == 1_800_000_900 + 780 + 30


def test_a_fresh_clock_on_the_grid_begins_at_once() -> None:
    """If the machine's time is a market start, market time is the machine's."""
    assert anchored(1.0, None, None, ManualClock(1_800_000_000)).market_s() == 1_800_000_000


@pytest.mark.parametrize(
    ("stopped", "start_at", "expected"),
    [
        (1_800_005_000, None, 1_800_005_000),
        (1_799_000_000, None, WALL),
        (1_800_005_000, 60, 1_800_005_400 + 60),
        (1_799_000_000, 0, 1_800_000_900),
    ],
)
def test_a_resumed_clock_goes_on_but_not_before_the_machine(
    stopped: int, start_at: int | None, expected: int
) -> None:
    """It continues where it stopped, at least at the machine's time, and jumps ahead with --start-at."""
    assert anchored(15.0, stopped * SECOND, start_at, ManualClock(WALL)).market_s() == expected


@given(st.lists(st.floats(-100, 100), max_size=20))
def test_market_time_never_goes_back(steps: list[float]) -> None:
    """However the machine's clock is set, market time does not decrease."""
    now = ManualClock()
    clock = VenueClock(now(), 0, 15.0, now)
    latest = clock.market_ns()
    for step in steps:
        now.forward(step)
        assert clock.market_ns() >= latest
        latest = clock.market_ns()


def test_the_schedule_lists_the_current_market_and_those_ahead() -> None:
    """Markets appear on the grid, each once, with consecutive indices."""
    schedule = Schedule(1_800_000_000)
    first = schedule.list_until(1_800_000_000)
    assert [market.start for market in first] == [1_800_000_000 + 900 * i for i in range(AHEAD + 1)]
    assert [market.index for market in first] == list(range(AHEAD + 1))
    assert schedule.list_until(1_800_000_899) == []
    assert [market.index for market in schedule.list_until(1_800_000_900)] == [AHEAD + 1]


def test_markets_are_found_by_slug_condition_and_token() -> None:
    """A market is found by all of its names, and by no other name."""
    schedule = Schedule(1_800_000_000)
    market = schedule.list_until(1_800_000_000)[2]
    assert schedule.by_slug(market.slug) is market
    assert schedule.by_condition(market.condition_id) is market
    assert all(schedule.by_token(token) is market for token in market.tokens)
    for wrong in ("btc-updown-15m-1800000001", "eth-updown-15m-1800000900", "btc", ""):
        assert schedule.by_slug(wrong) is None


def test_ids_follow_from_the_slug_and_are_unique() -> None:
    """The same start gives the same ids; different starts share none."""
    assert make_market(1_800_000_000, 0) == make_market(1_800_000_000, 0)
    markets = [make_market(1_800_000_000 + 900 * i, i) for i in range(200)]
    tokens = {token for market in markets for token in market.tokens}
    assert len(tokens) == 400
    assert len({market.condition_id for market in markets}) == 200
    assert {market.resolution_delay for market in markets} <= set(range(30, 91))
