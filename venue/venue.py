"""A practice venue: its state, the connections of its parts, and the loops that advance it."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from venue.amounts import MICRO
from venue.catalogue import Catalogue
from venue.chain import Chain
from venue.clock import SECOND
from venue.exchange import Exchange
from venue.external.feeds import Feeds
from venue.faults import Faults
from venue.heartbeats import Heartbeats
from venue.ledger import VenueLedger
from venue.lifecycle import TradeLifecycle
from venue.market import VenueMarket
from venue.market_feed import MarketFeed
from venue.order_intake import TAKER_DELAY, OrderIntake
from venue.records import UNLIMITED, VenueAccount
from venue.schedule import Protocol
from venue.series import Series
from venue.settlement import Redeem, VenueSettlement
from venue.sources.base import MarketSource, PriceSource, Script, series_of
from venue.sources.replay import ScriptedSource
from venue.sources.shadow.source import ShadowSource
from venue.sources.shadow.upstream import UpstreamVenue
from venue.timekeeping import LEASE_SECONDS, ClockRefused, ClockRequest, opening_clock, save_clock, target_ns
from venue.user_feed import UserFeed

LOG_LENGTH = 2_000
LEAST_STEP_NS = 1_000
"""Minimum progress of a step from one event to the next: a float of seconds is not exact to a nanosecond."""


class VenueOptions(msgspec.Struct, frozen=True):
    """Options of a venue.

    `balance` in micro pUSD; `start_at` a second of the next market of `start_series`, or of the first
    series if that is None; `taker_delay` in wall seconds; `first` is the first series' market, counted from
    0, with which a new venue begins; `from_market` the earliest one that a venue begins with, also with an
    old state; `external_lag` gives the external price streams the delay of the real ones. With `real_time`
    market time is the machine's, whatever `speed` and `start_at` are. With `hold` market time stands still
    at first. With `resume` the clock of the state folder continues as if the venue had never ended, and
    replaces `speed`, `start_at` and `hold`. `protocol` is that of scripted markets.
    `quotes_per_second` is the rate of additional quotes, per wall second.
    """

    speed: float = 15.0
    state: Path | None = None
    balance: int = 1000 * MICRO
    start_at: int | None = None
    first: int = 0
    from_market: int = 0
    redeem: Redeem = "auto"
    taker_delay: float = TAKER_DELAY
    external_lag: bool = False
    real_time: bool = False
    hold: bool = False
    resume: bool = False
    protocol: Protocol = "v1"
    quotes_per_second: float = 0.0
    start_series: Series | None = None


class LogEntry(msgspec.Struct, frozen=True):
    """A request that the venue answered; status 0 if the connection was dropped instead."""

    wall_ns: int
    method: str
    path: str
    status: int


class PracticeVenue:
    """The venue without its HTTP routes.

    Parameters
    ----------
    source : MarketScript, SeveralScripts or UpstreamVenue
        Origin of its markets: a script to play, or those of several series, or another venue to mirror.
    options : VenueOptions
        A mirroring venue has to run in real time.
    now_ns : callable
        The machine's clock.

    Raises
    ------
    ledger.InUse
        If another venue runs on the same state folder.
    """

    def __init__(
        self,
        source: Script | UpstreamVenue,
        options: VenueOptions,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.options = options
        self.ledger = VenueLedger(options.state)
        self.faults = Faults()
        self.external: Feeds | None = None
        self.series = source.series if isinstance(source, UpstreamVenue) else series_of(source)
        self.clock = opening_clock(self.ledger, options, now_ns, self.first_series)
        self._stepping = asyncio.Lock()
        if isinstance(source, UpstreamVenue):
            self.source: MarketSource = ShadowSource(source, self.clock, self.ledger)
        else:
            self.source = self._replay(source)
        self.exchange = Exchange(self.clock, self.source, self.ledger, self.faults)
        self.users = UserFeed(self.ledger, self.faults)
        self.markets = MarketFeed(self.exchange, self.faults, options.quotes_per_second)
        self.lifecycle = TradeLifecycle(self.ledger, self.clock, self.users, self.faults)
        self.order_intake = OrderIntake(
            self.exchange,
            self.ledger,
            self.lifecycle,
            self.users,
            self.markets,
            self.faults,
            options.taker_delay,
        )
        self.settlement = VenueSettlement(
            self.exchange, self.ledger, self.order_intake, self.markets, self.faults, options.redeem
        )
        self.heartbeats = Heartbeats()
        self.chain = Chain(self.exchange, self.ledger, self.settlement, self.open_account)
        self.requests: deque[LogEntry] = deque(maxlen=LOG_LENGTH)
        self._loops: list[asyncio.Task[None]] = []

    def open_account(self, address: str) -> VenueAccount:
        """The account of a wallet address, created with the starting balance if it is new."""
        account = self.ledger.account(address)
        if account is None:
            account = VenueAccount(address, self.options.balance, UNLIMITED, 0, self.clock.wall_ns())
            self.ledger.add_account(account)
        return account

    def owner_of(self, wallet: str) -> str:
        """The account of an address, which may be a wallet that the account trades through."""
        return self.ledger.wallet_owner(wallet) or wallet

    async def start(self) -> None:
        """Settle markets that ended while the venue was stopped, then run.

        Raises
        ------
        Unreachable
            If the venue mirrors another one, which does not answer.
        """
        await self.source.start()
        # At once, so that a venue resumed after a kill has the clock that its clients have seen.
        save_clock(self.ledger, self.clock, ahead_seconds=2 * LEASE_SECONDS)
        self.settlement.resolve_due()
        self.lifecycle.resume()
        self._loops = [
            asyncio.create_task(work) for work in (self._pump(), self._keep_time(), self.source.run())
        ]

    async def stop(self) -> None:
        """Stop the loops and close the sockets; requests may still be answered until `close`."""
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.source.stop()
        await self.lifecycle.stop()
        await asyncio.gather(self.users.close_all(), self.markets.close_all())
        if self.external is not None:
            await self.external.close_all()

    def close(self) -> None:
        """Write the clock to disk and close the state folder."""
        save_clock(self.ledger, self.clock)
        self.ledger.close()

    @property
    def first_series(self) -> Series:
        """The series whose markets the options count."""
        return self.series[0]

    @property
    def schedule(self) -> Catalogue:
        """The markets that are listed."""
        return self.source.catalogue

    def step(self) -> None:
        """Process everything due: listings, resting orders, feeds, resolutions."""
        for market in self.source.listed():
            self.markets.listed(market)
        for market in self._with_resting_orders():
            self.order_intake.meet_source(market)
        for market in self.markets.subscribed():
            self.markets.refresh(market)
        self.markets.send_load()
        self.markets.send_stray()
        self.users.send_stray()
        self.settlement.resolve_due()
        self._cancel_silent_keys()

    async def change_clock(self, wanted: ClockRequest) -> None:
        """Hold or run the clock, change its speed, or step it; returns when the venue has caught up.

        A step plays every book change, market end and resolution in it at its own market time, so that its
        length does not affect the results. Wall time, in which orders match, stands still meanwhile.

        Raises
        ------
        ClockRefused
            If the clock cannot do this; nothing was changed then.
        """
        if self.options.real_time:
            raise ClockRefused("market time is the machine's here; start without --real-time to control it")
        async with self._stepping:
            target = target_ns(wanted, self.clock)
            if wanted.held is True:
                self.clock.hold()
            if wanted.speed is not None:
                self.clock.set_speed(wanted.speed)
            if target is not None:
                await self._play_to(target)
            if wanted.held is False:
                self.clock.run()
            save_clock(self.ledger, self.clock, ahead_seconds=2 * LEASE_SECONDS)
            self.step()

    def _cancel_silent_keys(self) -> None:
        """Cancel the resting orders of API keys whose heartbeat is overdue."""
        for key in self.heartbeats.expired(self.clock.wall_s()):
            for order in self.ledger.open_orders():
                if order.owner == key:
                    self.order_intake.cancel(order)

    async def _play_to(self, target: int) -> None:
        while (due := self._next_event()) < target / SECOND:
            self.clock.step_to(max(math.ceil(due * SECOND), self.clock.market_ns() + LEAST_STEP_NS))
            self.step()
            # Clients receive their subscribed messages during the step, not all of them at its end.
            await asyncio.sleep(0)
        self.clock.step_to(target)
        self.step()

    def _next_event(self) -> float:
        """Market time of the next scheduled event: a listing, a book change, an outcome."""
        now = self.clock.market_s()
        due = [self.schedule.next_listing(now), *self.settlement.due()]
        due += [t for t in map(self.source.next_change, self._moving()) if t is not None]
        return min(t for t in due if t > now)

    async def failed(self) -> None:
        """Wait until one of the loops ends with an error, and raise it."""
        await asyncio.gather(*self._loops)

    async def _pump(self) -> None:
        while True:
            self.step()
            await self.source.wait(self.markets.next_wait(self._moving()))

    def _moving(self) -> list[VenueMarket]:
        """Markets whose book changes are needed by a subscriber or an order."""
        return [*self.markets.subscribed(), *self._with_resting_orders()]

    def _with_resting_orders(self) -> list[VenueMarket]:
        keys = {order.start for order in self.ledger.open_orders()}
        return [market for market in map(self.schedule.at, sorted(keys)) if market is not None]

    async def _keep_time(self) -> None:
        while True:
            save_clock(self.ledger, self.clock, ahead_seconds=2 * LEASE_SECONDS)
            await asyncio.sleep(LEASE_SECONDS)

    def _replay(self, script: Script) -> ScriptedSource:
        """The source that plays a script, and the external services if the script has prices for them."""
        replay = ScriptedSource(script, self.clock, self._first_start(), self.options.protocol)
        if isinstance(script, PriceSource):
            lagging = self.options.external_lag
            self.external = Feeds(self.clock, replay.catalogue, script, self.faults, lagging=lagging)
        return replay

    def _first_start(self) -> int:
        first = self.ledger.meta("first_start")
        if first is None:
            first = self.first_series.running_start(self.clock.market_ns() // SECOND)
            first = self.first_series.next_start(first, -max(self.options.first, self.options.from_market))
            self.ledger.set_meta("first_start", first)
        return first
