"""Several series at one venue: names, starts, correlated prices, one path for each asset, settlement."""

import json
import math
import statistics
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from polymarket import PublicClient
from process import VenueProcess
from py_clob_client_v2.clob_types import MarketOrderArgsV2, OrderType
from shadow_builders import until, upstream_only
from synthetic_world import open_world
from test_official_clients import environment
from test_venue_recording import BOOK, gamma, write
from venue_builders import ManualClock, trader_at, trader_in

from core.ingestion.factory import FeedSettings, build_data_adapter, reset_data_adapter
from core.ingestion.feed_urls import FeedUrls
from data_sources.binance import BinanceSource
from data_sources.chainlink import PolyBoltCredentials
from data_sources.coinbase import CoinbaseSource
from data_sources.deribit import DeribitSource
from data_sources.solana import SolanaSource
from models import Rule
from research.recording_file import FrameKind
from venue.__main__ import main
from venue.market import VenueMarket, start_of
from venue.order_book import VenueBook
from venue.schedule import Schedule, make_market
from venue.series import BTC_15M, KNOWN, Series, SeriesMissing, parse_series
from venue.sources.choice import chosen_source
from venue.sources.price_path import ASSET_TERMS, asset_paths
from venue.sources.recording import RecordingSeries
from venue.sources.synthetic import SyntheticSeries, SyntheticSource
from venue.venue import PracticeVenue, VenueOptions
from venue.wire.market_json import gamma_event

START = 1_800_000_000
"""2027-01-15 08:00 UTC, 03:00 in New York: the start of a market of 5m and of 15m."""
FOUR_HOURS_BEFORE = 1_799_989_200
"""05:00 UTC, 00:00 in New York: the start of the 4h market that runs then."""
MIXED_LENGTHS = parse_series("btc-15m,eth-5m,btc-4h")
PIECES = 12
MICRO = 10**6


def venue_of(text: str, **options: Any) -> tuple[PracticeVenue, ManualClock]:
    """A venue in this process with generated markets of some series."""
    clock = ManualClock(START)
    script = SyntheticSeries(7, parse_series(text))
    return PracticeVenue(script, VenueOptions(speed=1.0, taker_delay=0.0, **options), clock), clock


def running(venue: PracticeVenue, name: str) -> VenueMarket:
    """The running market of a series."""
    series, now = Series(*name.split("-")), venue.clock.market_s()
    return next(m for m in venue.schedule if m.series == series and m.start <= now < m.end)


# --- names and starts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "start", "end", "title"),
    [
        ("eth-5m", START + 300, START + 600, "Ethereum Up or Down - January 15, 08:05-08:10 UTC"),
        ("doge-15m", START, START + 900, "Dogecoin Up or Down - January 15, 08:00-08:15 UTC"),
        (
            *("sol-4h", FOUR_HOURS_BEFORE, FOUR_HOURS_BEFORE + 14_400),
            "Solana Up or Down - January 15, 05:00-09:00 UTC",
        ),
        # The clocks of New York go back during it.
        ("xrp-4h", 1_793_505_600, 1_793_523_600, "XRP Up or Down - November 1, 04:00-09:00 UTC"),
    ],
)
def test_a_market_has_the_names_and_times_of_the_real_venue(
    name: str, start: int, end: int, title: str
) -> None:
    """Slug, question, price stream and series are those of the asset and the length."""
    series = Series(*name.split("-"))
    market = make_market(start, 0, "v1", series)
    assert (market.slug, market.question, market.end) == (
        name.replace("-", "-updown-") + f"-{start}",
        title,
        end,
    )
    assert market.resolution_source == f"https://data.chain.link/streams/{series.asset}-usd-twap-60s-streams"
    ids = {"eth-5m": "10683", "doge-15m": "11328", "sol-4h": "10333", "xrp-4h": "10327"}
    slug = name.replace("-", "-up-or-down-")
    venue, _ = venue_of(name)
    event = gamma_event(venue, running(venue, name))
    assert event["seriesSlug"] == slug
    assert event["series"] == [{"id": ids[name], "slug": slug, "recurrence": series.timeframe}]
    venue.close()


def test_each_series_has_its_own_grid_and_versions() -> None:
    """Each lists the running market and eight more, v1 and v2 by turns, and a long one runs already."""
    schedule = Schedule(START, "alternate", MIXED_LENGTHS)
    listed = schedule.list_until(START)
    starts = {
        series.name: [market.start for market in listed if market.series == series]
        for series in MIXED_LENGTHS
    }
    assert starts == {
        "btc-15m": [START + 900 * n for n in range(9)],
        "eth-5m": [START + 300 * n for n in range(9)],
        "btc-4h": [FOUR_HOURS_BEFORE + 14_400 * n for n in range(9)],
    }
    for series in MIXED_LENGTHS:
        own = [market for market in listed if market.series == series]
        assert [(m.index, m.version) for m in own] == [(n, ("v1", "v2")[n % 2]) for n in range(9)]
    assert schedule.list_until(START + 299.9) == []
    assert [market.slug for market in schedule.list_until(START + 300)] == [f"eth-updown-5m-{START + 2700}"]
    assert schedule.next_listing(START + 300) == START + 600


def test_no_two_markets_share_a_key_or_an_id() -> None:
    """Markets of all series with one start differ in every name; the key of btc-15m is its start."""
    schedule = Schedule(START, "alternate", parse_series(",".join(KNOWN)))
    listed = schedule.list_until(START + 4 * 3600)
    assert len(KNOWN) == 15
    for name in ("key", "slug", "condition_id", "question_id", "up_token", "down_token"):
        assert len({getattr(market, name) for market in listed}) == len(listed)
    assert all(start_of(market.key) == market.start for market in listed)
    assert all(market.key == market.start for market in listed if market.series == BTC_15M)
    assert all(schedule.at(market.key) is market for market in listed)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--series", "btc-1h"), "'btc-1h' is not a series, such as btc-15m"),
        (("--series", "btc-15m,eth-5m,btc-15m"), "'btc-15m' is named twice"),
        (("--source", "synthetic", "--series", "bnb-5m"), "--series: there are no markets of bnb-5m"),
        (("--series", "btc-15m,eth-5m"), "--series eth-5m: the bundled recordings are of btc-15m only"),
        (("--source", "mixed", "--series", "sol-4h"), "--series sol-4h: the bundled recordings are of"),
        (
            ("--source", "synthetic", "--series", "btc-5m", "--start-at", "300"),
            "'300' is not a second of a market from 0 to 299",
        ),
    ],
)
def test_a_series_without_markets_is_refused_by_name(
    arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a line that names the series, also where only one of several has no recording."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert text in capsys.readouterr().err.splitlines()[-1]


def test_the_first_series_is_what_the_options_count() -> None:
    """--first and --start-at are its market of that number, and a second of it; the others run meanwhile."""
    venue, _ = venue_of("btc-4h,btc-5m", first=3, start_at=7200)
    assert running(venue, "btc-4h").index == 3
    assert venue.clock.market_s() == FOUR_HOURS_BEFORE + 14_400 + 7200
    assert venue.schedule.first_start == FOUR_HOURS_BEFORE - 2 * 14_400
    assert running(venue, "btc-5m").start == venue.clock.market_s()
    venue.close()


# --- prices ----------------------------------------------------------------------------------


@pytest.mark.parametrize("asset", ["eth", "sol", "xrp", "doge"])
def test_the_other_assets_follow_bitcoin(asset: str) -> None:
    """One-second moves have the stated correlation with bitcoin's and the stated relative volatility."""
    paths, terms = asset_paths(7, [asset]), ASSET_TERMS[asset]
    moves = {
        name: [
            math.log(path.spot(index, second + 1) / path.spot(index, second))
            for index in range(PIECES)
            for second in range(899)
        ]
        for name, path in paths.items()
    }
    assert statistics.correlation(moves["btc"], moves[asset]) == pytest.approx(terms.correlation, abs=0.1)
    assert statistics.stdev(moves[asset]) / statistics.stdev(moves["btc"]) == pytest.approx(
        terms.volatility, rel=0.15
    )
    assert terms.low * 10**8 * 0.7 < paths[asset].spot(0, 0) < terms.high * 10**8 * 1.4


def test_the_bitcoin_markets_do_not_depend_on_the_other_series() -> None:
    """Beside other series the btc-15m market of a seed has the books, grid and outcome that it has alone."""
    alone = SyntheticSource(7)
    beside = scripts_of(7, "eth-5m,btc-15m,btc-4h")["btc-15m"]
    for index in range(4):
        for second in (0, 1, 433, 899, 900):
            assert beside.book(index, second) == alone.book(index, second)
        assert beside.tick_change(index) == alone.tick_change(index)
        assert beside.up_wins(index) is alone.up_wins(index)
        assert beside.origin(index) == alone.origin(index)


def scripts_of(seed: int, text: str) -> dict[str, SyntheticSource]:
    """The scripts of some series, from START on."""
    series = parse_series(text)
    found = SyntheticSeries(seed, series).scripts(Schedule(START, series=series))
    return {each.name: script for each, script in found.items()}


@pytest.mark.parametrize("asset", ["btc", "eth"])
def test_markets_of_one_asset_settle_by_the_same_prices(asset: str) -> None:
    """The outcome of a 15m market follows from the first and the last price of its three 5m markets."""
    scripts = scripts_of(7, f"{asset}-15m,{asset}-5m,{asset}-4h")
    short, middle, long = (scripts[f"{asset}-{length}"] for length in ("5m", "15m", "4h"))
    for index in range(12):
        first, last = (short.mean_price(3 * index + n, second) for n, second in ((0, 0), (2, 300)))
        assert middle.up_wins(index) is (last >= first)
        assert [short.spot(3 * index + 1, n) for n in (0, 77)] == [
            middle.spot(index, 300 + n) for n in (0, 77)
        ]
    # Three hours of the 4h market had passed at the start.
    passed = START - FOUR_HOURS_BEFORE
    assert long.spot(0, passed + 1000) == middle.spot(1, 100)
    assert long.up_wins(0) is (long.mean_price(0, 14_400) >= long.mean_price(0, 0))
    assert long.mean_price(0, 14_400) == middle.mean_price(4, 0) == short.mean_price(12, 0)
    assert long.mean_price(0, 14_400) == long.mean_price(1, 0)
    assert short.spot(0, 0) != scripts_of(8, f"{asset}-5m")[f"{asset}-5m"].spot(0, 0)


def test_the_same_series_are_the_same_data_in_any_order() -> None:
    """Named in another order they have the same books; different series have different ones."""
    one, two = scripts_of(7, "eth-5m,sol-5m"), scripts_of(7, "sol-5m,btc-5m,eth-5m")
    for name, second in (("eth-5m", 250), ("sol-5m", 120)):
        assert one[name].book(0, second) == two[name].book(0, second)
    assert two["btc-5m"].book(0, 250) != two["eth-5m"].book(0, 250)


@pytest.mark.parametrize(("name", "length"), [("eth-5m", 300), ("btc-4h", 14_400)])
def test_books_of_other_lengths_lead_to_the_outcome(name: str, length: int) -> None:
    """Well-formed at every moment; before the end the favourite of the book is nearly always the winner."""
    script = scripts_of(7, name)[name]
    markets = range(1, 9) if length < 900 else range(1, 2)
    right = 0
    for index in markets:
        for second in (0, 1, length // 3, length - 30, length - 2, length):
            book = script.book(index, second)
            assert book.bids or book.asks
            assert not book.crossed
            assert max(len(book.bids), len(book.asks)) <= 20
        assert script.book(index, length + 500) == script.book(index, length)
        right += (float(script.book(index, length - 2).mid_text or 0) > 0.5) is script.up_wins(index)
    assert right >= len(markets) - 1
    opening = [script.book(index, 0) for index in range(20)]
    assert 0.4 < statistics.mean(float(book.mid_text or 0) for book in opening) < 0.6


# --- trading and settling --------------------------------------------------------------------


async def test_markets_with_one_start_are_settled_each_by_its_own_asset() -> None:
    """Up in btc-15m and Down in eth-15m of one start: two positions, two outcomes, two payouts."""
    venue, clock = venue_of("btc-15m,eth-15m")
    clock.forward(60)
    trader = trader_in(venue)
    markets = [running(venue, name) for name in ("btc-15m", "eth-15m")]
    assert markets[0].start == markets[1].start
    bought: dict[str, int] = {}
    for market, token in zip(markets, (markets[0].up_token, markets[1].down_token), strict=True):
        assert trader.api is not None
        accepted = venue.order_intake.accept(trader.api, trader.buy(token, 200, 990))
        result = await venue.order_intake.execute(accepted)
        bought[market.slug] = sum(trade.shares for trade in result.trades)
    held = venue.ledger.positions_of(trader.address)
    assert sorted(position.shares for position in held) == sorted(bought.values())
    account = venue.ledger.account(trader.address)
    assert account is not None
    clock.forward(900 + 90)
    assert [market.slug for market in venue.settlement.resolve_due()] == [market.slug for market in markets]
    scripts = scripts_of(7, "btc-15m,eth-15m")
    won = [scripts["btc-15m"].up_wins(0), not scripts["eth-15m"].up_wins(0)]
    expected = sum(bought[market.slug] for market, right in zip(markets, won, strict=True) if right)
    after = venue.ledger.account(trader.address)
    assert after is not None
    assert after.balance - account.balance == expected
    assert {start_of(payout.start) for payout in venue.ledger.payouts_of(trader.address)} == {START}
    await venue.stop()
    venue.close()


def test_a_short_market_is_resolved_while_an_older_long_one_runs() -> None:
    """Outcomes are published by the ends of the markets: the 4h market that started first is open longest."""
    venue, clock = venue_of("btc-5m,btc-15m,btc-4h")
    resolved: list[list[str]] = []
    for until_s in (390, 990, 3690):
        clock.forward(START + until_s - venue.clock.market_s())
        venue.step()
        resolved.append(
            [f"{m.timeframe} {m.start - START}" for m in venue.schedule if venue.exchange.resolved(m)]
        )
    assert resolved[0] == ["5m 0"]
    assert sorted(resolved[1]) == ["15m 0", "5m 0", "5m 300", "5m 600"]
    assert "4h -10800" in resolved[2]
    assert len(resolved[2]) == 12 + 4 + 1
    strikes = {
        gamma_event(venue, market)["eventMetadata"]["priceToBeat"]
        for market in venue.schedule
        if market.start == START
    }
    assert strikes == {scripts_of(7, "btc-15m")["btc-15m"].mean_price(0, 0) / 10**8}
    venue.close()


def test_a_folder_plays_further_series_and_keeps_the_old_ones(tmp_path: Path) -> None:
    """Started with another series it has both, and an ended market of the first one gets its outcome."""
    first = chosen_source("synthetic", 7, tmp_path, series=parse_series("eth-15m"))
    clock = ManualClock(START)
    options = VenueOptions(speed=1.0, state=tmp_path)
    before = PracticeVenue(first, options, clock)  # type: ignore[arg-type]
    market = running(before, "eth-15m")
    before.close()
    clock.forward(1800)
    second = chosen_source("synthetic", None, tmp_path, series=parse_series("btc-5m"))
    after = PracticeVenue(second, options, clock)  # type: ignore[arg-type]
    assert [series.name for series in after.series] == ["eth-15m", "btc-5m"]
    assert after.schedule.by_slug(market.slug) == market
    after.settlement.resolve_due()
    assert after.exchange.up_won(market) is scripts_of(7, "eth-15m")["eth-15m"].up_wins(0)
    after.close()
    third = chosen_source("synthetic", None, tmp_path)
    assert isinstance(third, SyntheticSeries)
    assert third.series == parse_series("eth-15m,btc-5m,btc-15m")


# --- recordings and mirrors ------------------------------------------------------------------


def test_a_recording_of_several_series_is_replayed(tmp_path: Path) -> None:
    """Each series has its own markets with their books and results; one that was not recorded is named."""
    rows: list[tuple[FrameKind, str, str]] = []
    recorded = {"eth-5m": START + 300, "btc-4h": FOUR_HOURS_BEFORE}
    for number, (name, start) in enumerate(recorded.items(), 1):
        slug = Series(*name.split("-")).slug(start)
        changes = {"conditionId": f"0x0{number}", "clobTokenIds": f'["{number}1", "{number}2"]'}
        prices = '["1", "0"]' if name == "eth-5m" else '["0", "1"]'
        rows.append((FrameKind.GAMMA, slug, gamma(slug, outcomePrices=prices, **changes)))
        book = BOOK.replace("0x01", f"0x0{number}").replace('"11"', f'"{number}1"')
        rows.append((FrameKind.MARKET, "clob", book.replace("0.4", f"0.4{number}")))
    write(tmp_path, *rows)
    source = RecordingSeries(tmp_path, parse_series("btc-4h,eth-5m"))
    scripts = {series.name: script for series, script in source.scripts(Schedule(START)).items()}
    assert {name: script.origin(5) for name, script in scripts.items()} == {
        name: Series(*name.split("-")).slug(start) for name, start in recorded.items()
    }
    assert [scripts[name].book(0, 10.0).best_bid for name in recorded] == [410, 420]
    assert [scripts[name].up_wins(0) for name in recorded] == [True, False]
    assert (source.info()["markets"], source.info()["left_out"]) == (2, {})
    with pytest.raises(SeriesMissing, match=r"btc-15m: the recording .* has markets of btc-4h, eth-5m only"):
        chosen_source("recording", None, None, path=tmp_path)


async def test_a_mirror_has_the_markets_of_several_series(tmp_path: Path) -> None:
    """Markets of one start in two series have the upstream's books and outcomes, each its own."""
    series = parse_series("btc-15m,eth-15m")
    async with upstream_only(tmp_path, script=SyntheticSeries(7, series), series=series) as pair:
        pair.mirror()
        await pair.shadow.start()
        upstream = pair.upstream.venue
        originals = [running(upstream, each.name) for each in series]
        mirrored = [pair.shadow.schedule.by_slug(market.slug) for market in originals]
        assert [market is not None and market.end for market in mirrored] == [START + 900] * 2
        await until(lambda: not any(pair.source.info()["doubts"][market.slug] for market in originals))
        for original, copy in zip(originals, mirrored, strict=True):
            assert copy is not None
            assert pair.shadow.exchange.visible(copy) == upstream.exchange.visible(original) != VenueBook()
        pair.clock.forward(900 + 90)
        upstream.step()
        outcomes = [upstream.exchange.up_won(market) for market in originals]
        await until(lambda: [m is not None and pair.shadow.exchange.up_won(m) for m in mirrored] == outcomes)
        assert None not in outcomes
        assert pair.shadow.exchange.resolutions.keys() == {START, START + 1}
        await pair.gone()


# --- external services -----------------------------------------------------------------------


async def test_the_exchanges_have_the_prices_of_every_asset() -> None:
    """The bot's clients read the price of each asset in its own decimals, and its options."""
    async with open_world(series=parse_series("eth-5m,xrp-15m,doge-4h,sol-5m")) as world:
        world.clock.forward(123.4)
        second = START + 123
        feeds = world.venue.external
        assert feeds is not None
        assert feeds.assets == ("btc", "eth", "xrp", "doge", "sol")
        for asset, step in (("eth", "0.01"), ("xrp", "0.0001"), ("doge", "0.00001")):
            dollars = Decimal(feeds.spot(second, asset)) / 10**8
            coinbase = CoinbaseSource(asset, base_url=world.urls["coinbase"], now_ns=world.clock)
            binance = BinanceSource(asset, base_url=world.urls["binance"], now_ns=world.clock)
            assert (await coinbase.spot()).price == dollars.quantize(Decimal(step), "ROUND_HALF_UP")
            assert abs((await binance.spot()).price / dollars - 1) < Decimal("0.0005")
            await coinbase.aclose()
            await binance.aclose()
        for asset in ("eth", "sol", "xrp"):
            deribit = DeribitSource(asset, base_url=world.urls["deribit"], now_ns=world.clock)
            ratios = await deribit.put_call()
            assert ratios.put_open_interest + ratios.call_open_interest > 10_000
            await deribit.aclose()
        solana = SolanaSource("sol", base_url=world.urls["solana"], now_ns=world.clock)
        assert (await solana.spot()).price == Decimal(feeds.spot(second, "sol")) / 10**8
        await solana.aclose()
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            ticker = await client.get(world.urls["binance"] + "/api/v3/ticker/price")
        assert [row["symbol"] for row in ticker.json()] == [
            *("BTCUSDT", "ETHUSDT", "XRPUSDT", "DOGEUSDT", "SOLUSDT")
        ]


# --- as a process ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_four_series_are_found_traded_and_resolved_through_the_official_clients() -> None:
    """Found by slug; an order fills in a 5m and a 4h market; both resolve by their own prices, and
    the bot's feed of one asset receives the strike of that asset."""
    # The longest one is named first: each market begins then, at whatever hour of the day this runs.
    names = ("sol-4h", "btc-15m", "eth-5m", "eth-15m")
    arguments = ("--series", ",".join(names), "--seed", "7", "--speed", "1", "--start-at", "10")
    with VenueProcess.start("--source", "synthetic", *arguments) as venue:
        assert venue.ready["series"] == list(names)
        now = venue.clock.market_s()
        starts = {name: Series(*name.split("-")).running_start(now) for name in names}
        slugs = {name: Series(*name.split("-")).slug(start) for name, start in starts.items()}
        with closing(PublicClient(environment=environment(venue))) as public:
            conditions = {public.get_market(slug=slug).condition_id for slug in slugs.values()}
        assert len(conditions) == 4
        assert set(slugs.values()) == set(venue.get("/practice/info")["running"])
        trader = trader_at(venue.url)
        client = trader.client(venue.url)
        bought: dict[str, Decimal] = {}
        for name in ("eth-5m", "sol-4h"):
            up = json.loads(venue.get(f"/gamma/markets/slug/{slugs[name]}")["clobTokenIds"])[0]
            answer = client.create_and_post_market_order(
                MarketOrderArgsV2(token_id=up, amount=5.0, side="BUY", price=0.99), order_type=OrderType.FAK
            )
            assert answer["status"] == "matched"
            bought[name] = Decimal(answer["takingAmount"])
        api = trader.api
        assert api is not None
        feed = FeedSettings(
            asset="eth",
            interval=300,
            urls=FeedUrls(**venue.ready["source"]["external"]),
            polybolt=PolyBoltCredentials(api_key=api.key, secret=api.secret, passphrase=api.passphrase),
        )
        clock = venue.clock
        adapter = build_data_adapter(
            feed, market_time=lambda ns: (clock.market_ns + (ns - clock.wall_ns) * clock.speed) / 1e9
        )
        try:
            await adapter.start()
            found = partial(adapter._find_strike, starts["eth-5m"], Rule.TWAP60)
            await until(lambda: "twap60" in getattr(found(), "source", ""))
            strike = found()
        finally:
            await adapter.aclose()
            reset_data_adapter()
        venue.set_clock(held=True, to=starts["sol-4h"] + 14_400 + 90)
        rows = {name: venue.get(f"/gamma/markets/slug/{slugs[name]}") for name in names}
        assert all(row["closed"] for row in rows.values())
        prices = {name: row["events"][0]["eventMetadata"] for name, row in rows.items()}
        assert prices["eth-5m"]["priceToBeat"] == float(getattr(strike, "price", 0))
        for name, row in rows.items():
            up_won = prices[name]["finalPrice"] >= prices[name]["priceToBeat"]
            assert json.loads(row["outcomePrices"]) == (["1", "0"] if up_won else ["0", "1"])
        won = {name: json.loads(rows[name]["outcomePrices"])[0] == "1" for name in bought}
        payouts = venue.account(trader.address)["payouts"]
        assert {(row["start"], Decimal(row["amount"])) for row in payouts} == {
            (starts[name], shares if won[name] else Decimal(0)) for name, shares in bought.items()
        }
