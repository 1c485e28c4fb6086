"""The statistics in figures: small samples whose every value was computed a second time, with other code."""

from decimal import Decimal

import msgspec
import pytest
from test_statistics import sample, trade

from monitoring.statistics import (
    Statistics,
    TradeTally,
    binomial_p_value,
    break_even,
    fixed,
    required_markets,
    statistics,
    unfixed,
    wilson,
)


def in_market(market, *row, **changes):
    return msgspec.structs.replace(trade(*row, **changes), condition_id=market)


MIXED = [
    in_market("a", True, "0.80"),
    in_market("a", True, "0.80", number=1),
    in_market("b", False, "0.50", stake="2", number=2),
    in_market("c", True, "0.50", stake="1.5", number=3),
    in_market("d", None, "0.50", stake="7", number=4),
]
"""Three markets with a result, one of them twice, and a pending trade."""
TWO = [in_market("a", True, "0.80"), in_market("b", False, "0.96")]
NOTHING = {"win_rate", "wilson_low", "wilson_high", "mean_price", "price_per_share", "break_even"} | {
    *("return_on_stake", "return_se", "mean_pnl", "mean_pnl_low", "mean_pnl_high", "z", "p_value", "needed")
}


def test_every_number_of_a_mixed_sample():
    """Sums, rates, intervals, errors and test: the sample's own spread is larger than that of the odds."""
    found = msgspec.structs.asdict(statistics(MIXED))
    money = [found.pop(name) for name in ("staked", "staked_pending", "fees", "payouts", "pnl")]
    assert money == [Decimal(value) for value in ("5.5", "7", "0.1505", "5.5", "-0.1505")]
    assert found.pop("test") == "exact binomial, wins against break-even"
    assert found.pop("conclusion") == (
        "Not distinguishable from chance: 3 distinct markets settled, and about 4,497 are needed to see an"
        " edge of 2 points (the chance of a result at least this far from break-even is 1)."
    )
    assert found == pytest.approx(
        {
            "n": 4,
            "markets": 3,
            "wins": 3,
            "losses": 1,
            "pending": 1,
            "win_rate": 0.75,
            "wilson_low": 0.2560926803174621,
            "wilson_high": 0.9631588038050152,
            "mean_price": 0.65,
            "price_per_share": 0.5789473684210527,
            "break_even": 0.66435,
            "return_on_stake": -0.02736363636363636,
            "return_se": 0.5718777321210083,
            "mean_pnl": -0.037625,
            "mean_pnl_low": -1.5788071679617288,
            "mean_pnl_high": 1.5035571679617288,
            "z": -0.04784875302304346,
            "p_value": 1.0,
            "needed": 4497,
        },
        rel=1e-9,
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (TWO, {"return_se": 0.6194, "z": -0.6189861155957378, "p_value": 0.2133303408640001}),
        (
            sample(1, 0),
            {"return_se": 0.32378988385817276, "z": 0.32153911008755964, "wilson_low": 0.20654931437723745},
        ),
        (
            sample(1813, 187),
            {"return_se": 0.007240161907336362, "z": 0.030692990718494326, "p_value": 0.9755143811269054},
        ),
        (
            sample(1700, 300),
            {"return_se": 0.008873729500121377, "z": -7.049522475831594, "p_value": 1.795341653e-12},
        ),
    ],
    ids=["two markets", "one market", "the odds' spread", "the sample's spread"],
)
def test_the_error_is_the_larger_of_two(rows, expected):
    """The error of the sample or of the odds; one market alone has only the second."""
    numbers = msgspec.structs.asdict(statistics(rows))
    assert {name: numbers[name] for name in expected} == pytest.approx(expected, rel=1e-6)


ENOUGH = "over 2,000 distinct markets the 95 % interval of the mean P&L per trade"
CHANCE = "the chance of a result at least this far from break-even is"


@pytest.mark.parametrize(
    ("rows", "test", "conclusion"),
    [
        (
            [trade(None)],
            "none",
            "Not distinguishable from chance: no trade is settled yet.",
        ),
        (
            sample(1, 0),
            "exact binomial, wins against break-even",
            "Not distinguishable from chance: 1 market settled, and about 1,978 are needed to see an edge of"
            f" 2 points ({CHANCE} 1).",
        ),
        (
            sample(1813, 187),
            "normal, on P&L",
            f"Not distinguishable from chance: {ENOUGH} contains zero ({CHANCE} 0.98).",
        ),
        (
            sample(1900, 100),
            "normal, on P&L",
            f"A profit, after fees: {ENOUGH} excludes zero ({CHANCE} 2e-11). It describes these trades and"
            " is not a forecast.",
        ),
        (
            sample(1700, 300),
            "normal, on P&L",
            f"A loss, after fees: {ENOUGH} excludes zero ({CHANCE} 1.8e-12). It describes these trades and"
            " is not a forecast.",
        ),
    ],
    ids=["nothing settled", "one market", "chance", "profit", "loss"],
)
def test_the_conclusion_in_words(rows, test, conclusion):
    """The whole sentence, with the test that it is based on."""
    numbers = statistics(rows)
    assert (numbers.test, numbers.conclusion) == (test, conclusion)


def test_nothing_settled_has_no_ratios():
    """Sums are zero, ratios are missing, and the tally agrees."""
    numbers = msgspec.structs.asdict(statistics([trade(None, stake="3")]))
    assert {name for name, value in numbers.items() if value is None} == NOTHING
    assert [numbers[name] for name in ("n", "markets", "wins", "losses", "pending")] == [0, 0, 0, 0, 1]
    assert [numbers[name] for name in ("staked", "staked_pending", "fees", "payouts", "pnl")] == [
        0,
        3,
        0,
        0,
        0,
    ]
    tally = TradeTally()
    values = (tally.win_rate, tally.interval, tally.break_even, tally.mean_price, tally.needed, tally.z)
    assert values == (None,) * 6
    assert (tally.conclusion, tally.losses, tally.markets) == ("chance", 0, 0)


@pytest.mark.parametrize(("markets", "test"), [(1074, "exact"), (1075, "normal")])
def test_the_sample_is_enough_at_the_size_it_asks_for(markets, test):
    """At 99 cents and the fee 1,075 markets are needed: the last one changes the test and the conclusion."""
    numbers = statistics(sample(markets - 60, 60, "0.99"))
    assert numbers.needed == 1075
    assert numbers.test.startswith(test)
    assert numbers.conclusion.startswith("A loss" if test == "normal" else "Not distinguishable")
    assert numbers.p_value < 1e-6


def test_trades_at_a_dollar_have_no_spread():
    """They always return their cost: no z, a p-value of 1, and never a conclusion."""
    tally = TradeTally()
    for number in range(10_000):
        if number in (9_999, 1):
            numbers = tally.statistics()
            assert (numbers.z, numbers.p_value, numbers.needed) == (None, 1.0, 10_000)
            assert tally.conclusion == "chance"
        tally.add(in_market(str(number), True, "1", rate="0"))
    numbers = tally.statistics()
    assert (numbers.z, numbers.p_value, numbers.test) == (None, 1.0, "normal, on P&L")
    assert tally.conclusion == "chance"


def test_what_was_added_can_be_removed():
    """Whatever the order, the tally then equals that of the others to the last digit."""
    tally = TradeTally()
    for row in (*MIXED, *TWO, trade(None, number=8)):
        tally.add(row)
    for row in (trade(None, number=8), *reversed(TWO)):
        tally.remove(row)
    assert tally.statistics() == statistics(MIXED)
    for row in MIXED:
        tally.remove(row)
    assert tally.statistics() == statistics([])
    assert tally.markets == 0


def test_the_json_output_keeps_its_key():
    """Programs that read the results find the conclusion under its original name."""
    shown = msgspec.json.decode(msgspec.json.encode(statistics([])))
    assert shown["verdict"].startswith("Not distinguishable")
    assert "conclusion" not in shown
    assert Statistics(*(0,) * 5, *(Decimal(0),) * 5).conclusion == ""


def test_a_float_as_an_exact_integer():
    """In parts of 2 to the 64th, nearest, and back."""
    assert fixed(0.5) == 2**63
    assert fixed(-1.5) == -3 * 2**63
    assert unfixed(3 * 2**62) == 0.75


def test_break_even_is_at_most_certainty():
    """A share that cost more than it can pay breaks even at 1, not above."""
    assert break_even(trade(True, "0.80")) == pytest.approx(0.8112)
    assert break_even(in_market("a", True, "1", rate="0")) == 1.0
    assert break_even(msgspec.structs.replace(trade(True, "0.99"), fee=Decimal(1))) == 1.0


@pytest.mark.parametrize(
    ("rate", "n", "low", "high"),
    [
        (0.5, 10, 0.23659309051256405, 0.763406909487436),
        (0.25, 4, 0.0455872608097006, 0.699358157417598),
        (0.9, 300, 0.8608335376153785, 0.9290520854049847),
        (1.0, 1, 0.20654931437723745, 1.0),
        (0.0, 14, 0.0, 0.2153108027377357),
        (1.0, 9, 9 / 12.8414588206941245, 1.0),  # rounding alone would give a bound above 1
    ],
)
def test_wilson_to_the_last_digits(rate, n, low, high):
    """Against Wilson's formula written a second time; never below 0 or above 1."""
    found = wilson(rate, n)
    assert found == pytest.approx((low, high), rel=1e-12, abs=1e-15)
    assert 0 <= found[0] <= found[1] <= 1


@pytest.mark.parametrize("n", [0, -1])
def test_an_interval_of_nothing_is_named(n):
    """The message has the number of observations."""
    with pytest.raises(ValueError, match="needs at least one") as refused:
        wilson(0.5, n)
    assert str(refused.value) == f"n is {n}, an interval needs at least one observation"


@pytest.mark.parametrize(
    ("even", "needed"),
    [
        (0.5, 4898),
        (0.5175, 4906),
        (0.9, 2073),
        (0.97, 933),
        (0.99, 1000),
        (0.01, 1000),
        (1.0, 10_000),
        (0.0, 10_000),
        (1.5, 10_000),
        (-0.5, 10_000),
    ],
)
def test_required_markets_in_figures(even, needed):
    """The sample size for two points, the ten rarer outcomes, and the least chance that is assumed of one."""
    assert required_markets(even) == needed


@pytest.mark.parametrize(
    ("wins", "n", "chance", "p"),
    [(5, 5, 1.0, 1.0), (4, 5, 1.0, 0.0), (0, 5, 0.0, 1.0), (1, 5, 0.0, 0.0), (3, 5, 1.5, 0.0)],
)
def test_a_certain_outcome_has_no_p_value_between(wins, n, chance, p):
    """A certain outcome has a p-value of 1 or 0."""
    assert binomial_p_value(wins, n, chance) == p


def test_likelihoods_that_only_rounding_tells_apart_are_equal():
    """3 and 7 of 10 are equally likely at one half, both count; 4 of 10 is likelier and does not."""
    assert binomial_p_value(3, 10, 0.5) == pytest.approx(0.34375, rel=1e-9)
    assert binomial_p_value(6, 20, 0.3) == pytest.approx(1.0, rel=1e-9)
    assert binomial_p_value(1, 3, 0.4) == pytest.approx(1.0, rel=1e-9)
