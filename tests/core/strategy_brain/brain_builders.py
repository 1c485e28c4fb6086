"""Markets, books and contexts for the brain's tests: plausible by default, each detail replaceable."""

import math
import random
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from core.strategy_brain.fusion_engine import REFERENCE_WEIGHTS
from models import (
    Book,
    BrainParams,
    DecisionContext,
    Level,
    Market,
    PutCall,
    Rule,
    Sentiment,
    Spot,
    Strike,
    Tick,
)

NOW_NS = 1_790_595_900_000_000_000
D = Decimal


def market(**changes: Any) -> Market:
    values: dict[str, Any] = {
        "slug": "btc-updown-15m-1790595900",
        "start": 1_790_595_900,
        "interval": 900,
        "condition_id": "0xc0",
        "up_token": "11",
        "down_token": "22",
        "fee_rate": D("0.07"),
        "tick": D("0.01"),
        "rule": Rule.TWAP60,
    }
    return Market(**(values | changes))


def params(**changes: Any) -> BrainParams:
    """The defaults of the settings."""
    values: dict[str, Any] = {
        "weights": dict(REFERENCE_WEIGHTS),
        "window_start": 780.0,
        "window_end": 840.0,
        "trend_up": D("0.60"),
        "trend_down": D("0.40"),
        "require_agreement": True,
        "min_edge": None,
        "fusion_min_signals": 1,
        "fusion_min_score": 40.0,
        "fusion_min_weight": 0.12,
        "position_size_usd": D("1.00"),
        "max_entry_price": D("0.99"),
        "max_slippage": D("0.02"),
        "max_quote_age_s": 10.0,
        "spike_threshold": 0.05,
        "spike_lookback": 20,
        "sentiment_fear": 25.0,
        "sentiment_greed": 75.0,
        "divergence_threshold": 0.05,
        "orderbook_imbalance_threshold": 0.30,
        "orderbook_min_volume": 50.0,
        "tick_velocity_60s": 0.015,
        "tick_velocity_30s": 0.010,
        "deribit_bullish_pcr": 1.20,
        "deribit_bearish_pcr": 0.70,
    }
    return BrainParams(**(values | changes))


def levels(*pairs: tuple[str | Decimal, str | int | Decimal]) -> tuple[Level, ...]:
    return tuple(Level(price=D(price), size=D(size)) for price, size in pairs)


def book(
    bids: tuple[tuple[str, str | int], ...] = (),
    asks: tuple[tuple[str, str | int], ...] = (),
    age_s: float = 0,
) -> Book:
    return Book(bids=levels(*bids), asks=levels(*asks), ts_ns=NOW_NS - round(age_s * 1e9))


def mirrored(up: Book) -> Book:
    """The Down book of an Up book: a bid for one token is an offer of the other at 1 − price."""
    return Book(
        bids=tuple(Level(price=1 - level.price, size=level.size) for level in up.asks),
        asks=tuple(Level(price=1 - level.price, size=level.size) for level in up.bids),
        ts_ns=up.ts_ns,
    )


def spot(price: float | str) -> Spot:
    return Spot(source="coinbase", price=D(str(price)), source_ns=NOW_NS, received_ns=NOW_NS)


def strike(price: float | str, rule: Rule = Rule.TWAP60) -> Strike:
    return Strike(price=D(str(price)), rule=rule, source="chainlink")


def put_call(overall: float, short: float | None = None) -> PutCall:
    return PutCall(
        source="deribit",
        overall=overall,
        short=short,
        put_open_interest=1000.0,
        call_open_interest=900.0,
        source_ns=NOW_NS,
        received_ns=NOW_NS,
    )


def sentiment(score: float) -> Sentiment:
    return Sentiment(
        source="fear_greed", score=score, classification="x", source_ns=NOW_NS, received_ns=NOW_NS
    )


def spot_path(
    last: float, until: float, sigma: float = 1e-4, seconds: int = 400, step: float = 1.0, seed: int = 7
) -> tuple[Tick, ...]:
    """A 1 Hz random walk with volatility `sigma` per √second that arrives at `last` at second `until`."""
    noise = random.Random(seed)
    prices = [last]
    for _ in range(seconds):
        prices.append(prices[-1] * math.exp(-sigma * math.sqrt(step) * noise.gauss(0, 1)))
    return tuple(
        Tick(second=until - step * back, price=D(str(round(price, 4))))
        for back, price in reversed(list(enumerate(prices)))
    )


def context(p: str | Decimal = "0.80", **changes: Any) -> DecisionContext:
    """A context that buys: a trending price, a book in favour of the favourite, enough history, all fresh.

    Without changes p is 0.80, so Up is the favourite at 0.81; below 0.5 everything is mirrored.
    """
    p = D(p)
    bullish = p >= D("0.5")
    heavy, light = ("400", "100") if bullish else ("100", "400")
    up = book(bids=((str(p - D("0.01")), heavy),), asks=((str(p + D("0.01")), light),))
    values: dict[str, Any] = {
        "market": market(),
        "second": 800.0,
        "now_ns": NOW_NS,
        "p": p,
        "history": (p,) * 30,
        "ticks": tuple(Tick(second=float(second), price=p) for second in range(700, 801)),
        "up_book": changes.get("up_book", up),
    }
    values["down_book"] = mirrored(values["up_book"])
    return DecisionContext(**(values | changes))


def with_externals(base: DecisionContext, *, price: float = 84_000.0, above: float = 0.0) -> dict[str, Any]:
    """Changes that add spot, path and a strike that is `above` (relative) over the spot to a context."""
    return {
        "spot": spot(price),
        "spot_path": spot_path(price, base.second),
        "strike": strike(round(price * (1 + above), 4)),
    }


cents = st.integers(2, 98).map(lambda cent: D(cent) / 100)
sizes = st.integers(1, 100_000).map(lambda hundredths: D(hundredths) / 100)


@st.composite
def books(draw: st.DrawFn) -> Book:
    """An uncrossed book around some price, of up to fifteen levels per side, either side possibly empty."""
    bid = draw(st.integers(1, 97))
    ask = draw(st.integers(bid + 1, 99))
    bids = draw(st.lists(st.integers(1, bid), unique=True, max_size=15))
    asks = draw(st.lists(st.integers(ask, 99), unique=True, max_size=15))
    return Book(
        bids=tuple(Level(price=D(cent) / 100, size=draw(sizes)) for cent in sorted(bids, reverse=True)),
        asks=tuple(Level(price=D(cent) / 100, size=draw(sizes)) for cent in sorted(asks)),
        ts_ns=NOW_NS - draw(st.integers(0, 12_000_000_000)),
    )


@st.composite
def contexts(draw: st.DrawFn) -> DecisionContext:
    """Any state of a market at a decision, with external values partly absent."""
    second = draw(st.floats(775, 899))
    up = draw(books())
    history = tuple(draw(st.lists(cents, min_size=draw(st.sampled_from([0, 20, 20, 20])), max_size=100)))
    price = draw(st.floats(20_000, 200_000))
    known = draw(st.booleans())
    return DecisionContext(
        market=market(
            rule=draw(st.sampled_from(Rule)),
            interval=draw(st.sampled_from([300, 900, 14_400])),
            tick=draw(st.sampled_from([D("0.01"), D("0.001")])),
        ),
        second=second,
        now_ns=NOW_NS,
        p=draw(cents),
        history=history,
        ticks=tuple(
            Tick(second=second - len(history) + index, price=mid) for index, mid in enumerate(history)
        ),
        up_book=up,
        down_book=draw(st.one_of(st.just(mirrored(up)), books())),
        spot=draw(st.none() | st.just(spot(price))),
        spot_path=spot_path(
            price, second, seconds=draw(st.sampled_from([5, 60, 200])), seed=draw(st.integers(0, 99))
        )
        if known
        else (),
        strike=draw(
            st.none()
            | st.builds(strike, st.floats(0.999, 1.001).map(lambda f: price * f), st.sampled_from(Rule))
        ),
        put_call=draw(st.none() | st.builds(put_call, st.floats(0.1, 3), st.none() | st.floats(0.1, 3))),
        sentiment=draw(st.none() | st.builds(sentiment, st.floats(0, 100))),
        absent=draw(
            st.sampled_from([{}, {"coinbase": "late"}, {"deribit": "HTTP 503", "fear_greed": "stale"}])
        ),
    )


@st.composite
def brain_params(draw: st.DrawFn) -> BrainParams:
    """Parameters within the ranges of the settings, with the gates on or off."""
    return params(
        require_agreement=draw(st.booleans()),
        min_edge=draw(st.none() | st.sampled_from([D("-0.5"), D("0"), D("0.05")])),
        fusion_min_score=draw(st.sampled_from([0.0, 40.0, 90.0])),
        fusion_min_weight=draw(st.sampled_from([0.0, 0.12, 0.4])),
        fusion_min_signals=draw(st.integers(1, 3)),
        max_entry_price=draw(st.sampled_from([D("0.70"), D("0.99")])),
        position_size_usd=draw(st.sampled_from([D("1.00"), D("250.00")])),
    )
