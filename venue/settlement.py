"""Ends markets: the outcome is published with the venue's delay, resting orders end, winners are paid."""

import logging
from contextlib import ExitStack
from typing import Literal

from venue import position_accounting
from venue.amounts import MICRO, decimal_text
from venue.exchange import Exchange
from venue.faults import Faults
from venue.ledger import VenueLedger
from venue.market import DOWN, UP, VenueMarket
from venue.market_feed import MarketFeed
from venue.order_intake import OrderIntake
from venue.position_ids import unpadded
from venue.records import CANCELED_RESOLVED, VenuePayout, VenuePosition
from venue.refusal import VenueRefusal

log = logging.getLogger("venue.settlement")

Redeem = Literal["auto", "manual"]


class VenueSettlement:
    """Resolves the markets that are due.

    Parameters
    ----------
    redeem : str
        auto: positions of a resolved market are paid out and removed at once. manual: they stay, redeemable,
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
        """Resolve every market that is due; returns them, oldest first."""
        resolved: list[VenueMarket] = []
        with ExitStack() as stack:
            for market in self._exchange.schedule.unresolved():
                if self._exchange.accepting(market):
                    break
                up_pays = self._outcome(market)
                if up_pays is not None:
                    if not resolved:
                        # One write to the disk for all: after a week's stop there are hundreds.
                        stack.enter_context(self._ledger.transaction())
                    self._resolve(market, up_pays)
                    resolved.append(market)
        return resolved

    def due(self) -> list[float]:
        """Market times at which scripted markets without an outcome are resolved; some may be in the past."""
        return [
            max(market.end + market.resolution_delay, self._delayed.get(market.key, 0.0))
            for market in self._exchange.schedule.unresolved()
        ]

    def redeem_position(self, address: str, token: str, shares: int | None = None) -> VenuePayout:
        """Pay out shares of one position of a v2 market, by the rules of the Router contract.

        Parameters
        ----------
        token : str
            The position id: condition and outcome index.
        shares : int, optional
            Micro shares; all by default.

        Raises
        ------
        VenueRefusal
            400 if the id is not a position id, its market has no outcome, or fewer shares are held.
        """
        market = self._exchange.schedule.by_token(token)
        if market is None or market.version != "v2":
            raise VenueRefusal(400, f"{token} is not a position of a market of Protocol V2")
        up_pays = self._exchange.up_pays(market)
        if up_pays is None:
            raise VenueRefusal(400, f"{market.slug} has no outcome")
        position = self._ledger.position(address, token)
        held = 0 if position is None else position.shares
        wanted = held if shares is None else shares
        if position is None or not 0 < wanted <= held:
            raise VenueRefusal(400, f"{wanted} micro shares to redeem, {held} held")
        return self._pay(position, market, up_pays, wanted)

    def redeem(self, address: str, condition_id: str | None = None) -> list[VenuePayout]:
        """Pay out and remove an account's positions in resolved markets, or in one of them."""
        paid: list[VenuePayout] = []
        for position in self._ledger.positions_of(address):
            resolution = self._exchange.resolutions.get(position.start)
            market = self._exchange.schedule.at(position.start)
            if resolution is None or market is None:
                continue
            if condition_id is None or unpadded(condition_id) == market.condition_id.lower():
                paid.append(self._pay(position, market, resolution[0]))
        return paid

    def _outcome(self, market: VenueMarket) -> int | None:
        """Payout of an Up share in micro pUSD, once the source has it and no fault delays it."""
        now = self._exchange.clock.market_s()
        if now < self._delayed.get(market.key, 0.0) or self._faults.armed("resolution_never") is not None:
            return None
        up_pays = self._exchange.source.outcome(market)
        if up_pays is None:
            return None
        delay = self._faults.consume("resolution_delay")
        if delay is not None:
            self._delayed[market.key] = now + delay["seconds"]
            return None
        self._delayed.pop(market.key, None)
        split = self._faults.consume("resolution_split")
        return up_pays if split is None else min(MICRO, max(0, round(split["up"] * MICRO)))

    def _resolve(self, market: VenueMarket, up_pays: int) -> None:
        clock = self._exchange.clock
        at = int(clock.market_s())
        for order in self._ledger.open_orders(start=market.key):
            self._order_intake.cancel(order, CANCELED_RESOLVED)
        with self._ledger.transaction():
            self._ledger.add_resolution(market.key, up_pays, at, clock.wall_ns())
            if self._redeem == "auto":
                for position in self._ledger.holders(market.key):
                    self._pay(position, market, up_pays)
        self._exchange.close(market, up_pays, at)
        up_won = self._exchange.up_won(market)
        self._feed.resolved(market, up_won)
        shown = {True: UP, False: DOWN, None: f"with {decimal_text(up_pays)} for Up"}[up_won]
        log.info("%s resolved %s", market.slug, shown)

    def _pay(
        self, position: VenuePosition, market: VenueMarket, up_pays: int, shares: int | None = None
    ) -> VenuePayout:
        """Pay an Up share its value and a Down share the rest of 1 pUSD; the shares are burned."""
        shares = position.shares if shares is None else shares
        share = up_pays if position.token == market.up_token else MICRO - up_pays
        amount = shares * share // MICRO
        payout = VenuePayout(
            address=position.address,
            token=position.token,
            start=position.start,
            shares=shares,
            amount=amount,
            paid_ns=self._exchange.clock.wall_ns(),
        )
        with self._ledger.transaction():
            self._ledger.pay(position.address, amount)
            self._ledger.add_payout(payout)
            self._ledger.put_position(position_accounting.sold(position, shares, amount))
        return payout
