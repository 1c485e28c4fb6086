"""Runs a practice venue in its own process, for every test that trades against one."""

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
LATEST_RESOLUTION = 90
"""Market seconds from a scripted market's end to its resolution, at most."""
HTTP = httpx.Client(trust_env=False, verify=False)
"""Shared: creating a client costs more than any request to a loopback venue."""


@dataclass(frozen=True)
class VenueClock:
    """Market time extrapolated from a pair of readings of the venue's clock."""

    wall_ns: int
    market_ns: int
    speed: float
    held: bool = False

    def market_s(self) -> float:
        """Market time now, in seconds since the epoch."""
        passed = 0.0 if self.held else (time.time_ns() - self.wall_ns) * self.speed
        return (self.market_ns + passed) / 1e9

    def current_start(self) -> int:
        """Start of the market that runs now."""
        return int(self.market_s()) // 900 * 900


@dataclass
class VenueProcess:
    """A venue process. Use as a context manager, or call `start` and then `stop` or `kill`.

    Parameters
    ----------
    arguments : tuple of str
        Command-line arguments, e.g. ("--speed", "60").
    state : Path, optional
        State folder; in memory if absent.
    """

    module: ClassVar[str] = "venue"
    arguments: tuple[str, ...] = ()
    state: Path | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = None

    @classmethod
    def start(cls, *arguments: str, state: Path | None = None) -> Self:
        """Start a venue and wait until it is ready."""
        venue = cls(arguments, state)
        venue._launch()
        return venue

    @property
    def url(self) -> str:
        """Base URL of the CLOB; Gamma is under /gamma, the Data API under /data-api."""
        return self.ready["url"]

    @property
    def ws_url(self) -> str:
        """Base URL of the WebSockets, ending in a slash."""
        return self.url.replace("http://", "ws://") + "/ws/"

    @property
    def clock(self) -> VenueClock:
        """The present clock: held, running or stepped by a test since the ready line."""
        return VenueClock(**self.get("/practice/clock"))

    @property
    def pid(self) -> int:
        return self.ready["pid"]

    def restart(self, *arguments: str) -> None:
        """Start again with the same state folder, with other arguments if any are given."""
        self.arguments = arguments or self.arguments
        self._launch()

    def stop(self) -> int:
        """Stop it with SIGTERM; returns its exit code."""
        process = self._running()
        process.terminate()
        return self._ended(process)

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would."""
        process = self._running()
        process.kill()
        self._ended(process)

    def close_stdin(self) -> int:
        """Close its stdin, as a dying parent does; returns its exit code once it has ended."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.close()
        return self._ended(process)

    # --- the control routes ------------------------------------------------------------------

    def get(self, path: str, **query: str) -> Any:
        """The JSON of a GET request."""
        return HTTP.get(self.url + path, params=query).raise_for_status().json()

    def fault(self, name: str, count: int | None = 1, **parameters: Any) -> None:
        """Arm a fault; count None means until cleared."""
        body = {"name": name, "count": count, "parameters": parameters}
        HTTP.post(self.url + "/practice/faults", json=body).raise_for_status()

    def clear_faults(self) -> None:
        """Disarm all faults."""
        HTTP.delete(self.url + "/practice/faults").raise_for_status()

    def set_clock(self, **wanted: bool | float) -> VenueClock:
        """Change the clock: held, speed, advance (market seconds), to (market seconds since the epoch)."""
        answer = HTTP.post(self.url + "/practice/clock", json=wanted, timeout=START_SECONDS)
        return VenueClock(**answer.raise_for_status().json())

    def hold(self) -> VenueClock:
        """Stop market time."""
        return self.set_clock(held=True)

    def step(self, seconds: float) -> VenueClock:
        """Move market time forward; all events in between have happened when this returns."""
        return self.set_clock(advance=seconds)

    def finish_market(self) -> int:
        """Step past the resolution of the market that runs now; returns its start."""
        start = self.clock.current_start()
        self.set_clock(to=start + 900 + LATEST_RESOLUTION)
        return start

    def account(self, address: str) -> dict[str, Any]:
        """An account in decimal strings."""
        return self.get("/practice/account", address=address)

    def set_account(self, address: str, **fields: str) -> None:
        """Set an account's balance or allowance."""
        body = {"address": address, **fields}
        HTTP.post(self.url + "/practice/accounts", json=body).raise_for_status()

    # --- the process -------------------------------------------------------------------------

    def _launch(self) -> None:
        command = [sys.executable, "-m", self.module, *self.arguments, "--exit-with-stdin"]
        if self.state is not None:
            command += ["--state", str(self.state)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ready = self._ready_line(self._process)

    @staticmethod
    def _ready_line(process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if readable else ""
        if not line:
            process.kill()
            _, errors = process.communicate()
            raise RuntimeError(f"the venue did not start (exit code {process.returncode}): {errors}")
        return json.loads(line)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the venue is not running")
        return self._process

    def _ended(self, process: subprocess.Popen[str]) -> int:
        process.communicate(timeout=START_SECONDS) if not _closed(process) else process.wait(START_SECONDS)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self._process = None
        return process.returncode

    def __enter__(self) -> Self:
        if self._process is None:
            self._launch()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()


def _closed(process: subprocess.Popen[str]) -> bool:
    return process.stdin is not None and process.stdin.closed
