"""Every fault, applied to a running venue, and its effects."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import httpx
import pytest
from process import HTTP, VenueProcess
from test_venue_feeds import event, listening, read, ready, subscription, tokens_of, until
from venue_builders import BOOK, Bench, Trader, trader_at
from websockets.exceptions import ConnectionClosed, InvalidStatus

from venue.faults import CATALOG, Faults, UnknownFault
from venue.order_book import VenueBook
from venue.refusal import VenueRefusal


@pytest.fixture
def trader(practice_venue: VenueProcess) -> Trader:
    return trader_at(practice_venue.url)


@pytest.fixture
def up(practice_venue: VenueProcess) -> str:
    return tokens_of(practice_venue)[1]


def best_ask(venue: VenueProcess, token: str) -> Decimal:
    """0 without asks."""
    asks = venue.get("/book", token_id=token)["asks"]
    return Decimal(asks[-1]["price"]) if asks else Decimal(0)


def bought(venue: VenueProcess, trader: Trader) -> bool:
    """Whether the account's order was executed."""
    return bool(venue.account(trader.address)["trades"])


def confirmed(venue: VenueProcess, trader: Trader) -> None:
    """Return once the account's last trade is confirmed."""
    while venue.account(trader.address)["trades"][0]["status"] != "CONFIRMED":
        time.sleep(0.02)


def struck(venue: VenueProcess) -> None:
    """Return once the armed faults have been applied."""
    while venue.get("/practice/faults"):
        time.sleep(0.01)


def test_a_fault_strikes_as_often_as_it_was_armed_for() -> None:
    """Armed for two it applies twice; armed without count until cleared; an unknown one cannot be armed."""
    faults = Faults()
    assert faults.consume("hang") is None
    faults.arm("hang", 2, {"seconds": 1})
    assert [faults.consume("hang") for _ in range(3)] == [{"seconds": 1}, {"seconds": 1}, None]
    faults.arm("hang", None, {})
    assert all(faults.consume("hang") == {"seconds": 60.0} for _ in range(5))
    faults.clear("hang")
    assert faults.consume("hang") is None
    with pytest.raises(UnknownFault, match="unknown fault 'hung'; known: drop_before_read"):
        faults.arm("hung", 1, {})


def test_the_catalogue_and_the_armed_faults_are_listed(practice_venue: VenueProcess) -> None:
    """/practice/info explains every fault; /practice/faults lists the armed ones and how often each
    applied."""
    assert practice_venue.get("/practice/info")["faults"].keys() == CATALOG.keys()
    practice_venue.fault("gamma_500", 2)
    HTTP.get(practice_venue.url + "/gamma/markets")
    (armed,) = practice_venue.get("/practice/faults")
    assert armed == {"name": "gamma_500", "left": 1, "parameters": {}, "struck": 1}


@pytest.mark.parametrize(
    ("name", "parameters", "status", "body"),
    [
        ("too_early_425", {}, 425, {"error": "Too Early"}),
        ("rate_limit_429", {}, 429, {"error": "Too Many Requests"}),
        ("error_500", {}, 500, {"error": "order timed out"}),
        ("error_500", {"text": "could not run the execution"}, 500, {"error": "could not run the execution"}),
        ("refused_4xx", {}, 400, {"error": "the market is not yet ready to process new orders"}),
        ("refused_4xx", {"status": 404, "text": "market not found"}, 404, {"error": "market not found"}),
        ("unavailable_503", {}, 503, {"error": "trading is disabled"}),
        ("unavailable_503", {"variant": "overloaded"}, 503, {"error": "service unavailable"}),
        (
            "unavailable_503",
            {"variant": "cancel_only"},
            503,
            {
                "error": "Trading is currently cancel-only. "
                "New orders are not accepted, but cancels are allowed."
            },
        ),
        (
            "unavailable_503",
            {"variant": "post_only"},
            503,
            {
                "error": "post-only mode: only post-only orders and cancels are allowed",
                "code": "post_only_mode",
                "retry_after_seconds": 79,
            },
        ),
    ],
)
def test_an_error_before_the_order_exists(
    practice_venue: VenueProcess,
    trader: Trader,
    up: str,
    name: str,
    parameters: dict[str, Any],
    status: int,
    body: dict[str, Any],
) -> None:
    """The venue's status and text are returned, nothing was executed, and the same order is accepted
    afterwards."""
    practice_venue.fault(name, **parameters)
    order = trader.buy(up, 100, 990)
    answer = trader.post(practice_venue.url, order)
    assert (answer.status_code, answer.json()) == (status, body)
    assert ("Retry-After" in answer.headers) == (status in (425, 429))
    assert not bought(practice_venue, trader)
    assert trader.post(practice_venue.url, order).json()["status"] == "matched"


@pytest.mark.parametrize(
    ("name", "status"),
    [("too_early_425", 425), ("error_500", 500), ("refused_4xx", 400), ("unavailable_503", 503)],
)
def test_an_error_after_the_order_was_executed(
    practice_venue: VenueProcess, trader: Trader, up: str, name: str, status: int
) -> None:
    """With `executed` the same answer hides a fill: the order exists and a second attempt is a duplicate."""
    practice_venue.fault(name, executed=True)
    order = trader.buy(up, 100, 990)
    assert trader.post(practice_venue.url, order).status_code == status
    assert bought(practice_venue, trader)
    assert trader.post(practice_venue.url, order).json()["error"].endswith("Duplicated.")


def test_a_403_is_a_page_not_json(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """The edge's block page is HTML."""
    practice_venue.fault("html_403")
    answer = trader.post(practice_venue.url, trader.buy(up, 100, 990))
    assert answer.status_code == 403
    assert answer.text.startswith("<!DOCTYPE html>")
    assert not bought(practice_venue, trader)


def test_a_200_may_be_a_failure(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """success false with a message, or status unmatched, and no order."""
    practice_venue.fault("success_false", text="no")
    answer = trader.post(practice_venue.url, trader.buy(up, 100, 990))
    assert answer.status_code == 200
    assert (answer.json()["success"], answer.json()["errorMsg"]) == (False, "no")
    practice_venue.fault("unmatched")
    answer = trader.post(practice_venue.url, trader.buy(up, 100, 990))
    assert (answer.status_code, answer.json()["status"], answer.json()["orderID"]) == (200, "unmatched", "")
    assert not bought(practice_venue, trader)


@pytest.mark.parametrize(
    ("name", "executed"), [("drop_before_read", False), ("drop_after_accept", True), ("hang", True)]
)
def test_a_lost_connection_leaves_the_order_unknown(
    practice_venue: VenueProcess, trader: Trader, up: str, name: str, executed: bool
) -> None:
    """The client gets no answer; whether the order was executed depends on when it was lost."""
    practice_venue.fault(name, **({"seconds": 0.1} if name == "hang" else {}))
    # A connection closed with bytes unread is a reset or an end of file, as the kernel gets to it.
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        trader.post(practice_venue.url, trader.buy(up, 100, 990))
    assert bought(practice_venue, trader) is executed
    assert practice_venue.get("/practice/log")[-1]["status"] == 0


def test_a_client_may_give_up_on_a_hanging_answer(
    practice_venue: VenueProcess, trader: Trader, up: str
) -> None:
    """With a long hang the client's own timeout applies, and the order was still executed."""
    practice_venue.fault("hang")
    body = json.dumps(trader.buy(up, 100, 990))
    with pytest.raises(httpx.ReadTimeout):
        HTTP.post(
            practice_venue.url + "/order",
            content=body,
            headers=trader.headers("POST", "/order", body),
            timeout=0.5,
        )
    assert bought(practice_venue, trader)


def test_a_fak_may_answer_live(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """live without amounts, although the order was matched."""
    practice_venue.fault("live_fak")
    answer = trader.post(practice_venue.url, trader.buy(up, 100, 990)).json()
    assert (answer["status"], answer["takingAmount"], answer["tradeIDs"]) == ("live", "", [])
    assert bought(practice_venue, trader)


async def test_a_delayed_order_is_published_on_the_user_feed(
    practice_venue: VenueProcess, trader: Trader, up: str
) -> None:
    """The answer is `delayed` and empty; the fill follows later on the feed, a miss as a cancellation."""
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)
        practice_venue.fault("delayed", seconds=0.2)
        answer = trader.post(practice_venue.url, trader.buy(up, 100, 990)).json()
        assert (answer["status"], answer["makingAmount"], answer["tradeIDs"]) == ("delayed", "", [])
        assert not bought(practice_venue, trader)
        trade = await until(socket, event("trade"))
        assert trade["taker_order_id"] == answer["orderID"]
        practice_venue.fault("delayed", seconds=0.0)
        missed = trader.post(practice_venue.url, trader.buy(up, 100, 10)).json()
        assert missed["status"] == "delayed"
        canceled = await until(socket, lambda f: f.get("type") == "CANCELLATION")
        assert (canceled["id"], canceled["size_matched"]) == (missed["orderID"], "0")
        practice_venue.fault("delayed", seconds=0.0, success=False)
        denied = trader.post(practice_venue.url, trader.buy(up, 200, 990)).json()
        assert (denied["success"], denied["status"]) == (False, "delayed")
        assert denied["errorMsg"] == "order match delayed due to market conditions"
        assert await until(socket, lambda f: f.get("taker_order_id") == denied["orderID"])


async def trade_events(
    venue: VenueProcess, trader: Trader, up: str, count: int
) -> tuple[str, list[str], float]:
    """A trade of an order, the statuses of its first events, and the time from the first to the answer."""
    async with listening(venue, "user", subscription(trader)) as socket:
        await ready(socket)
        posted = asyncio.create_task(asyncio.to_thread(trader.post, venue.url, trader.buy(up, 100, 990)))
        first = await until(socket, event("trade"))
        came = time.monotonic()
        await posted
        answered = time.monotonic()
        found = [first["status"]]
        while len(found) < count:
            trade = await until(socket, event("trade"))
            if trade["id"] == first["id"]:
                found.append(trade["status"])
    return first["id"], found, answered - came


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        (None, ["MATCHED", "MINED", "CONFIRMED"]),
        ("duplicate_trade", ["MATCHED", "MATCHED", "MINED", "CONFIRMED"]),
        ("out_of_order_trade", ["CONFIRMED", "MINED", "MATCHED"]),
        ("failed_after_match", ["MATCHED", "FAILED"]),
        ("retrying", ["MATCHED", "RETRYING", "MINED", "CONFIRMED"]),
    ],
)
async def test_a_trades_events_may_come_otherwise(
    practice_venue: VenueProcess, trader: Trader, up: str, name: str | None, statuses: list[str]
) -> None:
    """Without a fault in order, with one twice, backwards, failing, or with a retry in between."""
    if name is not None:
        # For every trade: an order that takes two levels has two.
        practice_venue.fault(name, None)
    trade_id, found, _ = await trade_events(practice_venue, trader, up, len(statuses))
    assert found == statuses
    account = practice_venue.account(trader.address)
    trades = {trade["id"]: trade for trade in account["trades"]}
    failed = name == "failed_after_match"
    assert (trades[trade_id]["status"] == "FAILED") is failed
    held = sum(Decimal(t["shares"]) for t in trades.values() if t["status"] != "FAILED")
    assert sum(Decimal(position["shares"]) for position in account["positions"]) == held
    assert held > 0 or failed


async def test_a_trade_may_be_published_before_the_answer(
    practice_venue: VenueProcess, trader: Trader, up: str
) -> None:
    """With the fault the event arrives clearly before the answer to POST /order."""
    practice_venue.fault("trade_before_response", seconds=0.4)
    *_, lead = await trade_events(practice_venue, trader, up, 1)
    assert lead > 0.3


async def test_the_user_feed_may_be_silent(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """No event of the order is sent; a later event is."""
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)
        practice_venue.fault("user_feed_silent", None)
        trader.post(practice_venue.url, trader.buy(up, 100, 990))
        await asyncio.to_thread(confirmed, practice_venue, trader)
        practice_venue.clear_faults()
        trader.post(practice_venue.url, trader.limit(up, "BUY", 5, 20))
        assert (await read(socket))["type"] == "PLACEMENT"


async def test_the_user_feed_may_drop(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """The connection is closed at the order; a new one works."""
    practice_venue.fault("user_feed_drop")
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)
        trader.post(practice_venue.url, trader.buy(up, 100, 990))
        with pytest.raises(ConnectionClosed):
            await until(socket, lambda _: False)
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)


async def test_the_user_feed_may_refuse(practice_venue: VenueProcess, trader: Trader) -> None:
    """A connection is answered 503 as often as the fault applies; the next one works."""
    practice_venue.fault("user_feed_refused")
    with pytest.raises(InvalidStatus, match="503"):
        async with listening(practice_venue, "user", subscription(trader)):
            pass
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)


async def test_a_kill_may_be_answered_in_free_text(
    practice_venue: VenueProcess, trader: Trader, up: str
) -> None:
    """The venue's unusual status, CANCELED_ and the reason, is sent for a killed order."""
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)
        practice_venue.fault("killed_event")
        trader.post(practice_venue.url, trader.buy(up, 100, 10))
        killed = await read(socket)
    assert killed["type"] == "CANCELLATION"
    assert killed["status"].startswith("CANCELED_no orders found to match with FAK order")


async def test_the_market_feed_may_stall(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """While armed no change is sent; when cleared the feed catches up."""
    async with listening(practice_venue, "market", {"type": "market", "assets_ids": [up]}) as socket:
        await read(socket)
        practice_venue.fault("market_feed_stall", None)
        await socket.send("PING")
        async with asyncio.timeout(5):
            while await socket.recv() != "PONG":
                pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 1.0)
        practice_venue.clear_faults()
        assert (await read(socket))["event_type"] in ("price_change", "book")


def test_an_order_may_be_missing_from_the_index(
    practice_venue: VenueProcess, trader: Trader, up: str
) -> None:
    """GET /data/order is 404 once, while /data/trades has the trade."""
    answer = trader.post(practice_venue.url, trader.buy(up, 100, 990)).json()
    path = f"/data/order/{answer['orderID']}"
    practice_venue.fault("order_lookup_404")
    assert trader.send(practice_venue.url, "GET", path).status_code == 404
    found = trader.send(practice_venue.url, "GET", "/data/trades").json()["data"]
    assert {trade["taker_order_id"] for trade in found} == {answer["orderID"]}
    assert trader.send(practice_venue.url, "GET", path).json()["status"] == "MATCHED"


def test_gamma_and_the_clock_may_be_wrong(practice_venue: VenueProcess) -> None:
    """Gamma answers 500 as often as armed; /time is off while armed."""
    practice_venue.fault("gamma_500")
    assert [HTTP.get(practice_venue.url + "/gamma/events").status_code for _ in range(2)] == [500, 200]
    practice_venue.fault("clock_skew", None, seconds=-120)
    assert practice_venue.get("/time") == pytest.approx(time.time() - 120, abs=3)
    practice_venue.clear_faults()
    assert practice_venue.get("/time") == pytest.approx(time.time(), abs=3)


def test_a_venue_that_refuses_the_future_takes_the_past(practice_venue: VenueProcess, trader: Trader) -> None:
    """A request with a timestamp some seconds ahead gets 401, one as far behind its answer; cleared, both
    do."""
    path = "/auth/ban-status/closed-only"

    def status(ahead: float) -> int:
        headers = trader.headers("GET", path, at=time.time() + ahead)
        return HTTP.get(practice_venue.url + path, headers=headers).status_code

    practice_venue.fault("future_refused", None)
    assert [status(ahead) for ahead in (-5, 0, 5)] == [200, 200, 401]
    practice_venue.clear_faults()
    assert status(5) == 200


def test_a_stale_balance_is_renewed_by_the_update(practice_venue: VenueProcess, trader: Trader) -> None:
    """Until `/balance-allowance/update` the wallet appears empty and without an allowance."""
    path = "/balance-allowance"

    def shown() -> set[str]:
        answer = trader.send(practice_venue.url, "GET", path).json()
        return {answer["balance"], *answer["allowances"].values()}

    practice_venue.fault("stale_balance", None)
    assert shown() == {"0"}
    assert trader.send(practice_venue.url, "GET", f"{path}/update").status_code == 200
    assert len(shown()) == 3


@pytest.mark.asyncio
async def test_a_change_may_be_lost(practice_venue: VenueProcess, trader: Trader) -> None:
    """A bid is in the book over REST and in no message of the stream; the next change has its price as the
    best one."""
    practice_venue.hold()
    try:
        # One of the two has asks above 0.10 at any time, so that the second bid does not match.
        token = max(tokens_of(practice_venue)[1:], key=lambda token: best_ask(practice_venue, token))
        async with listening(practice_venue, "market", {"type": "market", "assets_ids": [token]}) as socket:
            ((price, size),) = [(row["price"], row["size"]) for row in (await read(socket))[0]["asks"][-1:]]
            practice_venue.fault("price_change_lost", 1)
            # A bid at the best ask takes its level; what is left is the best bid.
            bids = ((int(Decimal(size)) + 10, int(Decimal(price) * 1000)), (10, 100))
            for shares, mills in bids:
                order = trader.limit(token, "BUY", shares, mills, kind="GTC")
                assert trader.post(practice_venue.url, order).is_success
                await asyncio.to_thread(struck, practice_venue)
            changed = await until(socket, event("price_change"))
    finally:
        practice_venue.set_clock(held=False)
    (row,) = [row for row in changed["price_changes"] if row["asset_id"] == token]
    assert (row["price"], row["best_bid"]) == ("0.10", price)
    assert practice_venue.get("/book", token_id=token)["bids"][-1]["price"] == price


async def test_a_revoked_key_is_unknown_everywhere(practice_venue: VenueProcess, trader: Trader) -> None:
    """Private requests get 401 and the user feed closes; cleared, both accept the same key."""
    practice_venue.fault("api_key_revoked", None)
    refused = trader.send(practice_venue.url, "GET", "/balance-allowance")
    assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized/Invalid api key"})
    with pytest.raises(ConnectionClosed, match="1008"):
        async with listening(practice_venue, "user", subscription(trader)) as socket:
            await socket.recv()
    practice_venue.clear_faults()
    assert trader.send(practice_venue.url, "GET", "/balance-allowance").status_code == 200
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)


async def test_an_empty_book_matches_nothing() -> None:
    """Neither side has a level, and an order finds no match; cleared, the book is back."""
    bench = Bench()
    venue, trader = bench.venue, bench.trader()
    order = trader.buy(bench.market.up_token, 100, 620)
    assert venue.exchange.visible(bench.market) == BOOK
    venue.faults.arm("book_empty", None, {})
    assert venue.exchange.visible(bench.market) == VenueBook()
    with pytest.raises(VenueRefusal, match="no orders found to match"):
        await bench.place(trader, order)
    venue.faults.clear("book_empty")
    assert venue.exchange.visible(bench.market) == BOOK
    assert (await bench.place(trader, trader.buy(bench.market.up_token, 200, 620))).trades
    await venue.stop()
    venue.close()


def test_a_market_may_close_early(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """In its last seconds the catalogue says that it accepts no orders, and an order is refused."""
    slug = practice_venue.get("/practice/info")["current"]

    def accepting() -> bool:
        return practice_venue.get(f"/gamma/markets/slug/{slug}")["acceptingOrders"]

    assert accepting()
    practice_venue.fault("market_closes_early", None, seconds=900)
    assert not accepting()
    answer = trader.post(practice_venue.url, trader.buy(up, 100, 990))
    assert (answer.status_code, answer.json()) == (400, {"error": f"the orderbook {up} does not exist"})
    practice_venue.clear_faults()
    assert accepting()
