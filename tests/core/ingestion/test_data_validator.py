"""The rules that reject a value, and those that only warn."""

from collections import deque
from decimal import Decimal

import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingestion.validators.data_validator import PRICE_BOUNDS, DataValidator, z_score
from data_sources.types import BookTicker, ChainPrice, PriceKind, Ticker
from models import PutCall, Sentiment, Spot

NOW_NS = 1_795_348_800_000_000_000


def _validator(asset: str = "btc") -> DataValidator:
    return DataValidator(asset, lambda: NOW_NS)


def _spot(price: str | Decimal = "68000", age_s: float = 0, source: str = "coinbase") -> Spot:
    at_ns = NOW_NS - int(age_s * 1e9)
    return Spot(source=source, price=Decimal(price), source_ns=at_ns, received_ns=NOW_NS)


def _book(bid: str, ask: str, bid_size: str = "1", ask_size: str = "1") -> BookTicker:
    return BookTicker(
        source="binance",
        symbol="BTCUSDT",
        bid=Decimal(bid),
        bid_size=Decimal(bid_size),
        ask=Decimal(ask),
        ask_size=Decimal(ask_size),
        source_ns=NOW_NS,
        received_ns=NOW_NS,
    )


def _ticker(volume: str = "10", bid: str = "68000", ask: str = "68001") -> Ticker:
    return Ticker(
        source="coinbase",
        symbol="BTC-USD",
        price=Decimal(68000),
        bid=Decimal(bid),
        ask=Decimal(ask),
        volume=Decimal(volume),
        source_ns=NOW_NS,
        received_ns=NOW_NS,
    )


def _mood(score: float, age_s: float = 0, source: str = "fear_greed") -> Sentiment:
    at_ns = NOW_NS - int(age_s * 1e9)
    return Sentiment(source=source, score=score, classification="x", source_ns=at_ns, received_ns=NOW_NS)


@pytest.mark.parametrize(
    ("asset", "price", "ok"),
    [
        ("btc", "1000", True),
        ("btc", "1000000", True),
        ("btc", "999.99", False),
        ("btc", "1000000.01", False),
        ("eth", "68000", True),
        ("xrp", "68000", False),
        ("xrp", "0.55", True),
        ("doge", "0.12", True),
    ],
)
def test_price_bounds_are_the_assets_own(asset: str, price: str, ok: bool) -> None:
    """A price in the wrong unit or of another asset is an error; the bounds themselves are not."""
    assert _validator(asset).check(_spot(price)).ok is ok


@settings(max_examples=examples(300), deadline=None, database=None)
@given(st.decimals(min_value="0.0001", max_value="100000000", places=4))
def test_nothing_outside_the_bounds_is_ever_admitted(price: Decimal) -> None:
    """Whatever the past, a price is admitted exactly if it is within the bounds."""
    validator = _validator()
    for past in ("60000", "70000", "65000"):
        validator.admit(_spot(past))
    low, high = PRICE_BOUNDS["btc"]
    assert validator.admit(_spot(price)).ok is (low <= price <= high)


def test_quarantine_keeps_value_and_reason_and_counts() -> None:
    """A bad value is stored with reason and time, counted under its source, and not part of the past."""
    validator = _validator()
    bad = _spot("5")
    result = validator.admit(bad)
    assert result.errors == ("price 5 is outside 1000 to 1000000",)
    assert [(q.value, q.errors, q.at_ns) for q in validator.quarantine] == [(bad, result.errors, NOW_NS)]
    assert validator.quarantined == {"coinbase": 1}
    assert validator.admit(_spot("68000")).warnings == (), "the bad price is not what it is compared with"


def test_quarantine_is_bounded_but_its_count_is_not() -> None:
    """The last hundred are stored, all are counted."""
    validator = _validator()
    for _ in range(250):
        validator.admit(_spot("5"))
    assert (len(validator.quarantine), validator.quarantined["coinbase"]) == (100, 250)


@pytest.mark.parametrize(
    ("price", "warned"), [("81600", False), ("81601", True), ("54400", False), ("54399", True)]
)
def test_jump_of_more_than_a_fifth_is_a_warning(price: str, warned: bool) -> None:
    """More than 20 % from the last price, up or down, is admitted with a warning."""
    validator = _validator()
    validator.admit(_spot("68000"))
    result = validator.admit(_spot(price))
    assert result.ok
    assert any("at once" in warning for warning in result.warnings) is warned
    assert validator.warned["coinbase"] == int(warned)


def test_sources_are_compared_with_their_own_past() -> None:
    """Another source, and another kind of price of the same source, start without a past."""
    validator = _validator()
    validator.admit(_spot("50000"))
    assert validator.admit(_spot("68000", source="binance")).warnings == ()
    for kind, price in ((PriceKind.SPOT, "50000"), (PriceKind.TWAP60, "68000")):
        observation = ChainPrice(
            source="chainlink",
            feed="rtds",
            kind=kind,
            symbol="btc/usd",
            price=Decimal(price),
            source_ns=NOW_NS,
            received_ns=NOW_NS,
        )
        assert validator.admit(observation).warnings == ()


@pytest.mark.parametrize(("age_s", "warned"), [(300, False), (301, True)])
def test_price_older_than_five_minutes_is_a_warning(age_s: float, warned: bool) -> None:
    """Age is measured by the source's own time."""
    assert bool(_validator().check(_spot(age_s=age_s)).warnings) is warned


@pytest.mark.parametrize(
    ("source", "age_s", "warned"),
    [
        ("fear_greed", 26 * 3600, False),
        ("fear_greed", 26 * 3600 + 1, True),
        ("fear_greed+cryptopanic", 20 * 3600, False),
        ("cryptopanic", 3600, False),
        ("cryptopanic", 3601, True),
    ],
)
def test_sentiment_age_limits_differ_by_source(source: str, age_s: float, warned: bool) -> None:
    """A sentiment is old after an hour, the index that is published once a day after twenty-six."""
    assert bool(_validator().check(_mood(50, age_s, source)).warnings) is warned


@pytest.mark.parametrize(("score", "ok"), [(0, True), (100, True), (-0.1, False), (100.1, False)])
def test_mood_is_between_zero_and_a_hundred(score: float, ok: bool) -> None:
    """A value outside of it is an error."""
    assert _validator().check(_mood(score)).ok is ok


@pytest.mark.parametrize(
    ("bid", "ask", "ok", "warned"),
    [
        ("68000", "68001", True, False),
        ("68000", "68000", True, False),
        ("68001", "68000", False, False),
        ("67660", "68340", True, False),
        ("67659", "68341", True, True),
    ],
)
def test_sides_of_a_book(bid: str, ask: str, ok: bool, warned: bool) -> None:
    """A bid above the ask is an error, a spread above one percent of the mid a warning."""
    result = _validator().check(_book(bid, ask))
    assert (result.ok, bool(result.warnings)) == (ok, warned)


def test_amounts_are_not_negative() -> None:
    """Volume, sizes and open interest below zero are errors."""
    options = PutCall(
        source="deribit",
        overall=1.0,
        short=None,
        put_open_interest=-1.0,
        call_open_interest=5.0,
        source_ns=NOW_NS,
        received_ns=NOW_NS,
    )
    validator = _validator()
    for bad in (_ticker("-1"), _book("68000", "68001", bid_size="-1"), options):
        (error,) = validator.check(bad).errors
        assert "negative" in error
    assert validator.check(_ticker()).ok
    assert not validator.check(_ticker(bid="68002")).ok


def test_unusual_return_is_a_warning_after_ten_points() -> None:
    """The same move is unremarkable among nine prices and 3 standard deviations among ten."""
    validator = _validator()
    calm = [str(68000 + (i % 2)) for i in range(10)]
    for price in calm[:9]:
        validator.admit(_spot(price))
    assert validator.check(_spot("68100")).warnings == ()
    validator.admit(_spot(calm[9]))
    (warning,) = validator.check(_spot("68100")).warnings
    assert "standard deviations" in warning
    assert validator.check(_spot("68000")).warnings == ()


def test_steady_trend_is_not_unusual() -> None:
    """A price far from its first value is no anomaly if it moved there gradually."""
    validator = _validator()
    steps = [1.0, 3.0, 2.0, 1.5, 2.5]
    price = 68000.0
    for i in range(100):
        price += steps[i % 5]
        assert validator.admit(_spot(f"{price:.2f}")).warnings == ()


def test_price_at_rest_has_no_deviation() -> None:
    """A constant past gives no deviation for the first move."""
    validator = _validator()
    for _ in range(20):
        validator.admit(_spot("68000"))
    assert validator.check(_spot("68010")).warnings == ()


@settings(max_examples=examples(200), deadline=None, database=None)
@given(
    st.lists(st.decimals(min_value=1000, max_value=1_000_000, places=2), max_size=100),
    st.decimals(min_value=1000, max_value=1_000_000, places=2),
)
def test_z_score_is_total(past: list[Decimal], price: Decimal) -> None:
    """Any past and any price give a number or none."""
    score = z_score(deque(past), price)
    assert score is None or score == score
