"""Runs the practice venue in its own process, so that the account survives a restart of the worker."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from common.atomic_file import open_private
from config import ROOT, Settings
from errors import Fatal
from runtime.restart_policy import CrashLimit, Outage, ended_how

START_LIMIT_S = 60.0
"""Longest start. It takes one or two seconds, and more than ten on a machine with ten busy processes."""
STOP_LIMIT_S = 2.0
POLL_S = 0.02
SAME_CLOCK_S = 0.5
"""Maximum difference of two readings of one venue's clock, market seconds."""
SECRETS = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}


class PracticeVenueProcess:
    """A running `python -m venue`; `ready` is its first line: url, clock, source.

    Parameters
    ----------
    arguments : sequence of str
        Its command line.
    log : Path
        The file that its standard error is written to.

    Raises
    ------
    Fatal
        If it does not start; the message contains the last line of its log.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._arguments = list(arguments)
        self._log = log
        self.ready: dict[str, Any] = {}
        self.start()
        while not self.is_ready():
            if (error := self.start_error()) is not None:
                self.stop(0.0)
                raise Fatal(f"the practice venue did not start: {error}", f"See {log}")
            time.sleep(POLL_S)

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll()

    def start(self, *more: str) -> None:
        """Start it, with further arguments if given; `is_ready` returns whether it can be used."""
        with open(self._log, "a", opener=open_private) as sink:
            self._log_begin = sink.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "venue", *self._arguments, *more, "--exit-with-stdin"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=environment_without_secrets(),
                start_new_session=True,
            )
        if self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)
        self._line = b""
        self._started = time.monotonic()

    def is_ready(self) -> bool:
        """Whether its first line has been read; `ready` is that line then. Does not wait."""
        if not self._line.endswith(b"\n") and self._process.stdout is not None:
            self._line += self._process.stdout.readline() or b""
            if self._line.endswith(b"\n"):
                self.ready = json.loads(self._line)
        return self._line.endswith(b"\n")

    def start_error(self) -> str | None:
        """Why it will not become ready, or takes too long; None while it may."""
        if self._process.poll() is not None:
            lines = self._log.read_bytes()[self._log_begin :].decode(errors="replace").strip().splitlines()
            return lines[-1] if lines else f"it ended {ended_how(self._process.returncode)}"
        if time.monotonic() - self._started > START_LIMIT_S:
            return f"it was not ready within {START_LIMIT_S:g} s"
        return None

    def begin_stop(self) -> None:
        """Request an orderly stop by closing its standard input; returns at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def stop(self, seconds: float = STOP_LIMIT_S) -> None:
        """Stop it within the given time, and otherwise kill it."""
        self.begin_stop()
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


class VenueState(Enum):
    """What the state of a practice venue means for its worker."""

    READY = "ready"
    AWAY = "away"
    """It is being restarted; a worker reconnects by itself, a new one waits."""
    MOVED = "moved"
    """It runs at another address or market time: the worker's plan is out of date."""


class VenueSupervisor:
    """Restarts a practice venue that has ended, at the same address and on the same clock.

    Parameters
    ----------
    venue : PracticeVenueProcess
    """

    def __init__(self, venue: PracticeVenueProcess) -> None:
        self._venue = venue
        self._crashes = CrashLimit("the practice venue", "See logs/venue.log")
        self._outage = Outage()
        self._state = VenueState.READY
        self._next_start: float | None = None
        self._same_port = True
        self._known = venue.ready

    def supervise(self, now: float, show: Callable[[str], None]) -> VenueState:
        """Check the venue and start it again when due. Does not wait.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        show : Callable[[str], None]
            Called with a message for the operator.

        Raises
        ------
        Fatal
            If it crashed too often.
        """
        if self._next_start is not None:
            if now >= self._next_start:
                self._next_start = None
                self._start()
        elif self._state is VenueState.AWAY:
            self._check_start(now, show)
        elif (code := self._venue.exit_code) is not None:
            self._venue.stop(0.0)  # closes its pipes
            delay = self._crashes.crashed(now, ended_how(code))
            show(f"The practice venue ended {ended_how(code)}; starting it again in {delay:.0f} s.")
            self._state, self._next_start = VenueState.AWAY, now + delay
        else:
            self._state = VenueState.READY
        return self._state

    def _start(self) -> None:
        port = self._known["url"].rpartition(":")[2] if self._same_port else "0"
        self._venue.start("--resume", "--port", port)

    def _check_start(self, now: float, show: Callable[[str], None]) -> None:
        if self._venue.is_ready():
            moved = self._moved()
            self._outage.over()
            self._state, self._same_port = (VenueState.MOVED if moved else VenueState.READY), True
            self._known = self._venue.ready
            show("The practice venue runs again" + (", at another address or market time." if moved else "."))
        elif (error := self._venue.start_error()) is not None:
            self._venue.stop(0.0)
            delay = self._outage.failed(now)
            self._same_port = "--port" not in error  # another program may have taken it
            show(
                f"The practice venue could not start{self._outage.extent(now)}: {error}; "
                f"starting it again in {delay:.0f} s."
            )
            self._next_start = now + delay

    def _moved(self) -> bool:
        before, after = self._known, self._venue.ready
        if (before["url"], before["clock"]["speed"]) != (after["url"], after["clock"]["speed"]):
            return True
        passed_ns = (after["clock"]["wall_ns"] - before["clock"]["wall_ns"]) * before["clock"]["speed"]
        return (
            abs(before["clock"]["market_ns"] + passed_ns - after["clock"]["market_ns"]) > SAME_CLOCK_S * 1e9
        )


def environment_without_secrets() -> dict[str, str]:
    """The environment for a process that does not need the operator's keys."""
    return {name: value for name, value in os.environ.items() if name.upper() not in SECRETS}
