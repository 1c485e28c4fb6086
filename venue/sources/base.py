"""The interface of a source of markets."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from venue.catalogue import Catalogue
from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.schedule import Schedule
from venue.series import DEFAULT_SERIES, Series
from venue.sources.price_path import WINDOW


class MarketSource(Protocol):
    """Markets with their books and outcomes at the clock's time.

    `catalogue` contains the listed markets. Market times are seconds since the epoch.
    """

    @property
    def catalogue(self) -> Catalogue: ...

    def info(self) -> dict[str, Any]:
        """A description of this source for people, with its `name`."""
        ...

    def listed(self) -> list[VenueMarket]:
        """Markets added to the catalogue since the last call, oldest first."""
        ...

    def describe(self, market: VenueMarket) -> str:
        """The market's rules, and the origin of its data."""
        ...

    def origin(self, market: VenueMarket) -> str:
        """The event behind a market: the same for markets that replay the same recording."""
        ...

    def book(self, market: VenueMarket) -> VenueBook | None:
        """The Up token's book; None if it is unknown. Before the start the opening book is constant."""
        ...

    def book_at(self, market: VenueMarket, market_s: float) -> VenueBook | None:
        """The book at a market time that is not in the future; None if it is unknown."""
        ...

    def tick(self, market: VenueMarket) -> int:
        """The price grid in mills."""
        ...

    def next_change(self, market: VenueMarket) -> float | None:
        """Market time of the next different book; None if there is none or it is unpredictable."""
        ...

    def outcome(self, market: VenueMarket) -> int | None:
        """Payout of an Up share in micro pUSD; None until the outcome is to be published."""
        ...

    def priced(self, market: VenueMarket) -> bool:
        """Whether the market settles by the prices of the external services."""
        ...

    def certain(self, market: VenueMarket) -> bool:
        """Whether `book` is current."""
        ...

    async def confirm(self, market: VenueMarket) -> bool:
        """Update the book if it is uncertain; False if that is impossible."""
        ...

    async def start(self) -> None:
        """Prepare to serve."""
        ...

    async def stop(self) -> None:
        """Close what `start` opened."""
        ...

    async def run(self) -> None:
        """Follow the origin of the markets as long as the venue runs."""
        ...

    async def wait(self, seconds: float) -> None:
        """Wait until a change that `next_change` does not predict, at most this long (wall seconds)."""
        ...


class MarketScript(Protocol):
    """Predetermined books and outcomes of the markets of one series.

    A market is identified by `index`, its position in the schedule of its series: 0 is the first one the
    venue ever started. Offsets are market seconds since the market's start; they may lie before 0 and beyond
    the end.
    """

    name: str

    def info(self) -> dict[str, Any]:
        """A description of this script for people: date of the recording, licence, number of markets."""
        ...

    def describe(self, index: int) -> str:
        """One line on the origin of the market's data, shown in its description."""
        ...

    def origin(self, index: int) -> str:
        """The event behind a market: the same for markets that replay the same recording."""
        ...

    def book(self, index: int, offset: float) -> VenueBook:
        """The Up token's book at an offset."""
        ...

    def next_change(self, index: int, offset: float) -> float | None:
        """The offset of the next different book after `offset`; None if there is none."""
        ...

    def tick_change(self, index: int) -> float | None:
        """The offset from which the market trades on the 0.001 grid; None if it never does."""
        ...

    def up_wins(self, index: int) -> bool:
        """The outcome. It is read only when the resolution is published."""
        ...

    def priced(self, index: int) -> bool:
        """Whether the market settles by the prices of the external services; a recorded one does not."""
        ...


@runtime_checkable
class SeveralScripts(Protocol):
    """Scripts of several series."""

    name: str
    series: tuple[Series, ...]

    def info(self) -> dict[str, Any]:
        """A description for people."""
        ...

    def scripts(self, schedule: Schedule) -> Mapping[Series, MarketScript]:
        """The script of each series, for the markets of a schedule."""
        ...


class AssetPrices(Protocol):
    """The price of an asset in units of 1e-8 USD, one for every second.

    Seconds are counted from the start of a piece of 900 seconds; they may lie before it and beyond its end.
    Piece 0 begins at the origin of the venue's schedule.
    """

    def spot(self, index: int, second: int) -> int:
        """The price at a second of a piece."""
        ...

    def mean(self, index: int, second: int, window: int = WINDOW) -> int:
        """The mean of the last `window` prices, including the one at `second`, rounded down."""
        ...

    def sigma(self, index: int) -> float:
        """The volatility per √second in a piece, without jumps."""
        ...


@runtime_checkable
class PriceSource(Protocol):
    """A source that also has prices, so that the external services can be served."""

    seed: int

    @property
    def prices(self) -> Mapping[str, AssetPrices]:
        """The prices of each asset, bitcoin among them."""
        ...


type Script = MarketScript | SeveralScripts
"""A script of markets of btc-15m, or those of several series."""


def series_of(script: Script) -> tuple[Series, ...]:
    """The series that a script has markets of."""
    return script.series if isinstance(script, SeveralScripts) else DEFAULT_SERIES
