"""Pooled HTTP requests that raise Temporary or Refused for every failure."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from common.bounded_http import AnswerTooLarge, bounded_request, is_loopback, trust_store
from common.plain_text import one_line
from data_sources.parsing import SECOND
from data_sources.types import MalformedPayload, RateLimited
from errors import BotError, Refused, Temporary
from models import Frozen

DEFAULT_TIMEOUT_S = 5.0
SHOWN_CHARACTERS = 120
"""Maximum characters of an error answer's body in an error text."""
_PAUSE_IF_UNSAID_S = 5.0
_LONGEST_PAUSE_S = 300.0


Received = Callable[[str, bytes], None]
"""Called with the name of a feed and a text that was received from it, for a recording."""


class Reply(Frozen, frozen=True):
    """A 200 answer: its bytes, the time of receipt, and how long a cache had kept it."""

    body: bytes
    received_ns: int
    held_ns: int


class HttpFetcher:
    """One host's connection pool.

    Parameters
    ----------
    source : str
        Name for error texts.
    base_url : str
        Scheme, host and path prefix.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Limit of one request, from connecting to the last byte.
    throttle : callable, optional
        Awaited before every request, for a rate limiter.
    received : Received, optional
        Called with the source and path of every 200 answer, and its body.
    """

    def __init__(
        self,
        source: str,
        base_url: str,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        throttle: Callable[[], Awaitable[object]] | None = None,
        received: Received | None = None,
    ) -> None:
        self.source = source
        self.base_url = base_url.rstrip("/")
        self._now_ns = now_ns
        self._timeout_s = timeout_s
        self._throttle = throttle
        self._received = received
        self._silent_until_ns = 0
        local = is_loopback(base_url)
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            timeout=timeout_s,
            http2=not local,
            trust_env=not local,
            verify=trust_store() if base_url.startswith("https") else False,
            headers={"Accept": "application/json", "User-Agent": "polymarket-btc-15m-bot"},
        )

    async def get(self, path: str, params: Mapping[str, str | Sequence[str]] | None = None) -> Reply:
        """GET `path`.

        Raises
        ------
        Temporary
            Timeout, lost connection, 429 (as RateLimited), 5xx, redirects, an answer that is too large.
        Refused
            401, 403, 451 and 404 or 400: a retry would not help.
        """
        return await self._request("GET", path, params=params)

    async def post(self, path: str, message: object) -> Reply:
        """POST `message` as JSON; raises like `get`."""
        return await self._request("POST", path, content=msgspec.json.encode(message))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | Sequence[str]] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        what = f"{self.source}: {method} {self.base_url}{path}"
        self._check_silence(what)
        if self._throttle is not None:
            await self._throttle()
        headers = {"Content-Type": "application/json"} if content is not None else None
        try:
            response = await bounded_request(
                self._client,
                method,
                path,
                total_s=self._timeout_s,
                params=params,
                content=content,
                headers=headers,
            )
        except httpx.TimeoutException:
            raise Temporary(f"{what}: no complete answer within {self._timeout_s:g} s") from None
        except AnswerTooLarge as error:
            raise MalformedPayload(f"{what}: {error}") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Refused(f"{what}: {one_line(error)}") from None
        except httpx.HTTPError as error:
            raise Temporary(f"{what}: {type(error).__name__}: {one_line(error)}") from None
        if response.status_code != 200:
            raise self._failure(what, response)
        if self._received is not None:
            self._received(f"{self.source}{path}", response.content)
        held_ns = _held_seconds(response.headers.get("Age")) * SECOND
        return Reply(body=response.content, received_ns=self._now_ns(), held_ns=held_ns)

    def _check_silence(self, what: str) -> None:
        left_s = (self._silent_until_ns - self._now_ns()) / SECOND
        # Longer than any pause of this class: the clock was set back, and the deadline is invalid.
        if 0 < left_s <= _LONGEST_PAUSE_S:
            raise RateLimited(f"{what}: not sent, rate limited for another {left_s:.1f} s", left_s)

    def _failure(self, what: str, response: httpx.Response) -> BotError:
        status = response.status_code
        text = one_line(response.content[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace"), SHOWN_CHARACTERS)
        if status == 429 or (status == 503 and "Retry-After" in response.headers):
            pause_s = retry_after_s(response.headers.get("Retry-After"), self._now_ns())
            self._silent_until_ns = self._now_ns() + int(pause_s * SECOND)
            return RateLimited(f"{what}: HTTP {status}, retry after {pause_s:g} s", pause_s)
        if status in {400, 401, 403, 404, 451}:
            return Refused(f"{what}: HTTP {status} {_MEANING.get(status, '')}: {text}")
        return Temporary(f"{what}: HTTP {status}: {text}")


_MEANING = {
    400: "(bad request)",
    401: "(wrong key)",
    403: "(forbidden, possibly for this country or address)",
    404: "(not found)",
    451: "(not available in this country)",
}


def retry_after_s(value: str | None, now_ns: int) -> float:
    """Seconds to wait by a Retry-After header, which has seconds or a date (RFC 9110, 10.2.3).

    A missing or invalid one means 5 s; the maximum is 300 s.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now_ns / SECOND
        except (ValueError, OverflowError):
            seconds = _PAUSE_IF_UNSAID_S
    return min(max(seconds, 0.0), _LONGEST_PAUSE_S)


def _held_seconds(age: str | None) -> int:
    text = (age or "").strip()
    return min(int(text[:9]), 86_400) if text.isascii() and text.isdigit() else 0
