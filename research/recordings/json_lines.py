"""Reads recordings with one file a market: JSON lines of the market stream's raw messages.

Each line is `{"recv_ts": …, "msg": …}`: the time of receipt as seconds, milliseconds, microseconds or
nanoseconds since the epoch, and a message or a list of messages. The file's name is the market's slug with
the ending .jsonl, .jsonl.gz or .jsonl.zst. `markets.json` or `markets.jsonl` beside the files has the
markets' objects of Gamma.
"""

import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from models import Frozen
from research.recording_file import RecordingError
from research.recordings.books import BadMessage, MarketBooks
from research.recordings.calendars import calendar_of, delay_ns_at
from research.recordings.catalogue import FILES, load_objects, market_from, winner_of
from research.recordings.integrity import defects_of
from research.recordings.market import RecordedMarket

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NAME = re.compile(r"(.+)\.jsonl(?:\.gz|\.zst)?")
UNITS = ((10**17, 1), (10**14, 10**3), (10**11, 10**6), (0, 10**9))
"""Least value of a time of receipt, and the nanoseconds of its unit."""


class JsonLinesMarket(Frozen, frozen=True):
    """A market whose file has not been read yet."""

    path: str
    slug: str
    start: int

    def read(self) -> RecordedMarket:
        """Read the market.

        Raises
        ------
        RecordingError
            If it is damaged, or has no object or no result.
        """
        file = Path(self.path)
        gamma = load_objects(file.parent).get(self.slug)
        if gamma is None:
            raise RecordingError(
                file, None, f"{self.slug} has no object in {' or '.join(FILES)}", "Add its object of Gamma"
            )
        market, opened = market_from(gamma, file)
        books, backwards, latest = MarketBooks(market), list[str](), 0
        for row, recv_ns, message in _messages(file):
            if recv_ns < latest:
                backwards.append(f"{file}, row {row}: the clock runs backwards by {latest - recv_ns} ns")
            latest = max(latest, recv_ns)
            try:
                books.follow(latest, message)
            except BadMessage as error:
                raise RecordingError(file, row, str(error), "Record the market again") from None
        won = books.won or winner_of(gamma)
        if won is None:
            raise RecordingError(
                file,
                None,
                f"{self.slug} has no outcome: neither a market_resolved message nor outcomePrices",
                "Add its object of Gamma from after the resolution",
            )
        snapshots = books.snapshots()
        return RecordedMarket(
            slug=self.slug,
            start=self.start,
            gamma=opened,
            won=won,
            fine_tick_ns=books.fine_tick_ns,
            snapshots=snapshots,
            timeframe=self.slug.split("-")[2],
            delay_ns=delay_ns_at(self.start),
            source=self.path,
            defects=(*backwards, *defects_of(file, snapshots, market.interval)),
        )


def list_markets(folder: Path) -> list[JsonLinesMarket]:
    """The markets of a folder, or of one file, by their start."""
    files = [folder] if folder.is_file() else sorted(folder.iterdir())
    found = []
    for file in files:
        name = NAME.fullmatch(file.name)
        if name is None or file.name in FILES:
            continue
        try:
            start = calendar_of(name[1]).start_of(name[1])
        except ValueError as error:
            raise RecordingError(file, None, str(error), "Name the file after its market") from None
        found.append(JsonLinesMarket(path=str(file), slug=name[1], start=start))
    return sorted(found, key=lambda market: market.start)


def _messages(file: Path) -> Iterator[tuple[int, int, Any]]:
    """(row, time of receipt in ns, message) of each message of a file."""
    row = 0
    try:
        with _opened(file) as lines:
            for row, line in enumerate(lines, 1):
                yield from ((row, *found) for found in _decoded(file, row, line))
    except (EOFError, zlib.error, zstd.ZstdError, gzip.BadGzipFile) as error:
        raise RecordingError(file, row + 1, f"the file is truncated: {error}", "Copy it again") from None


def _opened(file: Path) -> Any:
    if file.suffix == ".gz":
        return gzip.open(file)
    return zstd.open(file) if file.suffix == ".zst" else file.open("rb")


def _decoded(file: Path, row: int, line: bytes) -> Iterator[tuple[int, Any]]:
    try:
        content = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        what = "the file is truncated" if not line.endswith(b"\n") else "it is not JSON"
        raise RecordingError(file, row, f"{what}: {error}", "Copy it again") from None
    if not isinstance(content, dict) or not {"recv_ts", "msg"} <= content.keys():
        what = 'it is not an object with "recv_ts" and "msg"'
        raise RecordingError(file, row, what, "See docs/research.md for the formats")
    recv_ns = _nanoseconds(file, row, content["recv_ts"])
    messages = content["msg"]
    if isinstance(messages, str):
        try:
            messages = msgspec.json.decode(messages)
        except msgspec.DecodeError:
            return  # PONG
    for message in messages if isinstance(messages, list) else [messages]:
        yield recv_ns, message


def _nanoseconds(file: Path, row: int, value: Any) -> int:
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 10**19:
        raise RecordingError(file, row, f"recv_ts {value!r} is not a time", "See docs/research.md")
    unit = next(unit for least, unit in UNITS if value >= least)
    return value * unit if isinstance(value, int) else round(value * unit)
