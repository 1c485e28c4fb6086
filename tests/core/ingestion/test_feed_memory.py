"""The data that persist across a restart: the spot path in a file, the strikes in the ledger."""

import asyncio
import contextlib
import math
import os
import random
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import virtual_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_builders import market

from core.ingestion.adapters.checked_sources import CheckedSources
from core.ingestion.adapters.feed_memory import FeedMemory, SpotPathFile
from core.ingestion.adapters.spot_path import SpotPath, path_seconds
from core.ingestion.adapters.strikes import KnownStrike, Strikes
from core.ingestion.adapters.unified_adapter import Externals, UnifiedDataAdapter
from core.ingestion.validators.data_validator import DataValidator
from core.strategy_brain.fair_value import VOLATILITY_LOOKBACK, FairValue, fair_value
from data_sources.chainlink import ChainlinkSource
from data_sources.types import ChainPrice, PriceKind
from errors import Temporary
from models import Rule, Spot, Strike

START = market(0).start
POINTS = [(START + second + 0.25, Decimal(65000 + second)) for second in range(5)]


def test_the_file_gives_back_what_was_saved(tmp_path):
    """Every point with all its digits, in a file that only its owner can read."""
    file = SpotPathFile(tmp_path / "deep" / "spot_path.json", "btc 0xaa")
    file.save(POINTS)
    assert list(file.load(0, math.inf)) == POINTS
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.save(POINTS[1:])
    assert list(file.load(0, math.inf)) == POINTS[1:]


def test_points_outside_the_wanted_time_are_left_out(tmp_path):
    """Points older than the path's length, or in the future of a clock that was set back, are not used."""
    file = SpotPathFile(tmp_path / "spot_path.json", "btc")
    file.save(POINTS)
    assert list(file.load(START + 1.25, START + 3.25)) == POINTS[1:4]


def test_prices_of_another_world_are_not_used(tmp_path):
    """A path of ether, or of a practice account that has started over, is not used."""
    SpotPathFile(tmp_path / "spot_path.json", "btc 0xaa").save(POINTS)
    for world in ("eth 0xaa", "btc 0xbb", "btc"):
        assert list(SpotPathFile(tmp_path / "spot_path.json", world).load(0, math.inf)) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"world":"btc","points":[[1]]}', b"\xff\xfe", None])
def test_a_damaged_or_missing_file_is_an_empty_path(tmp_path, content):
    """Whatever the file contains, the bot starts with the path that it samples itself."""
    path = tmp_path / "spot_path.json"
    if content is not None:
        path.write_bytes(content)
    assert list(SpotPathFile(path, "btc").load(0, math.inf)) == []


def test_restored_points_come_before_the_own_ones():
    """Points sampled meanwhile stay; the file's are put before them, never between."""
    path = SpotPath(960)
    path.add(START + 3.5, Decimal(1))
    path.restore(POINTS)
    path.add(START + 4.5, Decimal(2))
    assert path.points == (*POINTS[:4], (START + 3.5, Decimal(1)), (START + 4.5, Decimal(2)))
    empty = SpotPath(960)
    empty.restore(POINTS)
    assert list(empty.points) == POINTS


def _published(price: str, at: float) -> ChainPrice:
    at_ns = round((START + at) * 1e9)
    return ChainPrice(
        source="chainlink",
        feed="rtds",
        kind=PriceKind.TWAP60,
        symbol="btc/usd",
        price=Decimal(price),
        source_ns=at_ns,
        received_ns=at_ns,
    )


def _restarted(strikes: Strikes, rule: Rule = Rule.TWAP60) -> Strikes:
    later = Strikes(lambda ns: ns / 1e9, "coinbase")
    for known in strikes.known(START, rule):
        later.restore(known)
    return later


@pytest.mark.parametrize("price", ["65004.5", "65326"])
def test_both_ways_to_a_strike_survive(price):
    """Chainlink's and our own: a contradiction between them, which is no strike, is stored as well."""
    strikes = Strikes(lambda ns: ns / 1e9, "coinbase")
    own = SpotPath(960)
    own.restore((START + at, Decimal(65000)) for at in range(-70, 5))
    strikes.note(START, round((START + 2) * 1e9), own, [_published(price, 0)])
    assert [known.source_ns for known in strikes.known(START, Rule.TWAP60)] == [None, START * 10**9]
    later = _restarted(strikes)
    assert later.find(START, Rule.TWAP60) == strikes.find(START, Rule.TWAP60)
    assert isinstance(later.find(START, Rule.TWAP60), Strike) is (price == "65004.5")
    assert later.known(START, Rule.TWAP60) == strikes.known(START, Rule.TWAP60)
    assert isinstance(later.find(START, Rule.SPOT), str)


def test_an_observation_nearer_to_the_boundary_replaces_a_restored_one():
    """A relay that returns with its replay improves the earlier process' strike, never the reverse."""
    strikes = Strikes(lambda ns: ns / 1e9, "coinbase")
    strikes.restore(KnownStrike(START, Strike(Decimal(65002), Rule.TWAP60, "x"), (START + 2) * 10**9))
    strikes.note(START, round((START + 90) * 1e9), SpotPath(960), [_published("65000", 0)])
    found = strikes.find(START, Rule.TWAP60)
    assert isinstance(found, Strike)
    assert found.price == Decimal(65000)
    strikes.restore(KnownStrike(START, Strike(Decimal(65002), Rule.TWAP60, "x"), (START + 2) * 10**9))
    assert strikes.find(START, Rule.TWAP60) == found


@pytest.mark.parametrize(("interval", "seconds"), [(300, 360.0), (900, 960.0), (14_400, 6_060.0)])
def test_the_path_is_as_long_as_the_market_needs(interval, seconds):
    """It includes the volatility's lookback, and the strike's minute with the three in which it is
    searched."""
    assert path_seconds(interval) == seconds
    longest = interval + 3600 if interval > 3600 else interval
    assert seconds >= VOLATILITY_LOOKBACK * longest / 900 + 60
    assert seconds >= 60 + 180


def test_the_volatility_of_a_four_hour_market_is_of_all_its_lookback(tmp_path):
    """A move of 4,700 s ago counts in a market of four hours: its path reaches back that far."""

    async def sampled() -> Externals:
        world = World(0, START)
        exchange: Any = SilentExchange(world)
        sources = CheckedSources(
            coinbase=exchange,
            validator=DataValidator("btc", world.now_ns),
            now_ns=world.now_ns,
            market_time=lambda ns: ns / 1e9,
            interval=14_400,
        )
        adapter = UnifiedDataAdapter(interval=14_400, sources=sources, now_ns=world.now_ns)
        now_s = START + 12_800
        for back in range(6000, 0, -1):
            sources.path.add(now_s - back, Decimal(65000 + (65 if back % 2 and 4000 < back < 4700 else 0)))
        seen = await adapter.refresh(start=START)
        await adapter.aclose()
        return seen

    path = virtual_time.run(sampled()).spot_path
    strike = Strike(Decimal(65000), Rule.TWAP60, "x")
    value = fair_value(market(0, interval=14_400), 800.0, Spot("x", Decimal(65000), 0, 0), strike, path)
    assert isinstance(value, FairValue)
    # 699 moves of a thousandth each within 4,800 s.
    assert value.volatility == pytest.approx(math.sqrt(699 * 1e-6 / 4800), rel=0.01)


# --- a whole feed in virtual time ------------------------------------------------------------------


class World:
    """A price every second from a seed, and the machine's clock of a virtual event loop."""

    def __init__(self, seed: int, begin: float) -> None:
        self.begin = begin
        noise = random.Random(seed)
        self._prices = [Decimal(65000)]
        for _ in range(2000):
            self._prices.append(self._prices[-1] + Decimal(noise.randint(-700, 700)) / 100)

    def now_ns(self) -> int:
        return round((self.begin + virtual_time.now()) * 1e9)

    def price(self, at_s: float) -> Decimal:
        return self._prices[int(at_s - START) + 500]

    def mean60(self, at_s: int) -> Decimal:
        return sum((self.price(at_s - back) for back in range(60)), Decimal(0)) / 60


class Exchange:
    """An imitation of Coinbase that answers at once."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def spot(self) -> Spot:
        now_ns = self._world.now_ns()
        return Spot("coinbase", self._world.price(now_ns / 1e9), now_ns, now_ns)

    async def aclose(self) -> None:
        pass


class SilentExchange(Exchange):
    """An exchange that does not answer."""

    async def spot(self) -> Spot:
        raise Temporary("no answer")


def _feed(world: World, memory: FeedMemory) -> UnifiedDataAdapter:
    chainlink = ChainlinkSource(rtds_url=None, now_ns=world.now_ns)
    exchange: Any = Exchange(world)
    sources = CheckedSources(
        coinbase=exchange,
        chainlink=chainlink,
        validator=DataValidator("btc", world.now_ns),
        now_ns=world.now_ns,
        market_time=lambda ns: ns / 1e9,
    )
    return UnifiedDataAdapter(
        interval=900, sources=sources, now_ns=world.now_ns, market_time=lambda ns: ns / 1e9, memory=memory
    )


async def _live(world: World, adapter: UnifiedDataAdapter, until_s: float, relayed: bool) -> None:
    """Run the feed to a market second; if the relay is up, with Chainlink's means around the boundary."""
    await adapter.start()
    while (now_s := world.now_ns() / 1e9) < START + until_s:
        assert adapter.sources.chainlink is not None
        second = int(now_s)
        if relayed and abs(second - START) <= 2:
            adapter.sources.chainlink.record_price(
                ChainPrice(
                    source="chainlink",
                    feed="rtds",
                    kind=PriceKind.TWAP60,
                    symbol="btc/usd",
                    price=world.mean60(second),
                    source_ns=second * 10**9,
                    received_ns=world.now_ns(),
                )
            )
        await adapter.refresh(rule=Rule.TWAP60)
        pause_s = 1.0 if second < START + 5 else 5.0 if second < START + 180 else 100.0
        await asyncio.sleep(min(START + until_s - now_s, pause_s))


async def _kill(adapter: UnifiedDataAdapter) -> None:
    """End it as kill -9 does: nothing is saved."""
    for task in list(adapter._tasks):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _decided(
    folder: Path, seed: int, relayed: bool, restart: tuple[float, float, bool] | None
) -> tuple[Externals, list[KnownStrike]]:
    """The external values at second 800, of a feed that began a minute and a half before the market.

    `restart` is the market second at which the process ends, how long it is away, and whether it is killed.
    """
    world, record = World(seed, START - 90.0), []
    file = SpotPathFile(folder / f"{seed}-{relayed}-{restart}.json", "btc")
    adapter = _feed(world, FeedMemory(path_file=file, on_strike=record.append))
    if restart is not None:
        at, away, killed = restart
        await _live(world, adapter, at, relayed)
        await (_kill(adapter) if killed else adapter.aclose())
        await asyncio.sleep(away)
        known = [each for each in record if each.start == START]
        adapter = _feed(world, FeedMemory(path_file=file, strikes=known, on_strike=record.append))
    await _live(world, adapter, 800.0, relayed)
    seen = await adapter.refresh(rule=Rule.TWAP60)
    await adapter.aclose()
    return seen, record


def _fair(seen: Externals) -> FairValue:
    value = fair_value(market(0), 800.0, seen.spot, seen.strike, seen.spot_path)
    assert isinstance(value, FairValue), value
    return value


@pytest.fixture(scope="module", autouse=True)
def _files_at_once():
    """In virtual time a thread would take many seconds, and no real disk would be fast enough."""

    async def inline(function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", inline)
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@cache
def _undisturbed(folder: Path, seed: int, relayed: bool) -> tuple[Externals, list[KnownStrike]]:
    return virtual_time.run(_decided(folder, seed, relayed, None))


def _assert_nothing_is_changed(
    folder: Path, seed: int, relayed: bool, at: float, away: float, killed: bool
) -> None:
    whole, known = _undisturbed(folder, seed, relayed)
    seen, record = virtual_time.run(_decided(folder, seed, relayed, (at, away, killed)))
    assert seen.strike == whole.strike
    assert seen.strike is not None
    assert seen.strike.source == ("chainlink_twap60/rtds" if relayed else "coinbase_mean60")
    assert _fair(seen) == _fair(whole)
    assert seen.absent.keys() == whole.absent.keys()
    assert [each for each in record if each.start == START] == [each for each in known if each.start == START]


@pytest.mark.parametrize("relayed", [True, False])
@pytest.mark.parametrize(("at", "away", "killed"), [(59.9, 60.0, True), (1.5, 60.0, False)])
def test_a_restart_in_the_first_minute_changes_no_decision(tmp_path_factory, relayed, at, away, killed):
    """Strike, volatility and fair probability at second 800 are exactly those of a run without a restart."""
    _assert_nothing_is_changed(tmp_path_factory.getbasetemp(), 0, relayed, at, away, killed)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 3), st.booleans(), st.floats(1.5, 60), st.floats(0.5, 60), st.booleans())
def test_no_restart_in_the_first_minute_changes_a_decision(tmp_path_factory, seed, relayed, at, away, killed):
    """The same for any second of the first minute, any time away, planned or by kill -9."""
    _assert_nothing_is_changed(tmp_path_factory.getbasetemp(), seed, relayed, at, away, killed)


def test_a_restart_in_mid_market_keeps_strike_and_volatility(tmp_path):
    """A crash at second 600 costs some seconds of the path: strike the same, volatility nearly."""
    whole, _ = virtual_time.run(_decided(tmp_path, 3, True, None))
    seen, _ = virtual_time.run(_decided(tmp_path, 3, True, (600.0, 20.0, True)))
    assert seen.strike == whole.strike
    assert _fair(seen).volatility == pytest.approx(_fair(whole).volatility, rel=0.15)
    assert seen.spot_path[0].second < 0


def test_an_orderly_stop_saves_the_path_to_its_last_second(tmp_path):
    """A planned restart costs the path only the seconds in which no process ran; kill -9 some more."""
    for killed in (False, True):
        seen, _ = virtual_time.run(_decided(tmp_path, 3, False, (605.5, 20.0, killed)))
        before = [tick.second for tick in seen.spot_path if tick.second <= 605.5]
        assert (before[-1] >= 605.0) is not killed


def test_without_a_memory_the_same_restart_costs_the_strike(tmp_path):
    """The control of the two tests above: a feed that begins at second 200 has no strike of its own."""
    world_begin = START + 200.0

    async def late() -> Externals:
        world = World(0, world_begin)
        adapter = _feed(world, FeedMemory())
        await _live(world, adapter, 800.0, True)
        seen = await adapter.refresh(rule=Rule.TWAP60)
        await adapter.aclose()
        return seen

    seen = virtual_time.run(late())
    assert seen.strike is None
    assert "strike" in seen.absent
