"""Coroutines under a stepped clock: they continue at their times, and errors reach their handler."""

import pytest

from research.backtest.stepped_tasks import SteppedTasks


class Clock:
    """A clock that is moved by hand and calls what is due."""

    def __init__(self) -> None:
        self.now = 0
        self.due: list = []
        self.tasks = SteppedTasks(lambda: self.now, lambda at, call: self.due.append((at, call)))

    def advance(self, to_ns: int) -> None:
        while waiting := sorted(
            (entry for entry in self.due if entry[0] <= to_ns), key=lambda entry: entry[0]
        ):
            self.due.remove(waiting[0])
            self.now, call = waiting[0]
            call()
        self.now = to_ns


@pytest.fixture
def clock():
    return Clock()


def test_a_coroutine_runs_until_it_sleeps_and_continues_in_time(clock):
    """Two coroutines that sleep 1 s and 0.5 s alternate by the clock."""
    steps = []

    async def work(name, seconds):
        for _ in range(2):
            steps.append((name, clock.now))
            await clock.tasks.sleep(seconds)
        steps.append((name, clock.now))

    clock.tasks.spawn(work("slow", 1.0), pytest.fail)
    clock.tasks.spawn(work("fast", 0.5), pytest.fail)
    clock.advance(3 * 10**9)
    assert steps == [
        ("slow", 0),
        ("fast", 0),
        ("fast", 500_000_000),
        ("slow", 1_000_000_000),
        ("fast", 1_000_000_000),
        ("slow", 2_000_000_000),
    ]


def test_an_error_after_a_sleep_reaches_its_handler(clock):
    """The handler receives the exception; other coroutines go on."""
    errors = []

    async def fail():
        await clock.tasks.sleep(1.0)
        raise ValueError("broken")

    clock.tasks.spawn(fail(), errors.append)
    clock.advance(2 * 10**9)
    assert [repr(error) for error in errors] == ["ValueError('broken')"]


def test_a_cancelled_coroutine_does_not_continue(clock):
    """After `cancel` nothing that slept runs, and its clean-up has run."""
    steps = []

    async def work():
        try:
            await clock.tasks.sleep(1.0)
            steps.append("continued")
        finally:
            steps.append("closed")

    clock.tasks.spawn(work(), pytest.fail)
    clock.tasks.cancel()
    clock.advance(2 * 10**9)
    assert steps == ["closed"]
