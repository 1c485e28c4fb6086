"""One WebSocket client with a bounded queue of messages, so that a slow client does not delay others."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from venue.refusal import UNREADABLE

log = logging.getLogger("venue.ws")

QUEUE_LIMIT = 5_000
"""Messages that may be queued for one client before it is disconnected as too slow."""


class Connection:
    """A connected client."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[str] = asyncio.Queue(QUEUE_LIMIT)
        self._overflowed = False

    def send(self, message: Any) -> None:
        """Queue a message: text unchanged, anything else as JSON."""
        if self._overflowed:
            return
        text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self._overflowed = True
            log.warning("a client is disconnected because it reads too slowly")

    async def write(self) -> None:
        """Send the queued messages until the socket closes or the queue overflows."""
        while not self._socket.closed:
            await self._socket.send_str(await self._queue.get())
            if self._overflowed:
                await self.close(WSCloseCode.TRY_AGAIN_LATER)

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Close the connection from the venue's side."""
        await self._socket.close(code=code)


async def serve(
    request: web.Request,
    opened: Callable[[Connection], None],
    received: Callable[[Connection, Any], Awaitable[None]],
    closed: Callable[[Connection], None],
    *,
    heartbeat: float | None = None,
) -> web.WebSocketResponse:
    """Serve one client's connection: text PING is answered with PONG, other texts are decoded and passed on.

    `heartbeat` is the interval of protocol pings in wall seconds; without it the venue sends none.
    """
    socket = web.WebSocketResponse(compress=False, heartbeat=heartbeat)
    await socket.prepare(request)
    connection = Connection(socket)
    opened(connection)
    writer = asyncio.create_task(connection.write())
    try:
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                continue
            if frame.data == "PING":
                connection.send("PONG")
                continue
            try:
                await received(connection, msgspec.json.decode(frame.data))
            except UNREADABLE as error:
                log.info("an invalid frame: %s", error)
            except ConnectionError:
                break  # the client has gone while it was answered
    finally:
        closed(connection)
        writer.cancel()
        # The writer may have ended by the same reset as the reader.
        await asyncio.gather(writer, return_exceptions=True)
    return socket
