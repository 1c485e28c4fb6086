"""What passes between Nautilus and the bot: books, the loop of the decisions, the external values."""

import asyncio
import threading
from decimal import Decimal

import pytest
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta, QuoteTick
from nautilus_trader.model.enums import BookAction, BookType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.stubs.component import TestComponentStubs

from core.ingestion.adapters.checked_sources import CheckedSources
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.ingestion.validators.data_validator import DataValidator
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.providers import feed_actor
from core.nautilus_core.providers.book_conversion import full_book, top_of_book
from core.nautilus_core.providers.decision_loop import DecisionLoop
from core.nautilus_core.providers.feed_actor import FEED, ExternalUpdate, FeedActor
from data_sources.coinbase import CoinbaseSource
from models import Level, Rule

TOKEN = InstrumentId.from_str("0xc1-11.POLYMARKET")
NOW_NS = 1_790_586_800 * 10**9


def quote(bid_size: str, ask_size: str) -> QuoteTick:
    return QuoteTick(
        TOKEN,
        Price.from_str("0.89"),
        Price.from_str("0.91"),
        Quantity.from_str(bid_size),
        Quantity.from_str(ask_size),
        1,
        2,
    )


def book(*levels: tuple[OrderSide, str, str]) -> OrderBook:
    made = OrderBook(TOKEN, BookType.L2_MBP)
    for number, (side, price, size) in enumerate(levels):
        order = BookOrder(side, Price.from_str(price), Quantity.from_str(size), number)
        made.apply_delta(OrderBookDelta(TOKEN, BookAction.ADD, order, 0, number, 1, 1))
    return made


# --- books -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bid_size", "ask_size", "bids", "asks"),
    [
        ("5.50", "7.25", [("0.89", "5.50")], [("0.91", "7.25")]),
        ("0.00", "7.25", [], [("0.91", "7.25")]),
        ("5.50", "0.00", [("0.89", "5.50")], []),
    ],
)
def test_a_quote_has_one_level_per_side_and_none_of_size_zero(bid_size, ask_size, bids, asks):
    """The adapter shows an empty side as size zero: such a side has no price."""
    top = top_of_book(quote(bid_size, ask_size))
    for levels, expected in ((top.bids, bids), (top.asks, asks)):
        assert [(str(level.price), level.size) for level in levels] == [
            (price, Decimal(size)) for price, size in expected
        ]
    assert top.ts_ns == 2


def test_a_book_is_best_first_exact_and_at_most_twenty_levels_deep():
    """Prices and sizes are the decimals of the venue, not the floats of the book."""
    bids = [(OrderSide.BUY, f"0.{n:02}", f"{n}.123457") for n in range(10, 40)]
    asks = [(OrderSide.SELL, f"0.{n:02}", "0.100001") for n in range(60, 65)]
    found = full_book(book(*bids, *asks), 77)
    assert found.bids[0] == Level(price=Decimal("0.39"), size=Decimal("39.123457"))
    assert [level.price for level in found.bids] == sorted((b.price for b in found.bids), reverse=True)
    assert len(found.bids) == 20
    assert [level.price for level in found.asks] == [Decimal(n) / 100 for n in range(60, 65)]
    assert {level.size for level in found.asks} == {Decimal("0.100001")}
    assert found.ts_ns == 77


def test_without_a_book_there_is_none():
    """Before the first message of a token its book is empty, and as old as possible."""
    found = full_book(None, 77)
    assert (found.bids, found.asks, found.ts_ns) == ((), (), 0)


# --- the loop of the decisions -----------------------------------------------------------------------


@pytest.fixture
def decision_loop():
    loop = DecisionLoop()
    yield loop
    loop.close()


def test_work_runs_on_the_decisions_thread(decision_loop):
    """A result and an error come back to the caller; the work itself runs on its own thread."""

    async def name() -> str:
        return threading.current_thread().name

    async def fails() -> None:
        raise ValueError("no strike")

    assert decision_loop.submit(name()).result(5) == "decisions"
    with pytest.raises(ValueError, match="no strike"):
        decision_loop.submit(fails()).result(5)


def test_the_end_cancels_what_still_runs(decision_loop):
    """A request that waits for a server does not outlive the worker; closing twice is no error."""
    begun = threading.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.Event().wait()

    waiting = decision_loop.submit(waits())
    assert begun.wait(5)
    decision_loop.close()
    assert waiting.cancelled()
    decision_loop.close()


# --- the external values -----------------------------------------------------------------------------


def adapter() -> UnifiedDataAdapter:
    """An adapter whose only source does not answer."""
    nowhere = "http://127.0.0.1:1"
    sources = CheckedSources(
        coinbase=CoinbaseSource(base_url=nowhere, exchange_url=nowhere, now_ns=lambda: NOW_NS),
        validator=DataValidator("btc", now_ns=lambda: NOW_NS),
        now_ns=lambda: NOW_NS,
    )
    return UnifiedDataAdapter(interval=900, sources=sources, now_ns=lambda: NOW_NS)


async def test_the_external_values_reach_the_strategy_as_nautilus_data(decision_loop, monkeypatch):
    """Published on the bus with the reasons of what is missing, and no more after the end."""
    monkeypatch.setattr(feed_actor, "SHORTEST_PAUSE_S", 0.001)
    rules: list[Rule] = []

    def rule() -> Rule:
        rules.append(Rule.TWAP30)
        return Rule.TWAP30

    feeds, bus = adapter(), TestComponentStubs.msgbus()
    actor = FeedActor(feeds, decision_loop, MarketClock(speed=10_000.0), rule, lambda: NOW_NS)
    actor.register_base(
        TestComponentStubs.portfolio(), bus, TestComponentStubs.cache(), TestComponentStubs.clock()
    )
    seen: asyncio.Queue[ExternalUpdate] = asyncio.Queue()
    bus.subscribe(f"data.{FEED.topic}*", seen.put_nowait)
    actor.start()
    update = await asyncio.wait_for(seen.get(), 5)
    assert (update.ts_event, update.ts_init) == (NOW_NS, NOW_NS)
    assert update.externals.spot is None
    assert set(update.externals.absent) == {"coinbase", "deribit", "fear_greed", "strike"}
    assert rules[0] is Rule.TWAP30, "the strike is the one of the running market's rule"
    actor.stop()
    await asyncio.sleep(0)
    assert actor._task.cancelled()


def test_the_actor_publishes_as_often_as_market_time_asks(decision_loop):
    """Every five market seconds, at most once per second of the machine."""
    pauses = [
        FeedActor(adapter(), decision_loop, MarketClock(speed=speed), lambda: Rule.SPOT, lambda: 0)._pause_s
        for speed in (1.0, 2.0, 15.0)
    ]
    assert pauses == [5.0, 2.5, 1.0]
