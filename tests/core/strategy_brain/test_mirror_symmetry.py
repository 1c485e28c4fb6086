"""The whole decision is mirror-symmetric: exchanging Up and Down exchanges the decision and nothing else."""

from decimal import Decimal as D
from random import Random

import pytest
from brain_builders import (
    NOW_NS,
    context,
    market,
    mirrored,
    params,
    put_call,
    sentiment,
    spot,
    spot_path,
    strike,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mirror import assert_exchanged, exchanged, exchanged_params, exchanged_processors

from core.strategy_brain.signal_processors import SpikeDetectionProcessor, TickVelocityProcessor
from core.strategy_brain.strategies import decide
from core.strategy_brain.strategies.market_view import MarketView
from models import Book, BrainParams, DecisionContext, Level, Rule, Strike, Tick
from venue.order_book import VenueBook
from venue.sources.recorded import RecordedSource

STRIKE = 84_000
MILL = D("0.001")

# Strategies that do not depend on drawn values are made once: hypothesis validates each new one.
BIDS = st.integers(1, 997)
SIZES = st.lists(st.integers(1, 100_000).map(lambda hundredths: D(hundredths) / 100), max_size=15)
AGES_NS = st.sampled_from([0] * 14 + [9_000_000_000, 10_000_000_001])


@st.composite
def up_books(draw: st.DrawFn) -> Book:
    """An uncrossed book of up to fifteen levels per side on the grid of a tenth of a cent."""
    bid = draw(BIDS)
    ask = draw(st.integers(bid + 1, 999))

    def side(first: int, step: int) -> tuple[Level, ...]:
        sizes = draw(SIZES)
        prices = range(first, first + step * len(sizes), step)
        return tuple(
            Level(price=mills * MILL, size=size)
            for mills, size in zip(prices, sizes, strict=True)
            if 0 < mills < 1000
        )

    age_ns = draw(AGES_NS)
    return Book(bids=side(bid, -1), asks=side(ask, 1), ts_ns=NOW_NS - age_ns)


LENGTHS = st.sampled_from([20, 61, 100, 100, 19])
LASTS = st.integers(1, 999)
STEPS = st.sampled_from([0, 1, 5, 40])
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def price_histories(draw: st.DrawFn) -> tuple[D, ...]:
    """Up mids that end anywhere from 0.001 to 0.999: constant, in small steps, or in jumps."""
    length, mills, size = draw(LENGTHS), [draw(LASTS)], draw(STEPS)
    # One draw instead of one per step.
    steps = Random(draw(SEEDS)).choices(range(-size, size + 1), k=length - 1)
    for step in steps:
        mills.append(min(999, max(1, mills[-1] + step)))
    return tuple(each * MILL for each in reversed(mills))


SPOT_PATHS = [spot_path(STRIKE, 0.0, seconds=200, seed=seed) for seed in range(8)]
"""Walks that end at the strike at second 0; `markets` shifts and scales them."""
SECONDS = st.integers(0, 9).flatmap(lambda tenth: st.floats(780, 839) if tenth < 9 else st.floats(0, 899))
HISTORIES = price_histories()
UP_BOOKS = up_books()
TWENTIETHS = st.integers(0, 19)
SPOT_PRICES = st.floats(0.997, 1.003).map(lambda part: D(str(round(STRIKE * part, 2))))
PATHS = st.sampled_from([*SPOT_PATHS, ()])
RULES = st.sampled_from(Rule)
STRIKES = {rule: st.sampled_from([strike(STRIKE, rule), strike(STRIKE, rule), None]) for rule in Rule}
INTERVALS = st.sampled_from([300, 900, 14_400])
TICK_SIZES = st.sampled_from([D("0.01"), MILL])
OTHER_PRICES = st.none() | st.integers(1, 9999).map(lambda number: D(number) / 10_000)
PRESENT = st.booleans()
PUT_CALLS = st.none() | st.builds(put_call, st.floats(0.1, 3), st.none() | st.floats(0.1, 3))
SENTIMENTS = st.none() | st.builds(sentiment, st.integers(0, 100))


@st.composite
def markets(draw: st.DrawFn) -> DecisionContext:
    """Any state of a market whose two books are one book in both views, external values partly absent."""
    second = draw(SECONDS)
    history = draw(HISTORIES)
    up = draw(UP_BOOKS)
    down = mirrored(up)
    if draw(TWENTIETHS) == 19:
        down = Book(bids=down.bids, asks=down.asks, ts_ns=NOW_NS - 11_000_000_000)
    price = draw(SPOT_PRICES)
    path = draw(PATHS)
    rule = draw(RULES)
    known: Strike | None = draw(STRIKES[rule])
    other = draw(OTHER_PRICES)
    return DecisionContext(
        market=market(rule=rule, interval=draw(INTERVALS), tick=draw(TICK_SIZES)),
        second=second,
        now_ns=NOW_NS,
        p=history[-1] if other is None else other,
        history=history,
        ticks=tuple(
            Tick(second=second - len(history) + index, price=mid) for index, mid in enumerate(history)
        ),
        up_book=up,
        down_book=down,
        spot=spot(str(price)) if draw(PRESENT) else None,
        spot_path=tuple(
            Tick(second=tick.second + second, price=tick.price * price / STRIKE) for tick in path
        ),
        strike=known,
        put_call=draw(PUT_CALLS),
        sentiment=draw(SENTIMENTS),
    )


NUMBERS = st.fixed_dictionaries(
    {
        "weights": st.just(params().weights)
        | st.lists(st.integers(0, 16), min_size=6, max_size=6).map(
            lambda parts: dict(zip(params().weights, [part / 100 for part in parts], strict=True))
        ),
        "trend_up": st.sampled_from([D("0.60"), D("0.75"), D("0.51")]),
        "trend_down": st.sampled_from([D("0.40"), D("0.10"), D("0.49")]),
        "require_agreement": st.booleans(),
        "min_edge": st.none() | st.sampled_from([D("-0.51"), D("0.0123")]),
        "fusion_min_score": st.sampled_from([0.0, 40.0]),
        "fusion_min_weight": st.sampled_from([0.0, 0.12]),
        "fusion_min_signals": st.integers(1, 2),
        "position_size_usd": st.sampled_from([D("1.00"), D("50.00")]),
        "max_entry_price": st.sampled_from([D("0.70"), D("0.99")]),
        "spike_lookback": st.sampled_from([3, 20]),
        "spike_threshold": st.sampled_from([0.05, 0.1]),
        "sentiment_fear": st.sampled_from([25.0, 10.0]),
        "window_start": st.sampled_from([0.0, 780.0]),
        "window_end": st.sampled_from([840.0, 900.0]),
    }
).map(lambda chosen: params(**chosen))
"""Settings within their ranges, also with different values for the two sides."""


def exchanging_up_and_down_exchanges_the_decision(seen: DecisionContext, settings: BrainParams) -> None:
    """Same reason, ask, limit, fair value, edge, and each vote with equal values; the sides exchanged."""
    image_settings = exchanged_params(settings)
    image = decide(exchanged(seen), image_settings, exchanged_processors(image_settings))
    assert_exchanged(decide(seen, settings), image)


test_the_decision_is_mirror_symmetric = settings(max_examples=100)(
    given(markets(), NUMBERS)(exchanging_up_and_down_exchanges_the_decision)
)
test_the_decision_is_mirror_symmetric_in_ten_thousand_markets = pytest.mark.slow(
    pytest.mark.timeout(400)(
        settings(max_examples=10_000)(
            given(markets(), NUMBERS)(exchanging_up_and_down_exchanges_the_decision)
        )
    )
)


def test_exchanging_twice_is_the_market_itself():
    """The mirror image of the mirror image is the original, so no input is lost."""
    seen = context(sentiment=sentiment(20), put_call=put_call(1.3))
    assert exchanged(exchanged(seen)) == seen
    assert exchanged(seen) != seen


@pytest.mark.parametrize(("before", "now"), [("0.97", "0.98"), ("0.03", "0.02"), ("0.002", "0.003")])
def test_a_move_is_judged_by_the_favourites_price(before, now):
    """A cent at 0.97 is 1.03 % of the favourite on either side; one tick of noise at 0.002 is no move."""
    ticks = [Tick(second=770.0, price=D(before))] + [Tick(second=799.0, price=D(now))] * 5
    judged = TickVelocityProcessor().process(D(now), [], {"tick_buffer": ticks, "second": 800.0})
    history = [D(before)] * 19 + [D(now)]
    assert SpikeDetectionProcessor().process(D(now), history, {}) is None
    if before == "0.002":
        assert judged is None
    else:
        assert judged is not None
        assert judged.strength == 1
        assert judged.confidence == pytest.approx(0.55 + 0.12 * (0.01 / 0.97 / 0.01 - 1))


def test_the_view_of_an_exchanged_market_is_the_exchanged_view():
    """History, ticks and p of the books of Down are 1 minus those of the books of Up."""
    views = MarketView(market()), MarketView(market())
    for second, cents in enumerate([3, 50, 97, 98, 99]):
        bid = (Level(price=D(cents) / 100 - MILL, size=D(10)),)
        ask = (Level(price=D(cents) / 100 + MILL, size=D(20)),)
        for asks in (ask, ()):
            up = Book(bids=bid, asks=asks, ts_ns=NOW_NS)
            taken = {
                views[0].on_books(float(second), up, mirrored(up)),
                views[1].on_books(float(second), mirrored(up), up),
            }
            assert len(taken) == 1
    one, other = (view.context(800.0, NOW_NS) for view in views)
    assert exchanged(one) == other


def test_recorded_markets_are_mirror_symmetric():
    """In the last third of every recorded market the decision equals that of its mirror image."""
    source, settings = RecordedSource(), params(window_start=0.0, window_end=900.0)
    reasons = set()
    for index in range(int(source.info()["markets"])):
        views = MarketView(market()), MarketView(market())
        for second in range(600, 900):
            up = _book(source.book(index, second))
            views[0].on_books(float(second), up, mirrored(up))
            views[1].on_books(float(second), mirrored(up), up)
            if second % 10 or not views[0].tradable:
                continue
            one, image = (decide(view.context(float(second), NOW_NS), settings) for view in views)
            assert_exchanged(one, image)
            reasons.add(one.reason)
    assert {None, "no_signals", "disagreement", "no_trend"} <= reasons


def _book(book: VenueBook) -> Book:
    def side(levels: tuple[tuple[int, int], ...]) -> tuple[Level, ...]:
        return tuple(Level(price=mills * MILL, size=D(micros) / 1_000_000) for mills, micros in levels)

    return Book(bids=side(book.bids), asks=side(book.asks), ts_ns=NOW_NS)
