"""One user-stream subscription for all markets, opened before the first order.

The stock client names each market it subscribes to, opens the stream at the first order and never closes it;
the fills of a market that was not named in time are lost. Without `markets` the venue sends the account's
events of all markets.

A frame that cannot be read is counted, and logged once a minute. No fill is lost: orders are looked up until
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
"""Key of the only subscription in the stock client's bookkeeping."""


class QuietAuth(PolymarketWebSocketAuth, frozen=True):
    """The stream's keys, hidden from the stock client's log: it writes them at each subscription at DEBUG,
    and as a
    warning if a connection is lost at a certain moment."""

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
        """Process readable frames only: the stock handler prints a traceback for all others."""
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
