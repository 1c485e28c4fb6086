"""Finds a result that the venue corrected after the ledger recorded it. Pure.

Paper trading finds one by its cash, because the practice venue pays at once. On the live path the ledger
expects no payout of a market that it recorded as lost, and the cash agrees without one: only the account's
list of positions shows what the shares pay.
"""

from decimal import Decimal

from execution.polymarket_client import Redeemable
from models import Outcome, Settlement

PAYOUTS = (Decimal(0), Decimal("0.5"), Decimal(1))
"""What a share of a resolved market pays; a list that is behind still has a price of the open market."""


def contradiction(row: Redeemable, settlement: Settlement) -> str | None:
    """How a listed position contradicts the recorded result of its market; None if it does not."""
    if row.outcome not in tuple(Outcome) or row.pays not in PAYOUTS:
        return None
    recorded = settlement.pays(Outcome(row.outcome))
    if recorded == row.pays:
        return None
    listed = f"{row.shares} shares of {row.outcome} that pay {row.pays} each, not {recorded}"
    return (
        f"the result of {row.slug} was corrected: {settlement.result} by {settlement.source}, but the"
        f" account's positions list {listed}"
    )
