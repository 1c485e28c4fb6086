"""Orders of unknown fate, of this or an earlier process: looked up by their hash until the venue knows."""

import asyncio
from collections.abc import Callable

from loguru import logger

from errors import Temporary
from execution.execution_engine import ExecutionEngine
from execution.polymarket_client import PolymarketClient

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Between rounds of questions; the last one repeats."""
FORGET_AFTER_NS = 600 * 1_000_000_000
"""Age at which an order in a settled market that has no trade is taken as never matched. The venue's
trades appear within seconds; ten minutes leave room for a bad day."""


class Reconciler:
    """Asks the venue about every order that the engine calls unknown.

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
        """Ask for ever; quick while something is unknown, and at once when something new is."""
        round_number = 0
        while True:
            unknown = self._engine.unknown()
            for order_id, intent in unknown:
                try:
                    await self._look_up(order_id, intent.condition_id, intent.slug, intent.created_ns)
                except Temporary as error:
                    logger.warning(f"order {order_id} is still unknown: {error}")
            round_number = round_number + 1 if unknown else 0
            await asyncio.sleep(PAUSES_S[min(round_number, len(PAUSES_S) - 1)])

    async def _look_up(self, order_id: str, condition_id: str, slug: str, created_ns: int) -> None:
        trades = await asyncio.to_thread(self._client.trades, condition_id)
        found = [trade for trade in trades if trade.get("taker_order_id") == order_id]
        for trade in found:
            self._engine.trade(trade)
        if found:
            return
        if await asyncio.to_thread(self._client.killed, order_id):
            self._engine.order_dead(order_id, "the venue says it ended without a match")
        elif self._is_settled(slug) and self._now_ns() - created_ns > FORGET_AFTER_NS:
            self._engine.order_dead(order_id, "the market is settled and the venue has no trade of it")
