"""Decodes Pyth's price account, version 2.

Layout (little endian; the oracle program's `PriceAccount`, also pyth-sdk-solana `state::PriceAccount`)::

      0 u32 magic 0xa1b2c3d4     4 u32 version 2       8 u32 account type 3 = price   12 u32 size
     16 u32 price type 1         20 i32 exponent      24 u32 publishers               28 u32 quoters
     32 u64 last slot            40 u64 valid slot    48 ema price (3 × i64)          72 ema confidence
     96 i64 timestamp           104 reserved         112 product key                 144 next key
    176 u64 previous slot       184 i64 prev. price  192 u64 prev. confidence        200 i64 prev. time
    208 i64 price  216 u64 confidence  224 u32 status  228 u32 corporate action  232 u64 publish slot
    240 publishers' components, 96 bytes each
"""

import struct
from decimal import Decimal

from data_sources.parsing import SECOND, epoch_ns
from data_sources.types import MalformedPayload, PythPrice

SOURCE = "pyth"
MAGIC = 0xA1B2C3D4
VERSION = 2
PRICE_ACCOUNT = 3
PRICE_TYPE = 1
TRADING = 1
HEADER_BYTES = 240

_HEADER = struct.Struct("<IIIIIi")
_TIMESTAMP = struct.Struct("<q")
_AGGREGATE = struct.Struct("<qQIIQ")
_LARGEST_EXPONENT = 18


def decode_price_account(data: bytes, *, symbol: str, slot: int, received_ns: int) -> PythPrice:
    """The aggregate price in an account's bytes.

    Parameters
    ----------
    data : bytes
        The account, at least its first 240 bytes.
    symbol : str
        The symbol of the account, which the bytes do not contain.
    slot : int
        The chain's slot when the account was read.

    Raises
    ------
    MalformedPayload
        If the bytes are not a price account of version 2, or its numbers are invalid.
    """
    if len(data) < HEADER_BYTES:
        raise MalformedPayload(f"{SOURCE}: {len(data)} bytes are not a price account, {HEADER_BYTES} needed")
    magic, version, account_type, _size, price_type, exponent = _HEADER.unpack_from(data, 0)
    found = (magic, version, account_type, price_type)
    if found != (MAGIC, VERSION, PRICE_ACCOUNT, PRICE_TYPE):
        raise MalformedPayload(f"{SOURCE}: not a version 2 price account: magic {magic:#x}, then {found[1:]}")
    if abs(exponent) > _LARGEST_EXPONENT:
        raise MalformedPayload(f"{SOURCE}: exponent {exponent} is out of range")
    price, confidence, status, _corporate_action, pub_slot = _AGGREGATE.unpack_from(data, 208)
    if price <= 0:
        raise MalformedPayload(f"{SOURCE}: price {price} is not positive")
    (timestamp,) = _TIMESTAMP.unpack_from(data, 96)
    return PythPrice(
        source=SOURCE,
        symbol=symbol,
        price=Decimal(price).scaleb(exponent),
        confidence=Decimal(confidence).scaleb(exponent),
        trading=status == TRADING,
        pub_slot=pub_slot,
        slot=slot,
        source_ns=epoch_ns(SOURCE, "timestamp", timestamp, SECOND),
        received_ns=received_ns,
    )
