"""Which state of an order, and which status of a trade, may follow another. Pure.

The order lifecycle, the ledger and the totals that are kept from events share these tables.
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
    # The venue has been seen to report a fill after it had called the order dead.
    OrderState.NO_FILL: frozenset({OrderState.MATCHED}),
    OrderState.REFUSED: frozenset({OrderState.MATCHED}),
    OrderState.REVERSED: frozenset(),
}
"""The states that may follow each state in the ledger."""
DEAD = (OrderState.NO_FILL, OrderState.REFUSED)
"""States of an order that bought nothing and makes room for another one in its market."""
FORWARD: dict[FillStatus, tuple[FillStatus, ...]] = {
    FillStatus.MATCHED: (),
    FillStatus.MINED: (FillStatus.MATCHED,),
    FillStatus.CONFIRMED: (FillStatus.MATCHED, FillStatus.MINED),
    FillStatus.FAILED: (FillStatus.MATCHED, FillStatus.MINED),
}
"""The statuses that each status may follow."""
FINAL = (FillStatus.CONFIRMED, FillStatus.FAILED)
"""The chain's last status of a trade: nothing follows it."""
