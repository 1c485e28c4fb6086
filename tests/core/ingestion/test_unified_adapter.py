"""The adapter with real sources and real loopback servers, healthy and faulty."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import feed_payloads as p  # pyright: ignore[reportMissingImports]
import msgspec
import pytest
from feed_servers import HTML, Host, socket_server, until  # pyright: ignore[reportMissingImports]
from ledger_builders import market
from websockets.asyncio.server import ServerConnection

from core.ingestion.adapters.checked_sources import CheckedSources, same_clock
from core.ingestion.adapters.unified_adapter import Externals, RefreshedValues, UnifiedDataAdapter
from core.ingestion.factory import FeedSettings, build_data_adapter, get_data_adapter, reset_data_adapter
from core.ingestion.feed_urls import FeedUrls
from core.ingestion.managers.rate_limiter import RateLimiter
from core.ingestion.managers.websocket_manager import Backoff, StreamState
from core.ingestion.validators.data_validator import DataValidator
from core.strategy_brain.fair_value import FairValue, fair_value
from data_sources.binance import BinanceSource
from data_sources.chainlink import ChainlinkSource, PolyBoltCredentials
from data_sources.coinbase import CoinbaseSource
from data_sources.deribit import DeribitSource
from data_sources.news_social import NewsSocialSource
from data_sources.solana import SolanaSource
from data_sources.transport import Received
from data_sources.types import ChainPrice, PriceKind
from errors import Refused, Temporary
from models import Rule, Strike, Tick

SPOT_PATH = "/v2/prices/BTC-USD/spot"
CHAIN_PATH = "/api/v2/public/get_book_summary_by_currency"
START = p.NOW_S
assert START % 900 == 0, "the payloads' clock stands at the start of a market"


class Clock:
    """A clock with the machine's speed from a chosen moment, or faster."""

    def __init__(self, second: float = 0.0, speed: float = 1.0) -> None:
        self._begin_s = START + second
        self._began = time.monotonic_ns()
        self._speed = speed
        self.offset_ns = 0
        self.stands_still = False

    def wall(self) -> int:
        passed_ns = 0 if self.stands_still else time.monotonic_ns() - self._began
        return p.NOW_NS + passed_ns + self.offset_ns

    def market(self, now_ns: int) -> float:
        return self._begin_s + (now_ns - p.NOW_NS) / 1e9 * self._speed


def _healthy(host: Host, price: str = "68923.67") -> None:
    host.answer(SPOT_PATH, p.COINBASE_SPOT.replace(b"68923.67", price.encode()))
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN)
    host.answer("/fng/", p.FEAR_GREED)


@asynccontextmanager
async def _adapter(
    host: Host,
    clock: Clock | None = None,
    *,
    chainlink: ChainlinkSource | None = None,
    binance: BinanceSource | None = None,
    solana: SolanaSource | None = None,
    backoff: Backoff | None = None,
    deribit: bool = True,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    received: Received | None = None,
) -> AsyncIterator[UnifiedDataAdapter]:
    clock = clock or Clock()
    wall = clock.wall
    sources = CheckedSources(
        coinbase=CoinbaseSource(base_url=host.url, exchange_url=host.url, now_ns=wall),
        deribit=DeribitSource(base_url=host.url, now_ns=wall) if deribit else None,
        news_social=NewsSocialSource(base_url=host.url, now_ns=wall),
        chainlink=chainlink,
        binance=binance,
        solana=solana,
        validator=DataValidator("btc", wall),
        unavailable={} if deribit else {"deribit": "deribit: no symbol for asset 'doge'"},
        now_ns=wall,
        market_time=clock.market,
    )
    adapter = UnifiedDataAdapter(
        interval=900,
        sources=sources,
        backoff=backoff,
        now_ns=wall,
        market_time=clock.market,
        sleep=sleep,
        received=received,
    )
    try:
        yield adapter
    finally:
        await adapter.aclose()
    assert _asking() == []


def _strike(adapter: UnifiedDataAdapter, rule: Rule = Rule.TWAP60) -> Strike | None:
    found = adapter._find_strike(START, rule)
    return found if isinstance(found, Strike) else None


def _asking() -> list[str]:
    """Tasks of the adapter that are running."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith(("UnifiedDataAdapter", "CheckedSources"))]


async def test_all_there(host: Host) -> None:
    """With every source healthy only the strike is absent, which is not known yet."""
    _healthy(host)
    async with _adapter(host) as adapter:
        seen = await adapter.refresh()
    assert seen.spot is not None
    assert seen.put_call is not None
    assert seen.sentiment is not None
    assert (seen.spot.price, seen.sentiment.score) == (Decimal("68923.67"), 22.0)
    assert seen.put_call.short == pytest.approx(1.5, abs=0.01)
    assert [tick.price for tick in seen.spot_path] == [Decimal("68923.67")]
    assert set(seen.absent) == {"strike"}


async def test_the_values_of_each_refresh_are_recorded_with_what_is_new_in_the_path(host: Host) -> None:
    """Each refresh passes on its values; the spot path of all of them together is that of the last one."""
    _healthy(host)
    seen: list[tuple[str, bytes]] = []
    clock = Clock()
    clock.stands_still = True
    async with _adapter(host, clock, received=lambda *text: seen.append(text)) as adapter:
        refreshed = []
        for _ in range(3):
            refreshed.append(await adapter.refresh(start=START))
            clock.offset_ns += 2 * 10**9
    assert [name for name, _ in seen] == ["externals"] * 3
    recorded = [msgspec.json.decode(text, type=RefreshedValues) for _, text in seen]
    assert [each.start for each in recorded] == [START] * 3
    path = tuple(tick for each in recorded for tick in each.values.spot_path)
    assert path == refreshed[-1].spot_path
    assert len(path) == 3
    first, second, _ = (tick.second for tick in path)
    assert [each.known for each in recorded] == [None, (first, first), (first, second)]
    assert [each.books_ns for each in recorded] == [None] * 3
    assert [msgspec.structs.replace(each.values, spot_path=()) for each in recorded] == [
        msgspec.structs.replace(each, spot_path=()) for each in refreshed
    ]


async def test_a_restored_path_is_recorded_as_a_whole(host: Host) -> None:
    """An earlier process' prices before those that were recorded already are recorded, and nothing twice."""
    _healthy(host)
    seen: list[bytes] = []
    clock = Clock(second=100)
    clock.stands_still = True
    async with _adapter(host, clock, received=lambda name, text: seen.append(text)) as adapter:
        await adapter.refresh(start=START)
        adapter.sources.path.restore([(START + 50.5, Decimal(65000))])
        await adapter.refresh(start=START)
        await adapter.refresh(start=START, books_ns=p.NOW_NS + 7 * 10**9)
    recorded = [msgspec.json.decode(text, type=RefreshedValues) for text in seen]
    paths = [[tick.second for tick in each.values.spot_path] for each in recorded]
    assert paths == [[100.0], [50.5, 100.0], []]
    assert [each.known for each in recorded] == [None, None, (50.5, 100.0)]
    assert recorded[2].books_ns == pytest.approx((START + 107) * 10**9, abs=1000)


async def test_slow_source_is_given_up_at_the_deadline_and_leaves_nothing_behind(host: Host) -> None:
    """A Deribit that takes ten minutes is absent after the deadline, the others are present, no task is
    left."""
    _healthy(host)
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN, delay_s=600)
    async with _adapter(host) as adapter:
        began = time.monotonic()
        seen = await adapter.refresh(deadline_s=1.5)
        assert time.monotonic() - began < 30
        assert seen.absent["deribit"] == "deribit: no answer within 1.5 s"
        assert seen.spot is not None
        assert seen.sentiment is not None
        assert _asking() == []
        assert adapter.health()["deribit"].failures == 1


async def test_sources_are_asked_at_the_same_time(host: Host) -> None:
    """Each of three sources answers only when all three have been asked."""
    host.answer_together({SPOT_PATH: p.COINBASE_SPOT, CHAIN_PATH: p.DERIBIT_CHAIN, "/fng/": p.FEAR_GREED})
    async with _adapter(host) as adapter:
        seen = await adapter.refresh(deadline_s=30)
        assert set(seen.absent) == {"strike"}


def _rate_limited(host: Host) -> None:
    for path in (SPOT_PATH, "/products/BTC-USD/ticker", CHAIN_PATH, "/fng/"):
        host.answer(path, b"slow down", status=429, headers={"Retry-After": "30"})


def _forbidden(host: Host) -> None:
    for path in (SPOT_PATH, "/products/BTC-USD/ticker", CHAIN_PATH, "/fng/"):
        host.answer(path, b"", status=451)


def _html(host: Host) -> None:
    for path in (SPOT_PATH, CHAIN_PATH, "/fng/"):
        host.answer(path, HTML)


def _truncated(host: Host) -> None:
    host.answer(SPOT_PATH, p.COINBASE_SPOT[:25])
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN[:300])
    host.answer("/fng/", p.FEAR_GREED[:40])


def _empty(host: Host) -> None:
    for path in (SPOT_PATH, CHAIN_PATH, "/fng/"):
        host.answer(path, b"")


def _reset(host: Host) -> None:
    for path in (SPOT_PATH, "/products/BTC-USD/ticker", CHAIN_PATH, "/fng/"):
        host.drop(path, b'{"data"')


@pytest.mark.parametrize("spoil", [_rate_limited, _forbidden, _html, _truncated, _empty, _reset])
async def test_whatever_the_sources_do_it_does_not_raise(host: Host, spoil: Callable[[Host], None]) -> None:
    """Each kind of failure leaves the value absent with its reason, and is counted."""
    spoil(host)
    async with _adapter(host) as adapter:
        seen = await adapter.refresh()
        assert (seen.spot, seen.put_call, seen.sentiment) == (None, None, None)
        assert set(seen.absent) == {"coinbase", "deribit", "fear_greed", "strike"}
        assert all(name in reason for name, reason in seen.absent.items() if name != "strike")
        health = adapter.health()
        assert [health[name].failures for name in ("coinbase", "deribit", "fear_greed")] == [1, 1, 1]
        assert health["coinbase"].last_success_age_s is None


async def test_fault_of_ours_costs_the_value_and_not_the_decision(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that no source declares is reported as unexpected, with its name."""
    _healthy(host)
    async with _adapter(host) as adapter:

        def broken(value: object) -> object:
            raise ZeroDivisionError("oops")

        monkeypatch.setattr(adapter.sources.validator, "check", broken)
        seen = await adapter.refresh()
        assert "unexpected ZeroDivisionError: oops" in seen.absent["deribit"]
        assert adapter.health()["deribit"].failures == 1


async def test_implausible_values_are_quarantined_and_absent(host: Host) -> None:
    """A price of five dollars is not passed on, and is stored with its reason."""
    _healthy(host, price="5.00")
    async with _adapter(host) as adapter:
        seen = await adapter.refresh()
        assert (seen.spot, seen.spot_path) == (None, ())
        assert "quarantined: price 5.00 is outside" in seen.absent["coinbase"]
        assert adapter.health()["coinbase"].quarantined == 1
        assert adapter.sources.validator.quarantine[0].errors


async def test_stale_values_are_absent(host: Host) -> None:
    """A cached answer one minute old, and an index two days old, are too old."""
    _healthy(host)
    host.answer(SPOT_PATH, p.COINBASE_SPOT, headers={"Age": "60"})
    old = str(p.NOW_S - 2 * 86_400).encode()
    host.answer("/fng/", p.FEAR_GREED.replace(str(p.NOW_S - 43_200).encode(), old))
    clock = Clock()
    clock.stands_still = True
    async with _adapter(host, clock) as adapter:
        seen = await adapter.refresh()
        assert "stale, 60 s old, at most 30" in seen.absent["coinbase"]
        assert "stale, 172800 s old, at most 93600" in seen.absent["fear_greed"]
        assert (seen.spot, seen.sentiment) == (None, None)


async def test_source_an_asset_does_not_have_is_absent_with_that_reason(host: Host) -> None:
    """Missing options of doge are a reason like any other."""
    _healthy(host)
    async with _adapter(host, deribit=False) as adapter:
        seen = await adapter.refresh()
        assert seen.absent["deribit"] == "deribit: no symbol for asset 'doge'"
        assert "deribit" not in adapter.health()


async def test_cancelled_refresh_leaves_nothing_behind(host: Host) -> None:
    """A cancelled decision cancels its requests."""
    _healthy(host)
    host.answer(CHAIN_PATH, p.DERIBIT_CHAIN, delay_s=10)
    async with _adapter(host) as adapter:
        asking = asyncio.create_task(adapter.refresh(deadline_s=5))
        await until(lambda: host.count(CHAIN_PATH))
        assert len(_asking()) >= 2
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert _asking() == []


async def test_spot_that_the_others_outvote_is_absent(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """If two other sources agree on another price, Coinbase's is an outlier."""
    _healthy(host, price="72000.00")
    host.answer("/api/v3/ticker/bookTicker", p.BINANCE_BOOK)
    host.answer_rpc({"getAccountInfo": p.pyth_answer()})
    clock = Clock()
    binance = BinanceSource(base_url=host.url, stream_url="ws://127.0.0.1:1", now_ns=clock.wall)
    solana = SolanaSource(base_url=host.url, now_ns=clock.wall)
    async with _adapter(host, clock, binance=binance, solana=solana) as adapter:
        await adapter.start()
        await until(lambda: (view := adapter.consensus()) and view.n == 2 and view.outliers)
        seen = await adapter.refresh()
        assert seen.spot is None
        assert "72000.00 is an outlier, the median of 2 other sources is 689" in seen.absent["coinbase"]
        together = adapter.consensus()
        assert together is not None
        assert together.outliers == {"coinbase": Decimal("72000.00")}
        assert seen.consensus is not None
        assert (seen.consensus.outliers, seen.consensus.n) == (together.outliers, 2)
        # The first sample may precede the other sources.
        assert len(seen.spot_path) <= 1


@pytest.mark.parametrize("speed", [1, 15])
async def test_own_strike_from_the_sampled_minute(host: Host, speed: int) -> None:
    """Sampled through the minute before the start, at the real speed and at a fast one, spot is the
    strike."""
    _healthy(host)
    clock = Clock(second=-75, speed=speed)
    clock.stands_still = True

    async def sleep(seconds: float) -> None:
        """Only the sampler sleeps for so short a time; the clock advances only with it."""
        if seconds > 1:
            await asyncio.Event().wait()
        clock.offset_ns += int(seconds * 1e9)
        await asyncio.sleep(0)

    async with _adapter(host, clock, sleep=sleep) as adapter:
        await adapter.start()
        assert _strike(adapter) is None
        await until(lambda: _strike(adapter))
        strike = _strike(adapter)
        assert isinstance(strike, Strike)
        assert (strike.source, strike.price) == ("coinbase_mean60", Decimal("68923.67"))
        seen = await adapter.refresh()
    assert seen.strike == strike
    assert seen.absent == {}
    seconds = [tick.second for tick in seen.spot_path]
    assert seconds == sorted(seconds)
    assert seconds[0] < -70 < -1 < seconds[-1]
    assert len(seconds) >= 75 / (1 if speed == 1 else 4)


def _serve(*frames: bytes) -> Callable[[ServerConnection], object]:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        for frame in frames:
            await connection.send(frame.decode())
        await connection.wait_closed()

    return handler


async def test_chainlink_strike_is_read_from_the_public_relay(host: Host) -> None:
    """The mean at the boundary becomes the strike, and the strike names its source."""
    _healthy(host)
    frames = [p.rtds_twap("68900.5", p.NOW_MS + 1000 * s) for s in (-1, 0, 1)]
    clock = Clock(second=2)
    async with socket_server(_serve(*frames)) as url:
        chainlink = ChainlinkSource(rtds_url=url, now_ns=clock.wall)
        async with _adapter(host, clock, chainlink=chainlink) as adapter:
            await adapter.start()
            await until(lambda: _strike(adapter))
            seen = await adapter.refresh()
            assert seen.strike is not None
            assert (seen.strike.price, seen.strike.source) == (Decimal("68900.5"), "chainlink_twap60/rtds")
            assert seen.absent == {}
            stream = adapter.health()["chainlink_rtds stream"]
            assert (stream.state, stream.successes, stream.reconnects) == ("connected", 3, 0)


@pytest.mark.parametrize(
    ("rule", "price", "source"),
    [
        (Rule.SPOT, "68900", "chainlink_spot/rtds"),
        (Rule.TWAP30, "68885", "chainlink_mean30/rtds"),
        (Rule.TWAP60, "68870.5", "chainlink_twap60/rtds"),
    ],
)
async def test_the_strike_follows_the_markets_own_rule(
    host: Host, rule: Rule, price: str, source: str
) -> None:
    """From the relay's frames to the fair probability: each rule is compared with its own price."""
    _healthy(host)
    spots = [p.rtds_spot(68900.0 + s, p.NOW_MS + 1000 * s) for s in range(-40, 2)]
    clock = Clock()
    clock.offset_ns = 2_000_000_000
    async with socket_server(_serve(*spots, p.rtds_twap("68870.5", p.NOW_MS))) as url:
        chainlink = ChainlinkSource(rtds_url=url, now_ns=clock.wall)
        async with _adapter(host, clock, chainlink=chainlink) as adapter:
            await adapter.start()
            await until(lambda: _strike(adapter, rule))
            seen = await adapter.refresh(rule=rule)
    assert seen.strike is not None
    assert (seen.strike.price, seen.strike.source) == (Decimal(price), source)
    path = tuple(Tick(second=float(s), price=Decimal(68900 + s % 3)) for s in range(600, 800))
    value = fair_value(market(0, rule=rule), 799.0, seen.spot, seen.strike, path)
    assert isinstance(value, FairValue)
    assert value.strike == float(price)


async def test_strike_can_be_learnt_from_a_snapshot(host: Host) -> None:
    """Started ninety seconds after the boundary, the strike is read from the authenticated relay's
    snapshot."""
    _healthy(host)

    async def polybolt(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"op":"authed","rid":"auth"}')
        await connection.recv()
        points = [(p.NOW_MS + 1000 * s, f"{68900 + s}.25") for s in range(-30, 91)]
        await connection.send(p.polybolt_snapshot(*points).decode())
        await connection.wait_closed()

    clock = Clock(second=0)
    clock.offset_ns = 90_000_000_000
    async with socket_server(polybolt) as url:
        keys = PolyBoltCredentials(api_key="k", secret="s", passphrase="p")
        chainlink = ChainlinkSource(rtds_url=None, polybolt_url=url, credentials=keys, now_ns=clock.wall)
        async with _adapter(host, clock, chainlink=chainlink) as adapter:
            await adapter.start()
            await until(lambda: _strike(adapter))
            strike = _strike(adapter)
    assert strike is not None
    assert (strike.price, strike.source) == (Decimal("68900.25"), "chainlink_twap60/polybolt")


async def test_implausible_strike_is_quarantined(host: Host) -> None:
    """An observation outside the asset's bounds is no strike."""
    _healthy(host)
    clock = Clock(second=1)
    async with socket_server(_serve(p.rtds_twap("5.5", p.NOW_MS))) as url:
        chainlink = ChainlinkSource(rtds_url=url, now_ns=clock.wall)
        async with _adapter(host, clock, chainlink=chainlink) as adapter:
            await adapter.start()
            await until(lambda: adapter.sources.validator.quarantined["chainlink"])
            assert _strike(adapter) is None
            assert adapter.health()["chainlink"].quarantined == 1


async def test_failed_stream_is_tried_again_at_the_next_market(host: Host) -> None:
    """A relay with too many failures is tried again with each market."""
    _healthy(host)
    clock = Clock(second=890)
    patience = Backoff(base_s=0.01, cap_s=0.01, max_attempts=2)
    chainlink = ChainlinkSource(rtds_url="ws://127.0.0.1:1", now_ns=clock.wall)
    async with _adapter(host, clock, chainlink=chainlink, backoff=patience) as adapter:
        await adapter.start()
        (manager,) = adapter.managers
        await until(lambda: manager.state is StreamState.FAILED)
        assert manager.connects == 2
        clock.offset_ns = 15_000_000_000
        await until(lambda: manager.connects == 4)
        assert adapter.health()["chainlink_rtds stream"].reconnects == 3


async def test_sources_are_kept_warm_without_being_asked(host: Host) -> None:
    """After the start every source has answered before any decision, and the decision costs one request."""
    _healthy(host)
    host.answer_rpc({"getAccountInfo": p.pyth_answer()})
    clock = Clock()
    solana = SolanaSource(base_url=host.url, now_ns=clock.wall)
    async with _adapter(host, clock, solana=solana) as adapter:
        await adapter.start()
        names = ("coinbase", "deribit", "fear_greed", "pyth")
        await until(lambda: all(adapter.health()[name].successes for name in names))
        before = len(host.hits)
        await adapter.refresh()
        new = [hit for hit in host.hits[before:] if hit in (CHAIN_PATH, "/fng/")]
        assert new == []
        health = adapter.health()["coinbase"]
        assert health.last_success_age_s is not None
        assert health.last_success_age_s < 5


async def test_sampling_goes_on_after_failures(host: Host) -> None:
    """A host that is down for a while costs samples but does not end the sampling."""
    host.answer(SPOT_PATH, b"", status=500)
    async with _adapter(host) as adapter:
        await adapter.start()
        await until(lambda: adapter.health()["coinbase"].failures >= 2)
        _healthy(host)
        await until(lambda: adapter.health()["coinbase"].successes)


async def test_fault_in_the_background_is_seen(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keep-warm task that ends by an internal error is reported in the source's health."""
    _healthy(host)
    async with _adapter(host) as adapter:

        def broken(value: object) -> object:
            raise ZeroDivisionError("oops")

        monkeypatch.setattr(adapter.sources.validator, "check", broken)
        await adapter.start()
        await until(
            lambda: "no longer refreshed: ZeroDivisionError" in adapter.health()["deribit"].last_error
        )


def test_same_clock_is_in_seconds() -> None:
    """The default market clock is the machine's."""
    assert same_clock(1_500_000_000) == 1.5


async def test_factory_builds_the_whole_feed_from_settings(host: Host) -> None:
    """One call creates every source of the asset, limited and supervised; it is created once."""
    _healthy(host)
    dead = "ws://127.0.0.1:1"
    urls = FeedUrls(
        coinbase=host.url,
        coinbase_exchange=host.url,
        deribit=host.url,
        fear_greed=host.url,
        cryptopanic=host.url,
        binance=host.url,
        binance_stream=dead,
        solana=host.url,
        rtds=dead,
        polybolt=dead,
    )
    keys = PolyBoltCredentials(api_key="k", secret="hush", passphrase="p")
    settings = FeedSettings(urls=urls, cryptopanic_key="hush", polybolt=keys)
    assert "hush" not in repr(settings)
    clock = Clock()
    adapter = get_data_adapter(settings, now_ns=clock.wall)
    try:
        assert get_data_adapter() is adapter
        seen: Externals = await adapter.refresh()
        assert set(seen.absent) == {"strike"}
        assert [manager.stream.name for manager in adapter.managers] == [
            "chainlink_polybolt",
            "chainlink_rtds",
            "binance",
        ]
    finally:
        assert reset_data_adapter() is adapter
        await adapter.aclose()


async def test_factory_leaves_out_what_an_asset_does_not_have(host: Host) -> None:
    """Doge has neither options nor a price account; pepe has nothing at all."""
    adapter = get_data_adapter(
        FeedSettings(asset="doge", urls=FeedUrls(fear_greed=host.url, coinbase=host.url))
    )
    try:
        assert not {"deribit", "solana", "pyth"} & set(adapter.health())
    finally:
        reset_data_adapter()
        await adapter.aclose()
    with pytest.raises(Refused, match="pepe"):
        get_data_adapter(FeedSettings(asset="pepe"))
    reset_data_adapter()


async def test_observation_of_the_chain_is_judged_once(host: Host) -> None:
    """A repeated observation is not counted twice in quarantine."""
    chainlink = ChainlinkSource(rtds_url=None)
    async with _adapter(host, chainlink=chainlink) as adapter:
        good = ChainPrice(
            source="chainlink",
            feed="rtds",
            kind=PriceKind.SPOT,
            symbol="btc/usd",
            price=Decimal(68000),
            source_ns=p.NOW_NS,
            received_ns=p.NOW_NS,
        )
        chainlink.record_price(good)
        chainlink.record_price(good)
        assert len(chainlink.observations(PriceKind.SPOT)) == 1
        assert adapter.sources.validator.quarantined["chainlink"] == 0


# --- the newest values, without a request ------------------------------------------------------------


async def test_the_newest_values_are_those_of_the_background(host: Host) -> None:
    """After the first reads they are what a refresh would give, without a request."""
    _healthy(host)
    clock = Clock()
    clock.stands_still = True
    async with _adapter(host, clock) as adapter:
        before = adapter.newest(start=START, rule=Rule.TWAP60)
        assert before.absent["coinbase"] == "coinbase: not read yet"
        assert (before.spot, before.put_call, before.sentiment, before.spot_path) == (None, None, None, ())
        await adapter.start()
        await adapter.until_read(30)
        asked = len(host.hits)
        seen = adapter.newest(start=START, rule=Rule.TWAP60)
        assert len(host.hits) == asked
        refreshed = await adapter.refresh(start=START)
    assert seen.spot is not None
    assert seen.put_call is not None
    assert seen.sentiment is not None
    assert (seen.put_call, seen.sentiment, seen.absent) == (
        *(refreshed.put_call, refreshed.sentiment),
        {"strike": refreshed.absent["strike"]},
    )
    assert seen.spot.price == Decimal("68923.67")
    assert [tick.price for tick in seen.spot_path] == [Decimal("68923.67")]


async def test_a_source_that_hangs_is_not_waited_for(host: Host) -> None:
    """While its request is under way the last value counts, until it is too old."""
    _healthy(host)
    clock = Clock()
    clock.stands_still = True
    async with _adapter(host, clock) as adapter:
        await adapter.start()
        await adapter.until_read(30)
        host.answer(SPOT_PATH, p.COINBASE_SPOT, delay_s=600)
        began = time.monotonic()
        clock.offset_ns = 30 * 10**9
        assert adapter.newest(start=START, rule=Rule.TWAP60).spot is not None
        clock.offset_ns += 10**9
        stale = adapter.newest(start=START, rule=Rule.TWAP60)
        assert time.monotonic() - began < 5
    assert stale.spot is None
    assert stale.absent["coinbase"] == "coinbase: stale, 31 s old, at most 30 allowed"


async def test_a_source_that_failed_since_is_absent(host: Host) -> None:
    """The last read counts; one that only renews a cached value leaves it valid for its lifetime."""
    _healthy(host)
    async with _adapter(host) as adapter:
        await adapter.refresh(start=START)
        host.answer(SPOT_PATH, b"", status=500)
        host.answer(CHAIN_PATH, b"", status=500)
        with pytest.raises(Temporary):
            await adapter.sources.spot()
        with pytest.raises(Temporary):
            await adapter.sources.put_call(10_000.0)
        seen = adapter.newest(start=START, rule=Rule.TWAP60)
    assert seen.spot is None
    assert "HTTP 500" in seen.absent["coinbase"]
    assert seen.put_call is not None


async def test_only_the_first_reads_are_waited_for(host: Host) -> None:
    """A source that answers nothing is waited for once, up to the limit; without a start not at all."""
    _healthy(host)
    host.answer(SPOT_PATH, p.COINBASE_SPOT, delay_s=600)
    async with _adapter(host) as adapter:
        await adapter.until_read(600)
        await adapter.start()
        began = time.monotonic()
        await adapter.until_read(0.3)
        assert 0.3 <= time.monotonic() - began < 30
        assert adapter.newest(start=START, rule=Rule.TWAP60).absent["coinbase"] == "coinbase: not read yet"


async def test_the_series_of_an_asset_share_its_sources(host: Host) -> None:
    """The second adapter refreshes and closes nothing, and has as much of the path as its markets need."""
    _healthy(host)
    clock = Clock()
    async with _adapter(host, clock) as owner:
        for second in (-600, -361, -300, -1):
            owner.sources.path.add(START + second, Decimal(68900 - second))
        other = UnifiedDataAdapter(
            interval=300,
            sources=owner.sources,
            owns_sources=False,
            now_ns=clock.wall,
            market_time=clock.market,
        )
        await other.start()
        assert (other.managers, len(_asking())) == ((), 1)
        short = (await other.refresh()).spot_path
        whole = (await owner.refresh()).spot_path
        await other.aclose()
        assert _asking() == []
        assert (await owner.refresh()).spot is not None
    assert [tick.price for tick in short][:-1] == [Decimal(69200), Decimal(68901)]
    assert [tick.second for tick in short][:-1] == [-900, -3]  # market seconds: three for one of 300
    assert [tick.second for tick in whole][:-1] == [-600, -361, -300, -1]


async def test_two_assets_have_sources_of_their_own(host: Host) -> None:
    """The sources of the process have one asset; several assets have their own and share the limits."""
    urls = FeedUrls(coinbase=host.url, fear_greed=host.url, deribit=host.url)
    limiter = RateLimiter()
    adapters = [
        build_data_adapter(FeedSettings(asset=asset, urls=urls), limiter=limiter) for asset in ("btc", "eth")
    ]
    same = build_data_adapter(FeedSettings(asset="eth", interval=300), of_asset=adapters[1])
    try:
        assert [adapter.sources.coinbase.product for adapter in (*adapters, same)] == [
            "BTC-USD",
            "ETH-USD",
            "ETH-USD",
        ]
        assert same.sources is adapters[1].sources
    finally:
        for adapter in (same, *adapters):
            await adapter.aclose()
