"""Markets follow each other without a gap: the next one's quotes are there when it starts."""

import asyncio
import time

import pytest
from rig import Rig, Sender

WORLD = ("--source", "synthetic", "--speed", "60", "--start-at", "600")
"""A market every fifteen seconds."""
ROLLS = 3
PROMPT_S = 0.5
"""Wall seconds after a market's start within which its Up token must have been quoted."""


class Roller(Sender):
    """The bot's strategy, rolling by its own means; or, to compare, subscribing only once it has left."""

    def __init__(self, rig: Rig, ahead: bool) -> None:
        super().__init__(rig)  # pyright: ignore[reportArgumentType]
        self._ahead = ahead
        self.quoted: dict[str, float] = {}

    def on_quote_tick(self, tick) -> None:
        self.quoted.setdefault(str(tick.instrument_id), time.monotonic())

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
    """A rig whose markets pass by."""

    def __init__(self, folder, ahead: bool) -> None:
        super().__init__(folder, WORLD)
        self.strategy: Roller = Roller(self, ahead)

    def dropped(self) -> int:
        """How many market connections have ended at the venue, which logs them at their end."""
        return sum(row["path"] == "/ws/market" for row in self.venue.get("/practice/log"))


async def rolled(rig: RollingRig) -> list[float]:
    """Wall seconds from each market's start to the first quote of its Up token; infinite without one."""
    board, clock, strategy = rig.board, rig.venue.clock, rig.strategy
    left = board.running(clock.market_s())
    if not strategy._ahead:
        strategy.roll(None, left)
    waits = []
    for _ in range(ROLLS):
        assert left is not None
        start = left.market.start + 900
        await asyncio.sleep((start - clock.market_s()) / clock.speed)
        began = time.monotonic()
        entered = board.running(clock.market_s())
        assert entered is not None
        assert entered is not left
        strategy.roll(left, entered)
        up = str(next(iter(entered.ids.values())))
        await asyncio.sleep(PROMPT_S)
        waits.append(strategy.quoted.get(up, float("inf")) - began)
        left = entered
    return waits


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [True, False], ids=["the bot's way", "leaving first"])
async def test_the_next_market_is_there_when_it_starts(ahead, tmp_path):
    """Subscribed ahead, each market is quoted at its start on one connection; leaving first drops it."""
    async with RollingRig(tmp_path, ahead) as rig:
        waits = await rolled(rig)
        dropped = rig.dropped()
    assert (max(waits) < PROMPT_S and dropped == 0) is ahead, (waits, dropped)
