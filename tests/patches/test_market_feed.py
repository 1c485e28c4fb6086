"""An invalid market message changes no book; the change that it replaced is fetched, without log noise."""

import asyncio
import json
import time
from collections import Counter
from decimal import Decimal

import pytest
from loguru import logger
from nautilus_trader.model.data import OrderBookDeltas
from rig import SIDE

from models import Outcome
from patches import frame_backlog, market_feed
from patches.market_feed import CheckedDataClient

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
BID = 300
"""Price in mills of another trader's bid, far below the market, so that the book changes without a trade."""


class Feed:
    """The rig's market stream: its books beside the venue's, its log, and every price that it passed on."""

    def __init__(self, rig, capfd) -> None:
        self.rig = rig
        self.capfd = capfd
        self.logged: list[str] = []
        self.prices: list[Decimal] = []
        self._sink = logger.add(
            lambda message: self.logged.append(message.record["message"]), level="WARNING"
        )
        rig.strategy.msgbus.subscribe("data.book.deltas.*", self._note)
        self.client: CheckedDataClient = next(
            client
            for client in rig.node.kernel.data_engine._clients.values()
            if isinstance(client, CheckedDataClient)
        )

    def close(self) -> None:
        self.rig.strategy.msgbus.unsubscribe("data.book.deltas.*", self._note)
        logger.remove(self._sink)
        self.rig.venue.clear_faults()

    def _note(self, deltas: OrderBookDeltas) -> None:
        self.prices += [
            delta.order.price.as_decimal() for delta in deltas.deltas if delta.order.size.as_decimal()
        ]

    def shown(self, outcome: Outcome) -> dict[str, dict[Decimal, Decimal]]:
        """Nautilus' book of a token: shares by price and side."""
        tracked = self.rig.board.by_slug(self.rig.market.slug)
        book = self.rig.strategy.cache.order_book(tracked.ids[outcome])
        return {
            side: {level.price.as_decimal(): Decimal(str(round(level.size(), 6))) for level in levels}
            for side, levels in (("bids", book.bids()), ("asks", book.asks()))
        }

    def true(self, outcome: Outcome) -> dict[str, dict[Decimal, Decimal]]:
        """The venue's book of the same token."""
        book = self.rig.venue.get("/book", token_id=self.rig.market.token(outcome))
        return {
            side: {Decimal(level["price"]): Decimal(level["size"]) for level in book[side]}
            for side in ("bids", "asks")
        }

    def change(self) -> None:
        """Another trader bids once more at a price far below the market."""
        token = self.rig.market.token(SIDE)
        order = self.rig.stranger.limit(token, "BUY", 10, BID, kind="GTC")
        answer = self.rig.stranger.post(self.rig.venue.url, order)
        assert answer.json().get("success") is True, answer.text

    def connections_ended(self) -> int:
        """The venue logs a stream's connection when it ends."""
        return sum(row["path"] == "/ws/market" for row in self.rig.venue.get("/practice/log"))

    async def until(self, condition, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(condition):
            assert time.monotonic() < deadline, (self.client._outdated, self.logged)
            await asyncio.sleep(0.02)

    async def whole(self) -> None:
        """Wait until both books are the venue's and no snapshot is pending."""
        await self.until(
            lambda: (
                not self.client._outdated
                and all(self.shown(outcome) == self.true(outcome) for outcome in Outcome)
            )
        )

    def refused(self) -> int:
        return self.client._refused.count

    def nothing_on_the_screen(self) -> None:
        shown = self.capfd.readouterr()
        assert "Traceback" not in shown.out + shown.err
        assert "\x1b[2J" not in shown.out + shown.err


@pytest.fixture
def feed(rig, capfd, monkeypatch):
    monkeypatch.setattr(market_feed, "RESYNC_PAUSE_S", 0.3)
    made = Feed(rig, capfd)
    yield made
    made.close()


NO_NUMBERS = ("NaN", "-0.3", "1e400", "", "\x1b[2J\u202e")


@pytest.mark.parametrize(
    ("field", "value"),
    [("price", "7"), *(("price", value) for value in NO_NUMBERS), *(("size", value) for value in NO_NUMBERS)],
)
async def test_a_change_with_a_value_that_cannot_be_is_made_good(rig, feed, field, value):
    """The invalid change is never applied, and both books are the venue's again."""
    await feed.whole()
    before = feed.refused()
    rig.venue.fault("market_feed_value", 1, event="price_change", field=field, value=value)
    feed.change()
    await feed.until(lambda: feed.refused() == before + 1)
    await feed.whole()
    assert all(0 < price < 1 for price in feed.prices)
    feed.nothing_on_the_screen()


async def test_a_snapshot_that_cannot_be_right_is_asked_for_on_a_new_connection(rig, feed):
    """When subscribing again returns another bad book, a new connection is opened, and the book is right."""
    await feed.whole()
    ended = feed.connections_ended()
    rig.venue.fault("market_feed_value", 2, event="book", field="size", value="-1")
    feed.client._refuse("a change was missed", b"", None)
    await feed.until(lambda: feed.connections_ended() > ended)
    await feed.whole()
    feed.nothing_on_the_screen()


@pytest.mark.parametrize("frame", [{"text": "\x1b[2J\u202e"}, {"depth": 100_000}, {"text": "NaN"}])
async def test_a_stray_frame_is_counted_and_every_book_is_fetched_anew(rig, feed, frame):
    """It may have been a change of any book; the log has it once, in printable characters."""
    await feed.whole()
    before = feed.refused()
    feed.client._refused._logged_at = None  # the minute since the last record is over
    rig.venue.fault("stray_frame", 1, **frame)
    await feed.until(lambda: feed.refused() == before + 1)
    await feed.whole()
    lines = [line for line in feed.logged if "messages refused" in line]
    assert len(lines) == 1
    assert lines[0].isprintable()
    feed.nothing_on_the_screen()


async def test_hundreds_of_bad_messages_are_one_line(rig, feed):
    """While every message is bad, one record is written; once they are good again, the books are right."""
    await feed.whole()
    feed.client._refused._logged_at = None
    rig.venue.fault("market_feed_value", 200, event="price_change", field="price", value="NaN")
    before = feed.refused()
    for _ in range(20):
        feed.change()
        await asyncio.sleep(0)
    await feed.until(lambda: feed.refused() > before + 5)
    rig.venue.clear_faults()
    await feed.whole()
    assert len([line for line in feed.logged if "messages refused" in line]) == 1
    feed.nothing_on_the_screen()


async def test_an_empty_snapshot_empties_a_book_that_missed_a_change(feed):
    """The stock client skips it, and would wait for another one forever."""
    await feed.whole()
    client = feed.client
    token = feed.rig.market.token(SIDE)
    client._refuse("a change was missed", b"", {token})
    empty = f'{{"event_type":"book","market":"{feed.rig.market.condition_id}","asset_id":"{token}",'
    client._handle_raw_ws_message(f'{empty}"bids":[],"asks":[],"timestamp":"1703875200000"}}'.encode())
    assert not client._outdated
    await feed.until(lambda: feed.shown(SIDE) == {"bids": {}, "asks": {}})
    client._refuse("a change was missed", b"", {token})
    await feed.whole()


async def test_messages_under_ids_of_no_loaded_market(rig, feed):
    """A known token under another condition id, in each kind of message: counted, nothing else."""
    await feed.whole()
    token, before = rig.market.token(SIDE), feed.refused()
    level = {"price": "0.5", "size": "1"}
    change = {**level, "asset_id": token, "side": "BUY", "hash": "x", "best_bid": "", "best_ask": ""}
    for event in (
        {"event_type": "book", "asset_id": token, "bids": [level], "asks": []},
        {"event_type": "price_change", "price_changes": [change]},
        {"event_type": "last_trade_price", "asset_id": token, "fee_rate_bps": "0", "side": "BUY", **level},
        {"event_type": "tick_size_change", "asset_id": token, "old_tick_size": "1", "new_tick_size": "0.1"},
    ):
        frame = {**event, "market": "0x" + "ab" * 32, "timestamp": "1703875200000"}
        feed.client._handle_raw_ws_message(json.dumps(frame).encode())
    await feed.until(lambda: feed.refused() == before + 4)
    assert not feed.client._outdated
    await feed.whole()
    shown = feed.capfd.readouterr()
    assert "[ERROR]" not in shown.out + shown.err


class Quotes:
    """The prices of the quotes that are passed on for a token."""

    def __init__(self, feed: Feed, outcome: Outcome) -> None:
        tracked = feed.rig.board.by_slug(feed.rig.market.slug)
        self.prices: list[tuple[Decimal, Decimal]] = []
        self._bus = feed.rig.strategy.msgbus
        self._topic = f"data.quotes.POLYMARKET.{tracked.ids[outcome].symbol}"
        self._bus.subscribe(self._topic, self._note)

    def _note(self, quote) -> None:
        self.prices.append((quote.bid_price.as_decimal(), quote.ask_price.as_decimal()))

    def close(self) -> None:
        self._bus.unsubscribe(self._topic, self._note)


@pytest.fixture
def quotes(feed):
    made = Quotes(feed, SIDE)
    yield made
    made.close()


def send(rig, feed, changes, best) -> None:
    """Pass a message with changes (side, price, size) and the best bid and ask after them to the client."""
    rows = [
        {
            "asset_id": rig.market.token(SIDE),
            "price": str(price),
            "side": side,
            "size": size,
            "hash": "x",
            "best_bid": str(best[0]),
            "best_ask": str(best[1]),
        }
        for side, price, size in changes
    ]
    head = {"event_type": "price_change", "market": rig.market.condition_id, "timestamp": "1703875200000"}
    feed.client._handle_raw_ws_message(json.dumps({**head, "price_changes": rows}).encode())


async def test_a_book_whose_best_prices_are_not_the_venues_is_taken_anew(rig, feed, quotes, monkeypatch):
    """A trade takes the best ask and leaves a bid at its price; the change is lost. The next change shows it:
    no quote is passed on until the book was requested, and then with the venue's prices."""
    monkeypatch.setattr(market_feed, "DIFFERENCE_S", 0.3)
    await feed.whole()
    (price, size), (next_price, _) = rig.asks()[:2]
    rig.venue.fault("price_change_lost", 1)
    order = rig.stranger.limit(rig.market.token(SIDE), "BUY", int(size) + 10, int(price * 1000), kind="GTC")
    answer = rig.stranger.post(rig.venue.url, order)
    assert answer.json().get("success") is True, answer.text
    await feed.until(lambda: not rig.venue.get("/practice/faults"))
    quotes.prices.clear()
    feed.change()
    await feed.until(lambda: bool(quotes.prices))
    await feed.whole()
    assert set(quotes.prices) == {(price, next_price)}
    assert not feed.client._differing


async def test_a_difference_that_the_next_message_ends_is_no_lost_change(rig, feed, quotes, monkeypatch):
    """The venue reports one match in two messages: between them the book is crossed, and no quote is passed
    on; after them the book is not requested."""
    monkeypatch.setattr(market_feed, "DIFFERENCE_S", 0.3)
    await feed.whole()
    (price, _), (next_price, _) = rig.asks()[:2]
    quotes.prices.clear()
    send(rig, feed, [("BUY", price, "7")], (price, next_price))
    assert len(feed.client._differing) == 1
    send(rig, feed, [("SELL", price, "0")], (price, next_price))
    assert not feed.client._differing
    await asyncio.gather(*feed.client._waiting)
    assert not feed.client._outdated
    assert quotes.prices == [(price, next_price)]
    feed.client._refuse("the rig's book is not the venue's", b"", {rig.market.token(SIDE)})
    await feed.whole()


async def test_a_message_with_two_changes_is_one_quote(rig, feed, quotes):
    """Between its two changes the book is one that the venue never had."""
    await feed.whole()
    (price, _), (next_price, _) = rig.asks()[:2]
    quotes.prices.clear()
    send(rig, feed, [("SELL", price, "0"), ("BUY", price, "7")], (price, next_price))
    feed.client._refuse("the rig's book is not the venue's", b"", {rig.market.token(SIDE)})
    await feed.whole()
    assert quotes.prices[0] == (price, next_price)
    assert len(quotes.prices) == 2


@pytest.fixture
def dropped(feed, monkeypatch):
    """The market data that were not used, by kind. A turn of the event loop has time for every frame."""
    monkeypatch.setattr(frame_backlog, "TURN_S", 10.0)
    found: Counter[str] = Counter()
    monkeypatch.setattr(feed.client, "_dropped", lambda kind, number: found.update({kind: number}))
    return found


def send_to_a_busy_loop(rig, feed, number: int) -> tuple[Decimal, Decimal]:
    """Pass changes of the best bid's size to the client while the loop is busy; returns the best prices."""
    true = feed.true(SIDE)
    best = max(true["bids"]), min(true["asks"])
    feed.client._backlog._begin_turn(-1e9)
    for size in range(1, number + 1):
        send(rig, feed, [("BUY", best[0], str(size))], best)
    assert len(feed.client._backlog) == number
    return best


async def test_only_the_newest_quote_of_a_backlog_is_passed_on(rig, feed, quotes, dropped):
    """A hundred changes wait for the loop: all are in the book, one quote is passed on, 99 are counted."""
    await feed.whole()
    quotes.prices.clear()
    best = send_to_a_busy_loop(rig, feed, 100)
    await feed.until(lambda: bool(quotes.prices))
    assert feed.shown(SIDE)["bids"][best[0]] == 100
    assert quotes.prices == [best]
    assert dropped == {"quotes": 99}
    feed.client._refuse("the rig's book is not the venue's", b"", {rig.market.token(SIDE)})
    await feed.whole()


async def test_a_backlog_of_a_second_is_dropped_and_the_books_are_fetched(
    rig, feed, quotes, dropped, monkeypatch
):
    """No frame that waited too long reaches a book or the strategy; the next quote is that of a new book."""
    await feed.whole()
    quotes.prices.clear()
    monkeypatch.setattr(frame_backlog, "LONGEST_WAIT_S", -1.0)
    best = send_to_a_busy_loop(rig, feed, 100)
    await feed.until(lambda: bool(dropped))
    monkeypatch.setattr(frame_backlog, "LONGEST_WAIT_S", 60.0)
    await feed.whole()
    assert dropped["frames"] == 100
    assert dropped["quotes"] == 0
    assert set(quotes.prices) <= {best}
