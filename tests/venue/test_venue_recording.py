"""A recording is replayed frame by frame: the market stream of the replay is the recorded one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from venue_builders import ManualClock

from research.integrity import check
from research.recording_file import Frame, FrameKind, FrameWriter
from venue.__main__ import main
from venue.market import VenueMarket
from venue.sources.base import MarketScript
from venue.sources.recording import RecordingRefused, RecordingSource
from venue.sources.synthetic import SyntheticSource
from venue.timekeeping import ClockRequest
from venue.venue import PracticeVenue, VenueOptions
from venue.wire.market_json import gamma_market

START = 1_800_000_000
NANOS = 10**9
LISTENED = 40
"""Market seconds for which a subscriber listens."""
OVER = 1000
"""Market seconds after which the first market is resolved."""


class Listener:
    """A subscriber of a venue's market stream, whose frames are recorded with the market time."""

    def __init__(self, venue: PracticeVenue, writer: FrameWriter | None = None) -> None:
        self._venue = venue
        self._writer = writer
        self.frames: list[tuple[int, str]] = []

    def send(self, message: Any) -> None:
        text = json.dumps(message, separators=(",", ":"))
        at_ns = self._venue.clock.market_ns()
        self.frames.append((at_ns, text))
        if self._writer is not None:
            self._writer.write(Frame(at_ns, FrameKind.MARKET, "clob", text))

    async def close(self) -> None:
        """Do nothing: there is no socket."""


async def listened(script: MarketScript, folder: Path | None = None) -> list[tuple[int, str]]:
    """The stream of the first market of a script, in the seconds that are listened to; recorded if asked."""
    venue = PracticeVenue(script, VenueOptions(speed=1.0, hold=True), ManualClock(START))
    writer = None if folder is None else FrameWriter(folder)
    market = venue.schedule.at(START)
    assert market is not None
    listener = Listener(venue, writer)
    record_object(venue, market, writer)
    venue.markets._opened(listener)  # type: ignore[arg-type]
    await venue.markets._received(listener, {"assets_ids": list(market.tokens)})  # type: ignore[arg-type]
    await venue.change_clock(ClockRequest(advance=float(LISTENED)))
    venue.markets._closed(listener)  # type: ignore[arg-type]
    await venue.change_clock(ClockRequest(to=float(START + OVER)))
    record_object(venue, market, writer)
    if writer is not None:
        writer.close()
    await venue.stop()
    venue.close()
    return listener.frames


def record_object(venue: PracticeVenue, market: VenueMarket, writer: FrameWriter | None) -> None:
    if writer is not None:
        text = json.dumps(gamma_market(venue, market))
        writer.write(Frame(venue.clock.market_ns(), FrameKind.GAMMA, market.slug, text))


def without_own_values(text: str) -> str:
    """A frame without the hash, which covers the time of the machine, and that time."""
    return re.sub(r'"(hash|timestamp)":"[^"]*"', r'"\1":""', text)


async def test_a_replay_sends_the_recorded_frames_in_their_order(tmp_path):
    """With a stepped clock, a replay's market stream has the recorded frames, each at its market time."""
    recorded = await listened(SyntheticSource(7), tmp_path)
    replayed = await listened(RecordingSource(tmp_path))
    assert len(recorded) >= LISTENED
    assert [(at_ns, without_own_values(text)) for at_ns, text in replayed] == [
        (at_ns, without_own_values(text)) for at_ns, text in recorded
    ]


async def test_a_replay_has_the_recorded_outcome_and_origin(tmp_path):
    """A replayed market has the official result of the recorded one, and names it as its origin."""
    original = SyntheticSource(7)
    await listened(original, tmp_path)
    source = RecordingSource(tmp_path)
    assert source.up_wins(0) is original.up_wins(0) is source.up_wins(1)
    assert source.origin(0) == f"btc-updown-15m-{START}"
    assert source.info()["markets"] == 1
    # Nothing was recorded after the listener had gone: a gap, and the window is missing.
    findings = {finding.check: str(finding.file) for finding in check(tmp_path).markets[0].findings}
    assert findings == {"gap": str(tmp_path / "2027-01-15.jsonl.zst")}


def gamma(slug: str, **changes: Any) -> str:
    row = {
        "slug": slug,
        "conditionId": "0x01",
        "outcomes": '["Up", "Down"]',
        "outcomePrices": '["1", "0"]',
        "closed": True,
        "clobTokenIds": '["11", "12"]',
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "feesEnabled": False,
    }
    return json.dumps(row | changes)


BOOK = json.dumps(
    {
        "event_type": "book",
        "market": "0x01",
        "asset_id": "11",
        "timestamp": "1",
        "bids": [{"price": "0.4", "size": "5"}],
        "asks": [{"price": "0.5", "size": "5"}],
    }
)
SLUG = f"btc-updown-15m-{START}"


def write(folder: Path, *rows: tuple[FrameKind, str, str], apart_ns: int = 1) -> None:
    writer = FrameWriter(folder)
    for number, (kind, source, raw) in enumerate(rows):
        writer.write(Frame(START * NANOS + number * apart_ns, kind, source, raw))
    writer.close()


def test_a_frame_is_replayed_at_the_microsecond_of_its_receipt(tmp_path):
    """Times within a millisecond are kept, and the official result is the recorded one."""
    frames = [(FrameKind.MARKET, "clob", BOOK.replace("0.4", price)) for price in ("0.40", "0.41", "0.42")]
    write(tmp_path, (FrameKind.GAMMA, SLUG, gamma(SLUG)), *frames, apart_ns=250_000)
    source = RecordingSource(tmp_path)
    assert source.next_change(0, 0.0) == 0.0005
    assert source.next_change(0, 0.0005) == 0.00075
    assert [source.book(0, at).best_bid for at in (0.0, 0.000499, 0.0005, 0.000749, 0.00075)] == [
        *(400, 400, 410, 410, 420)
    ]
    assert source.up_wins(0) is True


def test_frames_of_one_instant_keep_their_order(tmp_path):
    """Frames that were received within one microsecond are replayed one after the other."""
    second = BOOK.replace("0.4", "0.41")
    frames = [(FrameKind.MARKET, "clob", text) for text in (BOOK, second, BOOK)]
    write(tmp_path, (FrameKind.GAMMA, SLUG, gamma(SLUG)), *frames)
    source = RecordingSource(tmp_path)
    offsets = [0.0]
    while (change := source.next_change(0, offsets[-1])) is not None:
        offsets.append(change)
    assert [source.book(0, offset).best_bid for offset in offsets] == [400, 410, 400]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(FrameKind.MARKET, "clob", BOOK)], "no market can be replayed"),
        ([(FrameKind.GAMMA, SLUG, gamma(SLUG))], "without an order book"),
        (
            [(FrameKind.GAMMA, SLUG, gamma(SLUG, closed=False)), (FrameKind.MARKET, "clob", BOOK)],
            "without an official result",
        ),
        (
            [(FrameKind.GAMMA, SLUG, gamma(SLUG, feesEnabled=True)), (FrameKind.MARKET, "clob", BOOK)],
            "that cannot be traded: its fees are None",
        ),
        (
            [(FrameKind.GAMMA, f"btc-updown-5m-{START}", gamma(f"btc-updown-5m-{START}"))],
            "without an order book",
        ),
    ],
)
def test_a_recording_without_a_whole_market_is_refused(tmp_path, rows, why, capsys):
    """A market without a book, a result or supported terms is left out, and the reason is in the error."""
    write(tmp_path, *rows)
    with pytest.raises(SystemExit):
        main(["--source", "recording", "--path", str(tmp_path)])
    assert why in capsys.readouterr().err


def test_a_truncated_recording_is_refused_with_file_and_row(tmp_path):
    """A file that lost its end is named with the last complete row."""
    write(tmp_path, (FrameKind.GAMMA, SLUG, gamma(SLUG)), (FrameKind.MARKET, "clob", BOOK))
    path = tmp_path / "2027-01-15.jsonl.zst"
    path.write_bytes(path.read_bytes() + path.read_bytes()[:-9])
    with pytest.raises(RecordingRefused, match=f"{path}, row 2: the file is truncated after this row"):
        RecordingSource(tmp_path)


@pytest.mark.parametrize("arguments", [["--source", "recording"], ["--path", "x"]])
def test_a_path_belongs_to_a_recording(arguments, capsys):
    """The source without a path, and a path without the source, are bad usage."""
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--source recording and --path FOLDER need each other" in capsys.readouterr().err
