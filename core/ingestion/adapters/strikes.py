"""The strike of each market: Chainlink's 60-second mean at its start, or else our own."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from core.ingestion.adapters.spot_path import SpotPath
from data_sources.types import ChainPrice
from models import Frozen, Rule, Strike

BOUNDARY_S = 3.0
"""How long after the start the first observation may come: the stream has about one a second, and the
settlement takes the first one at or after the boundary."""
OPEN_S = 180.0
"""How long after the start the observation is still looked for: a relay that was down replays the last
two minutes when it is back."""
MAX_DISAGREEMENT = Decimal("0.005")
"""Share by which the two ways to a strike may differ. Their basis is a few hundredths of a percent; at
half a percent one of them is wrong, and no strike is better than a wrong one."""
_EARLY_S = 0.001
_REMEMBERED = 4


class _Market(Frozen, frozen=True):
    heard: ChainPrice | None = None
    own: Strike | None = None


class Strikes:
    """Strikes of the last markets.

    Parameters
    ----------
    market_time : callable
        Seconds of market time at a machine time in nanoseconds.
    own_source : str
        Name of the source whose path is averaged.
    """

    def __init__(self, market_time: Callable[[int], float], own_source: str) -> None:
        self._market_time = market_time
        self._own_source = own_source
        self._markets: dict[int, _Market] = {}

    def note(self, start: int, now_ns: int, path: SpotPath, heard: Iterable[ChainPrice]) -> None:
        """Look for the strike of the market that starts at `start`; call it often in its first minutes."""
        if self._market_time(now_ns) < start:
            return
        known = self._markets.get(start, _Market())
        self._markets[start] = _Market(
            heard=self._earlier(known.heard, self._at_boundary(start, heard)),
            own=known.own or self._own(start, now_ns, path),
        )
        while len(self._markets) > _REMEMBERED:
            del self._markets[min(self._markets)]

    def is_open(self, start: int, now_ns: int) -> bool:
        """Whether an observation of the boundary may still arrive."""
        return 0 <= self._market_time(now_ns) - start <= OPEN_S

    def find(self, start: int) -> Strike | str:
        """The strike, or the reason why there is none."""
        market = self._markets.get(start, _Market())
        own, heard = market.own, market.heard
        if heard is None:
            return (
                own or "neither Chainlink's mean at the start was heard nor is the minute before it covered"
            )
        if own is not None and abs(heard.price - own.price) > own.price * MAX_DISAGREEMENT:
            return f"Chainlink's mean at the start is {heard.price}, ours is {own.price:.2f}"
        return Strike(
            price=heard.price,
            rule=Rule.TWAP60,
            source=f"{heard.source}_twap60/{heard.feed}",
            recorded_ns=heard.received_ns,
        )

    def _own(self, start: int, now_ns: int, path: SpotPath) -> Strike | None:
        mean = path.mean(start)
        if mean is None:
            return None
        return Strike(price=mean, rule=Rule.TWAP60, source=f"{self._own_source}_mean60", recorded_ns=now_ns)

    def _at_boundary(self, start: int, heard: Iterable[ChainPrice]) -> ChainPrice | None:
        late = ((self._market_time(price.source_ns) - start, price) for price in heard)
        near = [(seconds, price) for seconds, price in late if -_EARLY_S <= seconds <= BOUNDARY_S]
        return min(near, key=lambda each: each[0])[1] if near else None

    @staticmethod
    def _earlier(known: ChainPrice | None, found: ChainPrice | None) -> ChainPrice | None:
        if known is None or (found is not None and found.source_ns < known.source_ns):
            return found
        return known
