"""A rehearsal that is recorded, and its replay, as a user runs both."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, ROOT, BotProcess

from execution.ledger import LedgerReader, ledger_path
from models import Decision
from research.integrity import check
from research.recording_file import FrameKind, read_frames

MARKET = 3
"""A recorded market with books at its seconds 779.0, 780.6 and 781.9: the first in the window is the same,
also if a frame is late by a second of market time."""
RUN = ("--test-mode", "--markets", "1", "--start-at", "300")
"""Half a minute before the window."""


def played(folder: Path, profile: str, *arguments: str) -> list[tuple[Any, ...]]:
    """The decisions of a run of one market, in which one order is matched."""
    folder.mkdir()
    with BotProcess(folder, *RUN, *arguments, settings=BUYS) as bot:
        assert bot.wait(200) == 0, bot.output
    assert "Traceback" not in bot.output
    return decisions(ledger_path(folder / "state", profile))


def backtested(folder: Path, recording: Path) -> list[tuple[Any, ...]]:
    """The decisions of a backtest, in which one order is matched."""
    command = [
        sys.executable,
        "-m",
        "research.backtest",
        "--recordings",
        str(recording),
        "--out",
        str(folder),
    ]
    # The market was recorded from its second 300 on at the earliest, and the next one has no result.
    done = subprocess.run(
        [*command, "--defects", "use"],
        cwd=ROOT,
        env={**os.environ, **BUYS, "STATE_DIR": str(folder / "state")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return decisions(folder / "backtest" / "ledger.db")


def decisions(path: Path) -> list[tuple[Any, ...]]:
    """The decisions of a ledger with one trade."""
    with LedgerReader(path) as ledger:
        (trade,) = ledger.trades()
        assert trade.pnl is not None
        # A fill depends on the order's arrival, whose delay is fifteen times as long in market time.
        return [
            (row.outcome, row.reason, row.p, row.ask, row.price_cap, *votes(ledger.decision(row.id)))
            for row in ledger.decisions()
        ]


def votes(decision: Decision) -> list[Any]:
    """The vote on the order book. The others are computed from the times of the ticks, too, which a loaded
    machine changes at fifteen times real time."""
    return [vote.signal for vote in decision.votes if vote.source == "OrderBookImbalance"]


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_recorded_rehearsal_is_replayed_and_backtested_with_the_same_decisions(tmp_path):
    """Replay and backtest of a recorded run decide the same at the same prices and books."""
    recording = tmp_path / "recording"
    source = ("--venue", "recorded", "--first", str(MARKET), "--record", str(recording))
    decided = played(tmp_path / "rehearsal", "recorded", *source)
    report = check(recording)
    assert report.findings == ()
    assert report.markets[0].findings == ()
    assert {frame.kind for frame in read_frames(recording)} == {FrameKind.MARKET, FrameKind.GAMMA}
    assert played(tmp_path / "replay", "recording", "--recordings", str(recording)) == decided
    assert backtested(tmp_path / "backtest", recording) == decided
