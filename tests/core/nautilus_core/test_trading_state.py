"""The trading state of Nautilus' own risk engine, without a node around it."""

import asyncio
import threading

import pytest
from nautilus_trader.model.enums import TradingState
from nautilus_trader.risk.engine import RiskEngine
from nautilus_trader.test_kit.stubs.component import TestComponentStubs

from core.nautilus_core.providers.trading_state import HaltedTradingState


@pytest.fixture
def risk_engine():
    clock, msgbus = TestComponentStubs.clock(), TestComponentStubs.msgbus()
    cache = TestComponentStubs.cache()
    portfolio = TestComponentStubs.portfolio()
    return RiskEngine(portfolio=portfolio, msgbus=msgbus, cache=cache, clock=clock)


async def test_the_state_follows_the_halt(risk_engine):
    """HALTED with the halt, ACTIVE with its end; `on_active` comes once with the end, not with the start."""
    active = []
    state = HaltedTradingState(risk_engine, asyncio.get_running_loop(), lambda: active.append(state.halted))
    state.follow(False)
    assert (state.halted, active) == (False, [])
    state.follow(True)
    assert risk_engine.trading_state == TradingState.HALTED
    state.follow(True)
    assert (state.halted, active) == (True, [])
    state.follow(False)
    assert risk_engine.trading_state == TradingState.ACTIVE
    assert active == [False]


async def test_a_halt_of_another_thread_reaches_the_nodes_loop(risk_engine):
    """The ledger's thread halts too: the risk engine is used on the loop only."""
    threads = []

    def note() -> None:
        threads.append(threading.current_thread())

    state = HaltedTradingState(risk_engine, asyncio.get_running_loop(), note)
    for halted in (True, False):
        await asyncio.to_thread(state.follow, halted)
        await asyncio.sleep(0)
        assert state.halted is halted
    assert threads == [threading.main_thread()]


def test_a_halt_after_the_node_has_ended_is_no_error(risk_engine):
    """The ledger may fail while the worker closes: there is nothing left to halt."""
    loop = asyncio.new_event_loop()
    loop.close()
    HaltedTradingState(risk_engine, loop, lambda: None).follow(True)
    assert risk_engine.trading_state == TradingState.ACTIVE
