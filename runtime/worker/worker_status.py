"""How the worker is, once a second: for the metrics, the health check and the terminal view."""

from collections.abc import Mapping

from core.ingestion.adapters.health import SourceHealth
from core.ingestion.adapters.unified_adapter import Externals
from events import FeedStatus


def feed_statuses(health: Mapping[str, SourceHealth]) -> tuple[FeedStatus, ...]:
    """The sources that were asked at least once."""
    return tuple(
        FeedStatus(source=name, age_s=one.last_success_age_s, failures=one.failures, up=one.up)
        for name, one in health.items()
        if one.successes or one.failures
    )


def feed_reconnects(health: Mapping[str, SourceHealth]) -> dict[str, int]:
    """How often each stream among the sources had to be opened again."""
    return {name: one.reconnects for name, one in health.items() if one.state is not None}


def spot_text(externals: Externals | None) -> str:
    """Spot against strike, in a few words; empty without feeds."""
    if externals is None or externals.spot is None:
        return ""
    strike = (
        "no strike" if externals.strike is None else f"{externals.spot.price - externals.strike.price:+,.2f}"
    )
    return f"{externals.spot.price:,.2f} ({strike})"
