"""All routes of the external services, and the answers of a venue without them."""

from aiohttp import web

from venue.external import binance, coinbase, deribit, fear_greed, polybolt, rtds, solana
from venue.external.access import feeds_of
from venue.external.services import PREFIX
from venue.refusal import VenueRefusal


async def _unknown(request: web.Request) -> web.StreamResponse:
    feeds_of(request)
    raise VenueRefusal(404, f"no external service has {request.method} {request.path}")


def add_routes(app: web.Application) -> None:
    """Add the routes to a venue's application."""
    for module in (coinbase, deribit, fear_greed, binance, solana, rtds, polybolt):
        app.add_routes(module.routes)
    app.router.add_route("*", PREFIX + "/{tail:.*}", _unknown)
