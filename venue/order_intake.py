"""Accepts orders: an order is checked against the rules, waits the taker delay and is matched with the book.

`accept` and `execute` are two steps because the order exists for its sender after the first one, while its
result may be reported in other ways than by the answer.
"""

import asyncio
import uuid

import msgspec

from venue import payloads, position_accounting, rules
from venue.amounts import MILL, taker_fee
from venue.auth import ApiKey
from venue.exchange import Exchange
from venue.faults import Faults
from venue.ledger import VenueLedger
from venue.lifecycle import TradeLifecycle
from venue.market import VenueMarket
from venue.market_feed import MarketFeed
from venue.matching import Match, match, meet, offers
from venue.records import ASSETS, CANCELED, CANCELED_NOT_ENOUGH, LIVE, MATCHED, VenueOrder, VenueTrade
from venue.refusal import VenueRefusal
from venue.rules import OrderTerms, Side
from venue.signing import checksum, exchange_of
from venue.trade_booking import TradeBooker
from venue.user_feed import UserFeed

TAKER_DELAY = 0.15
"""Wall seconds that a marketable order waits (changelog of 2026-09-04: 150 ms on crypto)."""
GTD_EARLY_SECONDS = 60
"""A GTD order ends this many seconds before its expiration."""


class AcceptedOrder(msgspec.Struct, frozen=True):
    """An order that passed every rule and is not yet matched."""

    terms: OrderTerms
    market: VenueMarket
    order: VenueOrder
    waits: bool


class OrderResult(msgspec.Struct, frozen=True):
    """The result of an order."""

    order: VenueOrder
    trades: tuple[VenueTrade, ...]


class OrderIntake:
    """Accepts, matches, rests and cancels orders."""

    def __init__(
        self,
        exchange: Exchange,
        ledger: VenueLedger,
        lifecycle: TradeLifecycle,
        users: UserFeed,
        markets: MarketFeed,
        faults: Faults,
        taker_delay: float = TAKER_DELAY,
    ) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._lifecycle = lifecycle
        self._users = users
        self._markets = markets
        self._faults = faults
        self._taker_delay = taker_delay
        self._trade_booker = TradeBooker(exchange, ledger, lifecycle, users, faults)
        self._waiting: set[str] = set()

    # --- accepting ---------------------------------------------------------------------------

    def accept(self, key: ApiKey, payload: object) -> AcceptedOrder:
        """Check an order against every rule, in the venue's order.

        Raises
        ------
        VenueRefusal
            With the text of the first rule that is broken.
        """
        terms = rules.parse(payload)
        rules.check_sender(terms, key.key, key.address)
        wallet = checksum(terms.wire.maker)
        self._check_wallet(wallet, key.address)
        if terms.side == "BUY" and self._ledger.standing(key.address).closed_only:
            raise VenueRefusal(400, f"'{key.address}' address in closed only mode")
        market = self._tradable(terms.wire.tokenId)
        now_s = self._exchange.clock.wall_s()
        rules.check_expiration(terms, now_s)
        price = rules.check_price(terms, self._tick(market))
        rules.check_precision(terms)
        crosses = self._crosses(terms, market)
        rules.check_minimum(terms, marketable=crosses, minimum_shares=market.minimum_shares)
        needed = rules.needed(terms, price, marketable=crosses, fee_rate=market.fee_rate)
        self._check_funds(terms, key.address, needed)
        if terms.id in self._waiting or self._ledger.order(terms.id) is not None:
            raise VenueRefusal(400, f"order {terms.id} is invalid. Duplicated.")
        if terms.post_only and crosses:
            raise VenueRefusal(400, rules.POST_ONLY_CROSSES)
        self._ledger.bind_wallet(wallet, key.address)
        self._waiting.add(terms.id)
        order = VenueOrder(
            id=terms.id,
            address=key.address,
            wallet=wallet,
            owner=key.key,
            start=market.key,
            condition_id=market.condition_id,
            token=terms.wire.tokenId,
            outcome=market.outcome_of(terms.wire.tokenId),
            side=terms.side,
            kind=terms.kind,
            price=price,
            maker_amount=terms.maker_amount,
            taker_amount=terms.taker_amount,
            left=terms.maker_amount,
            matched_shares=0,
            matched_usd=0,
            status=LIVE,
            expiration=terms.expiration,
            created_ns=self._exchange.clock.wall_ns(),
        )
        return AcceptedOrder(terms, market, order, waits=terms.takes or crosses)

    def _tick(self, market: VenueMarket) -> int:
        """The price grid that applies to an order, in mills."""
        changed = self._faults.consume("tick_changed")
        return self._exchange.tick(market) if changed is None else round(changed["tick"] * MILL)

    def _check_wallet(self, wallet: str, address: str) -> None:
        """Check that the wallet belongs to no other account: a wallet serves one account only."""
        bound = self._ledger.wallet_owner(wallet)
        foreign = wallet != address and self._ledger.account(wallet) is not None
        if foreign or bound not in (None, address):
            raise VenueRefusal(400, "maker address not allowed, please use the deposit wallet flow")

    def _tradable(self, token: str) -> VenueMarket:
        market = self._exchange.schedule.by_token(token)
        if market is None or not self._exchange.accepting(market):
            raise _no_orderbook(token)
        return market

    def _crosses(self, terms: OrderTerms, market: VenueMarket) -> bool:
        book = self._exchange.seen_from(market, terms.wire.tokenId, self._exchange.visible(market))
        best = book.best_ask if terms.side == "BUY" else book.best_bid
        return best is not None and terms.reaches(best)

    def _check_funds(self, terms: OrderTerms, address: str, amount: int) -> None:
        account = self._ledger.account(address)
        if account is None:
            raise VenueRefusal(400, rules.NOT_ENOUGH)
        available = 0
        if position_accounting.seen_by(self._ledger, address, terms.wire.signatureType):
            available = position_accounting.available(self._ledger, address, terms.side, terms.wire.tokenId)
        spender = exchange_of(terms.wire.tokenId)
        allowance = self._ledger.allowance(account, ASSETS[terms.side], spender)
        rules.check_funds(amount, available, allowance, spender)

    # --- matching ----------------------------------------------------------------------------

    async def execute(self, accepted: AcceptedOrder) -> OrderResult:
        """Wait the taker delay if the order takes liquidity, then match it with the book of that moment.

        Raises
        ------
        VenueRefusal
            If it is killed without a fill, can no longer be paid, or its book cannot be determined. The order
            then exists, canceled.
        """
        try:
            if accepted.waits:
                await asyncio.sleep(self._taker_delay)
            known = await self._exchange.confirm(accepted.market)
            return self._match(accepted, known=known)
        finally:
            self._waiting.discard(accepted.order.id)

    def _match(self, accepted: AcceptedOrder, *, known: bool) -> OrderResult:
        terms, market, order = accepted.terms, accepted.market, accepted.order
        try:
            self._tradable(order.token)
            if not known:
                raise _no_orderbook(order.token)
            source = self._exchange.source_book(market)
            facing = self._exchange.facing(market, source, order.token, order.side)
            resting = self._exchange.resting_against(market, order.token, order.side, order.address)
            result = match(terms, offers(facing, resting, order.side))
            self._check_result(accepted, result)
        except VenueRefusal as refusal:
            self._kill(order, refusal)
            raise
        status = LIVE
        if terms.takes or result.complete:
            status = MATCHED
        order = msgspec.structs.replace(
            order,
            left=result.left,
            matched_shares=result.shares,
            matched_usd=result.usd,
            status=status,
        )
        with self._ledger.transaction():
            self._ledger.put_order(order)
            trades = [self._trade_booker.taker(order, market, fill) for fill in result.fills]
        for fill in result.fills:
            if fill.order_id is None:
                self._exchange.consume(market, source, order.token, order.side, fill.price, fill.shares)
        self._announce(order, market, trades)
        return OrderResult(order, tuple(trades))

    def _check_result(self, accepted: AcceptedOrder, result: Match) -> None:
        terms, order = accepted.terms, accepted.order
        if terms.kind == "FAK" and not result.fills:
            raise VenueRefusal(400, rules.NO_FAK_MATCH, order.id)
        if terms.kind == "FOK" and not result.complete:
            raise VenueRefusal(400, rules.FOK_KILLED, order.id)
        if terms.post_only and result.fills:
            raise VenueRefusal(400, rules.POST_ONLY_CROSSES)
        fees = sum(taker_fee(fill.shares, fill.price, accepted.market.fee_rate) for fill in result.fills)
        # The balance may have changed during the delay, and a better price may cost a higher fee.
        spent = result.usd if terms.takes else terms.usd
        amount = spent + fees if terms.side == "BUY" else terms.shares
        self._check_funds(terms, order.address, amount)

    def _kill(self, order: VenueOrder, refusal: VenueRefusal) -> None:
        self._ledger.put_order(msgspec.structs.replace(order, status=CANCELED))
        if self._faults.consume("killed_event") is not None:
            now = self._exchange.clock.wall_ns()
            event = payloads.order_event(order, "CANCELLATION", [], now, f"{CANCELED}_{refusal.text}")
            self._users.publish(order.address, order.condition_id, event)

    def _announce(self, order: VenueOrder, market: VenueMarket, trades: list[VenueTrade]) -> None:
        if order.status == LIVE:
            self._trade_booker.publish_order(
                msgspec.structs.replace(order, matched_shares=0), "PLACEMENT", LIVE
            )
        if trades:
            self._trade_booker.publish_order(order, "UPDATE", order.status)
        for trade in trades:
            self._lifecycle.follow(trade)
            self._markets.traded(market, trade)
        self._markets.refresh(market)
        if self._faults.consume("user_feed_drop") is not None:
            self._lifecycle.spawn(self._users.close_all())

    # --- resting orders ----------------------------------------------------------------------

    def meet_source(self, market: VenueMarket) -> None:
        """Fill resting orders that the source's book has reached, and remove expired ones."""
        now_s = self._exchange.clock.wall_s()
        for order in self._ledger.open_orders(start=market.key):
            if order.kind == "GTD" and now_s >= order.expiration - GTD_EARLY_SECONDS:
                self.cancel(order)
            elif self._exchange.accepting(market) and self._exchange.source.certain(market):
                self._meet(market, order)

    def _meet(self, market: VenueMarket, order: VenueOrder) -> None:
        source = self._exchange.source_book(market)
        facing = self._exchange.facing(market, source, order.token, order.side)
        for fill in meet(order.side, order.price, order.left, facing):
            resting = self._ledger.order(order.id)
            if resting is None or resting.status != LIVE:
                return
            with self._ledger.transaction():
                self._trade_booker.maker(
                    resting, str(uuid.uuid4()), fill.shares, fill.usd, self._trade_booker.house(order)
                )
            self._exchange.consume(market, source, order.token, order.side, fill.price, fill.shares)
            taker: Side = "SELL" if order.side == "BUY" else "BUY"
            self._exchange.traded(order.token, market.sibling(order.token), order.price, taker)

    def shed(self, address: str) -> None:
        """Cancel an account's resting orders that its balance or shares no longer cover."""
        for order in position_accounting.uncovered(self._ledger, address):
            self.cancel(order, CANCELED_NOT_ENOUGH)

    def cancel(self, order: VenueOrder, status: str = CANCELED) -> None:
        """Remove a resting order from the book and publish that to its account."""
        canceled = msgspec.structs.replace(order, status=status)
        self._ledger.put_order(canceled)
        self._trade_booker.publish_order(canceled, "CANCELLATION", status)
        market = self._exchange.schedule.at(order.start)
        if market is not None:
            self._markets.refresh(market)

    def publish_cancellation(self, order: VenueOrder) -> None:
        """Publish to an account that an order was killed after it had been answered."""
        self._trade_booker.publish_order(
            msgspec.structs.replace(order, status=CANCELED), "CANCELLATION", CANCELED
        )

    def cancel_ids(self, address: str, order_ids: list[str]) -> dict[str, object]:
        """Cancel an account's orders by id; the answer contains the ids and the reasons of failures."""
        canceled: list[str] = []
        refused: dict[str, str] = {}
        for order_id in order_ids:
            order = self._ledger.order(order_id)
            if order is None or order.address != address:
                refused[order_id] = "order not found"
            elif order.status != LIVE:
                refused[order_id] = "already canceled or matched"
            else:
                self.cancel(order)
                canceled.append(order_id)
        return {"canceled": canceled, "not_canceled": refused}


def _no_orderbook(token: str) -> VenueRefusal:
    """The venue's refusal of an order for a market without a book."""
    return VenueRefusal(400, f"the orderbook {token} does not exist")
