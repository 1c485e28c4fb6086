"""Generated markets: a seeded price path, makers' books around it, outcomes by the settlement rule."""

import math
from functools import cache, lru_cache
from typing import Any

from venue.market import INTERVAL
from venue.order_book import VenueBook
from venue.sources.market_makers import MarketMakers
from venue.sources.price_path import WINDOW, PricePath

DEFAULT_SEED = 5193
"""Seed whose first day gives both daily signals (sentiment, options) a direction, and opposite ones.

With the bot's default settings the rule decides to buy in the third and the fourth market, one of each
protocol version if they alternate, at whatever tick it decides; in the first and the second it depends on the
tick.
"""


class SyntheticSource:
    """An unlimited sequence of markets, the same for the same seed.

    Parameters
    ----------
    seed : int
        Determines prices, books, outcomes and all data of the external services.
    """

    name = "synthetic"

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self.seed = seed
        self._path = PricePath(seed)
        self._makers = lru_cache(maxsize=128)(self._make_makers)
        # Needed for every market of a listing, also for those whose makers are no longer cached.
        self._tick_change = cache(self._find_tick_change)
        self._book = lru_cache(maxsize=256)(self._make_book)

    def info(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self.seed,
            "note": f"generated markets and prices of seed {self.seed}, no real ones; "
            "the external services answer from the same price path",
        }

    def describe(self, index: int) -> str:
        return f"Practice market. Generated: market {index} of seed {self.seed}."

    def origin(self, index: int) -> str:
        return f"synthetic-{self.seed}-{index}"

    def priced(self, index: int) -> bool:
        """True: every market settles by the price path."""
        del index
        return True

    def spot(self, index: int, second: int) -> int:
        """The price of bitcoin at a second of a market, in units of 1e-8 USD."""
        return self._path.spot(index, second)

    def mean_price(self, index: int, second: int, window: int = WINDOW) -> int:
        """The mean of the `window` one-second prices up to a second, in units of 1e-8 USD."""
        return self._path.mean(index, second, window)

    def book(self, index: int, offset: float) -> VenueBook:
        return self._book(index, _second(offset))

    def next_change(self, index: int, offset: float) -> float | None:
        second = _second(offset)
        standing = self._book(index, second)
        for later in range(second + 1, INTERVAL + 1):
            if self._book(index, later) != standing:
                return float(later)
        return None

    def tick_change(self, index: int) -> float | None:
        return self._tick_change(index)

    def up_wins(self, index: int) -> bool:
        return self._path.up_wins(index)

    def _make_makers(self, index: int) -> MarketMakers:
        return MarketMakers(self._path, index)

    def _find_tick_change(self, index: int) -> float | None:
        change = self._makers(index).tick_change
        return None if change is None else float(change)

    def _make_book(self, index: int, second: int) -> VenueBook:
        return self._makers(index).book(second)


def _second(offset: float) -> int:
    """Books change on whole seconds, from the first to the last of the market."""
    return min(INTERVAL, max(0, math.floor(offset)))
