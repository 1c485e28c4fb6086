"""SpikeDetection, DeribitPCR and SentimentAnalysis at their thresholds, and properties of all processors."""

from decimal import Decimal as D
from typing import Any

import pytest
from brain_builders import context, params, put_call, sentiment, with_externals

from core.strategy_brain.metadata import metadata_of
from core.strategy_brain.refusals import Abstention
from core.strategy_brain.signal_processors import (
    DeribitPCRProcessor,
    SentimentAnalysisProcessor,
    SpikeDetectionProcessor,
    build_processors,
)
from core.strategy_brain.strategies import decide
from models import Direction, SignalType, Strength, Tick, TradingSignal, Vote

HALF = D("0.5")


def judged(processor, metadata) -> Any:
    return processor.evaluate(HALF, [], metadata)


def spike(price, history=None, **thresholds) -> Any:
    return SpikeDetectionProcessor(**thresholds).evaluate(D(price), history or [HALF] * 20, {})


@pytest.mark.parametrize(
    ("price", "strength"),
    [
        ("0.5335", Strength.MODERATE),
        ("0.5399", Strength.MODERATE),
        ("0.5400", Strength.STRONG),
        ("0.5599", Strength.STRONG),
        ("0.5600", Strength.VERY_STRONG),
    ],
)
def test_spike_fades_by_its_deviation(price, strength):
    """Steps at 8 and 12 % off the mean; the vote is for the return; confidence 0.50 + 3 (dev − 0.05)."""
    deviation = float(D(price) / HALF - 1)
    for at, direction in ((price, Direction.BEARISH), (str(1 - D(price)), Direction.BULLISH)):
        signal = spike(at)
        assert (signal.direction, signal.strength) == (direction, strength)
        assert signal.confidence == pytest.approx(min(0.90, 0.50 + 3 * (deviation - 0.05)))
        assert signal.signal_type is SignalType.MEAN_REVERSION


def test_spike_votes_from_six_and_two_thirds_percent():
    """5 % is a spike, but one of confidence 0.50: the minimum of 0.55 is reached 1⅔ points later."""
    assert "confidence 0.500" in spike("0.525").reason
    assert isinstance(spike("0.5333"), Abstention)
    assert isinstance(spike("0.5334"), TradingSignal)


def test_spike_threshold_acts_and_weak_exists_below_five_percent():
    """A threshold of 2 % makes a deviation of 4 % a weak signal; a cap of 0.90 holds far out."""
    assert spike("0.52", spike_threshold=0.02).strength is Strength.WEAK
    assert spike("0.9").confidence == 0.90


@pytest.mark.parametrize(
    ("third_last", "direction", "strength", "confidence"),
    [
        ("0.4846", None, None, None),
        ("0.4845", Direction.BULLISH, Strength.WEAK, 0.57),
        ("0.4680", Direction.BULLISH, Strength.WEAK, 0.60),
        ("0.4505", Direction.BULLISH, Strength.MODERATE, 0.65),
        ("0.5154", None, None, None),
        ("0.5155", Direction.BEARISH, Strength.WEAK, 0.57),
        ("0.5320", Direction.BEARISH, Strength.WEAK, 0.60),
        ("0.5495", Direction.BEARISH, Strength.MODERATE, 0.65),
    ],
)
def test_spike_continues_a_fresh_jump(third_last, direction, strength, confidence):
    """Near its mean but 3, 6 or 9 % of the favourite's price away from the third-last point: momentum."""
    signal = spike("0.5", [HALF] * 17 + [D(third_last), HALF, HALF])
    if direction is None:
        assert "in the normal range" in signal.reason
        return
    assert (signal.direction, signal.strength, signal.confidence) == (direction, strength, confidence)
    assert signal.signal_type is SignalType.MOMENTUM


def test_spike_is_silent_between_its_modes_and_on_a_calm_price():
    """A deviation of 3 to 5 % belongs to neither mode, and a flat price is in the normal range."""
    assert "in the normal range" in spike("0.52").reason
    assert "in the normal range" in spike("0.5").reason


def test_spike_needs_its_lookback():
    """19 prices abstain with both numbers, and the mean is of the last `lookback` prices only."""
    assert spike("0.6", [HALF] * 19) == Abstention(reason="19 prices, 20 needed")
    assert isinstance(spike("0.6", [D("0.1")] * 50 + [HALF] * 20), TradingSignal)
    assert spike("0.6", [D("0.1")] * 50 + [HALF] * 20) == spike("0.6")
    assert isinstance(spike("0.6", [HALF] * 5, lookback=5), TradingSignal)


@pytest.mark.parametrize(
    ("pcr", "direction", "strength", "confidence"),
    [
        (1.20, Direction.BULLISH, Strength.MODERATE, 0.57),
        (1.39, Direction.BULLISH, Strength.MODERATE, 0.57 + 0.15 * 0.19 / 1.2),
        (1.40, Direction.BULLISH, Strength.STRONG, 0.57 + 0.15 * 0.2 / 1.2),
        (1.60, Direction.BULLISH, Strength.VERY_STRONG, 0.57 + 0.15 * 0.4 / 1.2),
        (9.00, Direction.BULLISH, Strength.VERY_STRONG, 0.80),
        (0.70, Direction.BEARISH, Strength.MODERATE, 0.57),
        (0.56, Direction.BEARISH, Strength.MODERATE, 0.57 + 0.15 * 0.2),
        (0.55, Direction.BEARISH, Strength.STRONG, 0.57 + 0.15 * 0.15 / 0.7),
        (0.45, Direction.BEARISH, Strength.VERY_STRONG, 0.57 + 0.15 * 0.25 / 0.7),
    ],
)
def test_put_call_table(pcr, direction, strength, confidence):
    """Many puts are bullish, many calls bearish, with the table's strength and confidence."""
    signal = judged(DeribitPCRProcessor(), {"put_call": put_call(overall=1.0, short=pcr)})
    assert (signal.direction, signal.strength) == (direction, strength)
    assert signal.confidence == pytest.approx(confidence)
    assert signal.signal_type is SignalType.SENTIMENT_SHIFT


def test_put_call_prefers_the_near_expiries():
    """The short ratio is used where there is one, the overall one where there is none."""
    processor = DeribitPCRProcessor()
    assert isinstance(judged(processor, {"put_call": put_call(overall=2.0, short=1.0)}), Abstention)
    assert judged(processor, {"put_call": put_call(overall=2.0)}).metadata["pcr"] == 2.0
    assert judged(processor, {"put_call": put_call(overall=2.0, short=0.0)}).direction is Direction.BEARISH


def test_put_call_abstains_between_thresholds_and_when_absent():
    """1.19 and 0.71 are no signal; a missing ratio gives the context's reason."""
    processor = DeribitPCRProcessor()
    assert isinstance(judged(processor, {"put_call": put_call(1.19)}), Abstention)
    assert isinstance(judged(processor, {"put_call": put_call(0.71)}), Abstention)
    missing = judged(processor, {"put_call": None, "absent": {"deribit": "HTTP 503"}})
    assert missing == Abstention(reason="no put/call ratio: HTTP 503")


@pytest.mark.parametrize(
    ("score", "direction", "strength", "confidence"),
    [
        (0, Direction.BULLISH, Strength.VERY_STRONG, 0.85),
        (5, Direction.BULLISH, Strength.VERY_STRONG, 0.85),
        (6, Direction.BULLISH, Strength.STRONG, 0.75),
        (12.5, Direction.BULLISH, Strength.STRONG, 0.75),
        (13, Direction.BULLISH, Strength.MODERATE, 0.65),
        (25, Direction.BULLISH, Strength.MODERATE, 0.65),
        (26, Direction.BULLISH, Strength.WEAK, 0.55),
        (44.9, Direction.BULLISH, Strength.WEAK, 0.55),
        (55.1, Direction.BEARISH, Strength.WEAK, 0.55),
        (74, Direction.BEARISH, Strength.WEAK, 0.55),
        (75, Direction.BEARISH, Strength.MODERATE, 0.65),
        (88, Direction.BEARISH, Strength.STRONG, 0.75),
        (95, Direction.BEARISH, Strength.VERY_STRONG, 0.85),
        (100, Direction.BEARISH, Strength.VERY_STRONG, 0.85),
    ],
)
def test_sentiment_table(score, direction, strength, confidence):
    """Fear is bullish and greed bearish, with the table's strength and confidence at every step."""
    signal = judged(SentimentAnalysisProcessor(), {"sentiment": sentiment(score)})
    assert (signal.direction, signal.strength, signal.confidence) == (direction, strength, confidence)


@pytest.mark.parametrize("score", [45, 50, 55])
def test_sentiment_is_silent_in_the_middle(score):
    """45 to 55, both included, is neutral."""
    assert isinstance(judged(SentimentAnalysisProcessor(), {"sentiment": sentiment(score)}), Abstention)


@pytest.mark.parametrize("score", [-0.1, 100.1, float("nan")])
def test_sentiment_off_the_scale_is_silent(score):
    """An impossible score is not treated as an extreme one."""
    judgement = judged(SentimentAnalysisProcessor(), {"sentiment": sentiment(score)})
    assert isinstance(judgement, Abstention)
    assert "not on the scale" in judgement.reason


def test_sentiment_absent():
    """Without an index the processor gives that reason."""
    assert judged(SentimentAnalysisProcessor(), {}) == Abstention(reason="no sentiment index")


@pytest.mark.parametrize(
    "build",
    [
        lambda: SpikeDetectionProcessor(spike_threshold=0),
        lambda: SpikeDetectionProcessor(lookback=2),
        lambda: DeribitPCRProcessor(bullish_pcr=0.7, bearish_pcr=0.7),
        lambda: DeribitPCRProcessor(bearish_pcr=0),
        lambda: SentimentAnalysisProcessor(fear_threshold=0),
        lambda: SentimentAnalysisProcessor(fear_threshold=75),
        lambda: SentimentAnalysisProcessor(greed_threshold=100),
    ],
)
def test_impossible_thresholds_are_refused(build):
    """Thresholds that would divide by zero or overlap stop the construction."""
    with pytest.raises(ValueError, match="must"):
        build()


def test_the_six_carry_the_thresholds_of_the_parameters():
    """Every processor has its own thresholds from the parameters, and the names are those of the weights."""
    built = build_processors(
        params(
            orderbook_imbalance_threshold=0.31,
            orderbook_min_volume=51.0,
            tick_velocity_60s=0.016,
            tick_velocity_30s=0.011,
            divergence_threshold=0.06,
            spike_threshold=0.07,
            spike_lookback=21,
            deribit_bullish_pcr=1.3,
            deribit_bearish_pcr=0.8,
            sentiment_fear=26.0,
            sentiment_greed=76.0,
        )
    )
    assert {processor.name: vars(processor) for processor in built} == {
        "OrderBookImbalance": {"imbalance_threshold": 0.31, "min_book_volume": 51.0},
        "TickVelocity": {"velocity_60s": 0.016, "velocity_30s": 0.011},
        "PriceDivergence": {"divergence_threshold": 0.06},
        "SpikeDetection": {"spike_threshold": 0.07, "lookback": 21},
        "DeribitPCR": {"bullish_pcr": 1.3, "bearish_pcr": 0.8},
        "SentimentAnalysis": {"fear_threshold": 26.0, "greed_threshold": 76.0},
    }
    assert [processor.name for processor in built] == list(params().weights)


def test_the_defaults_are_those_of_the_settings():
    """A processor built without arguments is the one that the default settings build."""
    defaults = [type(processor)() for processor in build_processors(params())]
    assert [vars(processor) for processor in defaults] == [vars(p) for p in build_processors(params())]


def test_metadata_is_the_context():
    """Every documented key contains its part of the context, so that all six can vote."""
    base = context()
    rising = tuple(Tick(second=700.0 + i, price=D("0.70") + D(i) / 1000) for i in range(101))
    seen = context(
        ticks=rising,
        history=tuple(tick.price for tick in rising[-30:-1]) + (D("0.70"),) * 20,
        put_call=put_call(1.5),
        sentiment=sentiment(10),
        absent={"news": "no key"},
        **with_externals(base, above=0.001),
    )
    metadata = metadata_of(seen)
    assert metadata.pop("tick_buffer") == rising
    assert metadata == {key: getattr(seen, key) for key in metadata}
    assert set(metadata) == {
        "market", "second", "up_book", "spot", "spot_path", "strike", "put_call", "sentiment", "absent"
    }  # fmt: skip
    votes = [processor.vote(seen, 0.1) for processor in build_processors(params())]
    assert [vote.abstained for vote in votes] == [None] * 6


def test_a_vote_is_a_signal_or_a_reason_and_process_agrees():
    """For each processor: process gives the vote's signal, or None exactly when the vote has a reason."""
    seen = context(put_call=put_call(1.5), absent={"fear_greed": "stale"})
    assert build_processors(params())[-1].vote(seen, 0.05).abstained == "no sentiment index: stale"
    for processor in build_processors(params()):
        vote = processor.vote(seen, 0.25)
        assert isinstance(vote, Vote)
        assert (vote.source, vote.weight) == (processor.name, 0.25)
        assert (vote.signal is None) == bool(vote.abstained)
        assert processor.process(seen.p, list(seen.history), metadata_of(seen)) == vote.signal


class Stubborn(SentimentAnalysisProcessor):
    """A processor as the design has it: `process` is all that it gives."""

    def process(self, current_price, historical_prices, metadata):
        self.seen = (current_price, historical_prices, sorted(metadata))


def test_process_is_the_entry_that_the_bot_itself_calls():
    """A vote asks `process` with price, prices and metadata, and nothing else of the processor."""
    seen, stubborn = context(sentiment=sentiment(5)), Stubborn()
    assert stubborn.vote(seen, 0.05) == Vote(
        source="SentimentAnalysis", weight=0.05, abstained="no reason given"
    )
    assert stubborn.seen == (seen.p, list(seen.history), sorted(metadata_of(seen)))
    assert decide(seen, params(), [stubborn]).votes == (stubborn.vote(seen, 0.05),)


def test_process_leaves_the_reason_of_an_abstention_in_the_metadata():
    """Who calls `process` directly learns why there is no signal, by the processor's name."""
    metadata = metadata_of(context(absent={"fear_greed": "stale"}))
    assert SentimentAnalysisProcessor().process(HALF, [], metadata) is None
    assert DeribitPCRProcessor().process(HALF, [], metadata) is None
    assert metadata["abstained"] == {
        "SentimentAnalysis": "no sentiment index: stale",
        "DeribitPCR": "no put/call ratio",
    }


def test_without_metadata_nothing_is_guessed():
    """Every processor that depends on metadata abstains when it is empty, and none raises."""
    silent = [p.process(HALF, [], {}) for p in build_processors(params())]
    assert silent == [None] * 6
