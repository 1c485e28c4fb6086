"""Payloads in the sources' formats, and the clock at which they are read."""

import base64
import json
import struct
from datetime import UTC, datetime

NOW_NS = int(datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()) * 1_000_000_000
NOW_S = NOW_NS // 1_000_000_000
NOW_MS = NOW_NS // 1_000_000


def body(payload: object) -> bytes:
    return json.dumps(payload).encode()


COINBASE_SPOT = body({"data": {"amount": "68923.67", "base": "BTC", "currency": "USD"}})
COINBASE_TICKER = body(
    {
        "ask": "68923.67",
        "bid": "68923.66",
        "volume": "7712.40291093",
        "trade_id": 995098663,
        "price": "68923.67",
        "size": "0.00064",
        "time": "2026-11-22T11:59:58.544778Z",
    }
)


def option(name: str, open_interest: object) -> dict[str, object]:
    """A row of Deribit's book summary; nulls where a quiet instrument has them."""
    return {
        "instrument_name": name,
        "open_interest": open_interest,
        "volume": 1.5,
        "volume_usd": 4120.33,
        "mark_price": 0.0412,
        "mark_iv": 48.7,
        "bid_price": None,
        "ask_price": None,
        "mid_price": None,
        "last": 0.04,
        "high": None,
        "low": None,
        "price_change": None,
        "underlying_price": 68911.2,
        "underlying_index": "BTC-25DEC26",
        "interest_rate": 0,
        "base_currency": "BTC",
        "quote_currency": "BTC",
        "creation_timestamp": NOW_MS,
    }


def book_summary(*rows: dict[str, object]) -> bytes:
    return body(
        {
            "jsonrpc": "2.0",
            "result": list(rows),
            "usIn": NOW_MS * 1000 - 900,
            "usOut": NOW_MS * 1000,
            "usDiff": 900,
            "testnet": False,
        }
    )


DERIBIT_CHAIN = book_summary(
    option("BTC-23NOV26-68000-P", 300.0),
    option("BTC-23NOV26-70000-C", 200.0),
    option("BTC-24NOV26-66000-P", 30.5),
    option("BTC-24NOV26-72000-C", 20.5),
    option("BTC-25DEC26-60000-P", 1000.0),
    option("BTC-25DEC26-80000-C", 3000.0),
    option("BTC-26MAR27-90000-C", None),
)

FEAR_GREED = body(
    {
        "name": "Fear and Greed Index",
        "data": [
            {
                "value": "22",
                "value_classification": "Extreme Fear",
                "timestamp": str(NOW_S - 43_200),
                "time_until_update": "43200",
            }
        ],
        "metadata": {"error": None},
    }
)
CRYPTOPANIC = body(
    {
        "count": 2,
        "next": None,
        "results": [
            {
                "kind": "news",
                "title": "Bitcoin rises",
                "published_at": "2026-11-22T11:40:00Z",
                "votes": {"negative": 1, "positive": 11, "important": 6},
            },
            {
                "kind": "news",
                "title": "Exchange halts withdrawals",
                "published_at": "2026-11-22T10:05:00Z",
                "votes": {"negative": 7, "positive": 1, "important": 2},
            },
        ],
    }
)

BINANCE_BOOK = body(
    {
        "symbol": "BTCUSDT",
        "bidPrice": "68930.01000000",
        "bidQty": "3.10000000",
        "askPrice": "68930.03000000",
        "askQty": "0.90000000",
    }
)
_AGG_TRADE = {
    "a": 5933014,
    "p": "68930.02",
    "q": "0.0125",
    "f": 100,
    "l": 105,
    "T": NOW_MS - 120,
    "m": True,
}
BINANCE_TRADES = body([{**_AGG_TRADE, "M": True}])
BINANCE_STREAM_TRADE = body(
    {"stream": "btcusdt@aggTrade", "data": {"e": "aggTrade", "E": NOW_MS - 100, "s": "BTCUSDT", **_AGG_TRADE}}
)
BINANCE_STREAM_BOOK = body(
    {
        "stream": "btcusdt@bookTicker",
        "data": {
            "u": 400900217,
            "s": "BTCUSDT",
            "b": "68930.01",
            "B": "3.1",
            "a": "68930.03",
            "A": "0.9",
        },
    }
)


def rpc(result: object) -> bytes:
    return body({"jsonrpc": "2.0", "id": 1, "result": result})


SLOT = 301_234_567
SOLANA_SLOT = rpc(SLOT)
SOLANA_TIME = rpc(NOW_S - 1)
SOLANA_SAMPLES = rpc(
    [
        {"numSlots": 126, "numTransactions": 126000, "samplePeriodSecs": 60, "slot": SLOT},
        {"numSlots": 120, "numTransactions": 114000, "samplePeriodSecs": 60, "slot": SLOT - 126},
    ]
)

PYTH_PROGRAM = "FsJ3A3u2vn5cTVofAjvy6y5kwABJAqYWpe4975bi2epH"
# Field by field in the order of the oracle's struct, so that no offset is written here.
_PYTH_FIELDS = (
    ("<IIIIIiII", ("magic", "version", "type", "size", "price_type", "exponent", "publishers", "quoters")),
    ("<QQ", ("last_slot", "valid_slot")),
    ("<qqqqqq", ("ema", "ema_numerator", "ema_denominator", "emac", "emac_numerator", "emac_denominator")),
    ("<qBBHI", ("timestamp", "min_publishers", "drv2", "drv3", "drv4")),
    ("<32s32s", ("product", "next")),
    ("<QqQq", ("prev_slot", "prev_price", "prev_confidence", "prev_timestamp")),
    ("<qQIIQ", ("price", "confidence", "status", "corporate_action", "pub_slot")),
)
_PYTH_VALUES = {
    "magic": 0xA1B2C3D4,
    "version": 2,
    "type": 3,
    "size": 3312,
    "price_type": 1,
    "exponent": -8,
    "publishers": 32,
    "quoters": 27,
    "last_slot": SLOT - 1,
    "valid_slot": SLOT - 2,
    "ema": 6_890_000_000_001,
    "emac": 3_100_000_001,
    "timestamp": NOW_S - 2,
    "min_publishers": 3,
    "prev_slot": SLOT - 3,
    "prev_price": 6_880_000_000_002,
    "prev_confidence": 3_200_000_002,
    "prev_timestamp": NOW_S - 3,
    "price": 6_892_345_600_000,
    "confidence": 3_450_000_000,
    "status": 1,
    "pub_slot": SLOT - 4,
}


def pyth_account(**changes: int) -> bytes:
    """A price account of 3312 bytes with 32 publishers, whose values can be changed by name."""
    values = {**_PYTH_VALUES, **changes}
    default = {"product": b"\x11" * 32, "next": b"\x00" * 32}
    packed = b"".join(
        struct.pack(fmt, *(values.get(name, default.get(name, 0)) for name in names))
        for fmt, names in _PYTH_FIELDS
    )
    return packed + b"\x5a" * (3312 - len(packed))


def pyth_answer(data: bytes | None = None, *, slot: int = SLOT, owner: str = PYTH_PROGRAM) -> bytes:
    """`getAccountInfo` with that account."""
    encoded = base64.b64encode(pyth_account() if data is None else data).decode()
    value = {
        "data": [encoded, "base64"],
        "executable": False,
        "lamports": 23942400,
        "owner": owner,
        "rentEpoch": 361,
        "space": 3312,
    }
    return rpc({"context": {"apiVersion": "2.1.0", "slot": slot}, "value": value})


def rtds_twap(price: str = "65000.5", at_ms: int = NOW_MS, symbol: str = "btc/usd") -> bytes:
    exact = str(int(float(price) * 10) * 10**17)
    return body(
        {
            "topic": "crypto_prices_twap_sixty",
            "type": "update",
            "timestamp": at_ms + 1700,
            "payload": {
                "symbol": symbol,
                "value": float(price),
                "full_accuracy_value": exact,
                "timestamp": at_ms,
                "window_s": 60,
            },
        }
    )


def rtds_spot(price: float = 65010.25, at_ms: int = NOW_MS) -> bytes:
    return body(
        {
            "topic": "crypto_prices_chainlink",
            "type": "update",
            "timestamp": at_ms + 1700,
            "payload": {"symbol": "btc/usd", "timestamp": at_ms, "value": price},
        }
    )


def polybolt_twap(price: str = "65000.5", at_ms: int = NOW_MS) -> bytes:
    return body(
        {
            "v": 1,
            "channel": "price.crypto.twap",
            "seq": 7,
            "ts": at_ms + 123,
            "payload": {
                "symbol": "btcusd",
                "value": float(price),
                "full_accuracy_value": price,
                "timestamp": at_ms,
                "window_seconds": 60,
                "source": "chainlink",
            },
        }
    )


def polybolt_snapshot(*points: tuple[int, str]) -> bytes:
    data = [
        {"timestamp": at_ms, "value": float(price), "full_accuracy_value": price} for at_ms, price in points
    ]
    return body(
        {
            "v": 1,
            "channel": "price.crypto.twap",
            "seq": 1,
            "ts": NOW_MS,
            "snapshot": True,
            "payload": {"symbol": "btcusd", "window_seconds": 60, "source": "chainlink", "data": data},
        }
    )
