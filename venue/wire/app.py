"""All routes on one port: CLOB at the root, Gamma and Data API below it, the sockets, the control routes."""

from aiohttp import web

from venue.external.routes import add_routes
from venue.venue import PracticeVenue
from venue.wire import (
    chain,
    clob_account,
    clob_prices,
    clob_private,
    clob_public,
    data_api,
    data_api_v2,
    gamma,
    not_implemented,
    orders,
    practice,
)
from venue.wire.broken_answers import broken_answers
from venue.wire.callers import local_callers
from venue.wire.common import VENUE, errors_and_log


def make_app(venue: PracticeVenue) -> web.Application:
    """The application that serves a venue."""
    app = web.Application(
        middlewares=[local_callers, broken_answers, errors_and_log], client_max_size=1 << 20
    )
    app[VENUE] = venue
    for module in (
        clob_public,
        clob_prices,
        clob_private,
        clob_account,
        orders,
        gamma,
        data_api,
        data_api_v2,
        chain,
        practice,
        not_implemented,
    ):
        app.add_routes(module.routes)
    app.router.add_get("/ws/market", venue.markets.handle)
    app.router.add_get("/ws/user", venue.users.handle)
    add_routes(app)
    return app
