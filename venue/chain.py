"""The contracts that a wallet uses on chain: approvals, balances of outcomes, and redemptions.

Implements the functions that the official client calls, on the venue's own ledger. A transaction is executed
when it is sent and costs nothing. Its sender is the wallet of an own account (signature type 0).
"""

from collections.abc import Callable
from typing import NamedTuple

import rlp
from eth_account import Account
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from venue import position_accounting
from venue.exchange import Exchange
from venue.ledger import VenueLedger
from venue.market import VenueMarket
from venue.records import UNLIMITED, Asset, VenueAccount, VenuePayout
from venue.refusal import VenueRefusal
from venue.settlement import VenueSettlement
from venue.signing import CHAIN_ID, EXCHANGE, EXCHANGE_V3, NEG_RISK_EXCHANGE, checksum

COLLATERAL = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
CTF = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
POSITION_MANAGER = "0x006F54F7f9A22e0000CC2AB60031000000ae9fEF"
COLLATERAL_ADAPTER = "0xAdA100Db00Ca00073811820692005400218FcE1f"
NEG_RISK_COLLATERAL_ADAPTER = "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
ROUTER = "0x12121212006e4CD160D18e3f00711DA5c3372600"
AUTO_REDEEM = "0xa1200000d0002264C9a1698e001292D00E1b00af"
PERPS_DEPOSIT = "0xDCa4af75705dbB50f62437045afF9921947917d2"
BINARY_MODULE = "0x1000008dD9001B968442c1000017eaE6E0dA00Ba"
NEG_RISK_MODULE = "0x200000900045e3B6259600682756002200028933"

APPROVALS: dict[str, tuple[str, ...]] = {
    COLLATERAL: (
        EXCHANGE,
        NEG_RISK_EXCHANGE,
        COLLATERAL_ADAPTER,
        NEG_RISK_COLLATERAL_ADAPTER,
        ROUTER,
        EXCHANGE_V3,
        PERPS_DEPOSIT,
    ),
    CTF: (
        EXCHANGE,
        NEG_RISK_EXCHANGE,
        COLLATERAL_ADAPTER,
        NEG_RISK_COLLATERAL_ADAPTER,
        AUTO_REDEEM,
        BINARY_MODULE,
        NEG_RISK_MODULE,
    ),
    POSITION_MANAGER: (ROUTER, EXCHANGE_V3, AUTO_REDEEM),
}
"""The contracts that a wallet approves for trading, by the token that they may move."""

REDEEMED_VERSION = {COLLATERAL_ADAPTER: "v1", ROUTER: "v2"}
"""Protocol of the markets that a contract redeems."""

WORD = 32
MAX_UINT256 = 2**256 - 1
DYNAMIC_FEE = 2
"""Type of a transaction with a maximum fee (EIP-1559); older ones have none."""


class ChainRefusal(Exception):
    """A transaction that the node does not accept; nothing happens."""


class Reverted(Exception):
    """A call that fails in the contract."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"execution reverted: {reason}")


class _Transaction(NamedTuple):
    sender: str
    nonce: int
    to: str
    data: bytes


class Chain:
    """The contracts' functions, by address and selector.

    Parameters
    ----------
    open_account : callable
        The account of an address, created if it is new.
    """

    def __init__(
        self,
        exchange: Exchange,
        ledger: VenueLedger,
        settlement: VenueSettlement,
        open_account: Callable[[str], VenueAccount],
    ) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._settlement = settlement
        self._open_account = open_account
        self._views: dict[tuple[str, bytes], Callable[[bytes], bytes]] = {
            (COLLATERAL, _selector("allowance(address,address)")): self._pusd_allowance,
            **{
                (token, _selector(signature)): view
                for token in (CTF, POSITION_MANAGER)
                for signature, view in (
                    ("isApprovedForAll(address,address)", self._is_approved),
                    ("balanceOf(address,uint256)", self._balance),
                    ("balanceOfBatch(address[],uint256[])", self._balances),
                )
            },
        }
        self._functions: dict[tuple[str, bytes], Callable[[str, bytes], list[VenuePayout]]] = {
            (COLLATERAL, _selector("approve(address,uint256)")): self._approve,
            **{
                (token, _selector("setApprovalForAll(address,bool)")): self._set_approval
                for token in (CTF, POSITION_MANAGER)
            },
            (
                COLLATERAL_ADAPTER,
                _selector("redeemPositions(address,bytes32,bytes32,uint256[])"),
            ): self._redeem_condition,
            (ROUTER, _selector("redeem(bytes31,uint256,uint256)")): self._redeem_position,
        }

    # --- what a node answers -----------------------------------------------------------------

    def call(self, to: str, data: bytes) -> bytes:
        """The result of a function that changes nothing.

        Raises
        ------
        Reverted
            If the contract does not have it, or its arguments are malformed.
        """
        view = self._views.get((checksum(to), data[:4]))
        if view is None:
            raise Reverted(f"{to} has no such function here")
        return view(data[4:])

    def send(self, raw: bytes) -> str:
        """Execute a signed transaction; its hash.

        Raises
        ------
        ChainRefusal
            If it is malformed, for another chain, or sent before.
        """
        sent = _decoded(raw)
        if sent.nonce < self.transactions_of(sent.sender):
            raise ChainRefusal("nonce too low")
        transaction_hash = "0x" + keccak(raw).hex()
        with self._ledger.transaction():
            try:
                payouts = self._execute(sent)
            except (Reverted, VenueRefusal):
                payouts, succeeded = [], False
            else:
                succeeded = True
            now = self._exchange.clock.wall_ns()
            self._ledger.add_chain_transaction(transaction_hash, sent.sender, succeeded, now)
            for payout in payouts:
                self._ledger.set_payout_transaction(payout, transaction_hash)
        return transaction_hash

    def check(self, to: str, data: bytes) -> None:
        """Check that the contract has a function, and that a redemption's market has an outcome.

        Raises
        ------
        Reverted
        """
        self._function(checksum(to), data)
        if checksum(to) in REDEEMED_VERSION:
            self._resolved(checksum(to), data[4:])

    def transactions_of(self, sender: str) -> int:
        """Number of a wallet's transactions: the nonce of its next one."""
        return self._ledger.chain_transactions(sender)

    def succeeded(self, transaction_hash: str) -> bool | None:
        """Whether a transaction succeeded; None if there is none with this hash."""
        return self._ledger.chain_transaction(transaction_hash)

    def approved(self, owner: str, token: str, spender: str) -> int:
        """The approval of a spender: an amount of pUSD, or the maximum if it may move outcomes."""
        asset: Asset = "pUSD" if token == COLLATERAL else "outcomes"
        amount = self._ledger.allowance(self._open_account(owner), asset, spender)
        return MAX_UINT256 if amount >= UNLIMITED else amount

    # --- views ---------------------------------------------------------------------------------

    def _pusd_allowance(self, arguments: bytes) -> bytes:
        return _word(self.approved(_address(arguments, 0), COLLATERAL, _address(arguments, 1)))

    def _is_approved(self, arguments: bytes) -> bytes:
        return _word(int(self.approved(_address(arguments, 0), CTF, _address(arguments, 1)) > 0))

    def _balance(self, arguments: bytes) -> bytes:
        return _word(self._held(_address(arguments, 0), _number(arguments, 1)))

    def _balances(self, arguments: bytes) -> bytes:
        owners, tokens = (_array(arguments, position) for position in (0, 1))
        if len(owners) != len(tokens):
            raise Reverted("owners and ids differ in length")
        held = [
            self._held(_address(_word(owner), 0), token) for owner, token in zip(owners, tokens, strict=True)
        ]
        return b"".join(map(_word, (WORD, len(held), *held)))

    def _held(self, wallet: str, token: int) -> int:
        """Micro shares of an outcome in a wallet."""
        owner = self._ledger.wallet_owner(wallet) or wallet
        if owner == wallet and not position_accounting.seen_by(self._ledger, owner, 0):
            return 0
        position = self._ledger.position(owner, str(token))
        return 0 if position is None else position.shares

    # --- transactions --------------------------------------------------------------------------

    def _execute(self, sent: _Transaction) -> list[VenuePayout]:
        function = self._function(sent.to, sent.data)
        self._open_account(sent.sender)
        return function(sent.sender, sent.data[4:])

    def _function(self, to: str, data: bytes) -> Callable[[str, bytes], list[VenuePayout]]:
        function = self._functions.get((to, data[:4]))
        if function is None:
            raise Reverted(f"{to} has no such function here")
        return function

    def _approve(self, sender: str, arguments: bytes) -> list[VenuePayout]:
        amount = min(_number(arguments, 1), UNLIMITED)
        self._ledger.set_allowance(sender, "pUSD", _address(arguments, 0), amount)
        return []

    def _set_approval(self, sender: str, arguments: bytes) -> list[VenuePayout]:
        amount = UNLIMITED if _number(arguments, 1) else 0
        self._ledger.set_allowance(sender, "outcomes", _address(arguments, 0), amount)
        return []

    def _redeem_condition(self, sender: str, arguments: bytes) -> list[VenuePayout]:
        """Pay out all of a wallet's CTF tokens of a condition."""
        market = self._resolved(COLLATERAL_ADAPTER, arguments)
        if not any(self._held(sender, int(token)) for token in market.tokens):
            return []
        return self._settlement.redeem(sender, market.condition_id)

    def _redeem_position(self, sender: str, arguments: bytes) -> list[VenuePayout]:
        """Pay out an amount of one outcome of a condition of Protocol V2."""
        market = self._resolved(ROUTER, arguments)
        index, amount = _number(arguments, 1), _number(arguments, 2)
        if index > 1:
            raise Reverted("invalid outcome index")
        token = market.tokens[index]
        if not 0 < amount <= self._held(sender, int(token)):
            raise Reverted("insufficient balance")
        return [self._settlement.redeem_position(sender, token, amount)]

    def _resolved(self, to: str, arguments: bytes) -> VenueMarket:
        """The market whose condition id is in the arguments of a redemption."""
        position, length = (0, WORD - 1) if to == ROUTER else (2, WORD)
        condition_id = "0x" + _argument(arguments, position)[:length].hex()
        market = self._exchange.schedule.by_condition(condition_id)
        if market is None or market.version != REDEEMED_VERSION[to]:
            raise Reverted("condition not prepared or found")
        if not self._exchange.resolved(market):
            raise Reverted("result for condition not received yet")
        return market


def _decoded(raw: bytes) -> _Transaction:
    try:
        typed = raw[0] == DYNAMIC_FEE
        fields = rlp.decode(raw[1:] if typed else raw)
        if typed:
            chain, nonce, to, data = (fields[index] for index in (0, 1, 5, 7))
        else:
            nonce, to, data = (fields[index] for index in (0, 3, 5))
            chain = ((int.from_bytes(fields[6]) - 35) // 2).to_bytes(8)
        sender = Account.recover_transaction(raw)
    except (
        RLPException,
        BadSignature,
        ValidationError,
        IndexError,
        TypeError,
        ArithmeticError,
        ValueError,
    ) as error:
        raise ChainRefusal("transaction could not be decoded") from error
    if int.from_bytes(chain) != CHAIN_ID:
        raise ChainRefusal("invalid chain id for signer")
    return _Transaction(sender, int.from_bytes(nonce), checksum("0x" + to.hex()), data)


def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def _word(value: int) -> bytes:
    return value.to_bytes(WORD)


def _argument(arguments: bytes, position: int) -> bytes:
    word = arguments[position * WORD : (position + 1) * WORD]
    if len(word) != WORD:
        raise Reverted("malformed arguments")
    return word


def _number(arguments: bytes, position: int) -> int:
    return int.from_bytes(_argument(arguments, position))


def _address(arguments: bytes, position: int) -> str:
    return checksum("0x" + _argument(arguments, position)[12:].hex())


def _array(arguments: bytes, position: int) -> list[int]:
    """A dynamic array of numbers: at its offset its length, then its elements."""
    first = _number(arguments, position) // WORD
    length = _number(arguments, first)
    if length > len(arguments) // WORD:
        raise Reverted("malformed arguments")
    return [_number(arguments, first + 1 + index) for index in range(length)]
