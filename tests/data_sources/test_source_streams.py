"""Websocket feeds against real servers: handshakes, authentication, closes, and stored observations."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from http import HTTPStatus

import feed_payloads as p
import pytest
from feed_servers import Host, socket_server
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from data_sources.binance import BinanceSource
from data_sources.chainlink import ChainlinkSource, PolyBoltCredentials
from data_sources.chainlink.polybolt import PolyBoltStream
from data_sources.chainlink.rtds import RtdsStream
from data_sources.channel import open_channel
from data_sources.types import ChainPrice, PriceKind, RateLimited, StreamClosed
from errors import Refused, Temporary

KEYS = PolyBoltCredentials(api_key="k", secret="s", passphrase="p")

type Handler = Callable[[ServerConnection], Awaitable[None]]


def _closing(code: int) -> Handler:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(code, "as planned")

    return handler


async def _quiet(connection: ServerConnection) -> None:
    await connection.wait_closed()


@pytest.mark.parametrize(
    ("status", "error"),
    [(451, Refused), (403, Refused), (401, Refused), (404, Refused), (500, Temporary), (429, RateLimited)],
)
async def test_refused_handshakes_have_their_meaning(status: int, error: type[Exception]) -> None:
    """The status of a handshake determines whether another attempt makes sense."""

    def reject(connection: ServerConnection, request: Request) -> Response:
        return Response(status, HTTPStatus(status).phrase, Headers({"Retry-After": "9"}), b"")

    async with socket_server(_quiet, process_request=reject) as url:
        with pytest.raises(error, match=f"HTTP {status}") as caught:
            await open_channel("test", url, timeout_s=1)
    assert type(caught.value) is error


async def test_unreachable_and_impossible_addresses() -> None:
    """A closed port is temporary; an invalid address is not."""
    closed = await Host().start()
    await closed.aclose()
    with pytest.raises(Temporary, match="cannot connect"):
        await open_channel("test", closed.url.replace("http", "ws"), timeout_s=1)
    with pytest.raises(Refused):
        await open_channel("test", "http://127.0.0.1:1", timeout_s=1)


async def test_a_server_without_websocket_is_temporary(host: Host) -> None:
    """A plain web page instead of a handshake is temporary, and named."""
    host.answer("/", b"<html>")
    with pytest.raises(Temporary):
        await open_channel("test", host.url.replace("http", "ws") + "/", timeout_s=1)


@pytest.mark.parametrize(
    ("code", "error", "spread_s"),
    [(1000, StreamClosed, 0), (4002, StreamClosed, 0), (4003, StreamClosed, 10), (4001, Refused, None)],
)
async def test_polybolt_close_codes(code: int, error: type[Exception], spread_s: float | None) -> None:
    """4001 is final, 4003 requires a reconnection within ten seconds at random, others reconnect."""
    async with socket_server(_closing(code)) as url:
        stream = PolyBoltStream(url, "btcusd", KEYS, lambda price: None, lambda: p.NOW_NS, 1)
        channel = await stream.connect()
        with pytest.raises(error, match=f"{code} as planned") as caught:
            await channel.recv()
        await channel.aclose()
    assert getattr(caught.value, "spread_s", None) == spread_s


async def test_polybolt_policy_violation_is_final() -> None:
    """4008 must not be answered by reconnecting."""
    async with socket_server(_closing(4008)) as url:
        stream = PolyBoltStream(url, "btcusd", KEYS, lambda price: None, lambda: p.NOW_NS, 1)
        channel = await stream.connect()
        with pytest.raises(Refused, match="policy"):
            await channel.recv()
        await channel.aclose()


async def test_polybolt_authenticates_then_subscribes_then_takes_the_snapshot() -> None:
    """The whole exchange: auth, authed, subscribe, snapshot, update."""
    received: list[ChainPrice] = []
    sent: list[dict[str, object]] = []

    async def server(connection: ServerConnection) -> None:
        sent.append(json.loads(await connection.recv()))
        await connection.send(b'{"op":"pong"}'.decode())
        await connection.send('{"op":"authed","rid":"auth"}')
        sent.append(json.loads(await connection.recv()))
        await connection.send('{"op":"subscribed","channel":"price.crypto.twap","rid":"prices"}')
        await connection.send(
            p.polybolt_snapshot((p.NOW_MS - 1000, "65000.25"), (p.NOW_MS, "65000.5")).decode()
        )
        await connection.send(p.polybolt_twap("65001.75", p.NOW_MS + 1000).decode())
        await connection.wait_closed()

    async with socket_server(server) as url:
        stream = PolyBoltStream(url, "btcusd", KEYS, received.append, lambda: p.NOW_NS, 1)
        channel = await stream.connect()
        await stream.subscribe(channel)
        brought = [stream.feed(await channel.recv()) for _ in range(3)]
        await channel.aclose()
    assert brought == [False, True, True]
    assert [price.price for price in received] == [
        Decimal("65000.25"),
        Decimal("65000.5"),
        Decimal("65001.75"),
    ]
    assert sent[0]["auth"] == {"apiKey": "k", "secret": "s", "passphrase": "p"}
    assert sent[1]["subscriptions"] == [
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}},
        {"channel": "price.crypto", "filter": {"symbol": "btcusd"}},
    ]


@pytest.mark.parametrize(("code", "error"), [("auth_failed", Refused), ("internal", StreamClosed)])
async def test_polybolt_error_frames(code: str, error: type[Exception]) -> None:
    """An error about the credentials is final, another one is not."""

    async def server(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(json.dumps({"op": "error", "code": code, "rid": "auth"}))
        await connection.wait_closed()

    async with socket_server(server) as url:
        stream = PolyBoltStream(url, "btcusd", KEYS, lambda price: None, lambda: p.NOW_NS, 1)
        channel = await stream.connect()
        with pytest.raises(error, match=code):
            await stream.subscribe(channel)
        await channel.aclose()


async def test_rtds_subscribes_to_both_streams_and_reads_them() -> None:
    """The filter is JSON within JSON; the pong gives no observation, the prices do."""
    received: list[ChainPrice] = []
    sent: list[dict[str, object]] = []

    async def server(connection: ServerConnection) -> None:
        sent.append(json.loads(await connection.recv()))
        for frame in (b"PONG", p.rtds_twap(), p.rtds_spot()):
            await connection.send(frame.decode())
        await connection.wait_closed()

    async with socket_server(server) as url:
        stream = RtdsStream(url, "btc/usd", received.append, lambda: p.NOW_NS, 1)
        channel = await stream.connect()
        await stream.subscribe(channel)
        brought = [stream.feed(await channel.recv()) for _ in range(3)]
        await channel.aclose()
    assert brought == [False, True, True]
    assert [(price.kind, price.price) for price in received] == [
        (PriceKind.TWAP60, Decimal("65000.5")),
        (PriceKind.SPOT, Decimal("65010.25")),
    ]
    filters = '{"symbol":"btc/usd"}'
    assert sent[0]["subscriptions"] == [
        {"topic": "crypto_prices_twap_sixty", "type": "update", "filters": filters},
        {"topic": "crypto_prices_chainlink", "type": "*", "filters": filters},
    ]


async def test_binance_stream_names_its_streams_in_the_address() -> None:
    """One connection for quotes and trades."""
    paths: list[str] = []

    async def server(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.send(p.BINANCE_STREAM_BOOK.decode())
        await connection.wait_closed()

    async with socket_server(server) as url:
        source = BinanceSource(base_url="http://127.0.0.1:1", stream_url=url, now_ns=lambda: p.NOW_NS)
        channel = await source.connect()
        await source.subscribe(channel)
        assert source.feed(await channel.recv())
        assert (await source.spot()).price == Decimal("68930.02")
        await channel.aclose()
        await source.aclose()
    assert paths == ["/stream?streams=btcusdt@bookTicker"]


async def test_sending_on_a_closed_channel_is_an_error() -> None:
    """A ping on a closed connection ends the session like a close does."""
    async with socket_server(_closing(1001)) as url:
        channel = await open_channel("test", url, timeout_s=1)
        with pytest.raises(StreamClosed):
            await channel.recv()
        with pytest.raises(StreamClosed, match="1001"):
            await channel.send("PING")
        await channel.aclose()


async def test_connection_cut_without_a_close_frame_is_an_error() -> None:
    """A connection that breaks is closed with 1006."""

    async def server(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with socket_server(server) as url:
        channel = await open_channel("test", url, timeout_s=1)
        with pytest.raises(StreamClosed, match="1006 connection lost"):
            async with asyncio.timeout(2):
                await channel.recv()
        await channel.aclose()


def _observation(at_s: float, feed: str = "rtds", price: str = "65000") -> ChainPrice:
    at_ns = p.NOW_NS + int(at_s * 1e9)
    return ChainPrice(
        source="chainlink",
        feed=feed,
        kind=PriceKind.TWAP60,
        symbol="btc/usd",
        price=Decimal(price),
        source_ns=at_ns,
        received_ns=at_ns,
    )


async def test_chainlink_remembers_each_observation_once_and_in_order() -> None:
    """Snapshots repeat observations; late ones are inserted in order."""
    source = ChainlinkSource(now_ns=lambda: p.NOW_NS)
    for at_s in (1, 3, 2, 3):
        source.record_price(_observation(at_s))
    source.record_price(_observation(3, feed="polybolt"))
    times = [(price.source_ns - p.NOW_NS) // 10**9 for price in source.observations(PriceKind.TWAP60)]
    assert times == [1, 2, 3, 3]
    assert source.observations(PriceKind.SPOT) == ()


async def test_chainlink_memory_is_bounded() -> None:
    """The oldest observations are dropped first."""
    source = ChainlinkSource(now_ns=lambda: p.NOW_NS)
    for at_s in range(700):
        source.record_price(_observation(at_s))
    kept = source.observations(PriceKind.TWAP60)
    assert len(kept) == 600
    assert kept[0].source_ns == p.NOW_NS + 100 * 10**9


async def test_chainlink_guard_keeps_observations_out() -> None:
    """Observations that the guard rejects are not stored."""
    source = ChainlinkSource(now_ns=lambda: p.NOW_NS)
    source.set_filter(lambda price: price.price < 70_000)
    source.record_price(_observation(1, price="71000"))
    assert source.observations(PriceKind.TWAP60) == ()


async def test_chainlink_price_goes_stale() -> None:
    """No observation, or none for ten seconds, is Temporary with its age."""
    now_ns = p.NOW_NS
    source = ChainlinkSource(now_ns=lambda: now_ns)
    with pytest.raises(Temporary, match="no spot price received"):
        await source.spot()
    source.record_price(_observation(0))
    assert source.latest(PriceKind.TWAP60).price == 65000
    now_ns += 10_100_000_000
    with pytest.raises(Temporary, match=r"10.1 s old"):
        source.latest(PriceKind.TWAP60)


async def test_chainlink_uses_the_authenticated_relay_only_with_credentials() -> None:
    """Without credentials there is only the public relay, and it is optional."""
    assert [s.name for s in ChainlinkSource().streams] == ["chainlink_rtds"]
    both = ChainlinkSource(credentials=KEYS).streams
    assert [s.name for s in both] == ["chainlink_polybolt", "chainlink_rtds"]
    assert ChainlinkSource(rtds_url=None).streams == ()
