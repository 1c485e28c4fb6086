"""Processing of a trade after the match: MATCHED, MINED, CONFIRMED on the user feed, or a fault instead."""

import asyncio
import hashlib
import logging
from collections.abc import Coroutine
from typing import Any

import msgspec

from venue import payloads, position_accounting
from venue.clock import VenueClock
from venue.faults import Faults
from venue.ledger import VenueLedger
from venue.records import FINAL_TRADE, TradeStatus, VenueTrade
from venue.user_feed import UserFeed

log = logging.getLogger("venue.lifecycle")

MATCHED_AFTER = 0.02
"""Wall seconds from the match to its event: the answer to POST /order has been sent by then."""
MINED_AFTER = 0.3
CONFIRMED_AFTER = 0.6


def transaction_hash(trade_id: str) -> str:
    """The hash that a trade gets when it is mined; the same for both of its accounts."""
    return "0x" + hashlib.sha256(f"practice:transaction:{trade_id}".encode()).hexdigest()


class _TradePlan(msgspec.Struct, frozen=True):
    """The course of a trade: the delay of MATCHED (wall seconds), how often it is sent, and what follows."""

    publish_after: float
    publications: int
    retries: bool
    fails: bool


class TradeLifecycle:
    """Advances trades in wall time, and publishes their events to their accounts."""

    def __init__(self, ledger: VenueLedger, clock: VenueClock, feed: UserFeed, faults: Faults) -> None:
        self._ledger = ledger
        self._clock = clock
        self._feed = feed
        self._faults = faults
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the background until it ends or the venue stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def follow(self, trade: VenueTrade) -> None:
        """Start the processing of a new trade. The faults that apply to it are determined now."""
        if self._faults.consume("out_of_order_trade") is not None:
            self.spawn(self._backwards(trade))
            return
        script = _TradePlan(
            publish_after=0 if self._faults.armed("trade_before_response") is not None else MATCHED_AFTER,
            publications=2 if self._faults.consume("duplicate_trade") is not None else 1,
            retries=self._faults.consume("retrying") is not None,
            fails=self._faults.consume("failed_after_match") is not None,
        )
        self.spawn(self._live(trade, script))

    def resume(self) -> None:
        """Continue trades that a stopped venue left unfinished."""
        for trade in self._ledger.unfinished_trades():
            self.spawn(self._settle(trade, MINED_AFTER))

    async def stop(self) -> None:
        """Cancel unfinished processing; a restarted venue resumes it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)

    async def _live(self, trade: VenueTrade, script: _TradePlan) -> None:
        await asyncio.sleep(script.publish_after)
        for _ in range(script.publications):
            self._publish(trade, "MATCHED")
        await asyncio.sleep(MINED_AFTER / 2)
        if script.retries:
            trade = self._advance(trade, "RETRYING")
        if script.fails and position_accounting.reversible(self._ledger, trade):
            failed = position_accounting.reverse(self._ledger, trade, self._clock.wall_ns())
            self._publish(failed, "FAILED")
            return
        await self._settle(trade, MINED_AFTER / 2)

    async def _settle(self, trade: VenueTrade, wait: float) -> None:
        if trade.status != "MINED":
            await asyncio.sleep(wait)
            trade = self._advance(trade, "MINED")
        await asyncio.sleep(CONFIRMED_AFTER - MINED_AFTER)
        self._advance(trade, "CONFIRMED")

    async def _backwards(self, trade: VenueTrade) -> None:
        await asyncio.sleep(MATCHED_AFTER)
        final = self._recorded(trade, "CONFIRMED")
        for status in ("CONFIRMED", "MINED", "MATCHED"):
            self._publish(final, status)
            await asyncio.sleep(MATCHED_AFTER)

    def _advance(self, trade: VenueTrade, status: TradeStatus) -> VenueTrade:
        updated = self._recorded(trade, status)
        self._publish(updated, status)
        return updated

    def _recorded(self, trade: VenueTrade, status: TradeStatus) -> VenueTrade:
        mined = status == "MINED" or status in FINAL_TRADE
        updated = msgspec.structs.replace(
            trade,
            status=status,
            update_ns=self._clock.wall_ns(),
            transaction_hash=transaction_hash(trade.id) if mined else "",
        )
        self._ledger.put_trade(updated)
        return updated

    def _publish(self, trade: VenueTrade, status: str) -> None:
        event = payloads.trade_event(trade, status, self._clock.wall_ns())
        self._feed.publish(trade.address, trade.condition_id, event)
