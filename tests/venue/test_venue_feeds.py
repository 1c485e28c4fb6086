"""The two WebSockets from a client's point of view."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from process import VenueProcess
from venue_builders import Trader, trader_at
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from venue.sources.synthetic import SyntheticSource
from venue.venue import PracticeVenue, VenueOptions

pytestmark = pytest.mark.asyncio

PATIENCE = 10.0


def tokens_of(venue: VenueProcess) -> tuple[str, str, str]:
    """Condition id, Up and Down token of the market that runs now."""
    market = venue.get(f"/gamma/markets/slug/btc-updown-15m-{venue.clock.current_start()}")
    up, down = json.loads(market["clobTokenIds"])
    return market["conditionId"], up, down


@asynccontextmanager
async def listening(
    venue: VenueProcess, channel: str, first: dict[str, Any]
) -> AsyncIterator[ClientConnection]:
    # No bound on frames that wait: with one, a client that stops reading waits long for its own close.
    async with connect(venue.ws_url + channel, proxy=None, max_size=None, max_queue=None) as socket:
        await socket.send(json.dumps(first))
        yield socket


async def read(socket: ClientConnection) -> Any:
    """The next frame, decoded."""
    return json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))


async def until(socket: ClientConnection, wanted: Callable[[Any], bool]) -> Any:
    """Read until a frame matches; returns it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            frame = json.loads(await socket.recv())
            if wanted(frame):
                return frame


def event(name: str) -> Callable[[Any], bool]:
    return lambda frame: isinstance(frame, dict) and frame["event_type"] == name


# --- market ----------------------------------------------------------------------------------


async def test_the_first_frame_is_an_array_of_the_books(practice_venue: VenueProcess) -> None:
    """Both subscribed tokens' books are sent in one array, best price last, the same as over REST."""
    condition, up, down = tokens_of(practice_venue)
    async with listening(practice_venue, "market", {"type": "market", "assets_ids": [up, down]}) as socket:
        frame = await read(socket)
    assert [book["asset_id"] for book in frame] == [up, down]
    for book in frame:
        assert (book["event_type"], book["market"]) == ("book", condition)
        assert [float(r["price"]) for r in book["bids"]] == sorted(float(r["price"]) for r in book["bids"])
        assert len(book["hash"]) == 40


async def test_changes_keep_both_books_in_step_with_rest(practice_venue: VenueProcess) -> None:
    """Applying every change to the first books gives mirrored books with the best prices that were sent."""
    _, up, down = tokens_of(practice_venue)
    books: dict[str, dict[str, dict[str, str]]] = {}

    def apply(frame: Any) -> None:
        for book in frame if isinstance(frame, list) else [frame]:
            if book["event_type"] == "book":
                books[book["asset_id"]] = {
                    "BUY": {row["price"]: row["size"] for row in book["bids"]},
                    "SELL": {row["price"]: row["size"] for row in book["asks"]},
                }
        if isinstance(frame, dict) and frame["event_type"] == "price_change":
            assert {change["asset_id"] for change in frame["price_changes"]} == {up, down}
            for change in frame["price_changes"]:
                levels = books[change["asset_id"]][change["side"]]
                levels.pop(change["price"], None)
                if change["size"] != "0":
                    levels[change["price"]] = change["size"]
            last = {change["asset_id"]: change for change in frame["price_changes"]}
            for token, change in last.items():
                assert max(books[token]["BUY"], key=float) == change["best_bid"]
                assert min(books[token]["SELL"], key=float) == change["best_ask"]

    async with listening(practice_venue, "market", {"type": "market", "assets_ids": [up, down]}) as socket:
        frames = [await read(socket)]
        apply(frames[0])
        while len(frames) < 3 or not event("price_change")(frames[-1]):
            frames.append(await read(socket))
            apply(frames[-1])
    mirrored = {f"{1 - float(price):.2f}": size for price, size in books[down]["BUY"].items()}
    assert mirrored == {f"{float(price):.2f}": size for price, size in books[up]["SELL"].items()}


async def test_no_update_precedes_the_books_of_a_new_subscriber() -> None:
    """The books of all tokens are of one instant, also if a book changes during the subscription."""
    now = itertools.count(1_800_000_000 * 10**9, 10**9)  # every reading of the clock is a second later
    venue = PracticeVenue(SyntheticSource(7), VenueOptions(speed=1.0), lambda: next(now))
    market = next(iter(venue.schedule))
    frames: list[Any] = []

    class Listener:
        send = frames.append

    listener: Any = Listener()
    venue.markets._opened(listener)
    await venue.markets._received(listener, {"assets_ids": list(market.tokens)})
    (books,) = frames
    assert [book["asset_id"] for book in books] == list(market.tokens)
    venue.close()


async def test_a_text_ping_is_answered_and_a_frame_ping_too(practice_venue: VenueProcess) -> None:
    """PING gets PONG on both sockets, with and without a subscription; protocol pings are answered."""
    for channel in ("market", "user"):
        async with connect(practice_venue.ws_url + channel, proxy=None) as socket:
            await socket.send("PING")
            assert await asyncio.wait_for(socket.recv(), PATIENCE) == "PONG"
            await asyncio.wait_for(await socket.ping(), PATIENCE)
            await socket.send("not json")
            await socket.send(json.dumps({"assets_ids": 5, "markets": 5}))
            await socket.send("PING")
            assert await asyncio.wait_for(socket.recv(), PATIENCE) == "PONG"


async def test_subscriptions_come_and_go_on_one_connection(practice_venue: VenueProcess) -> None:
    """A later subscription gets its own array; after unsubscribing nothing is sent for the token."""
    _, up, down = tokens_of(practice_venue)
    async with listening(practice_venue, "market", {"type": "market", "assets_ids": [up]}) as socket:
        assert [book["asset_id"] for book in await read(socket)] == [up]
        await socket.send(json.dumps({"operation": "subscribe", "assets_ids": [down, "5"]}))
        frame = await until(socket, lambda frame: isinstance(frame, list))
        assert [book["asset_id"] for book in frame] == [down]
        await socket.send(json.dumps({"operation": "unsubscribe", "assets_ids": [up, down]}))
        await socket.send("PING")
        async with asyncio.timeout(PATIENCE):
            while await socket.recv() != "PONG":
                pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 1.0)


async def test_an_accounts_trade_is_published_on_the_market_feed(practice_venue: VenueProcess) -> None:
    """A taker's trade is a last_trade_price, and the book loses the consumed shares."""
    _, up, down = tokens_of(practice_venue)
    trader = trader_at(practice_venue.url)
    async with listening(practice_venue, "market", {"type": "market", "assets_ids": [up, down]}) as socket:
        await read(socket)
        answer = await asyncio.to_thread(trader.post, practice_venue.url, trader.buy(up, 300, 990))
        message = await until(socket, event("last_trade_price"))
    assert (message["asset_id"], message["side"], message["fee_rate_bps"]) == (up, "BUY", "0")
    assert float(message["size"]) <= float(answer.json()["takingAmount"])


@pytest.fixture
def near_tick_change() -> Iterator[VenueProcess]:
    """Recording 0 held half a minute before its tick change at second 472.9."""
    with VenueProcess.start("--hold-clock", "--start-at", "440") as venue:
        yield venue


@pytest.fixture
def near_the_end() -> Iterator[VenueProcess]:
    """Recording 0 held at second 800."""
    with VenueProcess.start("--hold-clock", "--start-at", "800") as venue:
        yield venue


async def test_a_tick_change_is_published_before_the_finer_prices(near_tick_change: VenueProcess) -> None:
    """At recording 0's first sub-cent price both tokens get tick_size_change, then a fresh book each."""
    _, up, down = tokens_of(near_tick_change)
    async with listening(near_tick_change, "market", {"type": "market", "assets_ids": [up, down]}) as socket:
        seen: list[Any] = [await read(socket)]
        await asyncio.to_thread(near_tick_change.step, 40)
        async with asyncio.timeout(PATIENCE):
            while len([f for f in seen if event("tick_size_change")(f)]) < 2:
                seen.append(json.loads(await socket.recv()))
        changes = seen[-2:]
        books = [await read(socket), await read(socket)]
    assert {change["asset_id"] for change in changes} == {up, down}
    assert {(c["old_tick_size"], c["new_tick_size"]) for c in changes} == {("0.01", "0.001")}
    assert {(b["event_type"], b["asset_id"]) for b in books} == {("book", up), ("book", down)}
    before = [f for f in seen if isinstance(f, dict) and f["event_type"] == "price_change"]
    assert not any(len(c["price"]) > 4 for frame in before for c in frame["price_changes"])
    assert near_tick_change.get("/tick-size", token_id=up) == {"minimum_tick_size": 0.001}


async def test_custom_events_are_for_those_who_ask(near_the_end: VenueProcess) -> None:
    """market_resolved, best_bid_ask and new_market are sent only to subscribers of the custom feature."""
    _, up, down = tokens_of(near_the_end)
    plain = {"type": "market", "assets_ids": [up, down]}
    async with (
        listening(near_the_end, "market", {**plain, "custom_feature_enabled": True}) as asking,
        listening(near_the_end, "market", plain) as silent,
    ):
        for socket in (asking, silent):
            await read(socket)
        await asyncio.to_thread(near_the_end.finish_market)
        names: set[str] = set()
        async with asyncio.timeout(PATIENCE):
            while not {"market_resolved", "new_market", "best_bid_ask"} <= names:
                frame = json.loads(await asking.recv())
                if isinstance(frame, dict):
                    names.add(frame["event_type"])
                    if frame["event_type"] == "market_resolved":
                        assert frame["winning_asset_id"] in (up, down)
        await silent.send("PING")
        async with asyncio.timeout(PATIENCE):
            while (text := await silent.recv()) != "PONG":
                frame = json.loads(text)
                if isinstance(frame, dict):
                    assert frame["event_type"] in ("book", "price_change", "tick_size_change")


# --- user ------------------------------------------------------------------------------------


def subscription(trader: Trader, **changes: Any) -> dict[str, Any]:
    assert trader.api is not None
    return {"type": "user", "auth": {**trader.api.wire(), **changes}}


async def test_an_account_follows_its_trade_to_the_end(practice_venue: VenueProcess) -> None:
    """MATCHED, MINED, CONFIRMED in order, with the answer's ids, and the hash from MINED on."""
    condition, up, _ = tokens_of(practice_venue)
    trader = trader_at(practice_venue.url)
    async with listening(practice_venue, "user", {**subscription(trader), "markets": [condition]}) as socket:
        await ready(socket)
        answer = await asyncio.to_thread(trader.post, practice_venue.url, trader.buy(up, 100, 990))
        order = await until(socket, event("order"))
        trades = [
            await until(socket, lambda f, s=status: event("trade")(f) and f["status"] == s)
            for status in ("MATCHED", "MINED", "CONFIRMED")
        ]
    body = answer.json()
    assert (order["type"], order["status"], order["id"]) == ("UPDATE", "MATCHED", body["orderID"])
    assert order["associate_trades"] == body["tradeIDs"]
    for trade in trades:
        assert trade["id"] in body["tradeIDs"]
        assert (trade["taker_order_id"], trade["trader_side"]) == (body["orderID"], "TAKER")
        assert trade["owner"] == trade["trade_owner"]
    assert [bool(trade["transaction_hash"]) for trade in trades] == [False, True, True]


async def test_placement_and_cancellation_of_a_resting_order_are_published(
    practice_venue: VenueProcess,
) -> None:
    """PLACEMENT when it rests, CANCELLATION when it is canceled."""
    _, up, _ = tokens_of(practice_venue)
    trader = trader_at(practice_venue.url)
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)
        body = trader.limit(up, "BUY", 5, 20)
        order_id = (await asyncio.to_thread(trader.post, practice_venue.url, body)).json()["orderID"]
        placed = await read(socket)
        await asyncio.to_thread(trader.send, practice_venue.url, "DELETE", "/order", {"orderID": order_id})
        canceled = await read(socket)
    assert (placed["type"], placed["status"], placed["id"]) == ("PLACEMENT", "LIVE", order_id)
    assert (canceled["type"], canceled["status"], canceled["id"]) == ("CANCELLATION", "CANCELED", order_id)


@pytest.mark.parametrize("change", [{"secret": "x"}, {"passphrase": "x"}, {"apiKey": "x"}])
async def test_a_wrong_credential_is_shown_the_door(
    practice_venue: VenueProcess, change: dict[str, str]
) -> None:
    """The user socket is closed on anything but the account's own credentials."""
    trader = trader_at(practice_venue.url)
    async with listening(practice_venue, "user", subscription(trader, **change)) as socket:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE)


async def test_only_own_orders_of_subscribed_markets_are_published(practice_venue: VenueProcess) -> None:
    """Another account receives nothing, nor does the account itself on a socket for another market."""
    _, up, _ = tokens_of(practice_venue)
    trader, other = trader_at(practice_venue.url), trader_at(practice_venue.url)
    async with (
        listening(practice_venue, "user", subscription(other)) as foreign,
        listening(practice_venue, "user", {**subscription(trader), "markets": ["0x1"]}) as elsewhere,
        listening(practice_venue, "user", subscription(trader)) as own,
    ):
        for socket in (foreign, elsewhere, own):
            await ready(socket)
        await asyncio.to_thread(trader.post, practice_venue.url, trader.buy(up, 100, 990))
        await until(own, event("trade"))
        for socket in (foreign, elsewhere):
            await socket.send("PING")
            assert await asyncio.wait_for(socket.recv(), PATIENCE) == "PONG"


async def ready(socket: ClientConnection) -> None:
    """Wait until the venue has read everything that was sent before."""
    await socket.send("PING")
    assert await asyncio.wait_for(socket.recv(), PATIENCE) == "PONG"
