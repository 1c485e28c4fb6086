"""Builds the TradingNode: the patched Polymarket adapter against whatever venue the URLs name."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.adapters.polymarket.config import PolymarketDataClientConfig, PolymarketExecClientConfig
from nautilus_trader.adapters.polymarket.factories import (
    PolymarketLiveDataClientFactory,
    PolymarketLiveExecClientFactory,
)
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProviderConfig
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import (
    LiveDataEngineConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    LoggingConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.trading.strategy import Strategy
from py_clob_client_v2.client import ApiCreds

from common.constants import POLYGON_CHAIN_ID
from common.plain_text import one_line
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.market_board import MarketBoard
from models import Frozen
from patches.clob_client import PromptClobClient
from patches.gamma_markets import SlugProvider
from patches.market_feed import CheckedDataClient
from patches.market_orders import OrderJournal, UsdFakExecutionClient
from patches.user_feed import QuietAuth

VENUE = "POLYMARKET"


class Wallet(Frozen, frozen=True):
    """Keys of the account that trades. `funder` holds the money; the key's own address if empty."""

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
    """All that distinguishes one node from another.

    `market_urls` is where books and the catalogue come from, `urls` where orders go: the same venue,
    unless orders are paper and the books are the real venue's.
    """

    trader_id: str
    market_urls: VenueUrls
    urls: VenueUrls
    wallet: Wallet
    max_order_usd: Decimal
    refresh_pause: Callable[[], float]
    """Seconds from now until the catalogue is asked again."""
    connect_delay_seconds: float
    data_qsize: int
    exec_qsize: int
    log_level: str
    log_dir: Path
    order_rate: str = "5/00:00:01"
    """Most orders in a time, by Nautilus' own risk engine; the bot's pace is one a second."""
    account_seconds: float = 30.0
    """Between two questions for the balance. Winnings are there minutes before the next decision."""


def _raise(client: str, error: Exception) -> None:
    """Leave a failed connection to NautilusTrader, which writes it to the terminal."""
    raise error


def build_node(
    plan: NodePlan,
    strategy: Strategy,
    actors: Sequence[Actor],
    journal: OrderJournal,
    slugs: Callable[[], list[str]],
    board: MarketBoard,
    reconnected: Callable[[str], None],
    connect_failed: Callable[[str, Exception], None] = _raise,
) -> TradingNode:
    """A built, not yet running node with one strategy and its actors.

    `board` decides which of the listed markets are loaded. `reconnected` receives the name of a stream,
    ``market`` or ``user``, each time it had to be opened again. `connect_failed` is called with the name of a
    client that did not connect, and why; NautilusTrader does not try it again.
    """
    node = TradingNode(config=_config(plan))
    for actor in actors:
        node.trader.add_actor(actor)
    node.trader.add_strategy(strategy)
    data_factory, exec_factory = _factories(plan, journal, slugs, board, reconnected, connect_failed)
    node.add_data_client_factory(VENUE, data_factory)
    node.add_exec_client_factory(VENUE, exec_factory)
    node.build()
    return node


def clob_client(urls: VenueUrls, wallet: Wallet) -> PromptClobClient:
    """The venue's order client, authenticated."""
    return PromptClobClient(
        urls.clob,
        chain_id=POLYGON_CHAIN_ID,
        signature_type=wallet.signature_type,
        creds=ApiCreds(wallet.api_key, wallet.api_secret, wallet.passphrase),
        key=wallet.private_key,
        funder=wallet.funder,
    )


async def _reporting(
    connect: Awaitable[None], client: "ReportingDataClient | ReportingExecutionClient", name: str
) -> None:
    """Connect a client, or report why it cannot and wait for the end of the node.

    An exception would be written to the terminal by NautilusTrader, with a traceback and at each attempt of a
    long outage.
    """
    try:
        await connect
    except Exception as error:  # noqa: BLE001  the libraries raise many kinds, and each one is reported
        client._log.warning(f"{name}: cannot connect: {one_line(repr(error))}")
        client.connect_failed(name, error)
        await asyncio.Event().wait()


class ReportingDataClient(CheckedDataClient):
    """Reports a connection that failed."""

    connect_failed: Callable[[str, Exception], None]

    async def _connect(self) -> None:
        await _reporting(super()._connect(), self, "market data")


class ReportingExecutionClient(UsdFakExecutionClient):
    """Reports a connection that failed."""

    connect_failed: Callable[[str, Exception], None]

    async def _connect(self) -> None:
        await _reporting(super()._connect(), self, "orders")


def _config(plan: NodePlan) -> TradingNodeConfig:
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
        data_engine=LiveDataEngineConfig(qsize=plan.data_qsize, graceful_shutdown_on_exception=True),
        # The ledger knows what was traded; Nautilus' own reconciliation invents positions at price 0,
        # and its in-flight check turns an unknown order into an inferred fill.
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
                # It would ask a hard-coded host for what the catalogue did not list.
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


def _factories(
    plan: NodePlan,
    journal: OrderJournal,
    slugs: Callable[[], list[str]],
    board: MarketBoard,
    reconnected: Callable[[str], None],
    connect_failed: Callable[[str, Exception], None] = _raise,
) -> tuple[type[PolymarketLiveDataClientFactory], type[PolymarketLiveExecClientFactory]]:
    """Factories that share one order client and one provider, as the stock ones do."""

    def counting(stream: str) -> Callable[[], Awaitable[None]]:
        async def again() -> None:
            reconnected(stream)

        return again

    client = clob_client(plan.urls, plan.wallet)
    shared: dict[str, SlugProvider] = {}

    def provider(clock: Any, config: Any) -> SlugProvider:
        if "provider" not in shared:
            shared["provider"] = SlugProvider(
                client=client,
                clock=clock,
                config=config.instrument_config,
                slugs=slugs,
                gamma_url=plan.market_urls.gamma,
                admit=board.admit,
                report=board.report,
            )
        return shared["provider"]

    class DataFactory(PolymarketLiveDataClientFactory):
        @staticmethod
        def create(loop: Any, name: Any, config: Any, msgbus: Any, cache: Any, clock: Any) -> Any:
            data_client = ReportingDataClient(
                loop=loop,
                http_client=client,
                msgbus=msgbus,
                cache=cache,
                clock=clock,
                instrument_provider=provider(clock, config),
                config=config,
                name=name,
                refresh_pause=plan.refresh_pause,
            )
            data_client.connect_failed = connect_failed
            data_client._ws_client._handler_reconnect = counting("market")
            return data_client

    class ExecFactory(PolymarketLiveExecClientFactory):
        @staticmethod
        def create(loop: Any, name: Any, config: Any, msgbus: Any, cache: Any, clock: Any) -> Any:
            wallet = plan.wallet
            exec_client = ReportingExecutionClient(
                loop=loop,
                http_client=client,
                msgbus=msgbus,
                cache=cache,
                clock=clock,
                instrument_provider=provider(clock, config),
                config=config,
                ws_auth=QuietAuth(
                    apiKey=wallet.api_key, secret=wallet.api_secret, passphrase=wallet.passphrase
                ),
                name=name,
                journal=journal,
                max_usd=plan.max_order_usd,
                account_seconds=plan.account_seconds,
            )
            exec_client.connect_failed = connect_failed
            exec_client._ws_client._handler_reconnect = counting("user")
            return exec_client

    return DataFactory, ExecFactory
