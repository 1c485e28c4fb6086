"""Edge, intervals and required samples: against closed forms, exact sums and values computed by hand."""

from math import exp, lgamma, log, sqrt
from statistics import fmean, pstdev

import numpy as np
import pytest
from report_builders import trade, trades

from monitoring.statistics import required_markets, statistics, wilson
from research.report.edge import (
    FillRate,
    detectable,
    edge,
    edge_interval,
    equity_limits,
    gap,
    mean_of_trades,
    percentiles,
    sum_of_markets,
)


def binomial(count, chance):
    """Probability of each number of wins."""
    ways = [lgamma(count + 1) - lgamma(won + 1) - lgamma(count - won + 1) for won in range(count + 1)]
    return [exp(way + won * log(chance) + (count - won) * log(1 - chance)) for won, way in enumerate(ways)]


@pytest.mark.parametrize(("price", "planted"), [(0.65, 0.03), (0.8, -0.03), (0.88, 0.03), (0.93, -0.03)])
def test_planted_edge_is_found_at_the_named_sample(price, planted):
    """Over all possible numbers of wins: at the required sample an edge of 3 points is seen with at least
    80 %, an edge of 0 with 5 %, and the interval contains the planted edge with 95 %."""
    count = required_markets(price, 0.03)
    found = [edge_interval(won / count, price, count) for won in range(count + 1)]
    with_edge, without = binomial(count, price + planted), binomial(count, price)

    seen = sum(p for p, each in zip(with_edge, found, strict=True) if each.sign * planted > 0)
    wrong = sum(p for p, each in zip(without, found, strict=True) if each.sign != 0)
    inside = sum(p for p, each in zip(with_edge, found, strict=True) if each.low <= planted <= each.high)
    assert 0.80 <= seen <= 0.91
    assert wrong == pytest.approx(0.05, abs=0.005)
    assert inside == pytest.approx(0.95, abs=0.01)


def test_half_the_sample_is_too_small():
    """With half of the required sample, an edge of 3 points is seen with much less than 80 %."""
    count = required_markets(0.8, 0.03) // 2
    chances = binomial(count, 0.83)
    assert sum(p for won, p in enumerate(chances) if edge_interval(won / count, 0.8, count).sign > 0) < 0.6


def test_few_expected_losses_have_an_exact_interval():
    """3 of 5 at 0.90 include zero, as the exact binomial test does (p = 0.08); Wilson's would not."""
    found = edge_interval(0.6, 0.9, 5)
    assert (found.low, found.high) == pytest.approx((0.146633 - 0.9, 0.947255 - 0.9), abs=1e-6)
    assert edge_interval(0.6, 0.9, 200).high == pytest.approx(wilson(0.6, 200)[1] - 0.9)


@pytest.mark.parametrize(("won", "planted"), [(160, 0), (166, 3), (154, -3)])
def test_steps_from_the_ask_to_the_fee(won, planted):
    """At a price of 0.80 the planted edge is found at the price, 1.12 points less after fees, and half a
    point more at an ask of 0.795; the interval ends where a normal test no longer accepts the share won."""
    found = edge(trades(won, 200, ask="0.795"))

    assert 100 * found.before.mean == pytest.approx(planted)
    assert 100 * found.after.mean == pytest.approx(planted - 7 * 0.8 * 0.2)
    assert 100 * found.seen.mean == pytest.approx(planted + 0.5)
    share, square = won / 200, 1.959963984540054**2 / 200
    limits = sorted(np.roots([1 + square, -2 * share - square, share**2]))
    assert (found.before.low, found.before.high) == pytest.approx([limit - 0.8 for limit in limits])


def test_required_sample_by_hand():
    """((1.960 + 0.842) / 0.03)² × 0.77 × 0.23 = 1545 markets at a break-even of 0.80."""
    assert required_markets(0.8, 0.03) == 1545
    assert required_markets(0.8) == 3368
    assert detectable(0.8, 1545) == 0.03
    assert detectable(0.8, 1544) == 0.0301
    assert detectable(0.888, 7) is None


def test_bootstrap_of_money_is_close_to_the_closed_form():
    """200 markets, 166 won: the interval of the mean P&L is the normal one to a tenth of its width."""
    every = trades(166, 200)
    pnls = [float(each.pnl) for each in every]
    found = edge(every)

    half = 1.96 * pstdev(pnls) / sqrt(200)
    assert found.resampled
    assert found.mean_pnl.mean == pytest.approx(fmean(pnls))
    assert found.mean_pnl.low == pytest.approx(fmean(pnls) - half, abs=0.1 * half)
    assert found.mean_pnl.high == pytest.approx(fmean(pnls) + half, abs=0.1 * half)


def test_few_losses_use_the_error_of_the_prices():
    """With nine losses the interval is that of the statistics: it includes zero although each resample of
    seven wins is a profit."""
    assert edge(trades(91, 101)).resampled
    assert not edge(trades(91, 100)).resampled
    seven = trades(7, 7)
    found, numbers = edge(seven), statistics(seven)
    assert (found.mean_pnl.low, found.mean_pnl.high) == (numbers.mean_pnl_low, numbers.mean_pnl_high)
    assert found.mean_pnl.low < 0
    assert (found.after.sign, found.conclusion) == (0, "chance")


def test_trades_of_a_market_are_one_observation():
    """A second trade in each market changes neither the interval of the edge nor that of the P&L per
    trade."""
    single = trades(30, 50)
    doubled = single + [trade(100 + number, number <= 30, market=number) for number in range(1, 51)]
    one, two = edge(single), edge(doubled)

    assert (two.numbers.n, two.numbers.markets) == (100, 50)
    assert two.after == one.after
    assert (two.mean_pnl.low, two.mean_pnl.high) == pytest.approx((one.mean_pnl.low, one.mean_pnl.high))


def test_a_small_sample_is_never_a_profit():
    """100 markets with an edge of 30 points: the intervals exclude zero, the sample is too small."""
    found = edge(trades(90, 100, price="0.60"))
    assert found.after.sign == found.mean_pnl.sign == 1
    assert found.conclusion == "chance"


def test_equity_limits():
    """After n of 100 markets the limits are ± 1.96 √n standard deviations, to a fifth."""
    pnls = [2.0 if number % 5 else -8.0 for number in range(100)]
    limits = equity_limits(pnls)

    assert limits == equity_limits(pnls)
    assert len(limits) == 60
    assert limits[-1].markets == 100
    for each in limits[20:]:
        half = 1.96 * sqrt(each.markets) * pstdev(pnls)
        assert (each.low, each.high) == pytest.approx((-half, half), rel=0.2)


def test_few_markets_have_limits():
    """One market is drawn as itself; two have the sums of all four draws."""
    assert [(each.markets, each.low, each.high) for each in equity_limits([3.0])] == [(1, 3.0, 3.0)]
    last = equity_limits([1.0, -1.0])[-1]
    assert (last.markets, last.low, last.high) == (2, -2.0, 2.0)


def test_sum_of_markets():
    """The sum, with the normal interval of a sum of 100 draws to a fifth of its width."""
    found = sum_of_markets([1.0] * 30 + [0.0] * 70)
    half = 1.96 * sqrt(100 * 0.21)
    assert found.mean == 30
    assert (found.low, found.high) == pytest.approx((30 - half, 30 + half), abs=0.2 * half)


def test_mean_of_markets_with_different_numbers_of_trades():
    """The mean is over trades: (6 + 2) / (3 + 1)."""
    assert mean_of_trades([(6.0, 3), (2.0, 1)]).mean == 2


def test_percentiles():
    """Of 1000 values, 25 are below the lower one and 25 above the upper one."""
    assert percentiles([float(value) for value in reversed(range(1000))]) == (25, 974)


def test_gap():
    """A price that differs from the ask by the rounding of the cost counts as equal."""
    prices = (("0.82", 1), ("0.7999999", 2), ("0.79", 3))
    found = gap([trade(number, price=price, ask="0.80") for price, number in prices])
    assert (found.worse, found.equal, found.better, found.worst) == (1, 1, 1, 0.02)
    assert found.mean.mean == pytest.approx(0.01 / 3)
    assert (found.mean.low, found.mean.high) == pytest.approx((-0.01, 0.02))
    assert gap([]) is None


def test_fill_rate():
    """Seven of 18 markets of 15 minutes are 37.3 trades a day: 60.08 days to 2,250 trades are 61."""
    rate = FillRate(name="x", traded=7, markets=18, seconds=18 * 900)
    assert rate.per_day == pytest.approx(7 * 96 / 18)
    assert (rate.days(2250), rate.days(7), rate.days(8)) == (61, 0, 1)
    assert FillRate(name="x", traded=0, markets=18, seconds=18 * 900).days(1) is None


def test_pending_trades_do_not_count():
    """A trade without a settlement is in no number."""
    pending = trade(9, pnl=None, payout=None, settled_ns=None, winner=None)
    assert edge([pending]) is None
    assert edge([*trades(3, 4), pending]) == edge(trades(3, 4))
