"""Rows that the order lifecycle writes to the ledger, and the stored order that it restores. Pure.

They are not in `execution.ledger`, because that package imports SQLite and the order lifecycle must not.
"""

from decimal import Decimal

from models import Decision, Fill, FillStatus, Frozen, Market, OrderIntent, OrderState


class DecisionEntry(Frozen, frozen=True):
    """A decision without an order."""

    decision: Decision


class OrderEntry(Frozen, frozen=True):
    """A decision, its intent and, once signed, the order's hash: one transaction."""

    decision: Decision
    intent: OrderIntent
    order_id: str | None
    state: OrderState
    detail: str = ""


class StateEntry(Frozen, frozen=True):
    """An order's new state."""

    intent_id: str
    state: OrderState
    detail: str


class FillEntry(Frozen, frozen=True):
    """A fill with its status: a new one, or a later status on the chain."""

    fill: Fill
    status: FillStatus


Entry = DecisionEntry | OrderEntry | StateEntry | FillEntry


class StoredOrder(Frozen, frozen=True):
    """An order of the ledger, as a new process restores it.

    Attributes
    ----------
    order_id : str or None
        The order's EIP-712 hash; None if it was never signed.
    settled : bool
        Whether the official outcome of the market is recorded.
    trades : tuple of (trade id, status, shares)
        The recorded trades of the order.
    """

    intent: OrderIntent
    state: OrderState
    order_id: str | None
    market: Market
    detail: str = ""
    settled: bool = False
    trades: tuple[tuple[str, FillStatus, Decimal], ...] = ()
