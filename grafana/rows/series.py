"""The results of each series, an asset and a length of markets, side by side."""

from grafana.panels import PanelStyle, Query, lines
from grafana.rows.grid import CHOSEN, NO_TRADE, USD, Line


def series() -> tuple[Line, ...]:
    return (
        Line(
            8,
            (
                lines(
                    "Profit by series",
                    "Of the settled trades of each series, after fees.",
                    Query(f"trading_series_pnl{{{CHOSEN}}}", "{{series}}"),
                    PanelStyle(unit=USD, decimals=2, missing=NO_TRADE),
                    8,
                    empty=NO_TRADE,
                ),
                lines(
                    "Settled trades by series",
                    "Of each series, won and lost.",
                    Query(f"trading_series_settled_trades{{{CHOSEN}}}", "{{series}}"),
                    PanelStyle(unit="none", decimals=0, missing=NO_TRADE),
                    8,
                    empty=NO_TRADE,
                ),
                lines(
                    "At stake by series",
                    "Paid for positions whose market is not settled. The limits count all series together.",
                    Query(f"trading_series_exposure{{{CHOSEN}}}", "{{series}}"),
                    PanelStyle(unit=USD, decimals=2, missing=NO_TRADE),
                    8,
                    empty=NO_TRADE,
                ),
            ),
        ),
    )
