"""The market stream without a trading node: its subscriptions follow the running markets."""

from collections.abc import Callable, Iterable

import msgspec

from data_sources.channel import open_channel
from data_sources.types import Channel
from errors import Temporary

SIGNS_OF_LIFE = {b"", b"PONG", b"[]"}


class MarketStream:
    """The stream for its supervisor, `WebSocketManager`.

    Parameters
    ----------
    url : str
        Address of the socket.
    received : Callable[[bytes], None]
        Called with each frame.
    timeout_s : float
        Seconds for the handshake.
    """

    name = "market stream"
    ping_text = "PING"
    ping_every_s = 10.0

    def __init__(self, url: str, received: Callable[[bytes], None], timeout_s: float = 10.0) -> None:
        self._url = url
        self._received = received
        self._timeout_s = timeout_s
        self._tokens: set[str] = set()
        self._channel: Channel | None = None

    async def connect(self) -> Channel:
        return await open_channel(self.name, self._url, timeout_s=self._timeout_s)

    async def subscribe(self, channel: Channel) -> None:
        await self._send(channel, {"type": "market", "assets_ids": sorted(self._tokens)})
        self._channel = channel

    async def follow(self, tokens: Iterable[str]) -> None:
        """Subscribe to the books of these tokens, and to no others."""
        wanted = set(tokens)
        changes = {"subscribe": wanted - self._tokens, "unsubscribe": self._tokens - wanted}
        self._tokens = wanted
        for operation, changed in changes.items():
            if changed and self._channel is not None:
                try:
                    await self._send(self._channel, {"assets_ids": sorted(changed), "operation": operation})
                except Temporary:
                    self._channel = None  # the next connection subscribes to all of them

    def feed(self, frame: bytes) -> bool:
        if frame.strip() in SIGNS_OF_LIFE:
            return False
        self._received(frame)
        return True

    async def _send(self, channel: Channel, message: dict[str, object]) -> None:
        await channel.send(msgspec.json.encode(message).decode())
