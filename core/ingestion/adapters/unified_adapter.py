"""One feed over all external sources: refreshed in the background, read at once, never raising."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from core.ingestion.adapters.checked_sources import (
    BINANCE,
    CHAINLINK,
    MOOD,
    OPTIONS,
    PYTH,
    SPOT,
    CheckedSources,
    same_clock,
)
from core.ingestion.adapters.feed_memory import FeedMemory
from core.ingestion.adapters.health import SourceHealth
from core.ingestion.adapters.spot_path import path_seconds, until_next_second
from core.ingestion.adapters.strikes import KnownStrike, Strikes
from core.ingestion.managers.websocket_manager import Backoff, StreamState, WebSocketManager
from data_sources.transport import Received
from data_sources.types import ChainPrice, PriceKind
from errors import Refused, Temporary
from models import Consensus, DecisionContext, Frozen, PutCall, Rule, Sentiment, Spot, Strike, Tick

_log = logging.getLogger(__name__)

EXTERNALS = "externals"
"""Name under which the values of a refresh are passed to `received`."""
STRIKE = "strike"
"""Name of a missing strike; other missing values have the names of their sources."""
WARM_EVERY_S = 20.0
WARM_LEFT_S = 60.0
"""A cached value is renewed when less than this is left of its lifetime: three refresh cycles."""
OTHERS_EVERY_S = 5.0
PYTH_EVERY_S = 10.0
REFUSED_PAUSE_S = 300.0
"""Pause after a source has refused requests by country or key: it will most likely refuse again."""
SHORTEST_PAUSE_S = 0.25
"""Minimum pause between spot samples, also on an accelerated clock: four per second, half of Coinbase's
limit."""
FAILED_PAUSE_S = 1.0
"""Longest pause after a failed sample: a source that is back is used within a second."""
LONGEST_PAUSE_S = 10.0
"""Longest pause after a refused one."""
CACHED_EVERY_S = 2.0
SAVE_EVERY_S = 10.0
"""Time between two writes of the spot path, and the loss in a crash."""


class Externals(Frozen, frozen=True):
    """The external values of one instant; `absent` maps the names of missing ones to the reason.

    The names in `absent` are coinbase, deribit, fear_greed and strike.
    """

    spot: Spot | None
    spot_path: tuple[Tick, ...]
    strike: Strike | None
    put_call: PutCall | None
    sentiment: Sentiment | None
    absent: dict[str, str]
    consensus: Consensus | None = None

    def added_to(self, context: DecisionContext) -> DecisionContext:
        """The context with these values."""
        return msgspec.structs.replace(
            context,
            spot=self.spot,
            spot_path=self.spot_path,
            strike=self.strike,
            put_call=self.put_call,
            sentiment=self.sentiment,
            absent=self.absent,
            consensus=self.consensus,
        )


class RefreshedValues(Frozen, frozen=True):
    """The values of a refresh as they are recorded: `values.spot_path` has only what is new in it.

    Attributes
    ----------
    start : int
        Start of the market, from which the path's seconds count.
    values : Externals
    known : tuple of (float, float) or None
        First and last second of the path's earlier part, as recorded with the refreshes of this market
        before; None if there is none.
    books_ns : int or None
        Market time of the books on which the decision is made that the values are for; None without one.
    """

    start: int
    values: Externals
    known: tuple[float, float] | None = None
    books_ns: int | None = None


class Absent(Frozen, frozen=True):
    """A missing value, and the reason."""

    reason: str


class UnifiedDataAdapter:
    """The interface of the strategy to the sources. For one event loop.

    Parameters
    ----------
    interval : int
        Length of a market in seconds of market time.
    sources : CheckedSources
        The sources.
    owns_sources : bool
        Whether this adapter refreshes the sources in the background and closes them. False for an adapter
        that reads those of another one, of the same asset.
    backoff : Backoff, optional
        Pauses and limits of the websockets.
    now_ns : callable
        The machine's clock in nanoseconds.
    market_time : callable
        Seconds of market time at a machine time in nanoseconds.
    sleep : callable
        Coroutine function taking seconds.
    running : Callable[[float], tuple[int, int]], optional
        Start and length of the market that runs at a market time; multiples of the interval if absent.
    memory : FeedMemory, optional
        Data that persist across processes; by default none.
    received : Received, optional
        Called with every text that a source sends, and with the values of each `refresh` as JSON.
    """

    def __init__(
        self,
        *,
        interval: int,
        sources: CheckedSources,
        owns_sources: bool = True,
        backoff: Backoff | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        market_time: Callable[[int], float] = same_clock,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        running: Callable[[float], tuple[int, int]] | None = None,
        memory: FeedMemory | None = None,
        received: Received | None = None,
    ) -> None:
        self.sources = sources
        self._owns_sources = owns_sources
        self._path_s = path_seconds(interval)
        self._running = running or (lambda at: (int(at // interval) * interval, interval))
        self._memory = memory or FeedMemory()
        self._now_ns = now_ns
        self._received = received
        self._path_passed: tuple[int, tuple[Tick, ...]] = (0, ())
        """Start of the market, and the spot path of it that was passed to `received`."""
        self._market_time = market_time
        self._sleep = sleep
        self._strikes = Strikes(market_time, SPOT)
        self._noted: tuple[int | None, int] = (None, 0)
        """The market whose strikes were noted last, and the number of Chainlink's prices at that time."""
        self._reported: set[KnownStrike] = set(self._memory.strikes)
        for known in self._memory.strikes:
            self._strikes.restore(known)
        self._tasks: set[asyncio.Task[None]] = set()
        streams = (
            []
            if not owns_sources
            else [
                *(sources.chainlink.streams if sources.chainlink else ()),
                *([sources.binance] if sources.binance else ()),
            ]
        )
        self.managers = tuple(
            WebSocketManager(stream, backoff=backoff, sleep=sleep, received=received) for stream in streams
        )

    async def start(self) -> None:
        """Restore the path of an earlier process and start to refresh all sources in the background."""
        sources = self.sources
        if not self._owns_sources:
            self._spawn(STRIKE, self._follow_strikes())
            return
        if self._memory.path_file is not None:
            await self._load_path()
            self._spawn("spot path", self._keep_path())
        for manager in self.managers:
            manager.start()
        self._spawn(SPOT, self._sample_spot())
        self._spawn("cached values", self._read_cached())
        if sources.deribit is not None:
            self._keep(OPTIONS, WARM_EVERY_S, lambda: sources.put_call(WARM_LEFT_S))
        if sources.news_social is not None:
            self._keep(MOOD, WARM_EVERY_S, lambda: sources.sentiment(WARM_LEFT_S))
        if (binance := sources.binance) is not None:
            self._keep(BINANCE, OTHERS_EVERY_S, lambda: sources.cross_check_spot(BINANCE, binance.spot))
        if (chainlink := sources.chainlink) is not None:
            self._keep(CHAINLINK, OTHERS_EVERY_S, lambda: sources.cross_check_spot(CHAINLINK, chainlink.spot))
        if (solana := sources.solana) is not None:
            self._keep(PYTH, PYTH_EVERY_S, lambda: sources.cross_check_spot(PYTH, solana.spot))

    async def aclose(self) -> None:
        """Save the spot path, stop all background tasks and close the sources."""
        # First, because the loop may be stopped before the rest is done.
        await self._save_path()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        for manager in self.managers:
            await manager.aclose()
        if self._owns_sources:
            await self.sources.aclose()

    def current_start(self) -> int:
        """Start of the running market, in seconds of market time."""
        return self._running(self._market_time(self._now_ns()))[0]

    def consensus(self) -> Consensus | None:
        """Consensus of the recent prices of the sources."""
        return self.sources.consensus()

    def health(self) -> dict[str, SourceHealth]:
        """Health of every source by name, and of every websocket as the stream's name with " stream"."""
        streams = {f"{manager.stream.name} stream": _health_of(manager) for manager in self.managers}
        return self.sources.health() | streams

    async def refresh(
        self,
        deadline_s: float = 1.5,
        *,
        start: int | None = None,
        rule: Rule = Rule.TWAP60,
        books_ns: int | None = None,
    ) -> Externals:
        """Ask spot, option and mood sources together and report what there is.

        Parameters
        ----------
        deadline_s : float
            Seconds after which a request is cancelled.
        start : int, optional
            Start of the market; the running one by default.
        rule : Rule
            The market's settlement rule, for the strike.
        books_ns : int, optional
            Machine time of the books of the decision that asks; only recorded.

        Returns
        -------
        Externals
            Always, also if all sources fail.
        """
        start = self.current_start() if start is None else start
        spot, put_call, sentiment = await asyncio.gather(
            self._within(deadline_s, SPOT, self.sources.spot),
            self._within(deadline_s, OPTIONS, self.sources.put_call),
            self._within(deadline_s, MOOD, self.sources.sentiment),
            return_exceptions=True,
        )
        absent: dict[str, str] = {}
        strike = self._find_strike(start, rule)
        if isinstance(strike, str):
            absent[STRIKE] = strike
        externals = Externals(
            spot=self._present(SPOT, spot, absent),
            spot_path=self.sources.path.ticks(start, self._running(start)[1], self._path_s),
            strike=strike if isinstance(strike, Strike) else None,
            put_call=self._present(OPTIONS, put_call, absent),
            sentiment=self._present(MOOD, sentiment, absent),
            absent=absent,
            consensus=self.consensus(),
        )
        if self._received is not None:
            self._received(EXTERNALS, msgspec.json.encode(self._news(start, externals, books_ns)))
        return externals

    def newest(self, *, start: int, rule: Rule, books_ns: int | None = None) -> Externals:
        """The newest values, as the background tasks have read them; without a request, and at once.

        Parameters
        ----------
        start : int
            Start of the market.
        rule : Rule
            Its settlement rule, for the strike.
        books_ns : int, optional
            Machine time of the books of the decision that asks; only recorded.
        """
        absent: dict[str, str] = {}
        spot, put_call, sentiment = map(self.sources.newest, (SPOT, OPTIONS, MOOD))
        strike = self._strikes.find(start, rule)
        for name, value in ((SPOT, spot), (OPTIONS, put_call), (MOOD, sentiment), (STRIKE, strike)):
            if isinstance(value, str):
                absent[name] = value
        externals = Externals(
            spot=spot if isinstance(spot, Spot) else None,
            spot_path=self.sources.path.ticks(start, self._running(start)[1], self._path_s),
            strike=strike if isinstance(strike, Strike) else None,
            put_call=put_call if isinstance(put_call, PutCall) else None,
            sentiment=sentiment if isinstance(sentiment, Sentiment) else None,
            absent=absent,
            consensus=self.consensus(),
        )
        if self._received is not None:
            self._received(EXTERNALS, msgspec.json.encode(self._news(start, externals, books_ns)))
        return externals

    async def newest_of_running(self, rule: Rule) -> Externals:
        """The newest values for the running market; a strike that has become known is reported."""
        start = self.current_start()
        self._find_strike(start, rule)
        return self.newest(start=start, rule=rule)

    @property
    def all_read(self) -> bool:
        """Whether nothing has to be waited for: see `until_read`."""
        return not self._tasks or self.sources.read.is_set()

    async def until_read(self, limit_s: float) -> None:
        """Wait until each source has been read once since `start`, at most `limit_s` seconds."""
        if not self.all_read:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.sources.read.wait(), limit_s)

    def _news(self, start: int, externals: Externals, books_ns: int | None) -> RefreshedValues:
        """The values without the part of the spot path that the last refresh of the market had."""
        market, passed = self._path_passed
        path = externals.spot_path
        self._path_passed = (start, path)
        known: tuple[Tick, ...] = ()
        if market == start and passed:
            common = tuple(tick for tick in path if tick.second <= passed[-1].second)
            # An earlier process' path that was restored meanwhile begins before the one that was passed on.
            if common and passed[-len(common) :] == common:
                known = common
        return RefreshedValues(
            start=start,
            values=msgspec.structs.replace(externals, spot_path=path[len(known) :]),
            known=(known[0].second, known[-1].second) if known else None,
            books_ns=None if books_ns is None else round(self._market_time(books_ns) * 1e9),
        )

    async def _within[T](self, deadline_s: float, name: str, ask: Callable[[], Awaitable[T]]) -> T | Absent:
        try:
            async with asyncio.timeout(deadline_s):
                return await ask()
        except TimeoutError:
            reason = f"{name}: no answer within {deadline_s:g} s"
            self.sources.counts.failed(name, reason)
            return Absent(reason=reason)
        except (Refused, Temporary) as error:
            return Absent(reason=str(error))

    def _present[T](self, name: str, found: T | Absent | BaseException, absent: dict[str, str]) -> T | None:
        if isinstance(found, BaseException):
            # Not an error that a source declares: a programming error, which must not prevent the decision.
            absent[name] = f"{name}: unexpected {type(found).__name__}: {found}"
            self.sources.counts.failed(name, absent[name])
            _log.error("%s", absent[name], exc_info=found)
            return None
        if isinstance(found, Absent):
            absent[name] = found.reason
            return None
        return found

    def _find_strike(self, start: int, rule: Rule) -> Strike | str:
        self._note_strike(start)
        known = self._strikes.known(start, rule)
        for strike in known:
            if strike not in self._reported:
                self._memory.on_strike(strike)
        self._reported = {each for each in self._reported if each.start >= start} | set(known)
        return self._strikes.find(start, rule)

    async def _load_path(self) -> None:
        now_s = self._market_time(self._now_ns())
        since_s = now_s - self.sources.path.keep_s
        file = self._memory.path_file
        assert file is not None
        self.sources.path.restore(await asyncio.to_thread(file.load, since_s, now_s))

    async def _keep_path(self) -> None:
        while True:
            await self._sleep(SAVE_EVERY_S)
            await self._save_path()

    async def _save_path(self) -> None:
        if self._memory.path_file is None or not self.sources.path.points:
            return
        try:
            await asyncio.to_thread(self._memory.path_file.save, self.sources.path.points)
        except Temporary as error:
            _log.warning("the spot path is not kept: %s", error)

    def _note_strike(self, start: int) -> None:
        means, spots = self._boundary_prices(start)
        self._strikes.note(start, self._now_ns(), self.sources.path, means, spots)

    def _boundary_prices(self, start: int) -> tuple[Sequence[ChainPrice], Sequence[ChainPrice]]:
        """Chainlink's means and prices if one near the start was received since the last call; else none."""
        chainlink = self.sources.chainlink
        if chainlink is None or not self._strikes.is_open(start, self._now_ns()):
            return (), ()
        (market, recorded), self._noted = self._noted, (start, chainlink.recorded)
        new = chainlink.since(recorded) if market == start else None
        if new is not None and not any(self._strikes.is_near(start, price) for price in new):
            return (), ()
        return chainlink.observations(PriceKind.TWAP60), chainlink.observations(PriceKind.SPOT)

    async def _sample_spot(self) -> None:
        """Sample the spot price every second of market time; at each new market restart failed streams."""
        failures, longest_s = 0, FAILED_PAUSE_S
        market = self.current_start()
        while True:
            try:
                await self.sources.spot()
                failures = 0
            except (Refused, Temporary) as error:
                failures += 1
                longest_s = LONGEST_PAUSE_S if isinstance(error, Refused) else FAILED_PAUSE_S
                _log.debug("no spot sample: %s", error)
            if self.current_start() != market:
                market = self.current_start()
                self._revive()
            self._note_strike(market)
            self.sources.path.ticks(market, self._running(market)[1], self._path_s)
            pause_s = min(SHORTEST_PAUSE_S * 2.0 ** min(failures, 10), longest_s)
            await self._sleep(max(until_next_second(self._now_ns(), self._market_time), pause_s))

    async def _read_cached(self) -> None:
        """Note the values of the sources with a cache; a valid one costs no request."""
        while True:
            await asyncio.gather(
                self._note_cached(self.sources.put_call), self._note_cached(self.sources.sentiment)
            )
            await self._sleep(CACHED_EVERY_S)

    async def _note_cached(self, read: Callable[[], Awaitable[object]]) -> None:
        with suppress(Refused, Temporary):  # both are noted and counted by the sources
            await read()

    async def _follow_strikes(self) -> None:
        """Note the strike of the running market every second of market time."""
        while True:
            self._note_strike(self.current_start())
            await self._sleep(max(until_next_second(self._now_ns(), self._market_time), SHORTEST_PAUSE_S))

    def _revive(self) -> None:
        for manager in self.managers:
            if manager.state is StreamState.FAILED:
                manager.start()

    def _keep(self, name: str, every_s: float, once: Callable[[], Awaitable[object]]) -> None:
        self._spawn(name, self._repeat(name, every_s, once))

    async def _repeat(self, name: str, every_s: float, once: Callable[[], Awaitable[object]]) -> None:
        while True:
            pause_s = every_s
            try:
                await once()
            except Temporary as error:
                _log.debug("%s: %s", name, error)
            except Refused as error:
                _log.info("%s: %s", name, error)
                pause_s = max(every_s, REFUSED_PAUSE_S)
            await self._sleep(pause_s)

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"refresh {name}")
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._note_end(name, ended))

    def _note_end(self, name: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            reason = f"{name}: no longer refreshed: {type(error).__name__}: {error}"
            self.sources.counts.failed(name, reason)
            _log.error("%s", reason, exc_info=error)


def _health_of(manager: WebSocketManager) -> SourceHealth:
    return SourceHealth(
        last_success_age_s=manager.data_age_s(),
        successes=manager.frames,
        failures=manager.disconnects + manager.malformed,
        up=manager.state is StreamState.CONNECTED,
        last_error=manager.last_error,
        state=manager.state,
        reconnects=max(manager.connects - 1, 0),
    )
