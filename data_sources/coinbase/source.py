"""Coinbase's spot price over REST, from the app's API or, as a fallback, from the exchange."""

import time
from collections.abc import Awaitable, Callable

from common.singleton import Singleton
from data_sources.coinbase.parsers import SOURCE, parse_spot, parse_ticker
from data_sources.transport import HttpFetcher, Received
from data_sources.types import Ticker, symbol_for
from errors import BotError, Refused, Temporary
from models import Spot

PRODUCTS = {
    "btc": "BTC-USD",
    "eth": "ETH-USD",
    "sol": "SOL-USD",
    "xrp": "XRP-USD",
    "doge": "DOGE-USD",
    "bnb": "BNB-USD",
    "hype": "HYPE-USD",
    "zec": "ZEC-USD",
}
AVOIDED_FOR_NS = 30_000_000_000
"""After a failure of the app's API the exchange is requested first for this time."""


class CoinbaseSource:
    """Spot prices of one asset in USD.

    Parameters
    ----------
    asset : str
        btc, eth, sol, xrp, doge, bnb, hype or zec.
    base_url : str
        The app's API, which is preferred.
    exchange_url : str
        The exchange's API, used if the first does not answer.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for one request; `spot` may need two of them.
    throttle : callable, optional
        Awaited before every request.
    received : Received, optional
        Called with every answer.

    Raises
    ------
    Refused
        For an asset without a USD product at Coinbase.
    """

    name = SOURCE

    def __init__(
        self,
        asset: str = "btc",
        *,
        base_url: str = "https://api.coinbase.com",
        exchange_url: str = "https://api.exchange.coinbase.com",
        now_ns: Callable[[], int] = time.time_ns,
        timeout_s: float = 3.0,
        throttle: Callable[[], Awaitable[object]] | None = None,
        received: Received | None = None,
    ) -> None:
        self.product = symbol_for(SOURCE, asset, PRODUCTS)
        self._now_ns = now_ns
        self._app_failed_ns = -AVOIDED_FOR_NS
        self._app = HttpFetcher(
            SOURCE, base_url, now_ns=now_ns, timeout_s=timeout_s, throttle=throttle, received=received
        )
        self._exchange = HttpFetcher(
            SOURCE, exchange_url, now_ns=now_ns, timeout_s=timeout_s, throttle=throttle, received=received
        )

    async def spot(self) -> Spot:
        """The current spot price, from the API that answered last, otherwise from the other one.

        Raises
        ------
        Refused
            If both refuse.
        Temporary
            In every other case in which neither answers.
        """
        ways = (
            [self._exchange_spot, self._app_spot]
            if self._app_is_down()
            else [self._app_spot, self._exchange_spot]
        )
        errors: list[BotError] = []
        for way in ways:
            try:
                return await way()
            except (Refused, Temporary) as error:
                errors.append(error)
        text = "; ".join(str(error) for error in errors)
        raise Refused(text) if all(isinstance(error, Refused) for error in errors) else Temporary(text)

    def _app_is_down(self) -> bool:
        # With a deadline there is no time to repeat a request that failed a moment ago.
        return 0 <= self._now_ns() - self._app_failed_ns < AVOIDED_FOR_NS

    async def _app_spot(self) -> Spot:
        try:
            reply = await self._app.get(f"/v2/prices/{self.product}/spot")
            return parse_spot(reply.body, self.product, reply.received_ns, reply.held_ns)
        except (Refused, Temporary):
            self._app_failed_ns = self._now_ns()
            raise

    async def _exchange_spot(self) -> Spot:
        seen = await self.ticker()
        return Spot(source=SOURCE, price=seen.price, source_ns=seen.source_ns, received_ns=seen.received_ns)

    async def ticker(self) -> Ticker:
        """The exchange's ticker: last trade, best bid and ask, 24-hour volume."""
        reply = await self._exchange.get(f"/products/{self.product}/ticker")
        return parse_ticker(reply.body, self.product, reply.received_ns)

    async def aclose(self) -> None:
        await self._app.aclose()
        await self._exchange.aclose()


_singleton = Singleton(CoinbaseSource)
get_coinbase_source = _singleton.get
reset_coinbase_source = _singleton.reset
