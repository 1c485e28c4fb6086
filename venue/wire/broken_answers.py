"""Faulty answers that a client has to limit: slow, nested, huge, mutated. The request is carried out."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from venue.bad_values import nested
from venue.mutations import INVALID, mutated_body
from venue.wire.common import venue_of

MEGABYTE = 1_000_000


@web.middleware
async def broken_answers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Replace or slow down an answer according to an armed fault of the requested path."""
    answer = await handler(request)
    cut = request.transport is None or request.transport.is_closing()
    if cut or not isinstance(answer, web.Response) or request.path.startswith("/practice"):
        return answer
    faults = venue_of(request).faults
    if (drip := faults.consume_for("drip_answer", request.path)) is not None:
        return await _sent(request, _head(answer), _dripping(_body(answer), drip["seconds"]))
    if (deep := faults.consume_for("nested_answer", request.path)) is not None:
        return web.Response(text=nested(deep["depth"]), content_type="application/json")
    is_json = answer.content_type == "application/json"
    if is_json and (random := faults.mutation("mutated_answer", request.path)) is not None:
        body = mutated_body(json.loads(_body(answer)), random, INVALID)
        return web.Response(body=body, status=answer.status, content_type="application/json")
    if (huge := faults.consume_for("huge_answer", request.path)) is not None:
        head = web.StreamResponse(headers={"Content-Type": "application/json"})
        if huge["compressed"]:
            head.enable_compression(web.ContentCoding.gzip)
        return await _sent(request, head, _filling(int(huge["megabytes"])))
    return answer


def _head(answer: web.Response) -> web.StreamResponse:
    """Status and headers of an answer, with the length of the body that follows."""
    head = web.StreamResponse(status=answer.status, headers=answer.headers)
    head.content_length = len(_body(answer))
    return head


def _body(answer: web.Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b""


async def _sent(
    request: web.Request, head: web.StreamResponse, parts: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send a body in parts until it ends or the client has gone."""
    try:
        await head.prepare(request)
        async for part in parts:
            await head.write(part)
        await head.write_eof()
    except ConnectionError:
        # A client that limits its requests closes the connection; the fault tests that.
        pass
    return head


async def _dripping(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for number in body:
        await asyncio.sleep(seconds)
        yield bytes((number,))


async def _filling(megabytes: int) -> AsyncIterator[bytes]:
    """A JSON object with one long text, slightly larger than the given size."""
    yield b'{"text":"'
    for _ in range(megabytes):
        yield b"x" * MEGABYTE
    yield b'"}'
