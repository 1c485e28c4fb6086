"""Keeps one websocket connected: reconnects with growing pauses, detects silence, reports a final failure."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any

from data_sources.transport import Received
from data_sources.types import Channel, MalformedPayload, RateLimited, Stream, StreamClosed
from errors import Refused, Temporary
from models import Frozen

_log = logging.getLogger(__name__)


class StreamState(StrEnum):
    """`FAILED` is final until `start` is called again."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    FAILED = "failed"


class Backoff(Frozen, frozen=True):
    """Reconnection parameters of a manager; all in seconds except `max_attempts`.

    The pause before attempt n+1 is between half and all of min(`cap_s`, `base_s` · 2ⁿ⁻¹): half of it fixed,
    so that there is always a pause, half random, so that clients do not reconnect at the same time. Attempts
    are counted until a connection has delivered data for `stable_s`.
    """

    base_s: float = 1.0
    cap_s: float = 60.0
    max_attempts: int = 10
    stable_s: float = 30.0
    stale_s: float = 30.0
    connect_s: float = 10.0

    def pause(self, attempts: int, jitter: float) -> float:
        """Seconds to wait after `attempts` failed attempts; `jitter` is uniform in [0, 1)."""
        # A larger exponent would only overflow.
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(max(attempts - 1, 0), 60))
        return ceiling * (0.5 + 0.5 * jitter)


class WebSocketManager:
    """Supervises one stream.

    Parameters
    ----------
    stream : Stream
        Connects, subscribes, and handles frames.
    backoff : Backoff
        Pauses and limits.
    monotonic : callable
        A monotonic clock in seconds.
    sleep : callable
        Coroutine function taking seconds.
    jitter : callable
        Uniform in [0, 1).
    received : Received, optional
        Called with the stream's name and every frame with data.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        received: Received | None = None,
    ) -> None:
        self.stream = stream
        self.state = StreamState.DISCONNECTED
        self.connects = 0
        """Connection attempts since the start."""
        self.disconnects = 0
        """Sessions that were connected and have ended."""
        self.malformed = 0
        """Frames that could not be read."""
        self.frames = 0
        """Frames with data."""
        self.last_error = ""
        self._backoff = backoff or Backoff()
        self._monotonic = monotonic
        self._sleep = sleep
        self._jitter = jitter
        self._received = received
        self._attempts = 0
        self._opened = 0.0
        self._last_data = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run in the background, with the full number of attempts; no effect while running."""
        if self._task is None or self._task.done():
            self._attempts = 0
            self._task = asyncio.create_task(self.run(), name=f"stream {self.stream.name}")
            self._task.add_done_callback(self._note_end)

    async def aclose(self) -> None:
        """Stop and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self.state = StreamState.DISCONNECTED

    def data_age_s(self) -> float | None:
        """Seconds since the last data; None before the first."""
        return self._monotonic() - self._last_data if self.frames else None

    async def run(self) -> None:
        """Keep the stream connected until it fails finally; returns then, with `state` FAILED."""
        while True:
            self._attempts += 1
            self.connects += 1
            first = self.connects == 1
            self.state = StreamState.CONNECTING if first else StreamState.RECONNECTING
            try:
                await self._session()
            except Refused as error:
                self._fail(str(error))
                return
            except Temporary as error:
                self.last_error = str(error)
                if self._attempts >= self._backoff.max_attempts:
                    self._fail(f"gave up after {self._attempts} attempts: {error}")
                    return
                pause_s = self._pause(error)
                _log.info("%s; reconnecting in %.1f s", error, pause_s)
                self.state = StreamState.RECONNECTING
                await self._sleep(pause_s)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        # An unexpected error would otherwise leave a dead stream that appears to be alive.
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(f"stopped by {type(error).__name__}: {error}")

    def _fail(self, why: str) -> None:
        self.state = StreamState.FAILED
        self.last_error = why
        _log.warning("%s: %s", self.stream.name, why)

    def _pause(self, error: Temporary) -> float:
        pause_s = self._backoff.pause(self._attempts, self._jitter())
        if isinstance(error, RateLimited):
            return max(pause_s, error.retry_after_s)
        if isinstance(error, StreamClosed):
            return max(pause_s, error.spread_s * self._jitter())
        return pause_s

    async def _session(self) -> None:
        """One connection from handshake to end; always ends with an exception."""
        channel = await self._connected()
        try:
            self.state = StreamState.CONNECTED
            self._opened = self._last_data = self._monotonic()
            await self._first_of(self._read(channel), self._check_silence(channel))
        finally:
            self.disconnects += 1
            await channel.aclose()

    async def _connected(self) -> Channel:
        """Return a subscribed connection, within `connect_s`."""
        opening = asyncio.ensure_future(self._open())
        alarm = asyncio.ensure_future(self._sleep(self._backoff.connect_s))
        try:
            await asyncio.wait([opening, alarm], return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                return opening.result()
            await self._abandon(opening)
        except asyncio.CancelledError:
            await self._abandon(opening)
            raise
        finally:
            await _stop(alarm)
        limit_s = self._backoff.connect_s
        raise Temporary(f"{self.stream.name}: not connected and subscribed within {limit_s:g} s")

    async def _abandon(self, opening: asyncio.Future[Channel]) -> None:
        await _stop(opening)
        # It may have connected at the moment of the timeout.
        if not opening.cancelled() and opening.exception() is None:
            await opening.result().aclose()

    async def _open(self) -> Channel:
        channel = await self.stream.connect()
        try:
            await self.stream.subscribe(channel)
        except BaseException:
            await channel.aclose()
            raise
        return channel

    async def _read(self, channel: Channel) -> None:
        while True:
            frame = await channel.recv()
            try:
                brought_data = self.stream.feed(frame)
            except MalformedPayload as error:
                self.malformed += 1
                self.last_error = str(error)
                continue
            if brought_data:
                self._note_data()
                if self._received is not None:
                    self._received(self.stream.name, frame)

    def _note_data(self) -> None:
        self.frames += 1
        self._last_data = self._monotonic()
        if self._last_data - self._opened >= self._backoff.stable_s:
            self._attempts = 0

    async def _check_silence(self, channel: Channel) -> None:
        """Send pings, and end the session if no data arrive; a pong is not data."""
        ping_at = self._opened + self.stream.ping_every_s
        while True:
            stale_at = self._last_data + self._backoff.stale_s
            due = stale_at if self.stream.ping_text is None else min(stale_at, ping_at)
            await self._sleep(max(due - self._monotonic(), 0.001))
            now = self._monotonic()
            if now >= self._last_data + self._backoff.stale_s:
                raise Temporary(f"{self.stream.name}: no data for {now - self._last_data:.1f} s")
            if self.stream.ping_text is not None and now >= ping_at:
                await channel.send(self.stream.ping_text)
                ping_at = now + self.stream.ping_every_s

    async def _first_of(self, *work: Coroutine[None, None, None]) -> None:
        """Run all until one ends, and end with its result; the others are cancelled and awaited."""
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ended = next(task for task in tasks if task.done())
        finally:
            await _stop(*tasks)
        ended.result()


async def _stop(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks and wait until all have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
