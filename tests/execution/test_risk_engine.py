"""Each risk limit applies to the last digit, with fees, and the same after a restart.

A limit is the maximum: an order that leads to exactly the limit is sent, one beyond it is not.
"""

from decimal import Decimal

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, open_ledger, send, settlement

from execution.ledger import LedgerReader
from execution.risk_engine import (
    GroupState,
    RiskEngine,
    RiskLimits,
    RiskState,
    get_risk_engine,
    refusal,
    reset_risk_engine,
)
from models import OrderState, Outcome, Series

MIDNIGHT_NS = NOON_NS - 12 * 3600 * 10**9
TOMORROW_NS = MIDNIGHT_NS + 24 * 3600 * 10**9
STAKE = Decimal("1.08")
"""pUSD of the order in question, its fee included."""
WIDE = {
    "max_position_size": Decimal(1000),
    "max_total_exposure": Decimal(1000),
    "max_positions": 1000,
    "max_loss_per_day": Decimal(1000),
    "max_drawdown_pct": Decimal(1),
}
"""Limits that are not reached, so that each row tests one limit."""


def trade_a_day(ledger) -> None:
    """Write a past to the ledger; each purchase is 1.1 shares at 0.90 with a fee of $0.00693: $0.99693.

    Yesterday: one market lost. Today: one lost, one won (1.1 − 0.99693 = $0.10307), one open, and an order
    of $1.00 without an answer, which at worst costs its dollar and 7 % of fee.
    """
    for number, outcome, settled_ns in (
        (1, Outcome.DOWN, MIDNIGHT_NS - 1),
        (2, Outcome.DOWN, MIDNIGHT_NS),
        (3, Outcome.UP, NOON_NS),
    ):
        buy(ledger, number)
        ledger.record_settlement(settlement(number, outcome, settled_ns))
    buy(ledger, 4)
    ledger.record_state(send(ledger, 5), OrderState.UNKNOWN)


@pytest.fixture(scope="module", params=["same process", "after a restart"])
def reader(request, tmp_path_factory):
    """The ledger of that day, read by the process that wrote it or by a later one."""
    path = tmp_path_factory.mktemp("risk") / "ledger.sqlite"
    ledger = open_ledger(path, cash="10")
    trade_a_day(ledger)
    if request.param == "after a restart":
        ledger.close()
        # 10 less four purchases; the payout has not arrived, and the venue has not executed the unknown
        # order.
        ledger = open_ledger(path, cash="6.01228")
    with ledger, LedgerReader(path) as reader:
        yield reader


ROWS = {
    # limit: the value with the order, the same limit a step above that, and a step below it
    "max_position_size": (
        Decimal("1.00"),  # and 8 % for the fee: 1.08
        Decimal("1.01"),
        Decimal("0.99"),
        "stake $1.08 is above MAX_POSITION_SIZE ($0.99)",
    ),
    "max_positions": (3, 4, 2, "2 positions are open, MAX_POSITIONS is 2"),
    "max_total_exposure": (
        Decimal("3.14693"),  # 0.99693 open + 1.07 unknown + 1.08
        Decimal("3.14694"),
        Decimal("3.14692"),
        "exposure $2.066930 with $1.08 more would exceed MAX_TOTAL_EXPOSURE ($3.14692)",
    ),
    "max_loss_per_day": (
        Decimal("4.04079"),  # 0.99693 lost − 0.10307 won + 3.14693 as above
        Decimal("4.04080"),
        Decimal("4.04078"),
        "this UTC day could end at $-4.040790 (settled $-0.893860, open $2.066930, this $1.08),"
        " MAX_LOSS_PER_DAY is $4.04078",
    ),
    "max_drawdown_pct": (
        Decimal("0.189079"),  # 10 − 2 × 0.99693 + 0.10307 = 8.10921 of 10
        Decimal("0.189080"),
        Decimal("0.189078"),
        "balance $8.109210 is 18.9% below its peak $10, MAX_DRAWDOWN_PCT is 18.9078%",
    ),
}


def answer(reader, now_ns=NOON_NS, stake=STAKE, **limits) -> str | None:
    return RiskEngine(RiskLimits(**WIDE | limits)).refusal(reader, stake, now_ns)


@pytest.mark.parametrize("limit", ROWS)
@pytest.mark.parametrize("reaches", ["below", "at", "above"])
def test_limit(reader, limit, reaches):
    """The value with the order may be below or at a limit, not above it; the message has the figures."""
    exact, higher, lower, message = ROWS[limit]
    allowed = {"below": higher, "at": exact, "above": lower}[reaches]
    assert answer(reader, **{limit: allowed}) == (message if reaches == "above" else None)


def test_nothing_stands_against_an_order_within_all_limits(reader):
    """At all five limits at once an order is allowed."""
    assert answer(reader, **{limit: exact for limit, (exact, *_) in ROWS.items()}) is None


def test_the_first_limit_in_the_documented_order_is_named(reader):
    """With all limits exceeded the messages come in the order size, count, exposure, day loss, drawdown."""
    limits = {limit: lower for limit, (_, _, lower, _) in ROWS.items()}
    for limit, (*_, message) in ROWS.items():
        assert answer(reader, **limits) == message
        del limits[limit]
    assert answer(reader, **limits) is None


@pytest.mark.parametrize(
    ("now_ns", "limit", "allowed"),
    [
        (TOMORROW_NS - 1, "4.04079", True),
        (TOMORROW_NS - 1, "4.04078", False),
        (TOMORROW_NS, "3.14693", True),
        (TOMORROW_NS, "3.14692", False),
    ],
)
def test_the_loss_of_a_day_ends_at_midnight_utc(reader, now_ns, limit, allowed):
    """Settled losses count until the day ends; open positions count on the next day too."""
    assert (answer(reader, now_ns, max_loss_per_day=Decimal(limit)) is None) is allowed


def test_a_settled_position_is_open_no_more(tmp_path):
    """A result removes a market from exposure and count, and adds its P&L to the balance."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path, cash="10") as ledger, LedgerReader(path) as reader:
        buy(ledger, 1)
        assert answer(reader, max_positions=1) == "1 positions are open, MAX_POSITIONS is 1"
        assert answer(reader, max_total_exposure=Decimal(2)) is not None
        assert answer(reader, max_drawdown_pct=Decimal("0.01")) is None  # an open stake counts at cost
        ledger.record_settlement(settlement(1, Outcome.DOWN, NOON_NS))
        assert answer(reader, max_positions=1) is None
        assert answer(reader, max_total_exposure=Decimal(2)) is None
        assert answer(reader, max_drawdown_pct=Decimal("0.01")) == (
            "balance $9.003070 is 10.0% below its peak $10, MAX_DRAWDOWN_PCT is 1%"
        )


def test_a_drawdown_is_measured_from_the_highest_balance(tmp_path):
    """A loss after a win counts from the win's balance, not from the starting cash."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path, cash="10") as ledger, LedgerReader(path) as reader:
        for number, outcome in ((1, Outcome.UP), (2, Outcome.DOWN)):
            buy(ledger, number)
            ledger.record_settlement(settlement(number, outcome, NOON_NS + number))
        assert answer(reader, max_drawdown_pct=Decimal("0.0986")) == (
            "balance $9.106140 is 9.9% below its peak $10.103070, MAX_DRAWDOWN_PCT is 9.86%"
        )
        assert answer(reader, max_drawdown_pct=Decimal("0.0987")) is None


@pytest.mark.parametrize(("step", "allowed"), [("0", True), ("0.00001", False)])
def test_a_new_account_has_nothing_open(step, allowed):
    """Without a past only the first order is compared with exposure, count and day loss."""
    limit = STAKE - Decimal(step)
    limits = WIDE | {"max_total_exposure": limit, "max_loss_per_day": limit, "max_positions": 1}
    new = RiskState(balance=Decimal(10), peak_balance=Decimal(10))
    assert (refusal(RiskLimits(**limits), new, STAKE) is None) is allowed


def test_an_account_that_never_had_money_has_no_drawdown():
    """A peak of zero is no division by zero; the other limits and the venue's balance still apply."""
    nothing = RiskState(balance=Decimal(0), peak_balance=Decimal(0))
    assert refusal(RiskLimits(**WIDE | {"max_drawdown_pct": Decimal("0.01")}), nothing, STAKE) is None


def test_a_peak_of_a_cent_is_a_peak():
    """However small the account is, the loss of half of it is a drawdown of 50 %."""
    state = RiskState(balance=Decimal("0.005"), peak_balance=Decimal("0.01"))
    limits = RiskLimits(**WIDE | {"max_drawdown_pct": Decimal("0.49")})
    assert refusal(limits, state, STAKE) == (
        "balance $0.005 is 50.0% below its peak $0.01, MAX_DRAWDOWN_PCT is 49%"
    )


def test_a_process_has_one_risk_engine():
    """The first call's limits apply until the engine is reset."""
    try:
        first = get_risk_engine(RiskLimits(**WIDE))
        assert isinstance(first, RiskEngine)
        assert get_risk_engine() is first
        assert reset_risk_engine() is first
        assert get_risk_engine(RiskLimits(**WIDE)) is not first
    finally:
        reset_risk_engine()


BALANCE = RiskState(balance=Decimal(100), peak_balance=Decimal(100))
OPEN = {
    Series(asset="btc", timeframe="5m"): GroupState(exposure=Decimal(2), positions=2, day_pnl=Decimal(-1)),
    Series(asset="btc", timeframe="15m"): GroupState(exposure=Decimal(1), positions=1),
    Series(asset="eth", timeframe="5m"): GroupState(exposure=Decimal(4), positions=4),
}
"""Three positions in btc and four in eth."""
BTC_5M = "btc-updown-5m-1790596800"
GROUP_ROWS = {
    # limit: the value with the order, the same limit a step below it, and the refusal
    "max_positions_per_asset": (4, 3, "3 positions of btc are open, MAX_POSITIONS_PER_ASSET is 3"),
    "max_exposure_per_asset": (
        Decimal("4.08"),
        Decimal("4.07"),
        "exposure $3 of btc with $1.08 more would exceed MAX_EXPOSURE_PER_ASSET ($4.07)",
    ),
    "max_positions_per_series": (3, 2, "2 positions of btc-5m are open, MAX_POSITIONS_PER_SERIES is 2"),
    "max_exposure_per_series": (
        Decimal("3.08"),
        Decimal("3.07"),
        "exposure $2 of btc-5m with $1.08 more would exceed MAX_EXPOSURE_PER_SERIES ($3.07)",
    ),
    "max_loss_per_day_per_series": (
        Decimal("4.08"),
        Decimal("4.07"),
        "this UTC day could end at $-4.08 for btc-5m (settled $-1, open $2, this $1.08),"
        " MAX_LOSS_PER_DAY_PER_SERIES is $4.07",
    ),
}


@pytest.mark.parametrize("limit", GROUP_ROWS)
def test_the_limit_of_a_part_of_the_series(limit):
    """An asset counts with all its timeframes, a series alone; positions of another asset do not count."""
    allowed, below, message = GROUP_ROWS[limit]
    state = msgspec.structs.replace(BALANCE, series=OPEN)
    assert refusal(RiskLimits(**WIDE | {limit: allowed}), state, STAKE, BTC_5M) is None
    assert refusal(RiskLimits(**WIDE | {limit: below}), state, STAKE, BTC_5M) == message
    assert refusal(RiskLimits(**WIDE | {limit: below}), state, STAKE, "sol-updown-5m-1790596800") is None


def test_the_series_of_the_ledger_add_up_to_its_figures(reader):
    """All trades of this ledger are of btc-15m: its part has exposure, positions and P&L of all."""
    state = RiskEngine(RiskLimits(**WIDE)).state(reader, NOON_NS)
    btc = Series(asset="btc", timeframe="15m")
    assert state.series == {
        btc: GroupState(exposure=Decimal("2.066930"), positions=2, day_pnl=Decimal("-0.893860"))
    }
    assert (state.exposure, state.positions, state.day_pnl) == (
        Decimal("2.066930"),
        2,
        Decimal("-0.893860"),
    )
    limits = {"max_positions_per_asset": 2}
    engine = RiskEngine(RiskLimits(**WIDE | limits))
    assert engine.refusal(reader, STAKE, NOON_NS, BTC_5M) is not None
    assert engine.refusal(reader, STAKE, NOON_NS, "eth-updown-5m-1790596800") is None


def test_an_order_that_is_not_in_the_ledger_yet_counts(reader):
    """An order that passed the limits takes its part of them at once, in all and in its series."""
    limits = RiskLimits(**WIDE | {"max_positions": 3})
    state = RiskEngine(limits).state(reader, NOON_NS)
    more = state.with_orders([("eth-updown-5m-1790596800", Decimal("1.07"))])
    assert (more.exposure, more.positions) == (Decimal("3.136930"), 3)
    assert refusal(limits, state, STAKE, BTC_5M) is None
    assert refusal(limits, more, STAKE, BTC_5M) == "3 positions are open, MAX_POSITIONS is 3"
    limits = RiskLimits(**WIDE | {"max_positions_per_series": 1})
    assert refusal(limits, state, STAKE, "eth-updown-5m-1790597100") is None
    assert "1 positions of eth-5m are open" in (
        refusal(limits, more, STAKE, "eth-updown-5m-1790597100") or ""
    )
