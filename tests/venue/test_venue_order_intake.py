"""Accepting orders with a constant book: the effect of each kind of order on money, shares and book."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_builders import BOOK, Bench, StillSource, Trader, side

from venue.order_book import VenueBook
from venue.records import LIVE
from venue.refusal import VenueRefusal
from venue.venue import VenueOptions
from venue.wire.market_json import clob_info

pytestmark = pytest.mark.asyncio

START = 1000 * 10**6


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A venue in this process, stopped afterwards."""
    bench = Bench()
    yield bench
    await bench.venue.stop()
    bench.venue.close()


def money(bench: Bench, trader: Trader) -> int:
    account = bench.venue.ledger.account(trader.address)
    assert account is not None
    return account.balance


def shares(bench: Bench, trader: Trader, token: str) -> int:
    position = bench.venue.ledger.position(trader.address, token)
    return 0 if position is None else position.shares


async def refusal(bench: Bench, trader: Trader, body: dict) -> VenueRefusal:
    with pytest.raises(VenueRefusal) as caught:
        await bench.place(trader, body)
    return caught.value


async def test_a_fak_buy_pays_cost_and_fee(bench: Bench) -> None:
    """$1 at 0.62 gives 1.612903 shares for 0.999999 and a fee of 0.0266, and nothing else changes."""
    trader = bench.trader()
    result = await bench.place(trader, trader.buy(bench.market.up_token, 100, 620))
    assert (result.order.matched_shares, result.order.matched_usd) == (1_612_903, 999_999)
    assert [trade.fee for trade in result.trades] == [26_600]
    assert money(bench, trader) == START - 999_999 - 26_600
    assert shares(bench, trader, bench.market.up_token) == 1_612_903


async def test_a_fee_of_one_basis_point_more_than_stated(bench: Bench) -> None:
    """With the fault the rate is 0.0701: 1.612903 × 0.0701 × 0.62 × 0.38 = 0.02664, and the market states
    0.07."""
    trader = bench.trader()
    bench.venue.faults.arm("fee_offset", 1, {})
    for fee in (26_640, 26_600):
        result = await bench.place(trader, trader.buy(bench.market.up_token, 100, 620))
        assert [trade.fee for trade in result.trades] == [fee]
    assert money(bench, trader) == START - 2 * 999_999 - 26_640 - 26_600
    assert clob_info(bench.venue, bench.market)["fd"]["r"] == 0.07


async def test_down_is_bought_from_the_mirror_of_the_up_bids(bench: Bench) -> None:
    """A Down BUY at 0.40 takes the Up bid at 0.60, which is then missing in the Up book."""
    trader = bench.trader()
    result = await bench.place(trader, trader.buy(bench.market.down_token, 4000, 400))
    assert result.order.matched_shares == 100_000_000
    assert bench.venue.exchange.visible(bench.market).bids == BOOK.bids[1:]


async def test_a_partial_fak_is_killed_for_the_rest(bench: Bench) -> None:
    """$100 at 0.62 fills 100 shares; the rest is ended, not resting and not reserved."""
    trader = bench.trader()
    result = await bench.place(trader, trader.buy(bench.market.up_token, 10_000, 620))
    assert result.order.status == "MATCHED"
    assert (result.order.matched_shares, result.order.left) == (100_000_000, 38_000_000)
    assert bench.venue.ledger.open_orders() == []


async def test_a_fak_without_a_match_is_refused_with_its_id(bench: Bench) -> None:
    """The miss is 400 with the order's id; the order exists afterwards, and no money has moved."""
    trader = bench.trader()
    body = trader.buy(bench.market.up_token, 100, 610)
    missed = await refusal(bench, trader, body)
    assert missed.text.startswith("no orders found to match with FAK order. FAK orders are partially filled")
    assert missed.order_id is not None
    order = bench.venue.ledger.order(missed.order_id)
    assert order is not None
    assert order.status == "CANCELED"
    assert money(bench, trader) == START


async def test_the_same_bytes_again_are_a_duplicate(bench: Bench) -> None:
    """Whether it was filled or killed, an order cannot be sent twice, not even while it waits."""
    trader = bench.trader()
    for price in (620, 610):
        body = trader.buy(bench.market.up_token, 100, price)
        try:
            await bench.place(trader, body)
        except VenueRefusal as killed:
            assert price == 610, killed  # noqa: PT017 - only the missing price may be refused
        assert (await refusal(bench, trader, body)).text.endswith("is invalid. Duplicated.")
    assert trader.api is not None
    waiting = trader.buy(bench.market.up_token, 100, 630)
    accepted = bench.venue.order_intake.accept(trader.api, waiting)
    assert (await refusal(bench, trader, waiting)).text.endswith("Duplicated.")
    await bench.venue.order_intake.execute(accepted)


async def test_a_fok_is_filled_whole_or_not_at_all(bench: Bench) -> None:
    """FOK for more than the book has within its limit changes nothing; for what it has, it fills."""
    trader = bench.trader()
    killed = await refusal(bench, trader, trader.buy(bench.market.up_token, 10_000, 620, "FOK"))
    assert killed.text == "order couldn't be fully filled. FOK orders are fully filled or killed."
    assert money(bench, trader) == START
    filled = await bench.place(trader, trader.buy(bench.market.up_token, 10_000, 630, "FOK"))
    assert filled.order.matched_shares == 100_000_000 + 60_317_460


async def test_taken_liquidity_is_gone_for_all_accounts(bench: Bench) -> None:
    """What one account took is not available to another, until the source reports another size."""
    first, second = bench.trader(), bench.trader()
    await bench.place(first, first.buy(bench.market.up_token, 6200, 620))
    assert (
        "no orders found" in (await refusal(bench, second, second.buy(bench.market.up_token, 100, 620))).text
    )
    bench.source.standing = VenueBook(bids=BOOK.bids, asks=side((620, 99), (630, 200)))
    result = await bench.place(second, second.buy(bench.market.up_token, 100, 620))
    assert result.order.matched_shares == 1_612_903


async def test_a_gtc_order_rests_and_is_filled_by_the_book_without_fee(bench: Bench) -> None:
    """A BUY at 0.61 rests, is in the book, and is filled at 0.61 when the asks come down to 0.60."""
    trader = bench.trader()
    result = await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 10, 610))
    assert result.order.status == LIVE
    assert bench.venue.exchange.visible(bench.market).bids[0] == (610, 10_000_000)
    bench.source.standing = VenueBook(bids=side((590, 5)), asks=side((600, 4), (620, 100)))
    bench.venue.step()
    order = bench.venue.ledger.order(result.order.id)
    assert order is not None
    assert (order.status, order.matched_shares, order.matched_usd) == (LIVE, 4_000_000, 2_440_000)
    bench.source.standing = VenueBook(bids=side((590, 5)), asks=side((600, 9)))
    bench.venue.step()
    order = bench.venue.ledger.order(result.order.id)
    assert order is not None
    assert (order.status, order.matched_shares) == ("MATCHED", 10_000_000)
    assert money(bench, trader) == START - 6_100_000
    trades = bench.venue.ledger.trades_of(trader.address)
    assert [(trade.role, trade.fee) for trade in trades] == [("MAKER", 0), ("MAKER", 0)]


async def test_a_gtc_order_that_crosses_takes_and_rests_the_remainder(bench: Bench) -> None:
    """A BUY of 200 at 0.62 takes 100 with fee, and its other $62 rest at 0.62."""
    trader = bench.trader()
    result = await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 200, 620))
    assert result.order.status == LIVE
    assert (result.order.matched_shares, result.order.left) == (100_000_000, 62_000_000)
    assert sum(trade.fee for trade in result.trades) == 1_649_200
    assert bench.venue.exchange.visible(bench.market).bids[0] == (620, 100_000_000)


async def test_post_only_refuses_to_cross(bench: Bench) -> None:
    """A post-only order that would take is refused; one that would not, rests."""
    trader = bench.trader()
    crossing = trader.limit(bench.market.up_token, "BUY", 10, 620, post_only=True)
    assert (await refusal(bench, trader, crossing)).text == ("invalid post-only order: order crosses book")
    resting = trader.limit(bench.market.up_token, "BUY", 10, 610, post_only=True)
    assert (await bench.place(trader, resting)).order.status == LIVE


async def test_a_gtd_order_dies_a_minute_before_its_expiration(bench: Bench) -> None:
    """GTD rests until expiration minus 60 s of wall time and is canceled then."""
    trader = bench.trader()
    expiration = bench.clock.ns // 10**9 + 300
    body = trader.limit(bench.market.up_token, "BUY", 10, 500, kind="GTD", expiration=expiration)
    order_id = (await bench.place(trader, body)).order.id
    for seconds, status in ((239, LIVE), (1, "CANCELED")):
        bench.clock.forward(seconds)
        bench.venue.step()
        order = bench.venue.ledger.order(order_id)
        assert order is not None
        assert order.status == status


async def test_resting_orders_reserve_what_they_promise(bench: Bench) -> None:
    """$610 resting of $1000 leave no funds for another $400, and canceling releases them."""
    trader = bench.trader()
    resting = (await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 1000, 610))).order
    again = trader.buy(bench.market.up_token, 40_000, 700)
    assert (await refusal(bench, trader, again)).text.startswith(
        "not enough balance / allowance: the balance is not enough -> balance: 390000000"
    )
    bench.venue.order_intake.cancel_ids(trader.address, [resting.id])
    assert (await bench.place(trader, trader.buy(bench.market.up_token, 40_000, 700))).trades


async def test_money_that_left_during_the_delay_is_missed(bench: Bench) -> None:
    """Two orders accepted with the same money: the second is refused at its turn, without a negative
    balance."""
    trader = bench.trader()
    assert trader.api is not None
    token = bench.market.up_token
    bench.venue.ledger.set_funds(trader.address, balance=700_000_000, allowance=None)
    accepted = [
        bench.venue.order_intake.accept(trader.api, trader.buy(token, 60_000, price)) for price in (700, 710)
    ]
    await bench.venue.order_intake.execute(accepted[0])
    with pytest.raises(VenueRefusal, match="not enough balance"):
        await bench.venue.order_intake.execute(accepted[1])
    assert money(bench, trader) > 0


async def test_a_fee_above_the_expected_one_cannot_overdraw(bench: Bench) -> None:
    """Fees are higher at a better price: an account with just cost and fee at its limit is refused."""
    trader = bench.trader()
    bench.venue.ledger.set_funds(trader.address, balance=10_030_000, allowance=None)
    assert (
        "not enough balance"
        in (await refusal(bench, trader, trader.buy(bench.market.up_token, 1000, 980))).text
    )
    assert money(bench, trader) == 10_030_000


async def test_two_accounts_meet_at_the_makers_price(bench: Bench) -> None:
    """A Down BUY at 0.39 matches an Up BUY resting at 0.61: a mint, with a fee for the taker only."""
    maker, taker = bench.trader(), bench.trader()
    await bench.place(maker, maker.limit(bench.market.up_token, "BUY", 10, 610))
    result = await bench.place(taker, taker.buy(bench.market.down_token, 390, 390))
    assert [(trade.price, trade.shares) for trade in result.trades] == [(390, 10_000_000)]
    assert shares(bench, maker, bench.market.up_token) == 10_000_000
    assert shares(bench, taker, bench.market.down_token) == 10_000_000
    assert money(bench, maker) == START - 6_100_000
    assert money(bench, taker) == START - 3_900_000 - result.trades[0].fee
    (made,) = bench.venue.ledger.trades_of(maker.address)
    assert (made.id, made.role, made.other.token) == (
        result.trades[0].id,
        "MAKER",
        bench.market.down_token,
    )


async def test_an_account_does_not_meet_itself(bench: Bench) -> None:
    """A SELL does not match the account's own resting BUY and takes the recorded bid."""
    trader = bench.trader()
    await bench.place(trader, trader.buy(bench.market.up_token, 1000, 620))
    await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 10, 610))
    sold = await bench.place(trader, trader.order(bench.market.up_token, "SELL", 5_000_000, 2_500_000, "FAK"))
    assert [trade.price for trade in sold.trades] == [600]


async def test_selling_more_than_the_position_is_refused(bench: Bench) -> None:
    """A SELL beyond the position is refused with the balance of the token."""
    trader = bench.trader()
    body = trader.order(bench.market.up_token, "SELL", 5_000_000, 2_500_000)
    assert (await refusal(bench, trader, body)).text == (
        "not enough balance / allowance: the balance is not enough -> balance: 0, order amount: 5000000"
    )


async def test_an_ended_market_takes_no_orders(bench: Bench) -> None:
    """At the end of its 900 seconds a market refuses orders, and one that waited past the end is killed."""
    trader = bench.trader()
    assert trader.api is not None
    token = bench.market.up_token
    waiting = bench.venue.order_intake.accept(trader.api, trader.buy(token, 100, 620))
    bench.clock.forward(899)
    accepted = bench.venue.order_intake.accept(trader.api, trader.buy(token, 200, 620))
    await bench.venue.order_intake.execute(waiting)
    bench.clock.forward(1)
    for attempt in (
        bench.place(trader, trader.buy(token, 100, 620)),
        bench.venue.order_intake.execute(accepted),
    ):
        with pytest.raises(VenueRefusal) as closed:
            await attempt
        assert closed.value.text == f"the orderbook {token} does not exist"


async def test_the_tick_turns_fine_where_the_recording_does() -> None:
    """Before the recording's sub-cent prices 0.995 is off the grid, after them it is on it."""
    bench = Bench(source=StillSource(tick_change=100))
    trader = bench.trader()
    body = trader.order(bench.market.up_token, "BUY", 9_950_000, 10_000_000)
    assert "breaks minimum tick size rule: 0.01" in (await refusal(bench, trader, body)).text
    bench.clock.forward(100)
    assert (await bench.place(trader, body)).trades
    await bench.venue.stop()
    bench.venue.close()


async def test_a_wallet_serves_one_account(bench: Bench) -> None:
    """A funder that another account trades through, or another account's own address, is refused."""
    funder = Trader().address
    first = bench.trader(funder=funder, signature_type=1)
    await bench.place(first, first.buy(bench.market.up_token, 100, 620))
    for taken in (funder, first.address):
        second = bench.trader(funder=taken, signature_type=2)
        text = (await refusal(bench, second, second.buy(bench.market.up_token, 100, 620))).text
        assert text.startswith("maker address not allowed")


async def test_orders_that_are_no_longer_covered_are_canceled(bench: Bench) -> None:
    """When a balance decreases, the newest orders that it cannot pay are canceled with the venue's status."""
    trader = bench.trader()
    kept = (await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 10, 500))).order
    bench.clock.forward(1)
    dropped = (await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 10, 490))).order
    bench.venue.ledger.set_funds(trader.address, balance=6_000_000, allowance=None)
    bench.venue.order_intake.shed(trader.address)
    statuses = [
        order.status for o in (kept, dropped) if (order := bench.venue.ledger.order(o.id)) is not None
    ]
    assert statuses == [LIVE, "CANCELED_NOT_ENOUGH_BALANCE"]


async def test_the_taker_delay_is_150_milliseconds() -> None:
    """A taking order is matched with the book of 150 ms later, not with that of its arrival."""
    bench = Bench(options=VenueOptions(speed=1.0))
    trader = bench.trader()
    began = time.monotonic()
    placed = asyncio.create_task(bench.place(trader, trader.buy(bench.market.up_token, 100, 620)))
    await asyncio.sleep(0)
    bench.source.standing = VenueBook(bids=side((550, 10)), asks=side((570, 500)))
    result = await placed
    assert time.monotonic() - began >= 0.15
    assert [trade.price for trade in result.trades] == [570]
    await bench.venue.stop()
    bench.venue.close()


ORDERS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["up", "down"]),
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(["FAK", "FOK", "GTC"]),
        st.integers(1, 99),
        st.integers(5, 400),
        st.sampled_from([590, 610, 640]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ORDERS, st.booleans())
async def test_money_and_shares_are_conserved(orders: list, up_wins: bool) -> None:
    """Whatever two accounts do: cash changes only by trades, fees and payouts, and nothing is ever
    negative."""
    bench = Bench()
    bench.source.outcome = up_wins
    traders = [bench.trader(), bench.trader()]
    for who, token, order_side, kind, cents, size, ask in orders:
        trader = traders[who]
        token_id = bench.market.up_token if token == "up" else bench.market.down_token
        bench.source.standing = VenueBook(bids=side((ask - 20, size)), asks=side((ask, size), (ask + 50, 90)))
        usd, whole = size * cents * 10_000, size * 10**6
        maker, taker = (usd, whole) if order_side == "BUY" else (whole, usd)
        try:
            await bench.place(trader, trader.order(token_id, order_side, maker, taker, kind))
        except VenueRefusal:
            continue
        bench.venue.step()
        check_books(bench, traders)
    bench.clock.forward(991)
    bench.venue.step()
    check_books(bench, traders)
    assert bench.venue.ledger.open_orders() == []
    await bench.venue.stop()
    bench.venue.close()


def check_books(bench: Bench, traders: list[Trader]) -> None:
    """Every account's balance and positions follow from its trades and payouts, and none is negative."""
    ledger = bench.venue.ledger
    for trader in traders:
        trades, payouts = ledger.trades_of(trader.address), ledger.payouts_of(trader.address)
        account = ledger.account(trader.address)
        assert account is not None
        flow = sum(t.usd if t.side == "SELL" else -t.usd for t in trades) - sum(t.fee for t in trades)
        assert account.balance == START + flow + sum(payout.amount for payout in payouts)
        assert account.balance >= 0
        assert account.fees_paid == sum(t.fee for t in trades)
        for token in bench.market.tokens:
            moved = sum(t.shares if t.side == "BUY" else -t.shares for t in trades if t.token == token)
            paid = sum(payout.shares for payout in payouts if payout.token == token)
            assert shares(bench, trader, token) == moved - paid >= 0
        for trade in trades:
            matched = ledger.order(trade.order_id)
            assert matched is not None
            ids = [t for t in trades if t.order_id == trade.order_id]
            assert matched.matched_shares == sum(t.shares for t in ids)
            assert matched.matched_usd == sum(t.usd for t in ids)


async def test_a_failed_trade_gives_everything_back(bench: Bench) -> None:
    """A trade that fails on chain leaves balance, fee and shares as they were before it."""
    trader = bench.trader()
    bench.venue.faults.arm("failed_after_match", 1, {})
    result = await bench.place(trader, trader.buy(bench.market.up_token, 100, 620))
    trade_id = result.trades[0].id
    while True:
        trade = bench.venue.ledger.trade(trade_id, trader.address)
        assert trade is not None
        if trade.status == "FAILED":
            break
        await asyncio.sleep(0.01)
    account = bench.venue.ledger.account(trader.address)
    assert account is not None
    assert (account.balance, account.fees_paid) == (START, 0)
    assert shares(bench, trader, bench.market.up_token) == 0
    position = bench.venue.ledger.position(trader.address, bench.market.up_token)
    assert position is not None
    assert msgspec.structs.asdict(position)["bought"] == 0


async def test_a_grid_that_changed_unseen_refuses_the_order(bench: Bench) -> None:
    """The price is on the published grid and not on the one that applies now; the next order is matched."""
    trader = bench.trader()
    bench.venue.faults.arm("tick_changed", 1, {"tick": 0.1})
    body = trader.buy(bench.market.up_token, 100, 620)
    assert "breaks minimum tick size rule: 0.1" in (await refusal(bench, trader, body)).text
    await bench.place(trader, body)
    assert bench.venue.ledger.orders_of(trader.address)
