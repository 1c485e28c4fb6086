"""Builders of numbered objects for ledger tests, so that a test names only what it tests."""

from decimal import Decimal
from itertools import count

from execution.ledger import LedgerReader
from execution.ledger.rows import Mode, Venue
from execution.ledger.writer import Ledger
from execution.order_records import OrderEntry
from models import (
    Book,
    BrainParams,
    Decision,
    DecisionContext,
    Direction,
    Fill,
    FusedSignal,
    Level,
    Market,
    OrderIntent,
    OrderState,
    Outcome,
    ProtocolVersion,
    Reason,
    Rule,
    Settlement,
    SignalType,
    Strength,
    Tick,
    TradingSignal,
    Vote,
)

NOON_NS = 1_790_596_800 * 10**9
"""2026-09-28 12:00 UTC."""
PARAMS = BrainParams(
    weights={"TickVelocity": 0.25},
    window_start=780,
    window_end=840,
    trend_up=Decimal("0.6"),
    trend_down=Decimal("0.4"),
    require_agreement=True,
    min_edge=None,
    fusion_min_signals=1,
    fusion_min_score=40,
    position_size_usd=Decimal("1.00"),
    max_entry_price=Decimal("0.99"),
    max_slippage=Decimal("0.02"),
    max_quote_age_s=10,
    spike_threshold=0.05,
    spike_lookback=20,
    sentiment_fear=25,
    sentiment_greed=75,
    divergence_threshold=0.05,
    orderbook_imbalance_threshold=0.3,
    orderbook_min_volume=50,
    tick_velocity_60s=0.015,
    tick_velocity_30s=0.01,
    deribit_bullish_pcr=1.2,
    deribit_bearish_pcr=0.7,
)


def clock(start_ns: int = NOON_NS):
    """A machine clock that advances one second per reading."""
    seconds = count()
    return lambda: start_ns + next(seconds) * 10**9


def open_ledger(
    path,
    *,
    mode=Mode.SIMULATION,
    venue=Venue.RECORDED,
    cash="1000",
    session="",
    note="",
    clock_speed=15,
    clock_ns=None,
):
    """A ledger with a run in progress; without `clock_ns` its own clock moves with each row."""
    ledger = Ledger(path, clock_ns or clock())
    ledger.open_run(
        mode=mode,
        venue=venue,
        clock_speed=clock_speed,
        starting_cash=Decimal(cash),
        session=session,
        note=note,
    )
    return ledger


def open_with_reader(path, **run):
    """A ledger with a run in progress and its reader; `run` as for `open_ledger`."""
    return open_ledger(path, **run), LedgerReader(path)


def market(number=1, **changes):
    start = 1_790_596_800 + 900 * number
    fields = {
        "slug": f"btc-updown-15m-{start}",
        "start": start,
        "interval": 900,
        "condition_id": f"0xc{number}",
        "up_token": f"{number}1",
        "down_token": f"{number}2",
        "fee_rate": Decimal("0.07"),
        "tick": Decimal("0.01"),
        "rule": Rule.TWAP60,
        "title": "Bitcoin Up or Down",
    }
    return Market(**fields | changes)


def v2_market(number=1):
    """The same market in Protocol V2, with position ids."""
    first = (1 << 248) + (number << 104)
    return market(number, up_token=str(first), down_token=str(first + 1), version=ProtocolVersion.V2)


def decision(number=1, *, outcome=Outcome.UP, reason=None, ask="0.90", history=3, now_ns=None):
    book = Book(
        bids=(Level(price=Decimal("0.89"), size=Decimal(120)),),
        asks=(Level(price=Decimal("0.90"), size=Decimal(80)),),
        ts_ns=NOON_NS,
    )
    signal = TradingSignal(
        source="TickVelocity",
        signal_type=SignalType.MOMENTUM,
        direction=Direction.BULLISH,
        strength=Strength.STRONG,
        confidence=0.75,
        current_price=Decimal("0.895"),
        metadata={"velocity_60s": 0.031},
    )
    return Decision(
        context=DecisionContext(
            market=market(number),
            second=790.5,
            now_ns=NOON_NS + number if now_ns is None else now_ns,
            p=Decimal("0.895"),
            history=tuple(Decimal("0.8") + Decimal(i % 90) / 1000 for i in range(history)),
            ticks=tuple(Tick(second=i, price=Decimal("0.8")) for i in range(history)),
            up_book=book,
            down_book=book,
            absent={"coinbase": "timeout"},
        ),
        params=PARAMS,
        votes=(Vote(source="TickVelocity", weight=0.25, signal=signal),),
        fused=FusedSignal(
            direction=Direction.BULLISH,
            score=61.5,
            confidence=0.72,
            bullish=0.14,
            bearish=0,
            signals=1,
            weight=0.25,
        ),
        outcome=outcome,
        reason=reason,
        detail="" if reason is None else "said so",
        ask=None if ask is None else Decimal(ask),
        price_cap=None if ask is None else Decimal(ask) + Decimal("0.02"),
        fair=0.91,
        edge=0.004,
    )


def refusal(number=1, reason=Reason.NO_ASK, **changes):
    return decision(number, reason=reason, ask=None, **changes)


def intent(decision_id, number=1, *, attempt=1, outcome=Outcome.UP, usd="1.00", created_ns=None):
    return OrderIntent(
        intent_id=f"i{number}-{attempt}",
        decision_id=decision_id,
        slug=market(number).slug,
        condition_id=market(number).condition_id,
        token_id=market(number).token(outcome),
        outcome=outcome,
        usd=Decimal(usd),
        ask=Decimal("0.90"),
        price_cap=Decimal("0.92"),
        attempt=attempt,
        created_ns=NOON_NS + number * 10**9 if created_ns is None else created_ns,
    )


def fill(number=1, part=1, *, attempt=1, outcome=Outcome.UP, shares="1.1", price="0.9", fee="0.00693"):
    return Fill(
        trade_id=f"t{number}-{part}",
        order_id=f"0xo{number}-{attempt}",
        intent_id=f"i{number}-{attempt}",
        slug=market(number).slug,
        outcome=outcome,
        shares=Decimal(shares),
        price=Decimal(price),
        fee=Decimal(fee),
        ts_ns=NOON_NS + number * 10**9 + part,
    )


def settlement(number=1, outcome=Outcome.UP, settled_ns=NOON_NS + 900 * 10**9):
    return Settlement(slug=market(number).slug, outcome=outcome, source="gamma", settled_ns=settled_ns)


def intend(ledger, number=1, *, attempt=1):
    """Decide and store an intent, as ledgers of the first version did before the order was signed."""
    wanted = intent(0, number, attempt=attempt)
    ledger.write([OrderEntry(decision(number), wanted, None, OrderState.INTENT)])
    return wanted.intent_id


def send(ledger, number=1, *, attempt=1, outcome=Outcome.UP, **changes):
    """Decide, store an intent and send; returns the intent's id."""
    wanted = intent(0, number, attempt=attempt, outcome=outcome, **changes)
    made = decision(number, outcome=outcome)
    ledger.write([OrderEntry(made, wanted, f"0xo{number}-{attempt}", OrderState.SENT)])
    return wanted.intent_id


def buy(ledger, number=1, *, outcome=Outcome.UP, created_ns=None, **changes):
    """A whole matched order with one fill; return the intent's id."""
    intent_id = send(ledger, number, outcome=outcome, created_ns=created_ns)
    ledger.record_fill(fill(number, outcome=outcome, **changes))
    ledger.record_state(intent_id, OrderState.MATCHED)
    return intent_id
