"""The market clock, the slug calendar and the pairing of tokens."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.instruments.pairing import market_of, suspension_of
from core.nautilus_core.instruments.refresh_times import RefreshTimes
from errors import Refused
from models import Rule

BTC = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)
FEES = {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2}
CONFIG = {
    "id": "btc-15m-twap-60",
    "asset": "btc",
    "duration": "15m",
    "twapEnabled": True,
    "twapLookbackSeconds": 60,
}
GAMMA = {
    "slug": "btc-updown-15m-1790586000",
    "question": "Bitcoin Up or Down",
    "conditionId": "0xc0",
    "outcomes": '["Up", "Down"]',
    "clobTokenIds": '["11", "22"]',
    "orderPriceMinTickSize": 0.01,
    "feesEnabled": True,
    "feeSchedule": FEES,
    "cryptoMarketConfig": CONFIG,
    "negRisk": False,
    "version": "v1",
}


@given(st.integers(0, 4_000_000_000))
def test_a_slug_and_its_start_are_the_same_fact(time):
    """Every market time has one running market, whose slug gives back its start."""
    start = BTC.running_start(time)
    assert start <= time < start + 900
    assert BTC.start_of(BTC.slug(start)) == start
    assert BTC.upcoming(time)[0] == BTC.slug(start)


@pytest.mark.parametrize(
    "slug", ["btc-updown-15m-1790586001", "eth-updown-15m-1790586000", "btc-updown-5m-1790586000", "btc", ""]
)
def test_a_foreign_slug_is_refused(slug):
    """A slug off the grid, of another asset or of another interval is not accepted."""
    with pytest.raises(ValueError, match="is not a"):
        BTC.start_of(slug)


FOUR_HOURS = SlugCalendar(
    asset="btc", kind="updown", timeframe="4h", interval=14_400, zone="America/New_York"
)
NEW_YORK_STARTS = {
    "winter": (1_768_453_200, 14_400),  # 2026-01-15 00:00 in New York, 05:00 UTC
    "summer": (1_784_088_000, 14_400),  # 2026-07-15 00:00 in New York, 04:00 UTC
    "clocks go forward": (1_772_946_000, 10_800),  # 2026-03-08 00:00 to 04:00 in New York: three hours
    "clocks go back": (1_793_505_600, 18_000),  # 2026-11-01 00:00 to 04:00 in New York: five hours
}


@pytest.mark.parametrize("day", NEW_YORK_STARTS)
def test_four_hour_markets_start_on_the_clock_of_new_york(day):
    """In winter they are an hour off the UTC grid; a market in which the clocks change has another length."""
    start, length = NEW_YORK_STARTS[day]
    for second in (0, 1, length // 2, length - 1):
        assert FOUR_HOURS.running(start + second) == (start, length)
    assert FOUR_HOURS.running_start(start + length) == start + length
    assert FOUR_HOURS.running_start(start - 1) == start - 14_400
    assert FOUR_HOURS.upcoming(start)[:3] == [
        f"btc-updown-4h-{start}",
        f"btc-updown-4h-{start + length}",
        f"btc-updown-4h-{start + length + 14_400}",
    ]
    assert FOUR_HOURS.start_of(f"btc-updown-4h-{start}") == start
    for wrong in (start - 3600, start + 3600, start + 7200):
        with pytest.raises(ValueError, match="is not a"):
            FOUR_HOURS.start_of(f"btc-updown-4h-{wrong}")


@given(st.integers(1_600_000_000, 2_000_000_000))
def test_four_hour_markets_follow_each_other_without_a_gap(time):
    """Every instant of thirteen years is in one market, whose slug gives back its start."""
    start, length = FOUR_HOURS.running(time)
    assert start <= time < start + length
    assert FOUR_HOURS.start_of(FOUR_HOURS.slug(start)) == start
    assert FOUR_HOURS.running_start(start + length) == start + length


def test_a_market_in_which_the_clocks_change_ends_as_the_catalogue_says():
    """Its length is the calendar's if the catalogue agrees; otherwise the market is refused."""
    start, length = NEW_YORK_STARTS["clocks go back"]
    config = {"twapEnabled": True, "twapLookbackSeconds": 60}
    row = {**GAMMA, "slug": f"btc-updown-4h-{start}", "cryptoMarketConfig": config}
    assert market_of({**row, "endDate": "2026-11-01T09:00:00Z"}, FOUR_HOURS).end == start + length
    with pytest.raises(Refused, match="endDate 2026-11-01T08:00:00Z, 18000 s by the calendar"):
        market_of({**row, "endDate": "2026-11-01T08:00:00Z"}, FOUR_HOURS)


def test_the_neighbours_of_a_market_are_those_that_it_would_overlap():
    """Every five minutes, an hour earlier and later included; never itself or another one of the calendar."""
    start, _ = NEW_YORK_STARTS["winter"]
    found = FOUR_HOURS.neighbours(f"btc-updown-4h-{start}")
    assert len(found) == 94
    assert {f"btc-updown-4h-{start - 3600}", f"btc-updown-4h-{start + 3600}"} <= set(found)
    assert not {f"btc-updown-4h-{start + shift}" for shift in (-14_400, 0, 14_400)} & set(found)


@given(st.integers(0, 2**60), st.integers(0, 2**60), st.sampled_from([1.0, 15.0, 60.0]))
def test_the_clock_maps_both_ways(wall, market, speed):
    """A market time is reached at the wall instant that the clock computes, to a microsecond."""
    clock = MarketClock(wall_ns=wall, market_ns=market, speed=speed)
    later = market / 1e9 + 600
    assert clock.market_time(clock.wall_time_ns(later)) == pytest.approx(later, abs=1e-5 * speed, rel=1e-12)


def test_up_and_down_are_identified_by_their_labels():
    """Outcomes in reverse order give the same tokens to the same sides."""
    flipped = {**GAMMA, "outcomes": '["Down", "Up"]', "clobTokenIds": '["22", "11"]'}
    for gamma in (GAMMA, flipped):
        market = market_of(gamma, BTC)
        assert (market.up_token, market.down_token) == ("11", "22")
    assert market.fee_rate == Decimal("0.07")
    assert market.rule is Rule.TWAP60


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": "v3"}, "protocol version v3, only v1 and v2 are supported"),
        ({"version": None}, r"protocol version \(none stated\)"),
        ({"negRisk": True}, "negRisk"),
        ({"cryptoMarketConfig": {"twapEnabled": True, "twapLookbackSeconds": 45}}, "unknown rule"),
        ({"outcomes": '["Yes", "No"]'}, "not Up and Down"),
        ({"clobTokenIds": "[]"}, "malformed"),
        ({"feeSchedule": None}, "feeSchedule None"),
        ({"feeSchedule": {**FEES, "exponent": 2, "rate": 0.25}}, "feeSchedule.exponent 2"),
        ({"feeSchedule": {**FEES, "exponent": "NaN"}}, "feeSchedule.exponent NaN"),
        ({"feeSchedule": {**FEES, "exponent": None}}, "malformed"),
        ({"feeSchedule": {**FEES, "rate": 1}}, "feeSchedule.rate 1, which is outside the valid range"),
        ({"feeSchedule": {**FEES, "rate": True}}, "malformed"),
        ({"feeSchedule": {**FEES, "takerOnly": False}}, "feeSchedule.takerOnly False"),
        ({"feeSchedule": {**FEES, "minimum": 0.01}}, "feeSchedule.minimum 0.01, which is not known"),
        ({"feeSchedule": {"exponent": 1}}, "which has no rate"),
        ({"feesEnabled": "false"}, "feesEnabled 'false'"),
        ({"feeType": "crypto_fees_v3"}, "feeType 'crypto_fees_v3'"),
        ({"cryptoMarketConfig": {**CONFIG, "asset": "eth"}}, "cryptoMarketConfig.asset 'eth', not 'btc'"),
        ({"cryptoMarketConfig": {**CONFIG, "duration": "5m"}}, "cryptoMarketConfig.duration '5m', not '15m'"),
        ({"slug": "btc-updown-15m-5"}, "malformed"),
    ],
)
def test_what_is_not_understood_is_left_alone(change, text):
    """A market of another version, rule or shape is refused with the field that differs."""
    with pytest.raises(Refused, match=text):
        market_of({**GAMMA, **change}, BTC)


@pytest.mark.parametrize(
    ("change", "rate"),
    [
        ({}, "0.07"),
        ({"feeType": "crypto_fees_v2", "feeSchedule": {"rate": "0.072"}}, "0.072"),
        ({"feesEnabled": None, "feeType": "crypto_fees"}, "0.07"),
        ({"feesEnabled": False, "feeSchedule": None}, "0"),
    ],
)
def test_the_fee_rate_of_a_market_that_is_understood(change, rate):
    """A schedule's missing terms are those of the known formula; a market without fees charges none."""
    assert market_of({**GAMMA, **change}, BTC).fee_rate == Decimal(rate)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("acceptingOrders", False),
        ("closed", True),
        ("enableOrderBook", False),
        ("active", False),
        ("archived", True),
        ("acceptingOrders", "false"),
        ("closed", 1),
    ],
)
def test_a_flag_of_the_venue_suspends_a_market(field, value):
    """A flag against trading, or an invalid one, suspends; the usual values and missing ones do not."""
    assert suspension_of({**GAMMA, field: value}) == f"the catalogue has {field} {value!r}"
    usual = {
        "active": True,
        "archived": False,
        "closed": False,
        "enableOrderBook": True,
        "acceptingOrders": True,
    }
    assert suspension_of({**GAMMA, **usual}) is None
    assert suspension_of({**GAMMA, **usual, field: None}) is None


@pytest.mark.parametrize(
    ("second", "speed", "pause"),
    [
        (0, 1, 450),
        (400, 1, 360),
        (759, 1, 1),
        (760, 1, 10),
        (839, 1, 10),
        (840, 1, 450),
        (840, 15, 30),
        (0, 15, 30),
        (689, 15, 1),
        (700, 15, 1),
        (850, 60, 7.5),
    ],
)
def test_the_catalogue_is_asked_often_around_the_window(second, speed, pause):
    """Every half market; from 20 s or a tenth of a market before the window every 10 s or sixth of it."""
    clock = MarketClock(market_ns=1_790_586_000 * 10**9, speed=speed)
    times = RefreshTimes(BTC, clock, 780.0, 840.0)
    assert times.pause_s(round(second * 1e9 / speed)) == pytest.approx(pause)


@pytest.mark.parametrize(
    ("second", "speed", "near"),
    [
        (0, 1, False),
        (759, 1, False),
        (760, 1, True),
        (839.9, 1, True),
        (840, 1, False),
        (690, 15, True),
        (689, 15, False),
    ],
)
def test_a_window_is_near_from_twenty_seconds_before_it(second, speed, near):
    """Or a tenth of a market on a fast clock, until its end."""
    clock = MarketClock(market_ns=1_790_586_000 * 10**9, speed=speed)
    times = RefreshTimes(BTC, clock, 780.0, 840.0)
    assert times.window_is_near(round(second * 1e9 / speed)) is near


def test_rule_eras():
    """The settlement rule is read from the market itself; without a configuration it is the spot price."""
    eras = {None: Rule.SPOT, 30: Rule.TWAP30, 60: Rule.TWAP60}
    for seconds, rule in eras.items():
        config = None if seconds is None else {"twapEnabled": True, "twapLookbackSeconds": seconds}
        assert market_of({**GAMMA, "cryptoMarketConfig": config}, BTC).rule is rule


@pytest.mark.parametrize(
    ("speed", "passed_ns", "market_ns"),
    [(1.0, 1_795_000_000_123_456_789, 1_795_000_000_123_456_789), (15.0, 1_000_000_007, 15_000_000_105)],
)
def test_market_time_in_nanoseconds_is_exact(speed, passed_ns, market_ns):
    """Times of receipt are recorded to the nanosecond, which a float of seconds does not have."""
    assert MarketClock(speed=speed).market_time_ns(passed_ns) == market_ns
    assert MarketClock(wall_ns=5, market_ns=7, speed=speed).market_time_ns(5 + passed_ns) == 7 + market_ns
