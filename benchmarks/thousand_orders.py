"""Sends a thousand seeded orders on moving books through the patched adapter and through the stock adapter.

    python benchmarks/thousand_orders.py [--orders 1000] [--seed 7] [--skip-stock]

Each decision saw a book that may have moved since: limits too low or exactly right, tight or generous limits,
levels that another trader has just consumed, one-sided books late in the market, the 0.001 tick above 0.96.
The venue, its books and its answers are the practice venue's; the two adapters' handling of them is compared.

Exit code 1 if the patched adapter broke a guarantee: no stuck order, no trade above the order's limit or the
price ceiling, and no difference in shares or in millionths of a dollar between venue and ledger.
"""

import argparse
import asyncio
import logging
import multiprocessing
import os
import queue
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / folder) for folder in ("tests", "tests/patches", "tests/venue"))]

import msgspec
from ledger_builders import decision as any_decision
from nautilus_trader.adapters.polymarket.common.credentials import PolymarketWebSocketAuth
from nautilus_trader.adapters.polymarket.execution import PolymarketExecutionClient
from nautilus_trader.adapters.polymarket.factories import PolymarketLiveExecClientFactory
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import ClientOrderId
from py_clob_client_v2.client import ClobClient
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rig import LIMITS, Rig

from benchmarks.results import Measurement, at_most
from control.halt_file import HALT_FILE, HaltFile
from control.mode_gate import ModeController
from core.nautilus_core.data_engine import node as node_module
from core.nautilus_core.instruments.market_board import TrackedMarket
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import LedgerReader, Mode, Venue
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.risk_engine import RiskEngine
from models import Decision, Frozen, Market, OrderIntent, OrderState, Outcome
from runtime.worker.order_gate import OrderGate

WORLD = ("--source", "synthetic", "--speed", "6", "--start-at", "300", "--redeem", "manual", "--seed")
CEILING = Decimal("1.00")
AT_ONCE = 4
"""Orders in flight at the same time, each in a book of its own."""
STUCK_AFTER_S = 20.0
FIRST_SECOND, LAST_SECOND = 30, 880
BENCH_ORDERS = 150
FILLED, NO_FILL, REFUSED = "filled", "no fill", "refused before it was sent"


class PlannedOrder(Frozen, frozen=True):
    """What a decision wants; the ask that it saw may be gone when the order arrives."""

    market: Market
    outcome: Outcome
    ask: Decimal
    cap: Decimal


class BenchmarkCounts:
    """Outcomes of the orders, counted from the venue's records and from the bot's."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.stuck = 0
        self.lost_shares = Decimal(0)
        self.above_cap = 0
        self.above_ceiling = 0
        self.sent = 0
        self.difference = Decimal(0)
        self.slowest_s = 0.0


class OrderBenchmark(Rig):
    """Sends planned orders to a venue whose books move."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, (*WORLD, str(seed)))
        self.random = random.Random(seed)
        self.start_cash = Decimal(0)

    async def plan_order(self) -> PlannedOrder:
        """The next decision: a side of the running market, an ask as it was seen, a limit above it."""
        while True:
            tracked = self.board.running(self.venue.clock.market_s())
            second = 0 if tracked is None else tracked.market.second(self.venue.clock.market_s())
            if tracked is None or not FIRST_SECOND <= second < LAST_SECOND:
                await asyncio.sleep(0.05)
                continue
            side = self.random.choice(list(Outcome))
            book = await asyncio.to_thread(self.venue.get, "/book", token_id=tracked.market.token(side))
            tick = self._tick(tracked, side)
            ask = min((Decimal(level["price"]) for level in book["asks"]), default=Decimal("0.95"))
            seen = self._on_grid(ask + self.random.choice((-3, -1, 0, 0, 0, 0, 1, 2)) * tick, tick)
            cap = self._on_grid(seen + self.random.choice((0, 0, 1, 2, 5)) * tick, tick)
            if self.random.random() < 0.1 and book["asks"]:
                await asyncio.to_thread(self._thin_out, tracked.market.token(side), ask, book["asks"])
            return PlannedOrder(tracked.market, side, seen, max(seen, cap))

    def _tick(self, tracked: TrackedMarket, side: Outcome) -> Decimal:
        return self.strategy.cache.instrument(tracked.ids[side]).price_increment.as_decimal()

    @staticmethod
    def _on_grid(price: Decimal, tick: Decimal) -> Decimal:
        return min(max(tick, (price / tick).to_integral_value() * tick), 1 - tick)

    def _thin_out(self, token: str, price: Decimal, asks: list[dict[str, str]]) -> None:
        size = next(Decimal(level["size"]) for level in asks if Decimal(level["price"]) == price)
        if size >= 1:
            order = self.stranger.limit(token, "BUY", int(size), int(price * 1000), kind="FAK")
            self.stranger.post(self.venue.url, order)  # refused off the cent grid; the level then stays

    def venue_side(self) -> tuple[Decimal, dict[str, list[dict[str, str]]]]:
        """pUSD spent so far, and the trades by order."""
        account = self.account()
        by_order: dict[str, list[dict[str, str]]] = {}
        for trade in account["trades"]:
            by_order.setdefault(trade["order_id"], []).append(trade)
        return self.start_cash - Decimal(account["balance"]), by_order

    async def send_orders(self, orders: int, tally: BenchmarkCounts, tick: Callable[[], None]) -> None:
        """Send this number of orders, a few at a time, and wait for the last one."""
        self.start_cash = Decimal(self.account()["balance"])
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, planned: PlannedOrder) -> None:
            try:
                await self.submit(number, planned, tally)
            finally:
                tick()
                slots.release()

        tasks = []
        for number in range(orders):
            await slots.acquire()
            tasks.append(asyncio.create_task(one(number, await self.plan_order())))
        await asyncio.gather(*tasks)
        await self.settle(tally)

    async def submit(self, number: int, planned: PlannedOrder, tally: BenchmarkCounts) -> None:
        raise NotImplementedError

    async def settle(self, tally: BenchmarkCounts) -> None:
        raise NotImplementedError

    def check_limits(self, trades: list[dict[str, str]], cap: Decimal, tally: BenchmarkCounts) -> None:
        """Check one order's trades against its limit and the price ceiling."""
        tally.above_cap += any(Decimal(trade["price"]) > cap for trade in trades)
        tally.above_ceiling += sum(Decimal(trade["usd"]) for trade in trades) > CEILING


class PatchedAdapterRun(OrderBenchmark):
    """Orders through the bot's engine, ledger and adapter; each order in a session of its own."""

    async def __aenter__(self) -> "PatchedAdapterRun":
        await super().__aenter__()
        self.engines: dict[str, ExecutionEngine] = {}
        self.caps: dict[str, Decimal] = {}
        self.thread = LedgerThread(self.failed)
        path = self.folder / "ledger.sqlite"
        self.ledger = await self.thread.call(Ledger, path)
        await self.thread.call(self._open_run)
        self.reader = await self.thread.call(LedgerReader, path)
        return self

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__(*_)
        for closing in (self.reader.close, self.ledger.close):
            self.thread.post(closing)
        self.thread.close()

    def failed(self, error: BaseException) -> None:
        raise error

    def _open_run(self) -> None:
        self.ledger.open_run(
            mode=Mode.SIMULATION,
            venue=Venue.SYNTHETIC,
            clock_speed=6.0,
            starting_cash=Decimal(self.account()["balance"]),
            session="thousand",
        )

    async def submit(self, number: int, planned: PlannedOrder, tally: BenchmarkCounts) -> None:
        gate = OrderGate(
            ModeController(None, False, False, self.folder / "mode.json"),
            HaltFile(self.folder / HALT_FILE),
            False,
        )
        events: list[Any] = []
        engine = ExecutionEngine(
            self.ledger,
            self.reader,
            self.thread,
            RiskEngine(LIMITS),
            gate,
            OrderRules(max_attempts=1, retry_pause_ns=0),
            self._sender(lambda: engine),
            events.append,
            time.time_ns,
        )
        # A market of its own for each order: the ledger accepts one purchase per market.
        own = msgspec.structs.replace(planned.market, slug=f"{planned.market.slug}-{number}")
        self._real = planned.market
        engine.attach(self.execution_client)
        engine.register_market(own)
        began = time.monotonic()
        await engine.handle_decision(_decision(own, planned))
        looking = asyncio.create_task(engine.follow_orders(self.client))
        await _poll(lambda: self._over(engine), STUCK_AFTER_S)
        looking.cancel()
        tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)
        await engine.drain()
        (state,) = engine.states.values()
        tally.stuck += not self._over(engine)
        tally.sent += state is not OrderState.REFUSED
        names = {OrderState.MATCHED: FILLED, OrderState.NO_FILL: NO_FILL, OrderState.REFUSED: REFUSED}
        tally.ends[names.get(state, state.value)] += 1
        for order_id in engine.order_ids:
            self.caps[order_id] = planned.cap

    def _sender(self, engine: Callable[[], ExecutionEngine]) -> Callable[[OrderIntent], None]:
        def send(intent: OrderIntent) -> None:
            self.engines[intent.intent_id] = engine()
            slug = intent.slug.rpartition("-")[0]
            self.strategy.send(msgspec.structs.replace(intent, slug=slug))

        return send

    def _over(self, engine: ExecutionEngine) -> bool:
        orders = [self.strategy.cache.order(ClientOrderId(intent_id)) for intent_id in engine.states]
        return all(state.final for state in engine.states.values()) and all(o and o.is_closed for o in orders)

    async def order_signed(self, client_order_id: str, order_id: str) -> None:
        await self.engines[client_order_id].order_signed(client_order_id, order_id)

    def order_answered(self, client_order_id: str, outcome: Any, posted_ns: int | None = None) -> None:
        self.engines[client_order_id].order_answered(client_order_id, outcome, posted_ns)

    def order_denied(self, client_order_id: str, reason: str) -> None:
        self.engines[client_order_id].order_denied(client_order_id, reason)

    def refusal_before_sending(self, client_order_id: str) -> str | None:
        return None

    def order_withheld(self, client_order_id: str, reason: str) -> None:
        self.engines[client_order_id].order_withheld(client_order_id, reason)

    def attach(self, client: Any) -> None:
        self.execution_client = client

    def trade(self, trade: dict[str, Any]) -> bool:
        found = [e for e in self.engines.values() if trade.get("taker_order_id") in e.order_ids]
        return all(engine.trade(trade) for engine in found)

    async def settle(self, tally: BenchmarkCounts) -> None:
        spent, by_order = await asyncio.to_thread(self.venue_side)
        for order_id, trades in by_order.items():
            self.check_limits(trades, self.caps[order_id], tally)
        for engine in self.engines.values():
            await engine.drain()
        booked = await self.thread.call(self.reader.trades)
        got = sum((Decimal(trade["shares"]) for trades in by_order.values() for trade in trades), Decimal(0))
        tally.lost_shares = got - sum((trade.shares for trade in booked), Decimal(0))
        tally.difference = spent - sum((trade.cost + trade.fee for trade in booked), Decimal(0))


class StockAdapterRun(OrderBenchmark):
    """The same orders through the unpatched adapter with the unpatched official client."""

    data_provider: Any = None
    """The instrument provider, shared with the data client as in the stock factories."""

    def build(self) -> TradingNode:
        client = ClobClient(
            self.venue.url,
            chain_id=137,
            signature_type=0,
            creds=self.creds,
            key=self.key,
            funder=self.client.address,
        )
        rig = self

        class Factory(PolymarketLiveExecClientFactory):
            @staticmethod
            def create(loop: Any, name: Any, config: Any, msgbus: Any, cache: Any, clock: Any) -> Any:
                return PolymarketExecutionClient(
                    loop=loop,
                    http_client=client,
                    msgbus=msgbus,
                    cache=cache,
                    clock=clock,
                    instrument_provider=rig.data_provider,
                    config=config,
                    ws_auth=PolymarketWebSocketAuth(
                        apiKey=rig.creds.api_key,
                        secret=rig.creds.api_secret,
                        passphrase=rig.creds.api_passphrase,
                    ),
                    name=name,
                )

        patched_data, _ = self.factories()

        class Data(patched_data):
            @staticmethod
            def create(loop: Any, name: Any, config: Any, msgbus: Any, cache: Any, clock: Any) -> Any:
                made = patched_data.create(loop, name, config, msgbus, cache, clock)
                rig.data_provider = made._instrument_provider
                return made

        config = msgspec.structs.replace(
            node_module.node_config(self.plan), exec_engine=LiveExecEngineConfig(reconciliation=False)
        )
        node = TradingNode(config=config)
        node.trader.add_strategy(self.strategy)
        node.add_data_client_factory(node_module.VENUE, Data)
        node.add_exec_client_factory(node_module.VENUE, Factory)
        node.build()
        return node

    async def __aenter__(self) -> "StockAdapterRun":
        await super().__aenter__()
        self.caps: dict[str, Decimal] = {}
        return self

    async def submit(self, number: int, planned: PlannedOrder, tally: BenchmarkCounts) -> None:
        intent = OrderIntent(
            intent_id=f"STOCK-{number}",
            decision_id=number,
            slug=planned.market.slug,
            condition_id=planned.market.condition_id,
            token_id=planned.market.token(planned.outcome),
            outcome=planned.outcome,
            usd=CEILING,
            ask=planned.ask,
            price_cap=planned.cap,
            attempt=1,
            created_ns=time.time_ns(),
        )
        self.caps[intent.intent_id] = planned.cap
        began = time.monotonic()
        self.strategy.send(intent)
        order = self.strategy.cache.order(ClientOrderId(intent.intent_id))
        await _poll(lambda: order.is_closed, STUCK_AFTER_S / 4)
        tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)

    async def settle(self, tally: BenchmarkCounts) -> None:
        spent, by_order = await asyncio.to_thread(self.venue_side)
        ours = Decimal(0)
        for name, cap in self.caps.items():
            order = self.strategy.cache.order(ClientOrderId(name))
            filled = order.filled_qty.as_decimal()
            tally.stuck += not order.is_closed
            tally.ends[FILLED if filled else NO_FILL] += 1
            fills = [event for event in order.events if isinstance(event, OrderFilled)]
            for fill in fills:
                ours += fill.last_qty.as_decimal() * fill.last_px.as_decimal() + fill.commission.as_decimal()
            venue_order = order.venue_order_id.value if order.venue_order_id else ""
            self.check_limits(by_order.get(venue_order, []), cap, tally)
            got = sum((Decimal(t["shares"]) for t in by_order.get(venue_order, [])), Decimal(0))
            tally.lost_shares += got - filled
        tally.sent = len(self.caps)
        tally.difference = spent - ours

    async def order_signed(self, client_order_id: str, order_id: str) -> None:
        """Not called by the stock adapter."""

    def refusal_before_sending(self, client_order_id: str) -> str | None:
        """Not called by the stock adapter."""

    def order_withheld(self, client_order_id: str, reason: str) -> None:
        """Not called by the stock adapter."""

    def attach(self, client: Any) -> None:
        """Not called by the stock adapter."""

    def trade(self, trade: dict[str, Any]) -> bool:
        """Not called by the stock adapter."""
        return True


def _decision(market: Market, planned: PlannedOrder) -> Decision:
    made = any_decision(outcome=planned.outcome)
    return msgspec.structs.replace(
        made,
        context=msgspec.structs.replace(made.context, market=market),
        params=msgspec.structs.replace(made.params, position_size_usd=CEILING),
        outcome=planned.outcome,
        ask=planned.ask,
        price_cap=planned.cap,
    )


async def _poll(condition: Callable[[], bool], seconds: float) -> None:
    """Poll a condition of Nautilus that has no event, for a limited time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _run(name: str, orders: int, seed: int, ticks: Any) -> BenchmarkCounts:
    tally = BenchmarkCounts()
    with tempfile.TemporaryDirectory() as folder:
        async with KINDS[name](Path(folder), seed) as shooter:
            assert isinstance(shooter, OrderBenchmark)
            await shooter.send_orders(orders, tally, lambda: ticks.put(1))
    return tally


def submit_all(name: str, orders: int, seed: int, ticks: Any) -> BenchmarkCounts:
    """Send this number of orders through one adapter, in its own process: Nautilus logs once per process."""
    logging.disable(logging.ERROR)
    # The stock adapter's log of failures does not go through Python's streams.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    return asyncio.run(_run(name, orders, seed, ticks))


def table(columns: dict[str, BenchmarkCounts]) -> Table:
    """Both results side by side."""
    rows: list[tuple[str, Callable[[BenchmarkCounts], object]]] = [
        ("orders", lambda t: sum(t.ends.values())),
        ("filled at or below the cap", lambda t: t.ends[FILLED] - t.above_cap),
        ("ended without a fill", lambda t: t.ends[NO_FILL]),
        ("refused before it was sent", lambda t: t.ends[REFUSED]),
        ("stuck", lambda t: t.stuck),
        ("filled above the cap", lambda t: t.above_cap),
        ("spent above the ceiling", lambda t: t.above_ceiling),
        ("shares that the venue has and we have not", lambda t: f"{t.lost_shares:f}"),
        ("venue's cash less ours, pUSD", lambda t: f"{t.difference:+.6f}"),
        ("slowest end of an order, s", lambda t: f"{t.slowest_s:.1f}"),
    ]
    shown = Table("", *columns)
    for name, value in rows:
        shown.add_row(name, *(str(value(tally)) for tally in columns.values()))
    return shown


def broken_guarantees(tally: BenchmarkCounts) -> int:
    """Orders that are stuck or above a limit; and one each if shares or cash differ from the venue's."""
    differs = bool(tally.lost_shares), abs(tally.difference) > Decimal("0.000001")
    return tally.stuck + tally.above_cap + tally.above_ceiling + sum(differs)


KINDS: dict[str, type[OrderBenchmark]] = {"patched": PatchedAdapterRun, "stock": StockAdapterRun}


def measure() -> Sequence[Measurement]:
    """The short form, for `./bot bench`: the patched adapter alone, with fewer orders."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(1, context) as pool:
        tally = pool.submit(submit_all, "patched", BENCH_ORDERS, 7, manager.Queue()).result()
    return [
        Measurement(
            name="orders",
            what=f"broken guarantees in {BENCH_ORDERS} orders on moving books",
            value=float(broken_guarantees(tally)),
            unit="",
            target=at_most(0.0),
        ),
        Measurement(
            name="orders",
            what="slowest end of an order",
            value=tally.slowest_s,
            unit="s",
            no_target="an order with an unknown fate is looked up for as long as it takes",
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--skip-stock", action="store_true", help="the patched adapter only")
    options = parser.parse_args()
    console = Console()
    columns: dict[str, BenchmarkCounts] = {}
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        for name in list(KINDS)[: 1 if options.skip_stock else 2]:
            ticks = manager.Queue()
            future = pool.submit(submit_all, name, options.orders, options.seed, ticks)
            with Progress(console=console) as progress:
                bar = progress.add_task(name, total=options.orders)
                while not future.done():
                    with suppress(queue.Empty):
                        progress.advance(bar, ticks.get(timeout=0.2))
            columns[name] = future.result()
    console.print(table(columns))
    return int(broken_guarantees(columns["patched"]) > 0)


if __name__ == "__main__":
    sys.exit(main())
