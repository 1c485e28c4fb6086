"""Calls with a limit on their time, in threads that are used again."""

import multiprocessing
import threading

import pytest

from common.bounded import bounded


def test_calls_one_after_the_other_have_one_thread() -> None:
    """With the name of the call; results and errors arrive at the caller."""

    def fail() -> None:
        raise LookupError(threading.current_thread().name)

    first = bounded(threading.get_ident, 20, "first")
    with pytest.raises(LookupError, match="second"):
        bounded(fail, 20, "second")
    others = {bounded(threading.get_ident, 20, "more") for _ in range(20)}
    assert others == {first}
    assert first != threading.get_ident()


def test_a_call_that_does_not_return_holds_up_no_other_one() -> None:
    """Another thread makes the next one."""
    release = threading.Event()
    blocked: list[int] = []

    def block() -> None:
        blocked.append(threading.get_ident())
        release.wait(20)

    with pytest.raises(TimeoutError):
        bounded(block, 0.05, "blocked")
    assert bounded(threading.get_ident, 20, "other") not in blocked
    release.set()


def _in_a_child(answers: "multiprocessing.SimpleQueue[int]") -> None:
    answers.put(bounded(lambda: 7, 20, "child"))


def test_a_forked_process_has_threads_of_its_own() -> None:
    """The idle threads of the parent do not exist in it."""
    assert bounded(lambda: 6, 20, "parent") == 6
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=_in_a_child, args=(answers,))
    child.start()
    child.join(10)
    assert child.exitcode == 0
    assert answers.get() == 7
