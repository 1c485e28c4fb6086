"""What was decided, and by which named reason it did not trade."""

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
                    "How far the markets came",
                    "Every market counts at each stage that it reached, from seen to paid out.",
                    stages,
                    PanelStyle(unit="none", decimals=0, steps=((None, BLUE),), low=0, missing="bot is down"),
                    8,
                ),
                bars(
                    "What stopped them",
                    "Markets by the reason why they went no further; docs/metrics.md explains each reason.",
                    Query("sort_desc(trading_funnel_stops > 0)", "{{reason}}"),
                    PanelStyle(
                        unit="none",
                        decimals=0,
                        steps=((None, ORANGE),),
                        low=0,
                        missing="nothing has stopped one yet",
                    ),
                    8,
                    empty="every market so far came all the way",
                ),
                bars(
                    "What became of the orders",
                    "matched: bought; no fill: nobody sold at the cap; unknown: being looked up; "
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
                    "Decisions of the last five minutes, by how they ended",
                    "buy: an order followed. Everything else is the named reason for not buying.",
                    Query("increase(trading_decisions_total[5m]) > 0", "{{reason}}"),
                    PanelStyle(unit="none", low=0, missing=NOT_DECIDED, colours={"buy": GREEN}),
                    16,
                    stacked=True,
                    empty="no decision was made in the last five minutes",
                ),
                number(
                    "Orders",
                    "Sent, filled and refused since the ledger began.",
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
