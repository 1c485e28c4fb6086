"""Processes the newest of the values given to a thread; those that it was too slow for are skipped."""

import threading
from collections.abc import Callable


class NewestOnly[T]:
    """A thread that calls a function with each value given, unless a newer one was given meanwhile.

    Parameters
    ----------
    name : str
        Name of the thread.
    process : Callable[[T], None]
        Called in the thread, one call after the other; handles its own errors.
    """

    def __init__(self, name: str, process: Callable[[T], None]) -> None:
        self._process = process
        self._waiting: list[T] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def give(self, value: T) -> None:
        """Process this value next, in the place of one that waits; returns at once."""
        with self._changed:
            self._waiting = [value]
            self._changed.notify()

    def close(self, limit_s: float = 1.0) -> None:
        """Process the value that waits, then end; waits for that no longer than the limit."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                value = self._waiting.pop()
            self._process(value)
