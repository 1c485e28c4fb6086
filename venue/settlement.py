"""Ends of markets: the outcome is published with the venue's lag, resting orders die, winners are paid."""

import logging
from typing import Literal

import msgspec

from venue.exchange import Exchange
from venue.faults import Faults
from venue.ledger import VenueLedger
from venue.market import VenueMarket
from venue.market_feed import MarketFeed
from venue.order_intake import OrderIntake
from venue.records import CANCELED_RESOLVED, VenuePayout, VenuePosition

log = logging.getLogger("venue.settlement")

Redeem = Literal["auto", "manual"]


class VenueSettlement:
    """Resolves what is due.

    Parameters
    ----------
    redeem : str
        auto: positions of a resolved market are paid out and gone at once. manual: they stay, redeemable,
        until `redeem` is called for their account.
    """

    def __init__(
        self,
        exchange: Exchange,
        ledger: VenueLedger,
        order_intake: OrderIntake,
        feed: MarketFeed,
        faults: Faults,
        redeem: Redeem = "auto",
    ) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._order_intake = order_intake
        self._feed = feed
        self._faults = faults
        self._redeem: Redeem = redeem
        self._delayed: dict[int, float] = {}

    def resolve_due(self) -> list[VenueMarket]:
        """Resolve every market whose time has come; returns them, oldest first."""
        resolved: list[VenueMarket] = []
        for market in self._exchange.schedule.unresolved():
            if self._exchange.accepting(market):
                break
            up_won = self._outcome(market)
            if up_won is not None:
                self._resolve(market, up_won)
                resolved.append(market)
        return resolved

    def due(self) -> list[float]:
        """Market times at which scripted markets without an outcome get theirs, some of them past."""
        return [
            max(market.end + market.resolution_delay, self._delayed.get(market.start, 0.0))
            for market in self._exchange.schedule.unresolved()
        ]

    def redeem(self, address: str, condition_id: str | None = None) -> list[VenuePayout]:
        """Pay out and remove an account's positions in resolved markets, or in one of them."""
        paid: list[VenuePayout] = []
        for position in self._ledger.positions_of(address):
            up_won = self._exchange.resolutions.get(position.start)
            market = self._exchange.schedule.at(position.start)
            if up_won is None or market is None:
                continue
            if condition_id in (None, market.condition_id):
                paid.append(self._pay(position, market, up_won[0]))
        return paid

    def _outcome(self, market: VenueMarket) -> bool | None:
        """Whether Up won, once the source says so and no fault holds it back."""
        now = self._exchange.clock.market_s()
        if now < self._delayed.get(market.start, 0.0) or self._faults.armed("resolution_never") is not None:
            return None
        up_won = self._exchange.source.outcome(market)
        if up_won is None:
            return None
        delay = self._faults.consume("resolution_delay")
        if delay is not None:
            self._delayed[market.start] = now + delay["seconds"]
            return None
        self._delayed.pop(market.start, None)
        return up_won

    def _resolve(self, market: VenueMarket, up_won: bool) -> None:
        clock = self._exchange.clock
        at = int(clock.market_s())
        for order in self._ledger.open_orders(start=market.start):
            self._order_intake.cancel(order, CANCELED_RESOLVED)
        with self._ledger.transaction():
            self._ledger.add_resolution(market.start, up_won, at, clock.wall_ns())
            if self._redeem == "auto":
                for position in self._ledger.holders(market.start):
                    self._pay(position, market, up_won)
        self._exchange.close(market, up_won, at)
        self._feed.resolved(market, up_won)
        log.info("%s resolved %s", market.slug, "Up" if up_won else "Down")

    def _pay(self, position: VenuePosition, market: VenueMarket, up_won: bool) -> VenuePayout:
        """A winning share is worth 1 pUSD, a losing one nothing; both tokens are burned."""
        winner = market.up_token if up_won else market.down_token
        amount = position.shares if position.token == winner else 0
        payout = VenuePayout(
            address=position.address,
            token=position.token,
            start=position.start,
            shares=position.shares,
            amount=amount,
            paid_ns=self._exchange.clock.wall_ns(),
        )
        with self._ledger.transaction():
            self._ledger.pay(position.address, amount)
            self._ledger.add_payout(payout)
            self._ledger.put_position(
                msgspec.structs.replace(
                    position, shares=0, cost=0, realized=position.realized + amount - position.cost
                )
            )
        return payout
