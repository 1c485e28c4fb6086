"""Every answer that a redemption by the official client reads, mutated by its structure."""

import json
import re
import time
from itertools import product
from random import Random
from types import SimpleNamespace

import message_samples as samples
import pytest
from canned_server import Answer, CannedServer
from eth_account import Account
from polymarket._internal import retry
from polymarket._internal.actions.relayer import gasless, poll
from polymarket._internal.environment import PRODUCTION_CONFIG
from polymarket._internal.wallet import (
    derive_beacon_deposit_wallet_address,
    derive_proxy_wallet_address,
    derive_safe_wallet_address,
)

from errors import Refused, Temporary
from execution.settlement.redeemers import ChainUrls, OfficialRedeemer, RedemptionKeys
from venue.mutations import mutated_body

TEST_KEY = "0x" + "11" * 32  # a test key, never holds money
OWNER = Account.from_key(TEST_KEY).address
WALLETS: dict[int, str] = {
    0: OWNER,
    1: derive_proxy_wallet_address(OWNER, PRODUCTION_CONFIG.wallet_derivation),
    2: derive_safe_wallet_address(OWNER, PRODUCTION_CONFIG.wallet_derivation),
    3: derive_beacon_deposit_wallet_address(OWNER, PRODUCTION_CONFIG.wallet_derivation),
}
"""A wallet of each signature type."""
ADAPTER, ROUTER = "ada100db00ca00073811820692005400218fce1f", "12121212006e4cd160d18e3f00711da5c3372600"
"""The contracts that redeem CTF tokens, and positions of Protocol V2."""
CONDITION: str = samples.REDEEMABLE["conditionId"]
POSITION: tuple[str, str] = (samples.GAMMA_V2["conditionId"], samples.GAMMA_V2["positionIds"][1])
"""A condition, and the id of a position in it."""
POLLED = f"/v1/account/transactions/{samples.TRANSACTION_ID}"
BODIES: dict[str, samples.Json] = {
    "/auth/api-keys": samples.REST["/auth/api-keys"],
    "/markets/keyset": {"markets": [samples.REDEEMABLE]},
    **samples.RELAYER,
    **samples.CHAIN,
}
"""The valid answers, by path, and those of the chain node by method."""
STATUSES = (200, 200, 200, 200, 400, 429, 500)
READ: dict[int, tuple[str, ...]] = {
    0: (
        "eth_chainId",
        "eth_getTransactionCount",
        "eth_gasPrice",
        "eth_estimateGas",
        "eth_sendRawTransaction",
    ),
    1: ("/deployed", "/relay-payload", "eth_estimateGas", "/submit"),
    2: ("/deployed", "/v1/account/transactions/params", "/submit"),
    3: ("/deployed", "/v1/account/transactions/params", "eth_getBlockByNumber", "/submit", POLLED),
}
"""What a redemption of each signature type reads, besides its API keys."""
CASES = [
    (kind, by_position, read)
    for kind, by_position in product(WALLETS, (False, True))
    for read in ("/auth/api-keys", "eth_call" if by_position else "/markets/keyset", *READ[kind])
]
SEEDS = 40
LONGEST_WAIT_S = 200.0
"""The client waits up to so many seconds for the deployment of a deposit wallet that the relayer denies."""
MOST_REQUESTS = 110


class Chain:
    """Order API, catalogue, relayer and chain node on one loopback server; one answer may be another.

    `slept` is what the client waited in all, seconds.
    """

    def __init__(self, server: CannedServer) -> None:
        self._server = server
        self.other: dict[str, Answer] = {}
        self.slept = 0.0
        for read in BODIES:
            for method in ("GET", "POST"):
                server.answers[method, read] = lambda _, read=read: self._answer(read)
        server.answers["POST", "/rpc"] = lambda body: self._answer(json.loads(body)["method"])

    def _answer(self, read: str) -> Answer:
        return self.other.get(read, (200, BODIES[read]))

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def redeem(self, kind: int, *, by_position: bool) -> str:
        """Redeem with the wallet of a signature type: a position of Protocol V2, or CTF tokens."""
        self.slept = 0.0
        self._server.asked.clear()
        url = self._server.url
        relayer = None if kind == 0 else ("relayer-key", OWNER)
        keys = RedemptionKeys(TEST_KEY, WALLETS[kind], samples.OWNER, "c2VjcmV0", "phrase", relayer)
        urls = ChainUrls(clob=url, gamma=url, data_api=url, relayer=url, rpc=url + "/rpc")
        named = POSITION if by_position else (CONDITION,)
        return OfficialRedeemer(keys, urls).redeem(*named)

    @property
    def requests(self) -> list[str]:
        """What the last redemption read, by path or method, without repetitions."""
        found = [
            json.loads(body)["method"] if path == "/rpc" else path.partition("?")[0]
            for _, path, body in self._server.asked
        ]
        return list(dict.fromkeys(found))

    @property
    def sent(self) -> list[str]:
        """The transactions that the last redemption sent, in lower case, without deployments of a wallet."""
        bodies = [body.decode().lower() for _, _, body in self._server.asked]
        return [
            body
            for (_, path, _), body in zip(self._server.asked, bodies, strict=True)
            if (path == "/submit" and "wallet-create" not in body) or "eth_sendrawtransaction" in body
        ]

    @property
    def count(self) -> int:
        return len(self._server.asked)


@pytest.fixture
def chain(canned: CannedServer, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The server, and a client that does not sleep between two attempts."""
    found = Chain(canned)
    clock = SimpleNamespace(time=time.time, sleep=found.sleep)
    monkeypatch.setattr(gasless, "time", clock)
    monkeypatch.setattr(poll, "time", clock)
    monkeypatch.setattr(retry, "sleep", found.sleep)
    return found


def require_redeemed_or_failed(chain: Chain, kind: int, by_position: bool, read: str, answer: Answer) -> str:
    """With this answer nothing but the redemption is sent, and its result is the sent transaction or an
    error of the project; returns it."""
    chain.other, why = {read: answer}, ""
    if read == POLLED:
        chain.other["/deployed"] = (200, {"deployed": False})
    try:
        result = chain.redeem(kind, by_position=by_position)
    except (Temporary, Refused) as error:
        result, why = "", str(error)
    for body in chain.sent:
        assert (POSITION[0] if by_position else CONDITION).removeprefix("0x") in body
        assert (ROUTER if by_position else ADAPTER) in body
    assert why.isprintable()
    assert chain.slept <= LONGEST_WAIT_S
    assert chain.count <= MOST_REQUESTS
    if result:
        assert len(chain.sent) == 1
        form = r"transaction 0x[0-9a-f]{64}|relayer transaction [0-9A-Za-z-]{8,80}"
        assert re.fullmatch(form, result)
    return result


@pytest.mark.parametrize("kind", WALLETS)
@pytest.mark.parametrize("by_position", [False, True])
def test_the_samples_redeem_and_are_all_that_is_read(chain: Chain, kind: int, by_position: bool) -> None:
    """With the unchanged answers each wallet redeems, and it reads exactly those that are mutated."""
    wanted = f"transaction {samples.TRANSACTION_HASH}"
    if kind != 0:
        wanted = f"relayer transaction {samples.TRANSACTION_ID}"
    assert chain.redeem(kind, by_position=by_position) == wanted
    mutated = {read for each, position, read in CASES if (each, position) == (kind, by_position)}
    assert set(chain.requests) == mutated - {POLLED}


def test_a_deposit_wallet_that_the_relayer_denies_is_waited_for(chain: Chain) -> None:
    """Its deployment is sent and polled, and then the position is redeemed."""
    chain.other = {"/deployed": (200, {"deployed": False})}
    assert chain.redeem(3, by_position=False) == f"relayer transaction {samples.TRANSACTION_ID}"
    assert POLLED in chain.requests


KNOWN: list[tuple[int, bool, str, Answer]] = [
    # Each of these ended the worker, or was reported as a redemption.
    (1, False, "/relay-payload", (200, {"address": "0x" + "cd" * 19, "nonce": "3"})),
    (1, False, "/relay-payload", (200, {"address": "0xzz", "nonce": "3"})),
    (1, False, "/relay-payload", (200, {"address": "é", "nonce": "3"})),
    (1, False, "/relay-payload", (200, {"address": samples.WALLET, "nonce": "9" * 400})),
    (1, False, "eth_estimateGas", (200, samples.node_answer("-1"))),
    (3, False, "/submit", (400, {"error": f"batch nonce {'9' * 5000} does not match on-chain nonce 4"})),
    (2, False, "/submit", (200, {"transactionID": "NaN", "state": "STATE_NEW"})),
    (2, False, "/submit", (200, {"transactionID": "x", "state": "STATE_NEW", "transactionHash": "0x10"})),
    (0, False, "eth_sendRawTransaction", (200, samples.node_answer("true"))),
    (
        2,
        False,
        "/markets/keyset",
        (200, {"markets": [{**samples.REDEEMABLE, "conditionId": "0x" + "5d" * 32}]}),
    ),
    (2, False, "/markets/keyset", (200, {"markets": [{**samples.REDEEMABLE, "negRisk": True}]})),
]


@pytest.mark.parametrize("case", KNOWN)
def test_what_was_no_answer_is_temporary(chain: Chain, case: tuple[int, bool, str, Answer]) -> None:
    """Answers that raised an error of an encoder, that named no transaction, or named another market."""
    kind, by_position, read, answer = case
    assert require_redeemed_or_failed(chain, kind, by_position, read, answer) == ""
    with pytest.raises(Temporary):
        chain.redeem(kind, by_position=by_position)


def mutation(case: tuple[int, bool, str], seed: object) -> Answer:
    """The changed answer of a case, with one of several statuses."""
    random = Random(f"{case} {seed}")
    return random.choice(STATUSES), mutated_body(BODIES[case[2]], random)


@pytest.mark.parametrize("case", [case for case in CASES if case[1] is (case[0] == 0)])
def test_a_redemption_survives_a_mutated_answer(chain: Chain, case: tuple[int, bool, str]) -> None:
    """One changed answer of each kind: redeemed as asked, or an error of the project.

    The own account redeems a position of Protocol V2, the other wallets CTF tokens.
    """
    require_redeemed_or_failed(chain, *case, mutation(case, "quick"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_redemption_survives_many_mutated_answers(chain: Chain, case: tuple[int, bool, str]) -> None:
    """The same for many seeds; a failing one is in the message."""
    redeemed = 0
    for seed in range(SEEDS):
        try:
            redeemed += require_redeemed_or_failed(chain, *case, mutation(case, seed)) != ""
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    # Without an estimate the client takes a gas limit of its own for a proxy.
    assert redeemed < SEEDS or case[0] == 1
