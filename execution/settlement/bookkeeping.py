"""Records a market's official outcome, its payout and cash checks, in an order that is safe at any crash
point.

settlement → payout → cash check. Each step is one transaction that writes nothing the second time, so that
the next process can repeat all of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from decimal import Decimal

from errors import Temporary
from events import CashChecked, Event, Redeemed
from execution.ledger import CASH_TOLERANCE, CashCheck, LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.settlement.payouts import paid
from models import Frozen, Market, Settlement

FEE_ERROR = Decimal("0.05")
"""pUSD; a larger difference than this, next to a sum of payouts, is not taken for one of fees."""


class SettledMarket(Frozen, frozen=True):
    """A settled market: its P&L, None without a position, and the total P&L of the ledger."""

    pnl: Decimal | None
    total_pnl: Decimal


class CashComparison(Frozen, frozen=True):
    """Ledger's against venue's cash; `paid` are markets whose payouts the venue has made and the ledger has
    not recorded, None if payouts do not explain the difference. `unexplained` is the difference without
    the payouts nearest to it."""

    check: CashCheck
    paid: tuple[str, ...] | None
    unexplained: Decimal

    @property
    def matches(self) -> bool:
        """Whether payouts explain the difference."""
        return self.paid is not None


class RecordedPayouts(Frozen, frozen=True):
    """Markets whose payouts were recorded, and those whose money has arrived while the position is still
    listed."""

    recorded: tuple[str, ...]
    arrived: tuple[str, ...]


class SettlementBookkeeper:
    """Records settlements, payouts and cash checks.

    Parameters
    ----------
    ledger, reader, thread
        Writer and reader of the ledger, and the thread that uses both.
    balance : Callable[[], Decimal]
        Free pUSD at the venue; blocking, called in a thread. Raises Temporary.
    pays_by_itself : bool
        Whether the venue pays winners automatically when it resolves a market, as a practice venue does.
    observe_orders : Callable[[], Callable[[], bool]]
        Called before the balance is read; what it returns is called afterwards, and returns whether no order
        can have moved the balance in between: the next market may be bought while a late result is recorded.
    publish : Callable[[Event], None], optional
        Called with `Redeemed` and `CashChecked` once they are in the ledger.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        thread: LedgerThread,
        balance: Callable[[], Decimal],
        *,
        pays_by_itself: bool,
        observe_orders: Callable[[], Callable[[], bool]],
        publish: Callable[[Event], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._thread = thread
        self._balance = balance
        self._pays_by_itself = pays_by_itself
        self._publish = publish or (lambda event: None)
        self._observe_orders = observe_orders
        # The balance is read and compared with the ledger without a payout being recorded in between.
        self._cash = asyncio.Lock()

    async def settle(self, market: Market, settlement: Settlement) -> SettledMarket:
        """Record a settlement and, if the venue pays automatically, the payout."""
        # A cash check of another market compares a balance that may not have this payout.
        async with self._cash:
            await self._thread.call(self._ledger.record_settlement, settlement)
            if self._pays_by_itself:
                await self.record_payout(market.slug)
        pnl = await self._thread.call(self._reader.market_pnl, market.slug)
        return SettledMarket(pnl=pnl, total_pnl=await self._thread.call(self._reader.settled_pnl))

    async def record_payout(self, slug: str) -> bool:
        """Record that a market's payout has reached the account; False if nothing is outstanding."""
        owed = (await self._thread.call(self._reader.claimable)).get(slug)
        if owed is None or not await self._thread.call(self._ledger.record_redemption, slug, owed):
            return False
        self._publish(Redeemed(slug=slug, amount=owed))
        return True

    async def record_old_payouts(self) -> None:
        """Record the payouts of markets that an earlier process settled without recording their payouts."""
        if self._pays_by_itself:
            for slug in await self._thread.call(self._reader.claimable):
                await self.record_payout(slug)

    async def owed(self) -> dict[str, Decimal]:
        """The outstanding payout of each settled market, oldest settlement first."""
        return await self._thread.call(self._reader.claimable)

    async def results_since(self, settled_ns: int) -> dict[str, Settlement]:
        """The results of bought markets that were recorded since a time, nanoseconds, by slug."""
        return await self._thread.call(self._reader.results_since, settled_ns)

    async def bought(self) -> frozenset[str]:
        """Markets bought by this ledger; other positions of the account are ignored."""
        return await self._thread.call(self._reader.traded_slugs)

    async def record_arrived_payouts(
        self, held: Collection[str], undisturbed: Callable[[], bool]
    ) -> RecordedPayouts | None:
        """Record the payouts that have reached the account.

        A payout is recorded if its position is no longer listed and it is part of the venue's surplus over
        the ledger: either alone may be an outdated list, or money from another source.

        Parameters
        ----------
        held : Collection of str
            Slugs of the markets whose won positions the venue still lists.
        undisturbed : Callable[[], bool]
            Whether no order can have moved the balance; called after the balance was read.

        Returns
        -------
        RecordedPayouts or None
            None if the balance is not conclusive now.

        Raises
        ------
        Temporary
            If the balance cannot be read.
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
            # One by one: after a crash the remaining ones are again the whole surplus.
            for slug in recorded:
                await self.record_payout(slug)
            return RecordedPayouts(recorded=recorded, arrived=())

    def _cash_and_owed(self) -> tuple[Decimal, dict[str, Decimal]]:
        with self._reader.snapshot():
            flow = self._reader.cash_flow()
            return Decimal(0) if flow is None else flow.cash, self._reader.claimable()

    async def check_cash(self, look_up_orders: Callable[[], Awaitable[None]] | None = None) -> CashComparison:
        """Compare the ledger's cash with the venue's, and store both.

        Parameters
        ----------
        look_up_orders : Callable[[], Awaitable[None]], optional
            Awaited once before a difference is stored: looks up the orders that may explain it.

        Raises
        ------
        Temporary
            If the balance cannot be read, an order of another market may have moved it meanwhile, or
            `look_up_orders` raises it. Nothing is stored then.
        """
        async with self._cash:
            undisturbed = self._observe_orders()
            venue_cash = await asyncio.to_thread(self._balance)
            if look_up_orders is not None and await self._thread.call(self._differs, venue_cash):
                await look_up_orders()
                venue_cash = await asyncio.to_thread(self._balance)
            if not undisturbed():
                raise Temporary("an order of another market was under way while the balance was read")
            comparison = await self._thread.call(self._held_against, venue_cash)
        self._publish(
            CashChecked(
                difference=comparison.check.difference,
                unexplained=comparison.unexplained,
                venue_cash=venue_cash,
            )
        )
        return comparison

    def _differs(self, venue_cash: Decimal) -> bool:
        ledger_cash, _ = self._cash_and_owed()
        return paid(venue_cash - ledger_cash, self._payouts(), CASH_TOLERANCE) is None

    def _held_against(self, venue_cash: Decimal) -> CashComparison:
        check, owed = self._ledger.record_cash_check(venue_cash), self._payouts()
        found = paid(check.difference, owed, CASH_TOLERANCE)
        # Beside a wrong fee too, the payouts that were made are not part of it.
        near = paid(check.difference, owed, FEE_ERROR) or ()
        payouts = sum((owed[slug] for slug in near), Decimal(0))
        return CashComparison(check=check, paid=found, unexplained=check.difference - payouts)

    def _payouts(self) -> dict[str, Decimal]:
        """What the venue may have paid beside the ledger's cash, by slug.

        A market that is over may be paid before its result is recorded here, because markets of several
        series end together, or an earlier result is late: 1 per share.
        """
        owed = self._reader.claimable()
        now_ns = time.time_ns()
        ended = [each.trade for each in self._reader.positions() if each.trade.end_ns <= now_ns]
        return {trade.slug: trade.shares for trade in ended} | owed
