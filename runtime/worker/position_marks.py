"""Marks open positions to the market price at intervals, for display; a mark is never a result."""

import time
from collections.abc import Callable
from decimal import Decimal

from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from models import Market

EVERY_S = 15.0
"""Time between two marks of one position, on the machine's clock."""


class PositionMarker:
    """Stores the Up token's price in the ledger while a position in its market is open.

    Parameters
    ----------
    ledger, thread
        The ledger, and the thread that uses it.
    holds : Callable[[str], bool]
        Whether an order in a market exists or may exist.
    """

    def __init__(self, ledger: Ledger, thread: LedgerThread, has_open_order: Callable[[str], bool]) -> None:
        self._ledger = ledger
        self._thread = thread
        self._has_open_order = has_open_order
        self._slug = ""
        self._marked_s = 0.0
        self._last: tuple[float, Decimal] | None = None

    def update(self, market: Market | None, second: float, p: Decimal | None) -> None:
        """Mark a position in the running market: at once when it appears, then every `EVERY_S`."""
        if market is None or p is None or not self._has_open_order(market.slug):
            return
        if market.slug != self._slug:
            self._slug, self._marked_s = market.slug, 0.0
        self._last = (second, p)
        if time.monotonic() - self._marked_s >= EVERY_S:
            self._write()

    def close_market(self, slug: str) -> None:
        """Store the last price of a market that is over, as its mark until the official result."""
        if slug == self._slug and self._last is not None:
            self._write()

    def _write(self) -> None:
        if self._last is not None:
            second, p = self._last
            self._thread.post(self._ledger.record_mark, self._slug, second, p)
            self._marked_s, self._last = time.monotonic(), None
