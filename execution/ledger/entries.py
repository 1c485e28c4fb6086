"""What the order lifecycle puts into the ledger: one value an entry, several entries a transaction."""

from models import Decision, Fill, FillStatus, Frozen, OrderIntent, OrderState


class DecisionEntry(Frozen, frozen=True):
    """A decision that led to no order."""

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
    """A fill with its status: new, or further on its way onto the chain."""

    fill: Fill
    status: FillStatus


Entry = DecisionEntry | OrderEntry | StateEntry | FillEntry
