"""Performance: equity, drawdown, profit factor, Sharpe, and results by price, side and signal source.

`PerformanceTracker` is the only computation used by exporter, summary and report. It accepts one trade at a
time, in any order, and a trade may be replaced or removed: a reversed fill or a late settlement is corrected
completely. Up and Down trades are treated alike: cost and payout.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from math import sqrt
from statistics import fmean

import msgspec

from common.singleton import Singleton
from execution.ledger import TradeRow
from models import Frozen, MarketKind, Outcome, ProtocolVersion, TradeOutcome, series_of
from monitoring.confidence_sequence import ConfidenceSequence, edge_sequence
from monitoring.equity_curve import Drawdown, EquityCurve, EquityPoint, closed_ns
from monitoring.statistics import (
    Statistics,
    TradeTally,
    binomial_p_value,
    fixed,
    required_markets,
    statistics,
    unfixed,
    wilson,
)

ZERO = Decimal(0)
PRICE_BANDS = tuple(map(Decimal, ("0", "0.5", "0.6", "0.7", "0.8", "0.9", "0.96", "1")))
"""Edges of the bands, pUSD per share: tenths, and above 0.90 split where half of all late favourites
trade."""
SIGNIFICANT = 0.05


class Sharpe(Frozen, frozen=True):
    """Per trade, not annualised: mean / standard deviation of pnl / stake.

    `error` is √((1 + ratio²/2) / n) with n the distinct markets (A. Lo, "The statistics of Sharpe ratios",
    Financial Analysts Journal 58, 2002, for independent returns). It assumes normal returns; wins of a few
    cents against losses of the whole stake are far from normal, so the conclusion on the P&L takes
    precedence.
    """

    ratio: float
    error: float
    n: int


class Group(Frozen, frozen=True):
    """The statistics of a group of trades, and its name."""

    name: str
    statistics: Statistics


class SourceVote(Frozen, frozen=True):
    """One source's directional vote in a settled market.

    `event` identifies the market as in `TradeRow.event`; `chance` is the market's implied probability of
    `side` at the decision, 0 to 1.
    """

    source: str
    decision_id: int
    event: str
    side: Outcome
    chance: float
    winner: Outcome

    @property
    def right(self) -> bool:
        """Whether the side was the outcome, whether or not it was traded."""
        return self.side is self.winner


class SourceResult(Frozen, frozen=True):
    """The results of one signal source.

    Attributes
    ----------
    n, markets, right : int
        Votes in settled markets, the distinct markets, and the votes that were right.
    accuracy, low, high : float
        Fraction of votes that were right, with its 95 % Wilson interval over distinct markets.
    expected : float
        Mean implied probability of the sides voted for: the accuracy of following the price.
    needed, p_value, conclusion
        As in `Statistics`, with `expected` instead of break-even.
    backed, opposed : Statistics
        The trades in the direction of its vote, and those against it.
    """

    source: str
    n: int
    markets: int
    right: int
    accuracy: float
    low: float
    high: float
    expected: float
    needed: int
    p_value: float
    conclusion: str = msgspec.field(name="verdict")
    backed: Statistics
    opposed: Statistics


class Performance(Frozen, frozen=True):
    """All performance values of one instant. Money in pUSD.

    Attributes
    ----------
    starting, equity, realised : Decimal
        equity = starting + realised; realised is the P&L of the settled trades, fees included.
    open_cost : Decimal
        Cost of the pending trades with their fees; equity includes them at cost.
    profit_factor : float | None
        Sum of gains / sum of losses; None without a losing trade.
    sharpe : Sharpe | None
        None with fewer than two settled trades, or if all had the same return.
    """

    starting: Decimal
    equity: Decimal
    realised: Decimal
    open_cost: Decimal
    curve: tuple[EquityPoint, ...]
    drawdown: Drawdown
    profit_factor: float | None
    sharpe: Sharpe | None
    total: Statistics
    by_price: tuple[Group, ...]
    by_side: tuple[Group, ...]
    by_kind: tuple[Group, ...]
    """Recorded and generated markets of the practice venue; empty for Polymarket's."""
    by_version: tuple[Group, ...]
    """By protocol version of the market."""
    by_source: tuple[SourceResult, ...]
    by_series: tuple[Group, ...] = ()
    """By asset and length of the market; empty if all trades are of one series."""
    edge: ConfidenceSequence | None = None
    """Win rate above break-even, valid at any time of a running test; None without settled trades."""


def performance(
    trades: Iterable[TradeRow], votes: Iterable[SourceVote] = (), *, starting: Decimal
) -> Performance:
    """Compute the performance of trades.

    Parameters
    ----------
    trades : Iterable[TradeRow]
        Settled and pending, in any order.
    votes : Iterable[SourceVote]
        Each source at most once per market.
    starting : Decimal
        The balance before the first of these trades, pUSD.
    """
    return PerformanceTracker(starting, trades).performance(votes)


def _group(name: str, trades: Iterable[TradeRow], belongs: Callable[[TradeRow], bool]) -> Group:
    return Group(name=name, statistics=statistics(trade for trade in trades if belongs(trade)))


def _by_price(trades: Sequence[TradeRow]) -> tuple[Group, ...]:
    grouped: dict[str, list[TradeRow]] = {}
    for trade in sorted(trades, key=lambda trade: trade.price):
        grouped.setdefault(price_band(trade.price), []).append(trade)
    return tuple(Group(name=name, statistics=statistics(inside)) for name, inside in grouped.items())


def price_band(price: Decimal) -> str:
    """Name of the price band with this price, such as "0.80 to 0.90"; the upper edge is the next band's.

    The price is rounded to a hundredth of a cent: a cost that was rounded down must not fall below its band.
    """
    paid = round(price, 4)
    edges = PRICE_BANDS[:-1]
    index = max(number for number, low in enumerate(edges) if low <= paid)
    return f"{edges[index]:.2f} to {PRICE_BANDS[index + 1]:.2f}"


def _by_source(votes: Iterable[SourceVote], trades: Sequence[TradeRow]) -> tuple[SourceResult, ...]:
    by_source: dict[str, list[SourceVote]] = {}
    for vote in votes:
        by_source.setdefault(vote.source, []).append(vote)
    by_decision = {trade.decision_id: trade for trade in trades}
    return tuple(_source(name, cast, by_decision) for name, cast in sorted(by_source.items()))


def _source(name: str, votes: Sequence[SourceVote], trades: dict[int, TradeRow]) -> SourceResult:
    n, right = len(votes), sum(vote.right for vote in votes)
    markets = len({vote.event for vote in votes})
    accuracy, expected = right / n, fmean(vote.chance for vote in votes)
    low, high = wilson(accuracy, markets)
    needed = required_markets(expected)
    p_value = binomial_p_value(round(accuracy * markets), markets, expected)
    traded = [(vote.side, trades[vote.decision_id]) for vote in votes if vote.decision_id in trades]
    return SourceResult(
        source=name,
        n=n,
        markets=markets,
        right=right,
        accuracy=accuracy,
        low=low,
        high=high,
        expected=expected,
        needed=needed,
        p_value=p_value,
        conclusion=_source_conclusion(accuracy - expected, markets, needed, p_value),
        backed=statistics(trade for side, trade in traded if trade.side is side),
        opposed=statistics(trade for side, trade in traded if trade.side is not side),
    )


def _source_conclusion(excess: float, markets: int, needed: int, p_value: float) -> str:
    if markets < needed:
        return f"Not distinguishable from chance: {markets:,} of about {needed:,} markets needed."
    if p_value > SIGNIFICANT:
        return (
            "Not distinguishable from chance: right as often as the market's price implied (p ="
            f" {p_value:.2g})."
        )
    comparison = "more" if excess > 0 else "less"
    return f"Right {comparison} often than the market's price implied (p = {p_value:.2g})."


def by_series(trades: Sequence[TradeRow]) -> tuple[Group, ...]:
    """The statistics of each series; none if all trades are of one."""
    grouped: dict[str, list[TradeRow]] = {}
    for trade in trades:
        grouped.setdefault(series_of(trade.slug).name, []).append(trade)
    if len(grouped) < 2:
        return ()
    return tuple(Group(name=name, statistics=statistics(grouped[name])) for name in sorted(grouped))


class _Mean:
    """Mean of values that can be added and removed."""

    def __init__(self) -> None:
        self._n = 0
        self._sum = 0

    def count(self, value: float | None, sign: int) -> None:
        if value is not None:
            self._n += sign
            self._sum += sign * fixed(value)

    def value(self) -> float | None:
        return unfixed(self._sum) / self._n if self._n else None


class SeriesTally:
    """Number of trades, of settled and of won ones, and the P&L of one series in pUSD."""

    __slots__ = ("n", "pnl", "trades", "wins")

    def __init__(self) -> None:
        self.trades = self.n = self.wins = 0
        self.pnl = ZERO

    def count(self, trade: TradeRow, sign: int) -> None:
        """Add a trade, or remove one for a negative sign."""
        self.trades += sign
        if trade.pnl is not None:
            self.n += sign
            self.wins += sign * (trade.outcome is TradeOutcome.WIN)
            self.pnl += sign * trade.pnl


class PerformanceTracker:
    """Equity, drawdown, profit factor and other values, updated one trade at a time.

    The cost of adding, replacing or removing a trade does not depend on their number, except for a settlement
    older than another one, which recomputes the equity curve. For one thread.

    Parameters
    ----------
    starting : Decimal
        The balance before the first trade, pUSD.
    trades : Iterable[TradeRow]
        Settled and pending, in any order.

    Attributes
    ----------
    tally : TradeTally
        The sums of the settled trades.
    series : dict[str, SeriesTally]
        Settled trades, wins and P&L of each series, by its name.
    """

    def __init__(self, starting: Decimal, trades: Iterable[TradeRow] = ()) -> None:
        self.starting = starting
        self.tally = TradeTally()
        self.series: dict[str, SeriesTally] = {}
        self._trades: dict[str, TradeRow] = {}
        self._pending: dict[str, TradeRow] = {}
        self._gains = self._losses = self._open_cost = ZERO
        self._return = self._squared_return = 0
        self._score, self._confidence = _Mean(), _Mean()
        self._curve: EquityCurve | None = None
        """None until it is computed, and again after a change before its end."""
        for trade in trades:
            self.put(trade)

    # --- adding and removing trades --------------------------------------------------------------

    def put(self, trade: TradeRow) -> None:
        """Add a trade; replaces the one with the same intent."""
        before = self._trades.get(trade.intent_id)
        if before is not None:
            self._count(before, -1)
        self._trades[trade.intent_id] = trade
        self._count(trade, 1)
        curve, was_settled = self._curve, before is not None and before.pnl is not None
        if curve is not None and curve.continues_with(trade) and not was_settled:
            curve.append(trade)
        else:
            self._curve = None

    def drop(self, intent_id: str) -> None:
        """Remove a trade, if there is one: all of its fills have failed."""
        trade = self._trades.pop(intent_id, None)
        if trade is not None:
            self._count(trade, -1)
            self._curve = None

    def get(self, intent_id: str) -> TradeRow | None:
        """The trade of an intent."""
        return self._trades.get(intent_id)

    def newest(self, count: int) -> list[TradeRow]:
        """The trades that were added last, newest first; its cost does not depend on their number."""
        return list(islice(reversed(self._trades.values()), count))

    def _count(self, trade: TradeRow, sign: int) -> None:
        (self.tally.add if sign > 0 else self.tally.remove)(trade)
        name = series_of(trade.slug).name
        self.series.setdefault(name, SeriesTally()).count(trade, sign)
        if not self.series[name].trades:
            del self.series[name]
        self._score.count(trade.score, sign)
        self._confidence.count(trade.confidence, sign)
        if trade.pnl is None:
            self._open_cost += sign * (trade.cost + trade.fee)
            if sign > 0:
                self._pending[trade.intent_id] = trade
            else:
                del self._pending[trade.intent_id]
            return
        if trade.pnl > 0:
            self._gains += sign * trade.pnl
        else:
            self._losses -= sign * trade.pnl
        result = fixed(float(trade.pnl / trade.cost))
        self._return += sign * result
        self._squared_return += sign * result * result

    # --- derived values --------------------------------------------------------------------------

    @property
    def curve(self) -> tuple[EquityPoint, ...]:
        """Equity at the first trade and after each settlement, oldest first; empty without trades."""
        return self._whole_curve().points

    @property
    def drawdown(self) -> Drawdown:
        """The largest drawdown of equity so far."""
        return self._whole_curve().drawdown()

    def _whole_curve(self) -> EquityCurve:
        if self._curve is None:
            self._curve = EquityCurve(self._trades.values(), self.starting)
        return self._curve

    @property
    def realised(self) -> Decimal:
        """P&L of the settled trades, fees included, pUSD."""
        return self.tally.pnl

    @property
    def equity(self) -> Decimal:
        """starting + realised, pUSD."""
        return self.starting + self.realised

    @property
    def pending(self) -> Mapping[str, TradeRow]:
        """Trades without a settlement, by intent."""
        return self._pending

    @property
    def mean_score(self) -> float | None:
        """Mean fused score of the trades, 0 to 100."""
        return self._score.value()

    @property
    def mean_confidence(self) -> float | None:
        """Mean fused confidence of the trades, 0 to 1."""
        return self._confidence.value()

    @property
    def profit_factor(self) -> float | None:
        """Sum of gains over sum of losses; None without a loss."""
        return float(self._gains / self._losses) if self._losses else None

    @property
    def sharpe(self) -> Sharpe | None:
        """Mean over sample standard deviation of the returns on stake; see `Sharpe`."""
        n, markets = self.tally.n, self.tally.markets
        if n < 2:
            return None
        mean = unfixed(self._return) / n
        variance = (n * self._squared_return - self._return * self._return) / (n * (n - 1))
        spread = sqrt(variance) / fixed(1.0)
        # Equal returns differ by rounding only; their ratio would be meaningless.
        if spread <= 1e-9 * max(1.0, abs(mean)):
            return None
        ratio = mean / spread
        return Sharpe(ratio=ratio, error=sqrt((1 + ratio * ratio / 2) / markets), n=markets)

    def performance(self, votes: Iterable[SourceVote] = ()) -> Performance:
        """All values, including the groups; its duration grows with the number of trades."""
        every = sorted(self._trades.values(), key=lambda trade: (closed_ns(trade), trade.intent_id))
        return Performance(
            starting=self.starting,
            equity=self.equity,
            realised=self.realised,
            open_cost=self._open_cost,
            curve=self.curve,
            drawdown=self.drawdown,
            profit_factor=self.profit_factor,
            sharpe=self.sharpe,
            total=self.tally.statistics(),
            by_price=_by_price(every),
            by_side=tuple(
                _group(side.value, every, lambda trade, s=side: trade.side is s) for side in Outcome
            ),
            by_kind=tuple(
                _group(kind.value, every, lambda trade, k=kind: trade.kind is k)
                for kind in MarketKind
                if any(trade.kind is kind for trade in every)
            ),
            by_version=tuple(
                _group(version.value, every, lambda trade, v=version: trade.version is v)
                for version in ProtocolVersion
            ),
            by_source=_by_source(votes, every),
            by_series=by_series(every),
            edge=edge_sequence(every),
        )


_singleton = Singleton(PerformanceTracker)
get_performance_tracker = _singleton.get
reset_performance_tracker = _singleton.reset
