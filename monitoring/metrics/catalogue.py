"""The metrics that mirror a state: name, kind, help and, for a label, all of its values.

All of them are exposed from the first scrape on, zeros included, so that a dashboard shows 0 instead of no
data. The names of the first version are kept besides the newer ones; no name has two meanings.
"""

from collections.abc import Mapping
from typing import Literal

from common.constants import (
    PROCESSOR_NAMES,
)
from models import Frozen, OrderStage, OrderState, ProtocolVersion, Reason
from monitoring.funnel import BEFORE, BUY, Stage
from monitoring.ledger_totals import LATENCY_ORDERS

Value = float | Mapping[str, float]
"""A value, or one for each value of the metric's label."""

SOURCES = PROCESSOR_NAMES
MODES = ("simulation", "rehearsal", "live")
VERSIONS = tuple(map(str, ProtocolVersion))
CONCLUSIONS = ("chance", "profit", "loss")
STOPS = tuple(str(stop) for stops in BEFORE.values() for stop in stops)
DECISIONS = (BUY, *map(str, Reason))
OUTCOMES = tuple(str(state) for state in OrderState if state not in (OrderState.INTENT, OrderState.SENT))
STAGES = tuple(map(str, Stage))
TIMED_STAGES = tuple(str(stage) for stage in OrderStage if stage is not OrderStage.QUOTE)
MOST_VALUES = 40
"""Maximum number of values of a label whose values come from the feeds, so that the number of series is
limited."""


class MetricSpec(Frozen, frozen=True):
    """One metric. Without `values`: those that occur, at most `MOST_VALUES`."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    label: str = ""
    values: tuple[str, ...] = ()


def _gauge(name: str, text: str, label: str = "", values: tuple[str, ...] = ()) -> MetricSpec:
    return MetricSpec(f"trading_{name}", "gauge", text, label, values)


def _counter(name: str, text: str, label: str = "", values: tuple[str, ...] = ()) -> MetricSpec:
    return MetricSpec(name, "counter", text, label, values)


CATALOGUE: tuple[MetricSpec, ...] = (
    # money, from the ledger: correct across restarts
    _gauge("total_pnl", "P&L of all settled trades, fees included, pUSD"),
    _gauge("day_pnl", "P&L of the trades settled this UTC day, pUSD"),
    _gauge("current_capital", "equity: paid-in balance plus the P&L of the settled trades, pUSD"),
    _gauge("roi", "P&L in percent of the paid-in balance"),
    _gauge("max_drawdown", "largest fall of equity from a peak, percent of that peak"),
    _gauge("sharpe_ratio", "mean over standard deviation of the returns per trade, not annualised"),
    _gauge("fees_pusd", "fees of all settled trades, pUSD"),
    _gauge("staked_pusd", "paid for the shares of all settled trades, pUSD"),
    _gauge("open_positions", "markets with an unsettled fill or an order in flight"),
    _gauge("total_exposure", "loss if every open position is lost, pUSD"),
    _gauge("risk_utilization", "exposure in percent of MAX_TOTAL_EXPOSURE"),
    _gauge("unredeemed_pusd", "won and not yet paid into the account, pUSD"),
    _gauge("cash_difference_pusd", "venue's balance less the ledger's at the last comparison, pUSD"),
    # evidence: a win rate with the values to compare it with
    _gauge("settled_trades", "settled trades"),
    _gauge("win_rate", "settled trades won, percent"),
    _gauge("win_rate_low", "lower end of the win rate's 95 % Wilson interval, percent"),
    _gauge("win_rate_high", "upper end of the win rate's 95 % Wilson interval, percent"),
    _gauge("break_even_win_rate", "win rate at which the trades break even, percent"),
    _gauge("mean_price", "price paid per share, mean over the trades, pUSD"),
    _gauge(
        "verdict",
        "1 for the conclusion of the statistical test: chance, profit or loss",
        "verdict",
        CONCLUSIONS,
    ),
    _gauge("avg_signal_score", "fused score of the trades, mean, 0 to 100"),
    _gauge("avg_signal_confidence", "fused confidence of the trades, mean, 0 to 1"),
    _counter("trades", "trades, including those reversed on the chain later"),
    _counter("trading_total_trades", "the same number under the name of the first dashboard"),
    _counter("trading_winning_trades", "orders that were matched in settled markets, won"),
    _counter("trading_losing_trades", "orders that were matched in settled markets, lost"),
    # series, from the ledger
    _gauge("series_pnl", "P&L of the settled trades of the series, fees included, pUSD", "series"),
    _gauge("series_settled_trades", "settled trades of the series", "series"),
    _gauge("series_winning_trades", "settled trades of the series that were won", "series"),
    _gauge(
        "series_open_positions",
        "markets of the series with an unsettled fill or an order in flight",
        "series",
    ),
    _gauge("series_exposure", "loss if every open position of the series is lost, pUSD", "series"),
    # actions, from the ledger
    _counter("trading_decisions", "decisions by result", "reason", DECISIONS),
    _counter("trading_orders_placed", "orders that were signed and sent"),
    _counter("trading_orders_filled", "orders that were matched, in full or in part"),
    _counter("trading_orders_rejected", "orders that were refused, by the venue or by the bot"),
    _counter("trading_order_outcomes", "orders that reached the outcome", "outcome", OUTCOMES),
    *(
        _gauge(
            f"order_stage_{name}_seconds",
            f"from the quote to the step of an order: {meaning} of the newest {LATENCY_ORDERS} orders",
            "stage",
            TIMED_STAGES,
        )
        for name, meaning in (
            ("median", "median"),
            ("p95", "95th percentile (the maximum of fewer than 20)"),
            ("p99", "99th percentile (the maximum of fewer than 100)"),
            ("max", "maximum"),
        )
    ),
    _gauge("funnel_markets", "markets that reached the stage", "stage", STAGES),
    _gauge("funnel_stops", "markets by the reason that stopped them", "reason", STOPS),
    _gauge("ledger_bytes", "size of the ledger's files"),
    _gauge(
        "ledger_reading_age_seconds",
        "time since the ledger metrics were last updated, if updating failed; else 0",
    ),
    # state, from the worker status
    _gauge("mode", "1 for the current mode; orders move real money in `live` only", "mode", MODES),
    _gauge("armed", "1 if this run was started with --live and armed"),
    _gauge("halted", "1 while trading is halted; a person has to resume it"),
    _gauge("orders_allowed", "1 if a new position may be opened: the mode allows it, and no halt"),
    _gauge("market_second", "market second, 0 to 900"),
    _gauge("market_price", "price of the running market's Up token"),
    _gauge(
        "market_version",
        "1 for the protocol version of the running market; 0 for both between markets",
        "version",
        VERSIONS,
    ),
    _gauge("market_tradable", "1 if the running market has shown enough valid quotes"),
    _gauge("in_window", "1 inside the decision window"),
    _gauge("quote_age_seconds", "age of the running market's last quote; 0 between markets"),
    _gauge("pending_settlements", "markets that are over and have no official outcome yet"),
    _gauge("oldest_pending_settlement_seconds", "time since the end of the oldest of them"),
    _gauge("unknown_orders", "orders whose outcome is unknown"),
    _gauge("clock_skew_seconds", "this machine's clock less the venue's"),
    _gauge("loop_age_seconds", "age of the worker's last heartbeat"),
    _gauge("feed_age_seconds", "age of the source's last value; -1 if it never had one", "source"),
    _gauge("feed_up", "1 if the source's last answer was valid", "source"),
    _gauge("consensus_price", "median spot price of the agreeing sources, USD; 0 without one"),
    _gauge(
        "consensus_sources",
        "sources of the spot price with a recent value: agreeing, or outliers that are excluded",
        "state",
        ("agreeing", "outlier"),
    ),
    _counter("trading_feed_failures", "failed requests to the source, in this process", "source"),
    _counter("trading_reconnects", "reconnects of the stream, in this process", "stream"),
    _counter(
        "trading_dropped_market_data",
        "not used, because a newer quote waited, or because frames had waited for a second, in this process",
        "kind",
        ("quotes", "frames"),
    ),
    _gauge("event_loop_tasks", "tasks of the worker's event loop"),
    _counter("trading_recorded_frames", "frames of --record on the disk, in this process"),
    _counter(
        "trading_recording_lost_frames", "frames of --record that could not be written, in this process"
    ),
)
"""A counter's exposed name ends in `_total`."""

OF_SERIES = frozenset(
    f"trading_{name}"
    for name in (
        "market_second",
        "market_price",
        "market_version",
        "market_tradable",
        "in_window",
        "quote_age_seconds",
        "feed_age_seconds",
        "feed_up",
        "feed_failures",
        "consensus_price",
        "consensus_sources",
    )
)
"""Metrics of the state of a series: with several series they have the label `series`."""
