"""Endless, oversized or malformed answers of the order API: each is an error of one request only."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from canned_server import CannedServer
from eth_account import Account
from py_clob_client_v2.clob_types import ApiCreds
from py_clob_client_v2.http_helpers import helpers
from raw_server import ENDLESS, RawServer, Serve, answer

from common.bounded_http import SendTime
from errors import Temporary
from execution import clob_http, polymarket_client
from execution.amounts import market_buy
from execution.clob_http import PromptClobClient, bound_requests, posting
from execution.order_clients import polymarket_sdk
from execution.order_clients.clob_client_v2 import ClobClientV2Orders
from execution.order_clients.polymarket_sdk import PolymarketSdkOrders
from execution.order_clients.port import WithheldError
from execution.outcomes import OutcomeKind, PostOutcome, classify
from execution.polymarket_client import PolymarketClient, geoblock
from execution.settlement import outcome_poller, redeemers
from execution.settlement.redeemers import ChainUrls, OfficialRedeemer, PracticeRedeemer, RedemptionKeys
from models import ProtocolVersion

KEY = "0x" + "11" * 32  # a test key, never holds money
TOKEN = str(int("5c" * 32, 16))
LIMIT_S = 0.5
NESTED = b"[" * 100_000 + b"]" * 100_000
HUGE = b'{"a":"' + b"x" * 9_000_000 + b'"}'
TERMINAL = r'"\u001b[2J\u001b]0;t\u0007\r\n\u009b5n\u202e\ud800 text"'
SHOWN = r"\x1b[2J\x1b]0;t\x07\x0d\x0a\x9b5n\u202e\ud800 text"


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Half a second for every request of this process, instead of five."""
    bound_requests(LIMIT_S)
    monkeypatch.setattr(polymarket_client, "_http", clob_http.BoundedHttp(total_s=LIMIT_S))
    monkeypatch.setattr(polymarket_sdk, "REQUEST_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(redeemers, "REQUEST_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(outcome_poller, "REQUEST_LIMIT_S", LIMIT_S)
    yield
    bound_requests()


def post_order(library: str, url: str) -> PostOutcome:
    """Send a signed order as the adapter does, and classify the answer."""
    if library == "py-clob-client-v2":
        creds = ApiCreds("key", "c2VjcmV0", "phrase")
        client = ClobClientV2Orders(PromptClobClient(url, chain_id=137, key=KEY, creds=creds))
    else:
        keys = {"api_key": "key", "api_secret": "c2VjcmV0", "passphrase": "phrase"}
        owner = Account.from_key(KEY).address
        client = PolymarketSdkOrders(url, private_key=KEY, funder=owner, signature_type=0, **keys)
    amounts = market_buy(Decimal(1), Decimal("0.95"), Decimal("0.97"), Decimal("0.01"), Decimal("0.07"))

    async def send() -> PostOutcome:
        signed = await client.sign(TOKEN, amounts, ProtocolVersion.V1)
        return (await client.post(signed, lambda: None)).outcome

    return asyncio.run(send())


LIBRARIES = pytest.mark.parametrize("library", ["py-clob-client-v2", "polymarket-client"])


@LIBRARIES
@pytest.mark.parametrize("what", ENDLESS)
def test_a_post_without_a_complete_answer_is_unknown_and_sent_once(what: str, library: str) -> None:
    """The order may exist: its outcome is unknown after the bound, and the POST is not repeated."""
    with RawServer(ENDLESS[what]) as server:
        began = time.monotonic()
        outcome = post_order(library, server.url)
        assert time.monotonic() - began < 5
        assert outcome.kind is OutcomeKind.UNKNOWN
        assert len([request for request in server.requests if request.startswith(b"POST /order")]) == 1


@LIBRARIES
@pytest.mark.parametrize("body", [NESTED, HUGE, b"", b"\xff\xfe", b'{"success": NaN}', b"1e999"])
def test_a_post_answered_with_what_cannot_be_read_is_unknown(body: bytes, library: str) -> None:
    """Nesting, size, encoding and non-finite numbers never raise, and never mark an order as ended."""
    with RawServer(answer(body)) as server:
        assert post_order(library, server.url).kind is OutcomeKind.UNKNOWN
        assert len(server.requests) == 1


@LIBRARIES
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_text_is_shown_without_its_control_characters(
    canned: CannedServer, status: int, library: str
) -> None:
    """An error text of the venue becomes one line of printable text, with a bounded length."""
    canned.answers["POST", "/order"] = (status, f'{{"error": {TERMINAL}}}'.encode())
    assert post_order(library, canned.url).reason == f"HTTP {status}: {SHOWN}"
    canned.answers["POST", "/order"] = (status, NESTED)
    outcome = post_order(library, canned.url)
    assert outcome.kind is (OutcomeKind.REFUSED if status == 400 else OutcomeKind.UNKNOWN)
    assert len(outcome.reason) < 600


def test_the_last_check_of_an_order_is_made_once_before_its_post(canned: CannedServer) -> None:
    """After the first byte nothing can withhold the order: a later request is not checked. If the check
    raises, nothing is sent."""
    canned.answers["POST", "/order"] = (200, b"{}")
    http: Any = helpers._http_client
    checks: list[int] = []
    with posting(lambda: checks.append(1), SendTime()):
        for _ in range(2):
            http.request("POST", f"{canned.url}/order", headers={}, content=b"{}")
    assert checks == [1]

    def refuse() -> None:
        raise WithheldError("halted")

    sent = SendTime()
    with posting(refuse, sent), pytest.raises(WithheldError, match="halted"):
        http.request("POST", f"{canned.url}/order", headers={}, content=b"{}")
    assert sent.ns is None
    assert len(canned.asked) == 2


@pytest.mark.parametrize("proxied", [False, True])
def test_an_order_is_sent_once_and_timed_with_and_without_a_proxy(
    canned: CannedServer, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a proxy in the calling thread, otherwise on the loop of all other requests."""
    canned.answers["POST", "/order"] = (200, b"{}")
    monkeypatch.setattr(clob_http, "is_direct", lambda url: not proxied)
    sent, http = SendTime(), helpers._http_client
    direct: list[str] = []
    request = clob_http.ThreadHttp.request
    monkeypatch.setattr(
        clob_http.ThreadHttp, "request", lambda *a, **k: direct.append(a[1]) or request(*a, **k)
    )
    with posting(lambda: None, sent):
        http.request("POST", f"{canned.url}/order", headers={}, content=b"{}")  # pyright: ignore[reportArgumentType]
    assert sent.ns is not None
    assert direct == ([] if proxied else ["POST"])
    assert len(canned.asked) == 1


def test_texts_of_a_usual_answer_are_shown_without_control_characters() -> None:
    """Status, error message and trade ids of an answer with status 200 are foreign text as well."""
    refused = classify(200, {"success": False, "errorMsg": "\x1b[2Jno\ud800"})
    assert refused.reason == r"\x1b[2Jno\ud800"
    odd = classify(200, {"success": True, "status": "\x9b5n", "tradeIDs": ["\x1b", {}]})
    assert odd.reason == r"the venue answered status \x9b5n"
    assert odd.trade_ids == (r"\x1b", "{}")
    assert classify(200, {"success": True, "status": "live", "tradeIDs": 7}).kind is OutcomeKind.UNKNOWN


QUESTIONS: dict[str, Callable[[PolymarketClient, str], Any]] = {
    "clock_skew_s": lambda client, url: client.clock_skew_s(),
    "clob_version": lambda client, url: client.clob_version(),
    "closed_only": lambda client, url: client.closed_only(),
    "funds": lambda client, url: client.funds(),
    "funded_types": lambda client, url: client.funded_types(),
    "redeemable": lambda client, url: client.redeemable(url),
    "trades": lambda client, url: client.trades("0xc0"),
    "killed": lambda client, url: client.killed("0x01"),
    "geoblock": lambda client, url: geoblock(f"{url}/api/geoblock"),
    "new key": lambda client, url: PolymarketClient(url, KEY).credentials(),
    "practice redemption": lambda client, url: PracticeRedeemer(url, "0x0").redeem("0xc0"),
}
ANSWERS: dict[str, Serve] = {"drip": ENDLESS["the body"], "nested": answer(NESTED), "huge": answer(HUGE)}


@pytest.mark.parametrize("how", ANSWERS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_of_the_account_is_temporary(question: str, how: str) -> None:
    """A slow, nested or huge answer to any request is a temporary error, within the bound."""
    with RawServer(ANSWERS[how]) as server:
        client = PolymarketClient(server.url, KEY)
        client.credentials(("key", "c2VjcmV0", "phrase"))
        began = time.monotonic()
        with pytest.raises(Temporary) as caught:
            QUESTIONS[question](client, server.url)
        assert time.monotonic() - began < 8
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("cursor", ["MA==", "abc"])
def test_a_list_without_end_is_temporary(canned: CannedServer, cursor: str) -> None:
    """Paging stops when every page names another page."""
    canned.default = (200, {"data": [], "next_cursor": cursor, "pagination": {"next_cursor": cursor}})
    client = PolymarketClient(canned.url, KEY)
    client.credentials(("key", "c2VjcmV0", "phrase"))
    with pytest.raises(Temporary, match=r"no end of the list after 50 pages|starts again"):
        client.trades("0xc0")
    with pytest.raises(Temporary, match="no end of the list after 50 pages"):
        client.redeemable(canned.url)


def test_a_list_of_several_pages_is_read_whole(canned: CannedServer) -> None:
    """The bound on pages does not affect a list that ends."""
    pages = iter([("a", "p2"), ("b", "p3"), ("c", "LTE=")])

    def page(_: bytes) -> tuple[int, Any]:
        trade, cursor = next(pages)
        return 200, {"data": [{"id": trade}], "next_cursor": cursor}

    canned.answers["GET", "/data/trades"] = page
    client = PolymarketClient(canned.url, KEY)
    client.credentials(("key", "c2VjcmV0", "phrase"))
    assert [trade["id"] for trade in client.trades("0xc0")] == ["a", "b", "c"]


def test_an_error_of_a_question_shows_no_control_characters(canned: CannedServer) -> None:
    """The error of a request repeats the venue's text, without control characters."""
    canned.default = (400, f'{{"error": {TERMINAL}}}'.encode())
    client = PolymarketClient(canned.url, KEY)
    client.credentials(("key", "c2VjcmV0", "phrase"))
    with pytest.raises(Temporary) as caught:
        client.balance()
    assert str(caught.value).isprintable()
    assert r"\x1b[2J" in str(caught.value)


@pytest.mark.parametrize("how", ANSWERS)
def test_the_official_redemption_client_is_bounded(how: str) -> None:
    """Each request of the installed client ends within the bound; its failure is temporary."""
    owner = Account.from_key(KEY).address
    with RawServer(ANSWERS[how]) as server:
        url = server.url
        urls = ChainUrls(clob=url, gamma=url, data_api=url, relayer=url, rpc=f"{url}/rpc")
        redeemer = OfficialRedeemer(RedemptionKeys(KEY, owner, "key", "c2VjcmV0", "phrase", None), urls)
        began = time.monotonic()
        with pytest.raises(Temporary, match="the official client failed"):
            redeemer.redeem("0x" + "c0" * 32)
        assert time.monotonic() - began < 8
        assert server.requests
