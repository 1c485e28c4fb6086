"""The venue's websockets: every message once and in its order, a new connection after each end of one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

import feed_servers
import msgspec
import pytest
from feed_servers import socket_server
from nautilus_trader.adapters.polymarket.websocket.client import PolymarketWebSocketChannel
from nautilus_trader.common.component import LiveClock
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from core.ingestion.managers.websocket_manager import Backoff
from errors import Refused, Temporary
from patches import stream_socket
from patches.market_feed import MarketStreamClient
from patches.stream_socket import StreamSocket

pytestmark = pytest.mark.asyncio
FOREVER_S = 3600.0


class Server:
    """A websocket server on loopback that keeps its connections."""

    def __init__(self) -> None:
        self.url = ""
        self.connections: list[ServerConnection] = []
        self.received: list[str] = []
        self.refuse = 0
        """Handshakes that will be answered with 403."""

    async def handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        async for message in connection:
            self.received.append(str(message))

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self.refuse:
            return None
        self.refuse -= 1
        return Response(403, HTTPStatus.FORBIDDEN.phrase, Headers(), b"")


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    server = Server()
    options = {"process_request": server.check, "ping_interval": None, "close_timeout": 0.1}
    async with socket_server(server.handle, **options) as url:
        server.url = url
        yield server


until = partial(feed_servers.until, timeout_s=10)


class Client:
    """A `StreamSocket` with what it received."""

    def __init__(self, url: str, silent_s: float = FOREVER_S) -> None:
        self.messages: list[bytes] = []
        self.reconnects = 0
        self.socket = StreamSocket("test stream", url, self.handle, self.reconnected, silent_s)

    def handle(self, raw: bytes) -> None:
        self.messages.append(raw)
        if raw == b"unusable":
            raise ValueError("unusable")

    async def reconnected(self) -> None:
        self.reconnects += 1
        await self.socket.send_text("subscribe")


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(stream_socket, "BACKOFF", Backoff(base_s=0.01, cap_s=0.02))


async def test_every_message_arrives_once_and_in_its_order() -> None:
    """Whole ones, fragmented ones and binary ones; one that the handler refuses does not end the stream."""
    async with running() as server:
        client = Client(server.url)
        await client.socket.connect()
        await until(lambda: server.connections)
        (connection,) = server.connections
        await connection.send("one")
        await connection.send(["t", "w", "o"])
        await connection.send("unusable")
        await connection.send("three é")
        await connection.send(b"four")
        await until(lambda: len(client.messages) == 5)
        assert client.messages == [b"one", b"two", b"unusable", "three é".encode(), b"four"]
        assert client.socket._refused.count == 1
        assert client.reconnects == 0
        await client.socket.disconnect()


async def test_after_each_end_it_is_opened_again() -> None:
    """Closed by the venue, cut off, refused for a while: the next connection subscribes and has messages."""
    async with running() as server:
        client = Client(server.url)
        await client.socket.connect()
        for number, end in enumerate(("close", "abort", "refuse"), start=1):
            await until(lambda count=number: len(server.connections) == count)
            connection = server.connections[-1]
            if end == "refuse":
                server.refuse = 5
            if end == "abort":
                connection.transport.abort()
            else:
                await connection.close(1011, "restart")
            await until(lambda count=number: client.reconnects == count)
            await until(lambda count=number: server.received == ["subscribe"] * count)
            assert client.socket.is_active()
        assert server.refuse == 0
        await server.connections[-1].send("again")
        await until(lambda: client.messages == [b"again"])
        await client.socket.disconnect()


async def test_a_connection_that_answers_no_ping_is_replaced(monkeypatch) -> None:
    """A peer that is gone without closing anything is found by its missing pong."""
    monkeypatch.setattr(stream_socket, "PING_S", 0.1)
    monkeypatch.setattr(stream_socket, "PONG_S", 0.1)
    async with running() as server:
        client = Client(server.url)
        await client.socket.connect()
        await until(lambda: server.connections)
        server.connections[0].transport.pause_reading()
        await until(lambda: len(server.connections) == 2)
        await server.connections[1].send("here")
        await until(lambda: client.messages == [b"here"])
        await client.socket.disconnect()


async def test_a_silent_connection_is_renewed() -> None:
    """Without a message for the limit, although pings are answered, the subscription is made anew."""
    async with running() as server:
        client = Client(server.url, silent_s=0.1)
        await client.socket.connect()
        await until(lambda: client.reconnects >= 2)
        assert set(server.received) == {"subscribe"}
        await client.socket.disconnect()


async def test_a_message_above_the_limit_ends_the_connection(monkeypatch) -> None:
    """It is not stored: the connection is closed, and opened again."""
    monkeypatch.setattr(stream_socket, "MAX_BODY_BYTES", 1000)
    async with running() as server:
        client = Client(server.url)
        await client.socket.connect()
        await until(lambda: server.connections)
        await server.connections[0].send("x" * 1001)
        await until(lambda: client.reconnects == 1)
        assert client.messages == []
        await client.socket.disconnect()


async def test_a_first_connection_that_fails_is_reported() -> None:
    """Refused by its status, or unreachable: the caller decides about another attempt."""
    async with running() as server:
        server.refuse = 1
        with pytest.raises(Refused, match=r"test stream: handshake with .* answered HTTP 403"):
            await Client(server.url).socket.connect()
    with pytest.raises(Temporary, match="test stream: cannot connect to ws://127"):
        await Client(server.url).socket.connect()


async def test_subscriptions_during_an_outage_are_made_by_the_one_new_connection() -> None:
    """The stock client asks for a connection if it subscribes while there is none."""
    failures: list[Exception] = []
    async with running() as server:
        client = MarketStreamClient(
            LiveClock(),
            base_url=server.url + "/",
            channel=PolymarketWebSocketChannel.MARKET,
            handler=lambda raw: None,
            handler_reconnect=None,
            loop=asyncio.get_running_loop(),
            failed=failures.append,
        )
        server.refuse = 1
        with pytest.raises(Refused):
            await client.subscribe("1")
        assert len(failures) == 1
        await client.subscribe("1")
        await until(lambda: len(server.received) == 1)
        server.refuse = 10**9
        await server.connections[0].close()
        await until(lambda: not client.is_connected())
        for token in ("1", "2"):
            await client.subscribe(token)
        server.refuse = 0
        await until(client.is_connected)
        await until(lambda: len(server.received) == 2)
        await client.subscribe("3")
        await until(lambda: len(server.received) == 3)
        assert len(server.connections) == 2
        tokens = [msgspec.json.decode(text)["assets_ids"] for text in server.received]
        assert tokens == [["1"], ["1", "2"], ["3"]]
        await client.disconnect()
        await until(lambda: all(connection.close_code is not None for connection in server.connections))
        assert not client.is_connected()
        assert len(failures) == 1


@pytest.mark.parametrize("when", ["connected", "reconnecting", "subscribing"])
async def test_disconnected_it_stays_closed(when: str) -> None:
    """Whatever it was doing: no task and no connection are left, and nothing is sent or opened again."""
    others = asyncio.all_tasks()
    async with running() as server:
        client = Client(server.url)
        if when == "subscribing":
            began = asyncio.Event()

            async def for_ever() -> None:
                began.set()
                await asyncio.Event().wait()

            client.socket._reconnected = for_ever
        await client.socket.connect()
        await until(lambda: server.connections)
        if when != "connected":
            server.refuse = 10**9 if when == "reconnecting" else 0
            await server.connections[0].close()
            await until(lambda: not client.socket.is_active())
        if when == "subscribing":
            await asyncio.wait_for(began.wait(), 10)
        await client.socket.disconnect()
        await client.socket.send_text("nothing")
        assert client.socket.is_closed()
        assert not client.socket.is_active()
        await until(lambda: all(connection.close_code is not None for connection in server.connections))
        assert len(server.connections) == (2 if when == "subscribing" else 1)
        assert server.received == []
    assert {task for task in asyncio.all_tasks() - others if "test stream" in task.get_name()} == set()
