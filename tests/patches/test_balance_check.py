"""The adapter's last check of the balance: the order has to be paid for with its fee."""

from decimal import Decimal

import pytest

from models import OrderState

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_a_balance_that_pays_the_order_but_not_its_fee_is_refused(rig, tmp_path):
    """At 0.63 a dollar costs up to 2.6 cents of fee: with $1.02 nothing is sent, with $1.03 it is bought."""
    ask, wealth = rig.asks()[0][0], rig.client.balance()
    assert ask == Decimal("0.63")
    posted = rig.orders_posted()
    try:
        async with rig.attempt(tmp_path / "short") as short:
            rig.venue.set_account(rig.client.address, balance="1.02")
            await short.until(lambda: rig.nautilus_balance() == Decimal("1.02"))
            await short.decide(ask, ask)
            await short.until(lambda: short.states == [OrderState.REFUSED] and bool(short.reasons))
            assert "balance $1.02 is below the order's $1.02590 with its fee" in short.reasons[-1]
            assert rig.orders_posted() == posted
        async with rig.attempt(tmp_path / "enough") as enough:
            rig.venue.set_account(rig.client.address, balance="1.03")
            await enough.until(lambda: rig.nautilus_balance() == Decimal("1.03"))
            await enough.decide(ask, ask)
            await enough.until(enough.closed)
            assert enough.states == [OrderState.MATCHED]
    finally:
        rig.venue.set_account(rig.client.address, balance=str(wealth))
