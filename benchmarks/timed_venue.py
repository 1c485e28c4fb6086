"""The practice venue, with the times at which a book change leaves and the order that follows arrives.

    python -m benchmarks.timed_venue [options of python -m venue]

``POST /practice/turn`` with a market's slug and an address changes the market's book by a hundredth of a
share, and answers when an order of the address has been answered: see `Turn` and `TurnTimes`. All times are
those of this machine's monotonic clock, which its processes share. A request arrives when the kernel has
received its first byte (`arrival_ns`): the time until the venue is awake and reads it is no sender's.

``POST /practice/round-trip`` with a number of seconds puts a network between the venue and its clients: half
of that time passes before each request is handled and half before its answer leaves, and one round trip more
before the first request of a connection. Streams are not delayed, so that each sender has the tick at once;
nor are the requests under ``/practice``. The event loop's timers add up to a millisecond to each half.
"""

import asyncio
import os
import socket
import struct
import sys
import time
from asyncio.selector_events import (
    _SelectorSocketTransport,  # pyright: ignore[reportAttributeAccessIssue]
)
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from venue import __main__ as venue_command
from venue.market import VenueMarket
from venue.private_files import UMASK
from venue.venue import PracticeVenue
from venue.wire.app import make_app
from venue.wire.common import venue_of

ORDER_LIMIT_S = 2.0
"""Longest wait for an order after a book change."""
CHANGE = 10_000
"""Micro shares taken from the best offer: too few to move a price in any number of turns."""
KEPT_FRAMES = 500
QUIET_NS = 20_000_000
"""A frame within this time before the request may still be on its way to the client."""
SO_TIMESTAMPNS = 35
"""Option of Linux, not named by Python: received bytes have the time of their arrival, as a `timespec` of the
real-time clock (https://docs.kernel.org/networking/timestamping.html)."""
TIMESPEC = struct.Struct("@ll")


class Turn(msgspec.Struct, frozen=True):
    """Which market's book is changed, and whose order is awaited; `armed_ns` is when the client was ready."""

    slug: str
    address: str
    armed_ns: int


class TurnTimes(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes
    ----------
    sent_ns : int
        When the first frame about the market after `armed_ns` was handed to its socket; 0 without one.
    arrived_ns : int or None
        When the order's POST arrived, with its first byte, after half of the round trip; None if none did
        within `ORDER_LIMIT_S`.
    disturbed : bool
        Whether another frame about the market was under way: then it is unknown which one was answered.
    """

    sent_ns: int
    arrived_ns: int | None
    disturbed: bool


class TurnClock:
    """Times of the frames about the markets, and of the orders."""

    def __init__(self) -> None:
        self._round_trip_s = 0.0
        self._connections: WeakSet[object] = WeakSet()
        """Those that have sent a request."""
        self._frames: deque[tuple[int, str]] = deque(maxlen=KEPT_FRAMES)
        self._orders: dict[str, asyncio.Future[int]] = {}
        self._first_bytes: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        """When the first byte of a connection's next request was received."""

    def bytes_received(self, transport: object, at_ns: int) -> None:
        """Bytes of a request arrived on a connection; the first ones count."""
        self._first_bytes.setdefault(transport, at_ns)

    def frame_sent(self, text: str) -> None:
        """A frame is about to be handed to its socket."""
        self._frames.append((time.monotonic_ns(), text))

    @web.middleware
    async def order_arrived(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Time each POST /order by its first byte; this is called after its header has been parsed."""
        if request.transport is None:  # the client has gone
            return await handler(request)
        called_ns = time.monotonic_ns()
        parsing_ns = called_ns - self._first_bytes.get(request.transport, called_ns)
        far_s = 0.0 if _is_near(request) else self._round_trip_s
        if far_s:
            await asyncio.sleep(far_s / 2 + (0 if request.transport in self._connections else far_s))
        self._connections.add(request.transport)
        arrived_ns = time.monotonic_ns() - parsing_ns
        await request.read()
        # Now the body is here, too, also if the handler answers without it: what follows is another request.
        self._first_bytes.pop(request.transport, None)
        answer = await handler(request)
        if far_s:
            await asyncio.sleep(far_s / 2)
        if (request.method, request.path) != ("POST", "/order"):
            return answer
        order = self._orders.pop(request.headers.get("POLY_ADDRESS", "").lower(), None)
        if order is not None and not order.done():
            order.set_result(arrived_ns)
        return answer

    async def set_round_trip(self, request: web.Request) -> web.Response:
        """Set the round-trip time of all further requests."""
        self._round_trip_s = msgspec.json.decode(await request.read(), type=float, strict=False)
        return web.Response()

    async def turn(self, request: web.Request) -> web.Response:
        """Change a book, and wait for the order."""
        venue = venue_of(request)
        wanted = msgspec.json.decode(await request.read(), type=Turn)
        market = venue.schedule.by_slug(wanted.slug)
        if market is None:
            return web.Response(status=404, text=f"no market {wanted.slug}")
        order = self._orders[wanted.address.lower()] = asyncio.get_running_loop().create_future()
        _change_book(venue, market)
        try:
            arrived_ns = await asyncio.wait_for(order, ORDER_LIMIT_S)
        except TimeoutError:
            arrived_ns = None
        until_ns = time.monotonic_ns() if arrived_ns is None else arrived_ns
        times = [
            ns
            for ns, text in self._frames
            if wanted.armed_ns - QUIET_NS < ns <= until_ns and market.condition_id in text
        ]
        answer = TurnTimes(
            sent_ns=next((ns for ns in times if ns >= wanted.armed_ns), 0),
            arrived_ns=arrived_ns,
            disturbed=len(times) != 1,
        )
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def _is_near(request: web.Request) -> bool:
    """Whether a request is never delayed: the benchmark's own ones, and the beginning of a stream."""
    return request.path.startswith("/practice/") or "Upgrade" in request.headers


def _change_book(venue: PracticeVenue, market: VenueMarket) -> None:
    """Take a small part of the best offer for Up, and publish that to the market's subscribers."""
    exchange = venue.exchange
    source = exchange.source_book(market)
    price, _ = exchange.facing(market, source, market.up_token, "BUY")[0]
    exchange.consume(market, source, market.up_token, "BUY", price, CHANGE)
    venue.markets.refresh(market)


def arrival_ns(connection: socket.socket) -> int | None:
    """When the kernel received the next byte of a connection, which is not read; None at its end.

    Nanoseconds of the monotonic clock. Where the kernel does not state it, it is now.
    """
    first, added, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(TIMESPEC.size), socket.MSG_PEEK)
    now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
    for level, kind, value in added:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, ns = TIMESPEC.unpack(value)
            now_ns -= wall_ns - (seconds * 1_000_000_000 + ns)
    return now_ns if first else None


def time_arrivals(connection: Any) -> None:
    """Let the kernel state when bytes arrive on a connection; on other systems than Linux nothing is changed.

    Parameters
    ----------
    connection : socket.socket or asyncio's socket of a transport
    """
    if sys.platform == "linux":
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def time_first_bytes(clock: TurnClock) -> None:
    """Time the bytes of requests to aiohttp before they are read."""
    made, ready = RequestHandler.connection_made, _SelectorSocketTransport._read_ready__data_received

    def connection_made(self: RequestHandler, transport: Any) -> None:
        time_arrivals(transport.get_extra_info("socket"))
        made(self, transport)

    def read_ready(self: Any) -> None:
        if isinstance(self.get_protocol(), RequestHandler):
            with suppress(OSError):  # it is raised again where the bytes are read
                if (at_ns := arrival_ns(self._sock)) is not None:
                    clock.bytes_received(self, at_ns)
        ready(self)

    RequestHandler.connection_made = connection_made
    _SelectorSocketTransport._read_ready__data_received = read_ready


def main() -> int:
    """Run the venue until it is stopped."""
    clock = TurnClock()
    unpatched = web.WebSocketResponse.send_str

    async def send_str(self: web.WebSocketResponse, data: str, compress: int | None = None) -> None:
        clock.frame_sent(data)
        await unpatched(self, data, compress)

    def timed_app(venue: PracticeVenue) -> web.Application:
        app = make_app(venue)
        app.middlewares.insert(0, clock.order_arrived)
        app.router.add_post("/practice/turn", clock.turn)
        app.router.add_post("/practice/round-trip", clock.set_round_trip)
        return app

    web.WebSocketResponse.send_str = send_str
    time_first_bytes(clock)
    venue_command.make_app = timed_app
    return venue_command.main()


if __name__ == "__main__":
    os.umask(UMASK)
    sys.exit(main())
