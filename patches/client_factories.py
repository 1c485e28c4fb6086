"""Creates the patched Polymarket clients of a node, in the form of Nautilus' client factories."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nautilus_trader.adapters.polymarket.common.credentials import PolymarketWebSocketAuth
from nautilus_trader.adapters.polymarket.factories import (
    PolymarketLiveDataClientFactory,
    PolymarketLiveExecClientFactory,
)
from py_clob_client_v2.client import ApiCreds

from common.constants import POLYGON_CHAIN_ID
from common.library_check import require_version
from common.plain_text import one_line
from core.nautilus_core.data_engine.node import NodePlan, Wallet
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.market_board import MarketBoard
from core.nautilus_core.instruments.market_boards import MarketBoards
from execution.clob_http import PromptClobClient
from execution.order_clients.clob_client_v2 import ClobClientV2Orders
from execution.order_clients.port import CLOB_CLIENT_V2, POLYMARKET_CLIENT, OrderClient
from execution.venue_facts.recorder import Observe, ignore
from patches.gamma_markets import SlugProvider
from patches.market_feed import CheckedDataClient
from patches.market_orders import OrderJournal, UsdFakExecutionClient
from patches.stream_evidence import StreamEvidence


@dataclass(frozen=True)
class VenueObservers:
    """Receivers of observations, by venue: the one of the market data, and the one that takes the orders.

    `running_condition` returns the condition id of the running market; with several series, of the one that
    decides next.
    """

    markets: Observe = ignore
    orders: Observe = ignore
    running_condition: Callable[[], str | None] = lambda: None


UNOBSERVED = VenueObservers()


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


def order_client(plan: NodePlan, client: PromptClobClient) -> OrderClient:
    """The library that signs and sends the orders of a node.

    Parameters
    ----------
    client : PromptClobClient
        The node's own client, which reads the account.

    Raises
    ------
    Fatal
        If the library is not the version that this bot was written for.
    ConfigError
        If it would sign for another kind of wallet.
    """
    if plan.order_client == CLOB_CLIENT_V2:
        return ClobClientV2Orders(client, plan.order_connections)
    # Of an optional extra, and slow to import.
    require_version(*POLYMARKET_CLIENT)
    from execution.order_clients.polymarket_sdk import PolymarketSdkOrders, verify_sdk

    verify_sdk()
    wallet = plan.wallet
    return PolymarketSdkOrders(
        plan.urls.clob,
        private_key=wallet.private_key,
        funder=wallet.funder,
        signature_type=wallet.signature_type,
        api_key=wallet.api_key,
        api_secret=wallet.api_secret,
        passphrase=wallet.passphrase,
    )


async def _reporting(
    connect: Awaitable[None], client: "ReportingDataClient | ReportingExecutionClient", name: str
) -> None:
    """Connect a client; if that fails, report the error and wait until the node is stopped.

    NautilusTrader would print an exception with its traceback, at each attempt of a long outage.
    """
    try:
        await connect
    except Exception as error:  # noqa: BLE001  the libraries raise many types, and each one is reported
        client._log.warning(f"{name}: cannot connect: {one_line(repr(error))}")
        client.connect_failed(name, error)
        await asyncio.Event().wait()


class ReportingDataClient(CheckedDataClient):
    """Reports a failed connection."""

    connect_failed: Callable[[str, Exception], None]

    async def _connect(self) -> None:
        await _reporting(super()._connect(), self, "market data")

    def _stream_failed(self, error: Exception) -> None:
        self.connect_failed("market data", error)


class ReportingExecutionClient(UsdFakExecutionClient):
    """Reports a failed connection."""

    connect_failed: Callable[[str, Exception], None]

    async def _connect(self) -> None:
        await _reporting(super()._connect(), self, "orders")


class Recorder(Protocol):
    """Receives what the clients receive. Returns at once, and raises nothing."""

    def market(self, raw: bytes) -> None:
        """A frame of the market stream."""
        ...

    def catalogue(self, answer: bytes) -> None:
        """An answer of the catalogue."""
        ...


def _raise(client: str, error: Exception) -> None:
    """Leave a failed connection to NautilusTrader, which prints it to the terminal."""
    raise error


def client_factories(
    plan: NodePlan,
    journal: OrderJournal,
    slugs: Callable[[], list[str]],
    board: MarketBoard | MarketBoards,
    reconnected: Callable[[str], None],
    connect_failed: Callable[[str, Exception], None] = _raise,
    recorder: Recorder | None = None,
    observers: VenueObservers = UNOBSERVED,
    dropped: Callable[[str, int], None] = lambda kind, number: None,
) -> tuple[type[PolymarketLiveDataClientFactory], type[PolymarketLiveExecClientFactory]]:
    """Return the factories of the data client and of the execution client.

    Both clients share one order client and one instrument provider, like those of the stock factories.

    Parameters
    ----------
    plan : NodePlan
        URLs, wallet and limits.
    journal : OrderJournal
        Receives the order events before Nautilus does.
    slugs : Callable[[], list[str]]
        Slugs of the markets to load now.
    board : MarketBoard or MarketBoards
        Decides which of the listed markets are loaded.
    reconnected : Callable[[str], None]
        Called with the name of a stream, ``market`` or ``user``, each time it was reconnected.
    connect_failed : Callable[[str, Exception], None], optional
        Called with the name of a client that did not connect, and the error; NautilusTrader does not retry.
    recorder : Recorder, optional
        Receives the frames of the market stream and the answers of the catalogue.
    observers : VenueObservers, optional
        Receive what the messages show about the venue's rules.
    dropped : Callable[[str, int], None], optional
        Called with the kind and number of market data that were not used because newer ones waited.
    """
    evidence = StreamEvidence(observers.markets, observers.running_condition)

    def counting(stream: str) -> Callable[[], Awaitable[None]]:
        async def again() -> None:
            evidence.reconnected()
            reconnected(stream)

        return again

    client = clob_client(plan.urls, plan.wallet)
    orders = order_client(plan, client)
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
                neighbours=board.neighbours,
                report=board.report,
                received=None if recorder is None else recorder.catalogue,
                observe=observers.markets,
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
                received=None if recorder is None else recorder.market,
                reconnected=counting("market"),
                evidence=evidence,
                dropped=dropped,
            )
            data_client.connect_failed = connect_failed
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
                ws_auth=PolymarketWebSocketAuth(
                    apiKey=wallet.api_key, secret=wallet.api_secret, passphrase=wallet.passphrase
                ),
                name=name,
                journal=journal,
                orders=orders,
                max_usd=plan.max_order_usd,
                account_seconds=plan.account_seconds,
                reconnected=counting("user"),
                observe=observers.orders,
            )
            exec_client.connect_failed = connect_failed
            return exec_client

    return DataFactory, ExecFactory
