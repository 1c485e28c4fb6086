"""The series of a worker: which one decides next, when a restart costs none its decision, and common work."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.market_clock import MarketClock
from models import Series
from runtime.worker.planned_restart import allows_restart
from runtime.worker.traded_series import Once, TradedGroup, TradedSeries

START = 1_790_586_000
"""A start of 5-minute and of 15-minute markets."""
WINDOW = (780.0, 840.0)


def traded(asset: str, timeframe: str, length: int, second: float = 0.0) -> TradedSeries:
    """A series whose running market is at this market second."""
    market = SimpleNamespace(slug=f"{asset}-{timeframe}")
    strategy: Any = SimpleNamespace(now=lambda: (SimpleNamespace(market=market), second, None))
    board: Any = SimpleNamespace(calendar=SlugCalendar(asset, "updown", timeframe, length))
    return TradedSeries(
        series=Series(asset=asset, timeframe=timeframe),
        length_s=length,
        board=board,
        strategy=strategy,
        feeds=None,
    )


def group(at_s: float, *series: TradedSeries) -> TradedGroup:
    return TradedGroup(series, MarketClock(), WINDOW, lambda: int((START + at_s) * 1e9))


@pytest.mark.parametrize(
    ("at_s", "chosen"),
    [
        (0, "btc-5m"),  # its window ends at 280 s
        (270, "btc-5m"),  # in its window
        (281, "btc-5m"),  # the next one ends at 580 s, that of 15 minutes at 840 s
        (581, "eth-15m"),  # 840 s, before the one of 5 minutes at 880 s
        (800, "eth-15m"),
        (841, "btc-5m"),
    ],
)
def test_the_series_whose_window_ends_next_is_shown(at_s: float, chosen: str) -> None:
    """Windows scale with the length of a market: from 260 to 280 s of 5 minutes, from 780 to 840 s of 15."""
    found = group(at_s, traded("eth", "15m", 900), traded("btc", "5m", 300))
    assert found.next_to_decide.series.name == chosen
    assert found.shortest.series.name == "btc-5m"


@pytest.mark.parametrize(
    ("at_s", "ordered", "follows"),
    [
        (200, (), False),
        (240, (), True),  # 20 s before the window of 5 minutes
        (240, ("btc-5m",), False),  # no other series' window is near
        (800, (), True),
        (800, ("btc-5m", "eth-15m"), False),
        (865, (), True),
        (865, ("eth-15m",), True),
        (885, (), False),
    ],
)
def test_an_order_may_follow_in_a_window_without_one(
    at_s: float, ordered: tuple[str, ...], follows: bool
) -> None:
    """A series with an order in its market has decided; another one's window may still be open."""
    found = group(at_s, traded("eth", "15m", 900), traded("btc", "5m", 300))
    assert found.order_may_follow(lambda slug: slug in ordered) is follows


def test_of_equal_windows_the_first_of_the_settings_is_shown() -> None:
    """The display does not alternate between series with the same window."""
    found = group(100, traded("sol", "15m", 900), traded("btc", "15m", 900))
    assert found.next_to_decide.series.name == "sol-15m"


@pytest.mark.parametrize(
    ("second", "allowed"), [(0, True), (659, True), (660, False), (780, False), (839.9, False), (840, True)]
)
def test_a_restart_keeps_its_distance_from_a_window(second: float, allowed: bool) -> None:
    """From 120 market seconds before a window to its end no worker is replaced."""
    assert allows_restart(second, WINDOW) is allowed
    found = group(0, traded("btc", "5m", 300, 5.0), traded("eth", "15m", 900, second))
    assert found.restart_disturbs is not allowed


def test_a_market_belongs_to_its_series_or_to_none() -> None:
    """The slug of a market names its series; one that is not traded has none."""
    found = group(0, traded("btc", "5m", 300), traded("eth", "15m", 900))
    one = found.of(f"eth-updown-15m-{START}")
    assert one is not None
    assert one.series.name == "eth-15m"
    assert found.of(f"eth-updown-5m-{START}") is None
    assert found.of("eth") is None


async def test_common_work_is_done_once_and_awaited_by_all() -> None:
    """Each strategy waits for the same preparation; one that is cancelled does not end it."""
    begun, finish = [], asyncio.Event()

    async def work() -> None:
        begun.append(1)
        await finish.wait()

    once = Once(work)
    first, second = (asyncio.ensure_future(once.run()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    finish.set()
    await second
    await once.run()
    assert (begun, first.cancelled()) == ([1], True)
