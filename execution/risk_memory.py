"""Keeps the inputs of the risk limits in memory, so that a decision does not wait for the ledger."""

from collections.abc import Callable
from decimal import Decimal

from common.utc_time import utc_midnight_ns
from execution.ledger import LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.risk_engine import RiskEngine, RiskState, refusal
from models import Frozen


class KnownRisk(Frozen, frozen=True):
    """The inputs of the limits at one instant of the ledger.

    Attributes
    ----------
    money_changes : int
        `Ledger.money_changes` before they were read: after the next change they are out of date.
    day_start_ns : int
        The UTC midnight from which the day's P&L counts.
    """

    money_changes: int
    day_start_ns: int
    state: RiskState


class RiskMemory:
    """The inputs of the limits, read again after each change. Used on one event loop.

    They are current if the ledger's writer has changed nothing since, no such change waits for the writer,
    and the UTC day is the same. Otherwise a check reads them on the ledger's thread, after the writes that
    wait there.

    Parameters
    ----------
    risk : RiskEngine
    ledger, reader, thread
        Writer and reader of the ledger, and the thread that uses both. No other process writes meanwhile.
    unwritten : Callable[[], list[tuple[str, Decimal]]]
        (slug, maximum cost in pUSD) of each order that is being signed and is not in the ledger yet.
    """

    def __init__(
        self,
        risk: RiskEngine,
        ledger: Ledger,
        reader: LedgerReader,
        thread: LedgerThread,
        unwritten: Callable[[], list[tuple[str, Decimal]]],
    ) -> None:
        self._risk = risk
        self._ledger = ledger
        self._reader = reader
        self._thread = thread
        self._unwritten = unwritten
        self._known: KnownRisk | None = None
        self._waiting_writes = 0

    async def refusal(self, stake: Decimal, now_ns: int, slug: str) -> str | None:
        """Why `stake` pUSD, fee included, may not be risked in a market now, or None."""
        known = self._current(now_ns) or await self._thread.call(self._read, now_ns)
        state = known.state.with_orders(self._unwritten())
        return refusal(self._risk.limits, state, stake, slug)

    def write_begun(self) -> None:
        """A write that changes the inputs was queued."""
        self._waiting_writes += 1

    def write_ended(self) -> None:
        """A write that was queued has ended, or failed."""
        self._waiting_writes -= 1

    def renew(self, now_ns: int) -> None:
        """Read the inputs again if they are out of date; an error is left to the next check."""
        if self._current(now_ns) is None:
            self._thread.submit(self._read, now_ns)

    def _current(self, now_ns: int) -> KnownRisk | None:
        known = self._known
        if (
            known is None
            or self._waiting_writes
            or known.money_changes != self._ledger.money_changes
            or known.day_start_ns != utc_midnight_ns(now_ns)
        ):
            return None
        return known

    def _read(self, now_ns: int) -> KnownRisk:
        """Read the inputs, on the ledger's thread."""
        changes = self._ledger.money_changes
        state = self._risk.state(self._reader, now_ns)
        self._known = KnownRisk(money_changes=changes, day_start_ns=utc_midnight_ns(now_ns), state=state)
        return self._known
