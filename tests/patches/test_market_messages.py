"""Which market messages are refused, which books they affect, and how often that is logged."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from patches.market_feed import MESSAGE_TYPE, best_last, fault_of, tokens_named, tokens_of
from patches.message_values import price_fault, size_fault
from patches.price_grid import on_grid
from patches.refused_messages import RefusedMessages

HEAD = {"market": "0xdd22", "timestamp": "1703875200000"}
LEVEL = {"price": "0.50", "size": "200.0"}
BOOK = HEAD | {"event_type": "book", "asset_id": "11", "bids": [LEVEL], "asks": [LEVEL], "hash": "x"}
CHANGE = {"asset_id": "11", "price": "0.5", "side": "BUY", "size": "0", "hash": "x", "best_bid": ""}
CHANGES = HEAD | {"event_type": "price_change", "price_changes": [CHANGE, CHANGE | {"asset_id": "22"}]}
TRADE = HEAD | {
    "event_type": "last_trade_price",
    "asset_id": "11",
    "fee_rate_bps": "0",
    "price": ".48",
    "side": "SELL",
    "size": "1.234567",
}
TICK = HEAD | {
    "event_type": "tick_size_change",
    "asset_id": "11",
    "old_tick_size": "0.01",
    "new_tick_size": "0.001",
}
BAD_PRICES = (
    "0",
    "1.000",
    "NaN",
    "-0.1",
    "1e400",
    "1e-2",
    "inf",
    "",
    "1.01",
    "7",
    " 0.5",
    "0x1",
    "٠.٥",
    "\x1b[2J",
    "0.5\n",
)
BAD_SIZES = ("NaN", "-1", "1e400", "Infinity", "", "1000000000000", "1_0", "9" * 400)


def read(message: Any) -> Any:
    return msgspec.json.decode(json.dumps(message), type=MESSAGE_TYPE)


@pytest.mark.parametrize("message", [BOOK, BOOK | {"bids": [], "asks": []}, CHANGES, TRADE, TICK])
def test_usual_messages_have_no_fault(message: dict[str, Any]) -> None:
    """The formats of the documentation are valid, including sizes of zero and prices without a leading
    zero."""
    assert fault_of(read(message)) is None


@pytest.mark.parametrize("bad", BAD_PRICES)
def test_a_price_that_cannot_be_is_a_fault(bad: str) -> None:
    """In a level, a change and a trade alike; the fault names the price without control characters."""
    level = LEVEL | {"price": bad}
    for message in (
        BOOK | {"bids": [LEVEL, level]},
        BOOK | {"asks": [level]},
        CHANGES | {"price_changes": [CHANGE, CHANGE | {"price": bad}]},
        TRADE | {"price": bad},
    ):
        fault = fault_of(read(message))
        assert fault is not None
        assert fault.startswith("price ")
        assert fault.isprintable()


@pytest.mark.parametrize("bad", BAD_SIZES)
def test_a_size_that_cannot_be_is_a_fault(bad: str) -> None:
    """A size is a finite number of shares, zero or more, and fewer than a million millions."""
    for message in (
        BOOK | {"bids": [LEVEL | {"size": bad}]},
        CHANGES | {"price_changes": [CHANGE | {"size": bad}]},
        TRADE | {"size": bad},
    ):
        assert str(fault_of(read(message))).startswith("size ")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (TICK | {"new_tick_size": "0"}, "new_tick_size '0'"),
        (TICK | {"new_tick_size": "1"}, "new_tick_size '1'"),
        (TICK | {"new_tick_size": "NaN"}, "new_tick_size 'NaN'"),
        (TICK | {"new_tick_size": "0.00000001"}, "new_tick_size '0.00000001'"),
        (BOOK | {"timestamp": "NaN"}, "timestamp 'NaN'"),
        (CHANGES | {"timestamp": "-1"}, "timestamp '-1'"),
        (TRADE | {"timestamp": "1e400"}, "timestamp '1e400'"),
        (BOOK | {"timestamp": "99999999999999"}, "timestamp '99999999999999'"),
        (BOOK | {"market": "x"}, "market 'x'"),
        (BOOK | {"asset_id": "a.b"}, "asset_id 'a.b'"),
        (CHANGES | {"price_changes": [CHANGE | {"asset_id": "\x1b"}]}, r"asset_id '\\x1b'"),
    ],
)
def test_ticks_times_and_ids_that_cannot_be_are_faults(message: dict[str, Any], fault: str) -> None:
    """Each is named with its value."""
    assert fault_of(read(message)) == fault


@pytest.mark.parametrize("best_first", [True, False])
def test_the_best_level_is_found_in_either_order(best_first: bool) -> None:
    """The library takes the last level as the best: a book with the best first is reversed."""
    bids, asks = (
        [{"price": "0.5", "size": "1"}, {"price": "0.10", "size": "2"}],
        [{"price": ".6", "size": "3"}],
    )
    asks.append({"price": "0.75", "size": "4"})
    rows = (bids, asks) if best_first else (bids[::-1], asks[::-1])
    turned = best_last(read(BOOK | {"bids": rows[0], "asks": rows[1]}))
    assert [level.price for level in turned.bids] == ["0.10", "0.5"]
    assert [level.price for level in turned.asks] == ["0.75", ".6"]


def test_the_books_that_a_message_concerns() -> None:
    """A change affects both tokens of its market, every other message one."""
    assert tokens_of(read(CHANGES)) == {"11", "22"}
    assert tokens_of(read(BOOK)) == {"11"}


@pytest.mark.parametrize(
    ("frame", "tokens"),
    [
        (json.dumps(BOOK | {"bids": None}), {"11"}),
        (json.dumps([BOOK, BOOK | {"asset_id": "22", "asks": 7}]), {"11", "22"}),
        (json.dumps(CHANGES | {"price_changes": [CHANGE | {"side": "?"}, {"asset_id": "33"}]}), {"11", "33"}),
        (json.dumps(TICK | {"new_tick_size": 7}), {"11"}),
        (json.dumps(HEAD | {"event_type": "price_change", "asset_id": "11", "changes": [LEVEL]}), {"11"}),
        (json.dumps({"event_type": "new_market", "assets_ids": ["44"]}), set()),
        (json.dumps(TRADE | {"price": 7}), set()),
        (json.dumps(CHANGES | {"price_changes": "?"}), None),
        (json.dumps(BOOK | {"asset_id": 7}), None),
        (json.dumps(BOOK | {"asset_id": ["11"]}), None),
        ("[" * 100_000 + "]" * 100_000, None),
        ("\x1b[2J", None),
        ("[1, 2]", None),
        ("PONG", None),
    ],
)
def test_the_books_that_an_unreadable_frame_may_have_changed(frame: str, tokens: set[str] | None) -> None:
    """Those that it names, none if its event changes no book, and all if that cannot be read."""
    assert tokens_named(frame.encode()) == tokens


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The logged warnings."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message.record["message"])), level="WARNING")
    yield lines
    logger.remove(sink)


def test_refused_messages_are_logged_once_a_minute(logged: list[str]) -> None:
    """The first at once, further ones together a minute later with the newest example, and never more."""
    now = [1000.0]
    refused = RefusedMessages("market stream", lambda: now[0])
    for number in range(300):
        refused.add(f"price 'NaN' {number}", b'{"a": "\x1b[2J\xff"}')
        now[0] += 0.1
    refused.log_if_due()
    assert logged == [
        'market stream: 1 messages refused (1 in all), e.g. price \'NaN\' 0, in {"a": "\\x1b[2J\ufffd"}'
    ]
    now[0] = 1060.0
    refused.log_if_due()
    refused.log_if_due()
    assert len(logged) == 2
    assert logged[1].startswith("market stream: 299 messages refused (300 in all), e.g. price 'NaN' 299, in")
    refused.add("late", b"x" * 5_000_000)
    refused.log()
    refused.log()
    assert len(logged) == 3
    assert len(logged[2]) < 800


def test_an_ordered_book_is_passed_on_as_it_is() -> None:
    """The venue's order costs no copy and no sort; equal prices are in order."""
    rows = [{"price": price, "size": "1"} for price in ("0.1", ".10", "0.2")]
    ordered = read(BOOK | {"bids": rows, "asks": rows[::-1]})
    assert best_last(ordered) is ordered
    turned = best_last(read(BOOK | {"bids": rows[::-1], "asks": []}))
    assert [level.price for level in turned.bids] == [".10", "0.1", "0.2"]


numbers = st.from_regex(r"[0-9]{0,18}(\.[0-9]{0,20})?", fullmatch=True) | st.text(max_size=45)


@given(numbers)
def test_sizes_and_prices_are_the_numbers_of_their_ranges(text: str) -> None:
    """A valid size is a plain number below 10¹², a valid price one between 0 and 1."""
    plain = re.fullmatch(r"[0-9]{1,15}(\.[0-9]{0,18})?|\.[0-9]{1,18}", text) is not None
    assert (size_fault(text) is None) == (plain and Decimal(text) < 10**12)
    assert (price_fault(text) is None) == (plain and 0 < Decimal(text) < 1)


def test_the_grid_of_a_text_is_that_of_its_number() -> None:
    """Price and tick may have any number of zeros."""
    assert on_grid("0.50", "0.010")
    assert on_grid(".5", "0.1")
    assert not on_grid("0.505", "0.01")
