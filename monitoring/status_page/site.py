"""The HTTP side of the status page: its files, and the headers of an answer. Read-only."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

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


def send(
    environ: dict[str, Any], start: StartResponse, status: str, kind: str, body: bytes
) -> Iterable[bytes]:
    """Send a response with the headers of the page, without its body for HEAD."""
    sent = respond(start, status, kind, body, HEADERS)
    return [b""] if environ.get("REQUEST_METHOD") == "HEAD" else sent
