"""One user-stream subscription for all markets, opened before the first order.

The stock client names each market it subscribes to, opens the stream at the first order and never closes it;
the fills of a market that was not named in time are lost. Without `markets` the venue sends the account's
events of all markets.

A message that cannot be read or has an invalid value is counted, and logged once a minute. No fill is lost:
orders are looked up until their trades are final.
"""

from collections.abc import Awaitable, Callable

import msgspec
from nautilus_trader.adapters.polymarket.common.credentials import PolymarketWebSocketAuth
from nautilus_trader.adapters.polymarket.schemas.user import PolymarketUserOrder, PolymarketUserTrade

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
from patches.stream_socket import StreamSocket

SILENT_S = 300.0
"""Time without a message after which the connection is renewed, as by the stock client."""


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


class AccountStream:
    """The account's only connection.

    Parameters
    ----------
    url : str
        Address of the stream.
    auth : PolymarketWebSocketAuth
        The account's keys; never logged.
    handler : Callable[[bytes], None]
        Called with each message; may raise any exception for an unusable one.
    reconnected : Callable[[], Awaitable[None]]
        Called each time the stream was opened again.
    """

    def __init__(
        self,
        url: str,
        auth: PolymarketWebSocketAuth,
        handler: Callable[[bytes], None],
        reconnected: Callable[[], Awaitable[None]],
    ) -> None:
        self._subscription = msgspec.json.encode({"auth": auth, "type": "user"})
        self._reconnected = reconnected
        self._socket = StreamSocket("user stream", url, handler, self._subscribe_again, SILENT_S)

    async def connect(self) -> None:
        """Open the connection and subscribe.

        Raises
        ------
        Refused, Temporary
            If the venue refuses the connection, or does not answer.
        """
        await self._socket.connect()
        await self._socket.send_text(self._subscription)

    async def disconnect(self) -> None:
        """Close the connection, and open none again."""
        await self._socket.disconnect()

    async def _subscribe_again(self) -> None:
        await self._socket.send_text(self._subscription)
        await self._reconnected()
