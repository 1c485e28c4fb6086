"""A worker's feeds start with an earlier worker's data of the running market."""

import asyncio
import time
from decimal import Decimal

import msgspec
import pytest
from ledger_builders import open_ledger

from config import Settings
from core.ingestion.adapters.strikes import KnownStrike
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.market_clock import MarketClock
from execution.ledger import LedgerReader, Mode, Venue, ledger_path
from execution.ledger_thread import LedgerThread
from models import MarketKind, Rule, Strike
from runtime.worker.feed_setup import feed_memory
from runtime.worker.plan import WorkerPlan

START = 1_790_597_700
URLS = VenueUrls(clob="http://c", gamma="http://g", data_api="http://d", ws="ws://w/")
PLAN = WorkerPlan(
    mode=Mode.SIMULATION,
    venue=Venue.POLYMARKET,
    profile="polymarket",
    market_urls=URLS,
    urls=URLS,
    clock=MarketClock(),
    note="",
    markets=0,
)
STRIKE = Strike(price=Decimal("65001.5"), rule=Rule.TWAP60, source="chainlink_twap60/rtds")


def at_second(second: float) -> WorkerPlan:
    """A plan whose market clock is fixed at that second of the market."""
    clock = MarketClock(wall_ns=time.time_ns(), market_ns=round((START + second) * 1e9), speed=0.0)
    return msgspec.structs.replace(PLAN, clock=clock)


def kind_of(slug: str) -> MarketKind | None:
    """Markets of Polymarket."""
    del slug


@pytest.fixture
def world(tmp_path):
    """Settings, ledger, its reader and its thread, of a worker of the Polymarket profile."""
    settings = Settings.model_validate({"state_dir": tmp_path})
    path = ledger_path(tmp_path, "polymarket")
    thread = LedgerThread(lambda error: pytest.fail(str(error)))
    with open_ledger(path, venue=Venue.POLYMARKET) as ledger, LedgerReader(path) as reader:
        yield settings, ledger, reader, thread
    thread.close()


def test_a_worker_takes_up_the_strike_of_the_running_market(world):
    """The strike of an earlier worker is available at second 500; those of other markets are not."""
    settings, ledger, reader, thread = world
    for start in (START - 900, START, START + 900):
        ledger.record_strike(f"btc-updown-15m-{start}", STRIKE, start * 10**9)

    memory = feed_memory(settings, at_second(500), "", ledger, reader, thread, kind_of)

    assert memory.strikes == [KnownStrike(start=START, strike=STRIKE, source_ns=START * 10**9)]


def test_a_strike_goes_into_the_ledger_when_it_is_known(world):
    """The strikes reported by the feed are available to the next worker."""
    settings, ledger, reader, thread = world
    first = feed_memory(settings, at_second(1), "", ledger, reader, thread, kind_of)
    assert first.strikes == []
    first.on_strike(KnownStrike(start=START, strike=STRIKE))
    asyncio.run(thread.call(int))  # behind the row

    later = feed_memory(settings, at_second(890), "", ledger, reader, thread, kind_of)

    assert later.strikes == [KnownStrike(start=START, strike=STRIKE, source_ns=None)]


@pytest.mark.parametrize("kind", list(MarketKind))
def test_a_recorded_market_has_no_strike_in_the_prices_beside_it(kind, world):
    """On the mixed venue the feeds report a strike at each start; only a generated market's is stored."""
    settings, ledger, reader, thread = world
    memory = feed_memory(settings, at_second(1), "", ledger, reader, thread, lambda slug: kind)
    memory.on_strike(KnownStrike(start=START, strike=STRIKE))
    asyncio.run(thread.call(int))  # behind the row
    stored = [row.strike for row in reader.strikes(f"btc-updown-15m-{START}")]
    assert stored == ([STRIKE] if kind is MarketKind.GENERATED else [])


def test_real_prices_are_shared_and_those_of_a_practice_account_are_not(world, tmp_path):
    """Paper and live have the same spot prices; a practice account has its own file, with its name."""
    settings, ledger, reader, thread = world
    files = [
        feed_memory(settings, plan, session, ledger, reader, thread, kind_of).path_file
        for plan, session in (
            (PLAN, ""),
            (msgspec.structs.replace(PLAN, profile="live"), ""),
            (msgspec.structs.replace(PLAN, profile="synthetic", venue=Venue.SYNTHETIC), "0xaa"),
        )
    ]
    assert [(file.path.relative_to(tmp_path).as_posix(), file.world) for file in files if file] == [
        ("spot_path.json", "btc"),
        ("spot_path.json", "btc"),
        ("synthetic/spot_path.json", "btc 0xaa"),
    ]
