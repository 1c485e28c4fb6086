"""Runs the bot for a number of markets and samples what it uses."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
from bot_process import BUYS, BotProcess
from ledger_comparison import Paths, compare, rows

from tests.chaos.evidence import Reading
from tests.endurance.load import LoadMeter, judge_load
from tests.endurance.readings import (
    Sample,
    folder_size,
    ledger_size,
    status_of,
    usage,
)
from tests.endurance.result import MARKET_S, Decided, Row, judge, missed_windows

PROFILE = "synthetic"
WINDOW = (780.0, 840.0)
"""The default decision window, market seconds."""
RESOLVED_S = 120.0
"""Market seconds after the last market in which it is resolved and recorded."""
RESTART_MINUTES = 90.0
"""Of market time."""
NEVER_MINUTES = 10_080.0
SETTINGS = BUYS | {
    "REDIS_PORT": "9",
    "GRAFANA_PORT": "0",
    # Every market may be bought, whatever the earlier ones lost.
    "MAX_LOSS_PER_DAY": "1000",
    "MAX_DRAWDOWN_PCT": "1",
}
START_S = 90.0
SAMPLE_MARKET_S = 15.0
"""Market seconds between two samples; at least `SHORTEST_PAUSE_S`, and no more under load."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0
FRESH_S = 5.0
"""Greatest age of a status of a worker that runs, wall seconds."""


class Plan(msgspec.Struct, frozen=True):
    """One run: its name, how many markets, how fast, and whether workers restart.

    `rates` are additional quotes a second, one for each market.
    """

    name: str
    markets: int
    speed: float
    restarts: bool = False
    rates: tuple[int, ...] = ()

    @property
    def restart_after_minutes(self) -> float:
        """The setting, in minutes of the machine's clock."""
        return RESTART_MINUTES / self.speed if self.restarts else NEVER_MINUTES


class Result(msgspec.Struct, frozen=True):
    """The result of a run."""

    plan: Plan
    rows: list[Row]
    missed: dict[int, str]
    """Start of each market whose window was not decided, with what is recorded of it."""
    workers: int
    seconds: float
    samples: list[Sample]

    @property
    def right(self) -> bool:
        """Whether every limit was kept; one that was not measured is not."""
        return not self.failed and not self.unmeasured

    @property
    def failed(self) -> list[str]:
        """The names of the lines whose limit was not kept."""
        return [row.name for row in self.rows if row.right is False]

    @property
    def unmeasured(self) -> list[str]:
        """The names of the lines with a limit that were not measured."""
        return [row.name for row in self.rows if row.unmeasured]


class Run:
    """One bot, followed to the end of its last market.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Its empty folder.
    progress : Callable[[int], None]
        Called with the number of markets that have ended.
    """

    def __init__(self, plan: Plan, folder: Path, progress: Callable[[int], None]) -> None:
        self.plan = plan
        self.samples: list[Sample] = []
        self.pids: dict[str, set[int]] = {"worker": set(), "venue": set()}
        self.dropped: dict[int, dict[str, int]] = {}
        """Market data that each worker did not use."""
        self._folder = folder
        self._progress = progress
        self._paths = Paths.of(folder, PROFILE)
        self._first_start = 0
        self.meter: LoadMeter | None = None
        """Measures under load; None for a run without it."""

    def play(self) -> Result:
        """Run to the end of the last market, stop with Ctrl-C, and judge."""
        began = time.monotonic()
        arguments = ("--test-mode", "--venue", "synthetic", "--speed", f"{self.plan.speed:g}")
        settings = SETTINGS | {"RESTART_AFTER_MINUTES": f"{self.plan.restart_after_minutes:g}"}
        with BotProcess(self._folder, *arguments, "--start-at", "0", settings=settings) as bot:
            self._follow(bot)
            bot.interrupt()
            code, output = bot.process.returncode, bot.output
        (self._folder / "screen.txt").write_text(output)
        missed = self._missed()
        return Result(
            plan=self.plan,
            rows=[
                *self._rows(code, output, missed),
                *(
                    self._load_rows()
                    if self.meter is not None
                    else judge(self.samples, self._first_start, restarts=self.plan.restarts)
                ),
            ],
            missed=missed,
            workers=len(self.pids["worker"]),
            seconds=round(time.monotonic() - began, 1),
            samples=self.samples,
        )

    def _follow(self, bot: BotProcess) -> None:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", START_S)[1]
        clock = httpx.get(f"{url}/practice/clock", trust_env=False).json()
        reading = Reading(clock["wall_ns"], clock["market_ns"], clock["speed"])
        self._first_start = int(reading.market_s(reading.wall_ns)) // MARKET_S * MARKET_S
        if self.plan.rates:
            self.meter = LoadMeter(url, self.plan.rates)
        end = self._first_start + self.plan.markets * MARKET_S + RESOLVED_S
        pause_s = min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, SAMPLE_MARKET_S / self.plan.speed))
        if self.meter is not None:
            pause_s = SHORTEST_PAUSE_S
        while (now := reading.market_s(time.time_ns())) < end:
            assert bot.process.poll() is None, f"the bot ended:\n{bot.output[-2000:]}"
            bot.read_for(pause_s)
            self.samples.append(self._sample(bot, reading.market_s(time.time_ns())))
            self._progress(min(self.plan.markets, int(now - self._first_start) // MARKET_S))

    def _sample(self, bot: BotProcess, market_s: float) -> Sample:
        pids = bot.children()
        for name, pid in pids.items():
            self.pids.setdefault(name, set()).add(pid)
        pids["supervisor"] = bot.process.pid
        found = {name: usage(pid) for name, pid in pids.items()}
        looked_ns = time.time_ns()
        status = status_of(self._paths.ledger.parent / "pulse.json")
        fresh = status is not None and status.ts_ns > time.time_ns() - int(FRESH_S * 1e9)
        if status is not None and fresh and "worker" in pids:
            self.dropped[pids["worker"]] = status.dropped
        if self.meter is not None:
            number = int(market_s - self._first_start) // MARKET_S
            self.meter.follow(number, pids.get("worker"), status, looked_ns)
        return Sample(
            market_s=market_s,
            processes={name: one for name, one in found.items() if one is not None},
            tasks=status.tasks if status is not None and fresh else None,
            ledger_bytes=ledger_size(self._paths.ledger),
            log_bytes=folder_size(self._folder / "logs"),
        )

    # --- the lines that are not about growth ---------------------------------------------------------

    def _decisions(self) -> list[Decided]:
        query = "SELECT m.start, d.second, d.reason FROM decisions d JOIN markets m USING (session, slug)"
        return [Decided(*row) for row in rows(self._paths.ledger, query)]

    def _missed(self) -> dict[int, str]:
        starts = range(self._first_start, self._first_start + self.plan.markets * MARKET_S, MARKET_S)
        return missed_windows(self._decisions(), starts, WINDOW)

    def _load_rows(self) -> list[Row]:
        assert self.meter is not None
        first: dict[int, float] = {}
        for one in self._decisions():
            if WINDOW[0] <= one.second < WINDOW[1]:
                first[one.start] = min(one.second, first.get(one.start, one.second))
        found = []
        for number, rate in enumerate(self.plan.rates[: self.plan.markets]):
            decided_at = first.get(self._first_start + number * MARKET_S)
            found += judge_load(rate, self.meter.loads.get(number), decided_at, WINDOW)
        return found

    def _rows(self, code: int, output: str, missed: dict[int, str]) -> list[Row]:
        crashes = len(re.findall(r"starting it again|is replaced", output))
        traces = output.count("Traceback (most recent call last)")
        report = compare(self._paths)
        dropped = {
            kind: sum(one.get(kind, 0) for one in self.dropped.values()) for kind in ("quotes", "frames")
        }
        decided = self.plan.markets - len(missed)
        return [
            Row("windows decided", f"{decided} of {self.plan.markets}", "all", not missed),
            Row(
                "workers",
                f"{len(self.pids['worker'])}, {crashes} crashed",
                "no crash, and a restart if there is time for one",
                crashes == 0 and self._has_restarted(),
            ),
            Row("exit", f"code {code}, {traces} tracebacks", "code 0, none", code == 0 and not traces),
            Row(
                "ledger and venue",
                f"{report.venue_trades} trades, {len(report.wrong)} differences",
                "no difference",
                not report.wrong and not report.unresolved,
            ),
            Row("market data not used", f"{dropped['quotes']} quotes, {dropped['frames']} frames"),
        ]

    def _has_restarted(self) -> bool:
        expected = self.plan.restarts and self.plan.markets * MARKET_S / 60 > 2 * RESTART_MINUTES
        workers = len(self.pids["worker"])
        return workers > 1 if expected else workers == 1 or self.plan.restarts
