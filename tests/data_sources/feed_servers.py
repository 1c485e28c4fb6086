"""Real servers on loopback with configurable behaviour."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

HTML = b"<!DOCTYPE html><html><head><title>Attention Required!</title></head><body>blocked</body></html>"


class Host:
    """An HTTP server whose answers are set by path; an unknown path is a 404."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.client_ports: set[int] = set()
        self.url = ""
        self._handlers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> "Host":
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def aclose(self) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def count(self, path: str) -> int:
        return self.hits.count(path)

    def answer(
        self,
        path: str,
        body: bytes,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        delay_s: float = 0,
    ) -> None:
        """Answer with `body`, after `delay_s` or when the server closes."""

        async def handler(request: web.Request) -> web.StreamResponse:
            if delay_s:
                await asyncio.wait([asyncio.ensure_future(self._closing.wait())], timeout=delay_s)
            return web.Response(status=status, body=body, headers=headers)

        self._handlers[path] = handler

    def answer_together(self, bodies: dict[str, bytes]) -> None:
        """Answer each path only when all of them have been asked for."""
        asked = asyncio.Barrier(len(bodies))
        for path, body in bodies.items():
            self._handlers[path] = self._after(asked, body)

    @staticmethod
    def _after(asked: asyncio.Barrier, body: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            await asked.wait()
            return web.Response(body=body)

        return handler

    def answer_rpc(self, results: dict[str, bytes]) -> None:
        """Answer JSON-RPC posts to / by their method."""

        async def handler(request: web.Request) -> web.StreamResponse:
            message: dict[str, Any] = await request.json()
            self.hits.append(message["method"])
            return web.Response(body=results[message["method"]], content_type="application/json")

        self._handlers["/"] = handler

    def drop(self, path: str, sent: bytes = b"") -> None:
        """Announce a long body, send `sent` of it, then reset the connection."""

        async def handler(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            if sent:
                response = web.StreamResponse(headers={"Content-Length": "100000"})
                await response.prepare(request)
                await response.write(sent)
            raw: socket.socket = request.transport.get_extra_info("socket")
            # Linger zero turns the close into a reset.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
            return web.Response()

        self._handlers[path] = handler

    def drip(self, path: str, every_s: float) -> None:
        """Send one byte at a time, forever."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while not self._closing.is_set() and request.transport is not None:
                await response.write(b" ")
                await asyncio.wait([asyncio.ensure_future(self._closing.wait())], timeout=every_s)
            return response

        self._handlers[path] = handler

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            self.client_ports.add(request.transport.get_extra_info("peername")[1])
        self.hits.append(request.path)
        self.queries.append(dict(request.query))
        handler = self._handlers.get(request.path)
        if handler is None:
            return web.json_response({"message": "NotFound"}, status=404)
        return await handler(request)


@asynccontextmanager
async def socket_server(
    handler: Callable[[ServerConnection], Awaitable[None]], **options: Any
) -> AsyncIterator[str]:
    """A websocket server; returns its address."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until `condition` holds; a deadline turns a hang into a failure."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.002)
