"""USD-denominated FAK orders with a price cap, whose outcome is never guessed.

Errors of the stock client on this path, and their solution here:

- it signs without a price cap, so a thin book is bought up to 0.99: the cap is part of the order;
- its float arithmetic loses cents and signs amounts the venue rejects: `execution.amounts`;
- the order id, the EIP-712 hash, is known before the POST: it is passed to the journal first;
- a price improvement overfills, a partial fill stays open for ever: the quantity is set to the amount that
  the venue reports;
- HTTP 5xx and 425 are reported as rejections although the order may exist: `execution.outcomes`;
- an error before the POST leaves the order initialized for ever: it is denied, with the reason;
- payouts are not noticed before the next trade, so that Nautilus denies orders that can be paid: the balance
  is read periodically;
- trades that arrive before the POST's answer wait for it, up to a limit;
- FAILED trades are only logged: they are reported.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, cast

import msgspec
from nautilus_trader.adapters.polymarket.common.conversion import pusd_from_units
from nautilus_trader.adapters.polymarket.common.enums import PolymarketTradeStatus
from nautilus_trader.adapters.polymarket.common.symbol import get_polymarket_token_id
from nautilus_trader.adapters.polymarket.execution import PolymarketExecutionClient
from nautilus_trader.adapters.polymarket.schemas.user import PolymarketUserOrder, PolymarketUserTrade
from nautilus_trader.adapters.polymarket.websocket.client import PolymarketWebSocketChannel
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.enums import OrderSide, OrderStatus, TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId, TradeId, VenueOrderId
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import AccountBalance, Money, Quantity
from nautilus_trader.model.orders import Order
from py_clob_client_v2.clob_types import AssetType, BalanceAllowanceParams

from common.plain_text import one_line
from core.nautilus_core.providers.order_events import generate_settlement, order_keys
from errors import Refused, Temporary
from execution.amounts import MarketBuy, amount_of, market_buy
from execution.order_clients.port import OrderClient, SignedOrder, WithheldError
from execution.outcomes import OutcomeKind, PostOutcome
from execution.polymarket_client import EXCHANGE_NAMES, EXCHANGES, NO_ANSWER, Funds, parse_funds
from execution.venue_answers import status_of
from execution.venue_facts.observations import OrderAnswered, StreamTradeSeen
from execution.venue_facts.recorder import Observe, ignore
from models import Decision, ProtocolVersion
from patches.user_feed import AccountStream, order_fault, trade_fault

POST_ANSWER_LIMIT_S = 35.0
"""Longest wait of a trade message for the POST's answer, whose duration `execution.clob_http` limits."""
SUBMITTED_AFTER_S = 0.02
"""Longest delay of Nautilus' event that an order was submitted, from the begin of its last steps."""
FAILED = PolymarketTradeStatus.FAILED
LARGEST_BALANCE = 10**18
"""In millionths of a pUSD; NautilusTrader's maximum is about ten times as much."""
PREPARED = 8
"""Signatures kept for orders that may follow; most follow within a millisecond."""


class PreparedOrder(NamedTuple):
    """A signature that was begun before the order was submitted."""

    token_id: str
    amounts: MarketBuy
    signing: asyncio.Task[SignedOrder]


class OrderJournal(Protocol):
    """Receives the order events before the strategy does."""

    async def order_signed(self, client_order_id: str, order_id: str) -> None:
        """Store the order: its row is on the disk when this returns.

        The write is begun before this waits for the first time.
        """
        ...

    def refusal_before_sending(self, client_order_id: str) -> str | None:
        """Why the order must not be sent now; None if it may. Blocking; called in the sending thread.

        It waits for the write of `order_signed`, and refuses an order whose row is not on the disk.
        """
        ...

    def order_withheld(self, client_order_id: str, reason: str) -> None:
        """The order was signed but not sent, for this reason."""
        ...

    def order_answered(
        self, client_order_id: str, outcome: PostOutcome, posted_ns: int | None = None
    ) -> None:
        """The venue's answer to the order, or that there was none.

        `posted_ns` is when its first byte was handed to the socket, on the monotonic clock.
        """
        ...

    def trade(self, trade: dict[str, Any]) -> bool:
        """A trade of this account in the format of the user stream; False if it cannot be read.

        The same trade is reported again with each status.
        """
        ...

    def attach(self, client: Any) -> None:
        """Set the client that receives totals, ends and trades found by look-ups."""
        ...


class UsdFakExecutionClient(PolymarketExecutionClient):
    """Submits market BUY orders in USD as FAK; accepts no other orders except settlement closes.

    An order has ``params={"ask": str, "price_cap": str, "fee_rate": str, "version": str}``; a settlement
    close has ``params={"settlement": str}``, the payout per share, and is filled locally, without the venue.
    `reconnected` is called each time the user stream was opened again. `observe` receives the venue's answers
    and trades as evidence of its rules.
    """

    def __init__(
        self,
        *args: Any,
        journal: OrderJournal,
        orders: OrderClient,
        max_usd: Decimal,
        account_seconds: float,
        reconnected: Callable[[], Awaitable[None]],
        observe: Observe = ignore,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._journal = journal
        self._orders = orders
        self._observe = observe
        self._max_usd = max_usd
        self._account_seconds = account_seconds
        self._account_task: asyncio.Task[None] | None = None
        self._funds: Funds | None = None
        self._unanswered: dict[VenueOrderId, asyncio.Event] = {}
        self._undetermined: set[VenueOrderId] = set()
        self._determined: set[VenueOrderId] = set()
        self._prepared: dict[str, PreparedOrder] = {}
        """Orders that are signed before they are submitted, by client order id."""
        self._stream = AccountStream(
            f"{self._config.base_url_ws}{PolymarketWebSocketChannel.USER.value}",
            self._ws_auth,
            self._handle_ws_message,
            reconnected,
        )
        journal.attach(self)

    # --- connection ------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._instrument_provider.initialize()
        await self._stream.connect()
        await self._read_account()
        await self._await_account_registered()
        self._account_task = self.create_task(self._keep_account())

    async def _disconnect(self) -> None:
        if self._account_task is not None:
            self._account_task.cancel()
        await self._stream.disconnect()

    async def _keep_account(self) -> None:
        """Read the balance periodically, so that payouts are included without a trade."""
        while True:
            await asyncio.sleep(self._account_seconds)
            await self._update_account_state()

    async def _update_account_state(self) -> None:
        """Read the balance; without a usable answer it is unchanged.

        The stock client starts this as a task after a trade, and prints a traceback if it raises.
        """
        try:
            await self._read_account()
        except NO_ANSWER as error:
            self._log.warning(f"the balance is not updated: {one_line(repr(error))}")

    async def _read_account(self) -> None:
        """Read the balance.

        Raises
        ------
        PolyApiException
            If the venue does not answer.
        AttributeError, KeyError, TypeError, ValueError
            If the answer is not a balance. NautilusTrader ends the whole process at an amount above its
            maximum.
        """
        answer: Any = await asyncio.to_thread(
            self._http_client.get_balance_allowance,
            BalanceAllowanceParams(
                cast(AssetType, AssetType.COLLATERAL), signature_type=self._config.signature_type
            ),
        )
        units = int(answer["balance"])
        if not 0 <= units < LARGEST_BALANCE:
            raise ValueError(f"balance {one_line(units, 40)}")
        # An answer without allowances does not refuse an order: the venue decides.
        self._funds = parse_funds(answer) if "allowances" in answer else None
        self._collateral_balance_pusd = units / 1_000_000
        total = pusd_from_units(units)
        self.generate_account_state(
            balances=[AccountBalance(total=total, locked=Money(0, pUSD), free=total)],
            margins=[],
            reported=True,
            ts_event=self._clock.timestamp_ns(),
        )

    async def _maintain_active_market(self, instrument_id: Any) -> None:
        """Nothing to do: the one subscription covers all markets."""

    # --- submission ------------------------------------------------------------------------------

    def prepare_order(self, client_order_id: str, decision: Decision) -> None:
        """Begin to sign the order of a decision that may follow; nothing is sent.

        Only a submission with this id, the same token and the same amounts uses the signature, once.
        """
        market, usd = decision.context.market, decision.params.position_size_usd
        if decision.outcome is None or decision.ask is None or decision.price_cap is None:
            return
        try:
            amounts = market_buy(usd, decision.ask, decision.price_cap, market.tick, market.fee_rate)
        except Refused:
            return  # the submission is refused by the same rule
        token_id = market.token(decision.outcome)
        signing = self._begin(self._orders.sign(token_id, amounts, market.version))
        self._prepared[client_order_id] = PreparedOrder(token_id, amounts, signing)
        while len(self._prepared) > PREPARED:
            del self._prepared[next(iter(self._prepared))]

    async def _sign(
        self, order: Order, token_id: str, amounts: MarketBuy, version: ProtocolVersion
    ) -> SignedOrder:
        """The signature of an order: the prepared one, or a new one."""
        prepared = self._prepared.pop(order.client_order_id.value, None)
        if prepared is not None and (prepared.token_id, prepared.amounts) == (token_id, amounts):
            return await prepared.signing
        return await self._orders.sign(token_id, amounts, version)

    async def keep_connection(self) -> None:
        """Open the connection that the next order is sent on, or keep it open."""
        await self._orders.keep_connection()

    async def _submit_order(self, command: SubmitOrder) -> None:
        if (command.params or {}).get("settlement") is not None:
            instrument = self._cache.instrument(command.order.instrument_id)
            price = instrument.make_price(Decimal(command.params["settlement"]))
            generate_settlement(self, command.order, price, self._clock.timestamp_ns())
            return
        await super()._submit_order(command)

    async def _submit_market_order(self, command: SubmitOrder, instrument: BinaryOption) -> None:
        order, client_order_id = command.order, command.order.client_order_id.value
        try:
            params = command.params or {}
            amounts = self._amounts(order, instrument, params)
            version = self._version(instrument, params)
            self._check_allowance(amounts, version)
            token_id = get_polymarket_token_id(instrument.id)
            signed = await self._sign(order, token_id, amounts, version)
            order_id = VenueOrderId(signed.order_id)
        except Refused as error:
            self._deny_market_order_quantity(order, str(error))
            return
        except Exception as error:  # noqa: BLE001  for every other error: nothing was sent
            self._deny_market_order_quantity(order, f"nothing was sent: {error!r}")
            return
        # From here on a trade can be identified as this order's, even if it arrives before the POST's answer.
        self._cache.add_venue_order_id(order.client_order_id, order_id)
        answered = self._unanswered[order_id] = asyncio.Event()
        try:
            began = time.monotonic()
            # The write is begun at once. The sending thread builds the request meanwhile, and waits for the
            # write itself, so that nothing comes between the commit and the last check.
            recording = self._begin(self._journal.order_signed(client_order_id, order_id.value))
            sending = self._begin(
                self._orders.post(signed, lambda: self._journal.refusal_before_sending(client_order_id))
            )
            # What follows the commit in this process takes the interpreter from the sending thread.
            await asyncio.wait({sending}, timeout=SUBMITTED_AFTER_S)
            try:
                await recording
            except Exception as error:  # noqa: BLE001  without its rows the last check refuses the order
                try:
                    await sending
                except WithheldError:
                    why = str(error) if isinstance(error, Refused) else f"nothing was sent: {error!r}"
                    self._deny_market_order_quantity(order, why)
                    return
                self._log.exception(
                    "an order was recorded and sent, and what follows the write failed", error
                )
            self.generate_order_submitted(**order_keys(order), ts_event=self._clock.timestamp_ns())
            answer = await sending
            outcome = answer.outcome
            self._apply(order, instrument, order_id, outcome, answer.posted_ns)
            self._observe(
                OrderAnswered(
                    order_id=order_id.value,
                    version=version,
                    tick=instrument.price_increment.as_decimal(),
                    amounts=amounts,
                    outcome=outcome,
                    status=answer.status,
                    body=answer.body,
                    seconds=time.monotonic() - began,
                )
            )
        except WithheldError as error:
            self._journal.order_withheld(client_order_id, str(error))
            reason = f"withheld: {error}"
            self.generate_order_rejected(
                **order_keys(order), reason=reason, ts_event=self._clock.timestamp_ns()
            )
        finally:
            del self._unanswered[order_id]
            answered.set()

    def _begin[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine up to the first time that it waits; the task is the rest of it."""
        task = asyncio.Task(work, loop=self._loop, eager_start=True)
        task.add_done_callback(_retrieve)
        return task

    def _amounts(self, order: Order, instrument: BinaryOption, params: dict[str, Any]) -> MarketBuy:
        if (
            order.side != OrderSide.BUY
            or order.time_in_force != TimeInForce.IOC
            or not order.is_quote_quantity
        ):
            raise Refused("only USD-denominated BUY orders with time in force IOC are sent")
        if not {"ask", "price_cap", "fee_rate", "version"} <= params.keys():
            raise Refused("the order carries no ask, price_cap, fee_rate and version")
        usd = order.quantity.as_decimal()
        if usd > self._max_usd:
            raise Refused(f"order of ${usd} is above MARKET_BUY_USD ({self._max_usd})")
        ask, cap, rate = (Decimal(str(params[name])) for name in ("ask", "price_cap", "fee_rate"))
        amounts = market_buy(usd, ask, cap, instrument.price_increment.as_decimal(), rate)
        balance = Decimal(str(self._collateral_balance_pusd or 0))
        if balance < amounts.most:
            raise Refused(f"balance ${balance} is below the order's ${amounts.most} with its fee")
        return amounts

    def _version(self, instrument: BinaryOption, params: dict[str, Any]) -> ProtocolVersion:
        """The protocol version that an order is signed for, which the id of its outcome has to confirm."""
        version = ProtocolVersion(params["version"])
        if ProtocolVersion.of_id(get_polymarket_token_id(instrument.id)) is not version:
            raise Refused(f"the id of {instrument.id} has not the form of version {version}")
        if self._get_neg_risk_for_instrument(instrument):
            raise Refused(f"{instrument.id} is of a negRisk market")
        return version

    def _check_allowance(self, amounts: MarketBuy, version: ProtocolVersion) -> None:
        """Refuse an order that the exchange of its market may not collect.

        Raises
        ------
        Refused
            With the name and the address of the contract.
        """
        allowance = None if self._funds is None else self._funds.allowance(version)
        if allowance is not None and allowance < amounts.most:
            raise Refused(
                f"the allowance of {EXCHANGE_NAMES[version]} ({EXCHANGES[version]}) is ${allowance},"
                f" below the order's ${amounts.most} with its fee"
            )

    def _apply(
        self,
        order: Order,
        instrument: BinaryOption,
        order_id: VenueOrderId,
        outcome: PostOutcome,
        posted_ns: int | None,
    ) -> None:
        self._journal.order_answered(order.client_order_id.value, outcome, posted_ns)
        if outcome.kind in (OutcomeKind.NO_FILL, OutcomeKind.REFUSED):
            reason = f"{outcome.kind.value}: {outcome.reason}"
            self.generate_order_rejected(
                **order_keys(order), reason=reason, ts_event=self._clock.timestamp_ns()
            )
            return
        if outcome.kind is OutcomeKind.MATCHED and outcome.taking is not None:
            # A FAK order is final when it is answered: its quantity is the amount taken, in shares.
            self._determine(order, order_id, instrument.make_qty(outcome.taking))
        elif order_id not in self._determined:
            self._undetermined.add(order_id)

    # --- outcome of an order ---------------------------------------------------------------------

    def set_total(self, client_order_id: str, shares: Decimal) -> None:
        """Set the amount an order took, if look-ups determined it because the POST's answer had no total."""
        found = self._own(client_order_id)
        if found is not None:
            order, order_id = found
            self._determine(order, order_id, self._cache.instrument(order.instrument_id).make_qty(shares))

    def close_unfilled(self, client_order_id: str) -> None:
        """Close an order that bought nothing, or whose fills failed."""
        found = self._own(client_order_id)
        if found is None or found[0].is_closed:
            return
        order, order_id = found
        now = self._clock.timestamp_ns()
        if order.status == OrderStatus.SUBMITTED:
            reason = "the venue has no trade of it"
            self.generate_order_rejected(**order_keys(order), reason=reason, ts_event=now)
        else:
            self.generate_order_canceled(**order_keys(order), venue_order_id=order_id, ts_event=now)
        self._undetermined.discard(order_id)

    def apply_trades(self, client_order_id: str, trades: Sequence[dict[str, Any]]) -> None:
        """Fill an order from the venue's list of trades; a trade that was applied before has no effect."""
        found = self._own(client_order_id)
        if found is None or found[0].is_closed or found[1] in self._unanswered:
            return
        for trade in trades:
            try:
                self._handle_ws_trade_msg(_as_user_trade(trade), wait_for_ack=False)
            except Exception as error:  # noqa: BLE001  one unusable trade must not end the look-ups
                self._log.warning(f"look-up of {found[1]!r}: {type(error).__name__}: {one_line(error)}")

    def _own(self, client_order_id: str) -> tuple[Order, VenueOrderId] | None:
        """An order of this process and its hash; None for one of an earlier process."""
        order = self._cache.order(ClientOrderId(client_order_id))
        order_id = self._cache.venue_order_id(ClientOrderId(client_order_id))
        return None if order is None or order_id is None else (order, order_id)

    def _determine(self, order: Order, order_id: VenueOrderId, quantity: Quantity) -> None:
        """Set the quantity of an order without a total to the amount that was traded."""
        if order_id in self._determined:
            return
        self._determined.add(order_id)
        self._undetermined.discard(order_id)
        self.generate_order_accepted(
            **order_keys(order), venue_order_id=order_id, ts_event=self._clock.timestamp_ns()
        )
        self._send_quote_to_base_update(order, order_id, quantity)

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

    def _handle_ws_message(self, raw: bytes) -> None:
        """Process one message of the user stream.

        The stock client catches every exception raised here and logs it with a traceback on the screen;
        instead, `AccountStream` counts it.

        Raises
        ------
        Exception
            If the message is unreadable or unusable.
        """
        message = self._decoder_user_msg.decode(raw)
        if isinstance(message, PolymarketUserOrder):
            self._handle_ws_order_msg(message, wait_for_ack=True)
        else:
            self._handle_ws_trade_msg(message, wait_for_ack=True)

    def _handle_ws_order_msg(self, msg: PolymarketUserOrder, wait_for_ack: bool) -> None:
        if (fault := order_fault(msg)) is not None:
            raise Refused(f"an order's message has {fault}")
        super()._handle_ws_order_msg(msg, wait_for_ack)

    def _handle_ws_trade_msg(self, msg: PolymarketUserTrade, wait_for_ack: bool) -> None:
        # First: for an unreadable trade it searches the same trade in the venue's list.
        readable = self._journal.trade(msg.to_dict())
        if (fault := trade_fault(msg)) is not None:
            raise Refused(f"a trade's message has {fault}")
        # Without waiting it is one of `/data/trades`.
        if wait_for_ack and self._cache.client_order_id(VenueOrderId(msg.taker_order_id)) is not None:
            self._observe(StreamTradeSeen(msg.to_dict()))
        if readable and msg.status not in (PolymarketTradeStatus.RETRYING, FAILED):
            super()._handle_ws_trade_msg(msg, wait_for_ack)

    def _handle_user_trade_in_ws_trade_msg(
        self, msg: PolymarketUserTrade, trade_id: TradeId, wait_for_ack: bool, order_id: str
    ) -> None:
        # The first of several trades would complete an order without a total: look-ups determine the sum.
        if wait_for_ack or VenueOrderId(order_id) not in self._undetermined:
            super()._handle_user_trade_in_ws_trade_msg(msg, trade_id, wait_for_ack, order_id)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve the error of a task that may not be awaited: asyncio would print it."""
    if not task.cancelled():
        task.exception()


def _as_user_trade(trade: dict[str, Any]) -> PolymarketUserTrade:
    """Convert a trade from `/data/trades` to the format of the user stream, which has additional fields.

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
