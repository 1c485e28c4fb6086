"""The additional quotes that load the clients of the market stream."""

from typing import Any

import pytest
from served_bench import served
from venue_builders import BOOK, Bench, side

from venue.arguments import options_of, read_arguments
from venue.order_book import VenueBook
from venue.quote_load import QuoteLoad
from venue.venue import VenueOptions

SECOND = 10**9


class Client:
    """A connection that stores what is sent, and applies it to the Up token's book."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def send(self, message: Any) -> None:
        self.events += message if isinstance(message, list) else [message]

    def book(self, token: str) -> dict[str, dict[str, str]]:
        """Size by price, of each side, after everything that was sent."""
        book: dict[str, dict[str, str]] = {}
        for event in self.events:
            if event["event_type"] == "book" and event["asset_id"] == token:
                book = {
                    side: {row["price"]: row["size"] for row in event[rows]}
                    for side, rows in (("BUY", "bids"), ("SELL", "asks"))
                }
            for change in event.get("price_changes", []):
                if change["asset_id"] == token:
                    book[change["side"]].pop(change["price"], None)
                    if change["size"] != "0":
                        book[change["side"]][change["price"]] = change["size"]
        return book


async def subscribed(bench: Bench) -> Client:
    """A client of the running market's books."""
    client: Any = Client()
    bench.venue.markets._opened(client)
    await bench.venue.markets._received(client, {"assets_ids": list(bench.market.tokens)})
    return client


def loaded(rate: float) -> Bench:
    return Bench(options=VenueOptions(speed=1.0, taker_delay=0.0, quotes_per_second=rate))


def test_quotes_are_due_at_the_rate_whenever_they_are_asked_for() -> None:
    """Parts of a quote are carried over: 3.7 ms and 0.3 ms at 1,000 a second are three quotes and one."""
    load = QuoteLoad(1000, 0)
    assert [load.due(3_700_000), load.due(3_700_000), load.due(4_000_000)] == [3, 0, 1]
    assert sum(load.due(4_000_000 + step * 7_000_000) for step in range(1, 1001)) == 7_000


def test_a_late_venue_does_not_send_all_it_has_missed() -> None:
    """After ten seconds without a turn it sends a quarter of a second's quotes, and at a low rate one."""
    assert QuoteLoad(1000, 0).due(10 * SECOND) == 250
    assert QuoteLoad(0.5, 0).due(10 * SECOND) == 1


def test_without_a_rate_nothing_is_due() -> None:
    """The default is no load."""
    assert QuoteLoad(0, 0).due(100 * SECOND) == 0
    _, given = read_arguments(["--source", "synthetic"])
    assert options_of(given).quotes_per_second == 0
    _, given = read_arguments(["--source", "synthetic", "--quotes-per-second", "250"])
    assert options_of(given).quotes_per_second == 250


async def test_each_additional_quote_changes_the_size_of_the_best_bid_of_both_tokens() -> None:
    """0.01 shares more and less in turn: one message each, with a new best size for both tokens."""
    bench = loaded(10)
    client = await subscribed(bench)
    for _ in range(3):
        bench.clock.forward(0.1)
        bench.venue.step()
    changes = [event["price_changes"] for event in client.events if event["event_type"] == "price_change"]
    assert [[(c["side"], c["price"], c["size"]) for c in rows] for rows in changes] == [
        [("BUY", "0.60", "100.01"), ("SELL", "0.40", "100.01")],
        [("BUY", "0.60", "100"), ("SELL", "0.40", "100")],
        [("BUY", "0.60", "100.01"), ("SELL", "0.40", "100.01")],
    ]
    assert bench.venue.markets.load.sent == 3
    bench.venue.close()


async def test_a_change_of_the_market_under_load_leaves_its_own_book() -> None:
    """A client that applies every message has the source's sizes after the source's next change."""
    bench = loaded(10)
    client = await subscribed(bench)
    bench.clock.forward(0.1)
    bench.venue.step()
    assert client.book(bench.market.up_token)["BUY"]["0.60"] == "100.01"
    bench.venue.markets.load.change(0, bench.clock())
    bench.source.standing = VenueBook(bids=BOOK.bids, asks=side((620, 50), (640, 7)))
    bench.venue.step()
    assert client.book(bench.market.up_token) == {
        "BUY": {"0.60": "100", "0.59": "200"},
        "SELL": {"0.62": "50", "0.64": "7"},
    }
    bench.venue.close()


async def test_a_book_without_bids_has_its_best_ask_changed_and_an_empty_one_nothing() -> None:
    """A favourite that is no longer offered still quotes; a book without levels has nothing to change."""
    bench = loaded(10)
    bench.source.standing = VenueBook(asks=BOOK.asks)
    client = await subscribed(bench)
    bench.clock.forward(0.1)
    bench.venue.step()
    assert client.book(bench.market.up_token)["SELL"]["0.62"] == "100.01"
    bench.source.standing = VenueBook()
    bench.venue.step()
    before = len(client.events)
    bench.clock.forward(0.1)
    bench.venue.step()
    assert len(client.events) == before
    bench.venue.close()


async def test_the_rate_is_set_and_read_by_request() -> None:
    """POST /practice/load sets it within its limits, GET also returns the number sent and the subscribers."""
    async with served(Bench()) as bench:
        assert await bench.get("/practice/load") == (
            200,
            {"quotes_per_second": 0.0, "sent": 0, "subscribers": 0},
        )
        await subscribed(bench.bench)
        assert (await bench.post("/practice/load", {"quotes_per_second": 100}))[0] == 200
        bench.bench.clock.forward(0.05)
        bench.bench.venue.step()
        assert await bench.get("/practice/load") == (
            200,
            {"quotes_per_second": 100.0, "sent": 5, "subscribers": 1},
        )
        assert (await bench.post("/practice/load", {"quotes_per_second": 10_001}))[0] == 400


@pytest.mark.parametrize("rate", ["-1", "10001", "nan", "x"])
def test_a_rate_out_of_its_range_is_refused(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad usage names the value and the range."""
    with pytest.raises(SystemExit):
        read_arguments(["--quotes-per-second", rate])
    assert f"{rate!r} is not a rate from 0 to 10000" in capsys.readouterr().err
