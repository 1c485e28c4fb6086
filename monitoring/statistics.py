"""What a list of trades can honestly say: sums, intervals, and whether it is more than chance.

Conventions
-----------
- Money is Decimal pUSD; floats appear only in ratios and probabilities.
- A trade's *break-even* chance is b = (cost + fee) / shares: a share pays 1 pUSD when it wins, so at that
  chance the trade is worth exactly what it cost. The break-even win rate is the mean of b over the settled
  trades, each counted once, because the win rate counts each trade once too. (Weighting by shares would
  give cheap trades more weight than the win rate does, and show an edge where there is none.)
- Trades in the same market are one observation, however often a recorded market is replayed: interval,
  standard error and test count distinct markets, not trades.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import ceil, exp, lgamma, log, sqrt
from statistics import NormalDist, fmean

from execution.ledger import TradeRow
from models import Frozen, TradeOutcome

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.975)
_Z_POWER = _NORMAL.inv_cdf(0.80)
_ZERO = Decimal(0)

EDGE_WORTH_FINDING = 0.02
"""Win-rate points above or below break-even that a sample must be able to show.

The favourite rule of minutes 13 to 14 has been measured between −1.3 % and +2 % a trade by others; a
sample that cannot see two points cannot tell that rule from chance.
"""
LEAST_OF_EACH = 10
"""Wins and losses to be expected before a normal approximation holds, the usual rule of thumb."""


class Statistics(Frozen, frozen=True):
    """The numbers that may be shown, always together. Ratios are None where nothing is settled.

    Attributes
    ----------
    n, markets : int
        Settled trades, and the distinct markets they were in.
    staked, fees, payouts, pnl : Decimal
        Sums over the settled trades, pUSD; pnl = payouts − staked − fees.
    win_rate, wilson_low, wilson_high : float | None
        Share of settled trades won, with its 95 % Wilson score interval (Wilson 1927).
    mean_price : float | None
        Mean price paid, each trade counted once: the one to hold against the win rate.
    price_per_share : float | None
        Mean price paid, each share counted once.
    break_even : float | None
        Win rate at which the mean P&L is zero after fees.
    return_on_stake, return_se : float | None
        pnl / staked, and its standard error.
    mean_pnl, mean_pnl_low, mean_pnl_high : float | None
        P&L per trade with its 95 % interval (normal approximation), pUSD.
    z, p_value, test : float | None, float | None, str
        return_on_stake in standard errors; the two-sided chance of a result this far from break-even,
        and the test that gave it.
    needed : int | None
        Distinct markets from which this sample could tell.
    verdict : str
        The above in one sentence.
    """

    n: int
    markets: int
    wins: int
    losses: int
    pending: int
    staked: Decimal
    staked_pending: Decimal
    fees: Decimal
    payouts: Decimal
    pnl: Decimal
    win_rate: float | None = None
    wilson_low: float | None = None
    wilson_high: float | None = None
    mean_price: float | None = None
    price_per_share: float | None = None
    break_even: float | None = None
    return_on_stake: float | None = None
    return_se: float | None = None
    mean_pnl: float | None = None
    mean_pnl_low: float | None = None
    mean_pnl_high: float | None = None
    z: float | None = None
    p_value: float | None = None
    test: str = "none"
    needed: int | None = None
    verdict: str = ""


def statistics(trades: Iterable[TradeRow]) -> Statistics:
    """Summarise trades; those without a verdict count as pending and nowhere else."""
    every = list(trades)
    settled = [trade for trade in every if trade.pnl is not None]
    pending = [trade for trade in every if trade.pnl is None]
    wins = sum(trade.outcome is TradeOutcome.WIN for trade in settled)
    sums = Statistics(
        n=len(settled),
        markets=len({trade.event for trade in settled}),
        wins=wins,
        losses=len(settled) - wins,
        pending=len(pending),
        staked=_sum(trade.cost for trade in settled),
        staked_pending=_sum(trade.cost for trade in pending),
        fees=_sum(trade.fee for trade in settled),
        payouts=_sum(trade.payout for trade in settled),
        pnl=_sum(trade.pnl for trade in settled),
        verdict="Not distinguishable from chance: no trade is settled yet.",
    )
    return _with_ratios(sums, settled) if settled else sums


def _with_ratios(sums: Statistics, settled: Sequence[TradeRow]) -> Statistics:
    win_rate = sums.wins / sums.n
    even = fmean(break_even(trade) for trade in settled)
    needed = required_markets(even)
    enough = sums.markets >= needed
    error = _standard_error(settled)
    pnl, staked = float(sums.pnl), float(sums.staked)
    z = pnl / error if error else None
    won = round(win_rate * sums.markets)
    normal_p = 1.0 if z is None else 2 * _NORMAL.cdf(-abs(z))
    p_value = normal_p if enough else binomial_p_value(won, sums.markets, even)
    low, high = wilson(win_rate, sums.markets)
    fields = {name: getattr(sums, name) for name in sums.__struct_fields__}
    return Statistics(
        **fields
        | {
            "win_rate": win_rate,
            "wilson_low": low,
            "wilson_high": high,
            "mean_price": fmean(float(trade.price) for trade in settled),
            "price_per_share": staked / float(_sum(trade.shares for trade in settled)),
            "break_even": even,
            "return_on_stake": pnl / staked,
            "return_se": error / staked,
            "mean_pnl": pnl / sums.n,
            "mean_pnl_low": (pnl - _Z95 * error) / sums.n,
            "mean_pnl_high": (pnl + _Z95 * error) / sums.n,
            "z": z,
            "p_value": p_value,
            "test": "normal, on P&L" if enough else "exact binomial, wins against break-even",
            "needed": needed,
            "verdict": _verdict(sums, needed, z, p_value),
        }
    )


def _verdict(sums: Statistics, needed: int, z: float | None, p_value: float) -> str:
    chance = f"the chance of a result at least this far from break-even is {p_value:.2g}"
    if sums.markets < needed:
        return (
            f"Not distinguishable from chance: {_markets(sums.markets)} settled, and about {needed:,} are"
            f" needed to see an edge of {100 * EDGE_WORTH_FINDING:g} points ({chance})."
        )
    if z is None or abs(z) <= _Z95:
        return (
            f"Not distinguishable from chance: over {_markets(sums.markets)} the 95 % interval of the mean"
            f" P&L per trade contains zero ({chance})."
        )
    word = "profit" if z > 0 else "loss"
    return (
        f"A {word}, after fees: over {_markets(sums.markets)} the 95 % interval of the mean P&L per trade"
        f" excludes zero ({chance}). It describes these trades, not the next ones."
    )


def _markets(count: int) -> str:
    return f"{count:,} market" if count == 1 else f"{count:,} distinct markets"


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), _ZERO)


def break_even(trade: TradeRow) -> float:
    """The chance of winning at which the trade is worth what it cost, fee included; at most 1."""
    return min(float((trade.cost + trade.fee) / trade.shares), 1.0)


def wilson(rate: float, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share `rate` seen in `n` independent observations.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927): (rate + z²/2n ± z √(rate(1 − rate)/n + z²/4n²)) / (1 + z²/n).
    """
    if n < 1:
        raise ValueError(f"n is {n}, an interval needs at least one observation")
    square = _Z95 * _Z95 / n
    centre = (rate + square / 2) / (1 + square)
    half = _Z95 * sqrt(rate * (1 - rate) / n + square / (4 * n)) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


def required_markets(even: float) -> int:
    """Observations from which a binomial can tell a win rate `EDGE_WORTH_FINDING` off `even`.

    The one-sample size for a two-sided test at 5 % with 80 % power that judges by the sample's own spread,
    as the verdict does (Chow, Shao and Wang, "Sample Size Calculations in Clinical Research"):
    ((z₀.₉₇₅ + z₀.₈₀) / δ)² p₁q₁, with p₁ on the side of one half, where it is larger; and not before
    `LEAST_OF_EACH` wins and losses are to be expected.
    """
    p0 = min(max(even, 0.0), 1.0)
    p1 = p0 - EDGE_WORTH_FINDING if p0 > 0.5 else p0 + EDGE_WORTH_FINDING
    spread = (_Z95 + _Z_POWER) * sqrt(p1 * (1 - p1))
    rarer = max(min(p0, 1 - p0), 0.001)
    return ceil(max((spread / EDGE_WORTH_FINDING) ** 2, LEAST_OF_EACH / rarer))


def binomial_p_value(wins: int, n: int, chance: float) -> float:
    """Exact two-sided binomial test: the chance of an outcome no likelier than `wins` of `n`.

    Likelihoods within one part in 10⁷ count as equal, so that rounding decides no tie.
    """
    if not 0 < chance < 1:
        return 1.0 if wins == round(n * chance) else 0.0
    seen = _log_binomial(wins, n, chance) + 1e-7
    terms = (_log_binomial(k, n, chance) for k in range(n + 1))
    return min(1.0, sum(exp(term) for term in terms if term <= seen))


def _log_binomial(k: int, n: int, chance: float) -> float:
    choose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return choose + k * log(chance) + (n - k) * log(1 - chance)


def _standard_error(settled: Sequence[TradeRow]) -> float:
    """Of the summed P&L: the larger of what the sample shows and what break-even odds imply.

    The sample's own is near zero while every trade has won, which is when it is most needed; the odds
    imply √Σ(shares² b(1 − b)), the spread of the P&L if each trade's chance were its break-even.
    """
    results: defaultdict[str, float] = defaultdict(float)
    implied: defaultdict[str, float] = defaultdict(float)
    for trade in settled:
        chance = break_even(trade)
        results[trade.event] += float(trade.pnl or _ZERO)
        implied[trade.event] += float(trade.shares) * sqrt(chance * (1 - chance))
    count = len(results)
    mean = fmean(results.values())
    squares = sum((result - mean) ** 2 for result in results.values())
    observed = sqrt(count / (count - 1) * squares) if count > 1 else 0.0
    return max(observed, sqrt(sum(spread * spread for spread in implied.values())))
