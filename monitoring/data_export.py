"""Trades, decisions and latencies as CSV and Parquet tables, with the columns of `docs/data-export.md`."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from common.atomic_file import write_atomically
from errors import Fatal, Temporary
from execution.ledger import DecisionRow, TradeRow
from models import Frozen, OrderStage, OrderTrace

DIGITS = 12
"""Decimal places of money, prices and shares in Parquet: more than shares × price can have."""
MONEY = pa.decimal128(38, DIGITS)
TIME = pa.timestamp("ns", tz="UTC")
TEXT, WHOLE, REAL, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()


class Table(StrEnum):
    """What is exported."""

    TRADES = "trades"
    DECISIONS = "decisions"
    LATENCY = "latency"


class Column(Frozen, frozen=True):
    """One column: its name, Arrow type, and the value of a row."""

    name: str
    type: Any
    value: Callable[[Any], Any]


def _fields(names: str, kind: pa.DataType) -> list[Column]:
    """Columns with the names of the rows' own fields."""
    return [Column(name=name, type=kind, value=_getter(name)) for name in names.split()]


def _getter(name: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row, name)


def _stage_getter(stage: OrderStage) -> Callable[[Any], int | None]:
    return lambda trace: trace.stages.get(stage)


def _time(name: str, field: str) -> Column:
    return Column(name=name, type=TIME, value=_getter(field))


TRADES: Sequence[Column] = [
    *_fields("decision_id intent_id run_id slug", TEXT),
    _time("decided_at", "created_ns"),
    _time("filled_at", "filled_ns"),
    _time("settled_at", "settled_ns"),
    *_fields("market_start", WHOLE),
    *_fields("kind version side state winner outcome rule", TEXT),
    *_fields("usd ask price_cap shares price cost fee payout pnl p", MONEY),
    *_fields("fair edge score confidence", REAL),
]
DECISIONS: Sequence[Column] = [
    Column(name="decision_id", type=TEXT, value=_getter("id")),
    *_fields("run_id slug", TEXT),
    _time("decided_at", "now_ns"),
    *_fields("second", REAL),
    Column(name="buys", type=FLAG, value=lambda row: row.reason is None),
    *_fields("outcome reason detail rule", TEXT),
    *_fields("p ask price_cap", MONEY),
    *_fields("fair edge score confidence weight", REAL),
]
LATENCY: Sequence[Column] = [
    *_fields("intent_id slug", TEXT),
    _time("decided_at", "created_ns"),
    *(
        Column(name=f"{stage}_ns", type=WHOLE, value=_stage_getter(stage))
        for stage in OrderStage
        if stage is not OrderStage.QUOTE
    ),
]
COLUMNS = {Table.TRADES: TRADES, Table.DECISIONS: DECISIONS, Table.LATENCY: LATENCY}
type ExportedRow = TradeRow | DecisionRow | OrderTrace


def write_csv(table: Table, rows: Iterable[ExportedRow], path: Path) -> int:
    """Write a CSV file with a header; returns the number of rows.

    Times are UTC in ISO 8601 with nanoseconds; an unknown value is empty.

    Raises
    ------
    Fatal
        If the file cannot be written; an existing one is then unchanged.
    """
    columns = COLUMNS[table]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(column.name for column in columns)
    written = 0
    for row in rows:
        writer.writerow(_csv_text(column, _value(column, row)) for column in columns)
        written += 1
    _write(path, text.getvalue().encode())
    return written


def write_parquet(table: Table, rows: Iterable[ExportedRow], path: Path) -> int:
    """Write a Parquet file; arguments and errors as in `write_csv`."""
    columns, listed = COLUMNS[table], list(rows)
    arrays = [pa.array([_value(column, row) for row in listed], type=column.type) for column in columns]
    content = io.BytesIO()
    parquet.write_table(pa.table(arrays, names=[column.name for column in columns]), content)
    _write(path, content.getvalue())
    return len(listed)


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except Temporary as error:
        raise Fatal(str(error), "Choose another file") from None


def _value(column: Column, row: ExportedRow) -> Any:
    value = column.value(row)
    if value is None:
        return None
    if column.type == MONEY:
        return Decimal(value).quantize(Decimal(1).scaleb(-DIGITS))
    return str(value) if column.type == TEXT else value


def _csv_text(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if column.type == TIME:
        whole = datetime.fromtimestamp(value // 10**9, UTC)
        return f"{whole:%Y-%m-%dT%H:%M:%S}.{value % 10**9:09d}Z"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value).lower() if isinstance(value, bool) else str(value)
