"""One valid message of each kind that the bot reads, in the venue's format, and their mutations.

`tests/venue/test_message_samples.py` compares fields and types with what a practice venue sends.
"""

import json
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
SLUG, TITLE = "btc-updown-15m-1790597700", "Bitcoin Up or Down"

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
        "id": SECONDS,
        "question": TITLE,
        "market": MARKET,
        "condition_id": MARKET,
        "slug": SLUG,
        "description": "It resolves to Up if the price does not fall.",
        "assets_ids": [UP, DOWN],
        "clob_token_ids": [UP, DOWN],
        "outcomes": ["Up", "Down"],
        "active": True,
        "order_price_min_tick_size": "0.01",
        "timestamp": MILLISECONDS,
        "tags": ["crypto"],
    },
    "market_resolved": {
        "event_type": "market_resolved",
        "id": SECONDS,
        "market": MARKET,
        "assets_ids": [UP, DOWN],
        "winning_asset_id": UP,
        "winning_outcome": "Up",
        "timestamp": MILLISECONDS,
        "tags": ["crypto"],
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

_DESCRIPTION = "It resolves to Up if the price does not fall."
_EVENT: dict[str, Any] = {
    "id": SECONDS,
    "ticker": SLUG,
    "slug": SLUG,
    "title": TITLE,
    "description": _DESCRIPTION,
    "resolutionSource": "https://data.chain.link/streams/btc-usd-twap-60s-streams",
    "startDate": "2026-09-27T12:23:00Z",
    "creationDate": "2026-09-27T12:23:00Z",
    "endDate": "2026-09-28T12:30:00Z",
    "startTime": "2026-09-28T12:15:00Z",
    "eventStartTime": "2026-09-28T12:15:00Z",
    "active": True,
    "closed": True,
    "archived": False,
    "negRisk": False,
    "enableOrderBook": True,
    "seriesSlug": "btc-up-or-down-15m",
    "series": [{"id": "10192", "slug": "btc-up-or-down-15m", "recurrence": "15m"}],
}
GAMMA: dict[str, Any] = {
    "id": SECONDS,
    "slug": SLUG,
    "question": TITLE,
    "conditionId": MARKET,
    "questionID": "0xf4",
    "description": _DESCRIPTION,
    "practiceOrigin": "bench-0",
    "resolutionSource": "https://data.chain.link/streams/btc-usd-twap-60s-streams",
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
    "secondsDelay": 0,
    "umaResolutionStatus": "resolved",
    "umaResolutionStatuses": "[]",
    "makerBaseFee": 1000,
    "takerBaseFee": 1000,
    "makerRebatesFeeShareBps": 10000,
    "feesEnabled": True,
    "feeType": "crypto_fees_v2",
    "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
    "cryptoMarketConfigId": "btc-15m-twap-60",
    "cryptoMarketConfig": {
        "id": "btc-15m-twap-60",
        "asset": "btc",
        "duration": "15m",
        "twapEnabled": True,
        "twapLookbackSeconds": 60,
    },
    "startDate": "2026-09-27T12:23:00Z",
    "startDateIso": "2026-09-28",
    "acceptingOrdersTimestamp": "2026-09-27T12:23:00Z",
    "eventStartTime": "2026-09-28T12:15:00Z",
    "endDate": "2026-09-28T12:30:00Z",
    "endDateIso": "2026-09-28",
    "closedTime": "2026-09-28 12:31:00+00",
    "bestBid": 0.6,
    "bestAsk": 0.62,
    "events": [_EVENT],
}
_POSITION_CONDITION = "0x01" + "5c" * 18 + "00" * 12
_POSITIONS = [str(int(_POSITION_CONDITION + index, 16)) for index in ("00", "01")]
GAMMA_V2 = {**GAMMA, "version": "v2", "conditionId": _POSITION_CONDITION, "positionIds": _POSITIONS}
"""A market of Protocol V2: its CTF tokens are not traded."""
CLOB_MARKET: dict[str, Any] = {
    "condition_id": MARKET,
    "question_id": "0xf4",
    "question": TITLE,
    "description": _DESCRIPTION,
    "enable_order_book": True,
    "active": True,
    "closed": True,
    "archived": False,
    "accepting_orders": False,
    "accepting_order_timestamp": "2026-09-27T12:23:00Z",
    "market_slug": SLUG,
    "minimum_order_size": 5,
    "minimum_tick_size": 0.01,
    "end_date_iso": "2026-09-28T12:30:00Z",
    "game_start_time": "2026-09-28T12:15:00Z",
    "seconds_delay": 0,
    "fpmm": "",
    "maker_base_fee": 1000,
    "taker_base_fee": 1000,
    "notifications_enabled": False,
    "neg_risk": False,
    "neg_risk_market_id": "",
    "neg_risk_request_id": "",
    "icon": "",
    "image": "",
    "rewards": {"rates": None, "min_size": 50, "max_spread": 4.5},
    "is_50_50_outcome": False,
    "tokens": [
        {"token_id": UP, "outcome": "Up", "price": 1.0, "winner": True},
        {"token_id": DOWN, "outcome": "Down", "price": 0.0, "winner": False},
    ],
    "tags": ["Crypto"],
}
CLOB_INFO: dict[str, Any] = {
    "c": MARKET,
    "t": [{"t": UP, "o": "Up"}, {"t": DOWN, "o": "Down"}],
    "mts": 0.01,
    "mos": 5,
    "mbf": 1000,
    "tbf": 1000,
    "fd": {"r": 0.07, "e": 1, "to": True},
    "nr": False,
    "itode": True,
    "oas": 0,
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
            "proxy_wallet": WALLET,
            "token_id": UP,
            "condition_id": MARKET,
            "current_size": 1.5,
            "avg_price": 0.62,
            "entry_cost_usdc": 0.93,
            "entry_fees_usdc": 0.0247,
            "total_cost_usdc": 0.93,
            "current_price": 1.0,
            "current_value": 1.5,
            "total_size": 1.5,
            "realized_pnl": 0.0,
            "unrealized_pnl": 0.57,
            "total_pnl": 0.57,
            "percent_pnl": 61.2903,
            "percent_realized_pnl": 0.0,
            "status": "REDEEMABLE",
            "redeemable": True,
            "mergeable": False,
            "negative_risk": False,
            "archived": False,
            "verified": False,
            "title": TITLE,
            "slug": SLUG,
            "icon": "",
            "event_slug": SLUG,
            "event_id": SECONDS,
            "outcome": "Up",
            "outcome_index": 0,
            "opposite_outcome": "Down",
            "opposite_token_id": DOWN,
            "end_date": "2026-09-28",
        }
    ],
    "pagination": {"has_more": False, "next_cursor": None},
}
RESTING = {**ORDER, "status": "LIVE", "order_type": "GTC", "size_matched": "0", "associate_trades": []}
KEY: dict[str, Any] = {"apiKey": OWNER, "secret": "c2VjcmV0", "passphrase": "phrase"}
BALANCE: dict[str, Any] = {"balance": "1000000000", "allowances": {WALLET: str(2**256 - 1)}}
REST: dict[str, Json] = {
    "/time": int(SECONDS),
    "/version": {"version": 2},
    "/auth/api-key": KEY,
    "/auth/derive-api-key": KEY,
    "/auth/api-keys": {"apiKeys": [OWNER]},
    "/auth/ban-status/closed-only": {"closed_only": False},
    "/balance-allowance": BALANCE,
    "/balance-allowance/update": "",
    "/data/orders": {"data": [RESTING], "next_cursor": "LTE=", "limit": 100, "count": 1},
    "/data/order": ORDER,
    "/data/trades": {"data": [TRADE], "next_cursor": "LTE=", "limit": 100, "count": 1},
    "/order": POSTED,
    "/markets": CLOB_MARKET,
    "/clob-markets": CLOB_INFO,
    "/gamma/markets": [GAMMA],
    "/gamma/markets/keyset": {"markets": [GAMMA]},
    "/data-api/v2/positions": POSITIONS,
    "/api/geoblock": {"blocked": False, "ip": "127.0.0.1", "country": "IE", "region": "L"},
    "/practice/redeem": {"redeemed": 1, "amount": "1.5"},
}
"""The answer to each request of the bot to the venue, by path."""
MIRROR: dict[str, Any] = {"source": {"name": "shadow", "resolved_by": {SLUG: "stream"}}}
"""The part of `/practice/info` that a bot reads, of a practice venue that mirrors the real one."""

REDEEMABLE = {
    **GAMMA,
    "conditionId": "0x" + "5c" * 32,
    "clobTokenIds": json.dumps([str(10**76), str(10**76 + 1)]),
}
"""A market that is redeemed: the contracts need the whole length of its ids."""
TRANSACTION_ID = "0190b317-a1d3-7bec-9b91-eeb6dcd3a620"
TRANSACTION_HASH = "0x" + "ab" * 32
RELAYER: dict[str, Json] = {
    "/deployed": {"deployed": True},
    "/v1/account/transactions/params": {"address": WALLET, "nonce": "3"},
    "/relay-payload": {"address": WALLET, "nonce": "3"},
    "/submit": {"transactionID": TRANSACTION_ID, "state": "STATE_NEW", "transactionHash": ""},
    f"/v1/account/transactions/{TRANSACTION_ID}": {
        "transaction_id": TRANSACTION_ID,
        "transaction_hash": TRANSACTION_HASH,
        "state": "STATE_CONFIRMED",
    },
}
"""The answers of the relayer, by path. The practice venue has none: the venue's library reads these."""


def node_answer(result: Json) -> Json:
    """A chain node's answer to the first request of a client."""
    return {"jsonrpc": "2.0", "id": 1, "result": result}


CHAIN: dict[str, Json] = {
    "eth_chainId": node_answer("0x89"),
    "eth_getTransactionCount": node_answer("0x7"),
    "eth_gasPrice": node_answer("0x1"),
    "eth_getBlockByNumber": node_answer({"timestamp": hex(int(SECONDS))}),
    "eth_estimateGas": node_answer("0x5208"),
    "eth_sendRawTransaction": node_answer(TRANSACTION_HASH),
    "eth_call": node_answer(f"0x{1_612_903:064x}"),
}
"""The answers of a chain node, by the method of JSON-RPC."""


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
