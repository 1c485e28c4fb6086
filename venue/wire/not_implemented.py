"""Routes that the official clients know and this venue does not have: 501 with the reason."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from venue.refusal import VenueRefusal

routes = web.RouteTableDef()

REASONS = {
    "/rewards/{rest:.*}": "no market here pays rewards",
    "/rebates/{rest:.*}": "makers get no rebates here",
    "/notifications": "there are no notifications; read the user stream",
    "/auth/builder-api-key": "there are no builder keys",
    "/auth/readonly-api-key": "there are no read-only keys",
    "/auth/readonly-api-keys": "there are no read-only keys",
    "/builder/trades": "there are no builder keys",
    "/rfq/{rest:.*}": "there are no requests for quotes",
    "/sampling-markets": "no market here pays rewards",
    "/sampling-simplified-markets": "no market here pays rewards",
    "/simplified-markets": "read /markets",
    "/markets/live-activity/{rest:.*}": "read the market stream",
    "/data/pre-migration-orders": "there are no orders of the first protocol",
    "/v1/user/rate-limit-tier": "there are no rate limits",
    "/data-api/{rest:.*}": "the Data API here has positions, value, trades, activity, approvals, resolutions "
    "and prices-history",
    "/gamma/{rest:.*}": "Gamma here has markets and events",
}


def _answering(reason: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler that refuses a route."""

    async def refuse(request: web.Request) -> web.Response:
        raise VenueRefusal(501, f"{request.method} {request.path} is not implemented: {reason}")

    return refuse


for _path, _reason in REASONS.items():
    routes.route("*", _path)(_answering(_reason))
