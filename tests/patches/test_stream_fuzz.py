"""Every message of both streams, mutated by its structure: valid as a whole, or refused."""

import json
from decimal import Decimal
from typing import Any

import message_samples as samples
import msgspec
import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import intent, market
from nautilus_trader.adapters.polymarket.schemas.user import PolymarketUserOrder, PolymarketUserTrade

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.market_board import MarketBoard
from errors import Temporary
from execution.order_lookup import read_trade
from models import Market
from patches.market_feed import MESSAGE_TYPE, BookSnapshot, best_last, fault_of, rows_of, tokens_named
from patches.user_feed import order_fault, trade_fault

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the clients catch when they decode a frame."""
SEEDS = 200
LARGEST_NS = 2**63 - 1
BOOK_KINDS = ("book", "books", "price_change", "tick_size_change", "last_trade_price")


def drawn(messages: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Mutations of any of these messages."""
    return st.sampled_from(sorted(messages)).flatmap(lambda kind: samples.mutations(messages[kind]))


@pytest.mark.parametrize("kind", BOOK_KINDS)
def test_the_samples_of_the_market_stream_are_valid(kind: str) -> None:
    """The mutations begin with messages that are accepted."""
    content = msgspec.json.decode(json.dumps(samples.MARKET_STREAM[kind]), type=MESSAGE_TYPE)
    assert [fault_of(each) for each in (content if isinstance(content, list) else [content])] in (
        [None],
        [None, None],
    )


def require_valid_market_message(body: bytes) -> None:
    """A message without a fault has prices between 0 and 1, finite sizes and times; others name their
    tokens, or none."""
    try:
        content = msgspec.json.decode(body, type=MESSAGE_TYPE)
    except UNREADABLE:
        named = tokens_named(body)
        assert named is None or all(isinstance(token, str) for token in named)
        return
    for message in content if isinstance(content, list) else [content]:
        fault = fault_of(message)
        if fault is not None:
            assert fault.isprintable()
            continue
        assert int(message.timestamp) * 10**6 <= LARGEST_NS
        for row in rows_of(message):
            assert 0 < Decimal(row.price) < 1
            assert 0 <= Decimal(row.size) < 10**12
        if isinstance(message, BookSnapshot):
            turned = best_last(message)
            prices = [Decimal(level.price) for level in turned.bids]
            assert prices == sorted(prices)


@settings(max_examples=examples(400))
@given(drawn(samples.MARKET_STREAM))
def test_a_market_message_is_valid_or_refused(body: bytes) -> None:
    """Whatever changes a message has, it is used as a whole, or it is refused."""
    require_valid_market_message(body)


def require_valid_user_message(body: bytes) -> None:
    """An order or trade without a fault fits Nautilus and the ledger, or its trade is looked up."""
    try:
        message = msgspec.json.decode(body, type=PolymarketUserOrder | PolymarketUserTrade)
    except UNREADABLE:
        return
    if isinstance(message, PolymarketUserOrder):
        fault = order_fault(message)
        assert fault is None or fault.isprintable()
        if fault is None:
            assert 0 < Decimal(message.price) < 1
            assert int(message.timestamp) * 10**6 <= LARGEST_NS
        return
    try:
        found = read_trade(message.to_dict(), intent(1), market())
    except Temporary:
        found = None
    fault = trade_fault(message)
    assert fault is None or fault.isprintable()
    for fill in found.fills if found is not None else ():
        assert 0 < fill.price < 1
        assert 0 < fill.shares < 10**12
        assert 0 <= fill.ts_ns <= LARGEST_NS


@settings(max_examples=examples(400))
@given(drawn(samples.USER_STREAM))
def test_a_user_message_is_valid_or_refused(body: bytes) -> None:
    """The same for the messages about orders and trades."""
    require_valid_user_message(body)


@pytest.mark.slow
def test_many_messages_are_valid_or_refused() -> None:
    """The same for many seeds of each kind of message; a failing one is in the message."""
    for seed in range(SEEDS):
        for stream, require in (
            (samples.MARKET_STREAM, require_valid_market_message),
            (samples.USER_STREAM, require_valid_user_message),
        ):
            for kind, sample in stream.items():
                try:
                    require(samples.seeded(sample, f"{kind} {seed}"))
                except Exception as error:
                    raise AssertionError(f"{kind} {seed}") from error


@settings(max_examples=examples(200))
@given(samples.mutations(samples.REST["/gamma/markets/keyset"]).map(samples.decoded))
def test_the_board_admits_valid_markets_only(answer: Any) -> None:
    """Any list of the catalogue is processed: no row raises, and every reason is one printable line."""
    reported: list[str] = []
    admitted: list[Market] = []
    calendar = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)
    board = MarketBoard(calendar, admitted.append, lambda slug, why: reported.append(f"{slug} {why}"))
    rows = answer.get("markets") if isinstance(answer, dict) else answer
    listed = board.admit(rows if isinstance(rows, list) else [], [samples.GAMMA["slug"]])
    assert set(listed) <= {samples.GAMMA["slug"]}
    assert all(text.isprintable() for text in reported)
