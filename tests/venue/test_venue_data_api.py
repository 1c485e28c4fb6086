"""Version 2 of the Data API: value, trades and activity of a wallet, resolutions, past prices, approvals."""

from typing import Any

import pytest
from eth_account import Account
from served_bench import Answer, ServedBench, served
from test_venue_prices import RisingSource
from venue_builders import EXCHANGE, EXCHANGE_V3, Bench, StillSource, Trader, side

from venue.order_book import VenueBook
from venue.schedule import make_market
from venue.venue import VenueOptions

MANUAL = VenueOptions(speed=1.0, taker_delay=0.0, redeem="manual", protocol="alternate")
V2 = "/data-api/v2"


async def data(world: ServedBench, path: str, **query: Any) -> Any:
    """The data of a successful answer."""
    status, answer = await world.get(V2 + path, **query)
    assert status == 200, answer
    return answer["data"]


def mined(bench: Bench, trader: Trader) -> None:
    """Give every trade of an account its transaction, as the venue does after 0.3 s."""
    for trade in bench.venue.ledger.trades_of(trader.address):
        bench.venue.lifecycle._recorded(trade, "CONFIRMED")


def resolve(bench: Bench) -> None:
    bench.clock.forward(1000)
    bench.venue.step()
    assert bench.venue.exchange.resolved(bench.market)


async def test_the_portfolio_is_worth_its_mids_and_then_its_payouts() -> None:
    """8 Up shares at the mid of 0.61, then at 1 each; a wallet without positions has the value 0."""
    bench = Bench(options=MANUAL)
    async with served(bench) as world:
        trader, other = bench.trader(), bench.trader()
        await bench.place(trader, trader.buy(bench.market.up_token, 496, 620))
        asked: dict[str, Any] = {"user": trader.address}
        assert await data(world, "/value", **asked) == {"proxy_wallet": trader.address, "value": 4.88}
        assert (await data(world, "/value", user=other.address))["value"] == 0
        elsewhere = make_market(bench.market.start + 900, 1, "v2").condition_id
        assert (await data(world, "/value", **asked, condition_id=elsewhere))["value"] == 0
        resolve(bench)
        named = await data(world, "/value", **asked, condition_id=bench.market.condition_id)
        assert named["value"] == 8
        (position,) = await data(world, "/positions", **asked)
        # 0.07 · 8 · 0.62 · 0.38 dollars
        assert (position["entry_fees_usdc"], position["entry_cost_usdc"]) == (0.13194, 4.96)


async def test_activity_has_the_mined_trades_and_the_redemptions_of_the_ledger() -> None:
    """A trade appears when it is on chain, at its amount without the fee; a redemption with its payout."""
    bench = Bench(options=MANUAL)
    async with served(bench) as world:
        trader, market = bench.trader(), bench.market
        result = await bench.place(trader, trader.buy(market.up_token, 496, 620))
        asked: dict[str, Any] = {"user": trader.address}
        assert await data(world, "/activity", **asked) == await data(world, "/trades", **asked) == []
        mined(bench, trader)
        sold_at = int(bench.venue.clock.wall_s()) + 5
        bench.clock.forward(5)
        await bench.place(trader, trader.order(market.up_token, "SELL", 2_000_000, 1_200_000))
        mined(bench, trader)
        sale, purchase = await data(world, "/activity", **asked)
        bought = bench.venue.ledger.trade(result.trades[0].id, trader.address)
        assert bought is not None
        assert {name: purchase[name] for name in ("type", "side", "size", "usdc_size", "price")} == {
            "type": "TRADE",
            "side": "BUY",
            "size": 8.0,
            "usdc_size": 4.96,
            "price": 0.62,
        }
        assert purchase["transaction_hash"] == bought.transaction_hash
        assert (sale["side"], sale["timestamp"], sale["usdc_size"]) == ("SELL", sold_at, 1.2)
        assert await data(world, "/activity", **asked, side="BUY") == [purchase]
        assert await data(world, "/activity", **asked, start=sold_at) == [sale]
        assert await data(world, "/activity", **asked, sort_direction="ASC") == [purchase, sale]
        assert [row["side"] for row in await data(world, "/trades", **asked)] == ["SELL", "BUY"]
        resolve(bench)
        bench.venue.settlement.redeem(trader.address)
        (redemption,) = await data(world, "/activity", **asked, type="REDEEM,SPLIT")
        assert (redemption["usdc_size"], redemption["condition_id"]) == (6.0, market.condition_id)
        assert await data(world, "/activity", **asked, side="SELL") == [sale]
        assert len(await data(world, "/activity", **asked, event_id=market.start)) == 3
        assert await data(world, "/activity", **asked, event_id=market.start + 900) == []


async def test_pages_of_activity_follow_their_cursor() -> None:
    """One row a page; the last page has no cursor."""
    bench = Bench()
    async with served(bench) as world:
        trader = bench.trader()
        for _ in range(2):
            await bench.place(trader, trader.buy(bench.market.up_token, 100, 990))
        mined(bench, trader)
        asked: dict[str, Any] = {"user": trader.address, "limit": 1}
        _, first = await world.get(V2 + "/activity", **asked)
        assert first["pagination"]["has_more"] is True
        cursor = first["pagination"]["next_cursor"]
        _, second = await world.get(V2 + "/activity", **asked, cursor=cursor)
        assert second["pagination"] == {"has_more": False, "next_cursor": None}
        assert first["data"] != second["data"]


async def test_resolutions_have_payouts_when_they_are_final() -> None:
    """A v1 market has no row before, a v2 market one without payouts; found by each kind of id."""
    bench = Bench(source=StillSource(up_wins=False), options=MANUAL)
    async with served(bench) as world:
        v1, v2 = bench.market, bench.venue.schedule.at(bench.market.start + 900)
        assert v2 is not None
        both = f"{v1.condition_id},{v2.condition_id}00"
        (before,) = await data(world, "/resolutions", condition_id=both)
        assert (before["condition_id"], before["status"]) == (v2.condition_id, "initialized")
        assert "payouts" not in before
        resolve(bench)
        first, second = await data(world, "/resolutions", condition_id=both)
        assert (first["status"], first["payouts"]) == ("resolved", [0, 1_000_000])
        assert second == before
        for query in (
            {"question_id": v1.question_id},
            {"event_id": v1.start},
            {"condition": v1.condition_id},
        ):
            assert await data(world, "/resolutions", **query) == [first]
        assert await data(world, "/resolutions", condition_id="0x" + "0" * 64) == []
        bench.venue.faults.arm("resolution_disputed", None, {})
        (disputed,) = await data(world, "/resolutions", event_id=v1.start)
        assert (disputed["status"], "payouts" in disputed) == ("disputed", False)
        assert (await world.get(V2 + "/resolutions"))[0] == 400


async def test_a_split_market_pays_both_outcomes() -> None:
    """Payouts of a market without a winner, in micro pUSD."""
    bench = Bench(options=MANUAL)
    async with served(bench) as world:
        bench.venue.faults.arm("resolution_split", 1, {"up": 0.25})
        resolve(bench)
        (row,) = await data(world, "/resolutions", event_id=bench.market.start)
        assert row["payouts"] == [250_000, 750_000]


async def test_past_prices_are_those_of_the_book() -> None:
    """By interval, window and time, in buckets of a minute or more; an unknown token has none."""
    bench = Bench(source=RisingSource())
    async with served(bench) as world:
        start, asked = bench.market.start, {"token_id": bench.market.up_token}
        bench.clock.forward(200)
        hour = await data(world, "/prices-history", **asked, interval="1h")
        assert [row["timestamp"] - start for row in hour] == [0, 60, 120, 180]
        assert [row["price"] for row in hour] == pytest.approx([0.59, 0.596, 0.602, 0.608])
        assert {row["resolution_seconds"] for row in hour} == {60}
        window = {"start": start + 60, "end": start + 180, "bucket_seconds": 90}
        assert [r["timestamp"] - start for r in await data(world, "/prices-history", **asked, **window)] == [
            90
        ]
        (exact,) = await data(world, "/prices-history", **asked, as_of=start + 77)
        assert (exact["price"], exact["resolution_seconds"]) == (pytest.approx(0.597), 0)
        assert await data(world, "/prices-history", **asked, as_of=start + 201) == []
        assert await data(world, "/prices-history", token_id="7", interval="1d") == []
        refused: list[Answer] = [
            await world.get(V2 + "/prices-history", **query)
            for query in (asked, {**asked, "interval": "1w", "bucket_seconds": 60}, {"interval": "1h"})
        ]
        assert [status for status, _ in refused] == [400, 400, 400]


async def test_a_market_without_a_book_has_no_past_prices() -> None:
    """An empty book is a gap."""
    bench = Bench(source=StillSource(VenueBook()))
    async with served(bench) as world:
        assert await data(world, "/prices-history", token_id=bench.market.up_token, interval="1h") == []
        bench.source.standing = VenueBook(bids=side((400, 1)))
        (row,) = await data(world, "/prices-history", token_id=bench.market.up_token, interval="1h")
        assert row["price"] == 0.4


async def test_a_deposit_is_added_to_the_balance() -> None:
    """A deposit is relative, to a new balance as well; more than there is cannot be withdrawn.

    A balance of an address without an account opens one.
    """
    bench = Bench()
    async with served(bench) as world:
        address = Account.create().address
        for asked, status, balance in (
            ({"balance": "10"}, 200, 10_000_000),
            ({"deposit": "2.5"}, 200, 12_500_000),
            ({"deposit": "-12.6"}, 400, 12_500_000),
            ({"deposit": "-5"}, 200, 7_500_000),
            ({"balance": "1", "deposit": "0.25"}, 200, 1_250_000),
        ):
            assert (await world.post("/practice/accounts", {"address": address, **asked}))[0] == status
            account = bench.venue.ledger.account(address)
            assert account is not None
            assert account.balance == balance


async def test_approvals_are_those_of_the_account() -> None:
    """Unlimited unless a test sets another; each token and spender once."""
    bench = Bench()
    async with served(bench) as world:
        trader = bench.trader()
        asked = {
            "address": trader.address,
            "allowances": {EXCHANGE: "0.5"},
            "operators": {EXCHANGE_V3: False},
        }
        assert (await world.post("/practice/accounts", asked))[0] == 200
        found = await data(world, "/approvals", user=trader.address)
        assert (found["address"], found["chain_id"]) == (trader.address, 137)
        rows = {(row["token"], row["spender"]): row for row in found["contracts"]}
        assert len(rows) == len(found["contracts"]) == 17
        pusd, manager = (
            "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB",
            "0x006F54F7f9A22e0000CC2AB60031000000ae9fEF",
        )
        assert rows[pusd, EXCHANGE]["amount"] == "500000"
        assert rows[pusd, EXCHANGE_V3]["amount"] == "max"
        assert [rows[manager, EXCHANGE_V3]["approved"], rows[pusd, EXCHANGE]["approved"]] == [False, True]


async def test_what_the_venue_does_not_have_is_501_with_the_reason() -> None:
    """Other routes of the official clients name themselves and the reason."""
    async with served(Bench()) as world:
        for path, reason in (
            ("/rewards/user", "no market here pays rewards"),
            ("/notifications", "there are no notifications; read the user stream"),
            (
                "/data-api/v2/leaderboard",
                "the Data API here has positions, value, trades, activity,",
            ),
            ("/gamma/series", "Gamma here has markets and events"),
        ):
            status, answer = await world.get(path)
            assert status == 501
            assert answer["error"].startswith(f"GET {path} is not implemented: {reason}")
        assert (await world.get("/nothing"))[0] == 404
