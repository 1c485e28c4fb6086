"""The connection for orders: opened before the order, reused by it, and never the cause of a second POST."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from eth_account import Account
from py_clob_client_v2.clob_types import ApiCreds

from common import thread_http
from execution import clob_http
from execution.amounts import market_buy
from execution.clob_http import PromptClobClient
from execution.order_clients.clob_client_v2 import ClobClientV2Orders
from execution.order_clients.polymarket_sdk import PolymarketSdkOrders
from execution.order_clients.port import OrderAnswer, OrderClient, SignedOrder, WithheldError
from execution.outcomes import OutcomeKind
from models import ProtocolVersion

KEY = "0x" + "11" * 32  # a test key, never holds money
TOKEN = str(int("5c" * 32, 16))
AMOUNTS = market_buy(Decimal(1), Decimal("0.95"), Decimal("0.97"), Decimal("0.01"), Decimal("0.07"))
MATCHED = {"success": True, "status": "matched", "makingAmount": "0.97", "takingAmount": "1", "errorMsg": ""}


class KeptServer:
    """A server that keeps its connections open, and notes on which one each request came."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, str, str]] = []
        """(number of the connection, method, path) of each request."""
        self.connections: list[socket.socket] = []
        self.get_came = threading.Event()
        self.may_answer_gets = threading.Event()
        self.may_answer_gets.set()
        self.drops_posts = False
        """Whether a POST is read and its connection closed without an answer."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close_connections(self) -> None:
        """Close the open connections, as a server does with idle ones."""
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def posts(self) -> list[int]:
        """The connections on which an order came."""
        return [number for number, method, path in self.requests if (method, path) == ("POST", "/order")]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server.connections.append(self.connection)
                self.number = len(server.connections)

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.requests.append((self.number, self.command, self.path))
                if self.command == "GET":
                    server.get_came.set()
                    server.may_answer_gets.wait(20)
                if self.command == "POST" and server.drops_posts:
                    self.close_connection = True
                    return
                data = json.dumps(MATCHED if self.command == "POST" else "OK").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _answer

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        return Handler


@pytest.fixture
def server() -> Iterator[KeptServer]:
    running = KeptServer()
    yield running
    running.close()


@pytest.fixture(params=["py-clob-client-v2", "polymarket-client"])
def client(request: pytest.FixtureRequest, server: KeptServer) -> Iterator[OrderClient]:
    if request.param == "py-clob-client-v2":
        creds = ApiCreds("key", "c2VjcmV0", "phrase")
        yield ClobClientV2Orders(PromptClobClient(server.url, chain_id=137, key=KEY, creds=creds))
        return
    keys = {"api_key": "key", "api_secret": "c2VjcmV0", "passphrase": "phrase"}
    owner = Account.from_key(KEY).address
    current = PolymarketSdkOrders(server.url, private_key=KEY, funder=owner, signature_type=0, **keys)
    yield current
    current._loop.submit(current._limited._client.aclose()).result(5)
    current.close()


async def post(client: OrderClient) -> OrderAnswer:
    signed: SignedOrder = await client.sign(TOKEN, AMOUNTS, ProtocolVersion.V1)
    return await client.post(signed, lambda: None)


async def test_an_order_uses_the_connection_that_was_opened_before_it(
    server: KeptServer, client: OrderClient
) -> None:
    """The later requests that keep it open and the order come on connections that the first ones opened, the
    order once."""
    await client.keep_connection()
    opened = len(server.connections)
    await client.keep_connection()
    answer = await post(client)
    assert answer.outcome.kind is OutcomeKind.MATCHED
    assert len(server.connections) == opened
    gets = [("GET", "/ok")] * 2 * opened
    assert [request[1:] for request in server.requests] == [*gets, ("POST", "/order")]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine no connection becomes too old, and no request that keeps one open ends, in a test."""
    monkeypatch.setattr(thread_http, "KEPT_S", 60.0)
    monkeypatch.setattr(clob_http, "KEEPING_LIMIT_S", 20.0)


def direct_client(url: str, orders: int) -> ClobClientV2Orders:
    creds = ApiCreds("key", "c2VjcmV0", "phrase")
    return ClobClientV2Orders(PromptClobClient(url, chain_id=137, key=KEY, creds=creds), orders)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("series", [1, 9])
async def test_an_order_waits_for_no_request_that_keeps_a_connection_open(
    server: KeptServer, series: int
) -> None:
    """While such a request hangs, an order of each series is sent at the same time and answered. Each uses a
    connection that was open before; the hanging request has one of its own."""
    client = direct_client(server.url, series)
    await client.keep_connection()
    assert len(server.connections) == series + 1
    server.get_came.clear()
    server.may_answer_gets.clear()
    keeping = asyncio.create_task(client.keep_connection())
    try:
        assert await asyncio.to_thread(server.get_came.wait, 20)
        together = threading.Barrier(series, timeout=20)
        signed = await client.sign(TOKEN, AMOUNTS, ProtocolVersion.V1)

        def refusal() -> str | None:
            together.wait()
            return None

        answers = await asyncio.gather(*(client.post(signed, refusal) for _ in range(series)))
        assert not keeping.done()
    finally:
        server.may_answer_gets.set()
    await keeping
    assert [answer.outcome.kind for answer in answers] == [OutcomeKind.MATCHED] * series
    assert len(set(server.posts())) == series
    assert len(server.connections) == series + 1
    # After the answer each of them was kept open.
    renewed = {number for number, method, _ in server.requests[series + 1 :] if method == "GET"}
    assert len(renewed) == series + 1


@pytest.mark.usefixtures("patient")
async def test_an_order_uses_the_connection_that_was_used_last(server: KeptServer) -> None:
    """The one that was used first is renewed before: it is the next one that the venue would close."""
    client = direct_client(server.url, 1)
    await client.keep_connection()
    await client.keep_connection()
    (*_, last) = server.requests
    await post(client)
    assert server.posts() == [last[0]]


@pytest.mark.usefixtures("patient")
async def test_a_connection_that_the_venue_closed_is_replaced_before_an_order(server: KeptServer) -> None:
    """The next round opens another one and renews the rest; an order until then uses the one that is left."""
    client = direct_client(server.url, 1)
    await client.keep_connection()
    server.connections[1].shutdown(socket.SHUT_RDWR)
    assert (await post(client)).outcome.kind is OutcomeKind.MATCHED
    assert server.posts() == [1]
    assert len(server.connections) == 2
    server.requests.clear()
    await client.keep_connection()
    assert sorted(number for number, _, _ in server.requests) == [1, 3]


@pytest.mark.usefixtures("patient")
async def test_a_connection_is_not_renewed_while_it_is_the_only_one(server: KeptServer) -> None:
    """The other one sends an order whose answer is late; a third is opened, and the idle one is left to the
    next order."""
    client = direct_client(server.url, 1)
    await client.keep_connection()
    (*_, last) = server.requests
    server.requests.clear()
    holding, sent = threading.Event(), threading.Event()

    def refusal() -> str | None:
        sent.set()
        holding.wait(20)
        return None

    signed = await client.sign(TOKEN, AMOUNTS, ProtocolVersion.V1)
    posting = asyncio.create_task(client.post(signed, refusal))
    assert await asyncio.to_thread(sent.wait, 20)
    client._client.renew_connection(1)
    assert server.requests == []
    await client.keep_connection()
    assert [number for number, _, _ in server.requests] == [3, 3 - last[0]]
    holding.set()
    assert (await posting).outcome.kind is OutcomeKind.MATCHED


async def test_an_order_after_the_venue_closed_the_connection_arrives_once(
    server: KeptServer, client: OrderClient
) -> None:
    """A connection that the venue closed while it was idle is noticed: the order opens another one."""
    await client.keep_connection()
    opened = len(server.connections)
    server.close_connections()
    answer = await post(client)
    assert answer.outcome.kind is OutcomeKind.MATCHED
    assert server.posts() == [opened + 1]


async def test_an_order_whose_connection_ends_under_it_is_unknown_and_not_repeated(
    server: KeptServer, client: OrderClient
) -> None:
    """The venue has read the order and closes the connection: it may exist, so nothing is sent again."""
    await client.keep_connection()
    opened = len(server.connections)
    server.drops_posts = True
    answer = await post(client)
    assert answer.outcome.kind is OutcomeKind.UNKNOWN
    assert answer.posted_ns is not None
    assert len(server.posts()) == 1
    assert len(server.connections) == opened


async def test_a_venue_that_does_not_answer_costs_nothing(server: KeptServer, client: OrderClient) -> None:
    """Keeping the connection open never raises, so that the orders go on without it."""
    server.close()
    await client.keep_connection()
    assert server.requests == []


async def test_the_time_of_the_first_byte_is_that_of_the_order(
    server: KeptServer, client: OrderClient
) -> None:
    """It lies between the last check and the answer; an order that was withheld has none."""
    checked: list[int] = []

    def refusal() -> str | None:
        checked.append(time.monotonic_ns())
        return None

    signed = await client.sign(TOKEN, AMOUNTS, ProtocolVersion.V1)
    answer = await client.post(signed, refusal)
    assert answer.posted_ns is not None
    assert checked[0] < answer.posted_ns < time.monotonic_ns()
    with pytest.raises(WithheldError, match="halted"):
        await client.post(signed, lambda: "halted")
    assert len(server.posts()) == 1


async def test_look_ups_that_hang_hold_up_no_order(server: KeptServer, client: OrderClient) -> None:
    """While every thread of asyncio's own pool waits for an answer, an order is signed and sent."""
    free = threading.Event()
    waiting = [asyncio.create_task(asyncio.to_thread(free.wait, 10)) for _ in range(64)]
    await asyncio.sleep(0)
    try:
        answer = await asyncio.wait_for(post(client), 5)
    finally:
        free.set()
        await asyncio.gather(*waiting)
    assert answer.outcome.kind is OutcomeKind.MATCHED
