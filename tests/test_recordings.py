"""A rehearsal that is recorded, and its replay, as a user runs both."""

from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, BotProcess

from execution.ledger import LedgerReader, ledger_path
from research.integrity import check
from research.recording_file import FrameKind, read_frames

pytestmark = pytest.mark.slow

MARKET = 3
"""A recorded market with books at its seconds 779.0, 780.6 and 781.9: the first in the window is the same,
also if a frame is late by a second of market time."""


def played(
    folder: Path, profile: str, *arguments: str
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The decisions and the trades of a run of one market."""
    folder.mkdir()
    with BotProcess(folder, "--test-mode", *arguments, "--markets", "1", settings=BUYS) as bot:
        assert bot.wait(120) == 0, bot.output
    assert "Traceback" not in bot.output
    with LedgerReader(ledger_path(folder / "state", profile)) as ledger:
        decisions = [
            (row.outcome, row.reason, row.p, row.ask, row.price_cap, ledger.decision(row.id).votes)
            for row in ledger.decisions()
        ]
        return decisions, [(t.side, t.cost, t.fee, t.pnl) for t in ledger.trades()]


def test_a_recorded_rehearsal_is_replayed_with_the_same_decisions(tmp_path):
    """The replay of a recorded run has its decision with its votes, its fill and its result."""
    recording = tmp_path / "recording"
    source = ("--venue", "recorded", "--first", str(MARKET), "--record", str(recording))
    decisions, trades = played(tmp_path / "rehearsal", "recorded", *source)
    assert len(trades) == 1
    report = check(recording)
    assert report.findings == ()
    assert report.markets[0].findings == ()
    kinds = {frame.kind for frame in read_frames(recording)}
    assert kinds == {FrameKind.MARKET, FrameKind.GAMMA}
    replayed = played(tmp_path / "replay", "recording", "--recordings", str(recording))
    assert replayed == (decisions, trades)
