"""The venue's messages, read by NautilusTrader's own Polymarket adapter."""

import asyncio
import json
from types import SimpleNamespace

import msgspec
import pytest
from process import VenueProcess
from test_venue_feeds import event, listening, ready, subscription, tokens_of, until
from venue_builders import trader_at

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapter() -> SimpleNamespace:
    """The adapter's types and parsers. Imported only here, because it takes seconds."""
    from nautilus_trader.adapters.polymarket.common.gamma_markets import normalize_gamma_market_to_clob_format
    from nautilus_trader.adapters.polymarket.common.parsing import parse_polymarket_instrument
    from nautilus_trader.adapters.polymarket.schemas.trade import PolymarketTradeReport
    from nautilus_trader.adapters.polymarket.schemas.user import PolymarketOpenOrder
    from nautilus_trader.adapters.polymarket.websocket.types import MARKET_WS_MESSAGE, USER_WS_MESSAGE

    return SimpleNamespace(
        market=msgspec.json.Decoder(MARKET_WS_MESSAGE),
        user=msgspec.json.Decoder(USER_WS_MESSAGE),
        order=PolymarketOpenOrder,
        trade=PolymarketTradeReport,
        normalize=normalize_gamma_market_to_clob_format,
        instrument=parse_polymarket_instrument,
    )


def test_markets_become_instruments(practice_venue: VenueProcess, adapter: SimpleNamespace) -> None:
    """Gamma's and the CLOB's market both parse; Gamma's contains the fee and the end of the market."""
    condition, up, _ = tokens_of(practice_venue)
    gamma = practice_venue.get("/gamma/markets/keyset", condition_ids=condition)["markets"][0]
    instrument = adapter.instrument(adapter.normalize(gamma), up, "Up")
    assert (str(instrument.taker_fee), str(instrument.price_increment)) == ("0.07", "0.01")
    assert instrument.expiration_ns == (practice_venue.clock.current_start() + 900) * 10**9
    clob = adapter.instrument(practice_venue.get(f"/markets/{condition}"), up, "Up")
    assert clob.id == instrument.id


async def test_both_feeds_and_rest_are_understood(
    practice_venue: VenueProcess, adapter: SimpleNamespace
) -> None:
    """Every frame of both feeds, every trade and every order decodes as the adapter's own types."""
    _, up, down = tokens_of(practice_venue)
    trader = trader_at(practice_venue.url)
    market = {"type": "market", "assets_ids": [up, down]}
    async with (
        listening(practice_venue, "market", market) as books,
        listening(practice_venue, "user", subscription(trader)) as own,
    ):
        await ready(own)
        url = practice_venue.url
        await asyncio.to_thread(trader.post, url, trader.limit(up, "BUY", 5, 20))
        await asyncio.to_thread(trader.post, url, trader.buy(up, 100, 990))
        for name in ("order", "trade"):
            adapter.user.decode(json.dumps(await until(own, event(name))))
        for _ in range(6):
            adapter.market.decode(await asyncio.wait_for(books.recv(), 10))
    for path, kind in (("/data/orders", adapter.order), ("/data/trades", adapter.trade)):
        rows = trader.send(url, "GET", path).json()["data"]
        assert len(rows) >= 1
        assert all(msgspec.convert(row, kind) for row in rows)
