"""Paths of the ledgers: each trading profile has its own file, so paper and live money are separate."""

from pathlib import Path

from execution.ledger.rows import Venue

LIVE_PROFILE = "live"
PAPER_PROFILES = tuple(venue.value for venue in Venue)


REHEARSAL_PROFILES = tuple(f"rehearsal-{venue.value}" for venue in Venue if venue is not Venue.POLYMARKET)
"""The live path on a practice venue: its runs are simulation, because no real money moves."""


def profile_name(*, live_path: bool, venue: Venue) -> str:
    """`live` for real money, ``rehearsal-…`` for the live path on a practice venue, otherwise the venue's
    name."""
    if not live_path:
        return venue.value
    return LIVE_PROFILE if venue is Venue.POLYMARKET else f"rehearsal-{venue.value}"


def ledger_path(state_dir: Path, profile: str) -> Path:
    """Path of a profile's ledger: ``{state_dir}/{profile}/ledger.sqlite``."""
    return state_dir / profile / "ledger.sqlite"
