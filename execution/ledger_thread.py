"""The one thread that touches the ledger, so that no event loop ever waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class LedgerThread:
    """Runs ledger calls one after the other, in the order they were given.

    Parameters
    ----------
    on_error : Callable[[BaseException], None]
        Told of the failure of a call that nobody awaits; called on the ledger's thread.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._on_error = on_error

    async def call[T](self, function: Callable[..., T], *args: Any) -> T:
        """Run and wait; once it returns, what was written is on the disk."""
        return await asyncio.wrap_future(self._pool.submit(function, *args))

    def submit[T](self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run without waiting; the caller takes the result or the error from the future."""
        return self._pool.submit(function, *args)

    def report(self, error: BaseException) -> None:
        """Hand over the failure of a call whose rows are lost."""
        self._on_error(error)

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Run without waiting; calls made later run later."""
        self._pool.submit(function, *args).add_done_callback(self._check)

    def close(self) -> None:
        """Finish what was given, then end."""
        self._pool.shutdown(wait=True)

    def _check(self, future: Future[Any]) -> None:
        error = future.exception()
        if error is not None:
            self._on_error(error)
