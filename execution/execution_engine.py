"""From a decision to a settled position: risk, intent, order, outcome, fill, official result.

The engine owns the order of things that keeps money safe: the intent is on the disk before an order
is signed, the order's hash before it is sent; whatever may exist at the venue counts as traded and
spent until the venue says otherwise. It runs on one event loop; the ledger runs on its own thread.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from core.nautilus_core.events import (
    Decided,
    Event,
    Filled,
    FillMoved,
    Halted,
    OrderMoved,
    OrderSent,
    OrderSigned,
    Resumed,
)
from errors import Refused
from execution.amounts import taker_fee
from execution.ledger import FillStatus, IntentRow, LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.outcomes import Kind, PostOutcome
from execution.risk_engine import RiskEngine
from execution.trade_states import TradeStates
from execution.venue_answers import fills_of, status_of
from models import RETRIED, Decision, Fill, Frozen, Market, OrderIntent, OrderState, Reason
from singleton import Singleton

REFUSALS_UNTIL_HALT = 3
"""Refused orders in a row after which only a person may go on (spec, table of outcomes)."""

STATES = {
    Kind.MATCHED: OrderState.MATCHED,
    Kind.NO_FILL: OrderState.NO_FILL,
    Kind.REFUSED: OrderState.REFUSED,
    Kind.UNKNOWN: OrderState.UNKNOWN,
}


class OrderRules(Frozen, frozen=True):
    """`retry_pause_ns` is the least time between two orders in one market."""

    max_attempts: int
    retry_pause_ns: int = 1_000_000_000


class Gate(Protocol):
    """What stands between a decision and an order that the engine does not decide itself."""

    def refusal(self) -> str | None:
        """Why no order may be sent at this instant, by the mode; blocks for a fraction of a second."""
        ...

    def halt(self, why: str) -> None:
        """Remember a halt beyond this process; blocking, never raises."""
        ...

    def standing(self) -> str | None:
        """The halt that stands, of this process or an earlier one or by a person; blocking."""
        ...


class ExecutionEngine:
    """Turns decisions into orders and answers into books. One instance a worker.

    Parameters
    ----------
    ledger, reader, thread
        The record, its reading side, and the thread that both are used on.
    risk : RiskEngine
        Asked before each intent.
    gate : Gate
        Asked at each decision, and again at the last moment before an order is sent.
    rules : OrderRules
        Attempts and their pace.
    send : Callable[[OrderIntent], None]
        Submits an order; everything that becomes of it comes back through the journal methods.
    publish : Callable[[Event], None]
        Told what happens, for people and metrics.
    now_ns : Callable[[], int]
        This machine's clock.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        thread: LedgerThread,
        risk: RiskEngine,
        gate: Gate,
        rules: OrderRules,
        send: Callable[[OrderIntent], None],
        publish: Callable[[Event], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._thread = thread
        self._risk = risk
        self._gate = gate
        self._rules = rules
        self._send = send
        self._publish = publish
        self._now_ns = now_ns
        self._markets: dict[str, Market] = {}
        self._intents: dict[str, OrderIntent] = {}
        self._by_order: dict[str, OrderIntent] = {}
        self._trades = TradeStates()
        self._states: dict[str, OrderState] = {}
        self._attempts: dict[str, int] = {}
        self._last_attempt_ns: dict[str, int] = {}
        self._refused_in_a_row = 0
        self._withheld: set[str] = set()
        self._bookings: set[asyncio.Task[None]] = set()
        self._keeping = ThreadPoolExecutor(1, thread_name_prefix="halt")
        self._kept: Future[None] | None = None
        self.halted: str | None = None
        self._stopping = False

    # --- before a decision -----------------------------------------------------------------------

    async def resume(self) -> None:
        """Take up what an earlier process left: orders in flight are unknown until the venue is asked."""
        await self.look_for_halt()
        if self.halted is None:
            self._thread.post(self._ledger.record_resume, "lifted while no bot ran")
        booked = {held.trade.intent_id for held in await self._thread.call(self._reader.positions)}
        for row in await self._thread.call(self._reader.living_intents):
            self._adopt(row)
            if row.state in (OrderState.INTENT, OrderState.SENT):
                await self._abandon(row)
            elif row.state is OrderState.MATCHED and row.intent.intent_id not in booked:
                # The ledger has the venue's word for the match already, and not yet what was bought.
                self._states[row.intent.intent_id] = OrderState.UNKNOWN

    def know(self, market: Market) -> None:
        """Make a market tradable for this engine."""
        self._markets[market.slug] = market
        self._thread.post(self._ledger.record_market, market)

    def may_order(self, slug: str) -> bool:
        """Whether another order in this market is allowed now, as far as its own past goes.

        A halt is not asked about: what it stops is a decision with its evidence, refused by risk.
        """
        if self._stopping or self.holds(slug):
            return False
        pause_over = self._now_ns() - self._last_attempt_ns.get(slug, 0) >= self._rules.retry_pause_ns
        return pause_over and self._attempts.get(slug, 0) < self._rules.max_attempts

    def holds(self, slug: str) -> bool:
        """Whether an order in this market exists or may exist."""
        return any(
            intent.slug == slug and not _dead(self._states[intent.intent_id])
            for intent in self._intents.values()
        )

    @property
    def in_flight(self) -> bool:
        """Whether any order waits for its answer."""
        return any(state in (OrderState.INTENT, OrderState.SENT) for state in self._states.values())

    # --- a decision ------------------------------------------------------------------------------

    async def take(self, decision: Decision) -> bool:
        """Record a decision and act on it. Returns whether the market is finished.

        It is finished unless the refusal is one that the next tick may lift; an order without a
        match is reported through `OrderMoved`, and `may_order` then allows the next one.
        """
        slug = decision.context.market.slug
        decision = await self._screened(decision)
        final = decision.reason not in RETRIED and not decision.buys
        decision_id = await self._thread.call(self._ledger.record_decision, decision)
        self._publish(Decided(decision=decision, final=final, decision_id=decision_id))
        if decision.buys and self.may_order(slug):
            await self._order(decision, decision_id)
        return final

    async def _screened(self, decision: Decision) -> Decision:
        """The decision, or the same evidence with the refusal of the mode or of the risk engine."""
        closed = await asyncio.to_thread(self._gate.refusal)
        if closed is not None:
            return msgspec.structs.replace(decision, reason=Reason.MODE, detail=closed)
        if not decision.buys:
            return decision
        await self.look_for_halt()
        slug = decision.context.market.slug
        why = (
            self.halted
            or self._bought(slug)
            or await self._past_refusal(slug)
            or await self._risk_refusal(decision)
        )
        return decision if why is None else msgspec.structs.replace(decision, reason=Reason.RISK, detail=why)

    def _bought(self, slug: str) -> str | None:
        return "an order in this market exists or may exist" if self.holds(slug) else None

    async def _past_refusal(self, slug: str) -> str | None:
        """What the market's earlier orders say against another one, those of earlier processes included."""
        rows = await self._thread.call(self._reader.attempts, slug)
        self._attempts[slug] = len(rows)
        for row in rows:
            if row.state is OrderState.REFUSED:
                return f"an order in this market was refused: {row.detail}"
        if len(rows) >= self._rules.max_attempts:
            return f"{len(rows)} orders in this market found no match, ORDER_MAX_ATTEMPTS is {len(rows)}"
        return None

    async def _risk_refusal(self, decision: Decision) -> str | None:
        market, price = decision.context.market, decision.ask or Decimal(1)
        stake = decision.params.position_size_usd
        stake += taker_fee(stake / price, price, market.fee_rate)
        return await self._thread.call(self._risk.refusal, self._reader, stake, self._now_ns())

    async def _order(self, decision: Decision, decision_id: int) -> None:
        market, outcome = decision.context.market, decision.outcome
        if outcome is None or decision.ask is None or decision.price_cap is None:
            raise Refused(f"decision {decision_id} buys without side, ask or price cap")
        attempt = self._attempts.get(market.slug, 0) + 1
        intent = OrderIntent(
            intent_id=f"BTC15M-{uuid4().hex[:20]}",
            decision_id=decision_id,
            slug=market.slug,
            condition_id=market.condition_id,
            token_id=market.token(outcome),
            outcome=outcome,
            usd=decision.params.position_size_usd,
            ask=decision.ask,
            price_cap=decision.price_cap,
            attempt=attempt,
            created_ns=self._now_ns(),
        )
        # Reserved before the disk is waited for, so that no second order can slip in between.
        self._intents[intent.intent_id] = intent
        self._states[intent.intent_id] = OrderState.INTENT
        self._attempts[market.slug] = attempt
        self._last_attempt_ns[market.slug] = intent.created_ns
        await self._thread.call(self._ledger.record_intent, intent)
        self._publish(OrderSent(intent=intent))
        self._send(intent)

    # --- what becomes of an order (the journal of patches.market_orders) ---------------------------

    async def order_signed(self, client_order_id: str, order_id: str) -> None:
        """The order's hash is known and nothing has been sent: put it on the disk."""
        intent = self._intents[client_order_id]
        if self._stopping:
            raise Refused("the bot is stopping: no new order")
        closed = await asyncio.to_thread(self._gate.refusal)
        if closed is not None:
            self._withheld.add(client_order_id)
            raise Refused(closed)
        await self._thread.call(self._ledger.record_order_id, client_order_id, order_id)
        self._by_order[order_id] = intent
        self._states[client_order_id] = OrderState.SENT
        self._publish(OrderSigned(intent=intent, order_id=order_id))

    def order_answered(self, client_order_id: str, outcome: PostOutcome) -> None:
        """The venue answered, or did not. A trade that came first says more than any answer."""
        if self._states[client_order_id] is OrderState.SENT:
            self._move(client_order_id, STATES[outcome.kind], outcome.reason)

    def over_without_fill(self, client_order_id: str) -> bool:
        """Whether nothing is or remains bought by an order, whatever it looked like at first."""
        state = self._states.get(client_order_id)
        return state is not None and (_dead(state) or state is OrderState.REVERSED)

    def order_dead(self, order_id: str, reason: str) -> None:
        """An unknown order turns out to have ended without a match."""
        self._move(self._by_order[order_id].intent_id, OrderState.NO_FILL, reason)

    def order_denied(self, client_order_id: str, reason: str) -> None:
        """The order was refused on this side, before anything was sent."""
        if client_order_id in self._withheld:
            # Nothing is wrong with the order: it does not count towards a halt.
            self._move(client_order_id, OrderState.NO_FILL, reason)
        elif client_order_id in self._intents:
            self._move(client_order_id, OrderState.REFUSED, reason)

    def trade(self, trade: Mapping[str, Any]) -> None:
        """One of this account's trades, with its status of now; known trades only move forward."""
        intent = self._by_order.get(str(trade.get("taker_order_id")))
        if intent is None:
            return
        if intent.slug not in self._markets:
            return  # the board has not met this market yet; the trade is asked for again
        status = FillStatus.__members__.get(status_of(trade), FillStatus.MATCHED)
        order_id = str(trade["taker_order_id"])
        fills = fills_of(trade, intent, order_id, self._markets[intent.slug])
        self._trades.hear(order_id, str(trade["id"]), status)
        self._seen(intent, order_id)
        task = asyncio.get_running_loop().create_task(self._book(intent, order_id, fills, status))
        self._bookings.add(task)
        task.add_done_callback(self._booked)

    def _seen(self, intent: OrderIntent, order_id: str) -> None:
        """A trade is proof, also of an order that the venue had called dead."""
        state = self._states[intent.intent_id]
        if state is OrderState.MATCHED or not self._trades.stand(order_id):
            return
        if _dead(state):
            self.halt(f"the venue traded an order in {intent.slug} that had ended as {state}")
        self._move(intent.intent_id, OrderState.MATCHED, "seen on the user stream or among the trades")

    async def _book(self, intent: OrderIntent, order_id: str, fills: list[Fill], status: FillStatus) -> None:
        for fill in fills:
            is_new = await self._thread.call(self._ledger.record_fill, fill, status)
            if is_new and status is not FillStatus.FAILED:
                self._publish(Filled(fill=fill, status=status))
            elif is_new or await self._thread.call(self._ledger.record_fill_status, fill.trade_id, status):
                self._publish(FillMoved(fill=fill, status=status))
        if status is FillStatus.FAILED and not self._trades.stand(order_id):
            self._move(intent.intent_id, OrderState.REVERSED, "the trade failed on the chain")

    def _booked(self, task: asyncio.Task[None]) -> None:
        self._bookings.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.halt(f"a fill could not be booked: {error}")

    async def drain(self) -> None:
        """Wait until every trade heard of so far is in the ledger."""
        await asyncio.gather(*self._bookings, return_exceptions=True)

    def _move(self, intent_id: str, state: OrderState, reason: str) -> None:
        if self._states[intent_id] is state:
            return
        self._states[intent_id] = state
        self._thread.post(self._ledger.record_state, intent_id, state, reason)
        self._publish(OrderMoved(intent=self._intents[intent_id], state=state, reason=reason))
        self._refused_in_a_row = self._refused_in_a_row + 1 if state is OrderState.REFUSED else 0
        if self._refused_in_a_row >= REFUSALS_UNTIL_HALT:
            self.halt(f"{REFUSALS_UNTIL_HALT} orders in a row were refused, the last: {reason}")

    def halt(self, why: str) -> None:
        """No new position until a person acts, also not by a later process."""
        if self.halted is None:
            self.halted = why
            self._kept = self._keeping.submit(self._gate.halt, why)
            self._thread.post(self._ledger.record_halt, why)
            self._publish(Halted(why=why))

    async def look_for_halt(self) -> None:
        """Take up a halt that stands from before or was made by a person, or that a person has lifted."""
        if self._kept is not None:
            await asyncio.wrap_future(self._kept)
        standing = await asyncio.to_thread(self._gate.standing)
        if standing is not None and self.halted is None:
            self.halted = standing
            self._thread.post(self._ledger.record_halt, standing)
            self._publish(Halted(why=standing))
        elif standing is None and self.halted is not None:
            lifted, self.halted = self.halted, None
            self._refused_in_a_row = 0
            self._thread.post(self._ledger.record_resume, lifted)
            self._publish(Resumed(why=lifted))

    # --- stopping and resuming -------------------------------------------------------------------

    def stop(self) -> None:
        """No new order from now on; what is in flight is left as unknown for the next start."""
        self._stopping = True
        for intent_id, state in self._states.items():
            if state is OrderState.SENT:
                self._thread.post(
                    self._ledger.record_state,
                    intent_id,
                    OrderState.UNKNOWN,
                    "the bot stopped before the answer",
                )

    def _adopt(self, row: IntentRow) -> None:
        self._intents[row.intent.intent_id] = row.intent
        self._states[row.intent.intent_id] = row.state
        if row.order_id:
            self._by_order[row.order_id] = row.intent

    async def _abandon(self, row: IntentRow) -> None:
        """An order of a process that is gone: never sent if it has no hash, else unknown."""
        if row.order_id is None:
            self._move(
                row.intent.intent_id, OrderState.NO_FILL, "the bot stopped before the order was signed"
            )
        else:
            self._move(row.intent.intent_id, OrderState.UNKNOWN, "the bot stopped before the answer")

    def unknown(self) -> list[tuple[str, OrderIntent]]:
        """(order hash, intent) of each order that may or may not exist."""
        return self._in_state(OrderState.UNKNOWN)

    def unresolved(self) -> list[tuple[str, OrderIntent]]:
        """What the venue has to be asked about: unknown orders, and bought ones until the chain has said its
        last word on their trades. Of those of an earlier process the fill may not even be booked.
        """
        bought = self._in_state(OrderState.MATCHED)
        return self.unknown() + [row for row in bought if not self._trades.final(row[0])]

    def _in_state(self, state: OrderState) -> list[tuple[str, OrderIntent]]:
        return [
            (order_id, intent)
            for order_id, intent in self._by_order.items()
            if self._states[intent.intent_id] is state
        ]


def _dead(state: OrderState) -> bool:
    return state in (OrderState.NO_FILL, OrderState.REFUSED)


_singleton = Singleton(ExecutionEngine)
get_execution_engine = _singleton.get
reset_execution_engine = _singleton.reset
