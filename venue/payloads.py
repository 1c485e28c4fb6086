"""The venue's JSON for orders and trades, on the user feed and in REST answers."""

from typing import Any

from venue.amounts import decimal_text, price_text
from venue.clock import SECOND
from venue.records import FINAL_TRADE, VenueOrder, VenueTrade

Wire = dict[str, Any]


def seconds(ns: int) -> str:
    return str(ns // SECOND)


def milliseconds(ns: int) -> str:
    return str(ns // 1_000_000)


def open_order(order: VenueOrder, trade_ids: list[str]) -> Wire:
    """An order in the format of `/data/order` and `/data/orders`."""
    return {
        "id": order.id,
        "status": order.status,
        "owner": order.owner,
        "maker_address": order.wallet,
        "market": order.condition_id,
        "asset_id": order.token,
        "side": order.side,
        "original_size": decimal_text(order.original_shares),
        "size_matched": decimal_text(order.matched_shares),
        "price": price_text(order.price),
        "outcome": order.outcome,
        "expiration": str(order.expiration),
        "order_type": order.kind,
        "associate_trades": trade_ids,
        "created_at": order.created_ns // SECOND,
    }


def order_event(order: VenueOrder, kind: str, trade_ids: list[str], now_ns: int, status: str = "") -> Wire:
    """An order's PLACEMENT, UPDATE or CANCELLATION on the user feed."""
    return {
        **open_order(order, trade_ids),
        "event_type": "order",
        "type": kind,
        "status": status or order.status,
        "order_owner": order.owner,
        "created_at": seconds(order.created_ns),
        "timestamp": milliseconds(now_ns),
    }


def trade(record: VenueTrade) -> Wire:
    """A trade in the format of `/data/trades` for one of its accounts.

    The outer fields describe the taker's order; a maker's own part is in `maker_orders`.
    """
    own = {
        "order_id": record.order_id,
        "maker_address": record.wallet,
        "owner": record.owner,
        "asset_id": record.token,
        "outcome": record.outcome,
        "side": record.side,
        "price": price_text(record.price),
    }
    other = {
        "order_id": record.other.order_id,
        "maker_address": record.other.wallet,
        "owner": record.other.owner,
        "asset_id": record.other.token,
        "outcome": record.other.outcome,
        "side": record.other.side,
        "price": price_text(record.other_price),
    }
    taker, maker = (own, other) if record.role == "TAKER" else (other, own)
    size = decimal_text(record.shares)
    return {
        "id": record.id,
        "taker_order_id": taker["order_id"],
        "market": record.condition_id,
        "asset_id": taker["asset_id"],
        "side": taker["side"],
        "size": size,
        "fee_rate_bps": "0",
        "price": taker["price"],
        "status": record.status,
        "match_time": seconds(record.match_ns),
        "last_update": seconds(record.update_ns),
        "outcome": taker["outcome"],
        "bucket_index": 0,
        "owner": record.owner,
        "maker_address": record.wallet,
        "transaction_hash": record.transaction_hash,
        "trader_side": record.role,
        "type": "TRADE",
        "maker_orders": [{**maker, "matched_amount": size, "fee_rate_bps": "0"}],
    }


def trade_event(record: VenueTrade, status: str, now_ns: int) -> Wire:
    """A trade's state change on the user feed. The hash is present once the trade is mined."""
    known = status == "MINED" or status in FINAL_TRADE
    return {
        **trade(record),
        "event_type": "trade",
        "status": status,
        "trade_owner": record.owner,
        "timestamp": milliseconds(now_ns),
        "transaction_hash": record.transaction_hash if known else "",
    }


def answer(
    order_id: str,
    status: str,
    *,
    making: str = "",
    taking: str = "",
    trade_ids: list[str] | None = None,
    success: bool = True,
    error: str = "",
) -> Wire:
    """The body of a POST /order answer. Hashes are never inline: trades are mined after the answer."""
    return {
        "errorMsg": error,
        "makingAmount": making,
        "orderID": order_id,
        "status": status,
        "success": success,
        "takingAmount": taking,
        "tradeIDs": trade_ids or [],
        "transactionsHashes": [],
    }
