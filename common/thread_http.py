"""HTTP requests of the calling thread, with a limit on their total duration and on the size of the answer.

`common.bounded_http` sends on a loop in another thread, through httpx: together they take a millisecond
before the first byte, which an order need not wait for. Here httpcore, which httpx sends with, is called
directly. Its timeouts apply to a single operation of the socket; each one gets the time that is left.

A module of its own, because a process without orders does not need httpcore.
"""

import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from common.bounded import bounded
from common.bounded_http import (
    MAX_BODY_BYTES,
    BoundedResponse,
    LimitedBody,
    SendTime,
    complete_answer,
    is_loopback,
    trust_store,
)

CONNECT_LIMIT_S = 1.5
"""Longest wait for one of a host's addresses: a second one may be reachable."""
KEPT_S = 5.0
"""Time after which an idle connection is closed, as by httpx."""


class ThreadHttp:
    """Sends bounded requests in the calling thread, over connections that stay open; may be shared.

    As `BoundedHttp`, it uses HTTP/2 for other hosts than this machine. It knows no proxies: see `is_direct`.

    Parameters
    ----------
    total_s : float
        Maximum seconds of one request, from connecting to the last byte. With HTTP/2, a thread that waits for
        another one's read may take as long again.
    max_bytes : int
        Maximum bytes of one answer, both as sent and decompressed.
    """

    def __init__(self, *, total_s: float, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._total_s = total_s
        self._max_bytes = max_bytes
        self._pools: dict[bool, httpcore.ConnectionPool] = {}
        self._opening = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        sent: SendTime | None = None,
    ) -> BoundedResponse:
        """Send one request, once; blocks the calling thread.

        Parameters
        ----------
        method, url, headers, content
            The request; as in `bounded_request` only one compression is accepted.
        sent : SendTime, optional
            Receives the time of the first byte.

        Raises
        ------
        httpx.HTTPError
            For every failure.
        """
        _deadline.at = time.monotonic() + self._total_s
        lines = [(name, value) for name, value in headers.items() if name.lower() != "accept-encoding"]
        lines.append(("Accept-Encoding", "gzip"))
        extensions = {} if sent is None else {"trace": sent.trace_blocking}
        pool = self._pool(is_loopback(url))
        with (
            _as_httpx(self._total_s),
            pool.stream(method, url, headers=lines, content=content, extensions=extensions) as response,
        ):
            named = {name.lower(): value for name, value in response.headers}
            body = LimitedBody(named.get(b"content-encoding", b"identity").decode("latin-1"), self._max_bytes)
            for part in response.iter_stream():
                body.add(part)
            return complete_answer(
                response.status, response.headers, body.complete(), httpx.Request(method, url)
            )

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            for pool in self._pools.values():
                pool.close()

    def _pool(self, local: bool) -> httpcore.ConnectionPool:
        with self._opening:
            if local not in self._pools:
                self._pools[local] = httpcore.ConnectionPool(
                    ssl_context=None if local else trust_store(),
                    http2=not local,
                    keepalive_expiry=KEPT_S,
                    network_backend=_LimitedBackend(),
                )
            return self._pools[local]


def is_direct(url: str) -> bool:
    """Whether requests to `url` use no proxy of the environment."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if is_loopback(url) or not (parts.scheme in proxies or "all" in proxies):
        return True
    return bool(urllib.request.proxy_bypass(parts.netloc))


class _Deadline(threading.local):
    """When the request of this thread must be complete, seconds of the monotonic clock."""

    at = 0.0

    def left_s(self) -> float:
        """Seconds that are left.

        Raises
        ------
        httpcore.ReadTimeout
            If none are.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


_deadline = _Deadline()


class _LimitedBackend(httpcore.NetworkBackend):
    """Opens connections within the time that the request of this thread has left."""

    def __init__(self) -> None:
        self._unlimited = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        left_s = _deadline.left_s()
        limit_s = min(CONNECT_LIMIT_S, left_s)

        def connect() -> httpcore.NetworkStream:
            return self._unlimited.connect_tcp(host, port, limit_s, local_address, socket_options)

        try:
            # In a thread of its own: nothing limits the look-up of a name.
            return _LimitedStream(bounded(connect, left_s, "connect"))
        except TimeoutError:
            raise httpcore.ConnectTimeout from None


class _LimitedStream(httpcore.NetworkStream):
    """A connection whose operations take the time that the request of the calling thread has left."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _deadline.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _deadline.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, _deadline.left_s()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@contextmanager
def _as_httpx(total_s: float) -> Iterator[None]:
    """Raise each error of httpcore as one of httpx."""
    try:
        yield
    except httpcore.TimeoutException:
        raise httpx.ReadTimeout(f"no complete answer within {total_s:g} s") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise httpx.TransportError(f"{type(error).__name__}: {error}") from None
