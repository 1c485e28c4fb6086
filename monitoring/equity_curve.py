"""The equity curve of a list of trades and its largest drawdown, extended by each settlement."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Self

from execution.ledger import TradeRow
from models import Frozen

ZERO = Decimal(0)


class EquityPoint(Frozen, frozen=True, gc=False):
    """`equity` in pUSD after the trades settled at `ts_ns`; the first point is the start."""

    ts_ns: int
    equity: Decimal


class Drawdown(Frozen, frozen=True):
    """The largest fall from a peak to a later trough.

    Attributes
    ----------
    amount : Decimal
        The largest in pUSD, from `peak_ns` to `trough_ns`; zero and None if equity never fell.
    fraction : float | None
        The largest relative to its own peak, 0 to 1; it may be another fall. None if equity was never above
        zero.
    current : Decimal
        Current distance of equity below its peak, pUSD.
    """

    amount: Decimal
    fraction: float | None
    current: Decimal
    peak_ns: int | None = None
    trough_ns: int | None = None


def closed_ns(trade: TradeRow) -> int:
    """Settlement time of a trade; time of the fill while it is pending."""
    return trade.filled_ns if trade.settled_ns is None else trade.settled_ns


class _Walk(Frozen, frozen=True):
    """The largest fall along the points of an equity curve up to `last`."""

    last: EquityPoint
    peak: EquityPoint
    deepest: Decimal
    fraction: float | None
    peak_ns: int | None = None
    trough_ns: int | None = None

    @classmethod
    def begin(cls, start: EquityPoint) -> Self:
        return cls(last=start, peak=start, deepest=ZERO, fraction=0.0 if start.equity > 0 else None)

    def step(self, point: EquityPoint) -> "_Walk":
        """The walk extended by the next point."""
        peak = point if point.equity >= self.peak.equity else self.peak
        fall = peak.equity - point.equity
        is_deepest = fall > self.deepest
        fraction = self.fraction
        if peak.equity > 0:
            fraction = max(fraction or 0.0, float(fall / peak.equity))
        return _Walk(
            last=point,
            peak=peak,
            deepest=fall if is_deepest else self.deepest,
            fraction=fraction,
            peak_ns=peak.ts_ns if is_deepest else self.peak_ns,
            trough_ns=point.ts_ns if is_deepest else self.trough_ns,
        )

    def drawdown(self) -> Drawdown:
        return Drawdown(
            amount=self.deepest,
            fraction=self.fraction,
            current=self.peak.equity - self.last.equity,
            peak_ns=self.peak_ns,
            trough_ns=self.trough_ns,
        )


class EquityCurve:
    """Equity at the first trade and after each settlement, oldest first, with its largest drawdown."""

    def __init__(self, trades: Iterable[TradeRow], starting: Decimal) -> None:
        every = list(trades)
        self._points: list[EquityPoint] = []
        self._walk: _Walk | None = None
        """Over all points except a last one that a settlement at the same instant may still replace."""
        if not every:
            return
        start = EquityPoint(ts_ns=min(trade.created_ns for trade in every), equity=starting)
        self._points.append(start)
        self._walk = _Walk.begin(start)
        settled = [trade for trade in every if trade.pnl is not None]
        for trade in sorted(settled, key=lambda trade: (closed_ns(trade), trade.intent_id)):
            self.append(trade)

    @property
    def points(self) -> tuple[EquityPoint, ...]:
        return tuple(self._points)

    def continues_with(self, trade: TradeRow) -> bool:
        """Whether a trade only extends the curve."""
        if not self._points or trade.created_ns < self._points[0].ts_ns:
            return False
        return trade.pnl is None or len(self._points) == 1 or closed_ns(trade) >= self._points[-1].ts_ns

    def append(self, trade: TradeRow) -> None:
        """Add a trade that extends the curve."""
        if trade.pnl is None or self._walk is None:
            return
        last = self._points[-1]
        point = EquityPoint(ts_ns=closed_ns(trade), equity=last.equity + trade.pnl)
        if len(self._points) > 1 and last.ts_ns == point.ts_ns:
            # Trades settled at the same instant are one step: there is no equity between them.
            self._points[-1] = point
            return
        if len(self._points) > 1:
            self._walk = self._walk.step(last)
        self._points.append(point)

    def drawdown(self) -> Drawdown:
        """The largest fall along the curve, peak to trough."""
        if self._walk is None:
            return Drawdown(amount=ZERO, fraction=None, current=ZERO)
        walk = self._walk if len(self._points) == 1 else self._walk.step(self._points[-1])
        return walk.drawdown()
