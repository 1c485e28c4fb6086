"""Everybody who watches a worker: told of each event once, on the node's loop; none can hold trading up."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console

from config import Settings
from core.nautilus_core.events import Event, Pulse
from monitoring.console import ConsoleReporter
from worker.plan import WorkerPlan


class Watcher(Protocol):
    """Somebody who watches. Every call comes on the node's loop and returns at once, whatever is wrong."""

    def start(self) -> str | None:
        """Begin to watch; what the operator should know of it, if anything."""
        ...

    def handle(self, event: Event) -> None:
        """Something happened."""
        ...

    def beat(self, pulse: Pulse) -> None:
        """How the worker is; once a second."""
        ...

    def close(self) -> None:
        """The worker ends; called after the node's loop has ended, and may take a moment."""
        ...


class Audience:
    """The screen, and whoever else was asked to watch.

    Parameters
    ----------
    settings, plan
    console : rich.console.Console
    watchers : sequence of Watcher
    """

    def __init__(
        self, settings: Settings, plan: WorkerPlan, console: Console, watchers: Sequence[Watcher] = ()
    ) -> None:
        self.reporter = ConsoleReporter(
            console, (settings.trade_window_start, settings.trade_window_end), plan.clock.speed
        )
        self._watchers = watchers

    def start(self) -> None:
        for watcher in self._watchers:
            if (words := watcher.start()) is not None:
                self.reporter.tell(words)
        self.reporter.start()

    def close(self) -> None:
        self.reporter.close()
        for watcher in self._watchers:
            watcher.close()

    def handle(self, event: Event) -> None:
        """Tell everybody."""
        self.reporter.handle(event)
        for watcher in self._watchers:
            watcher.handle(event)

    def beat(self, pulse: Pulse) -> None:
        """Tell everybody but the screen, which draws its own line."""
        for watcher in self._watchers:
            watcher.beat(pulse)
