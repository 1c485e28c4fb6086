"""A real node with the patched adapter and a practice venue with fixed books, for one order at a time.

The engine and its ledger are new for each order, so that a market can be bought again; node, account and
venue stay. All parts of a running bot between a decision and the venue are the real ones.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest
from eth_account import Account
from ledger_builders import decision as any_decision
from ledger_builders import open_with_reader
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import Venue as NautilusVenue
from process import VenueProcess
from venue_builders import Trader, trader_at

from bot import DecisionSchedule, IntegratedBTCStrategy
from control.halt_file import HALT_FILE, HaltFile
from control.mode_gate import ModeController
from core.nautilus_core.data_engine.node import NodePlan, Wallet, build_node
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.market_board import MarketBoard
from core.nautilus_core.instruments.market_clock import MarketClock
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import Venue
from execution.ledger_thread import LedgerThread
from execution.polymarket_client import PolymarketClient
from execution.risk_engine import RiskEngine, RiskLimits
from models import Decision, Market, OrderIntent, OrderState, Outcome
from patches.client_factories import client_factories
from runtime.worker.order_gate import OrderGate

SEED_57 = ("--source", "synthetic", "--seed", "57", "--hold-clock")
WORLD = (*SEED_57, "--speed", "0.01", "--start-at", "700", "--first", "2")
"""A generated market on a held clock: Down is the favourite, offered at 0.63, 0.64, 0.65 and 0.66."""
SIDE = Outcome.DOWN
NAUTILUS_VENUE = NautilusVenue("POLYMARKET")
FAR_AWAY = Decimal(1_000_000)
LIMITS = RiskLimits(
    max_position_size=Decimal(1_000),
    max_total_exposure=Decimal(10_000),
    max_positions=1_000,
    max_loss_per_day=Decimal(10_000),
    max_drawdown_pct=Decimal(1),
)


class Sender(IntegratedBTCStrategy):
    """The bot's strategy with its own way to send, without its own decisions."""

    def on_start(self) -> None:
        for instrument in self.cache.instruments():
            self._ports.board.add(instrument)
        self.msgbus.subscribe("data.instrument.POLYMARKET.*", self.on_instrument)
        self._subscribe_ahead()
        self._ports.ready.set()

    def on_stop(self) -> None:
        """Do nothing: there is no worker to stop."""


class Attempt:
    """One decision's order: its engine, its ledger, and the account's state before it."""

    def __init__(self, rig: "Rig", folder: Path, attempts: int = 5) -> None:
        self.rig = rig
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.path = folder / "ledger.sqlite"
        self.events: list[Any] = []
        self.thread = LedgerThread(self.events.append)
        self.attempts = attempts
        self.give_up_after_ns = 600 * 10**9
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Attempt":
        assert self.rig.node.is_running(), self.rig.node_state()
        self.cash = await asyncio.to_thread(self.rig.client.balance)
        self.known_trades = {trade["id"] for trade in self.rig.account()["trades"]}

        run = {"venue": Venue.SYNTHETIC, "cash": self.cash, "session": "rig"}
        clocks = {"clock_speed": 1.0, "clock_ns": time.time_ns}
        self.ledger, self.reader = await self.thread.call(
            lambda: open_with_reader(self.path, **run, **clocks)
        )
        gate = OrderGate(
            ModeController(None, False, False, self.folder / "mode.json"),
            HaltFile(self.folder / HALT_FILE),
            False,
        )
        self.engine = ExecutionEngine(
            self.ledger,
            self.reader,
            self.thread,
            RiskEngine(LIMITS),
            gate,
            OrderRules(max_attempts=self.attempts, retry_pause_ns=0, give_up_after_ns=self.give_up_after_ns),
            self.rig.send,
            self.events.append,
            time.time_ns,
        )
        self.rig.engine = self.engine
        self.engine.attach(self.rig.execution_client)
        self.engine.register_market(self.rig.market)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.engine.drain()
        self.rig.engine = None
        self.thread.post(self.reader.close)
        self.thread.post(self.ledger.close)
        self.thread.close()

    def follow_orders(self) -> None:
        """Look up orders without a final state, as a worker does from its start on."""
        self._tasks.append(asyncio.get_running_loop().create_task(self.engine.follow_orders(self.rig.client)))

    async def decide(self, ask: Decimal, cap: Decimal, usd: str = "1.00") -> None:
        """Buy the favourite for this amount, having seen this ask, at this price or better."""
        await self.engine.handle_decision(self.rig.decision(ask, cap, usd))

    async def until(self, condition: Callable[[], bool], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.states, self.reasons, self.rig.node_state())
            await asyncio.sleep(0.005)

    @property
    def reasons(self) -> list[str]:
        """The reasons published for the orders."""
        return [str(event.reason) for event in self.events if hasattr(event, "reason")]

    @property
    def states(self) -> list[OrderState]:
        """The state of each order of this attempt in the engine."""
        return list(self.engine.states.values())

    async def written(self) -> list[OrderState]:
        """Their states in the ledger, once all pending rows are written."""
        await self.engine.drain()
        rows = await self.thread.call(self.reader.attempts, self.rig.market.slug)
        return [row.state for row in rows]

    def traded(self) -> list[dict[str, str]]:
        """The venue's trades since, without failed ones."""
        trades = self.rig.account()["trades"]
        return [t for t in trades if t["id"] not in self.known_trades and t["status"] != "FAILED"]

    async def balanced(self) -> None:
        """Compare the ledger with the venue: the same shares and fees, and the same cash to a millionth."""
        await self.engine.drain()
        trades = await self.thread.call(self.reader.trades)
        traded_shares = self.traded()
        shares = sum((trade.shares for trade in trades), Decimal(0))
        assert shares == sum((Decimal(trade["shares"]) for trade in traded_shares), Decimal(0))
        fees = sum((trade.fee for trade in trades), Decimal(0))
        assert fees == sum((Decimal(trade["fee"]) for trade in traded_shares), Decimal(0))
        flow = await self.thread.call(self.reader.cash_flow)
        venue_cash = await asyncio.to_thread(self.rig.client.balance)
        assert abs(flow.cash - venue_cash) <= Decimal("0.000001")

    def closed(self) -> bool:
        """Whether Nautilus has no order of this attempt open or waiting, and its fills are the venue's."""
        orders = [self.rig.strategy.cache.order(ClientOrderId(intent_id)) for intent_id in self.engine.states]
        filled = sum((order.filled_qty.as_decimal() for order in orders), Decimal(0))
        traded_shares = sum((Decimal(trade["shares"]) for trade in self.traded()), Decimal(0))
        return all(order.is_closed for order in orders) and filled == traded_shares


class Rig:
    """The node, the account and the venue. As an async context manager, on one event loop."""

    order_client = "py-clob-client-v2"
    """The library that signs and sends the orders."""

    def __init__(self, folder: Path, world: tuple[str, ...] = WORLD) -> None:
        self.folder = folder
        self.key = Account.create().key.hex()  # a test key: made for this run, never holds money
        self.venue = VenueProcess.start(*world)
        self.clock = msgspec.convert(self.venue.ready["clock"], MarketClock)
        self.ready = asyncio.Event()
        self.board = MarketBoard(
            SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900),
            lambda market: None,
            lambda slug, why: None,
        )
        self.schedule = DecisionSchedule()
        self.engine: ExecutionEngine | None = None
        self.client = PolymarketClient(self.venue.url, self.key)
        self.creds = self.client.credentials()
        self.strategy = Sender(self)  # pyright: ignore[reportArgumentType]
        self.stranger: Trader = trader_at(self.venue.url)
        self.venue.set_account(self.stranger.address, balance="1000000")

    async def __aenter__(self) -> "Rig":
        url = self.venue.url
        urls = VenueUrls(clob=url, gamma=f"{url}/gamma", data_api=f"{url}/data-api", ws=self.venue.ws_url)
        self.plan = NodePlan(
            trader_id="RIG-001",
            market_urls=urls,
            urls=urls,
            wallet=Wallet(
                private_key=self.key,
                api_key=self.creds.api_key,
                api_secret=self.creds.api_secret,
                passphrase=self.creds.api_passphrase,
                funder=self.client.address,
            ),
            max_order_usd=Decimal(1),
            refresh_pause=lambda: max(1.0, 300 / self.clock.speed),
            connect_delay_seconds=0.05,
            data_qsize=1000,
            exec_qsize=1000,
            log_level="WARNING",
            log_dir=self.folder,
            order_rate="1000/00:00:01",
            account_seconds=0.5,
            order_client=self.order_client,
        )
        self.node = self.build()
        self._running = asyncio.get_running_loop().create_task(self.node.run_async())
        await asyncio.wait_for(self.ready.wait(), 20)
        tracked = self.board.running(self.venue.clock.market_s())
        assert tracked is not None
        self.market: Market = tracked.market
        for instrument_id in tracked.ids.values():
            self.node.kernel.risk_engine.set_max_notional_per_order(instrument_id, FAR_AWAY)
        return self

    def build(self) -> TradingNode:
        return build_node(self.plan, self.strategy, [], *self.factories())

    def factories(self) -> tuple[Any, Any]:
        return client_factories(self.plan, self, self.slugs, self.board, lambda stream: None)

    @asynccontextmanager
    async def second_node(self) -> AsyncIterator[TradingNode]:
        """Another node of the same account, like a new process."""
        self.ready = asyncio.Event()
        again = Sender(self)  # pyright: ignore[reportArgumentType]
        node = build_node(self.plan, again, [], *self.factories())
        running = asyncio.get_running_loop().create_task(node.run_async())
        await asyncio.wait_for(self.ready.wait(), 20)
        try:
            yield node
        finally:
            await node.stop_async()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def slugs(self) -> list[str]:
        return self.board.calendar.upcoming(self.venue.clock.market_s())

    async def __aexit__(self, *_: object) -> None:
        await self.node.stop_async()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        # Not disposed of: that would stop the event loop, which is the test's.
        self.venue.stop()

    def attempt(self, folder: Path) -> Attempt:
        """One decision's order; its ledger is in the folder, which is created."""
        return Attempt(self, folder)

    def send(self, intent: OrderIntent) -> None:
        self.strategy.send(intent)

    def decision(self, ask: Decimal, cap: Decimal, usd: str) -> Decision:
        made = any_decision(outcome=SIDE)
        return msgspec.structs.replace(
            made,
            context=msgspec.structs.replace(made.context, market=self.market),
            params=msgspec.structs.replace(made.params, position_size_usd=Decimal(usd)),
            ask=ask,
            price_cap=cap,
        )

    def asks(self) -> list[tuple[Decimal, Decimal]]:
        """The offers of the favourite, best first: price, shares."""
        book = self.venue.get("/book", token_id=self.market.token(SIDE))
        return sorted((Decimal(level["price"]), Decimal(level["size"])) for level in book["asks"])

    def account(self) -> dict[str, Any]:
        return self.venue.account(self.client.address)

    def nautilus_balance(self) -> Decimal:
        """Free pUSD according to the node."""
        return self.strategy.portfolio.account(NAUTILUS_VENUE).balance_free(pUSD).as_decimal()

    def orders_posted(self) -> int:
        """Number of requests to POST /order, from all clients."""
        log = self.venue.get("/practice/log")
        return sum(entry["method"] == "POST" and entry["path"] == "/order" for entry in log)

    def leave_less_than_a_share(self) -> Decimal:
        """Let another trader buy every whole share of the best level; returns what is left of it."""
        price, size = self.asks()[0]
        order = self.stranger.limit(self.market.token(SIDE), "BUY", int(size), int(price * 1000), kind="FAK")
        answer = self.stranger.post(self.venue.url, order)
        assert answer.json().get("success") is True, answer.text
        assert self.asks()[0] == (price, size - int(size))
        return size - int(size)

    # --- the journal, and calls of the strategy --------------------------------------------------

    async def order_signed(self, client_order_id: str, order_id: str) -> None:
        await self._now.order_signed(client_order_id, order_id)

    def order_answered(self, client_order_id: str, outcome: Any, posted_ns: int | None = None) -> None:
        self._now.order_answered(client_order_id, outcome, posted_ns)

    def trade(self, trade: dict[str, Any]) -> bool:
        # Between two attempts the chain confirms trades that no test waits for.
        return True if self.engine is None else self.engine.trade(trade)

    def attach(self, client: Any) -> None:
        self.execution_client = client

    def refusal_before_sending(self, client_order_id: str) -> str | None:
        return self._now.refusal_before_sending(client_order_id)

    def order_withheld(self, client_order_id: str, reason: str) -> None:
        self._now.order_withheld(client_order_id, reason)

    @property
    def execution(self) -> ExecutionEngine | None:
        """The engine that the strategy reports denied orders to."""
        return self.engine

    @property
    def _now(self) -> ExecutionEngine:
        assert self.engine is not None
        return self.engine

    def limit_notional(self, instrument_id: Any, usd: Decimal | None) -> None:
        """Do nothing: no order here is limited."""

    async def stop_account_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the client read its account no more during a test; returns when the last read has ended."""
        client, began = self.execution_client, asyncio.Event()
        monkeypatch.setattr(client, "_update_account_state", AsyncMock(side_effect=began.set))
        await began.wait()  # by the periodic task, whose former read has ended then
        await asyncio.gather(*(task for task in client._tasks if task.get_name() == "_update_account_state"))

    def node_state(self) -> str:
        """Whether the node runs, and the last lines of its log: a node that stopped handles no order."""
        kernel = self.node.kernel
        engines = (kernel.data_engine, kernel.risk_engine, kernel.exec_engine)
        running = ", ".join(f"{engine.id} {engine.state.name}" for engine in engines)
        lines = [line for log in sorted(self.folder.glob("*.log")) for line in log.read_text().splitlines()]
        return "\n".join([running, *lines[-20:]])

    def trading_halted(self) -> bool:
        """Whether Nautilus' risk engine denies every new order."""
        return self.node.kernel.risk_engine.trading_state == TradingState.HALTED
