"""Runs the strategy's coroutines: on the node's event loop, or step by step under another clock."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class Tasks(Protocol):
    """The strategy's interface to whatever runs its coroutines."""

    def spawn(self, work: Coroutine[Any, Any, None], on_error: Callable[[Exception], None]) -> None:
        """Start a coroutine; `on_error` is called if it fails."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, in seconds of the strategy's clock."""
        ...

    def cancel(self) -> None:
        """Cancel everything that was started."""
        ...


class EventLoopTasks:
    """Tasks on the running event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], on_error: Callable[[Exception], None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, on_error))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None], on_error: Callable[[Exception], None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            on_error(error)
