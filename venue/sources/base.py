"""What the server asks of a source of markets; it knows no source by name."""

from typing import Any, Protocol, runtime_checkable

from venue.books import Book

INTERVAL = 900
"""Length of a market in market seconds."""


class Source(Protocol):
    """Books and outcomes of the markets on the 900-second grid of market time.

    A market is named by `index`, its position in the schedule: 0 is the first one the venue ever started.
    Offsets are market seconds since the market's start; they may lie before 0 and beyond 900.
    """

    name: str

    def info(self) -> dict[str, Any]:
        """What this source is, for people: what was recorded when, licence, number of markets."""
        ...

    def describe(self, index: int) -> str:
        """One line on where the market's data come from, shown in its description."""
        ...

    def origin(self, index: int) -> str:
        """Names the event behind a market: the same for markets that replay the same recording."""
        ...

    def book(self, index: int, offset: float) -> Book:
        """The Up token's book at a moment."""
        ...

    def next_change(self, index: int, offset: float) -> float | None:
        """The offset of the next different book after `offset`; None if there is none."""
        ...

    def tick_change(self, index: int) -> float | None:
        """The offset from which the market trades on the 0.001 grid; None if it never does."""
        ...

    def up_wins(self, index: int) -> bool:
        """The outcome. The server asks only when it publishes the resolution."""
        ...


@runtime_checkable
class Priced(Protocol):
    """What a source has that knows the price of bitcoin too, so that the external services can be served.

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
