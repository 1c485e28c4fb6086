"""Shared by all routes: access to the venue, JSON, authentication, paging, the request log."""

import base64
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from venue.auth import UNAUTHORIZED, ApiKey, check_l2
from venue.refusal import UNREADABLE, VenueRefusal
from venue.venue import LogEntry, PracticeVenue

log = logging.getLogger("venue.wire")

VENUE: web.AppKey[PracticeVenue] = web.AppKey("venue", PracticeVenue)
END = "LTE="
"""The cursor after the last page: base64 of "-1"."""
PAGE = 100
LONGEST_NUMBER = 18
"""Digits of a whole number in a query, at most: larger ones do not fit the database's integers."""


def venue_of(request: web.Request) -> PracticeVenue:
    """The venue of a request."""
    return request.app[VENUE]


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Any content as compact JSON."""
    return web.Response(
        body=msgspec.json.encode(content), status=status, content_type="application/json", headers=headers
    )


async def json_body(request: web.Request) -> Any:
    """The decoded body.

    Raises
    ------
    VenueRefusal
        400 if it is not JSON.
    """
    try:
        return msgspec.json.decode(await request.read())
    except UNREADABLE as error:
        raise VenueRefusal(400, "Invalid order payload") from error


async def authenticate(request: web.Request) -> ApiKey:
    """The API key proved by the request's L2 headers.

    Raises
    ------
    VenueRefusal
        401.
    """
    venue = venue_of(request)
    named = request.headers.get("POLY_API_KEY", "")
    # The text of a header that is not UTF-8 cannot be stored, so no key has it.
    key = venue.ledger.key(named) if named.isascii() else None
    body = (await request.read()).decode(errors="replace")
    now = venue.clock.wall_s()
    if venue.faults.consume("api_key_revoked") is not None:
        raise UNAUTHORIZED
    refuse_future(request, UNAUTHORIZED)
    return check_l2(request.headers, key, request.method, request.path, body, now)


def refuse_future(request: web.Request, refusal: VenueRefusal) -> None:
    """Apply the fault of a venue that accepts old timestamps but none ahead of its clock.

    Raises
    ------
    VenueRefusal
    """
    venue = venue_of(request)
    armed = venue.faults.armed("future_refused")
    stamp = request.headers.get("POLY_TIMESTAMP", "")
    if armed is not None and is_number(stamp) and int(stamp) > venue.clock.wall_s() + armed["seconds"]:
        venue.faults.consume("future_refused")
        raise refusal


def is_number(text: str) -> bool:
    """Whether a text is a whole number that the database could hold."""
    return text.isdecimal() and len(text) <= LONGEST_NUMBER


def finite(text: str, refusal: VenueRefusal) -> float:
    """A number of a query.

    Raises
    ------
    VenueRefusal
        The given one if it is not a finite number.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise refusal from error
    if not math.isfinite(value):
        raise refusal
    return value


def page[T](items: list[T], cursor: str | None, limit: int = PAGE) -> tuple[list[T], str]:
    """One page of a list and the cursor of the next; a cursor is the base64 of a position.

    Raises
    ------
    VenueRefusal
        400 if the cursor is invalid.
    """
    if cursor == END:
        return [], END
    try:
        first = int(base64.b64decode(cursor)) if cursor else 0
    except ValueError as error:
        raise VenueRefusal(400, "invalid next_cursor") from error
    following = first + limit
    more = following < len(items)
    return items[first:following], base64.b64encode(str(following).encode()).decode() if more else END


def paged(items: list[Any], request: web.Request) -> web.Response:
    """The CLOB's page of a list."""
    data, cursor = page(items, request.query.get("next_cursor"))
    return json_answer({"data": data, "next_cursor": cursor, "limit": PAGE, "count": len(data)})


@web.middleware
async def errors_and_log(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Convert refusals to the venue's JSON, and log every request.

    The control routes and the external services are not logged; the latter are requested every second.
    """
    status = 0
    try:
        response = await handler(request)
        dropped = request.transport is None or request.transport.is_closing()
        status = 0 if dropped else response.status
        return response
    except VenueRefusal as refusal:
        status = refusal.status
        return json_answer(refusal.body(), status)
    except web.HTTPException as error:
        status = error.status
        return json_answer({"error": error.reason}, status)
    except web.RequestPayloadError:  # the body is not in the encoding that its header names
        status = 400
        return json_answer({"error": "Bad Request"}, status)
    except ConnectionResetError:
        if not request.content.exception():
            raise
        # The client went away before its body was complete, and receives no answer.
        return json_answer({"error": "Bad Request"}, 400)
    finally:
        if not request.path.startswith(("/practice", "/external")):
            venue = venue_of(request)
            path = str(request.rel_url)
            venue.requests.append(LogEntry(venue.clock.wall_ns(), request.method, path, status))
            log.info("%s %s %s", request.method, path, status)
