"""POST /chain: the JSON-RPC of a Polygon node, as far as the official client needs it."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from venue.chain import ChainRefusal, Reverted
from venue.refusal import UNREADABLE
from venue.signing import CHAIN_ID
from venue.venue import PracticeVenue
from venue.wire.common import json_answer, venue_of

routes = web.RouteTableDef()

GAS = 200_000
"""Estimate for every transaction; gas has the price 0."""
REVERTED, REFUSED, MALFORMED, UNKNOWN_METHOD = 3, -32_000, -32_602, -32_601
"""Error codes of JSON-RPC nodes."""


class _Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: list[Any] = []


class _Call(msgspec.Struct):
    to: str
    data: str = "0x"


@routes.post("/chain")
async def node(request: web.Request) -> web.Response:
    """One request, or a batch."""
    venue = venue_of(request)
    try:
        asked = msgspec.json.decode(await request.read(), type=_Request | list[_Request])
    except UNREADABLE as error:
        return json_answer(_failed(None, MALFORMED, str(error)))
    if isinstance(asked, list):
        return json_answer([_answer(venue, each) for each in asked])
    return json_answer(_answer(venue, asked))


def _answer(venue: PracticeVenue, asked: _Request) -> dict[str, Any]:
    method = _METHODS.get(asked.method)
    if method is None:
        text = f"the method {asked.method} does not exist/is not available"
        return _failed(asked.id, UNKNOWN_METHOD, text)
    try:
        return {"jsonrpc": "2.0", "id": asked.id, "result": method(venue, asked.params)}
    except Reverted as error:
        return _failed(asked.id, REVERTED, str(error))
    except ChainRefusal as error:
        return _failed(asked.id, REFUSED, str(error))
    except (
        IndexError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        msgspec.ValidationError,
    ) as error:
        return _failed(asked.id, MALFORMED, f"invalid params: {error}")


def _failed(number: int | str | None, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}


def _call(venue: PracticeVenue, params: list[Any]) -> str:
    called = msgspec.convert(params[0], _Call)
    return "0x" + venue.chain.call(called.to, _bytes(called.data)).hex()


def _estimate(venue: PracticeVenue, params: list[Any]) -> str:
    called = msgspec.convert(params[0], _Call)
    venue.chain.check(called.to, _bytes(called.data))
    return hex(GAS)


def _receipt(venue: PracticeVenue, params: list[Any]) -> dict[str, Any] | None:
    succeeded = venue.chain.succeeded(_text(params[0]))
    return None if succeeded is None else {"transactionHash": params[0], "status": hex(succeeded)}


def _text(parameter: Any) -> str:
    if not isinstance(parameter, str):
        raise TypeError("a string is expected")
    return parameter


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


_METHODS: dict[str, Callable[[PracticeVenue, list[Any]], Any]] = {
    "eth_chainId": lambda _, __: hex(CHAIN_ID),
    "eth_gasPrice": lambda _, __: hex(0),
    "eth_getBlockByNumber": lambda venue, _: {"timestamp": hex(int(venue.clock.wall_s()))},
    "eth_getTransactionCount": lambda venue, params: hex(venue.chain.transactions_of(_text(params[0]))),
    "eth_call": _call,
    "eth_estimateGas": _estimate,
    "eth_sendRawTransaction": lambda venue, params: venue.chain.send(_bytes(params[0])),
    "eth_getTransactionReceipt": _receipt,
}
