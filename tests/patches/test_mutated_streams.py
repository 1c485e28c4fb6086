"""A real node among mutated messages: none reaches a book or the ledger, and a correct order follows."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from nautilus_trader.model.data import QuoteTick
from test_market_feed import Feed
from test_market_feed import feed as feed

from models import OrderState, Outcome
from venue.mutations import INVALID, mutated_body

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(180)]

SEEDS = 600


def frames(feed: Feed) -> list[Any]:
    """Messages as the venue sends them now: both books, a change without effect, a trade."""
    rig = feed.rig
    books, changes = [], []
    for outcome in Outcome:
        book = rig.venue.get("/book", token_id=rig.market.token(outcome))
        books.append({"event_type": "book", **book})
        best = book["bids"][-1]
        asks = book["asks"]
        changes.append(
            {
                "asset_id": book["asset_id"],
                **best,
                "side": "BUY",
                "hash": book["hash"],
                "best_bid": best["price"],
                "best_ask": asks[-1]["price"] if asks else "",
            }
        )
    head = {"market": books[0]["market"], "timestamp": books[0]["timestamp"]}
    change = {**head, "event_type": "price_change", "price_changes": changes}
    trade = {
        **head,
        "event_type": "last_trade_price",
        "asset_id": books[0]["asset_id"],
        "fee_rate_bps": "0",
        "price": changes[0]["price"],
        "side": "BUY",
        "size": "1",
    }
    return [books, *books, change, change, trade]


@pytest.fixture
def quotes(feed: Feed) -> Iterator[list[QuoteTick]]:
    """The quotes that reach the strategy."""
    seen: list[QuoteTick] = []
    bus = feed.rig.strategy.msgbus
    bus.subscribe("data.quotes.POLYMARKET.*", seen.append)
    yield seen
    bus.unsubscribe("data.quotes.POLYMARKET.*", seen.append)


async def test_no_mutated_market_message_reaches_the_strategy(rig, feed, quotes, attempt):
    """Each price passed on is one that the venue's standing books have; both books are whole afterwards, and
    an order on them is matched."""
    await feed.whole()
    true = {price for outcome in Outcome for side in feed.true(outcome).values() for price in side}
    sent = frames(feed)
    feed.prices.clear()
    before = feed.refused()
    for seed in range(SEEDS):
        random = Random(seed)
        feed.client._handle_raw_ws_message(mutated_body(random.choice(sent), random, INVALID))
        if seed % 20 == 0:
            await asyncio.sleep(0)
    assert feed.refused() - before > SEEDS / 2
    await feed.whole()
    assert set(feed.prices) <= true
    passed = {price.as_decimal() for quote in quotes for price in (quote.bid_price, quote.ask_price)}
    assert passed <= true
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask + Decimal("0.02"))
    await attempt.until(attempt.closed)
    assert await attempt.written() == [OrderState.MATCHED]
    await attempt.balanced()
    feed.nothing_on_the_screen()


async def test_no_mutated_user_message_changes_the_ledger(rig, attempt, capfd):
    """Mutations of the messages about an own order leave its fills as the venue's account has them."""
    stream = rig.execution_client._stream._socket
    received: list[Any] = []
    handle = stream._handler
    stream._handler = lambda raw: (received.append(json.loads(raw)), handle(raw))
    attempt.follow_orders()
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask + Decimal("0.02"))
    await attempt.until(lambda: any(message["status"] == "CONFIRMED" for message in received))
    stream._handler = handle
    for seed in range(SEEDS):
        random = Random(seed)
        stream._handle_frame(mutated_body(random.choice(received), random, INVALID))
        await asyncio.sleep(0)
    await attempt.until(attempt.closed)
    assert await attempt.written() == [OrderState.MATCHED]
    assert attempt.engine.halted is None
    await attempt.balanced()
    shown = capfd.readouterr()
    assert "Traceback" not in shown.out + shown.err
