"""Bounded requests against servers with endless or huge answers, on loopback sockets."""

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from raw_server import ENDLESS, HEAD, RawServer, Serve, answer

from common.bounded_http import (
    MAX_BODY_BYTES,
    AnswerTooLarge,
    BoundedHttp,
    BoundedResponse,
    SendTime,
    bounded_request,
    parse_json,
)
from common.thread_http import ThreadHttp, is_direct

Get = Callable[..., BoundedResponse]


@pytest.fixture(params=["on a loop", "in the calling thread"])
def get(request: pytest.FixtureRequest) -> Iterator[Get]:
    """Request a URL with these limits, in either way."""
    opened: list[ThreadHttp] = []

    def in_this_thread(url: str, total_s: float, max_bytes: int = MAX_BODY_BYTES) -> BoundedResponse:
        opened.append(ThreadHttp(total_s=total_s, max_bytes=max_bytes))
        return opened[-1].request("GET", url, headers={})

    def on_a_loop(url: str, total_s: float, max_bytes: int = MAX_BODY_BYTES) -> BoundedResponse:
        return BoundedHttp(total_s=total_s, max_bytes=max_bytes).get(url)

    yield on_a_loop if request.param == "on a loop" else in_this_thread
    for http in opened:
        http.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Serve], RawServer]]:
    servers: list[RawServer] = []

    def start(function: Serve) -> RawServer:
        servers.append(RawServer(function))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_end_costs_the_bound_and_no_more(what: str, serve, get: Get) -> None:
    """Whichever part is slow, a blocking request fails in time, and its connection is closed."""
    server = serve(ENDLESS[what])
    began = time.monotonic()
    with pytest.raises(httpx.HTTPError, match=r"no complete answer within 0.4 s|illegal"):
        get(f"{server.url}/x", 0.4)
    assert time.monotonic() - began < 5
    if what != "nothing at all":
        assert server.ended.wait(10)


async def test_an_async_request_is_bounded_alike(serve) -> None:
    """The same bound holds for an asynchronous client whose own timeouts are never reached."""
    server = serve(ENDLESS["the body"])
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        with pytest.raises(httpx.ReadTimeout, match=r"no complete answer within 0.4 s"):
            await asyncio.wait_for(bounded_request(client, "GET", server.url, total_s=0.4), 10)


def test_a_dripping_answer_does_not_delay_another_request(serve) -> None:
    """Two threads share the loop; the fast answer arrives while the slow one is still incomplete."""
    slow, quick = serve(ENDLESS["the body"]), serve(answer(b'{"a": 1}'))
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            BoundedHttp(total_s=30).get(slow.url, total_s=8)
        except httpx.HTTPError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert BoundedHttp(total_s=30).get(quick.url).json() == {"a": 1}
    assert thread.is_alive()
    slow.close()
    thread.join(20)
    assert isinstance(failed[0], httpx.ReadTimeout)


BOMB = gzip.compress(b"0" * 50_000_000, mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "error", "text"),
    [
        (b"0" * 1001, (), AnswerTooLarge, "larger than 1000 bytes"),
        (BOMB[:900], (b"Content-Encoding: gzip",), AnswerTooLarge, "larger than 1000 bytes"),
        (
            gzip.compress(b"0" * 50, mtime=0)[:-12],
            (b"Content-Encoding: gzip",),
            httpx.DecodingError,
            "ends early",
        ),
        (b"not gzip", (b"Content-Encoding: gzip",), httpx.DecodingError, "cannot be decompressed"),
        (b"xx", (b"Content-Encoding: br",), httpx.DecodingError, "compressed with 'br'"),
    ],
)
def test_a_body_that_is_too_large_or_broken_is_an_error(
    body: bytes, headers: tuple[bytes, ...], error: type[Exception], text: str, serve, get: Get
) -> None:
    """The bound applies to the bytes sent and to their decompressed size; damage is an error too."""
    with pytest.raises(error, match=text):
        get(serve(answer(body, *headers)).url, 20, 1000)


def test_an_endless_stream_is_cut_off_at_the_bound(serve, get: Get) -> None:
    """A body without a length is read up to the bound only."""
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    def pour(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(block)

    server = serve(pour)
    with pytest.raises(AnswerTooLarge):
        get(server.url, 30)
    assert server.ended.wait(10)


def test_what_is_within_the_bounds_arrives(serve, get: Get) -> None:
    """Plain and compressed bodies of exactly the maximum size, status and headers are received."""
    largest = json.dumps("x" * 998).encode()
    for body, headers in ((largest, ()), (gzip.compress(largest), (b"Content-Encoding: gzip",))):
        answered = get(f"{serve(answer(body, *headers)).url}/a?b=c", 20, 1000)
        assert (answered.status_code, answered.json(), len(answered.content)) == (200, "x" * 998, 1000)
        assert answered.headers["Content-Type"] == "application/json"
        assert answered.request.url.query == b"b=c"


def test_the_time_of_the_first_byte_is_noted_by_a_request_of_the_calling_thread(serve) -> None:
    """Between the call and the answer, and once; the request names the only compression that is read."""
    server, sent = serve(answer(b"{}")), SendTime()
    http, began = ThreadHttp(total_s=20), time.monotonic_ns()
    http.request("POST", f"{server.url}/order", headers={"A": "b"}, content=b"body", sent=sent)
    http.close()
    assert sent.ns is not None
    assert began < sent.ns < time.monotonic_ns()
    (first,) = server.requests
    assert {b"A: b", b"Accept-Encoding: gzip", b"Content-Length: 4"} <= set(first.split(b"\r\n"))


def test_a_look_up_of_a_name_without_an_end_costs_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing limits the resolver of the system; it runs in a thread that is abandoned."""
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20) and [])
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout, match=r"no complete answer within 0.4 s"):
        ThreadHttp(total_s=0.4).request("GET", "http://name.invalid/", headers={})
    assert time.monotonic() - began < 5
    released.set()


@pytest.mark.parametrize(
    ("environment", "direct"),
    [
        ({}, True),
        ({"https_proxy": "http://10.0.0.1:3128"}, False),
        ({"all_proxy": "socks5://10.0.0.1:1080"}, False),
        ({"http_proxy": "http://10.0.0.1:3128"}, True),
        ({"https_proxy": "http://10.0.0.1:3128", "no_proxy": "polymarket.com"}, True),
        ({"https_proxy": "http://10.0.0.1:3128", "no_proxy": "example.com"}, False),
    ],
)
def test_proxies_of_the_environment_are_known(
    environment: dict[str, str], direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those for the scheme of the URL, with their exceptions; never for this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_direct("https://clob.polymarket.com/order") is direct
    assert is_direct("https://127.0.0.1:8443/order") is True


def test_a_server_that_is_not_there_is_an_error() -> None:
    """A refused connection is an httpx error like every other failure."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(httpx.ConnectError):
        BoundedHttp(f"http://127.0.0.1:{port}", total_s=5).post("/x", json={})


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 500 + "1" + "}" * 500,
        "[" * 70 + "]" * 70,
        "NaN",
        '{"a": -Infinity}',
        "1e400",
        "9" * 5000,
        "<html>",
        "",
        b"\xff\xfe\x00",
    ],
)
def test_json_that_cannot_be_used_is_a_value_error(text: str | bytes) -> None:
    """Depth, non-finite numbers and invalid JSON fail in one way."""
    with pytest.raises(ValueError):
        parse_json(text)


def test_usual_json_is_read() -> None:
    """Sixty levels are accepted, and values are equal to the standard decoder's."""
    text = "[" * 60 + '{"a": [1, 2.5, null, true, "x"]}' + "]" * 60
    assert parse_json(text) == json.loads(text)
