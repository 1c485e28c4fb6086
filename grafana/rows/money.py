"""Results in money; a win rate is always shown with its sample size, interval and break-even."""

from grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PLAIN,
    PURPLE,
    RED,
    YELLOW,
    PanelStyle,
    PlacedPanel,
    Query,
    lines,
    number,
)
from grafana.rows.grid import NO_TRADE, USD, Line


def money() -> tuple[Line, ...]:
    signed = ((None, RED), (0, GREEN))
    return (
        Line(
            4,
            (
                _usd(
                    "Capital",
                    "Starting balance plus the P&L of all settled trades, fees included.",
                    "trading_current_capital",
                    2,
                ),
                _usd("Profit", "Of all settled trades, after fees.", "trading_total_pnl", 2, signed),
                _usd("Profit today", "Of this UTC day.", "trading_day_pnl", 2, signed),
                _usd(
                    "At stake", "Paid for positions whose market is not settled.", "trading_total_exposure", 2
                ),
                number(
                    "Limit used",
                    "Stake as a share of MAX_TOTAL_EXPOSURE.",
                    Query("trading_risk_utilization"),
                    PanelStyle(
                        unit="percent",
                        decimals=0,
                        steps=((None, PLAIN), (80, YELLOW), (100, RED)),
                        missing="bot is down",
                    ),
                    4,
                ),
                _usd(
                    "Fees paid", "To the venue, on every trade that takes liquidity.", "trading_fees_pusd", 4
                ),
            ),
        ),
        Line(
            4,
            (
                number(
                    "Win rate of the settled trades against break-even",
                    "Shown with the number of trades, the 95 % interval "
                    "and the win rate at which these prices and fees break even.",
                    (
                        Query("trading_settled_trades", "trades"),
                        Query("trading_win_rate and trading_settled_trades > 0", "won"),
                        Query("trading_win_rate_low and trading_settled_trades > 0", "at least (95 %)"),
                        Query("trading_win_rate_high and trading_settled_trades > 0", "at most (95 %)"),
                        Query("trading_break_even_win_rate and trading_settled_trades > 0", "break-even"),
                        Query("trading_mean_price and trading_settled_trades > 0", "mean price paid"),
                    ),
                    PanelStyle(
                        unit="percent",
                        decimals=1,
                        missing="bot is down",
                        colours={"break-even": ORANGE},
                        units={"trades": "none", "mean price paid": USD},
                        places={"trades": 0, "mean price paid": 3},
                    ),
                    16,
                ),
                number(
                    "Conclusion",
                    "Whether the result is statistically distinguishable from chance.",
                    Query(
                        'trading_verdict{verdict="profit"} + ignoring (verdict) '
                        '2 * trading_verdict{verdict="loss"}'
                    ),
                    PanelStyle(
                        text={
                            0: ("NOT DISTINGUISHABLE FROM CHANCE", GREY),
                            1: ("A PROFIT BEYOND CHANCE", GREEN),
                            2: ("A LOSS BEYOND CHANCE", RED),
                        },
                        missing="bot is down",
                    ),
                    8,
                ),
            ),
        ),
        Line(
            8,
            (
                lines(
                    "Capital over time",
                    "Starting balance plus the P&L of all settled trades, fees included.",
                    Query("trading_current_capital", "capital"),
                    PanelStyle(unit=USD, decimals=2, colours={"capital": GREEN}),
                    12,
                ),
                lines(
                    "Win rate against break-even",
                    "While the break-even line is inside the interval, an edge is not distinguishable"
                    " from chance.",
                    (
                        Query("trading_win_rate and trading_settled_trades > 0", "won"),
                        Query("trading_win_rate_low and trading_settled_trades > 0", "at least (95 %)"),
                        Query("trading_win_rate_high and trading_settled_trades > 0", "at most (95 %)"),
                        Query("trading_break_even_win_rate and trading_settled_trades > 0", "break-even"),
                        Query("trading_settled_trades", "trades (right)"),
                    ),
                    PanelStyle(
                        unit="percent",
                        low=0,
                        right="trades (right)",
                        units={"trades (right)": "none"},
                        missing=NO_TRADE,
                        colours={
                            "won": BLUE,
                            "at least (95 %)": GREY,
                            "at most (95 %)": GREY,
                            "break-even": ORANGE,
                            "trades (right)": PURPLE,
                        },
                    ),
                    12,
                    empty=NO_TRADE,
                ),
            ),
        ),
        Line(
            4,
            (
                number(
                    "Trades",
                    "Bought, and of the settled ones: won and lost.",
                    (
                        Query("trades_total", "bought"),
                        Query("trading_winning_trades_total", "won"),
                        Query("trading_losing_trades_total", "lost"),
                    ),
                    PanelStyle(unit="none", decimals=0, missing="bot is down"),
                    8,
                ),
                number(
                    "Largest drawdown",
                    "From the highest balance. New positions stop at MAX_DRAWDOWN_PCT, 15 % by default.",
                    Query("trading_max_drawdown"),
                    PanelStyle(
                        unit="percent",
                        decimals=1,
                        steps=((None, GREEN), (5, YELLOW), (10, RED)),
                        missing="bot is down",
                    ),
                    4,
                ),
                number(
                    "Sharpe per trade",
                    "Mean return of a trade over its standard deviation; not annualised.",
                    Query("trading_sharpe_ratio"),
                    PanelStyle(
                        unit="none",
                        decimals=2,
                        text={0: ("too few trades", GREY)},
                        missing="bot is down",
                    ),
                    4,
                ),
                _usd("To redeem", "Won and not yet paid into the account.", "trading_unredeemed_pusd", 2),
                _usd(
                    "Cash difference",
                    "The venue's cash minus the ledger's; any difference halts trading.",
                    "trading_cash_difference_pusd",
                    5,
                    ((None, RED), (-0.00001, GREEN), (0.00002, RED)),
                ),
            ),
        ),
    )


def _usd(
    title: str,
    description: str,
    metric: str,
    decimals: int,
    steps: tuple[tuple[float | None, str], ...] = ((None, PLAIN),),
) -> PlacedPanel:
    style = PanelStyle(unit=USD, decimals=decimals, steps=steps, missing="bot is down")
    return number(title, description, Query(metric), style, 4)
