"""Converts raw recordings into ``venue/data``: ``python -m tools.convert_recordings SOURCE_FOLDER [TARGET]``.

The source folder holds markets.parquet and books.parquet of the Python package ``resolvedkit``: one row per
snapshot and side, prices and sizes as floats, best first, the Down rows mirroring the Up rows. The result is
one sequence of Up books per market, from the last snapshot before the start to `TAIL_SECONDS` after the end.

- A moment recorded for one side only is used as well: a single Down row is mirrored.
- A crossed snapshot (best bid not below best ask; the recorder saw the two sides at different moments) is
  dropped, so that the book before it remains valid until the next one.
- A snapshot equal to the one before it is dropped.
"""

import argparse
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as parquet

from venue.amounts import MILL
from venue.order_book import VenueBook
from venue.sources.recorded import CENTI_SHARE, DATA, Catalog, Recording

TAIL_SECONDS = 90
"""Books are replayed until the resolution, which comes at most this many market seconds after the end."""

ATTRIBUTION = (
    "Order books of settled Polymarket 15-minute Bitcoin markets, from the sample data of the Python package "
    "resolvedkit 0.1.0, converted: one side kept, crossed and repeated snapshots dropped."
)
LICENCE = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
SOURCE = "Python package resolvedkit 0.1.0, sample_data"
SCHEMA = pa.schema(
    [
        ("offset_ms", pa.int32()),
        ("bid_mills", pa.list_(pa.int16())),
        ("bid_centi_shares", pa.list_(pa.int32())),
        ("ask_mills", pa.list_(pa.int16())),
        ("ask_centi_shares", pa.list_(pa.int32())),
    ]
)


def up_book(row: dict[str, Any]) -> VenueBook:
    """A raw row as the Up token's book."""

    def levels(side: str) -> tuple[tuple[int, int], ...]:
        pairs = zip(row[f"{side}_px"], row[f"{side}_sz"], strict=True)
        return tuple((round(price * MILL), round(size * 100) * CENTI_SHARE) for price, size in pairs)

    book = VenueBook(bids=levels("bid"), asks=levels("ask"))
    return book if row["side"] == "UP" else book.mirrored()


def snapshots(rows: list[dict[str, Any]], start_ms: int, end_ms: int) -> list[tuple[int, VenueBook]]:
    """The market's Up books as (milliseconds since its start, book), cleaned as described in the module."""
    chosen: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row["side"] == "UP" or row["ts"] not in chosen:
            chosen[row["ts"]] = row
    kept: list[tuple[int, VenueBook]] = []
    for ts in sorted(chosen):
        book = up_book(chosen[ts])
        if ts > end_ms + TAIL_SECONDS * 1000 or book.crossed or (kept and kept[-1][1] == book):
            continue
        if ts <= start_ms:
            kept.clear()
        kept.append((ts - start_ms, book))
    return kept


def _table(books: list[tuple[int, VenueBook]]) -> pa.Table:
    return pa.table(
        {
            "offset_ms": [offset for offset, _ in books],
            "bid_mills": [[p for p, _ in book.bids] for _, book in books],
            "bid_centi_shares": [[s // CENTI_SHARE for _, s in book.bids] for _, book in books],
            "ask_mills": [[p for p, _ in book.asks] for _, book in books],
            "ask_centi_shares": [[s // CENTI_SHARE for _, s in book.asks] for _, book in books],
        },
        schema=SCHEMA,
    )


def _recording(market: dict[str, Any], books: list[tuple[int, VenueBook]]) -> Recording:
    return Recording(
        slug=market["slug"],
        question=market["question"],
        start=market["start_ts"] // 1000,
        condition_id=market["market_id"],
        up_won=market["payout_up"] > market["payout_down"],
        tick_change_ms=next((offset for offset, book in books if book.sub_cent), None),
        snapshots=len(books),
    )


def convert(source: Path, target: Path) -> Catalog:
    """Write catalog.json and books.parquet (one row group per market) and return the catalog."""
    markets = sorted(parquet.read_table(source / "markets.parquet").to_pylist(), key=lambda m: m["start_ts"])
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in parquet.read_table(source / "books.parquet").to_pylist():
        rows[row["market_id"]].append(row)
    target.mkdir(parents=True, exist_ok=True)
    recordings: list[Recording] = []
    with parquet.ParquetWriter(target / "books.parquet", SCHEMA, compression="zstd") as writer:
        for market in markets:
            books = snapshots(rows[market["market_id"]], market["start_ts"], market["end_ts"])
            writer.write_table(_table(books))
            recordings.append(_recording(market, books))
    catalog = Catalog(
        attribution=ATTRIBUTION,
        licence=LICENCE,
        source=SOURCE,
        recorded_from=_iso(markets[0]["start_ts"]),
        recorded_to=_iso(markets[-1]["end_ts"]),
        recordings=recordings,
    )
    (target / "catalog.json").write_bytes(msgspec.json.format(msgspec.json.encode(catalog), indent=1) + b"\n")
    return catalog


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 0 on success, 2 if the source folder is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.convert_recordings", description="Convert raw recordings."
    )
    parser.add_argument("source", type=Path, help="folder with markets.parquet and books.parquet")
    parser.add_argument("target", type=Path, nargs="?", default=DATA, help="folder to write (venue/data)")
    options = parser.parse_args(arguments)
    missing = [n for n in ("markets.parquet", "books.parquet") if not (options.source / n).is_file()]
    if missing:
        parser.error(
            f"{options.source} has no {' and no '.join(missing)}: give the folder that contains both"
        )
    catalog = convert(options.source, options.target)
    count = sum(recording.snapshots for recording in catalog.recordings)
    sys.stdout.write(f"{len(catalog.recordings)} markets, {count} books written to {options.target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
