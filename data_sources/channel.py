"""A websocket connection whose errors state whether a reconnection makes sense."""

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from common.bounded_http import is_loopback
from common.plain_text import one_line
from data_sources.transport import retry_after_s
from data_sources.types import RateLimited, StreamClosed
from errors import BotError, Refused, Temporary

NO_REASONS: Mapping[int, str] = {}
MAX_MESSAGE_BYTES = 2**20


class WebSocketChannel:
    """An open connection.

    Parameters
    ----------
    source : str
        Name for error texts.
    connection : ClientConnection
        As opened by `open_channel`.
    refusals : mapping
        Close codes after which reconnecting is useless, with their meaning.
    spreads : mapping
        Close codes after which the server asks its clients to reconnect at a random time, with the width of
        that interval in seconds.
    """

    def __init__(
        self,
        source: str,
        connection: ClientConnection,
        refusals: Mapping[int, str],
        spreads: Mapping[int, float],
    ) -> None:
        self._source = source
        self._connection = connection
        self._refusals = refusals
        self._spreads = spreads

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def recv(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def aclose(self) -> None:
        await self._connection.close()

    def _ended(self, closed: ConnectionClosed) -> BotError:
        code = closed.rcvd.code if closed.rcvd else 1006
        reason = one_line(closed.rcvd.reason) if closed.rcvd else "connection lost"
        what = f"{self._source}: stream closed with {code} {reason}".rstrip()
        if code in self._refusals:
            return Refused(f"{what} ({self._refusals[code]})")
        return StreamClosed(what, spread_s=self._spreads.get(code, 0.0))


async def open_channel(
    source: str,
    url: str,
    *,
    timeout_s: float,
    refusals: Mapping[int, str] = NO_REASONS,
    spreads: Mapping[int, float] | None = None,
) -> WebSocketChannel:
    """Connect to `url`, as `open_connection`.

    The server sends protocol pings, and the supervisor detects staleness from missing data: this client sends
    no keepalive.
    """
    connection = await open_connection(source, url, timeout_s=timeout_s)
    return WebSocketChannel(source, connection, refusals, spreads or {})


async def open_connection(
    source: str,
    url: str,
    *,
    timeout_s: float,
    ping_s: float | None = None,
    pong_s: float | None = None,
    max_bytes: int = MAX_MESSAGE_BYTES,
    create_connection: Callable[..., ClientConnection] | None = None,
) -> ClientConnection:
    """Connect to `url`.

    Parameters
    ----------
    source : str
        Name for error texts.
    timeout_s : float
        Limit of the handshake.
    ping_s : float, optional
        Seconds between two protocol pings. Without it none are sent.
    pong_s : float, optional
        Longest wait for the answer to a ping, after which the connection is closed.
    max_bytes : int
        Longest message; a longer one closes the connection.
    create_connection : Callable, optional
        Creates the library's connection.

    Raises
    ------
    Temporary
        Timeout, network failure, 5xx; RateLimited for 429 and 503.
    Refused
        401, 403, 404, 451 at the handshake, or an invalid address.
    """
    proxy = None if is_loopback(url) else True
    try:
        return await connect(
            url,
            proxy=proxy,
            open_timeout=timeout_s,
            close_timeout=1,
            ping_interval=ping_s,
            ping_timeout=pong_s,
            max_size=max_bytes,
            create_connection=cast(Any, create_connection),  # declared as a class; any callable will do
        )
    except InvalidURI as error:
        raise Refused(f"{source}: {error}") from None
    except InvalidStatus as error:
        raise _rejected(source, url, error) from None
    except (OSError, TimeoutError, InvalidHandshake, WebSocketException, EOFError) as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        raise Temporary(f"{source}: cannot connect to {url}: {why}") from None


def _rejected(source: str, url: str, error: InvalidStatus) -> BotError:
    status = error.response.status_code
    what = f"{source}: handshake with {url} answered HTTP {status}"
    if status in {401, 403, 404, 451}:
        return Refused(what)
    if status in {429, 503}:
        pause_s = retry_after_s(error.response.headers.get("Retry-After"), time.time_ns())
        return RateLimited(f"{what}, retry after {pause_s:g} s", pause_s)
    return Temporary(what)
