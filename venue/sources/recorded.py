"""Replays real settled markets: the recordings bundled in ``venue/data``."""

from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from venue.amounts import MICRO
from venue.order_book import Side, VenueBook

DATA = Path(__file__).parent.parent / "data"
CENTI_SHARE = MICRO // 100
"""The recordings' sizes are whole hundredths of a share."""


class Recording(msgspec.Struct, frozen=True):
    """A recorded market. `tick_change_ms` is the time of the first price off the cent grid."""

    slug: str
    question: str
    start: int
    condition_id: str
    up_won: bool
    tick_change_ms: int | None
    snapshots: int


class Catalog(msgspec.Struct, frozen=True):
    """The bundled recordings and their licence."""

    attribution: str
    licence: str
    source: str
    recorded_from: str
    recorded_to: str
    recordings: list[Recording]


class RecordedBooks(msgspec.Struct, frozen=True):
    """One recording's books in time order; `times` in milliseconds since the market's start."""

    times: list[int]
    books: list[VenueBook]

    def position(self, offset: float) -> int:
        """Index of the book valid at `offset`: the last one before it, or the first one."""
        # Rounded, not truncated: 5.993 s times 1000 is slightly below the 5993 ms that it came from.
        return max(0, bisect_right(self.times, round(offset * 1000)) - 1)


class RecordedSource:
    """Replays the recordings in their order, repeatedly.

    Parameters
    ----------
    folder : Path
        A folder written by `tools.convert_recordings`: catalog.json and books.parquet, one row group each.
    """

    name = "recorded"

    def __init__(self, folder: Path = DATA) -> None:
        self._catalog = msgspec.json.decode((folder / "catalog.json").read_bytes(), type=Catalog)
        self._path = folder / "books.parquet"
        self._replay = lru_cache(maxsize=4)(self._load)

    def info(self) -> dict[str, Any]:
        catalog = self._catalog
        return {
            "name": self.name,
            "markets": len(catalog.recordings),
            "recorded_from": catalog.recorded_from,
            "recorded_to": catalog.recorded_to,
            "attribution": catalog.attribution,
            "licence": catalog.licence,
            "source": catalog.source,
        }

    def recording(self, index: int) -> Recording:
        """The recording that the schedule's market `index` replays."""
        return self._catalog.recordings[index % len(self._catalog.recordings)]

    def describe(self, index: int) -> str:
        recording = self.recording(index)
        return f"Practice market. Replays the recorded market {recording.slug} ({recording.question})."

    def origin(self, index: int) -> str:
        return self.recording(index).slug

    def book(self, index: int, offset: float) -> VenueBook:
        replay = self._books(index)
        return replay.books[replay.position(offset)]

    def next_change(self, index: int, offset: float) -> float | None:
        replay = self._books(index)
        following = replay.position(offset) + 1
        return replay.times[following] / 1000 if following < len(replay.times) else None

    def tick_change(self, index: int) -> float | None:
        change = self.recording(index).tick_change_ms
        return None if change is None else change / 1000

    def up_wins(self, index: int) -> bool:
        return self.recording(index).up_won

    def priced(self, index: int) -> bool:
        """False: the recordings contain no prices."""
        del index
        return False

    def _books(self, index: int) -> RecordedBooks:
        return self._replay(index % len(self._catalog.recordings))

    def _load(self, position: int) -> RecordedBooks:
        import pyarrow.parquet as parquet  # imported here: no other source needs it, and numpy with it

        columns = parquet.ParquetFile(self._path).read_row_group(position).to_pydict()
        sides = ("bid_mills", "bid_centi_shares", "ask_mills", "ask_centi_shares")
        books = [
            VenueBook(bids=_levels(bp, bs), asks=_levels(ap, asz))
            for bp, bs, ap, asz in zip(*(columns[name] for name in sides), strict=True)
        ]
        return RecordedBooks(times=columns["offset_ms"], books=books)


def _levels(prices: list[int], sizes: list[int]) -> Side:
    return tuple((price, size * CENTI_SHARE) for price, size in zip(prices, sizes, strict=True))
