"""The arithmetic of learning: bounds, sum, monotonicity, and no change below the boundary."""

from math import fsum, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from learning_builders import BASE, PARAMS

from feedback import LearningParams, adjusted_weights
from feedback.weights import (
    ERROR_RATE,
    HIGHEST,
    LOWEST,
    Tally,
    appraise,
    boundary,
    bounds,
    project,
)

SOURCES = tuple(BASE)


@st.composite
def configured(draw):
    """Possible configured weights: some 0, some outside the learning range, sum at most 1."""
    raw = [draw(st.one_of(st.just(0.0), st.floats(0.001, 1))) for _ in SOURCES]
    scale = max(1.0, fsum(raw))
    return {source: weight / scale for source, weight in zip(SOURCES, raw, strict=True)}


@st.composite
def records(draw):
    """A record for every source: n votes at one price, any number of them right."""
    tallies = {}
    for source in SOURCES:
        n = draw(st.integers(0, 3000))
        chance = draw(st.floats(0.001, 0.999))
        right = draw(st.integers(0, n))
        tallies[source] = Tally(n=n, right=right, expected=n * chance, variance=n * chance * (1 - chance))
    return tallies


def record(n, right, chance):
    return Tally(n=n, right=right, expected=n * chance, variance=n * chance * (1 - chance))


def others(mine):
    return {source: Tally() for source in SOURCES if source != mine}


@given(configured(), st.lists(st.floats(0.001, 3), min_size=6, max_size=6))
def test_a_projection_keeps_sum_and_bounds(base, wishes):
    """Whatever the target, the projected weights have the configured sum and stay within bounds."""
    active = {source: weight for source, weight in base.items() if weight > 0}
    projected = project(dict(zip(SOURCES, wishes, strict=True)), active)
    assert fsum(projected.values()) == pytest.approx(fsum(active.values()), abs=1e-12)
    for source, weight in projected.items():
        low, high = bounds(base[source])
        assert low <= weight <= high


@given(configured(), st.lists(st.floats(0.001, 3), min_size=6, max_size=6))
def test_projecting_twice_is_projecting_once(base, wishes):
    """Weights that satisfy sum and bounds already are unchanged."""
    active = {source: weight for source, weight in base.items() if weight > 0}
    once = project(dict(zip(SOURCES, wishes, strict=True)), active)
    assert project(once, active) == pytest.approx(once, abs=1e-9)


def test_what_is_gained_is_given_up_in_proportion():
    """Sources away from their bounds keep the ratio of their targets."""
    projected = project({"a": 0.4, "b": 0.2, "c": 0.35}, {"a": 0.4, "b": 0.2, "c": 0.2})
    assert projected["a"] / projected["b"] == pytest.approx(2)
    assert projected["c"] / projected["b"] == pytest.approx(1.75)


def test_a_source_at_a_bound_gives_nothing_up():
    """The other sources compensate for a source at 0.05 or at 0.50."""
    projected = project({"a": 0.45, "b": 0.05, "c": 0.5}, {"a": 0.45, "b": 0.05, "c": 0.3})
    assert projected["b"] == LOWEST
    assert fsum(projected.values()) == pytest.approx(0.8, abs=1e-15)
    projected = project({"a": 0.5, "b": 0.1, "c": 0.1}, {"a": 0.4, "b": 0.3, "c": 0.3})
    assert projected == pytest.approx({"a": HIGHEST, "b": 0.25, "c": 0.25})


@given(configured(), st.lists(records(), min_size=1, max_size=8), st.floats(0.01, 1))
def test_every_step_keeps_sum_and_bounds(base, path, rate):
    """Through any sequence of records the sum is the configured one and no weight leaves its range."""
    params = LearningParams(rate=rate)
    weights = dict(base)
    for tallies in path:
        weights, _ = adjusted_weights(weights, base, tallies, params)
        assert fsum(weights.values()) == pytest.approx(fsum(base.values()), abs=1e-12)
        for source, weight in weights.items():
            low, high = bounds(base[source])
            assert low - 1e-12 <= weight <= high + 1e-12


@given(records())
def test_the_design_weights_stay_within_the_published_range(tallies):
    """From the weights of the design no record takes a weight out of 0.05 to 0.50."""
    weights, _ = adjusted_weights(BASE, BASE, tallies, LearningParams(rate=1))
    assert all(LOWEST - 1e-12 <= weight <= HIGHEST + 1e-12 for weight in weights.values())


@given(configured(), records(), st.sampled_from(SOURCES), st.integers(1, 500))
def test_more_right_votes_never_lower_a_weight(base, tallies, source, more):
    """Wrong votes turned right never lower their source's weight and never raise another's."""
    old = tallies[source]
    assume(old.right + more <= old.n)
    better = tallies | {
        source: Tally(n=old.n, right=old.right + more, expected=old.expected, variance=old.variance)
    }
    before, _ = adjusted_weights(base, base, tallies, PARAMS)
    after, _ = adjusted_weights(base, base, better, PARAMS)
    assert after[source] >= before[source] - 1e-12
    assert all(after[other] <= before[other] + 1e-12 for other in SOURCES if other != source)


@given(configured(), records())
def test_a_source_switched_off_stays_off(base, tallies):
    """A configured weight of 0 is 0 after any record, to the last bit."""
    weights, _ = adjusted_weights(base, base, tallies, LearningParams(rate=1))
    assert all(weights[source] == 0 for source in SOURCES if base[source] == 0)
    assert all(weights[source] > 0 for source in SOURCES if base[source] > 0)


def test_with_every_source_off_there_is_nothing_to_learn():
    """Six zeros stay six zeros."""
    off = dict.fromkeys(SOURCES, 0.0)
    weights, _ = adjusted_weights(off, off, {source: record(500, 480, 0.5) for source in SOURCES}, PARAMS)
    assert weights == off


def test_a_weight_configured_outside_the_range_is_not_moved_further_out():
    """0.70 may only fall and 0.02 may only rise, and their sum stays."""
    base = {"a": 0.70, "b": 0.02, "c": 0.20}
    best = {"a": record(900, 880, 0.5), "b": record(900, 20, 0.5), "c": record(900, 450, 0.5)}
    weights, _ = adjusted_weights(base, base, best, LearningParams(rate=1))
    assert weights == pytest.approx(base)
    worst = {"a": record(900, 20, 0.5), "b": record(900, 880, 0.5), "c": record(900, 450, 0.5)}
    weights, _ = adjusted_weights(base, base, worst, LearningParams(rate=1))
    assert weights["a"] < 0.70
    assert weights["b"] > 0.02
    assert fsum(weights.values()) == pytest.approx(0.92)


def test_following_the_favourite_is_no_information():
    """Nine right of ten at a price of 0.90 change nothing, after five hundred times as well."""
    tallies = {"TickVelocity": record(5000, 4500, 0.9)} | others("TickVelocity")
    weights, evidence = adjusted_weights(BASE, BASE, tallies, PARAMS)
    assert weights == BASE
    assert evidence["TickVelocity"].posterior == pytest.approx(0.9)
    assert evidence["TickVelocity"].supported == 0


def test_the_same_rate_above_the_price_is_information():
    """90 % correct, which changes nothing at a price of 0.90, moves the weight up at a price of 0.80, and
    70 % correct, which moves it up at 0.50, moves it down there."""
    up = {"TickVelocity": record(5000, 4500, 0.8)} | others("TickVelocity")
    down = {"TickVelocity": record(5000, 3500, 0.8)} | others("TickVelocity")
    assert adjusted_weights(BASE, BASE, up, PARAMS)[0]["TickVelocity"] > BASE["TickVelocity"]
    assert adjusted_weights(BASE, BASE, down, PARAMS)[0]["TickVelocity"] < BASE["TickVelocity"]


def test_the_posterior_is_the_beta_binomial_mean():
    """8 right of 10 at even odds with a prior of 10 are (8 + 5) / 20."""
    assert appraise(record(10, 8, 0.5), 6, min_trades=10).posterior == pytest.approx(0.65)


def test_a_handful_of_lucky_votes_supports_nothing():
    """Ten of ten at even odds, which one source in two hundred reaches by chance in some run, change
    nothing."""
    assert appraise(record(10, 10, 0.5), 6, min_trades=10).supported == 0


@given(st.integers(1, 3000), st.data(), st.floats(0.001, 0.999), st.integers(0, 100), st.integers(1, 6))
def test_never_above_what_the_sample_supports(n, data, chance, prior, sources):
    """The supported excess has the posterior's sign, is smaller, and is zero within the boundary."""
    seen = record(n, data.draw(st.integers(0, n)), chance)
    found = appraise(seen, sources, prior)
    assert found.posterior is not None
    excess = found.posterior - seen.expected / n
    assert (
        abs(found.supported) <= max(0.0, abs(excess) - boundary(seen.variance, sources) / (n + prior)) + 1e-9
    )
    assert found.supported * excess >= 0
    assert -1 <= found.share <= 1


def test_a_larger_prior_makes_learning_slower():
    """LEARNING_MIN_TRADES has effect: the same votes support less against a stronger prior."""
    light, heavy = (appraise(record(400, 280, 0.5), 6, min_trades=k).supported for k in (10, 400))
    assert 0 < heavy < light


def test_the_rate_is_the_part_of_the_way_that_is_gone():
    """LEARNING_RATE has effect: a rate of 0.1 moves a tenth as far as a rate of 1."""
    tallies = {"TickVelocity": record(900, 880, 0.5)} | others("TickVelocity")
    slow, _ = adjusted_weights(BASE, BASE, tallies, LearningParams(rate=0.1))
    fast, _ = adjusted_weights(BASE, BASE, tallies, LearningParams(rate=1))
    for source in SOURCES:
        assert slow[source] - BASE[source] == pytest.approx((fast[source] - BASE[source]) / 10)
    assert fast["TickVelocity"] == pytest.approx(0.4, abs=0.1)


def test_without_evidence_any_more_the_weights_go_home():
    """Changed weights return to the configured ones, step by step, when the records support nothing."""
    tallies = {"TickVelocity": record(900, 880, 0.5)} | others("TickVelocity")
    weights, _ = adjusted_weights(BASE, BASE, tallies, LearningParams(rate=1))
    nothing = {source: Tally() for source in SOURCES}
    for _ in range(200):
        weights, _ = adjusted_weights(weights, BASE, nothing, PARAMS)
    assert weights == pytest.approx(BASE, abs=1e-6)


def test_the_boundary_is_the_published_formula():
    """At V = 97.5, ρ = 2.5 and α = 0.05 / 6 it is √(100 (ln 40 + 2 ln 120)), wider than two errors."""
    assert boundary(97.5, 6) == pytest.approx(36.4, abs=0.05)
    assert boundary(97.5, 1) == pytest.approx(31.1, abs=0.05)
    assert boundary(97.5, 1) > 2 * sqrt(97.5)
    assert ERROR_RATE == 0.05


@pytest.mark.parametrize(
    "wrong", [{"interval": 0}, {"min_trades": -1}, {"rate": 0.0}, {"rate": 1.01}, {"rate": float("nan")}]
)
def test_parameters_out_of_range_are_refused(wrong):
    """No interval below 1, no negative prior, no rate outside (0, 1]."""
    with pytest.raises(ValueError, match="out of range"):
        LearningParams(**wrong)
