"""Types of the external sources, and their errors.

Units: prices are ``Decimal`` USD (or USDT if documented), sizes ``Decimal`` units of the asset, ``source_ns``
the time stated by the source, ``received_ns`` the time of receipt; both integer nanoseconds since the epoch.
If a source states no time, ``source_ns`` equals ``received_ns``.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from errors import Refused, Temporary
from models import Frozen


class MalformedPayload(Temporary):
    """An answer that does not have the documented format. The only error of a parser."""


class RateLimited(Temporary):
    """The source asked for a pause.

    Parameters
    ----------
    message : str
        Source, request, and duration of the pause.
    retry_after_s : float
        Seconds until the next request is allowed.
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
        The server asks its clients to reconnect at a random time within this number of seconds; 0 if not.
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
    """The kind of a Chainlink price: the last price, or its 60-second mean."""

    SPOT = "spot"
    TWAP60 = "twap60"


class ChainPrice(Frozen, frozen=True):
    """One observation of a Chainlink stream. `feed` is the relay it was received from."""

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
    """Percentage of positive votes over the recent posts, 0 to 100; None without votes."""

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
        """Send a text frame; raises Temporary if the connection is lost."""
        ...

    async def recv(self) -> bytes:
        """The next frame; raises StreamClosed at the end, Refused if the server refuses this client."""
        ...

    async def aclose(self) -> None:
        """Close; never raises."""
        ...


class Stream(Protocol):
    """A websocket feed for its supervisor: the protocol, without the handling of the connection."""

    @property
    def name(self) -> str: ...

    @property
    def ping_text(self) -> str | None:
        """Text that the server expects regularly, if any."""
        ...

    @property
    def ping_every_s(self) -> float: ...

    async def connect(self) -> Channel:
        """Open one connection; raises Temporary or Refused."""
        ...

    async def subscribe(self, channel: Channel) -> None:
        """Authenticate and subscribe on a new connection; raises Temporary or Refused."""
        ...

    def feed(self, frame: bytes) -> bool:
        """Process one frame; True if it contained data. Raises MalformedPayload or Refused."""
        ...


def symbol_for(source: str, asset: str, symbols: dict[str, str]) -> str:
    """The source's name for `asset`.

    Raises
    ------
    Refused
        If the source does not have the asset.
    """
    try:
        return symbols[asset.lower()]
    except KeyError:
        known = ", ".join(sorted(symbols))
        raise Refused(f"{source}: no symbol for asset {asset!r}; it has {known}") from None
