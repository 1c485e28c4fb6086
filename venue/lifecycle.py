"""What becomes of a trade after the match: MATCHED, MINED, CONFIRMED on the user feed, or a fault instead."""

import asyncio
import hashlib
import logging
from collections.abc import Coroutine
from typing import Any

import msgspec

from venue import bookkeeping, payloads
from venue.clock import MarketClock
from venue.faults import Faults
from venue.ledger import Ledger
from venue.records import FINAL_TRADE, Trade, TradeStatus
from venue.user_feed import UserFeed

log = logging.getLogger("venue.lifecycle")

MATCHED_AFTER = 0.02
"""Wall seconds from the match to its event: the answer to POST /order is on its way by then."""
MINED_AFTER = 0.3
CONFIRMED_AFTER = 0.6


def transaction_hash(trade_id: str) -> str:
    """The hash that a trade gets when it is mined; the same for both of its accounts."""
    return "0x" + hashlib.sha256(f"practice:transaction:{trade_id}".encode()).hexdigest()


class _Script(msgspec.Struct, frozen=True):
    """How a trade's life goes: when MATCHED is told (wall seconds), how often, and what follows."""

    told_after: float
    told: int
    retries: bool
    fails: bool


class Lifecycle:
    """Moves trades on, in wall time, and tells their accounts."""

    def __init__(self, ledger: Ledger, clock: MarketClock, feed: UserFeed, faults: Faults) -> None:
        self._ledger = ledger
        self._clock = clock
        self._feed = feed
        self._faults = faults
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something in the background until it ends or the venue stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def follow(self, trade: Trade) -> None:
        """Take a fresh trade through its life. Which faults strike it is decided now."""
        if self._faults.take("out_of_order_trade") is not None:
            self.spawn(self._backwards(trade))
            return
        script = _Script(
            told_after=0 if self._faults.armed("trade_before_response") is not None else MATCHED_AFTER,
            told=2 if self._faults.take("duplicate_trade") is not None else 1,
            retries=self._faults.take("retrying") is not None,
            fails=self._faults.take("failed_after_match") is not None,
        )
        self.spawn(self._live(trade, script))

    def resume(self) -> None:
        """Go on with trades that a stopped venue left unfinished."""
        for trade in self._ledger.unfinished_trades():
            self.spawn(self._settle(trade, MINED_AFTER))

    async def stop(self) -> None:
        """Abandon what is in flight; a restarted venue resumes it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)

    async def _live(self, trade: Trade, script: _Script) -> None:
        await asyncio.sleep(script.told_after)
        for _ in range(script.told):
            self._tell(trade, "MATCHED")
        await asyncio.sleep(MINED_AFTER / 2)
        if script.retries:
            trade = self._advance(trade, "RETRYING")
        if script.fails and bookkeeping.reversible(self._ledger, trade):
            failed = bookkeeping.reverse(self._ledger, trade, self._clock.wall_ns())
            self._tell(failed, "FAILED")
            return
        await self._settle(trade, MINED_AFTER / 2)

    async def _settle(self, trade: Trade, wait: float) -> None:
        if trade.status != "MINED":
            await asyncio.sleep(wait)
            trade = self._advance(trade, "MINED")
        await asyncio.sleep(CONFIRMED_AFTER - MINED_AFTER)
        self._advance(trade, "CONFIRMED")

    async def _backwards(self, trade: Trade) -> None:
        await asyncio.sleep(MATCHED_AFTER)
        final = self._recorded(trade, "CONFIRMED")
        for status in ("CONFIRMED", "MINED", "MATCHED"):
            self._tell(final, status)
            await asyncio.sleep(MATCHED_AFTER)

    def _advance(self, trade: Trade, status: TradeStatus) -> Trade:
        updated = self._recorded(trade, status)
        self._tell(updated, status)
        return updated

    def _recorded(self, trade: Trade, status: TradeStatus) -> Trade:
        mined = status == "MINED" or status in FINAL_TRADE
        updated = msgspec.structs.replace(
            trade,
            status=status,
            update_ns=self._clock.wall_ns(),
            transaction_hash=transaction_hash(trade.id) if mined else "",
        )
        self._ledger.put_trade(updated)
        return updated

    def _tell(self, trade: Trade, status: str) -> None:
        event = payloads.trade_event(trade, status, self._clock.wall_ns())
        self._feed.publish(trade.address, trade.condition_id, event)
