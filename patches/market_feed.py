"""Market stream: an invalid message does not change a book; the book is requested again.

The stock client converts any text to a number, so that a negative price enters the book; it rounds prices to
the known grid, so that 0.999 becomes 1.00 if the message that announced the finer grid was lost; it prints a
traceback for each message that it cannot use; and it continues with a book that may have missed a change.

Here each message is validated first. A refused message is counted, and the books it concerns are outdated
from then on: they accept no changes and age until a snapshot replaces them. The snapshot is requested by
subscribing again and, if none arrives, by a new connection.

A price off the known grid is never rounded. A snapshot with a tick, or prices on one of the venue's finer
grids, set the tick; other prices are refused.

A change contains the venue's best prices after it. While those of a book differ, a change may have been lost:
no quote of its market is passed on, so that no decision begins, and if the difference stays, the book is
requested again. It is tolerated for a moment because the venue reports one match in several messages.

Quotes are passed on once per message, because a book is incomplete between two changes of one message. If
messages arrive faster than they are processed, only the newest quote of a book in each turn of the event loop
is passed on, and all messages that wait are dropped once the oldest has waited for a second: the books are
requested again. Both are counted (`patches.frame_backlog`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any, cast

import msgspec
from nautilus_trader.adapters.polymarket.common.symbol import (
    get_polymarket_condition_id,
    get_polymarket_instrument_id,
    get_polymarket_token_id,
)
from nautilus_trader.adapters.polymarket.data import PolymarketDataClient
from nautilus_trader.adapters.polymarket.schemas.book import (
    PolymarketBookSnapshot,
    PolymarketQuotes,
    PolymarketTickSizeChange,
    PolymarketTrade,
)
from nautilus_trader.adapters.polymarket.websocket.client import (
    PolymarketWebSocketChannel,
    PolymarketWebSocketClient,
)
from nautilus_trader.core.data import Data
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import OrderBookDelta, OrderBookDeltas, QuoteTick
from nautilus_trader.model.enums import BookAction, BookType, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import Price

from common.beats import next_beat
from common.bounded_http import parse_json
from common.plain_text import one_line
from core.nautilus_core.providers.book_conversion import decimal_price
from errors import Refused, Temporary
from execution.venue_facts.recorder import ignore
from patches.best_prices import differing_best
from patches.frame_backlog import FrameBacklog
from patches.message_values import (
    CONDITION_ID,
    MILLISECONDS,
    TOKEN_ID,
    form_fault,
    price_fault,
    price_of,
    size_fault,
    tick_fault,
)
from patches.price_changes import BestPrices, BookChange, KnownBooks, best_of, event_time_ns
from patches.price_grid import finer_tick, off_grid, on_grid
from patches.refused_messages import RefusedMessages
from patches.stream_evidence import StreamEvidence
from patches.stream_socket import StreamSocket

RETRY_REFRESH_S = 10.0
"""Maximum seconds until the catalogue is read again after an unusable answer."""
CLOCK_CHECK_S = 10.0
"""Seconds between two comparisons of the machine's clock with a monotonic one while waiting."""
CLOCK_JUMP_S = 5.0
"""Difference between both after such an interval that shows a clock that was set, or a suspended machine."""
RESYNC_PAUSE_S = 5.0
"""Seconds between two requests for a book; doubled each time, up to the maximum."""
LONGEST_RESYNC_PAUSE_S = 60.0
SILENT_S = 60.0
"""Time without a message after which the connection is renewed, as by the stock client."""
SNAPSHOT_WAIT_S = 1.0
"""Seconds after a change of the tick until its book is requested; the venue usually sends it."""
DIFFERENCE_S = 1.0
"""Seconds for which the best prices of a book may differ from the venue's until it is requested."""

BOOK_EVENTS = ("book", "price_change", "tick_size_change")
"""Events that change a book; all others can be missed without effect."""


class BookSnapshot(PolymarketBookSnapshot, tag="book", tag_field="event_type", frozen=True):
    """A snapshot with its optional tick, which the library ignores."""

    tick_size: str | float | None = None


Message = BookSnapshot | PolymarketQuotes | PolymarketTrade | PolymarketTickSizeChange
MESSAGE_TYPE = list[BookSnapshot] | Message


def fault_of(message: Message) -> str | None:
    """Which value of a market message is invalid; None if all are valid."""
    fault = (
        form_fault("market", message.market, CONDITION_ID)
        or form_fault("timestamp", message.timestamp, MILLISECONDS)
        or next(filter(None, (form_fault("asset_id", token, TOKEN_ID) for token in tokens_of(message))), None)
    )
    if fault is not None:
        return fault
    if isinstance(message, PolymarketTickSizeChange):
        return tick_fault("new_tick_size", message.new_tick_size)
    if isinstance(message, BookSnapshot) and message.tick_size is not None:
        fault = tick_fault("tick_size", _tick_text(message.tick_size))
    rows = rows_of(message)
    return fault or next(filter(None, (price_fault(row.price) or size_fault(row.size) for row in rows)), None)


def rows_of(message: Message) -> list[Any]:
    """The levels, changes or trade of a message that have a price and a size."""
    if isinstance(message, BookSnapshot):
        return [*message.bids, *message.asks]
    if isinstance(message, PolymarketQuotes):
        return list(message.price_changes)
    return [message] if isinstance(message, PolymarketTrade) else []


def rows_for(message: Message, token: str) -> list[Any]:
    """The rows of a message about one of its tokens."""
    if isinstance(message, PolymarketQuotes):
        return [change for change in message.price_changes if change.asset_id == token]
    return rows_of(message)


def best_last(message: Message) -> Message:
    """A snapshot with the best level of each side last, as the library expects it.

    The venue sends it so, and then it is returned as it is; one of its documents describes the opposite.
    Other messages are unchanged.
    """
    if not isinstance(message, BookSnapshot):
        return message
    bids, asks = ([price_of(level.price) for level in side] for side in (message.bids, message.asks))
    if all(worse <= better for worse, better in pairwise(bids)) and all(
        worse >= better for worse, better in pairwise(asks)
    ):
        return message
    return msgspec.structs.replace(
        message,
        bids=sorted(message.bids, key=lambda level: price_of(level.price)),
        asks=sorted(message.asks, key=lambda level: price_of(level.price), reverse=True),
    )


@lru_cache(maxsize=1024)
def _instrument_id(condition_id: str, token: str) -> InstrumentId:
    """The instrument of valid ids; each message repeats those of a few markets."""
    return get_polymarket_instrument_id(condition_id, token)


def tokens_of(message: Message) -> set[str]:
    """The tokens whose books a message concerns."""
    if isinstance(message, PolymarketQuotes):
        return {change.asset_id for change in message.price_changes}
    return {message.asset_id}


def tokens_named(raw: bytes) -> set[str] | None:
    """The tokens whose books a frame of unknown format concerns; None if it may be any.

    Raises nothing: a frame that is not JSON may have been a change of any book.
    """
    try:
        content = parse_json(raw)
    except ValueError:
        return None
    named: set[str] = set()
    for message in content if isinstance(content, list) else [content]:
        if not isinstance(message, dict):
            return None
        if message.get("event_type") not in BOOK_EVENTS:
            continue
        changes = message.get("price_changes")
        rows = [message, *(changes if isinstance(changes, list) else [])]
        found = [row["asset_id"] for row in rows if isinstance(row, dict) and "asset_id" in row]
        if not found or not all(isinstance(token, str) for token in found):
            return None
        named.update(found)
    return named


def _keeps_tick(message: Message, rows: list[Any], known: str) -> bool:
    """Whether a message names no other tick than the known one, and has only multiples of it as prices."""
    named = message.tick_size if isinstance(message, BookSnapshot) else None
    same = named is None or price_of(_tick_text(named)) == price_of(known)
    return same and all(on_grid(row.price, known) for row in rows)


def _shown_tick(message: Message, prices: list[Decimal], known: Decimal) -> Decimal | None:
    """The tick of a message, if it can be derived; None if its prices are on no grid of the venue."""
    if isinstance(message, BookSnapshot) and message.tick_size is not None:
        named = Decimal(_tick_text(message.tick_size))
        if off_grid(prices, named) is None:
            return named
    return known if off_grid(prices, known) is None else finer_tick(known, prices)


def _decimal(price: Price | None) -> Decimal | None:
    return None if price is None else decimal_price(price)


def _tick_text(value: str | float) -> str:
    """A tick as text; a JSON number becomes its plain decimal form."""
    return value if isinstance(value, str) else format(Decimal(str(value)), "f")


def _difference(change: BookChange, best: BestPrices) -> str | None:
    """How the best prices of a book differ from those that the venue sent beside its last change."""
    known, quoted = change.known, change.change
    if known.is_price(quoted.best_bid, best.bid) and known.is_price(quoted.best_ask, best.ask):
        return None
    return differing_best((quoted.best_bid, quoted.best_ask), (_decimal(best.bid), _decimal(best.ask)))


class MarketStreamClient(PolymarketWebSocketClient):
    """The stock client's subscriptions, on connections that are read on the node's loop.

    `failed` is called if a first connection cannot be opened: nothing else tries it again.
    """

    def __init__(self, *args: Any, failed: Callable[[Exception], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.failed = failed
        self._opened: set[int] = set()

    async def _connect_client(self, client_id: int) -> None:
        known = self._clients.get(client_id)
        # One that is being opened again subscribes to everything by itself; the stock client would open a
        # second one beside it.
        if not self._client_subscriptions.get(client_id) or (known is not None and not known.is_closed()):
            return

        async def reconnected() -> None:
            self._handle_reconnect(client_id)

        self._client_subscriptions_initial[client_id] = set()
        self._is_connecting[client_id] = True
        try:
            socket = StreamSocket("market stream", self._ws_url, self._handler, reconnected, SILENT_S)
            await socket.connect()
            self._clients[client_id] = cast(Any, socket)
            self._opened.add(client_id)
            await self._subscribe_all(client_id)
        except Exception as error:
            if client_id not in self._opened:
                self.failed(error)
            raise
        finally:
            self._is_connecting[client_id] = False


class CheckedDataClient(PolymarketDataClient):
    """Validates each market message, and reads the catalogue again after each `refresh_pause`.

    Parameters
    ----------
    refresh_pause : Callable[[], float]
        Seconds from now until the catalogue is read again; the stock client counts in whole minutes, and
        stops at the first failure.
    received : Callable[[bytes], None], optional
        Called with each frame before it is processed.
    reconnected : Callable[[], Awaitable[None]], optional
        Called each time the stream was opened again.
    evidence : StreamEvidence, optional
        Receives what the stream shows about its own rules.
    dropped : Callable[[str, int], None], optional
        Called with the kind, ``quotes`` or ``frames``, and the number of those that were not used because
        newer ones waited.
    """

    def __init__(
        self,
        *args: Any,
        refresh_pause: Callable[[], float],
        received: Callable[[bytes], None] | None = None,
        reconnected: Callable[[], Awaitable[None]] | None = None,
        evidence: StreamEvidence | None = None,
        dropped: Callable[[str, int], None] = lambda kind, number: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._ws_client = MarketStreamClient(
            self._clock,
            base_url=self._config.base_url_ws,
            channel=PolymarketWebSocketChannel.MARKET,
            handler=self._handle_raw_ws_message,
            handler_reconnect=reconnected,
            loop=self._loop,
            max_subscriptions_per_connection=self._config.ws_max_subscriptions_per_connection,
            failed=self._stream_failed,
        )
        self._received = received
        self._refresh_pause = refresh_pause
        self._evidence = evidence or StreamEvidence(ignore, lambda: None)
        self._refused = RefusedMessages("market stream")
        self._outdated: dict[InstrumentId, int] = {}
        """Books that miss a change, with the number of snapshot requests since."""
        self._decoder_market_msg = msgspec.json.Decoder(MESSAGE_TYPE)
        self._resync_task: asyncio.Task[None] | None = None
        self._report_task: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._differing: dict[InstrumentId, str] = {}
        """Books whose best prices are not the venue's, with the difference."""
        self._held: dict[InstrumentId, QuoteTick] | None = None
        """The newest quotes of the message that is being processed; None between two messages."""
        self._newest: dict[InstrumentId, QuoteTick] = {}
        """The newest quotes of the messages of this turn of the event loop."""
        self._known = KnownBooks(
            lambda condition_id, token: self._cache.instrument(_instrument_id(condition_id, token)),
            self._cache.instrument,
        )
        self._dropped = dropped
        self._backlog = FrameBacklog(self._process_frames, self._drop_frames, self._loop.call_soon)

    # --- markets ---------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await super()._connect()
        self._report_task = self.create_task(self._report_refused())

    async def _disconnect(self) -> None:
        for task in (self._resync_task, self._report_task, *self._waiting):
            if task is not None:
                task.cancel()
        self._backlog.clear()
        self._refused.log()
        await super()._disconnect()

    def _stream_failed(self, error: Exception) -> None:
        """Called if the stream cannot be opened for the first time."""

    async def _update_instruments(self, interval_mins: int) -> None:
        del interval_mins
        pause = self._refresh_pause()
        while True:
            await self._wait_for_refresh(pause)
            try:
                await self._instrument_provider.initialize(reload=True)
            except (Refused, Temporary) as error:
                self._log.warning(f"the markets are not updated: {error}")
                pause = min(self._refresh_pause(), RETRY_REFRESH_S)
                continue
            pause = self._refresh_pause()
            self._send_all_instruments_to_data_engine()

    async def _wait_for_refresh(self, pause: float) -> None:
        """Wait, or until the machine's clock is set: other markets run then than those that are loaded."""
        while pause > 0:
            before_ns, before_s = self._clock.timestamp_ns(), self._loop.time()
            await asyncio.sleep(min(pause, CLOCK_CHECK_S))
            passed_s = self._loop.time() - before_s
            if abs((self._clock.timestamp_ns() - before_ns) / 1e9 - passed_s) > CLOCK_JUMP_S:
                self._log.warning("the machine's clock was set, or it was suspended: the markets are updated")
                return
            pause -= passed_s

    def _discard_local_state_if_unwanted(self, instrument_id: InstrumentId) -> None:
        super()._discard_local_state_if_unwanted(instrument_id)
        book = self._cache.order_book(instrument_id)
        if instrument_id not in self._local_books and book is not None:
            # Nautilus' own copy stays in its cache: it is 36 KB with twenty levels a side, 4 KB without.
            book.reset()

    async def _report_refused(self) -> None:
        while True:
            await next_beat(1.0)
            self._refused.log_if_due()
            self._evidence.alive()

    # --- messages --------------------------------------------------------------------------------

    def _handle_raw_ws_message(self, raw: bytes) -> None:
        if self._received is not None:
            self._received(raw)
        self._backlog.add(raw)

    def _process_frames(self, frames: Iterable[bytes]) -> None:
        """Apply the frames of one turn of the event loop to the books, then pass on the quotes."""
        for raw in frames:
            self._process_frame(raw)
        self._pass_on_quotes()

    def _drop_frames(self, number: int) -> None:
        """Request every book again: the dropped frames may have changed any of them."""
        self._dropped("frames", number)
        self._log.warning(f"{number} messages waited for too long: the books are requested again")
        self._outdate(list(self._with_books(None)))

    def _process_frame(self, raw: bytes) -> None:
        try:
            decoded = self._decoder_market_msg.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(error, raw, tokens_named(raw))
            return
        for message in decoded if isinstance(decoded, list) else [decoded]:
            if not isinstance(message, PolymarketQuotes) or not self._apply_known(message, raw):
                self._handle_checked(message, raw)
        if isinstance(decoded, list):
            self._evidence.books([message for message in decoded if fault_of(message) is None])

    def _apply_known(self, message: PolymarketQuotes, raw: bytes) -> bool:
        """Apply a message with valid changes of known books; False, with nothing done, for any other."""
        changes = self._known.changes_of(message)
        if changes is None:
            return False
        books: dict[InstrumentId, OrderBook] = {}
        for change in changes:
            instrument_id = change.known.instrument_id
            book = self._local_books.get(instrument_id)
            if book is None or instrument_id in self._pending_snapshot_after_tick_change:
                return False
            books[instrument_id] = book
        self._evidence.message(message.market)
        try:
            self._apply_changes(message, changes, books)
        except Exception as error:  # noqa: BLE001  the books may be partly changed: they are requested again
            self._refuse(f"{type(error).__name__}: {error}", raw, tokens_of(message))
        return True

    def _apply_changes(
        self, message: PolymarketQuotes, changes: list[BookChange], books: dict[InstrumentId, OrderBook]
    ) -> None:
        """Apply the changes of a message together; each book passes on its changes and its newest quote."""
        now_ns, event_ns = self._clock.timestamp_ns(), event_time_ns(message)
        deltas: dict[InstrumentId, list[OrderBookDelta]] = {}
        newest: dict[InstrumentId, tuple[BookChange, BestPrices]] = {}
        quotes: dict[InstrumentId, QuoteTick] = {}
        for change in changes:
            known, delta = change.known, change.delta(event_ns, now_ns)
            instrument_id = known.instrument_id
            book = books[instrument_id]
            book.apply_delta(delta)
            best = best_of(book)
            deltas.setdefault(instrument_id, []).append(delta)
            newest[instrument_id] = (change, best)
            if self.is_subscribed_quote_ticks(instrument_id):
                quote = known.quote(best, self._last_quotes.get(instrument_id), event_ns, now_ns)
                if quote is not None:
                    self._last_quotes[instrument_id] = quotes[instrument_id] = quote
        for instrument_id, applied in deltas.items():
            self._handle_data(OrderBookDeltas(instrument_id, applied))
        for change, best in newest.values():
            self._note_difference(change.known.instrument_id, _difference(change, best))
        self._hold(quotes)

    def _handle_checked(self, message: Message, raw: bytes) -> None:
        fault = fault_of(message)
        if fault is None and (strange := self._strange_ids(message)):
            # No book is known under these ids, so none misses a change.
            self._refused.add(f"no market is loaded as {', '.join(sorted(strange))}", raw)
            return
        fault = fault or self._follow_grid(message)
        if fault is None:
            self._evidence.message(message.market)
            try:
                self._apply(best_last(message))
                return
            except Exception as error:  # noqa: BLE001  the books may be partly changed: they are requested again
                fault = f"{type(error).__name__}: {error}"
        has_book = not isinstance(message, PolymarketTrade)
        self._refuse(fault, raw, tokens_of(message) if has_book else set())

    def _apply(self, message: Message) -> None:
        """Apply a message to the books; its quotes replace older ones that have not been passed on."""
        self._held = held = {}
        try:
            self._handle_ws_message(message)
        finally:
            self._held = None
        if isinstance(message, PolymarketQuotes):
            self._compare(message)
        self._hold(held)

    def _hold(self, quotes: dict[InstrumentId, QuoteTick]) -> None:
        """Keep the quotes of a message until the others of this turn of the event loop are processed."""
        if replaced := len(quotes.keys() & self._newest.keys()):
            self._dropped("quotes", replaced)
        self._newest |= quotes

    def _pass_on_quotes(self) -> None:
        """Pass on the newest quote of each book that agrees with the venue."""
        newest, self._newest = self._newest, {}
        if not newest:
            return
        differing = {get_polymarket_condition_id(instrument_id) for instrument_id in self._differing}
        for instrument_id, quote in newest.items():
            if instrument_id in self._outdated:
                continue
            if not differing or get_polymarket_condition_id(instrument_id) not in differing:
                self._handle_data(quote)

    def _handle_data(self, data: Data) -> None:
        if self._held is not None and isinstance(data, QuoteTick):
            self._held[data.instrument_id] = data
        else:
            super()._handle_data(data)

    def _handle_book_snapshot(self, instrument: BinaryOption, ws_message: PolymarketBookSnapshot) -> None:
        doubted = self._differing.pop(instrument.id, None) is not None or instrument.id in self._outdated
        if doubted and not ws_message.bids and not ws_message.asks:
            self._empty_book(instrument.id)
        super()._handle_book_snapshot(instrument, ws_message)
        if instrument.id not in self._pending_snapshot_after_tick_change:
            self._outdated.pop(instrument.id, None)

    def _strange_ids(self, message: Message) -> set[str]:
        """The pairs of condition and token id without a loaded instrument.

        The stock client writes an error to the terminal for each of them. They come with every message of a
        market whose condition id in the catalogue is not its own.
        """
        ids = [_instrument_id(message.market, token) for token in tokens_of(message)]
        return {str(i.symbol) for i in ids if self._cache.instrument(i) is None}

    # --- price grid ------------------------------------------------------------------------------

    def _follow_grid(self, message: Message) -> str | None:
        """Set the ticks that a message contains or implies; return why it cannot be used, otherwise None."""
        faults: list[str] = []
        for token in tokens_of(message):
            instrument = self._cache.instrument(_instrument_id(message.market, token))
            if instrument is None:
                continue
            rows, known = rows_for(message, token), str(instrument.price_increment)
            if _keeps_tick(message, rows, known):
                continue
            prices = [price_of(row.price) for row in rows]
            tick = Decimal(known)
            shown = _shown_tick(message, prices, tick)
            if shown is None or (shown != tick and isinstance(message, PolymarketTrade)):
                faults.append(f"price {off_grid(prices, tick)} is not a multiple of the known tick {tick}")
            elif shown != tick:
                self._set_tick(message, instrument, shown)
                # The book was on the coarser grid: its changes cannot be applied any more.
                if isinstance(message, PolymarketQuotes):
                    faults.append(f"price {off_grid(prices, tick)} is on the tick {shown}, not announced")
        return faults[0] if faults else None

    def _set_tick(self, message: Message, instrument: BinaryOption, tick: Decimal) -> None:
        """Apply a tick that no message announced, as if one had."""
        known = instrument.price_increment
        self._log.warning(
            f"{instrument.id}: the tick is {tick}, {known} was known and no change was announced"
        )
        has_book = instrument.id in self._local_books
        change = PolymarketTickSizeChange(
            market=message.market,
            asset_id=get_polymarket_token_id(instrument.id),
            new_tick_size=str(tick),
            old_tick_size=str(known),
            timestamp=message.timestamp,
        )
        self._change_tick(instrument, change, announced=False)
        if has_book:
            self._create_local_book(instrument.id)

    def _handle_instrument_update(
        self, instrument: BinaryOption, ws_message: PolymarketTickSizeChange
    ) -> None:
        self._change_tick(instrument, ws_message, announced=True)

    def _change_tick(
        self, instrument: BinaryOption, change: PolymarketTickSizeChange, *, announced: bool
    ) -> None:
        super()._handle_instrument_update(instrument, change)
        if instrument.id in self._pending_snapshot_after_tick_change:
            tick = change.new_tick_size if announced else None
            self._wait(self._await_snapshot(instrument.id, tick))

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _await_snapshot(self, instrument_id: InstrumentId, announced: str | None) -> None:
        """Request the snapshot that follows a change of the tick if the venue does not send it.

        `announced` is the tick of the venue's message; None if there was none.
        """
        await asyncio.sleep(SNAPSHOT_WAIT_S)
        missing = instrument_id in self._pending_snapshot_after_tick_change
        if announced is not None:
            self._evidence.tick_changed(announced, followed=not missing)
        if missing:
            if instrument_id not in self._local_books:
                self._create_local_book(instrument_id)
            self._outdate([instrument_id])

    # --- best prices -----------------------------------------------------------------------------

    def _compare(self, message: PolymarketQuotes) -> None:
        """Compare the books that a message changed with the best prices in it."""
        for change in {change.asset_id: change for change in message.price_changes}.values():
            instrument_id = _instrument_id(message.market, change.asset_id)
            book = self._local_books.get(instrument_id)
            if book is not None and instrument_id not in self._pending_snapshot_after_tick_change:
                self._note_difference(
                    instrument_id,
                    differing_best(
                        (change.best_bid, change.best_ask),
                        (_decimal(book.best_bid_price()), _decimal(book.best_ask_price())),
                    ),
                )

    def _note_difference(self, instrument_id: InstrumentId, difference: str | None) -> None:
        """Note that a book agrees with the venue's, or that it has begun to differ."""
        if difference is None:
            self._differing.pop(instrument_id, None)
            self._evidence.best_prices(None)
        elif instrument_id not in self._differing:
            self._differing[instrument_id] = difference
            self._wait(self._await_agreement(instrument_id, difference))

    async def _await_agreement(self, instrument_id: InstrumentId, difference: str) -> None:
        """Request a book whose best prices still differ after a moment."""
        await asyncio.sleep(DIFFERENCE_S)
        if instrument_id not in self._local_books:
            self._differing.pop(instrument_id, None)  # it is not subscribed any more
        elif self._differing.get(instrument_id) is difference:
            self._log.warning(f"{instrument_id}: {difference}; it may miss a change")
            self._evidence.best_prices(difference)
            self._outdate([instrument_id])

    # --- books that miss a change ------------------------------------------------------------------

    def _refuse(self, why: object, raw: bytes, tokens: set[str] | None) -> None:
        """Count a message, and mark the books it may have changed as outdated."""
        self._refused.add(why, raw)
        self._outdate(list(self._with_books(tokens)))

    def _outdate(self, instrument_ids: list[InstrumentId]) -> None:
        for instrument_id in instrument_ids:
            self._outdated.setdefault(instrument_id, 0)
            # The stock client's mechanism to drop changes until the next snapshot.
            self._pending_snapshot_after_tick_change.add(instrument_id)
        if instrument_ids and (self._resync_task is None or self._resync_task.done()):
            self._resync_task = self.create_task(self._resync())

    def _with_books(self, tokens: set[str] | None) -> Iterable[InstrumentId]:
        """The instruments with a book, of these tokens or of all."""
        for instrument_id in self._local_books:
            if tokens is None or get_polymarket_token_id(instrument_id) in tokens:
                yield instrument_id

    async def _resync(self) -> None:
        """Request snapshots until no book misses a change; at most once per `RESYNC_PAUSE_S`."""
        while True:
            for instrument_id in [known for known in self._outdated if known not in self._local_books]:
                del self._outdated[instrument_id]  # it is not subscribed any more
            if not self._outdated:
                return
            attempts = max(self._outdated.values())
            for instrument_id in self._outdated:
                self._outdated[instrument_id] += 1
            tokens = [get_polymarket_token_id(instrument_id) for instrument_id in self._outdated]
            await (self._reconnect(tokens) if attempts else self._subscribe_again(tokens))
            await asyncio.sleep(min(RESYNC_PAUSE_S * 2**attempts, LONGEST_RESYNC_PAUSE_S))

    async def _subscribe_again(self, tokens: list[str]) -> None:
        for client_id, own in self._connections(tokens):
            self._log.info(f"subscribing again to {len(own)} books that may miss a change")
            for create in (
                self._ws_client._create_dynamic_unsubscribe_msg,
                self._ws_client._create_dynamic_subscribe_msg,
            ):
                await self._ws_client._send(client_id, create(subs=own))

    async def _reconnect(self, tokens: list[str]) -> None:
        for client_id, own in self._connections(tokens):
            self._log.warning(f"opening a new connection, because {len(own)} books still miss a change")
            await self._ws_client._disconnect_client(client_id)
            try:
                await self._ws_client._connect_client(client_id)
            except Exception as error:  # noqa: BLE001  the library documents no errors; it is tried again
                self._log.warning(f"no new connection: {one_line(repr(error))}")

    def _connections(self, tokens: list[str]) -> list[tuple[int, list[str]]]:
        """Each connection with those of the tokens that are subscribed on it."""
        subscribed = self._ws_client._client_subscriptions
        found = {client_id: [t for t in tokens if t in own] for client_id, own in subscribed.items()}
        return [(client_id, own) for client_id, own in found.items() if own]

    def _empty_book(self, instrument_id: InstrumentId) -> None:
        """Apply a snapshot without levels, which the stock client ignores."""
        now_ns = self._clock.timestamp_ns()
        self._pending_snapshot_after_tick_change.discard(instrument_id)
        self._local_books[instrument_id] = OrderBook(instrument_id, book_type=BookType.L2_MBP)
        clear = OrderBookDelta(
            instrument_id=instrument_id,
            action=BookAction.CLEAR,
            order=None,
            flags=RecordFlag.F_SNAPSHOT.value | RecordFlag.F_LAST.value,
            sequence=0,
            ts_event=now_ns,
            ts_init=now_ns,
        )
        self._handle_data(OrderBookDeltas(instrument_id, [clear]))
