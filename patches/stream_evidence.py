"""Reports what the market stream shows about its own rules, as evidence for `execution.venue_facts`."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import combinations

from nautilus_trader.adapters.polymarket.schemas.book import PolymarketBookLevel, PolymarketBookSnapshot

from execution.venue_facts.judges import LONGEST_SILENCE_S
from execution.venue_facts.observations import (
    BestPricesCompared,
    BooksSeen,
    StreamSilence,
    TickChangeSeen,
)
from execution.venue_facts.recorder import Observe

SAMPLE = 200
"""Messages, and agreeing changes, from which a rule is taken as confirmed."""
REPORT_S = 10.0
"""Seconds between two reports of samples of one rule: a busy stream has many samples per second."""
ASK_S = 1.0
"""Seconds for which the running market is remembered."""
STALLED_S = 2.0
"""Seconds without a sign of life of this process after which a pause may be its own."""


class StreamEvidence:
    """Counts messages, and reports samples and exceptions.

    Parameters
    ----------
    observe : Observe
    running : Callable[[], str | None]
        Condition id of the running market.
    now_s : Callable[[], float]
        A monotonic clock.
    """

    def __init__(
        self, observe: Observe, running: Callable[[], str | None], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._observe = observe
        self._running_now = running
        self._now_s = now_s
        self._running: str | None = None
        self._asked_s = self._alive_s = self._last_s = now_s()
        self._measured: str | None = None
        self._longest_s = 0.0
        self._messages = 0
        self._agreed = 0
        self._silence_s = self._agreed_s = now_s() - REPORT_S
        """Time of the last report of each rule."""

    def alive(self) -> None:
        """Called once a second by the client: this process is not stalled."""
        self._alive_s = self._now_s()

    def reconnected(self) -> None:
        """A lost connection explains a pause."""
        self._measured = None

    def message(self, condition_id: str) -> None:
        """Measure the pause before a message about the running market."""
        now_s = self._now_s()
        if now_s - self._alive_s > STALLED_S:
            self._measured = None
        if now_s - self._asked_s > ASK_S:
            self._running, self._asked_s = self._running_now(), now_s
        if condition_id != self._running:
            return
        pause_s, self._last_s = now_s - self._last_s, now_s
        if condition_id != self._measured:
            self._measured, self._longest_s, self._messages = condition_id, 0.0, 0
            return
        self._longest_s = max(self._longest_s, pause_s)
        self._messages += 1
        sampled = self._messages >= SAMPLE and now_s - self._silence_s >= REPORT_S
        if sampled or pause_s > LONGEST_SILENCE_S:
            self._observe(StreamSilence(longest_s=self._longest_s, messages=self._messages))
            self._longest_s, self._messages, self._silence_s = 0.0, 0, now_s

    def books(self, frame: Sequence[object]) -> None:
        """Report both books of a market, if a frame has them with the same timestamp."""
        books = [message for message in frame if isinstance(message, PolymarketBookSnapshot)]
        for first, second in combinations(books, 2):
            if (first.market, first.timestamp) == (second.market, second.timestamp):
                with suppress(ArithmeticError):  # a price that is no number: the frame is not validated yet
                    self._observe(_books_seen(first, second))

    def best_prices(self, difference: str | None) -> None:
        """Count an agreement, or report a difference that stayed."""
        if difference is not None:
            self._observe(BestPricesCompared(agreed=self._agreed, difference=difference))
            self._agreed = 0
            return
        self._agreed += 1
        if self._agreed >= SAMPLE and self._now_s() - self._agreed_s >= REPORT_S:
            self._observe(BestPricesCompared(agreed=self._agreed))
            self._agreed, self._agreed_s = 0, self._now_s()

    def tick_changed(self, tick: object, *, followed: bool) -> None:
        """Report whether the venue sent a book after an announced change of the tick."""
        self._observe(TickChangeSeen(tick=str(tick), followed=followed))


def _books_seen(first: PolymarketBookSnapshot, second: PolymarketBookSnapshot) -> BooksSeen:
    return BooksSeen(
        first_bids=_levels(first.bids),
        first_asks=_levels(first.asks),
        second_bids=_levels(second.bids),
        second_asks=_levels(second.asks),
        timestamp=first.timestamp,
    )


def _levels(side: Sequence[PolymarketBookLevel]) -> dict[Decimal, Decimal]:
    return {Decimal(level.price): Decimal(level.size) for level in side}
