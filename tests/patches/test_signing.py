"""The signature of an order belongs to the exchange of its market."""

from decimal import Decimal
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from common.constants import POLYGON_CHAIN_ID
from execution.amounts import market_buy
from models import ProtocolVersion
from patches.clob_client import PromptClobClient
from patches.signing import NOWHERE, sign_market_buy

AMOUNTS = market_buy(Decimal(1), Decimal("0.95"), Decimal("0.97"), Decimal("0.01"), Decimal("0.07"))
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
    signed, order_id = sign_market_buy(client, token, AMOUNTS, version)
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
    assert order_id == f"0x{Account.sign_message(message, account.key).message_hash.hex()}"
    assert signed.tokenId == token
