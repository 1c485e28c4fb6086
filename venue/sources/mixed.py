"""Alternates the recorded markets with generated ones: the first market is recorded, the second generated."""

from collections.abc import Mapping
from typing import Any

from venue.order_book import VenueBook
from venue.sources.base import AssetPrices, MarketScript
from venue.sources.recorded import RecordedSource
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSource


class MixedSource:
    """Recorded markets at the even places of the schedule, generated markets at the odd ones.

    The price path runs through all of them, so that it is known before a generated market starts. It is not
    that of the recorded markets.

    Parameters
    ----------
    seed : int
        Determines prices, generated books and their outcomes, as for `SyntheticSource`.
    """

    name = "mixed"

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self.seed = seed
        self._recorded = RecordedSource()
        self._generated = SyntheticSource(seed)

    def info(self) -> dict[str, Any]:
        return {
            **self._recorded.info(),
            "name": self.name,
            "seed": self.seed,
            "alternates": "generated markets with prices and external services of their own",
        }

    def describe(self, index: int) -> str:
        script, place = self._at(index)
        return script.describe(place)

    def origin(self, index: int) -> str:
        script, place = self._at(index)
        return script.origin(place)

    def book(self, index: int, offset: float) -> VenueBook:
        script, place = self._at(index)
        return script.book(place, offset)

    def next_change(self, index: int, offset: float) -> float | None:
        script, place = self._at(index)
        return script.next_change(place, offset)

    def tick_change(self, index: int) -> float | None:
        script, place = self._at(index)
        return script.tick_change(place)

    def up_wins(self, index: int) -> bool:
        script, place = self._at(index)
        return script.up_wins(place)

    def priced(self, index: int) -> bool:
        return self._at(index)[0] is self._generated

    @property
    def prices(self) -> Mapping[str, AssetPrices]:
        return self._generated.prices

    def _at(self, index: int) -> tuple[MarketScript, int]:
        """The script of a market, and the market's number in it."""
        return (self._generated, index) if index % 2 else (self._recorded, index // 2)
