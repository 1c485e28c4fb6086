"""Version 2 of the Data API under /data-api/v2: of a wallet, and resolutions and past prices of markets.

An answer is in `data`; a list that has pages has `pagination`. A wallet or market without data is an empty
list, not an error. Times of trades and redemptions are wall time, those of prices are market time.
"""

from typing import Any

from aiohttp import web

from venue.amounts import MICRO, MILL
from venue.chain import APPROVALS, COLLATERAL, MAX_UINT256
from venue.clock import SECOND
from venue.lifecycle import transaction_hash
from venue.market import UP, VenueMarket
from venue.position_ids import unpadded
from venue.price_history import FINEST_MINUTES, INTERVALS, MINUTE, price_at, price_points
from venue.records import VenuePayout, VenuePosition, VenueTrade
from venue.refusal import VenueRefusal
from venue.signing import CHAIN_ID
from venue.venue import PracticeVenue
from venue.wire.common import END, is_number, json_answer, page, venue_of
from venue.wire.data_api import market_at, number, position_row, user_of
from venue.wire.market_json import decimal_shares, published_up_pays

routes = web.RouteTableDef()

LIMIT = 100
HIGHEST_LIMIT = 1000
HIGHEST_POINTS = 10_000
LOST = "REDEEMABLE_LOST"
STATUSES = ("OPEN", "REDEEMABLE", LOST)
FOREVER_S = 2**40
NO_OUTCOME_INDEX = 999
"""Outcome index of a row without an outcome."""


@routes.get("/data-api/v2/positions")
async def positions(request: web.Request) -> web.Response:
    """A wallet's positions: a lost position is REDEEMABLE too, until it is burned."""
    venue, wallet = venue_of(request), user_of(request)
    status = request.query.get("status")
    if status not in (None, *STATUSES):
        raise VenueRefusal(400, f"invalid status: {status}")
    rows = [
        row
        for row in (_position(venue, wallet, p) for p in _held(request))
        if status in (None, row["status"])
        or (status == LOST and row["redeemable"] and not row["current_value"])
    ]
    return _paged(request, rows)


@routes.get("/data-api/v2/value")
async def portfolio_value(request: web.Request) -> web.Response:
    """The value of a wallet's positions at the present mids, or at their payouts."""
    venue, wallet = venue_of(request), user_of(request)
    values = [position_row(venue, wallet, position)["currentValue"] for position in _held(request)]
    return json_answer({"data": {"proxy_wallet": wallet, "value": round(sum(values), 6)}})


@routes.get("/data-api/v2/trades")
async def trades(request: web.Request) -> web.Response:
    """A wallet's mined trades, newest first."""
    venue, wallet = venue_of(request), user_of(request)
    return _paged(request, [_trade(venue, wallet, trade) for trade in _mined(request)])


@routes.get("/data-api/v2/activity")
async def activity(request: web.Request) -> web.Response:
    """A wallet's mined trades and its redemptions, newest first; deposits are not recorded here."""
    venue, wallet = venue_of(request), user_of(request)
    kinds = [kind for kind in request.query.get("type", "").split(",") if kind]
    rows = [_trade_activity(venue, wallet, trade) for trade in _mined(request)]
    if not request.query.get("side"):
        rows += [_redemption(venue, wallet, payout) for payout in _paid(request)]
    rows = [row for row in rows if not kinds or row["type"] in kinds]
    oldest_first = request.query.get("sort_direction", "DESC").upper() == "ASC"
    rows.sort(key=lambda row: row["timestamp"], reverse=not oldest_first)
    return _paged(request, rows)


@routes.get("/data-api/v2/resolutions")
async def resolutions(request: web.Request) -> web.Response:
    """The resolutions of the named markets; payouts are present once they are final.

    A v1 market has a row when it is resolved, a v2 market from its listing.
    """
    venue, query = venue_of(request), request.query
    given = [query.get(name) for name in ("question_id", "condition_id", "condition", "event_id")]
    if sum(value is not None for value in given) != 1:
        raise VenueRefusal(400, "provide exactly one of question_id, condition and event_id")
    asked = next(value for value in given if value is not None).lower().split(",")
    named = {unpadded(value) for value in asked}
    rows = [
        _resolution(venue, market)
        for market in venue.schedule
        if not named.isdisjoint((market.question_id, unpadded(market.condition_id), str(market.key)))
        and (market.version == "v2" or venue.exchange.resolved(market))
    ]
    return json_answer({"data": rows})


@routes.get("/data-api/v2/prices-history")
async def prices_history(request: web.Request) -> web.Response:
    """Mid prices of a token in an interval up to now, in a window, or at one time."""
    exchange, query = venue_of(request).exchange, request.query
    token, interval = query.get("token_id", ""), query.get("interval")
    if not token:
        raise VenueRefusal(400, "required query param 'token_id' not provided")
    if sum(query.get(name) is not None for name in ("interval", "start", "as_of")) != 1:
        raise VenueRefusal(400, "provide exactly one of interval, start and as_of")
    if "as_of" in query:
        second = int(number(request, "as_of", 0))
        price = price_at(exchange, token, second)
        return _paged(request, [] if price is None else [_point(second, price, 0)], HIGHEST_POINTS)
    now = int(exchange.clock.market_s())
    finest = MINUTE
    first, end = int(number(request, "start", 0)), int(number(request, "end", now + 1))
    if interval is not None:
        if interval not in INTERVALS:
            raise VenueRefusal(400, f"invalid interval: {interval}")
        finest = FINEST_MINUTES.get(interval, 1) * MINUTE
        length = INTERVALS[interval]
        first, end = now - length if length else 0, now + 1
    step = int(number(request, "bucket_seconds", finest))
    if step < finest:
        raise VenueRefusal(400, f"bucket_seconds must be at least {finest}")
    points = price_points(exchange, token, first, end, step)
    return _paged(request, [_point(second, price, step) for second, price in points], HIGHEST_POINTS)


@routes.get("/data-api/v2/approvals")
async def approvals(request: web.Request) -> web.Response:
    """Whether a wallet approved each contract that trades, by the token that the contract may move."""
    venue, wallet = venue_of(request), user_of(request)
    owner = venue.owner_of(wallet)
    rows: list[dict[str, Any]] = []
    for token, spenders in APPROVALS.items():
        for spender in spenders:
            amount = venue.chain.approved(owner, token, spender)
            row = {"token": token, "spender": spender, "standard": "ERC1155", "approved": amount > 0}
            if token == COLLATERAL:
                row |= {"standard": "ERC20", "amount": "max" if amount == MAX_UINT256 else str(amount)}
            rows.append(row)
    return json_answer({"data": {"address": wallet, "chain_id": CHAIN_ID, "contracts": rows}})


# --- filters -----------------------------------------------------------------------------------


def _named_markets(request: web.Request) -> set[int] | None:
    """Keys of the markets that the query names; None if it names none."""
    schedule = venue_of(request).schedule
    conditions, events = request.query.get("condition_id"), request.query.get("event_id")
    if conditions is not None:
        found = map(schedule.by_condition, conditions.split(","))
        return {market.key for market in found if market is not None}
    if events is not None:
        return {int(event) for event in events.split(",") if is_number(event)}
    return None


def _held(request: web.Request) -> list[VenuePosition]:
    venue, named = venue_of(request), _named_markets(request)
    held = venue.ledger.positions_of(venue.owner_of(user_of(request)))
    return [position for position in held if named is None or position.start in named]


def _within(request: web.Request, ns: int) -> bool:
    """Whether a wall time is in the window of the query."""
    return number(request, "start", 0) <= ns // SECOND <= number(request, "end", FOREVER_S)


def _mined(request: web.Request) -> list[VenueTrade]:
    """The wallet's trades that are on chain, as the query selects them."""
    venue, named = venue_of(request), _named_markets(request)
    side = request.query.get("side")
    return [
        trade
        for trade in venue.ledger.trades_of(venue.owner_of(user_of(request)))
        if trade.transaction_hash
        and trade.status != "FAILED"
        and (named is None or trade.start in named)
        and side in (None, trade.side)
        and _within(request, trade.match_ns)
    ]


def _paid(request: web.Request) -> list[VenuePayout]:
    venue, named = venue_of(request), _named_markets(request)
    return [
        payout
        for payout in venue.ledger.payouts_of(venue.owner_of(user_of(request)))
        if (named is None or payout.start in named) and _within(request, payout.paid_ns)
    ]


def _paged(request: web.Request, rows: list[Any], highest: int = HIGHEST_LIMIT) -> web.Response:
    default = HIGHEST_POINTS if highest == HIGHEST_POINTS else LIMIT
    limit = max(1, min(highest, int(number(request, "limit", default))))
    data, cursor = page(rows, request.query.get("cursor"), limit)
    following = None if cursor == END else cursor
    pagination = {"has_more": following is not None, "next_cursor": following}
    return json_answer({"data": data, "pagination": pagination})


# --- rows --------------------------------------------------------------------------------------


def _position(venue: PracticeVenue, wallet: str, position: VenuePosition) -> dict[str, Any]:
    """Version 1's values under version 2's names."""
    v1 = position_row(venue, wallet, position)
    entry, unrealized, realized = v1["initialValue"], v1["cashPnl"], v1["realizedPnl"]
    total_cost = round(v1["totalBought"] * v1["avgPrice"], 6)
    bought = [
        trade
        for trade in venue.ledger.trades_of(position.address)
        if trade.token == position.token and trade.side == "BUY" and trade.status != "FAILED"
    ]
    return {
        "proxy_wallet": wallet,
        "token_id": position.token,
        "condition_id": v1["conditionId"],
        "current_size": v1["size"],
        "avg_price": v1["avgPrice"],
        "entry_cost_usdc": entry,
        "entry_fees_usdc": decimal_shares(sum(trade.fee for trade in bought)),
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
        "event_id": str(position.start),
        "outcome_index": v1["outcomeIndex"],
        "opposite_outcome": v1["oppositeOutcome"],
        "opposite_token_id": v1["oppositeAsset"],
        "end_date": v1["endDate"],
    }


def _trade(venue: PracticeVenue, wallet: str, trade: VenueTrade) -> dict[str, Any]:
    market = market_at(venue, trade.start)
    return {
        "proxy_wallet": wallet,
        "side": trade.side,
        "token_id": trade.token,
        "condition_id": trade.condition_id,
        "size": decimal_shares(trade.shares),
        "price": trade.price / MILL,
        "timestamp": trade.match_ns // SECOND,
        **_names(market),
        "outcome": trade.outcome,
        "outcome_index": 0 if trade.outcome == UP else 1,
        "transaction_hash": trade.transaction_hash,
    }


def _trade_activity(venue: PracticeVenue, wallet: str, trade: VenueTrade) -> dict[str, Any]:
    """The amount is without the fee, as on the real venue."""
    return {
        **_trade(venue, wallet, trade),
        "type": "TRADE",
        "usdc_size": decimal_shares(trade.usd),
    }


def _redemption(venue: PracticeVenue, wallet: str, payout: VenuePayout) -> dict[str, Any]:
    market = market_at(venue, payout.start)
    return {
        "proxy_wallet": wallet,
        "timestamp": payout.paid_ns // SECOND,
        "condition_id": market.condition_id,
        "type": "REDEEM",
        "size": decimal_shares(payout.shares),
        "usdc_size": decimal_shares(payout.amount),
        "transaction_hash": _payout_hash(venue, payout),
        "price": 0,
        "token_id": "",
        "side": "",
        **_names(market),
        "outcome": "",
        "outcome_index": NO_OUTCOME_INDEX,
    }


def _payout_hash(venue: PracticeVenue, payout: VenuePayout) -> str:
    """The wallet's own transaction, or a hash of the payout if the venue made it."""
    own = venue.ledger.payout_transaction(payout)
    return own or transaction_hash(f"{payout.address}:{payout.token}:{payout.paid_ns}")


def _names(market: VenueMarket) -> dict[str, str]:
    return {"title": market.question, "slug": market.slug, "icon": "", "event_slug": market.slug}


def _resolution(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    resolution = venue.exchange.resolutions.get(market.key)
    row: dict[str, Any] = {
        "question_id": market.question_id,
        "condition_id": market.condition_id,
        "extended_review": False,
        "was_disputed": False,
        "new_version_q": False,
        "market_type": "BINARY",
        "last_update_timestamp": str(market.start),
    }
    if resolution is None:
        return {**row, "status": "initialized"}
    up_pays, resolved_s = published_up_pays(venue, resolution), resolution[1]
    row |= {"last_update_timestamp": str(resolved_s)}
    if venue.faults.armed("resolution_disputed") is not None:
        return {**row, "status": "disputed", "was_disputed": True}
    return {
        **row,
        "status": "resolved",
        "resolution_source": "reported",
        "reporter": "CHAINLINK",
        "payouts": [up_pays, MICRO - up_pays],
        "resolved_at": resolved_s,
    }


def _point(second: int, price: str, resolution: int) -> dict[str, Any]:
    return {"timestamp": second, "price": float(price), "resolution_seconds": resolution}
