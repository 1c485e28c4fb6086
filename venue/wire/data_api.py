"""The Data API under /data-api: positions and trades of any wallet address."""

from typing import Any

from aiohttp import web

from venue.amounts import MICRO, MILL
from venue.position_ids import unpadded
from venue.records import VenuePosition, VenueTrade
from venue.refusal import VenueRefusal
from venue.schedule import DOWN, UP, VenueMarket
from venue.signing import checksum
from venue.venue import PracticeVenue
from venue.wire.common import END, json_answer, page, venue_of
from venue.wire.market_json import decimal_shares, iso, outcome_prices

routes = web.RouteTableDef()

LIMIT = 100
HIGHEST_LIMIT = 500
LOST = "REDEEMABLE_LOST"
STATUSES = ("OPEN", "REDEEMABLE", LOST)


@routes.get("/data-api/positions")
async def positions(request: web.Request) -> web.Response:
    venue, wallet = venue_of(request), _user(request)
    threshold = _number(request, "sizeThreshold", 1.0)
    rows = [
        _position(venue, wallet, position)
        for position in venue.ledger.positions_of(venue.owner_of(wallet))
        if position.shares >= threshold * MICRO
    ]
    order = {"TOKENS": "size", "CURRENT": "currentValue", "INITIAL": "initialValue", "CASHPNL": "cashPnl"}
    descending = request.query.get("sortDirection", "DESC").upper() != "ASC"
    rows.sort(key=lambda row: row[order.get(request.query.get("sortBy", ""), "size")], reverse=descending)
    return json_answer(_window(request, rows))


@routes.get("/data-api/trades")
async def trades(request: web.Request) -> web.Response:
    venue, wallet = venue_of(request), _user(request)
    found = venue.ledger.trades_of(venue.owner_of(wallet))
    chosen = [
        trade
        for trade in found
        if trade.status != "FAILED"
        and unpadded(request.query.get("market", trade.condition_id)) == unpadded(trade.condition_id)
    ]
    return json_answer([_trade(venue, wallet, trade) for trade in _window(request, chosen)])


@routes.get("/data-api/v2/positions")
async def positions_v2(request: web.Request) -> web.Response:
    """A wallet's positions in version 2's terms: a lost position is REDEEMABLE too, until it is burned."""
    venue, wallet = venue_of(request), _user(request)
    status = request.query.get("status")
    if status not in (None, *STATUSES):
        raise VenueRefusal(400, f"invalid status: {status}")
    rows = [
        row
        for row in (_position_v2(venue, wallet, p) for p in venue.ledger.positions_of(venue.owner_of(wallet)))
        if status in (None, row["status"])
        or (status == LOST and row["redeemable"] and not row["current_value"])
    ]
    limit = max(1, min(HIGHEST_LIMIT, int(_number(request, "limit", LIMIT))))
    data, cursor = page(rows, request.query.get("cursor"), limit)
    following = None if cursor == END else cursor
    pagination = {"has_more": following is not None, "next_cursor": following}
    return json_answer({"data": data, "pagination": pagination})


def _user(request: web.Request) -> str:
    try:
        return checksum(request.query["user"])
    except (KeyError, ValueError) as error:
        raise VenueRefusal(400, "required query param 'user' not provided") from error


def _number(request: web.Request, name: str, default: float) -> float:
    try:
        return float(request.query.get(name, default))
    except ValueError as error:
        raise VenueRefusal(400, f"invalid {name}") from error


def _window(request: web.Request, rows: list[Any]) -> list[Any]:
    limit = min(HIGHEST_LIMIT, int(_number(request, "limit", LIMIT)))
    first = int(_number(request, "offset", 0))
    return rows[first : first + limit]


def _market(venue: PracticeVenue, start: int) -> VenueMarket:
    market = venue.schedule.at(start)
    if market is None:
        raise VenueRefusal(500, "unknown market")
    return market


def _position(venue: PracticeVenue, wallet: str, position: VenuePosition) -> dict[str, Any]:
    market = _market(venue, position.start)
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


def _position_v2(venue: PracticeVenue, wallet: str, position: VenuePosition) -> dict[str, Any]:
    """Version 1's values under version 2's names."""
    v1 = _position(venue, wallet, position)
    entry, unrealized, realized = v1["initialValue"], v1["cashPnl"], v1["realizedPnl"]
    total_cost = round(v1["totalBought"] * v1["avgPrice"], 6)
    return {
        "proxy_wallet": wallet,
        "token_id": position.token,
        "condition_id": v1["conditionId"],
        "current_size": v1["size"],
        "avg_price": v1["avgPrice"],
        "entry_cost_usdc": entry,
        "entry_fees_usdc": 0.0,
        "total_cost_usdc": total_cost,
        "current_price": v1["curPrice"],
        "current_value": v1["currentValue"],
        "total_size": v1["totalBought"],
        "realized_pnl": realized,
        "unrealized_pnl": unrealized,
        "total_pnl": round(realized + unrealized, 6),
        "percent_pnl": v1["percentPnl"],
        "percent_realized_pnl": round(realized / total_cost * 100, 4) if total_cost else 0.0,
        "status": "REDEEMABLE" if v1["redeemable"] else "OPEN",
        "redeemable": v1["redeemable"],
        "mergeable": False,
        "negative_risk": False,
        "archived": False,
        "verified": False,
        **{name: v1[name] for name in ("title", "slug", "icon", "outcome")},
        "event_slug": v1["eventSlug"],
        "outcome_index": v1["outcomeIndex"],
        "opposite_outcome": v1["oppositeOutcome"],
        "opposite_token_id": v1["oppositeAsset"],
        "end_date": v1["endDate"],
    }


def _trade(venue: PracticeVenue, wallet: str, trade: VenueTrade) -> dict[str, Any]:
    market = _market(venue, trade.start)
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
