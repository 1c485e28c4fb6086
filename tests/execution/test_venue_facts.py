"""Each assumption about the venue is decided by what its probe describes, and by nothing else."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from ledger_builders import market

from execution.amounts import MarketBuy
from execution.outcomes import classify
from execution.venue_facts.facts import FACTS, judge
from execution.venue_facts.observations import (
    BestPricesCompared,
    BooksSeen,
    CashCompared,
    ChargedFill,
    EndedMarketListed,
    LocationChecked,
    MarketsListed,
    OrderAnswered,
    OutcomeWitnessed,
    PayoutArrived,
    PayoutOverdue,
    PermissionChecked,
    StreamSilence,
    StreamTradeSeen,
    TermsStated,
    TickChangeSeen,
    TradesLookedUp,
    WalletsFunded,
)
from models import ProtocolVersion

D = Decimal
ID = "0xAB12"
MATCHED = {
    "errorMsg": "",
    "orderID": "0xab12",
    "status": "matched",
    "success": True,
    "makingAmount": "1",
    "takingAmount": "1.25",
    "tradeIDs": ["t1"],
}
NO_MATCH = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)


def answered(status: int | None, body: Any, **changes: Any) -> OrderAnswered:
    """An order of $1.00 for 1.25 shares in a v1 market, answered after 150 ms."""
    found = OrderAnswered(
        order_id=ID,
        version=ProtocolVersion.V1,
        tick=D("0.01"),
        amounts=MarketBuy(maker=1_000_000, taker=1_250_000, fee=D("0.014")),
        outcome=classify(status, body),
        status=status,
        body=body,
        seconds=0.15,
    )
    return msgspec.structs.replace(found, **changes)


def shown(observation: Any) -> dict[str, bool]:
    """The assumptions that an observation decides, and whether they hold."""
    return {fact.id: judgement.holds for fact, judgement in judge(observation)}


def test_a_matched_order_confirms_its_rules():
    """An order of exactly $1 that is matched confirms minimum, grid, id and status; not the fine tick."""
    assert shown(answered(200, MATCHED)) == {
        "minimum-order": True,
        "order-tick": True,
        "order-id": True,
        "order-status": True,
    }


def test_an_order_without_a_match_has_passed_the_checks():
    """A killed FAK order was valid: its id and amounts are confirmed, its status is not."""
    body = {"error": NO_MATCH, "orderID": ID}
    assert shown(answered(400, body)) == {"minimum-order": True, "order-tick": True, "order-id": True}


def test_four_decimals_at_the_fine_tick():
    """Only an order at tick 0.001 with a fourth decimal confirms the decimals."""
    fine = MarketBuy(maker=1_000_000, taker=1_031_900, fee=D(0))
    assert shown(answered(200, MATCHED, tick=D("0.001"), amounts=fine))["share-decimals"]
    even = MarketBuy(maker=1_000_000, taker=1_031_000, fee=D(0))
    assert "share-decimals" not in shown(answered(200, MATCHED, tick=D("0.001"), amounts=even))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("invalid amount for a marketable BUY order ($1.00), min size: $2", "minimum-order"),
        ("order 0x is invalid. Size (1.25) lower than the minimum: 5", "minimum-order"),
        (
            "invalid amounts, the market buy orders maker amount supports a max accuracy of 2",
            "share-decimals",
        ),
        ("order 0x is invalid. Price (0.803) breaks minimum tick size rule: 0.01", "order-tick"),
        ("invalid price (0.999), min: 0.01 - max: 0.99", "order-tick"),
    ],
)
def test_a_refusal_for_a_rule_contradicts_it(text: str, fact: str):
    """A refusal with one of the venue's texts contradicts that rule and confirms none."""
    assert shown(answered(400, {"error": text})) == {fact: False}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "not enough balance / allowance"}),
        (503, {"error": "trading is disabled"}),
        (None, "timeout"),
        (200, ["not an object"]),
        (200, {"success": True, "orderID": 7, "status": 1}),
    ],
)
def test_other_answers_contradict_nothing(status: int | None, body: Any):
    """An answer for another reason, without one, or of another form never contradicts a rule."""
    assert all(shown(answered(status, body)).values())


def test_another_order_id_is_a_contradiction():
    """An id that is not the hash contradicts the assumption of the market's version only."""
    other = MATCHED | {"orderID": "0xcd"}
    assert not shown(answered(200, other))["order-id"]
    second = shown(answered(200, other, version=ProtocolVersion.V2))
    assert not second["order-id-v2"]
    assert "order-id" not in second


def test_a_delayed_answer():
    """`delayed` contradicts the expected status and nothing about money."""
    found = shown(answered(200, MATCHED | {"status": "delayed", "tradeIDs": []}))
    assert [name for name, holds in found.items() if not holds] == ["order-status"]


# --- fees ----------------------------------------------------------------------------------------

FILL = ChargedFill(shares=D("1.25"), price=D("0.8"), rate=D("0.07"), fee=D("0.014"))
"""1.25 × 0.07 × 0.8 × 0.2 = 0.014 exactly."""
ODD = ChargedFill(shares=D("1.111"), price=D("0.9"), rate=D("0.07"), fee=D("0.007"))
"""1.111 × 0.07 × 0.9 × 0.1 = 0.0069993: between 0.00699 and 0.00700."""


@pytest.mark.parametrize(
    ("fill", "change", "expected"),
    [
        (FILL, "0", {"fee-rate": True, "fee-rounding": True}),
        # One basis point more: 1.25 × 0.0701 × 0.16 = 0.01402.
        (FILL, "-0.00002", {"fee-rate": False}),
        (FILL, "0.00002", {"fee-rate": False}),
        (FILL, "0.014", {"fee-rate": False}),  # no fee at all
        (ODD, "0", {"fee-rate": True, "fee-rounding": True}),
        (ODD, "0.00001", {"fee-rate": True, "fee-rounding": False}),  # rounded down
        (ODD, "-0.00001", {"fee-rate": False}),
        (FILL, "-5", {}),  # a withdrawal
        (FILL, "0.9", {}),  # a deposit
    ],
)
def test_fees_by_the_balance(fill: ChargedFill, change: str, expected: dict[str, bool]):
    """The change of the cash difference is the fee that was charged in excess; other money is no fee."""
    assert shown(CashCompared(change=D(change), fills=(fill,), venue_cash=D(1))) == expected


def test_a_cash_check_without_fills_shows_no_fee():
    """A difference without a fill since the last check is not one of fees."""
    assert shown(CashCompared(change=D("-0.00002"), fills=(), venue_cash=D(1))) == {}


def test_the_contradiction_of_a_fee_has_both_amounts():
    """Expected and charged fee are in the texts of the judgement."""
    ((_, found),) = judge(CashCompared(change=D("-0.00002"), fills=(FILL,), venue_cash=D(1)))
    assert found.expected == "a fee of $0.014 for 1.25 at 0.8, at rate 0.07"
    assert found.seen == "$0.01402 was charged"


# --- terms and catalogue ---------------------------------------------------------------------------

MARKET = msgspec.structs.replace(
    market(), fee_rate=D("0.07"), tick=D("0.01"), minimum_shares=D(5), up_token="11", down_token="22"
)
CLOB = {
    "t": [{"t": "11", "o": "Up"}, {"t": "22", "o": "Down"}],
    "mts": 0.01,
    "mos": 5,
    "fd": {"r": 0.07, "e": 1, "to": True},
    "itode": True,
}
AGREE = dict.fromkeys(("stated-fee", "stated-tick", "stated-minimum", "stated-delay", "outcome-order"), True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"fd": {"r": 0.0701, "e": 1, "to": True}}, {"stated-fee": False}),
        ({"fd": {"r": 0.07, "e": 2, "to": True}}, {"stated-fee": False}),
        ({"mts": 0.001}, {"stated-tick": False}),
        ({"mos": 10}, {"stated-minimum": False}),
        ({"itode": None}, {"stated-delay": False}),
        ({"t": [{"t": "22", "o": "Up"}, {"t": "11", "o": "Down"}]}, {"outcome-order": False}),
    ],
)
def test_both_descriptions_of_a_market(changes: dict[str, Any], expected: dict[str, bool]):
    """Gamma and `/clob-markets` agree, or the differing term is contradicted and no other."""
    assert shown(TermsStated(MARKET, CLOB | changes)) == AGREE | expected


@pytest.mark.parametrize(
    "clob", [None, [], "x", {}, {"fd": 1, "t": [3], "mts": "a", "mos": True, "itode": 1}]
)
def test_a_description_of_another_form_contradicts_no_money(clob: Any):
    """An unreadable description shows nothing about fee, tick, minimum or ids."""
    found = shown(TermsStated(MARKET, clob))
    assert set(found) <= {"stated-delay"}


ROWS = ({"slug": "a", "version": "v1"}, {"slug": "b", "version": "v2"}, {"slug": "c", "version": "v3"}, 7)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("a", "b"), {"catalogue-version": True, "several-slugs": True}),
        (("a",), {"catalogue-version": True}),
        (("a", "c"), {"catalogue-version": False, "several-slugs": True}),
        (("z",), {}),
    ],
)
def test_the_catalogue(asked: tuple[str, ...], expected: dict[str, bool]):
    """Only the rows of the requested markets count."""
    assert shown(MarketsListed(asked, ROWS)) == expected


LEVELS = {D("0.4"): D(10), D("0.39"): D(5)}
MIRROR = {D("0.6"): D(10), D("0.61"): D(5)}


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        (EndedMarketListed("a", {"slug": "a", "closed": True}), {"ended-market": True}),
        (EndedMarketListed("a", None), {"ended-market": False}),
        (OutcomeWitnessed("a", "stream"), {"market-resolved": True}),
        (OutcomeWitnessed("a", "catalogue"), {"market-resolved": False}),
        (StreamTradeSeen({"id": "t1", "status": "MATCHED"}), {"user-stream": True}),
        (TradesLookedUp("77", ({"id": "t1"},)), {"trades-v2": True}),
        (TradesLookedUp("77", ()), {}),
        (TradesLookedUp(None, ({"id": "t1"},)), {}),
        (BooksSeen(LEVELS, {}, {}, MIRROR, "1"), {"mirrored-books": True}),
        (BooksSeen(LEVELS, {}, {}, LEVELS, "1"), {"mirrored-books": False}),
        (BooksSeen({}, {}, {}, {}, "1"), {}),
        (BestPricesCompared(agreed=200), {"best-prices": True}),
        (BestPricesCompared(agreed=3, difference="best bid 0.4, the venue's is 0.5"), {"best-prices": False}),
        (TickChangeSeen("0.001", followed=True), {"tick-change-book": True}),
        (TickChangeSeen("0.001", followed=False), {"tick-change-book": False}),
        (StreamSilence(longest_s=3.0, messages=200), {"stream-interval": True}),
        (StreamSilence(longest_s=3.1, messages=2), {"stream-interval": False}),
        (PayoutOverdue("a", 301.0), {"payout-time": False}),
        (
            PayoutArrived("a", D("1.1"), listed=True, attempts=0, waited_s=60.0),
            {"automatic-payout": True, "payout-time": True, "redeemable-list": True},
        ),
        (PayoutArrived("a", D("1.1"), listed=False, attempts=2, waited_s=0.0), {"redemption": True}),
        (WalletsFunded({0: D(5), 1: D(0), 2: D(0), 3: D(0)}, 0), {"wallet-balance": True}),
        (WalletsFunded({0: D(5), 1: D(5), 2: D(5), 3: D(5)}, 0), {"wallet-balance": False}),
        (WalletsFunded({0: D(0), 1: D(0), 2: D(0), 3: D(0)}, 0), {}),
        (LocationChecked({"blocked": False, "country": "IE", "region": "L"}), {"location": True}),
        (LocationChecked("<html>"), {"location": False}),
        (PermissionChecked(closed_only=False), {"permission": True}),
        (answered(403, {"error": "Trading restricted in your region"}), {"blocked-order": True}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_observations(observation: Any, expected: dict[str, bool]):
    """Each of them decides exactly the assumptions that its probe names."""
    assert shown(observation) == expected


def test_the_table():
    """Ids are unique, each row explains itself, and the assumptions about money are those that the bot orders
    and books by."""
    assert len({fact.id for fact in FACTS}) == len(FACTS) >= 24
    assert all(fact.claim and fact.evidence for fact in FACTS)
    assert {fact.id for fact in FACTS if fact.money} == {
        *("minimum-order", "share-decimals", "order-tick", "order-id", "order-id-v2"),
        *("fee-rate", "fee-rounding", "stated-fee", "stated-tick", "stated-minimum", "outcome-order"),
    }
