"""Adds the newest external values to a frozen context and passes it to the strategy brain."""

import asyncio
from collections.abc import Awaitable

import msgspec

from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.nautilus_core.providers.decision_loop import DecisionLoop
from core.strategy_brain.fusion_engine import get_fusion_engine
from core.strategy_brain.strategies.decide import decide
from models import BrainParams, Decision, DecisionContext, MarketKind

NO_FEEDS = dict.fromkeys(
    ("coinbase", "strike", "deribit", "fear_greed"), "recorded markets have no external feeds"
)


class DecisionService:
    """Decides on an event loop of its own, so that pooled connections survive between decisions.

    Parameters
    ----------
    params : BrainParams
        All parameters except the weights, which learning may change.
    feeds : UnifiedDataAdapter or None
        External values; None where the venue's markets have none.
    loop : DecisionLoop
    deadline_s : float
        Longest wait for feeds that have not been read since the start, wall seconds. Otherwise a decision
        takes their newest values and waits for nothing.
    series : str
        Name of the series whose weights apply; empty if there is only one.
    """

    def __init__(
        self,
        params: BrainParams,
        feeds: UnifiedDataAdapter | None,
        loop: DecisionLoop,
        deadline_s: float,
        series: str = "",
    ) -> None:
        self._params = params
        self._feeds = feeds
        self._loop = loop
        self._deadline_s = deadline_s
        self._series = series

    def decide(self, context: DecisionContext) -> Awaitable[Decision]:
        """The brain's decision on a context, which begins at once; called on the node's loop."""
        if self._feeds is None or self._feeds.all_read:
            return asyncio.wrap_future(self._loop.call(self._decide, context))
        return self._decide_when_read(self._feeds, context)

    async def _decide_when_read(self, feeds: UnifiedDataAdapter, context: DecisionContext) -> Decision:
        await asyncio.wrap_future(self._loop.submit(feeds.until_read(self._deadline_s)))
        return await asyncio.wrap_future(self._loop.call(self._decide, context))

    def _decide(self, context: DecisionContext) -> Decision:
        params = msgspec.structs.replace(self._params, weights=get_fusion_engine(series=self._series).weights)
        # Beside generated markets a recorded one has prices around it, which are not its own.
        if self._feeds is None or context.market.kind is MarketKind.RECORDED:
            return decide(msgspec.structs.replace(context, absent=NO_FEEDS), params)
        market = context.market
        books_ns = max(context.up_book.ts_ns, context.down_book.ts_ns)
        found = self._feeds.newest(start=market.start, rule=market.rule, books_ns=books_ns)
        return decide(found.added_to(context), params)
