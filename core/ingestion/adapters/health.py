"""Health of each source as numbers for the metrics."""

from collections.abc import Callable

from models import Frozen


class SourceHealth(Frozen, frozen=True):
    """Health of one source.

    `last_success_age_s` is None before the first success. `state` and `reconnects` are those of its
    websocket, if it has one. `up` is True if its newest attempt succeeded or its websocket is connected.
    """

    last_success_age_s: float | None
    successes: int
    failures: int
    up: bool
    quarantined: int = 0
    last_error: str = ""
    state: str | None = None
    reconnects: int = 0


class SourceHealthTracker:
    """Counts successes and failures by source.

    Parameters
    ----------
    now_ns : callable
        The machine's clock in nanoseconds.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._successes: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._last_success_ns: dict[str, int] = {}
        self._last_error: dict[str, str] = {}
        self._up: set[str] = set()

    def succeeded(self, source: str) -> None:
        self._successes[source] = self._successes.get(source, 0) + 1
        self._last_success_ns[source] = self._now_ns()
        self._up.add(source)

    def failed(self, source: str, why: str) -> None:
        self._failures[source] = self._failures.get(source, 0) + 1
        self._last_error[source] = why
        self._up.discard(source)

    def of(self, source: str, quarantined: int) -> SourceHealth:
        """Health of one source."""
        last_ns = self._last_success_ns.get(source)
        return SourceHealth(
            last_success_age_s=None if last_ns is None else (self._now_ns() - last_ns) / 1e9,
            successes=self._successes.get(source, 0),
            failures=self._failures.get(source, 0),
            up=source in self._up,
            quarantined=quarantined,
            last_error=self._last_error.get(source, ""),
        )
