"""What the server asks of a source of markets; it knows no source by name."""

from typing import Any, Protocol, runtime_checkable

from venue.catalogue import Catalogue
from venue.market import VenueMarket
from venue.order_book import VenueBook


class MarketSource(Protocol):
    """Markets with their books and outcomes, as they stand at the clock's time.

    `catalogue` holds what is listed. Market times are seconds since the epoch.
    """

    @property
    def catalogue(self) -> Catalogue: ...

    def info(self) -> dict[str, Any]:
        """What this source is, for people, with its `name`."""
        ...

    def listed(self) -> list[VenueMarket]:
        """Markets that came into the catalogue since this was last asked, oldest first."""
        ...

    def describe(self, market: VenueMarket) -> str:
        """The market's rules, and where its data come from."""
        ...

    def origin(self, market: VenueMarket) -> str:
        """Names the event behind a market: the same for markets that replay the same recording."""
        ...

    def book(self, market: VenueMarket) -> VenueBook | None:
        """The Up token's book; None if nobody knows it. Before the start the opening book stands still."""
        ...

    def book_before(self, market: VenueMarket, seconds: int) -> VenueBook | None:
        """The book as it was that many market seconds ago."""
        ...

    def tick(self, market: VenueMarket) -> int:
        """The price grid in mills."""
        ...

    def next_change(self, market: VenueMarket) -> float | None:
        """Market time of the next different book; None if there is none or nobody can know."""
        ...

    def outcome(self, market: VenueMarket) -> int | None:
        """What an Up share pays, in micro pUSD; None until the outcome is to be published."""
        ...

    def certain(self, market: VenueMarket) -> bool:
        """Whether `book` is the book of this moment."""
        ...

    async def confirm(self, market: VenueMarket) -> bool:
        """Make certain of the book if it is not; False if that cannot be done."""
        ...

    async def start(self) -> None:
        """Get ready to serve."""
        ...

    async def stop(self) -> None:
        """Let go of what `start` opened."""
        ...

    async def run(self) -> None:
        """Keep up with whatever the markets come from, as long as the venue runs."""
        ...

    async def wait(self, seconds: float) -> None:
        """Wait until something changes that `next_change` did not tell, at most so long (wall seconds)."""
        ...


class MarketScript(Protocol):
    """Books and outcomes of markets on the 900-second grid of market time, known beforehand.

    A market is named by `index`, its position in the schedule: 0 is the first one the venue ever started.
    Offsets are market seconds since the market's start; they may lie before 0 and beyond 900.
    """

    name: str

    def info(self) -> dict[str, Any]:
        """What this script is, for people: what was recorded when, licence, number of markets."""
        ...

    def describe(self, index: int) -> str:
        """One line on where the market's data come from, shown in its description."""
        ...

    def origin(self, index: int) -> str:
        """Names the event behind a market: the same for markets that replay the same recording."""
        ...

    def book(self, index: int, offset: float) -> VenueBook:
        """The Up token's book at a moment."""
        ...

    def next_change(self, index: int, offset: float) -> float | None:
        """The offset of the next different book after `offset`; None if there is none."""
        ...

    def tick_change(self, index: int) -> float | None:
        """The offset from which the market trades on the 0.001 grid; None if it never does."""
        ...

    def up_wins(self, index: int) -> bool:
        """The outcome. It is asked for only when the resolution is published."""
        ...


@runtime_checkable
class PriceSource(Protocol):
    """What a script has that knows the price of bitcoin too, so that the external services can be served.

    Prices are integers in units of 1e-8 USD, one for every second of a market; seconds beyond the market's
    ends belong to its neighbours.
    """

    seed: int

    def spot(self, index: int, second: int) -> int:
        """The price at a second."""
        ...

    def mean_price(self, index: int, second: int, window: int) -> int:
        """The mean of the last `window` prices, the one at `second` included."""
        ...
