"""Validates numbers, times and ids of the messages of both streams.

NautilusTrader accepts any text that Python can convert to a number, and ends the whole process at an id with
a non-ASCII character.
"""

import re
from decimal import Decimal
from functools import lru_cache

from common.plain_text import one_line

NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{0,18})?|\.[0-9]{1,18}")
LONGEST_NUMBER = 34
"""Characters of such a number, at most."""
DISTINCT_PRICES = 8192
"""Price texts that are remembered: a market has at most a thousand prices on each of its two grids."""
SECONDS = re.compile(r"[0-9]{1,10}")
MILLISECONDS = re.compile(r"[0-9]{1,13}")
"""Since the epoch; later times do not fit the nanoseconds of NautilusTrader and of the ledger."""
CONDITION_ID = re.compile(r"0x[0-9a-fA-F]{1,64}")
TOKEN_ID = re.compile(r"[0-9]{1,78}")
ORDER_ID = re.compile(r"0x[0-9a-fA-F]{1,64}")
TRADE_ID = re.compile(r"[\x21-\x7e]{1,36}")
"""NautilusTrader's maximum length; the venue's ids are UUIDs."""
SIZE = re.compile(r"(?![0-9]{16})0*[0-9]{1,12}(\.[0-9]{0,18})?|\.[0-9]{1,18}")
"""A number below a million millions: more shares than any book has, a thirtieth of Nautilus' maximum."""
FINEST_TICK = Decimal("0.000001")


def form_fault(name: str, text: str, form: re.Pattern[str]) -> str | None:
    """Name and value of a text that does not match the pattern; None if it does."""
    return None if form.fullmatch(text) else f"{name} {one_line(text, 40)!r}"


def price_fault(text: str) -> str | None:
    """The price if it is not a number between 0 and 1, at which no order can rest or trade, else None."""
    right = len(text) <= LONGEST_NUMBER and _is_price(text)
    return None if right else f"price {one_line(text, 40)!r}"


@lru_cache(maxsize=DISTINCT_PRICES)
def _is_price(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None and 0 < Decimal(text) < 1


@lru_cache(maxsize=DISTINCT_PRICES)
def price_of(text: str) -> Decimal:
    """The number of a text without a `price_fault`.

    Messages repeat the same few prices: none of them is converted again for each level.
    """
    return Decimal(text)


def size_fault(text: str) -> str | None:
    """The number of shares if it is invalid, else None."""
    return None if SIZE.fullmatch(text) else f"size {one_line(text, 40)!r}"


def tick_fault(name: str, text: str) -> str | None:
    """Name and value of a tick if it is invalid, else None."""
    right = len(text) <= LONGEST_NUMBER and _is_tick(text)
    return None if right else f"{name} {one_line(text, 40)!r}"


@lru_cache(maxsize=DISTINCT_PRICES)
def _is_tick(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None and FINEST_TICK <= Decimal(text) < 1
