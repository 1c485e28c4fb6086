"""The screen against the engine for unusual settings and with external values, on bundled markets."""

from decimal import Decimal

import msgspec
import pytest

from config import Settings, with_values
from core.ingestion.adapters.unified_adapter import Externals
from models import PutCall, Rule, Sentiment, Spot, Strike, Tick
from research.recordings import RecordedMarket, Snapshot
from research.recordings.externals import RecordedExternals, Refresh
from research.sweep.points import backtest_point
from research.sweep.screen import difference, screen
from research.sweep.sources import Recordings, Source

BUYS = {
    "REQUIRE_SIGNAL_AGREEMENT": "false",
    "FUSION_MIN_SCORE": "0",
    "FUSION_MIN_WEIGHT": "0",
    "ORDERBOOK_IMBALANCE_THRESHOLD": "0.000001",
}
UNUSUAL = {
    "a window without a decision": {"QUOTE_STABILITY_REQUIRED": "5000"},
    "no valid quote": {"QUOTE_MIN_SPREAD": "0.1", "TRADE_WINDOW_START": "890", "TRADE_WINDOW_END": "900"},
    "the whole market": BUYS | {"TRADE_WINDOW_START": "0", "TRADE_WINDOW_END": "900"},
    "a window between two milliseconds": {"TRADE_WINDOW_START": "811.3", "TRADE_WINDOW_END": "822.7"},
    "orders without a match": BUYS | {"MAX_SLIPPAGE": "0", "TRADE_WINDOW_START": "600"},
    "one attempt": BUYS | {"MAX_SLIPPAGE": "0", "TRADE_WINDOW_START": "600", "ORDER_MAX_ATTEMPTS": "1"},
    "a daily loss that is reached": BUYS | {"TRADE_WINDOW_START": "300", "MAX_LOSS_PER_DAY": "1.2"},
    "a drawdown that is reached": BUYS | {"TRADE_WINDOW_START": "300", "MAX_DRAWDOWN_PCT": "0.0005"},
    "a large position": BUYS
    | {"POSITION_SIZE_USD": "400", "MARKET_BUY_USD": "400", "MAX_POSITION_SIZE": "400"}
    | {"MAX_TOTAL_EXPOSURE": "1000", "MAX_LOSS_PER_DAY": "2000", "TRADE_WINDOW_START": "200"},
    "a short history": {"MAX_PRICE_HISTORY": "20", "TICK_BUFFER_SIZE": "20", "SPIKE_LOOKBACK": "5"},
}


def retreating(recorded):
    """The market with books that lose their best two cents on both sides 100 ms after each book."""
    snapshots = []
    for kept in recorded.snapshots:
        bids = tuple(level for level in kept.bids if level[0] <= kept.bids[0][0] - 20)
        asks = tuple(level for level in kept.asks if level[0] >= kept.asks[0][0] + 20)
        snapshots += [kept, Snapshot(offset_ns=kept.offset_ns + 100_000_000, bids=bids, asks=asks)]
    return msgspec.structs.replace(recorded, snapshots=tuple(snapshots))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:.*is deprecated.*")  # pandas 3, about calls of nautilus_trader 1.231.0
def test_unusual_settings():
    """Every decision and amount equals the engine's where orders fail, limits refuse, windows are empty."""
    recorded = list(Recordings(Source(path="bundled", timeframe="15m")))[:4]
    # The bundled books are a second apart, so that none changes during the taker delay.
    markets = [retreating(recorded[0]), recorded[1], retreating(recorded[2]), recorded[3]]
    every = [with_values(Settings(), values) for values in UNUSUAL.values()]
    screened = screen(markets, every)
    found = {
        name: difference(results, backtest_point(markets, settings))
        for name, settings, results in zip(UNUSUAL, every, screened, strict=True)
    }
    assert found == dict.fromkeys(UNUSUAL)
    by_name = dict(zip(UNUSUAL, screened, strict=True))
    last = {name: {market.last for market in results} for name, results in by_name.items()}
    assert last["a window without a decision"] == {"not_tradable"}
    assert "risk" in last["a daily loss that is reached"]
    assert "risk" in last["a drawdown that is reached"]
    tried, once = by_name["orders without a match"], by_name["one attempt"]
    assert any((market.decisions, market.last, market.side) == (6, "buy", None) for market in tried)
    assert any((market.decisions, market.last, market.side) == (2, "buy", None) for market in once)
    assert any(market.cost > 300 for market in by_name["a large position"])


def priced(recorded: RecordedMarket) -> RecordedMarket:
    """The market with external values every five seconds, none from second 700 to 780, and a rising spot."""
    ticks = tuple(Tick(second, Decimal(65000 + second + second % 3)) for second in range(900))
    refreshes = tuple(
        Refresh(
            offset_ns=second * 10**9,
            values=Externals(
                spot=Spot("coinbase", ticks[second].price, 1, 1),
                spot_path=(),
                strike=Strike(Decimal(65000), Rule.TWAP60, "chainlink_twap60/rtds"),
                put_call=PutCall("deribit", 1.9, 1.9, 190.0, 100.0, 1, 1),
                sentiment=Sentiment("alternative.me", 5.0, "Extreme Fear", 1, 1),
                absent={},
            ),
            path=(0, second + 1),
        )
        for second in range(0, 900, 5)
        if not 700 < second < 780
    )
    return msgspec.structs.replace(recorded, externals=RecordedExternals(refreshes=refreshes, ticks=ticks))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is deprecated.*")  # pandas 3, about calls of nautilus_trader 1.231.0
def test_external_values():
    """With recorded external values the screen decides as the engine does, and otherwise than without."""
    without = list(Recordings(Source(path="bundled", timeframe="15m")))[:4]
    markets = [priced(recorded) for recorded in without]
    windows = [("300", "840"), ("690", "840"), ("735", "745"), ("780", "840")]
    names = ("TRADE_WINDOW_START", "TRADE_WINDOW_END")
    every = [with_values(Settings(), dict(zip(names, window, strict=True))) for window in windows]
    screened = screen(markets, every)
    for settings, results in zip(every, screened, strict=True):
        assert difference(results, backtest_point(markets, settings)) is None
    unpriced = screen(without, every)
    assert all(map(difference, screened, unpriced))
