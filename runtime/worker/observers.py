"""Delivers each event to the console and the other observers; their failures do not affect trading."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

from loguru import logger
from rich.console import Console

from config import Settings
from events import Event, WorkerStatus
from models import Market
from runtime.output import reporter
from runtime.worker.plan import WorkerPlan

LOG_EVERY_S = 60.0
"""Minimum time between two log records about the failures of one observer."""


class Observer(Protocol):
    """An observer of a worker. Every call is made on the node's loop and has to return at once."""

    def start(self) -> str | None:
        """Start observing; returns a message for the operator, if any."""
        ...

    def handle(self, event: Event) -> None:
        """Process an event."""
        ...

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        """Process the state of the worker; called once per second."""
        ...

    def close(self) -> None:
        """Close; called after the node's loop has ended, and may take a moment."""
        ...


class ObserverIsolation:
    """Calls observers and does not pass their exceptions to the caller.

    Each failure is counted by observer; the first one, and then at most one per minute, is logged with its
    traceback and the count so far.

    Parameters
    ----------
    clock : Callable[[], float]
        Seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures: Counter[str] = Counter()
        """Number of failed calls by the observer's name."""
        self._clock = clock
        self._logged_s: dict[str, float] = {}

    def call[T](self, name: str, method: Callable[..., T], *args: Any) -> T | None:
        """`method(*args)` of the observer `name`; None if it raises an Exception of any type."""
        try:
            return method(*args)
        except Exception as error:  # noqa: BLE001 - an observer's failure must not stop trading
            self._note(name, error)
            return None

    def _note(self, name: str, error: Exception) -> None:
        self.failures[name] += 1
        now_s = self._clock()
        if now_s - self._logged_s.get(name, float("-inf")) < LOG_EVERY_S:
            return
        self._logged_s[name] = now_s
        logger.opt(exception=error).error(
            f"observer {name} failed ({self.failures[name]} times so far); trading goes on"
        )


class ObserverGroup:
    """The console and the other observers of a worker.

    Parameters
    ----------
    settings, plan
    console : rich.console.Console
    observers : sequence of Observer
    isolation : ObserverIsolation, optional
        Counts the failures.
    """

    def __init__(
        self,
        settings: Settings,
        plan: WorkerPlan,
        console: Console,
        observers: Sequence[Observer] = (),
        isolation: ObserverIsolation | None = None,
    ) -> None:
        self.reporter = reporter(
            plan.output,
            console,
            (settings.trade_window_start, settings.trade_window_end),
            plan.clock.speed,
            several=len(settings.series) > 1,
        )
        self.isolation = isolation or ObserverIsolation()
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        """Add an observer that depends on parts built later; before `start`."""
        self._observers.append(observer)

    def start(self) -> None:
        """Start every observer and print what they report."""
        for observer in self._observers:
            if (text := self._call(observer, observer.start)) is not None:
                self._call(self.reporter, self.reporter.print_message, text)
        self._call(self.reporter, self.reporter.start)

    def print_message(self, text: str) -> None:
        """Print one line on the console."""
        self._call(self.reporter, self.reporter.print_message, text)

    def close(self) -> None:
        """Close every observer, even if another one fails."""
        for observer in (self.reporter, *self._observers):
            self._call(observer, observer.close)

    def handle(self, event: Event) -> None:
        """Deliver an event to the console and to every observer."""
        for observer in (self.reporter, *self._observers):
            self._call(observer, observer.handle, event)

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        """Deliver a heartbeat to every observer but the console, which draws its own line."""
        for observer in self._observers:
            self._call(observer, observer.heartbeat, worker_status)

    def progress(
        self, market: Market | None, second: float, p: Decimal | None, settling: int, outside: str
    ) -> None:
        """Draw the console's waiting line; see `Reporter.progress`."""
        self._call(self.reporter, self.reporter.progress, market, second, p, settling, outside)

    def _call[T](self, observer: object, method: Callable[..., T], *args: Any) -> T | None:
        return self.isolation.call(type(observer).__name__, method, *args)
