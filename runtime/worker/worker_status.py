"""Collects the state of a worker once per second, for the metrics, the health check and the terminal."""

import asyncio
import time
from collections.abc import Callable, Mapping

from loguru import logger

from bot import IntegratedBTCStrategy
from core.ingestion.adapters.health import SourceHealth
from core.ingestion.adapters.unified_adapter import Externals, UnifiedDataAdapter
from errors import Temporary
from events import FeedStatus, RecordingStatus, SeriesStatus, WorkerStatus
from execution.execution_engine import ExecutionEngine
from execution.polymarket_client import PolymarketClient
from execution.settlement.outcome_poller import OutcomePoller
from models import SCALE_SECONDS, BrainParams, Market, MarketKind
from runtime.worker.mode_follower import ModeFollower
from runtime.worker.plan import WorkerPlan
from runtime.worker.traded_series import TradedGroup, TradedSeries

SKEW_SECONDS = 60.0
"""Time between two measurements of the clock."""


def feed_statuses(health: Mapping[str, SourceHealth]) -> tuple[FeedStatus, ...]:
    """The sources that were queried at least once."""
    return tuple(
        FeedStatus(source=name, age_s=one.last_success_age_s, failures=one.failures, up=one.up)
        for name, one in health.items()
        if one.successes or one.failures
    )


def feed_reconnects(health: Mapping[str, SourceHealth]) -> dict[str, int]:
    """Number of reconnections of each stream among the sources."""
    return {name: one.reconnects for name, one in health.items() if one.state is not None}


def spot_text(externals: Externals | None, market: Market | None) -> str:
    """Spot price relative to the strike, as a short text; empty without feeds, and in a recorded market."""
    if externals is None or externals.spot is None or market is None or market.kind is MarketKind.RECORDED:
        return ""
    strike = (
        "no strike" if externals.strike is None else f"{externals.spot.price - externals.strike.price:+,.2f}"
    )
    return f"{externals.spot.price:,.2f} ({strike})"


def running_tasks() -> int:
    """Tasks of the running event loop; 0 outside of one."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


class StatusReporter:
    """Collects the state of a worker.

    Parameters
    ----------
    plan : WorkerPlan
    params : BrainParams
    interval_s : int
        Length of a market, market seconds.
    strategy : IntegratedBTCStrategy
    engine : ExecutionEngine
    mode : ModeFollower
    feeds : UnifiedDataAdapter or None
    account : PolymarketClient
        Queried for the venue's time.
    recording : Callable[[], RecordingStatus], optional
        The state of the recording.
    group : TradedGroup, optional
        All series, where there are several: strategy and feeds are then those of the one that decides next.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        params: BrainParams,
        interval_s: int,
        strategy: IntegratedBTCStrategy,
        engine: ExecutionEngine,
        mode: ModeFollower,
        feeds: UnifiedDataAdapter | None,
        account: PolymarketClient,
        recording: Callable[[], RecordingStatus] | None = None,
        group: TradedGroup | None = None,
    ) -> None:
        self._plan = plan
        self._params = params
        self._interval_s = interval_s
        self._strategy = strategy
        self._engine = engine
        self._mode = mode
        self._feeds = feeds
        self._account = account
        self._recording = recording
        self._group = group if group is not None and group.several else None
        self._reconnects: dict[str, int] = {"market": 0, "user": 0}
        self._dropped: dict[str, int] = {"quotes": 0, "frames": 0}
        self._skew_s: float | None = None

    def reconnected(self, stream: str) -> None:
        """Count a reconnection of one of the node's streams."""
        self._reconnects[stream] += 1

    def dropped(self, kind: str, number: int) -> None:
        """Count market data that were not used because newer ones waited: quotes, or whole frames."""
        self._dropped[kind] += number

    async def measure_skew(self) -> None:
        """Compare this machine's clock with the venue's for as long as the worker runs."""
        while True:
            try:
                self._skew_s = await asyncio.to_thread(self._account.clock_skew_s)
            except Temporary as error:
                logger.warning(f"{error}")
            await asyncio.sleep(SKEW_SECONDS)

    def status(self, outcomes: OutcomePoller | None) -> WorkerStatus:
        """The present state; `outcomes` is None before the first result is waited for."""
        strategy, feeds, interval_s = self._strategy, self._feeds, self._interval_s
        if self._group is not None:
            chosen = self._group.next_to_decide
            strategy, feeds, interval_s = chosen.strategy, chosen.feeds, chosen.length_s
        tracked, second, p = strategy.now()
        health = self._health()
        return WorkerStatus(
            ts_ns=time.time_ns(),
            profile=self._plan.profile,
            mode=self._plan.mode,
            armed=self._plan.armed,
            halted=self._engine.halted,
            allows_orders=self._mode.allows_orders,
            mode_detail=self._mode.decision.why,
            slug=tracked.market.slug if tracked else None,
            title=tracked.market.title if tracked else "",
            version=tracked.market.version.value if tracked else "",
            kind=tracked.market.kind if tracked else None,
            second=second,
            second_length_s=self._plan.clock.wall_seconds(interval_s) / 900,
            window=(self._params.window_start, self._params.window_end),
            p=p,
            quote_age_s=strategy.quote_age_s(),
            tradable=strategy.tradable,
            pending_settlements=len(outcomes.waiting) if outcomes else 0,
            oldest_pending_s=outcomes.longest_s if outcomes else None,
            unknown_orders=len(self._engine.unknown()),
            reconnects=self._reconnects | feed_reconnects(health),
            dropped=dict(self._dropped),
            tasks=running_tasks(),
            feeds=feed_statuses(health),
            consensus=None if feeds is None else feeds.consensus(),
            clock_skew_s=self._skew_s,
            outside=spot_text(strategy.externals, tracked.market if tracked else None),
            recording=None if self._recording is None else self._recording(),
            series=() if self._group is None else tuple(map(self._series_status, self._group.traded)),
        )

    def _health(self) -> dict[str, SourceHealth]:
        """Health of every source by name; with several series, of every asset's."""
        if self._group is None:
            return {} if self._feeds is None else self._feeds.health()
        return {
            f"{one.series.asset} {name}": health
            for one in self._group.traded
            if one.feeds is not None
            for name, health in one.feeds.health().items()
        }

    def _series_status(self, one: TradedSeries) -> SeriesStatus:
        tracked, second, p = one.strategy.now()
        market = tracked.market if tracked else None
        return SeriesStatus(
            series=one.series.name,
            slug=market.slug if market else None,
            title=market.title if market else "",
            kind=market.kind if market else None,
            version=market.version.value if market else "",
            second=second,
            second_length_s=self._plan.clock.wall_seconds(one.length_s) / SCALE_SECONDS,
            p=p,
            quote_age_s=one.strategy.quote_age_s(),
            tradable=one.strategy.tradable,
            feeds=feed_statuses(one.feeds.health()) if one.feeds else (),
            consensus=one.feeds.consensus() if one.feeds else None,
            outside=spot_text(one.strategy.externals, market),
        )
