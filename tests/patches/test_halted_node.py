"""A halt and Nautilus' own risk engine, in a real node: nothing passes it until a person acts."""

from decimal import Decimal

import pytest
from ledger_builders import settlement
from nautilus_trader.model.identifiers import ClientOrderId

from control.halt_file import HALT_FILE
from core.nautilus_core.providers.trading_state import HaltedTradingState
from models import OrderIntent, OrderState, Outcome

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


def following(rig, attempt):
    """Connect the attempt's engine with the node's risk engine, as the worker does."""
    kernel = rig.node.kernel
    state = HaltedTradingState(kernel.risk_engine, kernel.loop, rig.strategy.close_after_halt)
    attempt.engine.watch_halts(state.follow)
    return state


def shown(rig):
    return rig.node.kernel.risk_engine.trading_state.name


async def lift(attempt):
    """Lift the halt as `redis_control.py resume` does."""
    await attempt.engine.check_halt()
    (attempt.folder / HALT_FILE).unlink()
    await attempt.engine.check_halt()


def order_of(rig, ask, intent_id="DENIED"):
    return OrderIntent(
        intent_id=intent_id,
        decision_id=0,
        slug=rig.market.slug,
        condition_id=rig.market.condition_id,
        token_id=rig.market.token(Outcome.DOWN),
        outcome=Outcome.DOWN,
        usd=Decimal("1.00"),
        ask=ask,
        price_cap=ask,
        attempt=1,
        created_ns=0,
    )


async def test_a_halt_is_nautilus_halt(rig, attempt):
    """While it stands Nautilus denies what the engine would have sent; lifted, the next order is bought."""
    following(rig, attempt)
    ask = rig.asks()[0][0]
    assert shown(rig) == "ACTIVE"
    attempt.engine.halt("the cash does not agree")
    assert shown(rig) == "HALTED"

    posted = rig.orders_posted()
    # Past the engine, as if its own check were broken.
    rig.strategy.send(order_of(rig, ask))
    order = rig.strategy.cache.order(ClientOrderId("DENIED"))
    await attempt.until(lambda: order.is_closed)
    assert (order.status_string(), order.last_event.reason) == ("DENIED", "TradingState.HALTED")
    assert rig.orders_posted() == posted

    await lift(attempt)
    assert shown(rig) == "ACTIVE"
    await attempt.decide(ask, ask)
    await attempt.until(lambda: attempt.states == [OrderState.MATCHED])
    assert rig.orders_posted() == posted + 1


async def test_an_order_passes_nautilus_in_the_call_that_submits_it(rig, attempt, monkeypatch):
    """Its risk engine and its execution engine are not queues in which an order waits for other threads."""
    submitted = []
    monkeypatch.setattr(rig.execution_client, "submit_order", submitted.append)
    rig.strategy.send(order_of(rig, rig.asks()[0][0], "DIRECT"))
    assert [command.order.client_order_id.value for command in submitted] == ["DIRECT"]


async def test_a_market_that_is_settled_during_a_halt_is_closed_after_it(rig, attempt):
    """The order that closes the position within Nautilus waits, and leaves no position open."""
    following(rig, attempt)
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask)
    await attempt.until(lambda: attempt.states == [OrderState.MATCHED])
    await attempt.until(attempt.closed)
    cache = rig.strategy.cache
    assert len(cache.positions_open()) == 1

    attempt.engine.halt("a person")
    rig.strategy.close_settled(rig.market.slug, settlement())
    await attempt.until(lambda: not rig.strategy.cache.orders_inflight())
    assert len(cache.positions_open()) == 1
    assert not [event for event in attempt.events if "TradingState" in str(event)]

    await lift(attempt)
    await attempt.until(lambda: not cache.positions_open())
