"""USD-denominated FAK orders with a price cap, whose outcome is never guessed.

What the stock client gets wrong on this path, and what is done here instead:

- it signs without a price cap, so a thin book is bought up to 0.99: the cap is part of the order;
- its float arithmetic loses cents and signs amounts the venue rejects: `execution.amounts`;
- the order id, the EIP-712 hash, is known before the POST: it is journalled first;
- a price improvement overfills, a partial fill stays open for ever: the quantity becomes what the
  venue says was taken;
- HTTP 5xx and 425 are reported as rejections although the order may live: `execution.outcomes`;
- trades arriving before the POST's answer wait for it, however long it takes;
- FAILED trades are logged and forgotten: they are reported.
"""

import asyncio
from decimal import Decimal
from typing import Any, Protocol, cast

import msgspec
from nautilus_trader.adapters.polymarket.common.enums import PolymarketTradeStatus
from nautilus_trader.adapters.polymarket.common.symbol import get_polymarket_token_id
from nautilus_trader.adapters.polymarket.execution import PolymarketExecutionClient
from nautilus_trader.adapters.polymarket.schemas.user import PolymarketUserTrade
from nautilus_trader.adapters.polymarket.websocket.client import PolymarketWebSocketChannel
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.enums import LiquiditySide, OrderSide, TimeInForce
from nautilus_trader.model.identifiers import TradeId, VenueOrderId
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import Money, Price
from nautilus_trader.model.orders import Order
from py_clob_client_v2.clob_types import OrderType, TradeParams
from py_clob_client_v2.exceptions import PolyApiException

from errors import Refused, Temporary
from execution.amounts import MarketBuy, amount_of, market_buy, taker_fee
from execution.outcomes import Kind, PostOutcome, classify
from execution.venue_answers import status_of
from patches.signing import sign_market_buy
from patches.user_feed import ALL_MARKETS, AccountWebSocketClient

POST_ANSWER_LIMIT_S = 35.0
"""Longest wait of a trade message for the POST's answer; the POST itself times out after 5 s."""
FEED_GRACE_S = 2.0
"""How long the user stream may take to report a fill before the trades are fetched instead."""
LOOKUP_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Pauses between look-ups of an order whose fate is unknown; the last one repeats."""


class OrderJournal(Protocol):
    """Who must know about orders before, and apart from, the strategy's events."""

    async def order_signed(self, client_order_id: str, order_id: str) -> None:
        """Called, and awaited, before the first byte of the order is sent."""
        ...

    def order_answered(self, client_order_id: str, outcome: PostOutcome) -> None:
        """The venue's answer to the order, or that there was none."""
        ...

    def trade(self, trade: dict[str, Any]) -> None:
        """A trade of this account as the user stream words it; the same one comes again with each status."""
        ...


class UsdFakExecutionClient(PolymarketExecutionClient):
    """Submits market BUY orders given in USD as FAK; accepts nothing else but settlement closes.

    An order carries ``params={"ask": str, "price_cap": str}``; a settlement close carries
    ``params={"settlement": "1.00" | "0.00"}`` and is filled locally, without the venue.
    """

    def __init__(self, *args: Any, journal: OrderJournal, max_usd: Decimal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._journal = journal
        self._max_usd = max_usd
        self._unanswered: dict[VenueOrderId, asyncio.Event] = {}
        self._undetermined: set[VenueOrderId] = set()
        self._ws_client = AccountWebSocketClient(
            self._clock,
            base_url=self._config.base_url_ws,
            channel=PolymarketWebSocketChannel.USER,
            handler=self._handle_ws_message,
            handler_reconnect=None,
            loop=self._loop,
            auth=self._ws_auth,
            proxy_url=self._config.proxy_url,
        )

    # --- connection ------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._instrument_provider.initialize()
        self._ws_client.add_subscription(ALL_MARKETS)
        await self._ws_client.connect()
        await self._update_account_state()
        await self._await_account_registered()

    async def _maintain_active_market(self, instrument_id: Any) -> None:
        """Nothing to do: the one subscription covers every market."""

    # --- submission ------------------------------------------------------------------------------

    async def _submit_order(self, command: SubmitOrder) -> None:
        if (command.params or {}).get("settlement") is not None:
            self._close_settled(command.order, Price.from_str(command.params["settlement"]))
            return
        await super()._submit_order(command)

    async def _submit_market_order(self, command: SubmitOrder, instrument: BinaryOption) -> None:
        order = command.order
        try:
            amounts = self._amounts(order, instrument, command.params or {})
        except Refused as error:
            self._deny_market_order_quantity(order, str(error))
            return
        try:
            signed, order_id = await asyncio.to_thread(self._sign, instrument, amounts)
            await self._journal.order_signed(order.client_order_id.value, order_id.value)
        except Exception as error:  # noqa: BLE001  whatever signing or the journal raises, nothing was sent
            self._deny_market_order_quantity(order, f"order could not be signed and recorded: {error!r}")
            return
        self.generate_order_submitted(**self._keys(order), ts_event=self._clock.timestamp_ns())
        # From here on a trade can be told from a stranger's, even if it overtakes the POST's answer.
        self._cache.add_venue_order_id(order.client_order_id, order_id)
        answered = self._unanswered[order_id] = asyncio.Event()
        try:
            outcome = await self._post(signed)
            self._apply(order, instrument, order_id, amounts, outcome)
        finally:
            del self._unanswered[order_id]
            answered.set()

    def _amounts(self, order: Order, instrument: BinaryOption, params: dict[str, Any]) -> MarketBuy:
        if (
            order.side != OrderSide.BUY
            or order.time_in_force != TimeInForce.IOC
            or not order.is_quote_quantity
        ):
            raise Refused("only USD-denominated BUY orders with time in force IOC are sent")
        if "ask" not in params or "price_cap" not in params:
            raise Refused("the order carries no ask and price_cap")
        usd = order.quantity.as_decimal()
        if usd > self._max_usd:
            raise Refused(f"order of ${usd} is above MARKET_BUY_USD ({self._max_usd})")
        ask, cap = Decimal(str(params["ask"])), Decimal(str(params["price_cap"]))
        amounts = market_buy(usd, ask, cap, instrument.price_increment.as_decimal())
        needed = amounts.usd + taker_fee(amounts.shares, cap, instrument.taker_fee)
        if self._collateral_balance_pusd is not None and Decimal(str(self._collateral_balance_pusd)) < needed:
            raise Refused(
                f"balance ${self._collateral_balance_pusd} is below the order's ${needed} with its fee"
            )
        return amounts

    def _sign(self, instrument: BinaryOption, amounts: MarketBuy) -> tuple[Any, VenueOrderId]:
        neg_risk = bool(self._get_neg_risk_for_instrument(instrument))
        token_id = get_polymarket_token_id(instrument.id)
        signed, order_id = sign_market_buy(self._http_client, token_id, amounts, neg_risk=neg_risk)
        return signed, VenueOrderId(order_id)

    async def _post(self, signed: Any) -> PostOutcome:
        try:
            body = await asyncio.to_thread(
                self._http_client.post_order, signed, cast(OrderType, OrderType.FAK), False
            )
        except PolyApiException as error:
            return classify(error.status_code, error.error_msg)
        except Exception as error:  # noqa: BLE001  bytes may have left: only "unknown" is safe
            return classify(None, repr(error))
        return classify(200, body)

    def _apply(
        self,
        order: Order,
        instrument: BinaryOption,
        order_id: VenueOrderId,
        amounts: MarketBuy,
        outcome: PostOutcome,
    ) -> None:
        self._journal.order_answered(order.client_order_id.value, outcome)
        if outcome.kind in (Kind.NO_FILL, Kind.REFUSED):
            reason = f"{outcome.kind.value}: {outcome.reason}"
            self.generate_order_rejected(
                **self._keys(order), reason=reason, ts_event=self._clock.timestamp_ns()
            )
            return
        shares = outcome.taking if outcome.kind is Kind.MATCHED else amounts.shares
        quantity = instrument.make_qty(shares)
        if outcome.kind is Kind.MATCHED:
            self.generate_order_accepted(
                **self._keys(order), venue_order_id=order_id, ts_event=self._clock.timestamp_ns()
            )
        else:
            self._undetermined.add(order_id)
        # A FAK is over when it is answered: its quantity is what was taken, in shares.
        self._send_quote_to_base_update(order, order_id, quantity)
        self.create_task(self._follow(order, instrument, order_id))

    # --- what became of it -----------------------------------------------------------------------

    async def _follow(self, order: Order, instrument: BinaryOption, order_id: VenueOrderId) -> None:
        """Wait for the user stream to report the fills; then ask for them, until they are all there."""
        await asyncio.sleep(FEED_GRACE_S)
        attempt = 0
        while not order.is_closed:
            try:
                trades = await asyncio.to_thread(
                    self._http_client.get_trades, TradeParams(market=instrument.id.symbol.value.split("-")[0])
                )
            except PolyApiException as error:
                self._log.warning(f"look-up of {order_id!r} failed: {error}")
                trades = []
            for trade in trades:
                if trade.get("taker_order_id") == order_id.value:
                    self._take_fetched(trade)
            delay = LOOKUP_DELAYS_S[min(attempt, len(LOOKUP_DELAYS_S) - 1)]
            attempt += 1
            await asyncio.sleep(delay)

    def _take_fetched(self, trade: dict[str, Any]) -> None:
        try:
            self._handle_ws_trade_msg(_as_user_trade(trade), wait_for_ack=False)
        except Temporary as error:
            self._log.warning(f"{error}; it is asked for again")

    async def _wait_for_ack_trade(self, msg: Any, venue_order_id: VenueOrderId) -> None:
        await self._until_answered(venue_order_id)
        await super()._wait_for_ack_trade(msg, venue_order_id)

    async def _wait_for_ack_order(self, msg: Any, venue_order_id: VenueOrderId) -> None:
        await self._until_answered(venue_order_id)
        await super()._wait_for_ack_order(msg, venue_order_id)

    async def _until_answered(self, venue_order_id: VenueOrderId) -> None:
        answered = self._unanswered.get(venue_order_id)
        if answered is not None:
            await asyncio.wait_for(answered.wait(), POST_ANSWER_LIMIT_S)

    def _handle_ws_trade_msg(self, msg: PolymarketUserTrade, wait_for_ack: bool) -> None:
        self._journal.trade(msg.to_dict())
        if msg.status not in (PolymarketTradeStatus.RETRYING, PolymarketTradeStatus.FAILED):
            super()._handle_ws_trade_msg(msg, wait_for_ack)

    def _handle_user_trade_in_ws_trade_msg(
        self, msg: PolymarketUserTrade, trade_id: TradeId, wait_for_ack: bool, order_id: str
    ) -> None:
        if not wait_for_ack:
            self._make_room(VenueOrderId(order_id), Decimal(msg.last_qty(order_id)))
        super()._handle_user_trade_in_ws_trade_msg(msg, trade_id, wait_for_ack, order_id)

    def _make_room(self, order_id: VenueOrderId, shares: Decimal) -> None:
        """Of an order that the venue never gave a total for, let the quantity be what arrives."""
        client_order_id = self._cache.client_order_id(order_id)
        order = self._cache.order(client_order_id) if client_order_id else None
        if order is None or order.is_closed or order_id not in self._undetermined:
            return
        self._undetermined.discard(order_id)
        instrument = self._cache.instrument(order.instrument_id)
        self.generate_order_accepted(
            **self._keys(order), venue_order_id=order_id, ts_event=self._clock.timestamp_ns()
        )
        self._send_quote_to_base_update(order, order_id, instrument.make_qty(shares))

    # --- settlement ------------------------------------------------------------------------------

    def _close_settled(self, order: Order, price: Price) -> None:
        """Close a position of a resolved market at 1 or 0: bookkeeping, not an order at the venue."""
        now = self._clock.timestamp_ns()
        name = f"SETTLE-{order.client_order_id.value[-28:]}"
        keys = self._keys(order) | {"venue_order_id": VenueOrderId(name)}
        self.generate_order_submitted(**self._keys(order), ts_event=now)
        self.generate_order_accepted(**keys, ts_event=now)
        self.generate_order_filled(
            **keys,
            venue_position_id=None,
            trade_id=TradeId(name),
            order_side=order.side,
            order_type=order.order_type,
            last_qty=order.quantity,
            last_px=price,
            quote_currency=pUSD,
            commission=Money(0, pUSD),
            liquidity_side=LiquiditySide.NO_LIQUIDITY_SIDE,
            ts_event=now,
        )

    @staticmethod
    def _keys(order: Order) -> dict[str, Any]:
        return {
            "strategy_id": order.strategy_id,
            "instrument_id": order.instrument_id,
            "client_order_id": order.client_order_id,
        }


def _as_user_trade(trade: dict[str, Any]) -> PolymarketUserTrade:
    """A trade from `/data/trades` in the shape of the user stream, which adds a few fields to it.

    Raises
    ------
    Temporary
        If it cannot be read.
    """
    try:
        seconds = int(trade.get("last_update") or trade["match_time"])
        message = {
            **trade,
            "event_type": "trade",
            "type": "TRADE",
            "status": status_of(trade),
            "size": str(amount_of(trade["size"])),
            "price": str(amount_of(trade["price"])),
            "timestamp": str(seconds * 1000),
            "trade_owner": trade.get("owner", ""),
        }
        return msgspec.convert(message, PolymarketUserTrade, strict=False)
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise Temporary(f"a trade cannot be read: {error!r}") from None
