"""An asyncio loop in its own thread."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any


class LoopThread:
    """A loop that runs until it is closed, so that pooled connections are kept between two uses.

    Parameters
    ----------
    name : str
        Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit[T](self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop; the future may be awaited from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call[T](self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run a function on the loop, between its other callbacks; without the task that `submit` creates."""
        result: Future[T] = Future()

        def run() -> None:
            if not result.set_running_or_notify_cancel():
                return
            try:
                result.set_result(function(*args))
            except Exception as error:  # noqa: BLE001  raised again where the result is awaited
                result.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return result

    def close(self) -> None:
        """Cancel all tasks, then end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            pending = asyncio.all_tasks(self._loop)
            for task in pending:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        finally:
            self._loop.close()
