"""Turns fills into trades: transfers money and shares, updates orders, and publishes events."""

import uuid
from decimal import Decimal

import msgspec

from venue import payloads, position_accounting
from venue.amounts import buy_cost, taker_fee
from venue.exchange import Exchange
from venue.faults import Faults
from venue.ledger import VenueLedger
from venue.lifecycle import TradeLifecycle
from venue.market import VenueMarket
from venue.matching import LevelFill
from venue.records import MATCHED, Counterparty, Role, VenueOrder, VenueTrade
from venue.user_feed import UserFeed

BASIS_POINTS = 10_000
HOUSE = Counterparty(
    order_id="",
    wallet="0x000000000000000000000000000000000000bEEF",
    owner="00000000-0000-0000-0000-000000000000",
    token="",
    outcome="",
    side="SELL",
)
"""The recorded market's own orders: one counterparty, whose orders are invisible."""


class TradeBooker:
    """Records matched fills.

    Every recording method must run in one ledger transaction with the change of the order that caused it.
    """

    def __init__(
        self,
        exchange: Exchange,
        ledger: VenueLedger,
        lifecycle: TradeLifecycle,
        users: UserFeed,
        faults: Faults,
    ) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._lifecycle = lifecycle
        self._users = users
        self._faults = faults

    def taker(self, order: VenueOrder, market: VenueMarket, fill: LevelFill) -> VenueTrade:
        """Record one fill of a taking order, and the maker's side if it matched an account's order."""
        trade_id = str(uuid.uuid4())
        fee = taker_fee(fill.shares, fill.price, self.fee_rate(market))
        maker = None if fill.order_id is None else self._ledger.order(fill.order_id)
        other = self.house(order) if maker is None else _counterparty(maker)
        trade = self._trade(trade_id, order, "TAKER", fill.price, fill.shares, fill.usd, fee, other)
        position_accounting.book(self._ledger, trade)
        if maker is not None:
            usd = buy_cost(fill.shares, maker.price)
            self.maker(maker, trade_id, fill.shares, usd, _counterparty(order))
        self._exchange.traded(order.token, market.sibling(order.token), fill.price, order.side)
        return trade

    def fee_rate(self, market: VenueMarket) -> Decimal:
        """The rate that is charged: the stated one, unless a fault adds to it."""
        offset = self._faults.consume("fee_offset")
        points = 0 if offset is None else offset["basis_points"]
        return market.fee_rate + Decimal(str(points)) / BASIS_POINTS

    def maker(self, maker: VenueOrder, trade_id: str, shares: int, usd: int, other: Counterparty) -> None:
        """Record a fill of a resting order at its own price; makers pay no fee."""
        trade = self._trade(trade_id, maker, "MAKER", maker.price, shares, usd, 0, other)
        position_accounting.book(self._ledger, trade)
        left = maker.left - (usd if maker.side == "BUY" else shares)
        updated = msgspec.structs.replace(
            maker,
            left=left,
            matched_shares=maker.matched_shares + shares,
            matched_usd=maker.matched_usd + usd,
        )
        # A remainder below the price of one micro share cannot be filled.
        if buy_cost(updated.open_shares, maker.price) == 0:
            updated = msgspec.structs.replace(updated, status=MATCHED)
        self._ledger.put_order(updated)
        self.publish_order(updated, "UPDATE", updated.status)
        self._lifecycle.follow(trade)

    def _trade(
        self,
        trade_id: str,
        order: VenueOrder,
        role: Role,
        price: int,
        shares: int,
        usd: int,
        fee: int,
        other: Counterparty,
    ) -> VenueTrade:
        now = self._exchange.clock.wall_ns()
        return VenueTrade(
            id=trade_id,
            address=order.address,
            order_id=order.id,
            wallet=order.wallet,
            owner=order.owner,
            role=role,
            start=order.start,
            condition_id=order.condition_id,
            token=order.token,
            outcome=order.outcome,
            side=order.side,
            price=price,
            shares=shares,
            usd=usd,
            fee=fee,
            status="MATCHED",
            match_ns=now,
            update_ns=now,
            transaction_hash="",
            other=other,
        )

    def house(self, order: VenueOrder) -> Counterparty:
        """The recorded liquidity as a counterparty of an order."""
        return msgspec.structs.replace(
            HOUSE,
            order_id="0x" + uuid.uuid4().hex * 2,
            token=order.token,
            outcome=order.outcome,
            side="SELL" if order.side == "BUY" else "BUY",
        )

    def publish_order(self, order: VenueOrder, kind: str, status: str) -> None:
        """Publish an order's change to its account."""
        event = payloads.order_event(
            order, kind, self._ledger.trade_ids(order.id), self._exchange.clock.wall_ns(), status
        )
        self._users.publish(order.address, order.condition_id, event)


def _counterparty(order: VenueOrder) -> Counterparty:
    """An order as the counterparty of its trade."""
    return Counterparty(
        order_id=order.id,
        wallet=order.wallet,
        owner=order.owner,
        token=order.token,
        outcome=order.outcome,
        side=order.side,
    )
