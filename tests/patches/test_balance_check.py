"""The adapter's last check of the balance: it has to cover the order with its fee."""

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


@pytest.mark.parametrize(
    "balance", ["1" + "0" * 22, "9" * 38, "-5", "1e400", "NaN", "\x1b[2J\u202e", None, ["1"], "é"]
)
async def test_a_balance_that_cannot_be_changes_nothing(rig, monkeypatch, capfd, balance):
    """Whatever the venue's answer, the process lives, the balance stays, and no traceback is printed."""
    before = rig.nautilus_balance()
    monkeypatch.setattr(
        rig.execution_client._http_client, "get_balance_allowance", lambda _: {"balance": balance}
    )
    await rig.execution_client._update_account_state()
    assert rig.nautilus_balance() == before
    shown = capfd.readouterr()
    assert not [word for word in ("Traceback", "[ERROR]", "\x1b[2J") if word in shown.out + shown.err]


@pytest.mark.parametrize("fault", ["nested_answer", "huge_answer"])
async def test_an_answer_about_the_balance_that_cannot_be_read(rig, capfd, fault):
    """It is an error of that request; the next one returns the balance again."""
    rig.venue.fault(fault, 1, path="/balance-allowance")
    await rig.execution_client._update_account_state()
    await rig.execution_client._update_account_state()
    assert rig.nautilus_balance() == rig.client.balance()
    shown = capfd.readouterr()
    assert not [word for word in ("Traceback", "[ERROR]") if word in shown.out + shown.err]
