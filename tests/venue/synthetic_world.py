"""A synthetic venue in this process with a clock controlled by the test, served on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web
from venue_builders import ManualClock

from venue.external.services import base_urls
from venue.series import DEFAULT_SERIES, Series
from venue.sources.price_path import UNIT
from venue.sources.replay import ScriptedSource
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSeries, SyntheticSource
from venue.venue import PracticeVenue, VenueOptions
from venue.wire.app import make_app


def dollars(price: int) -> Decimal:
    """A price of 1e-8 USD in USD."""
    return Decimal(price).scaleb(-8)


def in_cents(price: int) -> Decimal:
    """A price of 1e-8 USD in USD, to the nearest cent."""
    return (Decimal(price) / UNIT).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")


@dataclass
class World:
    """The venue, its machine clock, and the addresses of its services."""

    venue: PracticeVenue
    clock: ManualClock
    url: str

    @property
    def urls(self) -> dict[str, str]:
        return base_urls(self.url)

    @property
    def source(self) -> SyntheticSource:
        assert isinstance(self.venue.source, ScriptedSource)
        assert isinstance(self.venue.source.script, SyntheticSource)
        return self.venue.source.script

    @property
    def now(self) -> tuple[int, int]:
        """Index and second of the market that runs now."""
        return divmod(int(self.venue.clock.market_s()) - self.venue.schedule.first_start, 900)

    def spot(self) -> int:
        """The source's price at this moment."""
        return self.source.spot(*self.now)


@asynccontextmanager
async def open_world(
    speed: float = 1.0, seed: int = DEFAULT_SEED, series: tuple[Series, ...] = DEFAULT_SERIES
) -> AsyncIterator[World]:
    """A synthetic venue at the start of its first market."""
    clock = ManualClock()
    source = SyntheticSource(seed) if series == DEFAULT_SERIES else SyntheticSeries(seed, series)
    venue = PracticeVenue(source, VenueOptions(speed=speed), clock)
    runner = web.AppRunner(make_app(venue), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield World(venue, clock, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await venue.stop()
        await runner.cleanup()
        venue.close()
