"""Decisions, and the named reasons for not trading."""

from grafana.panels import BLUE, GREEN, GREY, ORANGE, RED, PanelStyle, Query, bars, lines, number
from grafana.rows.grid import NOT_DECIDED, Line
from models import OrderState
from monitoring.funnel import STAGES


def decisions() -> tuple[Line, ...]:
    stages = tuple(
        Query(f'trading_funnel_markets{{stage="{stage}"}}', stage.replace("_", " ")) for stage in STAGES
    )
    return (
        Line(
            10,
            (
                bars(
                    "Markets by stage reached",
                    "Every market is counted at each stage it reached, from seen to paid out.",
                    stages,
                    PanelStyle(unit="none", decimals=0, steps=((None, BLUE),), low=0, missing="bot is down"),
                    8,
                ),
                bars(
                    "Markets by stop reason",
                    "Markets by the reason that stopped them; see docs/metrics.md.",
                    Query("sort_desc(trading_funnel_stops > 0)", "{{reason}}"),
                    PanelStyle(
                        unit="none",
                        decimals=0,
                        steps=((None, ORANGE),),
                        low=0,
                        missing="no market was stopped yet",
                    ),
                    8,
                    empty="no market was stopped so far",
                ),
                bars(
                    "Orders by outcome",
                    "matched: bought; no fill: no ask up to the price cap; unknown: being looked up; "
                    "reversed: failed on the chain.",
                    tuple(
                        Query(f'trading_order_outcomes_total{{outcome="{state}"}}', state.replace("_", " "))
                        for state in OrderState
                        if state not in (OrderState.INTENT, OrderState.SENT)
                    ),
                    PanelStyle(
                        unit="none",
                        decimals=0,
                        steps=((None, GREEN),),
                        low=0,
                        missing="bot is down",
                        colours={"refused": ORANGE, "unknown": RED, "reversed": RED, "no fill": GREY},
                    ),
                    8,
                ),
            ),
        ),
        Line(
            8,
            (
                lines(
                    "Decisions of the last five minutes, by result",
                    "buy: an order followed. All others: the reason for not buying.",
                    Query("increase(trading_decisions_total[5m]) > 0", "{{reason}}"),
                    PanelStyle(unit="none", low=0, missing=NOT_DECIDED, colours={"buy": GREEN}),
                    16,
                    stacked=True,
                    empty="no decision was made in the last five minutes",
                ),
                number(
                    "Orders",
                    "Sent, filled and refused orders of the whole ledger.",
                    (
                        Query("trading_orders_placed_total", "placed"),
                        Query("trading_orders_filled_total", "filled"),
                        Query("trading_orders_rejected_total", "rejected"),
                    ),
                    PanelStyle(unit="none", decimals=0, missing="bot is down"),
                    8,
                ),
            ),
        ),
    )
