"""Binance: best bid and ask, last trades, and both as streams, quoted in USDT."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from venue.external.access import service
from venue.external.assets import asset_named, price_text, step_of, steps, symbol_of
from venue.external.feeds import Feeds
from venue.external.services import PATHS
from venue.external.session import StreamSession
from venue.sources.price_path import draws, draws_prefix
from venue.wire.common import is_number, json_answer

routes = web.RouteTableDef()

SYMBOLS = "{}USDT"
AGG_TRADES, BOOK_TICKERS = "{}usdt@aggTrade", "{}usdt@bookTicker"
TRADES, MOST_TRADES = 500, 1000
"""Number of aggregated trades by default, and at most."""
FILLS = 8
"""Single trades in an aggregated trade."""
BAD_SYMBOL = {"code": -1121, "msg": "Invalid symbol."}


def _eight_decimals(count: int, asset: str) -> str:
    """A number of price steps, with the eight decimals that Binance writes."""
    whole, _, part = price_text(count, asset).partition(".")
    return f"{whole}.{part:0<8}"


def quote(feeds: Feeds, second: int, asset: str) -> tuple[str, str, str, str]:
    """Bid, bid size, ask, ask size: the price lies within a spread of one step."""
    low = feeds.tether(second, asset) // step_of(asset)
    rng = draws(feeds.seed, f"{draws_prefix(asset)}binance/quote", second)
    bid_size, ask_size = (f"{rng.lognormvariate(0.5, 1):.5f}000" for _ in range(2))
    return _eight_decimals(low, asset), bid_size, _eight_decimals(low + 1, asset), ask_size


def trade(feeds: Feeds, second: int, asset: str) -> dict[str, Any]:
    """The aggregated trade of a second; there is one per second, numbered by it. `m`: the taker sold."""
    price = feeds.tether(second, asset)
    rng = draws(feeds.seed, f"{draws_prefix(asset)}binance/trade", second)
    return {
        "a": second,
        "p": _eight_decimals(steps(price, asset), asset),
        "q": f"{rng.lognormvariate(-3.5, 1.2):.5f}000",
        "f": second * FILLS,
        "l": second * FILLS + FILLS - 1,
        "T": feeds.moment(second).wall_ms,
        "m": price < feeds.tether(second - 1, asset),
        "M": True,
    }


@routes.get(PATHS["binance"] + "/api/v3/ticker/bookTicker")
@service("binance")
async def book_ticker(request: web.Request, feeds: Feeds) -> web.Response:
    def ticker(asset: str) -> dict[str, str]:
        bid, bid_size, ask, ask_size = quote(feeds, feeds.now("binance").second, asset)
        symbol = symbol_of(asset, SYMBOLS)
        return {"symbol": symbol, "bidPrice": bid, "bidQty": bid_size, "askPrice": ask, "askQty": ask_size}

    return _tickers(request, feeds, ticker)


@routes.get(PATHS["binance"] + "/api/v3/ticker/price")
@service("binance")
async def ticker_price(request: web.Request, feeds: Feeds) -> web.Response:
    def ticker(asset: str) -> dict[str, str]:
        price = steps(feeds.tether(feeds.now("binance").second, asset), asset)
        return {"symbol": symbol_of(asset, SYMBOLS), "price": _eight_decimals(price, asset)}

    return _tickers(request, feeds, ticker)


def _tickers(request: web.Request, feeds: Feeds, ticker: Callable[[str], dict[str, str]]) -> web.Response:
    """The ticker of the symbol in the query, or those of all symbols."""
    if "symbol" not in request.query:
        return json_answer([ticker(asset) for asset in feeds.assets])
    asset = asset_named(request.query["symbol"], SYMBOLS, feeds.assets)
    return json_answer(BAD_SYMBOL, 400) if asset is None else json_answer(ticker(asset))


@routes.get(PATHS["binance"] + "/api/v3/aggTrades")
@service("binance")
async def agg_trades(request: web.Request, feeds: Feeds) -> web.Response:
    """The last trades, oldest first, or the trades from number `fromId` on."""
    asset = asset_named(request.query.get("symbol", ""), SYMBOLS, feeds.assets)
    if asset is None:
        return json_answer(BAD_SYMBOL, 400)
    limit, first = request.query.get("limit", str(TRADES)), request.query.get("fromId", "0")
    if not (is_number(limit) and is_number(first) and int(limit) > 0):
        return json_answer({"code": -1100, "msg": "Illegal characters found in a parameter."}, 400)
    newest = feeds.now("binance").second
    count = min(int(limit), MOST_TRADES)
    begin = int(first) if int(first) > 0 else newest - count + 1
    return json_answer([trade(feeds, s, asset) for s in range(begin, min(begin + count, newest + 1))])


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
        for asset in self.feeds.assets:
            symbol = symbol_of(asset, SYMBOLS)
            if (stream := symbol_of(asset, BOOK_TICKERS)) in self._streams:
                bid, bid_size, ask, ask_size = quote(self.feeds, second, asset)
                self._publish(
                    stream, {"u": second, "s": symbol, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
                )
            if (stream := symbol_of(asset, AGG_TRADES)) in self._streams:
                stamp = self.feeds.stamp_ms(self.service)
                event = trade(self.feeds, second, asset)
                self._publish(stream, {"e": "aggTrade", "E": stamp, "s": symbol, **event})

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
