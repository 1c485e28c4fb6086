"""Kills the bot around its orders, starts it again, and compares its ledger with the venue's own records.

    python -m tests.kills --runs 200 --seed 1 [--live] [--jobs 2]
    python -m tests.kills --seed 1 --replay 17

One run: the bot as processes with the practice venue; kill -9 of the worker, the supervisor or the venue, at
an instant drawn uniformly from the second that begins with the decision to buy; a normal restart. Then every
trade of the venue has to be in the ledger once, at its price and fee. The exit code is 1 if this fails in any
run; the folder of such a run is kept.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from bot_process import BUYS, BotProcess
from eth_account import Account
from ledger_comparison import Paths, Report, compare, ledger_fills, rows, venue_copy, venue_trades

SECOND_S = 1.1
"""Length of the interval, from the decision on, for the instant of the kill."""
VICTIMS = ("worker", "supervisor", "venue")
ANSWERS: dict[str, tuple[str, int | None, dict[str, float]] | None] = {
    "prompt": None,
    "late answer": ("hang", 1, {"seconds": 0.6}),
    "trade first": ("trade_before_response", 1, {"seconds": 0.3}),
    "no stream": ("user_feed_silent", None, {}),
}
"""The venue's fault for the order: name, count and parameters."""
FLAGS = ("--test-mode", "--venue", "synthetic", "--no-grafana")
FIRST_START = ("--first", "6", "--start-at", "60")
BUYS_EARLY = BUYS | {
    "TREND_UP_THRESHOLD": "0.501",
    "TREND_DOWN_THRESHOLD": "0.5",
    # From the first prices on until shortly before the end: a restarted worker could buy the market again.
    "TRADE_WINDOW_START": "60",
    "TRADE_WINDOW_END": "880",
    "LIVE_TRADING_CONFIRM": "yes",
    "REDIS_PORT": "9",
    "GRAFANA_PORT": "0",
}
DEFAULT_WINDOW = {name: value for name, value in BUYS_EARLY.items() if not name.startswith("TRADE_WINDOW_")}
WOULD_DECIDE_S = 60.0
"""Market seconds after which a restarted worker has the prices for a decision: 20, and time to connect."""
START_S = 90.0
REST_S = 60.0
RESTART_S = 45.0
FORGOTTEN = "+11m"
"""The machine's clock at the last start of a run whose order never reached the venue: the bot closes such an
order ten minutes after its market was settled."""


class Kill(NamedTuple):
    """One run, drawn from the seed."""

    run: int
    victim: str
    after_s: float
    answer: str
    live: bool

    @property
    def profile(self) -> str:
        return "rehearsal-synthetic" if self.live else "synthetic"

    @property
    def flags(self) -> tuple[str, ...]:
        return (*FLAGS, "--live") if self.live else FLAGS


class Outcome(NamedTuple):
    """The result of a run. `phase` is the order's state in the ledger when the process died."""

    kill: Kill
    phase: str
    report: Report | None
    wrong: tuple[str, ...]
    seconds: float
    folder: Path


def draw(seed: int, run: int, *, live: bool, victim: str | None = None) -> Kill:
    """The kill of a run; the same for the same seed, independent of other runs."""
    numbers = random.Random(f"{seed}/{run}")
    drawn = numbers.choice(VICTIMS)
    return Kill(
        run,
        victim or drawn,
        numbers.uniform(0, SECOND_S),
        numbers.choices(list(ANSWERS), (4, 2, 1, 2))[0],
        live,
    )


# --- the venue and the ledger of a running bot --------------------------------------------------------


def venue_url(bot: BotProcess) -> str:
    return bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", START_S)[1]


HTTP = httpx.Client(trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0))
"""For the control routes of a venue: one for each request would read the certificates each time."""


def ask(url: str, path: str, **query: str) -> Any:
    """The venue's answer; None while it has none."""
    try:
        answer = HTTP.get(url + path, params=query, timeout=5)
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == 200 else None


def arm(url: str, name: str, count: int | None, parameters: dict[str, Any]) -> None:
    """Arm a fault of the venue."""
    body = {"name": name, "count": count, "parameters": parameters}
    HTTP.post(f"{url}/practice/faults", json=body, timeout=10).raise_for_status()


def account(url: str, paths: Paths) -> dict[str, Any] | None:
    """The bot's account at the running venue."""
    wallet = paths.venue.parent / "wallet.json"
    if not wallet.exists():
        return None
    address = Account.from_key(json.loads(wallet.read_text())["private_key"]).address
    return ask(url, "/practice/account", address=address)


def market_second(url: str) -> float:
    """Market time of the running venue in seconds; 0 while it does not answer."""
    clock = ask(url, "/practice/clock")
    return 0.0 if clock is None else clock["market_ns"] / 1e9


def wait_for_decision(bot: BotProcess, ledger: Path, seconds: float) -> int:
    """Return at once when the decision to buy is in the ledger; returns the runs that the ledger has."""
    bot.until(lambda: rows(ledger, "SELECT id FROM runs"), "a worker with a ledger", seconds)
    deadline = time.monotonic() + seconds
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=5)) as database:
        while database.execute("SELECT id FROM decisions WHERE reason IS NULL LIMIT 1").fetchone() is None:
            assert bot.process.poll() is None, f"the bot ended before a decision\n{bot.output}"
            assert time.monotonic() < deadline, f"no decision to buy\n{bot.output}"
            time.sleep(0.001)
        return database.execute("SELECT count(*) FROM runs").fetchone()[0]


def phase(ledger: Path) -> str:
    """The state of a ledger's only order."""
    found = rows(ledger, "SELECT state FROM intents ORDER BY created_ns DESC LIMIT 1")
    if not found:
        return "before intent"
    if rows(ledger, "SELECT 1 FROM fills"):
        return "after fill"
    names = {"intent": "before POST", "sent": "during POST", "matched": "after answer"}
    return names.get(found[0][0], found[0][0])


def at_rest(url: str, paths: Paths, runs: int, *, unposted_too: bool) -> bool:
    """Whether a restarted bot has nothing left to do: a new worker runs, every trade of the venue is in the
    ledger, and no order is without a final state.
    """
    if rows(paths.ledger, "SELECT count(*) FROM runs")[0][0] <= runs:
        return False
    held = account(url, paths)
    if held is None:
        return False
    if {trade["id"] for trade in held["trades"]} != ledger_fills(paths.ledger).keys():
        return False
    living = rows(
        paths.ledger, "SELECT state, order_id FROM intents WHERE state IN ('intent', 'sent', 'unknown')"
    )
    known = {order["id"] for order in held["orders"]}
    return all(state == "unknown" and order not in known and not unposted_too for state, order in living)


# --- a run --------------------------------------------------------------------------------------------


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for_end(pids: Iterable[int]) -> None:
    """Wait until the children of a killed supervisor have ended."""
    deadline = time.monotonic() + RESTART_S
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < deadline, "worker and venue outlive their supervisor"
        time.sleep(0.05)


def wait_for_rest(bot: BotProcess, paths: Paths, runs: int, *, unposted_too: bool = False) -> None:
    """Wait until the bot is at rest, and would have bought the market again if that were possible."""
    url = venue_url(bot)
    bot.until(
        lambda: at_rest(url, paths, runs, unposted_too=unposted_too),
        "every trade booked, every order final",
        REST_S,
    )
    second = bot.until(lambda: market_second(url), "the venue's clock", REST_S)
    bot.until(lambda: market_second(url) > second + WOULD_DECIDE_S, "time for another decision", REST_S)
    bot.until(
        lambda: at_rest(url, paths, runs, unposted_too=unposted_too),
        "every trade booked, every order final",
        REST_S,
    )


def strike(bot: BotProcess, kill: Kill, paths: Paths) -> tuple[str, int]:
    """Kill the victim at its instant; returns the order's state and the number of runs in the ledger."""
    url = venue_url(bot)
    fault = ANSWERS[kill.answer]
    if fault is not None:
        arm(url, *fault)
    bot.until(lambda: {"worker", "venue"} <= bot.children().keys(), "worker and venue", START_S)
    children = bot.children()
    victim = bot.process.pid if kill.victim == "supervisor" else children[kill.victim]
    runs = wait_for_decision(bot, paths.ledger, START_S)
    time.sleep(kill.after_s)
    os.kill(victim, signal.SIGKILL)
    reached = phase(paths.ledger)
    if kill.victim == "supervisor":
        bot.process.wait()
        wait_for_end(children.values())
    elif kill.victim == "venue":
        bot.until(lambda: bot.children().get("venue", victim) != victim, "another venue process", RESTART_S)
        runs -= 1  # the worker may survive
    return reached, runs


def restart(folder: Path, kill: Kill, paths: Paths, clock: str | None = None, *, buys: bool = True) -> None:
    """A normal start in the same folder, until everything is recorded, and Ctrl-C.

    Without `buys` the window is that of the defaults, which a market at its second 60 does not reach.
    """
    runs = len(rows(paths.ledger, "SELECT id FROM runs"))
    settings = BUYS_EARLY if buys else DEFAULT_WINDOW
    with BotProcess(folder, *kill.flags, "--start-at", "60", settings=settings, clock=clock) as bot:
        wait_for_rest(bot, paths, runs, unposted_too=clock is not None)
        bot.interrupt()


def settle_last_order(folder: Path, kill: Kill, paths: Paths) -> Report:
    """Compare, after another start that buys nothing if an order of the last second before Ctrl-C is open."""
    report = compare(paths)
    if report.unresolved and not report.unposted:
        restart(folder, kill, paths, buys=False)
        report = compare(paths)
    return report


def play(kill: Kill, folder: Path) -> Outcome:
    """Kill, restart, compare."""
    began = time.monotonic()
    paths = Paths.of(folder, kill.profile)
    reached, wrong = "not killed", []
    try:
        with BotProcess(folder, *kill.flags, *FIRST_START, settings=BUYS_EARLY) as bot:
            reached, runs = strike(bot, kill, paths)
            if kill.victim != "supervisor":
                wait_for_rest(bot, paths, runs)
                bot.interrupt()
        if kill.victim == "supervisor":
            restart(folder, kill, paths)
        report = settle_last_order(folder, kill, paths)
        if report.unposted and shutil.which("faketime"):
            restart(folder, kill, paths, FORGOTTEN)
            report = compare(paths)
        wrong += [f"order {order} has no final state" for order in report.unresolved]
    except (AssertionError, httpx.HTTPError) as error:
        wrong.append(str(error))
        report = compare(paths)
    return Outcome(kill, reached, report, (*wrong, *report.wrong), time.monotonic() - began, folder)


# --- many runs ----------------------------------------------------------------------------------------


def line(outcome: Outcome) -> str:
    """One row of the table."""
    kill, report = outcome.kill, outcome.report
    counts = "   -    -" if report is None else f"{report.venue_trades:4} {report.ledger_fills:4}"
    conclusion = "ok" if not outcome.wrong else f"WRONG: {outcome.wrong[0].splitlines()[0]}"
    return (
        f"{kill.run:4}  {kill.victim:10}  {kill.after_s * 1000:5.0f} ms  {kill.answer:11}  "
        f"{outcome.phase:13}  {counts}  {outcome.seconds:5.1f} s  {conclusion}"
    )


def summary(outcomes: Sequence[Outcome]) -> str:
    """The counts of all runs."""
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]

    def counted(names: Sequence[str]) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(Counter(names).items()))

    return "\n".join(
        [
            f"runs           {len(outcomes)}",
            f"killed         {counted([outcome.kill.victim for outcome in outcomes])}",
            f"order was      {counted([outcome.phase for outcome in outcomes])}",
            f"venue trades   {sum(report.venue_trades for report in reports)}",
            f"ledger fills   {sum(report.ledger_fills for report in reports)}",
            f"lost           {sum(report.lost for report in reports)}",
            f"doubled        {sum(report.doubled for report in reports)}",
            f"runs not right {sum(bool(outcome.wrong) for outcome in outcomes)}",
        ]
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kills",
        description="Kills the bot around its orders, restarts it, compares its ledger with the venue.",
    )
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="how many kills (10)")
    parser.add_argument("--begin", type=int, default=0, metavar="RUN", help="go on at this run (0)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="draws victims and instants (1)")
    parser.add_argument("--live", action="store_true", help="the live path, on the practice venue")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="bots side by side (1)")
    parser.add_argument("--victim", choices=VICTIMS, help="this one always")
    parser.add_argument("--replay", type=int, metavar="RUN", help="only this run, with everything it left")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all runs")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; 0 if every trade was recorded once and nothing else was wrong, else 1."""
    given = parse(arguments)
    numbers = range(given.begin, given.runs) if given.replay is None else [given.replay]
    kills = [draw(given.seed, number, live=given.live, victim=given.victim) for number in numbers]
    base = Path(tempfile.mkdtemp(prefix="kills-"))
    print(" run  killed      after     answer       order was      trades fills  took", flush=True)
    outcomes = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for kill in kills:
            (base / str(kill.run)).mkdir()
        for done in as_completed([pool.submit(play, kill, base / str(kill.run)) for kill in kills]):
            outcome = done.result()
            outcomes.append(outcome)
            print(line(outcome), flush=True)
            if outcome.wrong:
                print("\n".join(f"      {text}" for text in outcome.wrong), flush=True)
                again = f"--seed {given.seed} --replay {outcome.kill.run}" + (" --live" if given.live else "")
                print(f"      again: python -m tests.kills {again}; its files: {outcome.folder}", flush=True)
            elif not given.keep:
                shutil.rmtree(outcome.folder)
    print(summary(outcomes))
    if given.replay is not None and (given.keep or outcomes[0].wrong):
        show(outcomes[0])
    if not any(base.iterdir()):
        base.rmdir()
    return int(any(outcome.wrong for outcome in outcomes))


def show(outcome: Outcome) -> None:
    """The content of a run's two databases."""
    paths = Paths.of(outcome.folder, outcome.kill.profile)
    for table in ("runs", "intents", "order_states", "fills", "cash_checks", "halts"):
        print(table, *rows(paths.ledger, f"SELECT * FROM {table}"), sep="\n  ")
    with tempfile.TemporaryDirectory() as folder:
        venue = venue_copy(paths.venue, Path(folder))
        print("venue orders", *rows(venue, 'SELECT * FROM "order"'), sep="\n  ")
        print("venue trades", *venue_trades(venue).items(), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
