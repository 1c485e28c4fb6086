"""The HTTP side of the status page: its files, and which requests are answered. Read-only."""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monitoring.metrics.server import StartResponse, respond

FOLDER = Path(__file__).with_name("files")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
"""The browser loads nothing from another host, runs no script of another origin, and stores nothing."""
METHODS = ("GET", "HEAD")


def page_file(path: str) -> tuple[bytes, str] | None:
    """Content and type of a file of the page; None if the path has none."""
    if path not in FILES:
        return None
    name, kind = FILES[path]
    return (FOLDER / name).read_bytes(), kind


def refused_because(environ: dict[str, Any], listen: str) -> tuple[str, str] | None:
    """Status and reason of a request that is not answered; None if it is.

    Parameters
    ----------
    environ : dict
        Of WSGI.
    listen : str
        The listen address of the settings, which may be a name.
    """
    if environ.get("REQUEST_METHOD") not in METHODS:
        return "405 Method Not Allowed", "the status page is read-only: GET or HEAD\n"
    host = str(environ.get("HTTP_HOST", ""))
    if not _is_this_machine(host, listen):
        # A page of another site can use a name of its own that resolves to this machine (DNS rebinding).
        return (
            "403 Forbidden",
            "open the status page by an IP address, localhost, or the name in GRAFANA_HOST\n",
        )
    return None


def _is_this_machine(host: str, listen: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", listen.lower()):
            return True
        ip_address(name)
    except ValueError:
        return False
    return True


def send(
    environ: dict[str, Any], start: StartResponse, status: str, kind: str, body: bytes
) -> Iterable[bytes]:
    """Send a response with the headers of the page, without its body for HEAD."""
    sent = respond(start, status, kind, body, HEADERS)
    return [b""] if environ.get("REQUEST_METHOD") == "HEAD" else sent
