"""The running market, of each series: its state, and whether the bot receives its data."""

from grafana.panels import BLUE, GREEN, GREY, PLAIN, RED, YELLOW, PanelStyle, bars, lines, number
from grafana.rows.grid import Line, by_series
from models import SCALE_SECONDS


def market() -> tuple[Line, ...]:
    return (
        Line(
            5,
            (
                bars(
                    "Market second",
                    "0 to 900 for any market length. Green: the decision window, 780 to 840.",
                    by_series("trading_market_second", "second"),
                    PanelStyle(
                        unit="none",
                        decimals=0,
                        steps=((None, BLUE), (780, GREEN), (840, GREY)),
                        low=0,
                        high=SCALE_SECONDS,
                        missing="bot is down",
                    ),
                    6,
                ),
                number(
                    "Price of Up",
                    "Mid price of the Up token: the market's implied probability of Up.",
                    by_series("trading_market_price", "Up"),
                    PanelStyle(
                        unit="none",
                        decimals=3,
                        steps=((None, RED), (0.4, PLAIN), (0.6, GREEN)),
                        text={0: ("no price yet", GREY)},
                        missing="bot is down",
                    ),
                    4,
                ),
                number(
                    "Market",
                    "Tradable after three valid quotes in a row.",
                    by_series("trading_market_tradable", "market"),
                    PanelStyle(
                        text={1: ("tradable", GREEN), 0: ("not tradable yet", GREY)}, missing="bot is down"
                    ),
                    6,
                ),
                number(
                    "Window",
                    "Whether the running market is inside the decision window.",
                    by_series("trading_in_window", "window"),
                    PanelStyle(text={1: ("deciding", GREEN), 0: ("outside", GREY)}, missing="bot is down"),
                    4,
                ),
                number(
                    "Last fused score",
                    "Fused score of the last decision, 0 to 100; 40 is needed by default.",
                    by_series("trading_fused_score", "score"),
                    PanelStyle(
                        unit="none",
                        decimals=0,
                        steps=((None, GREY), (40, GREEN)),
                        missing="bot is down",
                    ),
                    4,
                ),
            ),
        ),
        Line(
            8,
            (
                lines(
                    "Price of Up over time",
                    "Above the upper line Up is the favourite, below the lower one Down is.",
                    by_series("trading_market_price", "Up", "> 0"),
                    PanelStyle(
                        unit="none",
                        decimals=2,
                        steps=((None, RED), (0.4, GREY), (0.6, GREEN)),
                        low=0,
                        high=1,
                        colours={"Up": BLUE},
                    ),
                    16,
                    limits=True,
                ),
                lines(
                    "Age of the newest quote",
                    "Rises while the venue sends nothing about the running market.",
                    by_series("trading_quote_age_seconds", "quote"),
                    PanelStyle(
                        unit="s",
                        steps=((None, GREEN), (60, RED)),
                        low=0,
                        colours={"quote": YELLOW},
                        missing="no market yet",
                    ),
                    8,
                ),
            ),
        ),
    )
