"""Ends of markets: the outcome is published with the venue's lag, resting orders die, winners are paid."""

import logging
from typing import Literal

import msgspec

from venue.desk import Desk
from venue.exchange import Exchange
from venue.faults import Faults
from venue.ledger import Ledger
from venue.market_feed import MarketFeed
from venue.records import CANCELED_RESOLVED, Payout, Position
from venue.schedule import Market

log = logging.getLogger("venue.settlement")

Redeem = Literal["auto", "manual"]


class Settlement:
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
        ledger: Ledger,
        desk: Desk,
        feed: MarketFeed,
        faults: Faults,
        redeem: Redeem = "auto",
    ) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._desk = desk
        self._feed = feed
        self._faults = faults
        self._redeem: Redeem = redeem
        self._oldest_open = exchange.schedule.first_start
        self._delayed: dict[int, float] = {}

    def resolve_due(self) -> list[Market]:
        """Resolve every market whose time has come; returns them, oldest first."""
        resolved: list[Market] = []
        contiguous = True
        for market in self._unresolved():
            if self._due(market):
                self._resolve(market)
                resolved.append(market)
            else:
                contiguous = False
            if contiguous:
                self._oldest_open = market.end
        return resolved

    def redeem(self, address: str, condition_id: str | None = None) -> list[Payout]:
        """Pay out and remove an account's positions in resolved markets, or in one of them."""
        paid: list[Payout] = []
        for position in self._ledger.positions_of(address):
            up_won = self._exchange.resolutions.get(position.start)
            market = self._exchange.schedule.at(position.start)
            if up_won is None or market is None:
                continue
            if condition_id in (None, market.condition_id):
                paid.append(self._pay(position, market, up_won[0]))
        return paid

    def _unresolved(self) -> list[Market]:
        found: list[Market] = []
        start = self._oldest_open
        while (market := self._exchange.schedule.at(start)) is not None:
            if self._exchange.accepting(market):
                break
            if not self._exchange.resolved(market):
                found.append(market)
            elif start == self._oldest_open:
                self._oldest_open = market.end
            start = market.end
        return found

    def _due(self, market: Market) -> bool:
        now = self._exchange.clock.market_s()
        if now < self._delayed.get(market.start, market.end + market.resolution_delay):
            return False
        if self._faults.armed("resolution_never") is not None:
            return False
        delay = self._faults.take("resolution_delay")
        if delay is not None:
            self._delayed[market.start] = now + delay["seconds"]
            return False
        self._delayed.pop(market.start, None)
        return True

    def _resolve(self, market: Market) -> None:
        up_won = self._exchange.source.up_wins(market.index)
        clock = self._exchange.clock
        at = int(clock.market_s())
        for order in self._ledger.open_orders(start=market.start):
            self._desk.cancel(order, CANCELED_RESOLVED)
        with self._ledger.transaction():
            self._ledger.add_resolution(market.start, up_won, at, clock.wall_ns())
            if self._redeem == "auto":
                for position in self._ledger.holders(market.start):
                    self._pay(position, market, up_won)
        self._exchange.resolutions[market.start] = (up_won, at)
        self._exchange.forget(market)
        self._feed.resolved(market, up_won)
        log.info("%s resolved %s", market.slug, "Up" if up_won else "Down")

    def _pay(self, position: Position, market: Market, up_won: bool) -> Payout:
        """A winning share is worth 1 pUSD, a losing one nothing; both tokens are burned."""
        winner = market.up_token if up_won else market.down_token
        amount = position.shares if position.token == winner else 0
        payout = Payout(
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
