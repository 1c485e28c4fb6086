"""Reads the markets that come with the project: a folder with `catalog.json` and `books.parquet`."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as parquet

from models import Frozen, Outcome
from research.recordings.market import RecordedMarket, Snapshot

BUNDLED = Path(__file__).parents[2] / "venue" / "data"
"""The 18 recorded markets that the project comes with."""
MILLI_NS = 1_000_000
CENTI_SHARE = 10_000
"""The files' sizes are in hundredths of a share."""

Levels = tuple[tuple[int, int], ...]


class _Listed(Frozen, frozen=True):
    slug: str
    question: str
    start: int
    condition_id: str
    up_won: bool
    tick_change_ms: int | None


class _Catalogue(Frozen, frozen=True):
    recordings: list[_Listed]


def load(folder: Path = BUNDLED) -> Iterator[RecordedMarket]:
    """Read the markets of a folder with `catalog.json` and `books.parquet`, one after another."""
    catalogue = msgspec.json.decode((folder / "catalog.json").read_bytes(), type=_Catalogue)
    books = parquet.ParquetFile(folder / "books.parquet")
    for index, listed in enumerate(catalogue.recordings):
        rows = books.read_row_group(index).to_pydict()
        change = listed.tick_change_ms
        yield RecordedMarket(
            slug=listed.slug,
            start=listed.start,
            gamma=_gamma(listed),
            source=str(folder / "books.parquet"),
            won=Outcome.UP if listed.up_won else Outcome.DOWN,
            fine_tick_ns=None if change is None else max(0, change) * MILLI_NS,
            snapshots=tuple(
                Snapshot(
                    offset_ns=offset * MILLI_NS,
                    bids=_levels(bid_prices, bid_sizes),
                    asks=_levels(ask_prices, ask_sizes),
                )
                for offset, bid_prices, bid_sizes, ask_prices, ask_sizes in zip(
                    rows["offset_ms"],
                    rows["bid_mills"],
                    rows["bid_centi_shares"],
                    rows["ask_mills"],
                    rows["ask_centi_shares"],
                    strict=True,
                )
            ),
        )


def _levels(mills: list[int], centi_shares: list[int]) -> Levels:
    return tuple((price, size * CENTI_SHARE) for price, size in zip(mills, centi_shares, strict=True))


def _gamma(listed: _Listed) -> dict[str, Any]:
    """The catalogue's object of a bundled market, with the terms of its time: fee rate 0.07, TWAP of 60 s."""
    return {
        "slug": listed.slug,
        "version": "v1",
        "question": listed.question,
        "conditionId": listed.condition_id,
        "outcomes": '["Up", "Down"]',
        "clobTokenIds": msgspec.json.encode([_token(listed, side) for side in Outcome]).decode(),
        "orderPriceMinTickSize": 0.01,
        "feesEnabled": True,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
        "cryptoMarketConfig": {
            "asset": "btc",
            "duration": "15m",
            "twapEnabled": True,
            "twapLookbackSeconds": 60,
        },
    }


def _token(listed: _Listed, outcome: Outcome) -> str:
    """An id in the place of the token's, which the recordings do not have."""
    return str(int.from_bytes(hashlib.sha256(f"{listed.condition_id}{outcome}".encode()).digest()))
