"""A mirror alone: its handling of the stream's messages, and of the catalogue's answers."""

import json
import random
from decimal import Decimal
from typing import Any

import pytest
from shadow_builders import upstream_only
from test_shadow_books import made_book

from venue.amounts import MICRO, decimal_text, price_text
from venue.market import VenueMarket
from venue.order_book import VenueBook, changes_between, summary
from venue.schedule import make_market
from venue.series import BTC_15M
from venue.sources.shadow.listing import UnsupportedMarket, clob_outcome, gamma_outcome, listed
from venue.sources.shadow.mirror import STALE_NS, BookMirror
from venue.starts import next_start, running_start
from venue.wire.market_json import gamma_market

MARKET = VenueMarket(0, "btc-updown-15m-0", "0x1", "0x2", "1", "2", "Up or down?")


def whole(book: VenueBook, stamp: int) -> dict[str, Any]:
    """A whole book in the stream's format."""
    message = summary(book, market="0x1", token="1", timestamp_ms=stamp, tick=10, last_price="")
    return {"event_type": "book", **message}


def step(old: VenueBook, new: VenueBook, stamp: int) -> dict[str, Any]:
    """The change from one book to the next in the stream's format, for both tokens."""
    rows = []
    for token, before, after in (("1", old, new), ("2", old.mirrored(), new.mirrored())):
        bid, ask = after.best_bid, after.best_ask
        best = {
            "best_bid": "" if bid is None else price_text(bid),
            "best_ask": "" if ask is None else price_text(ask),
        }
        rows += [
            {
                "asset_id": token,
                "price": price_text(c.price),
                "side": c.side,
                "size": decimal_text(c.size),
                **best,
            }
            for c in changes_between(before, after)
        ]
    return {"event_type": "price_change", "market": "0x1", "price_changes": rows, "timestamp": str(stamp)}


def test_a_missed_change_is_noticed_by_the_best_prices() -> None:
    """Of 300 dropped changes every one that moved the touch is detected, and the next whole book repairs
    all."""
    draw = random.Random(8)
    noticed = 0
    for _ in range(300):
        first, second, third = made_book(draw), made_book(draw), made_book(draw)
        mirror = BookMirror(MARKET, 10)
        mirror.handle_event(whole(first, 1), 1)
        assert mirror.certain(1)
        mirror.handle_event(step(second, third, 3), 3)
        assert mirror.book is not None
        touch = (mirror.book.best_bid, mirror.book.best_ask)
        if changes_between(second, third) and touch != (third.best_bid, third.best_ask):
            assert mirror.doubt(3) != ""
            noticed += 1
        mirror.handle_event(whole(third, 4), 4)
        assert (mirror.certain(4), mirror.book) == (True, third)
    assert noticed > 100


def test_changes_that_were_under_way_when_the_book_was_read_are_not_undone() -> None:
    """A change older than the book of /book is in it already and does not count a second time."""
    draw = random.Random(3)
    first, second, third = made_book(draw), made_book(draw), made_book(draw)
    mirror = BookMirror(MARKET, 10)
    mirror.handle_event(whole(first, 1), 1)
    assert mirror.read(whole(third, 5)) is True
    mirror.handle_event(step(first, second, 3), 6)
    assert mirror.book == third
    assert mirror.read(whole(third, 6)) is False


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "price_change", "price_changes": [{"asset_id": "1"}], "timestamp": "2"},
        {"event_type": "tick_size_change", "asset_id": "1", "new_tick_size": "0.0025"},
        {"event_type": "book", "asset_id": "1", "bids": [], "asks": [{"price": "1.5", "size": "1"}]},
        {**whole(VenueBook(bids=((500, 1),)), 2), "bids": [{"price": "0.50001", "size": "1"}]},
        {**whole(VenueBook(bids=((500, 5),), asks=((400, 5),)), 2)},
    ],
)
def test_invalid_messages_leave_the_book_in_doubt(event: dict[str, Any]) -> None:
    """With malformed events, unknown ticks, impossible prices and crossed books there is no trade."""
    mirror = BookMirror(MARKET, 10)
    mirror.handle_event(whole(VenueBook(bids=((500, MICRO),)), 1), 1)
    mirror.handle_event(event, 2)
    assert not mirror.certain(2)


def test_a_clock_that_was_set_back_does_not_make_an_old_book_young() -> None:
    """Silence is counted in both directions."""
    mirror = BookMirror(MARKET, 10)
    mirror.handle_event(whole(VenueBook(), 1), 10 * STALE_NS)
    assert mirror.certain(11 * STALE_NS)
    assert not mirror.certain(11 * STALE_NS + 1)
    assert not mirror.certain(9 * STALE_NS)


@pytest.fixture
async def row() -> dict[str, Any]:
    """A market in the upstream's catalogue format."""
    async with upstream_only() as pair:
        return gamma_market(pair.upstream.venue, pair.upstream.market)


async def test_a_market_is_read_by_its_labels(row: dict[str, Any]) -> None:
    """Up and Down are identified by their names, whatever their order; terms are the market's own."""
    start = int(row["slug"].rpartition("-")[2])
    straight = listed(row, BTC_15M, start)
    up, down = straight.market.tokens
    row["outcomes"] = '["Down", "Up"]'
    assert listed(row, BTC_15M, start).market.tokens == (down, up)
    row |= {"feesEnabled": False, "orderMinSize": 2.5, "orderPriceMinTickSize": 0.001}
    free = listed(row, BTC_15M, start)
    assert (free.market.fee_rate, free.market.minimum_shares, free.tick) == (Decimal(0), 2_500_000, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "v3"}, "protocol version v3"),
        ({"version": "v2"}, "malformed"),
        ({"version": "v2", "positionIds": ["1", "2"]}, "its token ids are 1, 2"),
        ({"clobTokenIds": json.dumps([str(1 << 248), str((1 << 248) + 1)])}, "its token ids are 45231"),
        ({"version": "v2", "positionIds": [str((1 << 248) + 1), str(1 << 248)]}, "its token ids are 45231"),
        ({"negRisk": True}, "negRisk"),
        ({"enableOrderBook": False}, "no order book"),
        ({"outcomes": '["Yes", "No"]'}, "not Up and Down"),
        ({"outcomes": '["Up", "Up"]'}, "not Up and Down"),
        ({"clobTokenIds": '["1"]'}, "malformed"),
        ({"clobTokenIds": "no list"}, "malformed"),
        ({"orderPriceMinTickSize": 0.0025}, "tick size is 0.0025"),
        ({"orderPriceMinTickSize": None}, "malformed"),
        ({"feeSchedule": None}, "its fees"),
        ({"feeSchedule": {"rate": 0.25, "exponent": 2}}, "its fees"),
        ({"feeSchedule": {"rate": 0.07, "takerOnly": False}}, "its fees"),
        ({"feeSchedule": {"rate": 0.07, "minimum": 0.01}}, "unknown field `minimum`"),
        ({"feeType": "crypto_fees_v3"}, "its feeType is crypto_fees_v3"),
        ({"slug": "eth-updown-15m-0"}, "its slug is eth"),
    ],
)
async def test_what_is_not_understood_is_refused_with_its_reason(
    row: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    """A market with any unknown rule is skipped, and the reason names it."""
    start = int(row["slug"].rpartition("-")[2])
    with pytest.raises(UnsupportedMarket, match=reason):
        listed(row | change, BTC_15M, start)


async def test_a_market_of_protocol_v2_is_read_by_its_positions() -> None:
    """The mirror has the upstream's version and position ids, not the CTF tokens that are shown besides."""
    async with upstream_only() as pair:
        market = make_market(pair.upstream.market.start, 0, "v2")
        row = gamma_market(pair.upstream.venue, market)
    mirrored = listed(row, BTC_15M, market.start).market
    assert (mirrored.version, list(mirrored.tokens)) == ("v2", row["positionIds"])
    assert mirrored.condition_id == row["conditionId"]


@pytest.mark.parametrize(
    ("closed", "outcomes", "prices", "up_pays"),
    [
        (True, '["Up", "Down"]', '["1", "0"]', MICRO),
        (True, '["Down", "Up"]', '["1", "0"]', 0),
        (True, '["Up", "Down"]', '["0.5", "0.5"]', None),
        (True, '["Up", "Down"]', '["0.999", "0.001"]', None),
        (True, '["Up", "Down"]', None, None),
        (False, '["Up", "Down"]', '["1", "0"]', None),
    ],
)
def test_an_outcome_is_read_only_where_it_is_official(
    closed: bool, outcomes: str, prices: str | None, up_pays: int | None
) -> None:
    """Closed and exactly 1 to 0, by label; anything else is no outcome yet."""
    assert gamma_outcome({"closed": closed, "outcomes": outcomes, "outcomePrices": prices}) == up_pays
    tokens = [{"outcome": "Up", "winner": up_pays == MICRO}, {"outcome": "Down", "winner": up_pays == 0}]
    assert clob_outcome({"tokens": tokens}) == up_pays


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (1_768_453_200, 14_400),  # 2026-01-15 00:00 in New York, 05:00 UTC
        (1_784_088_000, 14_400),  # 2026-07-15 00:00 in New York, 04:00 UTC
        (1_772_946_000, 10_800),  # 2026-03-08, when the clocks go forward
        (1_793_505_600, 18_000),  # 2026-11-01, when they go back
    ],
)
def test_four_hour_markets_are_looked_for_on_the_clock_of_new_york(start: int, length: int) -> None:
    """The mirror requests the names that the upstream uses, in winter and on the days of a change too."""
    assert running_start(start + length - 1, 14_400) == start
    assert next_start(start, 14_400) == start + length
    assert running_start(1_790_590_123.4, 900) == 1_790_589_600


def test_a_market_without_a_winner_pays_half_once_it_is_resolved() -> None:
    """Prices of one half are a result when the catalogue has `resolved`, and open prices otherwise."""
    row = {"closed": True, "outcomes": '["Up", "Down"]', "outcomePrices": '["0.5", "0.5"]'}
    assert gamma_outcome(row) is None
    assert gamma_outcome({**row, "umaResolutionStatus": "proposed"}) is None
    assert gamma_outcome({**row, "umaResolutionStatus": "resolved"}) == MICRO // 2
