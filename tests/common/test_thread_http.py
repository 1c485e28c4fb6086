"""Requests of the calling thread: the check before the first byte, connections that are used again, TLS."""

import os
import resource
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from raw_server import RawServer

from common import thread_http
from common.bounded_http import SendTime
from common.thread_http import ThreadHttp

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 2\r\n\r\n{}"


class KeepAlive(RawServer):
    """Sends the same answer to each request; `connections` are the requests of each connection."""

    def __init__(
        self, sends: bytes, ends_after: int | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.connections: list[list[bytes]] = []
        self.protocols: list[str | None] = []
        """Chosen by TLS, of each connection."""
        self._sends, self._ends_after = sends, ends_after
        super().__init__(self._respond, tls)

    def _respond(self, connection: socket.socket) -> None:
        served = [self.request_of[connection]]
        self.connections.append(served)
        if isinstance(connection, ssl.SSLSocket):
            self.protocols.append(connection.selected_alpn_protocol())
        connection.sendall(self._sends)
        while len(served) != self._ends_after and (request := connection.recv(65536)):
            served.append(request)
            connection.sendall(self._sends)


Start = Callable[..., KeepAlive]


@pytest.fixture
def serve() -> Iterator[Start]:
    servers: list[KeepAlive] = []

    def start(*server: Any, **options: Any) -> KeepAlive:
        servers.append(KeepAlive(*server, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def http() -> Iterator[ThreadHttp]:
    client = ThreadHttp(total_s=20)
    yield client
    client.close()


class WithheldError(Exception):
    """Raised by the last check."""


def test_the_last_check_is_made_on_an_open_connection_that_got_nothing(http: ThreadHttp) -> None:
    """If it raises, the server receives no byte before the connection is closed, and no time is noted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        accepted: list[socket.socket] = []

        def refuse() -> None:
            accepted.append(server.accept()[0])
            raise WithheldError

        url, sent = f"http://127.0.0.1:{server.getsockname()[1]}/order", SendTime()
        with pytest.raises(WithheldError):
            http.request("POST", url, headers={"A": "b"}, content=b"{}", sent=sent, check=refuse)
        (connection,) = accepted
        connection.settimeout(20)
        assert connection.recv(65536) == b""
        assert sent.ns is None
        connection.close()


def test_the_time_of_the_check_does_not_count(http: ThreadHttp, serve: Start) -> None:
    """A commit that takes longer than the limit of the request does not end it; the check is made once."""
    server, checked = serve(EMPTY), []

    def slow() -> None:
        checked.append(len(server.requests))
        thread_http._deadline._at = 0.0

    sent = SendTime()
    answered = http.request("POST", server.url, headers={}, content=b"{}", sent=sent, check=slow)
    assert (answered.status_code, answered.content) == (200, b"{}")
    assert checked == [0]
    assert sent.ns is not None


def test_a_connection_is_used_again(http: ThreadHttp, serve: Start) -> None:
    """Also after an answer in chunks, one without a body, and one to a request without one."""
    for sends, body in (
        (EMPTY, b"{}"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n", b"[]"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ):
        server = serve(sends)
        for method in ("POST", "GET", "POST"):
            assert http.request(method, server.url, headers={}, content=b"{}"[: len(body)]).content == body
        assert [len(requests) for requests in server.connections] == [3]


@pytest.mark.parametrize(
    "sends",
    [
        pytest.param(EMPTY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), id="closed"),
        pytest.param(EMPTY + EMPTY, id="a second answer"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", id="old version"),
    ],
)
def test_a_connection_is_not_used_again(sends: bytes, http: ThreadHttp, serve: Start) -> None:
    """If the server closes it, or has sent what belongs to no request: it would be the next one's answer."""
    server = serve(sends)
    for _ in range(2):
        assert http.request("GET", server.url, headers={}).content == b"{}"
    assert [len(requests) for requests in server.connections] == [1, 1]


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(http: ThreadHttp, serve: Start) -> None:
    """A connection is closed after two answers; the third request opens another one."""
    server = serve(EMPTY, ends_after=2)
    for _ in range(2):
        http.request("POST", server.url, headers={}, content=b"{}")
    (idle,) = next(iter(http._idle.values()))
    idle.sock.settimeout(20)
    assert idle.sock.recv(1, socket.MSG_PEEK) == b""
    http.request("POST", server.url, headers={}, content=b"{}")
    assert [len(requests) for requests in server.connections] == [2, 1]


def test_an_idle_connection_is_used_without_a_free_file_descriptor(http: ThreadHttp, serve: Start) -> None:
    """An order that can be sent is sent: nothing is opened to find out whether the server closed it."""
    server = serve(EMPTY)
    http.request("GET", server.url, headers={})
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limit[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        answered = http.request("POST", server.url, headers={}, content=b"{}")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert answered.content == b"{}"
    assert [len(requests) for requests in server.connections] == [2]


def test_a_connection_that_was_idle_too_long_is_replaced(http: ThreadHttp, serve: Start) -> None:
    """After five seconds, as by httpx: the server may close it at any moment."""
    server = serve(EMPTY)
    http.request("GET", server.url, headers={})
    (idle,) = next(iter(http._idle.values()))
    idle.idle_since -= 5.1
    http.request("GET", server.url, headers={})
    assert len(server.connections) == 2
    assert idle.sock is None
    assert [len(kept) for kept in http._idle.values()] == [1]


@pytest.mark.parametrize(
    ("sends", "named"),
    [
        (OK + b"Content-Length: 3\r\n\r\n{}", "IncompleteRead"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[\r\n", "IncompleteRead"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "IncompleteRead"),
        (b"", "RemoteDisconnected"),
        (b"HTTP/2 200\r\n\r\n", "UnknownProtocol|BadStatusLine"),
        (b"220 ready\r\n", "BadStatusLine"),
        (OK + b"A: b\r\n" * 101 + b"\r\n", "HTTPException"),
        (OK + b"A: " + b"b" * 70_000 + b"\r\n\r\n", "LineTooLong"),
    ],
)
def test_an_answer_that_is_incomplete_or_no_http_is_an_error(
    sends: bytes, named: str, http: ThreadHttp, serve: Start
) -> None:
    """An error of httpx with the name of the cause, and the connection is not used again."""
    server = serve(sends, ends_after=1)
    for _ in range(2):
        with pytest.raises(httpx.TransportError, match=named):
            http.request("POST", server.url, headers={}, content=b"{}")
    assert [len(requests) for requests in server.connections] == [1, 1]


def test_threads_have_connections_of_their_own(http: ThreadHttp, serve: Start) -> None:
    """Two requests at the same time: the second does not wait for the first, and both are answered."""
    server, both = serve(EMPTY), threading.Barrier(2, timeout=20)
    threads = [
        threading.Thread(target=lambda: http.request("POST", server.url, headers={}, check=both.wait))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [len(requests) for requests in server.connections] == [1, 1]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_other_hosts_are_reached_by_tls_with_http_1_1(
    http: ThreadHttp, serve: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificate and name are verified, only HTTP/1.1 is offered, and the default port is not named."""
    key, certificate = tmp_path / "test.key", tmp_path / "test.pem"
    made = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        f" -days 2 -subj /CN=venue.test -addext subjectAltName=DNS:venue.test"
        f" -keyout {key.name} -out {certificate.name}"
    )
    subprocess.run(made.split(), cwd=tmp_path, check=True, capture_output=True)
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(certificate, key)
    of_server.set_alpn_protocols(["h2", "http/1.1"])
    server = serve(EMPTY, tls=of_server)
    port = int(server.url.rpartition(":")[2])
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, _, *rest: look_up("127.0.0.1", port, *rest))
    with pytest.raises(httpx.TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        http.request("GET", "https://venue.test/ok", headers={})
    thread_http._tls().load_verify_locations(certificate)
    try:
        for _ in range(2):
            assert http.request("GET", "https://venue.test/ok", headers={}).content == b"{}"
        with pytest.raises(httpx.TransportError, match="Hostname mismatch"):
            http.request("GET", "https://other.test/ok", headers={})
    finally:
        thread_http._tls.cache_clear()
    assert server.protocols == ["http/1.1"]
    (requests,) = server.connections
    assert [b"Host: venue.test" in request.split(b"\r\n") for request in requests] == [True, True]
