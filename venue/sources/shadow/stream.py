"""The upstream's market stream: one connection with keep-alive, reopened when it is lost."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
import msgspec

from venue.refusal import UNREADABLE
from venue.sources.shadow.upstream import UpstreamUnreachable

log = logging.getLogger("venue.shadow")

PING_SECONDS = 10.0
"""Interval of text PINGs, as required by the upstream."""
DEAD_SECONDS = 25.0
"""A connection without any message (including PONG) for so long is lost."""
CONNECT_SECONDS = 10.0
CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)  # pyright: ignore[reportCallIssue]
"""Time that an abandoned connection may take to close."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before connecting again, doubled each time; half of it is random."""
LARGEST_MESSAGE = 8_000_000
"""Maximum size in bytes; a whole book has about 20 kB. A larger message ends the connection."""
PROVEN_SECONDS = 60.0
"""A connection that lasted this long resets the pauses."""


class UpstreamStream:
    """Subscribes to tokens and passes every event on.

    Parameters
    ----------
    session : callable
        Returns the pool of connections.
    url : str
        Of the market channel.
    on_event : callable
        Called with each event.
    lost : callable
        Called when the connection is lost.
    """

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        url: str,
        on_event: Callable[[dict[str, Any]], None],
        lost: Callable[[], None],
    ) -> None:
        self._session = session
        self._url = url
        self._on_event = on_event
        self._lost = lost
        self._tokens: dict[str, None] = {}
        self._wanted = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._patience: asyncio.Timeout | None = None
        self._failures = 0

    async def check(self) -> None:
        """Connect once, and close the connection.

        Raises
        ------
        UpstreamUnreachable
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                socket = await self._session().ws_connect(self._url)
                await socket.close()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UpstreamUnreachable(
                f"{self._url} cannot be connected to ({type(error).__name__})"
            ) from error

    async def subscribe(self, tokens: Iterable[str]) -> None:
        """Subscribe to tokens, now and on every later connection."""
        new = [token for token in tokens if token not in self._tokens]
        self._tokens.update(dict.fromkeys(new))
        if new:
            self._wanted.set()
            await self._send({"operation": "subscribe", "assets_ids": new})

    async def unsubscribe(self, tokens: Iterable[str]) -> None:
        """Unsubscribe from tokens."""
        gone = [token for token in tokens if self._tokens.pop(token, "") is None]
        if gone:
            await self._send({"operation": "unsubscribe", "assets_ids": gone})

    def reconnect(self, why: str) -> None:
        """Close the connection and open a new one."""
        if self._patience is not None:
            log.warning("the upstream's market stream is closed: %s", why)
            self._lost()
            self._patience.reschedule(asyncio.get_running_loop().time())
            self._patience = None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            await self._wanted.wait()
            began = asyncio.get_running_loop().time()
            try:
                await self._connection()
                reason = "closed by the upstream"
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            finally:
                self._socket = self._patience = None
                self._lost()
            if asyncio.get_running_loop().time() - began > PROVEN_SECONDS:
                self._failures = 0
            pause = _pause(self._failures)
            self._failures += 1
            log.warning("the upstream's market stream is lost (%s); reconnecting in %.1f s", reason, pause)
            await asyncio.sleep(pause)

    async def _connection(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            socket = await self._session().ws_connect(
                self._url, max_msg_size=LARGEST_MESSAGE, timeout=CLOSING
            )
        async with socket:
            # From here on `subscribe` also sends to the socket: no token is missed between this and the list.
            self._socket = socket
            first = {"type": "market", "assets_ids": list(self._tokens), "custom_feature_enabled": True}
            await socket.send_str(msgspec.json.encode(first).decode())
            pinging = asyncio.create_task(_ping(socket))
            try:
                await self._read(socket)
            finally:
                pinging.cancel()
                await asyncio.gather(pinging, return_exceptions=True)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(DEAD_SECONDS) as self._patience:
            async for frame in socket:
                if self._patience is None:
                    return
                self._patience.reschedule(clock() + DEAD_SECONDS)
                if frame.type is aiohttp.WSMsgType.TEXT and frame.data != "PONG":
                    self._deliver(frame.data)

    def _deliver(self, text: str) -> None:
        """Pass a frame's events on; error messages of the upstream are plain texts."""
        try:
            content = msgspec.json.decode(text)
        except UNREADABLE:
            log.warning("the upstream's market stream sent %r", text[:100])
            return
        for event in content if isinstance(content, list) else [content]:
            if isinstance(event, dict):
                self._on_event(event)

    async def _send(self, message: dict[str, Any]) -> None:
        socket = self._socket
        if socket is None:
            return
        try:
            await socket.send_str(msgspec.json.encode(message).decode())
        except (aiohttp.ClientError, OSError) as error:
            # The reader notices the same end, and the next connection subscribes to everything.
            log.info("the upstream's market stream ended while subscribing: %s", error)


async def _ping(socket: aiohttp.ClientWebSocketResponse) -> None:
    while not socket.closed:
        await asyncio.sleep(PING_SECONDS)
        await socket.send_str("PING")


def _pause(failures: int) -> float:
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10))
    return longest * random.uniform(0.5, 1.0)
