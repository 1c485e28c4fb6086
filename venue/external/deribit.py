"""Deribit's option chain, whose put/call ratio is drawn again for every day of market time."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import NormalDist
from typing import Any

from aiohttp import web

from venue.external.access import service
from venue.external.feeds import DAY, Feeds
from venue.external.services import PATHS
from venue.sources.price_path import UNIT, draws, draws_prefix
from venue.wire.common import json_answer

routes = web.RouteTableDef()

EXPIRY_HOUR = 8
FRIDAY = 4
DAILIES, WEEKLIES, MONTHLIES, QUARTERLIES = 4, 4, 3, 4
STRIKES = 15

INSTRUMENTS = {"btc": "BTC", "eth": "ETH", "sol": "SOL_USDC", "xrp": "XRP_USDC"}
"""Instrument prefixes of the assets with options; a settlement currency in it is the listing's currency."""
LINEAR = "USDC"
"""Settlement currency of options whose prices are in dollars instead of the asset."""

RATIOS = ((0.35, 1.30, 1.80), (0.70, 0.40, 0.64), (1.0, 0.78, 1.10))
"""(cumulative share of days, lowest, highest ratio): many puts, many calls, neither."""
EXPIRY_SPREAD = 0.03
"""Maximum relative difference of an expiry's ratio from the day's ratio."""
CALLS_LOW, CALLS_HIGH = 2_000.0, 8_000.0
"""Open interest in calls of an expiry, contracts."""

YEAR_SECONDS = 365 * DAY
IV, SMILE = 0.42, 0.9
"""Implied volatility at the money, and its growth with the squared log distance from it."""
NO_BID_BELOW = 0.0003
"""An option with a lower value, in its currency, has no bid: null, as on the exchange."""

_NORMAL = NormalDist()
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def put_call_ratio(seed: int, day: int, asset: str = "btc") -> float:
    """A day's ratio of open puts to open calls."""
    rng = draws(seed, f"{draws_prefix(asset)}put_call", day)
    kind = rng.random()
    low, high = next((low, high) for share, low, high in RATIOS if kind <= share)
    return rng.uniform(low, high)


def expiries(now: datetime) -> list[datetime]:
    """The expiries listed at a moment, soonest first: days, Fridays, last Fridays of months and quarters."""
    first = now.replace(hour=EXPIRY_HOUR, minute=0, second=0, microsecond=0)
    if first <= now:
        first += timedelta(days=1)
    days = [first + timedelta(days=n) for n in range(DAILIES)]
    friday = first + timedelta(days=(FRIDAY - first.weekday()) % 7)
    fridays = [friday + timedelta(weeks=n) for n in range(70)]
    monthly = [day for day in fridays if (day + timedelta(weeks=1)).month != day.month]
    quarterly = [day for day in monthly if day.month % 3 == 0]
    return sorted({*days, *fridays[:WEEKLIES], *monthly[:MONTHLIES], *quarterly[:QUARTERLIES]})


@routes.get(PATHS["deribit"] + "/api/v2/public/get_book_summary_by_currency")
@service("deribit")
async def book_summary(request: web.Request, feeds: Feeds) -> web.Response:
    """The option chains of a currency; other currencies and kinds have no instruments here."""
    out = feeds.answered_ns("deribit") // 1000
    envelope: dict[str, Any] = {
        "jsonrpc": "2.0",
        "usIn": out - 900,
        "usOut": out,
        "usDiff": 900,
        "testnet": False,
    }
    if "currency" not in request.query:
        data = {"reason": "parameter is required", "param": "currency"}
        error = {"code": -32602, "message": "Invalid params", "data": data}
        return json_answer({**envelope, "error": error}, 400)
    listed = [
        asset
        for asset in feeds.assets
        if asset in INSTRUMENTS
        and INSTRUMENTS[asset].rpartition("_")[2] == request.query["currency"]
        and request.query.get("kind", "option") == "option"
    ]
    return json_answer({**envelope, "result": [row for asset in listed for row in _chain(feeds, out, asset)]})


def _chain(feeds: Feeds, now_us: int, asset: str) -> Iterator[dict[str, Any]]:
    now = feeds.now("deribit").second
    spot = feeds.spot(now, asset) / UNIT
    # Strikes are fixed for the day by the day's first price.
    centre = feeds.spot(now // DAY * DAY, asset) / UNIT
    ratio = put_call_ratio(feeds.seed, feeds.day(now), asset)
    for expiry in expiries(datetime.fromtimestamp(now_us / 1e6, UTC)):
        name = f"{INSTRUMENTS[asset]}-{expiry.day}{_MONTHS[expiry.month - 1]}{expiry:%y}"
        years = (expiry.timestamp() - now_us / 1e6) / YEAR_SECONDS
        rng = draws(feeds.seed, f"interest/{name}", feeds.day(now))
        calls = rng.uniform(CALLS_LOW, CALLS_HIGH)
        puts = calls * ratio * rng.uniform(1 - EXPIRY_SPREAD, 1 + EXPIRY_SPREAD)
        for kind, total in (("C", calls), ("P", puts)):
            weights = [rng.lognormvariate(0, 0.8) for _ in range(STRIKES)]
            for strike, weight in zip(_strikes(centre, years, asset), weights, strict=True):
                interest = round(total * weight / sum(weights), 1)
                traded = round(interest * rng.uniform(0, 0.2), 1)
                yield {
                    **_prices(kind, strike, spot, years, asset),
                    "instrument_name": f"{name}-{_strike_text(strike)}-{kind}",
                    "open_interest": interest,
                    "volume": traded,
                    "volume_usd": round(traded * spot * 0.02, 2),
                    "underlying_price": round(spot, 2),
                    "underlying_index": name,
                    "creation_timestamp": now_us // 1000,
                }


def _strikes(centre: float, years: float, asset: str) -> list[float]:
    """Round strikes around a price, further apart for later expiries."""
    width = centre * IV * math.sqrt(years) * 3 / STRIKES
    if asset == "btc":
        step = next((s for s in (500, 1_000, 2_000, 5_000) if s >= width), 10_000)
    else:
        power = 10.0 ** math.floor(math.log10(width))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= width)
    middle = round(centre / step)
    half = min(STRIKES // 2, middle - 1)
    return [step * (middle + n) for n in range(-half, STRIKES - half)]


def _strike_text(strike: float) -> str:
    """A strike in an instrument's name: with a "d" for the decimal point."""
    return f"{strike:.8g}".replace(".", "d")


def _prices(kind: str, strike: float, spot: float, years: float, asset: str) -> dict[str, Any]:
    """Quotes around the Black-Scholes value at zero interest, and the other fields of the summary.

    They are in the asset, or in USDC for a linear option.
    """
    distance = math.log(spot / strike)
    volatility = IV + SMILE * distance**2
    deviation = volatility * math.sqrt(years)
    upper = distance / deviation + deviation / 2
    call = _NORMAL.cdf(upper) - strike / spot * _NORMAL.cdf(upper - deviation)
    mark = max(call if kind == "C" else call - 1 + strike / spot, 0.0)
    base, _, settled = INSTRUMENTS[asset].partition("_")
    if settled == LINEAR:
        mark *= spot
    bid = math.floor(mark * 0.97 * 1e4) / 1e4 if mark >= NO_BID_BELOW else None
    ask = math.ceil(mark * 1.03 * 1e4) / 1e4 + 0.0001
    return {
        "mark_price": round(mark, 6),
        "mark_iv": round(volatility * 100, 2),
        "bid_price": bid,
        "ask_price": round(ask, 4),
        "mid_price": None if bid is None else round((bid + ask) / 2, 5),
        "last": None if bid is None else bid,
        "high": None,
        "low": None,
        "price_change": None,
        "interest_rate": 0,
        "base_currency": base,
        "quote_currency": settled or base,
    }
