"""Converts recorded markets of any supported format into a recording of the bot, for the practice venue.

`python -m research.convert PATH --folder FOLDER`.
"""

import argparse
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from errors import Fatal
from models import Frozen, Market, Outcome
from research.recording_file import FILE_NAME, Frame, FrameKind, FrameWriter, RecordingError
from research.recordings import RecordedMarket, Snapshot, list_markets, read_markets
from research.recordings.calendars import calendar_of
from research.recordings.catalogue import market_from

NANOS = 1_000_000_000
RESOLVED_AFTER_S = 60
"""Time from the end of a market to its object with the result."""
OVERLAP_NS = 3_600 * NANOS
"""Frames are written in the order of their times; a market's may begin this long before its start."""
NO_LIMIT = 2**62
MINIMUM_SHARES = 5
"""Of a resting order: recordings without an object of Gamma do not state it."""
LISTS = ("outcomes", "clobTokenIds")


class Converted(Frozen, frozen=True):
    """What was written: markets by asset and length, and the reason for each one left out, by slug."""

    markets: dict[str, int]
    left_out: dict[str, str]


def convert(path: Path, folder: Path) -> Converted:
    """Write the markets of a recording as frames of the market stream and of Gamma.

    Parameters
    ----------
    path : Path
        A recording of any format in docs/research.md.
    folder : Path
        The new recording; without one so far.

    Raises
    ------
    Fatal
        If the recording has no market that can be used, or the folder has a recording.
    """
    listed = list_markets(path)
    if folder.is_dir() and any(FILE_NAME.fullmatch(each.name) for each in folder.iterdir()):
        raise Fatal(f"{folder} has a recording", "Give a new folder")
    left_out: dict[str, str] = {}
    found: Counter[str] = Counter()

    def on_bad(slug: str, error: RecordingError) -> None:
        left_out[slug] = str(error)

    writer = FrameWriter(folder, limit_bytes=NO_LIMIT)
    numbers = itertools.count()
    try:
        waiting: list[tuple[int, int, Frame]] = []
        for market in read_markets(listed, on_bad):
            while waiting and waiting[0][0] < market.start * NANOS - OVERLAP_NS:
                writer.write(heappop(waiting)[2])
            for frame in _frames(market):
                # The number keeps the order of frames of one instant.
                heappush(waiting, (frame.recv_ns, next(numbers), frame))
            calendar = calendar_of(market.slug)
            found[f"{calendar.asset}-{calendar.timeframe}"] += 1
        while waiting:
            writer.write(heappop(waiting)[2])
    finally:
        writer.close()
    if not found:
        reason = next(iter(left_out.values()), "it has no market")
        raise Fatal(f"{path}: no market can be converted: {reason}", "See docs/research.md for the formats")
    return Converted(markets=dict(found), left_out=left_out)


def _frames(recorded: RecordedMarket) -> Iterator[Frame]:
    """The frames of a market: its object, every book as a whole, and the object with the result."""
    market, opened = market_from(recorded.gamma, Path(recorded.source))
    # Gamma sends the lists as JSON texts; some recordings have them decoded.
    lists = {
        field: json.dumps(value)
        for field, value in opened.items()
        if field in LISTS and isinstance(value, list)
    }
    gamma = {"orderMinSize": MINIMUM_SHARES, **opened, **lists}
    times = [recorded.start * NANOS + kept.offset_ns for kept in recorded.snapshots]
    begin_ns = min(times, default=recorded.start * NANOS)
    yield Frame(begin_ns, FrameKind.GAMMA, recorded.slug, json.dumps(gamma))
    for at_ns, kept in zip(times, recorded.snapshots, strict=True):
        fine = recorded.fine_tick_ns is not None and kept.offset_ns >= recorded.fine_tick_ns
        books = [_book(market, kept, outcome, at_ns, fine=fine) for outcome in Outcome]
        yield Frame(at_ns, FrameKind.MARKET, "clob", json.dumps(books))
    prices = ["1", "0"] if recorded.won is Outcome.UP else ["0", "1"]
    names = json.loads(gamma["outcomes"])
    paid = prices if names[0] == Outcome.UP.value else prices[::-1]
    closed = {**gamma, "closed": True, "acceptingOrders": False, "outcomePrices": json.dumps(paid)}
    end_ns = (recorded.start + calendar_of(recorded.slug).length(recorded.start) + RESOLVED_AFTER_S) * NANOS
    yield Frame(end_ns, FrameKind.GAMMA, recorded.slug, json.dumps(closed))


def _book(market: Market, kept: Snapshot, outcome: Outcome, at_ns: int, *, fine: bool) -> dict[str, Any]:
    """A `book` message of one token."""
    bids, asks = kept.bids, kept.asks
    if outcome is Outcome.DOWN:
        bids, asks = _mirrored(kept.asks), _mirrored(kept.bids)
    return {
        "event_type": "book",
        "market": market.condition_id,
        "asset_id": market.token(outcome),
        "timestamp": str(at_ns // 1_000_000),
        "bids": _levels(bids),
        "asks": _levels(asks),
        "tick_size": "0.001" if fine else "0.01",
    }


def _mirrored(levels: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return tuple((1000 - price, size) for price, size in levels)


def _levels(levels: tuple[tuple[int, int], ...]) -> list[dict[str, str]]:
    """Levels as the venue sends them: the best price last."""
    return [
        {"price": f"{price / 1000:.3f}", "size": f"{size / 1_000_000:.6f}"}
        for price, size in reversed(levels)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Convert a recording; the exit code is that of the error if it cannot be used."""
    from monitoring.terminal import PlainConsole, print_error

    parser = argparse.ArgumentParser(
        prog="python -m research.convert",
        description="Converts recorded markets into a recording of the bot, for the practice venue.",
    )
    parser.add_argument("path", type=Path, help="a recording: see docs/research.md for the formats")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the new recording")
    options = parser.parse_args(arguments)
    console = PlainConsole(highlight=False, markup=False)
    try:
        done = convert(options.path, options.folder)
    except Fatal as error:
        print_error(error)
        return error.exit_code
    for slug, why in done.left_out.items():
        console.print(f"left out: {slug}: {why}", soft_wrap=True)
    for series, count in done.markets.items():
        console.print(f"{count} markets of {series}")
    series = ",".join(done.markets)
    console.print(
        f"Replay them: python -m venue --source recording --path {options.folder} --series {series}",
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    from common.process_exit import exit_process

    exit_process(main())
