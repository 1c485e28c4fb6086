"""Measures the processing of a message of the market stream, from its raw JSON to the strategy's market view.

    python -m benchmarks.book_updates

The messages are made from the books of a recorded market as the venue sends them. Each is processed by the
bot's data client and by the stock client of NautilusTrader, by turns. Both pass their books and quotes to a
receiver in place of Nautilus' data engine; the bot's receiver updates a market view with the last quote of
each second, as the strategy does.
"""

import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.adapters.polymarket.config import PolymarketDataClientConfig
from nautilus_trader.adapters.polymarket.data import PolymarketDataClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.data import Data
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId, TraderId

from benchmarks.bench_table import print_measurements
from benchmarks.results import Measurement, at_most
from config import Settings
from core.nautilus_core.instruments.pairing import market_of
from core.nautilus_core.providers.quote_buffer import QuoteBuffer
from models import Frozen, Market, Outcome
from patches.market_feed import CheckedDataClient
from research.backtest.market_data import NANOS, binary_option, instrument_id
from research.recordings import BUNDLED, RecordedMarket, list_markets
from settings_mapping import market_calendar, new_view
from venue.amounts import CENT_MILLS, decimal_text, price_text
from venue.market_feed import BOOK_INSTEAD
from venue.order_book import BookChange, VenueBook, changes_between, summary

NAME = "books"
MESSAGES = 3_000
"""Of each kind; the first tenth is not measured."""
PER_LEVEL = 1_000
CENT = Decimal("0.01")
"""The tick of the market that is measured."""


class Frame(Frozen, frozen=True):
    """A message, the market second at which it arrives, and its number of levels or changes."""

    raw: bytes
    second: float
    rows: int
    measured: bool = True


# --- the messages ------------------------------------------------------------------------------------


def recorded_market() -> RecordedMarket:
    """The bundled market with the most books among those whose tick size does not change."""
    markets = [listed.read() for listed in list_markets(BUNDLED)]
    return max((m for m in markets if m.fine_tick_ns is None), key=lambda market: len(market.snapshots))


def books_of(recorded: RecordedMarket) -> list[tuple[float, VenueBook]]:
    """Market second and Up book of each snapshot that has both sides and whole cents as prices."""
    books = [
        (snapshot.offset_ns / NANOS, VenueBook(bids=snapshot.bids, asks=snapshot.asks))
        for snapshot in recorded.snapshots
    ]
    return [(s, book) for s, book in books if book.bids and book.asks and not (book.sub_cent or book.crossed)]


def view_of(book: VenueBook, outcome: Outcome) -> VenueBook:
    return book if outcome is Outcome.UP else book.mirrored()


def book_event(market: Market, second: float, book: VenueBook, outcome: Outcome) -> dict[str, Any]:
    """The venue's message with a whole book of one token."""
    answer = summary(
        view_of(book, outcome),
        market=market.condition_id,
        token=market.token(outcome),
        timestamp_ms=int((market.start + second) * 1000),
        tick=CENT_MILLS,
        last_price="",
    )
    return {"event_type": "book", **answer}


def change_event(
    market: Market, second: float, book: VenueBook, changes: Sequence[BookChange]
) -> dict[str, Any]:
    """The venue's message with the changes of both tokens' books."""
    rows: list[dict[str, str]] = []
    for outcome in Outcome:
        state = book_event(market, second, book, outcome)
        for change in changes:
            own = change if outcome is Outcome.UP else change.mirrored()
            rows.append(
                {
                    "asset_id": market.token(outcome),
                    "price": price_text(own.price),
                    "side": own.side,
                    "size": decimal_text(own.size),
                    "hash": state["hash"],
                    "best_bid": state["bids"][-1]["price"],
                    "best_ask": state["asks"][-1]["price"],
                }
            )
    return {
        "event_type": "price_change",
        "market": market.condition_id,
        "price_changes": rows,
        "timestamp": str(int((market.start + second) * 1000)),
    }


def whole_books(market: Market, books: Sequence[tuple[float, VenueBook]]) -> Iterator[Frame]:
    """Both tokens' books of each snapshot, again and again."""
    for second, book in itertools.cycle(books):
        for outcome in Outcome:
            event = book_event(market, second, book, outcome)
            yield Frame(msgspec.json.encode(event), second, len(event["bids"]) + len(event["asks"]))


def changes(market: Market, books: Sequence[tuple[float, VenueBook]]) -> Iterator[Frame]:
    """The changes from each book to the next one, there and back, again and again.

    Where many levels changed the venue sends whole books instead, which are processed and not measured.
    """
    circle = [*books, *reversed(books[1:-1])]
    for (_, old), (second, new) in itertools.pairwise(itertools.cycle(circle)):
        found = changes_between(old, new)
        if len(found) >= BOOK_INSTEAD:
            for whole in itertools.islice(whole_books(market, [(second, new)]), len(Outcome)):
                yield msgspec.structs.replace(whole, measured=False)
        elif found:
            event = change_event(market, second, new, found)
            yield Frame(msgspec.json.encode(event), second, len(event["price_changes"]))


# --- the two clients ---------------------------------------------------------------------------------


class ViewReceiver:
    """What the strategy does with a quote: a buffer keeps it for the market view."""

    def __init__(self, market: Market, settings: Settings) -> None:
        self.buffer = QuoteBuffer(new_view(settings, market))
        self.second = 0.0
        self._newest: dict[Outcome, QuoteTick | None] = dict.fromkeys(Outcome)
        self._outcomes = {instrument_id(market, outcome): outcome for outcome in Outcome}

    def __call__(self, data: Data) -> None:
        if not isinstance(data, QuoteTick):
            return
        outcome = self._outcomes[data.instrument_id]
        self._newest[outcome] = data
        if outcome is Outcome.UP:
            self.buffer.add(self.second, data, self._newest[Outcome.DOWN])


def connected(
    client_type: type[PolymarketDataClient], market: Market, receiver: Callable[[Data], None], **more: Any
) -> PolymarketDataClient:
    """A data client that is subscribed to both tokens, without a connection."""
    clock, cache = LiveClock(), Cache()
    bus = MessageBus(trader_id=TraderId("BENCH-001"), clock=clock)
    bus.register("DataEngine.process", receiver)
    client = client_type(
        loop=asyncio.get_running_loop(),
        http_client=None,  # pyright: ignore[reportArgumentType]
        msgbus=bus,
        cache=cache,
        clock=clock,
        instrument_provider=InstrumentProvider(),  # pyright: ignore[reportArgumentType]
        config=PolymarketDataClientConfig(drop_quotes_missing_side=False),
        name=None,
        **more,
    )
    for outcome in Outcome:
        cache.add_instrument(binary_option(market, outcome, CENT, 2, {}))
        name: InstrumentId = instrument_id(market, outcome)
        client._add_subscription_quote_ticks(name)
        client._add_subscription_order_book_deltas(name)
    return client


class Pair:
    """The bot's client and the stock client, each with its own books of the same market."""

    def __init__(self, market: Market, settings: Settings, first: Sequence[Frame]) -> None:
        self.receiver = ViewReceiver(market, settings)
        bot = connected(CheckedDataClient, market, self.receiver, refresh_pause=lambda: 60.0)
        assert isinstance(bot, CheckedDataClient)
        self.bot = bot
        self.stock = connected(PolymarketDataClient, market, lambda data: None)
        for frame in first:
            self.process_bot(frame)
            self.stock._handle_raw_ws_message(frame.raw)

    def process_bot(self, frame: Frame) -> None:
        self.receiver.second = frame.second
        self.bot._handle_raw_ws_message(frame.raw)

    def require_agreement(self) -> None:
        """Raise RuntimeError if a message was refused or the books are not the venue's: then the figures are
        not those of ordinary messages."""
        if (
            self.bot._refused.count
            or self.bot._differing
            or self.bot._outdated
            or not self.receiver.buffer.view.tradable
        ):
            raise RuntimeError(
                f"{self.bot._refused.count} messages were refused, {self.bot._differing} differ, "
                f"{self.receiver.buffer.view.valid_quotes} valid quotes"
            )


# --- the measurement ---------------------------------------------------------------------------------


async def durations_us(pair: Pair, frames: Sequence[Frame]) -> tuple[list[float], list[float]]:
    """Microseconds of each message, of the bot's client and of the stock client, by turns."""
    mine, stock = [], []
    for number, frame in enumerate(frames):
        began = time.perf_counter_ns()
        pair.process_bot(frame)
        between = time.perf_counter_ns()
        pair.stock._handle_raw_ws_message(frame.raw)
        ended = time.perf_counter_ns()
        if frame.measured and number >= len(frames) // 10:
            mine.append((between - began) / 1e3)
            stock.append((ended - between) / 1e3)
        # The client limits how long its frames occupy one turn of the event loop.
        await asyncio.sleep(0)
    return mine, stock


async def conversions(pair: Pair, frames: Sequence[Frame]) -> float:
    """Calls of Decimal(), sorted() and list.sort() by the bot's client, per thousand levels or changes."""
    counted = 0

    def called(code: object, offset: int, function: object, first: object) -> None:
        nonlocal counted
        counted += function is Decimal or function is sorted or function is list.sort

    monitoring = sys.monitoring
    monitoring.use_tool_id(monitoring.PROFILER_ID, "benchmark")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.CALL, called)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.CALL)
    try:
        for frame in frames:
            pair.process_bot(frame)
            await asyncio.sleep(0)
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        monitoring.free_tool_id(monitoring.PROFILER_ID)
    return PER_LEVEL * counted / sum(frame.rows for frame in frames)


async def measured() -> list[Measurement]:
    settings, recorded = Settings(), recorded_market()
    market = market_of(recorded.gamma, market_calendar(settings))
    books = books_of(recorded)
    found: list[Measurement] = []
    for kind, source in (("a price_change", changes), ("a book", whole_books)):
        frames = list(itertools.islice(source(market, books), MESSAGES))
        pair = Pair(market, settings, list(itertools.islice(whole_books(market, books), 2)))
        mine, stock = await durations_us(pair, frames)
        calls = await conversions(pair, frames[: MESSAGES // 10])
        pair.require_agreement()
        rows = statistics.mean(frame.rows for frame in frames if frame.measured)
        found += [
            Measurement(
                name=NAME,
                what=f"{kind} message ({rows:.0f} levels), median",
                value=statistics.median(mine),
                unit="µs",
                reference=statistics.median(stock),
                reference_name="stock adapter's parsing",
                no_target="it validates each message, which the stock adapter does not",
            ),
            Measurement(
                name=NAME,
                what=f"Decimal() and sorts per 1,000 levels, {kind.removeprefix('a ')}",
                value=calls,
                unit="",
                target=at_most(0.0),
            ),
        ]
    return found


def measure() -> Sequence[Measurement]:
    return asyncio.run(measured())


if __name__ == "__main__":
    sys.exit(print_measurements(measure()))
