"""The fair probability: its formula, its agreement with simulation, and when it is absent."""

import itertools
import math
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest
from brain_builders import context, market, params, spot, spot_path, strike
from hypothesis import given
from hypothesis import strategies as st

from core.strategy_brain.fair_value import (
    MIN_RETURNS,
    VOLATILITY_FLOOR,
    FairValue,
    effective_seconds,
    elapsed_average,
    fair_probability,
    fair_value,
    fair_value_of,
    realised_volatility,
    seconds_left,
    settlement_moments,
)
from core.strategy_brain.refusals import Abstention
from core.strategy_brain.signal_processors import PriceDivergenceProcessor
from core.strategy_brain.strategies.decide import decide
from models import Direction, Outcome, Rule, SignalType, Strength, Tick

SPOT = 84_000.0
PATHS = 40_000
STEP = 0.5
TAUS = [5, 10, 20, 30, 45, 59, 60, 61, 75, 90, 120, 300]


def at(tau, *, rule=Rule.TWAP60, strike_price=SPOT, path=None, interval=900, **changes):
    """A context with `tau` real seconds left."""
    second = 900 - tau * 900 / interval
    return context(
        market=market(rule=rule, interval=interval),
        second=second,
        spot=spot(SPOT),
        spot_path=spot_path(SPOT, second) if path is None else path,
        strike=strike(strike_price, rule),
        **changes,
    )


def test_geometry_of_the_three_rules():
    """τ − 2w/3 before the window and τ³/3w² inside: τ − 40 and τ³/10800 for sixty seconds, τ for spot."""
    for tau in (60, 75, 300):
        assert effective_seconds(tau, 60) == tau - 40
        assert effective_seconds(tau, 0) == tau
    for tau in (1, 30, 59):
        assert effective_seconds(tau, 60) == pytest.approx(tau**3 / 10_800)
    assert effective_seconds(30, 30) == 10
    assert effective_seconds(15, 30) == pytest.approx(15**3 / 2700)


@given(st.floats(1, 120), st.sampled_from([30.0, 60.0]))
def test_geometry_is_continuous_where_the_window_opens(window_share, window):
    """Both branches meet at τ = w, and less time left never means more variance."""
    assert effective_seconds(math.nextafter(window, 0), window) == pytest.approx(
        effective_seconds(window, window)
    )
    assert effective_seconds(window_share, window) < effective_seconds(window_share + 1, window)


def simulate(seen, value, seed, *, elapsed_known=True):
    """P(Up) by simulation, and its standard error: the average of the last sixty seconds of a walk.

    The elapsed part of the window is the context's own path, or, where it is not known, a walk
    backwards from the spot price. Only the volatility is taken from the code under test.
    """
    tau = seconds_left(seen.market, seen.second)
    random = np.random.default_rng(seed)

    def walk(seconds):
        steps = max(2, round(seconds / STEP))
        dt = seconds / steps
        moves = random.normal(
            -0.5 * value.volatility**2 * dt, value.volatility * math.sqrt(dt), (PATHS, steps)
        )
        paths = np.exp(np.cumsum(moves, axis=1))
        return np.hstack([np.ones((PATHS, 1)), paths]), dt

    if tau >= 60:
        ahead = np.exp(random.normal(0, value.volatility * math.sqrt(tau - 60), PATHS)) if tau > 60 else 1.0
        inside, dt = walk(60.0)
        final = SPOT * ahead * np.trapezoid(inside, dx=dt, axis=1) / 60
    else:
        inside, dt = walk(tau)
        area = SPOT * np.trapezoid(inside, dx=dt, axis=1)
        if elapsed_known:
            grid = np.linspace(seen.second - (60 - tau), seen.second, 6001)
            prices = np.interp(
                grid, [t.second for t in seen.spot_path], [float(t.price) for t in seen.spot_path]
            )
            area = area + np.trapezoid(prices, grid)
        else:
            behind, dt = walk(60 - tau)
            area = area + SPOT * np.trapezoid(behind, dx=dt, axis=1)
        final = area / 60
    probability = float(np.mean(final >= value.strike))
    return probability, math.sqrt(max(probability * (1 - probability), 1 / PATHS) / PATHS)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("deviations", [-0.6, 0.3])
def test_agrees_with_a_simulation_of_the_average(tau, deviations):
    """P(Up) lies within three standard errors of a simulated sixty-second average, inside and outside it."""
    unit = fair_value_of(at(tau))
    assert isinstance(unit, FairValue)
    width = unit.volatility * math.sqrt(unit.effective_seconds)
    seen = at(tau, strike_price=round(unit.expected * math.exp(-deviations * width), 4))
    value = fair_value_of(seen)
    assert isinstance(value, FairValue)
    probability, error = simulate(seen, value, seed=tau)
    assert abs(value.probability - probability) <= 3 * error
    assert fair_probability(seen) == value.probability


@pytest.mark.parametrize("tau", [10, 30, 50])
def test_an_unknown_elapsed_part_is_as_uncertain_as_simulated(tau):
    """Without the path of the window's elapsed part its own variance is added, as for a backward walk."""
    second = 900.0 - tau
    path = tuple(t for t in spot_path(SPOT, second) if t.second <= 835)
    seen = at(tau, path=path, strike_price=SPOT - 8)
    value = fair_value_of(seen)
    assert isinstance(value, FairValue)
    assert value.effective_seconds == pytest.approx((tau**3 + (60 - tau) ** 3) / 10_800)
    assert value.expected == SPOT
    probability, error = simulate(seen, value, seed=tau, elapsed_known=False)
    assert abs(value.probability - probability) <= 3 * error


def test_the_locked_part_can_outweigh_the_spot():
    """Ten seconds before the end a spot just above the strike loses if the window's average is below."""
    low = [Tick(second=600.0 + i, price=D("83990") + i % 2) for i in range(286)]
    jump = [Tick(second=886.0 + i, price=D("84001")) for i in range(5)]
    value = fair_value_of(at(10, path=(*low, *jump), strike_price=84_000))
    assert isinstance(value, FairValue)
    assert value.expected < 83_994
    assert value.probability < 0.01


@given(st.floats(-0.002, 0.002), st.floats(-0.002, 0.002), st.sampled_from([20, 60, 100]))
def test_a_higher_strike_is_never_likelier(one, other, tau):
    """P(Up) does not rise with the strike, stays within 0 and 1, and Down is its complement."""
    low, high = sorted((SPOT * (1 + one), SPOT * (1 + other)))
    upper, lower = fair_probability(at(tau, strike_price=low)), fair_probability(at(tau, strike_price=high))
    assert upper is not None
    assert lower is not None
    assert 0 <= lower <= upper <= 1


def test_seconds_left_are_real_seconds():
    """Market second 840 is 60 s before the end of 15 minutes, 20 s of five, 960 s of four hours."""
    assert [seconds_left(market(interval=i), 840.0) for i in (300, 900, 14_400)] == [20, 60, 960]


def test_the_interval_scales_the_path_too():
    """In a five-minute market a path at 1 Hz has a point every three market seconds and the same σ."""
    slow = fair_value_of(at(20, interval=300, path=spot_path(SPOT, 840, step=1.0, seconds=300)))
    quick = fair_value_of(at(20, interval=300, path=_stretched(spot_path(SPOT, 840, seconds=100), 840, 3)))
    assert isinstance(slow, FairValue)
    assert isinstance(quick, FairValue)
    assert quick.volatility == pytest.approx(1e-4, rel=0.2)
    assert slow.volatility == pytest.approx(1e-4 * math.sqrt(3), rel=0.2)
    assert quick.effective_seconds == pytest.approx(20**3 / 10_800)


def _stretched(path, until, factor):
    return tuple(Tick(second=until + (t.second - until) * factor, price=t.price) for t in path)


def test_nothing_after_the_decision_is_read():
    """Points of the path that are in the future change nothing: no lookahead."""
    seen = at(30)
    future = tuple(Tick(second=seen.second + i, price=D(1000)) for i in range(1, 30))
    assert fair_value_of(at(30, path=seen.spot_path + future)) == fair_value_of(seen)


def test_volatility_estimator():
    """√(Σ r² / Σ s): exact on a zigzag, unchanged by a gap, with a minimum, None when constant or too
    short."""
    zigzag = [(float(i), 100.0 * math.exp(1e-3 * (i % 2))) for i in range(MIN_RETURNS + 1)]
    assert realised_volatility(zigzag, since=0) == pytest.approx(1e-3)
    assert realised_volatility(zigzag[1:], since=0) is None
    assert realised_volatility(zigzag, since=1) is None
    assert realised_volatility([(t, 100.0) for t, _ in zigzag], since=0) is None
    assert realised_volatility([(t, 100 + 1e-6 * (t % 2)) for t, _ in zigzag], since=0) == VOLATILITY_FLOOR
    doubled = [point for point in zigzag for _ in range(2)]
    assert realised_volatility(doubled, since=0) == pytest.approx(1e-3)
    assert realised_volatility(doubled[2:], since=0) is None


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(50, 200)), min_size=1, max_size=80),
    st.floats(-1, 30),
)
def test_volatility_is_that_of_a_plain_sum(steps, since):
    """The estimate is that of the formula, one pair of neighbours after the other; equal times count once."""
    path, second = [], 0
    for passed, price in steps:
        second += passed
        path.append((float(second), price))
    recent = [(time, price) for time, price in path if time >= since]
    total, seconds, number = 0.0, 0.0, 0
    for (before, first), (after, last) in itertools.pairwise(recent):
        if after > before:
            total, seconds, number = total + math.log(last / first) ** 2, seconds + after - before, number + 1
    found = realised_volatility(path, since=since)
    if number < 30 or total == 0:
        assert found is None
    else:
        assert found == pytest.approx(max(math.sqrt(total / seconds), 1e-5))


@given(st.integers(0, 2**32 - 1))
def test_gaps_do_not_bias_the_volatility(seed):
    """With half of the seconds missing at random, σ is estimated within six of its standard errors."""
    random = np.random.default_rng(seed)
    prices = 100 * np.exp(np.cumsum(random.normal(0, 2e-4, 3000)))
    kept = [(float(i), float(prices[i])) for i in range(3000) if random.random() < 0.5]
    found = realised_volatility(kept, since=0)
    assert found == pytest.approx(2e-4, rel=6 * math.sqrt(1.5) / math.sqrt(2 * len(kept)))


def test_elapsed_average_is_time_weighted_and_demands_cover():
    """Trapezoids of the logarithm by time; a gap of more than five seconds makes it unknown."""
    path = [(0.0, 10.0), (1.0, 10.0), (2.0, 20.0), (6.0, 20.0)]
    # Mean logarithms: ln 10 for the first second, ln √200 for the second, ln 20 for the last four.
    assert elapsed_average(path, 0.0, 6.0, 20.0) == pytest.approx((10 * 200**0.5 * 20**4) ** (1 / 6))
    assert elapsed_average(path, 0.5, 6.0, 20.0) == pytest.approx((10**0.5 * 200**0.5 * 20**4) ** (1 / 5.5))
    assert elapsed_average(path, -1.0, 6.0, 20.0) is None
    assert elapsed_average(path, 0.0, 11.0, 20.0) is not None
    assert elapsed_average(path, 0.0, 11.1, 20.0) is None
    assert elapsed_average([(0.0, 1.0), (5.1, 1.0)], 0.0, 6.0, 1.0) is None
    assert elapsed_average([], 6.0, 6.0, 20.0) == 20.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spot": None}, "no spot price"),
        ({"spot": spot(0)}, "no spot price"),
        ({"strike": None}, "no strike"),
        ({"strike": strike(0)}, "no strike"),
        ({"strike": strike(SPOT, Rule.SPOT)}, "the strike is a spot price, the market settles on twap60"),
        ({"second": 900.0}, "the market is over"),
        ({"spot_path": ()}, "no volatility"),
        ({"spot_path": spot_path(SPOT, 400)}, "no volatility"),
    ],
)
def test_what_is_not_known_is_not_guessed(changes, reason):
    """Each missing value gives its own reason and no probability."""
    arguments = {
        "market": market(),
        "second": 800.0,
        "spot": spot(SPOT),
        "strike": strike(SPOT),
        "spot_path": spot_path(SPOT, 800),
    }
    found = fair_value(**(arguments | changes))
    assert isinstance(found, Abstention)
    assert found.reason.startswith(reason)
    assert fair_probability(context(**(arguments | changes))) is None


def divergence(p, threshold=0.05) -> Any:
    """The signal at a fair probability of exactly 0.5: spot at the strike, window not yet open."""
    seen = at(100)
    return PriceDivergenceProcessor(threshold).evaluate(
        D(p), [], {"market": seen.market, "second": seen.second, "spot": seen.spot, "strike": seen.strike,
                   "spot_path": seen.spot_path}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("p", "direction", "strength", "confidence"),
    [
        ("0.44", Direction.BULLISH, Strength.WEAK, 0.55 + 0.08 * 0.2),
        ("0.41", Direction.BULLISH, Strength.WEAK, 0.55 + 0.08 * 0.8),
        ("0.39", Direction.BULLISH, Strength.MODERATE, 0.55 + 0.08 * 1.2),
        ("0.34", Direction.BULLISH, Strength.STRONG, 0.71),
        ("0.56", Direction.BEARISH, Strength.WEAK, 0.55 + 0.08 * 0.2),
        ("0.61", Direction.BEARISH, Strength.MODERATE, 0.55 + 0.08 * 1.2),
        ("0.90", Direction.BEARISH, Strength.STRONG, 0.71),
    ],
)
def test_divergence_votes_towards_the_fair_price(p, direction, strength, confidence):
    """The gap in thresholds gives strength and confidence; the direction is from p to P."""
    signal = divergence(p)
    assert (signal.direction, signal.strength) == (direction, strength)
    assert signal.confidence == pytest.approx(confidence)
    assert signal.signal_type is SignalType.PRICE_DIVERGENCE
    assert signal.metadata["fair_probability"] == 0.5


def test_divergence_threshold_acts():
    """A gap of 0.04 is no signal at 0.05 and a signal at 0.03; a gap equal to the threshold is one."""
    assert divergence("0.4375", threshold=0.0625).confidence == 0.55
    assert divergence("0.54") == Abstention(reason="fair 0.500 is within 0.05 of 0.54")
    assert divergence("0.54", threshold=0.03).direction is Direction.BEARISH
    with pytest.raises(ValueError, match="divergence_threshold"):
        PriceDivergenceProcessor(0)


def test_divergence_abstains_with_its_reason():
    """The reason names the missing value, and the context's cause where there is one."""
    judge = PriceDivergenceProcessor().vote
    assert judge(context(absent={"coinbase": "timed out"}), 0.18).abstained == "no spot price: timed out"
    assert judge(context(spot=spot(SPOT)), 0.18).abstained == "no strike"
    without_strike = context(spot=spot(SPOT), absent={"strike": "started too late"})
    assert judge(without_strike, 0.18).abstained == "no strike: started too late"
    assert str(judge(context(spot=spot(SPOT), strike=strike(SPOT)), 0.18).abstained).startswith(
        "no volatility"
    )


def value(seen) -> Any:
    return fair_value(seen.market, seen.second, seen.spot, seen.strike, seen.spot_path)


@pytest.mark.parametrize(("rule", "seconds"), [(Rule.SPOT, 100.0), (Rule.TWAP30, 80.0), (Rule.TWAP60, 60.0)])
def test_the_averaging_time_of_each_rule(rule, seconds):
    """With 100 s left two thirds of the averaging time have no variance: none, 20 s and 40 s."""
    found = value(at(100, rule=rule))
    assert (found.effective_seconds, found.expected) == (seconds, SPOT)


def test_the_two_outcomes_share_the_probability():
    """Above the strike Up is likelier, and Down has the rest."""
    found = value(at(100, strike_price=SPOT * 0.9995))
    assert found.of(Outcome.UP) > 0.6
    assert found.of(Outcome.DOWN) == pytest.approx(1 - found.of(Outcome.UP), abs=1e-12)


def test_prices_below_one_dollar_are_prices():
    """An asset at $0.50 has a volatility and a probability of one half at its strike."""
    path = tuple(Tick(second=700.0 + n, price=D("0.5") + D(n % 2) / 1000) for n in range(101))
    seen = at(100, rule=Rule.SPOT, path=path)
    found = fair_value(seen.market, 800.0, spot(0.5), strike("0.5", Rule.SPOT), path)
    assert isinstance(found, FairValue)
    assert found.probability == 0.5
    assert found.volatility == pytest.approx(math.log(0.501 / 0.5))


def test_the_last_second_has_a_value():
    """One second before the end the market is not over."""
    found = value(at(1, rule=Rule.SPOT))
    assert (found.effective_seconds, found.expected) == (1.0, SPOT)


@pytest.mark.parametrize(("returns", "known"), [(30, True), (29, False)])
def test_thirty_returns_are_needed(returns, known):
    """The price at the decision's own second counts, and a price of 0 does not."""
    path = tuple(Tick(second=800.0 - n, price=D(84_000 + n % 2)) for n in range(returns, -1, -1))
    nothing = Tick(second=800.0 - returns - 1, price=D(0))
    found = value(at(100, path=(nothing, *path)))
    assert isinstance(found, FairValue) is known


def test_the_volatility_is_of_the_last_300_seconds():
    """A jump that ended 300.5 s ago does not count, though the price after it does."""
    calm = tuple(Tick(second=500.0 + n, price=D(84_000 + n % 2)) for n in range(301))
    jump = (Tick(second=499.25, price=D(90_000)), Tick(second=499.5, price=D(84_001)))
    found = value(at(100, path=(*jump, *calm)))
    assert found.volatility == pytest.approx(math.log(84_001 / 84_000), rel=1e-6)


def test_the_average_uses_one_price_before_its_start_and_the_spot_price_at_its_end():
    """Of two earlier prices the later one is used; a path's price at the end is replaced by the spot's."""
    path = [(-2.0, 1.0), (-1.0, 10.0), (3.0, 10.0), (6.0, 99.0)]
    # 3 s at 10, and 3 s from 10 to 20, whose logarithms have the mean of 10 and 20: √200.
    assert elapsed_average(path, 0.0, 6.0, 20.0) == pytest.approx((10**3 * 200**1.5) ** (1 / 6))


def whole_path_value(seen):
    """The fair value of a context whose whole path is converted, also the part that has no influence."""
    tau = seconds_left(seen.market, seen.second)
    scale = seen.market.interval / 900
    path = [
        (t.second * scale, float(t.price)) for t in seen.spot_path if t.second <= seen.second and t.price > 0
    ]
    volatility = realised_volatility(path, since=(seen.second - 300) * scale)
    window = {Rule.SPOT: 0.0, Rule.TWAP30: 30.0, Rule.TWAP60: 60.0}[seen.market.rule]
    now = seen.market.interval - tau
    expected, variance = settlement_moments(tau, window, float(seen.spot.price), now, path)
    assert volatility is not None
    return FairValue(expected, float(seen.strike.price), volatility, variance)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([120, 300, 900, 14_400]),
    st.sampled_from(Rule),
    st.floats(500, 899.9),
    st.sampled_from([0.0, 0.3, 0.9]),
)
def test_the_part_of_the_path_that_is_read_is_enough(seed, interval, rule, second, missing):
    """To the last digit the same as from the whole path, with gaps, points without a price, and averages that
    begin before the volatility does."""
    random = np.random.default_rng(seed)
    prices = SPOT * np.exp(np.cumsum(random.normal(0, 1e-4, 1000)))
    points = [
        Tick(second=second - 899.5 + i, price=D(str(round(prices[i], 2))) * (random.random() > 0.05))
        for i in range(950)
        if random.random() >= missing or i > 860
    ]
    seen = context(
        market=market(rule=rule, interval=interval),
        second=second,
        spot=spot(SPOT),
        spot_path=tuple(points),
        strike=strike(SPOT + 3, rule),
    )
    assert fair_value_of(seen) == whole_path_value(seen)


def test_a_decision_computes_the_fair_value_once(monkeypatch):
    """It is the largest part of a decision: the processor and the appraisal share it."""
    calls = []

    def counted(*arguments, **named):
        calls.append(arguments)
        return realised_volatility(*arguments, **named)

    monkeypatch.setattr("core.strategy_brain.fair_value.realised_volatility", counted)
    seen = at(80, strike_price=SPOT - 5)
    decision = decide(seen, params(window_end=900.0))
    assert len(calls) == 1
    assert decision.fair == fair_probability(seen, Outcome.UP)
    (vote,) = [vote for vote in decision.votes if vote.source == "PriceDivergence"]
    assert vote == PriceDivergenceProcessor(0.05).vote(seen, vote.weight)
