"""The only thread that uses the ledger, so that no event loop waits for a disk."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

LONGEST_DEFERRAL_S = 60.0
"""A window of a 4h market lasts sixteen minutes, in which the positions of other series are marked, too."""


class LedgerThread:
    """Runs ledger calls one after the other, in the order of the calls.

    Parameters
    ----------
    on_error : Callable[[BaseException], None]
        Called with the error of a call that is not awaited; runs on the ledger's thread.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._on_error = on_error
        self._order_may_follow: Callable[[], bool] = lambda: False
        self._deferred: dict[str, tuple[float, Callable[[], Any]]] = {}
        """Calls that wait, with the time of the first one of the same key, seconds of the monotonic clock."""

    def defer_while(self, order_may_follow: Callable[[], bool]) -> None:
        """Name what decides whether deferred calls have to wait; without it they never do."""
        self._order_may_follow = order_may_follow

    async def call[T](self, function: Callable[..., T], *args: Any) -> T:
        """Run and wait; when it returns, everything written is on the disk."""
        return await asyncio.wrap_future(self._pool.submit(function, *args))

    def submit[T](self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run without waiting; the future has the result or the error."""
        return self._pool.submit(function, *args)

    def report(self, error: BaseException) -> None:
        """Report the error of a call whose rows are lost."""
        self._on_error(error)

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Run without waiting; later calls run later."""
        self._pool.submit(function, *args).add_done_callback(self._check)

    def post_deferred(self, key: str, function: Callable[..., Any], *args: Any) -> None:
        """Run without waiting, but not while an order may follow, which would wait for it.

        Of the calls with one key that are still deferred only the last one is made, for all of them. This and
        the other methods about deferred calls are called in one thread.
        """
        since, _ = self._deferred.get(key, (time.monotonic(), None))
        self._deferred[key] = (since, partial(function, *args))
        self.post_due()

    def post_due(self) -> None:
        """Begin the deferred calls if no order may follow, and those that are deferred for too long."""
        if not self._deferred:
            return
        waits = self._order_may_follow()
        latest = time.monotonic() - LONGEST_DEFERRAL_S
        for key, (since, call) in list(self._deferred.items()):
            if not waits or since <= latest:
                del self._deferred[key]
                self.post(call)

    def post_all(self) -> None:
        """Begin all deferred calls, because the process ends."""
        while self._deferred:
            _, call = self._deferred.pop(next(iter(self._deferred)))
            self.post(call)

    def close(self) -> None:
        """Finish all calls, then end the thread."""
        self.post_all()
        self._pool.shutdown(wait=True)

    def _check(self, future: Future[Any]) -> None:
        error = future.exception()
        if error is not None:
            self._on_error(error)
