"""The plots of a backtest's report, and the groups that two of its sections share."""

from collections.abc import Sequence

from monitoring.performance_tracker import Performance, price_band
from monitoring.report.figures import (
    funnel_figures,
    model_calibration,
    price_calibration,
    source_figures,
)
from monitoring.report.html import Markup
from monitoring.report.plots import BandPoint, Interval, equity_plot, interval_plot
from research.report.edge import Cluster, Edge, edge, equity_limits, grouped, pnl_by_market
from research.report.run_reader import RunResults

SECOND_BAND = 10
"""Width of the groups by market second."""

type GroupEdge = tuple[str, Edge | None]
"""Name of a group of trades, and their edge."""


def edge_by_price(run: RunResults) -> list[GroupEdge]:
    """The edge in each band of the price paid, lowest first."""
    trades = sorted(run.trades, key=lambda trade: trade.price)
    found = grouped(trades, lambda trade: price_band(trade.price))
    return [(band, edge(members)) for band, members in found]


def edge_by_second(run: RunResults) -> list[GroupEdge]:
    """The edge by the market second of the decision."""
    found = grouped(
        run.trades, lambda trade: int(run.seconds[trade.decision_id] // SECOND_BAND) * SECOND_BAND
    )
    return [(f"{band} to {band + SECOND_BAND} s", edge(members)) for band, members in sorted(found)]


def result_plots(run: RunResults, groups: Sequence[GroupEdge]) -> list[Markup]:
    """The plots of a run, as far as there is data for them; neighbours are of similar heights."""
    clusters = pnl_by_market(run.trades)
    return [
        *([_equity(run.performance, clusters)] if clusters else []),
        *price_calibration(run.trades),
        *([_edge_of(groups)] if clusters else []),
        *source_figures(run.performance.by_source),
        *funnel_figures(run.funnel),
        *model_calibration(run.trades),
    ]


def _equity(found: Performance, clusters: Sequence[Cluster]) -> Markup:
    """Equity with the band of the bootstrap."""
    starting, curve = float(found.starting), found.curve
    # One market is settled at a time, so that the n-th market ends at the n-th point, or is part of it.
    last = len(curve) - 1
    band = [BandPoint(ts_ns=curve[0].ts_ns, low=starting, high=starting)]
    for limits in equity_limits([pnl for pnl, _ in clusters]):
        point = curve[max(1, round(limits.markets / len(clusters) * last))]
        band.append(BandPoint(ts_ns=point.ts_ns, low=starting + limits.low, high=starting + limits.high))
    return equity_plot(curve, found.drawdown, band)


def _edge_of(groups: Sequence[GroupEdge]) -> Markup:
    rows = [
        Interval(
            label=f"{name} (n = {found.numbers.n})",
            low=100 * found.after.low,
            mean=100 * found.after.mean,
            high=100 * found.after.high,
            chance=0.0,
        )
        for name, found in groups
        if found is not None
    ]
    return interval_plot(
        "edge-groups",
        "Edge after fees by price band and market second",
        "In points, with its 95 % interval. The upright mark is zero: an interval that contains it is not"
        " distinguishable from chance.",
        rows,
        "+.0f",
        bounds=(float("-inf"), float("inf")),
    )
