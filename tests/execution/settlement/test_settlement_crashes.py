"""kill -9 at every single write of a settlement: after the next start the ledger balances."""

import json
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_builders import buy, open_ledger, settlement

from execution.ledger import LedgerReader
from models import Outcome, TradeOutcome

PROGRAM = Path(__file__).parent / "settlement_steps.py"
MARKETS = (1, 2)
LEARNT_FROM = range(10, 70)
"""Markets that are settled already, all of them against the vote, so that the weights change."""
COST, FEE, SHARES = Decimal("0.99"), Decimal("0.00693"), Decimal("1.1")
AFTER = 1000 + SHARES - (len(MARKETS) + len(LEARNT_FROM)) * (COST + FEE)
"""The venue's balance once one market is won and paid, and the others lost."""


@pytest.fixture(scope="module")
def unsettled(tmp_path_factory) -> Path:
    """A ledger with two bought markets that are over, and earlier settled ones."""
    folder = tmp_path_factory.mktemp("unsettled")
    with open_ledger(folder / "ledger.sqlite") as ledger:
        for number in (*LEARNT_FROM, *MARKETS):
            buy(ledger, number)
        for number in LEARNT_FROM:
            ledger.record_settlement(settlement(number, Outcome.DOWN))
    return folder


def settle(folder: Path, fatal: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(fatal), str(AFTER)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def result(folder: Path) -> dict:
    """All results of a settlement, without the times."""
    with LedgerReader(folder / "ledger.sqlite") as reader:
        trades = reader.trades()
        check = reader.last_cash_check()
        learnt = json.loads((folder / "learning_state.json").read_text())
        return {
            "outcomes": [trade.outcome for trade in trades],
            "pnl": reader.settled_pnl(),
            "claimable": reader.claimable(),
            "pending": reader.pending_settlements(),
            "cash": reader.cash_flow().cash,
            "difference": check.difference,
            "exported": [row["outcome"] for row in json.loads((folder / "paper_trades.json").read_text())],
            "weights": learnt["weights"],
            "adjustments": learnt["adjustments_count"],
            "changes": [(row.markets, row.source, row.after) for row in reader.weights()],
        }


@pytest.fixture(scope="module")
def undisturbed(unsettled, tmp_path_factory) -> tuple[int, dict]:
    """The number of steps, and the result without a kill."""
    folder = tmp_path_factory.mktemp("whole") / "book"
    shutil.copytree(unsettled, folder)
    done = settle(folder)
    assert done.returncode == 0, done.stderr
    return int(done.stdout), result(folder)


def test_the_whole_of_it_is_right(undisturbed):
    """Without a kill, one is won and paid once, one lost; exported, compared with the venue, learnt from."""
    steps, found = undisturbed
    assert steps > 20
    assert found["outcomes"].count(TradeOutcome.WIN) == 1
    assert TradeOutcome.PENDING not in found["outcomes"]
    assert found["pnl"] == AFTER - 1000
    assert (found["claimable"], found["pending"], found["difference"]) == ({}, [], 0)
    assert found["cash"] == AFTER
    assert found["exported"] == found["outcomes"]
    assert found["adjustments"] >= 1
    assert found["changes"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_kill_at_every_step_changes_nothing(undisturbed, unsettled, tmp_path):
    """Whichever write it dies at, before or after it is on disk, the result after the next start is the
    same."""
    steps, whole = undisturbed
    for fatal in range(1, steps + 1):
        folder = tmp_path / str(fatal)
        shutil.copytree(unsettled, folder)
        killed = settle(folder, fatal)
        assert killed.returncode == -9, (fatal, killed.stderr)
        again = settle(folder)
        assert again.returncode == 0, (fatal, again.stderr)
        assert result(folder) == whole, fatal
