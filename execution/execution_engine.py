"""Drives the order lifecycle on asyncio: ledger thread, mode gate, risk engine, Nautilus and the venue.

`execution.order_lifecycle` decides; this module carries out its commands and passes inputs to it. It runs on
one event loop; the ledger has its own thread, and rows reach the disk in the order of the commands.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import msgspec
from loguru import logger

from common.plain_text import one_line
from common.singleton import Singleton
from errors import Fatal, Refused, Temporary
from events import Decided, Event, Halted, OrderTraced, Resumed
from execution.amounts import taker_fee
from execution.ledger import LedgerReader
from execution.ledger.writer import Ledger, encode_evidence
from execution.ledger_thread import LedgerThread
from execution.order_lifecycle import OrderLifecycle, OrderRules, TrackedOrder
from execution.order_lookup import look_up, read_trade
from execution.order_messages import (
    CashCompared,
    CloseUnfilled,
    Command,
    DecisionMade,
    Halt,
    HaltLifted,
    Input,
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
    TradeUnreadable,
    Write,
    WriteFailed,
)
from execution.order_records import DecisionEntry, StoredOrder
from execution.outcomes import PostOutcome
from execution.polymarket_client import PolymarketClient
from execution.risk_engine import RiskEngine
from execution.risk_memory import RiskMemory
from execution.venue_facts.observations import TradesLookedUp
from execution.venue_facts.recorder import Observe, ignore
from models import Decision, Market, OrderIntent, OrderStage, OrderState, OrderTrace

LONGEST_WAIT_S = 60.0
"""Longest sleep of the look-up task; a new due time wakes it earlier."""
CONNECTION_PAUSE_S = 2.0
"""Between the beginnings of two rounds of requests that keep the connections for orders open; the pool closes
them after 5 s."""
PUBLISHED_AFTER_S = 0.02
"""Longest delay of the events of an order that is being sent."""
CHECKING_THREADS = 4
"""Decisions of different markets that are checked at the same time, or encoded if they were refused."""


class Gate(Protocol):
    """Mode and halts: the checks of an order that are made outside of the engine."""

    def refusal(self) -> str | None:
        """Why no order may be sent now, by the mode; None if one may. Blocks for a fraction of a second."""
        ...

    def refusal_before_sending(self) -> str | None:
        """Why no order may be sent now, by mode or halt; None if one may. Blocking, never raises."""
        ...

    def halt(self, why: str) -> None:
        """Store a halt that outlives this process; blocking, never raises."""
        ...

    def standing(self) -> str | None:
        """The current halt, of this or an earlier process or manual; None without one. Blocking."""
        ...


class BegunChecks(NamedTuple):
    """Mode and halt, which are being read.

    Attributes
    ----------
    halted : str or None
        The halt that was known before.
    halt_stored : bool
        Whether no halt was being stored.
    read : Future
        Why the mode allows no order, and the halt that is stored; each may be None.
    """

    halted: str | None
    halt_stored: bool
    read: Future[tuple[str | None, str | None]]


class ExecutionClient(Protocol):
    """The engine's interface to the patched adapter. It ignores orders of earlier processes."""

    def prepare_order(self, client_order_id: str, decision: Decision) -> None:
        """Begin to sign the order of a decision that may follow; returns at once, and nothing is sent."""
        ...

    async def keep_connection(self) -> None:
        """Open the connections that the next orders are sent on, or keep them open; never raises."""
        ...

    def set_total(self, client_order_id: str, shares: Decimal) -> None:
        """Set the number of shares that the order took."""
        ...

    def close_unfilled(self, client_order_id: str) -> None:
        """Close an order that bought nothing, or whose fills failed."""
        ...

    def apply_trades(self, client_order_id: str, trades: Sequence[dict[str, Any]]) -> None:
        """Apply trades of the order from the venue's list, in the format of `/data/trades`."""
        ...


class ExecutionEngine:
    """Turns decisions into orders and the venue's messages into ledger entries. One instance per worker.

    Parameters
    ----------
    ledger, reader, thread
        Writer and reader of the ledger, and the thread that uses both.
    risk : RiskEngine
        Checked before each order.
    gate : Gate
        Checked at each decision, and again immediately before the first byte of an order.
    rules : OrderRules
        Attempts and pauses.
    send : Callable[[OrderIntent], None]
        Submits an order to Nautilus; its outcome is reported through the journal methods.
    publish : Callable[[Event], None]
        Passes events to the observers.
    now_ns : Callable[[], int]
        This machine's clock.
    observe : Observe
        Receives the look-ups of orders, as evidence of the venue's rules.
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
        observe: Observe = ignore,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._thread = thread
        self._gate = gate
        self._send = send
        self._publish = publish
        self._now_ns = now_ns
        self._observe = observe
        self._lifecycle = OrderLifecycle(rules)
        self._risk = RiskMemory(risk, ledger, reader, thread, self._lifecycle.unwritten_costs)
        self._client: ExecutionClient | None = None
        self._markets: dict[str, Market] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_ups_changed = asyncio.Event()
        self._state_changed = asyncio.Event()
        self._send_until_ns: dict[str, int] = {}
        """Time from which the books of an order's decision are too old to send it, by intent id."""
        self._traced: dict[str, tuple[OrderIntent, dict[OrderStage, int]]] = {}
        """When an order reached its steps, nanoseconds of the monotonic clock, by intent id."""
        self._to_post: dict[str, Future[int | None]] = {}
        """The write of the rows of each order that is to be sent, until its last check, by intent id."""
        self._unpublished: list[Command] = []
        # Not the default pool of asyncio, in which look-ups wait for the venue.
        self._checks = ThreadPoolExecutor(CHECKING_THREADS, thread_name_prefix="checks")
        self._halt_thread = ThreadPoolExecutor(1, thread_name_prefix="halt")
        self._halt_stored: Future[None] | None = None
        self.halted: str | None = None
        self._further_halts: dict[str, None] = {}
        """Reasons of this process that came during a halt, in their order."""
        self._on_halt: Callable[[bool], None] = lambda halted: None

    def attach(self, client: ExecutionClient) -> None:
        """Set the adapter that has Nautilus' side of the orders."""
        self._client = client

    def watch_halts(self, on_halt: Callable[[bool], None]) -> None:
        """Name what is called when a halt begins (True) or is lifted (False); any thread, returns at once."""
        self._on_halt = on_halt

    # --- before a decision -----------------------------------------------------------------------

    async def keep_connection(self, order_is_near: Callable[[], bool]) -> None:
        """Keep connections for orders open while an order may follow soon, as long as the process runs."""
        while True:
            client = self._client if order_is_near() else None
            pause = asyncio.sleep(CONNECTION_PAUSE_S)
            await (pause if client is None else asyncio.gather(client.keep_connection(), pause))

    def renew_risk(self) -> None:
        """Read the inputs of the risk limits again, if they changed, before the next decision needs them."""
        if not self._lifecycle.stopping:
            self._risk.renew(self._now_ns())

    async def resume(self) -> None:
        """Restore the orders of an earlier process; those whose outcome is not certain are looked up."""
        await self.check_halt()
        if self.halted is None:
            self._thread.post(self._ledger.record_resume, "lifted while no bot ran")
        stored, cash_agreed_ns = await self._thread.call(self._stored)
        for order in stored:
            self._markets.setdefault(order.market.slug, order.market)
        await self._carry_out(self._lifecycle.restore(stored, self._now_ns(), cash_agreed_ns))
        self.renew_risk()
        self._look_ups_changed.set()

    def _stored(self) -> tuple[list[StoredOrder], int]:
        with self._reader.snapshot():
            return self._reader.stored_orders(), self._reader.cash_agreed_ns()

    def register_market(self, market: Market) -> None:
        """Register a market for orders and store it."""
        self._markets[market.slug] = market
        self._thread.post(self._ledger.record_market, market)

    def market(self, slug: str) -> Market | None:
        """A registered market."""
        return self._markets.get(slug)

    def may_order(self, slug: str) -> bool:
        """Whether the earlier orders in this market allow another one now.

        Halts are not considered: a halted decision is recorded with its evidence, refused by risk.
        """
        return self._lifecycle.may_order(slug, self._now_ns())

    def has_open_order(self, slug: str) -> bool:
        """Whether an order in this market exists or may exist."""
        return self._lifecycle.has_open_order(slug)

    @property
    def in_flight(self) -> bool:
        """Whether any order waits for its answer."""
        return self._lifecycle.in_flight

    @property
    def states(self) -> dict[str, OrderState]:
        """The state of each order of this process and of the restored ones, by intent id."""
        return self._lifecycle.states

    @property
    def order_ids(self) -> list[str]:
        """The hash of each order that was signed."""
        return self._lifecycle.order_ids

    # --- a decision ------------------------------------------------------------------------------

    def begin_checks(self) -> BegunChecks:
        """Begin to read mode and halt for a decision that is being made; returns at once."""
        halt_stored = self._halt_stored is None or self._halt_stored.done()

        def read() -> tuple[str | None, str | None]:
            return self._gate.refusal(), self._gate.standing()

        return BegunChecks(self.halted, halt_stored, self._checks.submit(read))

    async def handle_decision(
        self,
        decision: Decision,
        stages: dict[OrderStage, int] | None = None,
        checks: BegunChecks | None = None,
    ) -> bool:
        """Record a decision and act on it; returns whether the market is finished.

        It is finished unless the next tick may lift the refusal; an order without a match is reported through
        `OrderMoved`, and `may_order` then allows the next one.

        Parameters
        ----------
        decision : Decision
        stages : dict[OrderStage, int], optional
            When its steps were reached so far, nanoseconds of the monotonic clock.
        checks : BegunChecks, optional
            What `begin_checks` returned when the decision began; otherwise they begin now.
        """
        send_until_ns = self._now_ns() + int(decision.params.max_quote_age_s * 1e9)
        series = decision.context.market.series.name.replace("-", "").upper()
        intent_id = f"{series}-{uuid4().hex[:20]}"
        if decision.buys:
            self._prepare(decision, intent_id)
        mode_refusal = await self._check_gate(checks or self.begin_checks(), with_halt=decision.buys)
        halt = risk_refusal = None
        if mode_refusal is None and decision.buys:
            halt = self.halted
            risk_refusal = None if halt else await self._risk_refusal(decision)
        checked_ns = time.monotonic_ns()
        made = DecisionMade(
            decision=decision,
            intent_id=intent_id,
            mode_refusal=mode_refusal,
            halt=halt,
            risk_refusal=risk_refusal,
        )
        commands = self._handle(made)
        for command in commands:
            if isinstance(command, Sign):
                self._send_until_ns[intent_id] = send_until_ns
                if stages is not None:
                    self._traced[intent_id] = (command.intent, {**stages, OrderStage.CHECKED: checked_ns})
        await self._encode_refused(commands)
        await self._carry_out(commands)
        events = [command.event for command in commands if isinstance(command, Publish)]
        return any(isinstance(event, Decided) and event.final for event in events)

    def _prepare(self, decision: Decision, intent_id: str) -> None:
        """Begin what does not depend on the checks, beside them: the signature, and the row's evidence."""
        if self._client is not None and self.halted is None:
            self._client.prepare_order(intent_id, decision)
        self._thread.submit(self._ledger.prepare, decision)

    async def _encode_refused(self, commands: list[Command]) -> None:
        """Encode the evidence of a decision without an order before its write.

        In the ledger's thread the order of another series may wait for that.
        """
        for command in commands:
            for row in command.rows if isinstance(command, Write) else ():
                if isinstance(row, DecisionEntry):
                    encoding = self._checks.submit(encode_evidence, row.decision)
                    evidence = await asyncio.wrap_future(encoding)
                    self._thread.submit(self._ledger.prepare, row.decision, evidence)

    async def _check_gate(self, checks: BegunChecks, *, with_halt: bool) -> str | None:
        """Why no order may be sent now, by the mode; with `with_halt` a halt or its end is applied too."""
        # Usually they ended while the brain decided.
        mode_refusal, standing = (
            checks.read.result() if checks.read.done() else await asyncio.wrap_future(checks.read)
        )
        # A halt that began meanwhile, or whose file is being written, is not lifted.
        if with_halt and checks.halt_stored and self.halted is checks.halted:
            self._apply_halt(standing)
        return mode_refusal

    async def _risk_refusal(self, decision: Decision) -> str | None:
        market, price = decision.context.market, decision.ask or Decimal(1)
        stake = decision.params.position_size_usd
        stake += taker_fee(stake / price, price, market.fee_rate)
        return await self._risk.refusal(stake, self._now_ns(), market.slug)

    # --- outcome of an order (the journal of patches.market_orders) --------------------------------

    async def order_signed(self, client_order_id: str, order_id: str) -> None:
        """Store decision, intent and hash of a signed order.

        The write is queued before this waits for the first time; `refusal_before_sending` waits for it, too.

        Raises
        ------
        Refused, Fatal
            If the order must not be sent: the bot is stopping, or the row cannot be written.
        """
        self._reached(client_order_id, OrderStage.SIGNED)
        commands = self._handle(SignatureReady(client_order_id, order_id))
        is_to_be_sent = any(isinstance(command, Post) for command in commands)
        written, write, rest = self._begin(commands)
        if written is not None and write is not None:
            if is_to_be_sent:
                self._to_post[client_order_id] = written
            decision_id = await self._await_write(written, write)
            self._reached(client_order_id, OrderStage.RECORDED)
            now_ns = self._now_ns()
            self._publish_later([_numbered(command, decision_id, now_ns) for command in rest])
        if not is_to_be_sent:
            raise Refused("the bot is stopping: no new order")

    def refusal_before_sending(self, client_order_id: str) -> str | None:
        """Why a signed order must not be sent now; None if it may. Blocking, called in the sending thread.

        It waits until the order's rows are on the disk; then follow stop, age, halt and mode.
        """
        if (why := self._not_recorded(client_order_id)) is not None:
            return why
        if self._lifecycle.stopping:
            return "the bot is stopping: no new order"
        late_ns = self._now_ns() - self._send_until_ns.pop(client_order_id, self._now_ns())
        if late_ns > 0:
            return f"its decision waited too long, by {late_ns / 1e9:.1f} s: its books are too old"
        return self.halted or self._gate.refusal_before_sending()

    def _not_recorded(self, client_order_id: str) -> str | None:
        """Wait for the rows of an order that is to be sent; why they are not on the disk, otherwise None."""
        written = self._to_post.pop(client_order_id, None)
        if written is None:
            return "no write of it has been begun"
        try:
            written.result()
        except Exception as error:  # noqa: BLE001  whatever it is: without its rows no order is sent
            return f"it is not recorded: {error}"
        self._reached(client_order_id, OrderStage.RECORDED)
        return None

    def order_withheld(self, client_order_id: str, reason: str) -> None:
        """The order was not sent, for the reason of `refusal_before_sending`."""
        self._feed(OrderWithheld(client_order_id, reason))
        self._end_trace(client_order_id)

    def order_answered(
        self, client_order_id: str, outcome: PostOutcome, posted_ns: int | None = None
    ) -> None:
        """The venue answered, or did not.

        `posted_ns` is when the first byte was handed to the socket, on the monotonic clock.
        """
        if posted_ns is not None:
            self._reached(client_order_id, OrderStage.POSTED, posted_ns)
        self._reached(client_order_id, OrderStage.ANSWERED)
        self._feed(PostAnswered(client_order_id, outcome))
        self._end_trace(client_order_id)

    def order_denied(self, client_order_id: str, reason: str) -> None:
        """The order was refused by Nautilus or the adapter, before anything was sent."""
        self._traced.pop(client_order_id, None)
        self._feed(OrderDenied(client_order_id, reason))

    def trade(self, trade: Mapping[str, Any]) -> bool:
        """Process one of this account's trades with its current status; False if it cannot be used.

        A trade that cannot be read, or that is more than the order can still have taken, is looked up in the
        venue's list of trades.
        """
        order_id = str(trade.get("taker_order_id"))
        order = self._lifecycle.order_of(order_id)
        if order is None:
            return True
        try:
            reported = read_trade(trade, order.intent, self._markets[order.intent.slug])
            if order.exceeded_by(reported):
                raise Temporary(
                    f"trade {one_line(reported.trade_id)} of order {order_id} is for {reported.shares}"
                    f" shares, more than the rest of the {order.total} that its answer stated"
                )
        except Temporary as error:
            logger.warning(f"{error}; the trades are looked up instead")
            self._feed(TradeUnreadable(order_id, str(error)))
            return False
        self._feed(reported)
        return True

    def market_settled(self, slug: str) -> None:
        """The official outcome of a market is recorded."""
        self._feed(MarketSettled(slug))
        self.renew_risk()
        self._thread.post_deferred("checkpoint", self._ledger.checkpoint)

    def cash_compared(self, *, agrees: bool) -> None:
        """The venue's cash was compared with the ledger's; if it differs, orders that ended are looked up."""
        self._feed(CashCompared(agrees))

    async def drain(self) -> None:
        """Wait until everything reported so far is in the ledger."""
        while tasks := set(self._tasks):
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks -= tasks
        self._publish_waiting()

    # --- look-ups --------------------------------------------------------------------------------

    async def follow_orders(self, client: PolymarketClient) -> None:
        """Look up every order whose outcome is not final, as long as the process runs.

        Parameters
        ----------
        client : PolymarketClient
            Blocking; called in threads.
        """
        while True:
            self._look_ups_changed.clear()
            asked = [command for command in self._handle(TimeReached()) if isinstance(command, LookUp)]
            await asyncio.gather(*(self._look_up(client, command) for command in asked))
            due_ns = self._lifecycle.next_look_up_ns
            wait_s = LONGEST_WAIT_S if due_ns is None else (due_ns - self._now_ns()) / 1e9
            if not asked:
                await self._wait_for_look_ups(min(LONGEST_WAIT_S, max(0.0, wait_s)))

    async def _wait_for_look_ups(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._look_ups_changed.wait(), seconds)

    async def _look_up(self, client: PolymarketClient, asked: LookUp) -> None:
        order = self._lifecycle.order_of(asked.order_id)
        if order is None:
            return
        try:
            record = await look_up(client, asked, order.intent, self._markets[order.intent.slug])
        except Temporary as error:
            logger.warning(f"order {asked.order_id} is not resolved yet: {error}")
            self._feed(LookUpFailed(asked.order_id))
            return
        self._observe(TradesLookedUp(order.intent.position_id, record.trades))
        # A total among the commands allows the adapter to fill the order from the trades.
        await self._feed(record.found)
        if self._client is not None and record.trades:
            self._client.apply_trades(order.intent.intent_id, record.trades)

    # --- carrying out commands -------------------------------------------------------------------

    def _handle(self, message: Input) -> list[Command]:
        self._state_changed.set()
        return self._lifecycle.handle(message, self._now_ns())

    def _feed(self, message: Input) -> asyncio.Task[None]:
        """Pass an input to the lifecycle; its rows are queued at once, the task ends with the commands."""
        commands = self._handle(message)
        self._look_ups_changed.set()
        return self._spawn(self._finish(*self._begin(commands), report=True))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin(
        self, commands: list[Command]
    ) -> tuple[Future[int | None] | None, Write | None, list[Command]]:
        """Carry out the commands up to the write, and queue the write on the ledger's thread."""
        for number, command in enumerate(commands):
            if isinstance(command, Write):
                if _moves_money(command):
                    self._risk.write_begun()
                return self._thread.submit(self._ledger.write, command.rows), command, commands[number + 1 :]
            self._carry_out_one(command)
        return None, None, []

    async def _finish(
        self,
        written: Future[int | None] | None,
        write: Write | None,
        rest: list[Command],
        *,
        report: bool = False,
    ) -> None:
        """Wait for the write that `_begin` has queued, and carry out the commands after it.

        Raises
        ------
        Fatal, Refused
            If the ledger cannot write the rows. With `report` it goes to the ledger thread's error handler.
        """
        if written is None or write is None:
            return
        try:
            decision_id = await self._await_write(written, write, report=report)
        except (Fatal, Refused):
            if report:
                return
            raise
        now_ns = self._now_ns()
        for command in rest:
            self._carry_out_one(_numbered(command, decision_id, now_ns))
        self.renew_risk()

    async def _await_write(
        self, written: Future[int | None], write: Write, *, report: bool = False
    ) -> int | None:
        """Wait for a write that `_begin` has queued; returns the id of its decision, if any.

        Raises
        ------
        Fatal, Refused
            If the ledger cannot write the rows.
        """
        try:
            return await asyncio.wrap_future(written)
        except (Fatal, Refused) as error:
            if report:
                self._thread.report(error)
            await self._carry_out(self._handle(WriteFailed(write.rows, str(error))))
            self._look_ups_changed.set()
            raise
        finally:
            if _moves_money(write):
                self._risk.write_ended()

    async def _carry_out(self, commands: list[Command]) -> None:
        """Carry out commands and wait for their write.

        Raises
        ------
        Fatal, Refused
            If the ledger cannot write the rows; the commands after the write are not carried out.
        """
        await self._finish(*self._begin(commands))

    def _carry_out_one(self, command: Command) -> None:
        match command:
            case Publish(event=event):
                self._publish_now(event)
            case Halt(why=why):
                self.halt(why)
            case Sign(intent=intent):
                self._submit(intent)
            case SetTotal(intent_id=intent_id, shares=shares) if self._client is not None:
                self._client.set_total(intent_id, shares)
            case CloseUnfilled(intent_id=intent_id) if self._client is not None:
                self._client.close_unfilled(intent_id)
            case _:
                pass  # `Post` is the adapter's next step, `LookUp` is carried out by `follow_orders`

    def _submit(self, intent: OrderIntent) -> None:
        try:
            self._send(intent)
        except Refused as error:
            self.order_denied(intent.intent_id, str(error))

    # --- events of an order, and its trace --------------------------------------------------------

    def _publish_now(self, event: Event) -> None:
        self._publish_waiting()
        self._publish(event)

    def _publish_later(self, commands: list[Command]) -> None:
        """Publish once the order is on its way: the observers may take longer than the order.

        They are published before every later event.
        """
        self._unpublished += commands
        asyncio.get_running_loop().call_later(PUBLISHED_AFTER_S, self._publish_waiting)

    def _publish_waiting(self) -> None:
        waiting, self._unpublished = self._unpublished, []
        for command in waiting:
            self._carry_out_one(command)

    def _reached(self, client_order_id: str, stage: OrderStage, at_ns: int | None = None) -> None:
        """Note the time of a step, once; also called in the sending thread."""
        if (traced := self._traced.get(client_order_id)) is not None:
            traced[1].setdefault(stage, time.monotonic_ns() if at_ns is None else at_ns)

    def _end_trace(self, client_order_id: str) -> None:
        """Store the trace of an order that was answered or withheld, behind the rows of its outcome."""
        intent, reached = self._traced.pop(client_order_id, (None, {}))
        if intent is None or OrderStage.QUOTE not in reached:
            return
        begun_ns = reached[OrderStage.QUOTE]
        stages = {stage: reached[stage] - begun_ns for stage in OrderStage if stage in reached}
        trace = OrderTrace(
            intent_id=intent.intent_id, slug=intent.slug, created_ns=intent.created_ns, stages=stages
        )
        self._spawn(self._record_trace(trace))

    async def _record_trace(self, trace: OrderTrace) -> None:
        try:
            await self._thread.call(self._ledger.record_trace, trace.intent_id, trace.stages)
        except Exception as error:  # noqa: BLE001  whatever is wrong with it, it is no part of the order
            logger.warning(f"the times of order {trace.intent_id} are not recorded: {one_line(repr(error))}")
        else:
            self._publish_now(OrderTraced(trace=trace))

    # --- halts -----------------------------------------------------------------------------------

    def halt(self, why: str) -> None:
        """Open no new position, in this and later processes, until the halt is lifted manually.

        During a halt with another reason it begins when that one is lifted: who lifts a halt knows its reason
        only.
        """
        if self.halted is None:
            self._halt_stored = self._halt_thread.submit(self._gate.halt, why)
            self._begin_halt(why)
        elif why not in self.halted and why not in self._further_halts:
            self._further_halts[why] = None
            logger.warning(f"trading is halted already; it is halted again when that is lifted: {why}")
            self._publish_now(Halted(why=why))

    async def check_halt(self) -> None:
        """Apply a halt of an earlier process or a manual one, or the lifting of a halt."""
        if self._halt_stored is not None:
            await asyncio.wrap_future(self._halt_stored)
        known = self.halted
        standing = await asyncio.to_thread(self._gate.standing)
        if self.halted is known:
            self._apply_halt(standing)

    def _apply_halt(self, standing: str | None) -> None:
        """Apply what was read: a halt that is not known here, or the end of one."""
        if standing is not None and self.halted is None:
            self._begin_halt(standing)
        elif standing is None and self.halted is not None:
            lifted, self.halted = self.halted, None
            self._feed(HaltLifted())
            self._on_halt(False)
            self._thread.post(self._ledger.record_resume, lifted, self._now_ns())
            self._publish_now(Resumed(why=lifted))
            if self._further_halts:
                further, self._further_halts = "; ".join(self._further_halts), {}
                self.halt(further)

    def _begin_halt(self, why: str) -> None:
        self.halted = why
        self._on_halt(True)
        self._thread.post(self._ledger.record_halt, why, self._now_ns())
        self._publish_now(Halted(why=why))

    # --- stopping --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Send no new order from now on; orders in flight are left as unknown for the next start."""
        self._publish_waiting()
        self._feed(StopRequested())

    def unknown(self) -> list[tuple[str, OrderIntent]]:
        """(order hash, intent) of each order that may exist, or whose fills an earlier process missed."""
        return [_named(o) for o in self._lifecycle.uncertain if o.total is None and not o.trades]

    @property
    def cash_is_certain(self) -> bool:
        """Whether no order can have moved money that the ledger does not have."""
        orders = self._lifecycle
        return not (orders.in_flight or orders.uncertain or orders.incomplete)

    def observe_orders(self) -> Callable[[], bool]:
        """Return a function: whether no order can have moved the cash since this call."""
        signed, certain = len(self.order_ids), self.cash_is_certain
        return lambda: certain and self.cash_is_certain and len(self.order_ids) == signed

    async def await_certain_cash(self, limit_s: float) -> bool:
        """Wait until no order is uncertain, for a limited time, as after a start; returns whether none is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not self.cash_is_certain:
                    self._state_changed.clear()
                    await self._state_changed.wait()
        return self.cash_is_certain

    def unresolved(self) -> list[tuple[str, OrderIntent]]:
        """(order hash, intent) of each order that is still looked up at the venue."""
        return [_named(order) for order in self._lifecycle.unresolved]


def _moves_money(write: Write) -> bool:
    """Whether rows may change the inputs of the risk limits."""
    return not all(isinstance(row, DecisionEntry) for row in write.rows)


def _numbered(command: Command, decision_id: int | None, now_ns: int) -> Command:
    """The command; the event of a decision gets its row id and the time at which it was recorded."""
    if decision_id is None or not isinstance(command, Publish) or not isinstance(command.event, Decided):
        return command
    return Publish(msgspec.structs.replace(command.event, decision_id=decision_id, recorded_ns=now_ns))


def _named(order: TrackedOrder) -> tuple[str, OrderIntent]:
    return order.order_id or "", order.intent


_singleton = Singleton(ExecutionEngine)
get_execution_engine = _singleton.get
reset_execution_engine = _singleton.reset
