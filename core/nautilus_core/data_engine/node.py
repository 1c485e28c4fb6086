"""Builds the TradingNode of a worker from its plan, its strategy and the client factories."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.adapters.polymarket.config import PolymarketDataClientConfig, PolymarketExecClientConfig
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProviderConfig
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import (
    CacheConfig,
    LiveDataEngineConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    LoggingConfig,
    TradingNodeConfig,
)
from nautilus_trader.core.message import Command
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.trading.strategy import Strategy

from core.nautilus_core.data_engine.venue_urls import VenueUrls
from models import Frozen

VENUE = "POLYMARKET"


class Wallet(Frozen, frozen=True):
    """Keys of the trading account. `funder` holds the funds; empty: the key's own address."""

    private_key: str
    api_key: str
    api_secret: str
    passphrase: str
    funder: str
    signature_type: int = 0

    def __repr__(self) -> str:
        return f"Wallet(funder={self.funder}, ***)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("funder", self.funder)]


class NodePlan(Frozen, frozen=True):
    """Configuration of one node.

    `market_urls` is the source of books and catalogue, `urls` the destination of orders: the same venue,
    except for paper orders with the books of the real venue.
    """

    trader_id: str
    market_urls: VenueUrls
    urls: VenueUrls
    wallet: Wallet
    max_order_usd: Decimal
    refresh_pause: Callable[[], float]
    """Seconds from now until the catalogue is read again."""
    connect_delay_seconds: float
    data_qsize: int
    exec_qsize: int
    log_level: str
    log_dir: Path
    order_rate: str = "5/00:00:01"
    """Maximum order rate of Nautilus' own risk engine; each series sends at most one order per second."""
    order_client: str = "py-clob-client-v2"
    """The library that signs and sends orders."""
    order_connections: int = 1
    """Orders that may be sent at the same time, one for each series."""
    account_seconds: float = 30.0
    """Seconds between two reads of the balance. Payouts arrive minutes before the next decision."""


def build_node(
    plan: NodePlan,
    strategies: Strategy | Sequence[Strategy],
    actors: Sequence[Actor],
    data_factory: type[LiveDataClientFactory],
    exec_factory: type[LiveExecClientFactory],
) -> TradingNode:
    """Build a node with its strategies and actors; it does not run yet.

    Parameters
    ----------
    strategies : Strategy or sequence of Strategy
        One for each series.
    data_factory, exec_factory
        Create the data client and the execution client of the venue.
    """
    node = TradingNode(config=node_config(plan))
    for actor in actors:
        node.trader.add_actor(actor)
    for strategy in [strategies] if isinstance(strategies, Strategy) else strategies:
        node.trader.add_strategy(strategy)
    node.add_data_client_factory(VENUE, data_factory)
    node.add_exec_client_factory(VENUE, exec_factory)
    node.build()
    for endpoint, engine in (
        ("RiskEngine.execute", node.kernel.risk_engine),
        ("ExecEngine.execute", node.kernel.exec_engine),
    ):
        node.kernel.msgbus.deregister(endpoint, engine.execute)
        node.kernel.msgbus.register(endpoint, execute_at_once(engine))
    return node


def execute_at_once(engine: Any) -> Callable[[Command], None]:
    """Execute a command in the call that sends it, which is on the node's loop.

    Nautilus' live engines put it into a queue of their own. In each of the two an order waits for two turns
    of the event loop, in which other threads take the interpreter: 0.2 ms. Events still pass through the
    queues, so that no order is denied within the call that submits it.
    """

    def execute(command: Command) -> None:
        try:
            engine._execute_command(command)
        except Exception as error:  # noqa: BLE001  the node stops, as after an error in the queue
            engine._handle_queue_exception(error, "command")

    return execute


def node_config(plan: NodePlan) -> TradingNodeConfig:
    wallet, urls = plan.wallet, plan.urls
    instruments = PolymarketInstrumentProviderConfig(load_all=True)
    plan.log_dir.mkdir(parents=True, exist_ok=True)
    return TradingNodeConfig(
        trader_id=plan.trader_id,
        logging=LoggingConfig(
            log_level="OFF",
            log_level_file=plan.log_level,
            log_directory=str(plan.log_dir),
            log_file_max_size=20_000_000,
            log_file_max_backup_count=5,
            log_colors=False,
            print_config=False,
        ),
        # By default the cache keeps 10,000 quotes of every instrument it ever had: megabytes per market.
        cache=CacheConfig(tick_capacity=1, bar_capacity=1),
        data_engine=LiveDataEngineConfig(qsize=plan.data_qsize, graceful_shutdown_on_exception=True),
        # The ledger is the record of trades; Nautilus' own reconciliation invents positions at price 0, and
        # its in-flight check turns an unknown order into an inferred fill.
        exec_engine=LiveExecEngineConfig(
            qsize=plan.exec_qsize,
            reconciliation=False,
            inflight_check_interval_ms=0,
            allow_overfills=True,
            graceful_shutdown_on_exception=True,
        ),
        risk_engine=LiveRiskEngineConfig(
            qsize=plan.exec_qsize, max_order_submit_rate=plan.order_rate, graceful_shutdown_on_exception=True
        ),
        data_clients={
            VENUE: PolymarketDataClientConfig(
                base_url_http=plan.market_urls.clob,
                base_url_ws=plan.market_urls.ws,
                instrument_config=instruments,
                drop_quotes_missing_side=False,
                ws_connection_initial_delay_secs=plan.connect_delay_seconds,
                update_instruments_interval_mins=1,
                # It would query a hard-coded host for instruments that the catalogue did not list.
                auto_load_missing_instruments=False,
            )
        },
        exec_clients={
            VENUE: PolymarketExecClientConfig(
                private_key=wallet.private_key,
                api_key=wallet.api_key,
                api_secret=wallet.api_secret,
                passphrase=wallet.passphrase,
                funder=wallet.funder,
                signature_type=wallet.signature_type,
                base_url_http=urls.clob,
                base_url_ws=urls.ws,
                base_url_data_api=urls.data_api,
                instrument_config=instruments,
            )
        },
        timeout_connection=20.0,
        timeout_reconciliation=5.0,
        timeout_portfolio=5.0,
        timeout_disconnection=2.0,
        timeout_post_stop=0.5,
    )
