"""Decides what follows the end of a child process: when it is restarted, and when the run ends.

Pure: no clock, no process.
"""

import signal
from collections import deque

from common.constants import ExitCode
from errors import Fatal
from models import Frozen

MAX_CRASHES = 5
"""Crashes within CRASH_WINDOW_S after which the run ends."""
CRASH_WINDOW_S = 600.0
FIRST_DELAY_S = 1.0
MAX_CRASH_DELAY_S = 60.0
MAX_OUTAGE_DELAY_S = 15.0
"""Longest pause between two starts while a service does not answer. Including the time that a start takes,
the bot decides again within 30 s of the end of the outage."""


class Restart(Frozen, frozen=True):
    """Start it again after a pause. `message` is shown to the operator; empty for a planned restart."""

    delay_s: float = 0.0
    message: str = ""


class CrashLimit:
    """Counts the crashes of one process and of its successors.

    Parameters
    ----------
    name : str
        Name of the process, with its article.
    log : str
        A sentence that names the log with the cause.
    """

    def __init__(self, name: str, log: str) -> None:
        self._name = name
        self._log = log
        self._crashes: deque[float] = deque()

    def crashed(self, now: float, how: str) -> float:
        """Seconds to wait before the next start, increasing with each crash.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        how : str
            How it ended.

        Raises
        ------
        Fatal
            If it crashed too often.
        """
        self._crashes.append(now)
        while self._crashes[0] < now - CRASH_WINDOW_S:
            self._crashes.popleft()
        count = len(self._crashes)
        if count >= MAX_CRASHES:
            window = f"{CRASH_WINDOW_S / 60:g} minutes"
            raise Fatal(f"{self._name} crashed {count} times within {window}, last {how}", self._log)
        return _delay(count, MAX_CRASH_DELAY_S)


class Outage:
    """Counts consecutive starts that failed because a service did not answer. There is no limit."""

    def __init__(self) -> None:
        self.failed_starts = 0
        self._since = 0.0

    def failed(self, now: float) -> float:
        """Seconds to wait before the next start, increasing with each start."""
        if self.failed_starts == 0:
            self._since = now
        self.failed_starts += 1
        return _delay(self.failed_starts, MAX_OUTAGE_DELAY_S)

    def extent(self, now: float) -> str:
        """Number of failed starts and duration, for a message; empty after the first failed start."""
        if self.failed_starts < 2:
            return ""
        return f" ({self.failed_starts} times in a row, for {(now - self._since) / 60:.1f} minutes)"

    def over(self) -> None:
        self.failed_starts = 0


class WorkerRestarts:
    """Decides what follows the end of a worker."""

    def __init__(self) -> None:
        self._crashes = CrashLimit("the worker", "See logs/bot.log")
        self._outage = Outage()

    @property
    def failed_starts(self) -> int:
        """Consecutive workers whose strategy could not start because a service did not answer."""
        return self._outage.failed_starts

    def ended(self, code: int, now: float, *, hung: bool = False) -> Restart | int:
        """The next start, or the exit code of the run.

        Parameters
        ----------
        code : int
            Exit code of the worker, negative if a signal ended it.
        now : float
            Monotonic seconds.
        hung : bool
            Whether the supervisor ended it because it sent no heartbeat.

        Raises
        ------
        Fatal
            If workers crashed too often. An outage of the venue does not count as a crash.
        """
        if code == ExitCode.UNAVAILABLE:
            delay = self._outage.failed(now)
            extent = self._outage.extent(now)
            return Restart(delay, f"The worker could not start{extent}; starting it again in {delay:.0f} s.")
        self._outage.over()
        if code in (ExitCode.DONE, ExitCode.MISCONFIGURED):
            return code
        if code == ExitCode.FATAL:
            return 1  # it printed the reason, and another start would fail in the same way
        if code == ExitCode.RESTART:
            return Restart()
        how = "without a heartbeat" if hung else ended_how(code)
        delay = self._crashes.crashed(now, how)
        return Restart(delay, f"The worker ended {how}; starting it again in {delay:.0f} s.")


def ended_how(code: int) -> str:
    """How a process ended, for a message."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _delay(count: int, longest: float) -> float:
    return min(longest, FIRST_DELAY_S * 2 ** min(count - 1, 16))
