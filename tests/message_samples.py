"""One valid message of each kind that the bot reads, in the venue's format, and their mutations.

`tests/test_message_fuzz.py` compares the fields with what a practice venue sends.
"""

from random import Random
from typing import Any

from hypothesis import strategies as st

from common.bounded_http import parse_json
from venue.mutations import mutated_body

Json = dict[str, Any] | list[Any] | str | int

MARKET, UP, DOWN = "0xc1", "11", "12"
"""Ids of `ledger_builders.market(1)`."""
ORDER_ID = "0x" + "ab" * 32
WALLET = "0x" + "cd" * 20
OWNER = "b1a2c3d4-0000-4000-8000-000000000001"
TRADE_ID = "5f0c6a52-0000-4000-8000-000000000002"
SECONDS, MILLISECONDS = "1790597700", "1790597700123"

_BOOK = {
    "market": MARKET,
    "asset_id": UP,
    "timestamp": MILLISECONDS,
    "hash": "0a1b",
    "bids": [{"price": "0.60", "size": "100"}, {"price": "0.61", "size": "250.5"}],
    "asks": [{"price": "0.65", "size": "200"}, {"price": "0.63", "size": "40"}],
    "min_order_size": "5",
    "tick_size": "0.01",
    "neg_risk": False,
    "last_trade_price": "0.62",
}
_CHANGE = {
    "asset_id": UP,
    "price": "0.62",
    "side": "BUY",
    "size": "30",
    "hash": "0a1c",
    "best_bid": "0.62",
    "best_ask": "0.63",
}
BOOK = {"event_type": "book", **_BOOK}
MARKET_STREAM: dict[str, Json] = {
    "book": BOOK,
    "books": [BOOK, {**BOOK, "asset_id": DOWN}],
    "price_change": {
        "event_type": "price_change",
        "market": MARKET,
        "price_changes": [_CHANGE, {**_CHANGE, "asset_id": DOWN, "side": "SELL", "price": "0.38"}],
        "timestamp": MILLISECONDS,
    },
    "tick_size_change": {
        "event_type": "tick_size_change",
        "market": MARKET,
        "asset_id": UP,
        "old_tick_size": "0.01",
        "new_tick_size": "0.001",
        "timestamp": MILLISECONDS,
    },
    "last_trade_price": {
        "event_type": "last_trade_price",
        "market": MARKET,
        "asset_id": UP,
        "fee_rate_bps": "0",
        "price": "0.63",
        "side": "BUY",
        "size": "1.5",
        "timestamp": MILLISECONDS,
        "transaction_hash": "",
    },
    "best_bid_ask": {
        "event_type": "best_bid_ask",
        "market": MARKET,
        "asset_id": UP,
        "best_bid": "0.62",
        "best_ask": "0.63",
        "spread": "0.01",
        "timestamp": MILLISECONDS,
    },
    "new_market": {
        "event_type": "new_market",
        "id": "1790597700",
        "question": "Bitcoin Up or Down",
        "market": MARKET,
        "slug": "btc-updown-15m-1790597700",
        "assets_ids": [UP, DOWN],
        "outcomes": ["Up", "Down"],
        "timestamp": MILLISECONDS,
    },
    "market_resolved": {
        "event_type": "market_resolved",
        "id": "1790597700",
        "market": MARKET,
        "assets_ids": [UP, DOWN],
        "winning_asset_id": UP,
        "winning_outcome": "Up",
        "timestamp": MILLISECONDS,
    },
}

_LEG = {
    "order_id": "0x" + "ef" * 32,
    "maker_address": WALLET,
    "owner": OWNER,
    "asset_id": UP,
    "outcome": "Up",
    "side": "SELL",
    "price": "0.62",
    "matched_amount": "1.5",
    "fee_rate_bps": "0",
}
TRADE: dict[str, Any] = {
    "id": TRADE_ID,
    "taker_order_id": ORDER_ID,
    "market": MARKET,
    "asset_id": UP,
    "side": "BUY",
    "size": "1.5",
    "fee_rate_bps": "0",
    "price": "0.62",
    "status": "MATCHED",
    "match_time": SECONDS,
    "last_update": SECONDS,
    "outcome": "Up",
    "bucket_index": 0,
    "owner": OWNER,
    "maker_address": WALLET,
    "transaction_hash": "",
    "trader_side": "TAKER",
    "type": "TRADE",
    "maker_orders": [_LEG, {**_LEG, "asset_id": DOWN, "outcome": "Down", "price": "0.37", "side": "BUY"}],
}
ORDER: dict[str, Any] = {
    "id": ORDER_ID,
    "status": "MATCHED",
    "owner": OWNER,
    "maker_address": WALLET,
    "market": MARKET,
    "asset_id": UP,
    "side": "BUY",
    "original_size": "1.6129",
    "size_matched": "1.5",
    "price": "0.62",
    "outcome": "Up",
    "expiration": "0",
    "order_type": "FAK",
    "associate_trades": [TRADE_ID],
    "created_at": int(SECONDS),
}
USER_STREAM: dict[str, Json] = {
    "trade": {**TRADE, "event_type": "trade", "trade_owner": OWNER, "timestamp": MILLISECONDS},
    "order": {
        **ORDER,
        "event_type": "order",
        "type": "UPDATE",
        "order_owner": OWNER,
        "created_at": SECONDS,
        "timestamp": MILLISECONDS,
    },
}

GAMMA: dict[str, Any] = {
    "slug": "btc-updown-15m-1790597700",
    "question": "Bitcoin Up or Down",
    "conditionId": MARKET,
    "outcomes": '["Up", "Down"]',
    "clobTokenIds": f'["{UP}", "{DOWN}"]',
    "outcomePrices": '["1", "0"]',
    "active": True,
    "closed": True,
    "archived": False,
    "acceptingOrders": True,
    "enableOrderBook": True,
    "negRisk": False,
    "version": "v1",
    "orderPriceMinTickSize": 0.01,
    "orderMinSize": 5,
    "umaResolutionStatus": "resolved",
    "feesEnabled": True,
    "feeType": "crypto_fees_v2",
    "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
    "cryptoMarketConfig": {
        "asset": "btc",
        "duration": "15m",
        "twapEnabled": True,
        "twapLookbackSeconds": 60,
    },
    "endDate": "2026-09-28T12:30:00Z",
}
CLOB_MARKET: dict[str, Any] = {
    "condition_id": MARKET,
    "closed": True,
    "market_slug": GAMMA["slug"],
    "minimum_tick_size": 0.01,
    "tokens": [
        {"token_id": UP, "outcome": "Up", "price": 1.0, "winner": True},
        {"token_id": DOWN, "outcome": "Down", "price": 0.0, "winner": False},
    ],
}
CLOB_INFO: dict[str, Any] = {
    "c": MARKET,
    "t": [{"t": UP, "o": "Up"}, {"t": DOWN, "o": "Down"}],
    "mts": 0.01,
    "mos": 5,
    "fd": {"r": 0.07, "e": 1, "to": True},
    "nr": False,
    "itode": True,
}
POSTED: dict[str, Any] = {
    "errorMsg": "",
    "makingAmount": "0.93",
    "orderID": ORDER_ID,
    "status": "matched",
    "success": True,
    "takingAmount": "1.5",
    "tradeIDs": [TRADE_ID],
    "transactionsHashes": [],
}
POSITIONS: dict[str, Any] = {
    "data": [
        {
            "token_id": UP,
            "condition_id": MARKET,
            "current_size": 1.5,
            "current_price": 1.0,
            "redeemable": True,
            "slug": GAMMA["slug"],
            "outcome": "Up",
        }
    ],
    "pagination": {"has_more": False, "next_cursor": None},
}
BALANCE: dict[str, Any] = {"balance": "1000000000", "allowances": {WALLET: str(2**256 - 1)}}
REST: dict[str, Json] = {
    "/time": int(SECONDS),
    "/version": {"version": 2},
    "/auth/derive-api-key": {"apiKey": OWNER, "secret": "c2VjcmV0", "passphrase": "phrase"},
    "/auth/ban-status/closed-only": {"closed_only": False},
    "/balance-allowance": BALANCE,
    "/data/orders": {"data": [ORDER], "next_cursor": "LTE=", "limit": 100, "count": 1},
    "/data/order": ORDER,
    "/data/trades": {"data": [TRADE], "next_cursor": "LTE=", "limit": 100, "count": 1},
    "/order": POSTED,
    "/markets": CLOB_MARKET,
    "/clob-markets": CLOB_INFO,
    "/gamma/markets": [GAMMA],
    "/gamma/markets/keyset": {"markets": [GAMMA]},
    "/data-api/v2/positions": POSITIONS,
    "/api/geoblock": {"blocked": False, "ip": "127.0.0.1", "country": "IE", "region": "L"},
}
"""The answer to each request of the bot to the venue, by path."""


def mutations(sample: Json) -> st.SearchStrategy[bytes]:
    """Bodies with one to three changes of a valid message."""
    return st.randoms(use_true_random=False).map(lambda random: mutated_body(sample, random))


def seeded(sample: Json, seed: str) -> bytes:
    """The mutation of a message for a seed."""
    return mutated_body(sample, Random(seed))


def decoded(body: bytes) -> Any:
    """A body as the bot's clients decode it: JSON, or its text."""
    try:
        return parse_json(body)
    except ValueError:
        return body.decode(errors="replace")
