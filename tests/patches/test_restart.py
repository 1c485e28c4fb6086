"""A new process takes its orders from the ledger and the venue, none from Nautilus."""

from decimal import Decimal

import msgspec
import pytest

from core.nautilus_core.data_engine import node as node_module
from models import OrderState

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

SLIPPAGE = Decimal("0.02")


async def test_a_fill_that_was_not_booked_is_booked_by_the_next_process(rig, tmp_path):
    """The answer came, the user feed did not, and the process ended: one fill, once, and no other order."""
    ask = rig.asks()[0][0]
    rig.venue.fault("user_feed_silent", None)
    async with rig.attempt(tmp_path) as first:
        await first.decide(ask, ask + SLIPPAGE)
        await first.until(lambda: first.states == [OrderState.MATCHED])
        assert await first.thread.call(first.reader.trades) == []
    posted = rig.orders_posted()
    async with rig.attempt(tmp_path) as second:
        second.known_trades = first.known_trades
        await second.engine.resume()
        await second.decide(ask, ask + SLIPPAGE)
        assert "an order in this market exists or may exist" in second.events[-1].decision.detail
        second.follow_orders()
        await second.until(lambda: not second.engine.unknown(), 1.5)  # before the first one's look-ups
        await second.balanced()
    assert rig.orders_posted() == posted
    rig.venue.clear_faults()


@pytest.mark.parametrize("by_nautilus", [False, True], ids=["the bot's way", "by Nautilus"])
async def test_no_position_without_a_price(by_nautilus, rig, tmp_path, monkeypatch):
    """With a position at the venue a new node has none; Nautilus' default is to generate one, at price 0."""
    ask = rig.asks()[0][0]
    async with rig.attempt(tmp_path) as attempt:
        await attempt.decide(ask, ask + SLIPPAGE)
        await attempt.until(attempt.closed)
    if by_nautilus:
        made = node_module.node_config(rig.plan)
        theirs = msgspec.structs.replace(
            made, exec_engine=msgspec.structs.replace(made.exec_engine, reconciliation=True)
        )
        monkeypatch.setattr(node_module, "node_config", lambda plan: theirs)
    async with rig.second_node() as node:
        positions = node.cache.positions()
        assert node.cache.orders_open() == []
    if by_nautilus:
        assert positions
        assert {str(position.strategy_id) for position in positions} == {"EXTERNAL"}
        assert any(position.avg_px_open == 0 for position in positions)
    else:
        assert positions == []
