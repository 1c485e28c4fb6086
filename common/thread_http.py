"""HTTP/1.1 requests of the calling thread, with a limit on their total duration and on the size of an answer.

`common.bounded_http` sends on a loop in another thread, through httpx: together they take a millisecond
before the first byte, which an order need not wait for. Here `http.client` is called directly: after a pause
of 0.3 s it takes 0.19 ms of processor time up to the first byte, httpcore with HTTP/1.1 0.53 ms. Its timeouts
apply to a single operation of the socket; each one gets the time that is left.
"""

import functools
import http.client
import io
import selectors
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast
from urllib.parse import SplitResult, urlsplit

import httpx

from common.bounded import bounded
from common.bounded_http import (
    MAX_BODY_BYTES,
    BoundedResponse,
    LimitedBody,
    SendTime,
    complete_answer,
    is_loopback,
)

CONNECT_LIMIT_S = 1.5
"""Longest wait for one of a host's addresses: a second one may be reachable."""
KEPT_S = 5.0
"""Time after which an idle connection is closed, as by httpx."""
PART_BYTES = 65_536
_SELECTOR = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""Needs no file descriptor of its own, as the default one does: an order is sent without a free one, too."""


class ThreadHttp:
    """Sends bounded requests in the calling thread, over connections that stay open; may be shared.

    It knows no proxies: see `is_direct`.

    Parameters
    ----------
    total_s : float
        Maximum seconds of one request, from connecting to the last byte.
    max_bytes : int
        Maximum bytes of one answer, both as sent and decompressed.
    """

    def __init__(self, *, total_s: float, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._total_s = total_s
        self._max_bytes = max_bytes
        self._idle: dict[_Server, list[_Connection]] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        sent: SendTime | None = None,
        check: Callable[[], None] | None = None,
    ) -> BoundedResponse:
        """Send one request, once; blocks the calling thread.

        Parameters
        ----------
        method, url, headers, content
            The request; as in `bounded_request` only one compression is accepted.
        sent : SendTime, optional
            Receives the time of the first byte.
        check : Callable[[], None], optional
            Called when the connection is open and the request complete, immediately before its first byte. If
            it raises, nothing is sent. Its duration is not limited, and does not count.

        Raises
        ------
        httpx.HTTPError
            For every failure; other exceptions are those of `check`.
        """
        connection = self._newest(_Server.of(urlsplit(url)))
        before_first_byte = partial(self._before_first_byte, check, sent)
        return self._exchange(connection, method, url, headers, content, self._total_s, before_first_byte)

    def missing(self, url: str, number: int) -> int:
        """How many connections are to be opened so that `number` are idle; unusable ones are closed."""
        server = _Server.of(urlsplit(url))
        with self._lock:
            kept: list[_Connection] = []
            for connection in self._idle.get(server, []):
                if connection.is_usable:
                    kept.append(connection)
                else:
                    connection.close()
            self._idle[server] = kept
        return max(0, number - len(kept))

    def open_another(self, url: str, *, headers: Mapping[str, str], total_s: float) -> None:
        """Open one more connection, with a GET, after which it is idle; raises like `request`."""
        self._exchange(_Connection(_Server.of(urlsplit(url))), "GET", url, headers, b"", total_s)

    def renew_oldest(self, url: str, *, headers: Mapping[str, str], leaving: int, total_s: float) -> None:
        """Send a GET on the connection that has been idle for longest, so that it is kept.

        Nothing is sent if fewer than `leaving` others would be idle meanwhile. Raises like `request`.
        """
        connection = self._oldest(_Server.of(urlsplit(url)), leaving)
        if connection is not None:
            self._exchange(connection, "GET", url, headers, b"", total_s)

    def _exchange(
        self,
        connection: "_Connection",
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        total_s: float,
        before_first_byte: Callable[[], None] = lambda: None,
    ) -> BoundedResponse:
        """Send one request on a connection that no other thread uses, and release the connection."""
        parts = urlsplit(url)
        lines = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        lines["Accept-Encoding"] = "gzip"
        _deadline.restart(total_s)
        try:
            connection.request(method, _target(parts), content or None, lines)
            connection.transmit(before_first_byte)
            answer = cast(_Answer, connection.getresponse())
            body = self._body_of(answer)
            connection.may_be_kept = connection.sock is not None and not answer.rest
        except TimeoutError:
            raise httpx.ReadTimeout(f"no complete answer within {total_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise httpx.TransportError(f"{type(error).__name__}: {error}") from None
        finally:
            self._release(connection)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.getheaders()]
        return complete_answer(answer.status, raw, body, httpx.Request(method, url))

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _before_first_byte(self, check: Callable[[], None] | None, sent: SendTime | None) -> None:
        if check is not None:
            check()
            _deadline.restart(self._total_s)
        if sent is not None:
            sent.ns = time.monotonic_ns()

    def _body_of(self, answer: "_Answer") -> bytes:
        body = LimitedBody(answer.getheader("Content-Encoding") or "identity", self._max_bytes)
        while part := answer.read(PART_BYTES):
            body.add(part)
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        return body.complete()

    def _newest(self, server: "_Server") -> "_Connection":
        """The usable idle connection that was used last, or a new one, which is not open yet."""
        with self._lock:
            idle = self._idle.get(server, [])
            while idle:
                connection = idle.pop()
                if connection.is_usable:
                    return connection
                connection.close()
        return _Connection(server)

    def _oldest(self, server: "_Server", leaving: int) -> "_Connection | None":
        """The usable idle connection that was used first; None if fewer than `leaving` others are idle."""
        with self._lock:
            idle = self._idle.get(server, [])
            while len(idle) > leaving:
                connection = idle.pop(0)
                if connection.is_usable:
                    return connection
                connection.close()
        return None

    def _release(self, connection: "_Connection") -> None:
        """Keep a connection that may be kept for the next request, and close every other one."""
        if connection.may_be_kept:
            connection.may_be_kept, connection.idle_since = False, time.monotonic()
            with self._lock:
                self._idle.setdefault(connection.server, []).append(connection)
        else:
            connection.close()


def is_direct(url: str) -> bool:
    """Whether requests to `url` use no proxy of the environment."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if is_loopback(url) or not (parts.scheme in proxies or "all" in proxies):
        return True
    return bool(urllib.request.proxy_bypass(parts.netloc))


class _Server(NamedTuple):
    """Where a connection leads to."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, parts: SplitResult) -> "_Server":
        return cls(parts.scheme, parts.hostname or "", parts.port)


def _target(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


class _Deadline(threading.local):
    """When the request of this thread must be complete, seconds of the monotonic clock."""

    _at = 0.0

    def restart(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds that are left.

        Raises
        ------
        TimeoutError
            If none are.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


_deadline = _Deadline()


class _LimitedReads(io.RawIOBase):
    """The received bytes of a socket."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self.ended = False
        """Whether nothing more is received."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return 0
        self._sock.settimeout(_deadline.left_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reader(io.BufferedReader):
    """Notes when it is closed whether there are bytes that were received and not read."""

    def __init__(self, reads: _LimitedReads) -> None:
        super().__init__(reads)
        self._reads = reads
        self.rest = False

    def close(self) -> None:
        if not self.closed:
            self._reads.ended = True
            with suppress(OSError, ValueError):
                self.rest = bool(self.peek(1))
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is read within the time that is left."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._reader = self.fp = _Reader(_LimitedReads(cast(Any, self.fp).detach(), sock))

    @property
    def rest(self) -> bool:
        """Whether bytes came after the answer."""
        return self._reader.rest


class _Connection(http.client.HTTPConnection):
    """A connection whose operations take the time that the request of the calling thread has left."""

    response_class = _Answer

    def __init__(self, server: _Server) -> None:
        self.is_secure = server.scheme == "https"
        # Named in the header `Host` unless it is this one.
        self.default_port = http.client.HTTPS_PORT if self.is_secure else http.client.HTTP_PORT
        super().__init__(server.host, server.port)
        self.server = server
        self._unsent = bytearray()
        self.idle_since = 0.0
        self.may_be_kept = False
        """Whether the last answer was read as a whole, and neither an end nor more bytes came after it."""

    def connect(self) -> None:
        left_s = _deadline.left_s()
        address, limit_s = (self.host, self.port), min(CONNECT_LIMIT_S, left_s)
        # In a thread of its own: nothing limits the look-up of a name.
        opened = bounded(lambda: socket.create_connection(address, limit_s), left_s, "connect")
        self.sock = opened
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.is_secure:
            opened.settimeout(_deadline.left_s())
            self.sock = _tls().wrap_socket(opened, server_hostname=self.host)

    def send(self, data: Any) -> None:
        """Add bytes to the request, which `transmit` sends as a whole."""
        self._unsent += data

    def transmit(self, before_first_byte: Callable[[], None]) -> None:
        """Send the request; the call comes immediately before its first byte."""
        if self.sock is None:
            self.connect()
        before_first_byte()
        self._write()

    def _write(self) -> None:
        sock = cast(socket.socket, self.sock)
        sock.settimeout(_deadline.left_s())
        sock.sendall(self._unsent)
        self._unsent.clear()

    @property
    def is_usable(self) -> bool:
        """Whether an idle connection can be used again: recently used, not closed by the server."""
        if time.monotonic() - self.idle_since > KEPT_S:
            return False
        with _SELECTOR() as selector:
            selector.register(self.sock, selectors.EVENT_READ)
            return not selector.select(0)


@functools.cache
def _tls() -> ssl.SSLContext:
    """For connections to other hosts. With the context that is common to all others httpx offers HTTP/2."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
