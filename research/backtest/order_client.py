"""The execution client of a backtest: matches the strategy's orders after the venue's delay."""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.enums import AccountType, LiquiditySide, OmsType
from nautilus_trader.model.identifiers import ClientId, TradeId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Money
from nautilus_trader.model.orders import Order

from core.nautilus_core.providers.book_conversion import full_book
from core.nautilus_core.providers.order_events import generate_settlement, order_keys
from errors import Refused
from execution.amounts import MarketBuy, market_buy, taker_fee
from execution.order_messages import TradeReported
from execution.outcomes import OutcomeKind, PostOutcome
from models import Fill, FillStatus, Market, Outcome, fill_cost
from research.backtest.carry import BalanceCheck
from research.backtest.execution import InlineExecution
from research.backtest.matching import LevelFill, match


class BacktestOrderClient(ExecutionClient):
    """Fills USD-denominated FAK orders from the recorded book of the moment at which they are matched.

    Parameters
    ----------
    engine : InlineExecution
        Informed about every step, as by the live adapter.
    market_of : Callable[[Any], tuple[Market, Outcome]]
        Market and outcome of an instrument.
    call_at : Callable[[int, Callable[[], None]], None]
        Calls a function when the clock reaches a time in nanoseconds.
    cash : Decimal
        pUSD at the start.
    delay_ns : Callable[[str], int]
        Time from an order to its matching in a market, by its slug.
    """

    def __init__(
        self,
        kernel: Any,
        venue: Venue,
        engine: InlineExecution,
        market_of: Callable[[Any], tuple[Market, Outcome]],
        call_at: Callable[[int, Callable[[], None]], None],
        cash: Decimal,
        delay_ns: Callable[[str], int],
    ) -> None:
        super().__init__(
            client_id=ClientId(venue.value),
            venue=venue,
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=pUSD,
            msgbus=kernel.msgbus,
            cache=kernel.cache,
            clock=kernel.clock,
        )
        self._engine = engine
        self._market_of = market_of
        self._call_at = call_at
        self._delay_ns = delay_ns
        self._start_cash = cash
        self.checks: list[BalanceCheck] = []
        self.cash = cash

    def submit_order(self, command: SubmitOrder) -> None:
        params = command.params or {}
        if params.get("settlement") is not None:
            instrument = self._cache.instrument(command.order.instrument_id)
            price = instrument.make_price(Decimal(params["settlement"]))
            generate_settlement(self, command.order, price, self._now())
            return
        order = command.order
        try:
            amounts = self._amounts(order, params)
            order_id = "0x" + hashlib.sha256(order.client_order_id.value.encode()).hexdigest()
            self._engine.order_signed(order.client_order_id.value, order_id)
        except Refused as error:
            self.generate_order_denied(**order_keys(order), reason=str(error), ts_event=self._now())
            return
        self.generate_order_submitted(**order_keys(order), ts_event=self._now())
        market, _ = self._market_of(order.instrument_id)
        at_ns = self._now() + self._delay_ns(market.slug)
        self._call_at(at_ns, lambda: self._match(order, order_id, amounts))

    def _amounts(self, order: Order, params: dict[str, Any]) -> MarketBuy:
        instrument = self._cache.instrument(order.instrument_id)
        ask, cap, rate = (Decimal(params[name]) for name in ("ask", "price_cap", "fee_rate"))
        tick = instrument.price_increment.as_decimal()
        amounts = market_buy(order.quantity.as_decimal(), ask, cap, tick, rate)
        enough = self.cash >= amounts.most
        own = self.cash - self._start_cash
        self.checks.append(BalanceCheck(own=own, needed=amounts.most, enough=enough))
        if not enough:
            raise Refused(f"balance ${self.cash} is below the order's ${amounts.most} with its fee")
        return amounts

    def _match(self, order: Order, order_id: str, amounts: MarketBuy) -> None:
        client_id = order.client_order_id.value
        book = full_book(self._cache.order_book(order.instrument_id), self._now())
        fills = match(amounts, book.asks)
        if not fills:
            reason = "no orders found to match with FAK order"
            self._engine.order_answered(client_id, PostOutcome(OutcomeKind.NO_FILL, reason))
            self.generate_order_rejected(**order_keys(order), reason=reason, ts_event=self._now())
            return
        shares = sum((fill.shares for fill in fills), Decimal(0))
        making = sum((fill_cost(fill.shares, fill.price) for fill in fills), Decimal(0))
        outcome = PostOutcome(OutcomeKind.MATCHED, making=making, taking=shares)
        self._engine.order_answered(client_id, outcome)
        self._accept(order, order_id, shares)
        for number, fill in enumerate(fills):
            self._fill(order, order_id, f"{order_id[-16:]}-{number}", fill)

    def _accept(self, order: Order, order_id: str, shares: Decimal) -> None:
        instrument = self._cache.instrument(order.instrument_id)
        venue_order_id = VenueOrderId(order_id)
        self.generate_order_accepted(**order_keys(order), venue_order_id=venue_order_id, ts_event=self._now())
        order.set_quote_quantity(False) if hasattr(order, "set_quote_quantity") else None
        self.generate_order_updated(
            **order_keys(order),
            venue_order_id=venue_order_id,
            quantity=instrument.make_qty(shares),
            price=None,
            trigger_price=None,
            ts_event=self._now(),
        )

    def _fill(self, order: Order, order_id: str, trade_id: str, fill: LevelFill) -> None:
        market, outcome = self._market_of(order.instrument_id)
        instrument = self._cache.instrument(order.instrument_id)
        fee = taker_fee(fill.shares, fill.price, market.fee_rate)
        self.cash -= fill_cost(fill.shares, fill.price) + fee
        booked = Fill(
            trade_id=f"{trade_id}#0",
            order_id=order_id,
            intent_id=order.client_order_id.value,
            slug=market.slug,
            outcome=outcome,
            shares=fill.shares,
            price=fill.price,
            fee=fee,
            ts_ns=self._now(),
        )
        self._engine.trade(TradeReported(order_id, trade_id, FillStatus.CONFIRMED, (booked,)))
        self.generate_order_filled(
            **order_keys(order),
            venue_order_id=VenueOrderId(order_id),
            venue_position_id=None,
            trade_id=TradeId(trade_id),
            order_side=order.side,
            order_type=order.order_type,
            last_qty=instrument.make_qty(fill.shares),
            last_px=instrument.make_price(fill.price),
            quote_currency=pUSD,
            commission=Money(fee, pUSD),
            liquidity_side=LiquiditySide.TAKER,
            ts_event=self._now(),
        )

    def announce_account(self) -> None:
        """Give Nautilus the account's balance."""
        total = Money(self.cash, pUSD)
        self.generate_account_state(
            balances=[AccountBalance(total=total, locked=Money(0, pUSD), free=total)],
            margins=[],
            reported=True,
            ts_event=self._now(),
        )

    def _now(self) -> int:
        return self._clock.timestamp_ns()
