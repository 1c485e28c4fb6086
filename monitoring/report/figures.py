"""The plots of results, as far as there is data for them: equity, groups, calibration, signals, funnel."""

from collections.abc import Iterable, Sequence

from execution.ledger import TradeRow
from monitoring.funnel import Funnel
from monitoring.performance_tracker import Group, Performance, SourceResult
from monitoring.report.calibration import by_model, by_price
from monitoring.report.html import Markup
from monitoring.report.plots import Interval, calibration_plot, equity_plot, funnel_plot, interval_plot
from monitoring.report.text_lines import readable_name


def result_plots(found: Performance, trades: Sequence[TradeRow], flow: Funnel) -> list[Markup]:
    """The plots of a profile, as far as there is data for them; neighbours are of similar heights."""
    settled = found.total.n > 0
    return [
        *([equity_plot(found.curve, found.drawdown)] if settled else []),
        *price_calibration(trades),
        *([groups_plot((*found.by_price, *found.by_side))] if settled else []),
        *source_figures(found.by_source),
        *funnel_figures(flow),
        *model_calibration(trades),
    ]


def groups_plot(groups: Iterable[Group]) -> Markup:
    """Mean P&L per trade of each group with a settled trade."""
    return interval_plot(
        "groups",
        "Mean P&L per trade",
        "In pUSD, with its 95 % interval. The upright mark is zero: an interval that contains it is not"
        " distinguishable from chance.",
        [
            Interval(
                label=f"{group.name} (n = {group.statistics.n})",
                low=group.statistics.mean_pnl_low or 0.0,
                mean=group.statistics.mean_pnl or 0.0,
                high=group.statistics.mean_pnl_high or 0.0,
                chance=0.0,
            )
            for group in groups
            if group.statistics.n
        ],
        "+.3f",
        bounds=(float("-inf"), float("inf")),
    )


def price_calibration(trades: Sequence[TradeRow]) -> list[Markup]:
    """The calibration of the prices paid."""
    bins = by_price(trades)
    return [calibration_plot("calibration-price", "Share won by price paid", bins)] if bins else []


def model_calibration(trades: Sequence[TradeRow]) -> list[Markup]:
    """The calibration of the modelled probabilities."""
    bins = by_model(trades)
    return [calibration_plot("calibration-model", "Share won by modelled probability", bins)] if bins else []


def source_figures(sources: Sequence[SourceResult]) -> list[Markup]:
    """The accuracy of the signal sources against the market's price."""
    if not sources:
        return []
    return [
        interval_plot(
            "signals",
            "Share of votes that were right",
            "With its 95 % interval; the upright mark is what the market's price gave the sides voted for.",
            [
                Interval(found.source, found.low, found.accuracy, found.high, found.expected)
                for found in sources
            ],
            ".0%",
            bounds=(0, 1),
        )
    ]


def funnel_figures(found: Funnel) -> list[Markup]:
    """The markets by the stage that they reached."""
    if not found.stages[0].markets:
        return []
    return [funnel_plot([(readable_name(stage.stage), stage.markets) for stage in found.stages])]
