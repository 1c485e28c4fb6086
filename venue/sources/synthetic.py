"""Generated markets: seeded price paths, makers' books around them, outcomes by the settlement rule."""

import math
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from venue.market import INTERVAL
from venue.order_book import VenueBook
from venue.schedule import Schedule
from venue.series import BTC_15M, Series
from venue.sources.market_makers import GeneratedMarket, MarketMakers
from venue.sources.price_path import WINDOW, AssetPath, PricePath, asset_paths

DEFAULT_SEED = 5193
"""Seed whose first day gives both daily signals (sentiment, options) a direction, and opposite ones.

With the bot's default settings the rule decides to buy in the third and the fourth market, one of each
protocol version if they alternate, at whatever tick it decides; in the first and the second it depends on the
tick.
"""


MOST_MAKERS = 128
"""Markets of 900 seconds whose estimates are kept, or fewer longer ones."""
FEWEST_MAKERS = 4


class SyntheticSource:
    """An unlimited sequence of markets of one series, the same for the same seed.

    Parameters
    ----------
    seed : int
        Determines prices, books, outcomes and all data of the external services.
    series : Series
        btc-15m unless given.
    first_start, origin : int
        Market times of the start of market 0, and of second 0 of the price path.
    path : AssetPath, optional
        The price of the series' asset, if it is not bitcoin's.
    """

    name = "synthetic"

    def __init__(
        self,
        seed: int = DEFAULT_SEED,
        series: Series = BTC_15M,
        first_start: int = 0,
        origin: int = 0,
        path: AssetPath | None = None,
    ) -> None:
        self.seed = seed
        self._series = series
        self._first_start, self._origin = first_start, origin
        self._path = PricePath(seed) if path is None else path
        self._draws_prefix = "" if series == BTC_15M else f"{series.name}/"
        most = max(FEWEST_MAKERS, min(MOST_MAKERS, MOST_MAKERS * INTERVAL // series.length))
        self._market = lru_cache(maxsize=MOST_MAKERS)(self._make_market)
        self._makers = lru_cache(maxsize=most)(self._make_makers)
        # Needed for every market of a listing, also for those whose makers are no longer cached.
        self._tick_change = cache(self._find_tick_change)
        self._book = lru_cache(maxsize=256)(self._make_book)

    def info(self) -> dict[str, Any]:
        return description(self.seed)

    def describe(self, index: int) -> str:
        return f"Practice market. Generated: market {index} of seed {self.seed}."

    def origin(self, index: int) -> str:
        return f"synthetic-{self.seed}-{self._draws_prefix}{index}"

    def priced(self, index: int) -> bool:
        """True: every market settles by the price path."""
        del index
        return True

    @property
    def prices(self) -> Mapping[str, AssetPath]:
        return {self._series.asset: self._path}

    def spot(self, index: int, second: int) -> int:
        """The price of the asset at a second of a market, in units of 1e-8 USD."""
        return self._market(index).spot(second)

    def mean_price(self, index: int, second: int, window: int = WINDOW) -> int:
        """The mean of the `window` one-second prices up to a second, in units of 1e-8 USD."""
        return self._market(index).mean(second, window)

    def book(self, index: int, offset: float) -> VenueBook:
        return self._book(index, self._second(index, offset))

    def next_change(self, index: int, offset: float) -> float | None:
        second = self._second(index, offset)
        standing = self._book(index, second)
        for later in range(second + 1, self._market(index).length + 1):
            if self._book(index, later) != standing:
                return float(later)
        return None

    def tick_change(self, index: int) -> float | None:
        return self._tick_change(index)

    def up_wins(self, index: int) -> bool:
        return self._market(index).up_wins()

    def _make_market(self, index: int) -> GeneratedMarket:
        start = self._series.next_start(self._first_start, index)
        return GeneratedMarket(
            path=self._path,
            seed=self.seed,
            index=index,
            begin=start - self._origin,
            length=self._series.next_start(start) - start,
            draws_prefix=self._draws_prefix,
        )

    def _make_makers(self, index: int) -> MarketMakers:
        return MarketMakers(self._market(index))

    def _find_tick_change(self, index: int) -> float | None:
        change = self._makers(index).tick_change
        return None if change is None else float(change)

    def _make_book(self, index: int, second: int) -> VenueBook:
        return self._makers(index).book(second)

    def _second(self, index: int, offset: float) -> int:
        """Books change on whole seconds, from the first to the last of the market."""
        return min(self._market(index).length, max(0, math.floor(offset)))


class SyntheticSeries:
    """Generated markets of several series: those of one asset are on the same price path.

    Parameters
    ----------
    seed : int
        As for `SyntheticSource`. The price of bitcoin is the same, whichever series are generated.
    series : tuple of Series
    """

    name = "synthetic"

    def __init__(self, seed: int, series: tuple[Series, ...]) -> None:
        self.seed = seed
        self.series = series
        self.prices: Mapping[str, AssetPath] = asset_paths(seed, [each.asset for each in series])

    def info(self) -> dict[str, Any]:
        return description(self.seed)

    def scripts(self, schedule: Schedule) -> dict[Series, SyntheticSource]:
        """The script of each series, for the markets of a schedule."""
        return {
            each: SyntheticSource(
                self.seed, each, schedule.first_of(each), schedule.origin, self.prices[each.asset]
            )
            for each in self.series
        }


def description(seed: int) -> dict[str, Any]:
    """A description of generated markets for people."""
    return {
        "name": "synthetic",
        "seed": seed,
        "note": f"generated markets and prices of seed {seed}, no real ones; "
        "the external services answer from the same price path",
    }
