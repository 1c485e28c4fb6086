"""The states of one recorded market at which a decision may be made, computed once for all points.

What a decision depends on, besides its parameters: the price history since the market opened, and with it
QUOTE_MIN_SPREAD, QUOTE_STABILITY_REQUIRED, MAX_PRICE_HISTORY and TICK_BUFFER_SIZE; the instants of the
decisions before it in the same market, at which the whole books enter the history; and the tick size.
"""

import copy
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick
from nautilus_trader.model.enums import BookType

from core.nautilus_core.instruments.market_board import EMPTY
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.providers.book_conversion import full_book, top_of_book
from core.strategy_brain.strategies.market_view import MarketView
from models import Book, DecisionContext, Frozen, Market, Outcome
from research.backtest.engine import FINE_TICK
from research.backtest.market_data import NANOS, events, instrument_id
from research.recordings import RecordedMarket


class ViewSettings(Frozen, frozen=True):
    """The settings of the price history."""

    max_history: int
    tick_buffer: int
    quote_stability_required: int
    min_spread: Decimal


class Quote(Frozen, frozen=True, gc=False):
    """Both tokens at a change of one of their best prices.

    `up` and `down` are the whole books; None before the earliest decision window.
    """

    now_ns: int
    second: float
    outcome: Outcome
    tops: tuple[Book, Book]
    up: Book | None
    down: Book | None


class MarketStates:
    """All quotes of one market, and the whole books from the earliest window on.

    Parameters
    ----------
    recorded, market
        The recording, and the market of its catalogue object.
    earliest : float
        Market second at which the first decision window starts.
    """

    def __init__(self, recorded: RecordedMarket, market: Market, earliest: float) -> None:
        self.recorded = recorded
        self.market = market
        self.quotes: list[Quote] = []
        self._books: dict[Outcome, tuple[list[int], list[Book]]] = {outcome: ([], []) for outcome in Outcome}
        self._roots: dict[ViewSettings, StateNode] = {}
        self._fill(earliest)
        self.seconds = [quote.second for quote in self.quotes]
        fine_ns = recorded.fine_tick_ns
        self._fine_ns = None if fine_ns is None else market.start * NANOS + fine_ns

    def _fill(self, earliest: float) -> None:
        market, clock = self.market, MarketClock()
        names = {instrument_id(market, outcome): outcome for outcome in Outcome}
        books = {outcome: OrderBook(name, BookType.L2_MBP) for name, outcome in names.items()}
        tops, updated = dict.fromkeys(Outcome, EMPTY), dict.fromkeys(Outcome, 0)
        changed = dict.fromkeys(Outcome, 0)
        for event in events(self.recorded, market):
            outcome, now_ns = names[event.instrument_id], event.ts_init
            second = market.second(clock.market_time(now_ns))
            if isinstance(event, OrderBookDeltas):
                if second >= earliest:
                    self._keep(books, changed)
                books[outcome].apply_deltas(event)
                updated[outcome] = changed[outcome] = now_ns
            elif isinstance(event, QuoteTick) and now_ns > market.start * NANOS:
                # A quote of the market's first instant arrives before the strategy opens the market.
                tops[outcome], updated[outcome] = top_of_book(event), now_ns
                whole: tuple[Book | None, Book | None] = (None, None)
                if second >= earliest:
                    self._keep(books, changed)
                    whole = tuple(  # pyright: ignore[reportAssignmentType]
                        msgspec.structs.replace(self._books[side][1][-1], ts_ns=updated[side])
                        for side in Outcome
                    )
                pair = (tops[Outcome.UP], tops[Outcome.DOWN])
                self.quotes.append(Quote(now_ns, second, outcome, pair, *whole))
        self._keep(books, changed)

    def _keep(self, books: dict[Outcome, OrderBook], changed: dict[Outcome, int]) -> None:
        """Keep the books that changed since they were kept last, with the times of the changes."""
        for outcome, changed_ns in changed.items():
            times, kept = self._books[outcome]
            times.append(changed_ns)
            kept.append(full_book(books[outcome], changed_ns))
        changed.clear()

    def market_at(self, now_ns: int) -> Market:
        """The market with its tick size at an instant."""
        if self._fine_ns is None or now_ns <= self._fine_ns:
            return self.market
        return msgspec.structs.replace(self.market, tick=FINE_TICK)

    def book_at(self, outcome: Outcome, now_ns: int) -> Book:
        """A token's book at an instant, changes at this instant included."""
        times, kept = self._books[outcome]
        found = bisect_right(times, now_ns)
        return kept[found - 1] if found else EMPTY

    def first_at(self, second: float) -> int:
        """Number of the first quote at or after a market second."""
        return bisect_left(self.seconds, second)

    def root(self, settings: ViewSettings) -> "StateNode":
        """The state before the first decision."""
        if settings not in self._roots:
            view = MarketView(
                self.market,
                max_history=settings.max_history,
                tick_buffer=settings.tick_buffer,
                quote_stability_required=settings.quote_stability_required,
                min_spread=settings.min_spread,
            )
            self._roots[settings] = StateNode(self, view, -1, None)
        return self._roots[settings]


class StateNode:
    """The state after the decisions at a series of quotes; its successors are computed once.

    Attributes
    ----------
    context : DecisionContext or None
        The inputs of the last of these decisions, without external values; None before the first.
    """

    def __init__(
        self, states: MarketStates, view: MarketView, index: int, context: DecisionContext | None
    ) -> None:
        self._states = states
        self._view = view
        self._index = index
        self.context = context
        self._successors: dict[int, StateNode] = {}
        self._tradable_from: int | None = None

    @property
    def tradable_from(self) -> int:
        """Number of the first quote from which the market is tradable, if no decision was made before."""
        if self._tradable_from is None:
            view, quotes = _copy(self._view), self._states.quotes
            found = (
                number for number in range(len(quotes)) if _replay(view, quotes[number : number + 1]).tradable
            )
            self._tradable_from = next(found, len(quotes))
        return self._tradable_from

    def decide_at(self, index: int) -> "StateNode":
        """The state with a further decision at a quote."""
        node = self._successors.get(index)
        if node is None:
            states = self._states
            view = _replay(_copy(self._view), states.quotes[self._index + 1 : index + 1])
            quote = states.quotes[index]
            assert quote.up is not None  # the quote is in a decision window
            assert quote.down is not None
            view.market = states.market_at(quote.now_ns)
            view.on_books(quote.second, quote.up, quote.down)
            context = view.context(quote.second, quote.now_ns)
            node = self._successors[index] = StateNode(states, view, index, context)
        return node

    def view_before(self, now_ns: int) -> MarketView:
        """The price history with all quotes until an instant, that one included."""
        later = (quote for quote in self._states.quotes[self._index + 1 :] if quote.now_ns <= now_ns)
        return _replay(_copy(self._view), tuple(later))


def _replay(view: MarketView, quotes: Sequence[Quote]) -> MarketView:
    for quote in quotes:
        if quote.outcome is Outcome.UP:
            view.on_books(quote.second, *quote.tops)
    return view


def _copy(view: MarketView) -> MarketView:
    copied = copy.copy(view)
    copied.price_history = deque(view.price_history, view.price_history.maxlen)
    copied.tick_buffer = deque(view.tick_buffer, view.tick_buffer.maxlen)
    return copied
