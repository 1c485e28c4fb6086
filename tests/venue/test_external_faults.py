"""Faults of the external services, and their effect on the bot's clients."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from synthetic_world import World, in_cents, open_world
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from data_sources.coinbase import CoinbaseSource
from data_sources.deribit import DeribitSource
from data_sources.news_social import NewsSocialSource
from data_sources.solana import SolanaSource
from data_sources.types import MalformedPayload, RateLimited
from errors import Refused, Temporary
from venue.external.services import PATHS, named
from venue.faults import CATALOG, EXTERNAL


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        opened.clock.forward(500)
        yield opened


async def arm(world: World, name: str, count: int | None = None, **parameters: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        body = {"name": name, "count": count, "parameters": parameters}
        return await client.post(world.url + "/practice/faults", json=body)


def fear_greed(world: World) -> NewsSocialSource:
    return NewsSocialSource(
        base_url=world.urls["fear_greed"], now_ns=world.clock, failure_cache_s=0, timeout_s=2
    )


def coinbase(world: World, timeout_s: float = 2.0) -> CoinbaseSource:
    urls = world.urls
    return CoinbaseSource(
        base_url=urls["coinbase"],
        exchange_url=urls["coinbase_exchange"],
        now_ns=world.clock,
        timeout_s=timeout_s,
    )


async def test_a_service_that_is_down_answers_nothing(world: World) -> None:
    """The connection is dropped without an answer; it lasts until it is cleared."""
    source = fear_greed(world)
    await arm(world, "external_down", service="fear_greed")
    for _ in range(2):
        with pytest.raises(Temporary, match="RemoteProtocolError"):
            await source.sentiment()
    world.venue.faults.clear("external_down")
    assert (await source.sentiment()).score > 0
    await source.aclose()


async def test_a_fault_strikes_the_services_it_names(world: World) -> None:
    """With the app's API down Coinbase's price comes from the exchange; with both down from neither."""
    source = coinbase(world)
    await arm(world, "external_down", service="coinbase")
    assert (await source.spot()).price == in_cents(world.spot())
    await arm(world, "external_down", service="coinbase, coinbase_exchange")
    with pytest.raises(Temporary):
        await source.spot()
    mood = fear_greed(world)
    assert (await mood.sentiment()).score > 0
    await mood.aclose()
    await source.aclose()


async def test_a_fault_with_a_count_passes(world: World) -> None:
    """Armed once it applies to one request, at the named service only."""
    await arm(world, "external_429", count=1, service="deribit")
    mood = fear_greed(world)
    assert (await mood.sentiment()).score > 0
    options = DeribitSource(base_url=world.urls["deribit"], now_ns=world.clock, failure_cache_s=0)
    with pytest.raises(RateLimited):
        await options.put_call()
    world.clock.forward(6)
    assert (await options.put_call()).overall > 0
    await mood.aclose()
    await options.aclose()


async def test_a_slow_service_keeps_its_clients_waiting(world: World) -> None:
    """An answer slower than the client's timeout is no answer; within it the answer is unchanged."""
    await arm(world, "external_slow", seconds=0.3)
    hasty, patient = coinbase(world, timeout_s=0.05), coinbase(world)
    with pytest.raises(Temporary, match=r"no complete answer within 0\.05 s"):
        await hasty.spot()
    assert (await patient.spot()).price == in_cents(world.spot())
    await hasty.aclose()
    await patient.aclose()


async def test_a_rate_limited_client_gets_a_retry_after(world: World) -> None:
    """429 with Retry-After: the client's error contains the time to wait."""
    await arm(world, "external_429", service="fear_greed", retry_after=7)
    source = fear_greed(world)
    with pytest.raises(RateLimited) as limited:
        await source.sentiment()
    assert limited.value.retry_after_s == 7
    await source.aclose()


async def test_an_html_page_is_no_answer(world: World) -> None:
    """With status 403 the client is refused; with 200 it detects that the page is not the expected answer."""
    source = fear_greed(world)
    await arm(world, "external_html")
    with pytest.raises(Refused, match="403"):
        await source.sentiment()
    await arm(world, "external_html", status=200)
    with pytest.raises(MalformedPayload, match="an HTML page"):
        await source.sentiment()
    await source.aclose()


async def test_stale_answers_are_the_old_ones_with_their_old_stamps(world: World) -> None:
    """Five minutes stale: prices, timestamps and the Age header are those of five minutes ago."""
    index, second = world.now
    now_ns = world.clock.ns
    before = in_cents(world.source.spot(index, second - 300))
    assert before != in_cents(world.spot())
    await arm(world, "external_stale")
    source = coinbase(world)
    spot, ticker = await source.spot(), await source.ticker()
    assert (spot.price, ticker.price) == (before, before)
    assert spot.source_ns == ticker.source_ns == now_ns - 300 * 10**9
    options = DeribitSource(base_url=world.urls["deribit"], now_ns=world.clock)
    assert (await options.put_call()).source_ns == now_ns - 300 * 10**9
    chain = SolanaSource(base_url=world.urls["solana"], now_ns=world.clock)
    with pytest.raises(Temporary, match="750 slots old"):
        await chain.spot()
    for each in (source, options, chain):
        await each.aclose()


async def test_stale_seconds_are_machine_seconds() -> None:
    """On a clock fifteen times as fast, ten stale seconds are 150 market seconds."""
    async with open_world(speed=15.0) as world:
        world.clock.forward(40)
        index, second = world.now
        await arm(world, "external_stale", seconds=10)
        source = coinbase(world)
        assert (await source.spot()).price == in_cents(world.source.spot(index, second - 150))
        await source.aclose()


@pytest.mark.parametrize("name", sorted(EXTERNAL))
async def test_an_unknown_service_is_refused(world: World, name: str) -> None:
    """A misspelt service is 400 with the existing names, and nothing is armed."""
    answer = await arm(world, name, service="coinbase,kraken")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"fault {name}: unknown service 'kraken'; known: all, coinbase,")
    assert world.venue.faults.listing() == []


def test_every_external_fault_is_in_the_catalog_and_takes_a_service() -> None:
    """Five faults, each for all services unless one is named."""
    assert len(EXTERNAL) == 5
    assert all(CATALOG[name].defaults["service"] == "all" for name in EXTERNAL)
    assert named("all") == PATHS.keys()
    assert named("rtds, solana") == {"rtds", "solana"}


# --- sockets ---------------------------------------------------------------------------------


async def handshake(world: World, service: str = "rtds") -> None:
    async with connect(world.urls[service], proxy=None, ping_interval=None):
        pass


@pytest.mark.parametrize(("fault", "status"), [("external_429", 429), ("external_html", 403)])
async def test_a_struck_stream_refuses_the_handshake(world: World, fault: str, status: int) -> None:
    """The upgrade is answered with the fault's status; other streams are open."""
    await arm(world, fault, service="rtds")
    with pytest.raises(InvalidStatus) as refused:
        await handshake(world)
    assert refused.value.response.status_code == status
    await handshake(world, "polybolt")


async def test_a_stream_that_is_down_drops_the_handshake(world: World) -> None:
    """No answer at all, at any stream, if all services are down."""
    await arm(world, "external_down")
    for service in ("rtds", "polybolt"):
        with pytest.raises((InvalidMessage, ConnectionResetError, EOFError)):
            await handshake(world, service)


SUBSCRIBE = '{"action":"subscribe","subscriptions":[{"topic":"crypto_prices_chainlink","type":"*"}]}'


async def test_an_open_stream_closes_when_its_service_goes_down(world: World) -> None:
    """At the next second of market time the server closes with 1012."""
    async with connect(world.urls["rtds"], proxy=None, ping_interval=None) as socket:
        await socket.send(SUBSCRIBE)
        await socket.recv()
        await arm(world, "external_down", service="rtds")
        world.clock.forward(5)
        with pytest.raises(ConnectionClosed) as ended:
            await asyncio.wait_for(socket.recv(), 5)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1012


async def test_a_stale_stream_is_silent_but_alive(world: World) -> None:
    """While stale it answers pings and sends no prices; afterwards it continues with the present ones."""
    async with connect(world.urls["rtds"], proxy=None, ping_interval=None) as socket:
        await socket.send(SUBSCRIBE)
        await socket.recv()
        await arm(world, "external_stale", service="rtds")
        world.clock.forward(3)
        await socket.send("PING")
        assert await asyncio.wait_for(socket.recv(), 5) == "PONG"
        world.venue.faults.clear()
        world.clock.forward(2)
        assert '"type":"update"' in str(await asyncio.wait_for(socket.recv(), 5))


async def test_a_stopping_venue_closes_its_streams(world: World) -> None:
    """Its clients receive 1001, and no connection is left."""
    async with connect(world.urls["rtds"], proxy=None, ping_interval=None) as socket:
        await socket.send("PING")
        await socket.recv()
        await world.venue.stop()
        with pytest.raises(ConnectionClosed) as ended:
            await socket.recv()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1001
    assert world.venue.external is not None
    while world.venue.external.sessions:  # noqa: ASYNC110 - the server's side ends a moment later
        await asyncio.sleep(0.001)
