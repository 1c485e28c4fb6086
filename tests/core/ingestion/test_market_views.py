"""Pure parts of the adapter: the spot path, the consensus, the strikes."""

from decimal import Decimal

import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingestion.adapters.consensus import consensus_of
from core.ingestion.adapters.spot_path import SpotPath, until_next_second
from core.ingestion.adapters.strikes import Strikes
from data_sources.types import ChainPrice, PriceKind
from models import Rule, Strike

START = 1_795_348_800
PRICES = st.decimals(min_value=1000, max_value=1_000_000, places=2)


def _path(*points: tuple[float, str]) -> SpotPath:
    path = SpotPath(960)
    for at, price in points:
        path.add(START + at, Decimal(price))
    return path


def _steady(price: str = "65000", first: int = -70, last: int = 5) -> SpotPath:
    return _path(*((at, price) for at in range(first, last)))


def test_path_holds_one_price_a_second_in_order() -> None:
    """A second price within a second, or one from the past, is ignored; old ones are dropped."""
    path = _path((0.2, "1"), (0.9, "2"), (1.0, "3"), (0.5, "4"), (2.5, "5"))
    ticks = path.ticks(START, 900)
    assert [tick.second for tick in ticks] == pytest.approx([0.2, 1.0, 2.5], abs=1e-6)
    assert [tick.price for tick in ticks] == [Decimal(1), Decimal(3), Decimal(5)]
    path.add(START + 962, Decimal(6))
    assert [t.price for t in path.ticks(START, 900)] == [Decimal(5), Decimal(6)]


def test_path_continues_after_the_clock_was_set_back() -> None:
    """Prices of an hour ahead are removed with the first one that is over a minute older; otherwise no price
    would be taken for an hour. A price that is a few seconds late changes nothing."""
    path = _path((1.0, "1"), (2.0, "2"), (3602.0, "3"), (3603.0, "4"))
    path.add(START + 3590, Decimal(5))
    assert [price for _, price in path.points] == [Decimal(3), Decimal(4)]
    path.add(START + 10, Decimal(6))
    path.add(START + 11, Decimal(7))
    assert path.points == ((START + 10, Decimal(6)), (START + 11, Decimal(7)))


def test_path_is_in_market_seconds() -> None:
    """On the 900-second scale a five-minute market's seconds count threefold; before the start they are
    negative."""
    ticks = _path((-1, "1"), (100, "2")).ticks(START, 300)
    assert [t.second for t in ticks] == [-3.0, 300.0]


@pytest.mark.parametrize(("speed", "seconds"), [(1, 0.75), (15, 0.05), (0, 1.0)])
def test_next_sample_is_due_at_the_next_second_of_market_time(speed: float, seconds: float) -> None:
    """Three quarters of a second before it on the machine's clock, a fifteenth of that on a fast one."""
    found = until_next_second(5_000_000_000, lambda ns: 100.25 + (ns - 5_000_000_000) / 1e9 * speed)
    assert found == pytest.approx(seconds)


def test_mean_is_weighted_by_time() -> None:
    """Half a minute at 100 and half a minute at 200 give 150, however many samples each half had."""
    dense = [(at, "100") for at in range(-65, -30)]
    sparse = [(at, "200") for at in range(-30, 1, 10)]
    mean = _path(*dense, *sparse).mean(START, 60)
    assert mean is not None
    # One second of the slope between the halves is 0.5 s at 150 instead of 100 or 200.
    assert mean == pytest.approx(Decimal(150), abs=Decimal("1.0"))


@pytest.mark.parametrize(
    ("missing", "known"),
    [((-40, -31), True), ((-40, -29), False), ((-75, -59), False), ((-9, 5), True), ((-11, 5), False)],
)
def test_mean_needs_a_path_without_long_silence(missing: tuple[int, int], known: bool) -> None:
    """More than ten seconds without a price, at the beginning, within or at the end, and there is no mean."""
    points = [(at, "65000") for at in range(-75, 5) if not missing[0] <= at < missing[1]]
    assert (_path(*points).mean(START, 60) is not None) is known


def test_mean_of_a_path_that_does_not_reach_back_is_unknown() -> None:
    """A bot that was started half a minute before the market has no strike of its own."""
    assert _path(*((at, "65000") for at in range(-30, 5))).mean(START, 60) is None


@settings(max_examples=examples(200), deadline=None, database=None)
@given(st.lists(PRICES, min_size=62, max_size=62), PRICES)
def test_mean_is_within_the_prices_and_moves_with_them(prices: list[Decimal], shift: Decimal) -> None:
    """It is within the range of its prices, and adding a constant to all adds it to the mean."""
    path, shifted = SpotPath(960), SpotPath(960)
    for at, price in enumerate(prices):
        path.add(START - 61 + at, price)
        shifted.add(START - 61 + at, price + shift)
    mean, moved = path.mean(START, 60), shifted.mean(START, 60)
    assert mean is not None
    assert moved is not None
    assert min(prices) <= round(mean, 6) <= max(prices)
    assert abs(moved - mean - shift) < Decimal("1e-9")


def test_consensus_is_the_median_without_outliers() -> None:
    """One source with a five percent difference is omitted, and named."""
    prices = {"a": Decimal(100), "b": Decimal("100.2"), "c": Decimal(105), "d": Decimal("100.1")}
    together = consensus_of(prices)
    assert together is not None
    assert (together.median, together.n) == (Decimal("100.1"), 3)
    assert together.outliers == {"c": Decimal(105)}


def test_two_sources_that_contradict_each_other_both_stay() -> None:
    """It is unknown which one is wrong."""
    together = consensus_of({"a": Decimal(100), "b": Decimal(110)})
    assert together is not None
    assert (together.median, together.outliers) == (Decimal(105), {})


def test_no_source_is_no_consensus() -> None:
    """Without a source there is no consensus; a single source is the consensus."""
    assert consensus_of({}) is None
    alone = consensus_of({"a": Decimal(1)})
    assert alone is not None
    assert (alone.median, alone.n) == (Decimal(1), 1)


@settings(max_examples=examples(300), deadline=None, database=None)
@given(st.dictionaries(st.text(min_size=1, max_size=3), PRICES, min_size=1, max_size=7))
def test_consensus_is_total_and_inside_its_sources(prices: dict[str, Decimal]) -> None:
    """Every source either agrees or is an outlier, and the median is within those that agree."""
    together = consensus_of(prices)
    assert together is not None
    assert together.sources | together.outliers == prices
    assert not together.sources.keys() & together.outliers.keys()
    assert min(together.sources.values()) <= together.median <= max(together.sources.values())


def _published(
    at: float, price: str = "65010", feed: str = "rtds", kind: PriceKind = PriceKind.TWAP60
) -> ChainPrice:
    at_ns = round((START + at) * 1e9)
    return ChainPrice(
        source="chainlink",
        feed=feed,
        kind=kind,
        symbol="btc/usd",
        price=Decimal(price),
        source_ns=at_ns,
        received_ns=at_ns + 1_700_000_000,
    )


def _now(at: float) -> int:
    return round((START + at) * 1e9)


def _strikes() -> Strikes:
    return Strikes(lambda ns: ns / 1e9, "coinbase")


def test_strike_is_the_first_mean_at_or_after_the_start() -> None:
    """Not the one before, and not a later one, in whatever order they arrive."""
    strikes = _strikes()
    published = [
        _published(2, "65002"),
        _published(0, "65000"),
        _published(-1, "64999"),
        _published(1, "65001"),
    ]
    strikes.note(START, _now(3), SpotPath(960), published)
    strike = strikes.find(START, Rule.TWAP60)
    assert isinstance(strike, Strike)
    assert (strike.price, strike.rule, strike.source) == (
        Decimal(65000),
        Rule.TWAP60,
        "chainlink_twap60/rtds",
    )


def test_mean_that_comes_too_late_is_no_strike() -> None:
    """More than three seconds after the start it is another price."""
    strikes = _strikes()
    strikes.note(START, _now(9), SpotPath(960), [_published(3.1), _published(-0.5)])
    assert isinstance(strikes.find(START, Rule.TWAP60), str)


def test_replayed_observation_improves_the_strike() -> None:
    """A snapshot after a reconnect contains the exact boundary; it replaces a slightly later one."""
    strikes = _strikes()
    strikes.note(START, _now(5), SpotPath(960), [_published(2, "65002")])
    strikes.note(START, _now(60), SpotPath(960), [_published(2, "65002"), _published(0, "65000", "polybolt")])
    strikes.note(START, _now(90), SpotPath(960), [_published(1, "65001")])
    strike = strikes.find(START, Rule.TWAP60)
    assert isinstance(strike, Strike)
    assert (strike.price, strike.source) == (Decimal(65000), "chainlink_twap60/polybolt")


def test_own_mean_is_the_strike_without_chainlink() -> None:
    """The mean of our own spot over the minute before, with its source named."""
    strikes = _strikes()
    strikes.note(START, _now(1), _steady(), [])
    strike = strikes.find(START, Rule.TWAP60)
    assert isinstance(strike, Strike)
    assert (strike.price, strike.source) == (Decimal(65000), "coinbase_mean60")
    strikes.note(START, _now(3), _steady(), [_published(0)])
    better = strikes.find(START, Rule.TWAP60)
    assert isinstance(better, Strike)
    assert better.source == "chainlink_twap60/rtds"


def test_strikes_that_contradict_each_other_are_none() -> None:
    """With half a percent difference one of the two is wrong; then neither is used."""
    strikes = _strikes()
    strikes.note(START, _now(3), _steady("65000"), [_published(0, "65326")])
    assert strikes.find(START, Rule.TWAP60) == (
        "Chainlink's 60-second mean at the start is 65326, the mean of the bot's own prices is 65000.00"
    )


def test_nothing_is_known_before_the_start() -> None:
    """The minute is not over and no mean counts yet."""
    strikes = _strikes()
    strikes.note(START, _now(-0.1), _steady(), [_published(0)])
    assert isinstance(strikes.find(START, Rule.TWAP60), str)


def test_own_mean_is_kept_after_its_path_is_gone() -> None:
    """A four-hour market is decided long after its start has left the path."""
    strikes = _strikes()
    strikes.note(START, _now(1), _steady(), [])
    strikes.note(START, _now(13_000), SpotPath(960), [])
    assert isinstance(strikes.find(START, Rule.TWAP60), Strike)


def test_only_the_last_markets_are_remembered() -> None:
    """Memory does not grow over time."""
    strikes = _strikes()
    for i in range(6):
        strikes.note(START + 900 * i, _now(900 * i + 1), SpotPath(960), [_published(900 * i)])
    assert isinstance(strikes.find(START + 900, Rule.TWAP60), str)
    assert isinstance(strikes.find(START + 1800, Rule.TWAP60), Strike)


def _spots(*points: tuple[float, str]) -> list[ChainPrice]:
    return [_published(at, price, kind=PriceKind.SPOT) for at, price in points]


RISING = [(at, str(65000 + at)) for at in range(-70, 5)]
"""A price that rises by one dollar per second and is 65,000 at the start."""


@pytest.mark.parametrize(
    ("rule", "price", "source"),
    [
        (Rule.SPOT, "65000", "chainlink_spot/rtds"),
        (Rule.TWAP30, "64985", "chainlink_mean30/rtds"),
        (Rule.TWAP60, "64970.5", "chainlink_twap60/rtds"),
    ],
)
def test_each_rule_has_its_own_strike_of_chainlink(rule: Rule, price: str, source: str) -> None:
    """Spot at the boundary, the mean of the 30 seconds before it, and the relay's own 60-second mean."""
    strikes = _strikes()
    strikes.note(START, _now(5), SpotPath(960), [_published(0, "64970.5")], reversed(_spots(*RISING)))
    strike = strikes.find(START, rule)
    assert isinstance(strike, Strike)
    assert (strike.price, strike.rule, strike.source) == (Decimal(price), rule, source)


@pytest.mark.parametrize(
    ("rule", "price", "source"),
    [
        (Rule.SPOT, "65000", "coinbase_spot"),
        (Rule.TWAP30, "64985", "coinbase_mean30"),
        (Rule.TWAP60, "64970", "coinbase_mean60"),
    ],
)
def test_each_rule_has_a_strike_of_our_own(rule: Rule, price: str, source: str) -> None:
    """Without Chainlink our own path gives the same three prices; later ones are not read."""
    strikes = _strikes()
    strikes.note(START, _now(1), _path(*RISING), [])
    strikes.note(START, _now(60), _path((0, "70000"), *((at, "70000") for at in range(1, 60))), [])
    strike = strikes.find(START, rule)
    assert isinstance(strike, Strike)
    assert (strike.price, strike.rule, strike.source) == (Decimal(price), rule, source)


def test_a_mean_of_chainlink_waits_for_the_end_of_its_window() -> None:
    """Prices up to two seconds before the start are an incomplete window; so is a gap of six seconds."""
    strikes = _strikes()
    strikes.note(START, _now(1), SpotPath(960), [], _spots(*RISING[:69]))
    assert isinstance(strikes.find(START, Rule.TWAP30), str)
    gap = [point for point in RISING if not -12 <= point[0] < -6]
    strikes.note(START, _now(3), SpotPath(960), [], _spots(*gap))
    assert isinstance(strikes.find(START, Rule.TWAP30), str)
    assert isinstance(strikes.find(START, Rule.SPOT), Strike)


@pytest.mark.parametrize("rule", Rule)
def test_a_strike_by_another_rule_is_no_substitute(rule: Rule) -> None:
    """The reason names the rule's own price."""
    others = {
        Rule.SPOT: (_path(*RISING[:69]), "price"),
        Rule.TWAP30: (_path((1, "65000")), "30-second mean"),
        Rule.TWAP60: (_path(*RISING[35:]), "60-second mean"),
    }
    path, name = others[rule]
    strikes = _strikes()
    strikes.note(START, _now(5), path, [])
    assert strikes.find(START, rule) == (
        f"Chainlink's {name} at the start was not received, and the bot's own prices do not cover it"
    )


def test_first_price_at_or_after_an_instant() -> None:
    """Not the one before, and none later than the limit."""
    path = _path((-0.5, "1"), (0.5, "2"), (2, "3"))
    assert path.first(START, 3) == Decimal(2)
    assert path.first(START + 0.5, 3) == Decimal(2)
    assert path.first(START + 2.5, 3) is None
    assert path.first(START - 4, 3) is None
