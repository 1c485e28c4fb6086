"""Marks open positions to the market price at intervals, for display; a mark is never a result.

No order waits for a mark: while one may follow, in the market of another series, the marks are deferred.
"""

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
        self._marked_s: dict[str, float] = {}
        """Time of the last mark of each running market with a position, by slug."""
        self._unwritten: dict[str, tuple[float, Decimal]] = {}

    def update(self, market: Market | None, second: float, p: Decimal | None) -> None:
        """Mark a position in a running market: at once when it appears, then every `EVERY_S`."""
        if market is None or p is None or not self._has_open_order(market.slug):
            return
        self._unwritten[market.slug] = (second, p)
        if time.monotonic() - self._marked_s.get(market.slug, 0.0) >= EVERY_S:
            self._write(market.slug)

    def close_market(self, slug: str) -> None:
        """Store the last price of a market that is over, as its mark until the official result."""
        self._write(slug)
        self._marked_s.pop(slug, None)

    def _write(self, slug: str) -> None:
        if (last := self._unwritten.pop(slug, None)) is not None:
            self._thread.post_deferred(f"mark {slug}", self._ledger.record_mark, slug, *last, time.time_ns())
            self._marked_s[slug] = time.monotonic()
