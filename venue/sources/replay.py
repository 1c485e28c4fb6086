"""Plays a script on the venue's clock: one predetermined market every 900 market seconds."""

import asyncio
from typing import Any

from venue.amounts import CENT_MILLS, MICRO
from venue.clock import VenueClock
from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.schedule import Protocol, Schedule
from venue.sources.base import MarketScript

RULES = (
    'This market will resolve to "Up" if the time-weighted average price of Bitcoin at the end of the '
    'time range in the title is greater than or equal to the price at its beginning, otherwise to "Down".'
)


class ScriptedSource:
    """The source of scripted markets.

    Parameters
    ----------
    script : MarketScript
        Recorded or generated.
    clock : VenueClock
        The venue's.
    first_start : int
        Start of the script's market 0, on the 900-second grid of market time.
    protocol : str
        Protocol of the markets: v1, v2 or alternate.
    """

    def __init__(
        self, script: MarketScript, clock: VenueClock, first_start: int, protocol: Protocol = "v1"
    ) -> None:
        self.script = script
        self._clock = clock
        self.catalogue = Schedule(first_start, protocol)
        self.catalogue.list_until(clock.market_s())

    def info(self) -> dict[str, Any]:
        return self.script.info()

    def listed(self) -> list[VenueMarket]:
        return self.catalogue.list_until(self._clock.market_s())

    def describe(self, market: VenueMarket) -> str:
        return f"{RULES} {self.script.describe(market.index)}"

    def origin(self, market: VenueMarket) -> str:
        return self.script.origin(market.index)

    def book(self, market: VenueMarket) -> VenueBook:
        return self.book_at(market, self._clock.market_s())

    def book_at(self, market: VenueMarket, market_s: float) -> VenueBook:
        return self.script.book(market.index, max(0.0, market_s - market.start))

    def tick(self, market: VenueMarket) -> int:
        change = self.script.tick_change(market.index)
        return 1 if change is not None and self._offset(market) >= max(change, 0) else CENT_MILLS

    def next_change(self, market: VenueMarket) -> float | None:
        change = self.script.next_change(market.index, max(0.0, self._offset(market)))
        return None if change is None else market.start + max(change, 0.0)

    def outcome(self, market: VenueMarket) -> int | None:
        if self._clock.market_s() < market.end + market.resolution_delay:
            return None
        return MICRO if self.script.up_wins(market.index) else 0

    def certain(self, market: VenueMarket) -> bool:
        """Always true: the books of a script are known."""
        del market
        return True

    async def confirm(self, market: VenueMarket) -> bool:
        return self.certain(market)

    async def start(self) -> None:
        """Do nothing: the script is complete."""

    async def stop(self) -> None:
        """Do nothing: nothing is open."""

    async def run(self) -> None:
        """Do nothing: the script is complete."""

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _offset(self, market: VenueMarket) -> float:
        return self._clock.market_s() - market.start
