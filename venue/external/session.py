"""One client's connection to a price stream: reads its messages and sends every second's price."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Any

from aiohttp import WSCloseCode, web

from venue.connections import Connection, serve
from venue.external.feeds import Feeds

log = logging.getLogger("venue.external")

SNAPSHOT_SECONDS = 120
"""Market seconds of the past in the answer to a subscription."""


class StreamSession(ABC):
    """A connection to the stream `service`, from its handshake to its end.

    Attributes
    ----------
    heartbeat : float or None
        Wall seconds between the server's protocol pings.
    """

    service: str
    heartbeat: float | None = None

    def __init__(self, feeds: Feeds) -> None:
        self.feeds = feeds
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the connection until it ends."""
        self.feeds.sessions.add(self)
        try:
            return await serve(request, self._opened, self._received, self._closed, heartbeat=self.heartbeat)
        finally:
            self.feeds.sessions.discard(self)

    def send(self, message: Any) -> None:
        """Queue a message for the client."""
        if self._connection is not None:
            self._connection.send(message)

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Close the connection from this side."""
        if self._connection is not None:
            await self._connection.close(code)

    @abstractmethod
    async def received(self, content: Any) -> None:
        """Process a decoded message; raises msgspec.ValidationError if it is invalid."""

    @abstractmethod
    def observed(self, second: int) -> None:
        """Send the data of a second of market time to the client, according to its subscriptions."""

    def past(self) -> range:
        """The seconds of a snapshot, oldest first; the next observation follows the last of them."""
        last = self.feeds.latest(self.service)
        return range(last - SNAPSHOT_SECONDS + self.feeds.step, last + 1, self.feeds.step)

    def _opened(self, connection: Connection) -> None:
        self._connection = connection
        self._task = asyncio.create_task(self._follow())
        self._task.add_done_callback(_report)

    def _closed(self, _: Connection) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _received(self, _: Connection, content: Any) -> None:
        await self.received(content)

    async def _follow(self) -> None:
        async for second in self.feeds.seconds(self.service):
            self.observed(second)
        await self.close(WSCloseCode.SERVICE_RESTART)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a price stream failed", exc_info=error)
