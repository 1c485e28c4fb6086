"""Tests for research.record against a practice venue."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.nautilus_core.instruments.calendar import SlugCalendar
from research.integrity import check
from research.record import CatalogueReader
from research.recorder import Recorder
from research.recording_file import FrameKind, FrameWriter, read_frames

sys.path.insert(0, str(Path(__file__).parents[1] / "venue"))

from process import ROOT, VenueProcess

pytestmark = pytest.mark.slow


async def test_results_are_recorded_when_they_are_published(tmp_path):
    """A market's object is recorded when it is listed, and again with its official result."""
    recorder = Recorder(lambda: FrameWriter(tmp_path), lambda ns: ns)
    recorder.start()
    with VenueProcess.start("--hold-clock", "--start-at", "890") as venue:
        start = venue.clock.current_start()
        reader = CatalogueReader(f"{venue.url}/gamma", SlugCalendar("btc", "updown", "15m", 900), recorder)
        tokens = await reader.look(venue.clock.market_s())
        slug = f"btc-updown-15m-{start}"
        markets = [venue.get(f"/gamma/markets/slug/btc-updown-15m-{at}") for at in (start, start + 900)]
        assert tokens == {token for each in markets for token in json.loads(each["clobTokenIds"])}
        assert slug in reader.unresolved
        venue.finish_market()
        await reader.look(venue.clock.market_s())
        assert slug not in reader.unresolved
        assert reader.error == ""
    recorder.close()
    own = [json.loads(frame.raw) for frame in read_frames(tmp_path) if frame.source == slug]
    assert [row["closed"] for row in own] == [False, True]


def test_a_market_is_recorded_without_trading_until_ctrl_c(tmp_path):
    """Books, catalogue objects and feeds are recorded; Ctrl-C ends it with exit code 0 and a whole file."""
    with VenueProcess.start("--source", "synthetic", "--real-time") as venue:
        feeds = venue.ready["source"]["external"]
        settings = {
            "CLOB_URL": venue.url,
            "GAMMA_URL": f"{venue.url}/gamma",
            "WS_URL": venue.ws_url,
            **{f"{name.upper()}_URL": url for name, url in feeds.items()},
        }
        command = [sys.executable, "-m", "research.record", "--folder", str(tmp_path / "recording")]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True
        )
        wanted = {FrameKind.MARKET, FrameKind.GAMMA, FrameKind.FEED}
        while process.poll() is None and not wanted <= kinds(tmp_path / "recording"):
            pass
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=30)
    assert process.returncode == 0, shown
    assert "lost 0" in shown
    report = check(tmp_path / "recording")
    assert report.findings == ()
    sources = {frame.source for frame in read_frames(tmp_path / "recording")}
    assert {"clob", "coinbase/v2/prices/BTC-USD/spot", "externals"} <= sources


def kinds(folder: Path) -> set[FrameKind]:
    found = [*folder.glob("*.zst")]
    # The externals are recorded last: the first refresh takes a second.
    frames = list(read_frames(folder)) if found else []
    return {frame.kind for frame in frames if frame.kind is not FrameKind.FEED or frame.source == "externals"}
