"""The only thread that uses the ledger, so that no event loop waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


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

    def close(self) -> None:
        """Finish all calls, then end the thread."""
        self._pool.shutdown(wait=True)

    def _check(self, future: Future[Any]) -> None:
        error = future.exception()
        if error is not None:
            self._on_error(error)
