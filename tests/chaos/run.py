"""Plays one schedule: the whole bot on a generated market, its faults at their moments, then the evidence.

The market runs at `--speed`. A fault at a market second begins when the
venue's clock shows that second; one at a point of an order's life begins when the ledger shows it, or, for a
command, at the instant before the worker carries it out. The report has the market second at which each fault
really began.
The bot reads the venue's clock once, at its start: that clock cannot be stepped while it runs.
"""

import json
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from decimal import Decimal
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import httpx
import msgspec
from bot_process import BotProcess
from eth_account import Account
from kills import BUYS_EARLY, HTTP, account, ask, gone, wait_for_end
from ledger_comparison import Paths, ledger_fills, rows

from control.halt_file import HALT_FILE, HaltFile
from control.locks import holder, state_lock, wallet_lock
from errors import Fatal
from research.recording_file import read_rows
from tests.chaos.evidence import Evidence, Limits, Observed, Reading, Recovery, collect
from tests.chaos.invariants import violations
from tests.chaos.machine_load import ProcessorWait
from tests.chaos.old_ledger import lost_rows, write_old_ledger
from tests.chaos.proxy import Relay
from tests.chaos.recovery import Recoveries, longest_free
from tests.chaos.schedule import (
    COMMAND,
    OPERATOR_HALT,
    RESTARTING,
    START_AT,
    SWITCHED,
    Injection,
    Layer,
    Schedule,
)
from tests.control.redis_servers import RedisServer
from venue.faults import STANDING

HOOKS = Path(__file__).parent / "hooks"
LIMITS = Limits(window=(640.0, 880.0))
"""The window begins after the worker has connected: faults of the first order are armed before it."""
SETTINGS = BUYS_EARLY | {
    "TRADE_WINDOW_START": f"{LIMITS.window[0]:g}",
    "TRADE_WINDOW_END": f"{LIMITS.window[1]:g}",
    # A generated favourite often costs that late in a market.
    "MAX_ENTRY_PRICE": "0.999",
}
"""Between 880 and the next market's 640 no order is sent: a run ends there."""
WITHOUT_ORDER = {"FUSION_MIN_WEIGHT": "1"}
"""A position would delay a restart."""
LIMIT_OF_ONE = {
    "MAX_POSITIONS": ("1", {"positions": 1}),
    "MAX_TOTAL_EXPOSURE": ("1.50", {"exposure": Decimal("1.50")}),
    "MAX_LOSS_PER_DAY": ("1.50", {"day_loss": Decimal("1.50")}),
}
"""Values of the limits that one order of $1 reaches, as settings and as limits of the invariants."""
SITUATION_SETTINGS = {
    "restart": WITHOUT_ORDER | {"RESTART_AFTER_MINUTES": "0.01"},
    "switch": WITHOUT_ORDER,
}
"""A restart at the beginning of every market; or a mode switch, which replaces the worker there."""
SLOW, FAST = 15.0, 30.0
"""Market seconds per second: of a single run on any machine, and of many runs that start in turn."""
SPEED = SLOW
EARLIER_S = 80
"""Market seconds by which a slow run starts earlier: on a busy machine, its worker connects 20 s later."""
STARTS = get_context("fork").BoundedSemaphore(2)
"""Bots that start at the same time; the others wait. A start takes more CPU than the rest of a run."""
START_TURN_S = 15.0
"""Longest turn of a start whose worker does not connect, such as one with a fault of the connection."""
LIVE, SIMULATION = "0", "1"
"""Values of the mode store."""
PROFILES = {"paper": "synthetic", "rehearsal": "rehearsal-synthetic"}
FLAGS = ("--test-mode", "--venue", "synthetic", "--no-grafana")
AFTER_RESTART = ("--start-at", "860")
"""A restarted bot begins in the next market, between two decision windows."""
UNSETTLED_HALT = "SELECT 1 FROM halts WHERE why LIKE '%cannot be settled%' LIMIT 1"
SETTLED = "SELECT 1 FROM settlements JOIN fills f USING (session, slug) WHERE f.status <> 'FAILED' LIMIT 1"
REDEEMED = "SELECT 1 FROM redemptions JOIN markets USING (session, slug) WHERE start = ?"
CORRECTED_S = 300.0
"""Market seconds in which a correction is published, 90 s after the result at most, and found: the positions
are compared once in 60 s."""
CORRECTED_HALT = "SELECT 1 FROM halts WHERE why LIKE '%was corrected%' LIMIT 1"
POLL_S = 0.01
"""Pause while a point of an order's life is waited for."""
IDLE_S = 0.05
SCAN_S = 0.25
"""Pause between two looks at the processes."""
DECIDES_S = 4.0
"""Wall seconds from the first quotes to a decision: a worker reads 20 prices, and tries once a second."""
INTERRUPT_S = 2.0
"""Wall seconds that Ctrl-C takes."""
RESOLVED_S = 995.0
"""Market second at which a market without a fault is resolved and recorded."""
SECOND_WINDOW_S = 1790.0
"""Market second, of the first market, after the decision window of the second one."""
FEW_DESCRIPTORS = 8
"""Fewer than a worker has open: those that it has stay, and none is added."""
START_S = 90.0
RECOVERY_LIMIT_S = 90.0
"""A bot that is not healthy by then has not recovered; the invariant's limit is shorter."""
REST_S = 120.0
FRESH_S = 2.5
"""Greatest age of a status of a worker that runs, wall seconds; it writes one each second."""
QUOTE_S = 5.0
"""Greatest age of the running market's quote of a healthy worker, wall seconds."""


class Outcome(msgspec.Struct, frozen=True):
    """The result of a schedule.

    `began` has the market second at which each fault began, in the order of the schedule; None if its point
    was never reached. `applied` has how often each fault was applied; None if that is not counted, as of a
    state or of a signal. `limited` counts the decisions that the schedule's limit refused.
    """

    schedule: Schedule
    violations: dict[str, list[str]]
    began: tuple[float | None, ...]
    halts: tuple[str, ...]
    purchases: int
    decisions: int
    recoveries: tuple[Recovery, ...]
    seconds: float
    folder: str
    applied: tuple[int | None, ...] = ()
    covered: int = 0
    """Markets whose window had to have a decision."""
    limited: int = 0
    speed: float = SLOW

    @property
    def right(self) -> bool:
        return not self.violations

    @property
    def recovery_s(self) -> float:
        """The slowest recovery."""
        return max((one.seconds for one in self.recoveries), default=0.0)


def set_speed(speed: float) -> None:
    """Play all following schedules at this speed, market seconds per second."""
    global SPEED
    SPEED = speed


def play(schedule: Schedule, folder: Path, environment: dict[str, str] | None = None) -> Outcome:
    """Run a schedule in an empty folder; returns what was violated.

    Parameters
    ----------
    environment : dict, optional
        More environment variables for the bot.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        run = Run(schedule, folder, stack, environment or {})
        observed = run.play()
    limits = LIMITS
    if schedule.limit:
        limits = msgspec.structs.replace(LIMITS, **LIMIT_OF_ONE[schedule.limit][1])
    # The decision of the first market is in the ledger of the mode before a switch.
    nothing = msgspec.structs.replace(observed, covered=())
    in_own, in_paper = (nothing, observed) if run.to_live else (observed, nothing)
    evidence = collect(folder, PROFILES[schedule.path], limits, in_own)
    wrong = violations(evidence)
    if schedule.situation == "switch" and Paths.of(folder, PROFILES["paper"]).ledger.exists():
        wrong |= violations(collect(folder, PROFILES["paper"], LIMITS, in_paper))
    return _outcome(schedule, evidence, wrong, run, time.monotonic() - began)


def _outcome(
    schedule: Schedule, evidence: Evidence, wrong: dict[str, list[str]], run: "Run", seconds: float
) -> Outcome:
    return Outcome(
        schedule=schedule,
        violations=wrong,
        began=tuple(run.began.get(place) for place in range(len(schedule.injections))),
        halts=tuple(halt.why for halt in evidence.halts if halt.event == "halt"),
        purchases=len(evidence.purchases),
        decisions=len(evidence.decisions),
        recoveries=evidence.observed.recoveries,
        seconds=round(seconds, 1),
        folder=str(run.folder),
        applied=tuple(run.applied.get(place) for place in range(len(schedule.injections))),
        covered=len(evidence.observed.covered),
        limited=_limited_decisions(schedule, evidence),
        speed=SPEED,
    )


def _limited_decisions(schedule: Schedule, evidence: Evidence) -> int:
    """The decisions that the limit of the schedule refused, once an order had reached it."""
    halted = any(halt.event == "halt" for halt in evidence.halts)
    if not schedule.limit or halted or not evidence.purchases:
        return 0
    return sum(decision.reason == "risk" for decision in evidence.decisions)


class Run:
    """One run: starts the bot, begins and ends the faults, and observes.

    Parameters
    ----------
    schedule : Schedule
    folder : Path
        The bot's folder.
    stack : ExitStack
        Ends the processes.
    environment : dict
        More environment variables for the bot.
    """

    def __init__(
        self, schedule: Schedule, folder: Path, stack: ExitStack, environment: dict[str, str]
    ) -> None:
        self.schedule = schedule
        self.folder = folder
        self.began: dict[int, float] = {}
        """Market second at which each fault began, by its place in the schedule."""
        self.applied: dict[int, int] = {}
        """How often each fault was applied, as far as that is counted."""
        self._armed_at: dict[int, int] = {}
        """The venue process that a fault was armed at."""
        self._paths = Paths.of(folder, PROFILES[schedule.path])
        self._stack = stack
        self._relay = stack.enter_context(Relay(folder / "venue.url")) if schedule.uses_relay else None
        self._ahead_s = schedule.ahead_s / SPEED if shutil.which("faketime") else 0.0
        """By how much the bot's clock is ahead of the venue's and of this process's, wall seconds."""
        self._redis = RedisServer(folder) if schedule.uses_redis else None
        if self._redis is not None:
            self._redis.set(SIMULATION if self.to_live else LIVE)
            stack.callback(lambda: self._redis and self._redis.stop())
        self._environment = (
            SETTINGS
            | SITUATION_SETTINGS.get(schedule.situation, {})
            | ({schedule.limit: LIMIT_OF_ONE[schedule.limit][0]} if schedule.limit else {})
            | self._hooks(environment)
        )
        if schedule.situation == "migration":
            write_old_ledger(self._paths.ledger)
        self._recording = folder / "recording" if schedule.situation == "recording" else None
        self._moved = Decimal(0)
        self._settled_at: float | None = None
        """When a bought market was first found settled, seconds of the monotonic clock."""
        self._first_worker = 0
        self._stopped = folder / "stopped"
        self._output = ""
        self._problems: list[str] = []
        self._pids: dict[int, str] = {}
        self._clocks: list[Reading] = []
        self._venue_pid = 0
        self._next_scan = self._next_look = self._next_recovery = 0.0
        self._ends: list[tuple[float, Callable[[], object]]] = []
        """(market time, action) of the faults that last."""
        self._first_start = 0.0
        self._ready_at: float | None = None
        """Market time at which the first worker had quotes."""
        self._recoveries = Recoveries(schedule.injections, self._healthy, self._now)
        self._operator_halts: list[tuple[int, int]] = []
        self._start_waits = ProcessorWait()
        """From the first quotes to the end of the first decision window."""
        self._start_turn = stack.enter_context(ExitStack())
        self._start_turn.enter_context(STARTS)
        self._began = time.monotonic()
        self._bot = self._start(*self._first_arguments)

    def _hooks(self, environment: dict[str, str]) -> dict[str, str]:
        """Environment of the test-only entries in `hooks/`."""
        found = dict(environment)
        if self._relay is not None:
            found |= {"CHAOS_RELAY": self._relay.address, "CHAOS_UPSTREAM": str(self.folder / "venue.url")}
        if self._ahead_s:
            found |= {"CHAOS_VENUE_CLOCK": "unchanged"}
        if self._redis is not None:
            found |= {"REDIS_PORT": str(self._redis.endpoint.port), "REDIS_DB": "0"}
        if self.schedule.command:
            found |= {"CHAOS_STOP": self.schedule.command, "CHAOS_STOPPED": str(self.folder / "stopped")}
        if any(name.startswith("CHAOS_") for name in found):
            found["PYTHONPATH"] = str(HOOKS)
        return found

    @property
    def to_live(self) -> bool:
        """Whether the mode is switched to live, and so is simulation before."""
        return any(injection.fault == "switch_to_live" for injection in self.schedule.injections)

    @property
    def _first_arguments(self) -> tuple[str, ...]:
        at = START_AT[self.schedule.path] - (EARLIER_S if SPEED <= SLOW else 0)
        return ("--first", str(self.schedule.market), "--start-at", str(at))

    def _start(self, *arguments: str) -> BotProcess:
        live = ("--live",) if self.schedule.path == "rehearsal" else ()
        record = () if self._recording is None else ("--record", str(self._recording))
        return self._stack.enter_context(
            BotProcess(
                self.folder,
                *(*FLAGS, "--speed", f"{SPEED:g}", *live, *record, *arguments),
                settings=self._environment,
                clock=f"{self._ahead_s:+.0f}" if self._ahead_s else None,
            )
        )

    # --- the run -----------------------------------------------------------------------------------

    def play(self) -> Observed:
        """Play the schedule to its end."""
        try:
            if self.schedule.situation == "migration":
                self._kill_in_migration()
            self._follow_venue(START_S)
            self._first_start = self._now() // 900 * 900
            self._play_faults()
            self._recover()
            self._rest()
        except (AssertionError, httpx.HTTPError) as error:
            self._problems.append(str(error).splitlines()[0])
        return self._end()

    def _play_faults(self) -> None:
        """Begin and end every fault, until the first market is resolved."""
        waiting = {
            place: injection
            for place, injection in enumerate(self.schedule.injections)
            if place not in self.began and (injection.kind.layer is not Layer.MACHINE or self._ahead_s)
        }
        end = self._first_start + (SECOND_WINDOW_S if self.schedule.limit else RESOLVED_S)
        while waiting or self._ends or not self._is_resolved(end):
            self._turn(POLL_S if any(injection.on for injection in waiting.values()) else IDLE_S)
            now = self._now()
            for place, injection in list(waiting.items()):
                if self._is_due(injection, now):
                    del waiting[place]
                    self.began[place] = round(now - self._first_start, 1)
                    self._begin(place, injection)
            patience = 900 if self.schedule.command or self.schedule.situation else 60
            if now > end + patience and all(one.on or one.after_start for one in waiting.values()):
                self._missed(waiting.values())
                waiting.clear()
            for last, action in [one for one in self._ends if one[0] <= now]:
                self._ends.remove((last, action))
                action()
            if time.monotonic() >= self._next_recovery:
                self._next_recovery = time.monotonic() + SCAN_S
                self._recoveries.check()

    def _kill_in_migration(self) -> None:
        """Kill the supervisor, which migrates the ledger before anything else, and start it again."""
        self._bot.until(self._is_stopped_at_command, f"the command {self.schedule.command!r}", START_S)
        self.began[0] = 0.0
        os.kill(self._bot.process.pid, signal.SIGKILL)
        self._bot.process.wait()
        self._output += self._bot.output
        self._bot = self._start(*self._first_arguments)

    def _is_resolved(self, end: float) -> bool:
        """Whether the first market has its result in the ledger, or should have it by now."""
        now = self._now()
        early = now < self._first_start + 900 or bool(self.schedule.limit)
        if now >= end or early or time.monotonic() < self._next_look:
            return now >= end
        self._next_look = time.monotonic() + SCAN_S
        query = "SELECT 1 FROM settlements JOIN markets USING (session, slug) WHERE start = ?"
        return bool(rows(self._paths.ledger, query, int(self._first_start)))

    def _missed(self, injections: Iterable[Injection]) -> None:
        """A point of an order that was never made is left out; a point of the crash matrix must come."""
        for injection in injections:
            if injection.on.startswith(COMMAND) or self.schedule.situation:
                self._problems.append(f"the worker never came to the {injection.on}")

    def _turn(self, pause: float = IDLE_S) -> None:
        """Read the screen, and note the processes; follow a venue that was started again."""
        assert self._bot.process.poll() is None, f"the bot ended: {self._last_line()}"
        self._bot.read_for(pause)
        if time.monotonic() < self._next_scan:
            return
        self._next_scan = time.monotonic() + SCAN_S
        children = self._bot.children()
        self._pids |= {pid: name for name, pid in children.items()}
        self._first_worker = self._first_worker or children.get("worker", 0)
        self._note_start(children)
        self._recoveries.read({**children, "supervisor": self._bot.process.pid})
        if children.get("venue", self._venue_pid) != self._venue_pid:
            self._follow_venue(START_S)

    def _note_start(self, children: dict[str, int]) -> None:
        """Note when the first worker has quotes, and let the next bot start."""
        if self._ready_at is None and self._healthy(0):
            self._ready_at = self._now()
            self._start_waits.begin(children)
        if self._ready_at is not None or time.monotonic() > self._began + START_TURN_S:
            self._start_turn.close()
        if self._ready_at is not None and self._now() < self._first_start + LIMITS.window[1]:
            self._start_waits.read(children)

    def _last_line(self) -> str:
        lines = [line for line in self._bot.output.splitlines() if line.strip()]
        return lines[-1] if lines else "nothing on the screen"

    def _follow_venue(self, seconds: float) -> None:
        """Read the clock of the present venue process."""
        self._bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", seconds)
        children = self._bot.until(
            lambda: "venue" in (found := self._bot.children()) and found, "a practice venue", seconds
        )
        reading = self._bot.until(lambda: ask(self._url, "/practice/clock"), "the venue's clock", seconds)
        self._venue_pid = children["venue"]
        self._clocks.append(Reading(reading["wall_ns"], reading["market_ns"], reading["speed"]))

    @property
    def _url(self) -> str:
        """The venue's own address, also where the bot uses the relay's."""
        if self._relay is not None:
            return self._relay.upstream
        return self._bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", 1)[1]

    def _now(self) -> float:
        """Market time in seconds since the epoch."""
        return self._clocks[-1].market_s(time.time_ns())

    def _is_due(self, injection: Injection, now: float) -> bool:
        if now < self._first_start + injection.at:
            return False
        if injection.after_start:
            return bool(rows(self._paths.ledger, "SELECT 1 FROM runs LIMIT 1"))
        if injection.on.startswith(COMMAND):
            return self._is_stopped_at_command()
        return not injection.on or self._reached(injection.on)

    def _is_stopped_at_command(self) -> bool:
        """Whether the worker has stopped itself before the command of the schedule."""
        try:
            worker = int(self._stopped.read_text())
            state = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return False
        return state == "T"

    def _reached(self, point: str) -> bool:
        """Whether the ledger shows a point of an order's life, or another worker has been started."""
        if point == RESTARTING:
            return any(name == "worker" and pid != self._first_worker for pid, name in self._pids.items())
        ledger = self._paths.ledger
        if point == SWITCHED:
            running = Paths.of(self.folder, PROFILES["paper"]).ledger if self.to_live else ledger
            mode = "live" if self.to_live else "simulation"
            return bool(rows(running, "SELECT 1 FROM mode_changes WHERE mode = ? LIMIT 1", mode))
        if point == "decided":
            return bool(rows(ledger, "SELECT 1 FROM decisions WHERE reason IS NULL LIMIT 1"))
        if point == "filled":
            return bool(rows(ledger, "SELECT 1 FROM fills LIMIT 1"))
        query = "SELECT 1 FROM intents WHERE state = ? UNION SELECT 1 FROM order_states WHERE state = ?"
        return bool(rows(ledger, query, point, point))

    # --- faults ------------------------------------------------------------------------------------

    def _begin(self, place: int, injection: Injection) -> None:
        struck = time.monotonic(), time.time_ns()
        lasts = injection.lasts * (SPEED if injection.kind.wall else 1)
        end = self._now() + lasts
        self._recoveries.begin(place)
        action = self._start_fault(place, injection)
        if lasts and action is not None:
            self._ends.append((end, action))
            self._ends.append((end, lambda: self._recoveries.end(place, self._processes)))
        else:
            self._recoveries.end(place, self._processes, struck)

    def _start_fault(self, place: int, injection: Injection) -> Callable[[], object] | None:
        """Begin a fault; returns what ends one that lasts."""
        kind = injection.kind
        match kind.layer:
            case Layer.VENUE:
                return self._arm(place, injection)
            case Layer.WIRE:
                return self._disturb_wire(place, injection)
            case Layer.DISK:
                return self._lock_ledger() if injection.fault == "ledger_locked" else self._fill_disk()
            case Layer.STORE:
                return self._disturb_store(injection)
            case Layer.SEQUENCE if injection.fault == "engine_restart":
                return self._restart_engine(injection.lasts / 2)
            case Layer.SEQUENCE:
                self._post("faults", name="unavailable_503", count=None, parameters=injection.parameters)
                return partial(self._disarm, "unavailable_503")
            case Layer.ACCOUNT:
                self._move_balance(Decimal(str(injection.parameters["usd"])))
            case Layer.OPERATOR:
                return self._halt()
            case Layer.PROCESS:
                return self._disturb(injection)
        return None  # the clock of the machine is shifted from the start on

    def _disturb_wire(self, place: int, injection: Injection) -> Callable[[], object]:
        assert self._relay is not None
        fault = injection.kind.acts_as or injection.fault
        count = None if injection.lasts else injection.count
        self._relay.arm(fault, count, injection.parameters.get("seconds", 0.0))
        self._armed_at[place] = 0
        return partial(self._relay.clear, fault)

    @property
    def _processes(self) -> dict[str, int]:
        return {**self._bot.children(), "supervisor": self._bot.process.pid}

    def _halt(self) -> Callable[[], object]:
        """Halt trading as an operator does; returns what lifts the halt."""
        file = HaltFile(self._paths.ledger.with_name(HALT_FILE))
        file.raise_(OPERATOR_HALT)
        begin = time.time_ns()

        def lift() -> None:
            self._operator_halts.append((begin, time.time_ns()))
            file.lift()

        return lift

    def _arm(self, place: int, injection: Injection) -> Callable[[], object]:
        count = None if injection.lasts else injection.count
        self._post("faults", name=injection.fault, count=count, parameters=injection.parameters)
        self._armed_at[place] = self._venue_pid

        def end() -> None:
            self._count_applied(place)
            self._disarm(injection.fault)

        return end

    def _count_applied(self, *places: int) -> None:
        """Note how often faults of the venue and of the relay were applied; a state is not counted."""
        listed = None
        for place in places:
            fault = self.schedule.injections[place]
            if fault.kind.layer is Layer.WIRE and self._relay is not None:
                self.applied[place] = self._relay.struck[fault.kind.acts_as or fault.fault]
            elif self._armed_at.get(place) == self._venue_pid and fault.fault not in STANDING:
                if listed is None:
                    listed = ask(self._url, "/practice/faults")
                if listed is not None:
                    left = {one["name"]: one["struck"] for one in listed}
                    self.applied[place] = left.get(fault.fault, fault.count)

    def _post(self, route: str, **body: object) -> None:
        """Send a control request to the venue; a stopped one gets it later."""
        with suppress(httpx.TimeoutException, httpx.TransportError):
            HTTP.post(f"{self._url}/practice/{route}", json=body, timeout=2).raise_for_status()

    def _restart_engine(self, half: float) -> Callable[[], object]:
        """425 for the first half, then 503 in post-only mode."""
        self._post("faults", name="too_early_425", count=None, parameters={})

        def post_only() -> None:
            self._disarm("too_early_425")
            self._post("faults", name="unavailable_503", count=None, parameters={"variant": "post_only"})

        self._ends.append((self._now() + half, post_only))
        return partial(self._disarm, "unavailable_503")

    def _move_balance(self, usd: Decimal) -> None:
        """Another client with the same account pays in or out."""
        held = account(self._url, self._paths)
        if held is not None:
            self._post("accounts", address=held["address"], deposit=str(usd))
            self._moved += usd

    def _disarm(self, fault: str | None = None) -> None:
        query = {} if fault is None else {"name": fault}
        with suppress(httpx.TimeoutException, httpx.TransportError):
            HTTP.delete(f"{self._url}/practice/faults", params=query, timeout=2)

    def _lock_ledger(self) -> Callable[[], object] | None:
        """Another program locks the ledger, as a backup or an SQL shell would."""
        if not self._paths.ledger.exists():
            return None
        database = sqlite3.connect(self._paths.ledger, timeout=5, isolation_level=None)
        with suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
        self._stack.callback(database.close)
        return database.close

    def _disturb(self, injection: Injection) -> Callable[[], object] | None:
        children = self._bot.children()
        action, _, victim = injection.fault.partition("_")
        if injection.fault == "few_descriptors":
            return self._limit_descriptors(children.get("worker"))
        pid = self._bot.process.pid if victim == "supervisor" else children.get(victim)
        if pid is None:
            return None
        if action == "stop":
            os.kill(pid, signal.SIGSTOP)
            return lambda: _signal(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        if victim != "worker" and (worker := children.get("worker")) is not None:
            _signal(worker, signal.SIGCONT)  # it may be stopped at a command
        if victim == "supervisor":
            self._restart_supervisor(children)
        return None

    def _restart_supervisor(self, children: dict[str, int]) -> None:
        """Start the bot again, as an operator does after a kill; the venue's faults are gone with it."""
        self._bot.process.wait()
        for pid in children.values():
            _signal(pid, signal.SIGCONT)
        wait_for_end(children.values())
        self._output += self._bot.output
        self._venue_pid = 0
        self._bot = self._start(*AFTER_RESTART)
        self._follow_venue(START_S)

    def _limit_descriptors(self, worker: int | None) -> Callable[[], object] | None:
        """No file or socket can be opened any more."""
        if worker is None or gone(worker):
            return None
        return _limited(worker, resource.RLIMIT_NOFILE, FEW_DESCRIPTORS)

    def _fill_disk(self) -> Callable[[], object] | None:
        """No file of the worker can be written, as on a full disk; the next worker finds space."""
        worker = self._bot.children().get("worker")
        return None if worker is None or gone(worker) else _limited(worker, resource.RLIMIT_FSIZE, 0)

    def _disturb_store(self, injection: Injection) -> Callable[[], object] | None:
        """Stop, freeze or restart the Redis, or change its value; returns what makes it right again."""
        assert self._redis is not None
        match injection.fault:
            case "redis_hangs":
                self._redis.freeze()
                return self._redis.thaw
            case "redis_stopped":
                self._redis.stop()
                return self._start_redis_again
            case "redis_restarted":
                self._redis.stop()
                self._start_redis_again()
            case "redis_value":
                self._redis.set(injection.parameters["value"].encode("latin-1"))
                return partial(self._redis.set, LIVE)
            case "switch_to_simulation":
                self._redis.set(SIMULATION)
            case "switch_to_live":
                self._redis.set(LIVE)
        return None

    def _start_redis_again(self) -> None:
        """Start a Redis at the same port; it is empty, and then has the mode that it had."""
        assert self._redis is not None
        self._redis = RedisServer(self.folder, port=self._redis.endpoint.port)
        self._redis.set(LIVE)

    # --- the end -----------------------------------------------------------------------------------

    def _recover(self) -> None:
        """End every fault, and wait until the bot is healthy."""
        self._count_applied(*(place for place in self._armed_at if place not in self.applied))
        for _, action in self._ends:
            action()
        self._ends.clear()
        self._disarm()
        if self._relay is not None:
            self._relay.clear()
        self._recoveries.end_all(self._processes)
        while not self._recoveries.check():
            if self._recoveries.waiting_s > RECOVERY_LIMIT_S:
                self._recoveries.give_up()
                return
            self._turn()

    def _healthy(self, since_ns: int) -> bool:
        """Whether a worker reported, since a time, that it has quotes of the running market since then."""
        try:
            files = [Paths.of(self.folder, name).ledger.with_name("pulse.json") for name in PROFILES.values()]
            newest = max((file for file in files if file.exists()), key=lambda file: file.stat().st_mtime_ns)
            status = json.loads(newest.read_text())
        except (FileNotFoundError, ValueError):
            return False
        since_ns, now_ns = (at_ns + int(self._ahead_s * 1e9) for at_ns in (since_ns, time.time_ns()))
        age_s = status["quote_age_s"]
        fresh = status["ts_ns"] > max(since_ns, now_ns - int(FRESH_S * 1e9))
        if not fresh or status["slug"] is None or age_s is None:
            return False
        return age_s < min(QUOTE_S, (status["ts_ns"] - since_ns) / 1e9)

    def _rest(self) -> None:
        """Wait until everything is recorded, at a time without a decision window."""
        deadline = time.monotonic() + REST_S
        while not (self._is_outside_window() and self._is_at_rest()):
            assert time.monotonic() < deadline, f"not at rest: {self._what_is_open()}"
            self._turn()

    def _is_outside_window(self) -> bool:
        second = self._now() % 900
        # Ctrl-C takes some time, and the bot's own clock may be ahead or behind.
        early, late = max(0.0, self.schedule.ahead_s), max(0.0, -self.schedule.ahead_s)
        return not LIMITS.window[0] - INTERRUPT_S * SPEED - early <= second < LIMITS.window[1] + 5 + late

    def _is_at_rest(self) -> bool:
        return not self._what_is_open()

    def _what_is_open(self) -> str:
        """What has to be recorded still; empty if nothing."""
        if self.schedule.situation == "switch":
            return ""  # there is no order, and two venues
        held = account(self._url, self._paths)
        if held is None:
            return "the venue does not answer"
        fills = ledger_fills(self._paths.ledger)
        standing = {trade["id"] for trade in held["trades"] if trade["status"] != "FAILED"}
        if standing != fills.keys():
            return f"{len(standing)} trades at the venue, {len(fills)} in the ledger"
        known = {order["id"] for order in held["orders"]}
        living = rows(
            self._paths.ledger,
            "SELECT order_id, state FROM intents WHERE state IN ('intent', 'sent', 'unknown')",
        )
        if any(order in known or state != "unknown" for order, state in living):
            return "an order without a final state"
        unsettled = (
            "SELECT DISTINCT m.start FROM fills f JOIN markets m USING (session, slug)"
            " WHERE f.status <> 'FAILED' AND NOT EXISTS"
            " (SELECT 1 FROM settlements s WHERE s.session = f.session AND s.slug = f.slug)"
        )
        # Outside of the decision window such a market has ended, or ends while the bot is stopped: the venue
        # might pay what the ledger does not have yet.
        late = [start for (start,) in rows(self._paths.ledger, unsettled)]
        if self.schedule.unbookable and rows(self._paths.ledger, UNSETTLED_HALT):
            return ""  # the operator has to stop the bot, and book the result
        if late:
            return f"the market that starts at {late[0]} is not settled"
        if self._waits_for_payout():
            return "the payout of the first market is not recorded"
        return "a result that was corrected" if self._waits_for_correction() else ""

    def _waits_for_payout(self) -> bool:
        """Whether a process was killed at a redemption, and the payout is not in the ledger yet."""
        if not self.schedule.command.endswith(("redeem", "redemption")):
            return False
        return not rows(self._paths.ledger, REDEEMED, int(self._first_start))

    def _waits_for_correction(self) -> bool:
        """Whether a result that the bot has recorded may have been corrected without having been found yet.

        On paper it is found by the payout, at the cash check that follows the result.
        """
        if not self.schedule.flipped or self.schedule.path == "paper":
            return False
        if rows(self._paths.ledger, CORRECTED_HALT) or not rows(self._paths.ledger, SETTLED):
            return False
        self._settled_at = self._settled_at or time.monotonic()
        return time.monotonic() < self._settled_at + CORRECTED_S / SPEED

    def _end(self) -> Observed:
        """Ctrl-C; then what is left."""
        code: int | None = self._bot.process.poll()
        if code is None:
            with suppress(AssertionError):
                self._disarm()
            with suppress(AssertionError):
                self._bot.interrupt()
            code = self._bot.process.poll()
        self._output += self._bot.output
        (self.folder / "screen.txt").write_text(self._output)
        if self._recording is not None:
            self._problems += unreadable(self._recording)
        if self.schedule.situation == "migration":
            self._problems += lost_rows(self._paths.ledger)
        left = [(name, pid) for pid, name in self._pids.items() if not self._is_gone_soon(pid)]
        return Observed(
            clocks=tuple(self._clocks),
            armed=self.schedule.path == "rehearsal",
            moved=self._moved,
            flipped=self.schedule.flipped,
            unbookable=self.schedule.unbookable,
            ahead_s=self._ahead_s * SPEED,
            halts=self.schedule.halts,
            covered=self._covered(),
            recoveries=tuple(self._recoveries.found),
            operator_halts=tuple(self._operator_halts),
            exit_code=code,
            orphans=tuple(f"{name}, process {pid}" for name, pid in left),
            held_locks=tuple(self._held_locks()),
            output=self._output,
            problems=tuple(self._problems),
        )

    @staticmethod
    def _is_gone_soon(pid: int) -> bool:
        deadline = time.monotonic() + 5
        while not gone(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _covered(self) -> tuple[str, ...]:
        """The first market, if a worker had quotes, and nothing kept it from deciding, for long enough.

        What the worker waited for a processor since its start is added to the time that it needs.
        """
        if self._ready_at is None:
            return ()
        begin, end = (self._first_start + second for second in LIMITS.window)
        end -= abs(self.schedule.ahead_s)
        impaired = self._recoveries.impaired(end)
        needs_s = (DECIDES_S + self._start_waits.seconds) * SPEED
        if longest_free(max(begin, self._ready_at), end, impaired) < needs_s:
            return ()
        paths = Paths.of(self.folder, PROFILES["paper"]) if self.to_live else self._paths
        slugs = rows(paths.ledger, "SELECT slug FROM markets WHERE start = ?", int(self._first_start))
        return tuple(slug for (slug,) in slugs)

    def _held_locks(self) -> Iterator[str]:
        locks = [state_lock(self.folder / "state")]
        wallet = self._paths.venue.parent / "wallet.json"
        if wallet.exists():
            address = Account.from_key(json.loads(wallet.read_text())["private_key"]).address
            locks.append(wallet_lock(address))
        for lock in locks:
            if (process := holder(lock)) is not None:
                yield f"{lock.name}, by {process}"


def unreadable(recording: Path) -> list[str]:
    """Why a recording cannot be read; empty if every frame of it can."""
    try:
        return [] if sum(1 for _ in read_rows(recording)) else [f"{recording} has no frame"]
    except Fatal as error:
        return [str(error)]


def _limited(process: int, kind: int, limit: int) -> Callable[[], object]:
    """Lower a limit of a process; returns what restores it."""
    before = resource.prlimit(process, kind)
    resource.prlimit(process, kind, (limit, before[1]))

    def lift() -> None:
        with suppress(ProcessLookupError):
            resource.prlimit(process, kind, before)

    return lift


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
