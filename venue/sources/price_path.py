"""The prices of a synthetic venue: one price per second, unlimited in time, derived from a seed.

Every price is a function of (seed, piece, second of the piece) only, so that a restarted venue, and a test,
read the same path. A piece is 900 seconds long, like a market of btc-15m; markets of other lengths are on
the same path. No price needs the prices before it:

- *Anchors* are placed every `BLOCK` pieces, each an independent normal draw around the base price.
- Every piece draws its volatility, its diffusion over its 900 seconds and its jumps. Between two anchors
  these moves are summed, and the difference to the next anchor is distributed over the block's pieces in
  proportion to their variance. A Brownian bridge whose end is normal with the bridge's own variance is a
  Brownian motion, so within a block the path is indistinguishable from a random walk; over weeks it stays
  near its base.
- Inside a piece a second bridge, with draws of its own, connects its first price to its last.

The other assets follow bitcoin: the log of their price is a sum of bitcoin's and of a path of their own,
weighted so that the asset has its volatility and its correlation with bitcoin (`ASSET_TERMS`).

Prices are integers in units of 1e-8 USD (`UNIT` to the dollar).
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate

import msgspec

from venue.market import INTERVAL

UNIT = 10**8
WINDOW = 60
"""Seconds in the average that settles a market."""

BLOCK = 96
"""Pieces between two anchors: one day of them."""

SIGMA_LOW, SIGMA_HIGH = 4e-5, 1e-4
"""Bounds of a piece's volatility per √second, log-uniform between them: 22 to 56 % per year."""
_MEAN_SQUARE_SIGMA = (SIGMA_HIGH**2 - SIGMA_LOW**2) / (2 * math.log(SIGMA_HIGH / SIGMA_LOW))

JUMPS_PER_SECOND = 1 / 3600
JUMP_SIGMAS = 12.0
"""Standard deviation of a jump in units of the piece's σ: equal to 2.4 minutes of diffusion."""
JUMP_VARIANCE = JUMPS_PER_SECOND * JUMP_SIGMAS**2
"""Contribution of jumps to the variance of a second, as a fraction of σ²."""

BASE_LOW, BASE_HIGH = 60_000.0, 120_000.0
"""Range of a seed's base price, USD."""


def draws(seed: int, purpose: str, index: int) -> random.Random:
    """The random numbers of one purpose and index; Python guarantees the same numbers in every version."""
    return random.Random(f"synthetic/{seed}/{purpose}/{index}")


def draws_prefix(asset: str) -> str:
    """What precedes a purpose, so that every asset has random numbers of its own."""
    return "" if asset == "btc" else f"{asset}/"


class AssetTerms(msgspec.Struct, frozen=True):
    """An asset in relation to bitcoin.

    `volatility` is that of the asset divided by bitcoin's, `correlation` that of their returns; `low` and
    `high` bound a seed's base price in USD. Round figures of the usual order, not measured.
    """

    volatility: float
    correlation: float
    low: float
    high: float


ASSET_TERMS = {
    "eth": AssetTerms(1.3, 0.85, 2_000.0, 4_500.0),
    "sol": AssetTerms(1.6, 0.8, 90.0, 260.0),
    "xrp": AssetTerms(1.5, 0.7, 1.0, 3.5),
    "doge": AssetTerms(1.8, 0.75, 0.1, 0.4),
}


class PriceMove(msgspec.Struct, frozen=True):
    """A piece's own draws: `diffusion` is the log move of its 900 seconds without jumps.

    `jumps` are (second, log size) with seconds 1 to 900.
    """

    sigma: float
    diffusion: float
    jumps: tuple[tuple[int, float], ...]

    @property
    def total(self) -> float:
        return self.diffusion + sum(size for _, size in self.jumps)


class _Block(msgspec.Struct, frozen=True):
    """`levels`: log price over base at the starts of the block's pieces and at its end."""

    moves: tuple[PriceMove, ...]
    levels: tuple[float, ...]


class _Prices(ABC):
    """Prices of an asset by piece and second."""

    def __init__(self) -> None:
        self._prices = lru_cache(maxsize=64)(self._make_prices)

    def spot(self, index: int, second: int) -> int:
        """The price at a second of a piece; beyond its ends the neighbours' prices."""
        further, within = divmod(second, INTERVAL)
        return self._prices(index + further)[within]

    def mean(self, index: int, second: int, window: int = WINDOW) -> int:
        """The mean of the last `window` one-second prices, including the one at `second`, rounded down."""
        return sum(self.spot(index, s) for s in range(second - window + 1, second + 1)) // window

    def up_wins(self, index: int, length: int = INTERVAL, second: int = 0) -> bool:
        """The settlement rule: the average at the end is at least the average at the start.

        Parameters
        ----------
        length : int
            Of the market, in seconds.
        second : int
            Its start, in seconds after the start of the piece.
        """
        return self.mean(index, second + length) >= self.mean(index, second)

    @abstractmethod
    def sigma(self, index: int) -> float:
        """The volatility per √second in a piece, without jumps."""

    @abstractmethod
    def _make_prices(self, index: int) -> tuple[int, ...]:
        """A piece's prices at its seconds 0 to 899."""


class PricePath(_Prices):
    """The bitcoin price of a seed.

    Parameters
    ----------
    seed : int
    asset : str
        Another asset: the path is then the part of its price that is independent of bitcoin's.
    """

    def __init__(self, seed: int, asset: str = "btc") -> None:
        super().__init__()
        self.seed = seed
        self._prefix = draws_prefix(asset)
        low, high = math.log(BASE_LOW), math.log(BASE_HIGH)
        self._base = math.exp(draws(seed, f"{self._prefix}base", 0).uniform(low, high)) * UNIT
        self._block = lru_cache(maxsize=4)(self._make_block)
        self.logs = lru_cache(maxsize=16)(self._make_logs)
        """The log of price over base at the seconds 0 to 899 of a piece."""

    def sigma(self, index: int) -> float:
        return self._move(index).sigma

    def _move(self, index: int) -> PriceMove:
        return self._block(index // BLOCK).moves[index % BLOCK]

    def _make_block(self, number: int) -> _Block:
        moves = tuple(self._draw_move(number * BLOCK + i) for i in range(BLOCK))
        begin, end = self._anchor(number), self._anchor(number + 1)
        missing = end - begin - sum(move.total for move in moves)
        variance = sum(move.sigma**2 for move in moves)
        steps = (move.total + missing * move.sigma**2 / variance for move in moves)
        # The sum equals the next anchor except for rounding; the next block begins exactly there.
        return _Block(moves, (*list(accumulate(steps, initial=begin))[:-1], end))

    def _anchor(self, number: int) -> float:
        block_variance = BLOCK * INTERVAL * _MEAN_SQUARE_SIGMA * (1 + JUMP_VARIANCE)
        return self._draws("anchor", number).gauss(0, math.sqrt(block_variance / 2))

    def _draw_move(self, index: int) -> PriceMove:
        rng = self._draws("move", index)
        sigma = math.exp(rng.uniform(math.log(SIGMA_LOW), math.log(SIGMA_HIGH)))
        diffusion = rng.gauss(0, sigma * math.sqrt(INTERVAL))
        jumps: list[tuple[int, float]] = []
        at = rng.expovariate(JUMPS_PER_SECOND)
        while at < INTERVAL:
            jumps.append((math.ceil(at), rng.gauss(0, JUMP_SIGMAS * sigma)))
            at += rng.expovariate(JUMPS_PER_SECOND)
        return PriceMove(sigma, diffusion, tuple(jumps))

    def _make_logs(self, index: int) -> tuple[float, ...]:
        block, place = self._block(index // BLOCK), index % BLOCK
        move, begin, end = block.moves[place], block.levels[place], block.levels[place + 1]
        rng = self._draws("seconds", index)
        free = list(accumulate((rng.gauss(0, move.sigma) for _ in range(INTERVAL)), initial=0.0))
        jumped = [0.0] * INTERVAL
        for second, size in move.jumps:
            for later in range(second, INTERVAL):
                jumped[later] += size
        slope = (end - begin - sum(size for _, size in move.jumps) - free[-1]) / INTERVAL
        return tuple(begin + free[s] + slope * s + jumped[s] for s in range(INTERVAL))

    def _make_prices(self, index: int) -> tuple[int, ...]:
        return tuple(round(self._base * math.exp(log)) for log in self.logs(index))

    def _draws(self, purpose: str, index: int) -> random.Random:
        return draws(self.seed, self._prefix + purpose, index)


class CorrelatedPath(_Prices):
    """The price of another asset, which follows bitcoin's in part.

    Parameters
    ----------
    bitcoin : PricePath
        Of the same seed.
    asset : str
        One of `ASSET_TERMS`.
    """

    def __init__(self, bitcoin: PricePath, asset: str) -> None:
        super().__init__()
        terms = ASSET_TERMS[asset]
        self._bitcoin, self._own = bitcoin, PricePath(bitcoin.seed, asset)
        self._with_bitcoin = terms.volatility * terms.correlation
        self._alone = terms.volatility * math.sqrt(1 - terms.correlation**2)
        rng = draws(bitcoin.seed, f"{draws_prefix(asset)}price", 0)
        self._base = math.exp(rng.uniform(math.log(terms.low), math.log(terms.high))) * UNIT

    def sigma(self, index: int) -> float:
        return math.hypot(
            self._with_bitcoin * self._bitcoin.sigma(index), self._alone * self._own.sigma(index)
        )

    def _make_prices(self, index: int) -> tuple[int, ...]:
        both = zip(self._bitcoin.logs(index), self._own.logs(index), strict=True)
        return tuple(
            round(self._base * math.exp(self._with_bitcoin * market + self._alone * own))
            for market, own in both
        )


AssetPath = PricePath | CorrelatedPath


def asset_paths(seed: int, assets: Iterable[str]) -> dict[str, AssetPath]:
    """The prices of bitcoin, and of other assets if they are named."""
    bitcoin = PricePath(seed)
    others = {asset: CorrelatedPath(bitcoin, asset) for asset in assets if asset != "btc"}
    return {"btc": bitcoin, **others}
