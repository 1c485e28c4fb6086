"""Requests that no client sends: each is refused with the venue's own text, and none is an internal error."""

import json
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from process import HTTP, VenueProcess
from test_venue_feeds import tokens_of
from venue_builders import Trader, trader_at
from websockets.sync.client import connect

DEEP = b"[" * 100_000
LONG = "9" * 5000
ADDRESS = "0x" + "11" * 20


@pytest.fixture
def trader(practice_venue: VenueProcess) -> Trader:
    return trader_at(practice_venue.url)


def signed(
    venue: VenueProcess, trader: Trader, method: str, path: str, body: bytes = b"", **query: str
) -> httpx.Response:
    """An authenticated request with any body."""
    headers = trader.headers(method, path, body.decode(errors="replace"))
    return HTTP.request(method, venue.url + path, content=body, headers=headers, params=query)


BODIES = [b"", DEEP, b'"\xff"', b"{", LONG.encode(), b"[" + LONG.encode() + b"]", "{}".encode("utf-16")]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body[:8]!r}")
def test_a_body_that_is_no_json_is_a_refusal(
    practice_venue: VenueProcess, trader: Trader, body: bytes
) -> None:
    """On every route that reads a body: not UTF-8, nested too deeply, or a number that is too long."""
    for method, path in (
        *(("POST", "/order"), ("POST", "/orders"), ("DELETE", "/order"), ("DELETE", "/orders")),
        *(("DELETE", "/cancel-market-orders"), ("POST", "/v1/heartbeats"), ("POST", "/orders-scoring")),
    ):
        assert signed(practice_venue, trader, method, path, body).status_code == 400, path
    for path in ("/books", "/prices", "/batch-prices-history", "/practice/clock", "/practice/accounts"):
        assert HTTP.post(practice_venue.url + path, content=body).status_code == 400, path
    answer = HTTP.post(practice_venue.url + "/chain", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32602)


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/prices-history", {"market": "1", "startTs": "nan"}, 400),
        ("/prices-history", {"market": "1", "fidelity": "inf"}, 400),
        ("/data-api/trades", {"user": ADDRESS, "limit": "-inf"}, 400),
        ("/data-api/v2/trades", {"user": ADDRESS, "limit": "NaN"}, 400),
        ("/data-api/v2/positions", {"user": ADDRESS, "event_id": LONG}, 200),
        ("/gamma/markets", {"limit": LONG}, 422),
        ("/gamma/events", {"offset": LONG}, 422),
    ],
)
def test_a_number_that_cannot_be_is_a_refusal(
    practice_venue: VenueProcess, path: str, query: dict[str, str], status: int
) -> None:
    """Not a number, infinite, or with more digits than the database's integers."""
    assert HTTP.get(practice_venue.url + path, params=query).status_code == status


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POLY_SIGNATURE", b"\xff\xfe"),
        ("POLY_PASSPHRASE", b"\xff\xfe"),
        ("POLY_API_KEY", b"\xe9"),
        ("POLY_ADDRESS", b"\xff"),
        ("POLY_TIMESTAMP", LONG.encode()),
    ],
)
def test_a_header_that_is_no_text_is_unauthorized(
    practice_venue: VenueProcess, trader: Trader, name: str, value: bytes
) -> None:
    """Bytes that are not UTF-8, in each header of an authenticated request."""
    headers: dict[str, Any] = {**trader.headers("GET", "/data/orders"), name: value}
    answer = HTTP.get(practice_venue.url + "/data/orders", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized/Invalid api key"})


@pytest.mark.parametrize("nonce", [-1, 2**63, 2**256])
def test_a_nonce_that_cannot_be_stored_is_unauthorized(practice_venue: VenueProcess, nonce: int) -> None:
    """Also with a valid signature of it."""
    wallet = Account.create()
    fields = [("address", "address"), ("timestamp", "string"), ("nonce", "uint256"), ("message", "string")]
    stamp = str(int(practice_venue.get("/time")))
    signature = "0x00"
    if 0 <= nonce < 2**256:
        message = encode_typed_data(
            domain_data={"name": "ClobAuthDomain", "version": "1", "chainId": 137},
            message_types={"ClobAuth": [{"name": name, "type": kind} for name, kind in fields]},
            message_data={
                "address": wallet.address,
                "timestamp": stamp,
                "nonce": nonce,
                "message": "This message attests that I control the given wallet",
            },
        )
        signature = "0x" + wallet.sign_message(message).signature.hex()
    headers = {
        "POLY_ADDRESS": wallet.address,
        "POLY_TIMESTAMP": stamp,
        "POLY_NONCE": str(nonce),
        "POLY_SIGNATURE": signature,
    }
    answer = HTTP.post(practice_venue.url + "/auth/api-key", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid L1 Request headers"})


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "0x"},
        {"signature": "0x" + "ff" * 65},
        {"makerAmount": str(2**63)},
        {"takerAmount": str(2**63)},
        {"tokenId": LONG},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_order_that_cannot_be_is_refused(
    practice_venue: VenueProcess, trader: Trader, change: dict[str, str]
) -> None:
    """Its signature has no bytes or no signer, or a number does not fit: 400, and no order exists."""
    order = trader.buy(tokens_of(practice_venue)[1], 100, 990)
    order["order"] |= change
    assert trader.post(practice_venue.url, order).status_code == 400
    assert practice_venue.account(trader.address)["orders"] == []


def test_an_expiration_that_cannot_be_stored_is_refused(practice_venue: VenueProcess, trader: Trader) -> None:
    """A good-till-date order with an expiration beyond the database's integers is not accepted."""
    token = tokens_of(practice_venue)[1]
    order = trader.limit(token, "BUY", 10, 100, kind="GTD", expiration=2**63)
    answer = trader.post(practice_venue.url, order)
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid order payload")


def test_an_outcome_id_with_thousands_of_digits(practice_venue: VenueProcess, trader: Trader) -> None:
    """The balance of an id that no outcome has is a refusal."""
    query = {"asset_type": "CONDITIONAL", "token_id": LONG}
    answer = signed(practice_venue, trader, "GET", "/balance-allowance", **query)
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid token id")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_call", []),
        ("eth_call", [7]),
        ("eth_call", [{"to": 7}]),
        ("eth_call", [{"to": ADDRESS, "data": "0xzz"}]),
        ("eth_getTransactionReceipt", [{}]),
        ("eth_getTransactionCount", [[1]]),
        ("eth_sendRawTransaction", ["0x"]),
        ("eth_sendRawTransaction", ["0x02c0"]),
    ],
)
def test_a_chain_node_names_invalid_parameters(
    practice_venue: VenueProcess, method: str, params: list[Any]
) -> None:
    """Each is an error of JSON-RPC, as of a real node."""
    answer = HTTP.post(practice_venue.url + "/chain", json={"method": method, "id": 1, "params": params})
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] in (3, -32000, -32602)


@pytest.mark.parametrize("body", [{"advance": 1e308}, {"to": 1e308}, {"advance": -1e308}])
def test_a_clock_is_not_set_to_infinity(practice_venue: VenueProcess, body: dict[str, float]) -> None:
    """A step that overflows is refused, and market time goes on."""
    before = practice_venue.clock.market_s()
    assert HTTP.post(practice_venue.url + "/practice/clock", json=body).status_code == 400
    assert practice_venue.clock.market_s() - before < 600


def test_a_frame_that_is_no_json_ends_no_connection(practice_venue: VenueProcess) -> None:
    """Deep, long or wrong frames on either stream: the same connection answers afterwards."""
    for channel in ("market", "user"):
        with connect(practice_venue.ws_url + channel, proxy=None) as socket:
            for frame in (DEEP.decode(), LONG, "[" + LONG + "]", "{", '"\\ud800"', json.dumps(["x"])):
                socket.send(frame)
            socket.send("PING")
            assert socket.recv(10) == "PONG"
