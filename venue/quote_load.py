"""A load for clients of the market stream: additional quotes at a given rate."""

from venue.order_book import BookChange, VenueBook

CENTI_SHARE = 10_000
"""0.01 shares in micro shares: the difference between two additional quotes."""
MOST_QUOTES = 10_000
"""Highest rate per second."""
LONGEST_BACKLOG_S = 0.25
"""Quotes that are due for longer are omitted: a venue that is late does not send them all at once."""


class QuoteLoad:
    """Counts the additional quotes that are due.

    Parameters
    ----------
    per_second : float
        Additional quotes per wall second, of all running markets together; 0: none.
    now_ns : int
        Machine time in nanoseconds.
    """

    def __init__(self, per_second: float, now_ns: int) -> None:
        self.sent = 0
        """Number of additional quotes sent since the start of the venue."""
        self.change(per_second, now_ns)

    def change(self, per_second: float, now_ns: int) -> None:
        """Set the rate from now on."""
        self.per_second = per_second
        self._since_ns = now_ns

    def due(self, now_ns: int) -> int:
        """Number of quotes to send now; they are not due again."""
        if not self.per_second:
            return 0
        earliest_ns = now_ns - round(max(LONGEST_BACKLOG_S, 1 / self.per_second) * 1e9)
        self._since_ns = max(self._since_ns, earliest_ns)
        # The second term, because nanoseconds are rounded: one quote must not be missed for that.
        number = int((now_ns - self._since_ns) * self.per_second / 1e9 + 1e-6)
        self._since_ns += round(number / self.per_second * 1e9)
        return number


def best_size_changed(book: VenueBook, *, smaller: bool) -> tuple[VenueBook, BookChange] | None:
    """A book whose best bid (without bids: best ask) is 0.01 shares smaller or larger, and the change.

    None for a book without levels.
    """
    step = -CENTI_SHARE if smaller else CENTI_SHARE
    if book.bids:
        (price, size), *others = book.bids
        return VenueBook(((price, size + step), *others), book.asks), BookChange("BUY", price, size + step)
    if book.asks:
        (price, size), *others = book.asks
        return VenueBook(book.bids, ((price, size + step), *others)), BookChange("SELL", price, size + step)
    return None
