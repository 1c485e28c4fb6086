"""The values of the external sources as a recording has them, and those of a moment."""

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from core.ingestion.adapters.checked_sources import CONSENSUS_AGE_S, MAX_AGE_S, OPTIONS, SPOT
from core.ingestion.adapters.unified_adapter import Externals, RefreshedValues
from models import DecisionContext, Frozen, Tick

NOT_RECORDED = dict.fromkeys(("coinbase", "strike", "deribit", "fear_greed"), "not recorded")
NANOS = 1_000_000_000


class Refresh(Frozen, frozen=True):
    """The values from `offset_ns` after the market's start on, as the bot had them.

    `values.spot_path` is empty: the path is the part `path` of the recording's ticks, (begin, end).
    """

    offset_ns: int
    values: Externals
    path: tuple[int, int]


class RecordedExternals(Frozen, frozen=True):
    """The recorded refreshes of one market in time order; `ticks` has the spot path of all of them."""

    refreshes: tuple[Refresh, ...] = ()
    ticks: tuple[Tick, ...] = ()

    def at(self, offset_ns: int) -> Externals | None:
        """The newest values at a time after the market's start; None before the first ones.

        A price or ratio from a refresh longer ago than the bot would accept one is absent, with the reason.
        """
        found = bisect_right(self.refreshes, offset_ns, key=lambda refresh: refresh.offset_ns)
        if not found:
            return None
        refresh = self.refreshes[found - 1]
        begin, end = refresh.path
        values = msgspec.structs.replace(refresh.values, spot_path=self.ticks[begin:end])
        return _without_stale(values, (offset_ns - refresh.offset_ns) / NANOS)

    def added_to(self, context: DecisionContext) -> DecisionContext:
        """The context of a decision with the values of its time."""
        values = self.at(context.now_ns - context.market.start * NANOS)
        if values is None:
            return msgspec.structs.replace(context, absent=NOT_RECORDED)
        return values.added_to(context)


def _without_stale(values: Externals, age_s: float) -> Externals:
    absent = dict(values.absent)
    for name, value in ((SPOT, values.spot), (OPTIONS, values.put_call)):
        if value is not None and age_s > MAX_AGE_S[name]:
            absent[name] = f"{name}: recorded {age_s:.0f} s before, at most {MAX_AGE_S[name]:.0f} allowed"
    return msgspec.structs.replace(
        values,
        spot=None if SPOT in absent else values.spot,
        put_call=None if OPTIONS in absent else values.put_call,
        consensus=None if age_s > CONSENSUS_AGE_S else values.consensus,
        absent=absent,
    )


class ExternalsReader:
    """Collects the recorded refreshes of one market.

    Parameters
    ----------
    start : int
        The market's.
    """

    def __init__(self, start: int) -> None:
        self._start_ns = start * NANOS
        self._received: list[tuple[int, int | None, Refresh]] = []
        self._ticks: list[Tick] = []
        self._begin = 0
        """Position of the newest path's first tick; the path ends with the last one."""

    def add(self, recv_ns: int, recorded: RefreshedValues) -> bool:
        """Add a refresh received at a market time; returns whether its whole spot path is known."""
        begin, end = len(self._ticks), len(self._ticks)
        complete = True
        if recorded.known is not None:
            first, last = recorded.known
            begin = self._begin
            while begin < end and self._ticks[begin].second < first:
                begin += 1
            complete = begin < end and (self._ticks[begin].second, self._ticks[-1].second) == (first, last)
        self._begin = begin
        self._ticks += recorded.values.spot_path
        refresh = Refresh(
            offset_ns=recv_ns - self._start_ns,
            values=msgspec.structs.replace(recorded.values, spot_path=()),
            path=(begin, len(self._ticks)),
        )
        books_ns = None if recorded.books_ns is None else recorded.books_ns - self._start_ns
        self._received.append((refresh.offset_ns, books_ns, refresh))
        return complete

    def finished(self, books: Sequence[int]) -> RecordedExternals:
        """All values in time order.

        Parameters
        ----------
        books : Sequence[int]
            Times of the market's books after its start, ascending. Values that the bot asked for to make a
            decision are valid from the book on which it decided: the answer came a moment after it.
        """
        refreshes = []
        for received, decided, refresh in self._received:
            found = 0 if decided is None else bisect_right(books, min(decided, received))
            offset_ns = books[found - 1] if found else received
            refreshes.append(msgspec.structs.replace(refresh, offset_ns=offset_ns))
        refreshes.sort(key=lambda refresh: refresh.offset_ns)
        return RecordedExternals(refreshes=tuple(refreshes), ticks=tuple(self._ticks))
