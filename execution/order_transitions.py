"""Allowed transitions of order states and trade statuses. Pure.

The order lifecycle, the ledger and the totals computed from events use these tables.
"""

from models import FillStatus, OrderState

NEXT: dict[OrderState, frozenset[OrderState]] = {
    OrderState.INTENT: frozenset({OrderState.NO_FILL, OrderState.REFUSED}),
    OrderState.SENT: frozenset(
        {OrderState.MATCHED, OrderState.NO_FILL, OrderState.REFUSED, OrderState.UNKNOWN, OrderState.REVERSED}
    ),
    OrderState.UNKNOWN: frozenset(
        {OrderState.MATCHED, OrderState.NO_FILL, OrderState.REFUSED, OrderState.REVERSED}
    ),
    OrderState.MATCHED: frozenset({OrderState.REVERSED}),
    # The venue was observed to report a fill after it had reported the order as dead.
    OrderState.NO_FILL: frozenset({OrderState.MATCHED}),
    OrderState.REFUSED: frozenset({OrderState.MATCHED}),
    OrderState.REVERSED: frozenset(),
}
"""The states that may follow each state in the ledger."""
DEAD = (OrderState.NO_FILL, OrderState.REFUSED)
"""States of an order that bought nothing and allows another one in its market."""
FORWARD: dict[FillStatus, tuple[FillStatus, ...]] = {
    FillStatus.MATCHED: (),
    FillStatus.MINED: (FillStatus.MATCHED,),
    FillStatus.CONFIRMED: (FillStatus.MATCHED, FillStatus.MINED),
    FillStatus.FAILED: (FillStatus.MATCHED, FillStatus.MINED),
}
"""The statuses that each status may follow."""
FINAL = (FillStatus.CONFIRMED, FillStatus.FAILED)
"""Final chain statuses of a trade."""
