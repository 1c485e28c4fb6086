"""One user-stream subscription for all markets, opened before the first order.

The stock client names each market it subscribes to, opens the stream at the first order and never closes it;
the fills of a market that was not named in time are lost. Without `markets` the venue sends the account's
events of all markets.

A message that cannot be read or has an invalid value is counted, and logged once a minute. No fill is lost:
orders are looked up until their trades are final.
"""

from collections.abc import Callable
from typing import Any

from nautilus_trader.adapters.polymarket.common.credentials import PolymarketWebSocketAuth
from nautilus_trader.adapters.polymarket.schemas.user import PolymarketUserOrder, PolymarketUserTrade
from nautilus_trader.adapters.polymarket.websocket.client import PolymarketWebSocketClient

from common.plain_text import one_line
from patches.message_values import (
    CONDITION_ID,
    MILLISECONDS,
    ORDER_ID,
    SECONDS,
    TOKEN_ID,
    TRADE_ID,
    form_fault,
    price_fault,
    size_fault,
)
from patches.refused_messages import RefusedMessages

ALL_MARKETS = "*"
"""Key of the only subscription in the stock client's bookkeeping."""


class QuietAuth(PolymarketWebSocketAuth, frozen=True):
    """The stream's keys, hidden from the stock client's log: it writes them at each subscription at DEBUG,
    and as a warning if a connection is lost at a certain moment."""

    def __repr__(self) -> str:
        return "QuietAuth(***)"


def order_fault(message: PolymarketUserOrder) -> str | None:
    """Name and value of an order message's invalid field; None if all are valid."""
    return (
        form_fault("id", message.id, ORDER_ID)
        or form_fault("market", message.market, CONDITION_ID)
        or form_fault("asset_id", message.asset_id, TOKEN_ID)
        or form_fault("timestamp", message.timestamp, MILLISECONDS)
        or form_fault("expiration", message.expiration or "0", SECONDS)
        or price_fault(message.price)
        or size_fault(message.original_size)
        or size_fault(message.size_matched)
    )


def trade_fault(message: PolymarketUserTrade) -> str | None:
    """Name and value of a trade message's invalid field; None if all are valid."""
    fault = (
        form_fault("id", message.id, TRADE_ID)
        or form_fault("taker_order_id", message.taker_order_id, ORDER_ID)
        or form_fault("market", message.market, CONDITION_ID)
        or form_fault("asset_id", message.asset_id, TOKEN_ID)
        or form_fault("match_time", message.match_time, SECONDS)
        or price_fault(message.price)
        or size_fault(message.size)
    )
    legs = (
        form_fault("order_id", leg.order_id, ORDER_ID)
        or form_fault("asset_id", leg.asset_id, TOKEN_ID)
        or price_fault(leg.price)
        or size_fault(leg.matched_amount)
        for leg in message.maker_orders
    )
    return fault or next(filter(None, legs), None)


class AccountWebSocketClient(PolymarketWebSocketClient):
    """The account's only connection; `handler` may raise any exception for an unusable message."""

    def __init__(self, *args: Any, handler: Callable[[bytes], None], **kwargs: Any) -> None:
        self._refused = RefusedMessages("user stream")
        self._handle_message = handler
        super().__init__(*args, handler=self._handle_frame, **kwargs)

    def _create_subscribe_user_channel_msg(self, markets: list[str]) -> dict[str, Any]:
        message = super()._create_subscribe_user_channel_msg(markets=[])
        message.pop("markets", None)
        return message

    def _handle_frame(self, raw: bytes) -> None:
        try:
            self._handle_message(raw)
        except Exception as error:  # noqa: BLE001  one bad message must not end the stream
            self._refused.add(f"{type(error).__name__}: {one_line(error)}", raw)
        else:
            self._refused.log_if_due()

    async def disconnect(self) -> None:
        self._refused.log()
        await super().disconnect()
