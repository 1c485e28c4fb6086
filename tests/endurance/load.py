"""Sets the load of each market, and measures and judges what the worker does under it."""

import os
import time
from pathlib import Path

import httpx
import msgspec

from tests.endurance.readings import Status
from tests.endurance.result import Row
from venue.quote_load import MOST_QUOTES

TICKS = os.sysconf("SC_CLK_TCK")
"""Units of a process' CPU time per second."""
RATE_SHARE = 0.9
"""Smallest part of the wanted rate that a venue has to send: with less, the load was another one."""
STATUS_NS = 10**9
"""Time between two statuses of a worker (`STATUS_SECONDS` of `runtime.worker`)."""
SILENCE_LIMIT_S = 2.5
"""Longest time without a new status: one may be late by a second and replace the one that is not written yet.
As `FRESH_S` of `tests.chaos.run`.
"""


class Load(msgspec.Struct):
    """What was measured in one market, from its first sample to its last."""

    rate: int
    """Additional quotes a second that were requested."""
    began_s: float = 0.0
    ended_s: float = 0.0
    """Wall times of the first and last sample."""
    sent: int = 0
    sent_s: float = 0.0
    """The seconds in which these quotes were sent."""
    cpu_s: float = 0.0
    quotes: int = 0
    frames: int = 0
    longest_silence_s: float = 0.0
    """Longest time without a new status of the worker; its event loop makes one each second."""

    @property
    def seconds(self) -> float:
        return self.ended_s - self.began_s


def judge_load(
    rate: int, load: Load | None, decided_at: float | None, window: tuple[float, float]
) -> list[Row]:
    """The lines of one market.

    At the venue's highest rate the machine may be too slow for the venue: there it counts that quotes gave
    way, and without that the line is not measured.

    Parameters
    ----------
    rate : int
        Additional quotes a second.
    load : Load, optional
        None if the worker had no status in the market.
    decided_at : float, optional
        Market second of the first decision in the window.
    window : tuple of float
        Its first market second, and its end.
    """
    name, highest = f"{rate:,} quotes a second", rate >= MOST_QUOTES
    if load is None or load.seconds <= 0 or load.sent_s <= 0:
        return [Row(name, "no status of the worker", "a status each second", False)]
    sent, least = load.sent / load.sent_s, RATE_SHARE * rate
    sent_text = f"{sent:.1f}/s, worker {load.cpu_s / load.seconds:.0%} of a core"
    decided_text = "none in the window" if decided_at is None else f"at second {decided_at:.1f}"
    window_text = f"from second {window[0]:g}, before {window[1]:g}"
    silence_s = load.longest_silence_s
    unused = f"{load.quotes:,} quotes and {load.frames:,} messages not used"
    return [
        Row(f"{name}: rate", sent_text, *(() if highest else (f"at least {least:g}/s", sent >= least))),
        Row(f"{name}: decision", decided_text, window_text, decided_at is not None),
        Row(
            f"{name}: event loop",
            f"silent for {silence_s:.1f} s at most",
            f"at most {SILENCE_LIMIT_S:g} s",
            silence_s <= SILENCE_LIMIT_S,
        ),
        Row(f"{name}: gave way", unused, *(("some quotes", load.quotes > 0 or None) if highest else ())),
    ]


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
        self._number = 0
        self._before: tuple[int, float, dict[str, int]] = (0, 0.0, {})
        self._last_look: tuple[int, int] | None = None
        """When the status was read last, and its time."""

    def follow(self, number: int, worker: int | None, status: Status | None, looked_ns: int) -> None:
        """Measure, and change the rate with the market.

        The venue is called only when the market changes: under its highest rate it answers after seconds, in
        which no status would be read.

        Parameters
        ----------
        number : int
            The running market.
        worker : int, optional
            Process id.
        status : Status, optional
        looked_ns : int
            Time immediately before the status was read.
        """
        if number != self._number and self._number in self.loads:
            self._end(self.loads[self._number])
        self._number = number
        if number >= len(self._rates) or worker is None or status is None:
            return
        if (cpu_s := cpu_seconds(worker)) is None:
            return
        load = self.loads.get(number)
        if load is None:
            self._begin(number, cpu_s, status)
            return
        _, cpu_before, dropped = self._before
        load.ended_s, load.cpu_s = time.monotonic(), cpu_s - cpu_before
        load.quotes = status.dropped.get("quotes", 0) - dropped.get("quotes", 0)
        load.frames = status.dropped.get("frames", 0) - dropped.get("frames", 0)
        silence_ns = looked_ns - status.ts_ns
        if self._last_look is not None:
            last_look_ns, last_ns = self._last_look
            # Otherwise a status in between may have been replaced before it was read.
            if looked_ns - last_look_ns < STATUS_NS:
                silence_ns = max(silence_ns, status.ts_ns - last_ns)
        self._last_look = (looked_ns, status.ts_ns)
        load.longest_silence_s = max(load.longest_silence_s, silence_ns / 1e9)

    def _begin(self, number: int, cpu_s: float, status: Status) -> None:
        load = self.loads[number] = Load(self._rates[number])
        self._set_rate(load.rate)
        self._before = (self._sent(), cpu_s, status.dropped)
        load.began_s = load.ended_s = time.monotonic()

    def _end(self, load: Load) -> None:
        load.sent, load.sent_s = self._sent() - self._before[0], time.monotonic() - load.began_s
        self._set_rate(0)

    def _set_rate(self, rate: int) -> None:
        body = {"quotes_per_second": rate}
        httpx.post(f"{self._url}/practice/load", json=body, trust_env=False, timeout=30).raise_for_status()

    def _sent(self) -> int:
        return int(httpx.get(f"{self._url}/practice/load", trust_env=False, timeout=30).json()["sent"])


def cpu_seconds(pid: int) -> float | None:
    """CPU time of a process, user and system; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS
