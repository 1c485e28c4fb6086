"""Orders of this or an earlier process, looked up by their hash until the venue has said its last word."""

import asyncio
import time
from collections.abc import Callable

from loguru import logger

from errors import Temporary
from execution.execution_engine import ExecutionEngine
from execution.polymarket_client import PolymarketClient
from models import OrderIntent

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Between two questions about one order; the last one repeats."""
FORGET_AFTER_NS = 600 * 1_000_000_000
"""Age at which an order in a settled market that has no trade is taken as never matched. The venue's
trades appear within seconds; ten minutes leave room for a bad day."""


class Reconciler:
    """Asks the venue about every order that the engine has not heard the end of.

    What the user stream tells comes sooner; this is for what it does not tell, such as a trade that failed on
    the chain while no bot ran.

    Parameters
    ----------
    engine : ExecutionEngine
    client : PolymarketClient
        Blocking; asked from a thread.
    is_settled : Callable[[str], bool]
        Whether a market has its official outcome.
    now_ns : Callable[[], int]
    """

    def __init__(
        self,
        engine: ExecutionEngine,
        client: PolymarketClient,
        is_settled: Callable[[str], bool],
        now_ns: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._client = client
        self._is_settled = is_settled
        self._now_ns = now_ns

    async def run(self) -> None:
        """Ask for ever; each order quickly at first, then ever more rarely."""
        asked: dict[str, tuple[int, float]] = {}
        while True:
            now = time.monotonic()
            for order_id, intent in self._engine.unresolved():
                times, due = asked.get(order_id, (0, now))
                if due > now:
                    continue
                asked[order_id] = times + 1, now + PAUSES_S[min(times, len(PAUSES_S) - 1)]
                try:
                    await self._look_up(order_id, intent)
                except Temporary as error:
                    logger.warning(f"order {order_id} is not resolved yet: {error}")
            await asyncio.sleep(PAUSES_S[0])

    async def _look_up(self, order_id: str, intent: OrderIntent) -> None:
        trades = await asyncio.to_thread(self._client.trades, intent.condition_id)
        found = [trade for trade in trades if trade.get("taker_order_id") == order_id]
        for trade in found:
            self._engine.trade(trade)
        if found or (order_id, intent) not in self._engine.unknown():
            return
        if await asyncio.to_thread(self._client.killed, order_id):
            self._engine.order_dead(order_id, "the venue says it ended without a match")
        elif self._is_settled(intent.slug) and self._now_ns() - intent.created_ns > FORGET_AFTER_NS:
            self._engine.order_dead(order_id, "the market is settled and the venue has no trade of it")
