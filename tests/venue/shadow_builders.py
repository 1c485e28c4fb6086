"""A venue and its mirror in this process; the test controls their clock and the upstream's books."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from venue_builders import BOOK, Bench, ManualClock, StillSource, Trader, trader_in

from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.records import VenueTrade
from venue.series import DEFAULT_SERIES, Series
from venue.sources.shadow.source import ShadowSource
from venue.sources.shadow.upstream import UpstreamVenue
from venue.venue import PracticeVenue, VenueOptions
from venue.wire.app import make_app

PATIENCE = 10.0
FAST = VenueOptions(speed=1.0, real_time=True, taker_delay=0.0)


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Let everything run until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the condition depends on network messages
            await asyncio.sleep(0.002)
    assert condition(), what


@dataclass
class Pair:
    """The upstream, whose book is constant until the test changes it, and the venue that mirrors it."""

    clock: ManualClock = field(default_factory=ManualClock)
    options: VenueOptions = FAST
    script: Any = field(default_factory=StillSource)
    series: tuple[Series, ...] = DEFAULT_SERIES
    upstream: Bench = field(init=False)
    shadow: PracticeVenue = field(init=False)
    _site: web.AppRunner | None = None
    _port: int = 0

    def __post_init__(self) -> None:
        self.upstream = Bench(self.script, VenueOptions(speed=1.0, taker_delay=0.0), self.clock)

    # --- the upstream ------------------------------------------------------------------------

    @property
    def address(self) -> UpstreamVenue:
        base = f"127.0.0.1:{self._port}"
        return UpstreamVenue(f"http://{base}/gamma", f"http://{base}", f"ws://{base}/ws/", self.series)

    async def serve(self) -> None:
        """Serve the upstream, again under the same address if it was served before."""
        self._site = web.AppRunner(make_app(self.upstream.venue), access_log=None, shutdown_timeout=0.05)
        await self._site.setup()
        await web.TCPSite(self._site, "127.0.0.1", self._port).start()
        self._port = self._site.addresses[0][1]

    async def vanish(self) -> None:
        """Stop the upstream and its connections."""
        assert self._site is not None
        await self.upstream.venue.markets.close_all()
        await self._site.cleanup()
        self._site = None

    def quote(self, book: VenueBook) -> None:
        """Change the upstream's book, and publish it to its subscribers."""
        self.upstream.source.standing = book
        self.upstream.venue.step()

    def asked(self, part: str) -> int:
        """Number of requests to the upstream for a path with this part."""
        return sum(part in entry.path for entry in self.upstream.venue.requests)

    # --- the mirror --------------------------------------------------------------------------

    @property
    def source(self) -> ShadowSource:
        assert isinstance(self.shadow.source, ShadowSource)
        return self.shadow.source

    @property
    def market(self) -> VenueMarket:
        """The market that was running at the start, as the mirror lists it."""
        found = self.shadow.schedule.by_slug(self.upstream.market.slug)
        assert found is not None
        return found

    def doubt(self) -> str:
        """Why the market's mirror is uncertain; empty if it is certain."""
        return self.source.info()["doubts"].get(self.upstream.market.slug, "not mirrored")

    def shown(self) -> VenueBook:
        return self.shadow.exchange.visible(self.market)

    def mirror(self) -> None:
        """Create a venue that mirrors the upstream, not yet started."""
        self.shadow = PracticeVenue(self.address, self.options, self.clock)

    async def mirrored(self) -> None:
        """Start it and wait until the stream has sent the running market's book."""
        self.mirror()
        await self.shadow.start()
        await until(lambda: self.doubt() == "", "the stream sent the book")

    async def gone(self) -> None:
        """Stop the mirror normally."""
        await self.shadow.stop()
        self.shadow.close()

    def trader(self, **fields: Any) -> Trader:
        return trader_in(self.shadow, **fields)

    async def place(self, trader: Trader, body: dict[str, Any]) -> tuple[VenueTrade, ...]:
        """Send an order to the mirror."""
        assert trader.api is not None
        return (
            await self.shadow.order_intake.execute(self.shadow.order_intake.accept(trader.api, body))
        ).trades

    def balance(self, trader: Trader) -> int:
        account = self.shadow.ledger.account(trader.address)
        assert account is not None
        return account.balance


@asynccontextmanager
async def upstream_only(
    state: Path | None = None, book: VenueBook = BOOK, **more: Any
) -> AsyncIterator[Pair]:
    """An upstream, served; the test starts the mirror. `script` and `series` are those of the upstream."""
    options = VenueOptions(speed=1.0, real_time=True, taker_delay=more.pop("taker_delay", 0.0), state=state)
    pair = Pair(options=options, **more)
    pair.upstream.source.standing = book
    await pair.serve()
    try:
        yield pair
    finally:
        if pair._site is not None:
            await pair.vanish()
        await pair.upstream.venue.stop()
        pair.upstream.venue.close()


@asynccontextmanager
async def mirrored_pair(state: Path | None = None, **more: Any) -> AsyncIterator[Pair]:
    """An upstream and its mirror, whose running market is synchronised."""
    async with upstream_only(state, **more) as pair:
        await pair.mirrored()
        try:
            yield pair
        finally:
            await pair.gone()
