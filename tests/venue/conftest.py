"""Practice venues for the tests: processes that are closed by their own process id."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from process import VenueProcess

LATEST_SECOND = 400
"""A test begins before this second of a market, so that it has four minutes of wall time before the end."""


@pytest.fixture(scope="session")
def calm_venue() -> Iterator[VenueProcess]:
    """One venue at twice the real speed, shared by tests that do not stop it."""
    with VenueProcess.start("--speed", "2", "--start-at", "10") as venue:
        yield venue


@pytest.fixture
def practice_venue(calm_venue: VenueProcess) -> Iterator[VenueProcess]:
    """The shared venue without faults, before and after, with minutes left in its market."""
    calm_venue.clear_faults()
    if calm_venue.clock.market_s() % 900 > LATEST_SECOND:
        calm_venue.set_clock(to=calm_venue.clock.current_start() + 900 + 10)
    yield calm_venue
    calm_venue.clear_faults()
