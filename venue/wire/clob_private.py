"""The CLOB's authenticated routes except placing orders: keys, cancels, orders, trades, balance."""

from collections.abc import Callable

from aiohttp import web

from venue import payloads, position_accounting
from venue.auth import BAD_L1, check_l1, new_key
from venue.position_ids import is_outcome_id, is_position_id
from venue.records import Asset, VenueOrder, VenueTrade
from venue.refusal import VenueRefusal
from venue.signing import EXCHANGE, EXCHANGE_V3, NEG_RISK_EXCHANGE
from venue.wire.common import authenticate, json_answer, json_body, paged, refuse_future, venue_of

routes = web.RouteTableDef()

CANCEL_LIMIT = 1000
EXCHANGES = {
    "COLLATERAL": (EXCHANGE, EXCHANGE_V3),
    "CONDITIONAL": (EXCHANGE,),
    "CONDITIONAL-V2": (EXCHANGE_V3,),
}
"""The exchanges that trade with an asset: pUSD, CTF tokens, positions of Protocol V2."""


# --- keys ------------------------------------------------------------------------------------


@routes.post("/auth/api-key")
async def create_key(request: web.Request) -> web.Response:
    venue = venue_of(request)
    refuse_future(request, BAD_L1)
    address, nonce = check_l1(request.headers, venue.clock.wall_s())
    if venue.ledger.key_of(address, nonce) is not None:
        raise VenueRefusal(400, "Could not create api key")
    return _made_key(request, address, nonce)


@routes.get("/auth/derive-api-key")
async def derive_key(request: web.Request) -> web.Response:
    venue = venue_of(request)
    refuse_future(request, BAD_L1)
    address, nonce = check_l1(request.headers, venue.clock.wall_s())
    known = venue.ledger.key_of(address, nonce)
    return _made_key(request, address, nonce) if known is None else json_answer(known.wire())


def _made_key(request: web.Request, address: str, nonce: int) -> web.Response:
    venue = venue_of(request)
    key = new_key(address, nonce)
    with venue.ledger.transaction():
        venue.open_account(address)
        venue.ledger.add_key(key)
    return json_answer(key.wire())


@routes.get("/auth/api-keys")
async def list_keys(request: web.Request) -> web.Response:
    key = await authenticate(request)
    return json_answer({"apiKeys": [known.key for known in venue_of(request).ledger.keys_of(key.address)]})


@routes.delete("/auth/api-key")
async def delete_key(request: web.Request) -> web.Response:
    key = await authenticate(request)
    venue_of(request).ledger.remove_key(key.key)
    return json_answer("OK")


@routes.get("/auth/ban-status/closed-only")
async def closed_only(request: web.Request) -> web.Response:
    key = await authenticate(request)
    return json_answer({"closed_only": venue_of(request).ledger.standing(key.address).closed_only})


# --- cancels ---------------------------------------------------------------------------------


@routes.delete("/order")
async def cancel_order(request: web.Request) -> web.Response:
    key = await authenticate(request)
    content = await json_body(request)
    if not isinstance(content, dict) or not isinstance(content.get("orderID"), str):
        raise VenueRefusal(400, "Invalid order payload")
    return json_answer(venue_of(request).order_intake.cancel_ids(key.address, [content["orderID"]]))


@routes.delete("/orders")
async def cancel_orders(request: web.Request) -> web.Response:
    key = await authenticate(request)
    content = await json_body(request)
    if not isinstance(content, list) or not all(isinstance(row, str) for row in content):
        raise VenueRefusal(400, "Invalid order payload")
    if len(content) > CANCEL_LIMIT:
        raise VenueRefusal(400, f"Too many orders in payload: {len(content)}, max allowed: {CANCEL_LIMIT}")
    return json_answer(venue_of(request).order_intake.cancel_ids(key.address, content))


@routes.delete("/cancel-all")
async def cancel_all(request: web.Request) -> web.Response:
    key = await authenticate(request)
    return _cancel_where(request, key.address, lambda _: True)


@routes.delete("/cancel-market-orders")
async def cancel_market_orders(request: web.Request) -> web.Response:
    key = await authenticate(request)
    content = await json_body(request)
    if not isinstance(content, dict):
        raise VenueRefusal(400, "Invalid order payload")
    market, token = content.get("market"), content.get("asset_id")
    return _cancel_where(
        request,
        key.address,
        lambda order: market in (None, "", order.condition_id) and token in (None, "", order.token),
    )


def _cancel_where(request: web.Request, address: str, chosen: Callable[[VenueOrder], bool]) -> web.Response:
    venue = venue_of(request)
    found = [order.id for order in venue.ledger.open_orders(address=address) if chosen(order)]
    return json_answer(venue.order_intake.cancel_ids(address, found))


# --- reading ---------------------------------------------------------------------------------


@routes.get("/data/order/{order_id}")
async def get_order(request: web.Request) -> web.Response:
    key = await authenticate(request)
    venue = venue_of(request)
    order = venue.ledger.order(request.match_info["order_id"])
    if order is None or order.address != key.address or venue.faults.consume("order_lookup_404") is not None:
        raise VenueRefusal(404, "order not found")
    return json_answer(payloads.open_order(order, venue.ledger.trade_ids(order.id)))


@routes.get("/data/orders")
async def get_orders(request: web.Request) -> web.Response:
    """Open orders only, as on the real venue."""
    key = await authenticate(request)
    ledger = venue_of(request).ledger
    query = request.query
    chosen = [
        payloads.open_order(order, ledger.trade_ids(order.id))
        for order in ledger.open_orders(address=key.address)
        if query.get("id", order.id) == order.id
        and query.get("market", order.condition_id) == order.condition_id
        and query.get("asset_id", order.token) == order.token
    ]
    return paged(chosen, request)


@routes.get("/data/trades")
async def get_trades(request: web.Request) -> web.Response:
    key = await authenticate(request)
    trades = venue_of(request).ledger.trades_of(key.address)
    return paged([payloads.trade(trade) for trade in trades if _wanted(trade, request)], request)


def _wanted(trade: VenueTrade, request: web.Request) -> bool:
    query = request.query
    try:
        after, before = int(query.get("after", 0)), int(query.get("before", 2**62))
    except ValueError as error:
        raise VenueRefusal(400, "Invalid payload") from error
    wallets = (trade.wallet.lower(), trade.other.wallet.lower())
    return (
        query.get("id", trade.id) == trade.id
        and query.get("market", trade.condition_id) == trade.condition_id
        and query.get("asset_id", trade.token) in (trade.token, trade.other.token)
        and query.get("maker_address", trade.wallet).lower() in wallets
        and after <= trade.match_ns // 1_000_000_000 <= before
    )


@routes.get("/balance-allowance")
async def balance_allowance(request: web.Request) -> web.Response:
    """pUSD or a token's shares, in micro units, of the wallet of the signature type."""
    key = await authenticate(request)
    venue = venue_of(request)
    account = venue.open_account(key.address)
    kind = request.query.get("asset_type", "COLLATERAL")
    if kind not in EXCHANGES:
        raise VenueRefusal(400, "Invalid asset type")
    asset: Asset = "pUSD"
    balance = account.balance
    if kind != "COLLATERAL":
        asset = "outcomes"
        token = request.query.get("token_id", "")
        if not is_outcome_id(token) or is_position_id(token) is not (kind == "CONDITIONAL-V2"):
            raise VenueRefusal(400, "Invalid token id")
        position = venue.ledger.position(key.address, token)
        balance = 0 if position is None else position.shares
    # The neg-risk exchange accepts no order of these markets, and has no allowance here.
    allowances = {NEG_RISK_EXCHANGE: 0} | {
        exchange: venue.ledger.allowance(account, asset, exchange) for exchange in EXCHANGES[kind]
    }
    listed = position_accounting.listed_for(venue.ledger, key.address, _signature_type(request))
    if not listed or venue.faults.armed("stale_balance") is not None:
        balance, allowances = 0, dict.fromkeys(allowances, 0)
    amounts = {exchange: str(amount) for exchange, amount in allowances.items()}
    return json_answer({"balance": str(balance), "allowances": amounts})


def _signature_type(request: web.Request) -> int:
    try:
        return int(request.query.get("signature_type", 0))
    except ValueError as error:
        raise VenueRefusal(400, "Invalid signature type") from error


@routes.get("/balance-allowance/update")
async def update_balance_allowance(request: web.Request) -> web.Response:
    await authenticate(request)
    venue_of(request).faults.clear("stale_balance")
    return json_answer("")
