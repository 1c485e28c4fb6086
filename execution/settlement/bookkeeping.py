"""What is written when a market's official outcome is known, in an order that a crash at any point survives.

verdict → payout → cash check. Each step is one transaction that writes nothing the second time, so that the
whole of it can be done again from the start by whoever comes after.
"""

import asyncio
from collections.abc import Callable, Collection
from decimal import Decimal

from events import CashChecked, Event, Redeemed
from execution.ledger import CashCheck, LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.settlement.payouts import paid
from models import Frozen, Market, Settlement

CASH_TOLERANCE = Decimal("0.00001")
"""pUSD; half of it is what one fee's rounding may differ by."""


class SettledMarket(Frozen, frozen=True):
    """A settled market: its P&L, None if there was no position, and the book's in all."""

    pnl: Decimal | None
    total_pnl: Decimal


class CashComparison(Frozen, frozen=True):
    """Ledger against venue; `paid` are markets whose payouts the venue has made and the ledger not booked,
    None if payouts do not explain the difference."""

    check: CashCheck
    paid: tuple[str, ...] | None

    @property
    def matches(self) -> bool:
        """Whether nothing but payouts is between the two."""
        return self.paid is not None


class RecordedPayouts(Frozen, frozen=True):
    """Markets whose payouts were booked, and those whose money is there while the position still shows."""

    recorded: tuple[str, ...]
    arrived: tuple[str, ...]


class SettlementBookkeeper:
    """Books verdicts, payouts and cash checks.

    Parameters
    ----------
    ledger, reader, thread
        The record, its reading side and the thread both are used on.
    balance : Callable[[], Decimal]
        Free pUSD at the venue; blocking, asked from a thread. Raises Temporary.
    pays_by_itself : bool
        Whether the venue pays winners out when it resolves a market, as a practice venue does.
    publish : Callable[[Event], None], optional
        Receives `Redeemed` and `CashChecked` once they are in the ledger.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        thread: LedgerThread,
        balance: Callable[[], Decimal],
        *,
        pays_by_itself: bool,
        publish: Callable[[Event], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._thread = thread
        self._balance = balance
        self._pays_by_itself = pays_by_itself
        self._publish = publish or (lambda event: None)
        # A balance is asked for and held against the ledger with no payout booked in between.
        self._cash = asyncio.Lock()

    async def settle(self, market: Market, settlement: Settlement) -> SettledMarket:
        """Book a verdict and, where the venue pays by itself, the payout."""
        await self._thread.call(self._ledger.record_settlement, settlement)
        if self._pays_by_itself:
            await self.record_payout(market.slug)
        pnl = await self._thread.call(self._reader.market_pnl, market.slug)
        return SettledMarket(pnl=pnl, total_pnl=await self._thread.call(self._reader.settled_pnl))

    async def record_payout(self, slug: str) -> bool:
        """Book that what a market owes has reached the account; False if it owes nothing."""
        owed = (await self._thread.call(self._reader.claimable)).get(slug)
        if owed is None or not await self._thread.call(self._ledger.record_redemption, slug, owed):
            return False
        self._publish(Redeemed(slug=slug, amount=owed))
        return True

    async def record_old_payouts(self) -> None:
        """Book the payouts of markets that an earlier process settled and did not come to."""
        if self._pays_by_itself:
            for slug in await self._thread.call(self._reader.claimable):
                await self.record_payout(slug)

    async def owed(self) -> dict[str, Decimal]:
        """What each settled market still has to pay out, oldest verdict first."""
        return await self._thread.call(self._reader.claimable)

    async def bought(self) -> frozenset[str]:
        """Markets that this ledger has bought; the account's other positions are none of its business."""
        return await self._thread.call(self._reader.traded_slugs)

    async def record_arrived_payouts(
        self, held: Collection[str], undisturbed: Callable[[], bool]
    ) -> RecordedPayouts | None:
        """Book the payouts that have reached the account.

        A payout is booked when its position is gone and it is part of what the venue has more than the
        ledger: either alone may be a listing that is behind, or money from elsewhere.

        Parameters
        ----------
        held : Collection of str
            Slugs of the markets whose won positions the venue still lists.
        undisturbed : Callable[[], bool]
            Whether no order can have moved the balance; asked once the venue has told it.

        Returns
        -------
        RecordedPayouts or None
            None if the balance tells nothing now.

        Raises
        ------
        Temporary
            If the venue does not tell.
        """
        async with self._cash:
            venue_cash = await asyncio.to_thread(self._balance)
            if not undisturbed():
                return None
            ledger_cash, owed = await self._thread.call(self._cash_and_owed)
            surplus = venue_cash - ledger_cash
            gone = {slug: amount for slug, amount in owed.items() if slug not in held}
            recorded = paid(surplus, gone, CASH_TOLERANCE)
            if recorded is None:
                return RecordedPayouts(recorded=(), arrived=paid(surplus, owed, CASH_TOLERANCE) or ())
            # One by one: what a crash leaves over is again the whole surplus of the next time.
            for slug in recorded:
                await self.record_payout(slug)
            return RecordedPayouts(recorded=recorded, arrived=())

    def _cash_and_owed(self) -> tuple[Decimal, dict[str, Decimal]]:
        with self._reader.snapshot():
            flow = self._reader.cash_flow()
            return Decimal(0) if flow is None else flow.cash, self._reader.claimable()

    async def check_cash(self) -> CashComparison:
        """Hold the ledger's cash against the venue's, and keep both.

        Raises
        ------
        Temporary
            If the venue does not tell.
        """
        async with self._cash:
            venue_cash = await asyncio.to_thread(self._balance)
            comparison = await self._thread.call(self._held_against, venue_cash)
        self._publish(CashChecked(difference=comparison.check.difference))
        return comparison

    def _held_against(self, venue_cash: Decimal) -> CashComparison:
        check = self._ledger.record_cash_check(venue_cash)
        return CashComparison(
            check=check, paid=paid(check.difference, self._reader.claimable(), CASH_TOLERANCE)
        )
