"""The points of a sweep: every combination of the settings' values, each validated."""

import difflib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any

from config import Settings, with_values
from errors import ConfigError
from models import Frozen

MARKET = ("market_asset", "market_type", "market_timeframe")
DECISION = (
    *("trade_window_start", "trade_window_end", "trend_up_threshold", "trend_down_threshold"),
    *("require_signal_agreement", "min_edge", "fusion_min_signals", "fusion_min_score", "fusion_min_weight"),
    *("quote_stability_required", "quote_min_spread", "max_quote_age_seconds"),
    *("max_price_history", "tick_buffer_size"),
)
ORDERS = (
    *("position_size_usd", "market_buy_usd", "max_entry_price", "min_liquidity", "max_slippage"),
    "order_max_attempts",
)
RISK = (
    *("max_position_size", "max_total_exposure", "max_positions", "max_loss_per_day", "max_drawdown_pct"),
    *("max_exposure_per_asset", "max_positions_per_asset"),
    *("max_exposure_per_series", "max_positions_per_series", "max_loss_per_day_per_series"),
)
SIGNALS = (
    *("weight_orderbook", "weight_tick_velocity", "weight_divergence", "weight_spike"),
    *("weight_deribit_pcr", "weight_sentiment", "spike_threshold", "spike_lookback"),
    *("sentiment_fear_threshold", "sentiment_greed_threshold", "divergence_threshold"),
    *("orderbook_imbalance_threshold", "orderbook_min_volume", "tick_velocity_60s", "tick_velocity_30s"),
    *("deribit_bullish_pcr", "deribit_bearish_pcr"),
)
USED = (*MARKET, *DECISION, *ORDERS, *RISK, *SIGNALS)
"""The settings on which the result of a backtest depends; the fusion weights do not change in a backtest."""


class Point(Frozen, frozen=True):
    """One combination.

    Attributes
    ----------
    values : tuple of str
        In the order of the grid's names, as they were written.
    settings : dict[str, str]
        Every setting that is used, by its name in `.env`, in its shortest form.
    """

    values: tuple[str, ...]
    settings: dict[str, str]


class Grid(Frozen, frozen=True):
    """Names of the settings that vary, and all points in the order of the values."""

    names: tuple[str, ...]
    points: tuple[Point, ...]

    def label(self, point: Point) -> str:
        """A point as text: NAME=VALUE NAME=VALUE."""
        return " ".join(f"{name}={value}" for name, value in zip(self.names, point.values, strict=True))


def grid(base: Settings, texts: Sequence[str]) -> Grid:
    """All combinations of `NAME=VALUE,VALUE` texts; the other settings are those of `base`.

    Raises
    ------
    ConfigError
        For an unknown setting, one without effect on a backtest, or an invalid value or combination.
    """
    axes = _axes(texts)
    points: dict[str, Point] = {}
    for values in product(*axes.values()):
        settings = used_settings(_settings(base, dict(zip(axes, values, strict=True))))
        same = points.setdefault(repr(settings), Point(values=values, settings=settings))
        if same.values != values:
            raise ConfigError(
                f"{','.join(values)} of --set {','.join(axes)} is the same point as {','.join(same.values)}",
                "Leave one of them out",
            )
    return Grid(names=tuple(axes), points=tuple(points.values()))


def _settings(base: Settings, chosen: Mapping[str, str]) -> Settings:
    try:
        return with_values(base, chosen)
    except ConfigError as error:
        point = " ".join(f"{name}={value}" for name, value in chosen.items())
        raise ConfigError(f"the point {point} is not valid: {error.args[0]}", "Change --set") from None


def _axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values by name, in the order in which they were given."""
    names = [name.upper() for name in USED]
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, _, given = text.partition("=")
        name = name.strip().upper()
        values = [value.strip() for value in given.split(",") if value.strip()]
        if name.lower() not in Settings.model_fields:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {close[0]}?" if close else "docs/research.md lists the settings"
            raise ConfigError(f"unknown setting {name} in --set", f"Remove it, or {hint}")
        if name not in names:
            raise ConfigError(f"{name} in --set has no effect on a backtest", "Remove it")
        if not values:
            raise ConfigError(f"--set {text} has no value", f"Write --set {name}=VALUE,VALUE")
        if name in axes:
            raise ConfigError(f"{name} is in --set twice", "Give all of its values in one")
        axes[name] = values
    return axes


def used_settings(settings: Settings) -> dict[str, str]:
    """The settings on which a backtest depends, by their names in `.env`; none of them is secret."""
    return {name.upper(): _shortest(getattr(settings, name)) for name in USED}


def settings_of(used: Mapping[str, str]) -> Settings:
    """The settings of a point; those without effect on a backtest have their defaults."""
    return with_values(Settings(), used)


def _shortest(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
