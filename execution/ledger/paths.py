"""Where each book lies: paper and live money never share a file."""

from pathlib import Path

from execution.ledger.rows import Venue

LIVE_PROFILE = "live"
PAPER_PROFILES = tuple(venue.value for venue in Venue)


REHEARSAL_PROFILES = tuple(f"rehearsal-{venue.value}" for venue in Venue if venue is not Venue.POLYMARKET)
"""The live path on a practice venue: its runs are simulation, because no real money moves."""


def profile_name(*, live_path: bool, venue: Venue) -> str:
    """`live` for real money, ``rehearsal-…`` for the live path on a practice venue, else the venue's name."""
    if not live_path:
        return venue.value
    return LIVE_PROFILE if venue is Venue.POLYMARKET else f"rehearsal-{venue.value}"


def ledger_path(state_dir: Path, profile: str) -> Path:
    """The ledger's file of a book: ``{state_dir}/{book}/ledger.sqlite``."""
    return state_dir / profile / "ledger.sqlite"
