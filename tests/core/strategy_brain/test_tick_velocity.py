"""TickVelocity: moves measured in market seconds before the second of the decision."""

from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.strategy_brain.refusals import Abstention
from core.strategy_brain.signal_processors import TickVelocityProcessor
from models import Direction, SignalType, Strength, Tick, TradingSignal

SECOND = 800.0


def judge(now, *past, second: float | None = SECOND, filler=5, **thresholds) -> Any:
    """Ticks `past` as (seconds ago, price); fillers are recent and far from both look-ups."""
    ticks = [Tick(second=SECOND - ago, price=D(price)) for ago, price in sorted(past, reverse=True)]
    ticks += [Tick(second=SECOND - 1 + i / 10, price=D(now)) for i in range(filler)]
    return TickVelocityProcessor(**thresholds).evaluate(D(now), [], {"tick_buffer": ticks, "second": second})


@pytest.mark.parametrize(
    ("now", "strength"),
    [
        ("0.5050", Strength.WEAK),
        ("0.5074", Strength.WEAK),
        ("0.5075", Strength.MODERATE),
        ("0.5125", Strength.STRONG),
        ("0.5200", Strength.VERY_STRONG),
    ],
)
def test_strength_and_confidence_over_thirty_seconds(now, strength):
    """From 1 % over 30 s on: steps at 1.5, 2.5 and 4 %; confidence 0.55 + 0.12 (v/threshold − 1)."""
    velocity = float(D(now) / D("0.5") - 1)
    rising = judge(now, (30, "0.5"))
    assert (rising.direction, rising.strength) == (Direction.BULLISH, strength)
    assert rising.confidence == pytest.approx(min(0.82, 0.55 + (velocity / 0.010 - 1) * 0.12))
    assert rising.signal_type is SignalType.MOMENTUM
    falling = judge(str(1 - D(now)), (30, "0.5"))
    assert (falling.direction, falling.strength) == (Direction.BEARISH, strength)
    assert falling.confidence == pytest.approx(rising.confidence)


def test_exactly_at_and_just_below_the_thresholds():
    """1 % over 30 s and 1.5 % over 60 s are signals, slightly less is not."""
    assert isinstance(judge("0.505", (30, "0.5")), TradingSignal)
    assert isinstance(judge("0.50499", (30, "0.5")), Abstention)
    assert isinstance(judge("0.5075", (60, "0.5")), TradingSignal)
    assert isinstance(judge("0.50749", (60, "0.5")), Abstention)


def test_confidence_is_capped():
    """Without acceleration no move, however fast, gives more than 0.82."""
    assert judge("0.9", (30, "0.5")).confidence == 0.82


def test_gaining_speed_adds_confidence():
    """A move twice as fast in the last thirty seconds as before adds 0.06."""
    signal = judge("0.515", (30, "0.5"), (60, "0.495"))
    assert signal.metadata["acceleration"] > 0.005
    assert signal.confidence == pytest.approx(0.55 + (0.03 / 0.01 - 1) * 0.12 + 0.06)


def test_the_most_confident_move():
    """The fastest accelerating move has confidence 0.88, the maximum."""
    assert judge("0.9", (30, "0.5"), (60, "0.5")).confidence == pytest.approx(0.88)


def test_a_turned_move_loses_a_fifth_and_may_fall_silent():
    """Up over 30 s yet down over 60 s: confidence × 0.80, and below 0.55 an abstention with that reason."""
    strong = judge("0.55", (30, "0.5"), (60, "0.7"))
    assert strong.confidence == pytest.approx(0.80 * 0.88)
    weak = judge("0.505", (30, "0.5"), (60, "0.52"))
    assert isinstance(weak, Abstention)
    assert "reversed" in weak.reason


@pytest.mark.parametrize(("ago", "votes"), [(15, True), (14.9, False), (75, True), (75.1, False)])
def test_tolerance_of_the_lookup(ago, votes):
    """A tick within 15 s of 30 or 60 s ago is used, one just outside is not."""
    signal = judge("0.60", (ago, "0.5"))
    assert isinstance(signal, TradingSignal) is votes
    if not votes:
        assert "no tick within" in signal.reason


def test_the_nearest_tick_is_taken():
    """Of several ticks within the tolerance the nearest to the instant gives the change."""
    assert judge("0.60", (38, "0.30"), (31, "0.5"), (20, "0.55")).metadata["velocity_30s"] == pytest.approx(
        0.2
    )


def test_time_is_the_decisions_second_not_the_last_ticks():
    """If the ticks stopped long before the decision, there is none thirty seconds earlier: no signal."""
    assert isinstance(judge("0.60", (30, "0.5"), second=SECOND + 120), Abstention)


def test_too_few_ticks_abstain():
    """Four ticks are too few, five are enough; without a time there is no velocity either."""
    assert isinstance(judge("0.60", (30, "0.5"), filler=3), Abstention)
    assert isinstance(judge("0.60", (30, "0.5"), filler=4), TradingSignal)
    assert isinstance(judge("0.60", (30, "0.5"), second=None), Abstention)
    assert isinstance(TickVelocityProcessor().evaluate(D("0.5"), [], {}), Abstention)


@pytest.mark.parametrize("name", ["velocity_60s", "velocity_30s"])
def test_impossible_thresholds_are_refused(name):
    """A threshold of zero would be a divisor: refused by name."""
    with pytest.raises(ValueError, match=name):
        TickVelocityProcessor(**{name: 0.0})


@given(
    st.lists(st.integers(0, 2 * 790), min_size=5, max_size=200, unique=True),
    st.lists(st.integers(50, 99), min_size=200, max_size=200),
)
def test_the_price_is_that_of_the_nearest_tick(halves, cents):
    """Of all ticks the one nearest to 30 s ago is used, the earlier one of two; none 15 s away or further."""
    ticks = [
        Tick(second=half / 2, price=D(cent) / 100) for half, cent in zip(sorted(halves), cents, strict=False)
    ]
    found = TickVelocityProcessor(velocity_60s=1e-9, velocity_30s=1e-9).evaluate(
        D("0.999"), [], {"tick_buffer": ticks, "second": SECOND}
    )
    nearest = sorted(ticks, key=lambda tick: (abs(tick.second - (SECOND - 30)), tick.second))[0]
    if abs(nearest.second - (SECOND - 30)) > 15:
        assert isinstance(found, Abstention) or found.metadata["velocity_30s"] is None
    elif isinstance(found, TradingSignal):
        # Relative to the earlier price of the favourite, which is Up at each of these prices.
        assert found.metadata["velocity_30s"] == pytest.approx(float(D("0.999") / nearest.price - 1))
