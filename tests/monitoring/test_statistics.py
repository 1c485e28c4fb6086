"""The statistics: exact sums, known intervals and tests, and no conclusion that the sample does not
support."""

from bisect import bisect_left
from decimal import Decimal
from math import exp, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.ledger import TradeRow
from models import OrderState, Outcome, Rule
from monitoring.statistics import (
    binomial_p_value,
    break_even,
    clopper_pearson,
    required_markets,
    statistics,
    wilson,
)


def trade(won, price="0.90", *, number=0, stake="1", rate="0.07"):
    """A trade of `stake` pUSD at `price`; `won` is None while it is pending."""
    paid, cost = Decimal(price), Decimal(stake)
    shares = cost / paid
    fee = (shares * Decimal(rate) * paid * (1 - paid)).quantize(Decimal("0.00001"))
    payout = None if won is None else shares if won else Decimal(0)
    return TradeRow(
        intent_id=str(number),
        decision_id=1,
        run_id=1,
        session="",
        slug=f"btc-updown-15m-{number}",
        condition_id=f"0x{number}",
        market_start=0,
        market_end=900,
        side=Outcome.UP,
        state=OrderState.MATCHED,
        created_ns=number,
        filled_ns=number,
        usd=cost,
        ask=paid,
        price_cap=paid,
        shares=shares,
        cost=cost,
        fee=fee,
        p=paid,
        fair=None,
        edge=None,
        score=None,
        confidence=None,
        rule=Rule.TWAP60,
        winner=None if won is None else Outcome.UP if won else Outcome.DOWN,
        settled_ns=None,
        payout=payout,
        pnl=None if payout is None else payout - cost - fee,
    )


def sample(wins, losses, price="0.90", **changes):
    return [trade(i < wins, price, number=i, **changes) for i in range(wins + losses)]


def test_sums():
    """Money adds up exactly, and pending trades count only as pending."""
    numbers = statistics([*sample(3, 1, "0.80"), trade(None, number=9)])

    assert (numbers.n, numbers.wins, numbers.losses, numbers.pending) == (4, 3, 1, 1)
    assert (numbers.staked, numbers.staked_pending, numbers.fees) == (4, 1, Decimal("0.05600"))
    assert numbers.payouts == Decimal("3.75")
    assert numbers.pnl == numbers.payouts - numbers.staked - numbers.fees == Decimal("-0.30600")


def test_nothing_settled():
    """Without a settled trade there is no rate, and the conclusion is chance."""
    numbers = statistics([trade(None)])

    assert (numbers.n, numbers.pending, numbers.win_rate, numbers.break_even) == (0, 1, None, None)
    assert "not distinguishable from chance" in numbers.conclusion.lower()


@pytest.mark.parametrize(
    ("price", "even"),
    [("0.50", 0.5175), ("0.60", 0.6168), ("0.75", 0.76313), ("0.90", 0.9063), ("0.99", 0.99069)],
)
def test_break_even_is_the_venues(price, even):
    """Break-even is price plus fee per share, by the venue's fee formula."""
    assert break_even(trade(True, price, stake="100")) == pytest.approx(even, abs=1e-5)


@given(st.lists(st.tuples(st.sampled_from(["0.6", "0.75", "0.9", "0.97"]), st.booleans()), min_size=1))
def test_at_break_even_the_mean_is_zero(trades):
    """If every trade won with its break-even chance, the expected P&L would be zero."""
    rows = [trade(won, price, number=i) for i, (price, won) in enumerate(trades)]

    expected = sum(break_even(row) * float(row.shares) - float(row.cost + row.fee) for row in rows)

    assert expected == pytest.approx(0, abs=1e-9)
    assert statistics(rows).break_even == pytest.approx(sum(map(break_even, rows)) / len(rows))


@pytest.mark.parametrize(
    ("rate", "n", "low", "high"),
    [(0.5, 10, 0.2366, 0.7634), (1.0, 14, 0.7847, 1.0), (0.0, 20, 0.0, 0.1611), (0.9, 300, 0.8609, 0.9290)],
)
def test_wilson_against_published_values(rate, n, low, high):
    """The interval agrees with published values, also where nothing or everything was won."""
    assert wilson(rate, n) == pytest.approx((low, high), abs=1e-3)


def test_wilson_needs_an_observation():
    """An interval without observations is an error, not the range from 0 to 1."""
    with pytest.raises(ValueError, match="n is 0"):
        wilson(0.5, 0)


@pytest.mark.parametrize(
    ("wins", "n", "chance", "p"),
    [(7, 10, 0.5, 0.34375), (10, 10, 0.5, 0.001953125), (18, 20, 0.9, 1.0), (0, 5, 0.5, 0.0625)],
)
def test_exact_binomial_against_known_values(wins, n, chance, p):
    """The two-sided exact test gives the values of statistics packages."""
    assert binomial_p_value(wins, n, chance) == pytest.approx(p, rel=1e-6)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.99))
def test_exact_binomial_is_a_probability(outcome, chance):
    """A p-value lies between zero and one, and is the same seen from the other side."""
    wins, n = outcome
    p = binomial_p_value(wins, n, chance)

    assert 0 < p <= 1
    assert binomial_p_value(n - wins, n, 1 - chance) == pytest.approx(p, rel=1e-3)


def test_required_sample():
    """At 90 cents about 2,100 markets can show two points; near one dollar, ten losses are required."""
    assert required_markets(0.9) == 2073
    assert required_markets(0.1) == 2073
    assert required_markets(0.99) == 1000
    assert 4800 < required_markets(0.5) < 5000


class TestConclusion:
    def test_all_won_is_not_an_edge(self):
        """Fourteen of fourteen at 92 cents has no spread of its own, and is still chance."""
        numbers = statistics(sample(14, 0, "0.92"))

        assert numbers.conclusion.startswith("Not distinguishable from chance: 14 distinct markets settled")
        assert numbers.p_value == pytest.approx(0.63, abs=0.02)
        assert numbers.test.startswith("exact binomial")
        assert numbers.return_se > 0.05
        assert numbers.mean_pnl_low < 0 < numbers.mean_pnl_high

    def test_large_sample_at_break_even(self):
        """Two thousand trades that won as often as their price implies are chance too."""
        numbers = statistics(sample(1813, 187))

        assert numbers.test.startswith("normal")
        assert abs(numbers.z) < 0.1
        assert numbers.conclusion.startswith("Not distinguishable from chance: over 2,000 distinct markets")

    @pytest.mark.parametrize(("wins", "result"), [(1900, "profit"), (1700, "loss")])
    def test_large_sample_far_from_it(self, wins, result):
        """Two thousand trades five points off are distinguished from chance, in both directions."""
        numbers = statistics(sample(wins, 2000 - wins))

        assert numbers.conclusion.startswith(f"A {result}, after fees")
        assert numbers.p_value < 0.01
        assert (numbers.mean_pnl_low > 0) is (result == "profit")
        assert (numbers.mean_pnl_high < 0) is (result == "loss")

    @pytest.mark.parametrize("wins", [17, 8])
    def test_repeats_are_no_new_evidence(self, wins):
        """The same 18 markets, replayed until there are thousands of trades, stay 18 observations."""
        once = sample(wins, 18 - wins)
        again = [_changed(row, intent_id=f"{row.intent_id}-{turn}") for turn in range(200) for row in once]
        numbers, single = statistics(again), statistics(once)

        assert (numbers.n, numbers.markets) == (3600, 18)
        assert (numbers.wilson_low, numbers.wilson_high) == pytest.approx(wilson(wins / 18, 18))
        assert numbers.conclusion.startswith("Not distinguishable from chance: 18 distinct markets settled")
        assert numbers.p_value == pytest.approx(single.p_value)
        assert numbers.z == pytest.approx(single.z)

    @pytest.mark.parametrize("price", ["0.62", "0.90", "0.97"])
    def test_error_rates_are_exact(self, price):
        """At the required sample size, chance is called an edge in at most one history of twenty, and two
        points either way are detected in at least four of five: summed over every possible number of wins."""
        even = break_even(trade(True, price))
        n = required_markets(even)
        low, high = _called_edges(price, n)

        def called(chance):
            return sum(_pmf(wins, n, chance) for wins in (*range(low + 1), *range(high, n + 1)))

        assert called(even) <= 0.05
        assert called(even + 0.02) >= 0.80
        assert called(even - 0.02) >= 0.80

    @pytest.mark.parametrize("edge", [0.0, 0.02, -0.02])
    def test_simulated_histories(self, edge):
        """Of 50,000 histories at mixed prices at most one in twenty is called an edge where there is none,
        and more than three of four where it is two points. The program's conclusions on the histories next
        to the limit, on both sides, are those of the second computation."""
        histories = MixedHistories(50_000, edge, np.random.default_rng(7))
        called = abs(histories.z) > 1.959964
        if edge:
            assert np.mean(called & (np.sign(histories.z) == np.sign(edge))) >= 0.77
        else:
            assert 0.04 <= np.mean(called) <= 0.05
        distance = abs(histories.z) - 1.959964
        above, below = (np.where(side, abs(distance), 9).argmin() for side in (called, ~called))
        for history in (above, below):
            found = statistics(histories.rows(history))
            assert found.z == pytest.approx(histories.z[history], abs=1e-9)
            assert found.markets == found.needed
            assert found.conclusion.startswith("A ") is bool(called[history])


class MixedHistories:
    """Simulated histories of the required length at four prices, and their z by a second computation."""

    def __init__(self, count, edge, rng):
        even = np.array([break_even(FAIR[price, True]) for price in PRICES])
        n = required_markets(float(even.mean()))
        self.trades = np.array([len(range(place, n, 4)) for place in range(4)])
        self.wins = np.stack([rng.binomial(self.trades[i], even[i] + edge, count) for i in range(4)], axis=1)
        won, lost = (np.array([float(FAIR[price, side].pnl) for price in PRICES]) for side in (True, False))
        shares = np.array([float(FAIR[price, True].shares) for price in PRICES])
        losses = self.trades - self.wins
        pnl = (self.wins * won + losses * lost).sum(axis=1)
        squares = (self.wins * won**2 + losses * lost**2).sum(axis=1)
        observed = np.sqrt(n / (n - 1) * (squares - pnl**2 / n))
        implied = np.sqrt((self.trades * shares**2 * even * (1 - even)).sum())
        self.z = pnl / np.maximum(observed, implied)

    def rows(self, history):
        """The trades of one history."""
        return [
            _changed(FAIR[price, number < self.wins[history][place]], condition_id=f"{price}-{number}")
            for place, price in enumerate(PRICES)
            for number in range(self.trades[place])
        ]


def _called_edges(price, n):
    """The most wins that are called a loss, and the fewest that are called a profit."""

    # Built once: the samples differ only in how many of the same trades are won.
    won, lost = sample(n, 0, price), sample(0, n, price)

    def called(wins):
        return not statistics([*won[:wins], *lost[wins:]]).conclusion.startswith("Not")

    middle = round(n * break_even(trade(True, price)))
    assert called(0)
    assert not called(middle)
    low = bisect_left(range(middle), True, key=lambda wins: not called(wins)) - 1
    high = middle + bisect_left(range(middle, n + 1), True, key=called)
    return low, high


def _pmf(wins, n, chance):
    choose = lgamma(n + 1) - lgamma(wins + 1) - lgamma(n - wins + 1)
    return exp(choose + wins * log(chance) + (n - wins) * log(1 - chance))


def _changed(row, **changes):
    return TradeRow(**{name: getattr(row, name) for name in TradeRow.__struct_fields__} | changes)


PRICES = ("0.62", "0.75", "0.88", "0.95")
FAIR = {(price, won): trade(won, price) for price in PRICES for won in (True, False)}


def test_clopper_pearson():
    """Published limits: 7 of 7, 3 of 5, 0 of 10 (upper limit 1 - 0.025^(1/10)), and a fraction of many."""
    assert clopper_pearson(1, 1) == pytest.approx((0.025, 1))
    assert clopper_pearson(7, 7) == pytest.approx((0.025 ** (1 / 7), 1))
    assert clopper_pearson(3, 5) == pytest.approx((0.146633, 0.947255), abs=1e-6)
    assert clopper_pearson(0, 10) == pytest.approx((0, 1 - 0.025**0.1))
    assert clopper_pearson(800, 1000) == pytest.approx(wilson(0.8, 1000), abs=0.001)
    with pytest.raises(ValueError, match="n is 0"):
        clopper_pearson(0, 0)
