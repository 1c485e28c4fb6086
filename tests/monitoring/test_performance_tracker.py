"""The tracker: hand-computed cases, symmetric in Up and Down, and P&L equal to the change of cash."""

from decimal import Decimal
from math import sqrt

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_builders import fill, market, open_ledger, send, settlement

from errors import Fatal
from execution.ledger import FillStatus, TradeRow
from models import OrderState, Outcome, ProtocolVersion, Rule
from monitoring.confidence_sequence import confidence_sequence
from monitoring.performance_tracker import (
    PerformanceTracker,
    SourceVote,
    get_performance_tracker,
    performance,
    reset_performance_tracker,
)
from monitoring.report.reader import ReportReader
from monitoring.report.text_lines import performance_lines

THOUSAND = Decimal(1000)


def trade(number, won, price="0.80", *, side=Outcome.UP, fee="0", settled=None):
    """A trade of 1 pUSD; `won` is None while it is pending."""
    shares = round(1 / Decimal(price), 6)
    payout = None if won is None else shares if won else Decimal(0)
    return TradeRow(
        intent_id=f"i{number}",
        decision_id=number,
        run_id=1,
        session="",
        slug=f"m{number}",
        condition_id=f"0x{number}",
        market_start=0,
        market_end=900,
        side=side,
        state=OrderState.MATCHED,
        created_ns=number * 1000,
        filled_ns=number * 1000 + 1,
        usd=Decimal(1),
        ask=Decimal(price),
        price_cap=Decimal(price),
        shares=shares,
        cost=Decimal(1),
        fee=Decimal(fee),
        p=Decimal(price) if side is Outcome.UP else 1 - Decimal(price),
        fair=None,
        edge=None,
        score=None,
        confidence=None,
        rule=Rule.TWAP60,
        winner=None if won is None else side if won else side.other,
        settled_ns=None if won is None else settled or number * 1000 + 500,
        payout=payout,
        pnl=None if payout is None else payout - 1 - Decimal(fee),
    )


def found(*trades, votes=(), starting=THOUSAND):
    return performance(trades, votes, starting=starting)


@pytest.mark.parametrize("side", list(Outcome))
def test_a_win_and_a_loss_by_hand(side):
    """1 pUSD at 70 cents with 2.1 cents fee: a win is +40.757 cents, a loss −102.1, for Up and Down alike."""
    won = found(trade(1, True, "0.70", side=side, fee="0.021"))
    lost = found(trade(1, False, "0.70", side=side, fee="0.021"))

    assert won.realised == Decimal("0.407571")
    assert lost.realised == Decimal("-1.021")
    assert (won.equity, lost.equity) == (THOUSAND + won.realised, Decimal("998.979"))


def test_equity_drawdown_and_factor_by_hand():
    """+0.25 +0.25 −1 +0.25 −1 +0.25: the fall is 1.75 from the second trade's peak to the fifth's trough."""
    numbers = found(
        *(trade(number, won) for number, won in enumerate([True, True, False, True, False, True], start=1)),
        trade(7, None, fee="0.01"),
    )

    assert [point.equity - THOUSAND for point in numbers.curve] == [
        Decimal(step) for step in ("0", "0.25", "0.5", "-0.5", "-0.25", "-1.25", "-1")
    ]
    fall = numbers.drawdown
    assert (fall.amount, fall.current) == (Decimal("1.75"), Decimal("1.5"))
    assert fall.fraction == pytest.approx(1.75 / 1000.5)
    assert (fall.peak_ns, fall.trough_ns) == (2500, 5500)
    assert numbers.profit_factor == pytest.approx(0.5)
    assert (numbers.realised, numbers.open_cost) == (Decimal(-1), Decimal("1.01"))


def test_sharpe_by_hand():
    """Returns +0.25, +0.25, −1: mean −1/6, sample deviation 0.7217; the standard error is Lo's."""
    sharpe = found(trade(1, True), trade(2, True), trade(3, False)).sharpe

    assert sharpe.ratio == pytest.approx(-1 / 6 / sqrt((2 * (5 / 12) ** 2 + (5 / 6) ** 2) / 2))
    assert sharpe.error == pytest.approx(sqrt((1 + sharpe.ratio**2 / 2) / 3))


def test_replays_are_one_observation_in_the_sharpe_error():
    """Ten trades on two events have the error of two."""
    trades = [msgspec.structs.replace(trade(n, n % 3 > 0), origin=f"event{n % 2}") for n in range(10)]

    assert found(*trades).sharpe.n == 2


def test_the_largest_relative_fall_may_be_another_one():
    """From 2 down to 1 is one half; from 11 down to 9 is more money."""
    results = ["-1", "10", "-2"]
    trades = [msgspec.structs.replace(trade(n, True), pnl=Decimal(pnl)) for n, pnl in enumerate(results)]

    fall = found(*trades, starting=Decimal(2)).drawdown

    assert fall.amount == Decimal(2)
    assert fall.fraction == pytest.approx(0.5)


def test_nothing_yet():
    """Without trades equity is the starting balance; values that cannot be computed are None, never zero."""
    numbers = found()

    assert (numbers.equity, numbers.realised, numbers.curve) == (THOUSAND, 0, ())
    assert (numbers.profit_factor, numbers.sharpe, numbers.drawdown.fraction) == (None, None, None)
    assert "not distinguishable from chance" in numbers.total.conclusion.lower()


def test_only_wins():
    """No loss: no profit factor, and with equal returns no Sharpe ratio."""
    numbers = found(trade(1, True), trade(2, True))

    assert (numbers.profit_factor, numbers.sharpe, numbers.drawdown.amount) == (None, None, 0)


def test_settlement_order_decides_the_curve():
    """Equity changes when a result comes, not when a trade was made; one instant is one point."""
    numbers = found(trade(1, False, settled=9000), trade(2, True, settled=5000), trade(3, True, settled=5000))

    assert [(point.ts_ns, point.equity) for point in numbers.curve] == [
        (1000, THOUSAND),
        (5000, Decimal("1000.5")),
        (9000, Decimal("999.5")),
    ]


def test_price_bands_hold_every_trade_once():
    """A price on an edge belongs to the band above it, and each trade is in exactly one band."""
    prices = ["0.45", "0.60", "0.6999", "0.70", "0.90", "0.96", "0.99"]
    bands = {
        group.name: group.statistics.n
        for group in found(*(trade(n, True, price) for n, price in enumerate(prices))).by_price
    }

    assert bands == {
        "0.00 to 0.50": 1,
        "0.60 to 0.70": 2,
        "0.70 to 0.80": 1,
        "0.90 to 0.96": 1,
        "0.96 to 1.00": 2,
    }


OUTCOMES = st.lists(
    st.tuples(
        st.sampled_from([True, False, None]),
        st.decimals("0.01", "0.99", places=2),
        st.sampled_from(list(Outcome)),
        st.decimals("0", "0.05", places=5),
    ),
    max_size=30,
)


@given(OUTCOMES)
def test_up_and_down_are_mirror_images(outcomes):
    """Swapping Up and Down everywhere only swaps the groups of the sides."""
    rows = [
        trade(n, won, str(price), side=side, fee=str(fee))
        for n, (won, price, side, fee) in enumerate(outcomes)
    ]
    mirrored = [
        trade(n, won, str(price), side=side.other, fee=str(fee))
        for n, (won, price, side, fee) in enumerate(outcomes)
    ]
    here, there = found(*rows), found(*mirrored)

    for name in ("equity", "curve", "drawdown", "profit_factor", "sharpe", "total", "by_price", "open_cost"):
        assert getattr(here, name) == getattr(there, name)
    assert [g.statistics for g in here.by_side] == [g.statistics for g in reversed(there.by_side)]


def test_results_by_protocol_version():
    """A trade counts for the version of its market; a version without trades is an empty group."""
    new = msgspec.structs.replace(trade(2, False), version=ProtocolVersion.V2)
    groups = {group.name: group.statistics for group in found(trade(1, True), new, trade(3, True)).by_version}
    assert {name: (numbers.n, numbers.wins) for name, numbers in groups.items()} == {
        "v1": (2, 2),
        "v2": (1, 0),
    }
    assert [group.statistics.n for group in found(trade(1, True)).by_version] == [1, 0]


@given(OUTCOMES)
def test_groups_add_up_and_the_fall_is_the_largest(outcomes):
    """Bands and sides each contain the whole P&L, and no later point is deeper below an earlier one."""
    numbers = found(
        *(
            trade(n, won, str(price), side=side, fee=str(fee))
            for n, (won, price, side, fee) in enumerate(outcomes)
        )
    )
    curve = [point.equity for point in numbers.curve]

    for groups in (numbers.by_price, numbers.by_side, numbers.by_version):
        assert float(sum(g.statistics.pnl for g in groups)) == pytest.approx(float(numbers.realised))
        assert sum(g.statistics.n + g.statistics.pending for g in groups) == len(outcomes)
    falls = [early - late for i, early in enumerate(curve) for late in curve[i:]]
    assert numbers.drawdown.amount == max(falls, default=0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Outcome)),
            st.sampled_from(list(Outcome)),
            st.decimals("0.01", "0.99", places=2),
            st.decimals("0.5", "20", places=4),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_trade_pnl_is_the_change_of_cash(tmp_path_factory, trades):
    """In a real ledger, with everything redeemed, P&L equals the change of cash, to the digit."""
    path = tmp_path_factory.mktemp("cash") / "ledger.sqlite"
    with open_ledger(path) as ledger:
        for number, (side, winner, price, shares, failed) in enumerate(trades, start=1):
            intent_id = send(ledger, number, outcome=side)
            bought = fill(number, outcome=side, shares=str(shares), price=str(price), fee="0.00123")
            ledger.record_fill(bought, FillStatus.FAILED if failed else FillStatus.CONFIRMED)
            ledger.record_state(intent_id, OrderState.REVERSED if failed else OrderState.MATCHED)
            ledger.record_settlement(settlement(number, winner))
            if winner is side and not failed:
                ledger.record_redemption(market(number).slug, shares)
    with ReportReader(path) as reader:
        cash, numbers = reader.cash_flow(), found(*reader.trades())

    assert numbers.realised == cash.cash - cash.starting
    assert numbers.equity == cash.cash


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from([True, False, None, "drop"]),
        st.sampled_from(["0.55", "0.80", "0.93"]),
        st.sampled_from(list(Outcome)),
        st.integers(8000, 8010),
    ),
    max_size=40,
)


@given(CHANGES, st.booleans())
def test_one_trade_at_a_time_is_the_same_as_all_at_once(changes, looked_at):
    """Trades added, replaced and removed in any order give the same as the remaining ones read at once."""
    tracker, left = PerformanceTracker(THOUSAND), {}
    for number, won, price, side, settled in changes:
        if won == "drop":
            tracker.drop(f"i{number}")
            left.pop(number, None)
        else:
            left[number] = trade(number, won, price, side=side, settled=settled)
            tracker.put(left[number])
        if looked_at:
            # Reading computes the curve, so that the next change extends it.
            assert tracker.drawdown == found(*left.values()).drawdown
    at_once, by_steps = found(*left.values()), tracker.performance()
    for name in ("drawdown", "profit_factor", "sharpe", "by_price", "by_side", "by_version"):
        assert getattr(by_steps, name) == getattr(at_once, name)
    assert [(p.ts_ns, float(p.equity)) for p in by_steps.curve] == [
        (p.ts_ns, pytest.approx(float(p.equity))) for p in at_once.curve
    ]
    for name in ("n", "wins", "markets", "pending", "win_rate", "break_even", "needed", "conclusion"):
        assert getattr(by_steps.total, name) == getattr(at_once.total, name)
    assert float(by_steps.realised) == pytest.approx(float(at_once.realised))
    assert float(by_steps.open_cost) == pytest.approx(float(at_once.open_cost))


class TestSources:
    def vote(self, number, side, winner, *, source="Tick", chance=0.8):
        return SourceVote(
            source=source, decision_id=number, event=f"0x{number}", side=side, chance=chance, winner=winner
        )

    def test_right_when_its_direction_won_whatever_was_traded(self):
        """A Down vote in a market that Down won is right, though Up was bought and lost."""
        numbers = found(trade(1, False), votes=[self.vote(1, Outcome.DOWN, Outcome.DOWN, chance=0.2)])

        (source,) = numbers.by_source
        assert (source.n, source.right, source.accuracy, source.expected) == (1, 1, 1.0, 0.2)
        assert (source.backed.n, source.opposed.n) == (0, 1)
        assert source.opposed.pnl == -1

    def test_votes_without_a_trade_count(self):
        """A vote in a market where nothing was bought is evidence, and belongs to no trade."""
        (source,) = found(votes=[self.vote(1, Outcome.UP, Outcome.DOWN)]).by_source

        assert (source.n, source.right, source.backed.n, source.opposed.n) == (1, 0, 0, 0)

    def test_following_the_price_is_not_skill(self):
        """Right 80 % of the time at a price of 80 cents is chance, and 90 % of 4,000 is not."""
        rows = {
            name: [
                self.vote(n, Outcome.UP, Outcome.UP if n % 10 < tenths else Outcome.DOWN, source=name)
                for n in range(4000)
            ]
            for name, tenths in (("follower", 8), ("seer", 9), ("fool", 7))
        }
        follower, fool, seer = found(votes=[vote for votes in rows.values() for vote in votes]).by_source

        assert follower.conclusion.startswith("Not distinguishable from chance")
        assert seer.conclusion.startswith("Right more often")
        assert fool.conclusion.startswith("Right less often")

    def test_replays_are_no_new_evidence(self):
        """A thousand votes on one event are one observation: the interval stays wide."""
        votes = [
            msgspec.structs.replace(self.vote(n, Outcome.UP, Outcome.UP), event="same") for n in range(1000)
        ]
        (source,) = found(votes=votes).by_source

        assert (source.n, source.markets) == (1000, 1)
        assert source.low < 0.25
        assert source.conclusion.startswith("Not distinguishable from chance: 1 of")


class TestTracker:
    @pytest.fixture(autouse=True)
    def fresh(self):
        reset_performance_tracker()
        yield
        reset_performance_tracker()

    def test_one_a_process(self):
        """Every caller gets the same tracker, and a trade that is added twice counts once."""
        tracker = get_performance_tracker(THOUSAND)
        tracker.put(trade(1, True))
        tracker.put(trade(1, False))

        assert get_performance_tracker() is tracker
        assert get_performance_tracker(THOUSAND).performance().realised == -1

    def test_settings_that_would_have_no_effect(self):
        """Another starting balance later is an error."""
        get_performance_tracker(THOUSAND)
        with pytest.raises(Fatal, match="PerformanceTracker already exists with other settings"):
            get_performance_tracker(Decimal(5))


def test_the_edge_counts_an_event_once_and_settlements_in_order():
    """Repeats of an event are left out, and the interval is that of the settlements in their order."""
    trades = [trade(1, True), trade(2, False), trade(3, True, settled=1), trade(4, None)]
    again = msgspec.structs.replace(trade(5, False), condition_id="0x1")
    in_order = [(1.0, 0.8), (1.0, 0.8), (0.0, 0.8)]
    assert found(*trades, again).edge == confidence_sequence(in_order)
    assert found(trade(4, None)).edge is None


def test_the_edge_as_text():
    """The interval in points, the markets, and what it means."""
    thirty = dict(performance_lines(found(*(trade(number, True, "0.50") for number in range(1, 31)))))
    assert thirty["Edge"] == (
        "+24.9 to +75.1 points of win rate over break-even after 30 markets; a 95 % interval for a test that"
        " is looked at after every market: it excludes zero"
    )
    one = dict(performance_lines(found(trade(1, True, "0.50"))))
    assert one["Edge"].startswith("-100.0 to +100.0 points of win rate over break-even after 1 market;")
    assert one["Edge"].endswith("not distinguishable from zero")
