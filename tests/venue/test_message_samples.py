"""The messages that the bot's fuzzing begins with, beside those that a practice venue sends."""

import json
from collections.abc import AsyncIterator
from typing import Any

import message_samples as samples
import pytest_asyncio
from py_clob_client_v2.headers.headers import create_level_1_headers
from py_clob_client_v2.signer import Signer
from served_bench import ServedBench, served
from test_venue_chain import CTF, PUSD, called, signed
from venue_builders import BOOK, Bench, StillSource, Trader, side

from venue.order_book import VenueBook
from venue.venue import VenueOptions

OPTIONS = VenueOptions(speed=1.0, taker_delay=0.0, redeem="manual", protocol="alternate")
TICK_CHANGES_S = 300.0
DEEP = VenueBook(
    bids=side(*((price, 10) for price in range(600, 560, -1))),
    asks=side(*((price, 10) for price in range(620, 660))),
)
"""So many levels that the venue sends whole books instead of the changes."""

Messages = dict[str, dict[str, Any]]


def structure(value: Any) -> Any:
    """Fields and types of decoded JSON, recursively: of a list its first row, of a text with a list that."""
    if isinstance(value, dict):
        # An address is no field.
        return {"0x" if key.startswith("0x") else key: structure(each) for key, each in value.items()}
    if isinstance(value, list):
        assert all(structure(row) == structure(value[0]) for row in value)
        return [structure(row) for row in value[:1]]
    if isinstance(value, str) and value.startswith("["):
        return ("text", structure(json.loads(value)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


class Listener:
    """A subscription to a stream of the venue."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def next(self, kind: str) -> Any:
        """The next message of a kind; "books" is a list of them."""
        while True:
            found = json.loads(await self._socket.receive_str(timeout=10))
            if kind == ("books" if isinstance(found, list) else found["event_type"]):
                return found


async def streams(world: ServedBench, trader: Trader) -> Messages:
    """Each kind of message, as sent to a subscriber of a market while an account buys in it."""
    bench, venue, market = world.bench, world.bench.venue, world.bench.market
    subscription = {"type": "market", "assets_ids": list(market.tokens), "custom_feature_enabled": True}
    assert trader.api is not None
    auth = {"apiKey": trader.api.key, "secret": trader.api.secret, "passphrase": trader.api.passphrase}
    async with (
        world._client.ws_connect("/ws/market") as first,
        world._client.ws_connect("/ws/user") as second,
    ):
        await first.send_json(subscription)
        await second.send_json({"type": "user", "auth": auth, "markets": [market.condition_id]})
        public, own = Listener(first), Listener(second)
        found = {"books": await public.next("books")}
        bench.source.standing = VenueBook(bids=BOOK.bids[1:], asks=BOOK.asks)
        venue.markets.refresh(market)
        found |= {kind: await public.next(kind) for kind in ("price_change", "best_bid_ask")}
        bench.source.standing = DEEP
        venue.markets.refresh(market)
        found["book"] = await public.next("book")
        await world.post("/order", trader.buy(market.up_token, 100, 990), trader)
        user = {"order": await own.next("order"), "trade": await own.next("trade")}
        found["last_trade_price"] = await public.next("last_trade_price")
        venue.markets.listed(market)
        found["new_market"] = await public.next("new_market")
        bench.clock.forward(TICK_CHANGES_S)
        venue.markets.refresh(market)
        found["tick_size_change"] = await public.next("tick_size_change")
        bench.clock.forward(1000)
        venue.step()
        found["market_resolved"] = await public.next("market_resolved")
    return {"market": found, "user": user}


async def answers(world: ServedBench, trader: Trader) -> dict[str, Any]:
    """The answer to each request of the bot about a market, before its end."""
    market = world.bench.market
    address = trader.address
    status, posted = await world.post("/order", trader.buy(market.up_token, 100, 990), trader)
    assert (status, posted["status"]) == (200, "matched")
    await world.bench.place(trader, trader.limit(market.up_token, "BUY", 10, 500))
    key = create_level_1_headers(Signer(trader.key, 137), 1, int(world.bench.venue.clock.wall_s()))
    found = {"/order": posted}
    for method, path in (("POST", "/auth/api-key"), ("GET", "/auth/derive-api-key")):
        async with world._client.request(method, path, headers=key) as answer:
            found[path] = await answer.json()
    for sample, path, signs in (
        ("/time", "/time", False),
        ("/version", "/version", False),
        ("/api/geoblock", "/api/geoblock", False),
        ("/auth/api-keys", "/auth/api-keys", True),
        ("/auth/ban-status/closed-only", "/auth/ban-status/closed-only", True),
        ("/balance-allowance", "/balance-allowance", True),
        ("/balance-allowance/update", "/balance-allowance/update", True),
        ("/data/orders", "/data/orders", True),
        ("/data/order", f"/data/order/{posted['orderID']}", True),
        ("/data/trades", "/data/trades", True),
        ("/clob-markets", f"/clob-markets/{market.condition_id}", False),
    ):
        status, found[sample] = await world.get(path, trader if signs else None)
        assert status == 200, (path, found[sample])
    world.bench.clock.forward(1000)
    world.bench.venue.step()
    listed = {"slug": market.slug, "closed": "true"}
    for sample, path, query in (
        ("/markets", f"/markets/{market.condition_id}", {}),
        ("/gamma/markets", "/gamma/markets", listed),
        ("/gamma/markets/keyset", "/gamma/markets/keyset", listed),
        ("/data-api/v2/positions", "/data-api/v2/positions", {"user": address, "status": "REDEEMABLE"}),
    ):
        status, found[sample] = await world.get(path, **query)
        assert status == 200, (path, found[sample])
    _, found["/practice/redeem"] = await world.post("/practice/redeem", {"address": address})
    return found


async def node_answers(world: ServedBench, trader: Trader) -> dict[str, Any]:
    """The answer to each request of a redemption to a chain node."""
    call = {"to": CTF, "data": called("balanceOf(address,uint256)", trader.address, 7)}
    raw = signed(trader, 0, PUSD, called("approve(address,uint256)", CTF, 5))
    asked: dict[str, list[Any]] = {
        "eth_chainId": [],
        "eth_getTransactionCount": [trader.address, "pending"],
        "eth_gasPrice": [],
        "eth_getBlockByNumber": ["latest", False],
        "eth_estimateGas": [{"to": PUSD, "data": called("approve(address,uint256)", CTF, 5)}],
        "eth_call": [call, "latest"],
        "eth_sendRawTransaction": [raw],
    }
    found = {}
    for method, params in asked.items():
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        _, found[method] = await world.post("/chain", body)
    return found


@pytest_asyncio.fixture
async def world() -> AsyncIterator[ServedBench]:
    """The routes of a venue in this process."""
    async with served(Bench(source=StillSource(tick_change=TICK_CHANGES_S), options=OPTIONS)) as found:
        yield found


def require_same(kept: dict[str, Any], sent: dict[str, Any]) -> None:
    assert kept.keys() == sent.keys()
    for name, sample in kept.items():
        assert structure(sample) == structure(sent[name]), name


async def test_the_samples_of_the_streams_are_what_the_venue_sends(world: ServedBench) -> None:
    """Each message of both streams has exactly the venue's fields and types."""
    sent = await streams(world, world.bench.trader())
    require_same(samples.MARKET_STREAM, sent["market"])
    require_same(samples.USER_STREAM, sent["user"])


async def test_the_samples_of_the_answers_are_what_the_venue_sends(world: ServedBench) -> None:
    """The same for the answers to all requests of the bot."""
    require_same(samples.REST, await answers(world, world.bench.trader()))


async def test_the_sample_of_a_market_of_version_2_is_what_the_venue_sends(world: ServedBench) -> None:
    """The same for the catalogue's row of a market of Protocol V2, which has more ids."""
    venue = world.bench.venue
    following = venue.schedule.at(world.bench.market.end)
    assert following is not None
    world.bench.clock.forward(2000)
    venue.step()
    _, (row,) = await world.get("/gamma/markets", slug=following.slug, closed="true")
    assert structure(samples.GAMMA_V2) == structure(row)


async def test_the_samples_of_the_chain_are_what_the_venue_sends(world: ServedBench) -> None:
    """The same for the requests that a redemption sends to a chain node."""
    require_same(samples.CHAIN, await node_answers(world, world.bench.trader()))
