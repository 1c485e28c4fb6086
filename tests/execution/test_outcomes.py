"""The meaning of each answer to POST /order, one row of the outcome table per test."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.outcomes import OutcomeKind, classify

FAK_MISS = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
DELAYED = "order match delayed due to market conditions"
FAILED = {"success": False, "orderID": "", "status": "", "errorMsg": "", "tradeIDs": []}
MATCHED = {
    "errorMsg": "",
    "makingAmount": "1.199999",
    "orderID": "0x1",
    "status": "matched",
    "success": True,
    "takingAmount": "2.181817",
    "tradeIDs": ["t1"],
    "transactionsHashes": [],
}


def test_matched_carries_the_venues_own_figures():
    """A match has the amounts of the venue's answer, not those of the order."""
    outcome = classify(200, MATCHED)
    assert outcome.kind is OutcomeKind.MATCHED
    assert (outcome.making, outcome.taking) == (Decimal("1.199999"), Decimal("2.181817"))
    assert outcome.trade_ids == ("t1",)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": FAK_MISS, "orderID": "0x1"}),
        (200, {"success": False, "errorMsg": FAK_MISS, "orderID": "0x1", "status": "unmatched"}),
        (500, {"error": "there are no matching orders"}),
        (400, {"error": "order couldn't be fully filled. FOK orders are fully filled or killed."}),
        (200, {"success": True, "errorMsg": "", "orderID": "", "status": "unmatched", "takingAmount": "0"}),
    ],
)
def test_no_liquidity_in_any_form_is_a_clean_no_fill(status, body):
    """All texts of the venue for an order without a match allow another attempt."""
    assert classify(status, body).kind is OutcomeKind.NO_FILL


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            400,
            {"error": "not enough balance / allowance: the balance is not enough -> balance: 0"},
        ),
        (400, {"error": "invalid amount for a marketable BUY order ($0.99), min size: $1"}),
        (400, {"error": "order_version_mismatch"}),
        (401, {"error": "Unauthorized/Invalid api key"}),
        (403, "<html><title>403 Forbidden</title></html>"),
        (404, {"error": "market not found"}),
        (429, {"error": "Too Many Requests"}),
        (429, "<html><title>Access denied | Cloudflare</title></html>"),
        (503, {"error": "trading is disabled"}),
        (
            503,
            {
                "error": "post-only mode: only post-only orders and cancels are allowed",
                "code": "post_only_mode",
            },
        ),
        (200, {"success": False, "errorMsg": "not enough balance / allowance", "orderID": "", "status": ""}),
    ],
)
def test_a_refusal_is_final_and_has_its_reason(status, body):
    """An order refused before matching is refused, with the venue's text."""
    outcome = classify(status, body)
    assert outcome.kind is OutcomeKind.REFUSED
    assert outcome.reason


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (None, "Request exception!"),
        (425, {"error": "Too Early"}),
        (500, {"error": "order timed out"}),
        (500, {"error": "could not run the execution"}),
        (502, "<html>Bad Gateway</html>"),
        (503, {"error": "service unavailable"}),
        (400, {"error": "order 0x1 is invalid. Duplicated."}),
        (400, {"error": "order match delayed due to market conditions"}),
        (200, "not json"),
        (200, {**MATCHED, "status": "delayed", "takingAmount": "", "makingAmount": ""}),
        (200, {**MATCHED, "status": "live", "takingAmount": "", "makingAmount": ""}),
        (200, {**MATCHED, "takingAmount": ""}),
        # 4xx of a proxy or a time-out: the order may have arrived.
        (408, {"error": "Request Timeout"}),
        (409, {"error": "conflict"}),
        (499, ""),
        (400, {"error": "request timeout"}),
        # A refusal with an order id or anything else that only an order has.
        (200, {**FAILED, "orderID": "0x1", "status": "delayed", "errorMsg": DELAYED}),
        (200, {**FAILED, "orderID": "0x1", "errorMsg": "internal error"}),
        (200, {**FAILED, "status": "delayed", "errorMsg": "order delayed"}),
        (200, {**FAILED, "status": "LIVE", "errorMsg": "internal error"}),
        (200, {**FAILED, "errorMsg": "internal error", "tradeIDs": ["t1"]}),
        (200, {**FAILED, "errorMsg": "internal error", "transactionsHashes": ["0x2"]}),
        (200, {**FAILED, "errorMsg": FAK_MISS, "takingAmount": "1.5"}),
        (400, {"error": "could not place the order", "orderID": "0x1"}),
        (400, {"error": FAK_MISS, "orderID": "0x1", "status": "delayed"}),
        (403, {"error": "forbidden", "status": "matched"}),
        (503, {"error": "trading is disabled", "orderID": "0x1"}),
        (200, {"success": True, "errorMsg": "", "status": "unmatched", "takingAmount": "1.5"}),
        (200, {"success": True, "errorMsg": "", "status": "unmatched", "orderID": "0x1"}),
    ],
)
def test_whatever_may_exist_is_unknown(status, body):
    """An order that may exist is never reported as ended."""
    assert classify(status, body).kind is OutcomeKind.UNKNOWN


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["success", "errorMsg", "status", "takingAmount"]), inner)
    ),
)


@given(st.one_of(st.none(), st.integers(100, 599)), JSON)
def test_any_answer_has_a_meaning(status, body):
    """No answer makes the parser fail, and only a real match is a match."""
    outcome = classify(status, body)
    if outcome.kind is OutcomeKind.MATCHED:
        assert status == 200
        assert outcome.taking is not None
        assert outcome.taking > 0


@given(
    st.one_of(st.none(), st.integers(100, 599)),
    st.sampled_from([FAK_MISS, "not enough balance / allowance", "trading is disabled", "market not found"]),
    st.sampled_from(
        [
            *({"status": "delayed"}, {"status": "live"}, {"status": "matched"}, {"tradeIDs": ["t1"]}),
            *({"transactionsHashes": ["0x2"]}, {"takingAmount": "1.5"}, {"makingAmount": "1"}),
        ]
    ),
)
def test_no_status_and_no_text_makes_a_taken_order_dead(status, text, sign):
    """Whatever the status code and the text, an answer with signs of an order is looked up."""
    assert classify(status, {"success": False, "error": text, **sign}).kind is OutcomeKind.UNKNOWN
