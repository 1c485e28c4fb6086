"""Binance's best bid and ask: from the stream while it is recent, otherwise from REST."""

import time
from collections.abc import Awaitable, Callable

from common.singleton import Singleton
from data_sources.binance.parsers import SOURCE, parse_book_ticker, parse_stream_frame
from data_sources.channel import open_channel
from data_sources.parsing import SECOND
from data_sources.transport import HttpFetcher, Received
from data_sources.types import BookTicker, Channel, symbol_for
from models import Spot

SYMBOLS = {
    "btc": "BTCUSDT",
    "eth": "ETHUSDT",
    "sol": "SOLUSDT",
    "xrp": "XRPUSDT",
    "doge": "DOGEUSDT",
    "bnb": "BNBUSDT",
    "zec": "ZECUSDT",
}


class BinanceSource:
    """Quotes of one asset against USDT, which trades some basis points off the dollar.

    It is a `Stream` that a supervisor keeps connected; without a stream every read is a REST request. By
    default the hosts for market data are used, which also answer where the trading hosts answer 451.

    Parameters
    ----------
    asset : str
        btc, eth, sol, xrp, doge, bnb or zec.
    base_url, stream_url : str
        Hosts of REST and of the websocket.
    stale_after_s : float
        A streamed quote older than this is not used.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for one request or handshake.
    throttle : callable, optional
        Awaited before every request.
    received : Received, optional
        Called with every answer.

    Raises
    ------
    Refused
        For an asset that is not listed.
    """

    name = SOURCE
    ping_text: str | None = None  # the server pings, and the library answers
    ping_every_s = 0.0

    def __init__(
        self,
        asset: str = "btc",
        *,
        base_url: str = "https://data-api.binance.vision",
        stream_url: str = "wss://data-stream.binance.vision",
        stale_after_s: float = 5.0,
        now_ns: Callable[[], int] = time.time_ns,
        timeout_s: float = 5.0,
        throttle: Callable[[], Awaitable[object]] | None = None,
        received: Received | None = None,
    ) -> None:
        self.symbol = symbol_for(SOURCE, asset, SYMBOLS)
        self._stream_url = stream_url.rstrip("/")
        self._stale_after_ns = int(stale_after_s * SECOND)
        self._now_ns = now_ns
        self._timeout_s = timeout_s
        self._http = HttpFetcher(
            SOURCE, base_url, now_ns=now_ns, timeout_s=timeout_s, throttle=throttle, received=received
        )
        self._quote: BookTicker | None = None

    async def book_ticker(self) -> BookTicker:
        """Best bid and ask; raises Temporary or Refused (451 in some countries) if REST is needed."""
        if self._quote is not None and self._is_fresh(self._quote.received_ns):
            return self._quote
        reply = await self._http.get("/api/v3/ticker/bookTicker", {"symbol": self.symbol})
        return parse_book_ticker(reply.body, self.symbol, reply.received_ns)

    async def spot(self) -> Spot:
        """The mid price of best bid and ask, in USDT."""
        quote = await self.book_ticker()
        return Spot(source=SOURCE, price=quote.mid, source_ns=quote.source_ns, received_ns=quote.received_ns)

    async def connect(self) -> Channel:
        address = f"{self._stream_url}/stream?streams={self.symbol.lower()}@bookTicker"
        return await open_channel(SOURCE, address, timeout_s=self._timeout_s)

    async def subscribe(self, channel: Channel) -> None:
        """Nothing to send: the address contains the stream's name."""

    def feed(self, frame: bytes) -> bool:
        quote = parse_stream_frame(frame, self.symbol, self._now_ns())
        self._quote = quote or self._quote
        return quote is not None

    def _is_fresh(self, received_ns: int) -> bool:
        return 0 <= self._now_ns() - received_ns <= self._stale_after_ns

    async def aclose(self) -> None:
        await self._http.aclose()


_singleton = Singleton(BinanceSource)
get_binance_source = _singleton.get
reset_binance_source = _singleton.reset
