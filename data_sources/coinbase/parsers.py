"""Parses Coinbase's two price payloads; raises MalformedPayload."""

from data_sources.parsing import decode_object, iso_ns, mapping, number, positive, shown, text
from data_sources.types import MalformedPayload, Ticker
from models import Spot

SOURCE = "coinbase"


def parse_spot(body: bytes, product: str, received_ns: int, held_ns: int = 0) -> Spot:
    """`GET /v2/prices/{product}/spot`: ``{"data":{"amount":"68923.67","base":"BTC","currency":"USD"}}``.

    The payload has no time; its age is only known from `held_ns`, the time a cache reports to have kept the
    answer.
    """
    data = mapping(SOURCE, "data", decode_object(SOURCE, body).get("data"))
    pair = f"{text(SOURCE, 'base', data.get('base'))}-{text(SOURCE, 'currency', data.get('currency'))}"
    if pair != product:
        raise MalformedPayload(f"{SOURCE}: requested {product}, received {shown(pair)}")
    price = positive(SOURCE, "amount", data.get("amount"))
    return Spot(source=SOURCE, price=price, source_ns=received_ns - held_ns, received_ns=received_ns)


def parse_ticker(body: bytes, product: str, received_ns: int) -> Ticker:
    """`GET /products/{product}/ticker` of the exchange: price, bid, ask, 24-hour volume and a time."""
    payload = decode_object(SOURCE, body)
    return Ticker(
        source=SOURCE,
        symbol=product,
        price=positive(SOURCE, "price", payload.get("price")),
        bid=positive(SOURCE, "bid", payload.get("bid")),
        ask=positive(SOURCE, "ask", payload.get("ask")),
        volume=number(SOURCE, "volume", payload.get("volume")),
        source_ns=iso_ns(SOURCE, "time", payload.get("time")),
        received_ns=received_ns,
    )
