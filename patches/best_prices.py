"""Compares the best prices of a book with those that the venue sent beside a change. Pure."""

from decimal import Decimal
from functools import lru_cache

from patches.message_values import DISTINCT_PRICES, NUMBER


def differing_best(
    quoted: tuple[str | None, str | None], known: tuple[Decimal | None, Decimal | None]
) -> str | None:
    """The side whose best price differs, with both prices; None if they agree.

    Parameters
    ----------
    quoted : tuple of str
        `best_bid` and `best_ask` of the last change of a message. Empty, 0 and 1 are a side without orders; a
        value that is absent or no price is not compared.
    known : tuple of Decimal
        Best bid and ask of the book with all changes of the message; None for a side without orders.
    """
    for side, text, own in zip(("bid", "ask"), quoted, known, strict=True):
        if text is None or (text and not NUMBER.fullmatch(text)):
            continue
        if _quoted_price(text) != own:
            return f"best {side} {'none' if own is None else own}, the venue's is {text or 'none'}"
    return None


@lru_cache(maxsize=DISTINCT_PRICES)
def _quoted_price(text: str) -> Decimal | None:
    """The price of a text; None for a side without orders."""
    price = Decimal(text or 0)
    return price if 0 < price < 1 else None
