"""Access to the external services: whether the venue has them, and the faults that block clients."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from venue.external.feeds import Feeds
from venue.refusal import VenueRefusal
from venue.wire.common import json_answer, venue_of

ABSENT = VenueRefusal(
    404, "this venue has no external services: they are available with --source synthetic only"
)

HTML = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><h1>Checking your browser before accessing this site</h1></body></html>"
)

Handler = Callable[[web.Request, Feeds], Awaitable[web.StreamResponse]]


def feeds_of(request: web.Request) -> Feeds:
    """The external services of the request's venue.

    Raises
    ------
    VenueRefusal
        404 if it has none.
    """
    feeds = venue_of(request).external
    if feeds is None:
        raise ABSENT
    return feeds


def service(name: str) -> Callable[[Handler], Callable[[web.Request], Awaitable[web.StreamResponse]]]:
    """Decorate a handler as a route of a service, with the service's faults."""

    def guard(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        @functools.wraps(handler)
        async def route(request: web.Request) -> web.StreamResponse:
            feeds = feeds_of(request)
            refused = await _refused(request, feeds, name)
            if refused is not None:
                return refused
            answer = await handler(request, feeds)
            if not answer.prepared and (age := int(feeds.staleness(name))):
                answer.headers["Age"] = str(age)
            return answer

        return route

    return guard


async def _refused(request: web.Request, feeds: Feeds, name: str) -> web.Response | None:
    """A fault's answer instead of the service's; None passes the request on."""
    if _strikes(feeds, "external_down", name) is not None:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)
    slow = _strikes(feeds, "external_slow", name)
    if slow is not None:
        await asyncio.sleep(slow["seconds"])
    limited = _strikes(feeds, "external_429", name)
    if limited is not None:
        return json_answer(_TOO_MANY.get(name, {"message": "Too many requests"}), 429, _retry(limited))
    page = _strikes(feeds, "external_html", name)
    if page is not None:
        return web.Response(text=HTML, status=page["status"], content_type="text/html")
    return None


_TOO_MANY: dict[str, dict[str, Any]] = {
    "deribit": {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}},
    "binance": {"code": -1003, "msg": "Too many requests."},
}


def _retry(parameters: dict[str, Any]) -> dict[str, str]:
    return {"Retry-After": str(int(parameters["retry_after"]))}


def _strikes(feeds: Feeds, fault: str, name: str) -> dict[str, Any] | None:
    return None if feeds.fault(fault, name) is None else feeds.faults.consume(fault)
