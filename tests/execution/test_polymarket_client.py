"""The account's client against a practice venue, and against a venue with invalid answers."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from canned_server import Answer, CannedServer
from eth_account import Account
from polymarket.models.data.portfolio import Position
from process import HTTP, VenueProcess
from venue_builders import Trader

from errors import Fatal, Temporary
from execution import polymarket_client
from execution.polymarket_client import (
    Funds,
    Geoblock,
    PolymarketClient,
    geoblock,
    throwaway_key,
)
from models import ProtocolVersion
from venue.auth import ApiKey

TEST_KEY = "0x" + "11" * 32  # a test key, never holds money
MADE_KEY = {"apiKey": "made", "secret": "c2VjcmV0", "passphrase": "phrase"}
KNOWN_KEY = {**MADE_KEY, "apiKey": "known"}


@pytest.fixture
def client(manual_venue: VenueProcess) -> PolymarketClient:
    """A new wallet with its API key."""
    made = PolymarketClient(manual_venue.url, "0x" + bytes(Account.create().key).hex())
    made.credentials()
    return made


def set_account(venue: VenueProcess, address: str, **fields: Any) -> None:
    HTTP.post(venue.url + "/practice/accounts", json={"address": address, **fields}).raise_for_status()


def trader_of(client: PolymarketClient, **fields: Any) -> Trader:
    """The same wallet as a trader that signs orders."""
    made = client.credentials()
    api = ApiKey(made.api_key, made.api_secret, made.api_passphrase, client.address, 0)
    return Trader(key=client._private_key, api=api, **fields)


def tokens(venue: VenueProcess) -> list[str]:
    """Up and Down token of the running market."""
    slug = venue.get("/practice/info")["current"]
    return json.loads(venue.get(f"/gamma/markets/slug/{slug}")["clobTokenIds"])


# --- keys ----------------------------------------------------------------------------------------


def test_the_same_wallet_has_the_same_key_again(manual_venue: VenueProcess, client: PolymarketClient) -> None:
    """The second start derives the key of the first one, and given parts are used unchanged."""
    first = client.credentials()
    again = PolymarketClient(manual_venue.url, client._private_key)
    assert again.credentials() == first
    given = PolymarketClient(manual_venue.url, client._private_key)
    given.credentials((first.api_key, first.api_secret, first.api_passphrase))
    assert given.balance() == 1000


def test_a_known_key_is_derived_and_none_is_created(canned: CannedServer) -> None:
    """A wallet that has a key never creates another."""
    canned.answers["GET", "/auth/derive-api-key"] = (200, KNOWN_KEY)
    assert PolymarketClient(canned.url, TEST_KEY).credentials().api_key == "known"
    assert canned.paths("POST") == []


def test_a_key_is_created_where_there_is_none_to_derive(canned: CannedServer) -> None:
    """The first start: the venue refuses to derive, and creates a key on request."""
    canned.answers["GET", "/auth/derive-api-key"] = (400, {"error": "Could not derive api key!"})
    canned.answers["POST", "/auth/api-key"] = (200, MADE_KEY)
    assert PolymarketClient(canned.url, TEST_KEY).credentials().api_key == "made"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "Invalid payload"}), Fatal),
        ((401, {"error": "Invalid L1 Request headers"}), Temporary),
        ((403, b"<html>Sorry, you have been blocked"), Temporary),
        ((503, {"error": "trading is disabled"}), Temporary),
        ((429, {"error": "Too Many Requests"}), Temporary),
        ((200, b"<html>"), Temporary),
        ((200, {"apiKey": "half"}), Temporary),
    ],
)
def test_no_key_is_fatal_only_if_the_venue_refuses(
    canned: CannedServer, answer: Answer, error: type[Exception]
) -> None:
    """A refusal needs the operator, every other error another attempt."""
    canned.default = answer
    with pytest.raises(error, match="no API key could be obtained for 0x"):
        PolymarketClient(canned.url, TEST_KEY).credentials()


@pytest.mark.parametrize(
    ("status", "answer", "todo"),
    [
        (403, b"<html>Sorry, you have been blocked", "accepts this machine's address"),
        (401, {"error": "Unauthorized/Invalid api key"}, "a new key needs some minutes"),
        (400, {"error": "Could not derive api key!"}, "Check the wallet's key"),
    ],
)
def test_the_first_cause_is_reported(canned: CannedServer, status: int, answer: Any, todo: str) -> None:
    """Creating a key that exists is always refused: the cause is the refusal to derive it."""
    canned.answers["GET", "/auth/derive-api-key"] = (status, answer)
    canned.answers["POST", "/auth/api-key"] = (400, {"error": "Could not create api key"})
    with pytest.raises((Fatal, Temporary)) as caught:
        PolymarketClient(canned.url, TEST_KEY).credentials()
    assert f"status_code={status}" in str(caught.value)
    assert "Could not create" not in str(caught.value)
    assert todo in str(caught.value)


@pytest.mark.parametrize("path", ["/auth/derive-api-key", "/auth/ban-status/closed-only"])
@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_key_that_is_not_active_yet_is_waited_for(canned: CannedServer, path: str, status: int) -> None:
    """A temporary refusal is waited for until the time limit; then it is final."""
    good = {"/auth/derive-api-key": KNOWN_KEY, "/auth/ban-status/closed-only": {"closed_only": False}}
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            canned.answers["GET", path] = (200, good[path])

    for name, answer in good.items():
        canned.answers["GET", name] = (200, answer)
    canned.answers["GET", path] = (status, {"error": "not yet"})
    made = PolymarketClient(canned.url, TEST_KEY).credentials(patience_s=150.0, sleep=sleep)
    assert (made.api_key, waits) == ("known", [10.0, 10.0, 10.0])
    assert canned.paths("POST") == []
    canned.answers["GET", path] = (status, {"error": "not yet"})
    endless: list[float] = []
    with pytest.raises(Fatal if status < 500 else Temporary, match="not yet"):
        PolymarketClient(canned.url, TEST_KEY).credentials(patience_s=150.0, sleep=endless.append)
    assert sum(endless) == 150.0


def test_a_refusal_without_a_key_in_the_settings_names_no_setting(canned: CannedServer) -> None:
    """A setting without a value need not be removed."""
    canned.answers["GET", "/auth/derive-api-key"] = (200, KNOWN_KEY)
    client = PolymarketClient(canned.url, TEST_KEY)
    client.credentials()
    canned.default = (401, {"error": "Unauthorized/Invalid api key"})
    with pytest.raises(Temporary, match="a new API key needs some minutes") as caught:
        client.closed_only()
    assert "Unset" not in str(caught.value)


def test_a_clock_that_is_ahead_is_named_and_waited_for(
    manual_venue: VenueProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A venue that takes time stamps of the past only refuses them as it refuses a wrong key; once the clock
    is set, the key is obtained."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=5)

    with monkeypatch.context() as changed:
        changed.setattr("py_clob_client_v2.headers.headers.datetime", Ahead)
        manual_venue.fault("future_refused", None)
        with pytest.raises(Temporary, match="Check POLYMARKET_PK and the clock"):
            PolymarketClient(manual_venue.url, TEST_KEY).credentials()
        found = PolymarketClient(manual_venue.url, TEST_KEY).credentials(
            patience_s=150.0, sleep=lambda _: changed.undo()
        )
    assert found.api_key
    manual_venue.clear_faults()


def test_the_venues_copy_of_the_balance_is_renewed_before_it_is_believed(
    manual_venue: VenueProcess, client: PolymarketClient
) -> None:
    """A deposit is visible only once the venue is asked to update: the first request does that."""
    for ask in (client.balance, client.funds, lambda: client.funded_types()[0]):
        manual_venue.fault("stale_balance", None)
        answer = ask()
        assert getattr(answer, "balance", answer) == 1000


def test_the_error_of_an_unknown_api_key_has_the_next_step(manual_venue: VenueProcess) -> None:
    """The 401 of a wrong key names the settings with it."""
    wrong = PolymarketClient(manual_venue.url, TEST_KEY)
    wrong.credentials(("00000000-0000-0000-0000-000000000000", "c2VjcmV0", "wrong"))
    with pytest.raises(Temporary, match="Unset POLYMARKET_API_KEY"):
        wrong.funds()


# --- money and permissions -----------------------------------------------------------------------


def test_money_is_seen_by_the_type_whose_wallet_has_it(
    manual_venue: VenueProcess, client: PolymarketClient
) -> None:
    """Types 0 to 3 are four wallets of one key: three of them correctly have no money."""
    assert client.funded_types() == {0: 1000, 1: 0, 2: 0, 3: 0}
    set_account(manual_venue, client.address, balance="12.345678", allowance="50", signature_type=3)
    assert client.funded_types() == {0: 0, 1: 0, 2: 0, 3: Decimal("12.345678")}
    assert client.funds(3).allowance(ProtocolVersion.V1) == 50
    assert client.funds() == Funds(
        balance=Decimal(0), allowances=dict.fromkeys(client.funds(3).allowances, Decimal(0))
    )
    as_three = PolymarketClient(manual_venue.url, client._private_key, 3, "0x" + "ab" * 20)
    as_three.credentials()
    assert as_three.balance() == Decimal("12.345678")


def test_an_order_of_the_wallet_without_money_is_refused(
    manual_venue: VenueProcess, client: PolymarketClient
) -> None:
    """What holds for the balance by type holds for orders too, with real signatures of both."""
    set_account(manual_venue, client.address, signature_type=3)
    own, deposit = trader_of(client), trader_of(client, signature_type=3, funder=Account.create().address)
    refused = own.post(manual_venue.url, own.buy(tokens(manual_venue)[0], 100, 990)).json()
    assert "balance: 0, order amount: 10" in refused["error"]
    taken = deposit.post(manual_venue.url, deposit.buy(tokens(manual_venue)[0], 100, 990)).json()
    assert taken["status"] == "matched"


def test_the_allowance_is_that_of_the_contracts_an_order_needs(
    manual_venue: VenueProcess, client: PolymarketClient
) -> None:
    """Each version has its own contract, in any spelling of its address; others do not count."""
    ctf, v3 = "0xE111180000d2663C0091e4f400237545B87B996B", "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
    set_account(manual_venue, client.address, allowance="0", allowances={v3: "12.5"})
    funds = client.funds()
    assert funds.balance == 1000
    assert [funds.allowance(version) for version in ProtocolVersion] == [0, Decimal("12.5")]
    assert len(funds.allowances) == 3
    lower = Funds(balance=Decimal(1), allowances={ctf.lower(): Decimal(7), "0xother": Decimal(0)})
    assert [lower.allowance(version) for version in ProtocolVersion] == [7, None]


def test_the_older_wording_of_an_allowance_is_read(canned: CannedServer) -> None:
    """One `allowance` instead of one per spender is the exchange's."""
    canned.answers["GET", "/balance-allowance"] = (200, {"balance": "1500000", "allowance": "2000000"})
    client = PolymarketClient(canned.url, TEST_KEY)
    client.credentials(("key", "c2VjcmV0", "phrase"))
    assert (client.balance(), client.funds().allowance(ProtocolVersion.V1)) == (Decimal("1.5"), 2)


def test_closed_only_accounts_are_reported_and_cannot_buy(
    manual_venue: VenueProcess, client: PolymarketClient
) -> None:
    """The reported status and the refusal of an order agree."""
    assert client.closed_only() is False
    set_account(manual_venue, client.address, closed_only=True)
    assert client.closed_only() is True
    trader = trader_of(client)
    refused = trader.post(manual_venue.url, trader.buy(tokens(manual_venue)[0], 100, 990))
    assert refused.json()["error"] == f"'{client.address}' address in closed only mode"


# --- the venue -----------------------------------------------------------------------------------


def test_the_geoblock_is_reported_and_stops_orders(
    manual_venue: VenueProcess, client: PolymarketClient
) -> None:
    """The location of this machine according to the venue, and its refusal of orders."""
    url = manual_venue.url + "/api/geoblock"
    assert geoblock(url) == Geoblock(blocked=False, country="IE", region="L")
    manual_venue.fault("geoblocked", None, country="DE", region="BE")
    assert geoblock(url) == Geoblock(blocked=True, country="DE", region="BE")
    trader = trader_of(client)
    refused = trader.post(manual_venue.url, trader.buy(tokens(manual_venue)[0], 100, 990))
    assert refused.status_code == 403
    assert refused.json()["error"].startswith("Trading restricted in your region")


def test_an_unknown_region_is_empty(canned: CannedServer) -> None:
    """Only `blocked` is required."""
    canned.default = (200, {"blocked": True, "ip": "203.0.113.42", "country": None})
    assert geoblock(canned.url) == Geoblock(blocked=True, country="", region="")


def test_version_and_clock_are_the_venues_own(manual_venue: VenueProcess, client: PolymarketClient) -> None:
    """Orders are of version 2; a venue half a minute ahead makes this clock half a minute late."""
    assert client.clob_version() == 2
    assert abs(client.clock_skew_s()) < 2
    manual_venue.fault("clock_skew", None, seconds=30)
    assert client.clock_skew_s() == pytest.approx(-30, abs=2)


QUESTIONS: dict[str, Callable[[PolymarketClient, str], Any]] = {
    "version": lambda client, _: client.clob_version(),
    "clock": lambda client, _: client.clock_skew_s(),
    "closed only": lambda client, _: client.closed_only(),
    "funds": lambda client, _: client.funds(),
    "funded types": lambda client, _: client.funded_types(),
    "redeemable": lambda client, url: client.redeemable(url),
    "trades": lambda client, _: client.trades("0xc0"),
    "geoblock": lambda _, url: geoblock(url),
}
NONSENSE: list[Answer] = [
    (500, {"error": "order timed out"}),
    (403, b"<!DOCTYPE html>"),
    (200, b"<!DOCTYPE html>"),
    (200, None),
    (200, []),
    (200, {}),
    (
        200,
        {"balance": "NaN", "allowances": {}, "version": "two", "closed_only": 0, "blocked": "yes", "data": 1},
    ),
    (
        200,
        {"balance": "1_0", "allowances": {}, "version": None, "closed_only": 1, "blocked": 1, "data": [7]},
    ),
    (200, {"balance": "1", "allowances": [], "data": [{"slug": "x"}], "pagination": {}}),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_whatever_is_no_answer_is_temporary(canned: CannedServer, question: str) -> None:
    """Refused, HTML, null, empty, of wrong types, or no server: one kind of error that names the request."""
    client = PolymarketClient(canned.url, TEST_KEY)
    client.credentials(("key", "c2VjcmV0", "phrase"))
    for answer in NONSENSE:
        if question == "trades" and answer[1] == NONSENSE[-1][1]:
            continue  # a list of objects: the content of a trade is checked by `fills_of`
        canned.default = answer
        with pytest.raises(Temporary, match="could not be read from the venue"):
            QUESTIONS[question](client, canned.url)
    gone = PolymarketClient("http://127.0.0.1:9", TEST_KEY)
    gone.credentials(("key", "c2VjcmV0", "phrase"))
    with pytest.raises(Temporary, match="could not be read from the venue"):
        QUESTIONS[question](gone, "http://127.0.0.1:9")


@pytest.mark.parametrize("value", ["NaN", "-1", "2", "1e400"])
def test_a_payout_that_cannot_be_is_no_position(canned: CannedServer, value: str) -> None:
    """A price per share that is no number from 0 to 1 is an error of the request, and redeems nothing."""
    row = {"condition_id": "0xc0", "current_size": "1", "current_price": value, "redeemable": True}
    canned.default = (200, {"data": [row], "pagination": {}})
    with pytest.raises(Temporary, match="could not be read from the venue"):
        PolymarketClient(canned.url, TEST_KEY).redeemable(canned.url)


@pytest.mark.parametrize(("position", "query"), [(None, "market=0xc0"), ("452312848", "asset_id=452312848")])
def test_the_trades_of_a_position_are_asked_for_by_its_id(
    canned: CannedServer, position: str | None, query: str
) -> None:
    """Those of CTF tokens by the condition: the order API may pad a condition of Protocol V2."""
    canned.answers["GET", "/data/trades"] = (200, {"data": [{"id": "t1"}], "next_cursor": "LTE="})
    client = PolymarketClient(canned.url, TEST_KEY)
    client.credentials(("key", "c2VjcmV0", "phrase"))
    assert client.trades("0xc0", position) == [{"id": "t1"}]
    ((_, path, _),) = [asked for asked in canned.asked if asked[1].startswith("/data/trades")]
    assert path.partition("?")[2].split("&")[0] == query
    assert ("market" in path, "asset_id" in path) == (position is None, position is not None)


def test_only_a_dead_order_without_a_match_is_killed(canned: CannedServer) -> None:
    """An order that the venue does not have may still match; one without information is requested again."""
    client = PolymarketClient(canned.url, TEST_KEY)
    client.credentials(("key", "c2VjcmV0", "phrase"))
    path = ("GET", "/data/order/0xid")
    for answer, expected in (
        ((404, {"error": "order not found"}), False),
        ((200, None), False),
        ((200, {"status": "CANCELED", "size_matched": "0"}), True),
        ((200, {"status": "CANCELED", "size_matched": "1.5"}), False),
        ((200, {"status": "LIVE", "size_matched": "0"}), False),
        ((200, {"status": "ORDER_STATUS_CANCELED", "size_matched": "0"}), True),
        ((200, {"status": "ORDER_STATUS_INVALID", "size_matched": "0"}), True),
        ((200, {"status": "CANCELLED", "size_matched": "0"}), True),
        ((200, {"status": "ORDER_STATUS_CANCELED", "size_matched": "1500000"}), False),
        ((200, {"status": "ORDER_STATUS_LIVE", "size_matched": "0"}), False),
    ):
        canned.answers[path] = answer
        assert client.killed("0xid") is expected, answer
    for answer in ((500, {"error": "x"}), (200, {"status": "CANCELED", "size_matched": "many"})):
        canned.answers[path] = answer
        with pytest.raises(Temporary, match="order 0xid"):
            client.killed("0xid")


# --- won positions -------------------------------------------------------------------------------


def test_won_and_lost_positions_are_listed_until_redeemed(
    manual_venue: VenueProcess, client: PolymarketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Winner and loser are listed once the market is over, over pages, and gone once redeemed."""
    trader = trader_of(client)
    bought = _both_tokens(manual_venue, trader)
    manual_venue.finish_market()
    data_api = manual_venue.url + "/data-api"
    held = client.redeemable(data_api)
    assert {row.shares for row in held} == bought
    assert {row.won for row in held} == {True, False}
    assert {row.outcome for row in held} == {"Up", "Down"}
    assert {row.slug.rpartition("-")[0] for row in held} == {"btc-updown-15m"}
    monkeypatch.setattr(polymarket_client, "POSITIONS_PAGE", 1)
    assert client.redeemable(data_api) == held
    raw = manual_venue.get("/data-api/v2/positions", user=client.address, status="REDEEMABLE")
    official = Position.parse_response_list(raw["data"])
    assert [row.current_size for row in official] == [row.shares for row in held]
    lost = manual_venue.get("/data-api/v2/positions", user=client.address, status="REDEEMABLE_LOST")
    assert [row["outcome"] for row in lost["data"]] == [row.outcome for row in held if not row.won]
    redeem(manual_venue, client.address, "0x" + "00" * 32)
    assert client.redeemable(data_api) == held
    before = client.balance()
    redeem(manual_venue, client.address, held[0].condition_id)
    assert client.redeemable(data_api) == []
    assert client.balance() - before == next(row.shares for row in held if row.won)


@pytest.mark.parametrize("token_id", ["9" * 79, "\u0663", "0x1", "", None])
def test_an_id_that_is_no_token_is_none(canned: CannedServer, token_id: str | None) -> None:
    """More digits than 256 bits have, or others than 0 to 9: the position is listed, without a token."""
    row = {"condition_id": "0xab", "current_size": "1", "current_price": "1", "redeemable": True}
    page = {"data": [{**row, "token_id": token_id}], "pagination": {}}
    canned.answers["GET", "/v2/positions"] = (200, json.dumps(page).encode())
    (found,) = PolymarketClient(canned.url, TEST_KEY).redeemable(canned.url)
    assert (found.token_id, found.position_id) == ("", None)


def test_a_position_without_a_name_hides_no_other(canned: CannedServer) -> None:
    """The venue may not have a market's slug; what is OPEN or not redeemable yet is omitted."""
    row = {"condition_id": "0xAB", "current_size": 1.052631, "current_price": 1, "redeemable": True}
    rows = [{**row, "slug": None, "outcome": None}, {**row, "redeemable": False}, {**row, "slug": "x"}]
    pages = {"has_more": False, "next_cursor": None}
    canned.answers["GET", "/v2/positions"] = (200, {"data": rows, "pagination": pages})
    found = PolymarketClient(canned.url, TEST_KEY, 2, "0x" + "ab" * 20).redeemable(canned.url)
    assert [(held.condition_id, held.slug, held.shares) for held in found] == [
        ("0xab", "", Decimal("1.052631")),
        ("0xab", "x", Decimal("1.052631")),
    ]
    assert "user=0x" + "ab" * 20 in canned.asked[0][1]


def redeem(venue: VenueProcess, address: str, condition_id: str) -> None:
    body = {"address": address, "condition_id": condition_id}
    HTTP.post(venue.url + "/practice/redeem", json=body).raise_for_status()


def _both_tokens(venue: VenueProcess, trader: Trader) -> set[Decimal]:
    """Buy a dollar of each token of one market; returns the shares of each."""
    answers = [trader.post(venue.url, trader.buy(token, 100, 990)).json() for token in tokens(venue)]
    assert [answer["status"] for answer in answers] == ["matched", "matched"]
    return {Decimal(answer["takingAmount"]) for answer in answers}


def test_a_practice_wallet_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    """The same key again, in a file that other users cannot read."""
    path = tmp_path / "venue" / "wallet.json"
    key = throwaway_key(path)
    assert throwaway_key(path) == key
    assert path.stat().st_mode & 0o077 == 0
