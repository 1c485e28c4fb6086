"""The bitcoin price of a synthetic venue: one price per second, unlimited in time, derived from a seed.

Every price is a function of (seed, market index, second of the market) only, so that a restarted venue, and a
test, read the same path. No price needs the prices before it:

- *Anchors* are placed every `BLOCK` markets, each an independent normal draw around the base price.
- Every market draws its volatility, its diffusion over its 900 seconds and its jumps. Between two anchors
  these moves are summed, and the difference to the next anchor is distributed over the block's markets in
  proportion to their variance. A Brownian bridge whose end is normal with the bridge's own variance is a
  Brownian motion, so within a block the path is indistinguishable from a random walk; over weeks it stays
  near its base.
- Inside a market a second bridge, with draws of its own, connects its first price to its last.

Prices are integers in units of 1e-8 USD (`UNIT` to the dollar).
"""

import math
import random
from functools import lru_cache
from itertools import accumulate

import msgspec

from venue.market import INTERVAL

UNIT = 10**8
WINDOW = 60
"""Seconds in the average that settles a market."""

BLOCK = 96
"""Markets between two anchors: one day of them."""

SIGMA_LOW, SIGMA_HIGH = 4e-5, 1e-4
"""Bounds of a market's volatility per √second, log-uniform between them: 22 to 56 % per year."""
_MEAN_SQUARE_SIGMA = (SIGMA_HIGH**2 - SIGMA_LOW**2) / (2 * math.log(SIGMA_HIGH / SIGMA_LOW))

JUMPS_PER_SECOND = 1 / 3600
JUMP_SIGMAS = 12.0
"""Standard deviation of a jump in units of the market's σ: equal to 2.4 minutes of diffusion."""
JUMP_VARIANCE = JUMPS_PER_SECOND * JUMP_SIGMAS**2
"""Contribution of jumps to the variance of a second, as a fraction of σ²."""

BASE_LOW, BASE_HIGH = 60_000.0, 120_000.0
"""Range of a seed's base price, USD."""


def draws(seed: int, purpose: str, index: int) -> random.Random:
    """The random numbers of one purpose and index; Python guarantees the same numbers in every version."""
    return random.Random(f"synthetic/{seed}/{purpose}/{index}")


class PriceMove(msgspec.Struct, frozen=True):
    """A market's own draws: `diffusion` is the log move of its 900 seconds without jumps.

    `jumps` are (second, log size) with seconds 1 to 900.
    """

    sigma: float
    diffusion: float
    jumps: tuple[tuple[int, float], ...]

    @property
    def total(self) -> float:
        return self.diffusion + sum(size for _, size in self.jumps)


class _Block(msgspec.Struct, frozen=True):
    """`levels`: log price over base at the starts of the block's markets and at its end."""

    moves: tuple[PriceMove, ...]
    levels: tuple[float, ...]


class PricePath:
    """The path of a seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        low, high = math.log(BASE_LOW), math.log(BASE_HIGH)
        self._base = math.exp(draws(seed, "base", 0).uniform(low, high)) * UNIT
        self._block = lru_cache(maxsize=4)(self._make_block)
        self._prices = lru_cache(maxsize=64)(self._make_prices)

    def spot(self, index: int, second: int) -> int:
        """The price at a second of a market; beyond its ends the neighbours' prices."""
        further, within = divmod(second, INTERVAL)
        return self._prices(index + further)[within]

    def mean(self, index: int, second: int, window: int = WINDOW) -> int:
        """The mean of the last `window` one-second prices, including the one at `second`, rounded down."""
        return sum(self.spot(index, s) for s in range(second - window + 1, second + 1)) // window

    def up_wins(self, index: int) -> bool:
        """The settlement rule: the average at the end is at least the average at the start."""
        return self.mean(index, INTERVAL) >= self.mean(index, 0)

    def sigma(self, index: int) -> float:
        """A market's own volatility per √second, without jumps."""
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
        return draws(self.seed, "anchor", number).gauss(0, math.sqrt(block_variance / 2))

    def _draw_move(self, index: int) -> PriceMove:
        rng = draws(self.seed, "move", index)
        sigma = math.exp(rng.uniform(math.log(SIGMA_LOW), math.log(SIGMA_HIGH)))
        diffusion = rng.gauss(0, sigma * math.sqrt(INTERVAL))
        jumps: list[tuple[int, float]] = []
        at = rng.expovariate(JUMPS_PER_SECOND)
        while at < INTERVAL:
            jumps.append((math.ceil(at), rng.gauss(0, JUMP_SIGMAS * sigma)))
            at += rng.expovariate(JUMPS_PER_SECOND)
        return PriceMove(sigma, diffusion, tuple(jumps))

    def _make_prices(self, index: int) -> tuple[int, ...]:
        """A market's prices at its seconds 0 to 899."""
        block, place = self._block(index // BLOCK), index % BLOCK
        move, begin, end = block.moves[place], block.levels[place], block.levels[place + 1]
        rng = draws(self.seed, "seconds", index)
        free = list(accumulate((rng.gauss(0, move.sigma) for _ in range(INTERVAL)), initial=0.0))
        jumped = [0.0] * INTERVAL
        for second, size in move.jumps:
            for later in range(second, INTERVAL):
                jumped[later] += size
        slope = (end - begin - sum(size for _, size in move.jumps) - free[-1]) / INTERVAL
        logs = (begin + free[s] + slope * s + jumped[s] for s in range(INTERVAL))
        return tuple(round(self._base * math.exp(log)) for log in logs)
