"""Keeps one worker running: clean restarts, crash restarts with growing delay, no retry of bad settings."""

import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import IO

from config import ROOT
from errors import Fatal

MAX_CRASHES = 5
"""Crashes within CRASH_WINDOW_S after which the supervisor gives up."""
CRASH_WINDOW_S = 600.0
FIRST_DELAY_S = 1.0
MAX_DELAY_S = 60.0
STOP_LIMIT_S = 4.0
"""How long a worker may take to stop before it is killed: the whole exit may take 5 s."""

EXIT_RESTART = 75
EXIT_MISCONFIGURED = 2
EXIT_FATAL = 3


class Supervisor:
    """Runs workers one after the other until one is done, or the operator stops them.

    Parameters
    ----------
    plan : Callable[[], str]
        Makes the line of JSON that each worker is started with.
    venue_ended : Callable[[], bool]
        Whether the practice venue that the workers trade on has gone.
    say : Callable[[str], None]
        Tells the operator what happens.
    """

    def __init__(
        self, plan: Callable[[], str], venue_ended: Callable[[], bool], say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._venue_ended = venue_ended
        self._say = say
        self._worker: subprocess.Popen[str] | None = None
        self._stopping = False

    def run(self) -> int:
        """Exit code of the last worker; 0 if the operator stopped it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        crashes: deque[float] = deque()
        while True:
            code = self._run_worker()
            if self._stopping:
                return 0
            if code in (0, EXIT_MISCONFIGURED):
                return code
            if code == EXIT_FATAL:
                return 1  # it has said why, and starting it again would change nothing
            if self._venue_ended():
                raise Fatal("the practice venue has stopped", "See logs/venue.log")
            if code == EXIT_RESTART:
                continue
            crashes.append(time.monotonic())
            while crashes[0] < crashes[-1] - CRASH_WINDOW_S:
                crashes.popleft()
            if len(crashes) >= MAX_CRASHES:
                raise Fatal(
                    f"the worker crashed {len(crashes)} times, last with exit code {code}", "See logs/bot.log"
                )
            delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (len(crashes) - 1))
            self._say(f"The worker ended with exit code {code}; starting it again in {delay:.0f} s.")
            self._pause(delay)
            if self._stopping:
                return 0

    def _run_worker(self) -> int:
        # In a session of its own, so that Ctrl-C reaches it through this process only, and once.
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._hand_over(self._worker)
        if self._stopping:
            self._worker.terminate()
        return self._wait(self._worker)

    def _hand_over(self, worker: subprocess.Popen[str]) -> None:
        """Give the worker its plan, which is made while the worker starts."""
        pipe: IO[str] | None = worker.stdin
        if pipe is None:
            return
        try:
            pipe.write(self._plan() + "\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # it ended before it read its plan; its exit code says why
        except BaseException:
            worker.kill()
            worker.wait()
            raise

    def _wait(self, worker: subprocess.Popen[str]) -> int:
        deadline = None
        while True:
            try:
                return worker.wait(0.1)
            except subprocess.TimeoutExpired:
                if self._stopping:
                    deadline = deadline or time.monotonic() + STOP_LIMIT_S
                    if time.monotonic() > deadline:
                        self._say("The worker did not stop in time and is ended now; its ledger is safe.")
                        worker.kill()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(0.1)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if not self._stopping:
            self._stopping = True
            if self._worker is not None and self._worker.poll() is None:
                self._worker.terminate()
