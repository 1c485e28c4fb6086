"""The tokens that a request for books or prices names: one, or a batch in the query or the body."""

from typing import Annotated, Any

import msgspec
from aiohttp import web

from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.refusal import UNREADABLE, VenueRefusal
from venue.wire.common import venue_of

_Text = Annotated[str, msgspec.Meta(min_length=1)]

BATCH_LIMIT = 500
"""Tokens per request, as observed live."""
INVALID_PAYLOAD = VenueRefusal(400, "Invalid payload")
TOO_LONG = VenueRefusal(400, "Payload exceeds the limit")


def token_of(request: web.Request) -> str:
    """The token in the query.

    Raises
    ------
    VenueRefusal
        400 if it is missing or not a decimal number.
    """
    token = request.query.get("token_id", "")
    if not token.isdecimal():
        raise VenueRefusal(400, "Invalid token id")
    return token


async def asked_rows(request: web.Request, fields: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The rows of a batch: those of a POST body, or of a GET query's parallel lists (`token_ids`, `sides`).

    Raises
    ------
    VenueRefusal
        400 if a field of a row is missing, or if there are too many rows.
    """
    rows: list[tuple[str, ...]]
    if request.method == "GET":
        lists = [request.query.get(f"{field}s", "").split(",") for field in fields]
        if not all(all(values) for values in lists) or len({len(values) for values in lists}) != 1:
            raise INVALID_PAYLOAD
        rows = list(zip(*lists, strict=True))
    else:
        rows = [_row(row, fields) for row in await _body(request)]
    if len(rows) > BATCH_LIMIT:
        raise TOO_LONG
    return rows


async def asked_tokens(request: web.Request) -> list[str]:
    """The tokens of a batch."""
    return [token for (token,) in await asked_rows(request, ("token_id",))]


async def books_of(request: web.Request, tokens: list[str]) -> dict[str, tuple[VenueMarket, VenueBook]]:
    """Market and book of each token; a batch omits tokens without a book."""
    exchange = venue_of(request).exchange
    found: dict[str, tuple[VenueMarket, VenueBook]] = {}
    for token in tokens:
        try:
            found[token] = await exchange.book(token)
        except VenueRefusal:
            continue
    return found


async def _body(request: web.Request) -> list[Any]:
    try:
        return msgspec.json.decode(await request.read(), type=list[Any])
    except UNREADABLE as error:
        raise INVALID_PAYLOAD from error


def _row(row: Any, fields: tuple[str, ...]) -> tuple[str, ...]:
    try:
        values = msgspec.convert(row, dict[str, Any])
        return tuple(msgspec.convert(values[field], _Text) for field in fields)
    except (msgspec.ValidationError, KeyError) as error:
        raise INVALID_PAYLOAD from error
