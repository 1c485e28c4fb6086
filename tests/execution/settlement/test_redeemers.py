"""The installed official client, redeeming on loopback; and the reasons when it cannot."""

import inspect
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from canned_server import Answer, CannedServer
from eth_account import Account
from polymarket import SecureClient
from polymarket._internal.environment import PRODUCTION_CONFIG
from polymarket._internal.wallet import (
    derive_beacon_deposit_wallet_address,
    derive_proxy_wallet_address,
    derive_safe_wallet_address,
)
from process import VenueProcess

from errors import Refused, Temporary
from execution.settlement import redeemers
from execution.settlement.redeemers import ChainUrls, OfficialRedeemer, RedemptionKeys, official_redeemer

TEST_KEY = "0x" + "11" * 32  # a test key, never holds money
OWNER = Account.from_key(TEST_KEY).address
RELAYER = ("relayer-key", OWNER)
ADAPTER = "0xAdA100Db00Ca00073811820692005400218FcE1f"
"""The contract that redeems for pUSD."""
WALLETS: dict[int, Callable[..., str]] = {
    1: derive_proxy_wallet_address,
    2: derive_safe_wallet_address,
    3: derive_beacon_deposit_wallet_address,
}
ROUTER = "0x12121212006e4CD160D18e3f00711DA5c3372600"
"""The contract that redeems positions of Protocol V2."""
HELD = 1_612_903
"""Micro shares that the wallet holds of a position."""
HASH = "0x" + "ab" * 32
RELAYED = "0190b317-a1d3-7bec-9b91-eeb6dcd3a620"
"""The relayer's name of a transaction."""


def redeemer(
    server: CannedServer, wallet: str, relayer: tuple[str, str] | None = RELAYER
) -> OfficialRedeemer:
    urls = ChainUrls(
        clob=server.url, gamma=server.url, data_api=server.url, relayer=server.url, rpc=server.url + "/rpc"
    )
    return OfficialRedeemer(RedemptionKeys(TEST_KEY, wallet, "key", "c2VjcmV0", "phrase", relayer), urls)


@pytest.fixture
def chain(canned: CannedServer, manual_venue: VenueProcess) -> CannedServer:
    """CLOB, relayer and chain node in one; the market is the practice venue's Gamma object."""
    market = manual_venue.get("/gamma/markets")[0]
    canned.answers |= {
        ("GET", "/auth/api-keys"): (200, {"apiKeys": ["key"]}),
        ("GET", "/markets/keyset"): (200, {"markets": [market]}),
        ("GET", "/deployed"): (200, {"deployed": True}),
        ("GET", "/v1/account/transactions/params"): (200, {"address": OWNER, "nonce": "3"}),
        ("GET", "/relay-payload"): (200, {"address": OWNER, "nonce": "3"}),
        ("POST", "/submit"): (200, {"transactionID": RELAYED, "state": "STATE_NEW", "transactionHash": ""}),
        ("POST", "/rpc"): _node,
    }
    return canned


def _node(body: bytes) -> Answer:
    asked = json.loads(body)
    expected = {
        "eth_chainId": "0x89",
        "eth_getTransactionCount": "0x7",
        "eth_gasPrice": "0x1",
        "eth_getBlockByNumber": {"timestamp": hex(int(time.time()))},
        "eth_estimateGas": "0x5208",
        "eth_sendRawTransaction": HASH,
        "eth_call": f"0x{HELD:064x}",
    }
    return 200, {"jsonrpc": "2.0", "id": asked["id"], "result": expected[asked["method"]]}


def condition_of(chain: CannedServer) -> str:
    answer: Any = chain.answers["GET", "/markets/keyset"]
    return answer[1]["markets"][0]["conditionId"]


def test_an_own_account_sends_the_redemption_to_the_chain(chain: CannedServer) -> None:
    """One signed transaction to the adapter that names the condition, from the key's own account."""
    condition = condition_of(chain)
    assert redeemer(chain, OWNER, None).redeem(condition) == f"transaction {HASH}"
    (raw,) = [
        json.loads(body)["params"][0] for _, _, body in chain.asked if b"eth_sendRawTransaction" in body
    ]
    assert Account.recover_transaction(raw) == OWNER
    assert ADAPTER.lower().removeprefix("0x") in raw
    assert condition.removeprefix("0x") in raw


def test_a_position_of_protocol_v2_is_redeemed_by_its_id(chain: CannedServer) -> None:
    """The Router gets the first 31 bytes of the id, the outcome index and the balance, without a market."""
    condition = "01" + "5c" * 18 + "00" * 12
    position = str(int(condition + "01", 16))
    chain.answers["GET", "/markets/keyset"] = (200, {"markets": []})
    assert redeemer(chain, OWNER, None).redeem("0x" + condition, position) == f"transaction {HASH}"
    (raw,) = [
        json.loads(body)["params"][0] for _, _, body in chain.asked if b"eth_sendRawTransaction" in body
    ]
    assert ROUTER.lower().removeprefix("0x") in raw
    assert f"{condition}00{1:064x}{HELD:064x}" in raw


@pytest.mark.parametrize("signature_type", WALLETS)
def test_other_wallets_redeem_through_the_relayer(chain: CannedServer, signature_type: int) -> None:
    """Proxy, safe and deposit wallet: one submission with the relayer key that names wallet and condition."""
    wallet = WALLETS[signature_type](OWNER, PRODUCTION_CONFIG.wallet_derivation)
    condition = condition_of(chain)
    assert redeemer(chain, wallet).redeem(condition) == f"relayer transaction {RELAYED}"
    (submitted,) = [body for verb, path, body in chain.asked if (verb, path) == ("POST", "/submit")]
    assert condition.removeprefix("0x").encode() in submitted
    assert wallet.lower().encode() in submitted.lower()
    assert chain.headers[-1]["RELAYER_API_KEY"] == "relayer-key"
    assert not any(b"eth_sendRawTransaction" in body for _, _, body in chain.asked)


def test_what_goes_wrong_is_temporary_or_a_refusal(chain: CannedServer) -> None:
    """A failing relayer is temporary; a market that does not exist is a refusal."""
    wallet = derive_safe_wallet_address(OWNER, PRODUCTION_CONFIG.wallet_derivation)
    condition = condition_of(chain)
    for answer in ((500, {"error": "x"}), (200, b"<html>"), (401, {"error": "x"})):
        chain.answers["POST", "/submit"] = answer
        with pytest.raises(Temporary, match="the official client failed"):
            redeemer(chain, wallet).redeem(condition)
    chain.answers["GET", "/markets/keyset"] = (200, {"markets": []})
    with pytest.raises(Refused, match="No market found"):
        redeemer(chain, wallet).redeem(condition)
    chain.answers["GET", "/deployed"] = (200, {"deployed": False})
    with pytest.raises(Refused, match="does not exist"):
        redeemer(chain, wallet).redeem(condition)


def test_a_chain_node_that_limits_its_requests_is_temporary(chain: CannedServer) -> None:
    """Public nodes answer 429, as a page or as a JSON-RPC error: the redemption is tried again later."""
    condition = condition_of(chain)
    limited = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "rate limit exceeded"}}
    for answer in ((429, b"<html>Too Many Requests"), (429, limited), (200, limited)):
        chain.answers["POST", "/rpc"] = answer
        with pytest.raises(Temporary, match="the official client failed"):
            redeemer(chain, OWNER, None).redeem(condition)
    assert not any(b"eth_sendRawTransaction" in body for _, _, body in chain.asked)


def test_a_drift_of_the_official_client_is_noticed() -> None:
    """The two calls that are used still accept their arguments; the look-up of a market is still a method."""
    create = inspect.signature(SecureClient.create).parameters
    assert {"private_key", "wallet", "environment", "credentials", "api_key"} <= set(create)
    assert {"condition_id", "position_id"} <= set(inspect.signature(SecureClient.redeem_positions).parameters)
    assert "condition_id" in inspect.signature(SecureClient._resolve_market_position_context).parameters


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Own accounts need the client, all others a relayer key too; without the client there is no redeemer."""
    urls = ChainUrls(clob="", gamma="", data_api="", relayer="", rpc="")
    with_key, without = (RedemptionKeys(TEST_KEY, OWNER, "", "", "", key) for key in (RELAYER, None))
    assert isinstance(official_redeemer(without, 0, urls), OfficialRedeemer)
    for signature_type in (1, 2, 3):
        assert isinstance(official_redeemer(with_key, signature_type, urls), OfficialRedeemer)
        assert "RELAYER_API_KEY and RELAYER_API_KEY_ADDRESS" in str(
            official_redeemer(without, signature_type, urls)
        )
    monkeypatch.setattr(redeemers, "find_spec", lambda _: None)
    assert "polymarket-client==0.14.0" in str(official_redeemer(with_key, 0, urls))
    assert "11" * 32 not in repr(with_key)


def test_the_version_that_is_recommended_is_the_one_the_tests_run() -> None:
    """The instruction for the operator names the version in the project's own extra."""
    text = (Path(redeemers.__file__).parents[2] / "pyproject.toml").read_text()
    assert 'redeem = ["polymarket-client==0.14.0"]' in text
