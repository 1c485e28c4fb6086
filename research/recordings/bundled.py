"""Reads the markets that come with the project: a folder with `catalog.json` and `books.parquet`."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pyarrow as arrow
import pyarrow.parquet as parquet

from models import Frozen, Outcome, ProtocolVersion, Rule
from research.recording_file import RecordingError
from research.recordings.catalogue import Gamma, object_of
from research.recordings.integrity import defects_of
from research.recordings.market import RecordedMarket, Snapshot

BUNDLED = Path(__file__).parents[2] / "venue" / "data"
"""The 18 recorded markets that the project comes with."""
MILLI_NS = 1_000_000
CENTI_SHARE = 10_000
"""The files' sizes are in hundredths of a share."""

COLUMNS = ["offset_ms", "bid_mills", "bid_centi_shares", "ask_mills", "ask_centi_shares"]
INTERVAL = 900

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


class BundledMarket(Frozen, frozen=True):
    """A market of a folder; `index` is its place in the catalogue and its row group."""

    folder: str
    index: int
    slug: str
    start: int

    def read(self) -> RecordedMarket:
        """Read the market."""
        folder = Path(self.folder)
        file = folder / "books.parquet"
        listed = _catalogue(folder).recordings[self.index]
        try:
            rows = parquet.ParquetFile(file).read_row_group(self.index, columns=COLUMNS).to_pydict()
        except (arrow.ArrowException, OSError) as error:
            raise RecordingError(file, None, f"row group {self.index}: {error}", "Copy it again") from None
        if missing := [name for name in COLUMNS if name not in rows]:
            raise RecordingError(file, None, f"column {missing[0]} is missing", "Convert the recording again")
        change = listed.tick_change_ms
        snapshots = tuple(
            Snapshot(
                offset_ns=offset * MILLI_NS,
                bids=_levels(bid_prices, bid_sizes),
                asks=_levels(ask_prices, ask_sizes),
            )
            for offset, bid_prices, bid_sizes, ask_prices, ask_sizes in zip(
                *(rows[name] for name in COLUMNS), strict=True
            )
        )
        return RecordedMarket(
            slug=listed.slug,
            start=listed.start,
            gamma=_gamma(listed),
            won=Outcome.UP if listed.up_won else Outcome.DOWN,
            fine_tick_ns=None if change is None else max(0, change) * MILLI_NS,
            snapshots=snapshots,
            source=str(file),
            defects=tuple(_defects(file, snapshots)),
        )


def list_markets(folder: Path = BUNDLED) -> list[BundledMarket]:
    """The markets of a folder, by their start."""
    return [
        BundledMarket(folder=str(folder), index=index, slug=listed.slug, start=listed.start)
        for index, listed in enumerate(_catalogue(folder).recordings)
    ]


def _catalogue(folder: Path) -> _Catalogue:
    file = folder / "catalog.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Catalogue)
    except (msgspec.DecodeError, OSError) as error:
        raise RecordingError(file, None, str(error), "Copy it again") from None


def _defects(file: Path, snapshots: tuple[Snapshot, ...]) -> Iterator[str]:
    for row, (one, following) in enumerate(pairwise(snapshots), 2):
        if following.offset_ns < one.offset_ns:
            yield f"{file}, book {row}: the clock runs backwards by {one.offset_ns - following.offset_ns} ns"
    yield from defects_of(file, snapshots, INTERVAL)


def _levels(mills: list[int], centi_shares: list[int]) -> Levels:
    return tuple((price, size * CENTI_SHARE) for price, size in zip(mills, centi_shares, strict=True))


def _gamma(listed: _Listed) -> Gamma:
    """The catalogue's object of a bundled market, with the terms of its time: fee rate 0.07, TWAP of 60 s."""
    return object_of(
        listed.slug,
        Rule.TWAP60,
        Decimal("0.07"),
        ProtocolVersion.V1,
        Decimal("0.01"),
        condition_id=listed.condition_id,
        question=listed.question,
    )
