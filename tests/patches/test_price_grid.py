"""The grid of a price, and that a price off the known grid is never rounded into a book."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from rig import SEED_57, Rig

from models import Outcome
from patches import market_feed
from patches.market_feed import MESSAGE_TYPE, fault_of
from patches.price_grid import finer_tick, off_grid

D = Decimal
WORLD = (*SEED_57, "--speed", "1", "--first", "3", "--start-at", "322")
"""Up is at 0.95/0.96; a second later at 0.961/0.966, on the finer grid."""
COARSE, FINE = D("0.01"), D("0.001")


@pytest.mark.parametrize(
    ("tick", "prices", "finer"),
    [
        ("0.01", ["0.961", "0.965"], "0.001"),
        ("0.01", ["0.965"], "0.005"),
        ("0.005", ["0.965", "0.961"], "0.001"),
        ("0.01", ["0.9625"], "0.0025"),
        ("0.0025", ["0.961"], "0.0001"),
        ("0.1", ["0.55", "0.5"], "0.01"),
        ("0.01", ["0.99999"], None),
        ("0.0001", ["0.00005"], None),
    ],
)
def test_the_coarsest_grid_that_holds_the_prices(tick: str, prices: list[str], finer: str | None) -> None:
    """A price on the returned grid is on the market's real grid, too; off every grid there is none."""
    found = finer_tick(D(tick), map(D, prices))
    assert found == (None if finer is None else D(finer))


def test_the_price_off_a_grid_is_named() -> None:
    """Trailing zeros are on the grid."""
    assert off_grid([D("0.5"), D("0.960"), D("0.961")], COARSE) == D("0.961")
    assert off_grid([D("0.5"), D("0.960"), D("1")], COARSE) is None


def snapshot(**more: Any) -> Any:
    message = {
        "event_type": "book",
        "market": "0xdd22",
        "asset_id": "11",
        "timestamp": "1",
        "bids": [],
        "asks": [],
    }
    return msgspec.json.decode(json.dumps(message | more), type=MESSAGE_TYPE)


@pytest.mark.parametrize("tick", ["0.01", "0.001", 0.001, 0.0001, None])
def test_a_book_may_name_its_tick(tick: Any) -> None:
    """As text or as a number, or not at all."""
    assert fault_of(snapshot(tick_size=tick)) is None


@pytest.mark.parametrize("tick", ["0", "1", "NaN", "1e-3", 7, 0.0, ""])
def test_a_tick_that_cannot_be_is_a_fault(tick: Any) -> None:
    """It is named with its value, and the book is not used."""
    assert str(fault_of(snapshot(tick_size=tick))).startswith("tick_size ")


class Feed:
    """The Up token's book in Nautilus and at the venue, and every price that was passed on."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.prices: set[Decimal] = set()
        rig.strategy.msgbus.subscribe("data.book.deltas.*", self._note)

    def _note(self, deltas: Any) -> None:
        instrument = deltas.instrument_id
        if instrument == self.tracked.ids[Outcome.UP]:
            self.prices |= {delta.order.price.as_decimal() for delta in deltas.deltas if delta.order.size > 0}

    @property
    def tracked(self) -> Any:
        return self.rig.board.by_slug(self.rig.market.slug)

    def shown(self) -> dict[str, dict[Decimal, Decimal]]:
        book = self.rig.strategy.cache.order_book(self.tracked.ids[Outcome.UP])
        sides = (("bids", book.bids()), ("asks", book.asks()))
        return {
            name: {row.price.as_decimal(): D(str(round(row.size(), 6))) for row in rows}
            for name, rows in sides
        }

    def true(self) -> dict[str, dict[Decimal, Decimal]]:
        book = self.rig.venue.get("/book", token_id=self.rig.market.up_token)
        return {side: {D(row["price"]): D(row["size"]) for row in book[side]} for side in ("bids", "asks")}

    async def until_equal(self) -> dict[str, dict[Decimal, Decimal]]:
        deadline = time.monotonic() + 20
        while (true := await asyncio.to_thread(self.true)) != self.shown():
            assert time.monotonic() < deadline, (true, self.shown())
            await asyncio.sleep(0.02)
        return true


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["event", "book", "both"])
async def test_a_lost_change_of_the_grid_rounds_no_price(tmp_path, monkeypatch, lost):
    """Whichever message is lost, the finer tick is applied and the book is the venue's to the digit."""
    monkeypatch.setattr(market_feed, "RESYNC_PAUSE_S", 0.3)
    async with Rig(tmp_path, WORLD) as rig:
        feed = Feed(rig)
        before = await feed.until_equal()
        assert {*before["bids"], *before["asks"]} >= {D("0.95"), D("0.96")}
        rig.venue.fault("tick_size_change_lost", None, lost=lost)
        await asyncio.to_thread(rig.venue.step, 1)
        if lost == "both":
            # The lost change has an effect at the next one: another trader's bid on the finer grid.
            order = rig.stranger.limit(rig.market.up_token, "BUY", 10, 955, kind="GTC")
            answer = await asyncio.to_thread(rig.stranger.post, rig.venue.url, order)
            assert answer.json()["success"] is True
        after = await feed.until_equal()
        assert min(after["asks"]) == D("0.966")
        assert feed.tracked.market.tick == FINE
        assert feed.prices <= {price for book in (before, after) for side in book.values() for price in side}
