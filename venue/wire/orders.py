"""POST /order and POST /orders, with all faults of their answers."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from venue import payloads
from venue.amounts import decimal_text
from venue.faults import UNAVAILABLE, Faults
from venue.order_intake import AcceptedOrder, OrderResult
from venue.refusal import UNREADABLE, VenueRefusal
from venue.venue import PracticeVenue
from venue.wire.common import authenticate, json_answer, venue_of

routes = web.RouteTableDef()

BATCH_LIMIT = 15
RETRY_AFTER = {"Retry-After": "5"}
GEOBLOCKED = (
    "Trading restricted in your region, please refer to available regions - "
    "https://docs.polymarket.com/developers/CLOB/geoblock"
)
HELD_BACK = "order match delayed due to market conditions"
HTML_403 = (
    "<!DOCTYPE html><html><head><title>403 Forbidden</title></head>"
    "<body><h1>Sorry, you have been blocked</h1></body></html>"
)


@routes.post("/order")
async def post_order(request: web.Request) -> web.StreamResponse:
    """One order. Faults apply before it exists, or replace the answer."""
    venue = venue_of(request)
    if venue.faults.consume("drop_before_read") is not None:
        return _dropped(request)
    refused = _refused(venue.faults)
    if refused is not None:
        return refused
    key = await authenticate(request)
    accepted = venue.order_intake.accept(key, _decoded(await request.read()))
    delay = venue.faults.consume("delayed")
    if delay is not None:
        venue.lifecycle.spawn(_later(venue, accepted, delay["seconds"]))
        success = delay["success"]
        text = "" if success else HELD_BACK
        return json_answer(payloads.answer(accepted.order.id, "delayed", success=success, error=text))
    result = await venue.order_intake.execute(accepted)
    return await _answered(request, venue, result)


@routes.post("/orders")
async def post_orders(request: web.Request) -> web.StreamResponse:
    """A batch: every order has its own answer, and a rejected one differs only by its message."""
    venue = venue_of(request)
    key = await authenticate(request)
    content = _decoded(await request.read())
    if not isinstance(content, list) or not content:
        raise VenueRefusal(400, "Invalid order payload")
    if len(content) > BATCH_LIMIT:
        raise VenueRefusal(400, f"Too many orders in payload: {len(content)}, max allowed: {BATCH_LIMIT}")

    async def leg(payload: Any) -> dict[str, Any]:
        try:
            return result_answer(await venue.order_intake.execute(venue.order_intake.accept(key, payload)))
        except VenueRefusal as refusal:
            return payloads.answer("", "", error=refusal.text)

    return json_answer(await asyncio.gather(*(leg(payload) for payload in content)))


def result_answer(result: OrderResult) -> dict[str, Any]:
    """The venue's answer to an order that it executed."""
    order = result.order
    if not result.trades:
        return payloads.answer(order.id, "live")
    usd, shares = decimal_text(order.matched_usd), decimal_text(order.matched_shares)
    making, taking = (usd, shares) if order.side == "BUY" else (shares, usd)
    ids = [trade.id for trade in result.trades]
    return payloads.answer(order.id, "matched", making=making, taking=taking, trade_ids=ids)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except UNREADABLE as error:
        raise VenueRefusal(400, "Invalid order payload") from error


def _refused(faults: Faults) -> web.Response | None:
    """The answer of a fault that applies before the order exists."""
    if faults.consume("geoblocked") is not None:
        return json_answer({"error": GEOBLOCKED}, 403)
    if faults.consume("rate_limit_429") is not None:
        return json_answer({"error": "Too Many Requests"}, 429, RETRY_AFTER)
    if faults.consume("html_403") is not None:
        return web.Response(text=HTML_403, status=403, content_type="text/html")
    failure = faults.consume("success_false")
    if failure is not None:
        return json_answer(payloads.answer("", "", success=False, error=failure["text"]))
    if faults.consume("unmatched") is not None:
        return json_answer(payloads.answer("", "unmatched", making="0", taking="0"))
    return _failed(faults, executed=False)


def _failed(faults: Faults, *, executed: bool) -> web.Response | None:
    """Answers of faults that may apply before an order exists, or after it was executed."""
    for name in ("too_early_425", "error_500", "refused_4xx", "unavailable_503"):
        armed = faults.armed(name)
        if armed is None or armed["executed"] is not executed:
            continue
        faults.consume(name)
        if name == "too_early_425":
            return json_answer({"error": "Too Early"}, 425, RETRY_AFTER)
        if name in ("error_500", "refused_4xx"):
            return json_answer({"error": armed["text"]}, armed.get("status", 500))
        return json_answer(UNAVAILABLE[armed["variant"]], 503)
    return None


async def _answered(request: web.Request, venue: PracticeVenue, result: OrderResult) -> web.StreamResponse:
    """The answer to an executed order, changed by armed faults."""
    faults = venue.faults
    failed = _failed(faults, executed=True)
    if failed is not None:
        return failed
    if faults.consume("drop_after_accept") is not None:
        return _dropped(request)
    hang = faults.consume("hang")
    if hang is not None:
        await asyncio.sleep(hang["seconds"])
        return _dropped(request)
    early = faults.armed("trade_before_response")
    if early is not None:
        # The lifecycle checks the same fault when it publishes the trade, and consumes it then.
        await asyncio.sleep(early["seconds"])
        faults.consume("trade_before_response")
    if faults.consume("live_fak") is not None:
        return json_answer(payloads.answer(result.order.id, "live"))
    return json_answer(result_answer(result))


async def _later(venue: PracticeVenue, accepted: AcceptedOrder, seconds: float) -> None:
    """Execute an order that was answered with `delayed`; a kill is published on the user feed."""
    await asyncio.sleep(seconds)
    try:
        await venue.order_intake.execute(accepted)
    except VenueRefusal:
        venue.order_intake.publish_cancellation(accepted.order)


def _dropped(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
