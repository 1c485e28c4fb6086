"""Which of the payouts that are owed explain that the venue has more money than the ledger. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from execution.amounts import UNIT

MOST_SUMS = 200_000
"""Sums looked at before giving up: enough for any choice of 17 payouts, and for many more of few amounts."""


def paid(surplus: Decimal, owed: Mapping[str, Decimal], tolerance: Decimal) -> tuple[str, ...] | None:
    """The payouts that have reached the account, if payouts are all that the surplus consists of.

    Parameters
    ----------
    surplus : Decimal
        The venue's cash minus the ledger's, pUSD.
    owed : Mapping[str, Decimal]
        What each settled market still has to pay, pUSD, above 0.
    tolerance : Decimal
        How far a sum may be from the surplus, pUSD.

    Returns
    -------
    tuple of str or None
        Slugs whose payouts add up to the surplus, all of them if all do; empty if there is no surplus; None
        if no choice of payouts explains it. Where several do, which one is taken makes no difference to
        the money.
    """
    target, slack = _micro(surplus), _micro(tolerance)
    slugs, amounts = list(owed), [_micro(amount) for amount in owed.values()]
    total = sum(amounts)
    # What is missing from the whole is often less to look for than what is there.
    missing = total - target < target
    chosen = _choice(total - target if missing else target, amounts, slack)
    return (
        None
        if chosen is None
        else tuple(slug for index, slug in enumerate(slugs) if (index in chosen) is not missing)
    )


def _choice(goal: int, amounts: Sequence[int], slack: int) -> set[int] | None:
    """Positions of amounts whose sum is as near to the goal as it gets, if that is near enough."""
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
