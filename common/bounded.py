"""Limits the time of a call that may block indefinitely: a name look-up, a slow server, a blocked disk."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any


class _Caller:
    """A thread that makes one call after the other.

    To create a thread takes longer than most of the calls, and the last check before an order is one of them.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any], str]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, call: Callable[[], Any], result: Future[Any], name: str) -> None:
        self._calls.put((call, result, name))

    def _run(self) -> None:
        while True:
            self._call(*self._calls.get())

    def _call(self, call: Callable[[], Any], result: Future[Any], name: str) -> None:
        self._thread.name = name
        try:
            end = partial(result.set_result, call())
        except Exception as error:  # noqa: BLE001  raised again in the caller
            end = partial(result.set_exception, error)
        # Before the result: the next call of the one who waits for it finds this thread.
        _idle.append(self)
        end()


_idle: list[_Caller] = []
"""Threads without a call; one that is blocked comes back when its call ends."""
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_idle.clear)


def bounded[Result](call: Callable[[], Result], seconds: float, name: str) -> Result:
    """Run a call in another thread and wait for its result for a limited time.

    Parameters
    ----------
    call : Callable
        Its effects must be harmless after the timeout: the thread is abandoned, not ended.
    seconds : float
    name : str
        Name of the thread during the call.

    Raises
    ------
    TimeoutError
        If the call did not return in time.
    Exception
        Every exception of the call.
    """
    result: Future[Result] = Future()
    try:
        caller = _idle.pop()
    except IndexError:
        caller = _Caller()
    caller.begin(call, result, name)
    return result.result(seconds)
