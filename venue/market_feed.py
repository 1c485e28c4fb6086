"""`/ws/market`: books of the subscribed tokens, then every change, for both tokens of a market."""

import asyncio
import logging
from typing import Any

import msgspec
from aiohttp import web

from venue.amounts import MILL, decimal_text, price_text
from venue.bad_values import damaged, send_stray
from venue.connections import Connection, serve
from venue.exchange import Exchange
from venue.faults import Faults
from venue.market import VenueMarket
from venue.order_book import BookChange, VenueBook, changes_between, summary
from venue.quote_load import QuoteLoad, best_size_changed
from venue.records import VenueTrade

log = logging.getLogger("venue.market_feed")

BOOK_INSTEAD = 30
"""Number of changed levels from which whole books are sent instead of the changes."""
SHORTEST_WAIT = 0.01
LONGEST_WAIT = 0.25


class _Message(msgspec.Struct):
    assets_ids: list[str] = []
    operation: str = "subscribe"
    custom_feature_enabled: bool = False


class _Subscriber(msgspec.Struct):
    tokens: set[str]
    custom: bool = False


class _Published(msgspec.Struct):
    """The book last sent to a market's subscribers (Up view).

    `visible` is the exchange's book at that time; if `enlarged`, the book that was sent differs from it in
    one size, after an additional quote of the load.
    """

    book: VenueBook
    tick: int
    visible: VenueBook
    enlarged: bool = False


class MarketFeed:
    """Publishes the exchange's books to subscribers."""

    def __init__(self, exchange: Exchange, faults: Faults, quotes_per_second: float = 0.0) -> None:
        self._exchange = exchange
        self._faults = faults
        self._subscribers: dict[Connection, _Subscriber] = {}
        self._published: dict[int, _Published] = {}
        self.load = QuoteLoad(quotes_per_second, exchange.clock.wall_ns())

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the route."""
        return await serve(request, self._opened, self._received, self._closed)

    def next_wait(self, markets: list[VenueMarket]) -> float:
        """Wall seconds until a book of these markets changes at the source, within bounds."""
        clock = self._exchange.clock
        due = [t for t in map(self._exchange.source.next_change, markets) if t is not None]
        wait = min((clock.wall_until(t) for t in due), default=LONGEST_WAIT)
        if self.load.per_second:
            wait = min(wait, 1 / self.load.per_second)
        return min(LONGEST_WAIT, max(SHORTEST_WAIT, wait))

    def subscribed(self) -> list[VenueMarket]:
        """Markets with a subscription and a book."""
        tokens = {token for subscriber in self._subscribers.values() for token in subscriber.tokens}
        markets = {m.key: m for m in map(self._exchange.schedule.by_token, tokens) if m is not None}
        return [m for m in markets.values() if not self._exchange.resolved(m)]

    @property
    def subscribers(self) -> int:
        """Number of connections with a subscription; each has been sent its books."""
        return sum(bool(subscriber.tokens) for subscriber in self._subscribers.values())

    def refresh(self, market: VenueMarket) -> None:
        """Send the changes of a market's book since the last publication to its subscribers."""
        published = self._published.get(market.key)
        if published is None or self._faults.armed("market_feed_stall") is not None:
            return
        book, tick = self._exchange.visible(market), self._exchange.tick(market)
        if (book, tick) == (published.visible, published.tick):
            return
        changes = changes_between(published.book, book)
        old, self._published[market.key] = published, _Published(book, tick, book)
        fault = self._faults.consume("tick_size_change_lost") if tick != old.tick else None
        lost = "" if fault is None else fault["lost"]
        if tick == old.tick and changes and self._faults.consume("price_change_lost") is not None:
            return
        if tick != old.tick and lost in ("", "book"):
            self._send(market, self._tick_events(market, old.tick, tick))
        if lost in ("book", "both"):
            changes = []
        elif (tick != old.tick and not lost) or len(changes) >= BOOK_INSTEAD:
            self._send(market, {token: self._book_event(market, token) for token in market.tokens})
        elif changes:
            event = self._change_event(market, changes)
            self._send(market, dict.fromkeys(market.tokens, event))
        if changes:
            self._send(market, self._best_events(market, book), custom=True)

    def send_load(self) -> None:
        """Send the additional quotes that are due, in turn for each running market with a subscription."""
        number = self.load.due(self._exchange.clock.wall_ns())
        if not number or self._faults.armed("market_feed_stall") is not None:
            return
        subscribed = [market for market in self.subscribed() if market.key in self._published]
        running = [m for m in subscribed if 0 <= self._exchange.offset(m) < m.interval]
        for turn in range(number if running else 0):
            self._send_additional(running[turn % len(running)])

    def _send_additional(self, market: VenueMarket) -> None:
        published = self._published[market.key]
        changed = best_size_changed(published.book, smaller=published.enlarged)
        if changed is None:
            return
        published.book, change = changed
        published.enlarged = not published.enlarged
        self.load.sent += 1
        self._send(market, dict.fromkeys(market.tokens, self._change_event(market, [change])))

    def traded(self, market: VenueMarket, trade: VenueTrade) -> None:
        """Publish a taker's trade as the last trade price of its token."""
        event = {
            "event_type": "last_trade_price",
            "market": market.condition_id,
            "asset_id": trade.token,
            "fee_rate_bps": "0",
            "price": price_text(trade.price),
            "side": trade.side,
            "size": decimal_text(trade.shares),
            "timestamp": str(trade.match_ns // 1_000_000),
            "transaction_hash": trade.transaction_hash,
        }
        self._send(market, {trade.token: event})

    def resolved(self, market: VenueMarket, up_won: bool | None) -> None:
        """Publish a resolution to subscribers of the custom events; without a winner there is none."""
        if up_won is None:
            self._published.pop(market.key, None)
            return
        winner = market.up_token if up_won else market.down_token
        event = {
            "event_type": "market_resolved",
            "id": str(market.key),
            "market": market.condition_id,
            "assets_ids": list(market.tokens),
            "winning_asset_id": winner,
            "winning_outcome": market.outcome_of(winner),
            "timestamp": self._timestamp(),
            "tags": ["crypto"],
        }
        self._send(market, dict.fromkeys(market.tokens, event), custom=True)
        self._published.pop(market.key, None)

    def listed(self, market: VenueMarket) -> None:
        """Publish a new market to subscribers of the custom events, whatever their tokens."""
        event = {
            "event_type": "new_market",
            "id": str(market.key),
            "question": market.question,
            "market": market.condition_id,
            "condition_id": market.condition_id,
            "slug": market.slug,
            "description": self._exchange.source.describe(market),
            "assets_ids": list(market.tokens),
            "clob_token_ids": list(market.tokens),
            "outcomes": ["Up", "Down"],
            "active": True,
            "order_price_min_tick_size": decimal_text(self._exchange.tick(market), MILL),
            "timestamp": self._timestamp(),
            "tags": ["crypto"],
        }
        connections = [connection for connection, s in self._subscribers.items() if s.custom]
        if not connections:
            return
        sent = damaged(self._faults, "market", event)
        for connection in connections:
            connection.send(sent)

    def send_stray(self) -> None:
        """Apply the fault of a stray frame, if there is a subscriber."""
        connections = [connection for connection, s in self._subscribers.items() if s.tokens]
        send_stray(self._faults, "market", connections)

    async def close_all(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(connection.close() for connection in list(self._subscribers)))

    # --- subscriptions -----------------------------------------------------------------------

    def _opened(self, connection: Connection) -> None:
        self._subscribers[connection] = _Subscriber(set())

    def _closed(self, connection: Connection) -> None:
        self._subscribers.pop(connection, None)
        subscribed = {market.key for market in self.subscribed()}
        for key in self._published.keys() - subscribed:
            del self._published[key]

    async def _received(self, connection: Connection, content: Any) -> None:
        message = msgspec.convert(content, _Message)
        subscriber = self._subscribers[connection]
        if message.operation == "unsubscribe":
            subscriber.tokens -= set(message.assets_ids)
            return
        subscriber.custom = subscriber.custom or message.custom_feature_enabled
        found = {token: self._exchange.schedule.by_token(token) for token in message.assets_ids}
        wanted = {t: m for t, m in found.items() if m is not None and not self._exchange.resolved(m)}
        for market in {market.key: market for market in wanted.values()}.values():
            if market.key in self._published:
                # Other subscribers may have an older state: update them, so that one state applies to all.
                self.refresh(market)
            else:
                book = self._exchange.visible(market)
                self._published[market.key] = _Published(book, self._exchange.tick(market), book)
        # After all updates: otherwise a token's first book could follow a newer update of it.
        books = [self._book_event(market, token) for token, market in wanted.items()]
        subscriber.tokens.update(wanted)
        connection.send([damaged(self._faults, "market", book) for book in books])

    def _send(self, market: VenueMarket, events: dict[str, dict[str, Any]], *, custom: bool = False) -> None:
        """Send each token's event to its subscribers; an event shared by both tokens is sent once."""
        deliveries: list[tuple[Connection, dict[str, Any]]] = []
        for connection, subscriber in self._subscribers.items():
            if custom and not subscriber.custom:
                continue
            wanted = {id(event): event for token, event in events.items() if token in subscriber.tokens}
            deliveries.extend((connection, event) for event in wanted.values())
        # A fault applies once per event, for all its receivers, and only to an event with a receiver.
        received = {id(event): event for _, event in deliveries}
        sent = {key: damaged(self._faults, "market", event) for key, event in received.items()}
        for connection, event in deliveries:
            connection.send(sent[id(event)])

    # --- events ------------------------------------------------------------------------------

    def _timestamp(self) -> str:
        return str(self._exchange.clock.wall_ms())

    def _summary(self, market: VenueMarket, token: str) -> dict[str, Any]:
        published = self._published[market.key]
        last = self._exchange.last_trade(token)
        return summary(
            self._exchange.seen_from(market, token, published.book),
            market=market.condition_id,
            token=token,
            timestamp_ms=self._exchange.clock.wall_ms(),
            tick=published.tick,
            last_price="" if last is None else price_text(last.price),
            minimum_shares=market.minimum_shares,
        )

    def _book_event(self, market: VenueMarket, token: str) -> dict[str, Any]:
        event = {"event_type": "book", **self._summary(market, token)}
        if self._faults.armed("tick_size_change_lost") is not None:
            del event["tick_size"]
        return event

    def _tick_events(self, market: VenueMarket, old: int, new: int) -> dict[str, dict[str, Any]]:
        return {
            token: {
                "event_type": "tick_size_change",
                "market": market.condition_id,
                "asset_id": token,
                "old_tick_size": decimal_text(old, MILL),
                "new_tick_size": decimal_text(new, MILL),
                "timestamp": self._timestamp(),
            }
            for token in market.tokens
        }

    def _change_event(self, market: VenueMarket, changes: list[BookChange]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for token in market.tokens:
            state = self._summary(market, token)
            best_bid = state["bids"][-1]["price"] if state["bids"] else ""
            best_ask = state["asks"][-1]["price"] if state["asks"] else ""
            for change in changes:
                own = change if token == market.up_token else change.mirrored()
                rows.append(
                    {
                        "asset_id": token,
                        "price": price_text(own.price),
                        "side": own.side,
                        "size": decimal_text(own.size),
                        "hash": state["hash"],
                        "best_bid": best_bid,
                        "best_ask": best_ask,
                    }
                )
        return {
            "event_type": "price_change",
            "market": market.condition_id,
            "price_changes": rows,
            "timestamp": self._timestamp(),
        }

    def _best_events(self, market: VenueMarket, book: VenueBook) -> dict[str, dict[str, Any]]:
        events: dict[str, dict[str, Any]] = {}
        for token in market.tokens:
            own = self._exchange.seen_from(market, token, book)
            bid, ask = own.best_bid, own.best_ask
            events[token] = {
                "event_type": "best_bid_ask",
                "market": market.condition_id,
                "asset_id": token,
                "best_bid": "" if bid is None else price_text(bid),
                "best_ask": "" if ask is None else price_text(ask),
                "spread": "" if bid is None or ask is None else price_text(ask - bid),
                "timestamp": self._timestamp(),
            }
        return events
