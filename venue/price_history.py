"""Mid prices of a token's book at past times, sampled at whole multiples of a resolution."""

from collections.abc import Iterator
from typing import NamedTuple

from venue.exchange import Exchange
from venue.market import VenueMarket

MINUTE = 60
DAY = 86_400
INTERVALS = {
    "max": 0,
    "all": 0,
    "1m": 30 * DAY,
    "1w": 7 * DAY,
    "1d": DAY,
    "6h": 6 * 3600,
    "1h": 3600,
}
"""Length of the interval up to now, in seconds; 0: everything. 1m is a month."""
FINEST_MINUTES = {"max": 10, "all": 10, "1m": 10, "1w": 5}
"""Finest resolution of an interval in minutes; one minute for the others."""
LONGEST_WINDOW = 15 * DAY
"""Maximum length of a window with a start and an end, in seconds."""


class PricePoint(NamedTuple):
    """The mid price, as a decimal, at a market time in seconds since the epoch."""

    market_s: int
    price: str


def price_points(exchange: Exchange, token: str, first: int, end: int, step: int) -> Iterator[PricePoint]:
    """The prices of a token from `first` to before `end`, every `step` seconds, oldest first.

    A market has prices from its start to its end. None for an unknown token.
    """
    market = exchange.schedule.by_token(token)
    if market is None:
        return
    first = -(-max(first, market.start) // step) * step
    end = min(end, market.end + 1, int(exchange.clock.market_s()) + 1)
    for second in range(first, end, step):
        price = _mid(exchange, market, token, second)
        if price is not None:
            yield PricePoint(second, price)


def price_at(exchange: Exchange, token: str, second: int) -> str | None:
    """The price of a token at a market time; None if there is none."""
    points = price_points(exchange, token, second, second + 1, 1)
    return next((point.price for point in points), None)


def _mid(exchange: Exchange, market: VenueMarket, token: str, second: int) -> str | None:
    book = exchange.source.book_at(market, second)
    return None if book is None else exchange.seen_from(market, token, book).mid_text
