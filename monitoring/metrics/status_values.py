"""Metric values and health from the worker status. Pure."""

from collections.abc import Mapping

from events import WorkerStatus
from models import Frozen
from monitoring.metrics.catalogue import MODES, VERSIONS, Value

NO_QUOTE_S = 60.0
"""A running market is quoted several times a second; a minute without a quote is an error."""
STUCK_S = 10.0
"""A worker sends a heartbeat once a second; ten missing ones are not a pause of the machine."""


class Health(Frozen, frozen=True):
    """Content of /health; `reasons` is empty if the bot is healthy."""

    status: str
    reasons: tuple[str, ...]
    beat_age_s: float | None = None
    quote_age_s: float | None = None
    market: str | None = None
    market_version: str | None = None
    market_second: float | None = None

    @property
    def http_status(self) -> int:
        return 503 if self.reasons else 200


def health(
    worker_status: WorkerStatus | None,
    now_ns: int,
    market_ns: int | None = None,
    series_ns: Mapping[str, int] | None = None,
) -> Health:
    """Whether the bot runs and may trade, with a reason for each problem.

    `market_ns` is when a market was last running, `series_ns` the same of each of several series. There
    always is one at the venue, so a bot without one receives no quotes inside a market either.
    """
    if worker_status is None:
        return Health(status="starting", reasons=("the worker has not sent a heartbeat yet",))
    age = beat_age_s(worker_status, now_ns)
    # The values are as old as the status: a blocked loop receives no quotes either.
    quote_age = None if worker_status.quote_age_s is None else worker_status.quote_age_s + age
    reasons = []
    if age > STUCK_S:
        reasons.append(f"the event loop is blocked: its last heartbeat is {age:.0f} s old")
    if worker_status.halted is not None:
        reasons.append(f"halted: {worker_status.halted}")
    for one in worker_status.series:
        if one.quote_age_s is not None and one.quote_age_s + age > NO_QUOTE_S:
            reasons.append(f"no quote of {one.slug} for {one.quote_age_s + age:.0f} s")
        if one.slug is None and now_ns - (series_ns or {}).get(one.series, now_ns) > NO_QUOTE_S * 1e9:
            missing_s = (now_ns - (series_ns or {})[one.series]) / 1e9
            reasons.append(f"no {one.series} market found for {missing_s:.0f} s")
    if not worker_status.series:
        if quote_age is not None and quote_age > NO_QUOTE_S:
            reasons.append(f"no quote of {worker_status.slug} for {quote_age:.0f} s")
        if worker_status.slug is None and market_ns is not None and now_ns - market_ns > NO_QUOTE_S * 1e9:
            reasons.append(f"no market found for {(now_ns - market_ns) / 1e9:.0f} s")
    return Health(
        status="failing" if reasons else "ok",
        reasons=tuple(reasons),
        beat_age_s=round(age, 3),
        quote_age_s=None if quote_age is None else round(quote_age, 3),
        market=worker_status.slug,
        market_version=worker_status.version or None,
        market_second=round(worker_status.second, 1),
    )


def beat_age_s(worker_status: WorkerStatus, now_ns: int) -> float:
    return max(0.0, (now_ns - worker_status.ts_ns) / 1e9)


def state_values(worker_status: WorkerStatus, now_ns: int, *, live_path: bool) -> dict[str, Value]:
    """Metric values by name."""
    mode = worker_status.mode if worker_status.mode == "live" or not live_path else "rehearsal"
    age = beat_age_s(worker_status, now_ns)
    begin, end = worker_status.window
    feeds, consensus = worker_status.feeds, worker_status.consensus
    recording = worker_status.recording
    return {
        "trading_mode": {name: float(name == mode) for name in MODES},
        "trading_armed": float(worker_status.armed),
        "trading_halted": float(worker_status.halted is not None),
        "trading_orders_allowed": float(worker_status.allows_orders and worker_status.halted is None),
        "trading_market_second": worker_status.second,
        "trading_market_price": float(worker_status.p or 0),
        "trading_market_version": {name: float(name == worker_status.version) for name in VERSIONS},
        "trading_market_tradable": float(worker_status.tradable),
        "trading_in_window": float(begin <= worker_status.second < end),
        "trading_quote_age_seconds": 0.0
        if worker_status.quote_age_s is None
        else worker_status.quote_age_s + age,
        "trading_pending_settlements": float(worker_status.pending_settlements),
        "trading_oldest_pending_settlement_seconds": worker_status.oldest_pending_s or 0.0,
        "trading_unknown_orders": float(worker_status.unknown_orders),
        "trading_clock_skew_seconds": worker_status.clock_skew_s or 0.0,
        "trading_loop_age_seconds": age,
        "trading_feed_age_seconds": {f.source: -1.0 if f.age_s is None else f.age_s + age for f in feeds},
        "trading_feed_up": {f.source: float(f.up) for f in feeds},
        "trading_consensus_price": float(consensus.median) if consensus else 0.0,
        "trading_consensus_sources": {
            "agreeing": float(consensus.n if consensus else 0),
            "outlier": float(len(consensus.outliers) if consensus else 0),
        },
        "trading_feed_failures": {f.source: float(f.failures) for f in feeds},
        "trading_reconnects": {name: float(count) for name, count in worker_status.reconnects.items()},
        "trading_dropped_market_data": {name: float(count) for name, count in worker_status.dropped.items()},
        "trading_event_loop_tasks": float(worker_status.tasks),
        "trading_recorded_frames": float(recording.frames) if recording else 0.0,
        "trading_recording_lost_frames": float(recording.lost) if recording else 0.0,
    }
