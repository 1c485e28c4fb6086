"""Looks an order up at the venue: its trades, and whether it ended without a match."""

import asyncio
from typing import Any

from errors import Temporary
from execution.order_messages import LookedUp, LookUp, TradeReported
from execution.polymarket_client import PolymarketClient
from execution.venue_answers import fills_of, status_of
from models import FillStatus, Frozen, Market, OrderIntent


class VenueRecord(Frozen, frozen=True):
    """The venue's answer to a look-up: the lifecycle's input, and the readable trades unchanged."""

    found: LookedUp
    trades: tuple[dict[str, Any], ...]


def read_trade(trade: Any, intent: OrderIntent, market: Market) -> TradeReported:
    """Read one trade message of an order.

    Raises
    ------
    Temporary
        If it cannot be read.
    """
    order_id = str(trade.get("taker_order_id"))
    fills = fills_of(trade, intent, order_id, market)
    return TradeReported(
        order_id=order_id,
        trade_id=fills[0].trade_id.rpartition("#")[0],
        status=FillStatus.__members__.get(status_of(trade), FillStatus.MATCHED),
        fills=tuple(fills),
    )


async def look_up(
    client: PolymarketClient, asked: LookUp, intent: OrderIntent, market: Market
) -> VenueRecord:
    """Read an order's trades from the venue and, without trades, the order itself.

    Raises
    ------
    Temporary
        If the venue does not answer.
    """
    listed = await asyncio.to_thread(client.trades, asked.condition_id, intent.position_id)
    own = [trade for trade in listed if trade.get("taker_order_id") == asked.order_id]
    reported: list[TradeReported] = []
    readable: list[dict[str, Any]] = []
    unreadable: str | None = None
    for trade in own:
        try:
            reported.append(read_trade(trade, intent, market))
            readable.append(trade)
        except Temporary as error:
            unreadable = str(error)
    dead = not own and asked.fate and await asyncio.to_thread(client.killed, asked.order_id)
    found = LookedUp(order_id=asked.order_id, trades=tuple(reported), dead=dead, unreadable=unreadable)
    return VenueRecord(found=found, trades=tuple(readable))
