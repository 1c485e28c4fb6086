"""Faults whose answers, frames and values a client has to limit or reject."""

import json
import time
from typing import Any

import httpx
import pytest
from process import HTTP, VenueProcess
from test_venue_faults import bought
from test_venue_feeds import event, listening, read, ready, subscription, tokens_of, until
from venue_builders import Bench, Trader, trader_at

from venue.faults import Faults, UnknownFault
from venue.market_feed import MarketFeed

ESCAPES = "\x1b[2J\x1b[31m\x1b]0;title\x07\r\x9b5n\u202e"


@pytest.fixture
def trader(practice_venue: VenueProcess) -> Trader:
    return trader_at(practice_venue.url)


@pytest.fixture
def up(practice_venue: VenueProcess) -> str:
    return tokens_of(practice_venue)[1]


def arrivals(url: str, **request: Any) -> tuple[bytes, list[float]]:
    """The first six bytes of an answer's body, and the arrival time of each."""
    times: list[float] = []
    body = b""
    with HTTP.stream(url=url, **request) as answer:
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) > 6
        for byte in answer.iter_raw(1):
            body += byte
            times.append(time.monotonic())
            if len(body) == 6:
                return body, times
    raise AssertionError(f"the answer ended after {body!r}")


def test_a_post_is_answered_byte_by_byte(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """The order is executed, the bytes come one by one, and a client may close the connection."""
    practice_venue.fault("drip_answer", seconds=0.1)
    content = json.dumps(trader.buy(up, 100, 990))
    headers = trader.headers("POST", "/order", content)
    body, times = arrivals(practice_venue.url + "/order", method="POST", content=content, headers=headers)
    assert body == b'{"erro'
    assert times[-1] - times[0] > 0.4
    assert bought(practice_venue, trader)
    assert trader.post(practice_venue.url, trader.buy(up, 100, 990)).json()["status"] == "matched"


def test_only_answers_of_the_path_drip(practice_venue: VenueProcess) -> None:
    """A pattern limits the fault to Gamma; other answers and the control routes do not consume it."""
    practice_venue.fault("drip_answer", path="/gamma/*", seconds=0.1)
    assert practice_venue.get("/ok") == "OK"
    assert practice_venue.get("/practice/faults")[0]["struck"] == 0
    body, times = arrivals(practice_venue.url + "/gamma/markets", method="GET")
    assert body == b'[{"id"'
    assert times[-1] - times[0] > 0.4
    practice_venue.fault("drip_answer", path="*", seconds=0.1)
    assert practice_venue.get("/practice/faults")[0]["struck"] == 0


@pytest.mark.parametrize("path", ["/gamma/events", "/data-api/positions", "/order"])
def test_an_answer_is_deeply_nested(practice_venue: VenueProcess, trader: Trader, up: str, path: str) -> None:
    """The body is valid JSON that the standard decoder cannot read; an order is executed before it."""
    practice_venue.fault("nested_answer", path=path)
    if path == "/order":
        answer = trader.post(practice_venue.url, trader.buy(up, 100, 990))
    else:
        answer = HTTP.get(practice_venue.url + path, params={"user": trader.address})
    assert answer.status_code == 200
    assert answer.text == "[" * 100_000 + "]" * 100_000
    with pytest.raises(RecursionError):
        answer.json()
    assert bought(practice_venue, trader) is (path == "/order")


@pytest.mark.parametrize("compressed", [False, True])
def test_an_answer_is_huge(practice_venue: VenueProcess, compressed: bool) -> None:
    """A hundred megabytes are streamed without a length; compressed their size is a thousandth."""
    practice_venue.fault("huge_answer", path="/book", compressed=compressed)
    decoded = 0
    with HTTP.stream("GET", practice_venue.url + "/book") as answer:
        assert "Content-Length" not in answer.headers
        for part in answer.iter_bytes(1 << 20):
            decoded += len(part)
        wire = answer.num_bytes_downloaded
    assert decoded == 100_000_011
    assert (wire < 1_000_000) is compressed


def test_a_client_may_leave_a_huge_answer(practice_venue: VenueProcess) -> None:
    """The venue stops sending when the client closes the connection, and answers the next request."""
    practice_venue.fault("huge_answer", path="/book")
    with HTTP.stream("GET", practice_venue.url + "/book") as answer:
        assert next(answer.iter_bytes(9)) == b'{"text":"'
    assert practice_venue.get("/ok") == "OK"


@pytest.mark.parametrize(
    ("field", "value", "raw", "found"),
    [
        ("price", "NaN", False, '"price":"NaN"'),
        ("price", "NaN", True, '"price":NaN'),
        ("price", "1e400", True, '"price":1e400'),
        ("size", "-5", False, '"size":"-5"'),
        ("price", ESCAPES, False, r'"price":"\u001b[2J\u001b[31m'),
    ],
)
async def test_a_market_event_has_a_bad_value(
    practice_venue: VenueProcess, up: str, field: str, value: str, raw: bool, found: str
) -> None:
    """The value is in every level of one book, quoted or bare; the next subscription gets the right book."""
    practice_venue.fault("market_feed_value", field=field, value=value, raw=raw)
    wanted = {"type": "market", "assets_ids": [up]}
    async with listening(practice_venue, "market", wanted) as socket:
        text = str(await socket.recv())
    assert text.startswith('[{"event_type":"book"')
    assert found in text
    assert text.count(f'"{field}":') == text.count(found[:10]) > 10
    async with listening(practice_venue, "market", wanted) as socket:
        assert found not in str(await socket.recv())


async def test_a_bad_value_waits_for_its_event(practice_venue: VenueProcess, trader: Trader, up: str) -> None:
    """Armed for a trade's event it ignores books and changes; both clients receive the same bad event."""
    wanted = {"type": "market", "assets_ids": [up]}
    async with (
        listening(practice_venue, "market", wanted) as one,
        listening(practice_venue, "market", wanted) as other,
    ):
        await read(one)
        await read(other)
        practice_venue.fault("market_feed_value", event="last_trade_price", field="size", value="-1")
        trader.post(practice_venue.url, trader.buy(up, 100, 990))
        for socket in (one, other):
            assert (await until(socket, event("last_trade_price")))["size"] == "-1"


async def test_one_trade_event_is_malformed_while_rest_is_right(
    practice_venue: VenueProcess, trader: Trader, up: str
) -> None:
    """The MATCHED event has a price of 7, the MINED event and /data/trades have the real price."""
    async with listening(practice_venue, "user", subscription(trader)) as socket:
        await ready(socket)
        practice_venue.fault("user_feed_value")
        trader.post(practice_venue.url, trader.buy(up, 100, 990))
        matched = await until(socket, event("trade"))
        mined = await until(socket, lambda f: event("trade")(f) and f["status"] == "MINED")
    assert (matched["status"], matched["price"]) == ("MATCHED", "7")
    trades = trader.send(practice_venue.url, "GET", "/data/trades").json()["data"]
    (right,) = [trade for trade in trades if trade["id"] == matched["id"]]
    assert 0 < float(right["price"]) < 1
    assert mined["id"] == matched["id"]
    assert mined["price"] == right["price"]


@pytest.mark.parametrize("feed", ["market", "user"])
async def test_a_stray_frame_is_sent_to_subscribers(
    practice_venue: VenueProcess, trader: Trader, up: str, feed: str
) -> None:
    """Raw control sequences and deeply nested JSON arrive as frames; the connection stays usable."""
    first = {"type": "market", "assets_ids": [up]} if feed == "market" else subscription(trader)
    async with listening(practice_venue, feed, first) as socket:
        await (read(socket) if feed == "market" else ready(socket))
        for parameters, frame in (({}, ESCAPES), ({"depth": 50_000}, "[" * 50_000 + "]" * 50_000)):
            practice_venue.fault("stray_frame", feed=feed, **parameters)
            while (received := await socket.recv()) != frame:
                assert str(received).startswith('{"event_type"')
        await socket.send("PING")
        while (received := await socket.recv()) != "PONG":
            assert str(received).startswith('{"event_type"')


async def test_a_fault_of_a_feed_waits_for_a_subscriber() -> None:
    """Without a connection neither a stray frame nor a bad value is consumed."""
    bench = Bench()
    faults: Faults = bench.venue.faults
    for name in ("stray_frame", "market_feed_value", "user_feed_value"):
        faults.arm(name, 1, {})
    bench.venue.step()
    await bench.place(trader := bench.trader(), trader.buy(bench.market.up_token, 100, 990))
    assert isinstance(bench.venue.markets, MarketFeed)
    assert [fault.struck for fault in faults.listing()] == [0, 0, 0]
    await bench.venue.stop()


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("error_500", {"text": ESCAPES}),
        ("refused_4xx", {"text": ESCAPES}),
        ("success_false", {"text": ESCAPES}),
    ],
)
def test_an_error_text_has_control_sequences(
    practice_venue: VenueProcess, trader: Trader, up: str, fault: str, parameters: dict[str, Any]
) -> None:
    """The text of a refused POST reaches the client as it was armed."""
    practice_venue.fault(fault, **parameters)
    answer = trader.post(practice_venue.url, trader.buy(up, 100, 990)).json()
    assert ESCAPES in (answer.get("error"), answer.get("errorMsg"))


def slugs(venue: VenueProcess, count: int = 3) -> list[str]:
    """Slugs of the running market and of the following ones."""
    start = venue.clock.current_start()
    return [f"btc-updown-15m-{start + 900 * i}" for i in range(count)]


def gamma(venue: VenueProcess, path: str, slug: str) -> dict[str, Any]:
    """A market in the answer of one of Gamma's routes."""
    body = HTTP.get(f"{venue.url}/gamma{path}", params={"slug": slug} if "slug" not in path else {}).json()
    body = body.get("markets", body) if isinstance(body, dict) else body
    return body[0] if isinstance(body, list) else body


@pytest.mark.parametrize(
    ("field", "value", "raw"),
    [("slug", ESCAPES, False), ("version", f"v1{ESCAPES}", False), ("orderPriceMinTickSize", "-1e400", True)],
)
def test_gamma_shows_a_bad_value(practice_venue: VenueProcess, field: str, value: str, raw: bool) -> None:
    """The chosen market's field is bad on every route until the fault is cleared; others are right."""
    now, following, _ = slugs(practice_venue)
    right = gamma(practice_venue, "/markets", following)[field]
    practice_venue.fault("gamma_value", None, slug=following, field=field, value=value, raw=raw)
    for path in ("/markets", "/markets/keyset", f"/markets/slug/{following}"):
        expected = float("-inf") if raw else value
        assert gamma(practice_venue, path, following)[field] == expected
        assert gamma(practice_venue, path.replace(following, now), now)[field] != expected
    if field == "slug":
        assert gamma(practice_venue, "/events", following)["slug"] == value
    practice_venue.clear_faults()
    assert gamma(practice_venue, "/markets", following)[field] == right


@pytest.mark.parametrize(
    ("ids", "condition_differs", "tokens_differ"),
    [("condition", True, False), ("tokens", False, True), ("both", True, True), ("previous", True, True)],
)
def test_a_future_slug_has_foreign_ids(
    practice_venue: VenueProcess, ids: str, condition_differs: bool, tokens_differ: bool
) -> None:
    """The next market has other ids under its slug; the running one and the one after it have their own."""
    running, following, later = slugs(practice_venue)
    before = {slug: gamma(practice_venue, "/markets", slug) for slug in (running, following, later)}
    practice_venue.fault("gamma_foreign_ids", None, ids=ids)
    after = {slug: gamma(practice_venue, "/markets", slug) for slug in (running, following, later)}
    for slug in (running, later):
        assert after[slug]["conditionId"] == before[slug]["conditionId"]
        assert after[slug]["clobTokenIds"] == before[slug]["clobTokenIds"]
    assert after[following]["slug"] == following
    assert (after[following]["conditionId"] != before[following]["conditionId"]) is condition_differs
    assert (after[following]["clobTokenIds"] != before[following]["clobTokenIds"]) is tokens_differ
    assert len(set(json.loads(after[following]["clobTokenIds"]))) == 2
    taken_over = after[following]["conditionId"] == before[running]["conditionId"]
    assert taken_over is (ids == "previous")
    if ids == "both":
        url = f"{practice_venue.url}/markets/{after[following]['conditionId']}"
        assert httpx.get(url, trust_env=False).status_code == 404


def test_a_named_slug_has_foreign_ids(practice_venue: VenueProcess) -> None:
    """A slug in the parameters limits the fault to that market, here the running one."""
    running, following, _ = slugs(practice_venue)
    right = {slug: gamma(practice_venue, "/markets", slug)["conditionId"] for slug in (running, following)}
    practice_venue.fault("gamma_foreign_ids", None, slug=running)
    assert gamma(practice_venue, "/markets", running)["conditionId"] != right[running]
    assert gamma(practice_venue, "/markets", following)["conditionId"] == right[following]


def test_a_parameter_outside_its_choices_is_refused() -> None:
    """The message names the fault, the parameter and its allowed values."""
    faults = Faults()
    with pytest.raises(UnknownFault, match="gamma_foreign_ids: ids must be one of condition, tokens, both"):
        faults.arm("gamma_foreign_ids", 1, {"ids": "all"})
    with pytest.raises(UnknownFault, match="stray_frame: feed must be one of market, user"):
        faults.arm("stray_frame", 1, {"feed": "both"})
    with pytest.raises(
        UnknownFault, match="unavailable_503: variant must be one of trading_disabled, cancel"
    ):
        faults.arm("unavailable_503", 1, {"variant": "gone"})
