"""What a group of markets takes over: the figures of any split of a run are those of the whole run."""

from decimal import Decimal

import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.risk_engine import GroupState, RiskLimits, RiskState
from models import Series
from research.backtest.carry import BalanceCheck, Carry, MarketResult, RiskCheck, still_valid, with_carry

SLUG = "btc-updown-15m-900"
BTC_15M = Series(asset="btc", timeframe="15m")
DAY_NS = 86_400 * 10**9
START = Decimal(1000)
LIMITS = RiskLimits(
    max_position_size=Decimal(1),
    max_total_exposure=Decimal(10),
    max_positions=3,
    max_loss_per_day=Decimal(5),
    max_drawdown_pct=Decimal("0.1"),
    max_loss_per_day_per_series=Decimal(4),
)


def state(results: list[tuple[int, int]], start: Decimal, now_ns: int) -> RiskState:
    """The figures of an account by these results, computed directly."""
    balances = [start]
    for _, cents in results:
        balances.append(balances[-1] + Decimal(cents) / 100)
    today = [Decimal(cents) / 100 for at, cents in results if at // DAY_NS == now_ns // DAY_NS]
    day_pnl = sum(today, Decimal(0))
    return RiskState(
        balance=balances[-1],
        peak_balance=max(balances),
        day_pnl=day_pnl,
        series={BTC_15M: GroupState(day_pnl=day_pnl)},
    )


@settings(max_examples=examples(300))
@given(
    st.lists(st.tuples(st.integers(0, 3 * DAY_NS), st.integers(-300, 300)), max_size=12),
    st.lists(st.integers(0, 12), max_size=3),
    st.integers(0, DAY_NS),
)
def test_any_split_gives_the_figures_of_the_whole(results, cuts, later):
    """Balance, peak and P&L of the day after groups of any sizes are those of one group."""
    results = sorted(results)
    carry, parts, last = Carry(cash=START, peak=START), [], 0
    for cut in [*sorted(min(cut, len(results)) for cut in cuts), len(results)]:
        parts.append(results[last:cut])
        last = cut
    for part in parts[:-1]:
        carry = carry.after(
            tuple(MarketResult(settled_ns=at, pnl=Decimal(cents) / 100) for at, cents in part), None
        )
    now_ns = (results[-1][0] if results else 0) + later
    own = state(parts[-1], Decimal(0), now_ns)
    assert with_carry(own, carry, now_ns, SLUG) == state(results, START, now_ns)


@pytest.mark.parametrize(
    ("carry", "valid"),
    [
        (Carry(cash=START, peak=START), True),
        (Carry(cash=Decimal(990), peak=START), True),
        # The loss of the day would be refused in its series, whose limit is lower.
        (Carry(cash=START, peak=START, results=(MarketResult(settled_ns=5, pnl=Decimal(-4)),)), False),
        (Carry(cash=START, peak=START, results=(MarketResult(settled_ns=5, pnl=Decimal(-3)),)), True),
        # The loss of the day would be refused.
        (Carry(cash=START, peak=START, results=(MarketResult(settled_ns=5, pnl=Decimal(-5)),)), False),
        # The drawdown would be refused.
        (Carry(cash=Decimal(890), peak=START), False),
        # The balance is below the order's cost.
        (Carry(cash=Decimal("0.5"), peak=Decimal("0.5")), False),
        (Carry(cash=START, peak=START, halted="a halt"), False),
    ],
)
def test_a_group_is_played_again_if_a_check_would_change(carry, valid):
    """Loss of the day, drawdown, balance and halt of the groups before decide, and nothing else."""
    own = RiskState(balance=Decimal(0), peak_balance=Decimal(0))
    risk = (RiskCheck(at_ns=10, slug=SLUG, stake=Decimal(1), own=own, refused=None),)
    balances = (BalanceCheck(own=Decimal(0), needed=Decimal(1), enough=True),)
    assert still_valid(risk, balances, LIMITS, carry) is valid
