"""When a worker decides, and what it may risk: the settings in the words of the rooms that use them."""

import msgspec

from bot import Pace
from config import Settings
from core.nautilus_core.instruments.calendar import SlugCalendar
from execution.risk_engine import RiskLimits
from models import SCALE_SECONDS, BrainParams
from worker.plan import WorkerPlan

MINUTE_NS = 60 * 1_000_000_000


def rhythm(settings: Settings, plan: WorkerPlan) -> tuple[BrainParams, Pace]:
    """Once in each market's window; or, to look at the running market, once a minute of all of it."""
    params = settings.brain_params()
    if not plan.every_minute:
        return params, Pace()
    return msgspec.structs.replace(params, window_start=0.0, window_end=float(SCALE_SECONDS)), Pace(
        every_ns=MINUTE_NS, on_and_on=True
    )


def calendar(settings: Settings) -> SlugCalendar:
    """The markets that are traded."""
    return SlugCalendar(
        asset=settings.market_asset,
        kind=settings.market_type,
        timeframe=settings.market_timeframe,
        interval=settings.interval_seconds,
    )


def limits(settings: Settings) -> RiskLimits:
    """What may be risked."""
    return RiskLimits(
        max_position_size=settings.max_position_size,
        max_total_exposure=settings.max_total_exposure,
        max_positions=settings.max_positions,
        max_loss_per_day=settings.max_loss_per_day,
        max_drawdown_pct=settings.max_drawdown_pct,
    )
