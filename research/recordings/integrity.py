"""Checks a recorded market: whether what is missing or wrong in it could change a backtest's result. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from research.recordings.market import Snapshot

NANOS = 1_000_000_000
LONGEST_GAP = 1 / 30
"""Longest time without a message, as a fraction of the market's length: 30 s of 15 minutes."""
LATEST_START = 1 / 15
"""Latest first message: 60 s of 15 minutes."""
EARLIEST_END = 14 / 15
"""Earliest last message: the end of the default decision window."""
MOST_CROSSED = 0.01
"""Fraction of books whose bid is at or above the ask; the venue's own streams have some."""


def defects_of(file: Path | str, snapshots: Sequence[Snapshot], interval: int) -> Iterator[str]:
    """What is wrong with a market's books, each with the file and the row of the book."""
    inside = [(row, kept) for row, kept in enumerate(snapshots, 1) if 0 <= kept.offset_ns <= interval * NANOS]
    if not inside:
        yield f"{file}: there is no book between the market's start and its end"
        return
    length = interval * NANOS
    before = [kept.offset_ns for kept in snapshots if kept.offset_ns < 0]
    if not before and inside[0][1].offset_ns > LATEST_START * length:
        row, first = inside[0]
        yield f"{file}, book {row}: the first one, {first.offset_ns / NANOS:.1f} s after the start"
    row, last = inside[-1]
    if last.offset_ns < EARLIEST_END * length:
        yield f"{file}, book {row}: the last one, {(length - last.offset_ns) / NANOS:.1f} s before the end"
    for (_, one), (row, following) in pairwise(inside):
        gap = following.offset_ns - one.offset_ns
        if gap > LONGEST_GAP * length:
            yield f"{file}, book {row}: {gap / NANOS:.1f} s after the one before it"
    crossed = [row for row, kept in inside if kept.bids and kept.asks and kept.bids[0][0] >= kept.asks[0][0]]
    if len(crossed) > MOST_CROSSED * len(inside):
        yield f"{file}, book {crossed[0]}: crossed, as {len(crossed)} of {len(inside)} books are"
