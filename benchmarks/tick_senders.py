"""The senders of `tick_to_order`, each in a process of its own: on a tick of its market it orders for $1.

    python -m benchmarks.tick_senders SENDER CONTROL

`CONTROL` is the descriptor of a connection to the benchmark. The senders are the bot's worker, a Nautilus
node with the stock adapter, and a script with each official client, as their documentation shows it.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

STAKE = 1
CLOB_CACHES = ("tick_sizes", "neg_risk", "fee_rates", "fee_infos", "token_condition_map")
"""What py-clob-client-v2 keeps for each token and market."""


ARM, FORGET = b"arm", b"forget and arm"
"""The requests of an order on the next tick; for `FORGET` it is the first one in its market."""


class SenderPlan(msgspec.Struct, frozen=True):
    """Venue, market and keys of a sender; the bot's worker has its own plan on its standard input."""

    url: str
    ws_url: str
    chain_url: str
    slug: str
    condition_id: str
    tokens: tuple[str, str]
    private_key: str
    address: str
    api_key: str
    api_secret: str
    passphrase: str


class Control:
    """The sender's end of the connection: the benchmark requests one order on the next tick, by a line.

    Parameters
    ----------
    descriptor : int
        An inherited socket. When its other end is closed, the process ends.
    """

    def __init__(self, descriptor: int) -> None:
        self._lines = socket.socket(fileno=descriptor).makefile("rwb")
        self._wanted = threading.Event()

    def plan(self) -> SenderPlan:
        """The plan, which is the first line."""
        return msgspec.json.decode(self._lines.readline(), type=SenderPlan)

    def start(self, forget: Callable[[], None] = lambda: None) -> None:
        """Accept requests from now on.

        `forget` lets the library forget the market; called before a request that asks for it is confirmed.
        """
        self._forget = forget
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def take(self) -> bool:
        """Whether an order is to be sent on this tick: True once for each request."""
        if not self._wanted.is_set():
            return False
        self._wanted.clear()
        return True

    @property
    def wanted(self) -> bool:
        """Whether a request waits for its tick."""
        return self._wanted.is_set()

    def answered(self) -> None:
        """Report that the order's answer is known."""
        self._report("answered_ns")

    def _serve(self) -> None:
        while line := self._lines.readline():
            if line.strip() == FORGET:
                self._forget()
            self._wanted.set()
            self._report("armed_ns")
        os.kill(os.getpid(), signal.SIGTERM)

    def _report(self, name: str) -> None:
        with suppress(OSError):
            self._lines.write(json.dumps({name: time.monotonic_ns()}).encode() + b"\n")
            self._lines.flush()


# --- the bot ---------------------------------------------------------------------------------


def run_bot(control: Control) -> int:
    """The bot's worker, with three changes, all of them about how often it may order in one market.

    It decides on the first quote after a request instead of once a second, after any number of orders without
    a match, and without a pause after them.
    """
    import bot
    from core.nautilus_core.instruments.market_board import TrackedMarket
    from execution import execution_engine, order_lifecycle

    class AtOnce(bot.DecisionSchedule, frozen=True):
        interval_ns: int = 0

    class WithoutPause(order_lifecycle.OrderRules, frozen=True):
        retry_pause_ns: int = 0

    # Before the imports of what uses them.
    bot.DecisionSchedule = AtOnce
    order_lifecycle.OrderRules = execution_engine.OrderRules = WithoutPause
    may_decide = bot.IntegratedBTCStrategy._may_decide

    def on_request(
        self: bot.IntegratedBTCStrategy, tracked: TrackedMarket, second: float, now_ns: int
    ) -> bool:
        return control.wanted and may_decide(self, tracked, second, now_ns) and control.take()

    bot.IntegratedBTCStrategy._may_decide = on_request

    from common.process_exit import exit_process
    from runtime.worker import __main__ as worker
    from runtime.worker.plan_pipe import PlanPipe

    load_settings = worker.load_settings
    worker.load_settings = lambda: load_settings().model_copy(update={"order_max_attempts": 1_000_000})
    control.start()
    exit_process(worker.main(PlanPipe(sys.stdin.buffer)))


# --- the stock adapter -----------------------------------------------------------------------


def run_stock(control: Control) -> int:
    """A Nautilus node with the unchanged Polymarket adapter: a market order in USD on a quote tick."""
    plan = control.plan()
    # Read at the adapter's import.
    os.environ["GAMMA_API_URL"] = f"{plan.url}/gamma"
    from nautilus_trader.adapters.polymarket.config import (
        PolymarketDataClientConfig,
        PolymarketExecClientConfig,
    )
    from nautilus_trader.adapters.polymarket.factories import (
        PolymarketLiveDataClientFactory,
        PolymarketLiveExecClientFactory,
        get_polymarket_http_client,
    )
    from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProviderConfig
    from nautilus_trader.config import (
        LiveExecEngineConfig,
        LoggingConfig,
        StrategyConfig,
        TradingNodeConfig,
    )
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.model.data import QuoteTick
    from nautilus_trader.model.enums import OrderSide, TimeInForce
    from nautilus_trader.model.events import OrderAccepted, OrderDenied, OrderFilled, OrderRejected
    from nautilus_trader.trading.strategy import Strategy

    class OnTick(Strategy):
        """Buys on the first quote after a request."""

        def on_start(self) -> None:
            for instrument in self.cache.instruments():
                self.subscribe_quote_ticks(instrument.id)
            control.start(lambda: forget_market(client))

        def on_quote_tick(self, tick: QuoteTick) -> None:
            if not control.take():
                return
            instrument = self.cache.instrument(tick.instrument_id)
            self.submit_order(
                self.order_factory.market(
                    tick.instrument_id,
                    OrderSide.BUY,
                    instrument.make_qty(STAKE),
                    time_in_force=TimeInForce.IOC,
                    quote_quantity=True,
                )
            )

        def on_order_event(self, event: Any) -> None:
            if isinstance(event, OrderRejected | OrderDenied | OrderAccepted | OrderFilled):
                control.answered()

    instruments = PolymarketInstrumentProviderConfig(
        load_all=True,
        use_gamma_markets=True,
        filters={"slug": (plan.slug,)},  # a tuple, because the class hashes it
    )
    keys = {
        "private_key": plan.private_key,
        "funder": plan.address,
        "api_key": plan.api_key,
        "api_secret": plan.api_secret,
        "passphrase": plan.passphrase,
        "base_url_http": plan.url,
        "base_url_ws": plan.ws_url,
        "instrument_config": instruments,
    }
    node = TradingNode(
        TradingNodeConfig(
            trader_id="STOCK-001",
            logging=LoggingConfig(log_level="OFF", print_config=False),
            exec_engine=LiveExecEngineConfig(reconciliation=False),
            data_clients={
                "POLYMARKET": PolymarketDataClientConfig(**keys, ws_connection_initial_delay_secs=0.05)
            },
            exec_clients={
                "POLYMARKET": PolymarketExecClientConfig(**keys, base_url_data_api=f"{plan.url}/data-api")
            },
            timeout_disconnection=2.0,
            timeout_post_stop=0.5,
        )
    )
    node.trader.add_strategy(OnTick(StrategyConfig(strategy_id="STOCK", order_id_tag="001")))
    node.add_data_client_factory("POLYMARKET", PolymarketLiveDataClientFactory)
    node.add_exec_client_factory("POLYMARKET", PolymarketLiveExecClientFactory)
    node.build()
    # The client that both factories share: it is cached.
    client = get_polymarket_http_client(
        private_key=plan.private_key,
        signature_type=0,
        funder=plan.address,
        api_key=plan.api_key,
        api_secret=plan.api_secret,
        passphrase=plan.passphrase,
        base_url=plan.url,
    )
    node.run()
    return 0


def forget_market(client: Any) -> None:
    """Let a client of py-clob-client-v2 forget every market."""
    for name in CLOB_CACHES:
        getattr(client, f"_ClobClient__{name}").clear()


# --- scripts ---------------------------------------------------------------------------------


def run_clob_client(control: Control) -> int:
    """A script with py-clob-client-v2: one thread reads the market stream and orders."""
    from py_clob_client_v2.client import ClobClient
    from py_clob_client_v2.clob_types import ApiCreds, MarketOrderArgsV2, OrderType
    from py_clob_client_v2.exceptions import PolyApiException
    from websockets.sync.client import connect

    plan = control.plan()
    creds = ApiCreds(plan.api_key, plan.api_secret, plan.passphrase)
    client = ClobClient(plan.url, chain_id=137, key=plan.private_key, creds=creds)
    token = plan.tokens[0]
    with connect(f"{plan.ws_url}market") as stream:
        stream.send(json.dumps({"type": "market", "assets_ids": list(plan.tokens)}))
        control.start(lambda: forget_market(client))
        for frame in stream:
            message = json.loads(frame)
            changes = message.get("price_changes", ()) if isinstance(message, dict) else ()
            asks = [float(c["best_ask"]) for c in changes if c["asset_id"] == token and c["best_ask"]]
            if not asks or not control.take():
                continue
            order = MarketOrderArgsV2(token_id=token, amount=STAKE, side="BUY", price=asks[-1])
            kind: Any = OrderType.FAK
            with suppress(PolyApiException):  # answered without a match
                client.create_and_post_market_order(order, order_type=kind)
            control.answered()
    return 0


def run_polymarket_client(control: Control) -> int:
    """A script with polymarket-client: its stream, and its function that signs and sends."""
    return asyncio.run(_polymarket_client(control))


async def _polymarket_client(control: Control) -> int:
    from dataclasses import replace

    from polymarket import PRODUCTION, ApiKeyCreds, AsyncSecureClient
    from polymarket._internal.environment import get_environment_config, with_environment_config
    from polymarket.errors import PolymarketError
    from polymarket.streams import MarketSpec

    plan = control.plan()
    config = replace(
        get_environment_config(PRODUCTION),
        clob_url=plan.url,
        gamma_url=f"{plan.url}/gamma",
        data_url=f"{plan.url}/data-api",
        rpc_url=plan.chain_url,
        clob_market_ws_url=f"{plan.ws_url}market",
        clob_user_ws_url=f"{plan.ws_url}user",
    )
    client = await AsyncSecureClient.create(
        private_key=plan.private_key,
        wallet=plan.address,
        environment=with_environment_config(PRODUCTION, config=config),
        credentials=ApiKeyCreds(key=plan.api_key, secret=plan.api_secret, passphrase=plan.passphrase),
    )
    token = plan.tokens[0]
    stream = await client.subscribe(MarketSpec(asset_ids=list(plan.tokens)))
    known: Any = client._ctx.order_metadata

    def forget() -> None:
        known._conditions.discard(token)
        known._markets.discard(plan.condition_id)

    control.start(forget)
    async for event in stream:
        if event.type != "price_change":
            continue
        asks = [c.best_ask for c in event.payload.price_changes if c.asset_id == token and c.best_ask]
        if not asks or not control.take():
            continue
        with suppress(PolymarketError):  # answered without a match
            await client.place_market_order(
                asset_id=token, side="BUY", amount=Decimal(STAKE), max_price=asks[-1], order_type="FAK"
            )
        control.answered()
    return 0


SENDERS: dict[str, Callable[[Control], int]] = {
    "bot": run_bot,
    "stock": run_stock,
    "py-clob-client-v2": run_clob_client,
    "polymarket-client": run_polymarket_client,
}

if __name__ == "__main__":
    name, descriptor = sys.argv[1:]
    sys.argv = sys.argv[:1]
    sys.exit(SENDERS[name](Control(int(descriptor))))
