"""Sets the trading state of Nautilus' risk engine: HALTED while a halt stands, else ACTIVE."""

import asyncio
from collections.abc import Callable

from nautilus_trader.model.enums import TradingState
from nautilus_trader.risk.engine import RiskEngine


class HaltedTradingState:
    """Sets the trading state.

    While it is HALTED the risk engine denies every new order, also those that only close a settled position
    within Nautilus.

    Parameters
    ----------
    risk_engine : RiskEngine
    loop : asyncio.AbstractEventLoop
        The node's; the risk engine is used on it only.
    on_active : Callable[[], None]
        Called on the loop whenever the state has become ACTIVE again.
    """

    def __init__(
        self, risk_engine: RiskEngine, loop: asyncio.AbstractEventLoop, on_active: Callable[[], None]
    ) -> None:
        self._risk_engine = risk_engine
        self._loop = loop
        self._on_active = on_active

    @property
    def halted(self) -> bool:
        """Whether the risk engine denies new orders."""
        return self._risk_engine.trading_state == TradingState.HALTED

    def follow(self, halted: bool) -> None:
        """A halt began or was lifted. From any thread; at once if called on the node's loop."""
        if self._on_loop():
            self._set(halted)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, halted)

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _set(self, halted: bool) -> None:
        state = TradingState.HALTED if halted else TradingState.ACTIVE
        if self._risk_engine.trading_state == state:
            return
        self._risk_engine.set_trading_state(state)
        if not halted:
            self._on_active()
