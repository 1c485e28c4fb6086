"""Recorded markets: what the catalogue said, the Up token's order books, and the official result."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as parquet

from models import Frozen, Outcome

BUNDLED = Path(__file__).parent.parent / "venue" / "data"
"""The 18 recorded markets that the project comes with."""
MILL_NS = 1_000_000


class Snapshot(Frozen, frozen=True):
    """The Up token's order book from `offset_ns` after the market's start on, best level first.

    Levels are (price in thousandths of a pUSD, size in hundredths of a share).
    """

    offset_ns: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class RecordedMarket(Frozen, frozen=True):
    """One recorded market.

    Attributes
    ----------
    gamma : dict
        The market's object in the catalogue.
    start : int
        Market-clock seconds since the epoch.
    fine_tick_ns : int or None
        Time after the start from which prices are on a grid of 0.001; None if never.
    """

    slug: str
    start: int
    gamma: dict[str, Any]
    won: Outcome
    fine_tick_ns: int | None
    snapshots: tuple[Snapshot, ...]


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
            won=Outcome.UP if listed.up_won else Outcome.DOWN,
            fine_tick_ns=None if change is None else max(0, change) * MILL_NS,
            snapshots=tuple(
                Snapshot(
                    offset_ns=offset * MILL_NS,
                    bids=tuple(zip(bid_prices, bid_sizes, strict=True)),
                    asks=tuple(zip(ask_prices, ask_sizes, strict=True)),
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


def _gamma(listed: _Listed) -> dict[str, Any]:
    """The catalogue's object of a bundled market, with the terms of its time: fee rate 0.07, TWAP of 60 s."""
    return {
        "slug": listed.slug,
        "question": listed.question,
        "version": "v1",
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
