"""Performance: equity, drawdown, profit factor, Sharpe, and results by price, side and signal source.

Everything is computed anew from the ledger's trades, so that a fill that is reversed, or a verdict
that comes late, leaves no trace. An Up and a Down trade are treated alike: what was paid, what it paid.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

from errors import Fatal
from execution.ledger import TradeRow
from models import Frozen, Outcome
from monitoring.statistics import Statistics, binomial_p_value, required_markets, statistics, wilson

ZERO = Decimal(0)
PRICE_BANDS = tuple(map(Decimal, ("0", "0.5", "0.6", "0.7", "0.8", "0.9", "0.96", "1")))
"""Edges of the bands, pUSD a share: tenths, and above 0.90 split where half of all late favourites trade."""
SIGNIFICANT = 0.05


class EquityPoint(Frozen, frozen=True):
    """`equity` in pUSD right after the trades settled at `ts_ns`; the first point is the start."""

    ts_ns: int
    equity: Decimal


class Drawdown(Frozen, frozen=True):
    """The largest fall from a peak to a later trough.

    Attributes
    ----------
    amount : Decimal
        The largest in pUSD, from `peak_ns` to `trough_ns`; zero and None when equity never fell.
    fraction : float | None
        The largest relative to its own peak, 0 to 1; it need not be the same fall. None if equity was
        never above zero.
    current : Decimal
        How far equity stands below its peak now, pUSD.
    """

    amount: Decimal
    fraction: float | None
    current: Decimal
    peak_ns: int | None = None
    trough_ns: int | None = None


class Sharpe(Frozen, frozen=True):
    """Per trade, not annualised: mean / standard deviation of pnl / stake.

    `error` is √((1 + ratio²/2) / n) with n the distinct markets (A. Lo, "The statistics of Sharpe
    ratios", Financial Analysts Journal 58, 2002, for independent returns). It assumes normal returns;
    wins of a few cents against losses of the whole stake are far from normal, so the verdict on the
    P&L stands above it.
    """

    ratio: float
    error: float
    n: int


class Group(Frozen, frozen=True):
    """The statistics of some of the trades, under the name of what they have in common."""

    name: str
    statistics: Statistics


class SourceVote(Frozen, frozen=True):
    """One source's vote for a side in a market that is settled.

    `event` names the market as in `TradeRow.event`; `chance` is what the market's own price gave `side`
    at the decision, 0 to 1.
    """

    source: str
    decision_id: int
    event: str
    side: Outcome
    chance: float
    winner: Outcome

    @property
    def right(self) -> bool:
        """Whether the side was the outcome's, whatever was traded."""
        return self.side is self.winner


class SourceResult(Frozen, frozen=True):
    """How one signal source did.

    Attributes
    ----------
    n, markets, right : int
        Votes in settled markets, the distinct markets, and the votes that were right.
    accuracy, low, high : float
        Share of votes that were right, with its 95 % Wilson interval over distinct markets.
    expected : float
        Mean chance that the market's price gave the side voted for: what following the price scores.
    needed, p_value, verdict
        As in `Statistics`, with `expected` in the place of break-even.
    backed, opposed : Statistics
        The trades that went the way of its vote, and those that went against it.
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
    verdict: str
    backed: Statistics
    opposed: Statistics


class Performance(Frozen, frozen=True):
    """All of it, at one instant. Money in pUSD.

    Attributes
    ----------
    starting, equity, realised : Decimal
        equity = starting + realised; realised is the P&L of the settled trades, fees included.
    open_cost : Decimal
        Paid for pending trades with their fees; equity counts them at what they cost.
    profit_factor : float | None
        Sum of gains / sum of losses; None without a losing trade.
    sharpe : Sharpe | None
        None below two settled trades, or when all returned the same.
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
    by_source: tuple[SourceResult, ...]


def performance(
    trades: Iterable[TradeRow], votes: Iterable[SourceVote] = (), *, starting: Decimal
) -> Performance:
    """Everything that the trades say.

    Parameters
    ----------
    trades : Iterable[TradeRow]
        Settled and pending, in any order.
    votes : Iterable[SourceVote]
        Each source at most once a market.
    starting : Decimal
        The account before the first of these trades, pUSD.
    """
    every = sorted(trades, key=lambda trade: (_closed_ns(trade), trade.intent_id))
    settled = [trade for trade in every if trade.pnl is not None]
    curve = equity_curve(every, starting)
    equity = curve[-1].equity if curve else starting
    return Performance(
        starting=starting,
        equity=equity,
        realised=equity - starting,
        open_cost=sum((trade.cost + trade.fee for trade in every if trade.pnl is None), ZERO),
        curve=curve,
        drawdown=max_drawdown(curve),
        profit_factor=profit_factor(settled),
        sharpe=sharpe_ratio(settled),
        total=statistics(every),
        by_price=_by_price(every),
        by_side=tuple(_group(side.value, every, lambda trade, s=side: trade.side is s) for side in Outcome),
        by_source=_by_source(votes, every),
    )


def _closed_ns(trade: TradeRow) -> int:
    return trade.filled_ns if trade.settled_ns is None else trade.settled_ns


def equity_curve(trades: Sequence[TradeRow], starting: Decimal) -> tuple[EquityPoint, ...]:
    """Equity at the first trade and after each settlement, oldest first; empty without trades."""
    if not trades:
        return ()
    points = {min(trade.created_ns for trade in trades): starting}
    equity = starting
    for trade in sorted((trade for trade in trades if trade.pnl is not None), key=_closed_ns):
        equity += trade.pnl or ZERO
        # Trades settled at the same instant are one step: in between, nobody had that equity.
        points[_closed_ns(trade)] = equity
    return tuple(EquityPoint(ts_ns=ts_ns, equity=value) for ts_ns, value in points.items())


def max_drawdown(curve: Sequence[EquityPoint]) -> Drawdown:
    """The largest fall along an equity curve, peak to trough, whatever came later."""
    if not curve:
        return Drawdown(amount=ZERO, fraction=None, current=ZERO)
    peak = curve[0]
    deepest, ends = ZERO, (None, None)
    fraction = 0.0 if peak.equity > 0 else None
    for point in curve:
        if point.equity >= peak.equity:
            peak = point
        fall = peak.equity - point.equity
        if fall > deepest:
            deepest, ends = fall, (peak.ts_ns, point.ts_ns)
        if peak.equity > 0:
            fraction = max(fraction or 0.0, float(fall / peak.equity))
    return Drawdown(
        amount=deepest,
        fraction=fraction,
        current=peak.equity - curve[-1].equity,
        peak_ns=ends[0],
        trough_ns=ends[1],
    )


def profit_factor(settled: Iterable[TradeRow]) -> float | None:
    """Sum of gains over sum of losses; None where nothing was lost."""
    results = [trade.pnl for trade in settled if trade.pnl is not None]
    losses = sum((-pnl for pnl in results if pnl < 0), ZERO)
    return float(sum((pnl for pnl in results if pnl > 0), ZERO) / losses) if losses else None


def sharpe_ratio(settled: Sequence[TradeRow]) -> Sharpe | None:
    """Mean over sample standard deviation of the returns on stake; see `Sharpe`."""
    if len(settled) < 2:
        return None
    returns = [float((trade.pnl or ZERO) / trade.cost) for trade in settled]
    mean, spread = fmean(returns), stdev(returns)
    # Equal returns differ by rounding only; a ratio to that would be a number without meaning.
    if spread <= 1e-9 * max(1.0, abs(mean)):
        return None
    ratio = mean / spread
    markets = len({trade.event for trade in settled})
    return Sharpe(ratio=ratio, error=sqrt((1 + ratio * ratio / 2) / markets), n=markets)


def _group(name: str, trades: Iterable[TradeRow], belongs: Callable[[TradeRow], bool]) -> Group:
    return Group(name=name, statistics=statistics(trade for trade in trades if belongs(trade)))


def _by_price(trades: Sequence[TradeRow]) -> tuple[Group, ...]:
    groups = []
    for low, high in pairwise(PRICE_BANDS):
        last = high == PRICE_BANDS[-1]
        inside = [trade for trade in trades if low <= _paid(trade) < high or (last and _paid(trade) >= high)]
        if inside:
            groups.append(Group(name=f"{low:.2f} to {high:.2f}", statistics=statistics(inside)))
    return tuple(groups)


def _paid(trade: TradeRow) -> Decimal:
    """Price to a hundredth of a cent: a cost that was rounded down must not fall below its band."""
    return round(trade.price, 4)


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
        verdict=_source_verdict(accuracy - expected, markets, needed, p_value),
        backed=statistics(trade for side, trade in traded if trade.side is side),
        opposed=statistics(trade for side, trade in traded if trade.side is not side),
    )


def _source_verdict(excess: float, markets: int, needed: int, p_value: float) -> str:
    if markets < needed:
        return f"Not distinguishable from chance: {markets:,} of about {needed:,} markets needed."
    if p_value > SIGNIFICANT:
        return f"Not distinguishable from chance: as often right as the market's price (p = {p_value:.2g})."
    word = "More" if excess > 0 else "Less"
    return f"{word} often right than the market's price said (p = {p_value:.2g})."


class PerformanceTracker:
    """Holds the newest `Performance`: one thread updates it, any thread reads it.

    Parameters
    ----------
    starting : Decimal
        The account before the first trade, pUSD.
    """

    def __init__(self, starting: Decimal) -> None:
        self.starting = starting
        self.performance = performance((), starting=starting)

    def update(self, trades: Iterable[TradeRow], votes: Iterable[SourceVote] = ()) -> Performance:
        """Replace what is known by these trades and votes, all of them, and return what they say."""
        self.performance = performance(trades, votes, starting=self.starting)
        return self.performance


_lock = threading.Lock()
_tracker: PerformanceTracker | None = None


def get_performance_tracker(starting: Decimal | None = None) -> PerformanceTracker:
    """The process' one tracker; `starting` is for the first call.

    Raises
    ------
    Fatal
        On a first call without `starting`, or a later one with another: it would have no effect.
    """
    global _tracker
    with _lock:
        if _tracker is None:
            if starting is None:
                raise Fatal("the performance tracker has no starting balance", "Report this with the log")
            _tracker = PerformanceTracker(starting)
        if starting not in (None, _tracker.starting):
            raise Fatal(
                f"the performance tracker exists with {_tracker.starting} and not {starting}",
                "Report this with the log",
            )
        return _tracker


def reset_performance_tracker() -> None:
    """Forget the tracker: the next call makes a new one."""
    global _tracker
    with _lock:
        _tracker = None
