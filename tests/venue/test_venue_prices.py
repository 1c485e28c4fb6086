"""Prices of batches of tokens, last trades, and prices of the past."""

from typing import Any

import pytest
from served_bench import ServedBench, served
from venue_builders import Bench, StillSource, side

from venue.order_book import VenueBook

UNKNOWN = "77"


class RisingSource(StillSource):
    """Asks one mill more every ten seconds, from 0.6; the bid is two cents below."""

    def book(self, index: int, offset: float) -> VenueBook:
        ask = 600 + int(offset) // 10
        return VenueBook(bids=side((ask - 20, 100)), asks=side((ask, 100)))


def tokens(bench: Bench) -> tuple[str, str]:
    return bench.market.tokens


async def both_forms(world: ServedBench, path: str, *asked: str, **more: tuple[str, ...]) -> Any:
    """The answer to a batch in the query and in the body, which must be the same."""
    fields = {"token_id": asked, **more}
    query = {f"{name}s": ",".join(values) for name, values in fields.items()}
    rows = [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
    by_query, by_body = await world.get(path, **query), await world.post(path, rows)
    assert by_query == by_body
    assert by_body[0] == 200
    return by_body[1]


async def test_a_batch_has_the_prices_of_both_books() -> None:
    """Midpoint, best prices and spread of each token; the Down book is the mirror of the Up book."""
    async with served(Bench()) as world:
        up, down = tokens(world.bench)
        assert await both_forms(world, "/midpoints", up, down) == {up: "0.61", down: "0.39"}
        prices = await both_forms(world, "/prices", up, up, down, side=("BUY", "SELL", "BUY"))
        assert prices == {up: {"BUY": "0.60", "SELL": "0.62"}, down: {"BUY": "0.38"}}
        rows = [{"token_id": token} for token in (up, down)]
        assert await world.post("/spreads", rows) == (200, {up: "0.02", down: "0.02"})


async def test_a_batch_omits_tokens_without_a_book() -> None:
    """An unknown token, and one whose side is empty, are not in the answer, which is no error."""
    async with served(Bench(source=StillSource(VenueBook(bids=side((600, 5)))))) as world:
        up, down = tokens(world.bench)
        assert await both_forms(world, "/midpoints", up, UNKNOWN) == {}
        assert await both_forms(world, "/prices", UNKNOWN, down, side=("BUY", "SELL")) == {
            down: {"SELL": "0.40"}
        }
        assert await both_forms(world, "/last-trades-prices", up, UNKNOWN) == []
        status, books = await world.post("/books", [{"token_id": UNKNOWN}, {"token_id": up}])
        assert (status, [book["asset_id"] for book in books]) == (200, [up])


@pytest.mark.parametrize(
    ("path", "rows", "text"),
    [
        ("/midpoints", {"token_id": "1"}, "Invalid payload"),
        ("/midpoints", [{"token": "1"}], "Invalid payload"),
        ("/spreads", [7], "Invalid payload"),
        ("/prices", [{"token_id": "1"}], "Invalid payload"),
        ("/prices", [{"token_id": "1", "side": "buy"}], "Invalid side"),
        ("/last-trades-prices", [{"token_id": "1"}] * 501, "Payload exceeds the limit"),
        ("/batch-prices-history", {"markets": ["1"] * 21}, "Payload exceeds the limit"),
        ("/batch-prices-history", {"market": "1"}, "Invalid payload"),
    ],
)
async def test_a_malformed_batch_has_the_documented_error(path: str, rows: Any, text: str) -> None:
    """No list, no token, no side, a wrong side, and more rows than the venue takes."""
    async with served(Bench()) as world:
        assert await world.post(path, rows) == (400, {"error": text})


async def test_a_single_token_has_the_documented_errors() -> None:
    """A token that is missing or not a number is invalid; an unknown one has no book."""
    async with served(Bench()) as world:
        for path in ("/book", "/midpoint", "/spread", "/last-trade-price", "/tick-size"):
            for query in ({}, {"token_id": "x"}):
                assert await world.get(path, **query) == (400, {"error": "Invalid token id"})
            text = "No orderbook exists for the requested token id"
            assert await world.get(path, token_id=UNKNOWN) == (404, {"error": text})
        for queries in ({}, {"token_ids": ""}, {"token_ids": "1,", "sides": "BUY"}):
            assert await world.get("/prices", **queries) == (400, {"error": "Invalid payload"})


async def test_the_last_trade_has_the_side_of_the_taker() -> None:
    """A purchase of Up at 0.62 is a sale of Down at 0.38; before it neither has a trade."""
    async with served(Bench()) as world:
        up, down = tokens(world.bench)
        assert await world.get("/last-trade-price", token_id=up) == (200, {"price": "0.5", "side": ""})
        trader = world.bench.trader()
        await world.bench.place(trader, trader.buy(up, 500, 990))
        assert await both_forms(world, "/last-trades-prices", up, down) == [
            {"token_id": up, "price": "0.62", "side": "BUY"},
            {"token_id": down, "price": "0.38", "side": "SELL"},
        ]
        assert await world.get("/last-trade-price", token_id=down) == (200, {"price": "0.38", "side": "SELL"})


async def test_a_resting_order_that_is_reached_was_taken_from_the_other_side() -> None:
    """The source sells into a resting BUY: the last trade is a SELL at the order's price."""
    async with served(Bench()) as world:
        (up, _), trader = tokens(world.bench), world.bench.trader()
        await world.bench.place(trader, trader.limit(up, "BUY", 5, 610))
        world.bench.source.standing = VenueBook(bids=side((590, 9)), asks=side((600, 9)))
        world.bench.venue.step()
        assert await world.get("/last-trade-price", token_id=up) == (200, {"price": "0.61", "side": "SELL"})


# --- prices of the past ------------------------------------------------------------------------


def rising(bench: Bench, *minutes: int) -> list[dict[str, float]]:
    """The expected Up mids: a cent below the ask, which rises six mills a minute."""
    first = bench.market.start
    return [{"t": first + 60 * m, "p": pytest.approx(0.59 + 0.006 * m)} for m in minutes]


async def test_a_history_has_the_mid_of_the_book_at_each_minute() -> None:
    """From the start of the market to now, in each form of a window, and mirrored for Down."""
    bench = Bench(source=RisingSource())
    async with served(bench) as world:
        (up, down), start = tokens(bench), bench.market.start
        bench.clock.forward(250)
        for query in (
            {"interval": "1h"},
            {"startTs": start - 900, "endTs": start + 900},
            {"startTs": start},
        ):
            status, answer = await world.get("/prices-history", market=up, **query)
            assert (status, answer["history"]) == (200, rising(bench, 0, 1, 2, 3, 4))
        _, answer = await world.get("/prices-history", market=up, startTs=start + 1, endTs=start + 180)
        assert answer["history"] == rising(bench, 1, 2)
        _, answer = await world.get("/prices-history", market=up, interval="6h", fidelity=2)
        assert answer["history"] == rising(bench, 0, 2, 4)
        _, answer = await world.get("/prices-history", market=down, interval="1h")
        assert answer["history"][4]["p"] == pytest.approx(1 - (0.59 + 0.024))


async def test_a_history_ends_with_its_market() -> None:
    """Sixteen points a quarter of an hour, also after the resolution; a batch has one per token."""
    bench = Bench(source=RisingSource())
    async with served(bench) as world:
        up, _ = tokens(bench)
        bench.clock.forward(3000)
        bench.venue.step()
        assert bench.venue.exchange.resolved(bench.market)
        _, answer = await world.get("/prices-history", market=up, interval="1d")
        assert answer["history"] == rising(bench, *range(16))
        _, batch = await world.post(
            "/batch-prices-history", {"markets": [up, UNKNOWN], "interval": "max", "fidelity": 1}
        )
        assert batch == {"history": {up: rising(bench, 0, 10), UNKNOWN: []}}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"interval": "1h"}, "the 'market' (asset id) is mandatory"),
        ({"market": "1", "interval": "1m"}, "minimum 'fidelity' for '1m' range is 10"),
        ({"market": "1", "interval": "1w", "fidelity": 4}, "minimum 'fidelity' for '1w' range is 5"),
        (
            {"market": "1", "interval": "2h"},
            "the 'interval' value is unknown. Known values: '1m', '1w', '1d', '6h', '1h'",
        ),
        (
            {"market": "1", "startTs": 1, "endTs": 2 + 15 * 86_400},
            "'startTs' and 'endTs' interval is too long",
        ),
        ({"market": "1", "startTs": "x"}, "the 'startTs' value is not a number"),
    ],
)
async def test_an_invalid_history_has_the_observed_error(query: dict[str, Any], text: str) -> None:
    """The texts that the real venue answers."""
    async with served(Bench()) as world:
        assert await world.get("/prices-history", **query) == (400, {"error": f"invalid filters: {text}"})
