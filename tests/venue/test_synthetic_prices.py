"""The generated price of bitcoin: one path per seed, continuous, with the stated volatility, settled by
rule."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venue.sources.price_path import (
    BLOCK,
    INTERVAL,
    JUMP_SIGMAS,
    JUMP_VARIANCE,
    SIGMA_HIGH,
    SIGMA_LOW,
    UNIT,
    PricePath,
)

MARKETS = 400


@pytest.fixture(scope="module")
def path() -> PricePath:
    return PricePath(7)


def log_return(path: PricePath, index: int, begin: int, end: int) -> float:
    return math.log(path.spot(index, end) / path.spot(index, begin))


def test_a_seed_is_one_path_whatever_is_asked_first(path: PricePath) -> None:
    """Another reader of the seed, which requests a far market first, has the same path; another seed does
    not."""
    other = PricePath(7)
    assert other.spot(31_415, 926) == path.spot(31_415, 926)
    assert [other.spot(3, s) for s in range(INTERVAL)] == [path.spot(3, s) for s in range(INTERVAL)]
    assert PricePath(8).spot(3, 0) != path.spot(3, 0)


def test_the_path_of_a_seed_never_changes() -> None:
    """Literal prices, to the last digits that a platform's logarithm may differ in."""
    path = PricePath(1)
    assert path.spot(0, 0) == pytest.approx(8_261_463_403_763, abs=10)
    assert path.spot(123, 456) == pytest.approx(8_100_064_799_807, abs=10)
    assert path.mean(123, 456) == pytest.approx(8_098_644_475_878, abs=10)


@given(st.integers(-3, 40_000), st.integers(-2_000, 2_000))
@settings(max_examples=60, deadline=None)
def test_neighbours_agree_on_their_common_seconds(index: int, second: int) -> None:
    """A second beyond a market's end is the same second of the next market."""
    path = PricePath(7)
    assert path.spot(index, second) == path.spot(index + 1, second - INTERVAL)


@pytest.mark.parametrize("index", [1, 2, 50, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK, 0])
def test_the_price_is_continuous_where_markets_meet(path: PricePath, index: int) -> None:
    """From a market's last second to the next one's first it moves like any second, also at an anchor."""
    sigma = max(path.sigma(index), path.sigma(index - 1))
    assert abs(log_return(path, index, -1, 0)) < (6 + JUMP_SIGMAS * 3) * sigma
    assert 0 < abs(log_return(path, index, -2, 2)) < 0.01


def test_seconds_have_the_volatility_of_their_market(path: PricePath) -> None:
    """One-second moves of 100 markets, in units of each market's σ without its jumps: deviation 1, mean 0."""
    moves = [
        log_return(path, i, s, s + 1) / path.sigma(i) for i in range(100) for s in range(0, INTERVAL - 1, 9)
    ]
    calm = [move for move in moves if abs(move) < 5]
    assert statistics.stdev(calm) == pytest.approx(1, abs=0.03)
    assert statistics.mean(calm) == pytest.approx(0, abs=3 / math.sqrt(len(calm)))
    assert all(SIGMA_LOW <= path.sigma(i) <= SIGMA_HIGH for i in range(100))


def test_jumps_are_rare_and_large(path: PricePath) -> None:
    """About a quarter of the markets has one: moves of more than 6 σ in a second."""
    jumps = sum(
        abs(log_return(path, i, s, s + 1)) > 6 * path.sigma(i)
        for i in range(200)
        for s in range(INTERVAL - 1)
    )
    # A normal jump of 12 σ is beyond 6 σ in 62 % of cases.
    assert jumps == pytest.approx(200 / 4 * 0.62, abs=3 * math.sqrt(200 / 4 * 0.62))


def test_whole_markets_move_like_a_random_walk(path: PricePath) -> None:
    """Moves over 900 seconds have variance σ²·900 with jumps, and are independent of the previous move."""
    scale = math.sqrt(INTERVAL * (1 + JUMP_VARIANCE))
    moves = [log_return(path, i, 0, INTERVAL) / (path.sigma(i) * scale) for i in range(MARKETS)]
    assert statistics.stdev(moves) == pytest.approx(1, abs=3 / math.sqrt(2 * MARKETS))
    assert statistics.correlation(moves[1:], moves[:-1]) == pytest.approx(0, abs=3 / math.sqrt(MARKETS))
    halves = [(log_return(path, i, 0, 450), log_return(path, i, 450, INTERVAL)) for i in range(MARKETS)]
    assert statistics.correlation(*zip(*halves, strict=True)) == pytest.approx(0, abs=3 / math.sqrt(MARKETS))


def test_the_price_stays_a_bitcoin_price_for_years(path: PricePath) -> None:
    """A market a year and four years ahead takes no longer, and is within a fifth of the first one."""
    first = path.spot(0, 0)
    assert all(abs(math.log(path.spot(i, 0) / first)) < 0.2 for i in (35_000, 140_000, 1_000_000))
    assert 50_000 * UNIT < first < 150_000 * UNIT


@given(st.integers(0, 500), st.integers(-60, 960), st.sampled_from([30, 60]))
@settings(max_examples=40, deadline=None)
def test_a_mean_is_that_of_the_last_prices(index: int, second: int, window: int) -> None:
    """The mean is less than a unit below the exact mean of the last seconds, the present one included."""
    path = PricePath(7)
    exact = statistics.mean(path.spot(index, second - back) for back in range(window))
    assert 0 <= exact - path.mean(index, second, window) < 1


def test_the_outcome_is_the_settlement_rule(path: PricePath) -> None:
    """Up wins if the sixty-second mean at the end is at least the one at the start; spot would differ."""
    ups = [path.up_wins(i) for i in range(MARKETS)]
    assert ups == [path.mean(i, 900, 60) >= path.mean(i, 0, 60) for i in range(MARKETS)]
    assert sum(ups) / MARKETS == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(MARKETS))
    by_spot = [path.spot(i, 900) >= path.spot(i, 0) for i in range(MARKETS)]
    assert any(a is not b for a, b in zip(ups, by_spot, strict=True))
