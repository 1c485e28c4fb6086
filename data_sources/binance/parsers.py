"""Binance's REST and stream payloads: bytes in, typed quotes and trades or MalformedPayload out."""

from typing import Any

from data_sources.parsing import (
    MS,
    count,
    decode,
    decode_object,
    epoch_ns,
    mapping,
    positive,
    sequence,
    shown,
    text,
)
from data_sources.types import BookTicker, MalformedPayload, Side, Trade

SOURCE = "binance"

_REST_QUOTE = ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")
_STREAM_QUOTE = ("s", "b", "B", "a", "A")


def parse_book_ticker(body: bytes, symbol: str, received_ns: int) -> BookTicker:
    """`GET /api/v3/ticker/bookTicker?symbol=`; it states no time."""
    return _quote(decode_object(SOURCE, body), _REST_QUOTE, symbol, received_ns)


def parse_agg_trades(body: bytes, symbol: str, received_ns: int) -> tuple[Trade, ...]:
    """`GET /api/v3/aggTrades?symbol=`, oldest first."""
    rows = sequence(SOURCE, "payload", decode(SOURCE, body))
    return tuple(_trade(mapping(SOURCE, "trade", row), symbol, received_ns) for row in rows)


def parse_stream_frame(frame: bytes, symbol: str, received_ns: int) -> BookTicker | Trade | None:
    """A frame of the combined stream, ``{"stream":…,"data":{…}}``, or a bare event.

    None for an event that is neither a quote nor a trade, such as the answer to a subscription.
    """
    payload = decode_object(SOURCE, frame)
    event = mapping(SOURCE, "data", payload["data"]) if "data" in payload else payload
    if event.get("e") == "aggTrade":
        if event.get("s") != symbol:
            raise MalformedPayload(f"{SOURCE}: listening to {symbol}, got {shown(event.get('s'))}")
        return _trade(event, symbol, received_ns)
    # A quote is the only event without a type.
    if "e" not in event and "b" in event and "a" in event:
        return _quote(event, _STREAM_QUOTE, symbol, received_ns)
    return None


def _quote(
    event: dict[str, Any], keys: tuple[str, str, str, str, str], symbol: str, received_ns: int
) -> BookTicker:
    name, bid, bid_size, ask, ask_size = keys
    if text(SOURCE, name, event.get(name)) != symbol:
        raise MalformedPayload(f"{SOURCE}: asked for {symbol}, got {shown(event.get(name))}")
    return BookTicker(
        source=SOURCE,
        symbol=symbol,
        bid=positive(SOURCE, bid, event.get(bid)),
        bid_size=positive(SOURCE, bid_size, event.get(bid_size)),
        ask=positive(SOURCE, ask, event.get(ask)),
        ask_size=positive(SOURCE, ask_size, event.get(ask_size)),
        source_ns=received_ns,
        received_ns=received_ns,
    )


def _trade(event: dict[str, Any], symbol: str, received_ns: int) -> Trade:
    maker_bought = event.get("m")
    if not isinstance(maker_bought, bool):
        raise MalformedPayload(f"{SOURCE}: m is not a boolean: {shown(maker_bought)}")
    return Trade(
        source=SOURCE,
        symbol=symbol,
        trade_id=count(SOURCE, "a", event.get("a")),
        price=positive(SOURCE, "p", event.get("p")),
        size=positive(SOURCE, "q", event.get("q")),
        # `m` says that the buyer was the maker: then the aggressor sold.
        side=Side.SELL if maker_bought else Side.BUY,
        source_ns=epoch_ns(SOURCE, "T", event.get("T"), MS),
        received_ns=received_ns,
    )
