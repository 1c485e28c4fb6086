"""The bundled recordings, and their conversion from raw rows."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from venue_builders import side

from tools.convert_recordings import main, snapshots
from venue.order_book import VenueBook
from venue.sources.recorded import RecordedSource


@pytest.fixture(scope="module")
def source() -> RecordedSource:
    return RecordedSource()


def row(
    ts: int, token: str, bids: list[tuple[float, float]], asks: list[tuple[float, float]]
) -> dict[str, Any]:
    return {
        "market_id": "0x1",
        "ts": ts,
        "side": token,
        "bid_px": [p for p, _ in bids],
        "bid_sz": [s for _, s in bids],
        "ask_px": [p for p, _ in asks],
        "ask_sz": [s for _, s in asks],
    }


GOOD = row(1_000_000, "UP", [(0.48, 10.0)], [(0.5, 20.0)])


def test_eighteen_real_markets_are_bundled(source: RecordedSource) -> None:
    """18 markets, 13 of which Up won, with their origin and licence."""
    info = source.info()
    assert info["markets"] == 18
    assert "CC BY 4.0" in info["licence"]
    assert "resolvedkit" in info["attribution"]
    assert [source.up_wins(i) for i in range(18)].count(True) == 13


@pytest.mark.parametrize("index", range(18))
def test_a_recording_is_whole(source: RecordedSource, index: int) -> None:
    """Every recording starts at or before 0, runs past 900 s, is never crossed, and gaps stay below 18 s."""
    offset, longest = 0.0, 0.0
    seen: list[VenueBook] = []
    while (following := source.next_change(index, offset)) is not None:
        longest = max(longest, following - offset) if following < 900 else longest
        offset = following
        seen.append(source.book(index, offset))
    assert offset > 900
    assert longest < 18
    assert not any(book.crossed for book in seen)
    assert all(list(book.asks) == sorted(book.asks) for book in seen)


@pytest.mark.parametrize("index", range(18))
def test_the_last_books_agree_with_the_outcome(source: RecordedSource, index: int) -> None:
    """Ten seconds before the end the recorded book's mid is on the recorded winner's side."""
    mid = source.book(index, 890).mid_text
    assert mid is not None
    assert (float(mid) > 0.5) is source.up_wins(index)


@pytest.mark.parametrize("index", range(18))
def test_sub_cent_prices_come_only_with_the_fine_tick(source: RecordedSource, index: int) -> None:
    """Before the recorded tick change every price is a whole cent; at it, one is not."""
    change = source.tick_change(index)
    offset: float | None = 0.0
    while offset is not None and (change is None or offset < change):
        assert not source.book(index, offset).sub_cent
        offset = source.next_change(index, offset)
    if change is not None:
        assert source.book(index, change).sub_cent


def test_recordings_repeat_after_the_last(source: RecordedSource) -> None:
    """Market 18 of the schedule replays recording 0."""
    assert source.book(18, 400) == source.book(0, 400) != source.book(1, 400)
    assert source.recording(18) is source.recording(0)


def test_before_the_first_book_the_first_one_stands(source: RecordedSource) -> None:
    """An hour before the start the opening book is shown."""
    assert source.book(0, -3600) == source.book(0, 0)


def test_crossed_snapshots_are_dropped() -> None:
    """A snapshot with its best bid at or above its best ask is replaced by the one before it."""
    locked = row(1_001_000, "UP", [(0.5, 1.0)], [(0.5, 1.0)])
    crossed = row(1_002_000, "UP", [(0.53, 1.0)], [(0.51, 1.0)])
    kept = snapshots([GOOD, locked, crossed], 1_000_000, 1_900_000)
    assert kept == [(0, VenueBook(bids=side((480, 10)), asks=side((500, 20))))]


def test_a_lone_down_row_is_mirrored() -> None:
    """A moment recorded for Down only becomes an Up book; where both exist, Up is used."""
    lone = row(1_001_000, "DOWN", [(0.51, 7.0)], [(0.53, 9.0)])
    beside = row(1_000_000, "DOWN", [(0.1, 1.0)], [(0.2, 1.0)])
    kept = snapshots([beside, GOOD, lone], 1_000_000, 1_900_000)
    assert kept[0][1].best_bid == 480
    assert kept[1] == (1000, VenueBook(bids=side((470, 9)), asks=side((490, 7))))


def test_only_the_market_itself_is_kept() -> None:
    """Of the books before the start only the last is kept, and none from 90 s after the end on."""
    rows = [
        row(ts, "UP", [(0.4, float(ts))], []) for ts in (800_000, 900_000, 1_100_000, 1_990_000, 1_990_001)
    ]
    assert [offset for offset, _ in snapshots(rows, 1_000_000, 1_900_000)] == [-100_000, 100_000, 990_000]


def test_conversion_writes_what_the_source_reads(tmp_path, capsys) -> None:
    """Raw tables are converted, and the recorded source replays them with outcome, tick change and books."""
    market = {
        "market_id": "0x1",
        "slug": "btc-updown-15m-1000",
        "question": "?",
        "start_ts": 1_000_000,
        "end_ts": 1_900_000,
        "payout_up": 1.0,
        "payout_down": 0.0,
    }
    fine = row(1_500_000, "UP", [(0.961, 3.25)], [])
    raw, target = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    parquet.write_table(pa.Table.from_pylist([market]), raw / "markets.parquet")
    parquet.write_table(pa.Table.from_pylist([GOOD, fine]), raw / "books.parquet")
    assert main([str(raw), str(target)]) == 0
    assert "1 markets, 2 books" in capsys.readouterr().out
    source = RecordedSource(target)
    assert source.up_wins(0)
    assert source.tick_change(0) == 500.0
    assert source.book(0, 499.9).best_ask == 500
    assert source.book(0, 500).bids == ((961, 3_250_000),)


def test_a_folder_without_recordings_is_named(tmp_path, capsys) -> None:
    """The conversion ends with exit code 2 and names the missing file and the folder."""
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path)])
    assert ended.value.code == 2
    assert "has no markets.parquet and no books.parquet" in capsys.readouterr().err


def test_real_books_survive_the_conversion(source: RecordedSource) -> None:
    """Converting a recording's own books back through raw rows gives the same books."""
    books = [source.book(3, offset) for offset in (0.0, 300.0, 600.0)]
    rows = [
        row(
            1_000_000 + i * 1000,
            "UP",
            [(p / 1000, s / 10**6) for p, s in book.bids],
            [(p / 1000, s / 10**6) for p, s in book.asks],
        )
        for i, book in enumerate(books)
    ]
    assert [book for _, book in snapshots(rows, 1_000_000, 1_900_000)] == books
