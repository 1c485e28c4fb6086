"""The funnel: each market in one stage, each refusal under its name, from a real ledger."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_builders import (
    NOON_NS,
    buy,
    decision,
    fill,
    intend,
    market,
    open_ledger,
    refusal,
    send,
    settlement,
)

from execution.ledger import FillStatus
from models import OrderState, Outcome, Reason
from monitoring.funnel import BEFORE, BUY, STAGES, MarketProgress, Stage, StopReason, funnel
from monitoring.report.reader import ReportReader


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def read(path, since_ns=0):
    with ReportReader(path) as reader:
        return funnel(reader.market_progress(since_ns))


def reached(found):
    return {count.stage: count.markets for count in found.stages}


def stops(found):
    return {name: n for count in found.stages for name, n in count.stopped.items() if n}


def confirmed(ledger, number, **changes):
    buy(ledger, number, **changes)
    ledger.record_fill_status(f"t{number}-1", FillStatus.CONFIRMED)


def test_every_reason_and_stop_has_one_place():
    """No refusal is omitted: each name belongs to exactly one stage."""
    placed = [name for names in BEFORE.values() for name in names]

    assert sorted(placed) == sorted([*Reason, *StopReason])


@pytest.mark.parametrize("reason", list(Reason))
def test_each_refusal_stops_its_market(path, reason):
    """A market refused for any reason is counted under it, and reached the stage before."""
    with open_ledger(path) as ledger:
        ledger.record_decision(refusal(1, reason))
    found = read(path)

    (stage,) = [stage for stage, names in BEFORE.items() if reason in names]
    assert stops(found) == {reason: 1}
    assert [name for name, n in reached(found).items() if n] == list(STAGES[: STAGES.index(stage)])
    assert found.decisions == {name: int(name == reason) for name in (BUY, *Reason)}


def _lost(ledger):
    confirmed(ledger, 1)
    ledger.record_settlement(settlement(1, Outcome.DOWN))


def _won(ledger):
    confirmed(ledger, 1)
    ledger.record_settlement(settlement(1))


def _redeemed(ledger):
    _won(ledger)
    ledger.record_redemption(market(1).slug, Decimal("1.1"))


def _reversed(ledger):
    buy(ledger, 1)
    ledger.record_fill_status("t1-1", FillStatus.FAILED)


def _half_failed(ledger):
    confirmed(ledger, 1)
    ledger.record_fill(fill(1, 2), FillStatus.FAILED)


def _unquoted(ledger):
    ledger.record_market(market(1))
    ledger.record_settlement(settlement(1))


@pytest.mark.parametrize(
    ("story", "stage", "stop"),
    [
        (_unquoted, Stage.SEEN, StopReason.NO_QUOTE),
        (lambda ledger: ledger.record_decision(decision(1)), Stage.RISK_PASSED, StopReason.NOT_SENT),
        (
            intend,
            Stage.ORDERED,
            StopReason.IN_FLIGHT,
        ),
        (send, Stage.ORDERED, StopReason.IN_FLIGHT),
        (
            lambda ledger: ledger.record_state(send(ledger), OrderState.UNKNOWN),
            Stage.ORDERED,
            StopReason.UNKNOWN,
        ),
        (
            lambda ledger: ledger.record_state(send(ledger), OrderState.NO_FILL),
            Stage.ORDERED,
            StopReason.NO_FILL,
        ),
        (
            lambda ledger: ledger.record_state(send(ledger), OrderState.REFUSED),
            Stage.ORDERED,
            StopReason.REFUSED,
        ),
        (_reversed, Stage.MATCHED, StopReason.REVERSED),
        (buy, Stage.MATCHED, StopReason.UNCONFIRMED),
        (
            lambda ledger: ledger.record_state(send(ledger), OrderState.MATCHED),
            Stage.MATCHED,
            StopReason.UNCONFIRMED,
        ),
        (lambda ledger: confirmed(ledger, 1), Stage.CONFIRMED, StopReason.PENDING),
        (_half_failed, Stage.CONFIRMED, StopReason.PENDING),
        (_lost, Stage.SETTLED, StopReason.LOST),
        (_won, Stage.SETTLED, StopReason.TO_REDEEM),
    ],
)
def test_each_stop_after_the_decision(path, story, stage, stop):
    """The rows of a market put it into the right stage, under the right name."""
    with open_ledger(path) as ledger:
        story(ledger)
    found = read(path)

    assert stops(found) == {stop: 1}
    assert [name for name, n in reached(found).items() if n][-1] == stage


def test_all_the_way(path):
    """A market that was won and paid reached every stage, without a stop."""
    with open_ledger(path) as ledger:
        _redeemed(ledger)
    found = read(path)

    assert set(reached(found).values()) == {1}
    assert stops(found) == {}


def test_a_market_tried_again_counts_once_at_its_furthest(path):
    """Refused, tried without a fill, bought with the second order: one market, three decisions, two
    orders."""
    with open_ledger(path) as ledger:
        ledger.record_decision(refusal(1, Reason.NO_ASK))
        ledger.record_state(send(ledger, 1), OrderState.NO_FILL)
        ledger.record_state(send(ledger, 1, attempt=2), OrderState.REFUSED)
        ledger.record_decision(refusal(2, Reason.NO_ASK))
        ledger.record_decision(refusal(2, Reason.STALE_DATA))
    found = read(path)

    assert stops(found) == {StopReason.REFUSED: 1, Reason.NO_ASK: 1}
    assert (found.decisions[BUY], found.decisions[Reason.NO_ASK]) == (2, 2)
    assert (found.orders[OrderState.NO_FILL], found.orders[OrderState.REFUSED]) == (1, 1)


def test_two_fills_are_one_order(path):
    """An order filled in parts is counted once."""
    with open_ledger(path) as ledger:
        buy(ledger, 1)
        ledger.record_fill(fill(1, 2))

    assert read(path).orders[OrderState.MATCHED] == 1


def test_sessions_and_since(path):
    """The same market in a new practice session is another one; `since` excludes earlier ones."""
    for session in ("a", "b"):
        with open_ledger(path, session=session) as ledger:
            ledger.record_decision(refusal(1, now_ns=NOON_NS + (session == "b") * 100))

    assert reached(read(path))[Stage.SEEN] == 2
    assert reached(read(path, NOON_NS + 50))[Stage.SEEN] == 1
    assert reached(read(path, NOON_NS + 101))[Stage.SEEN] == 0


def test_markets_listed_ahead_are_not_seen(path):
    """A market that is only in the calendar does not count as seen."""
    with open_ledger(path) as ledger:
        ledger.record_market(market(1))

    assert reached(read(path))[Stage.SEEN] == 0


REASONS = st.dictionaries(st.sampled_from([BUY, *map(str, Reason)]), st.integers(1, 5))
TRAILS = st.builds(
    lambda decisions, orders, fills, won, redeemed: MarketProgress(
        decisions=decisions,
        latest={name: number for number, name in enumerate(decisions)},
        orders=tuple(orders),
        fills=frozenset(fills),
        won=won,
        redeemed=redeemed,
    ),
    REASONS,
    st.lists(st.sampled_from(list(OrderState)), max_size=3),
    st.sets(st.sampled_from(list(FillStatus))),
    st.sampled_from([None, True, False]),
    st.booleans(),
)


@given(st.lists(TRAILS, max_size=40))
def test_nothing_is_lost_or_counted_twice(market_progress):
    """In every case each stage equals the previous one minus its stops, and every decision is counted."""
    found = funnel(market_progress)

    assert found.stages[0].markets == len(market_progress)
    for before, after in zip(found.stages, found.stages[1:], strict=False):
        assert after.markets == before.markets - sum(after.stopped.values()) >= 0
    assert sum(found.decisions.values()) == sum(
        sum(progress.decisions.values()) for progress in market_progress
    )
    assert sum(found.orders.values()) == sum(len(progress.orders) for progress in market_progress)
