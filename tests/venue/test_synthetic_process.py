"""A synthetic venue as a process: its seed, its folder, trading on it, and settling by its own prices."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from process import VenueProcess
from py_clob_client_v2.clob_types import BookParams, MarketOrderArgsV2, OrderType
from synthetic_world import dollars, open_world
from venue_builders import trader_at
from websockets.asyncio.client import connect

from core.ingestion.factory import FeedSettings, build_data_adapter, reset_data_adapter
from core.ingestion.feed_urls import FeedUrls
from data_sources.chainlink import PolyBoltCredentials
from models import Rule
from venue.__main__ import main
from venue.amounts import decimal_text, price_text
from venue.order_book import VenueBook
from venue.sources.choice import chosen_source
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSource
from venue.venue import PracticeVenue, VenueOptions

SYNTHETIC = ("--source", "synthetic")


@pytest.fixture(scope="module")
def venue() -> Iterator[VenueProcess]:
    with VenueProcess.start(*SYNTHETIC, "--speed", "1", "--start-at", "400") as venue:
        yield venue


def tokens(venue: VenueProcess, start: int) -> tuple[str, str]:
    market = venue.get(f"/gamma/markets/slug/btc-updown-15m-{start}")
    up, down = json.loads(market["clobTokenIds"])
    return up, down


# --- starting --------------------------------------------------------------------------------


def test_the_ready_line_has_the_addresses_of_the_services(venue: VenueProcess) -> None:
    """Seed, a note for people, and a base address for each service, which the bot uses unchanged."""
    source = venue.ready["source"]
    assert (source["name"], source["seed"]) == ("synthetic", DEFAULT_SEED)
    assert f"seed {DEFAULT_SEED}" in source["note"]
    urls = FeedUrls(**source["external"])
    assert urls.coinbase == f"{venue.url}/external/coinbase"
    assert urls.polybolt == venue.url.replace("http", "ws") + "/external/polybolt/ws"


def test_a_restarted_world_is_the_same(tmp_path: Path) -> None:
    """Killed and started again without a seed it has the folder's seed, schedule and market."""
    venue = VenueProcess.start(*SYNTHETIC, "--seed", "5", "--speed", "1", state=tmp_path)
    start, info = venue.clock.current_start(), venue.get("/practice/info")
    before = tokens(venue, start)
    venue.kill()
    venue.restart(*SYNTHETIC, "--speed", "1")
    with venue:
        assert venue.ready["source"]["seed"] == 5
        assert venue.get("/practice/info")["first_start"] == info["first_start"]
        assert tokens(venue, start) == before


def test_a_folder_keeps_its_seed(tmp_path: Path) -> None:
    """Started with no seed or with its own it continues with it; a new folder without one has the default."""
    assert chosen_source("synthetic", 5, tmp_path).info()["seed"] == 5
    assert chosen_source("synthetic", None, tmp_path).info()["seed"] == 5
    assert chosen_source("synthetic", 5, tmp_path).info()["seed"] == 5
    assert chosen_source("synthetic", None, tmp_path / "new").info()["seed"] == DEFAULT_SEED
    assert chosen_source("synthetic", None, None).info()["seed"] == DEFAULT_SEED


@pytest.mark.parametrize(
    ("began", "arguments", "text"),
    [
        (("synthetic", 5), (*SYNTHETIC, "--seed", "6"), "it was started with --seed 5"),
        (("synthetic", 5), ("--source", "recorded"), "it was started with --source synthetic"),
        (("recorded", None), SYNTHETIC, "it was started with --source recorded"),
    ],
)
def test_a_folder_refuses_another_world(
    tmp_path: Path,
    began: tuple[str, int | None],
    arguments: tuple[str, ...],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another seed, or another source, ends with exit code 2 and one line with the original ones."""
    PracticeVenue(chosen_source(*began, tmp_path), VenueOptions(state=tmp_path)).close()
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--state", str(tmp_path)])
    assert ended.value.code == 2
    line = f"error: --state {tmp_path}: {text}; start it with that, or give another folder"
    assert capsys.readouterr().err.splitlines()[-1].endswith(line)
    assert chosen_source(*began, tmp_path).info()["name"] == began[0]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--seed", "5"), "--seed: not for recorded markets; use it with --source synthetic"),
        (("--external-lag",), "--external-lag: not for recorded markets"),
        ((*SYNTHETIC, "--seed", "-1"), "'-1' is not a seed from 0 to"),
        ((*SYNTHETIC, "--seed", "x"), "'x' is not a seed"),
    ],
)
def test_bad_usage_names_the_problem(
    arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and the last line names the argument."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert text in capsys.readouterr().err.splitlines()[-1]


# --- trading ---------------------------------------------------------------------------------


def test_a_generated_market_is_traded_like_any(venue: VenueProcess) -> None:
    """The official client reads the source's own book, buys at its ask, and has the shares that it paid
    for."""
    trader = trader_at(venue.url)
    client = trader.client(venue.url)
    start = venue.clock.current_start()
    up, down = tokens(venue, start)
    books = {book["asset_id"]: book for book in client.get_order_books([BookParams(up), BookParams(down)])}
    prices = {token: [level["price"] for level in books[token]["asks"]] for token in (up, down)}
    assert prices[down][-1] == f"{1 - float(books[up]['bids'][-1]['price']):.2f}"
    answer = client.create_and_post_market_order(
        MarketOrderArgsV2(token_id=up, amount=5.0, side="BUY", price=0.99), order_type=OrderType.FAK
    )
    assert answer["status"] == "matched"
    # The rest of the five dollars is less than a micro dollar per level.
    assert float(answer["makingAmount"]) == pytest.approx(5, abs=2e-5)
    paid = 5 / float(answer["takingAmount"])
    assert paid == pytest.approx(float(prices[up][-1]), abs=0.08)
    (position,) = venue.account(trader.address)["positions"]
    assert (position["token"], position["shares"]) == (up, answer["takingAmount"])


async def test_the_market_feed_follows_the_source() -> None:
    """After each of 20 changes a subscriber's copy of the bids equals one of the source's books."""
    source = SyntheticSource(21)
    with VenueProcess.start(*SYNTHETIC, "--seed", "21", "--hold-clock", "--start-at", "300") as venue:
        up, _ = tokens(venue, venue.clock.current_start())
        async with (
            asyncio.timeout(60),
            connect(venue.ws_url + "market", proxy=None, ping_interval=None, max_queue=None) as socket,
        ):
            await socket.send(json.dumps({"type": "market", "assets_ids": [up]}))
            copies: list[dict[str, str]] = [_applied(json.loads(await socket.recv())[0], up, {})]
            await asyncio.to_thread(venue.step, 40)
            while len(copies) <= 20:
                frame = json.loads(await socket.recv())
                for event in frame if isinstance(frame, list) else [frame]:
                    copies.append(_applied(event, up, copies[-1]))
    second = 300
    for copy in copies:
        while _bids(source.book(0, second)) != copy:
            second += 1
            assert second < 900


def _bids(book: VenueBook) -> dict[str, str]:
    return {price_text(price): decimal_text(size) for price, size in book.bids}


def _applied(event: dict[str, Any], token: str, bids: dict[str, str]) -> dict[str, str]:
    """The bids after a book or a change of levels."""
    if event["event_type"] == "book":
        assert event["asset_id"] == token
        return {level["price"]: level["size"] for level in event["bids"]}
    after = dict(bids)
    for change in event["price_changes"]:
        if change["asset_id"] == token and change["side"] == "BUY":
            after[change["price"]] = change["size"]
    return {price: size for price, size in after.items() if size != "0"}


def test_markets_settle_by_the_prices_of_the_world() -> None:
    """Two markets end: Gamma's outcomes are those of the sixty-second means."""
    source = SyntheticSource(33)
    arguments = (*SYNTHETIC, "--seed", "33", "--hold-clock", "--start-at", "800", "--first", "7")
    with VenueProcess.start(*arguments) as venue:
        first = venue.get("/practice/info")["first_start"]
        for index in (7, 8):
            slug = f"btc-updown-15m-{first + index * 900}"
            venue.finish_market()
            market = venue.get(f"/gamma/markets/slug/{slug}")
            assert market["closed"] is True
            strike, final = source.mean_price(index, 0), source.mean_price(index, 900)
            assert json.loads(market["outcomePrices"]) == (["1", "0"] if final >= strike else ["0", "1"])
            assert market["events"][0]["eventMetadata"] == {
                "priceToBeat": float(dollars(strike)),
                "finalPrice": float(dollars(final)),
            }


async def test_the_strike_is_published_later() -> None:
    """In its first minute a market has no price to beat, then its own; no final price before the end."""
    async with open_world() as world:
        slug = f"btc-updown-15m-{world.venue.schedule.first_start}"
        strikes = []
        for seconds in (59, 2, 838.5):
            world.clock.forward(seconds)
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                event = (await client.get(f"{world.url}/gamma/events/slug/{slug}")).json()
            strikes.append(event.get("eventMetadata"))
    strike = {"priceToBeat": float(dollars(world.source.mean_price(0, 0)))}
    assert strikes == [None, strike, strike]


# --- the bot's feed on it --------------------------------------------------------------------


async def test_the_bots_whole_feed_lives_on_it() -> None:
    """All sources are warm, none is absent, and the received strike is the one of the settlement."""
    source = SyntheticSource(4)
    with VenueProcess.start(*SYNTHETIC, "--seed", "4", "--speed", "1", "--start-at", "896") as venue:
        api = trader_at(venue.url).api
        assert api is not None
        clock = venue.clock
        first = venue.get("/practice/info")["first_start"]
        feed = FeedSettings(
            urls=FeedUrls(**venue.ready["source"]["external"]),
            polybolt=PolyBoltCredentials(api_key=api.key, secret=api.secret, passphrase=api.passphrase),
        )
        adapter = build_data_adapter(
            feed, market_time=lambda ns: (clock.market_ns + (ns - clock.wall_ns) * clock.speed) / 1e9
        )
        try:
            await adapter.start()
            await until(
                lambda: "twap60" in getattr(adapter._find_strike(first + 900, Rule.TWAP60), "source", "")
            )
            await until(lambda: getattr(adapter.consensus(), "n", 0) >= 3)
            externals = await adapter.refresh(start=first + 900)
        finally:
            await adapter.aclose()
            reset_data_adapter()
    assert externals.absent == {}
    assert externals.strike is not None
    assert externals.strike.price == dollars(source.mean_price(1, 0))
    assert externals.spot is not None
    assert externals.put_call is not None
    assert externals.sentiment is not None


async def until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.005)
