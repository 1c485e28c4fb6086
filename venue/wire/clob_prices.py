"""The CLOB's public prices: of one token, of a batch, and of the past.

A batch contains only those of its tokens that have a book. Past prices are in market time.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from venue.amounts import MILL, decimal_text, price_text
from venue.exchange import NO_BOOK, Exchange, LastTrade
from venue.order_book import VenueBook
from venue.price_history import FINEST_MINUTES, INTERVALS, LONGEST_WINDOW, MINUTE, price_points
from venue.refusal import UNREADABLE, VenueRefusal
from venue.wire.common import finite, json_answer, venue_of
from venue.wire.tokens import INVALID_PAYLOAD, TOO_LONG, asked_rows, asked_tokens, books_of, token_of

routes = web.RouteTableDef()

HISTORIES_LIMIT = 20
"""Tokens per batch of price histories."""
SIDES = ("BUY", "SELL")


@routes.get("/midpoint")
async def midpoint(request: web.Request) -> web.Response:
    book = await _book(request)
    if not (book.bids and book.asks):
        raise NO_BOOK
    return json_answer({"mid": book.mid_text})


@routes.get("/midpoints")
@routes.post("/midpoints")
async def midpoints(request: web.Request) -> web.Response:
    found = await books_of(request, await asked_tokens(request))
    return json_answer({t: book.mid_text for t, (_, book) in found.items() if book.bids and book.asks})


@routes.get("/price")
async def price(request: web.Request) -> web.Response:
    """BUY is the best bid and SELL the best ask, as observed live."""
    side = _side(request.query.get("side", "").upper())
    return json_answer({"price": _best(await _book(request), side)})


@routes.get("/prices")
@routes.post("/prices")
async def prices(request: web.Request) -> web.Response:
    rows = await asked_rows(request, ("token_id", "side"))
    sides = [_side(side) for _, side in rows]
    found = await books_of(request, [token for token, _ in rows])
    answer: dict[str, dict[str, str]] = {token: {} for token in found}
    for (token, _), side in zip(rows, sides, strict=True):
        if token in found:
            answer[token][side] = _best(found[token][1], side)
    return json_answer(answer)


@routes.get("/spread")
async def spread(request: web.Request) -> web.Response:
    return json_answer({"spread": _spread(await _book(request))})


@routes.post("/spreads")
async def spreads(request: web.Request) -> web.Response:
    found = await books_of(request, await asked_tokens(request))
    return json_answer({token: _spread(book) for token, (_, book) in found.items()})


@routes.get("/last-trade-price")
async def last_trade_price(request: web.Request) -> web.Response:
    """A token without a trade has the price 0.5 and no side, as on the real venue."""
    await _book(request)
    return json_answer(_last(venue_of(request).exchange.last_trade(token_of(request))))


@routes.get("/last-trades-prices")
@routes.post("/last-trades-prices")
async def last_trades_prices(request: web.Request) -> web.Response:
    """The last trades of the tokens that have one."""
    exchange = venue_of(request).exchange
    found = await books_of(request, await asked_tokens(request))
    trades = {token: exchange.last_trade(token) for token in found}
    return json_answer(
        [{"token_id": token, **_last(trade)} for token, trade in trades.items() if trade is not None]
    )


@routes.get("/prices-history")
async def prices_history(request: web.Request) -> web.Response:
    query = request.query
    token = query.get("market", "")
    if not token:
        raise VenueRefusal(400, "invalid filters: the 'market' (asset id) is mandatory")
    window = _window(
        venue_of(request).exchange,
        query.get("interval"),
        {name: _number(query, key) for name, key in (("start", "startTs"), ("end", "endTs"))},
        _number(query, "fidelity"),
    )
    return json_answer({"history": _points(venue_of(request).exchange, token, window)})


class _BatchHistory(msgspec.Struct):
    markets: list[str]
    start_ts: float | None = None
    end_ts: float | None = None
    interval: str | None = None
    fidelity: int | None = None


@routes.post("/batch-prices-history")
async def batch_prices_history(request: web.Request) -> web.Response:
    try:
        asked = msgspec.json.decode(await request.read(), type=_BatchHistory)
    except UNREADABLE as error:
        raise INVALID_PAYLOAD from error
    if len(asked.markets) > HISTORIES_LIMIT:
        raise TOO_LONG
    exchange = venue_of(request).exchange
    bounds = {"start": asked.start_ts, "end": asked.end_ts}
    window = _window(exchange, asked.interval, bounds, asked.fidelity)
    return json_answer({"history": {token: _points(exchange, token, window) for token in asked.markets}})


async def _book(request: web.Request) -> VenueBook:
    _, book = await venue_of(request).exchange.book(token_of(request))
    return book


def _side(text: str) -> str:
    if text not in SIDES:
        raise VenueRefusal(400, "Invalid side")
    return text


def _best(book: VenueBook, side: str) -> str:
    best = book.best_bid if side == "BUY" else book.best_ask
    return "0" if best is None else price_text(best)


def _spread(book: VenueBook) -> str:
    bid, ask = book.best_bid, book.best_ask
    return "0" if bid is None or ask is None else decimal_text(ask - bid, MILL)


def _last(trade: LastTrade | None) -> dict[str, str]:
    return (
        {"price": "0.5", "side": ""}
        if trade is None
        else {"price": price_text(trade.price), "side": trade.side}
    )


def _number(query: Mapping[str, str], name: str) -> float | None:
    if name not in query:
        return None
    return finite(query[name], VenueRefusal(400, f"invalid filters: the '{name}' value is not a number"))


def _window(
    exchange: Exchange, interval: str | None, bounds: Mapping[str, float | None], fidelity: float | None
) -> tuple[int, int, int]:
    """First second, end and resolution in seconds of a requested history.

    An interval ends now. Without one, a start without an end reaches to now.
    """
    now = int(exchange.clock.market_s())
    minutes = 1 if fidelity is None else max(1, int(fidelity))
    start, end = bounds["start"], bounds["end"]
    if start is not None or end is not None:
        first, last = int(start or 0), now + 1 if end is None else int(end)
        if start is not None and end is not None and last - first > LONGEST_WINDOW:
            raise VenueRefusal(400, "invalid filters: 'startTs' and 'endTs' interval is too long")
        return first, last, minutes * MINUTE
    name = interval or "max"
    if name not in INTERVALS:
        known = ", ".join(f"'{each}'" for each in INTERVALS if each not in ("max", "all"))
        raise VenueRefusal(400, f"invalid filters: the 'interval' value is unknown. Known values: {known}")
    finest = FINEST_MINUTES.get(name, 1)
    if minutes < finest and name in ("1m", "1w"):
        raise VenueRefusal(400, f"invalid filters: minimum 'fidelity' for '{name}' range is {finest}")
    length = INTERVALS[name]
    return now - length if length else 0, now + 1, max(minutes, finest) * MINUTE


def _points(exchange: Exchange, token: str, window: tuple[int, int, int]) -> list[dict[str, Any]]:
    return [{"t": second, "p": float(price)} for second, price in price_points(exchange, token, *window)]
