"""Checks a recording: files, clock, gaps, crossed books, lost changes, hashes, missing results.

`python -m research.integrity FOLDER` prints the report.
"""

import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from common.plain_text import one_line
from execution.venue_answers import gamma_resolution
from models import Frozen, Outcome
from research.recording_file import (
    Frame,
    FrameKind,
    RecordingError,
    cut_incomplete_block,
    read_rows,
    recording_files,
)

MAX_GAP_S = 30.0
"""Longest silence about a running market that is not a gap. The longest of the 18 bundled markets is 18 s."""
LENGTHS = {"5m": 300, "15m": 900, "4h": 14_400}
DECISION_SECOND = 780
"""Of 900: the default start of the decision window, before which the first book has to be there."""
HASHED = (
    *("market", "asset_id", "timestamp", "hash", "bids", "asks"),
    *("min_order_size", "tick_size", "neg_risk", "last_trade_price"),
)
"""The fields of the object whose SHA-1 is a book's hash, in their order."""
NANOS = 10**9
Levels = dict[Decimal, str]


class IntegrityFinding(Frozen, frozen=True):
    """A defect of a recording; `file` and `row` are those of its first occurrence."""

    check: str
    """file, clock, gap, crossing, sequence, hash, outcome, catalogue or coverage."""
    file: str
    row: int | None
    text: str
    count: int = 1

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file}, row {self.row}"
        times = "" if self.count == 1 else f" ({self.count} times)"
        return f"{place}: {self.check}: {self.text}{times}"


class MarketIntegrity(Frozen, frozen=True):
    """What a recording has of one market. Seconds count from its start; None without frames."""

    slug: str
    frames: int
    first_s: float | None
    last_s: float | None
    outcome: Outcome | None
    findings: tuple[IntegrityFinding, ...]


class IntegrityReport(Frozen, frozen=True):
    """The report on a recording: `findings` concern all of it, the others one market."""

    path: str
    files: int
    frames: int
    markets: tuple[MarketIntegrity, ...]
    findings: tuple[IntegrityFinding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings and not any(market.findings for market in self.markets)


def check(path: Path, max_gap_s: float = MAX_GAP_S) -> IntegrityReport:
    """Check a recording: a folder, or one of its files.

    A file that cannot be read to its end is a finding; the frames before that place are checked.

    Raises
    ------
    RecordingError
        If there is no recording.
    """
    files = recording_files(path)
    checks = _Checks(max_gap_s)
    for file in files:
        try:
            for _, row, frame in read_rows(file):
                checks.see(file, row, frame)
        except RecordingError as error:
            checks.general.add("file", file, error.row, error.fault)
    return checks.report(path, len(files))


def repair(path: Path) -> list[Path]:
    """Cut the incomplete ends of truncated files; returns those files."""
    cut = []
    for file in recording_files(path):
        size = file.stat().st_size
        if cut_incomplete_block(file) and file.stat().st_size < size:
            cut.append(file)
    return cut


class _Findings:
    """Findings by kind: the first occurrence of each, and their number."""

    def __init__(self) -> None:
        self._found: dict[str, IntegrityFinding] = {}

    def add(self, check: str, file: Path | str, row: int | None, text: str) -> None:
        known = self._found.get(check)
        if known is None:
            self._found[check] = IntegrityFinding(check, str(file), row, text)
        else:
            self._found[check] = msgspec.structs.replace(known, count=known.count + 1)

    def all(self) -> tuple[IntegrityFinding, ...]:
        return tuple(self._found.values())


class _Level(msgspec.Struct):
    price: str
    size: str


class _Change(msgspec.Struct):
    asset_id: str
    price: str
    size: str
    side: str
    best_bid: str | None = None
    best_ask: str | None = None


class _Event(msgspec.Struct):
    event_type: str = ""
    market: str = ""
    asset_id: str = ""
    timestamp: str = ""
    bids: list[_Level] | None = None
    asks: list[_Level] | None = None
    price_changes: list[_Change] = []


class _Book:
    """One token's book."""

    def __init__(self) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}

    def replace(self, event: _Event) -> None:
        self.bids = {_decimal(level.price): level.size for level in event.bids or ()}
        self.asks = {_decimal(level.price): level.size for level in event.asks or ()}

    def change(self, change: _Change) -> None:
        levels = self.bids if change.side == "BUY" else self.asks
        if _decimal(change.size):
            levels[_decimal(change.price)] = change.size
        else:
            levels.pop(_decimal(change.price), None)

    @property
    def best(self) -> tuple[Decimal | None, Decimal | None]:
        return max(self.bids, default=None), min(self.asks, default=None)


class _Market:
    """The checks of one market."""

    def __init__(self, condition: str) -> None:
        self.condition = condition
        self.slug = ""
        self.start, self.length = 0, 0
        self.frames = 0
        self.outcome: Outcome | None = None
        self.findings = _Findings()
        self.first_ns: int | None = None
        self.last_ns = 0
        self.place: tuple[Path, int | None] = (Path(), None)
        self._silences: list[tuple[int, int, Path, int]] = []
        self._books: dict[str, _Book] = {}
        self._timestamp = 0

    def named(self, slug: str) -> None:
        head, _, start = slug.rpartition("-")
        self.slug = slug
        self.start = int(start) if start.isdecimal() else 0
        self.length = LENGTHS.get(head.rpartition("-")[2], 0)

    def see(self, file: Path, row: int, recv_ns: int, events: list[_Event], max_gap_s: float) -> None:
        """Check the events of one frame about this market."""
        self.frames += 1
        if self.first_ns is None:
            self.first_ns = recv_ns
        elif recv_ns - self.last_ns > max_gap_s * NANOS:
            self._silences.append((self.last_ns, recv_ns, file, row))
        self.last_ns, self.place = recv_ns, (file, row)
        try:
            for event in events:
                self._apply(event, file, row)
        except (InvalidOperation, ValueError) as error:
            self.findings.add("sequence", file, row, f"a {events[0].event_type} message: {one_line(error)}")
            return
        for token in {event.asset_id for event in events} | {
            change.asset_id for event in events for change in event.price_changes
        }:
            bid, ask = self._books[token].best if token in self._books else (None, None)
            if bid is not None and ask is not None and bid >= ask:
                self.findings.add("crossing", file, row, f"best bid {bid}, best ask {ask}")

    def _apply(self, event: _Event, file: Path, row: int) -> None:
        stamp = int(event.timestamp or 0)
        if stamp < self._timestamp and event.event_type == "price_change":
            why = f"the venue's time {stamp} is before {self._timestamp}"
            self.findings.add("sequence", file, row, why)
        self._timestamp = max(stamp, self._timestamp)
        if event.event_type == "book":
            self._books.setdefault(event.asset_id, _Book()).replace(event)
        for change in event.price_changes:
            if (book := self._books.get(change.asset_id)) is not None:
                book.change(change)
        # The quoted best prices are those after all changes of the message.
        for change in {change.asset_id: change for change in event.price_changes}.values():
            book = self._books.get(change.asset_id)
            if book is not None and (why := _difference(change, book)):
                self.findings.add("sequence", file, row, why)

    def report(self, ended_ns: int, max_gap_s: float) -> MarketIntegrity:
        end_ns = (self.start + self.length) * NANOS
        file, row = self.place
        for begin, end, gap_file, gap_row in self._silences:
            begin, end = max(begin, self.start * NANOS), min(end, end_ns)
            if end - begin > max_gap_s * NANOS:
                second = (begin - self.start * NANOS) / NANOS
                text = f"no frame for {(end - begin) / NANOS:.1f} s from second {second:.1f} on"
                self.findings.add("gap", gap_file, gap_row, text)
        if not self.slug:
            self.findings.add("catalogue", file, row, f"market {self.condition} has no catalogue object")
        elif self.first_ns is None:
            self.findings.add("coverage", file, row, "no frame of the market stream")
        else:
            if self.outcome is None:
                self.findings.add("outcome", file, row, "no catalogue object with its official result")
            deadline_ns = self.start * NANOS + DECISION_SECOND * self.length * NANOS // 900
            if self.first_ns > deadline_ns:
                self.findings.add("coverage", file, row, "recorded only after its decision window began")
            if min(ended_ns, end_ns) - self.last_ns > max_gap_s * NANOS:
                text = f"no frame after second {self.last_ns / NANOS - self.start:.1f}"
                self.findings.add("gap", file, row, text)
        return MarketIntegrity(
            slug=self.slug or self.condition,
            frames=self.frames,
            first_s=self._second(self.first_ns),
            last_s=self._second(self.last_ns or None),
            outcome=self.outcome,
            findings=self.findings.all(),
        )

    def _second(self, at_ns: int | None) -> float | None:
        return None if at_ns is None else round((at_ns - self.start * NANOS) / NANOS, 3)


class _Checks:
    """The checks of all frames."""

    def __init__(self, max_gap_s: float) -> None:
        self.general = _Findings()
        self._max_gap_s = max_gap_s
        self._markets: dict[str, _Market] = {}
        self._frames = 0
        self._latest_ns = 0

    def see(self, file: Path, row: int, frame: Frame) -> None:
        self._frames += 1
        if frame.recv_ns < self._latest_ns:
            seconds = (self._latest_ns - frame.recv_ns) / NANOS
            self.general.add("clock", file, row, f"the clock runs backwards, by {seconds:.6f} s")
        self._latest_ns = max(self._latest_ns, frame.recv_ns)
        if frame.kind is FrameKind.MARKET:
            self._see_events(file, row, frame)
        elif frame.kind is FrameKind.GAMMA:
            self._see_object(file, row, frame)

    def _see_events(self, file: Path, row: int, frame: Frame) -> None:
        try:
            found = msgspec.json.decode(frame.raw, type=list[_Event] | _Event)
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            self.general.add("sequence", file, row, f"a frame that cannot be read: {one_line(error)}")
            return
        by_market: dict[str, list[_Event]] = {}
        for event in found if isinstance(found, list) else [found]:
            if event.event_type in ("book", "price_change", "tick_size_change", "last_trade_price"):
                by_market.setdefault(event.market, []).append(event)
        for condition, events in by_market.items():
            market = self._market(condition)
            market.see(file, row, frame.recv_ns, events, self._max_gap_s)
            if any(event.event_type == "book" for event in events):
                for token in _wrong_hashes(frame.raw, condition):
                    market.findings.add("hash", file, row, f"the book of {token} is not that of its hash")

    def _see_object(self, file: Path, row: int, frame: Frame) -> None:
        try:
            listed = msgspec.json.decode(frame.raw, type=dict[str, Any])
            condition = listed["conditionId"]
            if not isinstance(condition, str):
                raise ValueError(f"conditionId {condition!r}")
        except (msgspec.MsgspecError, UnicodeEncodeError, LookupError, ValueError, RecursionError) as error:
            why = f"the object of {frame.source} cannot be read: {one_line(error)}"
            self.general.add("catalogue", file, row, why)
            return
        market = self._market(condition)
        market.named(frame.source)
        if market.frames == 0:
            market.place = (file, row)
        resolution = gamma_resolution(listed)
        if resolution.official and resolution.outcome is not None:
            market.outcome = resolution.outcome

    def _market(self, condition: str) -> _Market:
        if condition not in self._markets:
            self._markets[condition] = _Market(condition)
        return self._markets[condition]

    def report(self, path: Path, files: int) -> IntegrityReport:
        # A listed market that had not started when the recording ended is not a defect of it.
        begun = [
            market
            for market in self._markets.values()
            if not market.slug or market.start * NANOS < self._latest_ns
        ]
        reports = [market.report(self._latest_ns, self._max_gap_s) for market in begun]
        return IntegrityReport(
            path=str(path),
            files=files,
            frames=self._frames,
            markets=tuple(sorted(reports, key=lambda each: each.slug)),
            findings=self.general.all(),
        )


@lru_cache(maxsize=4096)
def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a number")
    return number


def _difference(change: _Change, book: _Book) -> str:
    """Which best price of a book is not the one that was sent with its last change; empty if none."""
    for side, quoted, own in zip(("bid", "ask"), (change.best_bid, change.best_ask), book.best, strict=True):
        if quoted is None:
            continue
        price = _decimal(quoted or "0")
        if (price if 0 < price < 1 else None) != own:
            return f"best {side} {own}, the venue's is {quoted or 'none'}: a change is missing"
    return ""


def _wrong_hashes(raw: str, condition: str) -> Iterable[str]:
    """The tokens whose book in a frame does not have the hash that was sent with it.

    Messages without all fields of the hashed object cannot be compared.
    """
    found = json.loads(raw)
    for row in found if isinstance(found, list) else [found]:
        if row.get("market") != condition or not all(name in row for name in HASHED):
            continue
        compact = json.dumps(
            {**{name: row[name] for name in HASHED}, "hash": ""}, separators=(",", ":"), ensure_ascii=False
        )
        if hashlib.sha1(compact.encode(), usedforsecurity=False).hexdigest() != row["hash"]:
            yield str(row["asset_id"])


# --- command line --------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Print the report; the exit code is 1 if anything was found."""
    import argparse

    from errors import Fatal
    from monitoring.terminal import PlainConsole, print_error

    parser = argparse.ArgumentParser(
        prog="python -m research.integrity",
        description="Checks a recording: gaps, crossed books, clock, lost changes, missing results.",
    )
    parser.add_argument("path", type=Path, help="the folder of a recording, or one of its files")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--max-gap",
        type=float,
        default=MAX_GAP_S,
        metavar="SECONDS",
        help=f"longest silence about a running market that is not a gap ({MAX_GAP_S:g})",
    )
    parser.add_argument(
        "--repair", action="store_true", help="first cut the incomplete ends of truncated files"
    )
    options = parser.parse_args(arguments)
    console = PlainConsole(highlight=False, markup=False)
    try:
        if options.repair:
            for file in repair(options.path):
                console.print(f"cut the incomplete end of {file}")
        report = check(options.path, options.max_gap)
    except Fatal as error:
        print_error(error)
        return error.exit_code
    if options.json:
        console.print(msgspec.json.encode(report).decode(), soft_wrap=True)
    else:
        show(report, console)
    return 0 if report.sound else 1


def show(report: IntegrityReport, console: Any) -> None:
    """Print a report as a table with its findings below."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("market", "frames", "from s", "to s", "result", "findings"):
        table.add_column(name, justify="right" if name in ("frames", "from s", "to s") else "left")
    for market in report.markets:
        table.add_row(
            market.slug,
            str(market.frames),
            "–" if market.first_s is None else f"{market.first_s:.1f}",
            "–" if market.last_s is None else f"{market.last_s:.1f}",
            market.outcome or "–",
            ", ".join(finding.check for finding in market.findings) or "none",
        )
    console.print(table)
    for finding in report.findings:
        console.print(str(finding), soft_wrap=True)
    for market in report.markets:
        for finding in market.findings:
            console.print(f"{market.slug}: {finding}", soft_wrap=True)
    faulty = sum(bool(market.findings) for market in report.markets)
    console.print(
        f"{report.frames} frames in {report.files} files, {len(report.markets)} markets, {faulty} with"
        " findings"
    )


if __name__ == "__main__":
    from common.process_exit import exit_process

    exit_process(main())
