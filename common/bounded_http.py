"""HTTP requests with a limit on their total duration and on the size of the answer.

The timeouts of httpx apply to a single read, so an answer that arrives one byte per second never times out;
and httpx reads and decompresses a body of any size. `bounded_request` adds both limits to an
`httpx.AsyncClient`. `BoundedHttp` offers the same to threads and to coroutines of any loop: it sends its
requests on an event loop in its own thread, because a blocking read cannot be interrupted from outside.

Every failure is an `httpx.HTTPError`.
"""

import asyncio
import atexit
import functools
import json
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import httpx

MAX_BODY_BYTES = 8_000_000
"""Largest answer accepted, compressed or not; the largest one in use, Deribit's option chain, has about 0.5
MB."""
MAX_JSON_DEPTH = 64
"""Deepest nesting of arrays and objects accepted; answers in use have fewer than ten levels."""
GZIP_OR_ZLIB = 47
CANCEL_GRACE_S = 1.0
"""Seconds a blocking caller waits, beyond the limit of its request, for the event loop to cancel it."""


class SendTime:
    """When the first byte of a request was handed to the socket, on the monotonic clock.

    Attributes
    ----------
    ns : int or None
        Nanoseconds; None while nothing has been handed to the socket.
    """

    def __init__(self) -> None:
        self.ns: int | None = None

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Receive the events of one request; the `trace` extension of httpcore."""
        if self.ns is None and event.endswith(".send_request_headers.started"):
            self.ns = time.monotonic_ns()


SEND_TIME: ContextVar[SendTime | None] = ContextVar("send_time", default=None)
"""Receives the time of the requests of this context, also of those that another loop sends for it."""


class AnswerTooLarge(httpx.TransportError):
    """The body of the answer exceeds the size limit."""


class BoundedResponse(httpx.Response):
    """A completely read answer whose `json` raises ValueError for all unusable content."""

    def json(self, **_: Any) -> Any:
        return parse_json(self.content)


def parse_json(text: bytes | str) -> Any:
    """Decode JSON from an external source.

    Raises
    ------
    ValueError
        If it is not JSON, is nested deeper than `MAX_JSON_DEPTH`, or contains a number that is not finite.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"JSON is nested deeper than {MAX_JSON_DEPTH} levels") from None
    require_shallow(value)
    return value


def require_shallow(value: Any) -> None:
    """Reject decoded JSON that is nested too deeply to be processed further.

    Raises
    ------
    ValueError
        If there are more than `MAX_JSON_DEPTH` levels. Even `repr` fails on values that a decoder still
        accepts.
    """
    level = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise ValueError(f"JSON is nested deeper than {MAX_JSON_DEPTH} levels")


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number {text[:40]} is too large")
    return value


@functools.cache
def trust_store() -> ssl.SSLContext:
    """The certificate authorities, loaded once for all hosts: loading takes tens of milliseconds."""
    return httpx.create_ssl_context()


def is_loopback(url: str) -> bool:
    """Whether `url` refers to this machine: neither proxies nor HTTP/2 are used then."""
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


async def bounded_request(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    total_s: float,
    max_bytes: int = MAX_BODY_BYTES,
    headers: Mapping[str, str] | None = None,
    **request: Any,
) -> BoundedResponse:
    """Send one request and read the complete answer.

    Parameters
    ----------
    client : httpx.AsyncClient
    method, url, headers, **request
        As for `httpx.AsyncClient.request`.
    total_s : float
        Maximum seconds from connecting to the last byte.
    max_bytes : int
        Maximum size of the body in bytes, both as sent and decompressed.

    Raises
    ------
    httpx.ReadTimeout
        If the answer is not complete in time.
    AnswerTooLarge
        If the body is larger.
    httpx.HTTPError
        For every other failure.
    """
    if (send_time := SEND_TIME.get()) is not None:
        request = {**request, "extensions": {"trace": send_time.trace}}
    # Only this compression is requested: its decompression can be limited.
    headers = {**(headers or {}), "Accept-Encoding": "gzip"}
    try:
        async with (
            asyncio.timeout(total_s),
            client.stream(method, url, headers=headers, **request) as response,
        ):
            body = await _read(response, max_bytes)
    except TimeoutError:
        raise httpx.ReadTimeout(f"no complete answer within {total_s:g} s") from None
    return complete_answer(response.status_code, response.headers.raw, body, response.request)


def complete_answer(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, request: httpx.Request
) -> BoundedResponse:
    """A read answer; the headers about the form of its body apply no more."""
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
    ]
    return BoundedResponse(status, headers=kept, content=body, request=request)


async def _read(response: httpx.Response, limit: int) -> bytes:
    body = LimitedBody(response.headers.get("Content-Encoding", "identity"), limit)
    async for part in response.aiter_raw():
        body.add(part)
    return body.complete()


class LimitedBody:
    """The body of an answer while it is read.

    Parameters
    ----------
    encoding : str
        Its header `Content-Encoding`.
    limit : int
        Maximum size in bytes, both as sent and decompressed.

    Raises
    ------
    httpx.DecodingError
        Here and in the methods: if it is compressed in another way than requested, or damaged.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("identity", "gzip", "deflate"):
            what = f"compressed with {encoding[:40]!r}, which was not asked for"
            raise httpx.DecodingError(f"the answer is {what}")
        self._unzip = None if encoding == "identity" else zlib.decompressobj(GZIP_OR_ZLIB)
        self._limit = limit
        self._body = bytearray()
        self._received = 0

    def add(self, part: bytes) -> None:
        """Add what was received.

        Raises
        ------
        AnswerTooLarge
            If the body is larger than the limit.
        """
        self._received += len(part)
        room = self._limit + 1 - len(self._body)
        try:
            self._body += part if self._unzip is None else self._unzip.decompress(part, room)
        except zlib.error as error:
            raise httpx.DecodingError(f"the answer cannot be decompressed: {error}") from None
        if max(self._received, len(self._body)) > self._limit:
            raise AnswerTooLarge(f"the answer is larger than {self._limit} bytes")

    def complete(self) -> bytes:
        """The decompressed body."""
        if self._unzip is not None and self._received and not self._unzip.eof:
            raise httpx.DecodingError("the compressed answer ends early")
        return bytes(self._body)


class BoundedHttp:
    """Sends bounded requests for threads and for coroutines of any event loop; one instance may be shared.

    Parameters
    ----------
    base_url : str
        Prefix of paths that are not URLs themselves.
    total_s : float
        Maximum seconds of one request, from connecting to the last byte.
    max_bytes : int
        Maximum bytes of one answer.
    """

    def __init__(self, base_url: str = "", *, total_s: float, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._base_url = base_url.rstrip("/")
        self._total_s = total_s
        self._max_bytes = max_bytes

    def request(
        self, method: str, url: str, *, timeout: Any = None, total_s: float | None = None, **request: Any
    ) -> BoundedResponse:
        """Send one request; blocks the calling thread.

        Parameters
        ----------
        method, url, **request
            As for `httpx.Client.request`.
        timeout : Any
            Accepted for libraries that pass one, but not used: the limit applies to the whole request.
        total_s : float, optional
            Overrides the limit of this instance.

        Raises
        ------
        httpx.HTTPError
            As `bounded_request`.
        """
        del timeout
        limit_s = self._total_s if total_s is None else total_s
        answer = self._submit(method, url, limit_s, request)
        try:
            return answer.result(limit_s + CANCEL_GRACE_S)
        except TimeoutError:
            answer.cancel()
            raise httpx.ReadTimeout(f"no complete answer within {limit_s:g} s") from None

    async def request_async(self, method: str, url: str, **request: Any) -> BoundedResponse:
        """Send one request from a coroutine; raises like `request`."""
        return await asyncio.wrap_future(self._submit(method, url, self._total_s, request))

    def _submit(
        self, method: str, url: str, total_s: float, request: dict[str, Any]
    ) -> Future[BoundedResponse]:
        full = url if "://" in url else f"{self._base_url}/{url.lstrip('/')}" if url else self._base_url
        return _loop().submit(method, full, total_s=total_s, max_bytes=self._max_bytes, **request)

    def get(self, url: str, **request: Any) -> BoundedResponse:
        """GET `url`; raises like `request`."""
        return self.request("GET", url, **request)

    def post(self, url: str, **request: Any) -> BoundedResponse:
        """POST to `url`; raises like `request`."""
        return self.request("POST", url, **request)


class _RequestLoop:
    """An event loop in its own thread; one connection pool for this machine and one for all other hosts."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="http", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, method: str, url: str, **request: Any) -> Future[BoundedResponse]:
        return asyncio.run_coroutine_threadsafe(self._send(method, url, **request), self._loop)

    async def _send(self, method: str, url: str, *, total_s: float, **request: Any) -> BoundedResponse:
        local = is_loopback(url)
        client = self._clients.get(local)
        if client is None:
            client = self._clients[local] = httpx.AsyncClient(
                http2=not local,
                trust_env=not local,
                verify=False if local else trust_store(),
                # The whole request is limited; idle connections are closed in any case.
                timeout=None,
            )
        return await bounded_request(client, method, url, total_s=total_s, **request)

    def close(self) -> None:
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._aclose(), self._loop)
        self._thread.join(CANCEL_GRACE_S)

    async def _aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._loop.stop()


_starting = threading.Lock()
_running: _RequestLoop | None = None


def _loop() -> _RequestLoop:
    global _running
    with _starting:
        if _running is None:
            _running = _RequestLoop()
        return _running
