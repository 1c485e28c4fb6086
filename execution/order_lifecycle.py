"""The order lifecycle: a state machine without I/O, inputs in, commands out.

One `OrderLifecycle` holds all orders of a session. It reads no clock and does no I/O: a driver passes it
inputs with the time and carries out the returned commands in their order. Every possible crash point of the
bot is the index of a command; a new process restores the ledger's rows and continues from there (`restore`).

Guarantees for every order of inputs:

- a market has at most one order that exists or may exist at the venue;
- no `Post` without the order's row, with decision, intent and hash, on the disk;
- an order that may exist is never sent again; it is looked up by its hash until its outcome is known;
- every trade of an order is recorded once, and an order is looked up until the final chain status of each of
  its trades is known;
- an order that ended without a trade is looked up at the next start, and when the venue's cash differs from
  the ledger's, unless the cash has agreed since.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from events import Decided, Filled, FillMoved, OrderMoved, OrderSent, OrderSigned
from execution.order_messages import (
    CashCompared,
    CloseUnfilled,
    Command,
    DecisionMade,
    Halt,
    HaltLifted,
    Input,
    LookedUp,
    LookUp,
    LookUpFailed,
    MarketSettled,
    OrderDenied,
    OrderWithheld,
    Post,
    PostAnswered,
    Publish,
    SetTotal,
    Sign,
    SignatureReady,
    StopRequested,
    TimeReached,
    TradeReported,
    TradeUnreadable,
    Write,
    WriteFailed,
)
from execution.order_records import DecisionEntry, Entry, FillEntry, OrderEntry, StateEntry, StoredOrder
from execution.order_transitions import DEAD, FINAL, FORWARD, unconfirmed_since
from execution.outcomes import OutcomeKind
from models import RETRIED, Decision, FillStatus, Frozen, OrderIntent, OrderState, Reason

REFUSALS_UNTIL_HALT = 3
"""Refused orders in a row that halt trading."""
UNREADABLE_UNTIL_HALT = 3
"""Look-ups of one order with an unreadable trade that halt trading."""
SECOND_NS = 1_000_000_000
STREAM_GRACE_NS = 2 * SECOND_NS
"""Time for the user stream, which is faster, to report the fills of a matched order."""
LOOK_UP_PAUSES_NS = tuple(int(pause * SECOND_NS) for pause in (0.5, 1, 2, 4, 8, 15, 30, 60))
"""Pauses between the look-ups of one order; the last one repeats."""
FILLED_PAUSE_NS = 30 * SECOND_NS
"""Minimum pause between two look-ups of an order whose fills are all recorded but not final on the chain."""
SHARE_TOLERANCE = Decimal("0.0001")
"""Shares; less than the smallest amount that the venue trades."""

ANSWERED = {
    OutcomeKind.MATCHED: OrderState.MATCHED,
    OutcomeKind.NO_FILL: OrderState.NO_FILL,
    OutcomeKind.REFUSED: OrderState.REFUSED,
    OutcomeKind.UNKNOWN: OrderState.UNKNOWN,
}


class OrderRules(Frozen, frozen=True):
    """How often an order is tried in a market, and when an order without a trade is given up.

    Attributes
    ----------
    max_attempts : int
        Maximum orders in one market.
    retry_pause_ns : int
        Minimum time between two orders in one market.
    give_up_after_ns : int
        Age at which an order without a trade in a settled market counts as never matched. The venue lists
        trades within seconds; ten minutes allow for an outage.
    listed_after_ns : int
        Age of an order at which the venue's list of its trades confirms that it ended without one.
    """

    max_attempts: int
    retry_pause_ns: int = SECOND_NS
    give_up_after_ns: int = 600 * SECOND_NS
    listed_after_ns: int = 10 * SECOND_NS


class TrackedOrder:
    """The state of one order. `trades` maps a trade id to (status, shares)."""

    __slots__ = (
        "decision",
        "detail",
        "intent",
        "listed_late",
        "listed_shares",
        "looking_up",
        "order_id",
        "pauses",
        "settled",
        "state",
        "total",
        "total_answered",
        "trades",
        "unreadable",
    )

    def __init__(self, intent: OrderIntent, state: OrderState, decision: Decision | None = None) -> None:
        self.intent = intent
        self.state = state
        self.decision = decision
        """Kept until it is on the disk."""
        self.detail = ""
        """Reason of its state."""
        self.order_id: str | None = None
        self.total: Decimal | None = None
        """Shares taken, failed trades included, by the POST's answer or by two equal look-ups."""
        self.trades: dict[str, tuple[FillStatus, Decimal]] = {}
        self.total_answered = False
        """Whether the total is the POST's answer."""
        self.listed_shares = Decimal(0)
        self.listed_late = False
        """Whether the list of trades was read so late that it must be complete."""
        self.settled = False
        self.looking_up = False
        self.pauses = 0
        self.unreadable = 0

    @property
    def standing(self) -> Decimal:
        """Shares of the recorded trades that did not fail."""
        return sum(
            (size for status, size in self.trades.values() if status is not FillStatus.FAILED), Decimal(0)
        )

    @property
    def taken(self) -> Decimal:
        """Shares of the recorded trades, failed ones included."""
        return sum((size for _, size in self.trades.values()), Decimal(0))

    @property
    def filled(self) -> bool:
        """Whether every fill is recorded: their shares reach the total."""
        return self.total is not None and self.taken >= self.total - SHARE_TOLERANCE

    def exceeded_by(self, trade: TradeReported) -> bool:
        """Whether a new trade, with those recorded, is more than the venue's answer to the POST states."""
        if not self.total_answered or self.total is None or trade.trade_id in self.trades:
            return False
        return self.taken + trade.shares > self.total + SHARE_TOLERANCE

    @property
    def final(self) -> bool:
        """Whether every fill is recorded and final, and no other one can appear."""
        complete = self.filled and (self.total_answered or self.listed_late)
        return complete and all(status in FINAL for status, _ in self.trades.values())


class OrderLifecycle:
    """All orders of a session. The module's docstring has the guarantees.

    Parameters
    ----------
    rules : OrderRules
        Attempts and pauses.
    """

    def __init__(self, rules: OrderRules) -> None:
        self._rules = rules
        self._orders: dict[str, TrackedOrder] = {}
        self._by_order_id: dict[str, TrackedOrder] = {}
        self._by_market: dict[str, list[TrackedOrder]] = {}
        self._due: dict[str, int] = {}
        """When an order is looked up next, nanoseconds by intent id; without those whose end is known."""
        self._refused_in_a_row = 0
        self._cash_agreed_ns = 0
        self.stopping = False
        """Whether no new order is sent."""
        self._handlers: dict[type, Callable[[Any, int], list[Command]]] = {
            DecisionMade: self._on_decision,
            SignatureReady: self._on_signed,
            OrderDenied: self._on_denied,
            OrderWithheld: self._on_withheld,
            PostAnswered: self._on_answer,
            TradeReported: self._on_trade,
            TradeUnreadable: self._on_unreadable,
            LookedUp: self._on_looked_up,
            LookUpFailed: self._on_look_up_failed,
            WriteFailed: self._on_write_failed,
            MarketSettled: self._on_settled,
            CashCompared: self._on_cash_compared,
            HaltLifted: self._on_halt_lifted,
            TimeReached: self._on_time,
            StopRequested: self._on_stop,
        }

    def handle(self, message: Input, now_ns: int) -> list[Command]:
        """Process one input; returns the commands to carry out, in their order."""
        return self._handlers[type(message)](message, now_ns)

    def restore(self, orders: Iterable[StoredOrder], now_ns: int, cash_agreed_ns: int = 0) -> list[Command]:
        """Restore the orders of an earlier process from the ledger.

        An order that was sent and not answered is unknown. Orders that are unknown, or matched without every
        fill recorded and final, are looked up at once; so are those that ended without a trade, if no check
        of the cash has agreed since.

        Parameters
        ----------
        cash_agreed_ns : int
            When the venue's cash last agreed with the ledger's; 0 if it never has.
        """
        self._cash_agreed_ns = cash_agreed_ns
        rows: list[Entry] = []
        events: list[Command] = []
        for stored in orders:
            order = self._track(stored.intent, stored.state)
            order.settled, order.detail = stored.settled, stored.detail
            order.trades = {trade_id: (status, shares) for trade_id, status, shares in stored.trades}
            if stored.order_id is not None:
                order.order_id = stored.order_id
                self._by_order_id[stored.order_id] = order
            if stored.state is OrderState.INTENT:
                events += self._move(
                    order, OrderState.NO_FILL, "the bot stopped before the order was signed", rows
                )
            elif stored.state is OrderState.SENT:
                events += self._move(order, OrderState.UNKNOWN, "the bot stopped before the answer", rows)
            if order.state not in DEAD or self._is_unconfirmed(order):
                self._look_up_at(order, now_ns)
        return _written(rows, events)

    # --- queries ---------------------------------------------------------------------------------

    def may_order(self, slug: str, now_ns: int) -> bool:
        """Whether the earlier orders in this market allow another one now."""
        orders = self._by_market.get(slug)
        if self.stopping or self.has_open_order(slug):
            return False
        if not orders:
            return True
        last_ns = max(order.intent.created_ns for order in orders)
        return len(orders) < self._rules.max_attempts and now_ns - last_ns >= self._rules.retry_pause_ns

    def has_open_order(self, slug: str) -> bool:
        """Whether an order in this market exists or may exist."""
        return any(order.state not in DEAD for order in self._by_market.get(slug, ()))

    def order_of(self, order_id: str) -> TrackedOrder | None:
        """The order with this hash."""
        return self._by_order_id.get(order_id)

    @property
    def states(self) -> dict[str, OrderState]:
        """State by intent id, in the order of the intents."""
        return {intent_id: order.state for intent_id, order in self._orders.items()}

    @property
    def order_ids(self) -> list[str]:
        """The hash of each signed order."""
        return list(self._by_order_id)

    @property
    def in_flight(self) -> bool:
        """Whether any order waits for its answer."""
        return any(order.state in (OrderState.INTENT, OrderState.SENT) for order in self._orders.values())

    def unwritten_costs(self) -> list[tuple[str, Decimal]]:
        """(slug, maximum cost in pUSD) of each order that is being signed and is not in the ledger yet."""
        return [
            (order.intent.slug, order.intent.usd * (1 + order.decision.context.market.fee_rate))
            for order in self._orders.values()
            if order.state is OrderState.INTENT and order.decision is not None
        ]

    @property
    def uncertain(self) -> list[TrackedOrder]:
        """Orders that may have moved money without the ledger: unknown, or not all fills recorded."""
        return [
            order
            for order in self._orders.values()
            if order.state is OrderState.UNKNOWN or (order.state is OrderState.MATCHED and not order.filled)
        ]

    @property
    def incomplete(self) -> list[TrackedOrder]:
        """Orders that are looked up and not filled: a trade of them may have moved the cash."""
        return [order for order in self.unresolved if not order.filled]

    @property
    def unresolved(self) -> list[TrackedOrder]:
        """Orders that still have to be looked up at the venue."""
        return [self._orders[intent_id] for intent_id in self._due]

    @property
    def next_look_up_ns(self) -> int | None:
        """When the next look-up is due; None while none is."""
        return min(self._due.values(), default=None)

    # --- a decision ------------------------------------------------------------------------------

    def _on_decision(self, made: DecisionMade, now_ns: int) -> list[Command]:
        decision = self._screened(made)
        slug = decision.context.market.slug
        final = decision.reason not in RETRIED and not decision.buys
        if not decision.buys or not self.may_order(slug, now_ns):
            return [Write((DecisionEntry(decision),)), Publish(Decided(decision=decision, final=final))]
        intent = self._intent(decision, made.intent_id, now_ns)
        self._track(intent, OrderState.INTENT, decision)
        return [Sign(intent)]

    def _screened(self, made: DecisionMade) -> Decision:
        """The decision, or the same evidence with a refusal by mode or risk."""
        decision = made.decision
        if made.mode_refusal is not None:
            return msgspec.structs.replace(decision, reason=Reason.MODE, detail=made.mode_refusal)
        if not decision.buys:
            return decision
        why = made.halt or self._refusal_by_past(decision.context.market.slug) or made.risk_refusal
        return decision if why is None else msgspec.structs.replace(decision, reason=Reason.RISK, detail=why)

    def _refusal_by_past(self, slug: str) -> str | None:
        """Why the market's earlier orders, including those of earlier processes, do not allow another one."""
        orders = self._by_market.get(slug, [])
        if self.has_open_order(slug):
            return "an order in this market exists or may exist"
        for order in orders:
            if order.state is OrderState.REFUSED:
                return f"an order in this market was refused: {order.detail}"
        if len(orders) >= self._rules.max_attempts:
            limit = self._rules.max_attempts
            return f"{len(orders)} orders in this market found no match, ORDER_MAX_ATTEMPTS is {limit}"
        return None

    def _intent(self, decision: Decision, intent_id: str, now_ns: int) -> OrderIntent:
        market, outcome = decision.context.market, decision.outcome
        if outcome is None or decision.ask is None or decision.price_cap is None:
            raise ValueError(f"the decision in {market.slug} buys without side, ask or price cap")
        return OrderIntent(
            intent_id=intent_id,
            decision_id=0,
            slug=market.slug,
            condition_id=market.condition_id,
            token_id=market.token(outcome),
            outcome=outcome,
            usd=decision.params.position_size_usd,
            ask=decision.ask,
            price_cap=decision.price_cap,
            attempt=len(self._by_market.get(market.slug, ())) + 1,
            created_ns=now_ns,
            version=market.version,
        )

    # --- from the signature to the answer ----------------------------------------------------------

    def _on_signed(self, signed: SignatureReady, now_ns: int) -> list[Command]:
        order = self._orders.get(signed.intent_id)
        if order is None or order.state is not OrderState.INTENT:
            return []
        order.order_id = signed.order_id
        self._by_order_id[signed.order_id] = order
        if self.stopping:
            return self._end_unsent(order, OrderState.NO_FILL, "the bot is stopping: no new order")
        others = self._by_market[order.intent.slug]
        if any(other is not order and other.state not in DEAD for other in others):
            traded = "an earlier order of this market was traded meanwhile"
            return self._end_unsent(order, OrderState.NO_FILL, traded)
        order.state = OrderState.SENT
        signed_event = Publish(OrderSigned(intent=order.intent, order_id=signed.order_id))
        return [*self._entry(order), signed_event, Post(order.intent.intent_id)]

    def _on_denied(self, denied: OrderDenied, now_ns: int) -> list[Command]:
        order = self._orders.get(denied.intent_id)
        if order is None or order.state is not OrderState.INTENT:
            return []
        return self._end_unsent(order, OrderState.REFUSED, denied.reason)

    def _end_unsent(self, order: TrackedOrder, state: OrderState, reason: str) -> list[Command]:
        """End an order that was neither written nor sent."""
        order.state, order.detail = state, reason
        moved = Publish(OrderMoved(intent=order.intent, state=state, reason=reason))
        return [*self._count_refusal(order), *self._entry(order), moved]

    def _entry(self, order: TrackedOrder) -> list[Command]:
        """Write the decision and its order in one transaction, then publish both."""
        assert order.decision is not None  # the row of an order is written once
        decision, order.decision = order.decision, None
        return [
            Write((OrderEntry(decision, order.intent, order.order_id, order.state, order.detail),)),
            Publish(Decided(decision=decision, final=False)),
            Publish(OrderSent(intent=order.intent)),
        ]

    def _on_withheld(self, withheld: OrderWithheld, now_ns: int) -> list[Command]:
        order = self._orders[withheld.intent_id]
        if order.state not in (OrderState.SENT, OrderState.UNKNOWN):
            return []
        # The order itself is valid: it does not count as refused.
        rows: list[Entry] = []
        return _written(rows, self._move(order, OrderState.NO_FILL, withheld.reason, rows))

    def _on_answer(self, answered: PostAnswered, now_ns: int) -> list[Command]:
        order, outcome = self._orders[answered.intent_id], answered.outcome
        if outcome.kind is OutcomeKind.MATCHED:
            order.total, order.total_answered = outcome.taking, outcome.taking is not None
        if order.state not in (OrderState.SENT, OrderState.UNKNOWN):
            self._reschedule(order, now_ns)
            return []  # a trade that was reported before is better evidence than the answer
        state = ANSWERED[outcome.kind]
        if state is order.state:
            return []
        rows: list[Entry] = []
        commands = self._move(order, state, outcome.reason, rows)
        if state is OrderState.MATCHED:
            self._look_up_at(order, now_ns + STREAM_GRACE_NS)
        elif state is OrderState.UNKNOWN:
            self._look_up_at(order, now_ns)
        return _written(rows, commands)

    # --- trades ------------------------------------------------------------------------------------

    def _on_trade(self, trade: TradeReported, now_ns: int) -> list[Command]:
        order = self._by_order_id.get(trade.order_id)
        return [] if order is None else self._record_trade(order, trade, now_ns)

    def _record_trade(self, order: TrackedOrder, trade: TradeReported, now_ns: int) -> list[Command]:
        """Record a trade if it is new or has a later status; a trade's status only moves forward."""
        known = order.trades.get(trade.trade_id)
        if known is not None and known[0] not in FORWARD[trade.status]:
            return []
        order.trades[trade.trade_id] = (trade.status, trade.shares)
        rows: list[Entry] = []
        commands: list[Command] = []
        stands = any(status is not FillStatus.FAILED for status, _ in order.trades.values())
        if stands and order.state is not OrderState.MATCHED:
            if order.state in DEAD:
                ended = f"had ended as {order.state}"
                commands.append(Halt(f"the venue traded an order in {order.intent.slug} that {ended}"))
            commands += self._move(
                order, OrderState.MATCHED, "seen on the user stream or among the trades", rows
            )
            self._look_up_at(order, now_ns + STREAM_GRACE_NS)
        rows += [FillEntry(fill, trade.status) for fill in trade.fills]
        if not stands and order.state is not OrderState.REVERSED and order.state not in DEAD:
            commands += self._move(order, OrderState.REVERSED, "the trade failed on the chain", rows)
            commands.append(CloseUnfilled(order.intent.intent_id))
        event = Filled if known is None and trade.status is not FillStatus.FAILED else FillMoved
        commands += [Publish(event(fill=fill, status=trade.status)) for fill in trade.fills]
        self._reschedule(order, now_ns)
        return _written(rows, commands)

    def _on_unreadable(self, trade: TradeUnreadable, now_ns: int) -> list[Command]:
        order = self._by_order_id.get(trade.order_id)
        if order is not None and not order.looking_up:
            self._look_up_at(order, now_ns)
        return []

    # --- look-ups ----------------------------------------------------------------------------------

    def _on_time(self, _: TimeReached, now_ns: int) -> list[Command]:
        commands: list[Command] = []
        for intent_id, due_ns in self._due.items():
            order = self._orders[intent_id]
            # Later than the longest pause: the clock was set back, and the time is not a valid one.
            waits = now_ns < due_ns <= now_ns + LOOK_UP_PAUSES_NS[-1]
            if order.looking_up or waits or order.order_id is None:
                continue
            order.looking_up = True
            fate = order.state is OrderState.UNKNOWN
            commands.append(LookUp(order.order_id, order.intent.condition_id, fate))
        return commands

    def _on_looked_up(self, found: LookedUp, now_ns: int) -> list[Command]:
        order = self._by_order_id.get(found.order_id)
        if order is None:
            return []
        order.looking_up = False
        commands: list[Command] = []
        for trade in found.trades:
            commands += self._record_trade(order, trade, now_ns)
        if found.unreadable is not None:
            order.unreadable += 1
            if order.unreadable == UNREADABLE_UNTIL_HALT:
                commands.append(Halt(f"a trade in {order.intent.slug} cannot be read: {found.unreadable}"))
        if found.trades:
            commands += self._total_of(order, found, now_ns)
        else:
            commands += self._without_trades(order, found, now_ns)
        if self._is_confirmed_by(order, found, now_ns):
            self._end_look_ups(order)
        else:
            self._after_look_up(order, now_ns)
        return commands

    def _on_look_up_failed(self, failed: LookUpFailed, now_ns: int) -> list[Command]:
        order = self._by_order_id.get(failed.order_id)
        if order is not None:
            order.looking_up = False
            if order.state not in DEAD or order.intent.intent_id in self._due:
                self._after_look_up(order, now_ns)
        return []

    def _total_of(self, order: TrackedOrder, found: LookedUp, now_ns: int) -> list[Command]:
        """Set the total of an order without one if two look-ups in a row are equal.

        The list may be incomplete while an order matches several makers: a total of the answer is lowered,
        and a total of look-ups is complete, only if the list is read late.
        """
        shares = sum((trade.shares for trade in found.trades), Decimal(0))
        agreed = found.unreadable is None and shares == order.listed_shares
        order.listed_shares = shares if found.unreadable is None else Decimal(0)
        late = self._is_late(order, now_ns)
        order.listed_late = order.listed_late or (late and found.unreadable is None)
        if not agreed:
            return []
        first = order.total is None
        if order.total is None or shares > order.total or late:
            order.total = shares
        return [SetTotal(order.intent.intent_id, order.standing)] if first and order.standing > 0 else []

    def _without_trades(self, order: TrackedOrder, found: LookedUp, now_ns: int) -> list[Command]:
        if order.state is not OrderState.UNKNOWN or order.trades or found.unreadable is not None:
            return []
        if found.dead:
            reason = "the venue reports that it ended without a match"
        elif order.settled and self._is_late(order, now_ns):
            reason = "the market is settled and the venue has no trade of it"
        else:
            return []
        rows: list[Entry] = []
        commands = self._move(order, OrderState.NO_FILL, reason, rows)
        return _written(rows, [*commands, CloseUnfilled(order.intent.intent_id)])

    def _is_confirmed_by(self, order: TrackedOrder, found: LookedUp, now_ns: int) -> bool:
        """Whether a list confirms that an order ended without a trade."""
        if order.state not in DEAD or found.unreadable is not None:
            return False
        listed = now_ns - order.intent.created_ns >= self._rules.listed_after_ns
        return listed or order.intent.intent_id not in self._due

    def _is_unconfirmed(self, order: TrackedOrder) -> bool:
        """Whether an order ended without a trade after it was signed, and the cash has not agreed since."""
        signed_and_dead = order.state in DEAD and order.order_id is not None
        return signed_and_dead and order.intent.created_ns >= unconfirmed_since(self._cash_agreed_ns)

    def _is_late(self, order: TrackedOrder, now_ns: int) -> bool:
        """Whether an order is so old that the venue's list of its trades must be complete."""
        return now_ns - order.intent.created_ns > self._rules.give_up_after_ns

    def _look_up_at(self, order: TrackedOrder, at_ns: int) -> None:
        """Schedule a look-up, unless an earlier one is due."""
        intent_id = order.intent.intent_id
        self._due[intent_id] = min(at_ns, self._due.get(intent_id, at_ns))

    def _after_look_up(self, order: TrackedOrder, now_ns: int) -> None:
        pause = LOOK_UP_PAUSES_NS[min(order.pauses, len(LOOK_UP_PAUSES_NS) - 1)]
        order.pauses += 1
        self._due[order.intent.intent_id] = now_ns + pause
        self._reschedule(order, now_ns)

    def _reschedule(self, order: TrackedOrder, now_ns: int) -> None:
        """Stop looking up an order whose outcome is final; look rarely if only the chain status is
        missing."""
        # A reversed order may have another trade that did not fail: it is looked up until its total is
        # reached. One that ended without a trade is looked up only to confirm that.
        if order.final:
            self._end_look_ups(order)
        elif order.filled and (due_ns := self._due.get(order.intent.intent_id)) is not None:
            self._due[order.intent.intent_id] = max(due_ns, now_ns + FILLED_PAUSE_NS)

    def _end_look_ups(self, order: TrackedOrder) -> None:
        self._due.pop(order.intent.intent_id, None)

    # --- other inputs --------------------------------------------------------------------------------

    def _on_write_failed(self, failed: WriteFailed, now_ns: int) -> list[Command]:
        """Undo what could not be written: no order is sent, a fill is looked up again."""
        for row in failed.rows:
            match row:
                case OrderEntry(intent=intent):
                    order = self._orders[intent.intent_id]
                    order.state, order.detail = OrderState.REFUSED, f"not written: {failed.reason}"
                case FillEntry(fill=fill):
                    order = self._orders[fill.intent_id]
                    order.trades.pop(fill.trade_id.rpartition("#")[0], None)
                    self._look_up_at(order, now_ns + LOOK_UP_PAUSES_NS[0])
                case _:
                    pass
        if any(isinstance(row, FillEntry) for row in failed.rows):
            return [Halt(f"a fill could not be recorded: {failed.reason}")]
        return []

    def _on_settled(self, settled: MarketSettled, now_ns: int) -> list[Command]:
        for order in self._by_market.get(settled.slug, ()):
            order.settled = True
        return []

    def _on_cash_compared(self, compared: CashCompared, now_ns: int) -> list[Command]:
        if compared.agrees:
            self._cash_agreed_ns = now_ns
            return []
        for order in self._orders.values():
            if self._is_unconfirmed(order):
                self._look_up_at(order, now_ns)
        return []

    def _on_halt_lifted(self, _: HaltLifted, now_ns: int) -> list[Command]:
        self._refused_in_a_row = 0
        return []

    def _on_stop(self, _: StopRequested, now_ns: int) -> list[Command]:
        self.stopping = True
        rows: list[Entry] = []
        commands: list[Command] = []
        for order in self._orders.values():
            if order.state is OrderState.SENT:
                commands += self._move(order, OrderState.UNKNOWN, "the bot stopped before the answer", rows)
        return _written(rows, commands)

    def _track(
        self, intent: OrderIntent, state: OrderState, decision: Decision | None = None
    ) -> TrackedOrder:
        order = TrackedOrder(intent, state, decision)
        self._orders[intent.intent_id] = order
        self._by_market.setdefault(intent.slug, []).append(order)
        return order

    def _move(self, order: TrackedOrder, state: OrderState, reason: str, rows: list[Entry]) -> list[Command]:
        """Change an order's state; the row is appended to `rows`, the other commands are returned."""
        order.state, order.detail = state, reason
        if state in DEAD:
            self._end_look_ups(order)
        rows.append(StateEntry(order.intent.intent_id, state, reason))
        moved = Publish(OrderMoved(intent=order.intent, state=state, reason=reason))
        return [*self._count_refusal(order), moved]

    def _count_refusal(self, order: TrackedOrder) -> list[Command]:
        refused = order.state is OrderState.REFUSED
        self._refused_in_a_row = self._refused_in_a_row + 1 if refused else 0
        if self._refused_in_a_row < REFUSALS_UNTIL_HALT:
            return []
        return [Halt(f"{REFUSALS_UNTIL_HALT} orders in a row were refused, the last: {order.detail}")]


def _written(rows: list[Entry], commands: list[Command]) -> list[Command]:
    """The commands after the transaction with the rows; a halt does not wait for the disk."""
    halts = [command for command in commands if isinstance(command, Halt)]
    others = [command for command in commands if not isinstance(command, Halt)]
    return [*halts, *([Write(tuple(rows))] if rows else []), *others]
