"""Plays a script on the venue's clock: a market every 900 market seconds, whose future is known."""

import asyncio
from typing import Any

from venue.amounts import CENT_MILLS
from venue.books import Book
from venue.clock import MarketClock
from venue.market import Market
from venue.schedule import Schedule
from venue.sources.base import Script

RULES = (
    'This market will resolve to "Up" if the time-weighted average price of Bitcoin at the end of the '
    'time range in the title is greater than or equal to the price at its beginning, otherwise to "Down".'
)


class Replay:
    """The source of scripted markets.

    Parameters
    ----------
    script : Script
        Recorded or generated.
    clock : MarketClock
        The venue's.
    first_start : int
        Start of the script's market 0, on the 900-second grid of market time.
    """

    def __init__(self, script: Script, clock: MarketClock, first_start: int) -> None:
        self.script = script
        self._clock = clock
        self.catalogue = Schedule(first_start)
        self.catalogue.list_until(clock.market_s())

    def info(self) -> dict[str, Any]:
        return self.script.info()

    def listed(self) -> list[Market]:
        return self.catalogue.list_until(self._clock.market_s())

    def describe(self, market: Market) -> str:
        return f"{RULES} {self.script.describe(market.index)}"

    def origin(self, market: Market) -> str:
        return self.script.origin(market.index)

    def book(self, market: Market) -> Book:
        return self.book_before(market, 0)

    def book_before(self, market: Market, seconds: int) -> Book:
        return self.script.book(market.index, max(0.0, self._offset(market) - seconds))

    def tick(self, market: Market) -> int:
        change = self.script.tick_change(market.index)
        return 1 if change is not None and self._offset(market) >= max(change, 0) else CENT_MILLS

    def next_change(self, market: Market) -> float | None:
        change = self.script.next_change(market.index, max(0.0, self._offset(market)))
        return None if change is None else market.start + max(change, 0.0)

    def outcome(self, market: Market) -> bool | None:
        if self._clock.market_s() < market.end + market.resolution_delay:
            return None
        return self.script.up_wins(market.index)

    def certain(self, market: Market) -> bool:
        """A script is always sure of itself."""
        del market
        return True

    async def confirm(self, market: Market) -> bool:
        return self.certain(market)

    async def start(self) -> None:
        """Nothing to prepare: the script is complete."""

    async def stop(self) -> None:
        """Nothing is open."""

    async def run(self) -> None:
        """Nothing to keep up with: the script is complete."""

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _offset(self, market: Market) -> float:
        return self._clock.market_s() - market.start
