"""Signs a market BUY with py-clob-client-v2 and sends it; the order id is known before anything is sent.

The structure of the order is the same for all markets. The signing domain is that of the contract that
trades the market: CTF Exchange V2 for CTF tokens, Exchange V3 for positions of Protocol V2. The library's own
function uses float arithmetic and reads the order book; this one does neither.

The library encodes an order twice through a general EIP-712 encoder, once for its signature and once for its
id. Here the encoding is written out: eleven words of 32 bytes after a constant, hashed once (EIP-712,
https://eips.ethereum.org/EIPS/eip-712, `hashStruct`), and signed by libsecp256k1 with a key that is created
once; eth-account creates it for each signature. `verify_signing` compares both at each start.
"""

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, cast

from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from loguru import logger
from py_clob_client_v2.clob_types import OrderType
from py_clob_client_v2.constants import BYTES32_ZERO
from py_clob_client_v2.exceptions import PolyApiException
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, Side
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ORDER_TYPE_HASH
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, OrderV2, SignedOrderV2
from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2

from common.bounded_http import SendTime
from common.constants import POLYGON_CHAIN_ID
from common.plain_text import one_line
from errors import Fatal
from execution.amounts import MarketBuy, market_buy
from execution.clob_http import PromptClobClient, posting
from execution.order_clients.port import OrderAnswer, SignedOrder, WithheldError, answer_of
from execution.polymarket_client import EXCHANGES
from models import ProtocolVersion

DOMAIN_VERSIONS = {ProtocolVersion.V1: "2", ProtocolVersion.V2: "3"}
"""Version of the EIP-712 domain, by the protocol version of the market."""
NOWHERE = "http://127.0.0.1:9"
"""Address for a client that only signs."""
WALLET_SIGNATURE_BYTES = 317
"""Length of a deposit wallet's signature: the key's 65 bytes, two hashes, the full order type, a length."""
THREADS = 8
"""Orders that are signed or sent at the same time, at least one of each series; a POST takes its thread until
the answer."""
OPENING_THREADS = 4
"""Connections that are opened at the same time: over TLS each takes three round trips."""


class ClobClientV2Orders:
    """An `OrderClient` on py-clob-client-v2, which blocks: what takes long runs in a thread of its own pool.

    In the default pool of asyncio look-ups wait for the venue: six of them, each of up to five seconds, would
    hold up an order.

    Parameters
    ----------
    client : PromptClobClient
    orders : int
        Orders that may be sent at the same time. HTTP/1.1 sends one at a time on each connection: so many are
        idle while another one is kept open.
    """

    def __init__(self, client: PromptClobClient, orders: int = 1) -> None:
        self._client = client
        self._orders = orders
        self._signers = {version: OrderSigner(client, version) for version in ProtocolVersion}
        self._threads = ThreadPoolExecutor(max(THREADS, orders), thread_name_prefix="orders")
        self._keepers = ThreadPoolExecutor(OPENING_THREADS, thread_name_prefix="connections")

    async def sign(self, token_id: str, amounts: MarketBuy, version: ProtocolVersion) -> SignedOrder:
        signer, loop = self._signers[version], asyncio.get_running_loop()
        if signer.signs_at_once:
            signed, order_id = signer.sign(token_id, amounts)
        else:
            signed, order_id = await loop.run_in_executor(self._threads, signer.sign, token_id, amounts)
        return SignedOrder(order_id, signed)

    async def post(self, signed: SignedOrder, refusal: Callable[[], str | None]) -> OrderAnswer:
        sent = SendTime()
        try:
            body = await asyncio.wrap_future(self._threads.submit(self._send, signed, refusal, sent))
        except WithheldError:
            raise
        except PolyApiException as error:
            return answer_of(error.status_code, error.error_msg, sent.ns)
        except Exception as error:  # noqa: BLE001  bytes may have been sent: the outcome is unknown
            return answer_of(None, repr(error), sent.ns)
        return answer_of(200, body, sent.ns)

    async def keep_connection(self) -> None:
        kept = self._orders + 1
        missing = self._client.missing_connections(kept)
        opened = [self._keep(self._client.open_connection) for _ in range(missing)]
        await asyncio.gather(*opened)
        # One after the other: an order cannot use the connection that waits for an answer.
        for _ in range(kept - missing):
            await self._keep(self._client.renew_connection, self._orders)

    async def _keep(self, request: Callable[..., None], *args: int) -> None:
        """Make a request that opens or renews a connection, in no thread that an order needs."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._keepers, request, *args)
        except Exception as error:  # noqa: BLE001  without this connection an order opens its own
            logger.debug(f"a connection for orders is not kept open: {one_line(repr(error))}")

    def _send(self, signed: SignedOrder, refusal: Callable[[], str | None], sent: SendTime) -> Any:
        """Let the library build the request and send it; the last check is between the two."""

        def check() -> None:
            if (why := refusal()) is not None:
                raise WithheldError(why)

        with posting(check, sent):
            return self._client.post_order(signed.body, cast(OrderType, OrderType.FAK), False)


class OrderSigner:
    """Signs market BUY orders of one wallet for the exchange of one protocol version.

    What does not depend on the order is computed once: the domain, the key, the wallet.

    Parameters
    ----------
    client : ClobClient
        Holds the key, the funder and the signature type.
    version : ProtocolVersion
        Version of the markets, which are no neg-risk markets.
    """

    def __init__(self, client: Any, version: ProtocolVersion) -> None:
        self.builder = ExchangeOrderBuilderV2(
            EXCHANGES[version], client.chain_id, client.signer, domain_version=DOMAIN_VERSIONS[version]
        )
        self._key = PrivateKey(bytes(client.signer.account.key))
        self._maker: str = client.builder.funder
        self._signer: str = client.builder._v2_order_signer()
        self._signature_type = client.builder.signature_type
        self._wallet_words = _word(int(self._maker, 16)) + _word(int(self._signer, 16))
        self.signs_at_once = self._signature_type != SignatureTypeV2.POLY_1271
        """Whether `sign` takes less time than to wake a thread; a deposit wallet's takes milliseconds."""

    def sign(self, token_id: str, amounts: MarketBuy) -> tuple[SignedOrderV2, str]:
        """Sign an order; returns it with its id, the EIP-712 hash that identifies it at the venue."""
        order = self.builder.build_order(
            OrderDataV2(
                maker=self._maker,
                signer=self._signer,
                tokenId=token_id,
                makerAmount=str(amounts.maker),
                takerAmount=str(amounts.taker),
                side=Side.BUY,
                signatureType=self._signature_type,
                timestamp=str(time.time_ns() // 1_000_000),
                metadata=BYTES32_ZERO,
                builder=BYTES32_ZERO,
            )
        )
        digest = keccak(b"\x19\x01" + self.builder.app_domain_separator + keccak(self._encoded(order)))
        if order.signatureType == SignatureTypeV2.POLY_1271:
            signature = self.builder.build_order_signature(self.builder.build_order_typed_data(order))
        else:
            made = self._key.sign_recoverable(digest, hasher=None)
            # The last byte is the recovery id, from 0; in Ethereum's signatures it begins with 27.
            signature = f"0x{made[:64].hex()}{made[64] + 27:02x}"
        fields = {field.name: getattr(order, field.name) for field in dataclasses.fields(order)}
        return SignedOrderV2(**fields, signature=signature), f"0x{digest.hex()}"

    def _encoded(self, order: OrderV2) -> bytes:
        """The order's type and its members, in their order, as words of 32 bytes."""
        amounts = (int(order.tokenId), int(order.makerAmount), int(order.takerAmount))
        kinds = (int(order.side), int(order.signatureType), int(order.timestamp))
        return b"".join(
            (
                ORDER_TYPE_HASH,
                _word(int(order.salt)),
                self._wallet_words,
                *map(_word, (*amounts, *kinds, int(order.metadata, 16), int(order.builder, 16))),
            )
        )


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


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
        signer = OrderSigner(client, version)
        signed, order_id = signer.sign("1", amounts)
        what = _wrong(signer, signed, order_id, account.address)
        if what is not None:
            raise Fatal(
                f"the signing self-test for {version} with signature type {signature_type} failed: {what}",
                "Remove .venv and run ./bot to install the pinned versions",
            )


def _wrong(signer: OrderSigner, signed: Any, order_id: str, address: str) -> str | None:
    """The error of a signed order; None if it is correct."""
    sent = (int(signed.makerAmount), int(signed.takerAmount), int(signed.side), signed.maker)
    if sent != (1_000_000, 1_031_000, 0, address):
        return f"maker, taker, side and wallet are {sent}"
    message = encode_typed_data(full_message=signer.builder.build_order_typed_data(signed))
    expected = f"0x{keccak(bytes([0x19]) + message.version + message.header + message.body).hex()}"
    if order_id != expected:
        return f"the order id is {order_id}, expected {expected}"
    if signed.signatureType == SignatureTypeV2.POLY_1271:
        length = len(bytes.fromhex(signed.signature[2:]))
        return None if length == WALLET_SIGNATURE_BYTES else f"the signature has {length} bytes"
    recovered = Account.recover_message(message, signature=signed.signature)
    return None if recovered == address else f"the signature is {recovered}'s, not {address}'s"
