"""Redeemers: the venue's official client, if it is installed, and the practice venue."""

import re
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import httpx
import msgspec

from common.bounded_http import BoundedHttp
from common.plain_text import one_line
from errors import Refused, Temporary
from models import Frozen

REQUEST_LIMIT_S = 10.0
"""Maximum seconds of one request of a redemption."""
OWN_ACCOUNT = 0
"""Signature type of a wallet that pays its own transactions."""
CONDITION_DIGITS = 64
"""Hexadecimal digits of a condition of CTF tokens; that of a position of Protocol V2 has two less."""
TRANSACTION_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
TRANSACTION_ID = re.compile(r"[0-9A-Za-z-]{8,80}")
"""The relayer's name of a transaction: a UUID in its documentation."""
AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
"""A payout of the practice venue, pUSD."""


class ChainUrls(Frozen, frozen=True):
    """Addresses of the venue, its relayer and the chain for the official client."""

    clob: str
    gamma: str
    data_api: str
    relayer: str
    rpc: str


class RedemptionKeys:
    """Credentials of a redemption for venue and relayer; never printed.

    Parameters
    ----------
    private_key : str
    wallet : str
        Address that holds the positions.
    api_key, api_secret, passphrase : str
        Credentials of the order API.
    relayer : tuple of str, optional
        Relayer API key and the address it belongs to; not needed if the wallet is the key's own.
    """

    def __init__(
        self,
        private_key: str,
        wallet: str,
        api_key: str,
        api_secret: str,
        passphrase: str,
        relayer: tuple[str, str] | None,
    ) -> None:
        self.private_key = private_key
        self.wallet = wallet
        self.api_key = api_key
        self.api_secret = api_secret
        self.passphrase = passphrase
        self.relayer = relayer


class OfficialRedeemer:
    """Redeems through `polymarket-client`: free through the relayer, or for POL from an own account."""

    def __init__(self, keys: RedemptionKeys, urls: ChainUrls) -> None:
        self._keys = keys
        self._urls = urls

    def redeem(self, condition_id: str, position_id: str | None = None) -> str:
        from polymarket import UserInputError

        try:
            client = self._client()
            try:
                _require_condition(client, condition_id)
                handle = client.redeem_positions(**_named(condition_id, position_id))
            finally:
                client.close()
        except UserInputError as error:
            raise Refused(f"the official client refuses: {one_line(error)}") from None
        except Exception as error:  # noqa: BLE001  it signs what relayer and node answer: any error of the encoders
            raise Temporary(f"the official client failed: {one_line(repr(error))}") from None
        return _sent(handle)

    def _client(self) -> Any:
        from polymarket import PRODUCTION, ApiKeyCreds, RelayerApiKey, SecureClient

        # The client has no public parameter for other addresses; the version is pinned and a test redeems
        # with it.
        from polymarket._internal.environment import get_environment_config, with_environment_config

        _bound_requests()
        keys, urls = self._keys, self._urls
        config = replace(
            get_environment_config(PRODUCTION),
            clob_url=urls.clob,
            gamma_url=urls.gamma,
            data_url=urls.data_api,
            relayer_url=urls.relayer,
            rpc_url=urls.rpc,
        )
        return SecureClient.create(
            private_key=keys.private_key,
            wallet=keys.wallet,
            environment=with_environment_config(PRODUCTION, config=config),
            credentials=ApiKeyCreds(key=keys.api_key, secret=keys.api_secret, passphrase=keys.passphrase),
            api_key=None
            if keys.relayer is None
            else RelayerApiKey(key=keys.relayer[0], address=keys.relayer[1]),
        )


def _named(condition_id: str, position_id: str | None) -> dict[str, str]:
    """What a redemption names: a position of Protocol V2, or the condition of CTF tokens."""
    return {"condition_id": condition_id} if position_id is None else {"position_id": position_id}


def _require_condition(client: Any, condition_id: str) -> None:
    """Let the client redeem in no other market than that of the condition.

    It takes condition and contract from the catalogue's answer, and does not compare them with what it asked
    for.
    """
    resolve = client._resolve_market_position_context

    def compared(**asked: Any) -> Any:
        found = resolve(**asked)
        if _digits(str(found.condition_id)) != _digits(condition_id) or found.neg_risk:
            raise ValueError(f"the catalogue answers with another market, {found.condition_id}")
        return found

    client._resolve_market_position_context = compared


def _digits(condition_id: str) -> str:
    """A condition of either length, padded."""
    return condition_id.lower().removeprefix("0x").ljust(CONDITION_DIGITS, "0")


def _sent(handle: Any) -> str:
    """The transaction that a redemption was sent as.

    Raises
    ------
    Temporary
        If the answer names none: whether there is one is not known, and a second one has no effect.
    """
    kind, name, form = "transaction", handle.transaction_hash, TRANSACTION_HASH
    if name is None:
        kind, name, form = "relayer transaction", handle.transaction_id, TRANSACTION_ID
    if not form.fullmatch(name):
        raise Temporary(f"the answer to the redemption names no {kind}: {one_line(name, 80)}")
    return f"{kind} {name}"


def _bound_requests() -> None:
    """Limit the duration and size of the official client's requests.

    It creates a transport for each of its services; a transport creates an `httpx.Client` unless it is given
    one.
    """
    from polymarket.clients import _transport

    made = _transport.SyncTransport.__init__
    if getattr(made, "bounded", False):
        return

    def bounded(self: Any, *, base_url: str, **options: Any) -> None:
        made(
            self,
            **{**options, "base_url": base_url, "client": BoundedHttp(base_url, total_s=REQUEST_LIMIT_S)},
        )

    bounded.bounded = True  # pyright: ignore[reportFunctionMemberAccess]
    _transport.SyncTransport.__init__ = bounded


class _PracticePayout(msgspec.Struct):
    amount: str


class PracticeRedeemer:
    """Has the practice venue pay, like the operator of a venue."""

    def __init__(self, url: str, address: str) -> None:
        self._url = url
        self._address = address

    def redeem(self, condition_id: str, position_id: str | None = None) -> str:
        asked = {"address": self._address, **_named(condition_id, position_id)}
        try:
            answer = BoundedHttp(total_s=REQUEST_LIMIT_S).post(f"{self._url}/practice/redeem", json=asked)
            payout = msgspec.json.decode(answer.raise_for_status().content, type=_PracticePayout)
        except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Temporary(f"the practice venue did not redeem: {one_line(repr(error))}") from None
        if not AMOUNT.fullmatch(payout.amount):
            raise Temporary(f"the practice venue did not redeem: {one_line(payout.amount, 40)} is no amount")
        return f"the practice venue paid {payout.amount} pUSD"


def official_redeemer(keys: RedemptionKeys, signature_type: int, urls: ChainUrls) -> OfficialRedeemer | str:
    """The official client as a redeemer, or what is missing for it."""
    if find_spec("polymarket") is None:
        return "the official client is not installed (uv pip install 'polymarket-client==0.14.0')"
    if signature_type != OWN_ACCOUNT and keys.relayer is None:
        return "RELAYER_API_KEY and RELAYER_API_KEY_ADDRESS are not set (Polymarket: Settings, API Keys)"
    return OfficialRedeemer(keys, urls)
