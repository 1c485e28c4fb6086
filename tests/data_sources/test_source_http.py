"""Sources against a real server with every kind of faulty answer."""

import asyncio
import logging
import time
from collections.abc import Callable
from decimal import Decimal

import feed_payloads as p
import pytest
from feed_servers import HTML, Host

from data_sources import transport
from data_sources.binance import BinanceSource
from data_sources.coinbase import CoinbaseSource
from data_sources.deribit import DeribitSource
from data_sources.news_social import NewsSocialSource
from data_sources.solana import SolanaSource
from data_sources.transport import HttpFetcher, retry_after_s
from data_sources.types import MalformedPayload, RateLimited
from errors import Refused, Temporary

SPOT_PATH = "/v2/prices/BTC-USD/spot"
TICKER_PATH = "/products/BTC-USD/ticker"
CHAIN_PATH = "/api/v2/public/get_book_summary_by_currency"
PATIENT_S = 60.0
"""Timeout of requests that are answered."""


class Clock:
    """A machine clock that is set by the test."""

    def __init__(self, now_ns: int = p.NOW_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


@pytest.fixture
async def clock():
    return Clock()


@pytest.fixture
async def fetcher(host: Host, clock: Clock):
    made = HttpFetcher("test", host.url, now_ns=clock, timeout_s=PATIENT_S)
    yield made
    await made.aclose()


@pytest.fixture
async def hasty(host: Host, clock: Clock):
    """A fetcher for answers that never come in time; with others a busy machine would be late as well."""
    made = HttpFetcher("test", host.url, now_ns=clock, timeout_s=0.3)
    yield made
    await made.aclose()


async def test_answers_are_recorded_as_they_were_received(host: Host, clock: Clock):
    """Every 200 answer is passed on with the source's name, the path without parameters, and its bytes."""
    seen: list[tuple[str, bytes]] = []
    fetcher = HttpFetcher("test", host.url, now_ns=clock, received=lambda *text: seen.append(text))
    host.answer("/a", b'{"x": 1.10}')
    await fetcher.get("/a", {"key": "secret"})
    with pytest.raises(Refused):
        await fetcher.get("/missing")
    await fetcher.aclose()
    assert seen == [("test/a", b'{"x": 1.10}')]


@pytest.fixture
async def coinbase(host: Host, clock: Clock):
    made = CoinbaseSource(base_url=host.url, exchange_url=host.url, now_ns=clock, timeout_s=PATIENT_S)
    yield made
    await made.aclose()


@pytest.fixture
async def deribit(host: Host, clock: Clock):
    made = DeribitSource(base_url=host.url, now_ns=clock, timeout_s=PATIENT_S)
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (400, Refused, "HTTP 400"),
        (401, Refused, "wrong key"),
        (403, Refused, "forbidden"),
        (404, Refused, "not found"),
        (451, Refused, "not available in this country"),
        (302, Temporary, "HTTP 302"),
        (429, RateLimited, "retry after 5 s"),
        (500, Temporary, "HTTP 500"),
        (502, Temporary, "HTTP 502"),
        (503, Temporary, "HTTP 503"),
    ],
)
async def test_each_status_has_its_meaning(
    host: Host, fetcher: HttpFetcher, status: int, error: type[Exception], text: str
) -> None:
    """A status is temporary or final, and the text names source, address and the answer."""
    host.answer("/x", HTML, status=status)
    with pytest.raises(error, match=text) as caught:
        await fetcher.get("/x")
    assert type(caught.value) is error
    assert f"test: GET {host.url}/x" in str(caught.value)


async def test_slow_answer_is_temporary_in_time(host: Host, hasty: HttpFetcher) -> None:
    """A server that takes ten minutes costs the timeout only."""
    host.answer("/x", b"{}", delay_s=600)
    began = time.monotonic()
    with pytest.raises(Temporary, match=r"no complete answer within 0.3 s"):
        await hasty.get("/x")
    assert time.monotonic() - began < 30


async def test_dripping_answer_is_temporary_in_time(host: Host, hasty: HttpFetcher) -> None:
    """The timeout applies to the whole answer, not to each of its bytes."""
    host.drip("/x", 0.05)
    with pytest.raises(Temporary, match="no complete answer"):
        await hasty.get("/x")


async def test_reset_connection_is_temporary(host: Host, fetcher: HttpFetcher) -> None:
    """A connection reset before or within the answer is temporary."""
    host.drop("/x")
    host.drop("/y", b'{"data":')
    with pytest.raises(Temporary):
        await fetcher.get("/x")
    with pytest.raises(Temporary):
        await fetcher.get("/y")


async def test_a_closed_port_is_temporary(clock: Clock) -> None:
    """A host that is down is a temporary error."""
    closed = await Host().start()
    await closed.aclose()
    fetcher = HttpFetcher("test", closed.url, now_ns=clock)
    with pytest.raises(Temporary, match="ConnectError"):
        await fetcher.get("/x")
    await fetcher.aclose()


async def test_address_that_is_none_is_refused(clock: Clock) -> None:
    """A wrong scheme is a permanent error."""
    fetcher = HttpFetcher("test", "htp://127.0.0.1:1", now_ns=clock)
    with pytest.raises(Refused):
        await fetcher.get("/x")
    await fetcher.aclose()


async def test_endless_answer_is_cut_off(host: Host, clock: Clock) -> None:
    """More than eight megabytes are not read."""
    host.answer("/x", b" " * 8_000_001)
    fetcher = HttpFetcher("test", host.url, now_ns=clock, timeout_s=20)
    with pytest.raises(MalformedPayload, match="larger than"):
        await fetcher.get("/x")
    await fetcher.aclose()


async def test_retry_after_is_kept(host: Host, fetcher: HttpFetcher, clock: Clock) -> None:
    """After a 429 there is no request for the stated time, and then there is one again."""
    host.answer("/x", b"", status=429, headers={"Retry-After": "7"})
    with pytest.raises(RateLimited) as first:
        await fetcher.get("/x")
    host.answer("/x", b"{}")
    clock.advance(6.5)
    with pytest.raises(RateLimited, match=r"another 0.5 s") as second:
        await fetcher.get("/x")
    assert (first.value.retry_after_s, second.value.retry_after_s, host.count("/x")) == (7.0, 0.5, 1)
    clock.advance(0.6)
    assert (await fetcher.get("/x")).body == b"{}"


async def test_clock_put_back_does_not_silence_a_host(host: Host, fetcher: HttpFetcher, clock: Clock) -> None:
    """A pause extended to hours by a clock change is dropped."""
    host.answer("/x", b"", status=429, headers={"Retry-After": "7"})
    with pytest.raises(RateLimited):
        await fetcher.get("/x")
    host.answer("/x", b"{}")
    clock.advance(-7200)
    assert (await fetcher.get("/x")).body == b"{}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12", 12.0),
        ("999999", 300.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", 5.0),
        ("²", 5.0),
        ("", 5.0),
        (None, 5.0),
    ],
)
def test_retry_after_header_is_read_in_both_forms(value: str | None, seconds: float) -> None:
    """Seconds, dates, invalid text and no header."""
    assert retry_after_s(value, p.NOW_NS) == seconds


async def test_throttle_comes_before_every_request(host: Host, clock: Clock) -> None:
    """The limiter is called once per request, and before it."""
    turns: list[int] = []

    async def throttle() -> None:
        turns.append(len(host.hits))

    fetcher = HttpFetcher("test", host.url, now_ns=clock, throttle=throttle)
    host.answer("/x", b"{}")
    await fetcher.get("/x")
    await fetcher.get("/x")
    assert turns == [0, 1]
    await fetcher.aclose()


async def test_coinbase_spot(host: Host, coinbase: CoinbaseSource) -> None:
    """The app's price, dated by the cache's Age header."""
    host.answer(SPOT_PATH, p.COINBASE_SPOT, headers={"Age": "3"})
    spot = await coinbase.spot()
    assert (spot.price, spot.received_ns - spot.source_ns) == (Decimal("68923.67"), 3_000_000_000)


@pytest.mark.parametrize("bad", [HTML, b"", p.COINBASE_SPOT[:30], b'{"data":{"amount":"NaN"}}'])
async def test_coinbase_falls_back_to_the_exchange(host: Host, coinbase: CoinbaseSource, bad: bytes) -> None:
    """After HTML, an empty or truncated answer and NaN from the app the exchange is used."""
    host.answer(SPOT_PATH, bad)
    host.answer(TICKER_PATH, p.COINBASE_TICKER)
    assert (await coinbase.spot()).source_ns == p.NOW_NS - 1_455_222_000


async def test_coinbase_does_not_ask_a_dead_api_first(
    host: Host, coinbase: CoinbaseSource, clock: Clock
) -> None:
    """For half a minute after a failure the exchange comes first; then the app is tried again."""
    host.answer(SPOT_PATH, b"", status=500)
    host.answer(TICKER_PATH, p.COINBASE_TICKER)
    await coinbase.spot()
    await coinbase.spot()
    assert host.hits == [SPOT_PATH, TICKER_PATH, TICKER_PATH]
    clock.advance(31)
    await coinbase.spot()
    assert host.hits[3:] == [SPOT_PATH, TICKER_PATH]


async def test_coinbase_without_any_answer_names_both_reasons(host: Host, coinbase: CoinbaseSource) -> None:
    """If neither answers the error names both; it is a refusal only if both refuse."""
    host.answer(SPOT_PATH, b"", status=500)
    with pytest.raises(Temporary, match=r"HTTP 500.*; .*HTTP 404"):
        await coinbase.spot()
    host.answer(SPOT_PATH, b"", status=451)
    with pytest.raises(Refused, match="HTTP 451"):
        await coinbase.spot()


@pytest.mark.parametrize(
    ("build", "asset"),
    [(CoinbaseSource, "pepe"), (DeribitSource, "doge"), (BinanceSource, "hype"), (SolanaSource, "xrp")],
)
def test_asset_a_source_does_not_have_is_refused(build: Callable[[str], object], asset: str) -> None:
    """An unsupported symbol is refused when the source is created, and the text lists the supported ones."""
    with pytest.raises(Refused, match=f"{asset}.*btc"):
        build(asset)


async def test_deribit_asks_for_the_right_currency(host: Host, clock: Clock) -> None:
    """Linear options are listed under USDC."""
    source = DeribitSource("sol", base_url=host.url, now_ns=clock)
    rows = [p.option("SOL_USDC-23NOV26-150-P", 100.0), p.option("SOL_USDC-23NOV26-150-C", 50.0)]
    host.answer(CHAIN_PATH, p.book_summary(*rows, p.option("XRP_USDC-23NOV26-2d5-P", 900.0)))
    assert (await source.put_call()).overall == 2.0
    assert host.queries == [{"currency": "USDC", "kind": "option"}]
    await source.aclose()


async def test_deribit_success_is_cached_for_its_time(
    host: Host, deribit: DeribitSource, clock: Clock
) -> None:
    """One request per 300 seconds."""
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    first = await deribit.put_call()
    clock.advance(299.9)
    assert await deribit.put_call() is first
    clock.advance(0.2)
    await deribit.put_call()
    assert host.count(CHAIN_PATH) == 2


async def test_deribit_failure_is_cached_too(host: Host, deribit: DeribitSource, clock: Clock) -> None:
    """A failing Deribit is requested once per 30 seconds, so that a decision never waits for it twice."""
    host.answer(CHAIN_PATH, HTML)
    for _ in range(3):
        with pytest.raises(MalformedPayload, match="HTML"):
            await deribit.put_call()
    assert host.count(CHAIN_PATH) == 1
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    clock.advance(30.1)
    assert (await deribit.put_call()).overall > 0
    assert host.count(CHAIN_PATH) == 2


async def test_value_is_renewed_ahead_while_the_old_one_serves(
    host: Host, deribit: DeribitSource, clock: Clock
) -> None:
    """Keep-warm replaces a value before it expires; if it fails the old one stays in use."""
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    first = await deribit.put_call()
    clock.advance(250)
    host.answer(CHAIN_PATH, b"", status=500)
    with pytest.raises(Temporary):
        await deribit.put_call(min_left_s=60)
    assert await deribit.put_call() is first
    assert await deribit.put_call(min_left_s=60) is first, "the failure is remembered"
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    clock.advance(31)
    assert await deribit.put_call(min_left_s=60) is not first
    assert host.count(CHAIN_PATH) == 3


async def test_many_askers_make_one_request(host: Host, deribit: DeribitSource) -> None:
    """Callers during a request receive its answer."""
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    answers = await asyncio.gather(*(deribit.put_call() for _ in range(5)))
    assert host.count(CHAIN_PATH) == 1
    assert all(answer is answers[0] for answer in answers)


async def test_cancelled_asker_does_not_stop_the_next(host: Host, deribit: DeribitSource) -> None:
    """A cancelled request does not block another one."""
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN, delay_s=10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await deribit.put_call()
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    assert (await deribit.put_call()).overall > 0


async def test_clock_put_back_empties_the_cache(host: Host, deribit: DeribitSource, clock: Clock) -> None:
    """A value from the future is fetched again."""
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    await deribit.put_call()
    clock.advance(-10)
    await deribit.put_call()
    assert host.count(CHAIN_PATH) == 2


async def test_fear_greed_is_cached_for_the_index_own_lifetime(host: Host, clock: Clock) -> None:
    """Requested once in the twelve hours of the lifetime that the index states."""
    source = NewsSocialSource(base_url=host.url, now_ns=clock)
    host.answer("/fng/", p.FEAR_GREED)
    assert (await source.sentiment()).source == "fear_greed"
    clock.advance(43_199)
    await source.sentiment()
    assert host.count("/fng/") == 1
    clock.advance(2)
    await source.sentiment()
    assert host.count("/fng/") == 2
    await source.aclose()


async def test_news_need_a_key(host: Host, clock: Clock) -> None:
    """Without a key CryptoPanic is never requested."""
    source = NewsSocialSource(base_url=host.url, news_url=host.url, now_ns=clock)
    with pytest.raises(Refused, match="CRYPTOPANIC_API_KEY"):
        await source.news()
    assert host.hits == []
    await source.aclose()


@pytest.mark.parametrize(("key", "loads"), [("", 0), ("topsecret", 1)])
async def test_certificates_are_loaded_for_news_that_can_be_requested(
    key: str, loads: int, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading them takes a fiftieth of a start; an index on this machine needs none."""
    loaded: list[bool] = []
    monkeypatch.setattr(transport, "trust_store", lambda: loaded.append(True) or False)
    source = NewsSocialSource(base_url=host.url, news_url="https://news.example", cryptopanic_key=key)
    await source.aclose()
    assert len(loaded) == loads


async def test_news_join_the_mood_and_their_failure_does_not_spoil_it(
    host: Host, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """With a key the sentiment is a blend, without an answer the index alone; the key is not in the log."""
    source = NewsSocialSource(base_url=host.url, news_url=host.url, cryptopanic_key="topsecret", now_ns=clock)
    host.answer("/fng/", p.FEAR_GREED)
    with caplog.at_level(logging.INFO):
        assert (await source.sentiment()).source == "fear_greed"
        host.answer("/api/v1/posts/", p.CRYPTOPANIC)
        clock.advance(31)
        mood = await source.sentiment()
    assert mood.score == pytest.approx(0.7 * 22 + 0.3 * 60)
    assert host.queries[-1] == {"auth_token": "topsecret", "currencies": "BTC", "public": "true"}
    assert "/api/v1/posts/" in caplog.text, "the request log must be on for this test to mean anything"
    assert "topsecret" not in caplog.text
    await source.aclose()


async def test_binance_rest(host: Host, clock: Clock) -> None:
    """The mid of the best bid and ask over REST."""
    source = BinanceSource(base_url=host.url, now_ns=clock)
    host.answer("/api/v3/ticker/bookTicker", p.BINANCE_BOOK)
    assert (await source.spot()).price == Decimal("68930.02")
    assert host.queries == [{"symbol": "BTCUSDT"}]
    await source.aclose()


async def test_binance_in_a_forbidden_country_is_refused(host: Host, clock: Clock) -> None:
    """451 is a refusal with that reason."""
    source = BinanceSource(base_url=host.url, now_ns=clock)
    host.answer("/api/v3/ticker/bookTicker", b"restricted location", status=451)
    with pytest.raises(Refused, match=r"not available in this country.*restricted location"):
        await source.spot()
    await source.aclose()


async def test_binance_stream_is_used_only_while_fresh(host: Host, clock: Clock) -> None:
    """A streamed quote is used for five seconds, then REST is requested."""
    source = BinanceSource(base_url=host.url, now_ns=clock)
    host.answer("/api/v3/ticker/bookTicker", p.BINANCE_BOOK)
    assert source.feed(p.BINANCE_STREAM_BOOK)
    assert not source.feed(p.BINANCE_STREAM_TRADE)
    assert not source.feed(b'{"result":null,"id":1}')
    await source.spot()
    assert host.hits == []
    clock.advance(5.1)
    await source.spot()
    assert len(host.hits) == 1
    await source.aclose()


@pytest.fixture
async def solana(host: Host, clock: Clock):
    made = SolanaSource(base_url=host.url, now_ns=clock)
    yield made
    await made.aclose()


async def test_pyth_spot(host: Host, solana: SolanaSource) -> None:
    """The on-chain price through a node."""
    host.answer_rpc({"getAccountInfo": p.pyth_answer()})
    spot = await solana.spot()
    assert (spot.source, spot.price) == ("pyth", Decimal("68923.456"))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (p.pyth_answer(slot=p.SLOT + 22), "26 slots old"),
        (p.pyth_answer(p.pyth_account(status=0)), "not trading"),
        (p.pyth_answer(p.pyth_account(confidence=200_000_000_000)), "confidence interval of ± 2000"),
        (p.pyth_answer(owner="11111111111111111111111111111111"), "belongs to 1111"),
        (p.pyth_answer(b"\x00" * 240), "not a version 2 price account"),
        (p.body({"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "behind"}}), "behind"),
        (p.rpc({"context": {"slot": 1}, "value": None}), "value is not an object"),
    ],
)
async def test_pyth_price_that_must_not_be_used(
    host: Host, solana: SolanaSource, answer: bytes, text: str
) -> None:
    """Old, halted, uncertain, foreign or absent: each is an error with its reason."""
    host.answer_rpc({"getAccountInfo": answer})
    with pytest.raises(Temporary, match=text):
        await solana.spot()


async def test_pooled_connection_is_reused(host: Host, coinbase: CoinbaseSource) -> None:
    """Ten requests come from one client port, so over one connection."""
    host.answer(SPOT_PATH, p.COINBASE_SPOT)
    for _ in range(10):
        await coinbase.spot()
    assert len(host.client_ports) == 1
