"""Pyth's price from its account on Solana, over JSON-RPC, while the account is updated."""

import itertools
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

from common.singleton import Singleton
from data_sources.solana.parsers import SOURCE, parse_account
from data_sources.solana.pyth import SOURCE as PYTH
from data_sources.solana.pyth import decode_price_account
from data_sources.transport import HttpFetcher, Received
from data_sources.types import MalformedPayload, PythPrice, symbol_for
from errors import Temporary
from models import Spot

PYTH_ACCOUNTS = {
    "btc": "GVXRSBjFk6e6J3NbVPXohDJetcTjaeeuykUpbQF8UoMU",
    "eth": "JBu1AL4obBcCMqKBBxhpWCNUt136ijcuMZLFvTP7iWdB",
    "sol": "H6ARHf6YXhGYeQfUzQNGk6rDNnLBQKrenN712K4AQJEG",
}
PYTH_PROGRAM = "FsJ3A3u2vn5cTVofAjvy6y5kwABJAqYWpe4975bi2epH"
MAX_SLOT_LAG = 25
"""Maximum age of a price in slots: pyth-sdk-solana's VALID_SLOT_PERIOD, about ten seconds."""
MAX_CONFIDENCE = Decimal("0.02")
"""Maximum confidence interval as a fraction of the price."""


class SolanaSource:
    """Pyth's price of one asset.

    These price accounts are Pyth's first generation: consumers moved on to pulled prices. Where the
    publishers have stopped, `spot` raises an error by the account's slot instead of returning an old price.

    Parameters
    ----------
    asset : str
        btc, eth or sol.
    base_url : str
        A JSON-RPC node.
    owner : str
        The program that must own the price account.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for one request.
    throttle : callable, optional
        Awaited before every request.
    received : Received, optional
        Called with every answer.

    Raises
    ------
    Refused
        For an asset without a known price account.
    """

    name = SOURCE

    def __init__(
        self,
        asset: str = "btc",
        *,
        base_url: str = "https://api.mainnet-beta.solana.com",
        owner: str = PYTH_PROGRAM,
        now_ns: Callable[[], int] = time.time_ns,
        timeout_s: float = 5.0,
        throttle: Callable[[], Awaitable[object]] | None = None,
        received: Received | None = None,
    ) -> None:
        self.account = symbol_for(SOURCE, asset, PYTH_ACCOUNTS)
        self.symbol = f"{asset.upper()}/USD"
        self._owner = owner
        self._now_ns = now_ns
        self._ids = itertools.count(1)
        self._http = HttpFetcher(
            SOURCE, base_url, now_ns=now_ns, timeout_s=timeout_s, throttle=throttle, received=received
        )

    async def pyth_price(self) -> PythPrice:
        """The content of the price account, of any age."""
        body = await self._call("getAccountInfo", [self.account, {"encoding": "base64"}])
        account = parse_account(body)
        if account.owner != self._owner:
            raise MalformedPayload(
                f"{PYTH}: account {self.account} belongs to {account.owner}, not to the oracle"
            )
        return decode_price_account(
            account.data, symbol=self.symbol, slot=account.slot, received_ns=self._now_ns()
        )

    async def spot(self) -> Spot:
        """Pyth's price.

        Raises
        ------
        Temporary
            If the price is not trading, is older than `MAX_SLOT_LAG` slots, or has a too wide confidence
            interval.
        """
        price = await self.pyth_price()
        lag = price.slot - price.pub_slot
        if not price.trading:
            raise Temporary(f"{PYTH}: {price.symbol} is not trading")
        if lag > MAX_SLOT_LAG:
            raise Temporary(f"{PYTH}: {price.symbol} is {lag} slots old, {MAX_SLOT_LAG} allowed")
        if price.confidence > price.price * MAX_CONFIDENCE:
            raise Temporary(
                f"{PYTH}: {price.symbol} {price.price} has a confidence interval of ± {price.confidence}"
            )
        return Spot(source=PYTH, price=price.price, source_ns=price.source_ns, received_ns=price.received_ns)

    async def _call(self, method: str, params: list[object]) -> bytes:
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        return (await self._http.post("/", message)).body

    async def aclose(self) -> None:
        await self._http.aclose()


_singleton = Singleton(SolanaSource)
get_solana_source = _singleton.get
reset_solana_source = _singleton.reset
