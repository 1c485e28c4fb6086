"""A rehearsal that is recorded, and its replay, as a user runs both."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bot_process import BUYS, ROOT, BotProcess

from core.strategy_brain.strategies.decide import decide
from execution.ledger import LedgerReader, ledger_path
from models import Decision
from research.integrity import check
from research.recording_file import FrameKind, read_frames

MARKET = 3
"""A recorded market with books at its seconds 779.0, 780.6 and 781.9: the first in the window is the same,
also if a frame is late by a second of market time."""
RUN = ("--test-mode", "--markets", "1")
BEFORE_THE_WINDOW = ("--start-at", "300")
"""Half a minute before it."""
FROM_OUTSIDE = ("spot", "spot_path", "strike", "put_call", "sentiment", "consensus", "absent")
"""The external values in the context of a decision."""
TIMED = ("TickVelocity", "PriceDivergence")
"""The processors that use the market seconds of the decision and the ticks."""
UNTIMED = ("OrderBookImbalance", "SpikeDetection", "DeribitPCR", "SentimentAnalysis")


def played(folder: Path, profile: str, *arguments: str) -> Path:
    """The ledger of a run of one market."""
    folder.mkdir()
    with BotProcess(folder, *RUN, *arguments, settings=BUYS) as bot:
        assert bot.wait(200) == 0, bot.output
    assert "Traceback" not in bot.output
    return ledger_path(folder / "state", profile)


def backtested(folder: Path, recording: Path) -> Path:
    """The ledger of a backtest."""
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
    return folder / "backtest" / "ledger.db"


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
    decided = decisions(played(tmp_path / "rehearsal", "recorded", *BEFORE_THE_WINDOW, *source))
    report = check(recording)
    assert report.findings == ()
    assert report.markets[0].findings == ()
    assert {frame.kind for frame in read_frames(recording)} == {FrameKind.MARKET, FrameKind.GAMMA}
    replay = played(tmp_path / "replay", "recording", *BEFORE_THE_WINDOW, "--recordings", str(recording))
    assert decisions(replay) == decided
    assert decisions(backtested(tmp_path / "backtest", recording)) == decided


def the_decision(path: Path) -> Decision:
    """The only decision of a ledger."""
    with LedgerReader(path) as ledger:
        (row,) = ledger.decisions()
        return ledger.decision(row.id)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_external_values_of_a_rehearsal_are_those_of_its_backtest(tmp_path):
    """A recorded generated market is backtested with the same external values, books, votes and decision.

    The market's books change once a second, so that both decide on the same one. The market seconds of
    decision and ticks are later in the rehearsal, by the time from a message's receipt to its processing: the
    votes are compared at the rehearsal's seconds, and those that use no second as they are.
    """
    recording = tmp_path / "recording"
    source = ("--venue", "synthetic", "--start-at", "0", "--record", str(recording))
    decided = the_decision(played(tmp_path / "rehearsal", "synthetic", *source))
    again = the_decision(backtested(tmp_path / "backtest", recording))
    before, after = decided.context, again.context
    for name in FROM_OUTSIDE:
        assert getattr(after, name) == getattr(before, name), name
    assert before.absent == {}
    assert len(before.spot_path) > 300
    assert (after.up_book.bids, after.up_book.asks) == (before.up_book.bids, before.up_book.asks)
    assert (after.down_book.bids, after.down_book.asks) == (before.down_book.bids, before.down_book.asks)
    assert [tick.price for tick in after.ticks] == [tick.price for tick in before.ticks]
    assert 0 <= before.second - after.second < 1
    at_its_seconds = msgspec.structs.replace(after, second=before.second, ticks=before.ticks)
    assert {vote.source: vote for vote in decide(at_its_seconds, again.params).votes} == {
        vote.source: vote for vote in decided.votes
    }
    assert {vote.source for vote in decided.votes} == {*TIMED, *UNTIMED}
    for one, other in zip(again.votes, decided.votes, strict=True):
        assert one.source == other.source
        assert one == other or one.source in TIMED
    assert [again.outcome, again.reason, again.ask, again.price_cap] == [
        decided.outcome,
        decided.reason,
        decided.ask,
        decided.price_cap,
    ]
