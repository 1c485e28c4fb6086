"""A run whose worker is killed in every market makes the same decisions as an undisturbed one."""

import os
import signal
from pathlib import Path

import pytest
from bot_process import BotProcess

from core.strategy_brain.strategies.replay import replay
from errors import Fatal
from events import WorkerStatus
from execution.ledger import LedgerReader, ledger_path
from models import Decision
from monitoring.status_file import STATUS_FILE, read_worker_status

MARKETS = 3
ARGUMENTS = (
    *("--test-mode", "--venue", "synthetic", "--no-grafana", "--markets", str(MARKETS)),
    *("--seed", "7", "--first", "40", "--start-at", "450"),
)
"""The first market, whose strike the bot has not seen, begins 22 s before its window."""
STRIKE_OVER = 190.0
"""Market second after which no relay repeats a strike: from now on it is stored or lost."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_restart_in_every_market_changes_no_decision(tmp_path):
    """Killed long after the strike was published: strike, side, reason and votes are the same."""
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    settings = {"REDIS_PORT": "9"}
    with (
        BotProcess(folders[0], *ARGUMENTS, settings=settings) as whole,
        BotProcess(folders[1], *ARGUMENTS, settings=settings) as killed,
    ):
        for _ in range(MARKETS - 1):
            _kill_in_mid_market(killed, folders[1])
        assert killed.wait(300) == 0, killed.output
        assert whole.wait(120) == 0, whole.output
    assert killed.output.count("starting it again") == MARKETS - 1

    for folder in folders:
        _assert_every_row_replays(folder)
    one, other = (_first_votes(folder) for folder in folders)
    assert len(one) == len(other) == MARKETS
    # In its first market a bot has no strike: it was not running at the start.
    for undisturbed, restarted in list(zip(one, other, strict=True))[1:]:
        assert restarted.context.strike is not None
        assert restarted.context.strike.price == undisturbed.context.strike.price
        assert restarted.context.spot_path[0].second < 0, "the path of the killed worker"
        assert restarted.fair == pytest.approx(undisturbed.fair, abs=0.05)
        assert (restarted.outcome, restarted.reason) == (undisturbed.outcome, undisturbed.reason)
        assert _directions(restarted) == _directions(undisturbed)


def _kill_in_mid_market(bot: BotProcess, folder: Path) -> None:
    """Kill the worker once the running market's strike is in the ledger and no relay repeats it."""
    status = folder / "state" / "synthetic" / STATUS_FILE

    def due() -> WorkerStatus | None:
        found = read_worker_status(status)
        if found is None or found.slug is None or not STRIKE_OVER < found.second < 400:
            return None
        return found if _has_strike(folder, found.slug) else None

    bot.until(due, "a market with a strike", 150)
    os.kill(bot.children()["worker"], signal.SIGKILL)
    bot.until(lambda: "worker" not in bot.children(), "the end of the worker", 60)
    status.unlink()


def _has_strike(folder: Path, slug: str) -> bool:
    try:
        with LedgerReader(ledger_path(folder / "state", "synthetic")) as ledger:
            return bool(ledger.strikes(slug))
    except Fatal:
        return False


def _first_votes(folder: Path) -> list[Decision]:
    """The first decision with votes of each market, in the order of the markets."""
    found: dict[str, Decision] = {}
    with LedgerReader(ledger_path(folder / "state", "synthetic")) as ledger:
        for row in ledger.decisions():
            decision = ledger.decision(row.id)
            if decision.votes:
                found.setdefault(row.slug, decision)
    return list(found.values())


def _assert_every_row_replays(folder: Path) -> None:
    """Each decision of a real run, whatever ended it, comes out of the brain again as it was recorded."""
    with LedgerReader(ledger_path(folder / "state", "synthetic")) as ledger:
        rows = ledger.decisions()
        found = {row.id: replay(ledger.decision(row.id)) for row in rows}
    assert rows
    assert {row: again.differences for row, again in found.items() if not again.identical} == {}


def _directions(decision: Decision) -> dict[str, str | None]:
    return {
        vote.source: None if vote.signal is None else vote.signal.direction.value for vote in decision.votes
    }
