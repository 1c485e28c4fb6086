"""Statistics of a list of trades: sums, intervals, and whether the result is distinguishable from chance.

Conventions
-----------
- Money is Decimal pUSD; floats appear only in ratios and probabilities.
- A trade's *break-even* probability is b = (cost + fee) / shares: a share pays 1 pUSD if it wins, so with
  that probability the trade's expected P&L is zero. The break-even win rate is the mean of b over the settled
  trades, each counted once, because the win rate counts each trade once. (Weighting by shares would give
  cheap trades more weight than in the win rate, and show an edge where there is none.)
- Trades in the same market are one observation, however often a recorded market is replayed: interval,
  standard error and test count distinct markets, not trades.
"""

from collections.abc import Iterable
from decimal import Decimal
from math import ceil, exp, lgamma, log, sqrt
from statistics import NormalDist

import msgspec

from execution.ledger import TradeRow
from models import Frozen, TradeOutcome

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.975)
_Z_POWER = _NORMAL.inv_cdf(0.80)
_ZERO = Decimal(0)
_FIXED = 1 << 64

EDGE_WORTH_FINDING = 0.02
"""Win-rate points above or below break-even that a sample must be able to detect.

The favourite rule of minutes 13 to 14 was measured by others between −1.3 % and +2 % per trade; a sample that
cannot detect two points cannot distinguish that rule from chance.
"""
LEAST_OF_EACH = 10
"""Expected wins and losses from which a normal approximation is used, the usual rule of thumb."""


class Statistics(Frozen, frozen=True):
    """The statistics of trades. Ratios are None without settled trades.

    Attributes
    ----------
    n, markets : int
        Settled trades, and the distinct markets they were in.
    staked, fees, payouts, pnl : Decimal
        Sums over the settled trades, pUSD; pnl = payouts − staked − fees.
    win_rate, wilson_low, wilson_high : float | None
        Fraction of settled trades won, with its 95 % Wilson score interval (Wilson 1927).
    mean_price : float | None
        Mean price paid, each trade counted once: to compare with the win rate.
    price_per_share : float | None
        Mean price paid, each share counted once.
    break_even : float | None
        Win rate at which the mean P&L is zero after fees.
    return_on_stake, return_se : float | None
        pnl / staked, and its standard error.
    mean_pnl, mean_pnl_low, mean_pnl_high : float | None
        P&L per trade with its 95 % interval (normal approximation), pUSD.
    z, p_value, test : float | None, float | None, str
        return_on_stake in standard errors; the two-sided p-value of the difference from break-even, and the
        test it is from.
    needed : int | None
        Distinct markets required to detect `EDGE_WORTH_FINDING`.
    conclusion : str
        The result in one sentence.
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
    conclusion: str = msgspec.field(default="", name="verdict")
    """The JSON key is kept for compatibility."""


def statistics(trades: Iterable[TradeRow]) -> Statistics:
    """Summarise trades; trades without a settlement only count as pending."""
    tally = TradeTally()
    for trade in trades:
        tally.add(trade)
    return tally.statistics()


class _Event:
    """The settled trades of one event: number, P&L, and the variance implied by their odds."""

    __slots__ = ("n", "pnl", "spread")

    def __init__(self) -> None:
        self.n = 0
        self.pnl = _ZERO
        self.spread = 0


class TradeTally:
    """The sums of `Statistics`, updated one trade at a time.

    Every sum is exact, in Decimal or in integers, so that it depends neither on the order of the trades nor
    on trades that were added and removed: the tally equals one of the same trades read at once.

    Attributes
    ----------
    n, wins, pending : int
        Settled trades, the won ones among them, and trades without a settlement.
    staked, staked_pending, fees, payouts, pnl : Decimal
        As in `Statistics`.
    """

    def __init__(self) -> None:
        self.n = self.wins = self.pending = 0
        self.staked = self.staked_pending = self.fees = self.payouts = self.pnl = _ZERO
        self._shares = _ZERO
        self._even = self._price = 0
        self._events: dict[str, _Event] = {}
        self._squared_pnl = _ZERO
        self._squared_spread = 0

    def add(self, trade: TradeRow) -> None:
        """Count a trade."""
        self._count(trade, 1)

    def remove(self, trade: TradeRow) -> None:
        """Remove a trade that was added, unchanged."""
        self._count(trade, -1)

    def _count(self, trade: TradeRow, sign: int) -> None:
        if trade.pnl is None:
            self.pending += sign
            self.staked_pending += sign * trade.cost
            return
        self.n += sign
        self.wins += sign * (trade.outcome is TradeOutcome.WIN)
        self.staked += sign * trade.cost
        self.fees += sign * trade.fee
        self.payouts += sign * (trade.payout or _ZERO)
        self.pnl += sign * trade.pnl
        self._shares += sign * trade.shares
        self._even += sign * fixed(break_even(trade))
        self._price += sign * fixed(float(trade.price))
        self._count_event(trade, sign)

    def _count_event(self, trade: TradeRow, sign: int) -> None:
        event = self._events.setdefault(trade.event, _Event())
        self._squared_pnl -= event.pnl * event.pnl
        self._squared_spread -= event.spread * event.spread
        chance = break_even(trade)
        event.n += sign
        event.pnl += sign * (trade.pnl or _ZERO)
        event.spread += sign * fixed(float(trade.shares) * sqrt(chance * (1 - chance)))
        if not event.n:
            del self._events[trade.event]
            return
        self._squared_pnl += event.pnl * event.pnl
        self._squared_spread += event.spread * event.spread

    # --- derived values; except for `statistics` their cost does not depend on the number of trades ---

    @property
    def losses(self) -> int:
        """Settled trades that were lost."""
        return self.n - self.wins

    @property
    def markets(self) -> int:
        """Distinct markets of the settled trades."""
        return len(self._events)

    @property
    def win_rate(self) -> float | None:
        """Fraction of settled trades won."""
        return self.wins / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of the win rate."""
        return None if self.win_rate is None else wilson(self.win_rate, self.markets)

    @property
    def break_even(self) -> float | None:
        """Win rate at which the mean P&L is zero after fees."""
        return unfixed(self._even) / self.n if self.n else None

    @property
    def mean_price(self) -> float | None:
        """Mean price paid, each trade counted once."""
        return unfixed(self._price) / self.n if self.n else None

    @property
    def needed(self) -> int | None:
        """Distinct markets required for a conclusion."""
        return None if self.break_even is None else required_markets(self.break_even)

    @property
    def z(self) -> float | None:
        """P&L in its standard errors; None without variance."""
        error = self._standard_error() if self.n else 0.0
        return float(self.pnl) / error if error else None

    @property
    def conclusion(self) -> str:
        """``chance``, ``profit`` or ``loss``: the conclusion of the sample."""
        needed, z = self.needed, self.z
        if needed is None or self.markets < needed or z is None or abs(z) <= _Z95:
            return "chance"
        return "profit" if z > 0 else "loss"

    def statistics(self) -> Statistics:
        """All values; the duration of the exact test grows with the number of markets."""
        rate, even, needed, interval = self.win_rate, self.break_even, self.needed, self.interval
        sums = Statistics(
            n=self.n,
            markets=self.markets,
            wins=self.wins,
            losses=self.losses,
            pending=self.pending,
            staked=self.staked,
            staked_pending=self.staked_pending,
            fees=self.fees,
            payouts=self.payouts,
            pnl=self.pnl,
            conclusion="Not distinguishable from chance: no trade is settled yet.",
        )
        if rate is None or even is None or needed is None or interval is None:
            return sums
        error, z = self._standard_error(), self.z
        enough = self.markets >= needed
        if enough:
            p_value = 1.0 if z is None else 2 * _NORMAL.cdf(-abs(z))
        else:
            p_value = binomial_p_value(round(rate * self.markets), self.markets, even)
        pnl, staked = float(self.pnl), float(self.staked)
        return msgspec.structs.replace(
            sums,
            win_rate=rate,
            wilson_low=interval[0],
            wilson_high=interval[1],
            mean_price=self.mean_price,
            price_per_share=staked / float(self._shares),
            break_even=even,
            return_on_stake=pnl / staked,
            return_se=error / staked,
            mean_pnl=pnl / self.n,
            mean_pnl_low=(pnl - _Z95 * error) / self.n,
            mean_pnl_high=(pnl + _Z95 * error) / self.n,
            z=z,
            p_value=p_value,
            test="normal, on P&L" if enough else "exact binomial, wins against break-even",
            needed=needed,
            conclusion=self._conclusion(needed, p_value),
        )

    def _conclusion(self, needed: int, p_value: float) -> str:
        chance = f"the chance of a result at least this far from break-even is {p_value:.2g}"
        if self.markets < needed:
            return (
                f"Not distinguishable from chance: {_markets(self.markets)} settled, and about {needed:,} are"
                f" needed to see an edge of {100 * EDGE_WORTH_FINDING:g} points ({chance})."
            )
        if self.conclusion == "chance":
            return (
                f"Not distinguishable from chance: over {_markets(self.markets)} the 95 % interval of the"
                f" mean P&L per trade contains zero ({chance})."
            )
        return (
            f"A {self.conclusion}, after fees: over {_markets(self.markets)} the 95 % interval of the mean"
            f" P&L per trade excludes zero ({chance}). It describes these trades and is not a forecast."
        )

    def _standard_error(self) -> float:
        """Standard error of the summed P&L: the larger of the sample's and the one implied by break-even
        odds.

        The sample's own is near zero while every trade has won; the odds imply √Σ(shares² b(1 − b)), the
        standard deviation of the P&L if each trade's probability were its break-even.
        """
        count = self.markets
        squares = self._squared_pnl - self.pnl * self.pnl / count
        observed = sqrt(max(0.0, count / (count - 1) * float(squares))) if count > 1 else 0.0
        return max(observed, sqrt(self._squared_spread / (_FIXED * _FIXED)))


def fixed(value: float) -> int:
    """A float as an integer multiple of 2⁻⁶⁴, so that sums are exact and reversible."""
    return round(value * _FIXED)


def unfixed(total: int) -> float:
    """The float of a sum of `fixed` values."""
    return total / _FIXED


def _markets(count: int) -> str:
    return f"{count:,} market" if count == 1 else f"{count:,} distinct markets"


def break_even(trade: TradeRow) -> float:
    """The probability of a win at which the trade's expected P&L is zero, fee included; at most 1."""
    return min(float((trade.cost + trade.fee) / trade.shares), 1.0)


def wilson(rate: float, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a fraction `rate` of `n` independent observations.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927): (rate + z²/2n ± z √(rate(1 − rate)/n + z²/4n²)) / (1 + z²/n).
    """
    if n < 1:
        raise ValueError(f"n is {n}, an interval needs at least one observation")
    square = _Z95 * _Z95 / n
    centre = (rate + square / 2) / (1 + square)
    half = _Z95 * sqrt(rate * (1 - rate) / n + square / (4 * n)) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


def clopper_pearson(wins: int, n: int) -> tuple[float, float]:
    """95 % interval of a probability of which `wins` of `n` observations are known, exact for few of them.

    Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26 (1934): the probabilities at which so many wins or more, and so many or
    fewer, have a chance of 2.5 %. Its width is at least the necessary one.
    """
    if n < 1:
        raise ValueError(f"n is {n}, an interval needs at least one observation")
    return 1 - _upper_limit(n - wins, n), _upper_limit(wins, n)


def _upper_limit(wins: int, n: int) -> float:
    """The probability at which `wins` or fewer have a chance of 2.5 %."""
    if wins >= n:
        return 1.0
    low, high = wins / n, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if sum(exp(_log_binomial(k, n, middle)) for k in range(wins + 1)) > 0.025:
            low = middle
        else:
            high = middle
    return high


def required_markets(even: float, edge: float = EDGE_WORTH_FINDING) -> int:
    """Observations required for a binomial test to detect a win rate that is `edge` above or below `even`.

    The one-sample size for a two-sided test at 5 % with 80 % power that uses the sample's own variance, as
    the conclusion does (Chow, Shao and Wang, "Sample Size Calculations in Clinical Research"): ((z₀.₉₇₅ +
    z₀.₈₀) / δ)² p₁q₁, with p₁ on the side of one half, where it is larger; and at least until `LEAST_OF_EACH`
    wins and losses are expected.
    """
    p0 = min(max(even, 0.0), 1.0)
    p1 = p0 - edge if p0 > 0.5 else p0 + edge
    spread = (_Z95 + _Z_POWER) * sqrt(p1 * (1 - p1))
    rarer = max(min(p0, 1 - p0), 0.001)
    return ceil(max((spread / edge) ** 2, LEAST_OF_EACH / rarer))


def binomial_p_value(wins: int, n: int, chance: float) -> float:
    """Exact two-sided binomial test: the probability of an outcome no likelier than `wins` of `n`.

    Likelihoods within one part in 10⁷ count as equal, so that rounding does not decide ties.
    """
    if not 0 < chance < 1:
        return 1.0 if wins == round(n * chance) else 0.0
    seen = _log_binomial(wins, n, chance) + 1e-7
    terms = (_log_binomial(k, n, chance) for k in range(n + 1))
    return min(1.0, sum(exp(term) for term in terms if term <= seen))


def _log_binomial(k: int, n: int, chance: float) -> float:
    choose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return choose + k * log(chance) + (n - k) * log(1 - chance)
