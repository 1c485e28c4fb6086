"""Markets follow each other without a gap: the next one has quotes when it starts."""

import asyncio
import time

import pytest
from rig import Rig, Sender

from core.nautilus_core.instruments.market_clock import MarketClock

WORLD = ("--source", "synthetic", "--hold-clock", "--speed", "1", "--start-at", "600")
"""Markets that advance by steps only."""
ROLLS = 3
PATIENCE_S = 30.0


class Roller(Sender):
    """The bot's strategy with its own market change; or, to compare, subscribing only after leaving."""

    def __init__(self, rig: Rig, ahead: bool) -> None:
        super().__init__(rig)  # pyright: ignore[reportArgumentType]
        self._ahead = ahead
        self.quoted: set[str] = set()

    def on_quote_tick(self, tick) -> None:
        self.quoted.add(str(tick.instrument_id))

    def _subscribe_ahead(self) -> None:
        if self._ahead:
            super()._subscribe_ahead()

    def roll(self, left, entered) -> None:
        """Leave one market for the next."""
        if self._ahead:
            self._subscribe_ahead()
            self._unsubscribe(left)
            return
        if left is not None:
            self._unsubscribe(left)
        for instrument_id in entered.ids.values():
            self._subscribed.add(instrument_id)
            self.subscribe_order_book_deltas(instrument_id)
            self.subscribe_quote_ticks(instrument_id)


class RollingRig(Rig):
    """A rig whose markets advance."""

    def __init__(self, folder, ahead: bool) -> None:
        super().__init__(folder, WORLD)
        self.strategy: Roller = Roller(self, ahead)

    def dropped(self) -> int:
        """Number of market connections that have ended at the venue, which logs them at their end."""
        return sum(row["path"] == "/ws/market" for row in self.venue.get("/practice/log"))


def levels(strategy, instrument_id) -> int:
    """Number of levels that Nautilus' cache has of a book."""
    book = strategy.cache.order_book(instrument_id)
    return len(book.bids()) + len(book.asks())


async def until(condition) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def roll_through(rig: RollingRig) -> None:
    """Roll over ROLLS starts of markets, or until a connection ends; subscribed ahead, once quoted."""
    board, venue, strategy = rig.board, rig.venue, rig.strategy
    left = board.running(venue.clock.market_s())
    if not strategy._ahead:
        strategy.roll(None, left)
    for _ in range(ROLLS):
        assert left is not None
        start = left.market.start + 900
        await until(lambda due=start: board.running(due) is not None)
        entered = board.running(start)
        assert entered is not None
        up = str(next(iter(entered.ids.values())))
        strategy.quoted.clear()
        stepped = await asyncio.to_thread(venue.set_clock, to=start + 60)
        rig.clock = MarketClock(stepped.wall_ns, stepped.market_ns)
        if strategy._ahead:
            await until(lambda entered=up: entered in strategy.quoted)
        strategy.roll(left, entered)
        await until(lambda entered=up: entered in strategy.quoted or rig.dropped() > 0)
        if rig.dropped() > 0:
            return
        await until(lambda ended=left: not any(levels(strategy, token) for token in ended.ids.values()))
        assert levels(strategy, next(iter(entered.ids.values()))) > 0
        left = entered


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [True, False], ids=["the bot's way", "leaving first"])
async def test_the_next_market_is_there_when_it_starts(ahead, tmp_path):
    """Subscribed ahead, each market has quotes at its start on one connection; leaving first drops it.

    The books of the market that was left are empty then.
    """
    async with RollingRig(tmp_path, ahead) as rig:
        await roll_through(rig)
        dropped = rig.dropped()
    assert (dropped == 0) is ahead
