"""The mirror: the upstream's books at every moment, and its handling of uncertain books."""

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from shadow_builders import mirrored_pair, until, upstream_only
from venue_builders import BOOK, side

from venue.amounts import MICRO, taker_fee
from venue.market import FEE_RATE, VenueMarket
from venue.order_book import VenueBook
from venue.price_history import price_at, price_points
from venue.refusal import VenueRefusal
from venue.sources.shadow import stream
from venue.venue import PracticeVenue
from venue.wire import gamma, market_json

pytestmark = pytest.mark.asyncio

DEARER = VenueBook(bids=side((610, 50), (600, 10)), asks=side((640, 80), (650, 90)))

FINE = VenueBook(
    bids=side(
        (961, 50),
    ),
    asks=side((965, 80), (970, 90)),
)


def made_book(draw: random.Random) -> VenueBook:
    """A book of up to six levels per side, sometimes one-sided, sometimes empty."""
    mid = draw.randrange(100, 900, 10)
    below = sorted(draw.sample(range(10, mid, 10), draw.randrange(0, 7)), reverse=True)
    above = sorted(draw.sample(range(mid, 1000, 10), draw.randrange(0, 7)))
    return VenueBook(
        bids=tuple((price, draw.randrange(1, 10**9)) for price in below),
        asks=tuple((price, draw.randrange(1, 10**9)) for price in above),
    )


async def test_the_mirror_shows_the_upstreams_book_at_every_moment() -> None:
    """After each of 60 changes both tokens' books are the upstream's, and /book was never requested."""
    draw = random.Random(5)
    async with mirrored_pair() as pair:
        for _ in range(60):
            book = made_book(draw)
            pair.quote(book)
            await until(lambda book=book: pair.shown() == book)
            for token in pair.market.tokens:
                _, shown = await pair.shadow.exchange.book(token)
                assert shown == (await pair.upstream.venue.exchange.book(token))[1]
        assert pair.doubt() == ""
        assert pair.asked("/book") == 0
        assert pair.asked("/gamma") <= 3


async def test_an_order_fills_at_the_upstreams_price_of_the_moment_after_the_delay() -> None:
    """The book changes during the taker delay: the fill has the new price, and the fee of that price."""
    async with mirrored_pair(taker_delay=0.05) as pair:
        trader = pair.trader()
        body = trader.buy(pair.market.up_token, 100, 650)
        pair.quote(DEARER)
        (trade,) = await pair.place(trader, body)
        assert trade.price == 640
        assert trade.fee == taker_fee(trade.shares, 640, FEE_RATE)
        assert pair.balance(trader) == 1000 * MICRO - trade.usd - trade.fee


async def test_fee_minimum_and_tick_are_the_markets_own() -> None:
    """A market with another fee rate, minimum size and tick is traded on those terms."""
    async with upstream_only() as pair:
        market = pair.upstream.market
        terms = msgspec.structs.replace(market, fee_rate=Decimal("0.05"), minimum_shares=20 * MICRO)
        pair.upstream.venue.schedule.add(terms)
        pair.upstream.source.changes_tick_at = 0.0
        pair.upstream.source.standing = VenueBook(bids=side((601, 9)), asks=side((619, 90)))
        await pair.mirrored()
        trader = pair.trader()
        (trade,) = await pair.place(trader, trader.buy(pair.market.up_token, 100, 619))
        assert (trade.price, trade.fee) == (619, taker_fee(trade.shares, 619, Decimal("0.05")))
        with pytest.raises(VenueRefusal, match="lower than the minimum: 20"):
            await pair.place(trader, trader.limit(pair.market.up_token, "BUY", 19, 500))
        await pair.gone()


async def test_a_finer_grid_that_no_message_announced_is_the_markets_tick() -> None:
    """The tick_size_change is lost: the finer prices reveal the tick, and an order on it is accepted."""
    async with mirrored_pair() as pair:
        assert pair.shadow.exchange.tick(pair.market) == 10
        pair.upstream.venue.faults.arm("tick_size_change_lost", None, {})
        pair.upstream.source.changes_tick_at = 0.0
        pair.quote(FINE)
        await until(lambda: pair.shown() == FINE)
        assert pair.shadow.exchange.tick(pair.market) == 1
        trader = pair.trader()
        (trade,) = await pair.place(trader, trader.buy(pair.market.up_token, 100, 965))
        assert trade.price == 965


async def test_what_an_account_took_stays_taken_until_the_upstream_renews_the_level() -> None:
    """A filled size is missing from the mirror, in both views, until the level has another size upstream."""
    async with mirrored_pair() as pair:
        trader = pair.trader()
        (trade,) = await pair.place(trader, trader.buy(pair.market.down_token, 100, 420))
        assert trade.price == 400
        left = 100 * MICRO - trade.shares
        assert pair.shown().bids[0] == (600, left)
        pair.quote(VenueBook(bids=BOOK.bids, asks=side((620, 7))))
        await until(lambda: pair.shown().asks == side((620, 7)))
        assert pair.shown().bids[0] == (600, left)
        pair.quote(VenueBook(bids=side((600, 99)), asks=side((620, 7))))
        await until(lambda: pair.shown().bids == side((600, 99)))


async def test_an_upstream_that_dies_gets_no_fills_and_comes_back() -> None:
    """Without stream and /book an order is refused for want of a book; later all is right again."""
    async with mirrored_pair() as pair:
        trader = pair.trader()
        await pair.vanish()
        await until(lambda: pair.doubt() != "")
        body = trader.buy(pair.market.up_token, 100, 650)
        with pytest.raises(
            VenueRefusal, match=f"the orderbook {pair.market.up_token} does not exist"
        ) as refused:
            await pair.place(trader, body)
        assert refused.value.status == 400
        with pytest.raises(VenueRefusal, match="No orderbook exists"):
            await pair.shadow.exchange.book(pair.market.up_token)
        assert pair.balance(trader) == 1000 * MICRO
        assert [order.status for order in pair.shadow.ledger.orders_of(trader.address)] == ["CANCELED"]
        pair.upstream.source.standing = DEARER
        await pair.serve()
        (trade,) = await pair.place(trader, trader.buy(pair.market.up_token, 100, 650))
        assert trade.price == 640
        await until(lambda: pair.doubt() == "")
        pair.quote(BOOK)
        await until(lambda: pair.shown() == BOOK)


async def test_a_stalled_stream_is_noticed_and_the_book_read_instead() -> None:
    """The stream is open and silent: an order is matched with the book of /book, the stream is closed."""
    async with mirrored_pair() as pair:
        pair.upstream.venue.faults.arm("market_feed_stall", None, {})
        pair.quote(DEARER)
        pair.clock.forward(4)
        assert pair.doubt() == "the stream is silent"
        trader = pair.trader()
        (trade,) = await pair.place(trader, trader.buy(pair.market.up_token, 100, 650))
        assert (trade.price, pair.asked("/book")) == (640, 1)
        assert pair.doubt() == "not received from the stream yet"
        pair.upstream.venue.faults.clear(None)
        await until(lambda: pair.doubt() == "")


async def test_a_stall_is_noticed_without_an_order_too() -> None:
    """A running market that is silent for ten seconds is compared with /book, and no more often than that."""
    async with mirrored_pair() as pair:
        pair.clock.forward(11)
        await pair.source.look_at_doubts()
        pair.clock.forward(2)
        await pair.source.look_at_doubts()
        assert pair.asked("/book") == 1
        assert pair.doubt() == "the stream is silent"
        pair.upstream.source.standing = DEARER
        pair.clock.forward(11)
        await pair.source.look_at_doubts()
        assert pair.doubt() == "not received from the stream yet"
        assert pair.shown() == DEARER


async def test_a_change_that_does_not_fit_is_mended_without_an_order() -> None:
    """A lost change shows in the best prices of the next one; the book is read again, the stream kept."""
    async with mirrored_pair() as pair:
        market = pair.upstream.market
        row = {"asset_id": market.up_token, "price": "0.55", "side": "BUY", "size": "7", "best_bid": "0.61"}
        event = {"event_type": "price_change", "market": market.condition_id, "price_changes": [row]}
        stamp = str(pair.clock.ns // 10**6)
        pair.upstream.venue.markets._send(market, {market.up_token: event | {"timestamp": stamp}})
        await until(lambda: "a change is missing" in pair.doubt())
        await pair.source.look_at_doubts()
        assert (pair.doubt(), pair.shown(), pair.asked("/book")) == ("", BOOK, 1)
        assert pair.asked("/ws/market") == 1


async def test_a_quiet_market_is_asked_for_and_keeps_its_stream() -> None:
    """Silence without a change is no fault: the order is matched with the same book, the connection stays."""
    async with mirrored_pair() as pair:
        pair.clock.forward(4)
        trader = pair.trader()
        (trade,) = await pair.place(trader, trader.buy(pair.market.up_token, 100, 650))
        assert (trade.price, pair.asked("/book")) == (620, 1)
        pair.quote(DEARER)
        await until(lambda: pair.shown() == DEARER)
        assert (pair.doubt(), pair.asked("/ws/market")) == ("", 1)


async def test_resting_orders_do_not_meet_a_book_in_doubt() -> None:
    """While the mirror is uncertain a resting order waits; once the book is certain it fills."""
    async with mirrored_pair() as pair:
        trader = pair.trader()
        await pair.place(trader, trader.limit(pair.market.up_token, "BUY", 10, 610))
        crossing = VenueBook(bids=side((590, 1)), asks=side((605, 50)))
        pair.upstream.source.standing = crossing
        pair.clock.forward(4)
        await pair.source.confirm(pair.market)
        assert pair.source.book(pair.market) == crossing
        pair.shadow.step()
        assert len(pair.shadow.ledger.trades_of(trader.address)) == 0
        await until(lambda: pair.doubt() == "")
        await until(lambda: len(pair.shadow.ledger.trades_of(trader.address)) == 1)


async def test_a_connection_without_an_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream without messages until the timeout is opened again, and sends the book anew."""
    monkeypatch.setattr(stream, "DEAD_SECONDS", 0.1)
    async with mirrored_pair() as pair:
        await until(lambda: pair.asked("/ws/market") >= 2)
        await until(lambda: pair.doubt() == "")


@pytest.mark.parametrize(("failures", "longest"), [(0, 0.5), (1, 1.0), (5, 16.0), (6, 30.0), (500, 30.0)])
async def test_connecting_again_takes_longer_each_time(failures: int, longest: float) -> None:
    """The pause doubles up to half a minute, and half of it is random."""
    pauses = [stream._pause(failures) for _ in range(200)]
    assert longest / 2 <= min(pauses) < max(pauses) <= longest


async def test_a_market_that_is_not_understood_is_not_tradable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not listed, an order for it is refused, and the log names the reason once."""

    def odd(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
        return market_json.gamma_market(venue, market) | {"negRisk": True}

    monkeypatch.setattr(gamma, "gamma_market", odd)
    async with upstream_only() as pair:
        pair.mirror()
        await pair.shadow.start()
        pair.clock.forward(90)
        await pair.source.look_for_markets()
        trader = pair.trader()
        with pytest.raises(VenueRefusal, match="does not exist"):
            await pair.place(trader, trader.buy(pair.upstream.market.up_token, 100, 650))
        slug = pair.upstream.market.slug
        assert caplog.text.count(f"{slug} is not tradable here: it is a negRisk market") == 1
        await pair.gone()


async def test_the_next_market_is_followed_before_the_running_one_is_left() -> None:
    """At the boundary the next market's book is certain already, and only it is traded."""
    async with mirrored_pair() as pair:
        following = pair.shadow.schedule.at(pair.market.end)
        assert following is not None
        await until(lambda: pair.source.certain(following))
        pair.clock.forward(900)
        pair.quote(DEARER)
        await until(lambda: pair.source.certain(following))
        assert pair.shadow.exchange.visible(following) == DEARER
        trader = pair.trader()
        with pytest.raises(VenueRefusal, match="does not exist"):
            await pair.place(trader, trader.buy(pair.market.up_token, 100, 650))
        (trade,) = await pair.place(trader, trader.buy(following.up_token, 100, 650))
        assert trade.price == 640


async def test_past_prices_are_those_that_the_mirror_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One a minute, while the book was certain; Gamma's delayed quote is the one of a minute ago."""
    monkeypatch.setattr("venue.sources.shadow.source.LOOK_SECONDS", 3600.0)
    async with mirrored_pair() as pair:
        market, exchange = pair.market, pair.shadow.exchange
        pair.source.record_books()
        pair.clock.forward(60)
        pair.quote(VenueBook(bids=side((700, 5)), asks=side((720, 5))))
        await until(lambda: pair.doubt() == "" and pair.shown() == pair.upstream.source.standing)
        pair.source.record_books()
        assert market_json.gamma_market(pair.shadow, market)["bestBid"] == 0.6
        pair.clock.forward(60)
        assert pair.doubt() != ""
        pair.source.record_books()
        points = list(price_points(exchange, market.up_token, market.start, market.end, 60))
        assert points == [(market.start, "0.61"), (market.start + 60, "0.71")]
        assert price_at(exchange, market.down_token, market.start + 60) == "0.29"
