"""Plays scripts on the venue's clock: the predetermined markets of each series, one after the other."""

import asyncio
from collections.abc import Mapping
from typing import Any

from venue.amounts import CENT_MILLS, MICRO
from venue.clock import VenueClock
from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.schedule import Protocol, Schedule
from venue.series import ASSETS, BTC_15M
from venue.sources.base import MarketScript, Script, SeveralScripts, series_of

RULES = (
    'This market will resolve to "Up" if the time-weighted average price of {asset} at the end of the '
    'time range in the title is greater than or equal to the price at its beginning, otherwise to "Down".'
)


class ScriptedSource:
    """The source of scripted markets.

    Parameters
    ----------
    script : MarketScript or SeveralScripts
        Recorded or generated.
    clock : VenueClock
        The venue's.
    first_start : int
        Start of market 0 of the first series, in market time.
    protocol : str
        Protocol of the markets: v1, v2 or alternate.
    """

    def __init__(
        self, script: Script, clock: VenueClock, first_start: int, protocol: Protocol = "v1"
    ) -> None:
        self.script = script
        self._clock = clock
        self.catalogue = Schedule(first_start, protocol, series_of(script))
        self._scripts = _by_number(script, self.catalogue)
        self.catalogue.list_until(clock.market_s())

    def info(self) -> dict[str, Any]:
        return self.script.info()

    def listed(self) -> list[VenueMarket]:
        return self.catalogue.list_until(self._clock.market_s())

    def describe(self, market: VenueMarket) -> str:
        return f"{RULES.format(asset=ASSETS[market.asset])} {self._script(market).describe(market.index)}"

    def origin(self, market: VenueMarket) -> str:
        return self._script(market).origin(market.index)

    def book(self, market: VenueMarket) -> VenueBook:
        return self.book_at(market, self._clock.market_s())

    def book_at(self, market: VenueMarket, market_s: float) -> VenueBook:
        return self._script(market).book(market.index, max(0.0, market_s - market.start))

    def tick(self, market: VenueMarket) -> int:
        offset = self._offset(market)
        if offset < 0:
            # Known without generating the market.
            return CENT_MILLS
        change = self._script(market).tick_change(market.index)
        return 1 if change is not None and offset >= change else CENT_MILLS

    def next_change(self, market: VenueMarket) -> float | None:
        offset = self._offset(market)
        if offset < 0:
            # The opening book is constant, and the other books need not be generated yet.
            return float(market.start)
        change = self._script(market).next_change(market.index, offset)
        return None if change is None else market.start + max(change, 0.0)

    def outcome(self, market: VenueMarket) -> int | None:
        if self._clock.market_s() < market.end + market.resolution_delay:
            return None
        return MICRO if self._script(market).up_wins(market.index) else 0

    def priced(self, market: VenueMarket) -> bool:
        return self._script(market).priced(market.index)

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

    def _script(self, market: VenueMarket) -> MarketScript:
        return self._scripts[market.series_number]


def _by_number(script: Script, schedule: Schedule) -> Mapping[int, MarketScript]:
    """The script of each series, by the series' number."""
    if isinstance(script, SeveralScripts):
        return {series.number: each for series, each in script.scripts(schedule).items()}
    return {BTC_15M.number: script}
