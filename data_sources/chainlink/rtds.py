"""RTDS, Polymarket's public live-data socket: needs no key, is deprecated and may end at any time."""

from collections.abc import Callable

import msgspec

from data_sources.chainlink.prices import read_payload
from data_sources.channel import open_channel
from data_sources.parsing import decode_object, mapping
from data_sources.types import ChainPrice, Channel, PriceKind

FEED = "rtds"
TOPICS = {"crypto_prices_twap_sixty": PriceKind.TWAP60, "crypto_prices_chainlink": PriceKind.SPOT}
MESSAGE_TYPES = {"crypto_prices_twap_sixty": "update", "crypto_prices_chainlink": "*"}
SIGNS_OF_LIFE = {b"", b"PONG"}


def parse_rtds(frame: bytes, symbol: str, received_ns: int) -> tuple[ChainPrice, ...]:
    """The observations of `symbol` (``btc/usd``) in a frame; none in pongs and frames of other topics.

    ``{"topic":"crypto_prices_twap_sixty","type":"update","timestamp":ms,"payload":{"symbol":"btc/usd",
    "value":65000.5,"full_accuracy_value":"65000500000000000000000","timestamp":ms,"window_s":60}}``
    """
    if frame.strip() in SIGNS_OF_LIFE:
        return ()
    envelope = decode_object(FEED, frame)
    topic = envelope.get("topic")
    kind = TOPICS.get(topic) if isinstance(topic, str) else None
    if kind is None:
        return ()
    return read_payload(FEED, kind, mapping(FEED, "payload", envelope.get("payload")), symbol, received_ns)


class RtdsStream:
    """The relay as a supervised stream.

    Parameters
    ----------
    url : str
        Address of the socket.
    symbol : str
        For example ``btc/usd``.
    sink : callable
        Receives every observation.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for the handshake.
    """

    name = f"chainlink_{FEED}"
    ping_text = "PING"
    ping_every_s = 5.0

    def __init__(
        self,
        url: str,
        symbol: str,
        sink: Callable[[ChainPrice], None],
        now_ns: Callable[[], int],
        timeout_s: float,
    ) -> None:
        self._url = url
        self._symbol = symbol
        self._sink = sink
        self._now_ns = now_ns
        self._timeout_s = timeout_s

    async def connect(self) -> Channel:
        return await open_channel(self.name, self._url, timeout_s=self._timeout_s)

    async def subscribe(self, channel: Channel) -> None:
        # The filter is JSON inside a JSON string: the convention of this socket.
        filters = msgspec.json.encode({"symbol": self._symbol}).decode()
        subscriptions = [
            {"topic": topic, "type": MESSAGE_TYPES[topic], "filters": filters} for topic in TOPICS
        ]
        message = {"action": "subscribe", "subscriptions": subscriptions}
        await channel.send(msgspec.json.encode(message).decode())

    def feed(self, frame: bytes) -> bool:
        prices = parse_rtds(frame, self._symbol, self._now_ns())
        for price in prices:
            self._sink(price)
        return bool(prices)
