"""Reads the bot's own recordings: day files of received frames, see `research.recording_file`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from core.ingestion.adapters.unified_adapter import EXTERNALS, RefreshedValues
from models import Frozen, MarketKind, Outcome
from research.recording_file import (
    FILE_NAME,
    Frame,
    FrameKind,
    RecordingError,
    read_rows,
    recording_files,
    utc_day,
)
from research.recordings.books import BadMessage, MarketBooks
from research.recordings.calendars import calendar_of, delay_ns_at
from research.recordings.catalogue import Gamma, market_from, winner_of
from research.recordings.externals import ExternalsReader
from research.recordings.integrity import defects_of
from research.recordings.market import RecordedMarket

NANOS = 1_000_000_000
RESOLVED_WITHIN_S = 3600
"""A market is complete at its result, or this long after its end."""
LISTED_AHEAD_S = 3600
"""Frames of a market from this long before its start on are read: its first books are among them."""

OnBad = Callable[[str, RecordingError], None]


class FramesMarket(Frozen, frozen=True):
    """A market of a recording, with its first object in the catalogue and the result if it was recorded.

    `first` is the row of the object in the file `file`.
    """

    path: str
    file: str
    first: int
    slug: str
    start: int
    gamma: Gamma
    won: Outcome | None

    def read(self) -> RecordedMarket:
        """Read this market alone; see `read_markets` for several."""
        return next(read_markets([self]))


def list_markets(path: Path) -> list[FramesMarket]:
    """The markets of a recording, by their start; parses the objects of the catalogue only."""
    found: dict[str, FramesMarket] = {}
    for file, row, frame in read_rows(path):
        if frame.kind is not FrameKind.GAMMA:
            continue
        gamma = _object(file, row, frame)
        slug = str(gamma.get("slug"))
        try:
            start = calendar_of(slug).start_of(slug)
        except ValueError:
            continue
        won = winner_of(gamma)
        known = found.get(slug)
        if known is None:
            found[slug] = FramesMarket(
                path=str(path), file=str(file), first=row, slug=slug, start=start, gamma=gamma, won=won
            )
        elif won is not None:
            found[slug] = msgspec.structs.replace(known, won=won)
    return sorted(found.values(), key=lambda market: market.start)


def _object(file: Path, row: int, frame: Frame) -> Gamma:
    try:
        gamma = msgspec.json.decode(frame.raw)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise RecordingError(file, row, f"the object is not JSON: {error}", "Leave the file out") from None
    if not isinstance(gamma, dict):
        raise RecordingError(file, row, "the frame is not an object of Gamma", "Leave the file out")
    return gamma


class _Open:
    """A market whose frames are being read."""

    def __init__(self, listed: FramesMarket) -> None:
        self.listed = listed
        market, self.gamma = market_from(listed.gamma, Path(listed.file), listed.first)
        self.books = MarketBooks(market)
        self.market = market
        self.externals = ExternalsReader(market.start)
        self.defects: list[str] = []

    def finished(self) -> RecordedMarket:
        listed, snapshots = self.listed, self.books.snapshots()
        won = self.books.won or listed.won
        if won is None:
            what = f"{listed.slug} has no outcome: the recording ends before its resolution"
            raise RecordingError(Path(listed.file), listed.first, what, "Leave the market out")
        return RecordedMarket(
            slug=listed.slug,
            start=listed.start,
            gamma=self.gamma,
            won=won,
            fine_tick_ns=self.books.fine_tick_ns,
            snapshots=snapshots,
            timeframe=listed.slug.split("-")[2],
            delay_ns=delay_ns_at(listed.start),
            source=listed.file,
            defects=(*self.defects, *defects_of(listed.file, snapshots, self.market.interval)),
            externals=self.externals.finished([kept.offset_ns for kept in snapshots]),
        )


def read_markets(listed: Sequence[FramesMarket], on_bad: OnBad | None = None) -> Iterator[RecordedMarket]:
    """Read markets of one recording in one pass, by their start; see `recordings.read_markets`."""
    reader = _Reader(listed, on_bad)
    try:
        yield from reader.read()
    except RecordingError as error:
        if on_bad is None:
            raise
        for slug in reader.unread():
            on_bad(slug, error)


class _Reader:
    """One pass over a recording."""

    def __init__(self, listed: Sequence[FramesMarket], on_bad: OnBad | None) -> None:
        self._waiting = sorted(listed, key=lambda market: market.start)
        self._reading: list[_Open] = []
        self._path = Path(self._waiting[0].path)
        self._on_bad = on_bad
        self._latest = 0

    def unread(self) -> list[str]:
        return [opened.listed.slug for opened in self._reading] + [market.slug for market in self._waiting]

    def read(self) -> Iterator[RecordedMarket]:
        for file, row, frame in self._rows():
            while self._waiting and frame.recv_ns >= (self._waiting[0].start - LISTED_AHEAD_S) * NANOS:
                self._open()
            if frame.kind is FrameKind.MARKET and self._reading:
                self._check_clock(file, row, frame.recv_ns)
                _follow(file, row, self._latest, frame.raw, self._reading)
            elif frame.kind is FrameKind.FEED and frame.source == EXTERNALS:
                _add_externals(file, row, frame, self._reading)
            while self._reading and _complete(self._reading[0], frame.recv_ns):
                yield from self._finish()
            if not self._reading and not self._waiting:
                return
        while self._waiting:
            self._open()
        while self._reading:
            yield from self._finish()

    def _rows(self) -> Iterator[tuple[Path, int, Frame]]:
        """The frames, without the day files that end before the first market is listed."""
        first_day = utc_day((self._waiting[0].start - LISTED_AHEAD_S) * NANOS)
        for file in recording_files(self._path):
            named = FILE_NAME.fullmatch(file.name)
            if named is None or named[1] >= first_day:
                yield from read_rows(file)

    def _open(self) -> None:
        listed = self._waiting.pop(0)
        try:
            self._reading.append(_Open(listed))
        except RecordingError as error:
            if self._on_bad is None:
                raise
            self._on_bad(listed.slug, error)

    def _finish(self) -> Iterator[RecordedMarket]:
        opened = self._reading.pop(0)
        try:
            yield opened.finished()
        except RecordingError as error:
            if self._on_bad is None:
                raise
            self._on_bad(opened.listed.slug, error)

    def _check_clock(self, file: Path, row: int, recv_ns: int) -> None:
        if recv_ns < self._latest:
            what = f"{file}, row {row}: the clock runs backwards by {self._latest - recv_ns} ns"
            for opened in self._reading:
                opened.defects.append(what)
        self._latest = max(self._latest, recv_ns)


def _complete(opened: _Open, now_ns: int) -> bool:
    return now_ns >= (opened.market.end + RESOLVED_WITHIN_S) * NANOS or (
        opened.books.won is not None and now_ns >= opened.market.end * NANOS
    )


def _add_externals(file: Path, row: int, frame: Frame, reading: Sequence[_Open]) -> None:
    if not reading:
        return
    defect = "the values of the external sources are not readable"
    try:
        recorded = msgspec.json.decode(frame.raw, type=RefreshedValues)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        concerned = list(reading)
    else:
        # Beside generated markets a recorded one has prices around it, which are not its own.
        own = [
            opened
            for opened in reading
            if opened.market.start == recorded.start and opened.market.kind is not MarketKind.RECORDED
        ]
        concerned = [opened for opened in own if not opened.externals.add(frame.recv_ns, recorded)]
        defect = "the beginning of the spot path is not recorded"
    for opened in concerned:
        opened.defects.append(f"{file}, row {row}: {defect}")


def _follow(file: Path, row: int, recv_ns: int, raw: str, reading: Sequence[_Open]) -> None:
    if raw in ("PONG", ""):
        return
    try:
        content: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeEncodeError):
        for opened in reading:
            opened.defects.append(f"{file}, row {row}: the message is not JSON")
        return
    for message in content if isinstance(content, list) else [content]:
        if not isinstance(message, dict):
            continue
        for opened in reading:
            if opened.books.concerns(message):
                try:
                    opened.books.follow(recv_ns, message)
                except BadMessage as error:
                    opened.defects.append(f"{file}, row {row}: {error}")
