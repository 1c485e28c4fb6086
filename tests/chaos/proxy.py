"""A relay on loopback between the bot and the practice venue, with faults of the connection.

It forwards bytes. Of HTTP it reads where an answer begins; of a WebSocket it reads the frames of the venue,
which are not masked. `RELAY_FAULTS` names what it can do.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec

RELAY_FAULTS = {
    "wire_delay": "every answer and frame comes `seconds` later",
    "wire_hang": "no byte of the venue is forwarded; connections stay open",
    "wire_reset": "the connection is reset in place of an answer",
    "wire_half": "half of an answer is sent, then the connection is closed",
    "wire_garbage": "the body of an answer has other bytes, as many of them",
    "wire_slow": "an answer comes one byte every `seconds`",
    "stream_silent": "no frame of the venue's streams is forwarded; connections stay open",
    "stream_no_pong": "pings of the bot are not answered",
    "stream_duplicated": "a frame is sent twice",
    "stream_reordered": "a frame comes after the one that follows it",
    "stream_missing": "a frame is not sent",
    "stream_stale_book": "the first book snapshot of the connection is sent again after a frame",
}
CHUNK = 65536
PONG_FRAME = 0xA
POLL_S = 0.02
BLANK = b"\r\n\r\n"
BOOK = b'"event_type":"book"'
"""What a frame with a snapshot of a book has."""


class Armed(msgspec.Struct):
    """A fault that applies `left` more times; None: until it is cleared."""

    left: int | None
    seconds: float


class Frame(msgspec.Struct, frozen=True):
    """One frame of a WebSocket, as bytes, with its opcode and payload."""

    raw: bytes
    opcode: int
    payload: bytes


def split_frames(received: bytes) -> tuple[list[Frame], bytes]:
    """The complete frames at the beginning of the bytes, and the rest. The frames are not masked."""
    frames = []
    while len(received) >= 2:
        length, head = received[1] & 0x7F, 2
        if length == 126:
            head = 4
        elif length == 127:
            head = 10
        if len(received) < head:
            break
        if head > 2:
            length = int.from_bytes(received[2:head])
        if len(received) < head + length:
            break
        frames.append(Frame(received[: head + length], received[0] & 0x0F, received[head : head + length]))
        received = received[head + length :]
    return frames, received


def garbled(answer: bytes) -> bytes:
    """The answer with its head, and a body of other bytes of the same length."""
    head, blank, body = answer.partition(BLANK)
    return head + blank + bytes(byte ^ 0xA5 for byte in body)


class Relay:
    """The relay, on a thread of its own.

    Parameters
    ----------
    upstream_file : Path
        The file with the venue's address; it is read for each connection, because a venue that is started
        again has another one.
    """

    def __init__(self, upstream_file: Path) -> None:
        self._file = upstream_file
        self._armed: dict[str, Armed] = {}
        self.struck: dict[str, int] = dict.fromkeys(RELAY_FAULTS, 0)
        """How often each fault was applied."""
        self._lock = threading.Lock()
        self._listening = threading.Event()
        self._port = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="relay", daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def upstream(self) -> str:
        """The venue's address.

        Raises
        ------
        AssertionError
            If no venue has announced it yet.
        """
        assert self._file.exists(), "no venue has announced its address"
        return self._file.read_text()

    def arm(self, fault: str, count: int | None = 1, seconds: float = 0.0) -> None:
        """Apply a fault `count` times, or until it is cleared if that is None."""
        if fault not in RELAY_FAULTS:
            raise ValueError(f"unknown fault {fault!r}; known: {', '.join(RELAY_FAULTS)}")
        with self._lock:
            self._armed[fault] = Armed(count, seconds)

    def clear(self, fault: str | None = None) -> None:
        """Disarm one fault, or all."""
        with self._lock:
            if fault is None:
                self._armed.clear()
            else:
                self._armed.pop(fault, None)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(10), "the relay does not listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # --- on the relay's thread ---------------------------------------------------------------------

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def opened(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(opened, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            address = urlsplit(self.upstream)
            venue_reader, venue_writer = await asyncio.open_connection(address.hostname, address.port)
        except (OSError, AssertionError):
            _reset(writer)
            return
        directions = [
            self._loop.create_task(_forward(reader, venue_writer)),
            self._loop.create_task(self._answers(venue_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            for one in (writer, venue_writer):
                one.close()

    async def _answers(self, venue: asyncio.StreamReader, bot: asyncio.StreamWriter) -> None:
        """Forward what the venue sends, with the armed faults, until one side closes."""
        with suppress(OSError):
            while received := await venue.read(CHUNK):
                head, blank, rest = received.partition(BLANK)
                if head.startswith(b"HTTP/1.1 101") and blank:
                    bot.write(head + blank)
                    await self._stream(rest, venue, bot)
                    return
                if not await self._answer(received, bot):
                    return

    async def _answer(self, received: bytes, bot: asyncio.StreamWriter) -> bool:
        """Forward a part of an answer; False if the connection has ended by a fault."""
        await self._hold("wire_hang")
        await self._delay()
        begins = received.startswith(b"HTTP/1.1 ")
        if begins and self._consume("wire_reset") is not None:
            _reset(bot)
            return False
        if begins and self._consume("wire_half") is not None:
            bot.write(received[: len(received) // 2])
            await bot.drain()
            return False
        if begins and self._consume("wire_garbage") is not None:
            received = garbled(received)
        if begins and (slow := self._consume("wire_slow")) is not None:
            for byte in received:
                bot.write(bytes((byte,)))
                await asyncio.sleep(slow.seconds)
            return True
        bot.write(received)
        await bot.drain()
        return True

    async def _stream(self, rest: bytes, venue: asyncio.StreamReader, bot: asyncio.StreamWriter) -> None:
        async for frame in self._frames(rest, venue):
            for sent in frame:
                await self._hold("wire_hang")
                await self._delay()
                bot.write(sent.raw)
            await bot.drain()

    async def _frames(self, rest: bytes, venue: asyncio.StreamReader) -> AsyncIterator[list[Frame]]:
        """The frames to send for each one of the venue."""
        held: list[Frame] = []
        snapshot: list[Frame] = []
        while True:
            frames, rest = split_frames(rest)
            for frame in frames:
                pong = frame.opcode == PONG_FRAME or frame.payload == b"PONG"
                if self._is_dropped(frame, pong=pong):
                    continue
                if not pong and not held and self._consume("stream_reordered") is not None:
                    held = [frame]
                    continue
                twice = not pong and self._consume("stream_duplicated") is not None
                stale = not pong and snapshot and self._consume("stream_stale_book") is not None
                yield [frame, *([frame] if twice else []), *held, *(snapshot if stale else [])]
                held = []
                if not snapshot and BOOK in frame.payload:
                    snapshot = [frame]
            received = await venue.read(CHUNK)
            if not received:
                return
            rest += received

    def _is_dropped(self, frame: Frame, *, pong: bool) -> bool:
        if self._peek("stream_silent") is not None:
            self.struck["stream_silent"] += 1
            return True
        if pong:
            return self._consume("stream_no_pong") is not None
        return self._consume("stream_missing") is not None

    async def _hold(self, fault: str) -> None:
        """Wait while a fault is armed."""
        if self._peek(fault) is not None:
            self.struck[fault] += 1
            while self._peek(fault) is not None:  # noqa: ASYNC110  cleared by another thread
                await asyncio.sleep(POLL_S)

    async def _delay(self) -> None:
        if (delay := self._consume("wire_delay")) is not None:
            await asyncio.sleep(delay.seconds)

    def _peek(self, fault: str) -> Armed | None:
        with self._lock:
            return self._armed.get(fault)

    def _consume(self, fault: str) -> Armed | None:
        with self._lock:
            armed = self._armed.get(fault)
            if armed is None:
                return None
            self.struck[fault] += 1
            if armed.left is not None:
                armed.left -= 1
                if armed.left == 0:
                    del self._armed[fault]
            return armed


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while received := await reader.read(CHUNK):
            writer.write(received)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset instead of an orderly close."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
