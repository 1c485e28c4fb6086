"""PolyBolt, the authenticated relay of prices: first an API key of the venue, then channels with filters."""

import hmac
from collections import deque
from typing import Any

import msgspec
from aiohttp import web

from venue.amounts import decimal_text
from venue.external.access import service
from venue.external.assets import symbol_of
from venue.external.feeds import Feeds
from venue.external.services import PATHS
from venue.external.session import StreamSession
from venue.ledger import VenueLedger
from venue.sources.price_path import UNIT
from venue.wire.common import venue_of

routes = web.RouteTableDef()

BAD_AUTH, POLICY = 4001, 4008
"""Close codes."""
MOST_SUBSCRIPTIONS = 64
MOST_FRAMES = 20
"""Frames that a client may send per second."""
SECOND_NS = 10**9

SYMBOLS, PROVIDER = "{}usd", "chainlink"
SPOT, TWAP = "price.crypto", "price.crypto.twap"
WINDOWS = (30, 60)


class _Auth(msgspec.Struct):
    apiKey: str
    secret: str
    passphrase: str


class _Filter(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str | None = None
    window_seconds: int | None = None
    source: str = PROVIDER


class _Wanted(msgspec.Struct):
    channel: str
    filter: _Filter = msgspec.field(default_factory=_Filter)


class _Message(msgspec.Struct):
    op: str
    rid: str | None = None
    auth: _Auth | None = None
    subscriptions: list[_Wanted] = []


Stream = tuple[str, int | None, str]
"""A channel, the window of an average, and the asset."""


class PolyBoltSession(StreamSession):
    service = "polybolt"
    heartbeat = 25.0

    def __init__(self, feeds: Feeds, ledger: VenueLedger) -> None:
        super().__init__(feeds)
        self._ledger = ledger
        self._authed = False
        self._published: dict[Stream, int] = {}
        self._sequence: dict[str, int] = {}
        self._received_ns: deque[int] = deque(maxlen=MOST_FRAMES + 1)

    async def received(self, content: Any) -> None:
        self._received_ns.append(self.feeds.wall_ns())
        if len(self._received_ns) > MOST_FRAMES and self._received_ns[-1] - self._received_ns[0] < SECOND_NS:
            await self.close(POLICY)
            return
        message = msgspec.convert(content, _Message)
        if message.op == "auth" and self._proven(message.auth):
            self._authed = True
            self.send({"op": "authed", "rid": message.rid})
        elif message.op == "auth" or not self._authed:
            await self.close(BAD_AUTH)
        elif message.op in ("subscribe", "unsubscribe"):
            self._change(message)

    def observed(self, second: int) -> None:
        for stream, published in self._published.items():
            if second > published:
                self._published[stream] = second
                self._publish(stream, self._observation(stream, second))

    def _proven(self, auth: _Auth | None) -> bool:
        key = None if auth is None else self._ledger.key(auth.apiKey)
        if auth is None or key is None:
            return False
        same = hmac.compare_digest(auth.secret.encode(), key.secret.encode())
        return same and hmac.compare_digest(auth.passphrase.encode(), key.passphrase.encode())

    def _change(self, message: _Message) -> None:
        streams = {stream: None for wanted in message.subscriptions for stream in self._streams(wanted)}
        if message.op == "unsubscribe":
            for stream in streams:
                self._published.pop(stream, None)
            self.send({"op": "unsubscribed", "rid": message.rid})
            return
        if len(message.subscriptions) > MOST_SUBSCRIPTIONS:
            self.send({"op": "error", "rid": message.rid, "code": "too_many_subscriptions"})
            return
        self.send({"op": "subscribed", "rid": message.rid})
        for stream in streams:
            past = self.past()
            self._published[stream] = past[-1]
            self._publish_snapshot(stream, past)

    def _publish_snapshot(self, stream: Stream, seconds: range) -> None:
        rows = [self._observation(stream, second) for second in seconds]
        data = [{key: row[key] for key in ("timestamp", "value", "full_accuracy_value")} for row in rows]
        same = {key: value for key, value in rows[-1].items() if key not in data[-1]}
        self._publish(stream, {**same, "data": data}, snapshot=True)

    def _publish(self, stream: Stream, payload: dict[str, Any], **more: Any) -> None:
        channel = stream[0]
        self._sequence[channel] = self._sequence.get(channel, 0) + 1
        stamp = self.feeds.stamp_ms(self.service)
        frame = {"v": 1, "channel": channel, "seq": self._sequence[channel], "ts": stamp, **more}
        self.send({**frame, "payload": payload})

    def _observation(self, stream: Stream, second: int) -> dict[str, Any]:
        """A price as an exact decimal text."""
        _, window, asset = stream
        feeds = self.feeds
        price = feeds.spot(second, asset) if window is None else feeds.mean(second, window, asset)
        exact = decimal_text(price, UNIT)
        observation = {
            "symbol": symbol_of(asset, SYMBOLS),
            "value": float(exact),
            "full_accuracy_value": exact,
            "timestamp": self.feeds.moment(second).wall_ms,
            "source": PROVIDER,
        }
        return observation if window is None else {**observation, "window_seconds": window}

    def _streams(self, wanted: _Wanted) -> list[Stream]:
        """The streams of a subscription; none for other symbols, providers and channels."""
        chosen = wanted.filter
        if chosen.source != PROVIDER:
            return []
        assets = [asset for asset in self.feeds.assets if chosen.symbol in (None, symbol_of(asset, SYMBOLS))]
        if wanted.channel == SPOT:
            return [(SPOT, None, asset) for asset in assets]
        if wanted.channel == TWAP:
            windows = [window for window in WINDOWS if chosen.window_seconds in (None, window)]
            return [(TWAP, window, asset) for asset in assets for window in windows]
        return []


@routes.get(PATHS["polybolt"])
@service("polybolt")
async def polybolt(request: web.Request, feeds: Feeds) -> web.StreamResponse:
    return await PolyBoltSession(feeds, venue_of(request).ledger).run(request)
