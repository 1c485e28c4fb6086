"""Tests of the whole bot, on paper and live, with answers, messages and connections that no client expects.

In each case the worker is not restarted, nothing is halted, the other markets are traded, and the ledger
agrees with the venue.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

import kills
import pytest
from bot_process import ROOT, BotProcess
from ledger_comparison import Paths, rows
from test_lost_fills import BOTH, PROFILES, assert_all_recorded, flags

from venue.sources.synthetic import SyntheticSource

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

START = ("--first", "6", "--start-at", "400")
"""Half a market before the first boundary: a slow machine also buys in the first market."""
CONTROL = "\x1b[2J\x1b[31m\x1b]0;title\x07\r\x9b5n\u202e"
BETWEEN_S = 120.0
"""Two markets, in seconds: an order that was not possible in one is made in the next."""


class Run:
    """A trading bot, its venue and its files."""

    def __init__(self, bot: BotProcess, paths: Paths) -> None:
        self.bot = bot
        self.paths = paths
        # Stopped until `begin`: it would read the catalogue before a test has armed its faults.
        self.worker = bot.until(lambda: bot.children().get("worker"), "a worker", kills.START_S)
        os.kill(self.worker, signal.SIGSTOP)
        self.url = kills.venue_url(bot)
        current = kills.ask(self.url, "/practice/info")["current"]
        self._name, _, start = current.rpartition("-")
        self._start = int(start)

    def begin(self) -> None:
        """Let the worker begin."""
        os.kill(self.worker, signal.SIGCONT)

    def arm(self, fault: str, count: int | None = 1, **parameters: object) -> None:
        kills.arm(self.url, fault, count, parameters)

    def wait_for_faults(self, *standing: str, seconds: float = 60) -> None:
        """Wait until every fault has applied as often as it was armed for, except persistent ones."""

        def left() -> list[str]:
            armed = kills.ask(self.url, "/practice/faults")
            return [fault["name"] for fault in armed if fault["name"] not in standing]

        self.bot.until(lambda: left() == [], "all faults have struck", seconds)

    def slug(self, ahead: int) -> str:
        """A market by its distance from the one that ran at the start."""
        return f"{self._name}-{self._start + 900 * ahead}"

    def bought(self) -> list[str]:
        """The markets with a fill in the ledger."""
        found = rows(
            self.paths.ledger,
            "SELECT DISTINCT i.slug FROM fills f JOIN intents i ON f.intent_id = i.intent_id ORDER BY i.slug",
        )
        return [slug for (slug,) in found]

    def wait_for_purchases(self, count: int, seconds: float = BETWEEN_S) -> None:
        self.bot.until(lambda: len(self.bought()) >= count, f"a fill in {count} markets", seconds)


@contextmanager
def running(
    folder: Path, path: str, *more: str, settings: dict[str, str] | None = None, waits: bool = False
) -> Iterator[Run]:
    """A bot that is stopped at the end, with the checks that apply to every run.

    With `waits` its worker waits for `Run.begin`.
    """
    paths = Paths.of(folder, PROFILES[path])
    given = [flag for flag in flags(path) if flag not in more]
    with BotProcess(folder, *given, *START, settings={**kills.BUYS_EARLY, **(settings or {})}) as bot:
        run = Run(bot, paths)
        if not waits:
            run.begin()
        yield run
        assert bot.children()["worker"] == run.worker, "the worker was replaced"
        bot.interrupt()
        assert bot.process.returncode == 0
    for text in ("Traceback", "[ERROR]", "starting it again", "HALTED"):
        assert text not in bot.output
    assert_all_recorded(paths, trades=2)


# --- M8: requests --------------------------------------------------------------------------------------


@BOTH
def test_answers_that_drip_are_nested_or_huge(path: str, tmp_path: Path) -> None:
    """POST, look-ups and catalogue: each bad answer is an error of its request, ended within a bound."""
    settled = "SELECT slug FROM settlements"
    with running(tmp_path, path) as run:
        # The stream would report the fills before the answers to POST and look-ups are of any use.
        run.arm("user_feed_silent", None)
        run.arm("drip_answer", path="/order", seconds=1.0)
        run.arm("nested_answer", path="/data/trades")
        run.arm("huge_answer", path="/data/trades", compressed=True)
        run.wait_for_purchases(1)
        run.wait_for_faults("user_feed_silent")
        answers = [row[0] for row in rows(run.paths.ledger, "SELECT detail FROM order_states")]
        assert any("no complete answer within 5 s" in text for text in answers)
        run.arm("nested_answer", path="/order")
        run.arm("drip_answer", 2, path="/gamma/*", seconds=1.0)
        run.arm("huge_answer", 2, path="/gamma/*")
        run.wait_for_purchases(2)
        run.wait_for_faults("user_feed_silent")
        run.arm("nested_answer", 2, path="/gamma/*")
        run.wait_for_faults("user_feed_silent")
        run.bot.until(lambda: rows(run.paths.ledger, settled), "a settlement", BETWEEN_S)


# --- M9: market messages and the metrics port ----------------------------------------------------------

BAD_VALUES = [
    {"field": field, "value": value, "raw": raw}
    for field in ("price", "size", "timestamp")
    for value, raw in (("NaN", False), ("-1", False), ("1e400", False), ("1e400", True))
]
REPEATED = 40
"""Consecutive bad messages: many more than lines in the log."""
MOST_MORE_THREADS = 24
"""Sixteen connections, and the threads that a worker's own pools may add meanwhile."""


def idle(port: int, connections: ExitStack) -> None:
    """Open connections that send nothing, and others that are reset in the middle of a request."""
    for _ in range(100):
        connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as broken:
            broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            broken.send(b"GET /metrics HTTP/1.1\r\n")


@BOTH
def test_bad_market_messages_and_idle_metrics_connections(path: str, tmp_path: Path) -> None:
    """Bad messages are counted and logged once a minute; 200 connections take no more than 16 threads."""
    began = time.monotonic()
    with running(tmp_path, path, "--no-grafana") as run, ExitStack() as connections:
        metrics = run.bot.wait_for(r"metrics at (http://127.0.0.1:(\d+)/metrics)", kills.START_S)
        run.wait_for_purchases(1)
        threads = Path(f"/proc/{run.worker}/task")
        before = len(os.listdir(threads))
        idle(int(metrics[2]), connections)
        assert len(os.listdir(threads)) <= before + MOST_MORE_THREADS
        for parameters in BAD_VALUES:
            run.arm("market_feed_value", **parameters)
            run.wait_for_faults()
        run.arm("market_feed_value", REPEATED, event="price_change", field="price", value="NaN")
        run.wait_for_faults()
        assert len(os.listdir(threads)) <= before + MOST_MORE_THREADS
        connections.close()
        with urllib.request.urlopen(metrics[1], timeout=10) as page:
            assert page.status == 200
        run.wait_for_purchases(2)
    minutes = (time.monotonic() - began) / 60
    log = (tmp_path / "logs" / "bot.log").read_text()
    lines = re.findall(r"market stream: \d+ messages refused \((\d+) in all\), e\.g\. .* in .*", log)
    assert int(lines[-1]) == len(BAD_VALUES) + REPEATED
    # One at once, one per minute, one at the end.
    assert len(lines) <= minutes + 2
    assert "messages refused" not in run.bot.output


# --- M8 and M10: ids and texts of the catalogue, the streams and the venue -----------------------------


@BOTH
def test_foreign_ids_and_escape_sequences(path: str, tmp_path: Path) -> None:
    """Markets with other ids are refused by name; no control character of a text is shown or logged."""
    standing = ("gamma_foreign_ids", "gamma_value")
    with running(tmp_path, path, settings={"NAUTILUS_LOG_LEVEL": "DEBUG"}, waits=True) as run:
        run.arm("gamma_foreign_ids", None, slug=run.slug(2), ids="condition")
        run.arm("gamma_value", None, slug=run.slug(3), field="version", value=CONTROL)
        run.begin()
        run.arm("error_500", text=CONTROL, executed=True)
        run.arm("user_feed_value", event="order", field="id", value=CONTROL)
        run.wait_for_purchases(1)
        run.wait_for_faults(*standing)
        run.arm("user_feed_value", event="trade", field="owner", value=CONTROL)
        run.arm("gamma_foreign_ids", None, slug=run.slug(4), ids="tokens")
        run.arm("gamma_value", None, slug=run.slug(3), field="slug", value=CONTROL)
        for feed in ("market", "user"):
            for frame in ({"text": CONTROL}, {"depth": 100_000}):
                run.arm("stray_frame", feed=feed, **frame)
                run.wait_for_faults(*standing, "user_feed_value")
        run.wait_for_purchases(2)
        run.wait_for_faults(*standing)
        for ahead, why in ((2, "condition id is"), (3, "protocol version"), (4, "Up token is")):
            run.bot.wait_for(f"^{run.slug(ahead)} is not traded: .*{why}", BETWEEN_S)
        assert {run.slug(2), run.slug(3), run.slug(4)}.isdisjoint(run.bought())
    shown = [run.bot.output, *reports(tmp_path, run.paths)]
    files = [*(tmp_path / "logs").rglob("*"), *(tmp_path / "state").rglob("*.json")]
    shown += [file.read_text() for file in files if file.is_file()]
    assert len(shown) > 6
    assert r"\x1b[2J" in run.bot.output, "the venue's error text is on the screen, escaped"
    for text in shown:
        assert not re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


# --- messages with changed structure --------------------------------------------------------------------


def asks_before(url: str, slug: str, outcome: str, second: float) -> set[Decimal]:
    """The best asks that a generated market's book had in the last ten seconds of wall time."""
    _, seed, index = kills.ask(url, f"/gamma/markets/slug/{slug}")["practiceOrigin"].split("-")
    source = SyntheticSource(int(seed))
    found = set()
    for each in range(max(0, int(second) - 150), int(second) + 3):
        book = source.book(int(index), each)
        mills = book.best_ask if outcome == "Up" else None if book.best_bid is None else 1000 - book.best_bid
        if mills is not None:
            found.add(Decimal(mills) / 1000)
    return found


def test_mutated_messages_of_both_streams_and_every_route(tmp_path: Path) -> None:
    """Hundreds of changed messages and answers: each order was decided on a price of the venue's own book."""
    with running(tmp_path, "live") as run:
        run.arm("mutated_answer", path="/order", seed=1)
        run.arm("market_feed_mutated", 200, seed=1000)
        run.arm("user_feed_mutated", 3, seed=2000)
        run.wait_for_purchases(1)
        run.wait_for_faults()
        run.arm("market_feed_mutated", 200, seed=3000)
        run.arm("user_feed_mutated", 3, seed=4000)
        for number, (route, count) in enumerate((("/external/*", 30), ("/gamma/*", 5), ("/markets/*", 2))):
            run.arm("mutated_answer", count, path=route, seed=5000 + 1000 * number)
            run.wait_for_faults("market_feed_mutated", "user_feed_mutated", seconds=BETWEEN_S)
        run.wait_for_purchases(2)
        run.wait_for_faults("user_feed_mutated", seconds=BETWEEN_S)
        decided = rows(
            run.paths.ledger,
            "SELECT i.slug, i.outcome, i.ask, d.second FROM intents i JOIN decisions d ON d.id = decision_id",
        )
        assert len(decided) >= 2
        for slug, outcome, ask, second in decided:
            assert Decimal(ask) in asks_before(run.url, slug, outcome, second), (slug, outcome, ask, second)


def reports(folder: Path, paths: Paths) -> list[str]:
    """The output of view_paper_trades.py, and its page."""
    profile = paths.ledger.parent.name
    page = folder / "report.html"
    command = [sys.executable, str(ROOT / "view_paper_trades.py"), "--state", str(folder / "state")]
    ways = [["--venue", profile], ["--venue", profile, "--json"], ["--venue", profile, "--html", str(page)]]
    texts = [
        subprocess.run([*command, *way], capture_output=True, text=True, check=True).stdout for way in ways
    ]
    return [*texts, page.read_text()]
