"""The mixed source: recorded and generated markets in turn, and prices for the generated ones only."""

from pathlib import Path

import pytest
from venue_builders import ManualClock

from venue.arguments import options_of, read_arguments
from venue.sources.choice import SourceMismatch, chosen_source
from venue.sources.mixed import MixedSource
from venue.sources.recorded import RecordedSource
from venue.sources.synthetic import SyntheticSource
from venue.venue import PracticeVenue, VenueOptions
from venue.wire.market_json import gamma_event, gamma_market


@pytest.fixture(scope="module")
def mixed() -> MixedSource:
    return MixedSource(7)


def test_even_markets_are_recorded_and_odd_ones_generated(mixed: MixedSource) -> None:
    """Books, grid, outcome and origin are those of the recording, or of the generated market of the seed."""
    recorded, generated = RecordedSource(), SyntheticSource(7)
    for index in range(6):
        script, place = (generated, index) if index in (1, 3, 5) else (recorded, index // 2)
        assert mixed.origin(index) == script.origin(place)
        assert mixed.describe(index) == script.describe(place)
        assert mixed.book(index, 500.0) == script.book(place, 500.0)
        assert mixed.next_change(index, 500.0) == script.next_change(place, 500.0)
        assert mixed.tick_change(index) == script.tick_change(place)
        assert mixed.up_wins(index) is script.up_wins(place)
    assert mixed.origin(2).startswith("btc-updown-15m-")
    assert mixed.origin(3) == "synthetic-7-3"
    assert mixed.prices["btc"].spot(3, -60) == generated.spot(3, -60)
    assert mixed.prices["btc"].mean(3, 0, 60) == generated.mean_price(3, 0, 60)


def test_its_description_names_both(mixed: MixedSource) -> None:
    """The origin and the licence of the recordings, and the seed."""
    info = mixed.info()
    assert (info["name"], info["markets"], info["seed"]) == ("mixed", 18, 7)
    assert "CC BY 4.0" in info["licence"]


def test_only_generated_markets_have_settlement_prices(mixed: MixedSource) -> None:
    """The external services run through all markets; a recorded one has no strike in their prices."""
    clock = ManualClock()
    venue = PracticeVenue(mixed, VenueOptions(speed=1.0, start_at=850), clock)
    assert venue.external is not None
    for index, priced in ((0, False), (1, True), (2, False)):
        market = venue.schedule.at(venue.schedule.first_start + 900 * index)
        assert market is not None
        assert ("eventMetadata" in gamma_event(venue, market)) is priced
        assert gamma_market(venue, market)["practiceOrigin"] == mixed.origin(index)
        clock.forward(900)
    venue.close()


def test_a_folder_keeps_the_source_and_its_seed(tmp_path: Path) -> None:
    """Started again, it is the same sequence; another source or seed is refused."""
    assert isinstance(chosen_source("mixed", 7, tmp_path), MixedSource)
    again = chosen_source("mixed", None, tmp_path)
    assert isinstance(again, MixedSource)
    assert again.seed == 7
    with pytest.raises(SourceMismatch, match="--source mixed"):
        chosen_source("recorded", None, tmp_path)
    with pytest.raises(SourceMismatch, match="--seed 7"):
        chosen_source("mixed", 8, tmp_path)


@pytest.mark.parametrize(("more", "first"), [([], 0), (["--first", "3"], 3), (["--from-market", "12"], 12)])
def test_a_new_venue_begins_with_the_market_asked_for(more: list[str], first: int) -> None:
    """--first and --from-market are the number of its first market."""
    _, given = read_arguments(["--source", "synthetic", "--start-at", "600", *more])
    venue = PracticeVenue(SyntheticSource(7), options_of(given), ManualClock(1_800_000_450))
    assert running(venue) == first
    venue.close()


@pytest.mark.parametrize(("wanted", "running_market"), [(0, 3), (3, 3), (4, 4), (40, 40)])
def test_an_old_state_skips_to_the_market_asked_for(wanted: int, running_market: int, tmp_path: Path) -> None:
    """It continues with its next market, or later with the one asked for; the skipped ones are resolved."""
    clock = ManualClock(1_800_000_000)
    before = PracticeVenue(SyntheticSource(7), VenueOptions(speed=1.0, state=tmp_path, start_at=600), clock)
    clock.forward(2 * 900)
    before.close()
    options = VenueOptions(speed=1.0, state=tmp_path, start_at=600, from_market=wanted)
    after = PracticeVenue(SyntheticSource(7), options, clock)
    after.settlement.resolve_due()
    assert running(after) == running_market
    assert len(after.exchange.resolutions) == running_market
    after.close()


def running(venue: PracticeVenue) -> int:
    """The number of the market that runs now."""
    return int(venue.clock.market_s() - venue.schedule.first_start) // 900
