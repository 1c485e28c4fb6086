"""The decision service: the external values of a market's own prices reach the brain, and no others."""

import asyncio
import threading
from decimal import Decimal

import msgspec
import pytest
from ledger_builders import NOON_NS, decision, market

from config import Settings
from core.ingestion.adapters.checked_sources import CheckedSources
from core.ingestion.adapters.feed_memory import FeedMemory
from core.ingestion.adapters.strikes import KnownStrike
from core.ingestion.adapters.unified_adapter import RefreshedValues, UnifiedDataAdapter
from core.ingestion.validators.data_validator import DataValidator
from core.nautilus_core.providers.decision_loop import DecisionLoop
from core.strategy_brain.fusion_engine import get_fusion_engine, reset_fusion_engine
from data_sources.coinbase import CoinbaseSource
from data_sources.transport import Received
from models import MarketKind, Rule, Spot, Strike, Tick
from runtime.worker.decision_service import DecisionService

STRIKE = Strike(price=Decimal(65000), rule=Rule.TWAP60, source="chainlink_twap60/rtds")
RUNNING = market(1)


def now_ns() -> int:
    """800 seconds after the market's start."""
    return (RUNNING.start + 800) * 10**9


def feeds(received: Received | None = None) -> UnifiedDataAdapter:
    """An adapter that knows a strike and a minute of prices, and whose spot source does not answer."""
    nowhere = "http://127.0.0.1:1"
    sources = CheckedSources(
        coinbase=CoinbaseSource(base_url=nowhere, exchange_url=nowhere, now_ns=now_ns),
        validator=DataValidator("btc", now_ns=now_ns),
        now_ns=now_ns,
    )
    for second in range(740, 800):
        sources.path.add(float(RUNNING.start + second), Decimal(65000 + second))
    sources._spots = {
        name: Spot(name, Decimal(65800), now_ns(), now_ns()) for name in ("binance", "chainlink")
    }
    memory = FeedMemory(strikes=[KnownStrike(start=RUNNING.start, strike=STRIKE)])
    return UnifiedDataAdapter(interval=900, sources=sources, now_ns=now_ns, memory=memory, received=received)


@pytest.fixture
def decide():
    loop = DecisionLoop()
    reset_fusion_engine()

    def run(origin: str, adapter: UnifiedDataAdapter | None):
        service = DecisionService(Settings().brain_params(), adapter, loop, 1.5)
        context = decision(1).context
        context = msgspec.structs.replace(
            context,
            market=market(1, origin=origin),
            now_ns=NOON_NS,
            second=800.0,
            up_book=msgspec.structs.replace(context.up_book, ts_ns=NOON_NS - 10**9),
        )

        async def decided():
            return await service.decide(context)

        return asyncio.run(decided())

    yield run
    loop.close()
    reset_fusion_engine()


@pytest.mark.parametrize("origin", ["", "synthetic-57-1"])
def test_the_values_of_the_feeds_are_in_the_context(origin, decide):
    """Strike, path and consensus are those of the feed, and the missing source has its reason."""
    context = decide(origin, feeds()).context
    assert context.strike == STRIKE
    assert context.spot_path[0] == Tick(second=740.0, price=Decimal(65740))
    assert context.consensus is not None
    assert (context.consensus.median, context.consensus.n) == (Decimal(65800), 2)
    assert "coinbase" in context.absent


def test_the_values_are_recorded_with_the_time_of_the_books(decide):
    """The recorded values name the newer of the two books that the decision was made on."""
    seen: list[bytes] = []
    context = decide("", feeds(lambda name, text: seen.append(text))).context
    (recorded,) = (msgspec.json.decode(text, type=RefreshedValues) for text in seen)
    assert recorded.books_ns == pytest.approx(max(context.up_book.ts_ns, context.down_book.ts_ns), abs=1000)
    assert context.up_book.ts_ns != context.down_book.ts_ns


def test_a_recorded_market_has_no_values_of_the_prices_beside_it(decide):
    """Between generated markets the feeds run on; a recorded market is decided without them, and why."""
    context = decide("btc-updown-15m-1790586000", feeds()).context
    assert context.market.kind is MarketKind.RECORDED
    assert (context.spot, context.strike, context.spot_path, context.consensus) == (None, None, (), None)
    assert context.absent == dict.fromkeys(
        ("coinbase", "strike", "deribit", "fear_greed"), "recorded markets have no external feeds"
    )


def test_without_feeds_the_reason_is_the_same(decide):
    """A venue of recorded markets only has no services at all."""
    absent = decide("btc-updown-15m-1790586000", None).context.absent
    assert absent["strike"] == "recorded markets have no external feeds"


def test_the_learned_weights_decide(decide):
    """The weights are those of the fusion engine at that moment, not those of the settings."""
    get_fusion_engine().set_weight("TickVelocity", 0.11)
    assert decide("", feeds()).params.weights["TickVelocity"] == 0.11


def test_the_nodes_loop_goes_on_while_a_decision_is_made(decide):
    """The decision is made on the decision loop: the caller's loop runs meanwhile."""
    adapter, went_on = feeds(), threading.Event()
    answered = adapter.newest

    def slow(**arguments):
        assert went_on.wait(5), "the decision blocks the loop that asked for it"
        return answered(**arguments)

    adapter.newest = slow
    loop = DecisionLoop()

    async def run():
        service = DecisionService(Settings().brain_params(), adapter, loop, 1.5)
        task = asyncio.ensure_future(service.decide(decision(1).context))
        for _ in range(3):
            await asyncio.sleep(0)
        went_on.set()
        return await task

    assert asyncio.run(run()).context.market.slug == market(1).slug
    loop.close()


def test_a_decision_sends_no_request(decide, monkeypatch):
    """Whatever the feeds have, or do not have, is taken: no source is asked."""
    adapter = feeds()

    async def asked() -> Spot:
        raise AssertionError("a source was asked")

    monkeypatch.setattr(adapter.sources.coinbase, "spot", asked)
    assert decide("", adapter).context.absent["coinbase"] == "coinbase: not read yet"
