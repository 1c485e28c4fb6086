"""Parses Solana's JSON-RPC answers; raises MalformedPayload."""

import base64
import binascii
from typing import Any

from data_sources.parsing import (
    count,
    decode_object,
    mapping,
    sequence,
    shown,
    text,
)
from data_sources.types import MalformedPayload
from errors import Temporary
from models import Frozen

SOURCE = "solana"


class SolanaAccount(Frozen, frozen=True):
    """The bytes of an account, its owner program, and the slot at which it was read."""

    data: bytes
    owner: str
    slot: int


def parse_account(body: bytes) -> SolanaAccount:
    """`getAccountInfo` with base64 encoding."""
    result = mapping(SOURCE, "result", _result(body))
    context = mapping(SOURCE, "context", result.get("context"))
    value = mapping(SOURCE, "value", result.get("value"))
    parts = sequence(SOURCE, "data", value.get("data"))
    if len(parts) != 2 or parts[1] != "base64":
        raise MalformedPayload(f"{SOURCE}: data is not [bytes, 'base64']: {shown(parts)}")
    try:
        data = base64.b64decode(text(SOURCE, "data[0]", parts[0]), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedPayload(f"{SOURCE}: data is not base64: {shown(parts[0])}") from None
    return SolanaAccount(
        data=data,
        owner=text(SOURCE, "owner", value.get("owner")),
        slot=count(SOURCE, "context.slot", context.get("slot")),
    )


def _result(body: bytes) -> Any:
    payload = decode_object(SOURCE, body)
    error = payload.get("error")
    if error is not None:
        raise Temporary(f"{SOURCE}: the node answers with an error: {shown(error)}")
    if "result" not in payload:
        raise MalformedPayload(f"{SOURCE}: neither result nor error in {shown(payload)}")
    return payload["result"]
