"""Collects Chainlink's spot price and 60-second mean from the connected relays."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from common.singleton import Singleton
from data_sources.chainlink.polybolt import PolyBoltCredentials, PolyBoltStream
from data_sources.chainlink.prices import SOURCE
from data_sources.chainlink.rtds import RtdsStream
from data_sources.parsing import SECOND
from data_sources.types import ChainPrice, PriceKind, Stream, symbol_for
from errors import Temporary
from models import Spot

ASSETS = {asset: asset for asset in ("btc", "eth", "sol", "xrp", "doge", "bnb", "hype", "zec")}
KEPT = 600
"""Observations stored per kind: five minutes of two relays at one per second. A strike is computed from the
minute before a market's start, and until three minutes after it."""


class ChainlinkSource:
    """The last observations of one asset's settlement feed.

    It opens no connection itself: a supervisor keeps its `streams` connected.

    Parameters
    ----------
    asset : str
        btc, eth, sol, xrp, doge, bnb, hype or zec.
    rtds_url : str or None
        The public relay; None: not used.
    polybolt_url : str
        The authenticated relay.
    credentials : PolyBoltCredentials, optional
        Without them the authenticated relay is not used.
    stale_after_s : float
        Maximum age of an observation that is returned as a price.
    now_ns : callable
        The machine's clock in nanoseconds.
    timeout_s : float
        Seconds for a handshake.

    Raises
    ------
    Refused
        For an asset that the relays do not have.
    """

    name = SOURCE

    def __init__(
        self,
        asset: str = "btc",
        *,
        rtds_url: str | None = "wss://ws-live-data.polymarket.com",
        polybolt_url: str = "wss://ws-live-v2.polymarket.com/ws",
        credentials: PolyBoltCredentials | None = None,
        stale_after_s: float = 10.0,
        now_ns: Callable[[], int] = time.time_ns,
        timeout_s: float = 5.0,
    ) -> None:
        base = symbol_for(SOURCE, asset, ASSETS)
        self._now_ns = now_ns
        self._stale_after_ns = int(stale_after_s * SECOND)
        self._accepts: Callable[[ChainPrice], bool] = lambda price: True
        self._seen: dict[PriceKind, dict[tuple[str, int], ChainPrice]] = {kind: {} for kind in PriceKind}
        self._arrived: deque[ChainPrice] = deque(maxlen=KEPT)
        self.recorded = 0
        """Number of observations stored so far."""
        streams: list[Stream] = []
        if credentials is not None:
            streams.append(
                PolyBoltStream(polybolt_url, f"{base}usd", credentials, self.record_price, now_ns, timeout_s)
            )
        if rtds_url is not None:
            streams.append(RtdsStream(rtds_url, f"{base}/usd", self.record_price, now_ns, timeout_s))
        self.streams: tuple[Stream, ...] = tuple(streams)

    def record_price(self, price: ChainPrice) -> None:
        """Store an observation; a repeated one, as in a snapshot, has no effect."""
        seen = self._seen[price.kind]
        key = (price.feed, price.source_ns)
        if key in seen or not self._accepts(price):
            return
        seen[key] = price
        self._arrived.append(price)
        self.recorded += 1
        if len(seen) > KEPT:
            del seen[next(iter(seen))]

    def set_filter(self, accepts: Callable[[ChainPrice], bool]) -> None:
        """Store only observations for which `accepts` returns True from now on."""
        self._accepts = accepts

    def observations(self, kind: PriceKind) -> tuple[ChainPrice, ...]:
        """All stored observations, oldest first."""
        return tuple(sorted(self._seen[kind].values(), key=lambda price: price.source_ns))

    def since(self, recorded: int) -> Sequence[ChainPrice] | None:
        """The observations since `recorded` had a value; None if there were too many to store them all."""
        number = self.recorded - recorded
        return list(islice(reversed(self._arrived), number)) if number <= len(self._arrived) else None

    def latest(self, kind: PriceKind) -> ChainPrice:
        """The newest observation.

        Raises
        ------
        Temporary
            If there is none, or it is older than `stale_after_s`.
        """
        newest = max(self._seen[kind].values(), key=lambda price: price.source_ns, default=None)
        if newest is None:
            raise Temporary(f"{SOURCE}: no {kind} price received yet")
        age_ns = self._now_ns() - newest.source_ns
        if age_ns > self._stale_after_ns:
            raise Temporary(f"{SOURCE}: newest {kind} price is {age_ns / SECOND:.1f} s old")
        return newest

    async def spot(self) -> Spot:
        """The newest spot observation; raises like `latest`."""
        newest = self.latest(PriceKind.SPOT)
        return Spot(
            source=SOURCE,
            price=newest.price,
            source_ns=newest.source_ns,
            received_ns=newest.received_ns,
        )


_singleton = Singleton(ChainlinkSource)
get_chainlink_source = _singleton.get
reset_chainlink_source = _singleton.reset
