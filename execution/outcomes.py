"""What the venue's answer to POST /order means: one pure function over status code and body.

The one rule that matters: whenever the order *may* exist, the outcome is UNKNOWN, and an unknown
order is looked up by its hash, never sent again.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any

from common.plain_text import one_line
from execution.amounts import amount_of
from models import Frozen


class OutcomeKind(StrEnum):
    MATCHED = "matched"
    NO_FILL = "no_fill"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class PostOutcome(Frozen, frozen=True):
    """`making` pUSD and `taking` shares are the venue's own figures, when it gave them."""

    kind: OutcomeKind
    reason: str = ""
    making: Decimal | None = None
    taking: Decimal | None = None
    trade_ids: tuple[str, ...] = ()


NO_FILL_TEXTS = (
    "no orders found to match",
    "there are no matching orders",
    "couldn't be fully filled",
    "fok orders are filled or killed",
)
"""Texts with which the venue says that an order was killed without a match, under several status codes."""

REFUSED_503_TEXTS = ("trading is disabled", "trading is currently disabled", "cancel-only", "post-only mode")
"""Maintenance answers: given before the order reaches the matching engine."""


def classify(status: int | None, body: Any) -> PostOutcome:
    """Meaning of an answer to POST /order.

    Parameters
    ----------
    status : int or None
        HTTP status; None when no answer arrived (timeout, connection lost).
    body : Any
        Decoded JSON, or the text when it was not JSON.
    """
    text = _text(body)
    if status is None:
        return PostOutcome(kind=OutcomeKind.UNKNOWN, reason=text or "no answer from the venue")
    if any(known in text.lower() for known in NO_FILL_TEXTS):
        return PostOutcome(kind=OutcomeKind.NO_FILL, reason=text)
    if status == 200:
        return _accepted(body, text)
    if status == 503 and any(known in text.lower() for known in REFUSED_503_TEXTS):
        return PostOutcome(kind=OutcomeKind.REFUSED, reason=text)
    if status == 425 or status >= 500 or status < 400:
        return PostOutcome(kind=OutcomeKind.UNKNOWN, reason=f"HTTP {status}: {text}")
    if "duplicated" in text.lower() or "delayed" in text.lower():
        # The venue has these very bytes already, or holds the order back: it may yet match.
        return PostOutcome(kind=OutcomeKind.UNKNOWN, reason=text)
    return PostOutcome(kind=OutcomeKind.REFUSED, reason=f"HTTP {status}: {text}")


def _accepted(body: Any, text: str) -> PostOutcome:
    if not isinstance(body, dict):
        return PostOutcome(kind=OutcomeKind.UNKNOWN, reason=f"HTTP 200 without JSON: {text}")
    error = one_line(body.get("errorMsg") or body.get("error") or "")
    if body.get("success") is not True or error:
        # An order id beside a refusal means that the order was known to the venue.
        kind = OutcomeKind.REFUSED if error and body.get("success") is False else OutcomeKind.UNKNOWN
        return PostOutcome(kind=kind, reason=error or text)
    making, taking = _amount(body.get("makingAmount")), _amount(body.get("takingAmount"))
    trades = _trade_ids(body.get("tradeIDs"))
    status = one_line(body.get("status", ""))
    if status == "matched" and taking:
        return PostOutcome(kind=OutcomeKind.MATCHED, making=making, taking=taking, trade_ids=trades)
    if status == "unmatched":
        return PostOutcome(kind=OutcomeKind.NO_FILL, reason="the venue answered status unmatched")
    # `delayed`, `live` (a FAK never rests, so this is transitional), or matched without amounts.
    return PostOutcome(
        kind=OutcomeKind.UNKNOWN, reason=f"the venue answered status {status or '(none)'}", trade_ids=trades
    )


def _amount(value: Any) -> Decimal | None:
    try:
        return amount_of(value)
    except ValueError:
        return None


def _trade_ids(value: Any) -> tuple[str, ...]:
    return tuple(one_line(trade) for trade in value) if isinstance(value, list | tuple) else ()


def _text(body: Any) -> str:
    """The venue's text on one line; it goes to the ledger, the log, the screen and notifications."""
    if isinstance(body, dict):
        body = body.get("error") or body.get("errorMsg") or body.get("error_msg") or body
    return one_line(body if body is not None else "")
