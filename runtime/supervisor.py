"""Runs workers: restarts them, checks their heartbeat and practice venues, and stops everything in time."""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Protocol

from common.constants import ExitCode
from errors import Temporary
from monitoring.terminal import relay_plain
from runtime.practice_venue_process import VenueState
from runtime.restart_policy import WorkerRestarts
from runtime.worker_launch import INHERITS, LaunchedWorker, WorkerLauncher

STOP_LIMIT_S = 4.0
"""Time that worker and practice venues have to stop before they are killed: the whole exit may take 5 s."""
ALONE_S = 1.5
"""Time that a practice venue stays up for a stopping worker, which may be waiting for an order's answer."""
LAST_MESSAGES_S = 1.0
"""Maximum wait for the last messages of a worker that has ended."""
STANDARD_ERROR = 2
POLL_S = 0.1
WATCH_S = 0.5
"""Between two looks at the practice venues while a worker runs; its end and its heartbeats are noticed at
once, and a signal reaches it at once."""
PAUSED_S = 1.0
"""A poll that took longer than this means that this process itself was stopped, or the machine asleep."""


class SupervisedSession(Protocol):
    """The part of a run that its supervisor uses."""

    def plan(self, failed_starts: int) -> str:
        """The next worker's plan as one line of JSON.

        `failed_starts` is the number of consecutive earlier workers whose strategy could not start.

        Raises
        ------
        Temporary
            If the practice venue cannot be started at present; the call is repeated.
        Fatal
            If repeating the call cannot help.
        """
        ...

    def supervise_venues(self, now: float, show: Callable[[str], None]) -> VenueState:
        """Restart practice venues that have ended; called at least twice per second, does not wait."""
        ...

    def begin_stop(self) -> None:
        """Request the stop of the practice venues; returns at once."""
        ...

    def stop(self, seconds: float) -> None:
        """Stop the practice venues within the given time."""
        ...


class Silence:
    """Counts the seconds since a worker's last heartbeat during which this process was running itself.

    Time in which this process was stopped or the machine slept does not count, and the clock used is
    monotonic.
    """

    def __init__(self, now: float) -> None:
        self.seconds = 0.0
        self._polled = now

    def polled(self, now: float, *, received: bool) -> None:
        """Record one poll and whether a heartbeat has arrived since the last one.

        `now` in monotonic seconds.
        """
        passed, self._polled = now - self._polled, now
        self.seconds = 0.0 if received else self.seconds + min(passed, PAUSED_S)


class WorkerProcess:
    """A running worker, and the pipes for its heartbeats and its standard error.

    Its standard error is filtered, because NautilusTrader writes texts of the venue to it unchanged.
    """

    def __init__(self, launched: LaunchedWorker, plan: Callable[[], str]) -> None:
        self._beats, self._process = launched.heartbeats, launched.process
        self._relay = threading.Thread(target=self._relay_messages, name="worker-messages", daemon=True)
        self._relay.start()
        self._send(plan)
        self._silence = Silence(time.monotonic())

    def _send(self, plan: Callable[[], str]) -> None:
        """Send the worker its plan, which is created while the worker starts."""
        pipe = self._process.stdin
        if pipe is None:
            return
        try:
            pipe.write(plan() + "\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # it ended before it read its plan; its exit code gives the reason
        except BaseException:
            self.kill()
            self.close()
            raise

    def _relay_messages(self) -> None:
        if self._process.stderr is not None:
            relay_plain(self._process.stderr.fileno(), STANDARD_ERROR)

    def wait(self, seconds: float) -> int | None:
        """Wait for its end for a limited time; returns its exit code, None while it runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_or_heartbeat(self, seconds: float) -> int | None:
        """Wait for its end or a heartbeat for a limited time; returns its exit code, None while it runs.

        The pipe of the heartbeats ends with the process. This sleeps in one call: `Popen.wait` with a time
        sleeps at most 50 ms at once, eight times in a tenth of a second.
        """
        if INHERITS:
            pipe = select.poll()
            pipe.register(self._beats, select.POLLIN)
            if not any(events & select.POLLHUP for _, events in pipe.poll(1000 * seconds)):
                return self._process.poll()
        return self.wait(seconds)

    def silent_s(self) -> float:
        """Seconds without a heartbeat; see `Silence`."""
        if not INHERITS:
            return 0.0
        try:
            received = bool(os.read(self._beats, 4096))
        except BlockingIOError:
            received = False
        self._silence.polled(time.monotonic(), received=received)
        return self._silence.seconds

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Wait for its end and close the pipes."""
        self._process.wait()
        self._relay.join(LAST_MESSAGES_S)
        if self._process.stderr is not None and not self._relay.is_alive():
            self._process.stderr.close()
        os.close(self._beats)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()


class Supervisor:
    """Runs one worker after another until one has finished or the operator stops them.

    Parameters
    ----------
    session : SupervisedSession
        Creates the plans and manages the practice venues.
    show : Callable[[str], None]
        Shows a message to the operator.
    launcher : WorkerLauncher
        Starts the processes of the workers.
    heartbeat_s : float
        Longest silence of a worker; its event loop sends a heartbeat each second.
    """

    def __init__(
        self,
        session: SupervisedSession,
        show: Callable[[str], None],
        launcher: WorkerLauncher,
        *,
        heartbeat_s: float = 30.0,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._session = session
        self._show = show
        self._launcher = launcher
        self._restarts = WorkerRestarts()
        self._worker: WorkerProcess | None = None
        self._stop_begun: float | None = None

    def run(self) -> int:
        """Exit code of the run; 0 if the operator stopped it.

        Raises
        ------
        Fatal
            If worker or practice venue crashed too often, or a plan cannot be created.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            return self._run_workers()
        finally:
            self._session.begin_stop()

    def stop_venues(self) -> None:
        """Wait until the practice venues have stopped; kill them at the time limit of the whole stop."""
        begun = time.monotonic() if self._stop_begun is None else self._stop_begun
        self._session.stop(begun + STOP_LIMIT_S - time.monotonic())

    def _run_workers(self) -> int:
        while self._await_venues():
            code, hung = self._run_worker()
            if self._stop_begun is not None:
                break
            after = self._restarts.ended(code, time.monotonic(), hung=hung)
            if isinstance(after, int):
                return after
            if after.message:
                self._show(after.message)
            self._pause(after.delay_s)
        return 0

    def _await_venues(self) -> bool:
        """Wait until all practice venues run; False if the operator stops the bot."""
        while self._stop_begun is None:
            if self._session.supervise_venues(time.monotonic(), self._show) is not VenueState.AWAY:
                return True
            time.sleep(POLL_S)
        return False

    def _run_worker(self) -> tuple[int, bool]:
        """Exit code of a new worker, and whether it was ended because it hung."""
        try:
            worker = WorkerProcess(
                self._launcher.launch(), lambda: self._session.plan(self._restarts.failed_starts)
            )
        except Temporary as error:
            self._show(f"error: {error}")
            return ExitCode.UNAVAILABLE, False
        self._worker = worker
        try:
            if self._stop_begun is not None:
                worker.terminate()
            return self._supervise(worker)
        except BaseException:
            worker.terminate()
            if worker.wait(STOP_LIMIT_S) is None:
                worker.kill()
            raise
        finally:
            self._worker = None
            worker.close()

    def _supervise(self, worker: WorkerProcess) -> tuple[int, bool]:
        hung, replaced = False, None
        while (code := worker.wait_or_heartbeat(self._watch_s(replaced))) is None:
            now = time.monotonic()
            silent_s = worker.silent_s()
            if self._stop_begun is not None:
                self._enforce_stop_limits(worker, now - self._stop_begun)
            elif replaced is not None:
                if now - replaced > STOP_LIMIT_S:
                    worker.kill()
            elif silent_s > self._heartbeat_s:
                self._show(f"The worker sent no heartbeat for {self._heartbeat_s:g} s and is replaced.")
                hung, replaced = True, now
                worker.kill()
            elif self._session.supervise_venues(now, self._show) is VenueState.MOVED:
                replaced = now
                worker.terminate()
        return (code if hung or replaced is None else ExitCode.RESTART), hung

    def _watch_s(self, replaced: float | None) -> float:
        """Seconds until the next look: soon if the worker has to end, which has a limit."""
        return WATCH_S if self._stop_begun is None and replaced is None else POLL_S

    def _enforce_stop_limits(self, worker: WorkerProcess, stopping_s: float) -> None:
        if stopping_s > ALONE_S:
            self._session.begin_stop()
        if stopping_s > STOP_LIMIT_S:
            self._show("The worker did not stop in time and is killed now; its ledger is safe.")
            worker.kill()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._stop_begun is None and time.monotonic() < until:
            self._session.supervise_venues(time.monotonic(), self._show)
            time.sleep(POLL_S)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._stop_begun is None:
            self._stop_begun = time.monotonic()
            if self._worker is not None:
                self._worker.terminate()
