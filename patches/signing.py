"""Signs a market BUY; the order id is known with the signature, before anything is sent.

The structure of the order is the same for all markets. The signing domain is that of the contract that
trades the market: CTF Exchange V2 for CTF tokens, Exchange V3 for positions of Protocol V2. The library's own
function uses float arithmetic and reads the order book; this one does neither.
"""

import itertools
import time
from decimal import Decimal
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from py_clob_client_v2.constants import BYTES32_ZERO
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, Side
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2

from common.constants import POLYGON_CHAIN_ID
from errors import Fatal
from execution.amounts import MarketBuy, market_buy
from execution.polymarket_client import EXCHANGES
from models import ProtocolVersion
from patches.clob_client import PromptClobClient

DOMAIN_VERSIONS = {ProtocolVersion.V1: "2", ProtocolVersion.V2: "3"}
"""Version of the EIP-712 domain, by the protocol version of the market."""
NOWHERE = "http://127.0.0.1:9"
"""Address for a client that only signs."""
WALLET_SIGNATURE_BYTES = 317
"""Length of a deposit wallet's signature: the key's 65 bytes, two hashes, the full order type, a length."""


def sign_market_buy(
    client: Any, token_id: str, amounts: MarketBuy, version: ProtocolVersion
) -> tuple[Any, str]:
    """Sign an order; returns it with its id, the EIP-712 hash that identifies it at the venue.

    Parameters
    ----------
    client : ClobClient
        Holds the key, the funder and the signature type.
    version : ProtocolVersion
        Version of the market, which is not a neg-risk market.
    """
    builder = _builder(client, version)
    signed = builder.build_signed_order(
        OrderDataV2(
            maker=client.builder.funder,
            signer=client.builder._v2_order_signer(),
            tokenId=token_id,
            makerAmount=str(amounts.maker),
            takerAmount=str(amounts.taker),
            side=Side.BUY,
            signatureType=client.builder.signature_type,
            timestamp=str(time.time_ns() // 1_000_000),
            metadata=BYTES32_ZERO,
            builder=BYTES32_ZERO,
        )
    )
    return signed, builder.build_order_hash(builder.build_order_typed_data(signed))


def _builder(client: Any, version: ProtocolVersion) -> ExchangeOrderBuilderV2:
    return ExchangeOrderBuilderV2(
        EXCHANGES[version], client.chain_id, client.signer, domain_version=DOMAIN_VERSIONS[version]
    )


def verify_signing() -> None:
    """Sign orders with a new key, and compare id and signature with an independent computation.

    Raises
    ------
    Fatal
        If the library signs another order than the published format, or its id differs.
    """
    account = Account.create()
    amounts = market_buy(Decimal(1), Decimal("0.95"), Decimal("0.97"), Decimal("0.01"), Decimal("0.07"))
    for version, signature_type in itertools.product(ProtocolVersion, (0, 3)):
        client = PromptClobClient(
            NOWHERE,
            chain_id=POLYGON_CHAIN_ID,
            key=account.key.hex(),
            signature_type=signature_type,
            funder=account.address,
        )
        signed, order_id = sign_market_buy(client, "1", amounts, version)
        what = _wrong(client, signed, order_id, account.address, version)
        if what is not None:
            raise Fatal(
                f"the signing self-test for {version} with signature type {signature_type} failed: {what}",
                "Remove .venv and run ./bot to install the pinned versions",
            )


def _wrong(client: Any, signed: Any, order_id: str, address: str, version: ProtocolVersion) -> str | None:
    """The error of a signed order; None if it is correct."""
    sent = (int(signed.makerAmount), int(signed.takerAmount), int(signed.side), signed.maker)
    if sent != (1_000_000, 1_031_000, 0, address):
        return f"maker, taker, side and wallet are {sent}"
    message = encode_typed_data(full_message=_builder(client, version).build_order_typed_data(signed))
    expected = f"0x{keccak(bytes([0x19]) + message.version + message.header + message.body).hex()}"
    if order_id != expected:
        return f"the order id is {order_id}, expected {expected}"
    if client.builder.signature_type == 3:
        length = len(bytes.fromhex(signed.signature[2:]))
        return None if length == WALLET_SIGNATURE_BYTES else f"the signature has {length} bytes"
    signer = Account.recover_message(message, signature=signed.signature)
    return None if signer == address else f"the signature is {signer}'s, not {address}'s"
