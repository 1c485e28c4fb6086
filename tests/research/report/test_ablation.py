"""Decisions repeated without one processor: trades that are dropped, added, kept, or unknown."""

from decimal import Decimal

import msgspec
import pytest
from brain_builders import NOW_NS, book, context, market, params
from report_builders import trade

from core.strategy_brain.strategies.decide import decide
from models import Outcome, Reason, Tick
from research.report.ablation import DecidedMarket, RecordedDecision, ablations

IMBALANCE, VELOCITY = "OrderBookImbalance", "TickVelocity"
FALLING = tuple(Tick(second=700.0 + n, price=Decimal("0.90") - Decimal(n) / 1000) for n in range(101))
"""Ticks down to 0.80: a bearish velocity, against the book of the default context."""
RISING = tuple(Tick(second=700.0 + n, price=Decimal("0.70") + Decimal(n) / 1000) for n in range(101))
NO_ASK = {"up_book": book(bids=(("0.79", "400"),))}


def recorded(number=1, *, fill=None, reason=None, **changes):
    """A decision of the brain in a context; `reason` is one that a step outside of the brain gave."""
    decision = decide(context(**changes), params())
    if reason is not None:
        decision = msgspec.structs.replace(decision, reason=reason)
    return RecordedDecision(id=number, decision=decision, trade=fill)


def without(source, *decisions, winner=Outcome.UP):
    (found,) = [
        each
        for each in ablations([DecidedMarket(decisions=decisions, winner=winner)])
        if each.source == source
    ]
    return found


def counts(found):
    return (found.voted, found.dropped, found.added, found.unknown)


def test_the_only_vote_is_needed():
    """Without the one source that voted there is no signal: its trade is dropped with its P&L."""
    own = trade(1, won=False, price="0.81")
    decision = recorded(fill=own)
    assert [vote.source for vote in decision.decision.votes if vote.signal] == [IMBALANCE]

    found = without(IMBALANCE, decision)
    assert counts(found) == (1, 1, 0, 0)
    assert found.without is None
    assert found.difference.mean == -float(own.pnl)
    assert not found.measured


def test_a_second_vote_keeps_the_trade():
    """Two sources agree: without either of them the same trade remains, and nothing changes."""
    own = trade(1, price="0.81")
    decision = recorded(fill=own, ticks=RISING)

    for source in (IMBALANCE, VELOCITY):
        found = without(source, decision)
        assert counts(found) == (1, 0, 0, 0)
        assert found.without.numbers.pnl == own.pnl
        assert found.difference.mean == 0


def test_a_source_without_a_vote_changes_nothing():
    """An abstention has no part in the decision."""
    assert counts(without("DeribitPCR", recorded(fill=trade(1)))) == (0, 0, 0, 0)


@pytest.mark.parametrize(("winner", "pnl"), [(Outcome.UP, "0.221268"), (Outcome.DOWN, "-1.013299")])
def test_a_prevented_trade_is_added(winner, pnl):
    """A falling price contradicts the book. Without it 1 pUSD buys 1.234567 shares at the ask of 0.81, for
    0.999999 with a fee of 0.0133."""
    decision = recorded(ticks=FALLING)
    assert decision.decision.reason is Reason.LOW_SCORE

    found = without(VELOCITY, decision, winner=winner)
    assert counts(found) == (1, 0, 1, 0)
    assert found.without.numbers.pnl == Decimal(pnl)
    assert found.difference.mean == float(pnl)
    assert (found.without.ask, found.without.numbers.mean_price) == pytest.approx((0.81, 0.81))


def test_the_result_after_the_last_context_is_unknown():
    """Without the contradiction the market would be tried again, as there is no ask: nothing was recorded."""
    decision = recorded(ticks=FALLING, **NO_ASK)
    assert decision.decision.reason is Reason.LOW_SCORE
    assert counts(without(VELOCITY, decision)) == (1, 0, 0, 1)


def test_a_window_without_an_ask_is_known():
    """All contexts of the window were recorded, and none had an ask: no trade, with or without."""
    every = [recorded(number, ticks=RISING, **NO_ASK) for number in range(3)]
    assert {each.decision.reason for each in every} == {Reason.NO_ASK}
    assert counts(without(VELOCITY, *every)) == (1, 0, 0, 0)


def test_an_order_without_a_fill_is_tried_again():
    """The trade belongs to the second order: without the source that only the second needed, it is
    dropped."""
    own = trade(2, price="0.81")
    first, second = recorded(1, ticks=RISING), recorded(2, fill=own)

    assert counts(without(VELOCITY, first, second)) == (1, 0, 0, 0)
    assert counts(without(IMBALANCE, first, second)) == (1, 1, 0, 0)
    assert counts(without(VELOCITY, first)) == (1, 0, 0, 0)


def test_a_risk_limit_stays():
    """A decision that the risk limits refused is not taken again."""
    assert counts(without(VELOCITY, recorded(reason=Reason.RISK, ticks=RISING))) == (1, 0, 0, 0)


def test_enough_markets_have_an_interval():
    """Ten markets that lose their trade of the same P&L: the sum is certain, and it has an interval."""
    own = trade(1, price="0.81")
    markets = [
        DecidedMarket(
            decisions=(recorded(n, fill=own, market=market(slug=f"m-{n}"), now_ns=NOW_NS),), winner=Outcome.UP
        )
        for n in range(10)
    ]
    (found,) = [each for each in ablations(markets) if each.source == IMBALANCE]
    assert (found.dropped, found.measured) == (10, True)
    assert found.difference.low == found.difference.high == pytest.approx(-10 * float(own.pnl))
