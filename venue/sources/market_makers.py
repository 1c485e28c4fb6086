"""The synthetic market makers: their estimate of P(Up), and the books that they quote from it.

Estimate: P(Up) = Φ(z) with z = ln(M/K) / (σ √τₑ), where K is the sixty-second mean at the start, and with τ
seconds left M is the spot price and τₑ = τ − 40, or, inside the last minute, M is the weighted mean of the
elapsed part of the final average and the spot price and τₑ = τ³/10800 (an average's variance; see the
settlement rule). Makers receive the price `LAG_SECONDS` late, estimate σ with an error, and have a slowly
varying error in z: these produce the noise of the mid around the fair price.

Parameters and their sources (17,126 recorded markets up to May 2026; 4,450 in a published study; the 18
bundled ones, which are of the averaging era): spread one tick 91.9 % of the time; 60 to 110 shares in the
median at the touch; share of one-sided books 8.7 % at 690 s, 21.2 % at 780 s, 38.2 % at 840 s, and in the
averaging era practically all of the last thirty seconds; about 20 levels per side with the largest sizes some
ticks behind the touch.
"""

import hashlib
import math
import random
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from statistics import NormalDist

import msgspec

from venue.amounts import CENT_MILLS, MICRO, MILL
from venue.market import INTERVAL
from venue.order_book import Side, VenueBook
from venue.sources.price_path import JUMP_VARIANCE, WINDOW, AssetPath, draws

LAG_SECONDS = (1, 2, 3)
SIGMA_ERROR = 0.10
"""Standard deviation of the log of estimated over true σ, one draw per market."""
NOISE, NOISE_SECONDS = 0.15, 45.0
"""Standard deviation of the slow error in z, and its decay time."""

FINE_ABOVE, FINE_BELOW = 0.96, 0.04
"""Beyond these prices the venue's tick becomes 0.001, for the rest of the market."""
SUREST = 0.9985
"""Maximum estimated probability while both sides are quoted: the ask cannot exceed 0.999."""

SPREADS = ((0.919, 1), (0.980, 2), (1.0, 3))
"""(cumulative share, spread in cents)"""
FINE_SPREADS = ((0.35, 1), (0.55, 2), (0.75, 5), (1.0, 8))
"""The same in mills beyond the fine prices."""

ONE_SIDED = ((300, 0.0), (690, 0.087), (780, 0.212), (840, 0.382), (870, 0.90), (890, 0.97), (900, 1.0))
"""(second, share of markets whose favourite is no longer offered); linear in between."""
SURE_ENOUGH = 0.97
"""A favourite with a lower probability is always offered."""

LEVELS = 20
MEDIAN_SHARES = (
    85,
    200,
    500,
    850,
    1200,
    1300,
    950,
    550,
    350,
    260,
    200,
    170,
    155,
    140,
    125,
    110,
    95,
    85,
    80,
    75,
)
"""Median size of each level from the touch on."""
TOUCH_SPREAD, DEEP_SPREAD = 1.3, 0.8
"""Standard deviation of the log of a size, at the touch and behind it."""
SMALLEST = MICRO
CENTI_SHARE = MICRO // 100
SHORTEST_LIFE, LONGEST_LIFE = 3, 9
"""Number of seconds for which a level keeps its size."""

_NORMAL = NormalDist()
_SURE_ENOUGH_Z = _NORMAL.inv_cdf(SURE_ENOUGH)


class ProbabilityEstimate(msgspec.Struct, frozen=True):
    """The makers' state at one second: P(Up), and whether the favourite is still offered."""

    up: float
    offered: bool


def variance_seconds(left: int) -> float:
    """τₑ: seconds of spot variance in the final average with `left` seconds to go."""
    return left - 2 * WINDOW / 3 if left >= WINDOW else left**3 / (3 * WINDOW**2)


def one_sided_share(second: float) -> float:
    """The share of markets whose favourite is not offered at a second of 900.

    For markets of other lengths the same shares are assumed at the same fractions of their length.
    """
    place = bisect_right([at for at, _ in ONE_SIDED], second)
    if place == 0:
        return 0.0
    if place == len(ONE_SIDED):
        return ONE_SIDED[-1][1]
    (begin, low), (end, high) = ONE_SIDED[place - 1], ONE_SIDED[place]
    return low + (high - low) * (second - begin) / (end - begin)


class GeneratedMarket(msgspec.Struct, frozen=True):
    """A market on the price path of its asset.

    `begin` in seconds after the origin of the path, `length` in seconds. `draws_prefix` precedes the purposes
    of its random numbers; it is empty for btc-15m.
    """

    path: AssetPath
    seed: int
    index: int
    begin: int
    length: int = INTERVAL
    draws_prefix: str = ""

    def spot(self, second: int) -> int:
        """The price at a second of the market, which may lie outside it."""
        return self.path.spot(0, self.begin + second)

    def mean(self, second: int, window: int = WINDOW) -> int:
        """The mean of the last `window` prices at a second of the market."""
        return self.path.mean(0, self.begin + second, window)

    def up_wins(self) -> bool:
        """The settlement rule."""
        return self.path.up_wins(0, self.length, self.begin)

    def sigma(self, second: int) -> float:
        """The volatility per √second in the rest of the market, without jumps."""
        begin, end = self.begin + second, self.begin + self.length
        pieces = range(begin // INTERVAL, -(-end // INTERVAL))
        if len(pieces) == 1:
            return self.path.sigma(pieces[0])
        left = ((min(end, (n + 1) * INTERVAL) - max(begin, n * INTERVAL), self.path.sigma(n)) for n in pieces)
        return math.sqrt(sum(seconds * sigma**2 for seconds, sigma in left) / (end - begin))


class MarketMakers:
    """The makers of one market: estimates for every second of it, and a book at any of them.

    At second 0 there is no information yet: that book is also shown before the start.
    """

    def __init__(self, market: GeneratedMarket) -> None:
        self._market = market
        self._key = f"{market.seed}/{market.draws_prefix}{market.index}".encode()

    @cached_property
    def beliefs(self) -> tuple[ProbabilityEstimate, ...]:
        """The estimates."""
        return _estimates(self._market)

    @cached_property
    def tick_change(self) -> int | None:
        """The second from which the market is on the finer grid; None if it never is."""
        return next((s for s, belief in enumerate(self.beliefs) if _is_fine(belief)), None)

    def book(self, second: int) -> VenueBook:
        """The Up token's book."""
        # The opening book of a market that has not started needs no other estimate.
        belief = self._opening if second == 0 else self.beliefs[second]
        beyond = _is_fine(belief)
        bid, ask = self._touch(belief, second, 1 if beyond else CENT_MILLS)
        bids = self._side("b", _ladder(bid, -1, fine=beyond), second)
        asks = self._side("a", _ladder(ask, 1, fine=beyond), second)
        if belief.offered:
            return VenueBook(bids, asks)
        return VenueBook(bids, ()) if belief.up > 0.5 else VenueBook((), asks)

    @cached_property
    def _opening(self) -> ProbabilityEstimate:
        return _opening(_drawn(self._market))

    def _touch(self, belief: ProbabilityEstimate, second: int, tick: int) -> tuple[int, int]:
        """Best bid and ask in mills, with the estimated price between them."""
        width = self._uniform("spread", second // 3)
        table = SPREADS if tick == CENT_MILLS else FINE_SPREADS
        spread = next(ticks for share, ticks in table if width <= share)
        price = min(max(belief.up, 1 - SUREST), SUREST) * MILL / tick
        low = math.floor(price - (spread - 1) * self._uniform("place", second // 3))
        low = min(max(low, 1), MILL // tick - 1 - spread)
        return low * tick, (low + spread) * tick

    def _side(self, name: str, prices: list[int], second: int) -> Side:
        return tuple((price, self._size(name, price, depth, second)) for depth, price in enumerate(prices))

    def _size(self, side: str, price: int, depth: int, second: int) -> int:
        life = SHORTEST_LIFE + price // CENT_MILLS % (LONGEST_LIFE - SHORTEST_LIFE + 1)
        drawn = self._uniform(side, price, (second + price) // life)
        spread = DEEP_SPREAD if depth else TOUCH_SPREAD
        shares = MEDIAN_SHARES[depth] * math.exp(spread * _NORMAL.inv_cdf(drawn))
        return max(SMALLEST, round(shares * 100) * CENTI_SHARE)

    def _uniform(self, *what: object) -> float:
        """A uniform number inside (0, 1), determined by this market and `what`."""
        digest = hashlib.blake2b(repr(what).encode(), digest_size=6, key=self._key).digest()
        return (int.from_bytes(digest) + 0.5) / 2**48


def _ladder(best: int, direction: int, *, fine: bool) -> list[int]:
    """Prices from the touch outwards: every cent, and in the fine region some mills first."""
    prices: list[int] = []
    price = best
    while 0 < price < MILL and len(prices) < LEVELS:
        prices.append(price)
        if fine and len(prices) < LEVELS // 2:
            price += direction * (1 + len(prices) // 3)
        elif direction > 0:
            price = (price // CENT_MILLS + 1) * CENT_MILLS
        else:
            price = (price - 1) // CENT_MILLS * CENT_MILLS
    return prices


def _is_fine(belief: ProbabilityEstimate) -> bool:
    """Whether the price is beyond those of the cent grid."""
    return not FINE_BELOW <= belief.up <= FINE_ABOVE


class _Draws(msgspec.Struct):
    """A market's first random numbers: delay, relative error of σ and first error in z, and the others."""

    lag: int
    sigma_error: float
    noise: float
    rng: random.Random


def _drawn(market: GeneratedMarket) -> _Draws:
    rng = draws(market.seed, f"{market.draws_prefix}makers", market.index)
    lag = rng.choice(LAG_SECONDS)
    return _Draws(lag, math.exp(rng.gauss(0, SIGMA_ERROR)), rng.gauss(0, NOISE), rng)


def _opening(drawn: _Draws) -> ProbabilityEstimate:
    return ProbabilityEstimate(_NORMAL.cdf(drawn.noise), offered=True)


def _estimates(market: GeneratedMarket) -> tuple[ProbabilityEstimate, ...]:
    drawn, length = _drawn(market), market.length
    kept = math.exp(-1 / NOISE_SECONDS)
    fresh = NOISE * math.sqrt(1 - kept**2)
    shocks = (drawn.rng.gauss(0, fresh) for _ in range(length))
    noise = list(accumulate(shocks, lambda old, new: kept * old + new, initial=drawn.noise))
    strike = market.mean(0)
    prices = [market.spot(second) for second in range(length)]
    elapsed = list(accumulate(prices[length - WINDOW + 1 :], initial=0))
    known = [_opening(drawn)]
    sigma, changes = 0.0, 0
    for second in range(1, length + 1):
        seen = max(0, second - drawn.lag)
        if seen >= changes:
            # The volatility ahead changes slowly: once in a piece of the path is enough.
            changes = seen + INTERVAL - (market.begin + seen) % INTERVAL
            sigma = market.sigma(seen) * math.sqrt(1 + JUMP_VARIANCE) * drawn.sigma_error
        left = length - seen
        expected = prices[seen]
        if left < WINDOW:
            expected = (elapsed[WINDOW - left] + left * prices[seen]) / WINDOW
        carried = variance_seconds(left)
        z = math.log(expected / strike) / (sigma * math.sqrt(carried)) + noise[second]
        offered = _is_offered(z, carried, second, length)
        known.append(ProbabilityEstimate(_NORMAL.cdf(z), offered=offered))
    return tuple(known)


def _is_offered(z: float, carried: float, second: int, length: int) -> bool:
    """False for the `one_sided_share` of all markets with the highest certainty at a second.

    A priori the final average is normal around the strike with the variance of the market's length less 20
    seconds: all but the last 60 in full, a third of those, and a third of the 60 before the start, which the
    strike averages. All of it except `carried` has been observed, which determines how certain a z is
    relative to others.
    """
    if abs(z) < _SURE_ENOUGH_Z:
        return True
    total = length - WINDOW + 2 * WINDOW / 3
    rank = abs(z) * math.sqrt(carried / (total - carried))
    return 2 * (1 - _NORMAL.cdf(rank)) > one_sided_share(second * INTERVAL / length)
