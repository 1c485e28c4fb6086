"""Publishes the external values as Nautilus custom data, so that the strategy receives them like any tick."""

import asyncio
from collections.abc import Callable

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.core.data import Data
from nautilus_trader.model.data import DataType

from core.ingestion.adapters.unified_adapter import Externals, UnifiedDataAdapter
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.providers.decision_loop import DecisionLoop
from models import Rule

PUBLISH_MARKET_SECONDS = 5.0
SHORTEST_PAUSE_S = 1.0


class ExternalUpdate(Data):
    """The external values of one instant; `externals` names missing ones with the reason.

    `series` is its name, where several are traded.
    """

    def __init__(self, externals: Externals, ts_event: int, ts_init: int, series: str = "") -> None:
        self.externals = externals
        self.series = series
        self._ts_event = ts_event
        self._ts_init = ts_init

    @property
    def ts_event(self) -> int:
        return self._ts_event

    @property
    def ts_init(self) -> int:
        return self._ts_init


FEED = DataType(ExternalUpdate)


class FeedActor(Actor):
    """Starts the feed adapter with the node, publishes its values, and closes it at the end.

    The adapter runs on the decision loop; only the published values reach the node's loop. `rule` returns the
    settlement rule of the running market, for the strike. `series` is its name, where several are traded:
    each has an actor.
    """

    def __init__(
        self,
        adapter: UnifiedDataAdapter,
        decision_loop: DecisionLoop,
        clock: MarketClock,
        rule: Callable[[], Rule],
        now_ns: Callable[[], int],
        series: str = "",
    ) -> None:
        super().__init__(ActorConfig(component_id=f"FEEDS-{series}" if series else "FEEDS"))
        self._series = series
        self._adapter = adapter
        self._decision_loop = decision_loop
        self._pause_s = max(SHORTEST_PAUSE_S, clock.wall_seconds(PUBLISH_MARKET_SECONDS))
        self._rule = rule
        self._now_ns = now_ns
        self._task: asyncio.Task[None] | None = None

    def on_start(self) -> None:
        self._decision_loop.submit(self._adapter.start())
        self._task = asyncio.get_running_loop().create_task(self._publish())

    def on_stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._decision_loop.submit(self._adapter.aclose())

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            future = self._decision_loop.submit(self._adapter.newest_of_running(self._rule()))
            externals = await asyncio.wrap_future(future)
            now_ns = self._now_ns()
            self.publish_data(FEED, ExternalUpdate(externals, now_ns, now_ns, self._series))
