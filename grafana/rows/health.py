"""Health: whether the operator has to act."""

from grafana.panels import BLUE, GREEN, GREY, ORANGE, PLAIN, PURPLE, RED, YELLOW, PanelStyle, Query, number
from grafana.rows.grid import JOB, Line


def health() -> tuple[Line, ...]:
    return (
        Line(
            4,
            (
                number(
                    "Bot",
                    "Whether Prometheus reaches the bot's metrics. DOWN: the bot is not running or does"
                    " not respond.",
                    Query(f'max(up{{job="{JOB}"}})'),
                    PanelStyle(text={1: ("UP", GREEN), 0: ("DOWN", RED)}, missing="not scraped"),
                    3,
                    tile=True,
                ),
                number(
                    "Mode",
                    "What orders trade: nothing (simulation), practice money on the live path "
                    "(rehearsal), or real money (live).",
                    Query(
                        'trading_mode{mode="rehearsal"} + ignoring (mode) 2 * trading_mode{mode="live"}',
                    ),
                    PanelStyle(
                        text={0: ("SIMULATION", BLUE), 1: ("REHEARSAL", PURPLE), 2: ("LIVE", ORANGE)},
                        missing="bot is down",
                    ),
                    4,
                    tile=True,
                ),
                number(
                    "New positions",
                    "Whether an order may be sent now. Blocked: a halt, the mode store is "
                    "lost, or the mode was switched against this run.",
                    Query("trading_orders_allowed"),
                    PanelStyle(text={1: ("ALLOWED", GREEN), 0: ("BLOCKED", RED)}, missing="bot is down"),
                    4,
                    tile=True,
                ),
                number(
                    "Halt",
                    "No new position until the halt is lifted: python redis_control.py resume.",
                    Query("trading_halted"),
                    PanelStyle(text={0: ("NONE", GREEN), 1: ("HALTED", RED)}, missing="bot is down"),
                    3,
                    tile=True,
                ),
                number(
                    "Alerts",
                    "Number of firing alerts; listed in Prometheus under Alerts and in Alertmanager.",
                    Query(f'count(ALERTS{{alertstate="firing", job="{JOB}"}}) or vector(0)'),
                    PanelStyle(unit="none", decimals=0, steps=((None, GREEN), (1, RED))),
                    3,
                    tile=True,
                ),
                number(
                    "Newest quote",
                    "Age of the running market's newest quote; of several series the oldest. Red from 60 s:"
                    " /health then answers 503.",
                    Query("max(trading_quote_age_seconds)"),
                    PanelStyle(
                        unit="s",
                        decimals=1,
                        steps=((None, GREEN), (10, YELLOW), (60, RED)),
                        missing="bot is down",
                    ),
                    4,
                    tile=True,
                ),
                number(
                    "Loop",
                    "Age of the event loop's last heartbeat, sent once a second; red: the loop is blocked.",
                    Query("trading_loop_age_seconds"),
                    PanelStyle(
                        unit="s",
                        decimals=1,
                        steps=((None, GREEN), (5, YELLOW), (10, RED)),
                        missing="bot is down",
                    ),
                    3,
                    tile=True,
                ),
            ),
        ),
        Line(
            4,
            (
                number(
                    "Unknown orders",
                    "Orders whose outcome is not known yet. They count as spent and are never sent again.",
                    Query("trading_unknown_orders"),
                    PanelStyle(
                        unit="none", decimals=0, steps=((None, GREEN), (1, RED)), missing="bot is down"
                    ),
                    4,
                ),
                number(
                    "Waiting for the outcome",
                    "Markets that are over and not yet resolved by the venue.",
                    Query("trading_pending_settlements"),
                    PanelStyle(
                        unit="none", decimals=0, steps=((None, PLAIN), (3, YELLOW)), missing="bot is down"
                    ),
                    4,
                ),
                number(
                    "Longest wait",
                    "Time since the end of the oldest unresolved market. One to two minutes are usual.",
                    Query("trading_oldest_pending_settlement_seconds"),
                    PanelStyle(
                        unit="s",
                        decimals=0,
                        steps=((None, PLAIN), (300, YELLOW), (900, RED)),
                        text={0: ("none pending", GREY)},
                        missing="bot is down",
                    ),
                    4,
                ),
                number(
                    "Clock",
                    "This machine's clock minus the venue's. Beyond 2 s: set the clock, orders contain it.",
                    Query("trading_clock_skew_seconds"),
                    PanelStyle(
                        unit="s",
                        decimals=2,
                        steps=((None, RED), (-2, GREEN), (2, RED)),
                        text={0: ("not measured", GREY)},
                        missing="bot is down",
                    ),
                    4,
                ),
                number(
                    "Running for",
                    "Time since the worker process started; it restarts every 90 minutes, between two"
                    " markets.",
                    Query("time() - trading_process_start_time_seconds"),
                    PanelStyle(unit="s", decimals=0, missing="bot is down"),
                    4,
                ),
                number(
                    "Version",
                    "The bot's own version; NautilusTrader's and Python's are labels of trading_build_info.",
                    Query("trading_build_info", "{{version}}"),
                    PanelStyle(missing="bot is down"),
                    4,
                    name=True,
                ),
            ),
        ),
    )
