"""The market board: which markets are admitted and paired, which one runs, and which are subscribed next."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import BinaryOption, Instrument

from common.plain_text import one_line
from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.identity import MarketIds, shared_ids
from core.nautilus_core.instruments.pairing import market_of, suspension_of
from errors import Refused, UnknownVersion
from models import Book, Market, Outcome

EMPTY = Book(bids=(), asks=(), ts_ns=0)


class TrackedMarket:
    """One market, its two instruments, and the latest quotes of both."""

    def __init__(self, market: Market, ids: dict[Outcome, InstrumentId]) -> None:
        self.market = market
        self.ids = ids
        self.quotes: dict[Outcome, QuoteTick | None] = dict.fromkeys(Outcome)
        self.updated_ns = dict.fromkeys(Outcome, 0)
        self.opened_ns = 0
        self.opened_second: float | None = None
        """Market second at which this bot opened it as the running market."""
        self.deciding = False
        self.finished = False
        self.last_decision_ns = 0


class MarketBoard:
    """Pairs instruments into markets and finds the relevant ones for a market time.

    Parameters
    ----------
    calendar : SlugCalendar
    on_market : Callable[[Market], None]
        Called for each market when both of its tokens are known, and again when its fee rate or rule changes.
    on_refused : Callable[[str, str], None]
        Called once for each market that is not traded: slug, reason.
    on_unknown_version : Callable[[str, UnknownVersion], None], optional
        Called instead, and once for each protocol version, for the first market of a version that is not
        supported.
    ids : MarketIds, optional
        The ids of all markets, shared by the boards of several series.
    """

    def __init__(
        self,
        calendar: SlugCalendar,
        on_market: Callable[[Market], None],
        on_refused: Callable[[str, str], None],
        on_unknown_version: Callable[[str, UnknownVersion], None] | None = None,
        ids: MarketIds | None = None,
    ) -> None:
        self.calendar = calendar
        self._on_market = on_market
        self._on_refused = on_refused
        self._on_unknown_version = on_unknown_version or (lambda slug, error: on_refused(slug, str(error)))
        self._unknown_versions: set[str] = set()
        self._by_start: dict[int, TrackedMarket] = {}
        self._by_instrument: dict[InstrumentId, tuple[TrackedMarket, Outcome]] = {}
        self._halves: dict[str, dict[Outcome, InstrumentId]] = {}
        self._refused: set[str] = set()
        self._reported: set[str] = set()
        self._ids = MarketIds() if ids is None else ids
        self._suspended: dict[str, str] = {}

    def remember(self, market: Market) -> None:
        """Store the ids of a market in the ledger; the catalogue may not change them."""
        self._ids.remember(market)

    def admit(self, listed: Sequence[Any], asked: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Select the markets of a catalogue answer that may be traded.

        A market that is malformed or of an unsupported kind is left out of this answer, and suspended until
        an answer is valid. A market whose ids contradict another market's, or its own earlier ones, is
        refused permanently. Both are reported once by name, and do not affect other markets. A market in
        which the venue accepts no orders, by its own flags, is loaded and suspended. Fee rate and settlement
        rule are those of the latest answer.

        Parameters
        ----------
        listed : sequence
            The rows of the answer, not validated.
        asked : sequence of str
            The slugs that were requested. Rows of other markets are ignored.

        Returns
        -------
        dict
            The rows of the admitted markets, by slug.
        """
        rows: dict[str, dict[str, Any]] = {}
        markets: list[Market] = []
        self._suspended = dict.fromkeys(asked, "the catalogue does not list it")
        for row in listed:
            slug = row.get("slug") if isinstance(row, dict) else None
            if not isinstance(slug, str) or slug not in asked or slug in self._refused:
                continue
            try:
                market = market_of(row, self.calendar)
            except UnknownVersion as error:
                self._suspended[slug] = str(error)
                self._report_version(slug, error)
                continue
            except Refused as error:
                self._suspended[slug] = str(error)
                self.report(slug, str(error))
                continue
            if (why := self._ids.contradiction(market)) is not None:
                self.refuse(slug, why)
                continue
            rows[slug] = row
            markets.append(market)
            self._follow(market, suspension_of(row))
        for slug, why in shared_ids(markets).items():
            self.refuse(slug, why)
        return {slug: row for slug, row in rows.items() if slug not in self._refused}

    def neighbours(self, slug: str) -> list[str]:
        """Slugs of markets with other starts that overlap this one; see `SlugCalendar.neighbours`."""
        return self.calendar.neighbours(slug)

    def suspension(self, slug: str) -> str | None:
        """Why no order may be sent in a market now, by the latest answer of the catalogue; None if one
        may."""
        return self._suspended.get(slug)

    def _follow(self, market: Market, suspension: str | None) -> None:
        """Apply the latest answer to a market."""
        if suspension is None:
            self._suspended.pop(market.slug, None)
        else:
            self._suspended[market.slug] = suspension
            self.report(market.slug, suspension)
        tracked = self._by_start.get(market.start)
        if tracked is None:
            return
        followed = msgspec.structs.replace(tracked.market, fee_rate=market.fee_rate, rule=market.rule)
        if followed != tracked.market:
            tracked.market = followed
            self._on_market(followed)

    def report(self, slug: str, why: str) -> None:
        """Report once that a market is not traded."""
        if slug not in self._reported:
            self._reported.add(slug)
            self._on_refused(one_line(slug), one_line(why))

    def _report_version(self, slug: str, error: UnknownVersion) -> None:
        """Report once that a protocol version is not supported: all later markets may have it."""
        if error.version not in self._unknown_versions:
            self._unknown_versions.add(error.version)
            self._on_unknown_version(slug, error)

    def refuse(self, slug: str, why: str) -> None:
        """Refuse a market permanently, also one that was admitted before, and report it."""
        self._refused.add(slug)
        self._halves.pop(slug, None)
        tracked = self.by_slug(slug)
        if tracked is not None:
            del self._by_start[tracked.market.start]
            for instrument_id in tracked.ids.values():
                del self._by_instrument[instrument_id]
        self.report(slug, why)

    def add(self, instrument: Instrument) -> None:
        """Add an instrument; the second token of a market completes it. Those of other series are ignored."""
        if not isinstance(instrument, BinaryOption) or instrument.id in self._by_instrument:
            return
        gamma: dict[str, Any] = (instrument.info or {}).get("_gamma_original") or {}
        slug = str(gamma.get("slug"))
        if slug in self._refused or self.calendar.is_of_another_series(slug):
            return
        try:
            halves = self._halves.setdefault(slug, {})
            halves[Outcome(instrument.outcome)] = instrument.id
            if len(halves) < len(Outcome):
                return
            market = market_of(gamma, self.calendar)
        except (Refused, ValueError) as error:
            self.refuse(slug, str(error))
            return
        why = self._ids.contradiction(market) or _mismatch(market, halves)
        if why is not None:
            self.refuse(slug, why)
            return
        self._ids.remember(market)
        tracked = TrackedMarket(market, self._halves.pop(slug))
        self._by_start[market.start] = tracked
        for outcome, instrument_id in tracked.ids.items():
            self._by_instrument[instrument_id] = (tracked, outcome)
        self._on_market(market)

    def running(self, market_time: float) -> TrackedMarket | None:
        """The market that runs now, if it is loaded."""
        return self._by_start.get(self.calendar.running_start(market_time))

    def following(self, market_time: float) -> TrackedMarket | None:
        """The market after the running one, if it is loaded."""
        return self._by_start.get(self.calendar.next_start(self.calendar.running_start(market_time)))

    def find(self, instrument_id: InstrumentId) -> tuple[TrackedMarket, Outcome] | None:
        return self._by_instrument.get(instrument_id)

    def by_slug(self, slug: str) -> TrackedMarket | None:
        # A copy: the loop of the feeds asks too, on its own thread.
        tracked = self._by_start.copy().values()
        return next((market for market in tracked if market.market.slug == slug), None)


def _mismatch(market: Market, ids: dict[Outcome, InstrumentId]) -> str | None:
    """Which instrument does not belong to the market; None if both do."""
    for outcome, instrument_id in ids.items():
        if instrument_id.symbol.value != f"{market.condition_id}-{market.token(outcome)}":
            return f"its {outcome} instrument {instrument_id.symbol.value} is not the one of its ids"
    return None
