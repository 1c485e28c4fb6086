"""Reads the venue's words: an official outcome, and the fills inside a trade message. Pure."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from errors import Temporary
from execution.amounts import amount_of, taker_fee
from models import Fill, Market, OrderIntent, Outcome

NANOS = 1_000_000_000


def gamma_outcome(market: Any) -> Outcome | None:
    """The official outcome in a Gamma market object; None while there is none.

    A market is resolved when it is closed and one outcome's price is exactly 1.
    """
    if not isinstance(market, dict) or market.get("closed") is not True:
        return None
    try:
        names, prices = _listed(market["outcomes"]), _listed(market["outcomePrices"])
        winners = [name for name, price in zip(names, prices, strict=True) if Decimal(str(price)) == 1]
        return Outcome(winners[0]) if len(winners) == 1 else None
    except (KeyError, ValueError, ArithmeticError, TypeError):
        return None


def clob_outcome(market: Any) -> Outcome | None:
    """The official outcome in the CLOB's market object (`tokens[].winner`); None while there is none."""
    if not isinstance(market, dict) or not isinstance(market.get("tokens"), list):
        return None
    winners = [t.get("outcome") for t in market["tokens"] if isinstance(t, dict) and t.get("winner") is True]
    if len(winners) != 1:
        return None
    try:
        return Outcome(winners[0])
    except ValueError:
        return None


def fills_of(trade: Mapping[str, Any], intent: OrderIntent, order_id: str, market: Market) -> list[Fill]:
    """The fills of our taker order in one trade: one a maker leg, so that cost and fee are exact.

    A leg may be of the complement token, at one minus our price (two BUYs mint a pair of shares).
    A trade without legs is one fill at its own size and price.

    Raises
    ------
    Temporary
        If the trade cannot be read; it is asked for again.
    """
    try:
        legs = [_leg(leg, intent.token_id) for leg in trade.get("maker_orders") or []]
        if not legs:
            legs = [(amount_of(trade["size"]), amount_of(trade["price"]))]
        trade_id, at = str(trade["id"]), int(trade["match_time"]) * NANOS
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Temporary(f"a trade of order {order_id} cannot be read: {error!r}") from None
    return [
        Fill(
            trade_id=f"{trade_id}#{number}",
            order_id=order_id,
            intent_id=intent.intent_id,
            slug=market.slug,
            outcome=intent.outcome,
            shares=shares,
            price=price,
            fee=taker_fee(shares, price, market.fee_rate),
            ts_ns=at,
        )
        for number, (shares, price) in enumerate(legs)
    ]


def status_of(trade: Mapping[str, Any]) -> str:
    """A trade's status as the user stream words it; the trades list may put a prefix before it.

    Raises
    ------
    Temporary
        If it has none; it is asked for again.
    """
    if "status" not in trade:
        raise Temporary(f"a trade without a status: {trade.get('id')}")
    return str(trade["status"]).removeprefix("TRADE_STATUS_")


def _leg(leg: Mapping[str, Any], token_id: str) -> tuple[Decimal, Decimal]:
    price = amount_of(leg["price"])
    return amount_of(leg["matched_amount"]), price if leg.get("asset_id") == token_id else 1 - price


def _listed(value: Any) -> list[Any]:
    return json.loads(value) if isinstance(value, str) else list(value)
