"""The board of markets: which are paired, which one runs, which are to be subscribed."""

from collections.abc import Callable
from typing import Any

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import BinaryOption, Instrument

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.pairing import market_of
from errors import Refused
from models import Book, Market, Outcome

EMPTY = Book(bids=(), asks=(), ts_ns=0)


class TrackedMarket:
    """One market, its two instruments, and the latest top of both books."""

    def __init__(self, market: Market, ids: dict[Outcome, InstrumentId]) -> None:
        self.market = market
        self.ids = ids
        self.tops = dict.fromkeys(Outcome, EMPTY)
        self.updated_ns = dict.fromkeys(Outcome, 0)
        self.opened_ns = 0
        self.opened_second: float | None = None
        """Market second at which this bot began to watch it as the running market."""
        self.deciding = False
        self.finished = False
        self.last_decision_ns = 0


class MarketBoard:
    """Pairs instruments into markets and tells which ones matter at a market time.

    Parameters
    ----------
    calendar : SlugCalendar
    on_market : Callable[[Market], None]
        Told of each market once, when both of its tokens are known.
    on_refused : Callable[[str, str], None]
        Told once of each market that is left alone: slug, reason.
    """

    def __init__(
        self,
        calendar: SlugCalendar,
        on_market: Callable[[Market], None],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self.calendar = calendar
        self._on_market = on_market
        self._on_refused = on_refused
        self._by_start: dict[int, TrackedMarket] = {}
        self._by_instrument: dict[InstrumentId, tuple[TrackedMarket, Outcome]] = {}
        self._halves: dict[str, dict[Outcome, InstrumentId]] = {}
        self._refused: set[str] = set()

    def add(self, instrument: Instrument) -> None:
        """Take up an instrument; the second token of a market completes it."""
        if not isinstance(instrument, BinaryOption) or instrument.id in self._by_instrument:
            return
        gamma: dict[str, Any] = (instrument.info or {}).get("_gamma_original") or {}
        slug = str(gamma.get("slug"))
        if slug in self._refused:
            return
        try:
            halves = self._halves.setdefault(slug, {})
            halves[Outcome(instrument.outcome)] = instrument.id
            if len(halves) < len(Outcome):
                return
            market = market_of(gamma, self.calendar)
        except (Refused, ValueError) as error:
            self._refused.add(slug)
            self._on_refused(slug, str(error))
            return
        tracked = TrackedMarket(market, self._halves.pop(slug))
        self._by_start[market.start] = tracked
        for outcome, instrument_id in tracked.ids.items():
            self._by_instrument[instrument_id] = (tracked, outcome)
        self._on_market(market)

    def running(self, market_time: float) -> TrackedMarket | None:
        """The market that runs now, if it is known."""
        return self._by_start.get(self.calendar.running_start(market_time))

    def following(self, market_time: float) -> TrackedMarket | None:
        """The market after the running one, if it is known."""
        return self._by_start.get(self.calendar.running_start(market_time) + self.calendar.interval)

    def find(self, instrument_id: InstrumentId) -> tuple[TrackedMarket, Outcome] | None:
        return self._by_instrument.get(instrument_id)

    def by_slug(self, slug: str) -> TrackedMarket | None:
        return next((w for w in self._by_start.values() if w.market.slug == slug), None)
