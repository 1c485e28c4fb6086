"""Redeems won positions of the live profile: automatic payout of the venue, relayer, own account, or manual.

No state is stored, because every crash point is safe: a payout is recorded once, when the venue's balance
shows it; and a second redemption of a position has no effect, on the chain and on the practice venue.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Protocol

from loguru import logger

from errors import Refused, Temporary
from events import Event, Payout
from execution.polymarket_client import Redeemable
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.settlement.corrected_results import contradiction
from execution.venue_facts.observations import PayoutArrived, PayoutOverdue
from execution.venue_facts.recorder import Observe, ignore
from models import Frozen, Settlement

MOST_ATTEMPTS = 3
"""Redemption attempts per market and process; after that it is reported as manual."""
COMPARED_NS = 3600 * 1_000_000_000
"""How long a recorded result is compared with the list of positions, which is one to three minutes behind."""


class Redeemer(Protocol):
    """Redeems a won position."""

    def redeem(self, condition_id: str, position_id: str | None = None) -> str:
        """Redeem and return a short description; blocking.

        A position of Protocol V2 is redeemed by its id, CTF tokens by their condition.

        The result shows in the balance: this call does not wait for the chain.

        Raises
        ------
        Temporary
            If another attempt may succeed.
        Refused
            If no attempt can succeed, with the reason.
        """
        ...


class RedemptionTiming(Frozen, frozen=True):
    """Seconds: between two checks, until an unpaid position is redeemed, and between attempts.

    The second is longer than the delay of the venue's list of positions and of its automatic payout.
    """

    interval_s: float = 60.0
    patience_s: float = 300.0
    retry_s: float = 600.0


class Redemption:
    """Checks that won positions are paid and recorded, and that recorded results were not corrected.

    Parameters
    ----------
    bookkeeper : SettlementBookkeeper
        Knows the outstanding payouts, and records them.
    positions : Callable[[], list[Redeemable]]
        The account's positions in resolved markets; blocking. Raises Temporary.
    redeemer : Redeemer or str
        The redeemer, or the reason why there is none, as text for the operator.
    settled_orders : Callable[[], Awaitable[bool]]
        Waits for trades that are being recorded, and returns whether no order is open or of unknown outcome.
    undisturbed : Callable[[], bool]
        The same without waiting.
    publish : Callable[[Event], None]
        Receives the events for the operator.
    halt : Callable[[str], None]
        Called with the reason when the venue has corrected a result after it was recorded.
    timing : RedemptionTiming
    observe : Observe
        Receives when payouts arrive, as evidence of the venue's rules.
    """

    def __init__(
        self,
        bookkeeper: SettlementBookkeeper,
        positions: Callable[[], list[Redeemable]],
        redeemer: Redeemer | str,
        settled_orders: Callable[[], Awaitable[bool]],
        undisturbed: Callable[[], bool],
        publish: Callable[[Event], None],
        halt: Callable[[str], None],
        timing: RedemptionTiming,
        observe: Observe = ignore,
    ) -> None:
        self._bookkeeper = bookkeeper
        self._positions = positions
        self._redeemer = redeemer
        self._settled_orders = settled_orders
        self._undisturbed = undisturbed
        self._publish = publish
        self._halt = halt
        self._timing = timing
        self._observe = observe
        self._earlier: frozenset[str] | None = None
        """Markets that earlier processes settled: these may have redeemed them."""
        self._seen: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._manual_reported = False
        self._corrected: set[str] = set()
        """Markets whose corrected results were reported."""

    async def run(self) -> None:
        """Check periodically, without an end."""
        while True:
            await self.check()
            await asyncio.sleep(self._timing.interval_s)

    async def check(self) -> None:
        """Record payouts that have arrived, and redeem positions that are due; failed reads are retried
        later."""
        try:
            owed = await self._bookkeeper.owed()
            if self._earlier is None:
                self._earlier = frozenset(owed)
            results = await self._bookkeeper.results_since(time.time_ns() - COMPARED_NS)
            if not (owed or results) or not await self._settled_orders():
                return
            if await self._check_positions(owed, results):
                # Some venues pay at once: then the payout is in the ledger before its cash is compared.
                await self._check_positions(await self._bookkeeper.owed(), results)
        except Temporary as error:
            logger.warning(f"payouts are checked again later: {error}")

    async def _check_positions(self, owed: dict[str, Decimal], results: dict[str, Settlement]) -> bool:
        """Record what has been paid, and redeem what is due; returns whether anything was redeemed."""
        found = await asyncio.to_thread(self._positions)
        self._compare(found, results)
        held = {row.slug: row for row in found if row.won}
        paid = await self._bookkeeper.record_arrived_payouts(held, self._undisturbed)
        if paid is None:
            return False
        for slug in paid.recorded:
            self._observe_payout(slug, owed[slug])
            self._publish(Payout(slug=slug, what=f"{slug} has paid {owed[slug]} pUSD"))
        bought = await self._bookkeeper.bought()
        due = [row for slug, row in held.items() if slug in bought and slug not in paid.arrived]
        # A list: each of them is handled, not only those until the first that is redeemed.
        return any([await self._handle_position(row) for row in due])

    def _compare(self, found: list[Redeemable], results: dict[str, Settlement]) -> None:
        """Halt if a listed position pays something else than its recorded result."""
        for row in found:
            if row.slug not in results or row.slug in self._corrected:
                continue
            why = contradiction(row, results[row.slug])
            if why is not None:
                self._corrected.add(row.slug)
                self._halt(why)

    def _observe_payout(self, slug: str, amount: Decimal) -> None:
        if self._earlier is None or slug in self._earlier:
            return
        now = time.monotonic()
        self._observe(
            PayoutArrived(
                slug=slug,
                amount=amount,
                listed=slug in self._seen,
                attempts=self._attempts.get(slug, 0),
                waited_s=now - self._seen.get(slug, now),
            )
        )

    async def _handle_position(self, row: Redeemable) -> bool:
        now = time.monotonic()
        waited = now - self._seen.setdefault(row.slug, now)
        if waited < self._timing.patience_s or now < self._not_before.get(row.slug, now):
            return False
        if isinstance(self._redeemer, str):
            self._report_manual(row, self._redeemer)
        elif self._attempts.get(row.slug, 0) >= MOST_ATTEMPTS:
            self._report_manual(row, f"{MOST_ATTEMPTS} redemption attempts failed")
        else:
            return await self._redeem(self._redeemer, row)
        return False

    async def _redeem(self, redeemer: Redeemer, row: Redeemable) -> bool:
        """Redeem a position; returns whether the redeemer has accepted that."""
        if row.slug not in self._attempts:
            waited_s = time.monotonic() - self._seen[row.slug]
            self._observe(PayoutOverdue(slug=row.slug, waited_s=waited_s))
        self._attempts[row.slug] = self._attempts.get(row.slug, 0) + 1
        self._not_before[row.slug] = time.monotonic() + self._timing.retry_s
        try:
            how = await asyncio.to_thread(redeemer.redeem, row.condition_id, row.position_id)
            what = f"redeeming {row.amount} pUSD of {row.slug}: {how}"
            self._publish(Payout(slug=row.slug, what=what))
            return True
        except Temporary as error:
            logger.warning(f"{row.slug} was not redeemed (attempt {self._attempts[row.slug]}): {error}")
        except Refused as error:
            self._attempts[row.slug] = MOST_ATTEMPTS
            self._report_manual(row, str(error))
        return False

    def _report_manual(self, row: Redeemable, why: str) -> None:
        """Report it once: the outstanding amount is shown by all views from then on."""
        if not self._manual_reported:
            self._manual_reported = True
            what = (
                f"{row.amount} pUSD won in {row.slug} must be redeemed manually, because {why}. Open"
                " https://polymarket.com/portfolio and press Redeem, or enable auto-redeem in its settings"
            )
            self._publish(Payout(slug=row.slug, what=what, manual=True))
