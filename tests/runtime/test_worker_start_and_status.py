"""How a worker starts, shows that it lives, and what it reports about itself once a second."""

import asyncio
import errno
import os
import sqlite3
import time
from contextlib import closing
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest
from ledger_builders import market
from test_decision_service import feeds
from test_redemption_setup import PLAN

from bot import DecisionSchedule, IntegratedBTCStrategy
from common.constants import ExitCode
from config import Settings
from core.ingestion.adapters.health import SourceHealth
from core.ingestion.adapters.unified_adapter import Externals
from core.nautilus_core.instruments.market_clock import MarketClock
from errors import Fatal, Temporary
from models import Rule, Spot, Strike
from monitoring.grafana_exporter import GrafanaMetricsExporter, reset_grafana_exporter
from monitoring.notifications import Notifier, reset_notifier
from monitoring.status_file import StatusFile
from monitoring.status_page import StatusPage
from runtime.worker import start, worker_status
from runtime.worker.exit_codes import exit_of
from runtime.worker.heartbeat import Heartbeat
from runtime.worker.observer_setup import build_observers
from runtime.worker.start import StartLimit
from runtime.worker.worker_status import (
    StatusReporter,
    feed_reconnects,
    feed_statuses,
    running_tasks,
    spot_text,
)
from settings_mapping import decision_settings, market_calendar, risk_limits

SPOT = Spot("coinbase", Decimal("65012.5"), 1, 1)
STRIKE = Strike(price=Decimal(65000), rule=Rule.TWAP60, source="chainlink_twap60/rtds")


# --- the start ---------------------------------------------------------------------------------------


@pytest.fixture
def limit():
    made = StartLimit(60.0)
    made.loop_runs()  # before it ends this process
    return made


def test_a_start_fails_with_its_first_failed_connection(limit):
    """NautilusTrader does not try again, so the worker need not wait for the limit."""
    assert not limit.failed
    limit.connect_failed("market data", RuntimeError("HTTP 503"))
    limit.connect_failed("orders", RuntimeError("HTTP 503"))
    assert limit.failed
    limit.connect_failed("user stream", OSError())
    assert limit.why({}) == (
        "the strategy cannot start, no connection for market data and orders: HTTP 503; user stream: OSError"
    )


def test_a_late_start_names_what_is_not_connected(limit, monkeypatch):
    """After the limit, with every client that is missing, or none."""
    later = time.monotonic() + 61
    monkeypatch.setattr(start.time, "monotonic", lambda: later)
    assert limit.failed
    assert limit.why({"market data": True, "orders": False}) == (
        "the strategy did not start within 60 s, no connection for orders; details are in logs/nautilus"
    )
    assert "all clients are connected" in limit.why({"market data": True, "orders": True})


def test_a_started_strategy_has_no_limit(limit, monkeypatch):
    """A connection that is lost later is the adapter's to restore."""
    limit.strategy_started()
    limit.connect_failed("orders", RuntimeError("HTTP 503"))
    later = time.monotonic() + 61
    monkeypatch.setattr(start.time, "monotonic", lambda: later)
    assert not limit.failed


def test_a_long_or_unprintable_error_is_one_short_line(limit):
    """A library's error may quote a whole request."""
    limit.connect_failed("orders", RuntimeError("\x1b[2J" + "x" * 10_000))
    assert len(limit.why({})) < 350
    assert limit.why({}).isprintable()


def test_a_start_that_blocks_ends_the_process_at_the_limit(monkeypatch, capfd):
    """Before the event loop runs nothing else can: the supervisor then starts another worker."""
    codes = []
    monkeypatch.setattr(start.os, "_exit", codes.append)
    made = StartLimit(0.001)
    made._timer.join(5)
    assert codes == [ExitCode.UNAVAILABLE]
    assert "error: the worker was not ready within 0.001 s" in capfd.readouterr().err


def full_database() -> sqlite3.Error:
    """SQLite's error for a full disk."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.Error) as raised:
            database.execute("CREATE TABLE full (id)")
        return raised.value


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 69),
        (OSError(errno.EFBIG, "File too large"), 69),
        (full_database(), 69),
        (OSError(errno.EACCES, "Permission denied"), 3),
        (None, 3),
    ],
    ids=lambda value: str(value),
)
def test_a_worker_that_finds_a_full_disk_is_started_again(cause, code):
    """69: later, with growing pauses, until there is space. Without permission, 3 ends the bot."""
    error = Fatal("ledger cannot be written", "Check that the disk is not full")
    error.__cause__ = cause
    assert exit_of(error) == code
    if isinstance(cause, OSError) and code == 69:
        assert exit_of(cause) == code


# --- the heartbeat -----------------------------------------------------------------------------------


def test_a_heartbeat_is_one_byte_and_never_waits():
    """A supervisor that reads slowly, has ended, or does not exist costs the worker nothing."""
    reading, writing = os.pipe()
    heart = Heartbeat(writing)
    heart.heartbeat()
    assert os.read(reading, 10) == b"."
    for _ in range(70_000):
        heart.heartbeat()
    os.close(reading)
    heart.heartbeat()
    os.close(writing)
    Heartbeat(None).heartbeat()


# --- the state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("externals", "origin", "text"),
    [
        (None, "", ""),
        (Externals(None, (), None, None, None, {}), "", ""),
        (Externals(SPOT, (), STRIKE, None, None, {}), "", "65,012.50 (+12.50)"),
        (Externals(SPOT, (), None, None, None, {}), "synthetic-57-1", "65,012.50 (no strike)"),
        (Externals(SPOT, (), STRIKE, None, None, {}), "btc-updown-15m-1790586000", ""),
    ],
)
def test_the_spot_is_shown_with_its_distance_to_the_strike(externals, origin, text):
    """Empty without a price, and in a recorded market, whose prices they are not."""
    assert spot_text(externals, market(1, origin=origin)) == text


def test_without_a_market_no_price_is_shown():
    """Between markets there is nothing to compare it with."""
    assert spot_text(Externals(SPOT, (), STRIKE, None, None, {}), None) == ""


def test_only_sources_that_were_asked_are_reported():
    """A source that this asset does not need is neither up nor down."""
    health = {
        "coinbase": SourceHealth(last_success_age_s=0.5, successes=3, failures=1, up=True),
        "deribit": SourceHealth(last_success_age_s=None, successes=0, failures=2, up=False),
        "binance": SourceHealth(last_success_age_s=None, successes=0, failures=0, up=False),
        "rtds stream": SourceHealth(
            last_success_age_s=1.0, successes=9, failures=0, up=True, state="connected", reconnects=2
        ),
    }
    assert [(one.source, one.age_s, one.failures, one.up) for one in feed_statuses(health)] == [
        ("coinbase", 0.5, 1, True),
        ("deribit", None, 2, False),
        ("rtds stream", 1.0, 0, True),
    ]
    assert feed_reconnects(health) == {"rtds stream": 2}


class Account:
    """The venue's clock, as an account reads it."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def clock_skew_s(self) -> float:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def reporter(account=None, adapter=None) -> StatusReporter:
    plan = msgspec.structs.replace(PLAN, armed=True, clock=MarketClock(speed=15.0))
    params, _ = decision_settings(Settings(), every_minute=False)
    return StatusReporter(
        plan,
        params,
        900,
        IntegratedBTCStrategy(SimpleNamespace()),
        SimpleNamespace(halted="three refusals", unknown=lambda: ["i1"]),
        SimpleNamespace(allows_orders=False, decision=SimpleNamespace(why="the mode store is empty")),
        adapter,
        account,
    )


def test_the_state_between_markets():
    """No market, no price, no feed; mode, halt, unknown orders and window are there all the same."""
    status = reporter()
    status.reconnected("market")
    status.reconnected("market")
    status.dropped("quotes", 3)
    status.dropped("quotes", 4)
    found = status.status(None)
    assert (found.profile, found.mode, found.armed) == ("live", "live", True)
    assert (found.halted, found.allows_orders, found.mode_detail) == (
        "three refusals",
        False,
        "the mode store is empty",
    )
    assert (found.slug, found.p, found.quote_age_s, found.feeds, found.consensus) == (
        None,
        None,
        None,
        (),
        None,
    )
    assert (found.unknown_orders, found.window) == (1, (780.0, 840.0))
    assert found.reconnects == {"market": 2, "user": 0}
    assert found.dropped == {"quotes": 7, "frames": 0}
    assert found.tasks == 0
    assert found.second_length_s == pytest.approx(1 / 15)
    assert abs(found.ts_ns - time.time_ns()) < 60e9


async def test_the_tasks_of_the_event_loop_are_counted():
    """Every task that has not ended, so that a task that is never awaited is noticed as a rising number."""
    waiting = [asyncio.create_task(asyncio.sleep(60)) for _ in range(5)]
    assert running_tasks() == 6
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert running_tasks() == 1


def test_the_state_has_the_sources_and_what_they_agree_on():
    """Consensus and health are read from the feeds that the decisions use."""
    adapter = feeds()
    adapter.sources.counts.succeeded("coinbase")
    found = reporter(adapter=adapter).status(None)
    assert found.consensus is not None
    assert (found.consensus.median, sorted(found.consensus.sources)) == (
        Decimal(65800),
        ["binance", "chainlink"],
    )
    assert [(one.source, one.up) for one in found.feeds] == [("coinbase", True)]


def test_the_clock_is_compared_again_and_again(monkeypatch):
    """A venue that does not answer keeps the last difference."""
    monkeypatch.setattr(worker_status, "SKEW_SECONDS", 0.0)
    skews = []
    status = reporter(Account(0.25, Temporary("no answer"), -0.5))

    async def measured() -> None:
        task = asyncio.create_task(status.measure_skew())
        while not skews or skews[-1] != -0.5:
            skew = status.status(None).clock_skew_s
            if skew is not None and skews[-1:] != [skew]:
                skews.append(skew)
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(asyncio.wait_for(measured(), 10))
    assert skews == [0.25, -0.5]


START_NS = 1_796_126_400 * 10**9
"""A quarter hour."""


# --- settings and observers --------------------------------------------------------------------------


def test_a_market_is_decided_once_in_its_window():
    """Window and pause are those of the settings; test mode on Polymarket decides every minute."""
    params, schedule = decision_settings(Settings(), every_minute=False)
    assert (params.window_start, params.window_end, schedule) == (780.0, 840.0, DecisionSchedule())
    assert (schedule.interval_ns, schedule.repeat) == (1_000_000_000, False)
    params, schedule = decision_settings(Settings(), every_minute=True)
    assert (params.window_start, params.window_end) == (0.0, 900.0)
    assert (schedule.interval_ns, schedule.repeat) == (60_000_000_000, True)


def test_the_wait_for_a_quote_costs_no_minute_its_decision():
    """With a quote every 7.3 s from second 10.5 on, each minute of a market in test mode has one decision."""
    _, schedule = decision_settings(Settings(), every_minute=True)
    decided: list[int] = []
    for number in range(121):
        now_ns = START_NS + 10_500_000_000 + number * 7_300_000_000
        if schedule.is_due(decided[-1] if decided else 0, now_ns):
            decided.append(now_ns)
    assert [(ns - START_NS) // 60_000_000_000 for ns in decided] == list(range(15))


@pytest.mark.parametrize(
    ("timeframe", "interval", "zone"),
    [("15m", 900, ""), ("5m", 300, ""), ("4h", 14_400, "America/New_York")],
)
def test_the_calendar_follows_the_timeframe(timeframe, interval, zone):
    """Lengths and, for long markets, the clock that their starts follow."""
    found = market_calendar(Settings.model_validate({"market_timeframe": timeframe}))
    assert (found.asset, found.timeframe, found.interval, found.zone) == ("btc", timeframe, interval, zone)


def test_each_limit_of_the_settings_is_the_risk_engines():
    """No limit takes the place of another."""
    settings = Settings.model_validate(
        {
            "max_position_size": "2",
            "max_total_exposure": "30",
            "max_positions": 4,
            "max_loss_per_day": "5",
            "max_drawdown_pct": "0.6",
            "max_exposure_per_asset": "7",
            "max_positions_per_asset": 8,
            "max_exposure_per_series": "9",
            "max_positions_per_series": 10,
            "max_loss_per_day_per_series": "11",
        }
    )
    found = risk_limits(settings)
    assert msgspec.structs.astuple(found) == (
        *(Decimal(2), Decimal(30), 4, Decimal(5), Decimal("0.6")),
        *(Decimal(7), 8, Decimal(9), 10, Decimal(11)),
    )
    assert msgspec.structs.astuple(risk_limits(Settings()))[5:] == (None,) * 5


@pytest.mark.parametrize(
    ("metrics", "page", "url", "kinds"),
    [
        (False, False, "", [StatusFile]),
        (False, True, "", [StatusFile]),
        (True, False, "", [StatusFile, GrafanaMetricsExporter]),
        (True, True, "", [StatusFile, GrafanaMetricsExporter, StatusPage]),
        (False, True, "json://127.0.0.1:1/x", [StatusFile, Notifier]),
        (True, True, "json://127.0.0.1:1/x", [StatusFile, GrafanaMetricsExporter, StatusPage, Notifier]),
    ],
)
def test_the_observers_are_those_that_are_wanted(tmp_path, metrics, page, url, kinds):
    """The status file always; metrics unless --no-grafana, on their port the status page unless --no-page;
    notifications if there is an address."""
    settings = Settings.model_validate({"state_dir": tmp_path, "notify_url": url, "grafana_port": 0})
    try:
        found = build_observers(settings, msgspec.structs.replace(PLAN, metrics=metrics, page=page))
        assert [type(one) for one in found] == kinds
    finally:
        reset_grafana_exporter()
        reset_notifier()
