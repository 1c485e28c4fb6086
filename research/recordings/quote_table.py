"""Reads tables of best prices: a CSV or Parquet file with a row per change.

Columns: `slug`, `time` (UTC seconds since the epoch, or milliseconds), `best_bid` and `best_ask` of the Up
token in pUSD, empty where a side is missing, and `outcome`, Up or Down. Optional: `bid_size` and `ask_size`
in shares, and the terms of the market: `rule`, `protocol`, `fee_rate`, `delay_ms`, `tick`. Without sizes
there is always enough at the best price, so that a backtest on such a table is optimistic.
"""

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet

from models import Frozen, Outcome, ProtocolVersion, Rule
from research.recording_file import RecordingError
from research.recordings.books import FINE_TICK, BadMessage, fine_tick_of, price_of, size_of
from research.recordings.calendars import FEE_RATE, calendar_of, delay_ns_at, rule_at
from research.recordings.catalogue import market_from, object_of
from research.recordings.integrity import defects_of
from research.recordings.market import RecordedMarket, Snapshot

REQUIRED = ("slug", "time", "best_bid", "best_ask", "outcome")
OPTIONAL = ("bid_size", "ask_size", "rule", "protocol", "fee_rate", "delay_ms", "tick")
ENOUGH = "1000000"
"""Shares at the best price where a table has no sizes."""
MILLISECONDS_FROM = 10**11
CENT = Decimal("0.01")
FORMATS = (".csv", ".parquet")

Row = Mapping[str, Any]


class TableMarket(Frozen, frozen=True):
    """A market of a table: `rows` rows from row `first` on, counted from 1."""

    path: str
    slug: str
    start: int
    first: int
    rows: int

    def read(self) -> RecordedMarket:
        """Read the market.

        Raises
        ------
        RecordingError
            If a row is not usable.
        """
        file = Path(self.path)
        rows = _table(file, file.stat().st_mtime_ns).slice(self.first - 1, self.rows).to_pylist()
        snapshots, defects, latest = [], [], None
        for number, row in enumerate(rows, self.first):
            try:
                time_ns = _time_ns(row["time"])
                if latest is not None and time_ns < latest:
                    defects.append(f"{file}, row {number}: the clock runs backwards by {latest - time_ns} ns")
                latest = max(latest or 0, time_ns)
                snapshots.append(
                    Snapshot(
                        offset_ns=latest - self.start * 10**9,
                        bids=_level(row["best_bid"], row.get("bid_size")),
                        asks=_level(row["best_ask"], row.get("ask_size")),
                    )
                )
            except (BadMessage, InvalidOperation, TypeError) as error:
                raise RecordingError(file, number, str(error), "Correct the row") from None
        won = self._same(file, rows, "outcome")
        if won not in set(Outcome):
            what = f"outcome {won!r} of {self.slug} is not Up or Down"
            raise RecordingError(file, self.first, what, "Add the official outcome")
        market, gamma = market_from(self._object(file, rows), file, self.first)
        return RecordedMarket(
            slug=self.slug,
            start=self.start,
            gamma=gamma,
            won=Outcome(won),
            fine_tick_ns=0 if market.tick <= FINE_TICK else fine_tick_of(snapshots),
            snapshots=tuple(snapshots),
            timeframe=self.slug.split("-")[2],
            delay_ns=self._delay_ns(file, rows),
            source=self.path,
            defects=(*defects, *defects_of(file, snapshots, market.interval)),
        )

    def _delay_ns(self, file: Path, rows: list[Row]) -> int:
        delay_ms = self._same(file, rows, "delay_ms")
        if delay_ms is None:
            return delay_ns_at(self.start)
        if not str(delay_ms).isdecimal():
            what = f"delay_ms {delay_ms!r} is not a whole number of milliseconds"
            raise RecordingError(file, self.first, what, "Correct the column")
        return int(delay_ms) * 1_000_000

    def _object(self, file: Path, rows: list[Row]) -> dict[str, Any]:
        rule = self._same(file, rows, "rule")
        protocol = self._same(file, rows, "protocol")
        fee_rate = self._same(file, rows, "fee_rate")
        tick = self._same(file, rows, "tick")
        try:
            return object_of(
                self.slug,
                rule_at(self.slug.split("-")[2], self.start) if rule is None else Rule(str(rule)),
                FEE_RATE if fee_rate is None else Decimal(str(fee_rate)),
                ProtocolVersion.V1 if protocol is None else ProtocolVersion(str(protocol)),
                CENT if tick is None else Decimal(str(tick)),
            )
        except (ValueError, InvalidOperation) as error:
            raise RecordingError(file, self.first, str(error), "Correct the column") from None

    def _same(self, file: Path, rows: list[Row], name: str) -> Any:
        """The value of a column that is the same in all rows of a market; None if it is empty."""
        values = {row.get(name) for row in rows} - {None, ""}
        if len(values) > 1:
            what = f"{self.slug} has several values of {name}: {sorted(map(str, values))}"
            raise RecordingError(file, self.first, what, "A market has one")
        return next(iter(values), None)


def list_markets(path: Path) -> list[TableMarket]:
    """The markets of a table, or of all tables of a folder, by their start."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in FORMATS)
    return sorted((market for file in files for market in _markets(file)), key=lambda market: market.start)


def _markets(file: Path) -> Iterator[TableMarket]:
    slugs = _table(file, file.stat().st_mtime_ns)["slug"]
    seen: dict[str, int] = {}
    first = 1
    for slug, count in _runs(slugs):
        try:
            start = calendar_of(str(slug)).start_of(str(slug))
        except ValueError as error:
            raise RecordingError(file, first, str(error), "Correct the slug") from None
        if slug in seen:
            what = f"{slug} continues here, after row {seen[slug]}"
            raise RecordingError(file, first, what, "Sort the table by slug and time")
        yield TableMarket(path=str(file), slug=slug, start=start, first=first, rows=count)
        first += count
        seen[slug] = first - 1


def _runs(slugs: Any) -> Iterator[tuple[str, int]]:
    """(slug, number of consecutive rows)."""
    for slug, run in groupby(slugs.to_pylist()):
        yield slug, sum(1 for _ in run)


@lru_cache(maxsize=2)
def _table(file: Path, modified_ns: int) -> arrow.Table:
    del modified_ns
    try:
        table = _csv(file) if file.suffix == ".csv" else _parquet(file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(file, None, f"it is not a CSV file: {error}", "Copy it again") from None
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        what = f"column {missing[0]} is missing; there are {', '.join(table.column_names)}"
        raise RecordingError(file, 1, what, f"Name the columns {', '.join(REQUIRED)}")
    if unknown := sorted(set(table.column_names) - {*REQUIRED, *OPTIONAL}):
        what = f"column {unknown[0]} is not known"
        raise RecordingError(file, 1, what, f"Optional columns are {', '.join(OPTIONAL)}")
    return table


def _csv(file: Path) -> arrow.Table:
    # Not arrow's reader: prices must stay the texts that they are.
    with file.open(newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        names = next(reader, [])
        columns: list[list[str]] = [[] for _ in names]
        for number, row in enumerate(reader, 1):
            if len(row) != len(names):
                what = f"it has {len(row)} columns, not {len(names)}: the file is truncated"
                raise RecordingError(file, number, what, "Copy it again")
            for column, value in zip(columns, row, strict=True):
                column.append(value)
    return arrow.table(
        {name: arrow.array(column, arrow.string()) for name, column in zip(names, columns, strict=True)}
    )


def _parquet(file: Path) -> arrow.Table:
    try:
        return parquet.read_table(file)
    except (arrow.ArrowInvalid, OSError) as error:
        raise RecordingError(file, None, f"it is not a Parquet file: {error}", "Copy it again") from None


def _time_ns(value: Any) -> int:
    time = Decimal(str(value))
    if not time.is_finite() or time <= 0:
        raise BadMessage(f"time {value!r} is not a time")
    return int(time * (10**6 if time >= MILLISECONDS_FROM else 10**9))


def _level(price: Any, size: Any) -> tuple[tuple[int, int], ...]:
    if price is None or price == "":
        return ()
    shares = size_of(ENOUGH if size in (None, "") else str(size))
    return ((price_of(str(price)), shares),) if shares else ()
