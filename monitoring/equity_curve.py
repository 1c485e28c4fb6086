"""The equity curve of a list of trades and the largest fall along it, extended settlement by settlement."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Self

from execution.ledger import TradeRow
from models import Frozen

ZERO = Decimal(0)


class EquityPoint(Frozen, frozen=True, gc=False):
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


def closed_ns(trade: TradeRow) -> int:
    """When a trade was settled, or filled while it is pending."""
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
        """With the next point."""
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
    """Equity at the first trade and after each settlement, oldest first, with the largest fall along it."""

    def __init__(self, trades: Iterable[TradeRow], starting: Decimal) -> None:
        every = list(trades)
        self._points: list[EquityPoint] = []
        self._walk: _Walk | None = None
        """Over all points but a last one that a settlement at the same instant may still replace."""
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
        """Whether a trade changes nothing that is before the curve's end."""
        if not self._points or trade.created_ns < self._points[0].ts_ns:
            return False
        return trade.pnl is None or len(self._points) == 1 or closed_ns(trade) >= self._points[-1].ts_ns

    def append(self, trade: TradeRow) -> None:
        """Take a trade with which the curve continues."""
        if trade.pnl is None or self._walk is None:
            return
        last = self._points[-1]
        point = EquityPoint(ts_ns=closed_ns(trade), equity=last.equity + trade.pnl)
        if len(self._points) > 1 and last.ts_ns == point.ts_ns:
            # Trades settled at the same instant are one step: the equity between them never existed.
            self._points[-1] = point
            return
        if len(self._points) > 1:
            self._walk = self._walk.step(last)
        self._points.append(point)

    def drawdown(self) -> Drawdown:
        """The largest fall along the curve, peak to trough, whatever came later."""
        if self._walk is None:
            return Drawdown(amount=ZERO, fraction=None, current=ZERO)
        walk = self._walk if len(self._points) == 1 else self._walk.step(self._points[-1])
        return walk.drawdown()
