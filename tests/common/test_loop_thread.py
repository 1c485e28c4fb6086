"""A loop in a thread of its own: functions and coroutines of other threads run on it."""

import threading

import pytest

from common.loop_thread import LoopThread


@pytest.fixture
def loop():
    loop = LoopThread("decisions")
    yield loop
    loop.close()


def test_a_function_runs_on_the_loops_thread_and_its_result_is_returned(loop):
    """With its arguments, on the thread of the loop's name."""
    added = loop.call(lambda a, b: (a + b, threading.current_thread().name), 1, 2)
    assert added.result(5) == (3, "decisions")


def test_an_error_of_a_function_is_raised_where_its_result_is_awaited(loop):
    """The loop goes on."""
    with pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 / 0).result(5)
    assert loop.call(int, "7").result(5) == 7


def test_a_function_whose_result_nobody_awaits_any_more_is_not_called(loop):
    """It was cancelled before its turn."""
    called, held = [], threading.Event()
    first = loop.call(held.wait, 5)
    second = loop.call(called.append, 1)
    assert second.cancel()
    held.set()
    assert first.result(5) is True
    assert loop.call(int, "1").result(5) == 1
    assert called == []
