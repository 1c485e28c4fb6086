"""Parsing the venue's outcomes and fills: correct for real answers, safe for all others."""

from decimal import Decimal

import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import intent, market

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.pairing import market_of
from errors import Refused, Temporary
from execution.venue_answers import clob_outcome, fills_of, gamma_outcome, status_of
from models import Outcome

RESOLVED = {"closed": True, "outcomes": '["Up", "Down"]', "outcomePrices": '["0", "1"]'}
TRADE = {
    "id": "t1",
    "match_time": "1790000000",
    "size": "1.5",
    "price": "0.62",
    "maker_orders": [{"asset_id": "11", "matched_amount": "1.5", "price": "0.62"}],
}
GAMMA = {
    "slug": "btc-updown-15m-1790586000",
    "conditionId": "0xc0",
    "outcomes": '["Up", "Down"]',
    "clobTokenIds": '["11", "22"]',
    "orderPriceMinTickSize": 0.01,
    "feesEnabled": True,
    "feeSchedule": {"rate": 0.07},
    "cryptoMarketConfig": {"twapEnabled": True, "twapLookbackSeconds": 60},
    "negRisk": False,
    "version": "v1",
}
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["NaN", "1e999", "[]", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def broken(example):
    """The example with any of its values replaced or removed."""
    changed = st.dictionaries(st.sampled_from(sorted(example)), ODD, max_size=3)
    removed = st.sets(st.sampled_from(sorted(example)), max_size=2)
    return st.builds(
        lambda new, gone: {key: value for key, value in {**example, **new}.items() if key not in gone},
        changed,
        removed,
    )


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, Outcome.DOWN),
        ({"outcomePrices": '["1", "0"]'}, Outcome.UP),
        ({"outcomes": '["Down", "Up"]'}, Outcome.UP),
        ({"closed": False}, None),
        ({"outcomePrices": '["0.5", "0.5"]'}, None),
        ({"outcomePrices": '["0.999", "0.001"]'}, None),
    ],
)
def test_gamma_names_the_winner_only_when_it_is_final(change, outcome):
    """A market is resolved when it is closed and one label's price is exactly 1, in whatever order."""
    assert gamma_outcome({**RESOLVED, **change}) is outcome


def test_the_clob_names_the_winner():
    """One winning token is the outcome; none or two are not."""
    tokens = [{"outcome": "Up", "winner": False}, {"outcome": "Down", "winner": True}]
    assert clob_outcome({"tokens": tokens}) is Outcome.DOWN
    assert clob_outcome({"tokens": [{**token, "winner": False} for token in tokens]}) is None
    assert clob_outcome({"tokens": [{**token, "winner": True} for token in tokens]}) is None


def test_a_minted_leg_counts_at_its_complement():
    """A leg of the complement is a fill at one minus its price, with its own fee."""
    bought = intent(1)
    legs = [
        {"asset_id": bought.token_id, "matched_amount": "1.0", "price": "0.62"},
        {"asset_id": "12", "matched_amount": "0.5", "price": "0.37"},
    ]
    first, second = fills_of({**TRADE, "maker_orders": legs}, bought, "0xabc", market())
    assert (first.price, second.price) == (Decimal("0.62"), Decimal("0.63"))
    assert second.fee == Decimal("0.00816")
    assert first.trade_id != second.trade_id


@pytest.mark.parametrize("text", ["FAILED", "TRADE_STATUS_FAILED"])
def test_a_status_means_the_same_with_its_prefix(text):
    """A failed trade is failed in the stream's notation and in the list's."""
    assert status_of({"status": text}) == "FAILED"
    with pytest.raises(Temporary, match="without a status"):
        status_of({"id": "t1"})


@settings(max_examples=examples(1000))
@given(st.one_of(ODD, broken(RESOLVED)))
def test_no_outcome_text_raises(text):
    """Any answer of the catalogue or the order API is an outcome or none."""
    assert gamma_outcome(text) in (None, *Outcome)
    assert clob_outcome(text) in (None, *Outcome)


@settings(max_examples=examples(1000))
@given(broken(TRADE))
def test_a_trade_is_read_or_asked_for_again(trade):
    """An unreadable trade raises the declared error; a readable one has positive amounts."""
    try:
        fills = fills_of(trade, intent(1), "0xabc", market())
    except Temporary:
        return
    assert all(fill.shares > 0 and fill.fee.is_finite() for fill in fills)


@settings(max_examples=examples(1000))
@given(broken(GAMMA))
def test_a_market_is_understood_or_left_alone(gamma):
    """A catalogue entry is a market with valid numbers, or refused; nothing else is raised."""
    calendar = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)
    try:
        found = market_of(gamma, calendar)
    except Refused:
        return
    assert found.tick > 0
    assert calendar.start_of(found.slug) == found.start


@pytest.mark.parametrize(
    "change",
    [
        {"match_time": "1790000000000"},
        {"match_time": -1},
        {"match_time": "9" * 30},
        {"maker_orders": [], "size": "1e-400"},
        {"maker_orders": [], "price": "0.00000001"},
    ],
    ids=str,
)
def test_a_trade_that_the_ledger_cannot_store_is_asked_for_again(change):
    """A time beyond its integers, for example in milliseconds, or an amount below the unit on chain."""
    assert fills_of(TRADE, intent(1), "0xabc", market())
    with pytest.raises(Temporary, match="cannot be read"):
        fills_of({**TRADE, **change}, intent(1), "0xabc", market())


LEG = TRADE["maker_orders"][0]


@pytest.mark.parametrize(
    "makers",
    [
        None,
        "",
        {},
        [{**LEG, "asset_id": "13"}],
        [{**LEG, "asset_id": None}],
        [{**LEG, "asset_id": ["11"]}],
        [{key: value for key, value in LEG.items() if key != "asset_id"}],
        [LEG, {**LEG, "asset_id": "x"}],
    ],
    ids=str,
)
def test_a_leg_of_an_unknown_token_is_asked_for_again(makers):
    """It is not taken for a leg of the complement, whose price would be one minus the leg's."""
    with pytest.raises(Temporary, match="cannot be read"):
        fills_of({**TRADE, "maker_orders": makers}, intent(1), "0xabc", market())


def test_a_trade_without_its_legs_is_asked_for_again():
    """Its own price may be none of theirs."""
    without = {key: value for key, value in TRADE.items() if key != "maker_orders"}
    with pytest.raises(Temporary, match="maker_orders"):
        fills_of(without, intent(1), "0xabc", market())
