"""What each processor records: whole signals, with every field of their evidence, and whole abstentions."""

import math
from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any

import pytest
from brain_builders import (
    book,
    context,
    levels,
    market,
    put_call,
    sentiment,
    spot,
    strike,
    with_externals,
)

from core.strategy_brain.metadata import metadata_of
from core.strategy_brain.refusals import Abstention
from core.strategy_brain.signal_processors import (
    BaseSignalProcessor,
    DeribitPCRProcessor,
    OrderBookImbalanceProcessor,
    PriceDivergenceProcessor,
    SentimentAnalysisProcessor,
    SpikeDetectionProcessor,
    TickVelocityProcessor,
)
from models import Book, Direction, SignalType, Strength, Tick, TradingSignal

PRICE = D("0.55")
HALF = D("0.5")


def ticks(*points: tuple[float, str]) -> tuple[Tick, ...]:
    return tuple(Tick(second=second, price=D(price)) for second, price in points)


RISING = ticks((700, "0.5"), (740, "0.5"), (755, "0.5"), (770, "0.52"), (799, "0.54"))


@dataclass(frozen=True)
class Case:
    """Arguments of a processor, and everything it records for them."""

    processor: BaseSignalProcessor
    metadata: dict[str, Any]
    recorded: TradingSignal
    history: tuple[D, ...] = ()
    price: D = PRICE


SIGNALS = {
    "put/call, bullish": Case(
        DeribitPCRProcessor(),
        {"put_call": put_call(1.0, short=1.5)},
        TradingSignal(
            source="DeribitPCR",
            signal_type=SignalType.SENTIMENT_SHIFT,
            direction=Direction.BULLISH,
            strength=Strength.STRONG,
            confidence=0.6075,
            current_price=PRICE,
            metadata={
                "pcr": 1.5,
                "overall_pcr": 1.0,
                "short_pcr": 1.5,
                "put_open_interest": 1000.0,
                "call_open_interest": 900.0,
            },
        ),
    ),
    "sentiment, fear": Case(
        SentimentAnalysisProcessor(),
        {"sentiment": sentiment(10.0)},
        TradingSignal(
            source="SentimentAnalysis",
            signal_type=SignalType.SENTIMENT_SHIFT,
            direction=Direction.BULLISH,
            strength=Strength.STRONG,
            confidence=0.75,
            current_price=PRICE,
            metadata={"sentiment_score": 10.0, "sentiment_classification": "x"},
        ),
    ),
    "order book, bids": Case(
        OrderBookImbalanceProcessor(),
        {"up_book": book(bids=(("0.50", 100),), asks=(("0.52", 20), ("0.60", 5)))},
        TradingSignal(
            source="OrderBookImbalance",
            signal_type=SignalType.VOLUME_SURGE,
            direction=Direction.BULLISH,
            strength=Strength.STRONG,
            confidence=0.84,
            current_price=PRICE,
            metadata={
                "imbalance": 0.6,
                "bid_shares": 100.0,
                "ask_shares": 25.0,
                "total_volume_usd": 63.4,
                "wall": True,
            },
        ),
    ),
    "order book, asks": Case(
        OrderBookImbalanceProcessor(),
        {"up_book": book(bids=(("0.50", 20), ("0.49", 5)), asks=(("0.52", 100),))},
        TradingSignal(
            source="OrderBookImbalance",
            signal_type=SignalType.VOLUME_SURGE,
            direction=Direction.BEARISH,
            strength=Strength.STRONG,
            confidence=0.84,
            current_price=PRICE,
            metadata={
                "imbalance": -0.6,
                "bid_shares": 25.0,
                "ask_shares": 100.0,
                "total_volume_usd": 64.55,
                "wall": True,
            },
        ),
    ),
    "order book, one side without a wall": Case(
        OrderBookImbalanceProcessor(),
        {"up_book": book(bids=tuple((f"0.5{n}", 10) for n in range(10)))},
        TradingSignal(
            source="OrderBookImbalance",
            signal_type=SignalType.VOLUME_SURGE,
            direction=Direction.BULLISH,
            strength=Strength.VERY_STRONG,
            confidence=0.85,
            current_price=PRICE,
            metadata={
                "imbalance": 1.0,
                "bid_shares": 100.0,
                "ask_shares": 0.0,
                "total_volume_usd": 54.5,
                "wall": False,
            },
        ),
    ),
    "order book, one side with a wall": Case(
        OrderBookImbalanceProcessor(),
        {"up_book": book(bids=(("0.50", 200),))},
        TradingSignal(
            source="OrderBookImbalance",
            signal_type=SignalType.VOLUME_SURGE,
            direction=Direction.BULLISH,
            strength=Strength.VERY_STRONG,
            confidence=0.90,
            current_price=PRICE,
            metadata={
                "imbalance": 1.0,
                "bid_shares": 200.0,
                "ask_shares": 0.0,
                "total_volume_usd": 100.0,
                "wall": True,
            },
        ),
    ),
    "spike, fade": Case(
        SpikeDetectionProcessor(),
        {},
        TradingSignal(
            source="SpikeDetection",
            signal_type=SignalType.MEAN_REVERSION,
            direction=Direction.BEARISH,
            strength=Strength.STRONG,
            confidence=0.65,
            current_price=PRICE,
            metadata={"detection_mode": "fade", "deviation": 0.1, "velocity": 0.1},
        ),
        history=(HALF,) * 20,
    ),
    "spike, continuation": Case(
        SpikeDetectionProcessor(),
        {},
        TradingSignal(
            source="SpikeDetection",
            signal_type=SignalType.MOMENTUM,
            direction=Direction.BULLISH,
            strength=Strength.WEAK,
            confidence=0.57,
            current_price=HALF,
            metadata={
                "detection_mode": "continuation",
                "deviation": 0.02 / 10.02,
                "velocity": 0.02 / 0.52,
            },
        ),
        history=(*(HALF,) * 17, D("0.48"), HALF, HALF),
        price=HALF,
    ),
    "velocity, accelerating": Case(
        TickVelocityProcessor(),
        {"tick_buffer": RISING, "second": 800.0},
        TradingSignal(
            source="TickVelocity",
            signal_type=SignalType.MOMENTUM,
            direction=Direction.BULLISH,
            strength=Strength.VERY_STRONG,
            confidence=0.88,
            current_price=PRICE,
            metadata={
                "velocity_60s": 0.1,
                "velocity_30s": 0.03 / 0.52,
                "acceleration": 0.06 / 0.52 - 0.1,
                "ticks_in_buffer": 5,
            },
        ),
    ),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_the_whole_signal(name):
    """Source, type, direction, strength, confidence, price and every number of the evidence by its name."""
    case = SIGNALS[name]
    found = case.processor.process(case.price, list(case.history), case.metadata)
    expected = case.recorded
    assert found is not None
    assert (found.source, found.signal_type, found.direction) == (
        expected.source,
        expected.signal_type,
        expected.direction,
    )
    assert (found.strength, found.current_price) == (expected.strength, expected.current_price)
    assert found.confidence == pytest.approx(expected.confidence, rel=1e-12)
    assert found.metadata == {
        key: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
        for key, value in expected.metadata.items()
    }


def test_the_evidence_of_a_divergence():
    """A fair probability above the price is bullish; each number of the model has its name."""
    seen = context(p="0.80")
    moved = with_externals(seen, above=-0.002)
    metadata = metadata_of(context(p="0.80", **moved))
    found = PriceDivergenceProcessor().process(D("0.80"), [], metadata)
    assert found is not None
    assert (found.source, found.signal_type) == ("PriceDivergence", SignalType.PRICE_DIVERGENCE)
    assert (found.direction, found.strength) == (Direction.BULLISH, Strength.STRONG)
    assert (found.confidence, found.current_price) == (pytest.approx(0.71), D("0.80"))
    evidence = found.metadata
    assert evidence.keys() == {
        "fair_probability",
        "gap",
        "expected_settlement",
        "strike",
        "volatility",
        "effective_seconds",
    }
    assert evidence["fair_probability"] > 0.95
    assert evidence["gap"] == pytest.approx(evidence["fair_probability"] - 0.80)
    # 100 s are left of a market that is settled by the mean of the last 60: 100 − 40.
    assert (evidence["effective_seconds"], evidence["strike"]) == (60.0, 83_832.0)
    assert evidence["expected_settlement"] == 84_000.0
    assert evidence["volatility"] == pytest.approx(1e-4, rel=0.2)


ABSTENTIONS = {
    "put/call without a value": (DeribitPCRProcessor(), {}, "no put/call ratio"),
    "put/call without a value, and why": (
        DeribitPCRProcessor(),
        {"absent": {"deribit": "no answer"}},
        "no put/call ratio: no answer",
    ),
    "put/call between": (
        DeribitPCRProcessor(),
        {"put_call": put_call(1.0)},
        "put/call 1.000 is between 0.7 and 1.2",
    ),
    "sentiment without a value, and why": (
        SentimentAnalysisProcessor(),
        {"absent": {"fear_greed": "too old"}},
        "no sentiment index: too old",
    ),
    "sentiment off the scale": (
        SentimentAnalysisProcessor(),
        {"sentiment": sentiment(101.0)},
        "sentiment 101.0 is not on the scale of 0 to 100",
    ),
    "sentiment calm": (
        SentimentAnalysisProcessor(),
        {"sentiment": sentiment(50.0)},
        "sentiment 50 is between 45 and 55",
    ),
    "no order book": (OrderBookImbalanceProcessor(), {}, "no order book"),
    "small order book": (
        OrderBookImbalanceProcessor(),
        {"up_book": book(bids=(("0.50", 10),))},
        "$5.00 in the book, $50.00 needed",
    ),
    "balanced order book": (
        OrderBookImbalanceProcessor(),
        {"up_book": book(bids=(("0.50", 110),), asks=(("0.51", 90),))},
        "imbalance +0.100 is within ±0.3",
    ),
    "divergence without a market": (PriceDivergenceProcessor(), {}, "no market and market time given"),
    "divergence without a time": (
        PriceDivergenceProcessor(),
        {"market": market()},
        "no market and market time given",
    ),
    "divergence without a path": (
        PriceDivergenceProcessor(),
        {"market": market(), "second": 800.0, "spot": spot(84_000), "strike": strike(84_000)},
        "no volatility: fewer than 30 spot returns, or a constant price",
    ),
    "divergence without a spot price, and why": (
        PriceDivergenceProcessor(),
        {"market": market(), "second": 800.0, "absent": {"coinbase": "stale"}},
        "no spot price: stale",
    ),
    "divergence without a strike, and why": (
        PriceDivergenceProcessor(),
        {"market": market(), "second": 800.0, "spot": object(), "absent": {"strike": "not seen"}},
        "no strike: not seen",
    ),
    "too few prices": (SpikeDetectionProcessor(), {}, "0 prices, 20 needed"),
    "too few ticks": (
        TickVelocityProcessor(),
        {"tick_buffer": RISING[1:], "second": 800.0},
        "4 ticks, 5 and their time needed",
    ),
    "no time": (TickVelocityProcessor(), {"tick_buffer": RISING}, "5 ticks, 5 and their time needed"),
    "no tick then": (
        TickVelocityProcessor(),
        {"tick_buffer": RISING, "second": 900.0},
        "no tick within 15 s of 30 or 60 s ago",
    ),
    "no velocity": (
        TickVelocityProcessor(),
        {"tick_buffer": ticks(*((770.0 + n, "0.55") for n in range(5))), "second": 800.0},
        "velocity +0.0000 is within ±0.01",
    ),
    "reversed": (
        TickVelocityProcessor(),
        {"tick_buffer": ticks((738, "0.60"), *((770.0 + n, "0.544") for n in range(4))), "second": 800.0},
        "the move has reversed: confidence 0.498 is below 0.55",
    ),
}


@pytest.mark.parametrize("name", ABSTENTIONS)
def test_the_whole_abstention(name):
    """The reason in full, from `evaluate` and under the processor's name from `process`."""
    processor, metadata, reason = ABSTENTIONS[name]
    assert processor.evaluate(PRICE, [], metadata) == Abstention(reason=reason)
    assert processor.process(PRICE, [], metadata) is None
    assert metadata["abstained"] == {processor.name: reason}


@pytest.mark.parametrize(
    ("create", "named"),
    [
        (lambda: DeribitPCRProcessor(bullish_pcr=math.inf), "bullish_pcr inf"),
        (lambda: DeribitPCRProcessor(bearish_pcr=0.0), "bearish_pcr 0.0"),
        (lambda: OrderBookImbalanceProcessor(min_book_volume=math.inf), "min_book_volume is inf"),
        (lambda: OrderBookImbalanceProcessor(min_book_volume=-1.0), "min_book_volume is -1.0"),
        (lambda: OrderBookImbalanceProcessor(imbalance_threshold=0.0), "imbalance_threshold is 0.0"),
        (lambda: OrderBookImbalanceProcessor(imbalance_threshold=1.01), "imbalance_threshold is 1.01"),
        (lambda: PriceDivergenceProcessor(divergence_threshold=math.inf), "divergence_threshold is inf"),
        (lambda: SpikeDetectionProcessor(spike_threshold=math.inf), "spike_threshold is inf"),
        (lambda: SpikeDetectionProcessor(lookback=2), "lookback is 2, must be at least 3"),
        (lambda: TickVelocityProcessor(velocity_30s=math.inf), "velocity_30s is inf"),
        (lambda: TickVelocityProcessor(velocity_60s=0.0), "velocity_60s is 0.0, must be above 0"),
        (lambda: SentimentAnalysisProcessor(fear_threshold=0.0), "fear_threshold 0.0"),
        (lambda: SentimentAnalysisProcessor(greed_threshold=100.0), "greed_threshold"),
    ],
)
def test_a_threshold_outside_its_range_is_named(create, named):
    """The error has the parameter and its value."""
    with pytest.raises(ValueError, match=named):
        create()


def test_limits_that_are_allowed():
    """The ends of the ranges that belong to them: an imbalance of 1, no minimum volume, a lookback of 3."""
    assert OrderBookImbalanceProcessor(imbalance_threshold=1.0, min_book_volume=0.0).min_book_volume == 0.0
    assert SpikeDetectionProcessor(lookback=3).lookback == 3
    assert SentimentAnalysisProcessor(fear_threshold=0.5, greed_threshold=99.5).fear_threshold == 0.5


def test_a_price_as_sixty_seconds_ago_is_no_reversal():
    """Only a change of the other sign reduces the confidence: 0.82 + 0.06 is not reduced."""
    returned = ticks((700, "0.5"), (740, "0.55"), (755, "0.5"), (770, "0.52"), (799, "0.54"))
    signal = TickVelocityProcessor().process(PRICE, [], {"tick_buffer": returned, "second": 800.0})
    assert signal is not None
    assert signal.metadata["velocity_60s"] == 0.0
    assert signal.confidence == pytest.approx(0.88, rel=1e-12)


def test_a_jump_of_exactly_three_percent():
    """It is a jump; a deviation from the mean of exactly three percent is not a new one."""
    price = D("0.515")
    jumped = [price] * 17 + [HALF, price, price]
    signal = SpikeDetectionProcessor().process(price, jumped, {})
    assert signal is not None
    assert (signal.metadata["detection_mode"], signal.metadata["velocity"]) == ("continuation", 0.03)
    assert SpikeDetectionProcessor().evaluate(price, [HALF] * 20, {}) == Abstention(
        reason="deviation +0.0300 and velocity +0.0300 are in the normal range"
    )


def test_an_empty_book_abstains_without_a_minimum_volume():
    """No division by zero where nothing is offered or bid."""
    processor = OrderBookImbalanceProcessor(min_book_volume=0.0)
    empty = Book(bids=(), asks=levels(("0.5", 0)), ts_ns=0)
    assert processor.evaluate(PRICE, [], {"up_book": empty}) == Abstention(
        reason="$0.00 in the book, $0.00 needed"
    )
