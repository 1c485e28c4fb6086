"""Changes that are applied in one pass have the effect of the complete validation, message by message."""

import asyncio
import operator
from collections.abc import Sequence
from typing import Any

import msgspec
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import market
from nautilus_trader.core.data import Data
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick

from benchmarks.book_updates import connected
from models import Outcome
from patches.market_feed import CheckedDataClient
from research.backtest.market_data import instrument_id

MARKET = market()
TOKENS = (MARKET.up_token, MARKET.down_token)
PRICES = ("0.48", "0.49", ".5", "0.50", "0.51", "0.52")

CHANGE = st.fixed_dictionaries(
    {
        "asset_id": st.sampled_from((*TOKENS * 6, "99", "x")),
        "price": st.sampled_from((*PRICES * 4, "0.505", "7", "NaN")),
        "side": st.sampled_from(("BUY", "SELL")),
        "size": st.sampled_from(("0", "0", "5", "7.25", "12.", "0.0000001", "-1", "", "1e3", "+5")),
        "hash": st.just("h"),
        "best_bid": st.sampled_from(("0.48", "0.49", "0.5", "", "0", "x", None)),
        "best_ask": st.sampled_from(("0.51", "0.52", "1", "", None)),
    }
)
MESSAGE = st.fixed_dictionaries(
    {
        "event_type": st.just("price_change"),
        "market": st.sampled_from((*[MARKET.condition_id] * 20, "0xc2", "c1")),
        "price_changes": st.lists(CHANGE, max_size=3),
        "timestamp": st.sampled_from((*["1790597700123"] * 20, "now", "", "1e12")),
    }
)


def book(token: str) -> bytes:
    level = operator.itemgetter("price", "size")
    sides = {
        "bids": [{"price": "0.48", "size": "5"}, {"price": "0.49", "size": "5"}],
        "asks": [{"price": "0.52", "size": "5"}, {"price": "0.51", "size": "5"}],
    }
    assert all(level(row) for side in sides.values() for row in side)
    head = {"event_type": "book", "market": MARKET.condition_id, "asset_id": token}
    return msgspec.json.encode({**head, **sides, "timestamp": "1790597700000", "hash": "h"})


class Seen:
    """A client, and what it passed on."""

    def __init__(self, *, one_pass: bool) -> None:
        self.quotes: list[tuple[Any, ...]] = []
        self.deltas: dict[Any, list[tuple[Any, ...]]] = {}
        """By book: those of several books in a message may be passed on book by book."""
        found = connected(CheckedDataClient, MARKET, self._note, refresh_pause=lambda: 60.0)
        assert isinstance(found, CheckedDataClient)
        self.client = found
        self.passes = 0
        apply = found._apply_known

        def apply_known(*message: Any) -> bool:
            applied = one_pass and apply(*message)
            self.passes += applied
            return applied

        found._apply_known = apply_known

    def _note(self, data: Data) -> None:
        if isinstance(data, QuoteTick):
            sizes = data.bid_size, data.ask_size
            self.quotes.append((data.instrument_id, data.bid_price, data.ask_price, *sizes, data.ts_event))
        elif isinstance(data, OrderBookDeltas):
            for delta in data.deltas:
                order = delta.order
                shown = None if order is None else (str(order.side), order.price, order.size)
                found = str(delta.action), shown, delta.ts_event
                self.deltas.setdefault(data.instrument_id, []).append(found)

    def state(self) -> object:
        client = self.client
        books = {
            outcome: [[(level.price, level.size()) for level in side] for side in (held.bids(), held.asks())]
            for outcome in Outcome
            if (held := client._local_books.get(instrument_id(MARKET, outcome))) is not None
        }
        refused = client._refused.count, set(client._outdated), client._differing
        return books, refused, self.quotes, self.deltas


async def require_equality(messages: Sequence[dict[str, Any]]) -> Seen:
    mine, checked = Seen(one_pass=True), Seen(one_pass=False)
    books = [book(token) for token in TOKENS]
    for raw in [*books, *map(msgspec.json.encode, messages), *books]:
        for seen in (mine, checked):
            seen.client._process_frames((raw,))
        assert mine.state() == checked.state()
    assert checked.passes == 0
    for seen in (mine, checked):
        await seen.client._disconnect()
    return mine


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(MESSAGE, max_size=12))
def test_one_pass_has_the_effect_of_the_complete_validation(messages: Sequence[dict[str, Any]]) -> None:
    """Books, quotes, changes passed on, refused messages and differing books are the same after each message,
    valid or not."""
    asyncio.run(require_equality(messages))


def test_usual_messages_are_applied_in_one_pass() -> None:
    """Several changes of both books, a removed level, a size in another notation, and a new best price."""
    head = {"event_type": "price_change", "market": MARKET.condition_id, "timestamp": "1790597700123"}

    def change(token: str, side: str, price: str, size: str) -> dict[str, Any]:
        return {"asset_id": token, "side": side, "price": price, "size": size, "hash": "h"}

    up, down = TOKENS
    messages = [
        {**head, "price_changes": [change(up, "BUY", "0.49", "6"), change(down, "SELL", "0.51", "6")]},
        {**head, "price_changes": [change(up, "BUY", "0.49", "0"), change(up, "BUY", ".48", "7.")]},
        {**head, "price_changes": [change(up, "BUY", "0.5", "1"), change(up, "BUY", "0.50", "2")]},
    ]
    seen = asyncio.run(require_equality(messages))
    assert seen.passes == 3
    assert [[str(value) for value in quote[1:5]] for quote in seen.quotes] == [
        ["0.49", "0.51", "5.000000", "5.000000"],
        ["0.49", "0.51", "5.000000", "5.000000"],
        ["0.49", "0.51", "6.000000", "5.000000"],
        ["0.49", "0.51", "5.000000", "6.000000"],
        ["0.48", "0.51", "7.000000", "5.000000"],
        ["0.50", "0.51", "2.000000", "5.000000"],
        ["0.49", "0.51", "5.000000", "5.000000"],
        ["0.49", "0.51", "5.000000", "5.000000"],
    ]


def test_a_changed_tick_is_followed() -> None:
    """After a finer tick its prices are applied in one pass, with Nautilus' new number of decimals."""

    async def run() -> None:
        seen = Seen(one_pass=True)
        for token in TOKENS:
            seen.client._process_frames((book(token),))
        head = {"market": MARKET.condition_id, "timestamp": "1790597700123"}
        rows = [{"asset_id": TOKENS[0], "side": "BUY", "price": "0.49", "size": "6", "hash": "h"}]
        message = msgspec.json.encode({**head, "event_type": "price_change", "price_changes": rows})
        seen.client._process_frames((message,))
        tick = {"event_type": "tick_size_change", "old_tick_size": "0.01", "new_tick_size": "0.001"}
        changed = {**head, **tick, "asset_id": TOKENS[0]}
        for raw in (msgspec.json.encode(changed), book(TOKENS[0]), message):
            seen.client._process_frames((raw,))
        assert seen.passes == 2
        assert [str(quote[1]) for quote in seen.quotes[-2:]] == ["0.490", "0.490"]
        assert [str(quote[3]) for quote in seen.quotes[-2:]] == ["5.000000", "6.000000"]
        await seen.client._disconnect()

    asyncio.run(run())
