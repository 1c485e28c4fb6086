"""The external services over HTTP: the bot's own clients read the source's values from them."""

import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from process import HTTP, VenueProcess
from synthetic_world import World, dollars, in_cents, open_world

from data_sources.binance import BinanceSource
from data_sources.coinbase import CoinbaseSource
from data_sources.deribit import DeribitSource
from data_sources.deribit.parsers import parse_instrument
from data_sources.news_social import NewsSocialSource
from data_sources.news_social.parsers import classify
from data_sources.solana import SolanaSource
from errors import Refused, Temporary
from venue.external.deribit import EXPIRY_SPREAD, expiries, put_call_ratio
from venue.external.fear_greed import HIGHEST, LOWEST, class_of, value_of

DAY = 86_400


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        opened.clock.forward(123.4)
        yield opened


async def ask(world: World, path: str, **query: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return await client.get(world.url + path, params=query or None)


# --- coinbase --------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 0.9, 500.0, 30_000.25])
async def test_coinbase_answers_the_sources_price(world: World, seconds: float) -> None:
    """At any market time the app's spot is the source's price of that second, in cents."""
    world.clock.forward(seconds)
    source = CoinbaseSource(base_url=world.urls["coinbase"], now_ns=world.clock)
    spot = await source.spot()
    assert spot.price == in_cents(world.spot())
    await source.aclose()


async def test_coinbase_exchange_dates_its_price(world: World) -> None:
    """The ticker's price is the source's, within its one-cent spread, with its own second as timestamp."""
    source = CoinbaseSource(exchange_url=world.urls["coinbase_exchange"], now_ns=world.clock)
    ticker = await source.ticker()
    assert ticker.price == ticker.bid == in_cents(world.spot())
    assert ticker.ask - ticker.bid == Decimal("0.01")
    assert ticker.source_ns == world.clock.ns // 10**9 * 10**9
    assert 7_000 < ticker.volume < 8_000
    await source.aclose()


async def test_coinbase_has_bitcoin_only(world: World) -> None:
    """Another product is not found at either address, with each service's own text."""
    app = await ask(world, "/external/coinbase/v2/prices/ETH-USD/spot")
    exchange = await ask(world, "/external/coinbase-exchange/products/ETH-USD/ticker")
    assert (app.status_code, app.json()["errors"][0]["id"]) == (404, "not_found")
    assert (exchange.status_code, exchange.json()) == (404, {"message": "NotFound"})


# --- deribit ---------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 1, 2, 3, 10])
async def test_deribit_has_the_days_ratio(world: World, days: int) -> None:
    """The client's ratios, overall and near, are the day's, and both have enough contracts."""
    world.clock.forward(days * DAY)
    source = DeribitSource(base_url=world.urls["deribit"], now_ns=world.clock)
    ratios = await source.put_call()
    expected = put_call_ratio(world.source.seed, days)
    assert ratios.overall == pytest.approx(expected, rel=2 * EXPIRY_SPREAD)
    assert ratios.short == pytest.approx(expected, rel=2 * EXPIRY_SPREAD)
    assert ratios.source_ns == world.clock.ns // 1000 * 1000
    assert ratios.put_open_interest + ratios.call_open_interest > 10_000
    await source.aclose()


def test_days_of_crowded_puts_calls_and_neither_all_occur() -> None:
    """Over 60 days the ratio is bullish, bearish and neutral, each on at least ten, and never on the edge."""
    ratios = [put_call_ratio(57, day) for day in range(60)]
    bullish, bearish = sum(r >= 1.25 for r in ratios), sum(r <= 0.66 for r in ratios)
    neutral = sum(0.75 <= r <= 1.15 for r in ratios)
    assert bullish + bearish + neutral == 60
    assert min(bullish, bearish, neutral) >= 10


async def test_deribits_chain_looks_like_the_exchanges(world: World) -> None:
    """A few hundred options at this spot price, all expiring later at 08:00 UTC, calls cheaper with the
    strike."""
    answer = await ask(
        world, "/external/deribit/api/v2/public/get_book_summary_by_currency", currency="BTC", kind="option"
    )
    rows: list[dict[str, Any]] = answer.json()["result"]
    assert 200 < len(rows) < 500
    for row in rows:
        option = parse_instrument(row["instrument_name"])
        assert option is not None
        assert option.expiry_ns > world.clock.ns
        assert row["open_interest"] >= 0
        assert row["underlying_price"] == float(in_cents(world.spot()))
        assert row["bid_price"] is None or 0 < row["bid_price"] < row["ask_price"]
    assert len({row["instrument_name"] for row in rows}) == len(rows)
    assert {row["bid_price"] is None for row in rows} == {True, False}
    calls = [row for row in rows if row["instrument_name"].endswith("-C")]
    first = [row["mark_price"] for row in calls if row["underlying_index"] == calls[0]["underlying_index"]]
    assert first == sorted(first, reverse=True)


async def test_deribit_answers_other_questions_too(world: World) -> None:
    """Other currencies have nothing, a missing currency is a JSON-RPC error."""
    path = "/external/deribit/api/v2/public/get_book_summary_by_currency"
    assert (await ask(world, path, currency="ETH", kind="option")).json()["result"] == []
    missing = await ask(world, path)
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, -32602)


@given(st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - made aware below
@settings(max_examples=examples(200), deadline=None)
def test_expiries_are_always_ahead_and_at_eight(naive: datetime) -> None:
    """At any moment: in order, each once, at 08:00 UTC, the next within a day, three within three days."""
    now = naive.replace(tzinfo=UTC)
    found = expiries(now)
    assert found == sorted(set(found))
    assert all((e.hour, e.minute, e.second, e.microsecond) == (8, 0, 0, 0) for e in found)
    assert now < found[0] <= now + timedelta(days=1)
    assert sum(e <= now + timedelta(days=3) for e in found) == 3
    assert found[-1] > now + timedelta(days=180)


# --- fear & greed ----------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 1, 5])
async def test_fear_and_greed_has_one_value_a_day(world: World, days: int) -> None:
    """The client reads the day's value with the index's own classification, published at the last
    midnight."""
    world.clock.forward(days * DAY)
    source = NewsSocialSource(base_url=world.urls["fear_greed"], now_ns=world.clock)
    mood = await source.sentiment()
    assert mood.score == value_of(world.source.seed, days)
    assert mood.classification == classify(mood.score)
    assert mood.source_ns == world.clock.ns // 10**9 // DAY * DAY * 10**9
    await source.aclose()


async def test_fear_and_greed_counts_down_in_machine_seconds() -> None:
    """On a clock fifteen times as fast the next midnight of market time is fifteen times as near."""
    async with open_world(speed=15.0) as world:
        world.clock.forward(60)
        left = DAY - world.venue.clock.market_s() % DAY
        answer = (await ask(world, "/external/fng/fng/")).json()
        assert int(answer["data"][0]["time_until_update"]) == pytest.approx(left / 15, abs=1)
        source = NewsSocialSource(base_url=world.urls["fear_greed"], now_ns=world.clock)
        before = await source.sentiment()
        world.clock.forward(left / 15 - 2)
        assert await source.sentiment() is before
        world.clock.forward(4)
        assert (await source.sentiment()).score == value_of(world.source.seed, 1)
        await source.aclose()


async def test_fear_and_greed_has_a_past(world: World) -> None:
    """With a limit the days before are included, newest first, and only the newest has a countdown."""
    data = (await ask(world, "/external/fng/fng/", limit="4")).json()["data"]
    assert [row["value"] for row in data] == [str(value_of(world.source.seed, -ago)) for ago in range(4)]
    assert ["time_until_update" in row for row in data] == [True, False, False, False]
    assert int(data[0]["timestamp"]) - int(data[3]["timestamp"]) == 3 * DAY
    assert (await ask(world, "/external/fng/fng/", limit="x")).status_code == 400


def test_moods_reach_all_classes_and_change_slowly() -> None:
    """Over three years all five classes occur, within the bounds, and a day changes the index by 40 at
    most."""
    values = [value_of(57, day) for day in range(1000)]
    assert {class_of(value) for value in values} == {
        "Extreme Fear",
        "Fear",
        "Neutral",
        "Greed",
        "Extreme Greed",
    }
    assert LOWEST <= min(values) < max(values) <= HIGHEST
    assert max(abs(a - b) for a, b in itertools.pairwise(values)) <= 45


# --- binance ---------------------------------------------------------------------------------


async def test_binance_quotes_a_little_below_the_dollar(world: World) -> None:
    """The mid is the source's price less the tether basis of 0.033 percent, within a cent."""
    source = BinanceSource(base_url=world.urls["binance"], now_ns=world.clock)
    quote = await source.book_ticker()
    assert quote.ask - quote.bid == Decimal("0.01")
    expected = dollars(world.spot()) * (1 - Decimal("0.00033"))
    assert abs(quote.mid - expected) <= Decimal("0.01")
    await source.aclose()


async def test_binance_trades_follow_the_path(world: World) -> None:
    """The last three trades are those of the last three seconds, and the taker sold where the price fell."""
    answer = await ask(world, "/external/binance/api/v3/aggTrades", symbol="BTCUSDT", limit="3")
    trades = answer.json()
    index, second = world.now
    path = [world.source.spot(index, second - back) * 99_967 // 100_000 for back in (3, 2, 1, 0)]
    assert [Decimal(trade["p"]) for trade in trades] == [in_cents(price) for price in path[1:]]
    fell = [b < a for a, b in itertools.pairwise(path)]
    assert [trade["m"] for trade in trades] == fell
    assert [world.clock.ns // 10**9 - trade["T"] // 1000 for trade in trades] == [2, 1, 0]


async def test_binance_answers_its_other_questions(world: World) -> None:
    """All symbols, the plain price, trades from a number on, the time; and its own errors."""
    api = "/external/binance/api/v3"
    quoted = (await ask(world, f"{api}/ticker/bookTicker", symbol="BTCUSDT")).json()
    assert (await ask(world, f"{api}/ticker/bookTicker")).json() == [quoted]
    assert quoted["bidPrice"] <= (await ask(world, f"{api}/ticker/price")).json()[0]["price"]
    newest = (await ask(world, f"{api}/aggTrades", symbol="BTCUSDT", limit="1")).json()[0]
    since = await ask(world, f"{api}/aggTrades", symbol="BTCUSDT", fromId=str(newest["a"] - 9), limit="4")
    assert [row["a"] for row in since.json()] == [newest["a"] - 9 + n for n in range(4)]
    assert len((await ask(world, f"{api}/aggTrades", symbol="BTCUSDT", limit="5000")).json()) == 1000
    assert (await ask(world, f"{api}/time")).json() == {"serverTime": world.clock.ns // 10**6}
    for path, query in ((f"{api}/ticker/price", "symbol=X"), (f"{api}/aggTrades", "symbol=X")):
        assert (await ask(world, f"{path}?{query}")).json() == {"code": -1121, "msg": "Invalid symbol."}
    assert (await ask(world, f"{api}/aggTrades", symbol="BTCUSDT", limit="-1")).json()["code"] == -1100


# --- solana ----------------------------------------------------------------------------------


async def test_pyths_account_holds_the_exact_price(world: World) -> None:
    """Decoded from the account's bytes: the source's price to the last digit, trading, a few slots old."""
    source = SolanaSource(base_url=world.urls["solana"], now_ns=world.clock)
    price = await source.pyth_price()
    assert price.price == dollars(world.spot())
    assert price.confidence == pytest.approx(price.price / 20_000, rel=Decimal("0.001"))
    assert price.trading
    assert 0 <= price.slot - price.pub_slot <= 3
    assert price.source_ns == world.clock.ns // 10**9 * 10**9
    assert (await source.spot()).price == price.price
    await source.aclose()


async def test_the_chain_is_well(world: World) -> None:
    """2.5 slots pass per second of machine time, the block's time is now, transactions run in thousands."""

    async def result(method: str, *params: object) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            return (await client.post(world.urls["solana"], json=call)).json()["result"]

    slot = await result("getSlot")
    assert abs(await result("getBlockTime", slot) - world.clock.ns // 10**9) <= 2
    (sample,) = await result("getRecentPerformanceSamples", 1)
    assert 2_500 <= sample["numTransactions"] / sample["samplePeriodSecs"] <= 4_000
    world.clock.forward(40)
    assert await result("getSlot") == slot + 100


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "getEverything"}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "getAccountInfo", "params": ["x"]}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "getAccountInfo"}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "getBlockTime", "params": []}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "getBlockTime", "params": [10**12]}, -32004),
        ({"jsonrpc": "2.0", "id": 1, "method": "getRecentPerformanceSamples", "params": [721]}, -32602),
        ({"id": 1}, -32600),
        (b"{", -32700),
    ],
)
async def test_a_bad_call_is_an_error_of_the_rpc(world: World, call: Any, code: int) -> None:
    """Every mistake has its code in a 200 answer, as JSON-RPC requires."""
    body = call if isinstance(call, bytes) else json.dumps(call)
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        answer = await client.post(world.urls["solana"] + "/", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)


async def test_calls_can_come_in_a_batch(world: World) -> None:
    """Two calls in one request are answered in order, an unknown account with null."""
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "getSlot"},
        {"jsonrpc": "2.0", "id": 2, "method": "getAccountInfo", "params": ["x", {"encoding": "base64"}]},
    ]
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        first, second = (await client.post(world.urls["solana"], json=calls)).json()
    assert (first["id"], second["id"]) == (1, 2)
    assert second["result"]["value"] is None
    assert second["result"]["context"]["slot"] == first["result"]


# --- all services ----------------------------------------------------------------------------

EVERYTHING = (
    "/external/coinbase/v2/prices/BTC-USD/spot",
    "/external/coinbase-exchange/products/BTC-USD/ticker",
    "/external/deribit/api/v2/public/get_book_summary_by_currency?currency=BTC&kind=option",
    "/external/fng/fng/?limit=3",
    "/external/binance/api/v3/ticker/bookTicker?symbol=BTCUSDT",
    "/external/binance/api/v3/aggTrades?symbol=BTCUSDT&limit=20",
)


async def test_a_seed_gives_the_same_answers_at_the_same_time(world: World) -> None:
    """Two venues of one seed give byte for byte the same answers; one of another seed none of them."""
    async with open_world() as twin, open_world(seed=world.source.seed + 1) as stranger:
        for other in (twin, stranger):
            other.clock.forward(123.4)
        for path in EVERYTHING:
            own = (await ask(world, path)).content
            assert (await ask(twin, path)).content == own
            assert (await ask(stranger, path)).content != own


async def test_an_unknown_address_is_404_in_json(world: World) -> None:
    """No service answers on another one's path."""
    answer = await ask(world, "/external/coinbase/v2/time")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "no external service has GET /external/coinbase/v2/time"},
    )


async def test_asking_the_services_leaves_no_trace_in_the_venues_log(world: World) -> None:
    """The venue logs only its own requests: a bot requests prices every second."""
    await ask(world, EVERYTHING[0])
    await ask(world, "/ok")
    assert [entry.path for entry in world.venue.requests] == ["/ok"]


@pytest.mark.parametrize("path", [*EVERYTHING, "/external/rtds", "/external/polybolt/ws", "/external/x"])
def test_recorded_markets_have_no_outside_world(practice_venue: VenueProcess, path: str) -> None:
    """On a venue with recordings every address below /external is 404 and names the source that has it."""
    answer = HTTP.get(practice_venue.url + path)
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "this venue has no external services: they are available with --source synthetic only"
    }
    assert "external" not in practice_venue.ready["source"]


async def test_a_value_that_will_never_come_is_an_error(world: World) -> None:
    """The bot's clients treat a 404 as permanent, and do not repeat the request at once."""
    source = BinanceSource("eth", base_url=world.urls["binance"], now_ns=world.clock)
    with pytest.raises(Refused, match="Invalid symbol"):
        await source.book_ticker()
    await source.aclose()
    other = SolanaSource("eth", base_url=world.urls["solana"], now_ns=world.clock)
    with pytest.raises(Temporary, match="value is not an object"):
        await other.spot()
    await other.aclose()
