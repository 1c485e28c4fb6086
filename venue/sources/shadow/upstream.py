"""The mirrored venue: its addresses, and HTTP requests to it."""

import ipaddress
import logging
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from venue.series import DEFAULT_SERIES, Series

log = logging.getLogger("venue.shadow")

TIMEOUT = 5.0
"""Seconds for one request; an order waits no longer than this."""
LARGEST_ANSWER = 8_000_000
"""Maximum size of an answer in bytes; the largest needed, the markets of one request, has about 100 kB."""


class UpstreamVenue(msgspec.Struct, frozen=True):
    """Base addresses of a venue, and the series of its markets that are mirrored. `ws` ends with a slash.

    `known` are all series that the state folder ever had, in their order, which numbers them.
    """

    gamma: str
    clob: str
    ws: str
    series: tuple[Series, ...] = DEFAULT_SERIES
    known: tuple[Series, ...] = ()

    def number(self, series: Series) -> int:
        """The number of a series in the keys of markets."""
        return (self.known or self.series).index(series)


class UpstreamUnreachable(Exception):
    """The upstream did not answer, or the answer is not usable."""


class UnreadableAnswer(UpstreamUnreachable):
    """The upstream's answer is too large or not JSON."""


class UpstreamReader:
    """Reads the upstream's public HTTP routes."""

    def __init__(self, upstream: UpstreamVenue) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool of connections, created when it is first needed."""
        if self._session is None:
            # Proxies of the environment apply to the internet, never to loopback.
            outside = not all(map(_loopback, (self._upstream.gamma, self._upstream.clob, self._upstream.ws)))
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                trust_env=outside,
                # The size of a compressed answer is unknown until it is decompressed.
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def gamma_markets(self, slugs: list[str], *, closed: bool) -> list[dict[str, Any]]:
        """Gamma's markets by slug: those still open, or those closed.

        If one market makes the answer unreadable, each is requested separately, and that one is omitted.

        Raises
        ------
        UpstreamUnreachable
        """
        query = [("slug", slug) for slug in slugs] + ([("closed", "true")] if closed else [])
        url = f"{self._upstream.gamma}/markets"
        try:
            found = await self._json(url, query)
        except UnreadableAnswer as error:
            if len(slugs) < 2:
                log.warning("%s is left out: %s", ", ".join(slugs), error)
                return []
            alone = [await self.gamma_markets([slug], closed=closed) for slug in slugs]
            return [market for markets in alone for market in markets]
        if not isinstance(found, list):
            raise UpstreamUnreachable(f"{url} did not answer with a list")
        return [market for market in found if isinstance(market, dict)]

    async def clob_market(self, condition_id: str) -> dict[str, Any]:
        """The order API's market.

        Raises
        ------
        UpstreamUnreachable
        """
        return await self._object(f"{self._upstream.clob}/markets/{condition_id}", [])

    async def book(self, token: str) -> dict[str, Any]:
        """A token's book.

        Raises
        ------
        UpstreamUnreachable
        """
        return await self._object(f"{self._upstream.clob}/book", [("token_id", token)])

    async def check(self) -> None:
        """Send a small request to both services.

        Raises
        ------
        UpstreamUnreachable
        """
        await self._json(f"{self._upstream.clob}/time", [])
        await self._json(f"{self._upstream.gamma}/markets", [("limit", "1")])

    async def _object(self, url: str, query: list[tuple[str, str]]) -> dict[str, Any]:
        found = await self._json(url, query)
        if not isinstance(found, dict):
            raise UpstreamUnreachable(f"{url} did not answer with an object")
        return found

    async def _json(self, url: str, query: list[tuple[str, str]]) -> Any:
        try:
            async with self.session.get(url, params=query) as answer:
                if answer.status != 200:
                    raise UpstreamUnreachable(f"{url} answered {answer.status}")
                body = bytearray()
                async for part in answer.content.iter_any():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        raise UnreadableAnswer(f"{url} answered more than {LARGEST_ANSWER} bytes")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise UpstreamUnreachable(f"{url} cannot be read ({type(error).__name__})") from error
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            raise UnreadableAnswer(f"{url} cannot be read ({type(error).__name__})") from error


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
