"""The price streams of a running venue: the bot's clients receive every second of them, with true values."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from process import VenueProcess
from synthetic_world import dollars, in_cents
from venue_builders import ManualClock, Trader, trader_at
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from data_sources.binance import BinanceSource
from data_sources.chainlink import ChainlinkSource, PolyBoltCredentials
from data_sources.types import PriceKind, Stream
from errors import Refused
from venue.clock import anchored
from venue.external.feeds import MESSAGES_A_SECOND, Feeds
from venue.faults import Faults
from venue.schedule import Schedule
from venue.sources.synthetic import SyntheticSource
from venue.venue import PracticeVenue, VenueOptions

SEED, SPEED = 11, 5
PATIENCE = 10.0
LONGEST_WAIT = 0.25
"""Wall seconds within which a waiting stream checks the clock again."""


@pytest.fixture(scope="module")
def venue() -> Iterator[VenueProcess]:
    with VenueProcess.start(
        "--source", "synthetic", "--seed", str(SEED), "--speed", str(SPEED), "--start-at", "30"
    ) as venue:
        yield venue


@pytest.fixture(scope="module")
def trader(venue: VenueProcess) -> Trader:
    return trader_at(venue.url)


class Truth:
    """The source's values for the second of market time of a timestamp."""

    def __init__(self, venue: VenueProcess) -> None:
        self._clock = venue.clock
        self._first = int(venue.get("/practice/info")["first_start"])
        self._source = SyntheticSource(SEED)

    def second(self, wall_ns: int) -> int:
        elapsed = (wall_ns - self._clock.wall_ns) * self._clock.speed
        return int((self._clock.market_ns + elapsed) // 10**9)

    def spot(self, wall_ns: int) -> int:
        return self._source.spot(*divmod(self.second(wall_ns) - self._first, 900))

    def mean(self, wall_ns: int, window: int = 60) -> int:
        return self._source.mean_price(*divmod(self.second(wall_ns) - self._first, 900), window)


@pytest.fixture(scope="module")
def truth(venue: VenueProcess) -> Truth:
    return Truth(venue)


def address(venue: VenueProcess, service: str) -> str:
    return venue.ready["source"]["external"][service]


async def listen(stream: Stream, enough: Callable[[], bool]) -> None:
    """Open a stream as its supervisor does, and feed it until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        channel = await stream.connect()
        try:
            await stream.subscribe(channel)
            while not enough():
                stream.feed(await channel.recv())
        finally:
            await channel.aclose()


async def with_socket(url: str, use: Callable[[ClientConnection], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE), connect(url, proxy=None, ping_interval=None) as socket:
        return await use(socket)


async def frames(url: str, *sent: Any, count: int) -> list[dict[str, Any]]:
    """The first `count` frames after some messages."""

    async def use(socket: ClientConnection) -> list[dict[str, Any]]:
        for message in sent:
            await socket.send(json.dumps(message))
        return [json.loads(await socket.recv()) for _ in range(count)]

    return await with_socket(url, use)


# --- the bot's clients -----------------------------------------------------------------------


def polybolt_credentials(trader: Trader) -> PolyBoltCredentials:
    assert trader.api is not None
    return PolyBoltCredentials(
        api_key=trader.api.key, secret=trader.api.secret, passphrase=trader.api.passphrase
    )


@pytest.mark.parametrize("relay", ["rtds", "polybolt"])
async def test_the_bot_reads_the_settlement_price(
    venue: VenueProcess, trader: Trader, truth: Truth, relay: str
) -> None:
    """Through either relay: two minutes of past and three new seconds, spot and mean, to the last digit."""
    source = ChainlinkSource(
        rtds_url=address(venue, "rtds") if relay == "rtds" else None,
        polybolt_url=address(venue, "polybolt"),
        credentials=polybolt_credentials(trader) if relay == "polybolt" else None,
    )
    (stream,) = source.streams
    await listen(stream, lambda: all(len(source.observations(kind)) >= 123 for kind in PriceKind))
    for kind, right in ((PriceKind.SPOT, truth.spot), (PriceKind.TWAP60, truth.mean)):
        received = source.observations(kind)
        assert [price.price for price in received] == [dollars(right(price.source_ns)) for price in received]
        seconds = [truth.second(price.source_ns) for price in received]
        assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
        assert source.latest(kind).feed == relay


async def test_the_bot_reads_the_binance_stream(venue: VenueProcess, truth: Truth) -> None:
    """Quotes of the stream, at the source's price less the tether basis of their second, within a cent."""
    source = BinanceSource(stream_url=address(venue, "binance_stream"), base_url="http://127.0.0.1:9")
    kinds: list[bool] = []
    await listen(_counting(source, kinds), lambda: len(kinds) >= 2)
    quote = await source.book_ticker()
    # The stream has no time of its quotes: it is one of the last seconds'.
    seconds = [quote.received_ns - back * 10**9 // SPEED for back in range(20)]
    prices = [in_cents(truth.spot(at) * 99_967 // 100_000) for at in seconds]
    assert any(abs(quote.mid - price) <= Decimal("0.01") for price in prices)
    await source.aclose()


def _counting(source: BinanceSource, fed: list[bool]) -> Stream:
    feed = source.feed

    def counted(frame: bytes) -> bool:
        fed.append(feed(frame))
        return fed[-1]

    source.feed = counted  # pyright: ignore[reportAttributeAccessIssue]
    return source


async def test_wrong_credentials_are_final(venue: VenueProcess) -> None:
    """After close code 4001 the bot does not reconnect."""
    wrong = PolyBoltCredentials(api_key="K", secret="S", passphrase="P")
    source = ChainlinkSource(rtds_url=None, polybolt_url=address(venue, "polybolt"), credentials=wrong)
    with pytest.raises(Refused, match="4001"):
        await listen(source.streams[0], lambda: False)


# --- RTDS ------------------------------------------------------------------------------------


def subscription(topic: str, filters: str = "", kind: str = "update") -> dict[str, Any]:
    wanted = {"topic": topic, "type": kind, "filters": filters}
    return {"action": "subscribe", "subscriptions": [wanted]}


@pytest.mark.parametrize(
    ("topic", "filters", "window"),
    [
        ("crypto_prices_chainlink", '{"symbol":"btc/usd"}', None),
        ("crypto_prices_twap_thirty", "", 30),
        ("crypto_prices_twap_sixty", "btc/usd", 60),
    ],
)
async def test_rtds_sends_the_past_and_then_updates(
    venue: VenueProcess, truth: Truth, topic: str, filters: str, window: int | None
) -> None:
    """A snapshot of 120 seconds of type subscribe, then updates with exact values in units of 1e-18 USD."""
    past, update = await frames(address(venue, "rtds"), subscription(topic, filters), count=2)
    assert (past["topic"], past["type"], past["payload"]["symbol"]) == (topic, "subscribe", "btc/usd")
    assert len(past["payload"]["data"]) == 120
    assert set(past["payload"]["data"][0]) == {"timestamp", "value"}
    payload = update["payload"]
    assert (update["topic"], update["type"]) == (topic, "update")
    stamp = payload["timestamp"] * 10**6
    right = truth.spot(stamp) if window is None else truth.mean(stamp, window)
    assert payload["full_accuracy_value"] == str(right * 10**10)
    assert payload["value"] == float(dollars(right))
    assert payload.get("window_s") == window
    assert truth.second(stamp) == truth.second(past["payload"]["data"][-1]["timestamp"] * 10**6) + 1
    assert 0 <= update["timestamp"] - payload["timestamp"] < 2_000


async def test_rtds_relays_binance_with_decimals(venue: VenueProcess, truth: Truth) -> None:
    """The topic crypto_prices has Binance's symbol and the exact value as a decimal text."""
    url = address(venue, "rtds")
    _, update = await frames(url, subscription("crypto_prices", "btcusdt,ethusdt"), count=2)
    right = truth.spot(update["payload"]["timestamp"] * 10**6) * 99_967 // 100_000
    assert update["payload"]["symbol"] == "btcusdt"
    assert update["payload"]["full_accuracy_value"] == f"{dollars(right):.8f}"


async def test_rtds_answers_pings_and_ends_subscriptions(venue: VenueProcess) -> None:
    """Other symbols, unknown topics, broken filters give nothing; PING gives PONG; one can unsubscribe."""

    async def use(socket: ClientConnection) -> list[str]:
        for topic, filters in (
            ("crypto_prices_chainlink", '{"symbol":"eth/usd"}'),
            ("crypto_prices_chainlink", "{"),
            ("comments", ""),
        ):
            await socket.send(json.dumps(subscription(topic, filters)))
        wanted = subscription("crypto_prices_chainlink")
        await socket.send("no json")
        await socket.send(json.dumps(wanted))
        await socket.send(json.dumps({**wanted, "action": "unsubscribe"}))
        await socket.send("PING")
        received: list[str] = []
        while not received or received[-1] != "PONG":
            received.append(str(await socket.recv()))
        return received

    received = await with_socket(address(venue, "rtds"), use)
    assert [json.loads(frame)["type"] for frame in received[:-1]] == ["subscribe"]


# --- PolyBolt --------------------------------------------------------------------------------


def login(trader: Trader) -> dict[str, Any]:
    assert trader.api is not None
    return {"op": "auth", "rid": "a1", "auth": trader.api.wire()}


def channels(*wanted: dict[str, Any], op: str = "subscribe") -> dict[str, Any]:
    return {"op": op, "rid": "s1", "subscriptions": list(wanted)}


TWAP = {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}}
SPOT = {"channel": "price.crypto", "filter": {"symbol": "btcusd"}}


async def test_polybolt_numbers_its_frames(venue: VenueProcess, trader: Trader, truth: Truth) -> None:
    """Authed, subscribed, a snapshot with seq 1, then updates with exact decimals and seq 2 and 3."""
    received = await frames(address(venue, "polybolt"), login(trader), channels(TWAP), count=5)
    authed, subscribed, snapshot, *updates = received
    assert authed == {"op": "authed", "rid": "a1"}
    assert subscribed == {"op": "subscribed", "rid": "s1"}
    assert snapshot["snapshot"] is True
    assert snapshot["payload"].keys() == {"symbol", "source", "window_seconds", "data"}
    assert len(snapshot["payload"]["data"]) == 120
    assert [frame["seq"] for frame in (snapshot, *updates)] == [1, 2, 3]
    for frame in updates:
        payload = frame["payload"]
        right = dollars(truth.mean(payload["timestamp"] * 10**6))
        assert (frame["v"], frame["channel"]) == (1, "price.crypto.twap")
        assert payload["full_accuracy_value"] == f"{right.normalize():f}"
        assert (payload["window_seconds"], payload["source"]) == (60, "chainlink")


async def test_polybolt_filters(venue: VenueProcess, trader: Trader) -> None:
    """Other symbols, providers, windows and channels are accepted and give nothing; no filter gives all."""
    nothing = [
        {"channel": "price.crypto", "filter": {"symbol": "ethusd"}},
        {"channel": "price.crypto", "filter": {"symbol": "btcusd", "source": "pyth"}},
        {"channel": "price.crypto.twap", "filter": {"window_seconds": 45}},
        {"channel": "price.equity"},
    ]
    sent = (login(trader), channels(*nothing), channels({"channel": "price.crypto.twap"}))
    received = await frames(address(venue, "polybolt"), *sent, count=5)
    assert [frame.get("op") for frame in received] == ["authed", "subscribed", "subscribed", None, None]
    assert [frame["payload"]["window_seconds"] for frame in received[3:]] == [30, 60]


async def test_polybolt_ends_subscriptions(venue: VenueProcess, trader: Trader) -> None:
    """After unsubscribing from one of two channels only the other one continues."""
    sent = (login(trader), channels(TWAP, SPOT), channels(TWAP, op="unsubscribe"))
    received = await frames(address(venue, "polybolt"), *sent, count=9)
    ended = next(n for n, frame in enumerate(received) if frame.get("op") == "unsubscribed")
    later = {frame["channel"] for frame in received[ended + 1 :]}
    assert later == {"price.crypto"}


async def closed_with(url: str, *sent: Any) -> int | None:
    """The code that the server closes with."""

    async def use(socket: ClientConnection) -> int | None:
        try:
            for message in sent:
                await socket.send(json.dumps(message))
            while True:
                await socket.recv()
        except ConnectionClosed as ended:
            return ended.rcvd.code if ended.rcvd else None

    return await with_socket(url, use)


async def test_polybolt_closes_on_wrong_credentials_and_too_many_frames(
    venue: VenueProcess, trader: Trader
) -> None:
    """4001 for a wrong secret, for no credentials and for subscribing first; 4008 for 21 frames at once."""
    url = address(venue, "polybolt")
    good = login(trader)
    wrong = {**good, "auth": {**good["auth"], "passphrase": "x"}}
    for sent in (wrong, {"op": "auth"}, channels(SPOT)):
        assert await closed_with(url, sent) == 4001
    assert await closed_with(url, good, *itertools.repeat(channels(), 20)) == 4008


async def test_polybolt_limits_subscriptions(venue: VenueProcess, trader: Trader) -> None:
    """65 subscriptions in one message are an error, and none of them is made."""
    sent = (login(trader), channels(*[SPOT] * 65), channels(TWAP))
    received = await frames(address(venue, "polybolt"), *sent, count=5)
    assert (received[1]["op"], received[1]["code"]) == ("error", "too_many_subscriptions")
    assert {frame["channel"] for frame in received[3:]} == {"price.crypto.twap"}


# --- Binance ---------------------------------------------------------------------------------


async def test_binance_streams_named_in_the_address(venue: VenueProcess, truth: Truth) -> None:
    """/ws/ sends bare events of the one stream, one per market second, in order."""
    url = address(venue, "binance_stream") + "/ws/btcusdt@aggTrade"
    received = await frames(url, count=4)
    assert {frame["e"] for frame in received} == {"aggTrade"}
    assert [frame["a"] for frame in received] == [received[0]["a"] + n for n in range(4)]
    assert all(frame["a"] == truth.second(frame["T"] * 10**6) for frame in received)


async def test_binance_streams_subscribed_later(venue: VenueProcess) -> None:
    """SUBSCRIBE and UNSUBSCRIBE are acknowledged by id, and the remaining streams are listed."""
    names = ["btcusdt@aggTrade", "btcusdt@bookTicker"]
    sent = [
        {"method": "SUBSCRIBE", "params": names, "id": 1},
        {"method": "UNSUBSCRIBE", "params": names[:1], "id": 2},
        {"method": "LIST_SUBSCRIPTIONS", "id": 3},
    ]
    received = await frames(address(venue, "binance_stream") + "/ws", *sent, count=6)
    acknowledged = [frame for frame in received if "id" in frame]
    assert acknowledged == [
        {"result": None, "id": 1},
        {"result": None, "id": 2},
        {"result": ["btcusdt@bookTicker"], "id": 3},
    ]
    assert "b" in received[-1]
    assert "e" not in received[-1]


# --- speed -----------------------------------------------------------------------------------


def feeds_at(speed: float, *, lagging: bool = False) -> tuple[Feeds, ManualClock]:
    clock_control = ManualClock()
    clock = anchored(speed, None, None, clock_control)
    schedule = Schedule(int(clock.market_s()))
    return Feeds(clock, schedule, SyntheticSource(SEED), Faults(), lagging=lagging), clock_control


@pytest.mark.parametrize("speed", [0.5, 1, 15, 20, 21, 60, 333, 1000, 10_000])
def test_streams_stay_below_twenty_messages_a_second(speed: float) -> None:
    """At any speed boundaries of markets are published, and at most twenty observations per second."""
    feeds, _ = feeds_at(speed)
    assert 900 % feeds.step == 0
    assert speed / feeds.step <= MESSAGES_A_SECOND
    assert feeds.step == 1 or speed > MESSAGES_A_SECOND


def test_stamps_are_never_before_their_second() -> None:
    """At speed 15 a timestamp in whole milliseconds, converted by the clock, is in the second that it
    dates."""
    feeds, _ = feeds_at(15)
    start = feeds.now("rtds").second
    anchor = feeds.moment(start).wall_ns
    for second in range(start, start + 2_000):
        back = start + (feeds.moment(second).wall_ms * 10**6 - anchor) * 15 / 10**9
        assert second - 1e-6 <= back < second + 0.0151


def test_relays_are_late_only_if_asked() -> None:
    """With lag the relays publish the price of 1.8 seconds ago, the exchanges the present one; without it
    all do."""
    late, clock_control = feeds_at(1, lagging=True)
    prompt, _ = feeds_at(1)
    start = prompt.now("rtds").second
    clock_control.forward(10)
    assert [late.now(name).second - start for name in ("rtds", "polybolt", "coinbase")] == [8, 8, 10]
    assert prompt.now("rtds").second == start


@pytest.mark.parametrize("lag", [False, True])
def test_the_option_makes_a_venues_relays_late(lag: bool) -> None:
    """With the option the relays have the values that the exchanges had two seconds before."""
    venue = PracticeVenue(SyntheticSource(SEED), VenueOptions(speed=1.0, external_lag=lag), ManualClock())
    feeds = venue.external
    assert feeds is not None
    assert feeds.now("coinbase").second - feeds.now("rtds").second == (2 if lag else 0)
    venue.close()


async def test_a_slow_stream_publishes_later() -> None:
    """With a fault of 0.2 seconds an observation comes that much after its time, by the venue's clock."""
    feeds, clock_control = feeds_at(1)
    feeds.faults.arm("external_slow", None, {"service": "rtds", "seconds": 0.2})
    slow = asyncio.ensure_future(anext(feeds.seconds("rtds")))
    prompt = asyncio.ensure_future(anext(feeds.seconds("polybolt")))
    await asyncio.sleep(0)
    clock_control.forward(1.15)
    assert await asyncio.wait_for(prompt, PATIENCE)
    assert not (await asyncio.wait({slow}, timeout=2 * LONGEST_WAIT))[0]
    clock_control.forward(0.06)
    assert await asyncio.wait_for(slow, PATIENCE) == prompt.result()


async def test_a_stream_stands_with_a_held_clock() -> None:
    """Held it is silent for any time; a step sends the seconds in between, with the step's timestamp."""
    feeds, clock_control = feeds_at(1)
    start = feeds.now("rtds").second
    feeds._clock.hold()
    stream = feeds.seconds("rtds")
    following = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    clock_control.forward(3600)
    assert not (await asyncio.wait({following}, timeout=2 * LONGEST_WAIT))[0]
    stepped_at = clock_control()
    feeds._clock.step_to((start + 100) * 10**9)
    clock_control.forward(0.01)
    received = [await asyncio.wait_for(following, PATIENCE)]
    received += [await asyncio.wait_for(anext(stream), PATIENCE) for _ in range(99)]
    assert received == list(range(start + 1, start + 101))
    assert {feeds.moment(second).wall_ns for second in received} == {stepped_at}
    assert feeds.moment(start - 5).wall_ns == stepped_at - 3605 * 10**9


async def test_a_stream_goes_down_though_the_clock_is_held() -> None:
    """The fault that closes open streams does so at once, not with the next second of market time."""
    feeds, _ = feeds_at(1)
    feeds._clock.hold()
    ended = asyncio.ensure_future(anext(feeds.seconds("rtds"), "closed"))
    await asyncio.sleep(0)
    feeds.faults.arm("external_down", None, {"service": "rtds"})
    assert await asyncio.wait_for(ended, PATIENCE) == "closed"


async def test_a_stream_follows_a_new_speed() -> None:
    """After a change from 15 to 60 its observations are three seconds apart, on multiples of three."""
    feeds, clock_control = feeds_at(15)
    stream = feeds.seconds("rtds")
    start = feeds.now("rtds").second
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    clock_control.forward(0.07)
    assert await asyncio.wait_for(first, PATIENCE) == start + 1
    feeds._clock.set_speed(60)
    clock_control.forward(0.1)
    assert [await asyncio.wait_for(anext(stream), PATIENCE) for _ in range(2)] == [start + 3, start + 6]


async def test_a_stream_skips_what_a_standstill_made_old() -> None:
    """Set forward by a minute it sends every second of it; by an hour, it continues with the present."""
    feeds, clock_control = feeds_at(1)
    start = feeds.now("rtds").second
    stream = feeds.seconds("rtds")
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    clock_control.forward(1.01)
    assert await asyncio.wait_for(first, PATIENCE) == start + 1
    clock_control.forward(60)
    assert [await anext(stream) for _ in range(59)] == list(range(start + 2, start + 61))
    clock_control.forward(3600)
    assert await anext(stream) == start + 3661
    await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue]
