"""Verifies a client's signatures: EIP-712 order hashes and their signers.

Every field of the signed structures occupies 32 bytes, so they are encoded here directly. The layouts
are those of the venue's exchange contracts and of its client library (Polygon). The id of the outcome decides
the domain: CTF tokens are traded by CTF Exchange V2 (domain version "2"), positions of Protocol V2 by
Exchange V3 (domain version "3"). The order structure is the same.
"""

from typing import NamedTuple

import msgspec
from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from venue.position_ids import is_position_id

CHAIN_ID = 137
EXCHANGE = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE = "0xe2222d279d744050d28e00520010520000310F59"
EXCHANGE_V3 = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
DEPOSIT_WALLET = 3
"""Signature type of a deposit wallet: it is maker and signer, its owner signs inside an ERC-7739 wrapper."""

_ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    "uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_NESTED_TYPE = (
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,"
    f"bytes32 salt){_ORDER_TYPE}"
)
_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_AUTH_MESSAGE = "This message attests that I control the given wallet"


class WireOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `order` object of POST /order, as the client sent it."""

    salt: int
    maker: str
    signer: str
    tokenId: str
    makerAmount: str
    takerAmount: str
    side: str
    expiration: str
    signatureType: int
    timestamp: str
    metadata: str
    builder: str
    signature: str


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _hex_word(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x")).rjust(32, b"\0")


class _Domain(NamedTuple):
    exchange: str
    separator: bytes


def _domain(version: str, exchange: str) -> _Domain:
    separator = keccak(
        keccak(text=_DOMAIN_TYPE)
        + keccak(text="Polymarket CTF Exchange")
        + keccak(text=version)
        + _word(CHAIN_ID)
        + _hex_word(exchange)
    )
    return _Domain(exchange, separator)


_CTF_DOMAIN = _domain("2", EXCHANGE)
_POSITION_DOMAIN = _domain("3", EXCHANGE_V3)


def _domain_of(token: str) -> _Domain:
    return _POSITION_DOMAIN if is_position_id(token) else _CTF_DOMAIN


def exchange_of(token: str) -> str:
    """The contract that trades an outcome, and that has to be allowed to spend."""
    return _domain_of(token).exchange


def struct_hash(order: WireOrder) -> bytes:
    """The EIP-712 hash of the order structure, without the domain.

    Raises
    ------
    ValueError, OverflowError
        If a field does not fit its type.
    """
    return keccak(
        keccak(text=_ORDER_TYPE)
        + _word(order.salt)
        + _hex_word(order.maker)
        + _hex_word(order.signer)
        + _word(int(order.tokenId))
        + _word(int(order.makerAmount))
        + _word(int(order.takerAmount))
        + _word(0 if order.side == "BUY" else 1)
        + _word(order.signatureType)
        + _word(int(order.timestamp))
        + _hex_word(order.metadata)
        + _hex_word(order.builder)
    )


def order_id(order: WireOrder) -> str:
    """The order's id: its EIP-712 digest, which the client can compute before it sends the order."""
    return "0x" + keccak(b"\x19\x01" + _domain_of(order.tokenId).separator + struct_hash(order)).hex()


def order_signer(order: WireOrder) -> str | None:
    """Checksum address of the key that signed the order; None if the signature is invalid."""
    try:
        signature = bytes.fromhex(order.signature.removeprefix("0x"))
        body = struct_hash(order)
        if order.signatureType == DEPOSIT_WALLET:
            return _nested_signer(order, body, signature)
        return _recover(SignableMessage(b"\x01", _domain_of(order.tokenId).separator, body), signature)
    except (ValueError, OverflowError):
        return None


def _nested_signer(order: WireOrder, contents: bytes, signature: bytes) -> str | None:
    """The signer inside the ERC-7739 wrapper: signature ‖ domain ‖ contents hash ‖ contents type ‖ length."""
    type_text = _ORDER_TYPE.encode()
    separator = _domain_of(order.tokenId).separator
    wrapper = separator + contents + type_text + len(type_text).to_bytes(2, "big")
    if signature[65:] != wrapper:
        return None
    nested = keccak(
        keccak(text=_NESTED_TYPE)
        + contents
        + keccak(text="DepositWallet")
        + keccak(text="1")
        + _word(CHAIN_ID)
        + _hex_word(order.signer)
        + _word(0)
    )
    return _recover(SignableMessage(b"\x01", separator, nested), signature[:65])


def auth_signer(address: str, timestamp: str, nonce: int, signature: str) -> str | None:
    """Checksum address of the key that signed the L1 headers; None if the signature is invalid."""
    try:
        message = encode_typed_data(
            domain_data={"name": "ClobAuthDomain", "version": "1", "chainId": CHAIN_ID},
            message_types={
                "ClobAuth": [
                    {"name": "address", "type": "address"},
                    {"name": "timestamp", "type": "string"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "message", "type": "string"},
                ]
            },
            message_data={
                "address": checksum(address),
                "timestamp": timestamp,
                "nonce": nonce,
                "message": _AUTH_MESSAGE,
            },
        )
        return _recover(message, bytes.fromhex(signature.removeprefix("0x")))
    except (ValueError, OverflowError):
        return None


def checksum(address: str) -> str:
    """The address in its canonical spelling; ValueError if it is invalid."""
    return to_checksum_address(address)


def _recover(message: SignableMessage, signature: bytes) -> str | None:
    try:
        return Account.recover_message(message, signature=signature)
    except (ValueError, TypeError, IndexError, BadSignature, ValidationError):
        return None
