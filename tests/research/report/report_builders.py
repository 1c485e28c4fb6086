"""Builders of settled trades for the report's tests."""

from decimal import Decimal

from execution.ledger import TradeRow
from models import OrderState, Outcome, Rule

NOON_NS = 1_790_596_800 * 10**9
FEE_RATE = Decimal("0.07")


def trade(number=1, won=True, *, price="0.80", ask=None, market=None, **changes):
    """A settled trade of ten shares in a market of its own."""
    paid, shares = Decimal(price), Decimal(10)
    fee = shares * FEE_RATE * paid * (1 - paid)
    payout = shares if won else Decimal(0)
    fields = {
        "intent_id": f"i{number:06}",
        "decision_id": number,
        "run_id": 1,
        "session": "",
        "slug": f"btc-updown-15m-{number}",
        "condition_id": f"0xc{number if market is None else market}",
        "market_start": 1_790_596_800 + 900 * number,
        "market_end": 1_790_597_700 + 900 * number,
        "side": Outcome.UP,
        "state": OrderState.MATCHED,
        "created_ns": NOON_NS + number * 900 * 10**9,
        "filled_ns": NOON_NS + number * 900 * 10**9,
        "usd": shares * paid,
        "ask": Decimal(price if ask is None else ask),
        "price_cap": Decimal("0.99"),
        "shares": shares,
        "cost": shares * paid,
        "fee": fee,
        "p": paid,
        "fair": None,
        "edge": None,
        "score": 80.0,
        "confidence": 0.7,
        "rule": Rule.TWAP60,
        "winner": Outcome.UP if won else Outcome.DOWN,
        "settled_ns": NOON_NS + (number + 1) * 900 * 10**9,
        "payout": payout,
        "pnl": payout - shares * paid - fee,
    }
    return TradeRow(**fields | changes)


def trades(won, count, **changes):
    """`count` trades, of which the first `won` were won."""
    return [trade(number, number <= won, **changes) for number in range(1, count + 1)]
