"""Offline, from generated books and the external services alone, every one of the six processors votes."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from synthetic_world import World, dollars, open_world

from config import Settings
from core.strategy_brain.signal_processors import build_processors
from data_sources.coinbase import CoinbaseSource
from data_sources.deribit import DeribitSource
from data_sources.news_social import NewsSocialSource
from models import Book, Direction, Level, Market, Rule, Strike, Tick, TradingSignal
from venue.amounts import MICRO, MILL
from venue.order_book import Side, VenueBook

MARKETS = 24
SECONDS = (785, 815)
HISTORY = 100


class Clients:
    """The bot's own clients of three services."""

    def __init__(self, world: World) -> None:
        urls = world.urls
        self.spot = CoinbaseSource(base_url=urls["coinbase"], now_ns=world.clock)
        self.options = DeribitSource(base_url=urls["deribit"], now_ns=world.clock)
        self.mood = NewsSocialSource(base_url=urls["fear_greed"], now_ns=world.clock)

    async def aclose(self) -> None:
        for each in (self.spot, self.options, self.mood):
            await each.aclose()


def levels(side: Side) -> tuple[Level, ...]:
    return tuple(Level(price=Decimal(p) / MILL, size=Decimal(s) / MICRO) for p, s in side)


def mid(book: VenueBook) -> Decimal:
    """The Up mid, or the price of the only side."""
    assert book.mid_text is not None
    return Decimal(book.mid_text)


def market_at(world: World, index: int) -> Market:
    found = world.venue.schedule.at(world.venue.schedule.first_start + index * 900)
    assert found is not None
    return Market(
        slug=found.slug,
        start=found.start,
        interval=900,
        condition_id=found.condition_id,
        up_token=found.up_token,
        down_token=found.down_token,
        fee_rate=Decimal("0.07"),
        tick=Decimal("0.01"),
        rule=Rule.TWAP60,
    )


async def seen(
    world: World, clients: Clients, index: int, second: int
) -> tuple[Decimal, list[Decimal], dict[str, Any]]:
    """The inputs of the processors at a second of a market, external values read by the bot's clients."""
    source = world.source
    path = range(second - 300, second + 1)
    ticks = tuple(Tick(second=float(s), price=mid(source.book(index, s))) for s in path[-HISTORY:])
    book = source.book(index, second)
    metadata = {
        "market": market_at(world, index),
        "second": float(second),
        "tick_buffer": ticks,
        "up_book": Book(bids=levels(book.bids), asks=levels(book.asks), ts_ns=world.clock.ns),
        "spot": await clients.spot.spot(),
        "spot_path": tuple(Tick(second=float(s), price=dollars(source.spot(index, s))) for s in path),
        "strike": Strike(
            price=dollars(source.mean_price(index, 0)),
            rule=Rule.TWAP60,
            source="chainlink",
        ),
        "put_call": await clients.options.put_call(),
        "sentiment": await clients.mood.sentiment(),
        "absent": {},
    }
    return ticks[-1].price, [tick.price for tick in ticks], metadata


def moments() -> Iterator[tuple[int, int]]:
    yield from ((index, second) for index in range(MARKETS) for second in SECONDS)


async def test_all_six_processors_vote_offline() -> None:
    """Over 24 markets of the default seed each votes, none always, and those with two directions use both."""
    votes: dict[str, Counter[Direction | None]] = {}
    processors = build_processors(Settings.model_construct().brain_params())
    async with open_world() as world:
        start, clients = world.clock.ns, Clients(world)
        for index, second in moments():
            world.clock.ns = start + (index * 900 + second) * 10**9
            world.venue.schedule.list_until(world.venue.clock.market_s())
            price, history, metadata = await seen(world, clients, index, second)
            for processor in processors:
                vote = processor.process(price, history, metadata)
                assert vote is None or isinstance(vote, TradingSignal)
                votes.setdefault(processor.name, Counter())[vote.direction if vote else None] += 1
        await clients.aclose()
    assert len(votes) == 6
    daily = ("DeribitPCR", "SentimentAnalysis")
    for name, counted in votes.items():
        assert counted.total() > counted[None], name
        if name not in daily:
            assert counted[Direction.BULLISH] > 0, name
            assert counted[Direction.BEARISH] > 0, name
            assert counted[None] > 0, name
    assert all(counted[None] == 0 for name, counted in votes.items() if name in daily)
