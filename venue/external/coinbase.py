"""Coinbase: the app's spot price, and the exchange's ticker."""

from datetime import UTC, datetime, timedelta

from aiohttp import web

from venue.amounts import decimal_text
from venue.external.access import service
from venue.external.assets import asset_named, price_text, steps
from venue.external.feeds import Feeds, FeedTime
from venue.external.services import PATHS
from venue.sources.price_path import UNIT, draws, draws_prefix
from venue.wire.common import json_answer

routes = web.RouteTableDef()

PRODUCTS = "{}-USD"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@routes.get(PATHS["coinbase"] + "/v2/prices/{product}/spot")
@service("coinbase")
async def spot(request: web.Request, feeds: Feeds) -> web.Response:
    asset = asset_named(request.match_info["product"], PRODUCTS, feeds.assets)
    if asset is None:
        error = {"id": "not_found", "message": "Invalid base currency"}
        return json_answer({"errors": [error]}, 404)
    price = price_text(steps(feeds.spot(feeds.now("coinbase").second, asset), asset), asset)
    return json_answer({"data": {"amount": price, "base": asset.upper(), "currency": "USD"}})


@routes.get(PATHS["coinbase_exchange"] + "/products/{product}/ticker")
@service("coinbase_exchange")
async def ticker(request: web.Request, feeds: Feeds) -> web.Response:
    asset = asset_named(request.match_info["product"], PRODUCTS, feeds.assets)
    if asset is None:
        return json_answer({"message": "NotFound"}, 404)
    moment = feeds.now("coinbase_exchange")
    price = steps(feeds.spot(moment.second, asset), asset)
    rng = draws(feeds.seed, f"{draws_prefix(asset)}coinbase", moment.second)
    return json_answer(
        {
            # The last trade was on one side of a spread of one step.
            "ask": price_text(price + 1, asset),
            "bid": price_text(price, asset),
            "volume": decimal_text(rng.randrange(7 * 10**11, 8 * 10**11), UNIT),
            "trade_id": moment.second,
            "price": price_text(price, asset),
            "size": decimal_text(rng.randrange(10**4, 10**7), UNIT),
            "time": _iso(moment),
        }
    )


def _iso(moment: FeedTime) -> str:
    at = _EPOCH + timedelta(microseconds=-(-moment.wall_ns // 1000))
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
