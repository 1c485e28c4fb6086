"""The thread that processes the newest value only."""

import threading

from common.newest_only import NewestOnly


def test_values_that_wait_are_replaced_and_the_last_one_is_processed():
    """Of two values given while the first one is processed, only the newest follows, before the end."""
    processed, begun, may_end = [], threading.Event(), threading.Event()

    def process(value: int) -> None:
        processed.append(value)
        begun.set()
        assert may_end.wait(30)

    thread = NewestOnly("newest", process)
    thread.start()
    thread.give(1)
    assert begun.wait(30)
    thread.give(2)
    thread.give(3)
    may_end.set()
    thread.close(30)
    assert processed == [1, 3]


def test_the_end_does_not_wait_longer_than_its_limit():
    """A value that is never processed to its end does not keep the program from ending."""
    begun, never = threading.Event(), threading.Event()

    def process(value: int) -> None:
        begun.set()
        never.wait(30)

    thread = NewestOnly("newest", process)
    thread.start()
    thread.give(1)
    assert begun.wait(30)
    thread.close(0.01)
    assert not never.is_set()
    never.set()
