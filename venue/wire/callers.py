"""Admits requests of programs on this machine only, not of other sites' web pages, whatever the host name.

The venue listens on loopback only, but a browser on this machine can send requests of any site to it:
directly (with that site's Origin), or under a host name of the site that resolves to loopback (DNS
rebinding).
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from yarl import URL

from venue.wire.common import json_answer

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAME_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site for the venue's own pages, and for an address that the operator typed."""


def refused_because(headers: Mapping[str, str]) -> str | None:
    """Why a request with these headers is refused; None if it is admitted."""
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
    """The host name in an address; None if there is none."""
    try:
        return URL(address).host
    except ValueError:
        return None


@web.middleware
async def local_callers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer 403 to other sites, on every route and before the request is processed."""
    reason = refused_because(request.headers)
    return await handler(request) if reason is None else json_answer({"error": reason}, 403)
