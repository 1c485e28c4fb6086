"""Drives the order lifecycle inline: states, rows and limits of the live engine, without a thread."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from errors import Refused
from events import Decided, Event
from execution.amounts import taker_fee
from execution.ledger import LedgerReader
from execution.ledger.writer import Ledger
from execution.order_lifecycle import OrderLifecycle, OrderRules
from execution.order_messages import (
    Command,
    DecisionMade,
    Halt,
    Input,
    MarketSettled,
    OrderDenied,
    Post,
    PostAnswered,
    Publish,
    Sign,
    SignatureReady,
    StopRequested,
    TradeReported,
    Write,
)
from execution.outcomes import PostOutcome
from execution.risk_engine import RiskEngine
from models import Decision, OrderIntent, OrderStage


class InlineExecution:
    """The strategy's execution engine in a backtest.

    Parameters
    ----------
    ledger, reader
        Writer and reader of the backtest's ledger.
    risk : RiskEngine
        Checked before each order.
    rules : OrderRules
        Attempts and pauses.
    send : Callable[[OrderIntent], None]
        Submits an order to Nautilus.
    publish : Callable[[Event], None]
        Receives the events.
    now_ns : Callable[[], int]
        The backtest's clock.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        risk: RiskEngine,
        rules: OrderRules,
        send: Callable[[OrderIntent], None],
        publish: Callable[[Event], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._risk = risk
        self._lifecycle = OrderLifecycle(rules)
        self._send = send
        self._publish = publish
        self._now_ns = now_ns
        self._decisions: dict[int, int] = {}
        self.halted: str | None = None

    def may_order(self, slug: str) -> bool:
        return self._lifecycle.may_order(slug, self._now_ns())

    def has_open_order(self, slug: str) -> bool:
        return self._lifecycle.has_open_order(slug)

    def begin_checks(self) -> None:
        """Nothing: a backtest has neither a mode nor a halt file."""

    async def handle_decision(
        self, decision: Decision, stages: dict[OrderStage, int] | None = None, checks: None = None
    ) -> bool:
        """Record a decision and act on it; returns whether the market is finished."""
        del stages, checks  # the times of a backtest are not a user's
        refused = None
        if decision.buys and self.halted is None:
            refused = self._risk_refusal(decision)
        start = decision.context.market.start
        self._decisions[start] = number = self._decisions.get(start, 0) + 1
        made = DecisionMade(
            decision=decision,
            intent_id=f"BACKTEST-{start}-{number:04}",
            halt=self.halted if decision.buys else None,
            risk_refusal=refused,
        )
        commands = self._feed(made)
        events = [command.event for command in commands if isinstance(command, Publish)]
        return any(isinstance(event, Decided) and event.final for event in events)

    def _risk_refusal(self, decision: Decision) -> str | None:
        market, price = decision.context.market, decision.ask or Decimal(1)
        stake = decision.params.position_size_usd
        stake += taker_fee(stake / price, price, market.fee_rate)
        return self._risk.refusal(self._reader, stake, self._now_ns(), market.slug)

    def order_denied(self, client_order_id: str, reason: str) -> None:
        self._feed(OrderDenied(client_order_id, reason))

    def halt(self, why: str) -> None:
        """Open no new position for the rest of the run."""
        if self.halted is None:
            self.halted = why
            self._ledger.record_halt(why)

    def stop(self) -> None:
        self._feed(StopRequested())

    # --- reported by the simulated venue ----------------------------------------------------------

    def order_signed(self, client_order_id: str, order_id: str) -> None:
        """Store decision, intent and order id before the order is sent.

        Raises
        ------
        Refused
            If it must not be sent.
        """
        commands = self._feed(SignatureReady(client_order_id, order_id))
        if not any(isinstance(command, Post) for command in commands):
            raise Refused("the run is stopping: no new order")

    def order_answered(self, client_order_id: str, outcome: PostOutcome) -> None:
        self._feed(PostAnswered(client_order_id, outcome))

    def trade(self, trade: TradeReported) -> None:
        self._feed(trade)

    def market_settled(self, slug: str) -> None:
        self._feed(MarketSettled(slug))

    # --- carrying out commands -------------------------------------------------------------------

    def _feed(self, message: Input) -> list[Command]:
        commands = self._lifecycle.handle(message, self._now_ns())
        decision_id: int | None = None
        for command in commands:
            match command:
                case Write(rows=rows):
                    decision_id = self._ledger.write(rows)
                case Publish(event=Decided() as event) if decision_id is not None:
                    self._publish(msgspec.structs.replace(event, decision_id=decision_id))
                case Publish(event=event):
                    self._publish(event)
                case Halt(why=why):
                    self.halt(why)
                case Sign(intent=intent):
                    self._submit(intent)
                case _:
                    pass  # `Post` is the simulated venue's next step; nothing is unknown here, so no look-ups
        return commands

    def _submit(self, intent: OrderIntent) -> None:
        try:
            self._send(intent)
        except Refused as error:
            self.order_denied(intent.intent_id, str(error))
