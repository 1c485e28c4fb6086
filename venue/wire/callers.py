"""Who may ask: programs of this machine. A web page of another site may not, under whatever host name.

The venue listens on loopback only, but a browser on this machine carries requests of any site there: directly
(they have that site's Origin), or under a host name of the site that resolves to loopback (DNS rebinding).
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from yarl import URL

from venue.wire.common import json_answer

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAME_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site for the venue's own pages, and for an address that the operator typed."""


def refused_because(headers: Mapping[str, str]) -> str | None:
    """Why the sender of these headers may not ask; None if it may."""
    host = headers.get("Host", "")
    if _name(f"http://{host}") not in LOOPBACK:
        return f"Host {host!r} is not a loopback name; use one of {', '.join(LOOPBACK)}"
    origin = headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return f"Origin {origin!r} is another site; the venue answers local programs only"
    site = headers.get("Sec-Fetch-Site", "none")
    if site not in SAME_SITE:
        return f"Sec-Fetch-Site {site!r} is another site; the venue answers local programs only"
    return None


def _name(address: str) -> str | None:
    """The host name in an address; None if it is none."""
    try:
        return URL(address).host
    except ValueError:
        return None


@web.middleware
async def local_callers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer 403 to other sites, on every route and before anything is carried out."""
    reason = refused_because(request.headers)
    return await handler(request) if reason is None else json_answer({"error": reason}, 403)
