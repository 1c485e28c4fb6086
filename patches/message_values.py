"""Validates numbers, times and ids of the messages of both streams.

NautilusTrader accepts any text that Python can convert to a number, and ends the whole process at an id with
a non-ASCII character.
"""

import re
from decimal import Decimal

from common.plain_text import one_line

NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{0,18})?|\.[0-9]{1,18}")
SECONDS = re.compile(r"[0-9]{1,10}")
MILLISECONDS = re.compile(r"[0-9]{1,13}")
"""Since the epoch; later times do not fit the nanoseconds of NautilusTrader and of the ledger."""
CONDITION_ID = re.compile(r"0x[0-9a-fA-F]{1,64}")
TOKEN_ID = re.compile(r"[0-9]{1,78}")
ORDER_ID = re.compile(r"0x[0-9a-fA-F]{1,64}")
TRADE_ID = re.compile(r"[\x21-\x7e]{1,36}")
"""NautilusTrader's maximum length; the venue's ids are UUIDs."""
LARGEST_SIZE = Decimal(10**12)
"""In shares; more than any book has, and a thirtieth of the maximum of Nautilus' quantities."""
FINEST_TICK = Decimal("0.000001")


def form_fault(name: str, text: str, form: re.Pattern[str]) -> str | None:
    """Name and value of a text that does not match the pattern; None if it does."""
    return None if form.fullmatch(text) else f"{name} {one_line(text, 40)!r}"


def price_fault(text: str) -> str | None:
    """The price if it is not a number between 0 and 1, at which no order can rest or trade, else None."""
    right = NUMBER.fullmatch(text) is not None and 0 < Decimal(text) < 1
    return None if right else f"price {one_line(text, 40)!r}"


def size_fault(text: str) -> str | None:
    """The number of shares if it is invalid, else None."""
    right = NUMBER.fullmatch(text) is not None and Decimal(text) < LARGEST_SIZE
    return None if right else f"size {one_line(text, 40)!r}"


def tick_fault(name: str, text: str) -> str | None:
    """Name and value of a tick if it is invalid, else None."""
    right = NUMBER.fullmatch(text) is not None and FINEST_TICK <= Decimal(text) < 1
    return None if right else f"{name} {one_line(text, 40)!r}"
