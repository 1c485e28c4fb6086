"""The market clock is held, stepped and changed in speed by requests, with correct results at every speed."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from process import HTTP, VenueProcess
from test_venue_feeds import event, listening, read, tokens_of, until
from venue_builders import Bench, ManualClock, Trader, trader_at, trader_in

from venue.arguments import options_of, read_arguments
from venue.clock import VenueClock
from venue.refusal import VenueRefusal
from venue.sources.synthetic import SyntheticSource
from venue.timekeeping import ClockRequest
from venue.venue import PracticeVenue, VenueOptions

START = 1_800_000_000
SECOND = 10**9


# --- the clock itself ------------------------------------------------------------------------

CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("wall"), st.floats(0, 50)),
        st.tuples(st.just("step"), st.floats(-5, 50)),
        st.tuples(st.just("speed"), st.floats(0.5, 600)),
        st.tuples(st.sampled_from(["hold", "run"]), st.just(0.0)),
    ),
    max_size=30,
)


@given(CHANGES, st.booleans())
def test_every_market_time_has_its_wall_time(changes: list[tuple[str, float]], held: bool) -> None:
    """After any change, market time never goes back, and `wall_at` returns the time of each value."""
    now = ManualClock(START)
    clock = VenueClock(now(), START * SECOND, 15.0, now, held=held)
    readings = [(now(), clock.market_ns())]
    for what, value in changes:
        match what:
            case "wall":
                now.forward(value)
            case "step":
                clock.step_to(clock.market_ns() + int(value * SECOND))
            case "speed":
                clock.set_speed(value)
            case "hold":
                clock.hold()
            case _:
                clock.run()
        readings.append((now(), clock.market_ns()))
    for (wall, market), (later_wall, later_market) in itertools.pairwise(readings):
        assert market <= later_market
        for value in (market + 1, (market + later_market) // 2, later_market):
            if market < value <= later_market:
                came = clock.wall_at(value)
                assert came is not None
                # Market time is truncated to whole nanoseconds, so it may come a nanosecond later.
                assert wall <= came <= later_wall + 1


def test_a_held_clock_stands_until_it_runs() -> None:
    """Wall time passes without market time, which then continues from its value at the new speed."""
    now = ManualClock(START)
    clock = VenueClock(now(), START * SECOND, 15.0, now)
    now.forward(2)
    clock.hold()
    now.forward(1000)
    assert clock.market_s() == START + 30
    assert clock.wall_until(START + 31) == float("inf")
    assert clock.wall_until(START + 30) == -1000
    clock.set_speed(2.0)
    now.forward(1000)
    assert clock.market_s() == START + 30
    clock.run()
    now.forward(5)
    assert clock.market_s() == START + 40
    assert clock.wall_until(START + 50) == 5


# --- the venue: a step gives the same results as running -----------------------------------------

ORDERS = (
    (0, "BUY", 450),
    (0, "BUY", 300),
    (1, "BUY", 500),
    (1, "BUY", 350),
    (0, "BUY", 150),
    (1, "BUY", 150),
)
"""Outcome, side and price in mills of resting orders in the first market."""
PLAYED = 2_000
"""Market seconds that are played: two markets end in them."""


class Played:
    """A venue of generated markets with a clock that only a test moves, with an account's resting orders."""

    def __init__(self, *, held: bool = True) -> None:
        self.wall = ManualClock(START)
        self.venue = PracticeVenue(
            SyntheticSource(7), VenueOptions(speed=1.0, hold=held, taker_delay=0.0), self.wall
        )
        self.trader = trader_in(self.venue)

    async def place(self) -> None:
        market = self.venue.schedule.at(START)
        assert market is not None
        self.ids: list[str] = []
        for outcome, side, price in ORDERS:
            body = self.trader.limit(market.tokens[outcome], side, 10, price)
            assert self.trader.api is not None
            accepted = self.venue.order_intake.accept(self.trader.api, body)
            self.ids.append((await self.venue.order_intake.execute(accepted)).order.id)

    def outcome(self) -> dict[str, Any]:
        """All results of market time: resolutions and their times, fills, money."""
        ledger = self.venue.ledger
        orders = [ledger.order(order_id) for order_id in self.ids]
        account = ledger.account(self.trader.address)
        assert account is not None
        return {
            "resolutions": dict(self.venue.exchange.resolutions),
            "orders": [(o.status, o.matched_shares, o.matched_usd) for o in orders if o is not None],
            "balance": account.balance,
            "payouts": sorted((p.start, p.shares, p.amount) for p in ledger.payouts_of(self.trader.address)),
            "listed": [market.start for market in self.venue.schedule],
        }

    async def close(self) -> None:
        await self.venue.stop()
        self.venue.close()


async def played(steps: list[float]) -> dict[str, Any]:
    """The results of stepping through PLAYED seconds in these steps, the last one to the end."""
    world = Played()
    await world.place()
    for step in steps:
        await world.venue.change_clock(ClockRequest(advance=step))
        world.wall.forward(step / 7)
    await world.venue.change_clock(ClockRequest(to=float(START + PLAYED)))
    found = world.outcome()
    await world.close()
    return found


async def run_through() -> dict[str, Any]:
    """The results of a clock that runs through PLAYED seconds and is read four times per second."""
    world = Played(held=False)
    await world.place()
    for _ in range(PLAYED * 4):
        world.wall.forward(0.25)
        world.venue.step()
    found = world.outcome()
    await world.close()
    return found


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    return asyncio.run(run_through())


def test_the_reference_has_every_kind_of_result(undisturbed: dict[str, Any]) -> None:
    """Two resolutions in the 30 to 90 seconds after their ends, filled and canceled orders, a payout."""
    delays = [at - START - 900 * (i + 1) for i, (_, at) in enumerate(undisturbed["resolutions"].values())]
    assert len(delays) == 2
    assert all(30 <= delay <= 90 for delay in delays)
    assert {status for status, *_ in undisturbed["orders"]} == {"MATCHED", "CANCELED_MARKET_RESOLVED"}
    assert any(amount for _, _, amount in undisturbed["payouts"])


@settings(max_examples=8)
@given(st.lists(st.floats(0.01, 700), max_size=8).filter(lambda steps: sum(steps) < PLAYED))
def test_steps_of_any_length_come_to_the_same(undisturbed: dict[str, Any], steps: list[float]) -> None:
    """A held clock stepped in any way gives the fills, outcomes, times and money of a running clock."""
    assert asyncio.run(played(steps)) == undisturbed


async def test_nothing_happens_while_the_clock_is_held() -> None:
    """A day of wall time ends no market, and fills and cancels nothing."""
    world = Played()
    await world.place()
    before = world.outcome()
    for _ in range(24):
        world.wall.forward(3600)
        world.venue.step()
    assert world.outcome() == before
    assert before["resolutions"] == {}
    await world.close()


async def test_an_order_is_matched_while_the_clock_is_held() -> None:
    """The taker delay is wall time: an order fills on a held clock, with the present book."""
    bench = Bench(options=VenueOptions(speed=600.0, hold=True))
    trader = bench.trader()
    result = await bench.place(trader, trader.buy(bench.market.up_token, 100, 990))
    assert [trade.price for trade in result.trades] == [620]
    await bench.venue.stop()


async def test_a_market_that_is_stepped_to_its_end_refuses_a_waiting_order() -> None:
    """An order that waits its delay when the market ends is killed with the text of an ended market."""
    bench = Bench(options=VenueOptions(speed=1.0, hold=True, taker_delay=0.01))
    trader = bench.trader()
    assert trader.api is not None
    token = bench.market.up_token
    accepted = bench.venue.order_intake.accept(trader.api, trader.buy(token, 100, 990))
    waiting = asyncio.create_task(bench.venue.order_intake.execute(accepted))
    await bench.venue.change_clock(ClockRequest(to=float(bench.market.end)))
    with pytest.raises(VenueRefusal, match=f"the orderbook {token} does not exist"):
        await waiting
    order = bench.venue.ledger.order(accepted.order.id)
    assert order is not None
    assert order.status == "CANCELED"
    await bench.venue.stop()


async def test_a_delayed_resolution_is_met_by_a_step() -> None:
    """The fault that delays a resolution counts market seconds, including stepped ones."""
    bench = Bench(options=VenueOptions(speed=1.0, hold=True))
    market = bench.market
    due = market.end + market.resolution_delay
    bench.venue.faults.arm("resolution_delay", 1, {"seconds": 100})
    await bench.venue.change_clock(ClockRequest(to=due + 99.0))
    assert not bench.venue.exchange.resolved(market)
    await bench.venue.change_clock(ClockRequest(advance=3600))
    assert bench.venue.exchange.resolutions[market.start] == (10**6, due + 100)
    await bench.venue.stop()


async def test_a_market_that_is_never_resolved_does_not_stop_a_step() -> None:
    """With an outcome delayed forever, the step ends and later markets are listed."""
    bench = Bench(options=VenueOptions(speed=1.0, hold=True))
    bench.venue.faults.arm("resolution_never", None, {})
    await asyncio.wait_for(bench.venue.change_clock(ClockRequest(advance=36_000)), 30)
    assert bench.venue.clock.market_s() == bench.market.start + 36_000
    assert bench.venue.exchange.resolutions == {}
    assert len(list(bench.venue.schedule)) == 40 + 9
    await bench.venue.stop()


# --- over the network --------------------------------------------------------------------------


HELD = ("--hold-clock", "--start-at", "100", "--speed", "600")


@pytest.fixture(scope="module")
def held() -> Iterator[VenueProcess]:
    with VenueProcess.start(*HELD) as venue:
        yield venue


@pytest.fixture
def untouched() -> Iterator[VenueProcess]:
    with VenueProcess.start(*HELD) as venue:
        yield venue


async def test_a_step_sends_subscribers_all_that_happens(untouched: VenueProcess) -> None:
    """Every book change up to the end is sent, then the resolution; after that the book is gone."""
    held = untouched
    assert held.ready["clock"]["held"] is True
    assert held.clock.market_s() % 900 == 100
    condition, up, _ = tokens_of(held)
    first = {"type": "market", "assets_ids": [up], "custom_feature_enabled": True}
    async with listening(held, "market", first) as socket:
        await read(socket)
        end = held.clock.current_start() + 900
        stepping = asyncio.create_task(asyncio.to_thread(held.set_clock, to=end + 90))
        changes, frame = 0, {"event_type": ""}
        while frame["event_type"] != "market_resolved":
            frame = json.loads(await asyncio.wait_for(socket.recv(), 20))
            changes += frame["event_type"] in ("price_change", "book")
        stepped = await stepping
    assert stepped.held
    assert stepped.market_s() == end + 90
    # The recording has about one book a second.
    assert changes > 700
    market = held.get(f"/markets/{condition}")
    assert market["closed"] is True
    assert frame["winning_asset_id"] == next(t["token_id"] for t in market["tokens"] if t["winner"])
    assert HTTP.get(held.url + "/book", params={"token_id": up}).status_code == 404


async def test_a_held_venue_trades_and_sends_no_change(held: VenueProcess) -> None:
    """Orders fill on a held clock, the feed sends the account's consumption; a step continues the
    recording."""
    _, up, _ = tokens_of(held)
    trader: Trader = trader_at(held.url)
    async with listening(held, "market", {"type": "market", "assets_ids": [up]}) as socket:
        before = (await read(socket))[0]
        assert trader.post(held.url, trader.buy(up, 100, 990)).json()["status"] == "matched"
        await until(socket, event("last_trade_price"))
        change = await until(socket, event("price_change"))
        best = before["asks"][-1]
        rows = [row for row in change["price_changes"] if row["asset_id"] == up]
        assert [(row["price"], row["side"]) for row in rows] == [(best["price"], "SELL")]
        held.set_clock(advance=0)
        held.set_clock(advance=3)
        assert (await read(socket))["event_type"] in ("price_change", "book")


def test_a_clock_that_runs_again_has_its_speed(held: VenueProcess) -> None:
    """Speed, a step and running in one request: market time then continues from the step at that speed."""
    before = held.clock
    after = held.set_clock(held=False, speed=2.0, advance=50)
    assert (after.held, after.speed) == (False, 2.0)
    later = held.clock
    elapsed = (later.wall_ns - after.wall_ns) * 2.0
    assert after.market_ns - before.market_ns == pytest.approx(50 * SECOND, abs=SECOND)
    assert later.market_ns - after.market_ns == pytest.approx(elapsed, abs=10)
    assert held.hold().held


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "name at least one of held, speed, advance and to"),
        ({"speed": 0}, "speed 0 is outside 0.01 to 10000"),
        ({"advance": -1}, "never goes back"),
        ({"to": 5}, "never goes back; 5.000 is past"),
        ({"to": 5, "advance": 5}, "either advance or to"),
        ({"advance": 604_801}, "a step is at most 604800 market seconds"),
        ({"advance": "5"}, "Expected `float | null`, got `str` - at `$.advance`"),
        ({"pause": True}, "unknown field `pause`"),
    ],
)
def test_a_request_that_cannot_be_met_changes_nothing(
    held: VenueProcess, body: dict[str, Any], text: str
) -> None:
    """The answer is a 400 that names what is wrong, and the clock is unchanged."""
    before = held.clock
    answer = HTTP.post(held.url + "/practice/clock", json=body)
    assert answer.status_code == 400
    assert text in answer.json()["error"]
    after = held.clock
    assert (after.market_ns, after.speed, after.held) == (before.market_ns, before.speed, before.held)


async def test_a_venue_in_real_time_refuses_to_be_controlled() -> None:
    """Where market time is the machine's, neither a request nor an option can hold it."""
    bench = Bench(options=VenueOptions(real_time=True))
    with pytest.raises(ValueError, match="market time is the machine's here"):
        await bench.venue.change_clock(ClockRequest(held=True))
    assert not bench.venue.clock.held


def test_the_options_reach_the_venue() -> None:
    """--hold-clock and --resume have their effect, and none when absent."""
    _, given = read_arguments(["--hold-clock", "--resume", "--state", "anywhere"])
    assert (options_of(given).hold, options_of(given).resume) == (True, True)
    _, given = read_arguments([])
    assert (options_of(given).hold, options_of(given).resume) == (False, False)
