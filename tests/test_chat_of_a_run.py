"""The chat of a running bot: its commands act, a hanging service costs no trade, and no token is anywhere."""

import os
import signal
from pathlib import Path

import pytest
from bot_process import BotProcess
from telegram_stub import CHAT, TOKEN, TelegramStub
from test_switching import LIVE_PROFILE, bought, decisions, settings

from events import WorkerStatus
from monitoring.status_file import STATUS_FILE, read_worker_status

RUN = (
    *("--test-mode", "--live", "--venue", "synthetic", "--first", "6"),
    *("--start-at", "100", "--speed", "30"),
)
"""From 23 s before the window of a generated market; the next window begins half a minute later."""


def heartbeats(folder: Path) -> dict[str, WorkerStatus | None]:
    """The last worker status of each profile."""
    paths = (folder / "state").glob(f"*/{STATUS_FILE}")
    return {path.parent.name: read_worker_status(path) for path in paths}


def market(folder: Path) -> str | None:
    """The running market."""
    status = heartbeats(folder).get(LIVE_PROFILE)
    return None if status is None else status.slug


def halted_market(bot: BotProcess) -> str:
    """The market of a decision that was refused because of the halt; empty if there is none yet."""
    rows = decisions(bot, LIVE_PROFILE)
    return next((row.slug for row in rows if "a test (chat)" in row.detail), "")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_chat_halts_resumes_and_switches_a_running_bot(tmp_path: Path) -> None:
    """A halted market is not bought, the next one is although the service hangs, and /sim is at once."""
    with TelegramStub() as stub:
        given = settings(None) | {
            "MAX_ENTRY_PRICE": "0.999",  # the second market has no cheaper offer of its favourite
            "TELEGRAM_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": str(CHAT),
            "TELEGRAM_API_URL": stub.url,
        }
        with BotProcess(tmp_path, *RUN, settings=given) as bot:
            bot.wait_for("^Chat: connected to Telegram", 60)
            assert stub.answer_to("/status").startswith("Orders: unknown: no heartbeat from it")
            assert f"{LIVE_PROFILE} is halted: a test (chat)" in stub.answer_to("/halt a test")
            bot.wait_for("^Chat: /halt a test")

            bot.until(lambda: market(tmp_path), "a worker", 60)
            halted = bot.until(lambda: halted_market(bot), "a decision that the halt refuses", 150)
            bot.until(lambda: market(tmp_path) not in (None, halted), "the next market", 60)
            assert bought(bot, LIVE_PROFILE) == 0

            assert f"{LIVE_PROFILE} may trade again; the halt was: a test (chat)" in stub.answer_to("/resume")
            stub.break_down("hang")
            bot.until(lambda: bought(bot, LIVE_PROFILE), "an order while the service hangs", 200)
            bot.wait_for("filled")
            stub.heal()
            assert "#1 " in stub.answer_to("/trades", 60)

            assert stub.answer_to("/sim").startswith("The mode is now SIMULATION")
            bot.wait_for("^MODE SIMULATION: the mode store is set to simulation")
            os.kill(bot.children()["worker"], signal.SIGKILL)
            last = heartbeats(tmp_path)
            assert "Last mode switch: simulation" in stub.answer_to("/status")
            assert heartbeats(tmp_path) == last, "the answer came before the next worker ran"
            bot.wait_for("starting it again")
            pids = (bot.process.pid, *bot.children().values())
            shown = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
            stub.break_down("hang")
            assert bot.interrupt() < 5
            assert bot.process.returncode == 0
        assert stub.violations == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = [path.read_bytes().decode(errors="replace") for path in files]
    assert not [text for text in (bot.output, *shown, *written) if TOKEN in text]
    assert "Traceback" not in bot.output
