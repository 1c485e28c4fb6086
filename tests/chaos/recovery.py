"""From which faults the bot suffers, and how long it takes to recover from each."""

import time
from collections.abc import Callable, Iterable, Sequence

from tests.chaos.evidence import Recovery
from tests.chaos.invariants import RECOVERY_S
from tests.chaos.machine_load import ProcessorWait
from tests.chaos.schedule import Injection, Layer

SUFFERED = ("market_", "gamma_", "stray_", "book_", "api_", "user_feed_refused")
"""Beginnings of the names of the venue's faults that a worker's connections or quotes suffer from."""


def impairs(injection: Injection) -> bool:
    """Whether a worker or its quotes suffer from a fault, so that it may be unable to decide.

    Faults of orders, of results, of the mode and of the external services leave it able to: a decision that
    may not or cannot buy is recorded with its reason.
    """
    match injection.kind.layer:
        case Layer.WIRE | Layer.PROCESS | Layer.DISK | Layer.STORE:
            return True
        case Layer.VENUE:
            path = str(injection.parameters.get("path", ""))
            return path.startswith("/gamma") or injection.fault.startswith(SUFFERED)
    return False


def is_counted(injection: Injection) -> bool:
    """Whether a fault applies a number of times, at moments that are not known."""
    return not injection.lasts and injection.kind.layer in (Layer.VENUE, Layer.WIRE)


def longest_free(begin: float, end: float, intervals: Iterable[tuple[float, float]]) -> float:
    """The longest part of a time that is in none of the intervals; 0 if there is none."""
    longest = 0.0
    for first, last in sorted(intervals):
        longest = max(longest, min(first, end) - begin)
        begin = max(begin, last)
    return max(longest, end - begin)


class Recoveries:
    """Measures the time from the end of each fault, while no other one lasts, until the bot is healthy.

    Parameters
    ----------
    injections : sequence of Injection
        The faults of the schedule; the methods take their places in it.
    is_healthy : callable
        Whether the bot has reported since a wall time, in nanoseconds, that it is healthy.
    now_s : callable
        Market time in seconds.
    """

    def __init__(
        self,
        injections: Sequence[Injection],
        is_healthy: Callable[[int], bool],
        now_s: Callable[[], float],
    ) -> None:
        self.found: list[Recovery] = []
        self._injections = injections
        self._is_healthy = is_healthy
        self._now_s = now_s
        self._begun: set[int] = set()
        self._lasting: set[int] = set()
        self._waiting: tuple[str, float, int] | None = None
        """The fault from which the bot recovers, and its end, monotonic and wall time."""
        self._impaired_at: float | None = None
        self._impaired: list[tuple[float, float]] = []
        self._waits = ProcessorWait()

    def begin(self, place: int) -> None:
        """A fault begins; the bot need not recover from an earlier one any more."""
        if not impairs(self._injections[place]):
            return
        if self._waiting is not None and self._so_far(healthy=False).own_s > RECOVERY_S:
            self.give_up()
        self._waiting = None
        if self._impaired_at is None:
            self._impaired_at = self._now_s()
        self._begun.add(place)
        self._lasting.add(place)

    def end(self, place: int, processes: dict[str, int], at: tuple[float, int] | None = None) -> None:
        """A fault has ended, at a monotonic and a wall time or now."""
        self._lasting.discard(place)
        if impairs(self._injections[place]) and not self._lasting:
            self._wait(self._injections[place].fault, processes, at)

    def end_all(self, processes: dict[str, int]) -> None:
        """No fault lasts any more."""
        self._lasting.clear()
        if self._waiting is None:
            self._wait("the last fault", processes)

    def _wait(self, fault: str, processes: dict[str, int], at: tuple[float, int] | None = None) -> None:
        self._waits.begin(processes)
        self._waiting = (fault, *(at or (time.monotonic(), time.time_ns())))

    def read(self, processes: dict[str, int]) -> None:
        """Read how long the present processes have waited for a processor."""
        self._waits.read(processes)

    def check(self) -> bool:
        """Note a recovery if the bot is healthy after the end of a fault; returns whether it is."""
        if self._waiting is None:
            return True
        if not self._is_healthy(self._waiting[2]):
            return False
        self.found.append(self._so_far(healthy=True))
        self._waiting = None
        if self._impaired_at is not None and not self._may_be_applied_later:
            self._impaired.append((self._impaired_at, self._now_s()))
            self._impaired_at = None
        return True

    def give_up(self) -> None:
        """Note that the bot has not recovered."""
        self.found.append(self._so_far(healthy=False))
        self._waiting = None

    @property
    def waiting_s(self) -> float:
        """Seconds since the end of the fault from which the bot recovers; 0 if it does not."""
        return 0.0 if self._waiting is None else time.monotonic() - self._waiting[1]

    def _so_far(self, *, healthy: bool) -> Recovery:
        assert self._waiting is not None
        return Recovery(self._waiting[0], round(self.waiting_s, 2), healthy, round(self._waits.seconds, 2))

    @property
    def _may_be_applied_later(self) -> bool:
        return any(is_counted(self._injections[place]) for place in self._begun)

    def impaired(self, until_s: float) -> list[tuple[float, float]]:
        """The market times from the begin of a fault until the bot was healthy again."""
        if self._impaired_at is None:
            return self._impaired
        return [*self._impaired, (self._impaired_at, max(self._impaired_at, until_s))]
