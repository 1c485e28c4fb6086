"""Version 1 of the Data API under /data-api: positions and trades of any wallet address."""

from typing import Any

from aiohttp import web

from venue.amounts import MICRO, MILL
from venue.position_ids import unpadded
from venue.records import VenuePosition, VenueTrade
from venue.refusal import VenueRefusal
from venue.schedule import DOWN, UP, VenueMarket
from venue.signing import checksum
from venue.venue import PracticeVenue
from venue.wire.common import finite, json_answer, venue_of
from venue.wire.market_json import decimal_shares, iso, outcome_prices

routes = web.RouteTableDef()

LIMIT = 100
HIGHEST_LIMIT = 500


@routes.get("/data-api/positions")
async def positions(request: web.Request) -> web.Response:
    venue, wallet = venue_of(request), user_of(request)
    threshold = number(request, "sizeThreshold", 1.0)
    rows = [
        position_row(venue, wallet, position)
        for position in venue.ledger.positions_of(venue.owner_of(wallet))
        if position.shares >= threshold * MICRO
    ]
    order = {"TOKENS": "size", "CURRENT": "currentValue", "INITIAL": "initialValue", "CASHPNL": "cashPnl"}
    descending = request.query.get("sortDirection", "DESC").upper() != "ASC"
    rows.sort(key=lambda row: row[order.get(request.query.get("sortBy", ""), "size")], reverse=descending)
    return json_answer(_window(request, rows))


@routes.get("/data-api/trades")
async def trades(request: web.Request) -> web.Response:
    venue, wallet = venue_of(request), user_of(request)
    found = venue.ledger.trades_of(venue.owner_of(wallet))
    chosen = [
        trade
        for trade in found
        if trade.status != "FAILED"
        and unpadded(request.query.get("market", trade.condition_id)) == unpadded(trade.condition_id)
    ]
    return json_answer([_trade(venue, wallet, trade) for trade in _window(request, chosen)])


def user_of(request: web.Request) -> str:
    """The wallet address in the query."""
    try:
        return checksum(request.query["user"])
    except (KeyError, ValueError) as error:
        raise VenueRefusal(400, "required query param 'user' not provided") from error


def number(request: web.Request, name: str, default: float) -> float:
    """A number in the query."""
    return finite(request.query.get(name, str(default)), VenueRefusal(400, f"invalid {name}"))


def _window(request: web.Request, rows: list[Any]) -> list[Any]:
    limit = min(HIGHEST_LIMIT, int(number(request, "limit", LIMIT)))
    first = int(number(request, "offset", 0))
    return rows[first : first + limit]


def market_at(venue: PracticeVenue, key: int) -> VenueMarket:
    """The market of a recorded trade or position."""
    market = venue.schedule.at(key)
    if market is None:
        raise VenueRefusal(500, "unknown market")
    return market


def position_row(venue: PracticeVenue, wallet: str, position: VenuePosition) -> dict[str, Any]:
    """A position in version 1's format."""
    market = market_at(venue, position.start)
    up = position.outcome == UP
    price = float(outcome_prices(venue, market)[0 if up else 1])
    size, initial = decimal_shares(position.shares), decimal_shares(position.cost)
    current = round(size * price, 6)
    return {
        "proxyWallet": wallet,
        "asset": position.token,
        "conditionId": market.condition_id,
        "size": size,
        "avgPrice": round(initial / size, 6),
        "initialValue": initial,
        "currentValue": current,
        "cashPnl": round(current - initial, 6),
        "percentPnl": round((current - initial) / initial * 100, 4) if initial else 0,
        "totalBought": decimal_shares(position.bought),
        "realizedPnl": decimal_shares(position.realized),
        "curPrice": price,
        "redeemable": venue.exchange.resolved(market),
        "mergeable": False,
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "eventSlug": market.slug,
        "outcome": position.outcome,
        "outcomeIndex": 0 if up else 1,
        "oppositeOutcome": DOWN if up else UP,
        "oppositeAsset": market.down_token if up else market.up_token,
        "endDate": iso(market.end)[:10],
        "negativeRisk": False,
    }


def _trade(venue: PracticeVenue, wallet: str, trade: VenueTrade) -> dict[str, Any]:
    market = market_at(venue, trade.start)
    return {
        "proxyWallet": wallet,
        "side": trade.side,
        "asset": trade.token,
        "conditionId": trade.condition_id,
        "size": decimal_shares(trade.shares),
        "price": trade.price / MILL,
        "timestamp": trade.match_ns // 1_000_000_000,
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "eventSlug": market.slug,
        "outcome": trade.outcome,
        "outcomeIndex": 0 if trade.outcome == UP else 1,
        "transactionHash": trade.transaction_hash,
    }
