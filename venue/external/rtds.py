"""RTDS, the public relay of prices: subscriptions to topics, each with a snapshot and then updates."""

from typing import Any

import msgspec
from aiohttp import web

from venue.amounts import decimal_text
from venue.external.access import service
from venue.external.assets import symbol_of
from venue.external.feeds import Feeds
from venue.external.services import PATHS
from venue.external.session import StreamSession
from venue.refusal import UNREADABLE
from venue.sources.price_path import UNIT

routes = web.RouteTableDef()

BINANCE, CHAINLINK = "{}usdt", "{}/usd"
SYMBOLS = {
    "crypto_prices": BINANCE,
    "crypto_prices_chainlink": CHAINLINK,
    "crypto_prices_twap_thirty": CHAINLINK,
    "crypto_prices_twap_sixty": CHAINLINK,
}
"""The form of the symbols of each topic."""
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
        self._published: dict[tuple[str, str], int] = {}
        """The last second published for each subscribed topic and asset."""

    async def received(self, content: Any) -> None:
        message = msgspec.convert(content, _Message)
        for wanted in message.subscriptions:
            form = SYMBOLS.get(wanted.topic)
            if form is None:
                continue
            for asset in self.feeds.assets:
                if not wants(wanted.filters, symbol_of(asset, form)):
                    continue
                if message.action == "unsubscribe":
                    self._published.pop((wanted.topic, asset), None)
                elif message.action == "subscribe":
                    self._subscribe(wanted.topic, asset)

    def observed(self, second: int) -> None:
        for (topic, asset), published in self._published.items():
            if second > published:
                self._published[topic, asset] = second
                self._publish(topic, "update", self._observation(topic, asset, second))

    def _subscribe(self, topic: str, asset: str) -> None:
        past = self.past()
        self._published[topic, asset] = past[-1]
        found = [self._observation(topic, asset, second) for second in past]
        rows = [{key: row[key] for key in ("timestamp", "value")} for row in found]
        self._publish(topic, "subscribe", {"symbol": symbol_of(asset, SYMBOLS[topic]), "data": rows})

    def _publish(self, topic: str, kind: str, payload: dict[str, Any]) -> None:
        stamp = self.feeds.stamp_ms(self.service)
        self.send({"topic": topic, "type": kind, "timestamp": stamp, "payload": payload})

    def _observation(self, topic: str, asset: str, second: int) -> dict[str, Any]:
        """A price: the exact value in units of 1e-18 USD, or a decimal for Binance."""
        observation: dict[str, Any] = {
            "symbol": symbol_of(asset, SYMBOLS[topic]),
            "timestamp": self.feeds.moment(second).wall_ms,
        }
        if topic == "crypto_prices":
            price = self.feeds.tether(second, asset)
            whole, part = divmod(price, UNIT)
            return {**observation, "value": price / UNIT, "full_accuracy_value": f"{whole}.{part:08d}"}
        window = WINDOWS.get(topic)
        feeds = self.feeds
        price = feeds.spot(second, asset) if window is None else feeds.mean(second, window, asset)
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
