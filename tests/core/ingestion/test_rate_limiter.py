"""The rate limiter in virtual time, where a deadlock is an error and waiting takes no real time."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import now, run

from core.ingestion.managers.rate_limiter import DEFAULT_LIMITS, RateLimit, RateLimiter


def _limiter(calls: int, window_s: float) -> RateLimiter:
    return RateLimiter({"x": RateLimit(calls=calls, window_s=window_s)}, monotonic=now)


CALLERS = st.lists(st.tuples(st.floats(0, 9), st.one_of(st.none(), st.floats(0, 9))), min_size=1, max_size=15)


@settings(max_examples=examples(300), deadline=None, database=None)
@given(st.integers(1, 5), st.floats(0.5, 10), CALLERS)
def test_all_requests_pass_within_the_limit_and_in_order(
    calls: int, window_s: float, callers: list[tuple[float, float | None]]
) -> None:
    """No caller waits forever, no window exceeds its limit, first come first served, cancelled or not."""
    asked: list[bool] = []
    granted: dict[int, float] = {}

    async def caller(limiter: RateLimiter, at: float, patience: float | None) -> None:
        await asyncio.sleep(at)
        turn = len(asked)
        asked.append(patience is None)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await limiter.acquire("x")
                granted[turn] = now()

    async def scenario() -> None:
        limiter = _limiter(calls, window_s)
        await asyncio.gather(*(caller(limiter, at, patience) for at, patience in callers))

    run(scenario())
    assert all(turn in granted for turn, patient in enumerate(asked) if patient)
    times = [granted[turn] for turn in sorted(granted)]
    assert times == sorted(times)
    for first, later in zip(times, times[calls:], strict=False):
        assert later - first >= window_s - 1e-6


def test_first_calls_are_immediate_and_the_next_waits_for_the_window() -> None:
    """Three calls per ten seconds: the fourth follows ten seconds after the first."""

    async def scenario() -> list[float]:
        limiter = _limiter(3, 10)
        times = []
        for _ in range(7):
            await limiter.acquire("x")
            times.append(now())
        return times

    assert run(scenario()) == pytest.approx([0, 0, 0, 10, 10, 10, 20], abs=0.01)


def test_cancelled_waiter_gives_its_turn_back() -> None:
    """A caller that is cancelled while waiting does not cost the others a window."""

    async def scenario() -> float:
        limiter = _limiter(1, 10)
        await limiter.acquire("x")
        gives_up = asyncio.create_task(limiter.acquire("x"))
        await asyncio.sleep(1)
        gives_up.cancel()
        await asyncio.wait([gives_up])
        await limiter.acquire("x")
        return now()

    assert run(scenario()) == pytest.approx(10, abs=0.01)


def test_a_cancelled_request_frees_its_place() -> None:
    """The third in the queue would pass at 18 s; when those ahead leave it passes soon after 10 s."""

    async def scenario() -> float:
        limiter = _limiter(2, 10)
        await limiter.acquire("x")
        await asyncio.sleep(8)
        await limiter.acquire("x")
        ahead = [asyncio.create_task(limiter.acquire("x")) for _ in range(2)]
        behind = asyncio.create_task(limiter.acquire("x"))
        await asyncio.sleep(1)
        for task in ahead:
            task.cancel()
        await behind
        return now()

    assert 10 <= run(scenario()) <= 11.01


def test_source_without_limit_is_never_held_up() -> None:
    """A name without a limit passes at once."""

    async def scenario() -> None:
        limiter = _limiter(1, 10)
        for _ in range(100):
            await limiter.acquire("other")
        assert now() == 0

    run(scenario())


def test_sleep_that_ends_early_is_repeated() -> None:
    """A timer that fires slightly too early does not break the limit."""

    async def hasty(seconds: float) -> None:
        await asyncio.sleep(seconds * 0.9)

    async def scenario() -> list[float]:
        limiter = RateLimiter({"x": RateLimit(calls=1, window_s=5)}, monotonic=now, sleep=hasty)
        times = []
        for _ in range(4):
            await limiter.acquire("x")
            times.append(now())
        return times

    assert all(later - first >= 5 for first, later in pairwise(run(scenario())))


def test_late_timer_does_not_squeeze_the_next_window() -> None:
    """A late call counts from its actual time."""
    naps = iter([3.0, 0.0, 0.0, 0.0])

    async def sleepy(seconds: float) -> None:
        await asyncio.sleep(seconds + next(naps, 0.0))

    async def scenario() -> list[float]:
        limiter = RateLimiter({"x": RateLimit(calls=1, window_s=5)}, monotonic=now, sleep=sleepy)
        times: list[float] = []

        async def caller() -> None:
            await limiter.acquire("x")
            times.append(now())

        await asyncio.gather(*(caller() for _ in range(3)))
        return times

    assert all(later - first >= 5 for first, later in pairwise(run(scenario())))


@pytest.mark.parametrize("limit", [RateLimit(calls=0), RateLimit(calls=1, window_s=0)])
def test_impossible_limits_are_refused(limit: RateLimit) -> None:
    """A limit that no call could ever pass, or without a window, is an error."""
    with pytest.raises(ValueError, match="at least one call"):
        RateLimiter({"x": limit})


def test_default_limits_allow_the_sampling_rates() -> None:
    """Four spot samples per second on a fast clock leave half of Coinbase's limit to decisions."""
    assert DEFAULT_LIMITS["coinbase"].calls / DEFAULT_LIMITS["coinbase"].window_s >= 8
