"""The boards of several series as one: what the catalogue's answers and a slug belong to."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.nautilus_core.instruments.market_board import MarketBoard, TrackedMarket
from models import Series, series_of


class MarketBoards:
    """The market board of each series.

    Parameters
    ----------
    boards : Mapping[Series, MarketBoard]
        In the order of the settings.
    """

    def __init__(self, boards: Mapping[Series, MarketBoard]) -> None:
        self.by_series = dict(boards)

    def of(self, slug: str) -> MarketBoard | None:
        """The board of a market's series; None for a series that is not traded."""
        return self.by_series.get(series_of(slug))

    def upcoming(self, market_time: float) -> list[str]:
        """Slugs of the running market of each series and of those listed after it."""
        return [slug for board in self.by_series.values() for slug in board.calendar.upcoming(market_time)]

    def admit(self, listed: Sequence[Any], asked: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The rows that may be traded, by slug; see `MarketBoard.admit`.

        Each board has its own part of the answer; a market that two series would share is refused when the
        second one is added.
        """
        rows: dict[str, dict[str, Any]] = {}
        for series, board in self.by_series.items():
            rows |= board.admit(listed, [slug for slug in asked if series_of(slug) == series])
        return rows

    def neighbours(self, slug: str) -> list[str]:
        """Slugs of markets with other starts that overlap this one; see `SlugCalendar.neighbours`."""
        board = self.of(slug)
        return [] if board is None else board.calendar.neighbours(slug)

    def report(self, slug: str, why: str) -> None:
        """Report once that a market is not traded."""
        board = self.of(slug)
        if board is not None:
            board.report(slug, why)

    def by_slug(self, slug: str) -> TrackedMarket | None:
        """A loaded market."""
        board = self.of(slug)
        return None if board is None else board.by_slug(slug)
