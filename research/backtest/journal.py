"""The writes to a group's ledger, which are repeated in the run's ledger."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from execution.ledger import CashCheck
from execution.ledger.writer import Ledger
from execution.order_records import Entry
from models import Frozen, Market, Settlement


class JournalEntry(Frozen, frozen=True):
    """A call of a ledger's method at a time."""

    at_ns: int
    method: str
    arguments: tuple[Any, ...]


class JournaledLedger(Ledger):
    """A ledger that also keeps its writes."""

    def __init__(self, path: Path, clock_ns: Callable[[], int]) -> None:
        super().__init__(path, clock_ns)
        self._now_ns = clock_ns
        self.journal: list[JournalEntry] = []

    def _note(self, method: str, *arguments: Any) -> None:
        self.journal.append(JournalEntry(at_ns=self._now_ns(), method=method, arguments=arguments))

    def record_market(self, market: Market) -> None:
        self._note("record_market", market)
        super().record_market(market)

    def write(self, entries: Sequence[Entry]) -> int | None:
        self._note("write", tuple(entries))
        return super().write(entries)

    def record_halt(self, why: str, at_ns: int | None = None) -> bool:
        self._note("record_halt", why)
        return super().record_halt(why, at_ns)

    def record_settlement(self, settlement: Settlement) -> bool:
        self._note("record_settlement", settlement)
        return super().record_settlement(settlement)

    def record_redemption(self, slug: str, amount: Decimal) -> bool:
        self._note("record_redemption", slug, amount)
        return super().record_redemption(slug, amount)

    def record_cash_check(self, venue_cash: Decimal) -> CashCheck:
        self._note("record_cash_check", venue_cash)
        return super().record_cash_check(venue_cash)


class Replay:
    """Repeats journals in the run's ledger, at their times."""

    def __init__(self) -> None:
        self._at_ns = 0

    def now_ns(self) -> int:
        return self._at_ns

    def set(self, at_ns: int) -> None:
        self._at_ns = at_ns

    def repeat(self, ledger: Ledger, journal: Sequence[JournalEntry], cash_change: Decimal) -> None:
        """Write a journal; `cash_change` is what its account had too little at its start."""
        for entry in journal:
            self._at_ns = entry.at_ns
            arguments = entry.arguments
            if entry.method == "record_cash_check":
                arguments = (arguments[0] + cash_change,)
            getattr(ledger, entry.method)(*arguments)
