"""Finds the outstanding payouts that explain a surplus of the venue's cash over the ledger's. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from execution.amounts import UNIT

MOST_SUMS = 200_000
"""Maximum number of sums tried: enough for any choice of 17 payouts, and for many more of few amounts."""


def paid(surplus: Decimal, owed: Mapping[str, Decimal], tolerance: Decimal) -> tuple[str, ...] | None:
    """The payouts that have reached the account, if the surplus consists of payouts only.

    Parameters
    ----------
    surplus : Decimal
        The venue's cash minus the ledger's, pUSD.
    owed : Mapping[str, Decimal]
        The outstanding payout of each settled market, pUSD, above 0.
    tolerance : Decimal
        Maximum difference between a sum and the surplus, pUSD.

    Returns
    -------
    tuple of str or None
        Slugs whose payouts add up to the surplus, all of them if possible; empty without a surplus; None if
        no choice of payouts explains it. If several choices do, they are equivalent in money.
    """
    target, slack = _micro(surplus), _micro(tolerance)
    slugs, amounts = list(owed), [_micro(amount) for amount in owed.values()]
    total = sum(amounts)
    # The difference to the total is often faster to find than the surplus.
    missing = total - target < target
    chosen = _choice(total - target if missing else target, amounts, slack)
    return (
        None
        if chosen is None
        else tuple(slug for index, slug in enumerate(slugs) if (index in chosen) is not missing)
    )


def _choice(goal: int, amounts: Sequence[int], slack: int) -> set[int] | None:
    """Positions of amounts whose sum is closest to the goal, if it is within the slack."""
    last: dict[int, int] = {}  # by sum: the position that was added to a smaller sum of earlier positions
    for index, amount in enumerate(amounts):
        for before in [0, *last]:
            if before + amount <= goal + slack:
                last.setdefault(before + amount, index)
        if len(last) > MOST_SUMS:
            return None
    nearest = min([0, *last], key=lambda found: abs(found - goal))
    if abs(nearest - goal) > slack:
        return None
    chosen: set[int] = set()
    while nearest:
        chosen.add(last[nearest])
        nearest -= amounts[last[nearest]]
    return chosen


def _micro(amount: Decimal) -> int:
    return int(amount * UNIT)
