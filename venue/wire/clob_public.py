"""The CLOB's public routes: server, markets, books."""

from typing import Any

from aiohttp import web

from venue.amounts import price_text
from venue.market import VenueMarket
from venue.order_book import VenueBook, summary
from venue.refusal import VenueRefusal
from venue.wire import market_json
from venue.wire.common import json_answer, paged, venue_of
from venue.wire.tokens import asked_tokens, books_of, token_of

routes = web.RouteTableDef()

MARKET_NOT_FOUND = VenueRefusal(404, "market not found")


@routes.get("/ok")
async def ok(_: web.Request) -> web.Response:
    return json_answer("OK")


@routes.get("/time")
async def server_time(request: web.Request) -> web.Response:
    venue = venue_of(request)
    skew = venue.faults.armed("clock_skew")
    return json_answer(int(venue.clock.wall_s() + (0 if skew is None else skew["seconds"])))


@routes.get("/version")
async def version(_: web.Request) -> web.Response:
    return json_answer({"version": 2})


@routes.get("/api/geoblock")
async def geoblock(request: web.Request) -> web.Response:
    """Whether orders are accepted from the caller's location; on the real venue a route of its web site."""
    armed = venue_of(request).faults.armed("geoblocked")
    place = {"country": "IE", "region": "L"} if armed is None else armed
    return json_answer({"blocked": armed is not None, "ip": request.remote, **place})


@routes.get("/markets")
async def markets(request: web.Request) -> web.Response:
    venue = venue_of(request)
    return paged([market_json.clob_market(venue, market) for market in venue.schedule], request)


@routes.get("/markets/{condition_id}")
async def market(request: web.Request) -> web.Response:
    return json_answer(market_json.clob_market(venue_of(request), _by_condition(request)))


@routes.get("/clob-markets/{condition_id}")
async def clob_info(request: web.Request) -> web.Response:
    return json_answer(market_json.clob_info(venue_of(request), _by_condition(request)))


@routes.get("/markets-by-token/{token}")
async def market_by_token(request: web.Request) -> web.Response:
    found = venue_of(request).schedule.by_token(request.match_info["token"])
    if found is None:
        raise MARKET_NOT_FOUND
    answer = {
        "condition_id": found.condition_id,
        "primary_token_id": found.up_token,
        "secondary_token_id": found.down_token,
    }
    return json_answer(answer)


@routes.get("/book")
async def book(request: web.Request) -> web.Response:
    token = token_of(request)
    return json_answer(_summary(request, token, *await venue_of(request).exchange.book(token)))


@routes.post("/books")
async def books(request: web.Request) -> web.Response:
    found = await books_of(request, await asked_tokens(request))
    return json_answer([_summary(request, token, *book) for token, book in found.items()])


@routes.get("/tick-size")
async def tick_size(request: web.Request) -> web.Response:
    found = _by_token(request)
    return json_answer({"minimum_tick_size": market_json.tick_number(venue_of(request), found)})


@routes.get("/neg-risk")
async def neg_risk(request: web.Request) -> web.Response:
    _by_token(request)
    return json_answer({"neg_risk": False})


@routes.get("/fee-rate")
async def fee_rate(request: web.Request) -> web.Response:
    """The legacy cap in basis points, not the fee, which is in Gamma's feeSchedule and in `fd`."""
    _by_token(request)
    return json_answer({"base_fee": 1000})


@routes.get("/fees/builder-fees/{code}")
async def builder_fees(_: web.Request) -> web.Response:
    return json_answer({"builder_maker_fee_rate_bps": 0, "builder_taker_fee_rate_bps": 0})


def _by_token(request: web.Request) -> VenueMarket:
    """The market of the requested token, for terms that are independent of its book."""
    return venue_of(request).exchange.trading(token_of(request))


def _by_condition(request: web.Request) -> VenueMarket:
    found = venue_of(request).schedule.by_condition(request.match_info["condition_id"])
    if found is None:
        raise MARKET_NOT_FOUND
    return found


def _summary(request: web.Request, token: str, found: VenueMarket, standing: VenueBook) -> dict[str, Any]:
    exchange = venue_of(request).exchange
    last = exchange.last_trade(token)
    return summary(
        standing,
        market=found.condition_id,
        token=token,
        timestamp_ms=exchange.clock.wall_ms(),
        tick=exchange.tick(found),
        last_price="" if last is None else price_text(last.price),
        minimum_shares=found.minimum_shares,
    )
