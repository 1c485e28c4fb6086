"""Latencies, external feeds and the process, for finding the cause of a problem."""

from grafana.panels import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    PanelStyle,
    PlacedPanel,
    Query,
    bars,
    lines,
    number,
)
from grafana.rows.grid import CHOSEN, NO_FEEDS, NO_TRADE, NOT_DECIDED, Line

NO_ORDER = "no order has been answered yet"


def latency() -> tuple[Line, ...]:
    return (
        Line(
            7,
            (
                _quantiles(
                    "Decision",
                    "From the tick to the row in the ledger. After a start, a decision waits up to 1.5 s for"
                    " the first values of the feeds.",
                    "trading_decision_latency_seconds",
                    NOT_DECIDED,
                ),
                _quantiles(
                    "Order",
                    "From the intent in the ledger to the venue's answer, including the venue's taker delay.",
                    "trading_order_latency_seconds",
                    NO_ORDER,
                ),
                number(
                    "Mean holding time",
                    "From the fill to the official outcome.",
                    Query("trading_trade_duration_seconds_sum / trading_trade_duration_seconds_count"),
                    PanelStyle(unit="s", decimals=0, undefined=NO_TRADE, missing=NO_TRADE),
                    4,
                ),
            ),
        ),
        Line(
            7,
            (
                _steps("Order path, median", "Half of the newest 500 orders", "median"),
                _steps("Order path, 95 %", "95 % of the newest 500 orders", "p95"),
            ),
        ),
    )


def _steps(title: str, which: str, name: str) -> PlacedPanel:
    """The time from the quote to each step."""
    return lines(
        title,
        f"{which} reached the step within this time from the quote; `posted` is the first byte of the POST.",
        Query(f"trading_order_stage_{name}_seconds > 0", "{{stage}}"),
        PanelStyle(unit="s", low=0, missing=NO_ORDER),
        12,
        empty=NO_ORDER,
    )


def _quantiles(title: str, description: str, histogram: str, missing: str) -> PlacedPanel:
    queries = tuple(
        Query(f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket[1h])))", name)
        for share, name in ((0.5, "half are faster"), (0.95, "95 % are faster"))
    )
    return lines(
        title,
        description,
        queries,
        PanelStyle(
            unit="s", low=0, missing=missing, colours={"half are faster": GREEN, "95 % are faster": ORANGE}
        ),
        10,
        empty=missing,
    )


def feeds() -> tuple[Line, ...]:
    return (
        Line(
            4,
            (
                number(
                    "Sources",
                    "Whether a source's newest answer was good, or its stream is open. "
                    "A source that is down does not vote. Of several series: down if it is for one of them.",
                    Query(f"min by (source) (trading_feed_up{{{CHOSEN}}})", "{{source}}"),
                    PanelStyle(text={1: ("up", GREEN), 0: ("down", RED)}, missing=NO_FEEDS),
                    18,
                    empty=NO_FEEDS,
                ),
                number(
                    "Sources that are down",
                    "With the series, where there are several.",
                    Query(f"trading_feed_up{{{CHOSEN}}} == 0", "{{source}} {{series}}"),
                    PanelStyle(steps=((None, RED),), missing="none is down"),
                    6,
                    name=True,
                    empty="no source is down",
                ),
            ),
        ),
        Line(
            8,
            (
                lines(
                    "Age of the newest value",
                    "Slow sources are polled rarely: the fear and greed index changes once a day. Of several"
                    " series the oldest.",
                    Query(f"max by (source) (trading_feed_age_seconds{{{CHOSEN}}} >= 0)", "{{source}}"),
                    PanelStyle(unit="s", low=0, missing=NO_FEEDS),
                    10,
                    empty=NO_FEEDS,
                ),
                lines(
                    "Failures a minute",
                    "Answers that were missing, late or rejected by validation.",
                    Query(
                        f"rate(trading_feed_failures_total{{{CHOSEN}}}[5m]) * 60 > 0", "{{source}} {{series}}"
                    ),
                    PanelStyle(unit="none", low=0, missing="none failed in the last five minutes"),
                    8,
                    empty="no source failed in the last five minutes",
                ),
                bars(
                    "Reconnects",
                    "By stream, since the worker started: the twelve with the most.",
                    Query("topk(12, trading_reconnects_total)", "{{stream}}"),
                    PanelStyle(
                        unit="none",
                        decimals=0,
                        steps=((None, BLUE), (5, ORANGE)),
                        low=0,
                        missing="bot is down",
                    ),
                    6,
                ),
            ),
        ),
    )


def process() -> tuple[Line, ...]:
    return (
        Line(
            6,
            (
                lines(
                    "Processor",
                    "CPU cores used by the worker.",
                    Query("rate(process_cpu_seconds_total[1m])", "cores"),
                    PanelStyle(unit="none", decimals=2, low=0),
                    8,
                ),
                lines(
                    "Memory",
                    "Resident memory of the worker.",
                    Query("process_resident_memory_bytes", "resident"),
                    PanelStyle(unit="bytes", low=0, colours={"resident": PURPLE}),
                    8,
                ),
                lines(
                    "Ledger",
                    "Size of the ledger's files; nothing is deleted from it.",
                    Query("trading_ledger_bytes", "size"),
                    PanelStyle(unit="bytes", low=0, colours={"size": BLUE}),
                    8,
                ),
            ),
        ),
    )
