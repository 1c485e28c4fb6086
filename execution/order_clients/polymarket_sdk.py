"""Signs a market BUY with polymarket-client, the venue's current library, and sends it; practice venues only.

The library's public functions for orders compute the amounts themselves, and read the market first.
Here it signs the amounts it is given. It computes no order id: that is the hash of the order's structure in
the domain of its exchange. Its transport raises for each answer that is not a success, without the answer's
body, which decides what became of the order: the body is kept here.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import fields, replace
from typing import Any, cast

import httpx
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from loguru import logger
from polymarket import PRODUCTION, ApiKeyCreds, AsyncSecureClient
from polymarket._internal.actions.orders import orders, post, typed_data
from polymarket._internal.actions.orders.cache import AsyncOrderMetadataCache
from polymarket._internal.actions.orders.context import resolve_order_exchange_address
from polymarket._internal.actions.orders.types import OrderDraft, UnsignedOrder
from polymarket._internal.context import AsyncSecureClientContext
from polymarket._internal.environment import get_environment_config, with_environment_config
from polymarket._internal.eoa.rpc import JsonRpcClient
from polymarket._internal.protocol import is_v2_position_id
from polymarket._internal.wallet import classify_account, signature_type_for
from polymarket.clients._transport import AsyncTransport
from polymarket.clients.async_secure import _CREATE_TOKEN, _make_l2_header_resolver
from polymarket.models.types import ClobAssetId
from polymarket.types import EvmAddress

from common.bounded_http import (
    SEND_TIME,
    BoundedResponse,
    SendTime,
    bounded_request,
    is_loopback,
    trust_store,
)
from common.library_check import require_source, require_version
from common.loop_thread import LoopThread
from common.plain_text import escaped, escaped_json, one_line
from errors import ConfigError, Refused
from execution.amounts import MarketBuy
from execution.clob_http import REQUEST_LIMIT_S
from execution.order_clients.port import POLYMARKET_CLIENT, OrderAnswer, SignedOrder, WithheldError, answer_of
from execution.polymarket_client import EXCHANGES
from models import ProtocolVersion

PACKAGE, VERSION = POLYMARKET_CLIENT
FINGERPRINTS: dict[Callable[..., Any], str] = {
    AsyncSecureClient.__init__: "516215f2394e",
    AsyncSecureClientContext.__post_init__: "4d7f5af853aa",
    AsyncSecureClient._sign_order: "4128a7fd40c4",
    AsyncSecureClient.post_order: "cc33d34af74e",
    _make_l2_header_resolver: "7c4e07aefae4",
    AsyncTransport._request: "f3845596582e",
    orders.create_unsigned_order: "3a745e759c17",
    orders.create_signed_order: "c1e383ba20b1",
    typed_data.build_order_typed_data: "b4617d307f10",
    typed_data.build_order_signature: "27ff56fe4b17",
    typed_data._app_domain_separator: "130da2de805c",
    typed_data._order_contents_hash: "5f82c0d4205c",
    post.build_post_order_request: "8561f94fb10a",
    post._build_send_order_payload: "5f1b22e21e01",
    resolve_order_exchange_address: "a2052ef41f3d",
    classify_account: "8d712861b1ef",
    is_v2_position_id: "84fcfeeccebc",
}
"""The internal functions that are used here, and the `fingerprint` of each."""
_ANSWERS: ContextVar[list[BoundedResponse]] = ContextVar("answers")


def verify_sdk() -> None:
    """Check that the installed library is the one that this module was written for.

    Raises
    ------
    Fatal
        With the version, or the function, that differs.
    """
    require_version(PACKAGE, VERSION)
    require_source(FINGERPRINTS)


class PolymarketSdkOrders:
    """An `OrderClient` on polymarket-client's asynchronous client, which has a loop and a thread of its own.

    Parameters
    ----------
    url : str
        Base URL of the order API.
    private_key : str
        The signing key; never logged.
    funder : str
        Address that holds the funds. The library derives the kind of the wallet from it.
    signature_type : int
        The kind of the wallet.
    api_key, api_secret, passphrase : str
        Credentials of the order API.

    Raises
    ------
    ConfigError
        If the library would sign for another kind of wallet.
    """

    def __init__(
        self,
        url: str,
        *,
        private_key: str,
        funder: str,
        signature_type: int,
        api_key: str,
        api_secret: str,
        passphrase: str,
    ) -> None:
        credentials = ApiKeyCreds(key=api_key, secret=api_secret, passphrase=passphrase)
        self._limited = LimitedClient(url)
        self._client = _client(url, self._limited, private_key, funder, signature_type, credentials)
        self._loop = LoopThread("orders")

    async def sign(self, token_id: str, amounts: MarketBuy, version: ProtocolVersion) -> SignedOrder:
        return await asyncio.wrap_future(self._loop.submit(self._sign(token_id, amounts, version)))

    async def post(self, signed: SignedOrder, refusal: Callable[[], str | None]) -> OrderAnswer:
        return await asyncio.wrap_future(self._loop.submit(self._post(signed, refusal)))

    async def keep_connection(self) -> None:
        try:
            await asyncio.wrap_future(self._loop.submit(self._ok()))
        except Exception as error:  # noqa: BLE001  the next order opens its own connection
            logger.debug(f"the connection for orders is not kept open: {one_line(repr(error))}")

    async def _ok(self) -> None:
        _ANSWERS.set([])
        await self._limited.request("GET", "/ok", timeout=None)

    def close(self) -> None:
        """End the thread; the outcome of an order that is being sent is then unknown."""
        self._loop.close()

    async def _sign(self, token_id: str, amounts: MarketBuy, version: ProtocolVersion) -> SignedOrder:
        context = self._client._ctx
        asset = cast(ClobAssetId, token_id)
        exchange = resolve_order_exchange_address(context.environment_config, asset_id=asset, neg_risk=False)
        # The library decides the exchange by the form of the id alone.
        if exchange.lower() != EXCHANGES[version].lower():
            raise Refused(f"{PACKAGE} signs the outcome {token_id} for {exchange}, not {EXCHANGES[version]}")
        draft = OrderDraft(
            chain_id=context.environment_config.chain_id,
            exchange_address=exchange,
            expiration=0,
            funder_address=context.wallet,
            offered_amount=amounts.maker,
            order_type="FAK",
            side="BUY",
            signer=EvmAddress(context.signer.address),
            requested_amount=amounts.taker,
            asset_id=asset,
        )
        signed = await self._client._sign_order(draft, post_only=False)
        return SignedOrder(_order_id(signed, draft), signed)

    async def _post(self, signed: SignedOrder, refusal: Callable[[], str | None]) -> OrderAnswer:
        answers: list[BoundedResponse] = []
        sent = SendTime()
        _ANSWERS.set(answers)
        SEND_TIME.set(sent)  # of this task: it ends with the order
        if (why := refusal()) is not None:
            raise WithheldError(why)
        failure = "no answer from the venue"
        try:
            await self._client.post_order(signed.body)
        except Exception as error:  # noqa: BLE001  bytes may have been sent: the answer decides, if there is one
            failure = repr(error)
        if not answers:
            return answer_of(None, failure, sent.ns)
        return answer_of(answers[-1].status_code, _body(answers[-1]), sent.ns)


class LimitedClient:
    """Replaces the `httpx.AsyncClient` of the library's transport: limits duration and size of an answer, and
    keeps the answer."""

    def __init__(self, base_url: str) -> None:
        local = is_loopback(base_url)
        self._client = httpx.AsyncClient(
            base_url=base_url,
            http2=not local,
            trust_env=not local,
            verify=False if local else trust_store(),
            timeout=None,
        )

    async def request(self, method: str, url: str, **request: Any) -> BoundedResponse:
        del request["timeout"]  # the limit applies to the whole request
        answer = await bounded_request(self._client, method, url, total_s=REQUEST_LIMIT_S, **request)
        _ANSWERS.get().append(answer)
        return answer


def _client(
    url: str, limited: Any, private_key: str, funder: str, signature_type: int, credentials: ApiKeyCreds
) -> AsyncSecureClient:
    """The library's client, without the requests of its own function: that creates API keys, and deploys a
    wallet that does not exist."""
    config = replace(get_environment_config(PRODUCTION), clob_url=url)
    signer: Any = Account.from_key(private_key)
    account = classify_account(signer=signer.address, wallet=funder, config=config.wallet_derivation)
    derived = signature_type_for(account.wallet_type)
    if account.signer_type != "OWNER" or derived != signature_type:
        raise ConfigError(
            f"{PACKAGE} takes {funder} for a wallet of signature type {derived}, not {signature_type}",
            "Unset ORDER_CLIENT to trade with this wallet",
        )
    transport = AsyncTransport(
        base_url=url, client=limited, header_resolver=_make_l2_header_resolver(signer, credentials)
    )
    # One transport for all services: nothing but the order API can be reached.
    services = (
        "gamma",
        "data",
        "rfq",
        "clob",
        "perps",
        "secure_clob",
        "relayer",
        "combos",
        "builder_gateway",
    )
    context = AsyncSecureClientContext(
        **dict.fromkeys(services, transport),
        environment=with_environment_config(PRODUCTION, config=config),
        signer=signer,
        credentials=credentials,
        wallet=EvmAddress(to_checksum_address(funder)),
        wallet_type=account.wallet_type,
        signer_type=account.signer_type,
        api_key=None,
        rpc=JsonRpcClient(transport),
        order_metadata=AsyncOrderMetadataCache(),
    )
    return AsyncSecureClient(ctx=context, _create_token=_CREATE_TOKEN)


def _order_id(signed: Any, draft: OrderDraft) -> str:
    """The EIP-712 hash of an order, from the library's own encoding of its parts."""
    parts = {field.name: getattr(signed, field.name) for field in fields(signed)}
    del parts["signature"], parts["post_only"]
    unsigned = UnsignedOrder(
        **parts,
        chain_id=draft.chain_id,
        exchange_address=draft.exchange_address,
        protocol_version="3" if is_v2_position_id(draft.asset_id) else "2",
    )
    domain = typed_data._app_domain_separator(unsigned, protocol_version=unsigned.protocol_version)
    contents = typed_data._order_contents_hash(unsigned)
    return f"0x{keccak(b'\x19\x01' + bytes.fromhex(domain[2:]) + contents).hex()}"


def _body(answer: BoundedResponse) -> Any:
    """The decoded JSON of an answer, or its text, without control characters."""
    try:
        return escaped_json(answer.json())
    except ValueError:
        return escaped(answer.text)
