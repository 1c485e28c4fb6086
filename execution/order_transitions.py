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
CASH_DELAY_NS = 60 * 1_000_000_000
"""Time within which a trade has moved the venue's cash, nanoseconds."""


def unconfirmed_since(cash_agreed_ns: int) -> int:
    """Creation time from which orders are not covered by a check of the cash.

    Until a later check agrees, an order that ended without a trade may have moved money all the same: the
    venue may have executed an order that it refused.

    Parameters
    ----------
    cash_agreed_ns : int
        When the venue's cash last agreed with the ledger's; 0 if it never has.
    """
    return cash_agreed_ns - CASH_DELAY_NS
