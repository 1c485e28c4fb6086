"""Measures the time from a tick to the first byte of an order's POST: the bot beside other ways to order.

    python -m benchmarks.tick_to_order [--orders 150] [--far-orders 100] [--known-market] [--json FILE]

Four senders, each a process of its own with a wallet and a market of its own on one practice venue, by turns
in random order: the bot's worker; a Nautilus node with the unchanged Polymarket adapter; a script with each
official client. In a turn the venue changes the best offer of the sender's market, and the sender orders for
$1 as soon as it receives that. The venue records when it hands the change to the socket and when the POST
arrives, on one clock. It answers each order as killed without a match, so that the next one may follow.

The turns are taken twice: on loopback, and with a round trip of 20 ms between the venue and each sender. On
loopback a request costs a sender a millisecond. The stock adapter and the scripts send several before an
order, one after the other (tick size, kind of market, fee rate, price), and a user's network adds its round
trip to each of them: what a sender waits for shows only there, so that the target for the ratio to the stock
adapter is that of the round trip. The venue delays every request, its answer and the first request of each
connection, of all senders alike, and no stream (`benchmarks/timed_venue.py`). An order that opens its own
connection takes a round trip longer, which the slowest of them show. The POST is timed where it arrives, at
the venue: half a round trip, 10 ms, is part of every sender's time.

A strategy that buys each market at most once always orders in a market that its library does not know yet, so
the libraries forget the market before each turn; `--known-market` leaves that out. Connections stay open.

The bot's worker is the one of `runner.py`, with ledger, feeds, metrics and status page, on a clock of real
time; only the number of its orders in one market is not limited (`benchmarks/tick_senders.py`). The exit code
is 1 if a target is missed.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / folder) for folder in ("tests", "tests/venue"))]

import msgspec
from bot_process import BUYS
from eth_account import Account
from process import HTTP, VenueProcess
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.bench_table import print_measurements
from benchmarks.practice_accounts import new_account
from benchmarks.results import Measurement, at_most, ratio_at_most
from benchmarks.stage_rows import stage_rows
from benchmarks.tick_senders import ARM, FORGET, SENDERS, SenderPlan
from benchmarks.timed_venue import Turn, TurnTimes
from core.ingestion.feed_urls import FeedUrls
from core.nautilus_core.instruments.market_clock import MarketClock
from execution.ledger import LedgerReader, Mode, Venue, ledger_path
from execution.polymarket_client import throwaway_key
from models import Frozen, OrderStage, OrderTrace
from monitoring.order_latency import SUFFICIENT_P99, percentile, stage_latencies
from monitoring.report.latency_rows import HEADINGS, NOTE, latency_rows
from runtime.session import practice_urls
from runtime.worker.plan import WorkerPlan

NAME = "tick_to_order"
ORDERS = 150
"""Of each sender, on loopback."""
FAR_ORDERS = 100
"""Of each sender, with the round trip: enough for 99 % of them."""
ROUND_TRIP_MS = 20
"""From a home or a server on the same continent to Polymarket's front; the matching engine is behind it."""
WARM_UP = 5
"""Orders of each sender that are not counted: connections, caches, the libraries' first requests."""
PAUSE_S = 0.05
"""Between two turns: what a sender does after the answer ends before the next one's turn."""
SHORTEST_ROUND_S = 0.27
"""Between the beginnings of two turns of one sender. Nautilus' risk engine denies the sixth order within a
second, and the bot orders no more in a market in which an order was denied. In a random order a sender may be
the last one of a round and the first one of another round. The books change on whole seconds: with four turns
a second, each fourth one could be at the same time as a change of the bot's market."""
START_LIMIT_S = 45.0
MOST_MISSED = 0.1
"""Share of turns without a usable order from which the run is not usable."""
BOT, STOCK, OLDER, CURRENT = SENDERS
TITLES = {
    BOT: "the bot",
    STOCK: "stock adapter",
    OLDER: "script, py-clob-client-v2",
    CURRENT: "script, polymarket-client",
}
PROFILE = Venue.SYNTHETIC
WORLD = ("--source", PROFILE.value, "--speed", "1", "--start-at", "300", "--protocol", "v1")
BOT_SETTINGS = {
    **BUYS,
    # Any price is bought, in most seconds of the market, so that each turn ends with an order.
    "TRADE_WINDOW_START": "30",
    "TRADE_WINDOW_END": "890",
    "TREND_UP_THRESHOLD": "0.5",
    "TREND_DOWN_THRESHOLD": "0.499",
    "GRAFANA_PORT": "0",
}
NEAR_ROW = "tick to first byte of the POST, loopback"
FAR_ROW = f"tick to the POST at the venue, round trip {ROUND_TRIP_MS} ms"
NO_MATCH = {
    "status": 400,
    "text": "no orders found to match with FAK order. FAK orders are partially filled or killed if no match"
    " is found.",
}
FIRST_OTHER = 2
"""The bot has subscribed to the running market and the next one; the others have those after them."""


class TimedVenue(VenueProcess):
    """The practice venue that times its turns."""

    module = "benchmarks.timed_venue"


class Sample(Frozen, frozen=True):
    """A turn: milliseconds from the tick to the first byte of the POST, and to the answer if it is known."""

    sent_ns: int
    arrived_ns: int
    answered_ns: int | None = None

    @property
    def post_ms(self) -> float:
        return (self.arrived_ns - self.sent_ns) / 1e6

    @property
    def answer_ms(self) -> float | None:
        return None if self.answered_ns is None else (self.answered_ns - self.sent_ns) / 1e6


class Distribution(Frozen, frozen=True):
    """Milliseconds; `p99` is None with too few values."""

    n: int
    p50: float
    p95: float
    p99: float | None
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Distribution":
        ordered, n = sorted(values), len(values)
        return cls(
            n=n,
            p50=percentile(ordered, 50),
            p95=percentile(ordered, 95),
            p99=percentile(ordered, 99) if n >= SUFFICIENT_P99 else None,
            max=ordered[-1],
        )


class Latencies(Frozen, frozen=True):
    """Of one sender: from the tick to the first byte of the POST, and to the answer."""

    post: Distribution
    answer: Distribution | None


class TickRun(Frozen, frozen=True):
    """A run: the senders by name, on loopback and with the round trip; the bot's traces on loopback."""

    senders: dict[str, Latencies]
    far: dict[str, Latencies]
    traces: list[OrderTrace]


class Sender:
    """The benchmark's end of a sender."""

    def __init__(
        self, name: str, slug: str, address: str, first: str, environment: dict[str, str], log: Path
    ) -> None:
        self.name, self.slug, self.address = name, slug, address
        self.samples: list[Sample] = []
        """Those since `forget_turns`."""
        self.started = False
        """Whether it has sent an order."""
        self.disturbed = 0
        self.unanswered = 0
        """Turns without a usable order since its first order and since `forget_turns`: with another frame
        about the market, and without an order."""
        self.began_s = time.monotonic()
        self.next_turn_s = 0.0
        """Earliest begin of its next turn, on the monotonic clock."""
        self._log = log
        ours, theirs = socket.socketpair()
        ours.settimeout(START_LIMIT_S)
        self._socket = ours
        self._lines = ours.makefile("rwb")
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.tick_senders", name, str(theirs.fileno())],
                cwd=ROOT,
                env=environment,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        theirs.close()
        if name == BOT:
            assert self.process.stdin is not None
            self.process.stdin.write(first.encode() + b"\n")
            self.process.stdin.flush()
        else:
            self._request(first.encode())

    def turn(self, url: str, request: bytes) -> Sample | None:
        """Let it order on the next tick, and change its book; None without a usable order."""
        self._request(request)
        wanted = Turn(slug=self.slug, address=self.address, armed_ns=self._report("armed_ns"))
        answer = HTTP.post(f"{url}/practice/turn", content=msgspec.json.encode(wanted), timeout=START_LIMIT_S)
        return self._sample(msgspec.json.decode(answer.raise_for_status().content, type=TurnTimes))

    def _sample(self, times: TurnTimes) -> Sample | None:
        if times.arrived_ns is None:
            self.unanswered += self.started
            return None
        answered_ns = None if self.name == BOT else self._report("answered_ns")
        if times.disturbed:
            self.disturbed += self.started
            return None
        return Sample(sent_ns=times.sent_ns, arrived_ns=times.arrived_ns, answered_ns=answered_ns)

    def _request(self, line: bytes) -> None:
        try:
            self._lines.write(line + b"\n")
            self._lines.flush()
        except OSError:
            raise RuntimeError(f"{TITLES[self.name]} ended: {self.errors()}") from None

    def _report(self, name: str) -> int:
        """The next report of this name; an answer to a turn that is over is skipped."""
        with suppress(OSError):
            while line := self._lines.readline():
                found = json.loads(line)
                if name in found:
                    return found[name]
        raise RuntimeError(f"{TITLES[self.name]} ended: {self.errors()}")

    def forget_turns(self) -> None:
        """Count samples, and turns without one, from the beginning."""
        self.samples.clear()
        self.disturbed = self.unanswered = 0

    def errors(self) -> str:
        """The end of what it wrote to its standard error."""
        return self._log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # Before, the end of either one would be another request to stop.
        self._socket.close()
        if self.process.stdin is not None:
            self.process.stdin.close()


@contextmanager
def running_senders(venue: VenueProcess, folder: Path) -> Iterator[list[Sender]]:
    """Start the four senders; the last market of each is its own."""
    start = venue.clock.current_start()
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    with ExitStack() as stack:
        senders = []
        for place, name in enumerate(SENDERS):
            if name == BOT:
                slug = f"btc-updown-15m-{start}"
                address, first = _bot_plan(venue, folder)
                own = {**environment, **_bot_environment(folder)}
            else:
                slug = f"btc-updown-15m-{start + 900 * (FIRST_OTHER + place - 1)}"
                plan = _sender_plan(venue, slug)
                address, first, own = plan.address, msgspec.json.encode(plan).decode(), environment
            sender = Sender(name, slug, address, first, own, folder / f"{name}.log")
            stack.callback(sender.stop)
            senders.append(sender)
        yield senders


def _bot_environment(folder: Path) -> dict[str, str]:
    return {
        **BOT_SETTINGS,
        "STATE_DIR": str(folder / "state"),
        "PAPER_TRADES_FILE": str(folder / "paper_trades.json"),
        "LOG_DIR": str(folder / "logs"),
        "NAUTILUS_LOG_DIR": str(folder / "logs" / "nautilus"),
    }


def _bot_plan(venue: VenueProcess, folder: Path) -> tuple[str, str]:
    """The address of the bot's practice wallet, and its worker's plan as the supervisor sends it."""
    urls = practice_urls(venue.url)
    plan = WorkerPlan(
        mode=Mode.SIMULATION,
        venue=PROFILE,
        profile=PROFILE.value,
        market_urls=urls,
        urls=urls,
        clock=msgspec.convert(venue.ready["clock"], MarketClock),
        note="benchmark",
        markets=0,
        feeds=msgspec.convert(venue.ready["source"]["external"], FeedUrls),
    )
    # Where the worker looks for the key of its profile's practice wallet.
    wallet = plan.folder(folder / "state") / "venue" / "wallet.json"
    wallet.parent.mkdir(parents=True)
    key = throwaway_key(wallet)
    return Account.from_key(key).address, msgspec.json.encode(plan).decode()


def _sender_plan(venue: VenueProcess, slug: str) -> SenderPlan:
    """A new wallet with an API key, and a market."""
    market = venue.get(f"/gamma/markets/slug/{slug}")
    up, down = json.loads(market["clobTokenIds"])
    return SenderPlan(
        url=venue.url,
        ws_url=venue.ws_url,
        chain_url=f"{venue.url}/chain",
        slug=slug,
        condition_id=market["conditionId"],
        tokens=(up, down),
        **new_account(venue.url),
    )


def run(
    orders: int,
    far_orders: int,
    seed: int = 7,
    *,
    known_market: bool = False,
    progress: Progress | None = None,
) -> TickRun:
    """Take turns until each sender has these numbers of counted orders, on loopback and with the round trip.

    With `known_market` the libraries keep what they have read about the market before.

    Raises
    ------
    RuntimeError
        If a sender sends no orders, or too few of its turns are usable.
    """
    shuffled, request = random.Random(seed), ARM if known_market else FORGET
    with tempfile.TemporaryDirectory() as text, TimedVenue.start(*WORLD) as venue:
        folder = Path(text)
        venue.fault("refused_4xx", None, **NO_MATCH)
        wall_less_monotonic_ns = time.time_ns() - time.monotonic_ns()
        with running_senders(venue, folder) as senders:
            near = _counted(senders, orders, shuffled, venue.url, request, progress)
            far_s = json.dumps(ROUND_TRIP_MS / 1000)
            HTTP.post(f"{venue.url}/practice/round-trip", content=far_s).raise_for_status()
            far = _counted(senders, far_orders, shuffled, venue.url, request, progress)
        with LedgerReader(ledger_path(folder / "state", PROFILE.value)) as reader:
            traces = reader.order_traces()
    own = _traced(near[BOT], traces, wall_less_monotonic_ns)
    near[BOT] = _with_answers(near[BOT], own, 0)
    far_own = _traced(far[BOT], traces, wall_less_monotonic_ns)
    far[BOT] = _with_answers(far[BOT], far_own, ROUND_TRIP_MS * 1_000_000 // 2)
    return TickRun(
        senders={name: _latencies(samples) for name, samples in near.items()},
        far={name: _latencies(samples) for name, samples in far.items()},
        traces=list(own.values()),
    )


def _counted(
    senders: Sequence[Sender],
    number: int,
    shuffled: random.Random,
    url: str,
    request: bytes,
    progress: Progress | None,
) -> dict[str, list[Sample]]:
    """The samples of each sender, after some that are not counted."""
    _take_turns(senders, WARM_UP, shuffled, url, request)
    for sender in senders:
        sender.forget_turns()
    _take_turns(senders, number, shuffled, url, request, progress)
    counted = {sender.name: sender.samples[:number] for sender in senders}
    for sender in senders:
        sender.forget_turns()
    return counted


def _take_turns(
    senders: Sequence[Sender],
    number: int,
    shuffled: random.Random,
    url: str,
    request: bytes,
    progress: Progress | None = None,
) -> None:
    """Rounds with a turn of each sender, until each has this number of samples."""
    bar = None if progress is None else progress.add_task("turns", total=number * len(senders))
    while any(len(sender.samples) < number for sender in senders):
        for sender in shuffled.sample(senders, len(senders)):
            _take_turn(sender, url, request)
        if progress is not None and bar is not None:
            progress.update(bar, completed=sum(min(number, len(each.samples)) for each in senders))


def _take_turn(sender: Sender, url: str, request: bytes) -> None:
    time.sleep(max(0.0, sender.next_turn_s - time.monotonic()))
    sender.next_turn_s = time.monotonic() + SHORTEST_ROUND_S
    sample = sender.turn(url, request)
    if sample is not None:
        sender.samples.append(sample)
        sender.started = True
    elif sender.started:
        missed = sender.disturbed + sender.unanswered
        if missed > 10 + MOST_MISSED * len(sender.samples):
            kinds = f"{sender.disturbed} disturbed by another frame, {sender.unanswered} without an order"
            raise RuntimeError(f"{TITLES[sender.name]}: {missed} turns without a usable order: {kinds}")
    elif time.monotonic() - sender.began_s > START_LIMIT_S:
        what = f"{TITLES[sender.name]} sent no order within {START_LIMIT_S:g} s"
        raise RuntimeError(f"{what}: {sender.errors()}")
    time.sleep(PAUSE_S)


def _latencies(samples: Sequence[Sample]) -> Latencies:
    answers = [sample.answer_ms for sample in samples if sample.answer_ms is not None]
    return Latencies(
        post=Distribution.of([sample.post_ms for sample in samples]),
        answer=Distribution.of(answers) if len(answers) == len(samples) else None,
    )


def _traced(
    samples: Sequence[Sample], traces: Sequence[OrderTrace], wall_less_monotonic_ns: int
) -> dict[Sample, OrderTrace]:
    """The bot's own trace of each counted order: the one whose intent was created during its turn."""
    found = {}
    for sample in samples:
        created = range(*(ns + wall_less_monotonic_ns for ns in (sample.sent_ns, sample.arrived_ns)))
        for trace in traces:
            if trace.created_ns in created:
                found[sample] = trace
    return found


def _with_answers(
    samples: Sequence[Sample], traces: dict[Sample, OrderTrace], one_way_ns: int
) -> list[Sample]:
    """The samples with the time that the bot itself measured from its POST, which arrived `one_way_ns` after
    it, to the answer."""
    answered = []
    for sample in samples:
        stages = traces[sample].stages if sample in traces else {}
        if OrderStage.POSTED in stages and OrderStage.ANSWERED in stages:
            waited_ns = stages[OrderStage.ANSWERED] - stages[OrderStage.POSTED]
            answered.append(
                msgspec.structs.replace(sample, answered_ns=sample.arrived_ns - one_way_ns + waited_ns)
            )
        else:
            answered.append(sample)
    return answered


# --- results ---------------------------------------------------------------------------------


def measurements(done: TickRun) -> list[Measurement]:
    """The figures with their targets."""
    bot, far = done.senders[BOT].post, done.far[BOT].post
    unrecorded = "a script neither records nor checks its order before it is sent"
    near = "its requests before an order cost a millisecond each here: see the round trip"
    reasons = {OLDER: unrecorded, CURRENT: unrecorded}

    def figure(what: str, value: float, **more: Any) -> Measurement:
        return Measurement(name=NAME, what=what, value=value, unit="ms", **more)

    def beside(what: str, senders: dict[str, Latencies], **stock: Any) -> list[Measurement]:
        return [
            figure(
                what,
                senders[BOT].post.p50,
                reference=senders[name].post.p50,
                reference_name=TITLES[name],
                **(stock if name == STOCK else {"no_target": reasons[name]}),
            )
            for name in (STOCK, OLDER, CURRENT)
        ]

    return [
        figure(f"{NEAR_ROW}, median", bot.p50, target=at_most(5)),
        figure(f"{NEAR_ROW}, {_slowest(bot)}", _high(bot), target=at_most(20)),
        *beside(f"{NEAR_ROW}, median", done.senders, no_target=near),
        *beside(f"{FAR_ROW}, median", done.far, target=ratio_at_most(0.25)),
        figure(f"{FAR_ROW}, {_slowest(far)}", _high(far), target=at_most(20 + ROUND_TRIP_MS / 2)),
        *_answers(done),
    ]


def _answers(done: TickRun) -> list[Measurement]:
    own, stocks = done.far[BOT].answer, done.far[STOCK].answer
    if own is None or stocks is None:
        return []
    return [
        Measurement(
            name=NAME,
            what=f"tick to the known answer, round trip {ROUND_TRIP_MS} ms, median",
            value=own.p50,
            unit="ms",
            reference=stocks.p50,
            reference_name=TITLES[STOCK],
            no_target="the answer is the venue's",
        )
    ]


def _slowest(found: Distribution) -> str:
    """Which of the orders `_high` is the time of."""
    return "99 %" if found.p99 is not None else f"slowest of {found.n}"


def _high(found: Distribution) -> float:
    """The 99th percentile, or the maximum of too few values."""
    return found.max if found.p99 is None else found.p99


def measure() -> Sequence[Measurement]:
    """For `./bot bench`."""
    done = run(ORDERS, FAR_ORDERS)
    return [*measurements(done), *stage_rows(NAME, done.traces)]


def sender_table(senders: dict[str, Latencies], where: str) -> Table:
    """All senders side by side, milliseconds."""
    table = Table(
        title=f"Milliseconds from the tick to the first byte of the POST, and to the answer: {where}"
    )
    for heading in ("", "n", "p50", "p95", "p99", "max", "answer p50", "p99", "p50 / stock adapter's"):
        table.add_column(heading, justify="right" if heading else "left")
    stock = senders[STOCK].post.p50
    for name, found in senders.items():
        answer = found.answer
        cells = (found.post.p50, found.post.p95, found.post.p99, found.post.max)
        cells += (None, None) if answer is None else (answer.p50, answer.p99)
        shown = ("–" if cell is None else f"{cell:.2f}" for cell in cells)
        table.add_row(TITLES[name], str(found.post.n), *shown, f"{found.post.p50 / stock:.2f}")
    return table


def stage_table(done: TickRun) -> Table:
    """The steps of the bot's counted orders, from its own ledger."""
    table = Table(title="The bot's own record of these orders", caption=NOTE)
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number else "left")
    for row in latency_rows(stage_latencies(done.traces)):
        table.add_row(*row)
    return table


def document(done: TickRun, found: Sequence[Measurement]) -> bytes:
    """The run for programs."""
    content = {
        "senders": done.senders,
        "round_trip_ms": ROUND_TRIP_MS,
        "far": done.far,
        "stages": stage_latencies(done.traces),
        "measurements": [
            msgspec.to_builtins(measured) | {"ratio": measured.ratio, "met": measured.met}
            for measured in found
        ],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--orders", type=int, default=ORDERS, help="counted orders of each sender on loopback"
    )
    parser.add_argument(
        "--far-orders", type=int, default=FAR_ORDERS, help="counted orders of each sender with the round trip"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the order of the turns")
    parser.add_argument(
        "--known-market", action="store_true", help="the libraries keep what they read about the market"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    given = parser.parse_args(arguments)
    console = Console()
    with Progress(console=console, transient=True) as progress:
        done = run(
            given.orders, given.far_orders, given.seed, known_market=given.known_market, progress=progress
        )
    found = measurements(done)
    console.print(sender_table(done.senders, "loopback"))
    console.print(sender_table(done.far, f"round trip {ROUND_TRIP_MS} ms"))
    if done.traces:
        console.print(stage_table(done))
    if given.json is not None:
        given.json.write_bytes(document(done, found))
    return print_measurements(found)


if __name__ == "__main__":
    sys.exit(main())
