"""Refuses to start with libraries that the patches were not written for."""

from collections.abc import Callable
from typing import Any

from nautilus_trader.adapters.polymarket.common.gamma_markets import normalize_gamma_market_to_clob_format
from nautilus_trader.adapters.polymarket.data import PolymarketDataClient
from nautilus_trader.adapters.polymarket.execution import PolymarketExecutionClient
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProvider
from nautilus_trader.adapters.polymarket.websocket.client import PolymarketWebSocketClient
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.http_helpers import helpers
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection

from common.library_check import require_source, require_version
from execution.order_clients.clob_client_v2 import verify_signing

VERSIONS = {"nautilus_trader": "1.231.0", "py-clob-client-v2": "1.2.1"}

FINGERPRINTS: dict[Callable[..., Any], str] = {
    ClobClient._resolve_transactions_hashes: "9dc8108cc748",
    ClobClient.post_order: "6e58ca97ac4f",
    ClobClient._get: "87d545578a88",
    ClobClient._post: "8008841e83c3",
    ClobClient.get_trades: "57028f823449",
    helpers.request: "d6b6c5fee230",
    helpers.post: "117d9d8fa00f",
    ExchangeOrderBuilderV2.build_signed_order: "1a2a31ce2c2e",
    ExchangeOrderBuilderV2.build_order_typed_data: "00951fd60eb5",
    ExchangeOrderBuilderV2.build_order_signature: "dd39c80640ea",
    PolymarketExecutionClient._connect: "853f330d8e2d",
    PolymarketExecutionClient._update_account_state: "3f3fa249cb82",
    PolymarketExecutionClient._disconnect: "6f6b7c0fd8bf",
    PolymarketExecutionClient._maintain_active_market: "0354fc61c6d7",
    PolymarketExecutionClient._submit_order: "d4aaf576b20d",
    PolymarketExecutionClient._submit_market_order: "df1a891a0130",
    PolymarketExecutionClient._wait_for_ack_order: "9f61aed3e4ca",
    PolymarketExecutionClient._wait_for_ack_trade: "2a7168f3774d",
    PolymarketExecutionClient._handle_ws_message: "dd417a5b389b",
    PolymarketExecutionClient._handle_ws_order_msg: "ff116ad28ad9",
    PolymarketExecutionClient._handle_ws_trade_msg: "1e79ac33c401",
    PolymarketExecutionClient._handle_user_trade_in_ws_trade_msg: "357dc392ded4",
    PolymarketInstrumentProvider.load_all_async: "f38795c95125",
    PolymarketInstrumentProvider._load_instrument: "cb96f4e99294",
    normalize_gamma_market_to_clob_format: "d65d6d2c5ea8",
    PolymarketDataClient._connect: "d0c403efac64",
    PolymarketDataClient._disconnect: "e09396508947",
    PolymarketDataClient._update_instruments: "cc4f1dff2f4d",
    PolymarketDataClient._handle_raw_ws_message: "060c78bcf68b",
    PolymarketDataClient._handle_ws_message: "c4fbc6015494",
    PolymarketDataClient._handle_book_snapshot: "e52ce7cb62bf",
    PolymarketDataClient._handle_deltas: "b88578ce6526",
    PolymarketDataClient._handle_quote: "4c2d17792fa9",
    PolymarketDataClient._discard_local_state_if_unwanted: "836dd346ab0d",
    PolymarketWebSocketClient._connect_client: "a7183b247359",
    PolymarketWebSocketClient._disconnect_client: "a1e044f5ca5c",
    PolymarketWebSocketClient._create_dynamic_subscribe_msg: "29dcd2b73ba6",
    PolymarketWebSocketClient._create_dynamic_unsubscribe_msg: "375957077d40",
    PolymarketWebSocketClient._subscribe_all: "af1e436f560c",
    PolymarketWebSocketClient._handle_reconnect: "1ecb3109fff1",
    PolymarketWebSocketClient._send: "c9d8c22d1864",
    ClientConnection.process_event: "047114e631b5",
    Connection.process_event: "9c0c0028bd97",
    Connection.data_received: "72972c0eeb7e",
}
"""The functions that the patches override or depend on, and the `fingerprint` of each."""


def verify() -> None:
    """Check versions and source fingerprints, and run the signing self-test.

    Raises
    ------
    Fatal
        With the library or function that differs from the one the patches were written for, or the error of
        the self-test.
    """
    for package, wanted in VERSIONS.items():
        require_version(package, wanted)
    require_source(FINGERPRINTS)
    verify_signing()
