"""Changes an account's position by a trade: pure arithmetic, and its application to the ledger."""

import msgspec

from venue.ledger import VenueLedger
from venue.records import VenueOrder, VenuePosition, VenueTrade
from venue.rules import Side


def bought(position: VenuePosition, shares: int, usd: int) -> VenuePosition:
    """The position after buying `shares` for `usd` without fee (micro units)."""
    return msgspec.structs.replace(
        position,
        shares=position.shares + shares,
        cost=position.cost + usd,
        bought=position.bought + shares,
    )


def sold(position: VenuePosition, shares: int, usd: int) -> VenuePosition:
    """The position after selling `shares` for `usd`: the cost decreases in proportion, the rest is realised.

    Raises
    ------
    ValueError
        If it holds fewer shares.
    """
    if shares > position.shares:
        raise ValueError(f"{shares} micro shares of {position.token} to give, {position.shares} held")
    cost = position.cost * shares // position.shares if position.shares else 0
    return msgspec.structs.replace(
        position,
        shares=position.shares - shares,
        cost=position.cost - cost,
        realized=position.realized + usd - cost,
    )


def held(ledger: VenueLedger, trade: VenueTrade) -> VenuePosition:
    """The account's position in the trade's token, empty if it has none."""
    return ledger.position(trade.address, trade.token) or VenuePosition(
        address=trade.address,
        token=trade.token,
        start=trade.start,
        outcome=trade.outcome,
        shares=0,
        cost=0,
        bought=0,
        realized=0,
    )


def book(ledger: VenueLedger, trade: VenueTrade) -> None:
    """Record a trade and transfer its money and shares in one transaction."""
    with ledger.transaction():
        position = held(ledger, trade)
        if trade.side == "BUY":
            ledger.put_position(bought(position, trade.shares, trade.usd))
            ledger.pay(trade.address, -trade.usd, trade.fee)
        else:
            ledger.put_position(sold(position, trade.shares, trade.usd))
            ledger.pay(trade.address, trade.usd, trade.fee)
        ledger.put_trade(trade)


def reserved(ledger: VenueLedger, address: str, side: Side, token: str) -> int:
    """Reserved by the account's resting orders: pUSD for BUY, the token's shares for SELL (micro)."""
    return sum(
        order.left
        for order in ledger.open_orders(address=address)
        if order.side == side and (side == "BUY" or order.token == token)
    )


def seen_by(ledger: VenueLedger, address: str, signature_type: int) -> bool:
    """Whether an order of this signature type is paid by the wallet that holds the account's money."""
    return ledger.standing(address).money_in in (None, signature_type)


def listed_for(ledger: VenueLedger, address: str, signature_type: int) -> bool:
    """Whether the account's money is shown for this signature type: one wallet has it, otherwise its own."""
    return (ledger.standing(address).money_in or 0) == signature_type


def available(ledger: VenueLedger, address: str, side: Side, token: str) -> int:
    """Available to an account for an order of that side: pUSD, or the token's shares (micro)."""
    if side == "BUY":
        account = ledger.account(address)
        held_amount = 0 if account is None else account.balance
    else:
        position = ledger.position(address, token)
        held_amount = 0 if position is None else position.shares
    return held_amount - reserved(ledger, address, side, token)


def uncovered(ledger: VenueLedger, address: str) -> list[VenueOrder]:
    """Resting orders that the account's money or shares no longer cover, newest first."""
    left: dict[str, int] = {}
    found: list[VenueOrder] = []
    for order in ledger.open_orders(address=address):
        key = "" if order.side == "BUY" else order.token
        if key not in left:
            promised = reserved(ledger, address, order.side, order.token)
            left[key] = available(ledger, address, order.side, order.token) + promised
        if order.left <= left[key]:
            left[key] -= order.left
        else:
            found.append(order)
    return found


def reversible(ledger: VenueLedger, trade: VenueTrade) -> bool:
    """True if the account still has, unreserved, what a failed trade would have to return."""
    if trade.side == "BUY":
        return available(ledger, trade.address, "SELL", trade.token) >= trade.shares
    return available(ledger, trade.address, "BUY", trade.token) + trade.fee >= trade.usd


def reverse(ledger: VenueLedger, trade: VenueTrade, update_ns: int) -> VenueTrade:
    """Undo a trade that failed on chain; returns it as FAILED."""
    failed = msgspec.structs.replace(trade, status="FAILED", update_ns=update_ns)
    with ledger.transaction():
        position = held(ledger, trade)
        if trade.side == "BUY":
            shares = position.shares - trade.shares
            ledger.put_position(
                msgspec.structs.replace(
                    position,
                    shares=shares,
                    cost=max(0, position.cost - trade.usd) if shares else 0,
                    bought=position.bought - trade.shares,
                )
            )
            ledger.pay(trade.address, trade.usd, -trade.fee)
        else:
            ledger.put_position(bought(position, trade.shares, trade.usd))
            ledger.pay(trade.address, -trade.usd, -trade.fee)
        ledger.put_trade(failed)
    return failed
