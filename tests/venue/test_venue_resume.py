"""A killed venue continues with --resume: same port, clock and accounts; time that passed counts."""

import asyncio
import socket
from pathlib import Path

import pytest
from aiohttp import web
from process import VenueProcess
from test_venue_feeds import event, listening, read, ready, subscription, tokens_of, until
from test_venue_process import refusal
from venue_builders import BOOK, ManualClock, StillSource, trader_at, trader_in
from websockets.exceptions import ConnectionClosed

from venue.__main__ import _listen
from venue.timekeeping import ClockRequest
from venue.venue import PracticeVenue, VenueOptions

SECOND = 10**9


def port_of(venue: VenueProcess) -> str:
    return venue.url.rpartition(":")[2]


async def test_a_killed_venue_goes_on_where_its_clients_expect_it(tmp_path: Path) -> None:
    """After kill -9 address, clock, keys, orders and trades are the same, and feeds connect again."""
    arguments = ("--speed", "3", "--start-at", "60")
    venue = VenueProcess.start(*arguments, state=tmp_path)
    before, url = venue.clock, venue.url
    trader = trader_at(url)
    condition, up, _ = tokens_of(venue)
    async with (
        listening(venue, "market", {"type": "market", "assets_ids": [up]}) as market,
        listening(venue, "user", subscription(trader)) as user,
    ):
        await read(market)
        await ready(user)
        bought = trader.post(url, trader.buy(up, 500, 990)).json()
        resting = trader.post(url, trader.limit(up, "BUY", 10, 20)).json()
        account = venue.account(trader.address)
        venue.kill()
        for feed in (market, user):
            with pytest.raises(ConnectionClosed):
                await until(feed, lambda _: False)
    venue.restart(*arguments, "--port", port_of(venue), "--resume")
    with venue:
        assert venue.url == url
        after = venue.clock
        assert (after.speed, after.held) == (3.0, False)
        elapsed = (after.wall_ns - before.wall_ns) * 3
        assert after.market_ns - before.market_ns == pytest.approx(elapsed, abs=1_000)
        assert tokens_of(venue)[:2] == (condition, up)
        found = venue.account(trader.address)
        assert {k: v for k, v in found.items() if k != "trades"} == {
            k: v for k, v in account.items() if k != "trades"
        }
        assert [trade["id"] for trade in found["trades"]] == bought["tradeIDs"]
        async with (
            listening(venue, "market", {"type": "market", "assets_ids": [up]}) as market,
            listening(venue, "user", subscription(trader)) as user,
        ):
            assert (await read(market))[0]["asset_id"] == up
            await ready(user)
            (order,) = trader.send(url, "GET", "/data/orders").json()["data"]
            assert order["id"] == resting["orderID"]
            assert trader.post(url, trader.buy(up, 100, 990)).json()["status"] == "matched"
            await until(user, event("trade"))


def test_a_held_clock_is_still_held(tmp_path: Path) -> None:
    """A killed venue whose clock was held and stepped has the same market time, whatever its arguments
    were."""
    venue = VenueProcess.start("--start-at", "60", state=tmp_path)
    venue.set_clock(held=True, speed=7, advance=1_000)
    before = venue.clock
    venue.kill()
    venue.restart("--start-at", "60", "--resume")
    with venue:
        after = venue.clock
        assert (after.market_ns, after.speed, after.held) == (before.market_ns, 7.0, True)
        assert venue.ready["clock"]["market_ns"] == before.market_ns
        slugs = [m["slug"] for m in venue.get("/gamma/markets")]
        assert f"btc-updown-15m-{before.current_start()}" in slugs


def killed(venue: PracticeVenue) -> None:
    """Leave a venue as SIGKILL does: committed changes stay, nothing else is written."""
    venue.ledger.close()


async def test_what_ended_meanwhile_is_resolved_and_paid(tmp_path: Path) -> None:
    """A market that ended and was resolved during the outage is paid, its orders are canceled."""
    wall, options = ManualClock(), VenueOptions(speed=15.0, taker_delay=0.0, state=tmp_path)
    venue = PracticeVenue(StillSource(BOOK), options, wall)
    market = venue.schedule.at(venue.schedule.first_start)
    assert market is not None
    trader = trader_in(venue)
    assert trader.api is not None
    await venue.start()
    for body in (trader.buy(market.up_token, 620, 990), trader.limit(market.up_token, "BUY", 10, 20)):
        await venue.order_intake.execute(venue.order_intake.accept(trader.api, body))
    wall.forward(10)
    expected = venue.clock.market_ns() + 15 * 100 * SECOND
    killed(venue)
    wall.forward(100)
    resumed = PracticeVenue(StillSource(BOOK), VenueOptions(speed=15.0, resume=True, state=tmp_path), wall)
    await resumed.start()
    # The clock was written half a second before the kill at most, and is the same line all the time.
    assert resumed.clock.market_ns() == pytest.approx(expected, abs=100)
    assert resumed.exchange.up_won(market) is True
    payouts = [payout.amount for payout in resumed.ledger.payouts_of(trader.address)]
    shares = sum(trade.shares for trade in resumed.ledger.trades_of(trader.address))
    assert payouts == [shares]
    assert resumed.ledger.open_orders() == []
    running = resumed.clock.market_ns() // SECOND // 900 * 900
    assert resumed.schedule.at(running) is not None
    await resumed.stop()
    resumed.close()
    await venue.stop()


async def test_without_resume_time_that_passed_does_not_count(tmp_path: Path) -> None:
    """A venue that begins anew continues where market time stopped, at most a wall second ahead."""
    wall = ManualClock()
    options = VenueOptions(speed=15.0, state=tmp_path)
    venue = PracticeVenue(StillSource(), options, wall)
    await venue.start()
    await venue.change_clock(ClockRequest(advance=5_000))
    stopped = venue.clock.market_ns()
    killed(venue)
    wall.forward(100)
    again = PracticeVenue(StillSource(), options, wall)
    assert stopped <= again.clock.market_ns() <= stopped + 15 * SECOND
    again.close()
    await venue.stop()


async def test_without_resume_a_held_clock_has_not_moved(tmp_path: Path) -> None:
    """A killed venue whose clock was held begins anew at exactly that market time."""
    wall = ManualClock()
    options = VenueOptions(speed=15.0, hold=True, start_at=321, state=tmp_path)
    venue = PracticeVenue(StillSource(), options, wall)
    await venue.start()
    stopped = venue.clock.market_ns()
    killed(venue)
    again = PracticeVenue(StillSource(), VenueOptions(speed=15.0, state=tmp_path), wall)
    assert again.clock.market_ns() == stopped
    again.close()
    await venue.stop()


async def test_a_resumed_clock_does_not_go_back_with_the_machine(tmp_path: Path) -> None:
    """If the machine's clock was set back meanwhile, market time stays at its value and then continues."""
    wall = ManualClock()
    venue = PracticeVenue(StillSource(), VenueOptions(speed=15.0, state=tmp_path), wall)
    await venue.start()
    wall.forward(60)
    await venue.change_clock(ClockRequest(advance=0))
    before = venue.clock.market_ns()
    killed(venue)
    wall.forward(-50)
    resumed = PracticeVenue(StillSource(), VenueOptions(speed=15.0, resume=True, state=tmp_path), wall)
    assert resumed.clock.market_ns() == before
    resumed.close()
    await venue.stop()


def test_resume_in_a_fresh_folder_begins_as_asked(tmp_path: Path) -> None:
    """Without a clock in the folder the options count, so that a supervisor may always give --resume."""
    with VenueProcess.start(
        "--resume", "--hold-clock", "--start-at", "200", "--speed", "9", state=tmp_path
    ) as venue:
        clock = venue.clock
        assert (clock.market_s() % 900, clock.speed, clock.held) == (200, 9.0, True)


def test_resume_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """A venue in memory has no state to resume, and real time cannot be held: exit 2, one line."""
    assert "--resume: a venue in memory has nothing to resume" in refusal(capsys, "--resume")
    assert "--hold-clock: with --real-time" in refusal(capsys, "--real-time", "--hold-clock")


async def test_a_port_that_is_taken_for_a_moment_is_waited_for() -> None:
    """A resumed venue listens once its port is free; without a waiting time it fails at once."""
    runner = web.AppRunner(web.Application())
    await runner.setup()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"):
            await _listen(runner, port, patience=0.0)
        waiting = asyncio.create_task(_listen(runner, port, patience=60.0))
        assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    await asyncio.wait_for(waiting, 10)
    assert [address[1] for address in runner.addresses] == [port]
    await runner.cleanup()


def test_the_state_of_the_clock_is_written_at_once(tmp_path: Path) -> None:
    """A venue killed right after its ready line is resumed with the clock of that line."""
    venue = VenueProcess.start("--start-at", "100", "--speed", "2", state=tmp_path)
    first = venue.ready["clock"]
    venue.kill()
    venue.restart("--start-at", "100", "--speed", "2", "--resume")
    with venue:
        second = venue.ready["clock"]
        elapsed = (second["wall_ns"] - first["wall_ns"]) * 2
        assert second["market_ns"] - first["market_ns"] == pytest.approx(elapsed, abs=1_000)
