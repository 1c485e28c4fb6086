"""A rehearsal that is recorded, and its replay, as a user runs both."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from bot_process import BUYS, ROOT, BotProcess

from core.strategy_brain.strategies.decide import decide
from execution.ledger import LedgerReader, ledger_path
from models import Decision, DecisionContext, Vote
from research.integrity import check
from research.recording_file import FrameKind, read_frames

MARKET = 3
"""A recorded market with books at its seconds 779.0, 780.6 and 781.9: the first in the window is the same,
also if a frame is late by a second of market time."""
GENERATED = 6
"""A generated market whose favourite, Up at 0.86, is offered in the window."""
RUN = ("--test-mode", "--markets", "1")
BEFORE_THE_WINDOW = ("--start-at", "300")
"""Half a minute before it."""
FROM_OUTSIDE = ("spot", "spot_path", "strike", "put_call", "sentiment", "consensus", "absent")
"""The external values in the context of a decision."""
TIMED = ("TickVelocity", "PriceDivergence", "SpikeDetection")
"""The processors that use the market seconds of the decision or the ticks."""
UNTIMED = ("OrderBookImbalance", "DeribitPCR", "SentimentAnalysis")
SPEED = 15
"""Of the clock in test mode."""


def played(folder: Path, profile: str, *arguments: str) -> Path:
    """The ledger of a run of one market."""
    folder.mkdir()
    with BotProcess(folder, *RUN, *arguments, settings=BUYS) as bot:
        assert bot.wait(200) == 0, bot.output
    assert "Traceback" not in bot.output
    return ledger_path(folder / "state", profile)


def backtested(folder: Path, recording: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Path:
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
        env={**os.environ, **BUYS, **settings, "STATE_DIR": str(folder / "state")},
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

    The bot's market seconds are those of processing, which a loaded machine delays by much at fifteen times
    real time. The backtest's window therefore begins with the book that the bot decided on, and the votes
    that use the times of decision and ticks are compared at the bot's. Down's message comes after Up's, so
    that the bot may have decided with Down's book before it.
    """
    recording = tmp_path / "recording"
    source = (
        "--venue",
        "synthetic",
        "--first",
        str(GENERATED),
        "--start-at",
        "0",
        "--record",
        str(recording),
    )
    decided = the_decision(played(tmp_path / "rehearsal", "synthetic", *source))
    before = decided.context
    books_ns = max(before.up_book.ts_ns, before.down_book.ts_ns)
    books_second = before.second - (before.now_ns - books_ns) / 1e9 * SPEED
    # The books change once a second.
    window = {"TRADE_WINDOW_START": f"{books_second - 0.3:.3f}"}
    again = the_decision(backtested(tmp_path / "backtest", recording, window))
    after = again.context
    for name in FROM_OUTSIDE:
        assert getattr(after, name) == getattr(before, name), name
    assert before.absent == {}
    assert len(before.spot_path) > 100
    assert books_second - 0.3 <= after.second <= books_second
    assert (after.up_book.bids, after.up_book.asks) == (before.up_book.bids, before.up_book.asks)
    assert len(whole_seconds(after) & whole_seconds(before)) > 0.8 * len(before.ticks)
    at_its_times = msgspec.structs.replace(
        after, second=before.second, ticks=before.ticks, history=before.history
    )
    assert decide(at_its_times, again.params).votes == decided.votes
    assert [vote.source for vote in again.votes] == [vote.source for vote in decided.votes]
    assert {vote.source for vote in decided.votes} == {*TIMED, *UNTIMED}
    assert votes_of(again, UNTIMED) == votes_of(decided, UNTIMED)
    assert again.outcome == decided.outcome
    assert (again.reason, again.ask, again.price_cap) == (None, decided.ask, decided.price_cap)
    assert decided.reason is None


def whole_seconds(context: DecisionContext) -> set[tuple[int, Decimal]]:
    """The prices of the ticks with their whole seconds."""
    return {(int(tick.second), tick.price) for tick in context.ticks}


def votes_of(decision: Decision, sources: Sequence[str]) -> list[Vote]:
    return [vote for vote in decision.votes if vote.source in sources]
