"""Binance: best bid and ask, last trades, and both as streams, quoted in USDT."""

from typing import Any

import msgspec
from aiohttp import web

from venue.external.access import service
from venue.external.coinbase import CENT, cents, dollars
from venue.external.feeds import Feeds
from venue.external.services import PATHS
from venue.external.session import StreamSession
from venue.sources.price_path import draws
from venue.wire.common import is_number, json_answer

routes = web.RouteTableDef()

SYMBOL = "BTCUSDT"
AGG_TRADE, BOOK_TICKER = "btcusdt@aggTrade", "btcusdt@bookTicker"
TRADES, MOST_TRADES = 500, 1000
"""Number of aggregated trades by default, and at most."""
FILLS = 8
"""Single trades in an aggregated trade."""
BAD_SYMBOL = {"code": -1121, "msg": "Invalid symbol."}


def price_text(amount: int) -> str:
    """Cents with the eight decimals that Binance writes."""
    return dollars(amount) + "000000"


def quote(feeds: Feeds, second: int) -> tuple[str, str, str, str]:
    """Bid, bid size, ask, ask size: the price lies within a one-cent spread."""
    low = feeds.tether(second) // CENT
    rng = draws(feeds.seed, "binance/quote", second)
    bid_size, ask_size = (f"{rng.lognormvariate(0.5, 1):.5f}000" for _ in range(2))
    return price_text(low), bid_size, price_text(low + 1), ask_size


def trade(feeds: Feeds, second: int) -> dict[str, Any]:
    """The aggregated trade of a second; there is one per second, numbered by it. `m`: the taker sold."""
    price = feeds.tether(second)
    return {
        "a": second,
        "p": price_text(cents(price)),
        "q": f"{draws(feeds.seed, 'binance/trade', second).lognormvariate(-3.5, 1.2):.5f}000",
        "f": second * FILLS,
        "l": second * FILLS + FILLS - 1,
        "T": feeds.moment(second).wall_ms,
        "m": price < feeds.tether(second - 1),
        "M": True,
    }


@routes.get(PATHS["binance"] + "/api/v3/ticker/bookTicker")
@service("binance")
async def book_ticker(request: web.Request, feeds: Feeds) -> web.Response:
    bid, bid_size, ask, ask_size = quote(feeds, feeds.now("binance").second)
    ticker = {"symbol": SYMBOL, "bidPrice": bid, "bidQty": bid_size, "askPrice": ask, "askQty": ask_size}
    if "symbol" not in request.query:
        return json_answer([ticker])
    return json_answer(ticker) if request.query["symbol"] == SYMBOL else json_answer(BAD_SYMBOL, 400)


@routes.get(PATHS["binance"] + "/api/v3/ticker/price")
@service("binance")
async def ticker_price(request: web.Request, feeds: Feeds) -> web.Response:
    ticker = {"symbol": SYMBOL, "price": price_text(cents(feeds.tether(feeds.now("binance").second)))}
    if "symbol" not in request.query:
        return json_answer([ticker])
    return json_answer(ticker) if request.query["symbol"] == SYMBOL else json_answer(BAD_SYMBOL, 400)


@routes.get(PATHS["binance"] + "/api/v3/aggTrades")
@service("binance")
async def agg_trades(request: web.Request, feeds: Feeds) -> web.Response:
    """The last trades, oldest first, or the trades from number `fromId` on."""
    if request.query.get("symbol") != SYMBOL:
        return json_answer(BAD_SYMBOL, 400)
    limit, first = request.query.get("limit", str(TRADES)), request.query.get("fromId", "0")
    if not (is_number(limit) and is_number(first) and int(limit) > 0):
        return json_answer({"code": -1100, "msg": "Illegal characters found in a parameter."}, 400)
    newest = feeds.now("binance").second
    count = min(int(limit), MOST_TRADES)
    begin = int(first) if int(first) > 0 else newest - count + 1
    return json_answer([trade(feeds, s) for s in range(begin, min(begin + count, newest + 1))])


@routes.get(PATHS["binance"] + "/api/v3/time")
@service("binance")
async def server_time(_: web.Request, feeds: Feeds) -> web.Response:
    return json_answer({"serverTime": feeds.answered_ns("binance") // 1_000_000})


class _Message(msgspec.Struct):
    method: str
    params: list[str] = []
    id: int | str | None = None


class BinanceSession(StreamSession):
    """Streams named in the URL or by SUBSCRIBE; `combined` wraps each event with its stream's name."""

    service = "binance_stream"
    heartbeat = 20.0

    def __init__(self, feeds: Feeds, streams: str, *, combined: bool) -> None:
        super().__init__(feeds)
        self._streams = set(streams.split("/")) - {""}
        self._combined = combined

    async def received(self, content: Any) -> None:
        message = msgspec.convert(content, _Message)
        result: list[str] | None = None
        if message.method == "SUBSCRIBE":
            self._streams.update(message.params)
        elif message.method == "UNSUBSCRIBE":
            self._streams.difference_update(message.params)
        elif message.method == "LIST_SUBSCRIPTIONS":
            result = sorted(self._streams)
        self.send({"result": result, "id": message.id})

    def observed(self, second: int) -> None:
        if BOOK_TICKER in self._streams:
            bid, bid_size, ask, ask_size = quote(self.feeds, second)
            self._publish(
                BOOK_TICKER, {"u": second, "s": SYMBOL, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
            )
        if AGG_TRADE in self._streams:
            stamp = self.feeds.stamp_ms(self.service)
            self._publish(AGG_TRADE, {"e": "aggTrade", "E": stamp, "s": SYMBOL, **trade(self.feeds, second)})

    def _publish(self, stream: str, event: dict[str, Any]) -> None:
        self.send({"stream": stream, "data": event} if self._combined else event)


@routes.get(PATHS["binance_stream"] + "/ws")
@routes.get(PATHS["binance_stream"] + "/ws/{streams:.+}")
@service("binance_stream")
async def raw_stream(request: web.Request, feeds: Feeds) -> web.StreamResponse:
    streams = request.match_info.get("streams", "")
    return await BinanceSession(feeds, streams, combined=False).run(request)


@routes.get(PATHS["binance_stream"] + "/stream")
@service("binance_stream")
async def combined_stream(request: web.Request, feeds: Feeds) -> web.StreamResponse:
    return await BinanceSession(feeds, request.query.get("streams", ""), combined=True).run(request)
