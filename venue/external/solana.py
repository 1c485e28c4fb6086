"""A Solana node over JSON-RPC, with Pyth's price accounts among its accounts."""

import base64
import struct
from typing import Any

import msgspec
from aiohttp import web

from venue.external.access import service
from venue.external.feeds import Feeds, FeedTime
from venue.external.services import PATHS
from venue.refusal import UNREADABLE
from venue.sources.price_path import draws
from venue.wire.common import json_answer

routes = web.RouteTableDef()

PYTH_ACCOUNTS = {
    "GVXRSBjFk6e6J3NbVPXohDJetcTjaeeuykUpbQF8UoMU": "btc",
    "JBu1AL4obBcCMqKBBxhpWCNUt136ijcuMZLFvTP7iWdB": "eth",
    "H6ARHf6YXhGYeQfUzQNGk6rDNnLBQKrenN712K4AQJEG": "sol",
}
"""The assets of the price accounts."""
PYTH_PROGRAM = "FsJ3A3u2vn5cTVofAjvy6y5kwABJAqYWpe4975bi2epH"
LAMPORTS = 23_942_400
ACCOUNT_BYTES = 3_312

SLOT_MS = 400
FIRST_SLOT, FIRST_SLOT_MS = 300_000_000, 1_731_000_000_000
"""Origin of the slot numbers (milliseconds since the epoch)."""
SAMPLE_SECONDS = 60
SAMPLES = 720
"""Maximum number of performance samples per answer."""

PUBLISHERS = 4
MINIMUM_PUBLISHERS = 3
CONFIDENCE = 20_000
"""The confidence interval is the price divided by this: half a basis point."""
EMA_SECONDS = 300

# The oracle's price account, version 2, field by field, with the sizes and order of the on-chain program.
_HEADER = struct.Struct("<IIIIIiIIQQ")  # magic … exponent, publishers, quoters, last slot, valid slot
_EMA = struct.Struct("<qqqqqq")
_MIDDLE = struct.Struct("<qBBHI32s32s")  # timestamp, minimum publishers, padding, product key, next key
_PREVIOUS = struct.Struct("<QqQq")
_INFO = struct.Struct("<qQIIQ")  # price, confidence, status, corporate action, slot
_MAGIC, _VERSION, _PRICE_ACCOUNT, _PRICE_TYPE, _EXPONENT, _TRADING = 0xA1B2C3D4, 2, 3, 1, -8, 1


class _Call(msgspec.Struct):
    method: str
    id: Any = None
    params: list[Any] = []


class _Bad(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def slot_at(wall_ms: int) -> int:
    """The newest slot at a time."""
    return FIRST_SLOT + (wall_ms - FIRST_SLOT_MS) // SLOT_MS


def block_time(slot: int) -> int:
    """Time of a slot, in seconds since the epoch."""
    return (FIRST_SLOT_MS + (slot - FIRST_SLOT) * SLOT_MS) // 1000


def price_account(feeds: Feeds, moment: FeedTime, asset: str) -> bytes:
    """The bytes of an asset's price account as published at a given time."""
    price, before = feeds.spot(moment.second, asset), feeds.spot(moment.second - 1, asset)
    slow = feeds.mean(moment.second, EMA_SECONDS, asset)
    slot = slot_at(moment.wall_ns // 1_000_000)
    info = _INFO.pack(price, price // CONFIDENCE, _TRADING, 0, slot)
    header = (_MAGIC, _VERSION, _PRICE_ACCOUNT, ACCOUNT_BYTES, _PRICE_TYPE, _EXPONENT, PUBLISHERS, PUBLISHERS)
    parts = [
        _HEADER.pack(*header, slot, slot),
        _EMA.pack(slow, slow, 1, slow // CONFIDENCE, slow // CONFIDENCE, 1),
        _MIDDLE.pack(moment.wall_s, MINIMUM_PUBLISHERS, 0, 0, 0, b"\x11" * 32, bytes(32)),
        _PREVIOUS.pack(slot - 1, before, before // CONFIDENCE, moment.wall_s),
        info,
        # Each publisher's key, its share in the aggregate, and its latest quote.
        *(bytes([n + 1]) * 32 + info + info for n in range(PUBLISHERS)),
    ]
    return b"".join(parts).ljust(ACCOUNT_BYTES, b"\x00")


@routes.post(PATHS["solana"])
@routes.post(PATHS["solana"] + "/")
@service("solana")
async def rpc(request: web.Request, feeds: Feeds) -> web.Response:
    """Answer one call or a batch."""
    try:
        content = msgspec.json.decode(await request.read())
    except UNREADABLE:
        return json_answer(_answer(None, error=_Bad(-32700, "Parse error")))
    if isinstance(content, list):
        return json_answer([_called(feeds, call) for call in content])
    return json_answer(_called(feeds, content))


def _called(feeds: Feeds, content: Any) -> dict[str, Any]:
    try:
        call = msgspec.convert(content, _Call)
    except msgspec.ValidationError:
        return _answer(None, error=_Bad(-32600, "Invalid request"))
    method = _METHODS.get(call.method)
    if method is None:
        return _answer(call.id, error=_Bad(-32601, "Method not found"))
    try:
        return _answer(call.id, method(feeds, call.params))
    except _Bad as error:
        return _answer(call.id, error=error)


def _answer(call_id: Any, result: Any = None, *, error: _Bad | None = None) -> dict[str, Any]:
    if error is not None:
        return {"jsonrpc": "2.0", "error": {"code": error.code, "message": error.message}, "id": call_id}
    return {"jsonrpc": "2.0", "result": result, "id": call_id}


def _slot(feeds: Feeds, _params: list[Any]) -> int:
    return slot_at(feeds.answered_ns("solana") // 1_000_000)


def _block_time(feeds: Feeds, params: list[Any]) -> int:
    if not params or not isinstance(params[0], int):
        raise _Bad(-32602, "Invalid params: a slot is needed")
    if params[0] > _slot(feeds, []):
        raise _Bad(-32004, f"Block not available for slot {params[0]}")
    return block_time(params[0])


def _samples(feeds: Feeds, params: list[Any]) -> list[dict[str, int]]:
    """Newest first, one per minute."""
    wanted = params[0] if params else SAMPLES
    if not isinstance(wanted, int) or not 0 < wanted <= SAMPLES:
        raise _Bad(-32602, f"Invalid limit; max {SAMPLES}")
    slots = SAMPLE_SECONDS * 1000 // SLOT_MS
    newest = _slot(feeds, []) // slots
    return [_sample(feeds.seed, minute, slots) for minute in range(newest, newest - wanted, -1)]


def _sample(seed: int, minute: int, slots: int) -> dict[str, int]:
    transactions = draws(seed, "solana", minute).randrange(150_000, 240_000)
    return {
        "slot": minute * slots,
        "numTransactions": transactions,
        "numNonVoteTransactions": transactions // 3,
        "numSlots": slots,
        "samplePeriodSecs": SAMPLE_SECONDS,
    }


def _account(feeds: Feeds, params: list[Any]) -> dict[str, Any]:
    options = params[1] if len(params) > 1 and isinstance(params[1], dict) else {}
    if not params or not isinstance(params[0], str):
        raise _Bad(-32602, "Invalid params: an account is needed")
    if options.get("encoding") != "base64":
        raise _Bad(-32602, "Encoded binary (base 58) data should be less than 128 bytes, please use Base64")
    # The chain continues while the oracle is stale: its price is then many slots old.
    context = {"apiVersion": "2.1.0", "slot": slot_at(feeds.wall_ns() // 1_000_000)}
    asset = PYTH_ACCOUNTS.get(params[0])
    if asset not in feeds.assets:
        return {"context": context, "value": None}
    data = price_account(feeds, feeds.now("solana"), asset)
    value = {
        "data": [base64.b64encode(data).decode(), "base64"],
        "executable": False,
        "lamports": LAMPORTS,
        "owner": PYTH_PROGRAM,
        "rentEpoch": 361,
        "space": ACCOUNT_BYTES,
    }
    return {"context": context, "value": value}


_METHODS = {
    "getSlot": _slot,
    "getBlockTime": _block_time,
    "getRecentPerformanceSamples": _samples,
    "getAccountInfo": _account,
}
