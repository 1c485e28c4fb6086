"""Holds the quotes of a market until its view is read, so that few of them have to be converted."""

import math

from nautilus_trader.model.data import QuoteTick

from core.nautilus_core.instruments.market_board import EMPTY
from core.nautilus_core.providers.book_conversion import top_of_book
from core.strategy_brain.strategies.market_view import MarketView
from models import Book

MOST_WAITING = 256
"""Quotes that wait at most."""


class QuoteBuffer:
    """Passes to a view what its quotes change in it, at the latest when it is read.

    The view has one price per market second, that of the second's last valid quote. So a quote waits until
    the next one arrives in a later second, and of those that wait only the last valid one is processed: the
    view is the same as if each had been. Until the market is tradable each is, because the view counts them.

    Parameters
    ----------
    view : MarketView
    """

    def __init__(self, view: MarketView) -> None:
        self._view = view
        self._waiting: list[tuple[float, QuoteTick | None, QuoteTick | None]] = []
        """Market second and newest quotes of Up and Down, in the order of their arrival."""

    @property
    def view(self) -> MarketView:
        """The view, with all quotes."""
        if self._waiting:
            self._process()
        return self._view

    def add(self, second: float, up: QuoteTick | None, down: QuoteTick | None) -> None:
        """Add a quote of Up, with the newest one of Down, at a market second."""
        waiting = self._waiting
        # Of a clock that was set back, the view needs both sides.
        if waiting and (
            second < waiting[-1][0]
            or math.floor(second) != math.floor(waiting[0][0])
            or len(waiting) >= MOST_WAITING
        ):
            self._process()
        waiting.append((second, up, down))
        if not self._view.tradable:
            self._process()

    def _process(self) -> None:
        for second, up, down in reversed(self._waiting):
            if self._view.on_books(second, _book(up), _book(down)):
                break
        self._waiting.clear()


def _book(quote: QuoteTick | None) -> Book:
    return EMPTY if quote is None else top_of_book(quote)
