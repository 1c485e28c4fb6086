"""Sets the load of each market, and measures what the worker does under it."""

import os
import time
from pathlib import Path

import httpx
import msgspec

from tests.endurance.readings import Status

TICKS = os.sysconf("SC_CLK_TCK")
"""Units of a process' CPU time per second."""


class Load(msgspec.Struct):
    """What was measured in one market, from its first sample to its last."""

    rate: int
    """Additional quotes a second that were requested."""
    began_s: float = 0.0
    ended_s: float = 0.0
    """Wall times of the first and last sample."""
    sent: int = 0
    cpu_s: float = 0.0
    quotes: int = 0
    frames: int = 0
    longest_silence_s: float = 0.0
    """Longest time between two statuses of the worker, which its event loop makes each second."""

    @property
    def seconds(self) -> float:
        return self.ended_s - self.began_s

    def described(self, decided_at: float | None) -> str:
        """One line; `decided_at` is the market second of the first decision in the window."""
        if self.seconds <= 0:
            return "not measured"
        decided = "not decided" if decided_at is None else f"decided at second {decided_at:.1f}"
        return (
            f"{decided}; {self.sent / self.seconds:.0f} sent/s, worker {self.cpu_s / self.seconds:.0%} of a"
            f" core, {self.quotes} quotes and {self.frames} messages not used,"
            f" event loop silent for {self.longest_silence_s:.1f} s at most"
        )


class LoadMeter:
    """Follows the markets of a run.

    Parameters
    ----------
    url : str
        The practice venue.
    rates : tuple of int
        Additional quotes a second, one after the other by market.
    """

    def __init__(self, url: str, rates: tuple[int, ...]) -> None:
        self.loads: dict[int, Load] = {}
        """By the number of the market."""
        self._url = url
        self._rates = rates
        self._before: tuple[int, float, dict[str, int]] = (0, 0.0, {})
        self._last_status_ns = 0

    def follow(self, number: int, worker: int | None, status: Status | None) -> None:
        """Set the rate of a new market, and measure."""
        cpu_s = cpu_seconds(worker)
        if number >= len(self._rates) or cpu_s is None or status is None:
            return
        now, load = time.monotonic(), self.loads.get(number)
        if load is None:
            load = self.loads[number] = Load(self._rates[number], began_s=now)
            self._set_rate(load.rate)
            self._before = (self._sent(), cpu_s, status.dropped)
            self._last_status_ns = status.ts_ns
        sent, cpu_before, dropped = self._before
        load.ended_s = now
        load.sent, load.cpu_s = self._sent() - sent, cpu_s - cpu_before
        load.quotes = status.dropped.get("quotes", 0) - dropped.get("quotes", 0)
        load.frames = status.dropped.get("frames", 0) - dropped.get("frames", 0)
        silence_s = max(time.time_ns() - status.ts_ns, status.ts_ns - self._last_status_ns) / 1e9
        load.longest_silence_s = max(load.longest_silence_s, silence_s)
        self._last_status_ns = status.ts_ns

    def _set_rate(self, rate: int) -> None:
        body = {"quotes_per_second": rate}
        httpx.post(f"{self._url}/practice/load", json=body, trust_env=False, timeout=10).raise_for_status()

    def _sent(self) -> int:
        return int(httpx.get(f"{self._url}/practice/load", trust_env=False, timeout=10).json()["sent"])


def cpu_seconds(pid: int | None) -> float | None:
    """CPU time of a process, user and system; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS
