"""Every format of recordings: what is written comes back; bad input is an error with file and row."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from recording_writers import (
    write_catalog,
    write_frames,
    write_json_lines,
    write_table,
)

from errors import Fatal
from models import Outcome, ProtocolVersion, Rule
from research.recording_file import RecordingError
from research.recordings import BUNDLED, RecordedMarket, list_markets, load
from research.recordings.catalogue import market_from, object_of
from research.recordings.selection import Defects, MixedEras, Selection, era_of


@pytest.fixture(scope="module")
def bundled() -> RecordedMarket:
    """The best levels of every tenth book of a bundled market, which changes its tick on the way."""
    market = list_markets(BUNDLED)[0].read()
    kept = [
        msgspec.structs.replace(book, bids=book.bids[:6], asks=book.asks[:6])
        for book in market.snapshots[::10]
    ]
    return msgspec.structs.replace(market, snapshots=tuple(kept))


def alike(found: RecordedMarket, market: RecordedMarket) -> bool:
    return (found.slug, found.start, found.won, found.timeframe, found.delay_ns) == (
        market.slug,
        market.start,
        market.won,
        market.timeframe,
        market.delay_ns,
    ) and era_of(found) == era_of(market)


@pytest.mark.parametrize("zipped", [False, True])
def test_json_lines(bundled, tmp_path, zipped):
    """Raw book, price_change and last_trade_price messages give the books that they were made of."""
    write_json_lines(bundled, tmp_path, zipped=zipped)
    (found,) = load(tmp_path)
    assert alike(found, bundled)
    books = {round(kept.offset_ns / 1e6): (kept.bids, kept.asks) for kept in found.snapshots}
    assert books == {round(kept.offset_ns / 1e6): (kept.bids, kept.asks) for kept in bundled.snapshots}


def test_a_table(bundled, tmp_path):
    """Rows of (slug, time, best bid and ask, outcome) give books of one level."""
    (found,) = load(write_table(bundled, tmp_path / "quotes.csv"))
    assert alike(found, bundled)
    assert [(kept.offset_ns, kept.bids, kept.asks) for kept in found.snapshots] == [
        (kept.offset_ns, kept.bids[:1], kept.asks[:1]) for kept in bundled.snapshots
    ]


def test_our_own_recording(bundled, tmp_path):
    """Frames of the market stream and of Gamma give the books, and the result of the later object."""
    (found,) = load(write_frames(bundled, tmp_path))
    assert alike(found, bundled)
    books = {kept.offset_ns: (kept.bids, kept.asks) for kept in found.snapshots}
    assert books == {kept.offset_ns: (kept.bids, kept.asks) for kept in bundled.snapshots}


@pytest.mark.slow
def test_a_nautilus_catalog(bundled, tmp_path):
    """Book deltas of a ParquetDataCatalog give the books wherever they changed."""
    (found,) = load(write_catalog(bundled, tmp_path))
    assert alike(found, bundled)
    changed = [
        kept
        for before, kept in zip((None, *bundled.snapshots), bundled.snapshots, strict=False)
        if before is None or (before.bids, before.asks) != (kept.bids, kept.asks)
    ]
    assert [(kept.offset_ns, kept.bids, kept.asks) for kept in found.snapshots] == [
        (kept.offset_ns, kept.bids, kept.asks) for kept in changed
    ]


@pytest.mark.parametrize(
    ("timeframe", "start"), [("5m", 1790586000), ("15m", 1790586000), ("4h", 1790596800)]
)
def test_every_timeframe(bundled, tmp_path, timeframe, start):
    """5m, 15m and 4h markets: the interval, and the rule of the era where a table does not state it."""
    slug = f"btc-updown-{timeframe}-{start}"
    write_table(msgspec.structs.replace(bundled, slug=slug, start=start), tmp_path / "quotes.csv")
    (found,) = load(tmp_path)
    assert (found.slug, found.timeframe) == (slug, timeframe)
    assert era_of(found).label == "twap60-v1-fee0.07-150ms"


@pytest.mark.parametrize(
    ("timeframe", "start", "label"),
    [
        ("15m", 1785000600, "spot-v1-fee0.07-250ms"),
        ("5m", 1786500000, "twap30-v1-fee0.07-250ms"),
        ("15m", 1786500000, "twap60-v1-fee0.07-250ms"),
        ("5m", 1787000400, "twap60-v1-fee0.07-50ms"),
        ("5m", 1789000200, "twap60-v1-fee0.07-150ms"),
    ],
)
def test_eras_by_date(bundled, tmp_path, timeframe, start, label):
    """Spot until 2026-08-07, TWAP of 30 s in 5m markets for a week; taker delay of 250, 50 and 150 ms."""
    slug = f"btc-updown-{timeframe}-{start}"
    write_table(msgspec.structs.replace(bundled, slug=slug, start=start), tmp_path / "quotes.csv")
    assert [era_of(found).label for found in load(tmp_path)] == [label]


def test_stated_terms_replace_those_of_the_date(bundled, tmp_path):
    """A table's own rule, protocol, fee rate and taker delay."""
    terms = {"rule": "spot", "protocol": "v2", "fee_rate": "0.02", "delay_ms": "90"}
    (found,) = load(write_table(bundled, tmp_path / "quotes.csv", **terms))
    assert era_of(found).label == "spot-v2-fee0.02-90ms"


# --- bad input -------------------------------------------------------------------------------------


def bad(path) -> str:
    with pytest.raises(RecordingError) as error:
        list(load(path))
    return str(error.value)


def lines_of(bundled, tmp_path):
    file = write_json_lines(bundled, tmp_path)
    return file, file.read_bytes().splitlines(keepends=True)


def test_a_truncated_file(bundled, tmp_path):
    """A file that ends within a line names that line."""
    file, lines = lines_of(bundled, tmp_path)
    file.write_bytes(b"".join(lines[:9]) + lines[9][:30])
    assert f"{file}, row 10: the file is truncated" in bad(tmp_path)


def test_a_truncated_compressed_file(bundled, tmp_path):
    """A gzip file that was cut names the row that cannot be read."""
    file = write_json_lines(bundled, tmp_path, zipped=True)
    file.write_bytes(file.read_bytes()[:-2000])
    assert f"{file}, row " in bad(tmp_path)
    assert "the file is truncated" in bad(tmp_path)


def test_wrong_columns(bundled, tmp_path):
    """A table without a column names it, and the file."""
    file = write_table(bundled, tmp_path / "quotes.csv")
    file.write_text(file.read_text().replace("best_ask", "ask", 1))
    assert f"{file}, row 1: column best_ask is missing" in bad(file)


def test_a_row_with_a_missing_value(bundled, tmp_path):
    """A row with fewer values names itself."""
    file = write_table(bundled, tmp_path / "quotes.csv")
    rows = file.read_text().splitlines()
    file.write_text("\n".join([*rows[:5], rows[5].rpartition(",")[0]]))
    assert f"{file}, row 5: it has 6 columns, not 7" in bad(file)


def test_wrong_lines(bundled, tmp_path):
    """A line that is not an object with recv_ts and msg, and a message of another market's token."""
    file, lines = lines_of(bundled, tmp_path)
    file.write_bytes(lines[0] + b'{"time": 1}\n')
    assert f'{file}, row 2: it is not an object with "recv_ts" and "msg"' in bad(tmp_path)
    file.write_bytes(lines[0] + lines[1].replace(b'"asset_id": "', b'"asset_id": "9', 1))
    assert f"{file}, row 2: a price_change is of no token of the market" in bad(tmp_path)


def test_a_missing_outcome(bundled, tmp_path):
    """A market without a result: in a table, in JSON lines, and in our own recording."""
    file = write_table(bundled, tmp_path / "quotes.csv")
    file.write_text(file.read_text().replace(f",{bundled.won.value}", ","))
    assert f"{file}, row 1: outcome None of {bundled.slug} is not Up or Down" in bad(file)
    written = write_json_lines(bundled, tmp_path / "lines")
    (written.parent / "markets.jsonl").write_text(json.dumps(bundled.gamma))
    assert f"{written}: {bundled.slug} has no outcome" in bad(written.parent)


def test_a_clock_that_runs_backwards(bundled, tmp_path):
    """A row that is older than the one before it is a defect with file and row: the recording is refused."""
    file, lines = lines_of(bundled, tmp_path)
    file.write_bytes(b"".join([*lines[:4], lines[5], lines[4], *lines[6:]]))
    with pytest.raises(Fatal, match=f"{file}, row 6: the clock runs backwards"):
        list(Selection(list_markets(tmp_path)))


def test_a_gap(bundled, tmp_path):
    """Half a minute without a message is a defect, which can be allowed or left out, and is counted."""
    kept = [s for s in bundled.snapshots if not 400 <= s.offset_ns / 1e9 < 440]
    write_json_lines(msgspec.structs.replace(bundled, snapshots=tuple(kept)), tmp_path)
    with pytest.raises(Fatal, match=r"book \d+: [45]\d\.\d s after the one before it"):
        list(Selection(list_markets(tmp_path)))
    allowed = Selection(list_markets(tmp_path), defects=Defects.USE)
    assert len(list(allowed)) == 1
    assert "1 with defects, left out 0 of 1 (0%)" in allowed.contents.note
    without = Selection(list_markets(tmp_path), defects=Defects.LEAVE_OUT)
    assert list(without) == []
    assert without.contents.note.endswith("left out 1 of 1 (100%); 1: defects in its books")


def test_mixed_eras(bundled, tmp_path):
    """Markets of two eras are an error that names both, unless one is selected or both are wanted."""
    earlier = msgspec.structs.replace(bundled, slug="btc-updown-15m-1785000600", start=1785000600)
    for market in (earlier, bundled):
        write_table(market, tmp_path / "quotes.csv")
    listed = list_markets(tmp_path)
    with pytest.raises(MixedEras, match=r"quotes\.csv: .*1790586000 is of rule era twap60-v1-fee0\.07-150ms"):
        list(Selection(listed))
    one = Selection(listed, era="twap60-v1-fee0.07-150ms")
    assert [found.start for found in one] == [1790586000]
    assert one.contents.note.endswith("left out 1 of 2 (50%); 1: rule era spot-v1-fee0.07-250ms")
    both = Selection(listed, era="all")
    assert len(list(both)) == 2
    assert "MIXED rule eras spot-v1-fee0.07-250ms (1), twap60-v1-fee0.07-150ms (1)" in both.contents.note


def test_another_timeframe_than_the_settings(bundled, tmp_path):
    """A 5m recording under settings for 15m names the setting to change."""
    slug = "btc-updown-5m-1790586000"
    write_table(msgspec.structs.replace(bundled, slug=slug), tmp_path / "quotes.csv")
    with pytest.raises(Fatal, match="MARKET_TIMEFRAME=5m"):
        list(Selection(list_markets(tmp_path)))


def test_no_recording(tmp_path):
    """A folder without a recording is named."""
    assert f"{tmp_path}: there is no recording of a known format" in bad(tmp_path)


def test_an_object_of_protocol_v2_is_a_market():
    """An object made for a table has ids of the form of its protocol."""
    terms = (Rule.TWAP60, Decimal("0.07"), ProtocolVersion.V2, Decimal("0.01"))
    market, _ = market_from(object_of("btc-updown-5m-1790586000", *terms), Path("x"))
    assert market.version == "v2"
    assert int(market.token(Outcome.DOWN)) == int(market.token(Outcome.UP)) + 1
