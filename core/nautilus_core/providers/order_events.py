"""Nautilus' order events that both execution clients generate, the venue's and the backtest's."""

from typing import Any

from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.identifiers import TradeId, VenueOrderId
from nautilus_trader.model.objects import Money, Price
from nautilus_trader.model.orders import Order


def order_keys(order: Order) -> dict[str, Any]:
    """The arguments that every event of an order has."""
    return {
        "strategy_id": order.strategy_id,
        "instrument_id": order.instrument_id,
        "client_order_id": order.client_order_id,
    }


def generate_settlement(client: ExecutionClient, order: Order, price: Price, now_ns: int) -> None:
    """Close a position of a resolved market at its payout: bookkeeping, not an order at the venue."""
    name = f"SETTLE-{order.client_order_id.value[-28:]}"
    keys = order_keys(order) | {"venue_order_id": VenueOrderId(name)}
    client.generate_order_submitted(**order_keys(order), ts_event=now_ns)
    client.generate_order_accepted(**keys, ts_event=now_ns)
    client.generate_order_filled(
        **keys,
        venue_position_id=None,
        trade_id=TradeId(name),
        order_side=order.side,
        order_type=order.order_type,
        last_qty=order.quantity,
        last_px=price,
        quote_currency=pUSD,
        commission=Money(0, pUSD),
        liquidity_side=LiquiditySide.NO_LIQUIDITY_SIDE,
        ts_event=now_ns,
    )
