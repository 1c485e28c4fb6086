"""Converts the settings into the parameters of strategy, market state, calendar and risk limits."""

import msgspec

from bot import DecisionSchedule
from config import Settings
from core.nautilus_core.instruments.calendar import NEW_YORK, SlugCalendar
from core.strategy_brain.strategies.market_view import MarketView
from execution.risk_engine import RiskLimits
from models import SCALE_SECONDS, BrainParams, Market

HOUR_S = 3600
MINUTE_NS = 60 * 1_000_000_000


def decision_settings(settings: Settings, *, every_minute: bool) -> tuple[BrainParams, DecisionSchedule]:
    """Decide once in each market's window; or, in test mode, every minute of the running market."""
    params = settings.brain_params()
    if not every_minute:
        return params, DecisionSchedule()
    return msgspec.structs.replace(
        params, window_start=0.0, window_end=float(SCALE_SECONDS)
    ), DecisionSchedule(interval_ns=MINUTE_NS, repeat=True)


def market_calendar(settings: Settings) -> SlugCalendar:
    """The markets that are traded.

    Raises
    ------
    ConfigError
        With several series, which have a calendar each: see `Settings.of_series`.
    """
    series = settings.only_series
    return SlugCalendar(
        asset=series.asset,
        kind=settings.market_type,
        timeframe=series.timeframe,
        interval=settings.interval_seconds,
        zone=NEW_YORK if settings.interval_seconds > HOUR_S else "",
    )


def new_view(settings: Settings, market: Market) -> MarketView:
    """The empty state of a market."""
    return MarketView(
        market,
        max_history=settings.max_price_history,
        tick_buffer=settings.tick_buffer_size,
        quote_stability_required=settings.quote_stability_required,
        min_spread=settings.quote_min_spread,
    )


def risk_limits(settings: Settings) -> RiskLimits:
    """The risk limits."""
    return RiskLimits(
        max_position_size=settings.max_position_size,
        max_total_exposure=settings.max_total_exposure,
        max_positions=settings.max_positions,
        max_loss_per_day=settings.max_loss_per_day,
        max_drawdown_pct=settings.max_drawdown_pct,
        max_exposure_per_asset=settings.max_exposure_per_asset,
        max_positions_per_asset=settings.max_positions_per_asset,
        max_exposure_per_series=settings.max_exposure_per_series,
        max_positions_per_series=settings.max_positions_per_series,
        max_loss_per_day_per_series=settings.max_loss_per_day_per_series,
    )
