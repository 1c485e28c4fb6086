"""Replays a recording of the bot or of `python -m research.record`: every frame at its time of receipt.

A recording is a folder of zstd-compressed JSON-lines files, `YYYY-MM-DD.jsonl.zst`,
`YYYY-MM-DD.2.jsonl.zst`, …, or one of them. Each row is
`{"recv_ns": …, "kind": "market" | "gamma" | "feed", "source": …, "raw": …}`, where `raw` is the received
text. The file named in `writing` may have an incomplete end.

The order books are rebuilt frame by frame, and each one is valid from its frame's time of receipt on. The
recorded markets of a series are replayed one after another; those without a book or without an official
result, and those of other series, are left out.
"""

import json
import logging
import re
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.schedule import Schedule
from venue.series import BTC_15M, KNOWN, LENGTHS, Series, SeriesMissing
from venue.sources.shadow.listing import UnsupportedMarket, gamma_outcome, listed
from venue.sources.shadow.mirror import BookMirror

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

log = logging.getLogger("venue.recording")

FILE_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.(\d{1,6}))?\.jsonl\.zst")
SLUG = re.compile(r"([a-z0-9]{1,12})-updown-(\w{1,4})-(\d{1,12})")
READ_BYTES = 2**16
MICROSECOND = 1_000


class RecordingRefused(ValueError):
    """A recording that cannot be replayed, with file and row."""


class _Frame(msgspec.Struct, frozen=True):
    recv_ns: int
    kind: str
    source: str
    raw: str


class _Concerned(msgspec.Struct):
    market: str | None = None


class _Block(msgspec.Struct, frozen=True):
    """A block of a file: its position, and the number of rows before it."""

    path: Path
    offset: int
    rows: int


class _Listing(msgspec.Struct):
    """A market as it is found while the recording is read for the first time."""

    market: VenueMarket
    tick: int
    question: str
    up_won: bool | None = None
    first: int | None = None
    """Index of the first block with a message about it."""
    last: int = 0


class RecordedFrames(msgspec.Struct, frozen=True):
    """One market's books in time order; `times` in microseconds since its start, strictly increasing."""

    times: list[int]
    books: list[VenueBook]
    tick_change: int | None

    def position(self, offset: float) -> int:
        """Index of the book valid at `offset` seconds: the last one before it, or the first one."""
        return max(0, bisect_right(self.times, round(offset * 1e6)) - 1)


class RecordingSource:
    """Replays the markets of one series of a recording in their order, repeatedly.

    Parameters
    ----------
    path : Path
        The recording's folder, or one of its files.
    series : Series
        btc-15m unless given.
    recording : RecordingFiles, optional
        The recording, if it has been read already.

    Raises
    ------
    RecordingRefused
        If it cannot be read, or has no market that can be replayed.
    SeriesMissing
        If it has no market of the series.
    """

    name = "recording"

    def __init__(
        self, path: Path, series: Series = BTC_15M, recording: "RecordingFiles | None" = None
    ) -> None:
        self._recording = RecordingFiles(path) if recording is None else recording
        self._series = series
        self._markets = self._recording.markets_of(series)
        self._replay = lru_cache(maxsize=4)(self._load)

    @property
    def left_out(self) -> dict[str, str]:
        """Why markets of the recording are not replayed, by slug."""
        return self._recording.left_out((self._series,))

    def info(self) -> dict[str, Any]:
        return self._recording.info((self._series,))

    def describe(self, index: int) -> str:
        listing = self._listing(index)
        return f"Practice market. Replays the recorded market {listing.market.slug} ({listing.question})."

    def origin(self, index: int) -> str:
        return self._listing(index).market.slug

    def book(self, index: int, offset: float) -> VenueBook:
        frames = self._frames(index)
        return frames.books[frames.position(offset)]

    def next_change(self, index: int, offset: float) -> float | None:
        frames = self._frames(index)
        following = frames.position(offset) + 1
        return frames.times[following] / 1e6 if following < len(frames.times) else None

    def tick_change(self, index: int) -> float | None:
        change = self._frames(index).tick_change
        return None if change is None else change / 1e6

    def up_wins(self, index: int) -> bool:
        return self._listing(index).up_won is True

    def priced(self, index: int) -> bool:
        """False: the recorded values of the external sources are not served."""
        del index
        return False

    def _listing(self, index: int) -> _Listing:
        return self._markets[index % len(self._markets)]

    def _frames(self, index: int) -> RecordedFrames:
        return self._replay(index % len(self._markets))

    def _load(self, position: int) -> RecordedFrames:
        return self._recording.books_of(self._markets[position])


class RecordingSeries:
    """Replays several series of a recording, each its own markets in their order.

    Parameters
    ----------
    path : Path
        The recording's folder, or one of its files.
    series : tuple of Series

    Raises
    ------
    RecordingRefused
        If it cannot be read, or has no market that can be replayed.
    SeriesMissing
        If it has no market of one of the series.
    """

    name = "recording"

    def __init__(self, path: Path, series: tuple[Series, ...]) -> None:
        self.series = series
        self._recording = RecordingFiles(path)
        self._scripts = {each: RecordingSource(path, each, self._recording) for each in series}

    def info(self) -> dict[str, Any]:
        return self._recording.info(self.series)

    def scripts(self, schedule: Schedule) -> dict[Series, RecordingSource]:
        """The script of each series; the times of a schedule do not matter to them."""
        del schedule
        return self._scripts


class RecordingFiles:
    """The files of a recording: which markets they have, and the books of each.

    Parameters
    ----------
    path : Path
        The recording's folder, or one of its files.

    Raises
    ------
    RecordingRefused
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blocks: list[_Block] = []
        self._first_ns, self._last_ns = 0, 0
        self._unusable: dict[str, str] = {}
        found = self._find_markets()
        self._markets = [listing for listing in found if self._fits(listing)]

    def markets_of(self, series: Series) -> list[_Listing]:
        """The markets of a series that can be replayed.

        Raises
        ------
        RecordingRefused
            If no market of the recording can be replayed.
        SeriesMissing
            If only markets of other series can.
        """
        found = [listing for listing in self._markets if listing.market.series == series]
        if not found:
            if self._markets:
                others = Counter(listing.market.series.name for listing in self._markets)
                names = ", ".join(others)
                raise SeriesMissing(
                    f"{series.name}: the recording {self.path} has markets of {names} only; name those"
                )
            reasons = "; ".join(f"{slug}: {why}" for slug, why in list(self._unusable.items())[:3])
            raise RecordingRefused(f"{self.path}: no market can be replayed{reasons and f' ({reasons})'}")
        return found

    def left_out(self, series: tuple[Series, ...]) -> dict[str, str]:
        """Why markets are not replayed, by slug, if these series are."""
        others = [listing.market for listing in self._markets if listing.market.series not in series]
        return {**self._unusable, **{market.slug: f"of {market.series.name}" for market in others}}

    def info(self, series: tuple[Series, ...]) -> dict[str, Any]:
        """A description of the recording for people, if these series are replayed."""
        begin, end = (datetime.fromtimestamp(ns / 1e9, UTC) for ns in (self._first_ns, self._last_ns))
        left_out = self.left_out(series)
        count = sum(listing.market.series in series for listing in self._markets)
        reasons = ", ".join(f"{many} {why}" for why, many in Counter(left_out.values()).most_common())
        return {
            "name": "recording",
            "path": str(self.path),
            "markets": count,
            "left_out": left_out,
            "note": f"{count} markets of the recording {self.path}, "
            f"{begin:%Y-%m-%d %H:%M}–{end:%Y-%m-%d %H:%M} of its clock"
            + (f"; left out: {reasons}" if reasons else ""),
        }

    def _find_markets(self) -> list[_Listing]:
        """Read all files once; only the markets and the places of their messages are kept."""
        by_slug: dict[str, _Listing] = {}
        places: dict[str, tuple[int, int]] = {}
        for path in _files(self.path):
            for block, frame in self._read_file(path):
                self._first_ns = self._first_ns or frame.recv_ns
                self._last_ns = frame.recv_ns
                if frame.kind == "gamma":
                    self._note(frame, by_slug)
                elif frame.kind == "market":
                    for condition in _conditions(frame.raw):
                        places[condition] = (places.get(condition, (block, 0))[0], block)
        for listing in by_slug.values():
            if listing.market.condition_id in places:
                listing.first, listing.last = places[listing.market.condition_id]
        return sorted(by_slug.values(), key=lambda listing: listing.market.start)

    def _read_file(self, path: Path) -> Iterator[tuple[int, _Frame]]:
        """The frames of a file, each with the index of its block, which is added to the known ones."""
        rows = 0
        try:
            for offset, content in _content(path):
                self._blocks.append(_Block(path, offset, rows))
                for frame in _decoded(path, rows, content):
                    rows += 1
                    yield len(self._blocks) - 1, frame
        except EOFError:
            raise RecordingRefused(f"{path}, row {rows}: the file is truncated after this row") from None
        except zstd.ZstdError as error:
            raise RecordingRefused(
                f"{path}, row {rows}: the file is damaged after this row ({error})"
            ) from None

    def _note(self, frame: _Frame, by_slug: dict[str, _Listing]) -> None:
        """Use an object of the catalogue: the terms of a market are those of its first one."""
        match = SLUG.fullmatch(frame.source)
        if match is None or match[2] not in LENGTHS:
            self._unusable[frame.source] = "whose slug is not that of an up/down market"
            return
        try:
            row = msgspec.json.decode(frame.raw, type=dict[str, Any])
            if frame.source not in by_slug:
                found = listed(row, Series(match[1], match[2]), int(match[3]))
                by_slug[frame.source] = _Listing(found.market, found.tick, found.market.question)
        except (UnsupportedMarket, ValueError) as error:
            self._unusable[frame.source] = f"that cannot be traded: {error}"
            return
        outcome = gamma_outcome(row)
        if outcome is not None:
            by_slug[frame.source].up_won = None if 0 < outcome < 1_000_000 else outcome > 0

    def _fits(self, listing: _Listing) -> bool:
        why, market = "", listing.market
        if market.interval != market.series.length:
            why = f"of {market.interval / 3600:g} hours, because the clocks changed"
        elif market.series.name not in KNOWN:
            why = f"of {market.asset}, which is not replayed"
        elif listing.first is None:
            why = "without an order book"
        elif listing.up_won is None:
            why = "without an official result"
        if why:
            self._unusable[market.slug] = why
        return not why

    def books_of(self, listing: _Listing) -> RecordedFrames:
        """The books of one market."""
        assert listing.first is not None
        mirror = BookMirror(listing.market, listing.tick)
        found = RecordedFrames([], [], None)
        tick_change: int | None = None
        for frame in self._read(listing.first, listing.last):
            if frame.kind != "market" or listing.market.condition_id not in frame.raw:
                continue
            before, events = mirror.book, _events(frame.raw)
            for event in events:
                if event.get("market") == listing.market.condition_id:
                    mirror.handle_event(event, frame.recv_ns)
            moment = (frame.recv_ns - listing.market.start * 10**9) // MICROSECOND
            if mirror.tick == 1 and tick_change is None:
                tick_change = moment
            if mirror.book is not None and mirror.book != before:
                # Two frames of one microsecond have an order, too.
                found.times.append(max(moment, found.times[-1] + 1) if found.times else moment)
                found.books.append(mirror.book)
        if not found.books:
            log.warning("%s: its messages contain no whole book", listing.market.slug)
            found.times.append(0)
            found.books.append(VenueBook())
        return msgspec.structs.replace(found, tick_change=tick_change)

    def _read(self, first: int, last: int) -> Iterator[_Frame]:
        for block in self._blocks[first : last + 1]:
            _, content = next(_content(block.path, block.offset))
            yield from _decoded(block.path, block.rows, content)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    matches = [match for each in _names(path) if (match := FILE_NAME.fullmatch(each))]
    if not matches:
        raise RecordingRefused(f"{path}: there is no recording (YYYY-MM-DD.jsonl.zst)")
    return [path / match[0] for match in sorted(matches, key=lambda match: (match[1], int(match[2] or 1)))]


def _names(path: Path) -> Iterable[str]:
    return (each.name for each in path.iterdir()) if path.is_dir() else ()


def _content(path: Path, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The blocks of a file from an offset on: each one's offset, and its decompressed content.

    Raises
    ------
    EOFError
        If the last block is incomplete, and the file is not being written.
    zstd.ZstdError
        If a block is damaged.
    """
    with path.open("rb") as file:
        while True:
            file.seek(offset)
            block, size, parts = zstd.ZstdDecompressor(), 0, []
            while not block.eof:
                chunk = file.read(READ_BYTES) if block.needs_input else b""
                if not chunk and block.needs_input:
                    if size and not _is_being_written(path):
                        raise EOFError
                    return
                size += len(chunk)
                parts.append(block.decompress(chunk))
            yield offset, b"".join(parts)
            offset += size - len(block.unused_data)


def _is_being_written(path: Path) -> bool:
    try:
        return (path.parent / "writing").read_text() == path.name
    except OSError:
        return False


def _decoded(path: Path, rows: int, content: bytes) -> Iterator[_Frame]:
    for row, line in enumerate(content.splitlines(), rows + 1):
        try:
            yield msgspec.json.decode(line, type=_Frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            try:
                yield msgspec.convert(json.loads(line), _Frame)  # also accepts bytes that were not UTF-8
            except (ValueError, RecursionError):
                raise RecordingRefused(f"{path}, row {row}: the row is not a frame") from None


def _conditions(raw: str) -> set[str]:
    """The condition ids that a frame of the market stream concerns."""
    try:
        found = msgspec.json.decode(raw, type=list[_Concerned] | _Concerned)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return set()
    rows = found if isinstance(found, list) else [found]
    return {row.market for row in rows if row.market is not None}


def _events(raw: str) -> list[dict[str, Any]]:
    found = msgspec.json.decode(raw)
    return [row for row in (found if isinstance(found, list) else [found]) if isinstance(row, dict)]
