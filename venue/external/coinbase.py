"""Coinbase: the app's spot price, and the exchange's ticker."""

from datetime import UTC, datetime, timedelta

from aiohttp import web

from venue.amounts import decimal_text
from venue.external.access import service
from venue.external.feeds import Feeds, FeedTime
from venue.external.services import PATHS
from venue.sources.price_path import UNIT, draws
from venue.wire.common import json_answer

routes = web.RouteTableDef()

PRODUCT = "BTC-USD"
CENT = UNIT // 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cents(price: int) -> int:
    """A price of 1e-8 USD in cents, rounded to the nearest."""
    return (price + CENT // 2) // CENT


def dollars(amount: int) -> str:
    """Cents as "68923.67"."""
    return f"{amount // 100}.{amount % 100:02d}"


@routes.get(PATHS["coinbase"] + "/v2/prices/{product}/spot")
@service("coinbase")
async def spot(request: web.Request, feeds: Feeds) -> web.Response:
    if request.match_info["product"] != PRODUCT:
        error = {"id": "not_found", "message": "Invalid base currency"}
        return json_answer({"errors": [error]}, 404)
    price = cents(feeds.spot(feeds.now("coinbase").second))
    return json_answer({"data": {"amount": dollars(price), "base": "BTC", "currency": "USD"}})


@routes.get(PATHS["coinbase_exchange"] + "/products/{product}/ticker")
@service("coinbase_exchange")
async def ticker(request: web.Request, feeds: Feeds) -> web.Response:
    if request.match_info["product"] != PRODUCT:
        return json_answer({"message": "NotFound"}, 404)
    moment = feeds.now("coinbase_exchange")
    price = cents(feeds.spot(moment.second))
    rng = draws(feeds.seed, "coinbase", moment.second)
    return json_answer(
        {
            # The last trade was on one side of a one-cent spread.
            "ask": dollars(price + 1),
            "bid": dollars(price),
            "volume": decimal_text(rng.randrange(7 * 10**11, 8 * 10**11), UNIT),
            "trade_id": moment.second,
            "price": dollars(price),
            "size": decimal_text(rng.randrange(10**4, 10**7), UNIT),
            "time": _iso(moment),
        }
    )


def _iso(moment: FeedTime) -> str:
    at = _EPOCH + timedelta(microseconds=-(-moment.wall_ns // 1000))
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
