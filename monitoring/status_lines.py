"""The worker status as text, shared by the terminal view and the status page."""

from datetime import UTC, datetime

import msgspec

from events import FeedStatus, WorkerStatus
from models import MarketKind, ProtocolVersion, series_of
from monitoring.report.text_lines import duration

SILENT_AFTER_S = 5.0
"""Time without a heartbeat after which no worker is assumed to run: one is sent per second."""
CLOCK_SKEW_S = 2.0
"""Difference to the venue's clock beyond which the clock is off."""


def mode_text(worker_status: WorkerStatus) -> str:
    """The mode in capitals, and whether the bot may be switched to live."""
    return f"{worker_status.mode.upper()}{' (armed)' if worker_status.armed else ''}"


def start_text(slug: str) -> str:
    """The start of a market, UTC, from its slug; the slug if it has no time."""
    start = slug.rpartition("-")[2]
    return f"{datetime.fromtimestamp(int(start), UTC):%d %b %H:%M}" if start.isdigit() else slug


def market_text(slug: str, *, several: bool) -> str:
    """The start of a market, with its series where several are shown."""
    return f"{series_of(slug).title} {start_text(slug)}" if several else start_text(slug)


def series_statuses(worker_status: WorkerStatus) -> list[WorkerStatus]:
    """The status as that of each of several series; only itself with one."""
    return [
        msgspec.structs.replace(
            worker_status,
            slug=one.slug,
            title=one.title,
            kind=one.kind,
            version=one.version,
            second=one.second,
            second_length_s=one.second_length_s,
            p=one.p,
            quote_age_s=one.quote_age_s,
            tradable=one.tradable,
            feeds=one.feeds,
            consensus=one.consensus,
            outside=one.outside,
        )
        for one in worker_status.series
    ] or [worker_status]


def kind_text(kind: MarketKind | None, version: str) -> str:
    """The kind of a practice market and Protocol V2; empty for a market of Polymarket in v1."""
    marks = (kind, "Protocol V2" if version == ProtocolVersion.V2 else None)
    return ", ".join(mark for mark in marks if mark is not None)


def countdown_text(worker_status: WorkerStatus) -> str:
    """The time until the decision window, or where in it the market is."""
    begin, end = worker_status.window
    if worker_status.second < begin:
        return f"decides in {duration((begin - worker_status.second) * worker_status.second_length_s)}"
    return "deciding" if worker_status.second < end else "window over"


def pending_text(worker_status: WorkerStatus) -> str:
    """Unknown orders, missing results and a wrong clock; empty without any."""
    parts = []
    if worker_status.unknown_orders:
        parts.append(f"{worker_status.unknown_orders} orders of unknown outcome")
    if worker_status.pending_settlements:
        waiting = (
            ""
            if worker_status.oldest_pending_s is None
            else f" for {duration(worker_status.oldest_pending_s)}"
        )
        parts.append(f"{worker_status.pending_settlements} waiting for the official outcome{waiting}")
    if worker_status.clock_skew_s is not None and is_off(worker_status.clock_skew_s):
        parts.append(f"clock off by {worker_status.clock_skew_s:+.0f} s")
    return ", ".join(parts)


def is_off(clock_skew_s: float) -> bool:
    """Whether this machine's clock differs so much from the venue's that the operator should set it."""
    return abs(clock_skew_s) > CLOCK_SKEW_S


def quote_text(worker_status: WorkerStatus) -> str:
    """Age of the running market's quote; empty between markets."""
    if worker_status.slug is None or worker_status.quote_age_s is None:
        return ""
    tradable = "" if worker_status.tradable else ", not tradable"
    return f"quote {duration(worker_status.quote_age_s)} old{tradable}"


def feed_age_text(feed: FeedStatus) -> str:
    """Age of a feed's newest value."""
    return "never" if feed.age_s is None else duration(feed.age_s)
