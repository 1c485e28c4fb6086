"""Classifies the venue's answer to POST /order: a pure function of status code and body.

If the order *may* exist, the outcome is UNKNOWN; an unknown order is looked up by its hash and never sent
again.
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
    """`making` pUSD and `taking` shares are the venue's numbers, if it gave them."""

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
"""Texts of the venue for an order that was killed without a match, with several status codes."""

REFUSED_STATUSES = frozenset({400, 401, 403, 404, 405, 413, 415, 422, 429, 451})
"""Statuses of answers that are given instead of accepting the order. Any other status may come from a proxy
after the order reached the venue: a time-out (408, 499, 504), a conflict with a first copy (409), a restart
(425)."""

HELD_BACK_TEXTS = ("duplicated", "delayed", "timed out", "timeout")
"""Texts for an order that the venue already has or timed out on: it may still match."""

TAKEN_STATUSES = frozenset({"live", "matched", "delayed"})
"""Values of the body's `status` of an order that the venue accepted."""

REFUSED_503_TEXTS = ("trading is disabled", "trading is currently disabled", "cancel-only", "post-only mode")
"""Maintenance answers, given before the order reaches the matching engine."""


def classify(status: int | None, body: Any) -> PostOutcome:
    """Classify an answer to POST /order.

    Parameters
    ----------
    status : int or None
        HTTP status; None if no answer arrived (timeout, connection lost).
    body : Any
        Decoded JSON, or the text if it was not JSON.
    """
    text = _text(body)
    lowered = text.lower()
    if status is None:
        return PostOutcome(kind=OutcomeKind.UNKNOWN, reason=text or "no answer from the venue")
    if status == 200 and isinstance(body, dict) and body.get("success") is True and not _error(body):
        return _accepted(body)
    shown = text if status == 200 else f"HTTP {status}: {text}"
    if _shows_an_order(body):
        return PostOutcome(kind=OutcomeKind.UNKNOWN, reason=shown, trade_ids=_trade_ids(body))
    if any(known in lowered for known in NO_FILL_TEXTS):
        return PostOutcome(kind=OutcomeKind.NO_FILL, reason=text)
    kind = OutcomeKind.REFUSED if _refused(status, body, lowered) else OutcomeKind.UNKNOWN
    return PostOutcome(kind=kind, reason=shown)


def _refused(status: int, body: Any, text: str) -> bool:
    """Whether the order was rejected, so that it cannot exist."""
    # With an order id the venue had accepted the order when it answered.
    if _has_order_id(body) or any(known in text for known in HELD_BACK_TEXTS):
        return False
    if status == 503:
        return any(known in text for known in REFUSED_503_TEXTS)
    if status == 200:
        return isinstance(body, dict) and body.get("success") is False and bool(_error(body))
    return status in REFUSED_STATUSES


def _accepted(body: dict[str, Any]) -> PostOutcome:
    making, taking = _amount(body.get("makingAmount")), _amount(body.get("takingAmount"))
    trades = _trade_ids(body)
    status = _status(body)
    if status == "matched" and taking:
        return PostOutcome(kind=OutcomeKind.MATCHED, making=making, taking=taking, trade_ids=trades)
    if status == "unmatched" and not _has_order_id(body) and not _shows_an_order(body):
        return PostOutcome(kind=OutcomeKind.NO_FILL, reason="the venue answered status unmatched")
    # `delayed`, `live` (a FAK never rests, so this is transitional), or matched without amounts.
    return PostOutcome(
        kind=OutcomeKind.UNKNOWN, reason=f"the venue answered status {status or '(none)'}", trade_ids=trades
    )


def _shows_an_order(body: Any) -> bool:
    """Whether any part of an answer indicates that the order was accepted."""
    if not isinstance(body, dict):
        return False
    traded = any(_amount(body.get(name)) for name in ("makingAmount", "takingAmount"))
    hashes = body.get("transactionsHashes")
    return traded or _status(body) in TAKEN_STATUSES or bool(_trade_ids(body)) or bool(hashes)


def _has_order_id(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("orderID") or body.get("orderId"))


def _error(body: dict[str, Any]) -> str:
    return one_line(body.get("errorMsg") or body.get("error") or "")


def _status(body: dict[str, Any]) -> str:
    return one_line(body.get("status", "")).strip().lower()


def _amount(value: Any) -> Decimal | None:
    try:
        return amount_of(value)
    except ValueError:
        return None


def _trade_ids(body: dict[str, Any]) -> tuple[str, ...]:
    value = body.get("tradeIDs")
    return tuple(one_line(trade) for trade in value) if isinstance(value, list | tuple) else ()


def _text(body: Any) -> str:
    """The venue's text on one line, for ledger, log, terminal and notifications."""
    if isinstance(body, dict):
        body = body.get("error") or body.get("errorMsg") or body.get("error_msg") or body
    return one_line(body if body is not None else "")
