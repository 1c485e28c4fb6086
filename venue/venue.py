"""A whole venue: its state, its parts wired together, and the loops that move it on."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from venue.amounts import MICRO
from venue.catalogue import Catalogue
from venue.clock import SECOND, anchored, unhurried
from venue.desk import TAKER_DELAY, Desk
from venue.exchange import Exchange
from venue.external.feeds import Feeds
from venue.faults import Faults
from venue.ledger import Ledger
from venue.lifecycle import Lifecycle
from venue.market import INTERVAL, Market
from venue.market_feed import MarketFeed
from venue.records import Account
from venue.settlement import Redeem, Settlement
from venue.sources.base import Priced, Script, Source
from venue.sources.replay import Replay
from venue.sources.shadow.source import ShadowSource
from venue.sources.shadow.upstream import Upstream
from venue.user_feed import UserFeed

UNLIMITED = 2**62
"""An account's allowance unless a test sets another."""
LOG_LENGTH = 2_000
CLOCK_LEASE = 0.5
"""Wall seconds between two writings of the clock."""


class Options(msgspec.Struct, frozen=True):
    """How a venue is run.

    `balance` in micro pUSD; `start_at` a second of the next market, 0 to 899; `taker_delay` in wall seconds;
    `first` is the source's market, counted from 0, that a venue without a past begins with; `external_lag`
    makes the external price streams as late as the real ones. With `real_time` market time is the
    machine's, whatever `speed` and `start_at` are.
    """

    speed: float = 15.0
    state: Path | None = None
    balance: int = 1000 * MICRO
    start_at: int | None = None
    first: int = 0
    redeem: Redeem = "auto"
    taker_delay: float = TAKER_DELAY
    external_lag: bool = False
    real_time: bool = False


class LogEntry(msgspec.Struct, frozen=True):
    """A request that the venue answered; status 0 if the connection was dropped instead."""

    wall_ns: int
    method: str
    path: str
    status: int


class Venue:
    """Everything behind the wire.

    Parameters
    ----------
    source : Script or Upstream
        What its markets come from: a script to play, or another venue to mirror.
    options : Options
        A mirroring venue has to run in real time.
    now_ns : callable
        The machine's clock.

    Raises
    ------
    ledger.InUse
        If another venue runs on the same state folder.
    """

    def __init__(
        self, source: Script | Upstream, options: Options, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.options = options
        self.ledger = Ledger(options.state)
        self.faults = Faults()
        self.external: Feeds | None = None
        if options.real_time:
            self.clock = unhurried(now_ns)
        else:
            self.clock = anchored(options.speed, self.ledger.meta("market_ns"), options.start_at, now_ns)
        if isinstance(source, Upstream):
            self.source: Source = ShadowSource(source, self.clock, self.ledger)
        else:
            self.source = self._replay(source)
        self.exchange = Exchange(self.clock, self.source, self.ledger)
        self.users = UserFeed(self.ledger, self.faults)
        self.markets = MarketFeed(self.exchange, self.faults)
        self.lifecycle = Lifecycle(self.ledger, self.clock, self.users, self.faults)
        self.desk = Desk(
            self.exchange,
            self.ledger,
            self.lifecycle,
            self.users,
            self.markets,
            self.faults,
            options.taker_delay,
        )
        self.settlement = Settlement(
            self.exchange, self.ledger, self.desk, self.markets, self.faults, options.redeem
        )
        self.requests: deque[LogEntry] = deque(maxlen=LOG_LENGTH)
        self._loops: list[asyncio.Task[None]] = []

    def open_account(self, address: str) -> Account:
        """The account of a wallet address, created with the starting balance if it is new."""
        account = self.ledger.account(address)
        if account is None:
            account = Account(address, self.options.balance, UNLIMITED, 0, self.clock.wall_ns())
            self.ledger.add_account(account)
        return account

    def owner_of(self, wallet: str) -> str:
        """The account behind an address, which may be a wallet that the account trades through."""
        return self.ledger.wallet_owner(wallet) or wallet

    async def start(self) -> None:
        """Settle what ended while the venue was away, then keep moving.

        Raises
        ------
        Unreachable
            If the venue mirrors another one, which does not answer.
        """
        await self.source.start()
        self.settlement.resolve_due()
        self.lifecycle.resume()
        self._loops = [
            asyncio.create_task(work) for work in (self._pump(), self._keep_time(), self.source.run())
        ]

    async def stop(self) -> None:
        """Stop moving and close the sockets; requests may still be answered until `close`."""
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.source.stop()
        await self.lifecycle.stop()
        await asyncio.gather(self.users.close_all(), self.markets.close_all())
        if self.external is not None:
            await self.external.close_all()

    def close(self) -> None:
        """Write the clock down and let go of the state folder."""
        self.ledger.set_meta("market_ns", self.clock.market_ns())
        self.ledger.close()

    @property
    def schedule(self) -> Catalogue:
        """The markets that are listed."""
        return self.source.catalogue

    def step(self) -> None:
        """Bring everything to the present: listings, resting orders, feeds, resolutions."""
        for market in self.source.listed():
            self.markets.listed(market)
        for market in self._with_resting_orders():
            self.desk.meet_source(market)
        for market in self.markets.watched():
            self.markets.refresh(market)
        self.markets.send_stray()
        self.users.send_stray()
        self.settlement.resolve_due()

    async def failed(self) -> None:
        """Wait until one of the loops ends by an error, and raise it."""
        await asyncio.gather(*self._loops)

    async def _pump(self) -> None:
        while True:
            self.step()
            moving = [*self.markets.watched(), *self._with_resting_orders()]
            await self.source.wait(self.markets.next_wait(moving))

    def _with_resting_orders(self) -> list[Market]:
        starts = {order.start for order in self.ledger.open_orders()}
        return [market for market in map(self.schedule.at, sorted(starts)) if market is not None]

    async def _keep_time(self) -> None:
        while True:
            # The end of the next lease, not the present: a killed venue must not go back in market time.
            ahead = int(2 * CLOCK_LEASE * self.clock.speed * SECOND)
            self.ledger.set_meta("market_ns", self.clock.market_ns() + ahead)
            await asyncio.sleep(CLOCK_LEASE)

    def _replay(self, script: Script) -> Replay:
        """The source that plays a script, and the external services if the script has prices for them."""
        replay = Replay(script, self.clock, self._first_start())
        if isinstance(script, Priced):
            lagging = self.options.external_lag
            self.external = Feeds(self.clock, replay.catalogue, script, self.faults, lagging=lagging)
        return replay

    def _first_start(self) -> int:
        first = self.ledger.meta("first_start")
        if first is None:
            first = self.clock.market_ns() // SECOND // INTERVAL * INTERVAL
            first -= self.options.first * INTERVAL
            self.ledger.set_meta("first_start", first)
        return first
