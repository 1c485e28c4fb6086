"""One user-stream subscription for all markets, opened before the first order.

The stock client names each market it subscribes to, opens the stream at the first order and never
releases it; a market it did not name in time has its fills dropped. Without `markets` the venue
sends the account's events of every market.

A frame that cannot be read is counted, and logged once a minute. It loses no fill: orders are looked up until
their trades are final.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from nautilus_trader.adapters.polymarket.common.credentials import PolymarketWebSocketAuth
from nautilus_trader.adapters.polymarket.websocket.client import PolymarketWebSocketClient
from nautilus_trader.adapters.polymarket.websocket.types import USER_WS_MESSAGE

from patches.refused_messages import RefusedMessages

ALL_MARKETS = "*"
"""Stands in the stock client's bookkeeping for the one subscription there is."""


class QuietAuth(PolymarketWebSocketAuth, frozen=True):
    """The stream's keys, which the stock client writes into its log: each time at DEBUG, and as a warning
    when a connection is lost at the wrong moment."""

    def __repr__(self) -> str:
        return "QuietAuth(***)"


class AccountWebSocketClient(PolymarketWebSocketClient):
    def __init__(self, *args: Any, handler: Callable[[bytes], None], **kwargs: Any) -> None:
        self._refused = RefusedMessages("user stream")
        self._decoder = msgspec.json.Decoder(USER_WS_MESSAGE)
        self._handle_readable = handler
        super().__init__(*args, handler=self._handle_frame, **kwargs)

    def _create_subscribe_user_channel_msg(self, markets: list[str]) -> dict[str, Any]:
        message = super()._create_subscribe_user_channel_msg(markets=[])
        message.pop("markets", None)
        return message

    def _handle_frame(self, raw: bytes) -> None:
        """Pass on what can be read: the stock handler logs everything else with a traceback on the screen."""
        try:
            self._decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._refused.add(error, raw)
            return
        self._refused.log_if_due()
        self._handle_readable(raw)

    async def disconnect(self) -> None:
        self._refused.log()
        await super().disconnect()
