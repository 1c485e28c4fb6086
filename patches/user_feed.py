"""One user-stream subscription for all markets, opened before the first order.

The stock client names each market it subscribes to, opens the stream at the first order and never
releases it; a market it did not name in time has its fills dropped. Without `markets` the venue
sends the account's events of every market.
"""

from typing import Any

from nautilus_trader.adapters.polymarket.common.credentials import PolymarketWebSocketAuth
from nautilus_trader.adapters.polymarket.websocket.client import PolymarketWebSocketClient

ALL_MARKETS = "*"
"""Stands in the stock client's bookkeeping for the one subscription there is."""


class QuietAuth(PolymarketWebSocketAuth, frozen=True):
    """The stream's keys, which the stock client writes into its log: each time at DEBUG, and as a warning
    when a connection is lost at the wrong moment."""

    def __repr__(self) -> str:
        return "QuietAuth(***)"


class AccountWebSocketClient(PolymarketWebSocketClient):
    def _create_subscribe_user_channel_msg(self, markets: list[str]) -> dict[str, Any]:
        message = super()._create_subscribe_user_channel_msg(markets=[])
        message.pop("markets", None)
        return message
