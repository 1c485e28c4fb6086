"""The libraries that sign and send orders: the same order from each, for the exchange of its market."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from canned_server import CannedServer
from eth_account import Account
from eth_account.messages import encode_typed_data
from py_clob_client_v2.clob_types import ApiCreds
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, Side
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2
from py_clob_client_v2.signer import Signer

from common.constants import POLYGON_CHAIN_ID
from common.library_check import require_version
from errors import ConfigError, Fatal, Refused
from execution.amounts import market_buy
from execution.clob_http import PromptClobClient
from execution.order_clients import polymarket_sdk
from execution.order_clients.clob_client_v2 import NOWHERE, ClobClientV2Orders, OrderSigner
from execution.order_clients.polymarket_sdk import PolymarketSdkOrders
from execution.order_clients.port import WithheldError
from execution.wallets import wallets_of
from models import ProtocolVersion
from venue.signing import WireOrder, order_id, order_signer

AMOUNTS = market_buy(Decimal(1), Decimal("0.95"), Decimal("0.97"), Decimal("0.01"), Decimal("0.07"))
CTF_TOKEN = str(int("5c" * 32, 16))
DOMAINS = {
    ProtocolVersion.V1: ("2", "0xE111180000d2663C0091e4f400237545B87B996B"),
    ProtocolVersion.V2: ("3", "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"),
}
"""Domain version and contract as published."""
FIELDS = [
    ("salt", "uint256"), ("maker", "address"), ("signer", "address"), ("tokenId", "uint256"),
    ("makerAmount", "uint256"), ("takerAmount", "uint256"), ("side", "uint8"), ("signatureType", "uint8"),
    ("timestamp", "uint256"), ("metadata", "bytes32"), ("builder", "bytes32"),
]  # fmt: skip


@pytest.mark.parametrize("version", DOMAINS)
def test_an_order_is_signed_for_the_exchange_of_its_market(version: ProtocolVersion) -> None:
    """The published structure under the published domain leads back to the key, and its hash is the id."""
    account, token = Account.create(), str((1 << 248) + (5 << 104) + 1)
    client = PromptClobClient(NOWHERE, chain_id=POLYGON_CHAIN_ID, key=account.key.hex())
    signed: Any
    signed, made_id = OrderSigner(client, version).sign(token, AMOUNTS)
    values = {name: getattr(signed, name) for name, _ in FIELDS}
    numbers = {name: int(values[name]) for name, kind in FIELDS if kind.startswith("uint")}
    domain_version, contract = DOMAINS[version]
    message = encode_typed_data(
        domain_data={
            "name": "Polymarket CTF Exchange",
            "version": domain_version,
            "chainId": 137,
            "verifyingContract": contract,
        },
        message_types={"Order": [{"name": name, "type": kind} for name, kind in FIELDS]},
        message_data=values | numbers,
    )
    assert Account.recover_message(message, signature=signed.signature) == account.address
    assert made_id == f"0x{Account.sign_message(message, account.key).message_hash.hex()}"
    assert signed.tokenId == token


# --- the same order from both libraries ------------------------------------------------------


def wallet(signer: str, signature_type: int) -> str:
    """The wallet that the venue derives from a key, by the signature type."""
    return wallets_of(signer)[signature_type][0]


def current(key: str, funder: str, signature_type: int, url: str = NOWHERE) -> PolymarketSdkOrders:
    """The port on the venue's current library."""
    keys = {"api_key": "key", "api_secret": "c2VjcmV0", "passphrase": "phrase"}
    return PolymarketSdkOrders(url, private_key=key, funder=funder, signature_type=signature_type, **keys)


def older(key: str, funder: str, signature_type: int, url: str = NOWHERE) -> ClobClientV2Orders:
    """The port on the library of live orders."""
    creds = ApiCreds("key", "c2VjcmV0", "phrase")
    terms: dict[str, Any] = {"creds": creds, "signature_type": signature_type, "funder": funder}
    return ClobClientV2Orders(PromptClobClient(url, chain_id=POLYGON_CHAIN_ID, key=key, **terms))


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
@pytest.mark.parametrize("version", DOMAINS)
def test_both_libraries_sign_the_same_order(version: ProtocolVersion, signature_type: int) -> None:
    """Of one salt and time: equal ids and signatures, byte for byte, which lead the venue back to the key."""
    account = Account.create()
    funder = wallet(account.address, signature_type)
    token = str((1 << 248) + (5 << 104) + 1) if version == "v2" else CTF_TOKEN
    client = current(account.key.hex(), funder, signature_type)
    made = asyncio.run(client.sign(token, AMOUNTS, version))
    client.close()
    order = made.body
    domain_version, contract = DOMAINS[version]
    builder = ExchangeOrderBuilderV2(
        contract, 137, Signer(account.key.hex(), 137), lambda: str(order.salt), domain_version=domain_version
    )
    other = builder.build_signed_order(
        OrderDataV2(
            maker=funder,
            signer=funder if signature_type == 3 else account.address,
            tokenId=token,
            makerAmount="1000000",
            takerAmount="1031000",
            side=Side.BUY,
            signatureType=SignatureTypeV2(signature_type),
            timestamp=str(order.timestamp),
        )
    )
    assert other.signature == order.signature
    assert builder.build_order_hash(builder.build_order_typed_data(other)) == made.order_id
    sent = msgspec.convert(order_to_json_v2(other, "key", "FAK")["order"], WireOrder)
    assert order_id(sent) == made.order_id
    assert order_signer(sent) == account.address


@pytest.mark.parametrize("signature_type", [0, 3])
def test_both_libraries_send_the_same_body(canned: CannedServer, signature_type: int) -> None:
    """The same fields in the same types, with the id that was known before; the salt and the time differ."""
    account = Account.create()
    funder = wallet(account.address, signature_type)
    canned.answers["POST", "/order"] = (200, {"success": True, "status": "live", "orderID": "0x1"})
    for make in (older, current):
        client = make(account.key.hex(), funder, signature_type, canned.url)
        signed = asyncio.run(client.sign(CTF_TOKEN, AMOUNTS, ProtocolVersion.V1))
        answer = asyncio.run(client.post(signed, lambda: None))
        assert answer.outcome.reason == "the venue answered status live"
        assert (answer.status, answer.body["orderID"]) == (200, "0x1")
        sent = json.loads(canned.asked[-1][2])
        assert order_id(msgspec.convert(sent["order"], WireOrder)) == signed.order_id
    first, second = (json.loads(body) for _, _, body in canned.asked)
    for order in (first["order"], second["order"]):
        assert (order.pop("salt") > 0, int(order.pop("timestamp")) > 0) == (True, True)
        assert len(order.pop("signature")) == (636 if signature_type == 3 else 132)
    for name in ("deferExec", "postOnly"):
        # Both are false by default at the venue.
        assert first.pop(name, False) is second.pop(name, False) is False
    assert first == second


def test_nothing_is_sent_that_is_refused_in_the_sending_thread(canned: CannedServer) -> None:
    """Mode and halt are checked by both libraries' clients immediately before the POST, which is omitted."""
    account = Account.create()
    for make in (older, current):
        client = make(account.key.hex(), account.address, 0, canned.url)
        signed = asyncio.run(client.sign(CTF_TOKEN, AMOUNTS, ProtocolVersion.V1))
        with pytest.raises(WithheldError, match="halted by a person"):
            asyncio.run(client.post(signed, lambda: "halted by a person"))
    assert canned.asked == []


def test_a_wallet_that_the_current_library_takes_for_another_is_refused() -> None:
    """It derives the signature type from the address: for a wallet it does not know it would sign another."""
    account, stranger = Account.create(), Account.create().address
    for funder, signature_type, derived in (
        (stranger, 2, 3),
        (stranger, 3, 3),
        (wallet(account.address, 1), 2, 1),
        (account.address, 1, 0),
    ):
        with pytest.raises(ConfigError, match=f"for a wallet of signature type {derived}, not"):
            current(account.key.hex(), funder, signature_type)


def test_the_current_library_decides_the_exchange_by_the_form_of_the_id() -> None:
    """An id that contradicts the version of its market is refused by name, before it is signed."""
    account = Account.create()
    client = current(account.key.hex(), account.address, 0)
    for token, version, exchange in (("77", "v1", "0xe33337"), (CTF_TOKEN, "v2", "0xE11118")):
        with pytest.raises(Refused, match=f"polymarket-client signs the outcome {token} for {exchange}"):
            asyncio.run(client.sign(token, AMOUNTS, ProtocolVersion(version)))
    client.close()


def test_another_version_of_the_current_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version and source of what is used of it; the package is optional, so that it may be missing."""
    polymarket_sdk.verify_sdk()
    function = next(iter(polymarket_sdk.FINGERPRINTS))
    monkeypatch.setitem(polymarket_sdk.FINGERPRINTS, function, "0" * 12)
    with pytest.raises(Fatal, match=r"__init__ in polymarket.* is not the code"):
        polymarket_sdk.verify_sdk()
    with pytest.raises(Fatal, match=r"no-such-client is not installed, the patches are for 0\.14\.0"):
        require_version("no-such-client", "0.14.0")
