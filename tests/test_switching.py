"""Switching a running bot: real processes, the practice venue, a real Redis that is switched and killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bot_process import BUYS, ROOT, BotProcess

sys.path += [str(Path(__file__).parent / "control")]

from redis_servers import RedisServer

from execution.ledger import LedgerReader, ledger_path
from execution.ledger.rows import DecisionRow

REHEARSAL = (
    *("--test-mode", "--live", "--venue", "synthetic", "--seed", "57"),
    *("--first", "6", "--start-at", "300"),
)
"""From half a minute before the window of a generated market whose favourite is offered in all of it."""
LIVE_PROFILE, PAPER_PROFILE = "rehearsal-synthetic", "synthetic"
SETTINGS = BUYS | {
    "LIVE_TRADING_CONFIRM": "yes",
    "GRAFANA_PORT": "0",
}
"""Armed, and buying whatever the signals are."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def control(bot: BotProcess, redis: RedisServer | None, *arguments: str) -> str:
    """Run redis_control.py as the operator of this bot; returns its screen."""
    return command(bot.folder / "state", redis, *arguments)


def command(state_dir: Path, redis: RedisServer | None, *arguments: str) -> str:
    """Run redis_control.py; returns its screen."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "redis_control.py"), *arguments],
        env={**os.environ, **settings(redis), "STATE_DIR": str(state_dir), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def settings(redis: RedisServer | None) -> dict[str, str]:
    """Settings of a bot with a Redis, or without any: port 9 is closed."""
    return {**SETTINGS, "REDIS_PORT": "9" if redis is None else str(redis.endpoint.port), "REDIS_DB": "0"}


def decisions(bot: BotProcess, profile: str) -> list[DecisionRow]:
    path = ledger_path(bot.folder / "state", profile)
    if not path.exists():
        return []
    with LedgerReader(path) as reader:
        return reader.decisions()


def origins(bot: BotProcess, profile: str) -> set[str]:
    """The generated markets that were decided on."""
    with LedgerReader(ledger_path(bot.folder / "state", profile)) as reader:
        return {reader.decision(row.id).context.market.origin for row in reader.decisions()}


def bought(bot: BotProcess, profile: str) -> int:
    """Number of markets with an order."""
    path = ledger_path(bot.folder / "state", profile)
    if not path.exists():
        return 0
    with LedgerReader(path) as reader:
        return len(reader.traded_slugs())


def eventually(bot: BotProcess, holds: Callable[[], object], what: str, seconds: float) -> None:
    """Wait for a condition while the screen is read."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not in {seconds:g} s\n{bot.output}"
        assert bot.process.poll() is None, bot.output
        bot._read(time.monotonic() + 0.1)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_running_bot_is_switched_to_and_fro(tmp_path: Path, redis: RedisServer) -> None:
    """To simulation at once, on paper from the next market on, live at a boundary, none without a store."""
    with BotProcess(tmp_path, *REHEARSAL, settings=settings(redis)) as bot:
        bot.wait_for("LIVE REHEARSAL", 60)
        eventually(bot, lambda: ledger_path(tmp_path / "state", LIVE_PROFILE).exists(), "a live worker", 20)
        live_worker = bot.children()["worker"]

        # Before the window of a market that would be bought: its decisions are refused by the mode.
        assert "opens no live position from now on" in control(bot, redis, "sim")
        bot.wait_for("^MODE SIMULATION: the mode store is set to simulation")
        eventually(bot, lambda: decisions(bot, LIVE_PROFILE), "a decision in the live profile", 60)
        assert {row.reason for row in decisions(bot, LIVE_PROFILE)} == {"mode"}
        assert bot.children()["worker"] == live_worker, "it stays in its market"

        # From the next market on a paper worker.
        eventually(
            bot, lambda: bot.children().get("worker", live_worker) != live_worker, "another worker", 60
        )
        paper_worker = bot.children()["worker"]
        eventually(bot, lambda: ledger_path(tmp_path / "state", PAPER_PROFILE).exists(), "a paper book", 30)
        assert "at its next market" in control(bot, redis, "live", "--yes")
        eventually(bot, lambda: bought(bot, PAPER_PROFILE), "an order on paper", 90)
        assert bot.children()["worker"] == paper_worker, "the switch waits for the boundary"
        assert bought(bot, LIVE_PROFILE) == 0
        switched_off = len(decisions(bot, LIVE_PROFILE))

        # Live again with the next worker; then the store ends before its window.
        eventually(
            bot, lambda: bot.children().get("worker", paper_worker) != paper_worker, "another worker", 60
        )
        redis.stop()
        eventually(
            bot, lambda: len(decisions(bot, LIVE_PROFILE)) > switched_off, "a decision without a store", 90
        )
        lost = decisions(bot, LIVE_PROFILE)[switched_off:]
        assert {row.reason for row in lost} == {"mode"}
        assert all("mode store lost, no new position until it is back" in row.detail for row in lost)
        assert bought(bot, LIVE_PROFILE) == 0

        # It comes back empty: the last switch was to live.
        back = RedisServer(tmp_path, port=redis.endpoint.port)
        try:
            eventually(bot, lambda: decisions(bot, LIVE_PROFILE)[-1].reason != "mode", "a decision", 120)
            assert bot.interrupt() < 5
        finally:
            back.stop()
    assert "Traceback" not in bot.output
    assert "starting it again" not in bot.output, "each worker ended by plan"
    seen = [origins(bot, profile) for profile in (LIVE_PROFILE, PAPER_PROFILE)]
    assert all(seen)
    assert not seen[0] & seen[1], "no generated market is decided on by both"


@pytest.mark.slow
@pytest.mark.parametrize("with_redis", [True, False])
def test_a_bot_without_live_refuses_with_its_reason(
    with_redis: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A simulation that finds `live`, or is switched to it while it runs, gives the reason and trades on
    paper."""
    refusal = "the mode store is set to live, refused: this bot was started without --live"
    redis = request.getfixturevalue("redis") if with_redis else None
    command(tmp_path / "state", redis, "live", "--yes")
    with BotProcess(
        tmp_path, "--test-mode", "--venue", "recorded", "--first", "3", settings=settings(redis)
    ) as bot:
        bot.wait_for(f"SIMULATION .*{refusal}")
        where = "(used by the running bot): the mode store is set to live"
        asked = control(bot, redis, "status").split(where)[0].splitlines()[-1]
        assert ("Redis at" if with_redis else "simulation_mode") in asked
        eventually(bot, lambda: "worker" in bot.children(), "a worker", 20)
        bot.wait_for("(BUY|skip)", 120)
        control(bot, redis, "sim")
        bot.wait_for("^MODE SIMULATION: started without --live")
        control(bot, redis, "live", "--yes")
        bot.wait_for(f"^MODE SIMULATION: {refusal}")
        assert bot.interrupt() < 5
    assert "Traceback" not in bot.output
    assert not ledger_path(tmp_path / "state", "live").exists()
