"""The CLOB's authenticated routes about resting orders: heartbeats, and whether orders score for rewards."""

from aiohttp import web

from venue.heartbeats import WrongHeartbeat
from venue.refusal import VenueRefusal
from venue.wire.common import authenticate, json_answer, json_body, venue_of

routes = web.RouteTableDef()


@routes.post("/v1/heartbeats")
async def heartbeat(request: web.Request) -> web.Response:
    """The first heartbeat has an empty id, each further one the id of the last answer."""
    key = await authenticate(request)
    venue, content = venue_of(request), await json_body(request)
    sent = content.get("heartbeat_id") if isinstance(content, dict) else None
    if not isinstance(sent, str):
        raise VenueRefusal(400, "Invalid payload")
    try:
        following = venue.heartbeats.accept(key.key, sent, venue.clock.wall_s())
    except WrongHeartbeat as error:
        return json_answer({"error_msg": str(error), "heartbeat_id": error.expected}, 400)
    return json_answer({"heartbeat_id": following})


@routes.get("/order-scoring")
async def order_scoring(request: web.Request) -> web.Response:
    key = await authenticate(request)
    order_id = request.query.get("order_id", "")
    if not order_id.startswith("0x"):
        raise VenueRefusal(400, "Invalid order ID")
    scoring = _scores(request, key.address, order_id)
    if scoring is None:
        raise VenueRefusal(404, "order not found")
    return json_answer({"scoring": scoring})


@routes.post("/orders-scoring")
async def orders_scoring(request: web.Request) -> web.Response:
    key = await authenticate(request)
    content = await json_body(request)
    if not isinstance(content, list) or not all(isinstance(each, str) for each in content):
        raise VenueRefusal(400, "Invalid payload")
    found = {order_id: _scores(request, key.address, order_id) for order_id in content}
    return json_answer({order_id: scoring for order_id, scoring in found.items() if scoring is not None})


def _scores(request: web.Request, address: str, order_id: str) -> bool | None:
    """Whether an account's order scores: no market here pays rewards, so none does. None if it is unknown."""
    order = venue_of(request).ledger.order(order_id)
    return None if order is None or order.address != address else False
