"""Signs a market BUY with py-clob-client-v2 and sends it; the order id is known before anything is sent.

The structure of the order is the same for all markets. The signing domain is that of the contract that
trades the market: CTF Exchange V2 for CTF tokens, Exchange V3 for positions of Protocol V2. The library's own
function uses float arithmetic and reads the order book; this one does neither.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from py_clob_client_v2.clob_types import OrderType
from py_clob_client_v2.constants import BYTES32_ZERO
from py_clob_client_v2.exceptions import PolyApiException
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, Side
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2

from common.constants import POLYGON_CHAIN_ID
from errors import Fatal
from execution.amounts import MarketBuy, market_buy
from execution.clob_http import PromptClobClient
from execution.order_clients.port import OrderAnswer, SignedOrder, WithheldError, answer_of
from execution.polymarket_client import EXCHANGES
from models import ProtocolVersion

DOMAIN_VERSIONS = {ProtocolVersion.V1: "2", ProtocolVersion.V2: "3"}
"""Version of the EIP-712 domain, by the protocol version of the market."""
NOWHERE = "http://127.0.0.1:9"
"""Address for a client that only signs."""
WALLET_SIGNATURE_BYTES = 317
"""Length of a deposit wallet's signature: the key's 65 bytes, two hashes, the full order type, a length."""


class ClobClientV2Orders:
    """An `OrderClient` on py-clob-client-v2, which blocks: each call runs in a thread of the pool."""

    def __init__(self, client: PromptClobClient) -> None:
        self._client = client

    async def sign(self, token_id: str, amounts: MarketBuy, version: ProtocolVersion) -> SignedOrder:
        signed, order_id = await asyncio.to_thread(sign_market_buy, self._client, token_id, amounts, version)
        return SignedOrder(order_id, signed)

    async def post(self, signed: SignedOrder, refusal: Callable[[], str | None]) -> OrderAnswer:
        try:
            body = await asyncio.to_thread(self._send, signed, refusal)
        except WithheldError:
            raise
        except PolyApiException as error:
            return answer_of(error.status_code, error.error_msg)
        except Exception as error:  # noqa: BLE001  bytes may have been sent: the outcome is unknown
            return answer_of(None, repr(error))
        return answer_of(200, body)

    def _send(self, signed: SignedOrder, refusal: Callable[[], str | None]) -> Any:
        if (why := refusal()) is not None:
            raise WithheldError(why)
        return self._client.post_order(signed.body, cast(OrderType, OrderType.FAK), False)


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
