"""Sends the requests of py-clob-client-v2 with a limit on their duration and size.

The library sends with one `httpx.Client` of its module `http_helpers.helpers`. Its timeout is per read, its
answers have no size limit, and JSON that is nested too deeply raises RecursionError.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import httpx
from loguru import logger
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.constants import INITIAL_CURSOR
from py_clob_client_v2.exceptions import PolyApiException
from py_clob_client_v2.http_helpers import helpers

from common.bounded_http import SEND_TIME, BoundedHttp, BoundedResponse, SendTime
from common.plain_text import escaped, escaped_json, one_line
from common.thread_http import ThreadHttp, is_direct

REQUEST_LIMIT_S = 5.0
"""Maximum seconds of one request to the order API, including the POST of an order."""
KEEPING_LIMIT_S = 2.0
"""Maximum seconds of a request that only keeps a connection open: while it waits no other one is renewed, and
they are closed after five idle seconds."""

USER_AGENT = "py_clob_client_v2"
"""As in the library's own requests."""
LIST_LIMIT_S = 20.0
"""Maximum seconds until the last page of a list is requested."""
MAX_PAGES = 50
"""Maximum pages of a list; the trades of an account in one market are one page."""


class _Order:
    """An order whose request is built and sent in this context.

    Parameters
    ----------
    check : Callable[[], None]
        The last check, which raises if the order must not be sent.
    sent : SendTime
        Receives the time of its first byte.
    """

    def __init__(self, check: Callable[[], None], sent: SendTime) -> None:
        self._check = check
        self.sent = sent
        self.checked = False

    def before_sending(self) -> None:
        """Check once: a request after the order's could no longer withhold it."""
        if not self.checked:
            self._check()
            self.checked = True


_ORDER: ContextVar[_Order | None] = ContextVar("order", default=None)


@contextmanager
def posting(check: Callable[[], None], sent: SendTime) -> Iterator[None]:
    """Send an order of the library's client in this context.

    Parameters
    ----------
    check : Callable[[], None]
        Called when the request is complete, immediately before its first byte, or before it is handed to the
        loop that sends through a proxy: if it raises, nothing is sent. Blocking.
    sent : SendTime
        Receives the time of the first byte.
    """
    token = _ORDER.set(_Order(check, sent))
    try:
        yield
    finally:
        _ORDER.reset(token)


class ClobResponse(BoundedResponse):
    """An answer whose texts have no control characters: the library logs and raises them unchanged."""

    def json(self, **options: Any) -> Any:
        return escaped_json(super().json(**options))

    @property
    def text(self) -> str:
        return escaped(super().text)


class ClobHttp(BoundedHttp):
    """Replaces the library's `httpx.Client`. Orders have connections of their own."""

    def __init__(self, *, total_s: float) -> None:
        super().__init__(total_s=total_s)
        self._of_orders = ThreadHttp(total_s=total_s)

    def request(self, method: str, url: str, **request: Any) -> ClobResponse:
        """Send one request.

        Raises
        ------
        PolyApiException
            Without a status, if there is no usable answer: the outcome of an order is then unknown.
        """
        if (order := _ORDER.get()) is not None and method == "POST":
            headers, content = request["headers"], request["content"]
            return self.send(method, url, headers, content, order.sent, order.before_sending)
        return _usable(lambda: super(ClobHttp, self).request(method, url, **request))

    def close(self) -> None:
        """Close the connections for orders."""
        self._of_orders.close()

    def missing(self, url: str, number: int) -> int:
        """How many connections for orders are to be opened so that `number` are idle.

        Through a proxy, where they are those of all requests, it is `number`.
        """
        return self._of_orders.missing(url, number) if is_direct(url) else number

    def open_another(self, url: str, headers: Mapping[str, str]) -> None:
        """Open one more connection for orders, with a GET; raises like `request`."""
        if is_direct(url):
            _raised(partial(self._of_orders.open_another, url, headers=headers, total_s=KEEPING_LIMIT_S))
        else:
            self.request("GET", url, headers=headers, total_s=KEEPING_LIMIT_S)

    def renew_oldest(self, url: str, headers: Mapping[str, str], leaving: int) -> None:
        """Keep the connection for orders that was used first, if `leaving` others are idle meanwhile; raises
        like `request`."""
        renew = self._of_orders.renew_oldest
        _raised(partial(renew, url, headers=headers, leaving=leaving, total_s=KEEPING_LIMIT_S))

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes = b"",
        sent: SendTime | None = None,
        check: Callable[[], None] | None = None,
    ) -> ClobResponse:
        """Send one request at once, on a connection for orders; raises like `request`.

        Through a proxy it is sent as every other request, by another thread: `check` is called before.
        """
        if is_direct(url):
            return _usable(
                lambda: self._of_orders.request(
                    method, url, headers=headers, content=content, sent=sent, check=check
                )
            )
        if check is not None:
            check()
        token = SEND_TIME.set(sent)
        try:
            return _usable(
                lambda: super(ClobHttp, self).request(method, url, headers=headers, content=content)
            )
        finally:
            SEND_TIME.reset(token)


def _raised[T](request: Callable[[], T]) -> T:
    """What a request returns; its errors are those of the library."""
    try:
        return request()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        raise PolyApiException(error_msg=f"Request exception! {why}") from None


def _usable(request: Callable[[], BoundedResponse]) -> ClobResponse:
    answer = _raised(request)
    return ClobResponse(
        answer.status_code, headers=answer.headers, content=answer.content, request=answer.request
    )


def bound_requests(limit_s: float = REQUEST_LIMIT_S) -> None:
    """Limit all further requests of the library in this process; may be called repeatedly."""
    replaced: Any = helpers._http_client
    helpers._http_client = ClobHttp(total_s=limit_s)  # pyright: ignore[reportAttributeAccessIssue]
    replaced.close()


bound_requests()


class BoundedClobClient(ClobClient):
    """The library's client with a limit on the pages of a list."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._list = threading.local()

    def get_balance_allowance(self, params: Any = None) -> Any:
        """Balance and allowance; the venue stores a copy of both and updates it only on request."""
        try:
            self.update_balance_allowance(params)
        except PolyApiException as error:
            logger.warning(f"the venue did not renew its copy of the balance: {one_line(repr(error))}")
        return super().get_balance_allowance(params)

    def _get(self, endpoint: str, headers: Any = None, params: dict[str, Any] | None = None) -> Any:
        if params is None or "next_cursor" not in params:
            return super()._get(endpoint, headers=headers, params=params)
        if params["next_cursor"] == INITIAL_CURSOR:
            self._list.pages, self._list.began = 0, time.monotonic()
        self._list.pages += 1
        if self._list.pages > MAX_PAGES or time.monotonic() - self._list.began > LIST_LIMIT_S:
            raise PolyApiException(
                error_msg=f"{endpoint}: no end of the list after {self._list.pages - 1} pages"
            )
        answer = super()._get(endpoint, headers=headers, params=params)
        if isinstance(answer, dict) and answer.get("next_cursor") == INITIAL_CURSOR:
            raise PolyApiException(error_msg=f"{endpoint}: the list starts again from its first page")
        if isinstance(answer, dict) and not isinstance(answer.get("next_cursor"), str):
            # The library asks for the next page until a cursor is the last one.
            raise PolyApiException(error_msg=f"{endpoint}: the list has no cursor of its next page")
        return answer


class PromptClobClient(BoundedClobClient):
    """A client for orders that does not wait inside the POST.

    The library since 1.1.0 polls up to 30 s for transaction hashes after a matched order, which would delay
    the fill by that time. The hashes are not needed.
    """

    def _resolve_transactions_hashes(self, response: Any) -> Any:
        return response

    def missing_connections(self, number: int) -> int:
        """How many connections for orders are to be opened so that `number` are idle; nothing is sent."""
        http: Any = helpers._http_client
        return http.missing(self.host, number)

    def open_connection(self) -> None:
        """Open one more connection for orders, with the cheapest request that there is.

        Raises
        ------
        PolyApiException
            If the venue does not answer; without the line that the library logs for it.
        """
        http: Any = helpers._http_client
        http.open_another(f"{self.host}/ok", {"User-Agent": USER_AGENT})

    def renew_connection(self, leaving: int) -> None:
        """Keep the connection that was used first open, unless fewer than `leaving` others are idle.

        A connection is closed after five idle seconds. Raises like `open_connection`.
        """
        http: Any = helpers._http_client
        http.renew_oldest(f"{self.host}/ok", {"User-Agent": USER_AGENT}, leaving)
