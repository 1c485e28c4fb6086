"""The running venue over HTTP: answers to the official client, and to invalid requests."""

import json
import time
from typing import Any

import httpx
import pytest
from process import HTTP, VenueProcess
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    AssetType,
    BalanceAllowanceParams,
    BookParams,
    MarketOrderArgsV2,
    OrderArgsV2,
    OrderMarketCancelParams,
    OrderPayload,
    OrderType,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException
from venue_builders import Trader, trader_at


@pytest.fixture
def url(practice_venue: VenueProcess) -> str:
    return practice_venue.url


@pytest.fixture
def trader(url: str) -> Trader:
    return trader_at(url)


@pytest.fixture
def tokens(practice_venue: VenueProcess) -> tuple[str, str]:
    """Up and Down token of the market that runs now."""
    slug = f"btc-updown-15m-{practice_venue.clock.current_start()}"
    up, down = json.loads(practice_venue.get(f"/gamma/markets/slug/{slug}")["clobTokenIds"])
    return up, down


def error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


# --- what is refused -------------------------------------------------------------------------


def test_a_wrong_hmac_is_refused(url: str, trader: Trader) -> None:
    """A request signed with another secret is 401."""
    headers = trader.headers("GET", "/data/orders", secret="A" * 43 + "=")
    answer = HTTP.get(url + "/data/orders", headers=headers)
    assert error(answer) == (401, "Unauthorized/Invalid api key")


def test_missing_headers_are_refused(url: str) -> None:
    """Private routes without headers are 401, for keys and for orders."""
    assert error(HTTP.get(url + "/data/orders")) == (401, "Unauthorized/Invalid api key")
    assert error(HTTP.post(url + "/order", content="{}")) == (401, "Unauthorized/Invalid api key")
    assert error(HTTP.post(url + "/auth/api-key")) == (401, "Invalid L1 Request headers")


def test_a_signature_of_another_key_is_refused(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """An order with this wallet's address that another key signed is refused."""
    forger = Trader(api=trader.api)
    order = forger.buy(tokens[0], 100, 990)
    order["order"]["maker"] = order["order"]["signer"] = trader.address
    assert error(trader.post(url, order)) == (400, "invalid signature")


def test_an_order_of_another_wallet_is_refused(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """An order that its own wallet signed cannot be sent with this wallet's key."""
    other = Trader(api=trader.api)
    text = "the order signer address has to be the address of the API KEY"
    assert error(trader.post(url, other.buy(tokens[0], 100, 990))) == (400, text)
    owned = trader.buy(tokens[0], 100, 990, owner="00000000-0000-0000-0000-000000000000")
    assert error(trader.post(url, owned)) == (400, "the order owner has to be the owner of the API KEY")


def test_a_v1_order_is_refused(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """A body of the first protocol version is a version mismatch."""
    order = trader.buy(tokens[0], 100, 990)
    order["order"].update(nonce="0", feeRateBps="0", taker="0x" + "0" * 40)
    assert error(trader.post(url, order)) == (400, "order_version_mismatch")


BAD_AMOUNTS = "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "


@pytest.mark.parametrize(
    ("maker", "taker", "text"),
    [
        (990_000, 1_000_000, "invalid amount for a marketable BUY order ($0.99), min size: $1"),
        (1_000_000, 1_010_110, BAD_AMOUNTS + "taker amount a max of 4 decimals"),
        (1_005_000, 1_015_100, BAD_AMOUNTS + "taker amount a max of 4 decimals"),
        (1_000_000, 1_600_000, "Price (0.625) breaks minimum tick size rule: 0.01"),
        (1_000_000, 1_000_000, "invalid price (1), min: 0.01 - max: 0.99"),
    ],
)
def test_bad_amounts_are_refused(
    url: str, trader: Trader, tokens: tuple[str, str], maker: int, taker: int, text: str
) -> None:
    """$0.99, five taker decimals, three maker decimals, a price between ticks and a price of 1."""
    status, message = error(trader.post(url, trader.order(tokens[0], "BUY", maker, taker)))
    assert status == 400
    assert message.endswith(text)


def test_an_order_beyond_the_balance_is_refused(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """$1000 and its fee are more than $1000."""
    fee = 70_707
    needed = 1_000_000_000 + 700_000 + fee // 10**9
    status, message = error(trader.post(url, trader.buy(tokens[0], 100_000, 990)))
    assert status == 400
    start = "not enough balance / allowance: the balance is not enough -> balance: 1000000000, order amount: "
    assert message.startswith(start)
    assert int(message.removeprefix(start)) == pytest.approx(needed, abs=10)


def test_an_order_beyond_the_allowance_is_refused(
    practice_venue: VenueProcess, trader: Trader, tokens: tuple[str, str]
) -> None:
    """Without an allowance nothing can be bought, whatever the balance."""
    practice_venue.set_account(trader.address, allowance="0")
    status, message = error(trader.post(practice_venue.url, trader.buy(tokens[0], 100, 990)))
    assert status == 400
    assert message.startswith(
        "not enough balance / allowance: the allowance is not enough -> spender: 0xE1111800"
    )


def test_an_unknown_token_has_no_book(url: str, trader: Trader) -> None:
    """Orders for a token that does not exist are refused, and it has no book."""
    assert error(trader.post(url, trader.buy("123", 100, 990))) == (400, "the orderbook 123 does not exist")
    answer = HTTP.get(url + "/book", params={"token_id": "123"})
    assert error(answer) == (404, "No orderbook exists for the requested token id")


def test_a_body_that_is_no_json_is_refused(url: str, trader: Trader) -> None:
    """A signed body that is not JSON is an invalid payload."""
    headers = trader.headers("POST", "/order", "{")
    assert error(HTTP.post(url + "/order", content="{", headers=headers)) == (400, "Invalid order payload")


# --- accepted requests -----------------------------------------------------------------------


def test_keys_are_made_once_and_derived_ever_after(url: str) -> None:
    """The second creation is 400 `Could not create api key`; deriving gives the first one's credentials."""
    trader = Trader()
    client = ClobClient(url, 137, key=trader.key)
    made = client.create_api_key()
    with pytest.raises(PolyApiException, match="Could not create api key") as refused:
        client.create_api_key()
    assert refused.value.status_code == 400
    assert client.derive_api_key() == made
    assert client.create_or_derive_api_key() == made
    assert client.create_api_key(nonce=1) != made
    client.set_api_creds(made)
    assert made.api_key in client.get_api_keys()["apiKeys"]
    assert client.get_closed_only_mode() == {"closed_only": False}
    assert ClobClient(url, 137, key=Trader().key).derive_api_key() != made


def test_a_deleted_key_opens_nothing(url: str, trader: Trader) -> None:
    """After its deletion a key is 401."""
    client = trader.client(url)
    client.delete_api_key()
    with pytest.raises(PolyApiException, match="Unauthorized"):
        client.get_open_orders()


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
def test_the_official_client_buys_with_every_signature_type(
    url: str, tokens: tuple[str, str], signature_type: int
) -> None:
    """create_and_post_market_order matches, and the trade's hash is there once it is mined."""
    funder = Trader().address if signature_type else None
    trader = trader_at(url, signature_type=signature_type, funder=funder)
    client = trader.client(url)
    args = MarketOrderArgsV2(token_id=tokens[0], amount=1.0, side="BUY", price=0.99, order_type=OrderType.FAK)
    answer = client.create_and_post_market_order(args, order_type=OrderType.FAK)
    assert (answer["status"], answer["success"], answer["errorMsg"]) == ("matched", True, "")
    assert float(answer["makingAmount"]) == pytest.approx(1.0, abs=0.00001)
    assert len(answer["transactionsHashes"]) == len(answer["tradeIDs"]) >= 1
    wallet = funder or trader.address
    positions = HTTP.get(url + "/data-api/positions", params={"user": wallet, "sizeThreshold": "0"}).json()
    assert [(p["asset"], p["proxyWallet"]) for p in positions] == [(tokens[0], wallet)]
    assert positions[0]["size"] == pytest.approx(float(answer["takingAmount"]))
    trades = HTTP.get(url + "/data-api/trades", params={"user": wallet}).json()
    assert {t["side"] for t in trades} == {"BUY"}


def test_an_order_answers_with_what_it_took(
    practice_venue: VenueProcess, trader: Trader, tokens: tuple[str, str]
) -> None:
    """The answer's amounts are the account's: human decimals, one trade id per price, no hash inline."""
    answer = trader.post(practice_venue.url, trader.buy(tokens[1], 200, 990)).json()
    account = practice_venue.account(trader.address)
    (position,) = account["positions"]
    assert answer["takingAmount"] == position["shares"]
    assert answer["makingAmount"] == position["cost"]
    assert answer["transactionsHashes"] == []
    assert sorted(answer["tradeIDs"]) == sorted(trade["id"] for trade in account["trades"])
    spent = float(answer["makingAmount"]) + float(account["fees_paid"])
    assert float(account["balance"]) == pytest.approx(1000 - spent)


def test_a_fak_miss_is_400_with_the_order_id(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """No ask at 0.01: the venue's text and the id, and the same bytes again are a duplicate."""
    order = trader.buy(tokens[0], 100, 10)
    answer = trader.post(url, order)
    status, text = error(answer)
    assert status == 400
    assert text == (
        "no orders found to match with FAK order. "
        "FAK orders are partially filled or killed if no match is found."
    )
    order_id = answer.json()["orderID"]
    assert error(trader.post(url, order)) == (400, f"order {order_id} is invalid. Duplicated.")


def test_resting_orders_are_listed_and_canceled(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """A GTC order rests, is found by every query, and each way of canceling cancels what it names."""
    client = trader.client(url)
    ids: list[str] = []
    for token in (tokens[0], tokens[0], tokens[1], tokens[0], tokens[1]):
        args = OrderArgsV2(token_id=token, price=0.02, size=5, side="BUY")
        ids.append(client.create_and_post_order(args)["orderID"])
    assert [order["id"] for order in client.get_open_orders()] == ids
    found = client.get_order(ids[0])
    assert (found["status"], found["price"], found["original_size"]) == ("LIVE", "0.02", "5")
    assert client.cancel_order(OrderPayload(orderID=ids[0]))["canceled"] == ids[:1]
    again = client.cancel_order(OrderPayload(orderID=ids[0]))
    assert again == {"canceled": [], "not_canceled": {ids[0]: "already canceled or matched"}}
    assert client.cancel_orders([ids[1]])["canceled"] == [ids[1]]
    assert client.cancel_market_orders(OrderMarketCancelParams(asset_id=tokens[1]))["canceled"] == [
        ids[2],
        ids[4],
    ]
    assert client.cancel_all()["canceled"] == [ids[3]]
    assert client.get_open_orders() == []


def test_others_orders_are_out_of_reach(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """Another account can neither read nor cancel an order."""
    args = OrderArgsV2(token_id=tokens[0], price=0.02, size=5, side="BUY")
    order_id = trader.client(url).create_and_post_order(args)["orderID"]
    other = trader_at(url).client(url)
    with pytest.raises(PolyApiException, match="order not found"):
        other.get_order(order_id)
    assert other.cancel_order(OrderPayload(orderID=order_id))["canceled"] == []
    assert trader.client(url).get_order(order_id)["status"] == "LIVE"


def test_a_batch_answers_leg_by_leg(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """Two orders, one refused: it differs only by its message. Sixteen orders are too many."""
    client = trader.client(url)
    args = OrderArgsV2(token_id=tokens[0], price=0.02, size=5, side="BUY")
    good = PostOrdersV2Args(order=client.create_order(args), orderType=OrderType.GTC)
    answers = client.post_orders([good, good])
    assert [answer["status"] for answer in answers] == ["live", ""]
    assert (answers[1]["success"], answers[1]["orderID"]) == (True, "")
    assert answers[1]["errorMsg"].endswith("Duplicated.")
    with pytest.raises(PolyApiException, match="Too many orders in payload: 16, max allowed: 15"):
        client.post_orders([good] * 16)


def test_trades_are_found_by_id_market_and_time(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """Every filter of /data/trades includes the trade it describes and excludes others."""
    client = trader.client(url)
    answer = trader.post(url, trader.buy(tokens[0], 100, 990)).json()
    (trade,) = client.get_trades(TradeParams(id=answer["tradeIDs"][0]))
    assert trade["taker_order_id"] == answer["orderID"]
    now = int(time.time())
    matching = [
        TradeParams(market=trade["market"]),
        TradeParams(maker_address=trader.address),
        TradeParams(after=now - 60, before=now + 60),
    ]
    for params in matching:
        assert trade["id"] in [found["id"] for found in client.get_trades(params)]
    excluding = [
        TradeParams(market="0x1"),
        TradeParams(maker_address=Trader().address),
        TradeParams(after=now + 60),
        TradeParams(before=now - 60),
        TradeParams(id="none"),
    ]
    for params in excluding:
        assert client.get_trades(params) == []


def test_balances_are_in_micro_units(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """Collateral and shares are six-decimal integers; an unknown asset type, or a token of another, is
    refused."""
    client = trader.client(url)
    assert client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))[
        "balance"
    ] == ("1000000000")
    answer = trader.post(url, trader.buy(tokens[0], 100, 990)).json()
    params = BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=tokens[0])
    assert int(client.get_balance_allowance(params)["balance"]) / 10**6 == float(answer["takingAmount"])
    assert client.update_balance_allowance(params) == ""
    wrong = trader.send(url, "GET", "/balance-allowance", asset_type="CONDITIONAL-V3")
    assert error(wrong) == (400, "Invalid asset type")
    path, token = "/balance-allowance", tokens[0]
    foreign = trader.send(url, "GET", path, asset_type="CONDITIONAL-V2", token_id=token)
    assert error(foreign) == (400, "Invalid token id")


# --- public data -----------------------------------------------------------------------------


def test_the_two_books_of_a_market_are_mirrors(url: str, tokens: tuple[str, str]) -> None:
    """Down's asks are Up's bids at one minus the price, with the same sizes, in one answer."""
    up, down = ClobClient(url, 137).get_order_books([BookParams(token_id=t) for t in tokens])
    assert [(round(1 - float(row["price"]), 3), row["size"]) for row in up["bids"]] == [
        (float(row["price"]), row["size"]) for row in down["asks"]
    ]
    assert up["market"] == down["market"]
    assert (up["min_order_size"], up["tick_size"], up["neg_risk"]) == ("5", "0.01", False)


def test_prices_agree_with_the_book(url: str, tokens: tuple[str, str]) -> None:
    """BUY is the best bid and SELL the best ask; midpoint and spread are between them; sizes are stated."""
    client = ClobClient(url, 137)
    for _ in range(20):
        before = client.get_order_book(tokens[0])
        bid, ask = client.get_price(tokens[0], "BUY"), client.get_price(tokens[0], "SELL")
        middle, spread = client.get_midpoint(tokens[0]), client.get_spread(tokens[0])
        after = client.get_order_book(tokens[0])
        if (before["bids"], before["asks"]) == (after["bids"], after["asks"]):
            break
    assert (bid["price"], ask["price"]) == (after["bids"][-1]["price"], after["asks"][-1]["price"])
    low, high = float(bid["price"]), float(ask["price"])
    assert float(middle["mid"]) == pytest.approx((low + high) / 2)
    assert float(spread["spread"]) == pytest.approx(high - low)


def test_small_facts(url: str, tokens: tuple[str, str]) -> None:
    """Server, tick, fee cap, negative risk and builder fees are answered in the venue's formats."""
    client = ClobClient(url, 137)
    assert client.get_ok() == "OK"
    assert client.get_version() == 2
    assert abs(client.get_server_time() - time.time()) < 3
    assert client.get_tick_size(tokens[0]) == "0.01"
    assert client.get_neg_risk(tokens[0]) is False
    assert client.get_fee_rate_bps(tokens[0]) == 1000
    assert HTTP.get(url + "/fees/builder-fees/0x1").json()["builder_taker_fee_rate_bps"] == 0
    assert HTTP.get(url + "/nowhere").status_code == 404


def test_the_clob_describes_its_markets(url: str, tokens: tuple[str, str]) -> None:
    """A market is found by token, its compact form contains the real fee, and the list has them all."""
    client = ClobClient(url, 137)
    condition = HTTP.get(f"{url}/markets-by-token/{tokens[0]}").json()["condition_id"]
    info = client.get_clob_market_info(condition)
    assert [row["t"] for row in info["t"]] == list(tokens)
    assert info["fd"] == {"r": 0.07, "e": 1, "to": True}
    market = client.get_market(condition)
    assert (market["accepting_orders"], market["closed"]) == (True, False)
    assert [token["outcome"] for token in market["tokens"]] == ["Up", "Down"]
    listed = client.get_markets()
    assert condition in [row["condition_id"] for row in listed["data"]]
    assert listed["next_cursor"] == "LTE="
    assert error(HTTP.get(url + "/markets/0x1")) == (404, "market not found")


def test_the_last_trade_is_an_accounts(url: str, trader: Trader, tokens: tuple[str, str]) -> None:
    """After a trade its price is the last one, mirrored for the other token."""
    answer = trader.post(url, trader.buy(tokens[0], 100, 990)).json()
    price = float(trader.client(url).get_trades(TradeParams(id=answer["tradeIDs"][-1]))[0]["price"])
    last: list[Any] = [HTTP.get(url + "/last-trade-price", params={"token_id": t}).json() for t in tokens]
    assert [float(row["price"]) for row in last] == pytest.approx([price, 1 - price])


def test_the_log_names_every_request_outside_practice(url: str, practice_venue: VenueProcess) -> None:
    """Method, path with query, and status, in order; the control routes are not in it."""
    HTTP.get(url + "/midpoint", params={"token_id": "77"})
    practice_venue.get("/practice/info")
    entry = practice_venue.get("/practice/log")[-1]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/midpoint?token_id=77", 404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/practice/accounts", {"address": "nobody"}),
        ("/practice/accounts", {"address": "0x" + "11" * 20, "balance": "-1"}),
        ("/practice/accounts", {"address": "0x" + "11" * 20, "balance": "x"}),
        ("/practice/accounts", {"balance": "1"}),
        ("/practice/redeem", {"address": 5}),
        ("/practice/faults", {"name": "nonsense"}),
        ("/practice/faults", {"name": "delayed", "parameters": {"minutes": 5}}),
        ("/practice/faults", {"name": "delayed", "parameters": {"seconds": "5"}}),
        ("/practice/faults", {"name": "delayed", "count": 0}),
        ("/practice/faults", {"name": "unavailable_503", "parameters": {"variant": "tea"}}),
    ],
)
def test_the_control_surface_refuses_nonsense(url: str, path: str, body: dict[str, Any]) -> None:
    """An invalid control request is 400 and the answer names the error."""
    answer = HTTP.post(url + path, json=body)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 10
