"""What is written when a market's official outcome is known, in an order that a crash at any point survives.

verdict → payout → cash check. Each step is one transaction that writes nothing the second time, so that the
whole of it can be done again from the start by whoever comes after.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from execution.ledger import CashCheck, LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from models import Frozen, Market, Settlement

CASH_TOLERANCE = Decimal("0.00001")
"""pUSD; half of it is what one fee's rounding may differ by."""


class Booked(Frozen, frozen=True):
    """A settled market: its P&L, None if there was no position, and the book's in all."""

    pnl: Decimal | None
    total_pnl: Decimal


class Settler:
    """Books verdicts, payouts and cash checks.

    Parameters
    ----------
    ledger, reader, thread
        The record, its reading side and the thread both are used on.
    balance : Callable[[], Decimal]
        Free pUSD at the venue; blocking, asked from a thread. Raises Temporary.
    pays_by_itself : bool
        Whether the venue pays winners out when it resolves a market, as a practice venue does.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        thread: LedgerThread,
        balance: Callable[[], Decimal],
        *,
        pays_by_itself: bool,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._thread = thread
        self._balance = balance
        self._pays_by_itself = pays_by_itself
        self._settled: set[str] = set()

    def is_settled(self, slug: str) -> bool:
        """Whether this process has booked a market's verdict."""
        return slug in self._settled

    async def settle(self, market: Market, settlement: Settlement) -> Booked:
        """Book a verdict and, where the venue pays by itself, the payout."""
        await self._thread.call(self._ledger.record_settlement, settlement)
        self._settled.add(market.slug)
        if self._pays_by_itself:
            await self.redeemed(market.slug)
        pnl = await self._thread.call(self._reader.market_pnl, market.slug)
        return Booked(pnl=pnl, total_pnl=await self._thread.call(self._reader.settled_pnl))

    async def redeemed(self, slug: str) -> bool:
        """Book that what a market owes has reached the account; False if it owes nothing."""
        owed = (await self._thread.call(self._reader.claimable)).get(slug)
        return owed is not None and await self._thread.call(self._ledger.record_redemption, slug, owed)

    async def pay_out_old(self) -> None:
        """Book the payouts of markets that an earlier process settled and did not come to."""
        if self._pays_by_itself:
            for slug in await self._thread.call(self._reader.claimable):
                await self.redeemed(slug)

    async def check_cash(self) -> CashCheck:
        """Hold the ledger's cash against the venue's, and keep both.

        Raises
        ------
        Temporary
            If the venue does not tell.
        """
        venue_cash = await asyncio.to_thread(self._balance)
        return await self._thread.call(self._ledger.record_cash_check, venue_cash)
