"""Writes one recorded market in every format that can be imported."""

import csv
import gzip
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from models import Market, Outcome
from research.recording_file import Frame, FrameKind, FrameWriter
from research.recordings import RecordedMarket, Snapshot
from research.recordings.calendars import calendar_of
from research.recordings.catalogue import market_from

NANOS = 1_000_000_000


def market_of(recorded: RecordedMarket) -> Market:
    return market_from(recorded.gamma, Path("test"))[0]


def resolved(recorded: RecordedMarket) -> dict[str, Any]:
    """The market's object of Gamma from after its resolution."""
    prices = ["1", "0"] if recorded.won is Outcome.UP else ["0", "1"]
    return {**recorded.gamma, "closed": True, "outcomePrices": json.dumps(prices)}


def _levels(levels: tuple[tuple[int, int], ...]) -> list[dict[str, str]]:
    # The venue sends the best price last.
    return [
        {"price": f"{price / 1000:.3f}", "size": f"{size / 1_000_000:.6f}"}
        for price, size in reversed(levels)
    ]


def book_message(recorded: RecordedMarket, snapshot: Snapshot, outcome: Outcome) -> dict[str, Any]:
    """A `book` message of one token."""
    bids, asks = snapshot.bids, snapshot.asks
    if outcome is Outcome.DOWN:
        bids, asks = (
            tuple((1000 - price, size) for price, size in levels) for levels in (snapshot.asks, snapshot.bids)
        )
    market = market_of(recorded)
    return {
        "event_type": "book",
        "market": market.condition_id,
        "asset_id": market.token(outcome),
        "bids": _levels(bids),
        "asks": _levels(asks),
        "timestamp": str((market.start * NANOS + snapshot.offset_ns) // 1_000_000),
        "hash": "",
    }


def change_message(recorded: RecordedMarket, before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """A `price_change` message from one book to the next, with the entries of both tokens."""
    market = market_of(recorded)
    changes = []
    for side, other, old, new in (
        ("BUY", "SELL", before.bids, after.bids),
        ("SELL", "BUY", before.asks, after.asks),
    ):
        for price in sorted({price for price, _ in old} | {price for price, _ in new}):
            size = dict(new).get(price, 0)
            if dict(old).get(price) != (size or None):
                for outcome, shown, named in (
                    (Outcome.UP, price, side),
                    (Outcome.DOWN, 1000 - price, other),
                ):
                    changes.append(
                        {
                            "asset_id": market.token(outcome),
                            "price": f"{shown / 1000:.3f}",
                            "size": f"{size / 1_000_000:.6f}",
                            "side": named,
                        }
                    )
    return {"event_type": "price_change", "market": market.condition_id, "price_changes": changes}


def messages(recorded: RecordedMarket) -> list[tuple[int, Any]]:
    """(time of receipt in ns, message): a first list of books, then changes, a trade, and a whole book."""
    start, kept = recorded.start * NANOS, recorded.snapshots
    found: list[tuple[int, Any]] = [
        (
            start + kept[0].offset_ns,
            [book_message(recorded, kept[0], outcome) for outcome in Outcome],
        )
    ]
    for number, (before, after) in enumerate(pairwise(kept)):
        at_ns = start + after.offset_ns
        if number % 7 == 3:
            found += [(at_ns, book_message(recorded, after, outcome)) for outcome in reversed(Outcome)]
        else:
            found.append((at_ns, change_message(recorded, before, after)))
        if number % 5 == 0:
            found.append((at_ns, {"event_type": "last_trade_price", "asset_id": "1", "price": "0.5"}))
    return found


def write_json_lines(recorded: RecordedMarket, folder: Path, *, zipped: bool = False) -> Path:
    """One file a market, and the objects beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{recorded.slug}.jsonl" + (".gz" if zipped else "")
    lines = "".join(
        json.dumps({"recv_ts": at_ns / 1e6 if zipped else at_ns, "msg": message}) + "\n"
        for at_ns, message in messages(recorded)
    ).encode()
    (folder / name).write_bytes(gzip.compress(lines) if zipped else lines)
    with (folder / "markets.jsonl").open("a") as objects:
        objects.write(json.dumps(resolved(recorded)) + "\n")
    return folder / name


def write_table(recorded: RecordedMarket, file: Path, **columns: str) -> Path:
    """A CSV file of best prices with sizes."""
    new = not file.exists()
    with file.open("a", newline="") as sink:
        writer = csv.writer(sink)
        if new:
            names = ("slug", "time", "best_bid", "bid_size", "best_ask", "ask_size", "outcome")
            writer.writerow([*names, *columns])
        for kept in recorded.snapshots:
            sides = [
                text
                for levels in (kept.bids, kept.asks)
                for text in ((levels[0][0] / 1000, levels[0][1] / 1_000_000) if levels else ("", ""))
            ]
            time = f"{recorded.start * 1000 + kept.offset_ns / 1e6:.0f}"
            writer.writerow([recorded.slug, time, *sides, recorded.won.value, *columns.values()])
    return file


def write_frames(recorded: RecordedMarket, folder: Path, feeds: Sequence[Frame] = ()) -> Path:
    """A recording of the bot, with frames of the external sources among those of the market."""
    writer = FrameWriter(folder)
    first = recorded.start * NANOS + recorded.snapshots[0].offset_ns
    writer.write(Frame(first, FrameKind.GAMMA, recorded.slug, json.dumps(recorded.gamma)))
    books = [
        Frame(at_ns, FrameKind.MARKET, "clob", json.dumps(message)) for at_ns, message in messages(recorded)
    ]
    for frame in sorted([*books, *feeds], key=lambda frame: frame.recv_ns):
        writer.write(frame)
    end_ns = (recorded.start + calendar_of(recorded.slug).interval + 60) * NANOS
    writer.write(Frame(end_ns, FrameKind.GAMMA, recorded.slug, json.dumps(resolved(recorded))))
    writer.close()
    return folder


def write_catalog(recorded: RecordedMarket, folder: Path) -> Path:
    """A catalog of NautilusTrader."""
    from nautilus_trader.model.data import OrderBookDeltas
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    from research.backtest.market_data import events, instrument

    market, catalog = market_of(recorded), ParquetDataCatalog(str(folder))
    shown = msgspec.structs.replace(recorded, gamma=resolved(recorded))
    catalog.write_data([instrument(shown, market, outcome, market.tick) for outcome in Outcome])
    deltas = [
        delta
        for event in events(recorded, market)
        if isinstance(event, OrderBookDeltas)
        for delta in event.deltas
    ]
    catalog.write_data(sorted(deltas, key=lambda delta: delta.ts_init))
    return folder
