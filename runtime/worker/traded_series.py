"""The series that a worker trades, each with its own strategy, board and feeds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot import IntegratedBTCStrategy
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.nautilus_core.instruments.market_board import MarketBoard, TrackedMarket
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.instruments.refresh_times import RefreshTimes
from models import SCALE_SECONDS, Series, Settlement, series_of
from runtime.worker.planned_restart import allows_restart


@dataclass(frozen=True, kw_only=True)
class TradedSeries:
    """One series and everything that belongs to it alone.

    Attributes
    ----------
    length_s : int
        Usual length of a market, market seconds.
    feeds : UnifiedDataAdapter or None
        None where the venue's markets have none.
    """

    series: Series
    length_s: int
    board: MarketBoard
    strategy: IntegratedBTCStrategy
    feeds: UnifiedDataAdapter | None

    def until_window_end(self, market_time: float, window_end: float) -> float:
        """Market-clock seconds from a time to the next end of a decision window.

        Parameters
        ----------
        window_end : float
            End of the decision window, market seconds.
        """
        calendar = self.board.calendar
        start = calendar.running_start(market_time)
        while True:
            length = calendar.length(start)
            end = start + window_end * length / SCALE_SECONDS
            if end > market_time:
                return end - market_time
            start += length


class TradedGroup:
    """All series of a worker.

    Parameters
    ----------
    traded : Sequence[TradedSeries]
        In the order of the settings, at least one.
    clock : MarketClock
    window : tuple[float, float]
        The decision window, market seconds.
    now_ns : Callable[[], int]
        The machine's clock.
    """

    def __init__(
        self,
        traded: Sequence[TradedSeries],
        clock: MarketClock,
        window: tuple[float, float],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.traded = tuple(traded)
        self._by_series = {one.series: one for one in traded}
        self._clock = clock
        self._window = window
        self._now_ns = now_ns

    @property
    def several(self) -> bool:
        return len(self.traded) > 1

    def of(self, slug: str) -> TradedSeries | None:
        """The series of a market; None for one that this worker does not trade."""
        return self._by_series.get(series_of(slug))

    @property
    def next_to_decide(self) -> TradedSeries:
        """The series in its decision window, or the one whose window ends next; of equal ones the first."""
        now = self._clock.market_time(self._now_ns())
        return min(self.traded, key=lambda one: one.until_window_end(now, self._window[1]))

    @property
    def shortest(self) -> TradedSeries:
        """The series with the shortest markets, which all boundaries of the others belong to as well."""
        return min(self.traded, key=lambda one: one.length_s)

    def running_slug(self) -> str:
        """Slug of the running market of the shortest series; empty between markets."""
        tracked, _, _ = self.shortest.strategy.now()
        return tracked.market.slug if tracked else ""

    def running(self) -> list[tuple[TradedSeries, TrackedMarket | None, float, Decimal | None]]:
        """Each series with its running market, the market second, and the Up token's price."""
        return [(one, *one.strategy.now()) for one in self.traded]

    def order_may_follow(self, has_order: Callable[[str], bool]) -> bool:
        """Whether a decision window is open, or opens soon, in whose market there is no order.

        Parameters
        ----------
        has_order : Callable[[str], bool]
            Whether an order in a market exists or may exist.
        """
        now_ns = self._now_ns()
        for one, tracked, _, _ in self.running():
            times = RefreshTimes(one.board.calendar, self._clock, *self._window)
            if times.window_is_near(now_ns) and not (tracked and has_order(tracked.market.slug)):
                return True
        return False

    @property
    def restart_disturbs(self) -> bool:
        """Whether a restart now would cost one of the series its decision."""
        return not all(
            allows_restart(second, self._window) for _, tracked, second, _ in self.running() if tracked
        )

    def close_settled(self, slug: str, settlement: Settlement) -> None:
        """Close Nautilus' position in a settled market."""
        if (found := self.of(slug)) is not None:
            found.strategy.close_settled(slug, settlement)

    def close_after_halt(self) -> None:
        """Close the positions of markets that were settled while a halt stood."""
        for one in self.traded:
            one.strategy.close_after_halt()


class Once:
    """Awaits a function once, however often it is called; each call waits for its end."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._begun: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Begin the work, or wait for its end."""
        if self._begun is None:
            self._begun = asyncio.ensure_future(self._work())
        # A caller that is cancelled does not end the work of the others.
        await asyncio.shield(self._begun)
