"""An upstream with invalid answers and messages: the mirror ignores what is invalid and continues."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from shadow_builders import mirrored_pair, until, upstream_only
from test_shadow_mirror import MARKET, step, whole
from venue_builders import BOOK, side

from venue.amounts import decimal_text, micro
from venue.order_book import VenueBook
from venue.series import BTC_15M
from venue.sources.shadow import stream
from venue.sources.shadow.listing import UnsupportedMarket, clob_outcome, gamma_outcome, listed
from venue.sources.shadow.mirror import BookMirror
from venue.sources.shadow.upstream import UpstreamUnreachable
from venue.wire.market_json import gamma_market

BAD = (
    *("", "NaN", "sNaN", "-1", "1e400", "1e999990", "1e-400", "0x1", "\x1b[2J\x07\u202e\r\n", "é"),
    *("[]", '["a"]', "9" * 5000, None, True, 7, -1, 1e300, 1e-300, ["x"], [], {"a": 1}, {}),
)


def places(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in decoded JSON."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


def damaged(content: Any) -> Iterator[Any]:
    """Copies of decoded JSON with each bad value in each place."""
    for path in places(content):
        for value in BAD:
            copy = json.loads(json.dumps(content))
            place = copy
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            yield copy


async def test_no_value_of_a_market_raises_anything_else() -> None:
    """Whatever a field of the catalogue contains, the market is listed or refused with a reason."""
    refused = number = 0
    async with upstream_only() as pair:
        row = gamma_market(pair.upstream.venue, pair.upstream.market)
        start = pair.upstream.market.start
    for bad in damaged(json.loads(json.dumps(row))):
        number += 1
        try:
            market = listed(bad, BTC_15M, start).market
        except UnsupportedMarket:
            refused += 1
        else:
            assert (market.condition_id, market.tokens) == (row["conditionId"], ("1", "2")) or all(
                text.isascii() and text.isprintable() for text in (market.condition_id, *market.tokens)
            )
        closed = bad | {"closed": True}
        assert gamma_outcome(closed) in (None, 0, 500_000, 1_000_000)
        assert clob_outcome(bad) is None
    assert 100 < refused < number


def test_no_value_of_an_event_raises_or_makes_a_level_that_cannot_be() -> None:
    """Whatever a field of the stream contains, the mirror is uncertain or has a valid book."""
    later = VenueBook(bids=side((600, 90), (590, 200)), asks=side((620, 100), (640, 200)))
    tick = {"event_type": "tick_size_change", "market": "0x1", "asset_id": "1", "new_tick_size": "0.001"}
    doubted = 0
    for event in (whole(BOOK, 2), step(BOOK, later, 3), tick):
        for bad in damaged(event):
            mirror = BookMirror(MARKET, 10)
            mirror.handle_event(whole(BOOK, 1), 1)
            mirror.handle_event(bad, 2)
            doubted += not mirror.certain(2)
            assert mirror.book is not None
            for price, size in (*mirror.book.bids, *mirror.book.asks):
                assert 0 < price < 1000
                assert 0 < float(decimal_text(size)) < 1e12
    assert doubted > 100


@pytest.mark.parametrize("text", ["1e12", "1e999990", "-1e12", "NaN", "sNaN", "Infinity"])
def test_an_amount_too_large_for_the_database_is_none(text: str) -> None:
    """A million million and more is no amount of pUSD or shares, and is refused quickly."""
    with pytest.raises(ValueError, match="not an amount"):
        micro(text)


BROKEN = [
    ("nested_answer", {"depth": 100_000}),
    ("huge_answer", {"megabytes": 20}),
    ("huge_answer", {"megabytes": 20, "compressed": True}),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("fault", "parameters"), BROKEN)
async def test_an_answer_that_cannot_be_read_is_an_error_of_that_request(
    fault: str, parameters: dict[str, Any]
) -> None:
    """The book is requested again and is right then; the mirror's own stream continues."""
    async with mirrored_pair() as pair:
        token = pair.market.up_token
        pair.upstream.venue.faults.arm(fault, 1, {"path": "/book", **parameters})
        with pytest.raises(UpstreamUnreachable):
            await pair.source._reader.book(token)
        assert (await pair.source._reader.book(token))["asset_id"] == token
        assert pair.doubt() == ""


@pytest.mark.asyncio
@pytest.mark.parametrize(("fault", "parameters"), BROKEN)
async def test_one_market_that_makes_the_catalogue_unreadable_is_left_out(
    fault: str, parameters: dict[str, Any]
) -> None:
    """The request for all fails, then that for the first alone: all others are mirrored, and it is later."""
    async with upstream_only() as pair:
        pair.mirror()
        pair.upstream.venue.faults.arm(fault, 2, {"path": "/gamma/markets", **parameters})
        await pair.source.look_for_markets()
        running = pair.upstream.market
        assert running.slug not in pair.source.info()["doubts"]
        assert len(pair.source.info()["doubts"]) == 4
        await pair.source.look_for_markets()
        assert len(pair.source.info()["doubts"]) == 5
        await pair.gone()


@pytest.mark.asyncio
@pytest.mark.parametrize("ids", ["condition", "tokens", "both", "previous"])
async def test_a_market_with_the_ids_of_another_is_left_out(ids: str) -> None:
    """The next market has ids that belong to none, or to the running one: the others are mirrored."""
    async with upstream_only() as pair:
        following = pair.upstream.market.start + 900
        pair.upstream.venue.faults.arm("gamma_foreign_ids", None, {"ids": ids})
        await pair.mirrored()
        try:
            listed_there = pair.source.info()["doubts"]
            assert pair.upstream.market.slug in listed_there
            assert len(listed_there) == (4 if ids == "previous" else 5)
            assert (f"btc-updown-15m-{following}" in listed_there) is (ids != "previous")
            trader = pair.trader()
            assert len(await pair.place(trader, trader.buy(pair.market.up_token, 100, 620))) == 1
        finally:
            await pair.gone()


@pytest.mark.asyncio
async def test_a_known_market_with_other_ids_is_left_out_after_a_restart(tmp_path) -> None:
    """A market that the mirror listed once is unchanged: a catalogue with other ids is refused."""
    async with mirrored_pair(tmp_path) as pair:
        before = pair.market
    async with upstream_only(tmp_path / "other") as pair:
        pair.options = msgspec.structs.replace(pair.options, state=tmp_path)
        pair.upstream.venue.faults.arm("gamma_foreign_ids", None, {"slug": before.slug, "ids": "tokens"})
        pair.mirror()
        await pair.source.look_for_markets()
        assert before.slug not in pair.source.info()["doubts"]
        found = pair.shadow.schedule.by_slug(before.slug)
        assert found is not None
        assert found.tokens == before.tokens
        await pair.gone()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "frame", [{"depth": 100_000}, {"text": "\x1b[2J"}, {"text": '{"market": ["x"]}'}, {"text": "7" * 20_000}]
)
async def test_a_stray_frame_changes_nothing(frame: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged or ends the connection; the next change of the book is still mirrored."""
    monkeypatch.setattr(stream, "LARGEST_MESSAGE", 250_000)
    monkeypatch.setattr(stream, "FIRST_PAUSE", 0.01)
    async with mirrored_pair() as pair:
        pair.upstream.venue.faults.arm("stray_frame", 1, frame)
        pair.upstream.venue.markets.send_stray()
        book = VenueBook(bids=side((600, 50)), asks=side((610, 70)))
        pair.quote(book)
        await until(lambda: pair.doubt() == "" and pair.shown() == book, "the mirror has the new book")
