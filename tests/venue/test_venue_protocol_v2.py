"""Markets of Protocol V2 over HTTP: ids, signing domain, approvals, balances, and redemption by position."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account
from polymarket.models.gamma.market import Market
from process import HTTP, VenueProcess
from py_clob_client_v2.clob_types import MarketOrderArgsV2, OrderType
from venue_builders import CTF_DOMAIN, EXCHANGE, EXCHANGE_V3, POSITION_DOMAIN, Trader, trader_at

from venue.arguments import read_arguments
from venue.position_ids import is_position_id, unpadded
from venue.schedule import Schedule, make_market
from venue.sources.choice import SourceMismatch, chosen_protocol, chosen_source
from venue.wire.practice import UNLIMITED


@pytest.fixture(scope="module")
def venue() -> Iterator[VenueProcess]:
    """A held venue with recorded markets by turns: v1, v2, v1 …"""
    with VenueProcess.start(
        "--protocol", "alternate", "--hold-clock", "--start-at", "60", "--redeem", "manual"
    ) as venue:
        yield venue


@pytest.fixture
def trader(venue: VenueProcess) -> Trader:
    return trader_at(venue.url)


def gamma(venue: VenueProcess, version: str) -> dict[str, Any]:
    """The first running or following market of a version."""
    start = venue.clock.current_start()
    rows = [venue.get(f"/gamma/markets/slug/btc-updown-15m-{start + 900 * n}") for n in range(2)]
    return next(row for row in rows if row["version"] == version)


def positions(venue: VenueProcess) -> tuple[str, str]:
    up, down = gamma(venue, "v2")["positionIds"]
    return up, down


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def approvals(venue: VenueProcess, trader: Trader, **fields: Any) -> None:
    body = {"address": trader.address, **fields}
    HTTP.post(venue.url + "/practice/accounts", json=body).raise_for_status()


def redeem(venue: VenueProcess, trader: Trader, **fields: str) -> httpx.Response:
    return HTTP.post(venue.url + "/practice/redeem", json={"address": trader.address, **fields})


# --- ids -------------------------------------------------------------------------------------


def test_the_ids_are_built_as_published(venue: VenueProcess) -> None:
    """The official client reads module 1, outcome 0 and 1, and the market's own condition from the ids."""
    from polymarket._internal.protocol import decode_v2_outcome_position_id, is_v2_position_id

    row = gamma(venue, "v2")
    market = Market.model_validate(row)
    ids = (market.outcomes.yes.position_id, market.outcomes.no.position_id)
    assert (market.version, ids) == ("v2", tuple(row["positionIds"]))
    for index, position in enumerate(ids):
        assert position is not None
        assert is_v2_position_id(position)
        assert int(position) >> 248 == 1
        decoded = decode_v2_outcome_position_id(position)
        assert (decoded.condition_id, decoded.outcome_index) == (row["conditionId"], index)
    assert len(row["conditionId"]) == 2 + 62
    old = gamma(venue, "v1")
    assert "positionIds" not in old
    assert not any(is_v2_position_id(token) for token in json.loads(old["clobTokenIds"]))


@pytest.mark.parametrize(("protocol", "versions"), [("v1", "1111"), ("v2", "2222"), ("alternate", "1212")])
def test_the_markets_have_the_chosen_protocol(protocol: Any, versions: str) -> None:
    """All of one version, or by turns and beginning with v1; no two ids are the same."""
    markets = Schedule(1_800_000_000, protocol).list_until(1_800_000_000)[:4]
    assert [market.version for market in markets] == [f"v{digit}" for digit in versions]
    assert [all(map(is_position_id, market.tokens)) for market in markets] == [d == "2" for d in versions]
    assert len({token for market in markets for token in market.tokens}) == 8


def test_a_condition_is_found_by_both_lengths_of_its_id(venue: VenueProcess) -> None:
    """A condition id of 31 bytes, or padded to 32 as by the official client, is the same market."""
    condition = gamma(venue, "v2")["conditionId"]
    for text in (condition, condition + "00"):
        assert venue.get(f"/markets/{text}")["condition_id"] == condition
    assert HTTP.get(f"{venue.url}/markets/{condition}01").status_code == 404
    ctf = make_market(1_800_000_000, 0).condition_id
    assert unpadded(ctf[:-2] + "00") == ctf[:-2] + "00"


def test_books_and_the_order_api_have_the_position_ids(venue: VenueProcess) -> None:
    """Book, market and search by position id work as for a token; the CTF ids shown besides have no book."""
    row, (up, down) = gamma(venue, "v2"), positions(venue)
    assert venue.get("/book", token_id=up)["asset_id"] == up
    assert [token["token_id"] for token in venue.get(f"/markets/{row['conditionId']}")["tokens"]] == [
        up,
        down,
    ]
    assert venue.get("/gamma/markets", position_ids=down)[0]["slug"] == row["slug"]
    for token in json.loads(row["clobTokenIds"]):
        assert HTTP.get(f"{venue.url}/book", params={"token_id": token}).status_code == 404


# --- orders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("signature_type", [0, 2, 3])
def test_an_order_under_the_domain_of_exchange_v3_is_filled(venue: VenueProcess, signature_type: int) -> None:
    """Whatever the kind of wallet, an order for a position is signed with domain version 3."""
    funder = Account.create().address if signature_type else None
    trader = trader_at(venue.url, signature_type=signature_type, funder=funder)
    up, _ = positions(venue)
    answer = trader.post(venue.url, trader.buy(up, 100, 990)).json()
    assert (answer["success"], answer["status"]) == (True, "matched")
    trade = venue.account(trader.address)["trades"][0]
    assert (trade["outcome"], trade["order_id"]) == ("Up", answer["orderID"])


def test_the_official_client_buys_and_sells_a_position(venue: VenueProcess, trader: Trader) -> None:
    """`position_id` instead of `token_id` is all it needs, and its shares are CONDITIONAL-V2."""
    client, (_, down) = trader.client(venue.url), positions(venue)
    bought: Any = client.create_and_post_market_order(
        MarketOrderArgsV2(position_id=down, amount=5, side="BUY", price=0.99), order_type=OrderType.FAK
    )
    shares = float(bought["takingAmount"])
    path = "/balance-allowance"
    held = trader.send(venue.url, "GET", path, asset_type="CONDITIONAL-V2", token_id=down).json()
    assert int(held["balance"]) / 10**6 == shares > 5
    assert held["allowances"][EXCHANGE_V3] == str(UNLIMITED)
    sold: Any = client.create_and_post_market_order(
        MarketOrderArgsV2(position_id=down, amount=5, side="SELL", price=0.01), order_type=OrderType.FAK
    )
    assert float(sold["makingAmount"]) == 5
    other = trader.send(venue.url, "GET", path, asset_type="CONDITIONAL", token_id=down)
    assert error(other) == (400, "Invalid token id")


@pytest.mark.parametrize("signature_type", [0, 3])
@pytest.mark.parametrize(
    "domain", [CTF_DOMAIN, (EXCHANGE_V3, "2"), (EXCHANGE, "3")], ids=["both", "version", "contract"]
)
def test_an_order_for_a_position_under_another_domain_is_refused(
    venue: VenueProcess, signature_type: int, domain: tuple[str, str]
) -> None:
    """Version 2, or the contract of the CTF tokens, or both: the signature proves no address."""
    funder = Account.create().address if signature_type else None
    trader = trader_at(venue.url, signature_type=signature_type, funder=funder)
    order = trader.buy(positions(venue)[0], 100, 990, domain=domain)
    assert error(trader.post(venue.url, order)) == (400, "invalid signature")
    assert venue.account(trader.address)["trades"] == []


def test_an_order_for_a_token_under_the_domain_of_positions_is_refused(
    venue: VenueProcess, trader: Trader
) -> None:
    """The domain of a v1 market remains that of the CTF exchange."""
    up = json.loads(gamma(venue, "v1")["clobTokenIds"])[0]
    order = trader.buy(up, 100, 990, domain=POSITION_DOMAIN)
    assert error(trader.post(venue.url, order)) == (400, "invalid signature")
    assert trader.post(venue.url, trader.buy(up, 100, 990)).json()["success"] is True


def test_an_order_with_a_wrong_id_is_refused(venue: VenueProcess, trader: Trader) -> None:
    """The CTF id of a v2 market, a third outcome and another module have no book."""
    up, _ = positions(venue)
    ctf = json.loads(gamma(venue, "v2")["clobTokenIds"])[0]
    wrong = {
        ctf: CTF_DOMAIN,
        str(int(up) + 2): POSITION_DOMAIN,
        str(int(up) + (1 << 248)): POSITION_DOMAIN,
        str(int(up) + (3 << 248)): CTF_DOMAIN,
    }
    for token, domain in wrong.items():
        answer = trader.post(venue.url, trader.buy(token, 100, 990, domain=domain))
        assert error(answer) == (400, f"the orderbook {token} does not exist")


# --- approvals -------------------------------------------------------------------------------


def test_each_exchange_needs_its_own_approval(venue: VenueProcess, trader: Trader) -> None:
    """Without ExchangeV3's allowance no position is bought, and the refusal names it; tokens still are."""
    (up, _), token = positions(venue), json.loads(gamma(venue, "v1")["clobTokenIds"])[0]
    approvals(venue, trader, allowances={EXCHANGE_V3.lower(): "0.5"})
    answer = trader.send(venue.url, "GET", "/balance-allowance", asset_type="COLLATERAL").json()
    assert answer["allowances"][EXCHANGE_V3] == "500000"
    assert answer["allowances"][EXCHANGE] == str(UNLIMITED)
    status, text = error(trader.post(venue.url, trader.buy(up, 100, 990)))
    assert (status, text.partition(", order amount")[0]) == (
        400,
        "not enough balance / allowance: the allowance is not enough -> spender: "
        "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa, allowance: 500000",
    )
    assert trader.post(venue.url, trader.buy(token, 100, 990)).json()["success"] is True
    approvals(venue, trader, allowance="1000")
    assert trader.post(venue.url, trader.buy(up, 100, 990)).json()["success"] is True


def test_a_sale_needs_the_operator_of_the_positions(venue: VenueProcess, trader: Trader) -> None:
    """An allowance of pUSD does not let ExchangeV3 transfer positions."""
    up, _ = positions(venue)
    trader.post(venue.url, trader.buy(up, 500, 990))
    approvals(venue, trader, operators={EXCHANGE_V3: False, EXCHANGE: True})
    sale = trader.order(up, "SELL", 1_000_000, 10_000)
    status, text = error(trader.post(venue.url, sale))
    assert (status, "spender: 0xe3333700" in text, "allowance: 0" in text) == (400, True, True)
    approvals(venue, trader, operators={EXCHANGE_V3: True})
    assert trader.post(venue.url, sale).json()["success"] is True


# --- redemption ------------------------------------------------------------------------------


def test_a_position_is_redeemed_by_the_rules_of_the_router(venue: VenueProcess, trader: Trader) -> None:
    """One outcome of one condition at a time, any part of it, after the outcome, and nothing else."""
    (up, down), row = positions(venue), gamma(venue, "v2")
    token = json.loads(gamma(venue, "v1")["clobTokenIds"])[0]
    for position in (up, down):
        assert trader.post(venue.url, trader.buy(position, 1000, 990)).json()["success"] is True
    assert error(redeem(venue, trader, position_id=up)) == (400, f"{row['slug']} has no outcome")
    start = int(row["slug"].rpartition("-")[2])
    venue.set_clock(to=start + 900 + 90)
    tokens = venue.get(f"/markets/{row['conditionId']}")["tokens"]
    winner, loser = sorted(
        (up, down), key=lambda p: not next(t["winner"] for t in tokens if t["token_id"] == p)
    )
    rows = venue.get("/data-api/v2/positions", user=trader.address, status="REDEEMABLE")["data"]
    won = next(found for found in rows if found["token_id"] == winner)
    assert (won["current_price"], won["condition_id"]) == (1, row["conditionId"])
    before = float(venue.account(trader.address)["balance"])
    assert redeem(venue, trader, position_id=winner, shares="4").json() == {"redeemed": 1, "amount": "4"}
    assert redeem(venue, trader, position_id=loser).json() == {"redeemed": 1, "amount": "0"}
    redeem(venue, trader, position_id=winner).raise_for_status()
    after = venue.account(trader.address)
    assert float(after["balance"]) == pytest.approx(before + won["current_size"], abs=1e-6)
    assert after["positions"] == []
    assert error(redeem(venue, trader, position_id=winner))[0] == 400
    text = f"{token} is not a position of a market of Protocol V2"
    assert error(redeem(venue, trader, position_id=token)) == (400, text)


# --- the option ------------------------------------------------------------------------------


def test_generated_markets_alternate_and_recorded_ones_do_not() -> None:
    """The default of each source; a mirror has the protocol of its upstream, and no option."""
    assert chosen_protocol("synthetic", None, None) == "alternate"
    assert chosen_protocol("recorded", None, None) == "v1"
    assert chosen_protocol("recorded", "v2", None) == "v2"


def test_a_mirror_has_no_protocol_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The option is refused for it, with its name."""
    with pytest.raises(SystemExit):
        read_arguments(["--source", "shadow", "--protocol", "v2"])
    assert "--protocol: a mirror follows its upstream's time" in capsys.readouterr().err


def test_a_folder_keeps_its_protocol(tmp_path: Path) -> None:
    """Its open markets keep their ids: a folder of an older version has v1, another option is refused."""
    assert chosen_protocol("synthetic", "v2", tmp_path / "new") == "v2"
    assert chosen_protocol("synthetic", None, tmp_path / "new") == "v2"
    with pytest.raises(SourceMismatch, match="--protocol v2"):
        chosen_protocol("synthetic", "alternate", tmp_path / "new")
    chosen_source("synthetic", None, tmp_path / "old")
    from venue.ledger import VenueLedger

    ledger = VenueLedger(tmp_path / "old")
    ledger.set_meta("first_start", 1_800_000_000)
    ledger.close()
    assert chosen_protocol("synthetic", None, tmp_path / "old") == "v1"
