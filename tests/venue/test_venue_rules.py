"""Every rule and its text, with orders that break only that rule."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_builders import EXCHANGE, Trader

from venue import rules
from venue.auth import new_key
from venue.refusal import VenueRefusal
from venue.rules import OrderTerms, parse

TRADER = Trader(key="0x" + "11" * 32)
TRADER.api = new_key(TRADER.address, 0)
TOKEN = "12345"
ORDER = TRADER.buy(TOKEN, 100, 620)


def terms(side: str, maker: int, taker: int, kind: str = "FAK", **more: Any) -> OrderTerms:
    """Terms with these amounts, as if signed."""
    wire = {**ORDER["order"], "side": side, "makerAmount": str(maker), "takerAmount": str(taker)}
    wire["expiration"] = str(more.pop("expiration", 0))
    return parse({**ORDER, "order": wire, "orderType": kind, **more})


def text_of(rule: Any, *arguments: Any, **named: Any) -> str:
    """The refusal's text."""
    with pytest.raises(VenueRefusal) as refusal:
        rule(*arguments, **named)
    assert refusal.value.status == 400
    return refusal.value.text


@pytest.mark.parametrize("field", ["nonce", "feeRateBps", "taker"])
def test_a_v1_order_is_a_version_mismatch(field: str) -> None:
    """A body with any field of the first protocol version is refused with the text that clients check."""
    body = {**ORDER, "order": {**ORDER["order"], field: "0"}}
    assert text_of(parse, body) == "order_version_mismatch"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"salt": "1"}, "Invalid order payload"),
        ({"makerAmount": "0"}, "Invalid order payload"),
        ({"makerAmount": "-5"}, "Invalid order payload"),
        ({"makerAmount": "1.5"}, "Invalid order payload"),
        ({"maker": "0xzz"}, "Invalid order payload"),
        ({"salt": -1}, "Invalid order payload"),
        ({"extra": 1}, "Invalid order payload"),
        ({"side": "HOLD"}, "Invalid side"),
        ({"tokenId": "0xabc"}, "Invalid token id"),
    ],
)
def test_a_malformed_order_is_refused(change: dict[str, Any], text: str) -> None:
    """Missing, mistyped, negative or surplus fields are the venue's invalid payload, side or token."""
    assert text_of(parse, {**ORDER, "order": {**ORDER["order"], **change}}) == text


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"order": 5}, {**ORDER, "orderType": "IOC"}, {**ORDER, "postOnly": True}]
)
def test_a_malformed_body_is_refused(body: Any) -> None:
    """Anything but an order envelope, and a post-only order that takes, is an invalid payload."""
    assert text_of(parse, body) in ("Invalid order payload", "Invalid side")


def test_only_the_keys_owner_may_send() -> None:
    """An order naming another API key than the caller's is refused."""
    text = text_of(rules.check_sender, parse(ORDER), "another", TRADER.address)
    assert text == "the order owner has to be the owner of the API KEY"


def test_the_signer_must_be_the_keys_address() -> None:
    """A key of another wallet cannot send this wallet's order."""
    assert TRADER.api is not None
    text = text_of(rules.check_sender, parse(ORDER), TRADER.api.key, Trader().address)
    assert text == "the order signer address has to be the address of the API KEY"


def test_a_foreign_signature_is_refused() -> None:
    """The right signer's address with another key's signature is an invalid signature."""
    assert TRADER.api is not None
    other = Trader()
    other.api = TRADER.api
    forged = other.buy(TOKEN, 100, 620)
    forged["order"]["signer"] = forged["order"]["maker"] = TRADER.address
    assert text_of(rules.check_sender, parse(forged), TRADER.api.key, TRADER.address) == "invalid signature"


@given(st.integers(1, 99), st.integers(1, 10**6))
def test_orders_rounded_by_clients_are_on_the_grid(price_cents: int, cents: int) -> None:
    """A budget BUY whose shares are floored to four decimals has exactly its limit as price."""
    price = price_cents * 10
    shares = cents * 10**7 // price // 100 * 100
    # Below a hundredth of a share, rounding alone changes a price by ticks.
    if shares >= 1_000_000:
        assert rules.check_price(terms("BUY", cents * 10_000, shares), 10) == price


@pytest.mark.parametrize(
    ("amounts", "tick", "text"),
    [
        ((1_000_000, 1_600_000), 10, "Price (0.625) breaks minimum tick size rule: 0.01"),
        ((999_000, 1_000_000), 10, "Price (0.999) breaks minimum tick size rule: 0.01"),
        ((9_995_000, 10_000_000), 1, "Price (0.9995) breaks minimum tick size rule: 0.001"),
        ((3_000_000, 3_000_000), 10, "invalid price (1), min: 0.01 - max: 0.99"),
        ((3_000_000, 3_000_000), 1, "invalid price (1), min: 0.001 - max: 0.999"),
        ((3_000_000, 2_000_000), 10, "invalid price (1.5), min: 0.01 - max: 0.99"),
    ],
)
def test_a_price_off_the_grid_or_out_of_range_is_refused(
    amounts: tuple[int, int], tick: int, text: str
) -> None:
    """Prices between ticks and prices at or beyond 0 and 1 are refused with the tick or the range."""
    assert text_of(rules.check_price, terms("BUY", *amounts), tick).endswith(text)


def test_a_finer_tick_admits_a_finer_price() -> None:
    """0.625 is refused at tick 0.01 and accepted at 0.001."""
    assert rules.check_price(terms("BUY", 1_000_000, 1_600_000), 1) == 625


@pytest.mark.parametrize("kind", ["FAK", "FOK"])
def test_orders_that_take_have_two_and_four_decimals(kind: str) -> None:
    """A maker amount of three decimals or a taker amount of five is refused, for BUY and SELL."""
    tail = "orders maker amount supports a max accuracy of 2 decimals, taker amount a max of 4 decimals"
    rules.check_precision(terms("BUY", 1_010_000, 1_612_900, kind))
    for amounts in ((1_001_000, 1_612_900), (1_000_000, 1_612_910)):
        text = text_of(rules.check_precision, terms("BUY", *amounts, kind))
        assert text == f"invalid amounts, the market buy {tail}"
    text = text_of(rules.check_precision, terms("SELL", 1_000_000, 612_910, kind))
    assert text == f"invalid amounts, the sell {tail}"


def test_a_resting_size_has_two_decimals() -> None:
    """A GTC order for 5.001 shares is refused."""
    text = text_of(rules.check_precision, terms("BUY", 2_500_500, 5_001_000, "GTC"))
    assert text.endswith("is invalid. Maximum lot size is 2")


def test_a_marketable_buy_below_a_dollar_is_refused() -> None:
    """$0.99 is refused with the venue's text, $1.00 is not; a SELL has no such minimum."""
    text = text_of(rules.check_minimum, terms("BUY", 990_000, 1_596_700), marketable=True)
    assert text == "invalid amount for a marketable BUY order ($0.99), min size: $1"
    rules.check_minimum(terms("BUY", 1_000_000, 1_612_900), marketable=True)
    rules.check_minimum(terms("SELL", 10_000, 6_200), marketable=True)


def test_a_resting_order_has_five_shares() -> None:
    """A GTC order below five shares is refused however much it is worth."""
    text = text_of(rules.check_minimum, terms("BUY", 3_000_000, 4_990_000, "GTC"), marketable=False)
    assert text.endswith("is invalid. Size (4.99) lower than the minimum: 5")
    rules.check_minimum(terms("BUY", 100_000, 5_000_000, "GTC"), marketable=False)


def test_balance_and_allowance_have_their_texts() -> None:
    """Too little of either is refused with the numbers."""
    assert text_of(rules.check_funds, 5_000_000, 0, 10**9, EXCHANGE) == (
        "not enough balance / allowance: the balance is not enough -> balance: 0, order amount: 5000000"
    )
    assert text_of(rules.check_funds, 5_000_000, 10**9, 0, EXCHANGE) == (
        "not enough balance / allowance: the allowance is not enough -> "
        "spender: 0xE111180000d2663C0091e4f400237545B87B996B, allowance: 0, order amount: 5000000"
    )


def test_a_taking_buy_needs_its_fee_too() -> None:
    """A $1 BUY at 0.62 needs 1.0266 pUSD if it takes, $1 if it rests; a SELL needs its shares."""
    buy = terms("BUY", 1_000_000, 1_612_900)
    assert rules.needed(buy, 620, marketable=False) == 1_026_600
    resting = msgspec.structs.replace(buy, kind="GTC")
    assert rules.needed(resting, 620, marketable=False) == 1_000_000
    assert rules.needed(resting, 620, marketable=True) == 1_026_600
    assert rules.needed(terms("SELL", 2_000_000, 1_000_000), 500, marketable=True) == 2_000_000


def test_gtd_orders_expire_at_least_three_minutes_on() -> None:
    """GTD needs an expiration 180 s ahead; every other kind needs none."""
    rules.check_expiration(terms("BUY", 3_100_000, 5_000_000, "GTD", expiration=1180), 1000)
    early = terms("BUY", 3_100_000, 5_000_000, "GTD", expiration=1179)
    assert text_of(rules.check_expiration, early, 1000) == "invalid expiration"
    dated = terms("BUY", 3_100_000, 5_000_000, "GTC", expiration=5000)
    assert text_of(rules.check_expiration, dated, 1000) == "invalid expiration"
