"""Reads external JSON: every function returns a valid value or raises MalformedPayload."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from common.bounded_http import require_shallow
from data_sources.types import MalformedPayload

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = 1_000_000
"""Nanoseconds per millisecond."""
SECOND = 1_000_000_000
"""Nanoseconds per second."""

# Wider than any price, size or identifier, but narrow enough that arithmetic with the result can neither
# overflow nor allocate without a limit ("1e999999999" is valid JSON).
_MAX_MAGNITUDE = 40
_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?")
_OLDEST_NS = 1_230_768_000 * SECOND
_NEWEST_NS = 4_102_444_800 * SECOND
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def shown(value: object) -> str:
    """An external value, shortened for an error text."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def decode(source: str, body: bytes) -> Any:
    """Decode JSON; fractional numbers become Decimal, so that no price is converted to a float.

    Raises
    ------
    MalformedPayload
        For everything that is not JSON, including an HTML error page, and for JSON that is nested too deeply.
    """
    try:
        value = _DECODER.decode(body)
        require_shallow(value)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError) as error:
        what = "an HTML page" if body.lstrip()[:1] == b"<" else "invalid JSON" if body else "an empty body"
        raise MalformedPayload(f"{source}: {what} ({shown(body[:40])}): {error}") from None
    return value


def decode_object(source: str, body: bytes) -> dict[str, Any]:
    """Decode JSON that must be an object."""
    return mapping(source, "payload", decode(source, body))


def mapping(source: str, what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedPayload(f"{source}: {what} is not an object: {shown(value)}")
    return value


def sequence(source: str, what: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedPayload(f"{source}: {what} is not a list: {shown(value)}")
    return value


def text(source: str, what: str, value: object) -> str:
    if not isinstance(value, str):
        raise MalformedPayload(f"{source}: {what} is not a string: {shown(value)}")
    return value


def number(source: str, what: str, value: object) -> Decimal:
    """A finite number, given as a number or as a string.

    Raises
    ------
    MalformedPayload
        For booleans, null, NaN, infinities, values beyond 1e±40, and strings that are not numbers.
    """
    parsed: Decimal | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        parsed = Decimal(value)
    elif isinstance(value, Decimal):
        parsed = value
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        parsed = Decimal(value)
    if parsed is None or not parsed.is_finite() or abs(parsed.adjusted()) > _MAX_MAGNITUDE:
        raise MalformedPayload(f"{source}: {what} is not a usable number: {shown(value)}")
    return parsed


def positive(source: str, what: str, value: object) -> Decimal:
    """A finite number above zero."""
    parsed = number(source, what, value)
    if parsed <= 0:
        raise MalformedPayload(f"{source}: {what} is not positive: {shown(value)}")
    return parsed


def integer(source: str, what: str, value: object) -> int:
    """An integer of at most 63 bits, given as a number or as a string."""
    parsed = number(source, what, value)
    if abs(parsed) >= 2**63 or parsed != parsed.to_integral_value():
        raise MalformedPayload(f"{source}: {what} is not an integer: {shown(value)}")
    return int(parsed)


def count(source: str, what: str, value: object) -> int:
    """A non-negative integer."""
    parsed = integer(source, what, value)
    if parsed < 0:
        raise MalformedPayload(f"{source}: {what} is negative: {shown(value)}")
    return parsed


def epoch_ns(source: str, what: str, value: object, unit_ns: int) -> int:
    """A time since the epoch in units of `unit_ns`, as nanoseconds; must be between 2009 and 2100."""
    return _plausible(source, what, value, integer(source, what, value) * unit_ns)


def iso_ns(source: str, what: str, value: object) -> int:
    """An ISO 8601 time as nanoseconds since the epoch; UTC if it has no offset."""
    try:
        parsed = datetime.fromisoformat(text(source, what, value))
        moment = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        microseconds = (moment - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise MalformedPayload(f"{source}: {what} is not a time: {shown(value)}") from None
    return _plausible(source, what, value, microseconds * 1000)


def _plausible(source: str, what: str, value: object, ns: int) -> int:
    if not _OLDEST_NS <= ns <= _NEWEST_NS:
        raise MalformedPayload(f"{source}: {what} is not a plausible time: {shown(value)}")
    return ns
