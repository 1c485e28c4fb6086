"""A websocket of the venue that is read on the node's loop, and opened again whenever it ends.

Each connection of NautilusTrader's client is read in a thread of its Rust runtime, which has timers of ten
milliseconds: two connections take 0.8 % of a core without a message, as much as the rest of an idle worker.

Not `WebSocketManager`, which the data sources use: it reads through a queue, and gives up after a number of
attempts or after a refusal, because a source can be replaced.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from loguru import logger
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, Frame

from common.bounded_http import MAX_BODY_BYTES
from common.plain_text import one_line
from core.ingestion.managers.websocket_manager import Backoff
from data_sources.channel import open_connection
from patches.refused_messages import RefusedMessages

CONNECT_S = 10.0
"""Limit of a handshake."""
PING_S = 5.0
PONG_S = 20.0
"""Time between two pings, and longest wait for the answer to one, as in the venue's own library. A connection
that is gone without a word is replaced within the sum of both."""
BACKOFF = Backoff(base_s=0.5, cap_s=10.0)


class StreamSocket:
    """One connection. The methods without a docstring are those that the stock client calls.

    Parameters
    ----------
    name : str
        The stream's name, for the log.
    url : str
        Its address.
    handler : Callable[[bytes], None]
        Called with each message; may raise any exception for an unusable one.
    reconnected : Callable[[], Awaitable[None]]
        Called each time the connection was opened again: it subscribes.
    silent_s : float
        Seconds without a message after which the connection is renewed: the subscription may have ended
        although the venue answers pings.
    """

    def __init__(
        self,
        name: str,
        url: str,
        handler: Callable[[bytes], None],
        reconnected: Callable[[], Awaitable[None]],
        silent_s: float,
    ) -> None:
        self._name = name
        self._url = url
        self._handler = handler
        self._reconnected = reconnected
        self._silent_s = silent_s
        self._refused = RefusedMessages(name)
        self._connection: ClientConnection | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._last_message = 0.0

    async def connect(self) -> None:
        """Open the connection.

        Raises
        ------
        Refused, Temporary
            If the venue refuses the connection, or does not answer.
        """
        connection = await self._open()
        self._keeping = asyncio.get_running_loop().create_task(self._keep(connection), name=self._name)

    async def send_text(self, text: str | bytes) -> None:
        """Send a message; without a connection nothing is sent: `reconnected` is called with the next one."""
        if self._connection is not None:
            with suppress(ConnectionClosed):
                await self._connection.send(text, text=True)

    async def disconnect(self) -> None:
        """Close the connection, and open none again."""
        keeping, self._keeping = self._keeping, None
        self._refused.log()
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait({keeping})
        await self._close()

    def is_active(self) -> bool:
        return self._connection is not None

    def is_disconnecting(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return self._keeping is None

    async def _open(self) -> ClientConnection:
        connection = await open_connection(
            self._name,
            self._url,
            timeout_s=CONNECT_S,
            ping_s=PING_S,
            pong_s=PONG_S,
            max_bytes=MAX_BODY_BYTES,
            create_connection=self._create,
        )
        self._last_message = time.monotonic()
        self._connection = connection
        return connection

    def _create(self, *args: Any, **kwargs: Any) -> ClientConnection:
        return _DirectConnection(self._handle_frame, *args, **kwargs)

    async def _keep(self, connection: ClientConnection) -> None:
        """Wait for the end of each connection, and open the next one."""
        attempts = 0
        while True:
            opened = time.monotonic()
            why = await self._end_of(connection)
            await self._close()
            if time.monotonic() - opened >= BACKOFF.stable_s:
                attempts = 0
            connection, attempts = await self._open_again(why, attempts)
            try:
                await self._reconnected()
            except Exception as error:  # noqa: BLE001  whatever it is, the connection is kept
                logger.warning(f"{self._name}: {type(error).__name__}: {one_line(error)}")

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _end_of(self, connection: ClientConnection) -> str:
        """Wait until a connection has ended, or is silent for too long; returns which of both."""
        closed = asyncio.ensure_future(connection.wait_closed())
        try:
            while (left_s := self._last_message + self._silent_s - time.monotonic()) > 0:
                if (await asyncio.wait({closed}, timeout=left_s))[0]:
                    return f"closed with {connection.close_code} {one_line(connection.close_reason or '')}"
            return f"no message for {self._silent_s:g} s"
        finally:
            closed.cancel()

    async def _open_again(self, why: object, attempts: int) -> tuple[ClientConnection, int]:
        """A new connection, and the number of attempts since the last one that was stable."""
        while True:
            attempts += 1
            pause_s = BACKOFF.pause(attempts, random.random())
            logger.info(f"{self._name}: {why}; connecting again in {pause_s:.1f} s")
            await asyncio.sleep(pause_s)
            try:
                return await self._open(), attempts
            except Exception as error:  # noqa: BLE001  whatever it is: a stream is never given up
                why = one_line(error)

    def _handle_frame(self, raw: bytes) -> None:
        self._last_message = time.monotonic()
        try:
            self._handler(raw)
        except Exception as error:  # noqa: BLE001  one bad message must not end the stream
            self._refused.add(f"{type(error).__name__}: {one_line(error)}", raw)
        else:
            self._refused.log_if_due()


class _DirectConnection(ClientConnection):
    """Passes on each message when its last byte arrives.

    The library's own queue, and the task that waits for it, add a third to the time of a message.
    """

    def __init__(self, handler: Callable[[bytes], None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handler = handler
        self._parts: list[bytes] = []
        """The frames of a message that is not complete."""

    def process_event(self, event: Any) -> None:
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        self._parts.append(bytes(event.data))
        if event.fin:
            message = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._handler(message)
