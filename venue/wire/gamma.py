"""Gamma under /gamma: markets and events by slug, by condition, by page."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from venue.bad_values import value_of, with_value
from venue.market import VenueMarket
from venue.position_ids import condition_of_event, position_ids
from venue.refusal import VenueRefusal
from venue.venue import PracticeVenue
from venue.wire.common import is_number, json_answer, page, venue_of
from venue.wire.market_json import gamma_event, gamma_market

routes = web.RouteTableDef()

_Handler = Callable[[web.Request], Awaitable[web.Response]]
NOT_FOUND = VenueRefusal(404, "not found")
LIMIT = 100


def _failing(handler: _Handler) -> _Handler:
    """The route with the fault that makes Gamma answer 500."""

    async def guarded(request: web.Request) -> web.Response:
        if venue_of(request).faults.consume("gamma_500") is not None:
            raise VenueRefusal(500, "internal server error")
        return await handler(request)

    return guarded


@routes.get("/gamma/markets")
@_failing
async def markets(request: web.Request) -> web.Response:
    """An array; without `closed=true` finished markets are omitted, also when requested by slug."""
    venue = venue_of(request)
    found = _chosen(request, closed_default=False)
    first = _number(request, "offset", 0)
    shown = found[first : first + _number(request, "limit", LIMIT)]
    return json_answer([_market(venue, market) for market in shown])


@routes.get("/gamma/markets/keyset")
@_failing
async def markets_keyset(request: web.Request) -> web.Response:
    """Pages by cursor; the last page has none."""
    venue = venue_of(request)
    limit = min(LIMIT, _number(request, "limit", LIMIT))
    found, cursor = page(_chosen(request, closed_default=False), request.query.get("after_cursor"), limit)
    body: dict[str, Any] = {"markets": [_market(venue, market) for market in found]}
    if cursor != "LTE=":
        body["next_cursor"] = cursor
    return json_answer(body)


@routes.get("/gamma/markets/slug/{slug}")
@_failing
async def market_by_slug(request: web.Request) -> web.Response:
    return json_answer(_market(venue_of(request), _by_slug(request)))


@routes.get("/gamma/events")
@_failing
async def events(request: web.Request) -> web.Response:
    """An array; finished events are omitted only if `closed` requires it."""
    venue = venue_of(request)
    found = _chosen(request, closed_default=None)
    first = _number(request, "offset", 0)
    shown = found[first : first + _number(request, "limit", LIMIT)]
    return json_answer([_event(venue, market) for market in shown])


@routes.get("/gamma/events/slug/{slug}")
@_failing
async def event_by_slug(request: web.Request) -> web.Response:
    return json_answer(_event(venue_of(request), _by_slug(request)))


def _market(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    return _damaged(venue, market, gamma_market(venue, market))


def _event(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    own = gamma_market(venue, market)
    own.pop("events")
    return _damaged(venue, market, {**gamma_event(venue, market), "markets": [own]})


def _damaged(venue: PracticeVenue, market: VenueMarket, body: dict[str, Any]) -> dict[str, Any]:
    """The body with values replaced by armed faults."""
    foreign = venue.faults.armed("gamma_foreign_ids")
    if foreign is not None and market.slug == (foreign["slug"] or _next_slug(venue)):
        for field, value in _foreign_ids(venue, market, foreign["ids"]).items():
            body = with_value(body, field, value)
        venue.faults.consume("gamma_foreign_ids")
    bad = venue.faults.armed("gamma_value")
    if bad is not None and bad["slug"] in ("", market.slug):
        body = with_value(body, bad["field"], value_of(bad))
        venue.faults.consume("gamma_value")
    return body


def _next_slug(venue: PracticeVenue) -> str:
    """The slug of the first market that has not started."""
    now = venue.clock.market_s()
    return min((m for m in venue.schedule if m.start > now), key=lambda m: m.start).slug


def _foreign_ids(venue: PracticeVenue, market: VenueMarket, kind: str) -> dict[str, Any]:
    """Fields of a market with the ids of the previous market, or with ids that do not exist."""
    previous = venue.schedule.at(market.key - market.interval)
    if kind == "previous" and previous is not None:
        condition, tokens = previous.condition_id, list(previous.tokens)
    elif market.version == "v1":
        condition = "0x" + _digest("condition", market).hex()
        tokens = [str(int.from_bytes(_digest(token, market))) for token in market.tokens]
    else:
        condition = condition_of_event(_digest("condition", market))
        tokens = list(position_ids(condition))
    own: dict[str, Any] = {"clobTokenIds": json.dumps(tokens)}
    if market.version == "v2":
        own = {"positionIds": tokens}
    return {
        **(own if kind != "condition" else {}),
        **({"conditionId": condition} if kind != "tokens" else {}),
    }


def _digest(purpose: str, market: VenueMarket) -> bytes:
    return hashlib.sha256(f"practice:foreign:{purpose}:{market.slug}".encode()).digest()


def _by_slug(request: web.Request) -> VenueMarket:
    market = venue_of(request).schedule.by_slug(request.match_info["slug"])
    if market is None:
        raise NOT_FOUND
    return market


def _chosen(request: web.Request, *, closed_default: bool | None) -> list[VenueMarket]:
    """Markets selected by the query's slug, condition_ids, clob_token_ids or position_ids, and closed."""
    venue, query = venue_of(request), request.query
    closed = {"true": True, "false": False}.get(query.get("closed", "").lower(), closed_default)
    schedule = venue.schedule
    slugs, conditions = query.getall("slug", []), query.getall("condition_ids", [])
    tokens = [*query.getall("clob_token_ids", []), *query.getall("position_ids", [])]
    named: list[VenueMarket | None] = [
        *(schedule.by_slug(slug) for slug in slugs),
        *(schedule.by_condition(condition) for condition in conditions),
        *(schedule.by_token(token) for token in tokens),
    ]
    candidates = named if slugs or conditions or tokens else list(schedule)
    unique = {market.key: market for market in candidates if market is not None}
    if venue.faults.armed("gamma_forgets") is not None:
        unique = {key: m for key, m in unique.items() if not venue.exchange.resolved(m)}
    return [m for m in unique.values() if closed is None or venue.exchange.resolved(m) is closed]


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not is_number(text):
        raise VenueRefusal(422, f"invalid {name}")
    return int(text)
