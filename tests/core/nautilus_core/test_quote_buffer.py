"""A view that is updated only when it is read is equal to one that processes each quote."""

import operator
from collections.abc import Sequence

from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import market
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity

from core.nautilus_core.instruments.market_board import EMPTY
from core.nautilus_core.providers import quote_buffer
from core.nautilus_core.providers.book_conversion import top_of_book
from core.nautilus_core.providers.quote_buffer import QuoteBuffer
from core.strategy_brain.strategies.market_view import MarketView

UP, DOWN = (InstrumentId.from_str(f"0xc1-{token}.POLYMARKET") for token in (1, 2))


def quote(of: InstrumentId, bid: int, ask: int, *, bids: int = 5, asks: int = 5) -> QuoteTick:
    """A quote with prices in cents; a size of 0 is a side without orders."""
    prices = (Price(bid / 100, 2), Price(ask / 100, 2))
    return QuoteTick(of, *prices, Quantity(bids, 6), Quantity(asks, 6), 1, 2)


def state(view: MarketView) -> object:
    """All that a decision reads."""
    books = view._up_book, view._down_book
    return view.p, view.tradable, view.valid_quotes, tuple(view.price_history), tuple(view.tick_buffer), books


type Step = tuple[float, int, int, int, int, bool]
"""Pause until the quote, cents of bid and ask, sizes of both, and whether the view is read after it."""

# Some quotes are crossed or have an empty side, and are invalid.
STEPS = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 0.4), st.floats(-0.4, 0.4), st.floats(-3, 3)),
        st.integers(1, 6),
        st.integers(5, 9),
        st.sampled_from((5, 4, 3, 0)),
        st.sampled_from((5, 4, 3, 0)),
        st.integers(0, 4).map(bool).map(operator.not_),
    ),
    max_size=60,
)


def require_equality(steps: Sequence[Step]) -> None:
    plain = MarketView(market(), quote_stability_required=2)
    buffered = QuoteBuffer(MarketView(market(), quote_stability_required=2))
    second = 100.0
    for pause, bid, ask, bids, asks, read in steps:
        second += pause
        up, down = quote(UP, bid, ask, bids=bids, asks=asks), quote(DOWN, 100 - ask, 101 - bid)
        plain.on_books(second, top_of_book(up), top_of_book(down))
        buffered.add(second, up, down)
        if read:
            assert state(buffered.view) == state(plain)
    assert state(buffered.view) == state(plain)


@settings(max_examples=examples(100))
@given(STEPS)
def test_the_view_is_the_same_whenever_it_is_read(steps: Sequence[Step]) -> None:
    """Prices by second, ticks, books and counts are those of a view that processes each quote, also with
    invalid quotes and a clock that is set back."""
    require_equality(steps)


def test_the_last_valid_quote_of_a_second_is_its_price() -> None:
    """A crossed book at the end of a second leaves the price of the quote before; each second has its own."""
    buffer = QuoteBuffer(MarketView(market(), quote_stability_required=1))
    for second, bid, ask in ((1.0, 40, 42), (1.1, 40, 44), (1.2, 40, 46), (1.9, 47, 45), (2.0, 50, 52)):
        buffer.add(second, quote(UP, bid, ask), None)
    ticks = [(tick.second, str(tick.price)) for tick in buffer.view.tick_buffer]
    assert ticks == [(1.2, "0.43"), (2.0, "0.51")]


def test_a_clock_that_is_set_back_within_a_second() -> None:
    """The price of the second is the last one, and its time the latest."""
    buffer = QuoteBuffer(MarketView(market(), quote_stability_required=1))
    for second, bid, ask in ((1.0, 40, 42), (2.8, 50, 52), (2.3, 60, 62)):
        buffer.add(second, quote(UP, bid, ask), None)
    ticks = [(tick.second, str(tick.price)) for tick in buffer.view.tick_buffer]
    assert ticks == [(1.0, "0.41"), (2.8, "0.61")]


def test_few_quotes_of_a_second_are_converted(monkeypatch) -> None:
    """Of a hundred quotes in a second those that make the market tradable are processed, and the last one."""
    converted: list[QuoteTick] = []
    monkeypatch.setattr(quote_buffer, "top_of_book", lambda tick: converted.append(tick) or top_of_book(tick))
    buffer = QuoteBuffer(MarketView(market(), quote_stability_required=3))
    quotes = [quote(UP, 40, 42 + number % 2) for number in range(100)]
    for number, each in enumerate(quotes):
        buffer.add(1 + number / 1000, each, None)
    assert len(converted) == 3
    assert str(buffer.view.p) == "0.415"
    assert converted == [*quotes[:3], quotes[99]]


def test_without_a_quote_of_down_its_book_is_empty() -> None:
    buffer = QuoteBuffer(MarketView(market()))
    buffer.add(1.0, quote(UP, 40, 42), None)
    assert buffer.view._down_book == EMPTY
