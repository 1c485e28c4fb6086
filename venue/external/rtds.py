"""RTDS, the public relay of prices: subscriptions to topics, each with a snapshot and then updates."""

from typing import Any

import msgspec
from aiohttp import web

from venue.amounts import decimal_text
from venue.external.access import service
from venue.external.feeds import Feeds
from venue.external.services import PATHS
from venue.external.session import StreamSession
from venue.refusal import UNREADABLE
from venue.sources.price_path import UNIT

routes = web.RouteTableDef()

BINANCE, CHAINLINK = "btcusdt", "btc/usd"
SYMBOLS = {
    "crypto_prices": BINANCE,
    "crypto_prices_chainlink": CHAINLINK,
    "crypto_prices_twap_thirty": CHAINLINK,
    "crypto_prices_twap_sixty": CHAINLINK,
}
"""The only symbol of each topic here."""
WINDOWS = {"crypto_prices_twap_thirty": 30, "crypto_prices_twap_sixty": 60}
E18 = 10**18 // UNIT


class _Subscription(msgspec.Struct):
    topic: str
    type: str = "*"
    filters: str = ""


class _Message(msgspec.Struct):
    action: str
    subscriptions: list[_Subscription] = []


def wants(filters: str, symbol: str) -> bool:
    """Whether a filter includes a symbol: {"symbol": …} as a JSON text, a list with commas, or no filter."""
    if not filters.strip():
        return True
    if filters.lstrip().startswith("{"):
        try:
            return msgspec.json.decode(filters, type=dict[str, Any]).get("symbol") == symbol
        except UNREADABLE:
            return False
    return symbol in [name.strip().lower() for name in filters.split(",")]


class RtdsSession(StreamSession):
    service = "rtds"

    def __init__(self, feeds: Feeds) -> None:
        super().__init__(feeds)
        self._published: dict[str, int] = {}
        """The last second published for each subscribed topic."""

    async def received(self, content: Any) -> None:
        message = msgspec.convert(content, _Message)
        for wanted in message.subscriptions:
            symbol = SYMBOLS.get(wanted.topic)
            if symbol is None or not wants(wanted.filters, symbol):
                continue
            if message.action == "unsubscribe":
                self._published.pop(wanted.topic, None)
            elif message.action == "subscribe":
                self._subscribe(wanted.topic)

    def observed(self, second: int) -> None:
        for topic, published in self._published.items():
            if second > published:
                self._published[topic] = second
                self._publish(topic, "update", self._observation(topic, second))

    def _subscribe(self, topic: str) -> None:
        past = self.past()
        self._published[topic] = past[-1]
        rows = [{key: row[key] for key in ("timestamp", "value")} for row in self._rows(topic, past)]
        self._publish(topic, "subscribe", {"symbol": SYMBOLS[topic], "data": rows})

    def _rows(self, topic: str, seconds: range) -> list[dict[str, Any]]:
        return [self._observation(topic, second) for second in seconds]

    def _publish(self, topic: str, kind: str, payload: dict[str, Any]) -> None:
        stamp = self.feeds.stamp_ms(self.service)
        self.send({"topic": topic, "type": kind, "timestamp": stamp, "payload": payload})

    def _observation(self, topic: str, second: int) -> dict[str, Any]:
        """A price: the exact value in units of 1e-18 USD, or a decimal for Binance."""
        observation: dict[str, Any] = {
            "symbol": SYMBOLS[topic],
            "timestamp": self.feeds.moment(second).wall_ms,
        }
        if topic == "crypto_prices":
            price = self.feeds.tether(second)
            whole, part = divmod(price, UNIT)
            return {**observation, "value": price / UNIT, "full_accuracy_value": f"{whole}.{part:08d}"}
        window = WINDOWS.get(topic)
        price = self.feeds.spot(second) if window is None else self.feeds.mean(second, window)
        if window is not None:
            observation["window_s"] = window
        return {
            **observation,
            "value": float(decimal_text(price, UNIT)),
            "full_accuracy_value": str(price * E18),
        }


@routes.get(PATHS["rtds"])
@service("rtds")
async def rtds(request: web.Request, feeds: Feeds) -> web.StreamResponse:
    return await RtdsSession(feeds).run(request)
