"""Determines the strike of each market by its settlement rule, from Chainlink or from the bot's own prices.

The settlement compares the price at a market's end with the one at its start, both by the same rule:
Chainlink's price (spot), or its mean over the last 30 or 60 seconds (TWAP). The relays publish the price and
the 60-second mean; the 30-second mean is computed from the price.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from core.ingestion.adapters.spot_path import SpotPath
from data_sources.types import ChainPrice
from models import Frozen, Rule, Strike

BOUNDARY_S = 3.0
"""Maximum delay of the first observation after the start: the stream has about one per second, and the
settlement uses the first one at or after the boundary."""
OPEN_S = 180.0
"""Time after the start during which the observation may still arrive: a relay that was down replays the last
two minutes when it recovers."""
MAX_DISAGREEMENT = Decimal("0.005")
"""Maximum relative difference of the two strikes. Their basis is a few hundredths of a percent; at half a
percent one of them is wrong, and no strike is better than a wrong one."""
WINDOW_S = {Rule.TWAP30: 30.0, Rule.TWAP60: 60.0}
"""Averaging window of each rule in seconds; a spot price is not an average."""
LONGEST_WINDOW_S = 2 * WINDOW_S[Rule.TWAP30]
"""Seconds before the start from which prices are used: those of the mean, and as many before."""
NAMES = {Rule.SPOT: "price", Rule.TWAP30: "30-second mean", Rule.TWAP60: "60-second mean"}
_EARLY_S = 0.001
_REMEMBERED = 4


class KnownStrike(Frozen, frozen=True):
    """A strike with the start of its market in seconds of market time.

    `source_ns` is the time of Chainlink's observation; None for a strike from our own prices.
    """

    start: int
    strike: Strike
    source_ns: int | None = None


class _Published(Frozen, frozen=True):
    """A price of Chainlink at a market's start: its relay and its time."""

    price: Decimal
    source: str
    source_ns: int


class _Market(Frozen, frozen=True):
    """Strikes by rule; `own_final` is the version of the path with which no more own ones can follow."""

    published: Mapping[Rule, _Published] = {}
    own: Mapping[Rule, Strike] = {}
    own_final: int | None = None


class Strikes:
    """Strikes of the last markets, by rule.

    Parameters
    ----------
    market_time : callable
        Seconds of market time at a machine time in nanoseconds.
    own_source : str
        Name of the source of the bot's own prices, used without Chainlink.
    """

    def __init__(self, market_time: Callable[[int], float], own_source: str) -> None:
        self._market_time = market_time
        self._own_source = own_source
        self._markets: dict[int, _Market] = {}

    def note(
        self,
        start: int,
        now_ns: int,
        path: SpotPath,
        means: Iterable[ChainPrice],
        spots: Iterable[ChainPrice] = (),
    ) -> None:
        """Update the strikes of the market that starts at `start`; call it often in its first minutes.

        Parameters
        ----------
        start : int
            In seconds of market time.
        now_ns : int
            The machine's clock.
        path : SpotPath
            The bot's own spot prices.
        means, spots : iterable of ChainPrice
            Chainlink's 60-second means and prices, in any order. None need be given while no further one is
            near the start (see `is_near`).
        """
        if self._market_time(now_ns) < start:
            return
        known = self._markets.get(start, _Market())
        means, spots = tuple(means), tuple(spots)
        published, own = known.published, known.own
        if means or spots:
            published = _earliest(published, self._published(start, means, spots))
        if len(own) < len(Rule) and known.own_final != path.rewritten:
            own = self._own(start, path) | dict(own)
        own_final = path.rewritten if path.is_after(start + BOUNDARY_S) else None
        self._markets[start] = _Market(published=published, own=own, own_final=own_final)
        while len(self._markets) > _REMEMBERED:
            del self._markets[min(self._markets)]

    def restore(self, known: KnownStrike) -> None:
        """Add a strike of an earlier process."""
        market, rule = self._markets.get(known.start, _Market()), known.strike.rule
        published, own = market.published, market.own
        if known.source_ns is None:
            own = {**own, rule: known.strike}
        else:
            observed = _Published(
                price=known.strike.price, source=known.strike.source, source_ns=known.source_ns
            )
            published = _earliest(published, {rule: observed})
        self._markets[known.start] = _Market(published=published, own=own)

    def known(self, start: int, rule: Rule) -> tuple[KnownStrike, ...]:
        """The known strikes of a market by a rule: our own, Chainlink's, or both."""
        market = self._markets.get(start, _Market())
        found = []
        if (own := market.own.get(rule)) is not None:
            found.append(KnownStrike(start=start, strike=own))
        if (published := market.published.get(rule)) is not None:
            strike = Strike(price=published.price, rule=rule, source=published.source)
            found.append(KnownStrike(start=start, strike=strike, source_ns=published.source_ns))
        return tuple(found)

    def is_open(self, start: int, now_ns: int) -> bool:
        """Whether an observation of the boundary may still arrive."""
        return 0 <= self._market_time(now_ns) - start <= OPEN_S

    def is_near(self, start: int, price: ChainPrice) -> bool:
        """Whether a price is one of those that the strikes of a market are computed from."""
        return -LONGEST_WINDOW_S <= self._market_time(price.source_ns) - start <= BOUNDARY_S

    def find(self, start: int, rule: Rule) -> Strike | str:
        """The strike by a rule, or the reason why there is none."""
        market = self._markets.get(start, _Market())
        own, published = market.own.get(rule), market.published.get(rule)
        name = f"Chainlink's {NAMES[rule]} at the start"
        if published is None:
            return own or f"{name} was not received, and the bot's own prices do not cover it"
        if own is not None and abs(published.price - own.price) > own.price * MAX_DISAGREEMENT:
            return f"{name} is {published.price}, the mean of the bot's own prices is {own.price:.2f}"
        return Strike(price=published.price, rule=rule, source=published.source)

    def _own(self, start: int, path: SpotPath) -> dict[Rule, Strike]:
        """Strikes from the bot's own prices, by rule."""
        prices = {rule: path.mean(start, window_s) for rule, window_s in WINDOW_S.items()}
        prices[Rule.SPOT] = path.first(start, BOUNDARY_S)
        return {
            rule: Strike(price=price, rule=rule, source=f"{self._own_source}_{_kind(rule)}")
            for rule, price in prices.items()
            if price is not None
        }

    def _published(
        self, start: int, means: tuple[ChainPrice, ...], spots: tuple[ChainPrice, ...]
    ) -> dict[Rule, _Published]:
        """Strikes from Chainlink's observations, by rule."""
        found: dict[Rule, _Published] = {}
        for rule, observations in ((Rule.TWAP60, means), (Rule.SPOT, spots)):
            first = self._at_boundary(start, observations)
            if first is not None:
                source = f"{first.source}_{rule}/{first.feed}"
                found[rule] = _Published(price=first.price, source=source, source_ns=first.source_ns)
        spot = self._at_boundary(start, spots)
        if spot is None:
            return found
        # The window is complete once a price at or after its end was received.
        mean = self._path_before(start, spots).mean(start, WINDOW_S[Rule.TWAP30])
        if mean is not None:
            source = f"{spot.source}_{_kind(Rule.TWAP30)}/{spot.feed}"
            found[Rule.TWAP30] = _Published(price=mean, source=source, source_ns=spot.source_ns)
        return found

    def _path_before(self, start: int, spots: tuple[ChainPrice, ...]) -> SpotPath:
        path = SpotPath(LONGEST_WINDOW_S)
        for spot in sorted(spots, key=lambda spot: spot.source_ns):
            at_s = self._market_time(spot.source_ns)
            if start - LONGEST_WINDOW_S <= at_s <= start + _EARLY_S:
                path.add(min(at_s, start), spot.price)
        return path

    def _at_boundary(self, start: int, published: Iterable[ChainPrice]) -> ChainPrice | None:
        late = ((self._market_time(price.source_ns) - start, price) for price in published)
        near = [(seconds, price) for seconds, price in late if -_EARLY_S <= seconds <= BOUNDARY_S]
        return min(near, key=lambda each: each[0])[1] if near else None


def _kind(rule: Rule) -> str:
    return f"mean{WINDOW_S[rule]:.0f}" if rule in WINDOW_S else str(rule)


def _earliest(known: Mapping[Rule, _Published], found: Mapping[Rule, _Published]) -> dict[Rule, _Published]:
    """The observation closer to the boundary, for each rule."""
    nearest = dict(known)
    for rule, published in found.items():
        if rule not in nearest or published.source_ns < nearest[rule].source_ns:
            nearest[rule] = published
    return nearest
