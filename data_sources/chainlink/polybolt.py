"""PolyBolt, Polymarket's authenticated live-data socket: the maintained relay of the settlement price."""

from collections.abc import Callable
from typing import Any

import msgspec

from data_sources.chainlink.prices import SOURCE, WINDOW_S, read_payload
from data_sources.channel import open_channel
from data_sources.parsing import decode_object, mapping, shown, text
from data_sources.types import ChainPrice, Channel, PriceKind, StreamClosed
from errors import Refused
from models import Frozen

FEED = "polybolt"
CHANNELS = {"price.crypto.twap": PriceKind.TWAP60, "price.crypto": PriceKind.SPOT}
REFUSALS = {4001: "the credentials are wrong", 4008: "policy violation"}
SPREADS = {4003: 10.0}
"""4003: the server is draining; reconnect after a random delay of up to ten seconds."""


class PolyBoltCredentials(Frozen, frozen=True):
    """The CLOB API credentials; never displayed."""

    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "PolyBoltCredentials(***)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class PolyBoltFrame(Frozen, frozen=True):
    """A frame: either an acknowledgement (`op`, with a `code` if it is an error), or observations."""

    op: str | None = None
    code: str | None = None
    prices: tuple[ChainPrice, ...] = ()


def parse_polybolt(frame: bytes, symbol: str, received_ns: int) -> PolyBoltFrame:
    """Parse one frame and return Chainlink's observations of `symbol` (``btcusd``).

    ``{"v":1,"channel":"price.crypto.twap","seq":7,"ts":ms,"payload":{"symbol":"btcusd","value":65000.5,
    "full_accuracy_value":"65000.5","timestamp":ms,"window_seconds":60,"source":"chainlink"}}``; a
    snapshot of the last two minutes has the same with ``payload.data``, a list.
    """
    envelope = decode_object(FEED, frame)
    if "op" in envelope:
        code = envelope.get("code")
        return PolyBoltFrame(op=text(FEED, "op", envelope["op"]), code=None if code is None else shown(code))
    channel = envelope.get("channel")
    kind = CHANNELS.get(channel) if isinstance(channel, str) else None
    if kind is None:
        return PolyBoltFrame()
    payload = mapping(FEED, "payload", envelope.get("payload"))
    if payload.get("source", SOURCE) != SOURCE:
        return PolyBoltFrame()
    return PolyBoltFrame(prices=read_payload(FEED, kind, payload, symbol, received_ns))


class PolyBoltStream:
    """The relay as a supervised stream.

    Parameters
    ----------
    url : str
        Address of the socket.
    For example ``btcusd``.
        Such as ``btcusd``.
    credentials : PolyBoltCredentials
        Sent once per connection.
    sink : callable
        Receives every observation.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for the handshake.
    """

    name = f"chainlink_{FEED}"
    ping_text: str | None = None  # the server pings every 25 s, and the library answers
    ping_every_s = 0.0

    def __init__(
        self,
        url: str,
        symbol: str,
        credentials: PolyBoltCredentials,
        sink: Callable[[ChainPrice], None],
        now_ns: Callable[[], int],
        timeout_s: float,
    ) -> None:
        self._url = url
        self._symbol = symbol
        self._credentials = credentials
        self._sink = sink
        self._now_ns = now_ns
        self._timeout_s = timeout_s

    async def connect(self) -> Channel:
        return await open_channel(
            self.name, self._url, timeout_s=self._timeout_s, refusals=REFUSALS, spreads=SPREADS
        )

    async def subscribe(self, channel: Channel) -> None:
        await channel.send(msgspec.json.encode(self._auth_message()).decode())
        while self._read(await channel.recv()).op != "authed":
            pass
        twap = {
            "channel": "price.crypto.twap",
            "filter": {"symbol": self._symbol, "window_seconds": WINDOW_S},
        }
        spot = {"channel": "price.crypto", "filter": {"symbol": self._symbol}}
        message = {"op": "subscribe", "rid": "prices", "subscriptions": [twap, spot]}
        await channel.send(msgspec.json.encode(message).decode())

    def feed(self, frame: bytes) -> bool:
        prices = self._read(frame).prices
        for price in prices:
            self._sink(price)
        return bool(prices)

    def _auth_message(self) -> dict[str, object]:
        known = self._credentials
        auth = {"apiKey": known.api_key, "secret": known.secret, "passphrase": known.passphrase}
        return {"op": "auth", "rid": "auth", "auth": auth}

    def _read(self, frame: bytes) -> PolyBoltFrame:
        parsed = parse_polybolt(frame, self._symbol, self._now_ns())
        if parsed.op == "error":
            if "auth" in (parsed.code or ""):
                raise Refused(f"{self.name}: the server answers {parsed.code}")
            raise StreamClosed(f"{self.name}: the server answers {parsed.code}")
        return parsed
