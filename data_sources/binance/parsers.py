"""Parses Binance's REST and stream payloads to quotes; raises MalformedPayload."""

from typing import Any

from data_sources.parsing import decode_object, mapping, positive, shown, text
from data_sources.types import BookTicker, MalformedPayload

SOURCE = "binance"

_REST_QUOTE = ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")
_STREAM_QUOTE = ("s", "b", "B", "a", "A")


def parse_book_ticker(body: bytes, symbol: str, received_ns: int) -> BookTicker:
    """`GET /api/v3/ticker/bookTicker?symbol=`; the payload has no time."""
    return _quote(decode_object(SOURCE, body), _REST_QUOTE, symbol, received_ns)


def parse_stream_frame(frame: bytes, symbol: str, received_ns: int) -> BookTicker | None:
    """A frame of the combined stream, ``{"stream":…,"data":{…}}``, or a bare event.

    None for an event that is not a quote, such as the answer to a subscription.
    """
    payload = decode_object(SOURCE, frame)
    event = mapping(SOURCE, "data", payload["data"]) if "data" in payload else payload
    # A quote is the only event without a type.
    if "e" not in event and "b" in event and "a" in event:
        return _quote(event, _STREAM_QUOTE, symbol, received_ns)
    return None


def _quote(
    event: dict[str, Any], keys: tuple[str, str, str, str, str], symbol: str, received_ns: int
) -> BookTicker:
    name, bid, bid_size, ask, ask_size = keys
    if text(SOURCE, name, event.get(name)) != symbol:
        raise MalformedPayload(f"{SOURCE}: requested {symbol}, received {shown(event.get(name))}")
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
