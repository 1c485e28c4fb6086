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
    """The plots of a profile's results, as far as there is data for them."""
    return [
        *_money_figures(found),
        *calibration_figures(trades),
        *source_figures(found.by_source),
        *funnel_figures(flow),
    ]


def _money_figures(found: Performance) -> list[Markup]:
    if not found.total.n:
        return []
    return [
        equity_plot(found.curve, found.drawdown),
        groups_plot((*found.by_price, *found.by_side)),
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


def calibration_figures(trades: Sequence[TradeRow]) -> list[Markup]:
    """The calibration of the prices paid, and that of the modelled probabilities."""
    plots = (
        ("calibration-price", "Share won by price paid", by_price(trades)),
        ("calibration-model", "Share won by modelled probability", by_model(trades)),
    )
    return [calibration_plot(name, title, bins) for name, title, bins in plots if bins]


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
