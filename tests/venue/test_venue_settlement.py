"""Resolutions: their time, their payouts, and the effect of faults."""

import pytest
from venue_builders import Bench, StillSource

from venue.venue import VenueOptions
from venue.wire.market_json import clob_market, outcome_prices

pytestmark = pytest.mark.asyncio

START = 1000 * 10**6


async def holding(bench: Bench) -> tuple[str, int]:
    """An account with $1 of Up and a resting order; its address and balance."""
    trader = bench.trader()
    await bench.place(trader, trader.buy(bench.market.up_token, 100, 620))
    await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 10, 500))
    return trader.address, START - 999_999 - 26_600


def balance(bench: Bench, address: str) -> int:
    account = bench.venue.ledger.account(address)
    assert account is not None
    return account.balance


async def close(bench: Bench) -> None:
    await bench.venue.stop()
    bench.venue.close()


@pytest.mark.parametrize(("up_wins", "paid"), [(True, 1_612_903), (False, 0)])
async def test_a_winning_share_pays_one_and_a_losing_one_nothing(up_wins: bool, paid: int) -> None:
    """At the resolution positions become money, resting orders end, and the market has its outcome."""
    bench = Bench(source=StillSource(up_wins=up_wins))
    address, before = await holding(bench)
    bench.clock.forward(900 + bench.market.resolution_delay)
    bench.venue.step()
    assert bench.venue.exchange.up_won(bench.market) is up_wins
    assert balance(bench, address) == before + paid
    assert bench.venue.ledger.positions_of(address) == []
    statuses = {order.status for order in bench.venue.ledger.orders_of(address)}
    assert statuses == {"MATCHED", "CANCELED_MARKET_RESOLVED"}
    await close(bench)


@pytest.mark.parametrize(
    ("up", "paid", "prices"), [(0.5, 806_451, ("0.5", "0.5")), (0.7, 1_129_032, ("0.7", "0.3"))]
)
async def test_a_market_without_a_winner_pays_its_parts(tmp_path, up: float, paid: int, prices) -> None:
    """Each share pays its part, rounded down as on the chain; no token wins, also after a restart."""
    options = VenueOptions(speed=1.0, taker_delay=0.0, state=tmp_path)
    bench = Bench(options=options)
    address, before = await holding(bench)
    bench.venue.faults.arm("resolution_split", 1, {"up": up})
    bench.clock.forward(1000)
    bench.venue.step()
    assert balance(bench, address) == before + paid
    assert bench.venue.faults.armed("resolution_split") is None
    market = bench.market
    await close(bench)
    again = Bench(options=options, clock=bench.clock)
    await again.venue.start()
    assert again.venue.exchange.resolved(market)
    assert again.venue.exchange.up_won(market) is None
    assert outcome_prices(again.venue, market) == prices
    body = clob_market(again.venue, market)
    assert [token["winner"] for token in body["tokens"]] == [False, False]
    assert body["is_50_50_outcome"] is (up == 0.5)
    await close(again)


async def test_a_flipped_result_is_published_first_and_pays_nothing() -> None:
    """For a minute the other token is the winner in every answer; what was paid is by the true result."""
    bench = Bench(source=StillSource(up_wins=True))
    address, before = await holding(bench)
    bench.venue.faults.arm("resolution_flipped", None, {"seconds": 60})
    bench.clock.forward(900 + bench.market.resolution_delay)
    bench.venue.step()
    assert balance(bench, address) == before + 1_612_903
    for seconds, prices, winners in ((0, ("0", "1"), [False, True]), (60, ("1", "0"), [True, False])):
        bench.clock.forward(seconds)
        assert outcome_prices(bench.venue, bench.market) == prices
        tokens = clob_market(bench.venue, bench.market)["tokens"]
        assert [token["winner"] for token in tokens] == winners
    await close(bench)


async def test_the_resolution_comes_30_to_90_seconds_after_the_end() -> None:
    """Not at the end, not a second early, and always within the venue's lag."""
    bench = Bench()
    assert 30 <= bench.market.resolution_delay <= 90
    bench.clock.forward(900 + bench.market.resolution_delay - 1)
    bench.venue.step()
    assert bench.venue.exchange.up_won(bench.market) is None
    bench.clock.forward(1)
    bench.venue.step()
    assert bench.venue.exchange.up_won(bench.market) is True
    await close(bench)


async def test_manual_redemption_waits_for_the_call() -> None:
    """With manual redemption a winner stays a position until it is redeemed, once."""
    bench = Bench(options=VenueOptions(speed=1.0, taker_delay=0.0, redeem="manual"))
    address, before = await holding(bench)
    bench.clock.forward(1000)
    bench.venue.step()
    assert balance(bench, address) == before
    assert [position.shares for position in bench.venue.ledger.positions_of(address)] == [1_612_903]
    assert [payout.amount for payout in bench.venue.settlement.redeem(address)] == [1_612_903]
    assert bench.venue.settlement.redeem(address) == []
    assert balance(bench, address) == before + 1_612_903
    await close(bench)


async def test_a_resolution_can_be_late_or_never() -> None:
    """The two resolution faults delay one market, not its successors, and end when cleared."""
    bench = Bench()
    bench.venue.faults.arm("resolution_delay", 1, {"seconds": 2000})
    bench.clock.forward(1000)
    bench.venue.step()
    following = bench.venue.schedule.at(bench.market.end)
    assert following is not None
    bench.clock.forward(900)
    bench.venue.step()
    assert bench.venue.exchange.resolved(following)
    assert not bench.venue.exchange.resolved(bench.market)
    bench.venue.faults.arm("resolution_never", None, {})
    bench.clock.forward(2000)
    bench.venue.step()
    assert not bench.venue.exchange.resolved(bench.market)
    bench.venue.faults.clear()
    bench.venue.step()
    assert bench.venue.exchange.resolved(bench.market)
    await close(bench)


async def test_markets_that_ended_while_the_venue_was_down_are_resolved_at_the_start(tmp_path) -> None:
    """A venue that is restarted an hour later pays for markets that ended meanwhile, before it serves
    anything."""
    options = VenueOptions(speed=1.0, taker_delay=0.0, state=tmp_path)
    first = Bench(options=options)
    address, before = await holding(first)
    market = first.market
    await close(first)
    second = Bench(options=options, clock=first.clock)
    second.clock.forward(3600)
    assert second.market == market
    await second.venue.start()
    assert second.venue.exchange.up_won(market) is True
    assert balance(second, address) == before + 1_612_903
    await close(second)
