"""Runs the strategy's coroutines step by step under the backtest's clock, in one thread."""

from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Wake:
    """Awaited by a coroutine that continues at a time."""

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns

    def __await__(self) -> Generator["Wake"]:
        yield self


class SteppedTasks:
    """Runs a coroutine until it sleeps, and continues it when the clock reaches its time.

    Parameters
    ----------
    now_ns : Callable[[], int]
        The backtest's clock.
    call_at : Callable[[int, Callable[[], None]], None]
        Calls a function when the clock reaches a time in nanoseconds.
    """

    def __init__(self, now_ns: Callable[[], int], call_at: Callable[[int, Callable[[], None]], None]) -> None:
        self._now_ns = now_ns
        self._call_at = call_at
        self._running: set[Coroutine[Any, Any, None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], on_error: Callable[[Exception], None]) -> None:
        """Run a coroutine until it sleeps or ends; `on_error` is called if it fails."""
        self._running.add(work)
        self._step(work, on_error)

    async def sleep(self, seconds: float) -> None:
        """Continue after a time of the backtest's clock."""
        await Wake(self._now_ns() + round(seconds * 1e9))

    def cancel(self) -> None:
        """End every coroutine that sleeps."""
        for work in self._running:
            work.close()
        self._running.clear()

    def _step(self, work: Coroutine[Any, Any, None], on_error: Callable[[Exception], None]) -> None:
        if work not in self._running:
            return
        try:
            wake = work.send(None)
        except StopIteration:
            self._running.discard(work)
        except Exception as error:  # noqa: BLE001  whatever a task raises goes to its handler
            self._running.discard(work)
            on_error(error)
        else:
            self._call_at(wake.at_ns, lambda: self._step(work, on_error))
