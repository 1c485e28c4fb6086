"""The fusion engine: low scores, opposing votes, and weights."""

import itertools
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.strategy_brain.fusion_engine import (
    REFERENCE_WEIGHTS,
    FusionEngine,
    UnknownSource,
    check,
    get_fusion_engine,
    reset_fusion_engine,
)
from core.strategy_brain.refusals import Refusal
from models import Direction, FusedSignal, Reason, SignalType, Strength, TradingSignal

BULL, BEAR, NEUTRAL = Direction.BULLISH, Direction.BEARISH, Direction.NEUTRAL


def signal(source, direction, strength=Strength.VERY_STRONG, confidence=1.0):
    return TradingSignal(
        source=source,
        signal_type=SignalType.MOMENTUM,
        direction=direction,
        strength=strength,
        confidence=confidence,
        current_price=D("0.5"),
    )


confidences = st.floats(0, 1)
signals = st.lists(
    st.builds(
        signal,
        st.sampled_from(list(REFERENCE_WEIGHTS)),
        st.sampled_from(Direction),
        st.sampled_from(Strength),
        confidences,
    ),
    max_size=6,
    unique_by=lambda s: s.source,
)


@pytest.fixture(autouse=True)
def fresh_engine():
    reset_fusion_engine()
    yield
    reset_fusion_engine()


def test_contribution_score_and_confidence_by_hand():
    """Weight × confidence × strength/4 per side; score 100·|Δ|/Σ; confidence weighted over the winners
    only."""
    fused = FusionEngine(REFERENCE_WEIGHTS).fuse(
        [
            signal("OrderBookImbalance", BULL, Strength.STRONG, 0.8),
            signal("SentimentAnalysis", BULL, Strength.WEAK, 0.5),
            signal("PriceDivergence", BEAR, Strength.MODERATE, 0.6),
        ]
    )
    bull, bear = 0.30 * 0.8 * 0.75 + 0.05 * 0.5 * 0.25, 0.18 * 0.6 * 0.5
    assert fused.direction is BULL
    assert fused.bullish == pytest.approx(bull)
    assert fused.bearish == pytest.approx(bear)
    assert fused.score == pytest.approx(100 * (bull - bear) / (bull + bear))
    assert fused.confidence == pytest.approx((0.30 * 0.8 + 0.05 * 0.5) / 0.35)
    assert fused.signals == 3


def test_a_divided_vote_is_rejected_by_the_minimum_score():
    """Two sides of 0.25 and 0.18 give a score of 16: below 40, and accepted once the minimum is lower."""
    fused = FusionEngine(REFERENCE_WEIGHTS).fuse(
        [signal("TickVelocity", BULL), signal("PriceDivergence", BEAR)]
    )
    assert fused.score == pytest.approx(100 * 0.07 / 0.43)
    refusal = check(fused, min_signals=1, min_score=40)
    assert refusal is not None
    assert refusal.reason is Reason.LOW_SCORE
    assert "16.3" in refusal.detail
    assert check(fused, min_signals=1, min_score=16) is None


def test_a_score_equal_to_the_minimum_passes():
    """The minimum itself is enough."""
    fused = FusedSignal(direction=BULL, score=40.0, confidence=1, bullish=1, bearish=0, signals=1)
    assert check(fused, 1, 40.0) is None
    assert check(fused, 1, 40.1) is not None


@given(confidences, st.lists(confidences, min_size=2, max_size=10))
def test_dissent_lowers_the_score_monotonically(bull, dissents):
    """Against one unchanged side, a more confident opponent never raises the score, up to the tie."""
    engine = FusionEngine({"TickVelocity": 0.5, "PriceDivergence": 0.5})
    scores = [
        engine.fuse(
            [signal("TickVelocity", BULL, confidence=bull), signal("PriceDivergence", BEAR, confidence=c)]
        ).score
        for c in sorted(c * bull for c in dissents)
    ]
    assert all(later <= earlier for earlier, later in itertools.pairwise(scores))


@given(signals)
def test_an_added_dissenter_never_raises_the_score(votes):
    """Removing any losing signal leaves the score unchanged or higher."""
    engine = FusionEngine(REFERENCE_WEIGHTS)
    fused = engine.fuse(votes)
    for loser in votes:
        if fused.direction is NEUTRAL or loser.direction in (fused.direction, NEUTRAL):
            continue
        assert engine.fuse([vote for vote in votes if vote is not loser]).score >= fused.score


@given(signals, st.randoms(use_true_random=False))
def test_fusion_is_bounded_symmetric_and_blind_to_order(votes, shuffler):
    """0 ≤ score ≤ 100, shuffling changes nothing, and mirroring every vote mirrors the result."""
    engine = FusionEngine(REFERENCE_WEIGHTS)
    fused = engine.fuse(votes)
    assert 0 <= fused.score <= 100
    assert 0 <= fused.confidence <= 1 + 1e-12
    shuffled = list(votes)
    shuffler.shuffle(shuffled)
    assert engine.fuse(shuffled) == fused
    opposite = {BULL: BEAR, BEAR: BULL, NEUTRAL: NEUTRAL}
    mirrored = engine.fuse(
        signal(vote.source, opposite[vote.direction], vote.strength, vote.confidence) for vote in votes
    )
    assert mirrored.direction is opposite[fused.direction]
    assert (mirrored.score, mirrored.bullish, mirrored.bearish) == (fused.score, fused.bearish, fused.bullish)


def test_rounding_does_not_depend_on_the_order():
    """All six sources in any of their 720 orders give one and the same result, to the last bit."""
    votes = [signal(source, BULL, confidence=0.7) for source in REFERENCE_WEIGHTS]
    engine = FusionEngine(REFERENCE_WEIGHTS)
    assert {engine.fuse(order).bullish for order in itertools.permutations(votes)} == {
        engine.fuse(votes).bullish
    }
    assert {engine.fuse(order).confidence for order in itertools.permutations(votes)} == {
        engine.fuse(votes).confidence
    }


def test_one_signal_alone_scores_a_hundred():
    """Without an opposing vote the score is 100, whatever the strength."""
    fused = FusionEngine(REFERENCE_WEIGHTS).fuse([signal("SentimentAnalysis", BEAR, Strength.WEAK, 0.55)])
    assert (fused.direction, fused.score, fused.confidence) == (BEAR, 100.0, 0.55)


def test_a_tie_has_no_direction_and_fails():
    """Equal sides are NEUTRAL with score 0: no minimum score above 0 accepts them."""
    fused = FusionEngine({"a": 0.5, "b": 0.5}).fuse([signal("a", BULL), signal("b", BEAR)])
    assert (fused.direction, fused.score, fused.confidence, fused.signals) == (NEUTRAL, 0.0, 0.0, 2)
    refusal = check(fused, 1, 0.1)
    assert refusal is not None
    assert refusal.reason is Reason.LOW_SCORE


@pytest.mark.parametrize("votes", [[], [signal("TickVelocity", NEUTRAL)], [signal("SpikeDetection", BULL)]])
def test_nothing_directional_of_any_weight_is_no_signal(votes):
    """No signals, only NEUTRAL ones, or only sources of weight 0: refused because there is no signal."""
    fused = FusionEngine(REFERENCE_WEIGHTS | {"SpikeDetection": 0.0}).fuse(votes)
    assert (fused.direction, fused.signals, fused.score) == (NEUTRAL, 0, 0.0)
    refusal = check(fused, 1, 0)
    assert refusal is not None
    assert refusal.reason is Reason.NO_SIGNALS
    assert refusal.detail == "0 directional signals, 1 needed"


def test_the_minimum_number_of_signals_counts_both_sides():
    """Two directional signals pass a minimum of two, though they disagree."""
    fused = FusionEngine(REFERENCE_WEIGHTS).fuse(
        [signal("TickVelocity", BULL), signal("SpikeDetection", BEAR)]
    )
    assert check(fused, 2, 10) is None
    assert check(fused, 3, 10) is not None


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan"), float("inf")])
def test_weights_outside_their_range_are_refused(weight):
    """Neither construction nor change accepts a weight below 0, above 1 or not a number; nothing changes."""
    engine = FusionEngine(REFERENCE_WEIGHTS)
    with pytest.raises(ValueError, match="TickVelocity"):
        engine.set_weight("TickVelocity", weight)
    assert engine.weights == REFERENCE_WEIGHTS
    with pytest.raises(ValueError, match="TickVelocity"):
        FusionEngine({"TickVelocity": weight})


def test_a_changed_weight_acts():
    """After `set_weight` the next fusion and the copy of the weights have the new value."""
    engine = FusionEngine(REFERENCE_WEIGHTS)
    engine.set_weight("TickVelocity", 0.0)
    engine.set_weight("SpikeDetection", 1.0)
    assert engine.weight_of("TickVelocity") == 0.0
    assert engine.fuse([signal("SpikeDetection", BULL)]).bullish == 1.0
    engine.weights["SpikeDetection"] = 0.5
    assert engine.weight_of("SpikeDetection") == 1.0


def test_unknown_sources_are_named():
    """A name without a weight is an error with the known ones, in all three places."""
    engine = FusionEngine({"TickVelocity": 0.25})
    for use in (
        lambda: engine.set_weight("Tickvelocity", 0.1),
        lambda: engine.weight_of("Tickvelocity"),
        lambda: engine.fuse([signal("Tickvelocity", BULL)]),
    ):
        with pytest.raises(UnknownSource, match="'Tickvelocity'; known: TickVelocity"):
            use()


def test_the_shared_engine_is_made_once():
    """The first call creates it with its weights, later ones return the same, weights then are an error."""
    engine = get_fusion_engine({"TickVelocity": 0.4})
    assert get_fusion_engine() is engine
    assert engine.weights == {"TickVelocity": 0.4}
    with pytest.raises(ValueError, match="set_weight"):
        get_fusion_engine({"TickVelocity": 0.5})
    reset_fusion_engine()
    assert get_fusion_engine() is not engine
    assert get_fusion_engine().weights == REFERENCE_WEIGHTS


def test_the_weight_behind_the_winning_side_by_hand():
    """0.30 + 0.10 of the bullish sources; the bearish 0.12 does not count."""
    fused = FusionEngine(REFERENCE_WEIGHTS).fuse(
        [signal("OrderBookImbalance", BULL), signal("DeribitPCR", BULL), signal("SpikeDetection", BEAR)]
    )
    assert (fused.direction, fused.signals) == (BULL, 3)
    assert fused.weight == pytest.approx(0.40, rel=1e-12)


@pytest.mark.parametrize(("weight", "enough"), [(0.12, True), (0.12 - 1e-9, True), (0.119_999_99, False)])
def test_the_minimum_weight(weight, enough):
    """It is inclusive, with a tolerance of a billionth for rounding; the refusal has both numbers."""
    fused = FusedSignal(
        direction=BEAR, score=100.0, confidence=0.6, bullish=0.0, bearish=0.05, signals=1, weight=weight
    )
    refusal = Refusal(reason=Reason.LOW_WEIGHT, detail="the bearish sources weigh 0.120, 0.12 needed")
    assert check(fused, 1, 40.0, 0.12) == (None if enough else refusal)


def test_errors_in_full():
    """An unknown source with the known ones in order; weights for an engine that exists."""
    with pytest.raises(UnknownSource) as unknown:
        FusionEngine({"B": 0.5, "A": 0.5}).weight_of("C")
    assert str(unknown.value) == "no weight for 'C'; known: A, B"
    get_fusion_engine()
    with pytest.raises(ValueError, match="exists") as twice:
        get_fusion_engine({"A": 0.5})
    assert str(twice.value) == "the fusion engine exists already; change its weights with set_weight"
