"""The nouns only the feeds use, and the ways a feed can fail.

Units: prices are ``Decimal`` USD (or USDT where the source says so), sizes ``Decimal`` units of the
asset, ``source_ns`` the time the source states, ``received_ns`` the time it reached us; both integer
nanoseconds since the epoch. Where a source states no time, ``source_ns`` equals ``received_ns``.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from errors import Refused, Temporary
from models import Frozen


class MalformedPayload(Temporary):
    """An answer that is not what the source promises. The only error a parser raises."""


class RateLimited(Temporary):
    """The source asked us to wait.

    Parameters
    ----------
    message : str
        Source, what was asked, and for how long it refuses.
    retry_after_s : float
        Seconds until it may be asked again.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StreamClosed(Temporary):
    """A websocket ended.

    Parameters
    ----------
    message : str
        Source, close code and reason.
    spread_s : float
        The server asks its clients to come back at a random moment within so many seconds; 0 if not.
    """

    def __init__(self, message: str, spread_s: float = 0.0) -> None:
        super().__init__(message)
        self.spread_s = spread_s


class Ticker(Frozen, frozen=True):
    """Last price with the best bid and ask, and the 24-hour volume in units of the asset."""

    source: str
    symbol: str
    price: Decimal
    bid: Decimal
    ask: Decimal
    volume: Decimal
    source_ns: int
    received_ns: int


class BookTicker(Frozen, frozen=True):
    """Best bid and ask with their sizes."""

    source: str
    symbol: str
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    source_ns: int
    received_ns: int

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


class PriceKind(StrEnum):
    """Which of Chainlink's streams a price belongs to: the last price, or its 60-second mean."""

    SPOT = "spot"
    TWAP60 = "twap60"


class ChainPrice(Frozen, frozen=True):
    """One observation of a Chainlink stream. `feed` names the relay it came through."""

    source: str
    feed: str
    kind: PriceKind
    symbol: str
    price: Decimal
    source_ns: int
    received_ns: int


class PythPrice(Frozen, frozen=True):
    """The aggregate of a Pyth price account.

    `confidence` is one standard deviation in USD, `pub_slot` the slot of publication and `slot` the
    chain's slot when the account was read: their difference is the price's age in slots (about 0.4 s).
    """

    source: str
    symbol: str
    price: Decimal
    confidence: Decimal
    trading: bool
    pub_slot: int
    slot: int
    source_ns: int
    received_ns: int


class NewsPost(Frozen, frozen=True):
    """One headline with its readers' votes."""

    title: str
    positive: int
    negative: int
    published_ns: int


class NewsSentiment(Frozen, frozen=True):
    """Share of positive votes over the recent posts, 0 to 100; None when nobody voted."""

    source: str
    score: float | None
    positive: int
    negative: int
    posts: tuple[NewsPost, ...]
    source_ns: int
    received_ns: int


class Channel(Protocol):
    """One open websocket connection."""

    async def send(self, text: str) -> None:
        """Send a text frame; raises Temporary when the connection is gone."""
        ...

    async def recv(self) -> bytes:
        """Next frame; raises StreamClosed at the end, Refused when the server will not have us."""
        ...

    async def aclose(self) -> None:
        """Close; never raises."""
        ...


class Stream(Protocol):
    """A websocket feed as its supervisor sees it. Holds the protocol, not the connection's fate."""

    @property
    def name(self) -> str: ...

    @property
    def ping_text(self) -> str | None:
        """Text the server wants to see regularly, if any."""
        ...

    @property
    def ping_every_s(self) -> float: ...

    async def connect(self) -> Channel:
        """Open one connection; raises Temporary or Refused."""
        ...

    async def subscribe(self, channel: Channel) -> None:
        """Authenticate and subscribe on a fresh connection; raises Temporary or Refused."""
        ...

    def feed(self, frame: bytes) -> bool:
        """Take one frame; True if it brought data. Raises MalformedPayload or Refused."""
        ...


def symbol_for(source: str, asset: str, symbols: dict[str, str]) -> str:
    """The source's own name for `asset`.

    Raises
    ------
    Refused
        If the source has none: asking it would never succeed.
    """
    try:
        return symbols[asset.lower()]
    except KeyError:
        known = ", ".join(sorted(symbols))
        raise Refused(f"{source}: no symbol for asset {asset!r}; it has {known}") from None
