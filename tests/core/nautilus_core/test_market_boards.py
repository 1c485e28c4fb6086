"""The boards of several series share one catalogue: each market reaches the board of its series only."""

import sys
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.common.component import LiveClock

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "execution"))
from canned_server import CannedServer
from gamma_rows import FIRST, row
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProviderConfig

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.identity import MarketIds
from core.nautilus_core.instruments.market_board import MarketBoard
from core.nautilus_core.instruments.market_boards import MarketBoards
from models import Series
from patches.gamma_markets import SlugProvider

BTC, ETH = Series(asset="btc", timeframe="15m"), Series(asset="eth", timeframe="5m")
LENGTHS = {BTC: 900, ETH: 300}


class Group:
    """The boards of btc-15m and eth-5m, with what they reported and the provider that loads their markets."""

    def __init__(self, url: str, slugs: list[str] | None = None) -> None:
        self.refused: list[tuple[str, str]] = []
        ids = MarketIds()
        self.boards = {
            series: MarketBoard(
                SlugCalendar(series.asset, "updown", series.timeframe, length),
                lambda market: None,
                lambda slug, why: self.refused.append((slug, why)),
                ids=ids,
            )
            for series, length in LENGTHS.items()
        }
        group = MarketBoards(self.boards)
        self.provider = SlugProvider(
            client=None,
            clock=LiveClock(),
            config=PolymarketInstrumentProviderConfig(load_all=True),
            slugs=lambda: group.upcoming(FIRST) if slugs is None else slugs,
            gamma_url=url,
            admit=group.admit,
            neighbours=group.neighbours,
            report=group.report,
        )

    async def running(self) -> list[str | None]:
        """Load the markets, add all instruments to both boards; the running market of each."""
        await self.provider.load_all_async()
        for board in self.boards.values():
            for instrument in self.provider.get_all().values():
                board.add(instrument)
        found = [board.running(FIRST) for board in self.boards.values()]
        return [None if tracked is None else tracked.market.slug for tracked in found]


def eth(number: int, **changes: Any) -> dict[str, Any]:
    return row(number, slug=f"eth-updown-5m-{FIRST}", endDate="2026-09-28T09:05:00Z", **changes)


@pytest.fixture
def canned():
    with CannedServer() as server:
        yield server


def listed(canned: CannedServer, *rows: Any) -> None:
    canned.answers["GET", "/markets/keyset"] = (200, {"markets": list(rows)})


async def test_each_market_reaches_the_board_of_its_series(canned: CannedServer) -> None:
    """One request has the running and the coming markets of both; nothing is reported as foreign."""
    listed(canned, row(0), eth(7))
    group = Group(canned.url)
    assert await group.running() == [f"btc-updown-15m-{FIRST}", f"eth-updown-5m-{FIRST}"]
    assert group.refused == []
    first = canned.asked[0][1]
    assert (first.count("slug=btc-updown-15m-"), first.count("slug=eth-updown-5m-")) == (5, 5)


async def test_a_market_of_one_series_does_not_share_an_id_with_another_series(canned: CannedServer) -> None:
    """The second market with an id is refused, with the name of the first one."""
    listed(canned, row(0), eth(7, conditionId="0xc0"))
    group = Group(canned.url)
    assert await group.running() == [f"btc-updown-15m-{FIRST}", None]
    assert group.refused == [(f"eth-updown-5m-{FIRST}", f"its id 0xc0 is that of btc-updown-15m-{FIRST}")]


async def test_a_series_that_the_catalogue_lacks_costs_the_other_nothing(canned: CannedServer) -> None:
    """The market that is missing is compared with the calendar, for that series alone."""
    listed(canned, eth(7))
    group = Group(canned.url)
    assert await group.running() == [None, f"eth-updown-5m-{FIRST}"]
    compared = [path for _, path, *_ in canned.asked[1:]]
    assert compared
    assert not any("eth-updown-5m-" in path for path in compared)


async def test_more_markets_than_a_page_are_several_requests(canned: CannedServer) -> None:
    """The catalogue lists a hundred markets at most: 24 series have 120."""
    slugs = [f"btc-updown-15m-{FIRST + 900 * number}" for number in range(120)]
    listed(canned, row(0))
    await Group(canned.url, slugs).provider.load_all_async()
    assert [path.count("slug=") for _, path, *_ in canned.asked[:2]] == [100, 20]
