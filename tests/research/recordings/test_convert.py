"""Recorded markets of other formats become a recording that the practice venue replays."""

from pathlib import Path

import msgspec
import pytest
from recording_writers import write_json_lines, write_table

from research.convert import main
from research.recordings import BUNDLED, RecordedMarket, list_markets, load
from venue.schedule import Schedule
from venue.series import parse_series
from venue.sources.recording import RecordingSeries


@pytest.fixture(scope="module")
def bundled() -> RecordedMarket:
    """Every tenth book of a bundled market, which changes its tick on the way."""
    market = list_markets(BUNDLED)[0].read()
    return msgspec.structs.replace(market, snapshots=market.snapshots[::10])


def test_raw_messages_are_replayed_by_the_venue(bundled, tmp_path, capsys):
    """At every recorded time the venue has the recorded book, on the recorded grid, and its result."""
    write_json_lines(bundled, tmp_path / "raw")
    assert main([str(tmp_path / "raw"), "--folder", str(tmp_path / "new")]) == 0
    assert "1 markets of btc-15m" in capsys.readouterr().out
    (script,) = RecordingSeries(tmp_path / "new", parse_series("btc-15m")).scripts(Schedule(0)).values()
    for kept in bundled.snapshots:
        book = script.book(0, kept.offset_ns / 1e9)
        assert (book.bids, book.asks) == (kept.bids, kept.asks)
    assert bundled.fine_tick_ns is not None
    assert script.tick_change(0) == pytest.approx(bundled.fine_tick_ns / 1e9, abs=30)
    assert script.up_wins(0) is (bundled.won == "Up")
    (raw,), (again,) = load(tmp_path / "raw"), load(tmp_path / "new")
    assert (again.slug, again.won) == (raw.slug, raw.won)
    assert again.snapshots == raw.snapshots


def test_a_table_of_several_lengths_is_replayed_by_series(bundled, tmp_path, capsys):
    """A table with a 5m and a 4h market gives a recording of both series; the folder is not written twice."""
    for timeframe, start in (("4h", 1790596800), ("5m", 1790597100)):
        slug = f"eth-updown-{timeframe}-{start}"
        moved = msgspec.structs.replace(bundled, slug=slug, start=start)
        write_table(moved, tmp_path / "quotes.csv")
    folder = tmp_path / "new"
    assert main([str(tmp_path / "quotes.csv"), "--folder", str(folder)]) == 0
    assert f"--source recording --path {folder} --series eth-4h,eth-5m" in capsys.readouterr().out
    scripts = RecordingSeries(folder, parse_series("eth-4h,eth-5m")).scripts(Schedule(0))
    for script in scripts.values():
        kept = bundled.snapshots[7]
        assert script.book(0, kept.offset_ns / 1e9).bids == kept.bids[:1]
    assert main([str(tmp_path / "quotes.csv"), "--folder", str(folder)]) != 0
    assert f"{folder} has a recording" in capsys.readouterr().err


def test_a_folder_without_a_recording_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written, and the message names the folder."""
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), "--folder", str(tmp_path / "new")]) != 0
    assert "there is no recording of a known format" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
