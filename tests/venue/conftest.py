"""Practice venues for the tests: processes that are closed by their own process id."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from process import PracticeVenue


@pytest.fixture(scope="session")
def calm_venue() -> Iterator[PracticeVenue]:
    """One venue at twice the real pace, early in its first market, shared by tests that leave it whole."""
    with PracticeVenue.start("--speed", "2", "--start-at", "10") as venue:
        yield venue


@pytest.fixture
def practice_venue(calm_venue: PracticeVenue) -> Iterator[PracticeVenue]:
    """The shared venue without faults, before and after."""
    calm_venue.clear_faults()
    yield calm_venue
    calm_venue.clear_faults()
