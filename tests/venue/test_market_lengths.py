"""Markets of other lengths than 15 minutes, at other speeds than 15, and a recording of several series."""

import json
from pathlib import Path
from typing import Any

import pytest
from bot_process import BUYS, BotProcess
from test_venue_recording import Listener, record_object
from venue_builders import ManualClock

from execution.ledger import LedgerReader, TradeRow, ledger_path
from models import series_of
from research.recording_file import FrameWriter
from venue.schedule import Schedule
from venue.series import parse_series
from venue.sources.synthetic import SyntheticSeries
from venue.timekeeping import ClockRequest
from venue.venue import PracticeVenue, VenueOptions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

START = 1_800_000_000
"""The start of a market of 5m."""


def played(folder: Path, profile: str, *arguments: str, **settings: str) -> tuple[list[Any], list[TradeRow]]:
    """The lines of a run in test mode and the trades of its ledger."""
    with BotProcess(
        folder, "--test-mode", "--json-lines", "--no-grafana", *arguments, settings=BUYS | settings
    ) as bot:
        assert bot.wait(200) == 0, bot.output
        output = bot.output
    assert "Traceback" not in output
    with LedgerReader(ledger_path(folder / "state", profile)) as reader:
        trades = reader.trades()
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], trades


@pytest.mark.parametrize(
    ("timeframe", "speed", "markets", "length_s"), [("4h", "60", "1", 14_400), ("5m", "10", "2", 300)]
)
def test_a_market_of_another_length_is_traded_at_another_speed(
    timeframe: str, speed: str, markets: str, length_s: int, tmp_path: Path
) -> None:
    """It is decided on in its window, bought there, and settled after its own length.

    Which 5m markets these are depends on the minute of the hour, and on a busy machine the first window of
    two seconds may be over: one of two is bought, at whatever price.
    """
    arguments = ("--venue", "synthetic", "--speed", speed, "--markets", markets)
    settings = {"MARKET_TIMEFRAME": timeframe, "MAX_ENTRY_PRICE": "0.999"}
    lines, trades = played(tmp_path, "synthetic", *arguments, **settings)
    of_event = {
        event: [line for line in lines if line["event"] == event]
        for event in ("market_opened", "decided", "settled")
    }
    assert all(line["slug"].startswith(f"btc-updown-{timeframe}-") for line in of_event["market_opened"])
    (trade, *_) = trades
    (bought, *_) = [line for line in of_event["decided"] if line["slug"] == trade.slug and line["buys"]]
    assert 780 <= bought["second"] < 840
    assert trade.slug in {line["slug"] for line in of_event["settled"]}
    assert trade.pnl is not None
    assert trade.market_end - trade.market_start == length_s


async def recorded(folder: Path, names: str) -> dict[str, bool]:
    """Record the first generated market of some 5m series; whether Up has won, by series."""
    series = parse_series(names)
    script = SyntheticSeries(7, series)
    venue = PracticeVenue(script, VenueOptions(speed=1.0, hold=True), ManualClock(START))
    writer = FrameWriter(folder)
    markets = [market for market in venue.schedule if market.start == START]
    assert [market.series.name for market in markets] == names.split(",")
    listener = Listener(venue, writer)
    for market in markets:
        record_object(venue, market, writer)
    venue.markets._opened(listener)  # type: ignore[arg-type]
    tokens = [token for market in markets for token in market.tokens]
    await venue.markets._received(listener, {"assets_ids": tokens})  # type: ignore[arg-type]
    for _ in range(299):
        await venue.change_clock(ClockRequest(advance=1.0))
    venue.markets._closed(listener)  # type: ignore[arg-type]
    await venue.change_clock(ClockRequest(to=float(START + 400)))
    for market in markets:
        record_object(venue, market, writer)
    outcomes = {market.series.name: venue.exchange.up_won(market) is True for market in markets}
    writer.close()
    await venue.stop()
    venue.close()
    return outcomes


async def test_a_recording_of_two_series_is_traded(tmp_path: Path) -> None:
    """Each series is bought on its own recorded book, and paid by its own recorded result."""
    recording = tmp_path / "recording"
    up_won = await recorded(recording, "btc-5m,eth-5m")
    arguments = ("--recordings", str(recording), "--markets", "2")
    lines, trades = played(tmp_path, "recording", *arguments, MARKET_ASSET="btc,eth", MARKET_TIMEFRAME="5m")
    decided = {line["series"] for line in lines if line["event"] == "decided" and line["second"] < 840}
    assert decided == {"btc-5m", "eth-5m"}
    settled = {series_of(trade.slug).name: trade for trade in trades if trade.pnl is not None}
    assert set(settled) == {"btc-5m", "eth-5m"}
    scripts = SyntheticSeries(7, parse_series("btc-5m,eth-5m")).scripts(Schedule(START))
    for series, script in scripts.items():
        books = [script.book(0, second) for second in range(255, 282)]
        asks = {"Up": {book.best_ask for book in books}, "Down": {1000 - book.best_bid for book in books}}
        trade = settled[series.name]
        assert int(trade.ask * 1000) in asks[trade.side.value], trade
    for name, trade in settled.items():
        assert trade.payout is not None
        assert (trade.payout > 0) is ((trade.side.value == "Up") is up_won[name]), trade
