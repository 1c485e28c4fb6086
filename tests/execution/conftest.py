"""A practice venue whose winners wait for redemption, and a server with prepared answers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "venue"))

from canned_server import CannedServer
from process import VenueProcess


@pytest.fixture(scope="session")
def shared_manual_venue() -> Iterator[VenueProcess]:
    """One venue whose market time moves only by steps, shared by tests with wallets of their own."""
    with VenueProcess.start("--hold-clock", "--start-at", "60", "--redeem", "manual") as venue:
        yield venue


@pytest.fixture
def manual_venue(shared_manual_venue: VenueProcess) -> Iterator[VenueProcess]:
    """The shared venue without faults, before and after."""
    shared_manual_venue.clear_faults()
    yield shared_manual_venue
    shared_manual_venue.clear_faults()


@pytest.fixture
def canned() -> Iterator[CannedServer]:
    """A loopback server without routes until a test adds them."""
    with CannedServer() as server:
        yield server
