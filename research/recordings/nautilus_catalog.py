"""Reads recordings in a NautilusTrader `ParquetDataCatalog`: binary options with book deltas, or quotes.

The `info` of an instrument is the market's object of Gamma, or has it as `_gamma_original`, as those of the
Polymarket adapter; `markets.json` or `markets.jsonl` in the catalog's folder replaces it. The time of receipt
is `ts_init`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nautilus_trader.model.data import OrderBookDelta, OrderBookDeltas, QuoteTick
from nautilus_trader.model.enums import BookAction, OrderSide, RecordFlag
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from models import Frozen, Outcome
from research.recording_file import RecordingError
from research.recordings.books import FINE_TICK, BadMessage, fine_tick_of, mirror, price_of, size_of
from research.recordings.calendars import calendar_of, delay_ns_at
from research.recordings.catalogue import Gamma, load_objects, market_from, winner_of
from research.recordings.integrity import defects_of
from research.recordings.market import RecordedMarket, Snapshot

NANOS = 1_000_000_000
Levels = dict[int, int]


class CatalogMarket(Frozen, frozen=True):
    """A market of a catalog; `instruments` are the ids of its tokens by outcome."""

    path: str
    slug: str
    start: int
    gamma: Gamma
    instruments: dict[Outcome, str]

    def read(self) -> RecordedMarket:
        """Read the market.

        Raises
        ------
        RecordingError
            If it has no data or no result, or a file is damaged.
        """
        folder = Path(self.path)
        market, opened = market_from(self.gamma, folder)
        won = winner_of(self.gamma)
        if won is None:
            what = f"{self.slug} has no outcome: its object has no outcomePrices from after the resolution"
            raise RecordingError(folder, None, what, "Add markets.json with its object of Gamma")
        catalog, snapshots, backwards = ParquetDataCatalog(self.path), list[Snapshot](), list[str]()
        for outcome in Outcome:
            if (instrument_id := self.instruments.get(outcome)) is not None and not snapshots:
                try:
                    snapshots, backwards = self._snapshots(catalog, instrument_id, outcome)
                except BadMessage as error:
                    raise RecordingError(folder, None, f"{instrument_id}: {error}", "Leave it out") from None
        return RecordedMarket(
            slug=self.slug,
            start=self.start,
            gamma=opened,
            won=won,
            fine_tick_ns=0 if market.tick <= FINE_TICK else fine_tick_of(snapshots),
            snapshots=tuple(snapshots),
            timeframe=self.slug.split("-")[2],
            delay_ns=delay_ns_at(self.start),
            source=self.path,
            defects=(*backwards, *defects_of(folder, snapshots, market.interval)),
        )

    def _snapshots(
        self, catalog: ParquetDataCatalog, instrument_id: str, outcome: Outcome
    ) -> tuple[list[Snapshot], list[str]]:
        try:
            deltas = catalog.order_book_deltas(instrument_ids=[instrument_id])
            quotes = [] if deltas else catalog.quote_ticks(instrument_ids=[instrument_id])
        except Exception as error:  # noqa: BLE001  Nautilus' reader raises whatever its Rust part panics with
            what = f"{instrument_id} cannot be read: {error}"
            raise RecordingError(Path(self.path), None, what, "Write the catalog again") from None
        found, backwards, latest = list[Snapshot](), list[str](), 0
        books = _from_deltas(deltas) if deltas else _from_quotes(quotes)
        for row, (ts_ns, bids, asks) in enumerate(books, 1):
            if ts_ns < latest:
                backwards.append(f"{self.path}, {instrument_id} book {row}: the clock runs backwards")
            latest = max(latest, ts_ns)
            sides = (_best_first(bids, -1), _best_first(asks, 1))
            if outcome is Outcome.DOWN:
                sides = (mirror(sides[1]), mirror(sides[0]))
            found.append(Snapshot(offset_ns=latest - self.start * NANOS, bids=sides[0], asks=sides[1]))
        return found, backwards


def list_markets(folder: Path) -> list[CatalogMarket]:
    """The up/down markets of a catalog, by their start; other instruments are ignored."""
    objects = load_objects(folder)
    try:
        instruments = ParquetDataCatalog(str(folder)).instruments(instrument_type=BinaryOption)
    except Exception as error:  # noqa: BLE001  Nautilus' reader raises whatever its Rust part panics with
        what = f"its instruments cannot be read: {error}"
        raise RecordingError(folder, None, what, "Write the catalog again") from None
    found: dict[str, CatalogMarket] = {}
    for instrument in instruments:
        info: dict[str, Any] = instrument.info or {}
        gamma = info.get("_gamma_original") or info
        slug = str(gamma.get("slug") or gamma.get("market_slug") or "")
        try:
            start = calendar_of(slug).start_of(slug)
            outcome = Outcome(instrument.outcome)
        except ValueError:
            continue
        known = found.setdefault(
            slug,
            CatalogMarket(
                path=str(folder), slug=slug, start=start, gamma=objects.get(slug, gamma), instruments={}
            ),
        )
        known.instruments[outcome] = instrument.id.value
    return sorted(found.values(), key=lambda market: market.start)


def _from_deltas(batches: Iterable[Any]) -> Iterator[tuple[int, Levels, Levels]]:
    """The book after each batch of deltas that ends with the flag F_LAST, or at another time."""
    sides: dict[OrderSide, Levels] = {OrderSide.BUY: {}, OrderSide.SELL: {}}
    pending, at_ns = False, 0
    for delta in _single(batches):
        if pending and delta.ts_init != at_ns:
            yield at_ns, sides[OrderSide.BUY], sides[OrderSide.SELL]
        pending, at_ns = True, int(delta.ts_init)
        if delta.action == BookAction.CLEAR:
            for levels in sides.values():
                levels.clear()
        else:
            price = _price(delta.order.price)
            if delta.action == BookAction.DELETE:
                sides[delta.order.side].pop(price, None)
            else:
                sides[delta.order.side][price] = _size(delta.order.size)
        if delta.flags & RecordFlag.F_LAST:
            yield at_ns, sides[OrderSide.BUY], sides[OrderSide.SELL]
            pending = False
    if pending:
        yield at_ns, sides[OrderSide.BUY], sides[OrderSide.SELL]


def _single(batches: Iterable[Any]) -> Iterator[OrderBookDelta]:
    for batch in batches:
        if isinstance(batch, OrderBookDeltas):
            yield from batch.deltas
        else:
            yield batch


def _from_quotes(quotes: Iterable[QuoteTick]) -> Iterator[tuple[int, Levels, Levels]]:
    for quote in quotes:
        bids, asks = (
            {_price(price): shares} if (shares := _size(size)) else {}
            for price, size in ((quote.bid_price, quote.bid_size), (quote.ask_price, quote.ask_size))
        )
        yield quote.ts_init, bids, asks


def _price(price: Any) -> int:
    return price_of(str(price))


def _size(size: Any) -> int:
    return size_of(str(size))


def _best_first(levels: Levels, sign: int) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(levels.items(), key=lambda level: sign * level[0]))
