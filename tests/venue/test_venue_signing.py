"""Signatures and headers, made by the official client and checked by the venue."""

import time

import msgspec
import pytest
from eth_account import Account
from py_clob_client_v2.headers.headers import create_level_1_headers
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderV2
from py_clob_client_v2.signer import Signer
from venue_builders import EXCHANGE, Trader

from venue.auth import BAD_L1, FRESHNESS_SECONDS, check_l1, check_l2, hmac_signature, new_key
from venue.refusal import VenueRefusal
from venue.rules import parse
from venue.signing import WireOrder, order_id, order_signer


def wire(trader: Trader, **fields: object) -> WireOrder:
    trader.api = new_key(trader.address, 0)
    order = trader.buy("12345", 100, 620)["order"]
    return WireOrder(**{**order, **fields})


def test_the_hmac_is_that_of_the_published_vector() -> None:
    """The L2 signature of the client library's test vector comes out to the letter."""
    secret = "A" * 43 + "="
    signature = hmac_signature(secret, "1000000", "test-sign", "/orders", '{"hash": "0x123"}')
    assert signature == "ZwAdJKvoYRlEKDkNMwd5BuwNNtg93kNaR_oU2HrfVvc="


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
def test_the_signer_of_every_signature_type_is_recovered(signature_type: int) -> None:
    """An order of each type, the deposit wallet's wrapper included, leads back to its key."""
    funder = Account.create().address if signature_type else None
    trader = Trader(signature_type=signature_type, funder=funder)
    assert order_signer(wire(trader)) == trader.address


@pytest.mark.parametrize("signature_type", [0, 3])
@pytest.mark.parametrize(
    "change", [{"makerAmount": "1000001"}, {"tokenId": "12346"}, {"side": "SELL"}, {"signature": "0x12"}]
)
def test_a_changed_order_is_not_its_signers(signature_type: int, change: dict[str, str]) -> None:
    """Whatever is changed after signing, the signature no longer proves the wallet."""
    funder = Account.create().address if signature_type else None
    trader = Trader(signature_type=signature_type, funder=funder)
    assert order_signer(wire(trader, **change)) != trader.address


@pytest.mark.parametrize("position", [65, 97, 129, -1])
def test_a_tampered_wrapper_proves_nothing(position: int) -> None:
    """Domain, contents hash, type and length around a deposit wallet's signature must all be right."""
    order = wire(Trader(signature_type=3, funder=Account.create().address))
    signature = bytearray.fromhex(order.signature[2:])
    signature[position] ^= 1
    assert order_signer(msgspec.structs.replace(order, signature="0x" + signature.hex())) is None


def test_the_order_id_is_the_clients_hash() -> None:
    """The id is the EIP-712 digest that a client can compute before sending."""
    trader = Trader()
    order = wire(trader)
    builder = ExchangeOrderBuilderV2(EXCHANGE, 137, Signer(trader.key, 137))
    fields = {name: getattr(order, name) for name in OrderV2.__dataclass_fields__}
    typed = builder.build_order_typed_data(OrderV2(**{**fields, "side": 0}))
    assert order_id(order) == builder.build_order_hash(typed)


def test_l1_headers_of_the_client_prove_its_wallet() -> None:
    """Headers made by the official client are accepted and name its address and nonce."""
    trader = Trader()
    headers = create_level_1_headers(Signer(trader.key, 137), nonce=7)
    assert check_l1(headers, time.time()) == (trader.address, 7)


@pytest.mark.parametrize(
    "change",
    [
        {"POLY_ADDRESS": Account.create().address},
        {"POLY_NONCE": "8"},
        {"POLY_SIGNATURE": "0x00"},
        {"POLY_TIMESTAMP": "1"},
        {"POLY_ADDRESS": "nobody"},
    ],
)
def test_l1_headers_that_prove_nothing_are_refused(change: dict[str, str]) -> None:
    """A foreign address, another nonce, a broken signature or an old timestamp is 401."""
    headers = create_level_1_headers(Signer(Trader().key, 137), nonce=7)
    with pytest.raises(VenueRefusal) as refusal:
        check_l1({**headers, **change}, time.time())
    assert (refusal.value.status, refusal.value.text) == (BAD_L1.status, "Invalid L1 Request headers")


def test_l1_headers_are_fresh_for_a_minute_only() -> None:
    """The client's own headers are refused when they are older than the minute."""
    headers = create_level_1_headers(Signer(Trader().key, 137), timestamp=1000)
    assert check_l1(headers, 1000 + FRESHNESS_SECONDS)
    with pytest.raises(VenueRefusal, match="Invalid L1"):
        check_l1(headers, 1001 + FRESHNESS_SECONDS)


def test_l2_headers_are_fresh_for_a_minute_only() -> None:
    """Right headers are accepted within the minute and refused beyond it, in both directions."""
    trader = Trader()
    trader.api = new_key(trader.address, 0)
    headers = trader.headers("GET", "/data/orders", at=1000)
    edge = 1000 + FRESHNESS_SECONDS
    assert check_l2(headers, trader.api, "GET", "/data/orders", "", edge) == trader.api
    for now in (edge + 1, 1000 - FRESHNESS_SECONDS - 1):
        with pytest.raises(VenueRefusal, match="Unauthorized/Invalid api key"):
            check_l2(headers, trader.api, "GET", "/data/orders", "", now)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/data/orders", ""), ("GET", "/data/trades", ""), ("GET", "/data/orders", "{}")],
)
def test_an_l2_signature_covers_method_path_and_body(method: str, path: str, body: str) -> None:
    """Headers signed for one request are worthless for another."""
    trader = Trader()
    trader.api = new_key(trader.address, 0)
    headers = trader.headers("GET", "/data/orders", at=1000)
    with pytest.raises(VenueRefusal, match="Unauthorized"):
        check_l2(headers, trader.api, method, path, body, 1000)


def test_a_parsed_order_is_named_by_its_digest() -> None:
    """Parsing a body gives terms under the order's own id."""
    trader = Trader()
    trader.api = new_key(trader.address, 0)
    body = trader.buy("12345", 100, 620)
    assert parse(body).id == order_id(WireOrder(**body["order"]))
