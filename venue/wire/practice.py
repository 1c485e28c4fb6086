"""The control routes under /practice: not part of Polymarket's protocol, and not needed to trade."""

from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from venue.amounts import MILL, decimal_text, micro, price_text
from venue.faults import CATALOG, STANDING, ArmedFault, UnknownFault
from venue.market import start_of
from venue.quote_load import MOST_QUOTES
from venue.records import UNLIMITED
from venue.refusal import UNREADABLE, VenueRefusal
from venue.signing import checksum
from venue.timekeeping import ClockRefused, ClockRequest
from venue.venue import PracticeVenue
from venue.wire.common import json_answer, venue_of

routes = web.RouteTableDef()


class _ArmFault(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    count: int | msgspec.UnsetType | None = msgspec.UNSET
    parameters: dict[str, Any] = {}


class _WantedLoad(msgspec.Struct, forbid_unknown_fields=True):
    quotes_per_second: Annotated[float, msgspec.Meta(ge=0, le=MOST_QUOTES)]


class _SetAccount(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    balance: str | None = None
    deposit: str | None = None
    allowance: str | None = None
    allowances: dict[str, str] = {}
    operators: dict[str, bool] = {}
    signature_type: Literal[0, 1, 2, 3] | msgspec.UnsetType | None = msgspec.UNSET
    closed_only: bool | None = None


class _Redeem(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    condition_id: str | None = None
    position_id: str | None = None
    shares: str | None = None


async def _body(request: web.Request, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except UNREADABLE as error:
        raise VenueRefusal(400, str(error)) from error


def _address(text: str) -> str:
    try:
        return checksum(text)
    except ValueError as error:
        raise VenueRefusal(400, f"not an address: {text!r}") from error


@routes.get("/practice/clock")
async def clock(request: web.Request) -> web.Response:
    return json_answer(venue_of(request).clock.wire())


@routes.post("/practice/clock")
async def set_clock(request: web.Request) -> web.Response:
    """Change market time: {"held": true, "speed": 15, "advance": 60} or {"to": 1800000900}; all optional.

    The answer is the clock, once all events of a step have happened.
    """
    venue = venue_of(request)
    wanted: ClockRequest = await _body(request, ClockRequest)
    try:
        await venue.change_clock(wanted)
    except ClockRefused as error:
        raise VenueRefusal(400, str(error)) from error
    return json_answer(venue.clock.wire())


@routes.get("/practice/load")
async def load(request: web.Request) -> web.Response:
    """Rate of the additional quotes, number sent since the start, and number of subscribers."""
    return json_answer(_load(venue_of(request)))


@routes.post("/practice/load")
async def set_load(request: web.Request) -> web.Response:
    """Set the rate: {"quotes_per_second": 100}; 0 ends the load."""
    venue = venue_of(request)
    wanted: _WantedLoad = await _body(request, _WantedLoad)
    venue.markets.load.change(wanted.quotes_per_second, venue.clock.wall_ns())
    return json_answer(_load(venue))


def _load(venue: PracticeVenue) -> dict[str, Any]:
    return {
        "quotes_per_second": venue.markets.load.per_second,
        "sent": venue.markets.load.sent,
        "subscribers": venue.markets.subscribers,
    }


@routes.get("/practice/info")
async def info(request: web.Request) -> web.Response:
    venue = venue_of(request)
    now = venue.clock.market_s()
    running = [market for market in venue.schedule if market.start <= now < market.end]
    first = [market.slug for market in running if market.series == venue.first_series]
    return json_answer(
        {
            "clock": venue.clock.wire(),
            "source": venue.source.info(),
            "redeem": venue.options.redeem,
            "first_start": venue.schedule.first_start,
            "current": first[0] if first else None,
            "running": [market.slug for market in running],
            "faults": {name: {"does": s.does, "parameters": s.defaults} for name, s in CATALOG.items()},
        }
    )


@routes.get("/practice/log")
async def request_log(request: web.Request) -> web.Response:
    return json_answer(list(venue_of(request).requests))


@routes.get("/practice/account")
async def account(request: web.Request) -> web.Response:
    """An account in decimal strings: money, positions, orders, payouts."""
    venue = venue_of(request)
    address = venue.owner_of(_address(request.query.get("address", "")))
    found = venue.ledger.account(address)
    if found is None:
        raise VenueRefusal(404, f"no account of {address}")
    return json_answer(
        {
            "address": found.address,
            "balance": decimal_text(found.balance),
            "allowance": decimal_text(found.allowance),
            "fees_paid": decimal_text(found.fees_paid),
            "positions": [
                {
                    "token": p.token,
                    "start": start_of(p.start),
                    "outcome": p.outcome,
                    "shares": decimal_text(p.shares),
                    "cost": decimal_text(p.cost),
                    "realized": decimal_text(p.realized),
                }
                for p in venue.ledger.positions_of(address)
            ],
            "orders": [
                {
                    "id": o.id,
                    "token": o.token,
                    "outcome": o.outcome,
                    "side": o.side,
                    "kind": o.kind,
                    "price": price_text(o.price),
                    "status": o.status,
                    "matched_shares": decimal_text(o.matched_shares),
                    "matched_usd": decimal_text(o.matched_usd),
                }
                for o in venue.ledger.orders_of(address)
            ],
            "trades": [
                {
                    "id": t.id,
                    "order_id": t.order_id,
                    "role": t.role,
                    "outcome": t.outcome,
                    "side": t.side,
                    "price": decimal_text(t.price, MILL),
                    "shares": decimal_text(t.shares),
                    "usd": decimal_text(t.usd),
                    "fee": decimal_text(t.fee),
                    "status": t.status,
                }
                for t in venue.ledger.trades_of(address)
            ],
            "payouts": [
                {
                    "token": p.token,
                    "start": start_of(p.start),
                    "shares": decimal_text(p.shares),
                    "amount": decimal_text(p.amount),
                }
                for p in venue.ledger.payouts_of(address)
            ],
        }
    )


@routes.post("/practice/accounts")
async def set_account(request: web.Request) -> web.Response:
    """Open an account if it is new, and set its balance or allowance (decimal strings), or its properties.

    `deposit` is added to the balance, below 0 for a withdrawal, and is not lost if an order is executed at
    the same time.

    `allowance` is that of every contract for every asset; `allowances` are pUSD by contract, `operators`
    whether a contract may transfer outcome shares. `signature_type` puts all its money into the wallet of
    that type only; null: into whichever wallet it uses.
    """
    venue = venue_of(request)
    wanted: _SetAccount = await _body(request, _SetAccount)
    address = _address(wanted.address)
    try:
        balance = None if wanted.balance is None else micro(wanted.balance)
        deposit = 0 if wanted.deposit is None else micro(wanted.deposit)
        allowance = None if wanted.allowance is None else micro(wanted.allowance)
        allowances = {_address(spender): micro(amount) for spender, amount in wanted.allowances.items()}
    except ValueError as error:
        raise VenueRefusal(400, str(error)) from error
    operators = {_address(spender): UNLIMITED * allowed for spender, allowed in wanted.operators.items()}
    if min(balance or 0, allowance or 0, *allowances.values()) < 0:
        raise VenueRefusal(400, "balance and allowance cannot be negative")
    with venue.ledger.transaction():
        account = venue.open_account(address)
        total = (account.balance if balance is None else balance) + deposit
        if total < 0:
            raise VenueRefusal(400, f"deposit {wanted.deposit} leaves a balance of {total} micro pUSD")
        venue.ledger.set_funds(address, balance=total, allowance=allowance)
        if allowance is not None:
            venue.ledger.clear_allowances(address)
        for spender, amount in allowances.items():
            venue.ledger.set_allowance(address, "pUSD", spender, amount)
        for spender, amount in operators.items():
            venue.ledger.set_allowance(address, "outcomes", spender, amount)
        standing = venue.ledger.standing(address)
        if wanted.signature_type is not msgspec.UNSET:
            standing = msgspec.structs.replace(standing, money_in=wanted.signature_type)
        if wanted.closed_only is not None:
            standing = msgspec.structs.replace(standing, closed_only=wanted.closed_only)
        venue.ledger.put_standing(standing)
    venue.order_intake.shed(address)
    return json_answer({"address": address})


@routes.post("/practice/redeem")
async def redeem(request: web.Request) -> web.Response:
    """Pay out an account's positions in resolved markets, or in the named one.

    With `position_id`, pay out that position of a v2 market, or so many of its shares (a decimal string).
    """
    venue = venue_of(request)
    wanted: _Redeem = await _body(request, _Redeem)
    address = venue.owner_of(_address(wanted.address))
    if wanted.position_id is None:
        paid = venue.settlement.redeem(address, wanted.condition_id)
    else:
        try:
            shares = None if wanted.shares is None else micro(wanted.shares)
        except ValueError as error:
            raise VenueRefusal(400, str(error)) from error
        paid = [venue.settlement.redeem_position(address, wanted.position_id, shares)]
    return json_answer({"redeemed": len(paid), "amount": decimal_text(sum(p.amount for p in paid))})


@routes.get("/practice/faults")
async def list_faults(request: web.Request) -> web.Response:
    return json_answer([_wire(fault) for fault in venue_of(request).faults.listing()])


@routes.post("/practice/faults")
async def arm_fault(request: web.Request) -> web.Response:
    """Arm a fault: {"name": …, "count": 1, "parameters": {…}}; count null means until cleared."""
    wanted: _ArmFault = await _body(request, _ArmFault)
    default = None if wanted.name in STANDING else 1
    count = default if wanted.count is msgspec.UNSET else wanted.count
    try:
        armed = venue_of(request).faults.arm(wanted.name, count, wanted.parameters)
    except UnknownFault as error:
        raise VenueRefusal(400, str(error)) from error
    return json_answer(_wire(armed))


@routes.delete("/practice/faults")
async def clear_faults(request: web.Request) -> web.Response:
    """Clear the fault named in the query, or all."""
    venue_of(request).faults.clear(request.query.get("name"))
    return json_answer({"cleared": request.query.get("name", "all")})


def _wire(fault: ArmedFault) -> dict[str, Any]:
    return {"name": fault.name, "left": fault.left, "parameters": fault.parameters, "struck": fault.struck}
