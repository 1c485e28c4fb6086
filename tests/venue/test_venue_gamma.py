"""Gamma: slugs, JSON inside JSON, pages, and when markets close."""

import json
from collections.abc import Iterator

import pytest
from process import HTTP, VenueProcess


def test_lists_inside_a_market_are_json_strings(practice_venue: VenueProcess) -> None:
    """Outcomes, prices and token ids are strings that hold JSON, in the order Up, Down."""
    market = practice_venue.get("/gamma/markets")[0]
    for name in ("outcomes", "outcomePrices", "clobTokenIds"):
        assert isinstance(market[name], str)
        assert len(json.loads(market[name])) == 2
    assert json.loads(market["outcomes"]) == ["Up", "Down"]
    assert sum(map(float, json.loads(market["outcomePrices"]))) == pytest.approx(1)


def test_a_market_states_its_rule_fee_and_dates(practice_venue: VenueProcess) -> None:
    """Version, settlement rule, fee schedule and dates are there; there is no strike while it is live."""
    start = practice_venue.clock.current_start()
    market = practice_venue.get(f"/gamma/markets/slug/btc-updown-15m-{start}")
    assert market["version"] == "v1"
    assert market["cryptoMarketConfig"]["twapLookbackSeconds"] == 60
    assert market["feeSchedule"] == {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2}
    assert (market["closed"], market["acceptingOrders"], market["negRisk"]) == (False, True, False)
    assert "btc-updown-15m-17905" in market["description"]
    assert "eventMetadata" not in market["events"][0]
    assert market["endDate"].endswith("Z")


def test_the_current_and_four_coming_markets_are_listed(practice_venue: VenueProcess) -> None:
    """They are found by slug, in one request, tradable, and no others are listed."""
    start = practice_venue.clock.current_start()
    slugs = [f"btc-updown-15m-{start + 900 * i}" for i in range(5)]
    url = practice_venue.url + "/gamma"
    for path, pick in (
        ("/markets", lambda body: body),
        ("/events", lambda body: body),
        ("/markets/keyset", lambda body: body["markets"]),
    ):
        found = pick(HTTP.get(url + path, params={"slug": slugs}).json())
        assert [row["slug"] for row in found] == slugs
    coming = HTTP.get(url + "/markets", params={"slug": slugs[4]}).json()[0]
    assert coming["acceptingOrders"] is True
    assert HTTP.get(url + "/markets", params={"slug": "btc-updown-15m-900"}).json() == []
    assert HTTP.get(url + "/markets/slug/btc-updown-15m-900").status_code == 404
    assert HTTP.get(url + "/events/slug/nothing").status_code == 404


def test_an_event_holds_its_market(practice_venue: VenueProcess) -> None:
    """An event by slug contains exactly the market of that slug."""
    slug = f"btc-updown-15m-{practice_venue.clock.current_start()}"
    event = practice_venue.get(f"/gamma/events/slug/{slug}")
    assert [market["slug"] for market in event["markets"]] == [slug]
    assert event["seriesSlug"] == "btc-up-or-down-15m"


def test_pages_follow_their_cursor(practice_venue: VenueProcess) -> None:
    """Reading the pages two at a time gives every market once, and the last page has no cursor."""
    whole = [market["slug"] for market in practice_venue.get("/gamma/markets/keyset")["markets"]]
    walked: list[str] = []
    query = {"limit": "2"}
    while True:
        body = practice_venue.get("/gamma/markets/keyset", **query)
        walked += [market["slug"] for market in body["markets"]]
        if "next_cursor" not in body:
            break
        query["after_cursor"] = body["next_cursor"]
    assert walked == whole
    assert len(whole) >= 5


def test_a_coming_market_shows_its_opening_book_standing_still(practice_venue: VenueProcess) -> None:
    """A market before its start has one constant book, with liquidity on both sides."""
    start = practice_venue.clock.current_start() + 900
    market = practice_venue.get(f"/gamma/markets/slug/btc-updown-15m-{start}")
    token = json.loads(market["clobTokenIds"])[0]
    first = practice_venue.get("/book", token_id=token)
    later = practice_venue.get("/book", token_id=token)
    assert first["bids"] == later["bids"] != []
    assert first["asks"] == later["asks"] != []


@pytest.fixture
def over() -> Iterator[VenueProcess]:
    """A venue whose first market is resolved."""
    with VenueProcess.start("--hold-clock") as venue:
        venue.finish_market()
        yield venue


def test_a_resolved_market_is_closed_everywhere(over: VenueProcess) -> None:
    """Recording 0 went Down: Gamma, CLOB and book agree, and the market is hidden unless requested."""
    slug = f"btc-updown-15m-{over.get('/practice/info')['first_start']}"
    market = over.get(f"/gamma/markets/slug/{slug}")
    assert market["closed"] is True
    assert json.loads(market["outcomePrices"]) == ["0", "1"]
    assert (market["umaResolutionStatus"], market["acceptingOrders"]) == ("resolved", False)
    assert market["closedTime"].endswith("+00")
    assert over.get("/gamma/markets", slug=slug) == []
    assert [row["slug"] for row in over.get("/gamma/markets", slug=slug, closed="true")] == [slug]
    clob = over.get(f"/markets/{market['conditionId']}")
    assert [(t["outcome"], t["winner"], t["price"]) for t in clob["tokens"]] == [
        ("Up", False, 0.0),
        ("Down", True, 1.0),
    ]
    token = json.loads(market["clobTokenIds"])[1]
    answer = HTTP.get(over.url + "/book", params={"token_id": token})
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "No orderbook exists for the requested token id"},
    )
