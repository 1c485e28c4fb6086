"""`/ws/user`: an account's own order and trade events, for authenticated connections."""

import hmac
from typing import Any

import msgspec
from aiohttp import WSCloseCode, web

from venue.bad_values import damaged, send_stray
from venue.connections import Connection, serve
from venue.faults import Faults
from venue.ledger import VenueLedger


class _Auth(msgspec.Struct):
    apiKey: str
    secret: str
    passphrase: str


class _Message(msgspec.Struct):
    auth: _Auth | None = None
    markets: list[str] | None = None
    operation: str = "subscribe"


class _Subscriber(msgspec.Struct):
    """`markets` None: all of the account's markets."""

    address: str | None = None
    markets: set[str] | None = None


class UserFeed:
    """The subscribers and their markets."""

    def __init__(self, ledger: VenueLedger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults
        self._subscribers: dict[Connection, _Subscriber] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve the route."""
        if self._faults.consume("user_feed_refused") is not None:
            return web.Response(status=503, text="service unavailable")
        return await serve(request, self._opened, self._received, self._closed)

    def publish(self, address: str, condition_id: str, event: dict[str, Any]) -> None:
        """Send an event to the account's connections that subscribed to its market."""
        if self._faults.consume("user_feed_silent") is not None:
            return
        connections = [
            connection
            for connection, subscriber in self._subscribers.items()
            if subscriber.address == address
            and (subscriber.markets is None or condition_id in subscriber.markets)
        ]
        if not connections:
            return
        sent = damaged(self._faults, "user", event)
        for connection in connections:
            connection.send(sent)

    def send_stray(self) -> None:
        """Apply the fault of a stray frame, if there is a subscriber."""
        connections = [connection for connection, s in self._subscribers.items() if s.address is not None]
        send_stray(self._faults, "user", connections)

    async def close_all(self) -> None:
        """Close every connection."""
        for connection in list(self._subscribers):
            await connection.close()

    def _opened(self, connection: Connection) -> None:
        self._subscribers[connection] = _Subscriber()

    def _closed(self, connection: Connection) -> None:
        self._subscribers.pop(connection, None)

    async def _received(self, connection: Connection, content: Any) -> None:
        message = msgspec.convert(content, _Message)
        subscriber = self._subscribers[connection]
        if subscriber.address is None:
            subscriber.address = self._proven(message.auth)
            if subscriber.address is None:
                await connection.close(WSCloseCode.POLICY_VIOLATION)
                return
            subscriber.markets = set(message.markets) if message.markets else None
        elif message.operation == "unsubscribe":
            subscriber.markets = (subscriber.markets or set()) - set(message.markets or ())
        elif subscriber.markets is not None:
            subscriber.markets |= set(message.markets or ())

    def _proven(self, auth: _Auth | None) -> str | None:
        key = None if auth is None else self._ledger.key(auth.apiKey)
        if auth is None or key is None or self._faults.consume("api_key_revoked") is not None:
            return None
        same = hmac.compare_digest(auth.secret.encode(), key.secret.encode())
        return key.address if same and auth.passphrase == key.passphrase else None
